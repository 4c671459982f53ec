/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/rule_messages.h"

#include <errno.h>
#include <stdlib.h>

/* While it is built: the rules of one direction. */
struct builder {
	struct rule *const *rules;
	size_t count;
	struct rule **chosen;
	unsigned int direction; /* enum rule_app_direction */
	struct prefilter_build *build;
	struct error *error;
};

static bool is_found_by(const struct rule *rule, uint8_t use)
{
	const uint8_t *bytes;
	size_t size;

	return prefilter_content(rule, &bytes, &size) && prefilter_use(rule) == use;
}

static bool has_no_pattern(const struct rule *rule)
{
	const uint8_t *bytes;
	size_t size;

	return !prefilter_content(rule, &bytes, &size);
}

static int build(struct builder *builder, size_t chosen, struct prefilter **out)
{
	if (chosen == 0)
		return 0;
	return prefilter_create(builder->chosen, chosen, builder->build, out, builder->error);
}

static int build_use(struct builder *builder, uint8_t use, struct prefilter **out)
{
	size_t chosen = 0;

	for (size_t i = 0; i < builder->count; i++)
		if (builder->rules[i]->part_count > 0
			&& (builder->rules[i]->app_directions & builder->direction)
			&& is_found_by(builder->rules[i], use))
			builder->chosen[chosen++] = builder->rules[i];
	return build(builder, chosen, out);
}

static int build_others(struct builder *builder, enum app_protocol protocol, enum app_stage stage,
	struct prefilter **out)
{
	size_t chosen = 0;

	for (size_t i = 0; i < builder->count; i++) {
		struct rule *rule = builder->rules[i];

		if (rule->part_count > 0 && (rule->app_directions & builder->direction)
			&& rule->app_protocol == protocol && rule->app_stage == stage
			&& has_no_pattern(rule))
			builder->chosen[chosen++] = rule;
	}
	return build(builder, chosen, out);
}

static int build_group(struct builder *builder, const struct rule_buffers *buffers,
	struct rule_message_group *group)
{
	int code = 0;

	for (uint8_t use = 1; use < buffers->count && code == 0; use++)
		code = build_use(builder, use, &group->by_use[use]);
	for (int protocol = 0; protocol < APP_PROTOCOL_COUNT; protocol++)
		for (int stage = APP_STAGE_LINE; stage <= APP_STAGE_BODY && code == 0; stage++)
			code = build_others(builder, (enum app_protocol)protocol,
				(enum app_stage)stage, &group->others[protocol][stage]);
	return code;
}

static void note_wants(struct rule_messages *messages, const struct rule *rule)
{
	messages->is_wanted |= rule->app_protocol != APP_UNKNOWN;
	messages->rule_count += rule->part_count > 0;
	if (rule->part_count == 0 || rule->app_stage != APP_STAGE_BODY)
		return;
	messages->wants_body[RULE_TO_SERVER] |= (rule->app_directions & RULE_APP_TO_SERVER) != 0;
	messages->wants_body[RULE_TO_CLIENT] |= (rule->app_directions & RULE_APP_TO_CLIENT) != 0;
}

/* Calls visit for each prefilter that there is. */
static int for_each(const struct rule_messages *messages,
	int (*visit)(struct prefilter *prefilter, void *context), void *context)
{
	int code = 0;

	for (int direction = 0; direction < RULE_DIRECTION_COUNT; direction++) {
		const struct rule_message_group *group = &messages->groups[direction];

		for (int use = 0; use < RULE_USES_MAX && code == 0; use++)
			if (group->by_use[use])
				code = visit(group->by_use[use], context);
		for (int protocol = 0; protocol < APP_PROTOCOL_COUNT; protocol++)
			for (int stage = 0; stage <= APP_STAGE_BODY && code == 0; stage++)
				if (group->others[protocol][stage])
					code = visit(group->others[protocol][stage], context);
	}
	return code;
}

static int add_size(struct prefilter *prefilter, void *context)
{
	struct rule_messages *messages = context;

	messages->pattern_count += prefilter_pattern_count(prefilter);
	messages->database_count += prefilter_pattern_count(prefilter) > 0;
	messages->size += prefilter_size(prefilter);
	return 0;
}

int rule_messages_build(struct rule_messages *messages, const struct rule_buffers *buffers,
	struct rule *const *rules, size_t count, struct prefilter_build *build, struct error *error)
{
	struct builder builder = {.rules = rules,
		.count = count,
		.chosen = calloc(count + 1, sizeof(struct rule *)),
		.build = build,
		.error = error};
	int code = builder.chosen ? 0 : -ENOMEM;

	for (size_t i = 0; i < count; i++)
		note_wants(messages, rules[i]);
	for (int direction = 0; direction < RULE_DIRECTION_COUNT && code == 0; direction++) {
		builder.direction =
			direction == RULE_TO_SERVER ? RULE_APP_TO_SERVER : RULE_APP_TO_CLIENT;
		code = build_group(&builder, buffers, &messages->groups[direction]);
	}
	if (code == 0)
		code = for_each(messages, add_size, messages);
	free(builder.chosen);
	return code;
}

/* What for_each() hands to store(). */
struct store {
	struct pattern_cache *cache;
	struct error *error;
};

static int store(struct prefilter *prefilter, void *context)
{
	struct store *to = context;

	return prefilter_store(prefilter, to->cache, to->error);
}

int rule_messages_store(
	const struct rule_messages *messages, struct pattern_cache *cache, struct error *error)
{
	return for_each(messages, store, &(struct store){.cache = cache, .error = error});
}

static int destroy(struct prefilter *prefilter, void *context)
{
	prefilter_destroy(prefilter);
	return 0;
}

void rule_messages_close(struct rule_messages *messages)
{
	(void)for_each(messages, destroy, NULL);
	*messages = (struct rule_messages){0};
}

static int reserve(struct prefilter *prefilter, void *context)
{
	return prefilter_reserve(prefilter, context);
}

int rule_messages_reserve(const struct rule_messages *messages, hs_scratch_t **scratch)
{
	return for_each(messages, reserve, scratch);
}
