/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * YAML text as a tree whose nodes know their line and column. What a configuration does not need is
 * refused: aliases, anchors, tags, several documents, keys that are no scalars, control characters.
 * Depth, number of nodes and size are bounded (config.h). One thread; no global state.
 */
#pragma once

#include "control/config/config.h"

#include <jansson.h>

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
	enum yaml_kind kind;
	unsigned int line, column;         /* from 1, of the value */
	unsigned int key_line, key_column; /* of its key, in a mapping; else 0 */
	char *key;                         /* in a mapping, else NULL */
	char *value;                       /* of a scalar, else NULL */
	bool is_plain;                     /* a scalar without quotes */
	bool is_duplicate;                 /* its key was there before; reported already */
	size_t child_count;
	struct yaml_node *first, *last, *next; /* children in order; next sibling */
	json_t *keys;                          /* of a mapping: key -> line; NULL: none yet */
};

/*
 * The tree for yaml_destroy(); *root is NULL for an empty text. Problems go to the report with the
 * key path as far as it is known. -EINVAL when the text has no usable tree, -ENOMEM; a duplicate
 * key is a problem, but the tree is there.
 */
int yaml_parse(
	const char *text, size_t size, struct config_report *report, struct yaml_node **root);
void yaml_destroy(struct yaml_node *root); /* NULL is allowed */

/* The node at a path like "a.b[2].c"; borrowed, NULL: not there. */
const struct yaml_node *yaml_find(const struct yaml_node *root, const char *path);
const struct yaml_node *yaml_child(const struct yaml_node *node, const char *key);
