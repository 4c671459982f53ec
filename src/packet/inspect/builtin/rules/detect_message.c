/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs messages of application protocols past a ruleset (detect.h). Worker threads. */
#include "packet/inspect/builtin/rules/detect_pass.h"
#include "packet/inspect/builtin/rules/message_view.h"

static bool part_matches(struct pass *pass, const struct rule *rule, const struct rule_part *part)
{
	struct payload payload;

	/* One of several is enough. */
	for (unsigned int i = 0; message_view_get(pass->worker->view, part->use, i, &payload); i++)
		if (payload_part_matches(
			    &pass->worker->matcher, rule, part->first, part->count, &payload))
			return true;
	return false;
}

bool pass_message_matches(struct pass *pass, const struct rule *rule, const struct payload *body)
{
	size_t count = rule->part_count - (rule->app_stage == APP_STAGE_BODY ? 1u : 0u);
	const struct rule_part *last = &rule->parts[rule->part_count - 1];

	for (size_t i = 0; i < count; i++)
		if (!part_matches(pass, rule, &rule->parts[i]))
			return false;
	if (count == rule->part_count)
		return true;
	return payload_part_matches(&pass->worker->matcher, rule, last->first, last->count, body);
}

static enum rule_direction direction_of(const struct app_message *message)
{
	return message->to_server ? RULE_TO_SERVER : RULE_TO_CLIENT;
}

/* Looks for patterns in all buffers that there are by this stage. */
static void find_by_buffers(struct pass *pass, const struct rule_message_group *group)
{
	const struct app_message *message = pass->message;

	for (uint8_t use = 1; use < pass->ruleset->buffers.count; use++) {
		struct payload payload;

		if (!group->by_use[use]
			|| rule_use_info(&pass->ruleset->buffers, use)->stage > message->stage)
			continue;
		for (unsigned int i = 0; message_view_get(pass->worker->view, use, i, &payload);
			i++)
			pass_find_candidates(pass, group->by_use[use], payload.bytes, payload.size);
	}
	for (int stage = message->after + 1; stage <= (int)message->stage; stage++)
		if (group->others[message->protocol][stage])
			pass_find_candidates(
				pass, group->others[message->protocol][stage], NULL, 0);
}

static void match_complete(struct pass *pass, const struct rule_message_group *group)
{
	pass_begin(pass);
	find_by_buffers(pass, group);
	pass_sort_candidates(pass);
	for (size_t i = 0; i < pass->worker->candidate_count; i++) {
		const struct rule *rule = pass->ruleset->rules[pass->worker->candidates[i]];

		if (rule->app_stage > pass->message->after
			&& rule->app_stage <= pass->message->stage && pass_applies(pass, rule)
			&& pass_message_matches(pass, rule, NULL))
			pass_conclude(pass, rule);
	}
}

static uint8_t body_use(const struct ruleset *ruleset, bool to_server)
{
	enum rule_buffer buffer = to_server ? RULE_HTTP_REQUEST_BODY : RULE_HTTP_RESPONSE_BODY;

	for (uint8_t use = 1; use < ruleset->buffers.count; use++)
		if (ruleset->buffers.uses[use].buffer == buffer)
			return use;
	return 0;
}

static void match_body(struct pass *pass, const struct rule_message_group *group)
{
	const struct app_message *message = pass->message;
	uint8_t use = body_use(pass->ruleset, message->to_server);
	struct pass_window window = {
		.payload = {message->body.data, message->body.size, message->position},
		.fresh = message->fresh,
		.payload_at = SIZE_MAX,
		.prefilter = use ? group->by_use[use] : NULL,
		.others = group->others[message->protocol][APP_STAGE_BODY]};

	pass_look_at_window(pass, message->body_state, &window);
}

void detect_message(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, const struct app_message *message,
	struct detect_result *result)
{
	const struct rule_message_group *group = &ruleset->messages.groups[direction_of(message)];
	struct pass pass;

	if (ruleset->messages.rule_count == 0
		|| !pass_open(&pass, ruleset, worker, context, result))
		return;
	pass.in_stream = true; /* what they decide is for the flow */
	pass.message = message;
	message_view_open(pass.worker->view, &ruleset->buffers, message);
	if (message->stage == APP_STAGE_BODY)
		match_body(&pass, group);
	else
		match_complete(&pass, group);
}

bool ruleset_wants_app(const struct ruleset *ruleset)
{
	return ruleset->messages.is_wanted;
}

bool ruleset_wants_body(const struct ruleset *ruleset, bool to_server)
{
	return ruleset->messages.wants_body[to_server ? RULE_TO_SERVER : RULE_TO_CLIENT];
}
