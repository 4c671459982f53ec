/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rule files of a configuration, read through descriptors of the broker, since the packet role
 * opens nothing itself. Control thread; calls done from the loop.
 */
#pragma once

#include "packet/inspect/inspector.h"

struct rule_files {
	struct inspector_file *files; /* sorted by name, as the broker gave them */
	size_t count;
	uint64_t digest; /* of names and texts, to tell whether anything changed */
	json_t *missing; /* patterns that matched no file */
};

/* files is the callback's to destroy; NULL with an error. */
typedef void (*rule_files_fn)(void *context, struct rule_files *files, const struct error *error);

/* patterns is `inspection.rules`; borrowed for this call only. */
void rule_files_read(const json_t *patterns, rule_files_fn done, void *context);
void rule_files_destroy(struct rule_files *files);
