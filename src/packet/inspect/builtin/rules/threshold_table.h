/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts of threshold and detection_filter, by rule and address. One table a worker, of a fixed
 * size: when it is full, the count that began first makes room. With several workers each counts
 * the flows that it owns.
 */
#pragma once

#include "packet/inspect/builtin/rules/match_header.h"

struct threshold_table;

struct threshold_table *threshold_table_create(void);
void threshold_table_destroy(struct threshold_table *table);

enum threshold_verdict {
	THRESHOLD_NOTHING, /* no event, no action */
	THRESHOLD_SILENT,  /* the action, but no event */
	THRESHOLD_TELL,
};

/* Counts a match of the rule. */
enum threshold_verdict threshold_table_count(
	struct threshold_table *table, const struct rule *rule, const struct packet_view *view);
