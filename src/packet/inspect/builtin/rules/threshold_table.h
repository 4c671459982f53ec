/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts of threshold, detection_filter and rate_filter, by rule and address. One table for all
 * workers, without a lock: an entry is 16 bytes that change as one, so that counts are exact
 * whichever workers the packets of an address go to. Fixed size: when a bucket is full, the count
 * that began first makes room, which is counted.
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
	THRESHOLD_CHANGED, /* the event, with the action of the rate_filter */
};

/* Counts a match of the rule for its threshold or rate; any worker. */
enum threshold_verdict threshold_table_count(struct threshold_table *table, const struct rule *rule,
	const struct rule_threshold *threshold, const struct packet_view *view);

uint64_t threshold_table_evicted(const struct threshold_table *table); /* any thread */
