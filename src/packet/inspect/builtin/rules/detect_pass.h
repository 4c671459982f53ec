/* SPDX-License-Identifier: BSD-3-Clause */
/* One look of one worker at a packet, a stream or a message: what detect.c and detect_message.c
 * share. */
#pragma once

#include "packet/inspect/builtin/rules/ruleset.h"

struct pass {
	const struct ruleset *ruleset;
	struct ruleset_worker *worker;
	struct packet_view view;
	const struct rule_group *group;
	const struct app_message *message; /* NULL: none; else worker->view has its buffers */
	struct detect_result *result;
	bool in_stream;
};

/* false: no rule can speak of this packet. */
bool pass_open(struct pass *pass, const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_result *result);

/* Forgets the candidates. */
void pass_begin(struct pass *pass);
/* Adds the rules whose pattern is in the bytes, and those that have none. */
void pass_find_candidates(
	struct pass *pass, const struct prefilter *prefilter, const uint8_t *bytes, size_t size);
/* In the order of evaluation, so that flowbits are set before they are asked for. */
void pass_sort_candidates(struct pass *pass);

/* Whether headers, flow and flowbits satisfy the rule. */
bool pass_applies(struct pass *pass, const struct rule *rule);
/* The rule matched: what follows from it. */
void pass_conclude(struct pass *pass, const struct rule *rule);

/* Bytes of a stream, or of a body, as detect_stream() gets them; others has more rules to look at.
 */
struct pass_window {
	struct payload payload;
	size_t fresh;
	size_t payload_at;
	const struct prefilter *prefilter, *others; /* each may be NULL */
};
void pass_look_at_window(
	struct pass *pass, struct detect_stream *stream, const struct pass_window *window);

/* Whether the parts of a rule on messages are there, its last one in bytes of the body where it
 * looks at one (detect_message.c). */
bool pass_message_matches(struct pass *pass, const struct rule *rule, const struct payload *body);
