/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Configuration: YAML in, normalised document (schema/config_schema.h) or the list of all problems
 * out. Used by the control role and, without a daemon, by the command line. No global state; one
 * thread at a time per object.
 */
#pragma once

#include "base/error.h"
#include "schema/config_schema.h"

#include <jansson.h>
#include <stdio.h>

#define CONFIG_FILE_SIZE_MAX (4 * 1024 * 1024)
#define CONFIG_DEPTH_MAX     16
#define CONFIG_NODES_MAX     200000
#define CONFIG_CHILDREN_MAX  8192 /* of one list or map */
#define CONFIG_PROBLEMS_MAX  200  /* more are counted, not kept */

enum config_severity { CONFIG_ERROR, CONFIG_WARNING };

/* One thing that is wrong: where, what was found, what would be valid. All strings are owned. */
struct config_problem {
	enum config_severity severity;
	unsigned int line, column; /* from 1; 0: the file as a whole */
	char *key;                 /* "partitions.web.adapters.eth0.vlan"; "" for syntax */
	char *found;               /* as written; NULL where something is missing */
	char *text;                /* what is wrong */
	char *valid;               /* what would be valid; NULL where text says it */
};

struct config_report {
	char *file;
	struct config_problem *problems; /* in the order of lines, once reading is through */
	size_t count, error_count, warning_count, left_out_count;
};

void config_report_init(struct config_report *report);
void config_report_destroy(struct config_report *report); /* frees the content */
/* FILE:LINE:COLUMN: error: KEY: what is wrong; found "…"; valid: …. One a line. */
void config_report_print(const struct config_report *report, FILE *out);
/* [{file, line, column, key, found?, valid?, message}] of one severity; new reference. */
json_t *config_report_json(const struct config_report *report, enum config_severity severity);

/*
 * Reads, checks and normalises. 0 with *document as a new reference; -EINVAL when the report has
 * errors (it has them all); -EIO, -EFBIG, -ENOMEM with the report saying so. Warnings do not fail.
 * The descriptor is borrowed and read from its start (or where it is, for a pipe).
 */
int config_load(int fd, const char *name, json_t **document, struct config_report *report);
int config_load_text(const char *text, size_t size, const char *name, json_t **document,
	struct config_report *report);

/* What differs, in the order of the schema: [{key, op: "add"|"remove"|"change", old?, new?,
 * effect}]; a map's member that came or went is one entry. New reference, NULL: no memory. */
json_t *config_diff(const json_t *old_document, const json_t *new_document);

/* {key, type, help, default?, …} for a pattern or a concrete path; a section, and "" for the whole,
 * also lists its children. NULL: unknown key; suggestion (may be NULL) then gets the nearest one or
 * "". */
json_t *config_explain(const char *key, char *suggestion, size_t suggestion_size);
/* The same for people, as `bulkhead config explain` prints it. -ENOENT as above. */
int config_explain_print(const char *key, FILE *out, char *suggestion, size_t suggestion_size);

/* One value of a document as YAML on a line, with its unit: "50ms", "[10-12, 20]"; of a section
 * what is not as it would be anyway: "{deadline: 60ms}". New string for free(), NULL: no memory or
 * no such option. */
char *config_show_value(const char *key, const json_t *value);
/* All that is below key, in lines. */
char *config_show_below(const char *key, const json_t *value);

/* The document as YAML with units written out again ("50ms"); loading it gives the same document.
 * New string for free(), NULL: no memory. */
char *config_show(const json_t *document);

/* The embedded default (packaging/bulkhead.yaml); constant. */
const char *config_default_text(void);

/* JSON Schema (draft 2020-12) of the YAML file, for editors; new reference. */
json_t *config_json_schema(void);
/* The reference as Markdown, and as the OPTIONS part of a man page (mdoc(7)/man(7) roff). */
void config_reference_print_markdown(FILE *out);
void config_reference_print_man(FILE *out);
