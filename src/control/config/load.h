/* SPDX-License-Identifier: BSD-3-Clause */
/* What the steps of loading share: tree (yaml_tree.c) -> document (load.c) -> check.c -> finish.c.
 */
#pragma once

#include "control/config/config.h"
#include "control/config/yaml_tree.h"

#define CONFIG_PATH_SIZE 512

struct load {
	struct config_report *report;
	const struct yaml_node *root; /* NULL: an empty file */
	json_t *document;             /* normalised; what was wrong is absent */
	json_t **defaults;            /* by row, made when first needed */
	bool is_out_of_memory;
};

/* Reports at the node of path (or at the nearest one above it that was written). */
void load_error(struct load *load, const char *path, const char *valid, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void load_warning(struct load *load, const char *path, const char *valid, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What depends on more than one option. Reads document and tree. */
void config_check(struct load *load);
/* Fills in the defaults that depend on other options; only without errors. */
int config_finish(json_t *document);

/* The nearest of the options below parent to name: its name, or NULL where none is near. */
const char *config_suggest(const struct config_option *parent, const char *name);
/* Edits (insert, delete, replace, swap) from one to the other; for short texts. */
unsigned int config_distance(const char *from, const char *to);
/* Whether distance is small enough for a "did you mean". */
bool config_is_near(const char *from, const char *to, unsigned int *distance);
