/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether some bytes satisfy all payload options of a rule, exactly: with each way to place its
 * contents one behind the other. Worker thread; no allocation.
 */
#pragma once

#include "packet/inspect/builtin/rules/rule.h"

/* The payload of a packet, or a window of a stream. */
struct payload {
	const uint8_t *bytes;
	size_t size;
	uint64_t position; /* of bytes[0] in its packet or stream, for offset and depth */
};

/* A worker's own; results of the last match lie in it. */
struct payload_matcher {
	pcre2_match_data *match_data;
	pcre2_match_context *match_context;
	pcre2_jit_stack *jit_stack;
	uint64_t limits_exceeded; /* evaluations that were given up; read by the control thread */

	const struct payload *payload;
	const struct rule_item *items;
	size_t item_count;
	uint32_t steps;
	bool has_variables; /* of the rule: what fails may do with other values of them */
	uint64_t variables[RULE_VARIABLES_MAX];
	/* For each item: starts that cannot lead to a match, and where it matched. */
	struct {
		uint32_t failed_from, failed_to;
		uint32_t start, end;
	} state[RULE_ITEMS_MAX];
};

int payload_matcher_open(struct payload_matcher *matcher);
void payload_matcher_close(struct payload_matcher *matcher);

/* True: state[].start and .end tell where each content and pcre matched. */
bool payload_matches(
	struct payload_matcher *matcher, const struct rule *rule, const struct payload *payload);

/* The same of some of its items, count of them from first on. */
bool payload_part_matches(struct payload_matcher *matcher, const struct rule *rule, size_t first,
	size_t count, const struct payload *payload);

/* Behind the furthest byte that the last match rests upon; 0: it rests on none. */
size_t payload_match_end(const struct payload_matcher *matcher);
