/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules on buffers of messages: a prefilter for each buffer and direction, so that streams are not
 * searched for what can only be in one. Immutable once built.
 */
#pragma once

#include "packet/inspect/builtin/rules/prefilter.h"
#include "packet/inspect/builtin/rules/rule_buffers.h"
#include "packet/inspect/builtin/rules/rule_groups.h"

struct rule_message_group {
	struct prefilter *by_use[RULE_USES_MAX]; /* NULL: no rule is found by it */
	/* Rules that no pattern stands for, by the stage that has all they look at. */
	struct prefilter *others[APP_PROTOCOL_COUNT][APP_STAGE_BODY + 1];
};

struct rule_messages {
	struct rule_message_group groups[RULE_DIRECTION_COUNT];
	bool is_wanted; /* rules speak of protocols, or of buffers */
	bool wants_body[RULE_DIRECTION_COUNT];
	size_t rule_count, pattern_count, size;
	size_t database_count; /* of all prefilters */
};

int rule_messages_build(struct rule_messages *messages, const struct rule_buffers *buffers,
	struct rule *const *rules, size_t count, struct prefilter_build *build,
	struct error *error);
void rule_messages_close(struct rule_messages *messages);

/* Adds their databases to a cache that was begun. 0, or -EIO. */
int rule_messages_store(
	const struct rule_messages *messages, struct pattern_cache *cache, struct error *error);

/* Enlarges *scratch for all of them. */
int rule_messages_reserve(const struct rule_messages *messages, hs_scratch_t **scratch);
