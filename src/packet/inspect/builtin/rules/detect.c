/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs packets and streams past a ruleset (detect.h). Worker threads; no allocation, no lock. */
#include "packet/inspect/builtin/detect.h"

#include "packet/inspect/builtin/rules/detect_pass.h"

#include <stdlib.h>
#include <string.h>

static const struct rule *rule_of(const struct rule_info *info)
{
	return (const struct rule *)((const char *)info - offsetof(struct rule, info));
}

/* A counter that this worker alone writes; the control thread reads it. */
static void count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* ---- candidates ---- */

void pass_begin(struct pass *pass)
{
	struct ruleset_worker *worker = pass->worker;

	worker->candidate_count = 0;
	if (++worker->pass == 0) {
		memset(worker->marks, 0, pass->ruleset->rule_count * sizeof(*worker->marks));
		worker->pass = 1;
	}
}

static void add_candidate(struct ruleset_worker *worker, uint32_t rule)
{
	if (worker->marks[rule] == worker->pass)
		return;
	worker->marks[rule] = worker->pass;
	worker->candidates[worker->candidate_count++] = rule;
}

static void add_candidates(void *context, const uint32_t *rules, size_t count_of_rules)
{
	for (size_t i = 0; i < count_of_rules; i++)
		add_candidate(context, rules[i]);
}

static int compare_indexes(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

void pass_sort_candidates(struct pass *pass)
{
	struct ruleset_worker *worker = pass->worker;

	if (worker->candidate_count > 1)
		qsort(worker->candidates, worker->candidate_count, sizeof(*worker->candidates),
			compare_indexes);
}

void pass_find_candidates(
	struct pass *pass, const struct prefilter *prefilter, const uint8_t *bytes, size_t size)
{
	size_t always_count;
	const uint32_t *always = prefilter_always(prefilter, &always_count);

	add_candidates(pass->worker, always, always_count);
	prefilter_scan(prefilter, pass->worker->scratch, bytes, size, add_candidates, pass->worker);
}

/* ---- flowbits ---- */

static bool has_bit(const struct rule_flowbit *bit, const struct detect_flow *flow)
{
	bool is_set = flow->bits[bit->bit / 64] >> (bit->bit % 64) & 1;

	return bit->command == RULE_FLOWBIT_IS_SET        ? is_set
		: bit->command == RULE_FLOWBIT_IS_NOT_SET ? !is_set
							  : true;
}

static bool flowbits_match(const struct rule *rule, const struct detect_flow *flow)
{
	bool is_met = false; /* by one of the alternatives so far */

	if (rule->flowbit_count > 0 && !flow)
		return false;
	for (size_t i = 0; i < rule->flowbit_count; i++) {
		is_met |= has_bit(&rule->flowbits[i], flow);
		if (rule->flowbits[i].or_next)
			continue;
		if (!is_met)
			return false;
		is_met = false;
	}
	return true;
}

static void change_flowbits(const struct rule *rule, struct detect_flow *flow)
{
	for (size_t i = 0; i < rule->flowbit_count; i++) {
		uint64_t mask = 1ULL << (rule->flowbits[i].bit % 64);
		uint64_t *bits = &flow->bits[rule->flowbits[i].bit / 64];

		switch (rule->flowbits[i].command) {
		case RULE_FLOWBIT_SET:
			*bits |= mask;
			break;
		case RULE_FLOWBIT_UNSET:
			*bits &= ~mask;
			break;
		case RULE_FLOWBIT_TOGGLE:
			*bits ^= mask;
			break;
		case RULE_FLOWBIT_IS_SET:
		case RULE_FLOWBIT_IS_NOT_SET:
			break;
		}
	}
}

/* ---- results ---- */

static bool result_has(const struct detect_result *result, const struct rule *rule)
{
	for (size_t i = 0; i < result->alert_count; i++)
		if (result->alerts[i].rule == &rule->info)
			return true;
	return false;
}

/* Keeps the weightiest ones, which are those with the lowest index. */
static void add_alert(struct detect_result *result, struct detect_alert alert)
{
	struct detect_alert *weakest = &result->alerts[0];

	if (result->alert_count < DETECT_ALERTS_MAX) {
		result->alerts[result->alert_count++] = alert;
		return;
	}
	result->alerts_lost++;
	for (size_t i = 1; i < result->alert_count; i++)
		if (result->alerts[i].rule->index > weakest->rule->index)
			weakest = &result->alerts[i];
	if (alert.rule->index < weakest->rule->index)
		*weakest = alert;
}

static bool is_suppressed(const struct packet_view *view, const struct rule *rule)
{
	for (const struct rule_suppress *own = rule->suppress; own; own = own->next) {
		bool is_source = !own->addresses || interval_set_has(own->addresses, view->source);
		bool is_destination =
			!own->addresses || interval_set_has(own->addresses, view->destination);

		if (own->end == RULE_SUPPRESS_ALL
			|| (own->end != RULE_SUPPRESS_DESTINATION && is_source)
			|| (own->end != RULE_SUPPRESS_SOURCE && is_destination))
			return true;
	}
	return false;
}

/* What becomes of a match; *action changes where a rate_filter has it so. */
static enum threshold_verdict count_match(
	struct pass *pass, const struct rule *rule, enum rule_action *action)
{
	struct threshold_table *table = pass->ruleset->thresholds;
	enum threshold_verdict verdict = THRESHOLD_TELL;

	if (is_suppressed(&pass->view, rule))
		return THRESHOLD_SILENT;
	if (rule->threshold.type != RULE_THRESHOLD_NONE)
		verdict = threshold_table_count(table, rule, &rule->threshold, &pass->view);
	if (verdict != THRESHOLD_NOTHING && rule->rate.type != RULE_THRESHOLD_NONE
		&& threshold_table_count(table, rule, &rule->rate, &pass->view)
			== THRESHOLD_CHANGED)
		*action = rule->rate.new_action;
	return verdict;
}

void pass_conclude(struct pass *pass, const struct rule *rule)
{
	enum rule_action action = rule->info.action;
	enum threshold_verdict verdict;

	if (rule->flowbit_count > 0)
		change_flowbits(rule, pass->view.context->flow);
	count(&pass->worker->matches[rule->info.index]);
	verdict = count_match(pass, rule, &action);
	if (verdict == THRESHOLD_NOTHING)
		return;
	/* A rule that neither tells nor acts was there for its flowbits. */
	if (action == RULE_ALERT && (rule->is_noalert || verdict == THRESHOLD_SILENT))
		return;
	add_alert(pass->result,
		(struct detect_alert){.rule = &rule->info,
			.action = action,
			.in_stream = pass->in_stream,
			.is_noalert = rule->is_noalert || verdict == THRESHOLD_SILENT});
}

/* Notes the changes of the match that the matcher holds. shift: index in the packet's payload of
 * the matched bytes; false: a change would be of bytes before it. */
static bool add_replacements(struct pass *pass, const struct rule *rule, int64_t shift)
{
	struct detect_result *result = pass->result;

	for (size_t i = 0; i < rule->item_count; i++) {
		const struct rule_content *content = &rule->items[i].content;
		int64_t offset = (int64_t)pass->worker->matcher.state[i].start + shift;

		if (rule->items[i].type != RULE_CONTENT || !content->replacement)
			continue;
		if (offset < 0 || result->replacement_count == DETECT_REPLACEMENTS_MAX)
			return false;
		result->replacements[result->replacement_count++] = (struct detect_replacement){
			.offset = (uint32_t)offset,
			.size = (uint16_t)content->size,
			.new_size = content->replacement_size,
			.bytes = content->replacement,
		};
	}
	return true;
}

/* A payload without its first bytes. */
static struct payload payload_from(const struct payload *payload, size_t from)
{
	return (struct payload){
		payload->bytes + from, payload->size - from, payload->position + from};
}

static bool rule_matches(struct pass *pass, const struct rule *rule, const struct payload *payload)
{
	return pass->message ? pass_message_matches(pass, rule, payload)
			     : payload_matches(&pass->worker->matcher, rule, payload);
}

/*
 * Looks for the rule in the payload from index `from` on. 0: not there; else the index behind its
 * last match. A replacing rule is carried out for each match, others are content with one for a
 * packet; in a stream all are walked over, so that none of them is told again.
 */
static size_t match_all(struct pass *pass, const struct rule *rule, const struct payload *payload,
	size_t from, int64_t shift, bool *is_lost)
{
	bool is_repeated = pass->in_stream || rule->has_replace;
	size_t end = 0;

	while (from <= payload->size) {
		struct payload rest = payload_from(payload, from);
		size_t match_end;

		if (!rule_matches(pass, rule, &rest))
			break;
		if (rule->has_replace && !add_replacements(pass, rule, shift + (int64_t)from))
			*is_lost = true;
		match_end = payload_match_end(&pass->worker->matcher);
		/* A match of nothing (a negated content alone) is one of all that is there. */
		end = match_end > 0 ? from + match_end : payload->size;
		if (!is_repeated || match_end == 0 || *is_lost)
			break;
		from = end;
	}
	return end;
}

bool pass_applies(struct pass *pass, const struct rule *rule)
{
	count(&pass->worker->evaluations);
	return header_matches(&pass->view, rule) && flowbits_match(rule, pass->view.context->flow);
}

/* ---- packets ---- */

static enum rule_direction direction_of(const struct detect_context *context)
{
	return context->to_server ? RULE_TO_SERVER : RULE_TO_CLIENT;
}

bool pass_open(struct pass *pass, const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_result *result)
{
	uint16_t port = context->to_server ? context->packet->destination_port
					   : context->packet->source_port;

	if (ruleset->rule_count == 0 || !packet_view_fill(context, &pass->view))
		return false;
	pass->ruleset = ruleset;
	pass->worker = &ruleset->workers[worker];
	pass->group =
		rule_groups_find(&ruleset->groups, pass->view.class, direction_of(context), port);
	pass->message = NULL;
	pass->result = result;
	pass->in_stream = false;
	return true;
}

/* Rules without payload options. */
static void match_headers(struct pass *pass)
{
	struct detect_flow *flow = pass->view.context->flow;
	uint8_t direction = pass->view.context->to_server ? 1 : 2;
	bool is_ip_only_due = true;

	if (flow) {
		if (flow->generation != pass->ruleset->generation) {
			flow->generation = pass->ruleset->generation;
			flow->ip_only_seen = 0;
		}
		is_ip_only_due = !(flow->ip_only_seen & direction);
		flow->ip_only_seen |= direction;
	}
	for (size_t i = 0; i < pass->group->header_count; i++) {
		const struct rule *rule = pass->ruleset->rules[pass->group->headers[i]];

		if ((!rule->is_ip_only || is_ip_only_due) && pass_applies(pass, rule))
			pass_conclude(pass, rule);
	}
}

static void match_packet_rule(
	struct pass *pass, const struct rule *rule, const struct payload *payload)
{
	bool is_lost = false;

	/* What the stream has told is not told again for the packet. */
	if (rule->looks_at_stream && result_has(pass->result, rule))
		return;
	if (rule->wants_stream_only || !pass_applies(pass, rule))
		return;
	if (match_all(pass, rule, payload, 0, 0, &is_lost) > 0)
		pass_conclude(pass, rule);
}

void detect_packet(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_result *result)
{
	const struct decoded *packet = context->packet;
	struct payload payload = {packet->frame + packet->payload_offset, packet->payload_size, 0};
	struct pass pass;

	if (!pass_open(&pass, ruleset, worker, context, result))
		return;
	match_headers(&pass);
	if (packet->payload_offset == 0 || payload.size == 0)
		return;
	pass_begin(&pass);
	pass_find_candidates(&pass, pass.group->packet, payload.bytes, payload.size);
	if (!context->is_in_stream)
		pass_find_candidates(&pass, pass.group->stream, payload.bytes, payload.size);
	pass_sort_candidates(&pass);
	for (size_t i = 0; i < pass.worker->candidate_count; i++)
		match_packet_rule(&pass, ruleset->rules[pass.worker->candidates[i]], &payload);
}

void detect_fragment(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_result *result)
{
	struct pass pass;

	if (ruleset->fragment_rule_count == 0
		|| !pass_open(&pass, ruleset, worker, context, result))
		return;
	for (size_t i = 0; i < ruleset->fragment_rule_count; i++)
		if (pass_applies(&pass, ruleset->fragment_rules[i]))
			pass_conclude(&pass, ruleset->fragment_rules[i]);
}

/* ---- streams ---- */

static uint32_t offset_at(const struct pass_window *window, size_t index)
{
	return (uint32_t)(window->payload.position + index);
}

/* A content alone, without bounds, that is the pattern of its rule: it matches when the prefilter
 * finds it, and what ended before the fresh bytes was told then. */
static bool is_single(const struct rule *rule)
{
	const struct rule_item *item = &rule->items[0];

	return rule->item_count == 1 && item->type == RULE_CONTENT && !item->is_negated
		&& !item->is_relative && !item->content.has_offset && !item->content.has_depth
		&& !item->content.ends_with && item->content.chop_size == 0
		&& item->content.size <= PREFILTER_PATTERN_MAX;
}

static bool has_pattern(const struct rule *rule)
{
	const uint8_t *bytes;
	size_t size;

	return prefilter_content(rule, &bytes, &size) != NULL;
}

static void renew_stream(
	struct pass *pass, struct detect_stream *stream, const struct pass_window *window)
{
	if (stream->generation == pass->ruleset->generation)
		return;
	stream->generation = pass->ruleset->generation;
	stream->candidate_count = 0;
	stream->rescan = window->fresh > 0;
}

/* Behind the prefilter, whose finds are marked: forgets candidates whose pattern has left the
 * window, and makes the others due. */
static void renew_candidates(
	struct pass *pass, struct detect_stream *stream, const struct pass_window *window)
{
	uint8_t kept = 0;

	for (uint8_t i = 0; i < stream->candidate_count; i++) {
		uint32_t rule = stream->candidates[i].rule;

		if (pass->worker->marks[rule] == pass->worker->pass
			&& has_pattern(pass->ruleset->rules[rule]))
			stream->candidates[i].seen = offset_at(window, window->payload.size);
		/* Modulo 2^32, as sequence numbers. */
		if ((int32_t)(stream->candidates[i].seen - offset_at(window, 0)) <= 0)
			continue;
		stream->candidates[kept++] = stream->candidates[i];
		add_candidate(pass->worker, rule);
	}
	stream->candidate_count = kept;
}

/* The entry of a rule, or its place: candidate_count when it has none. */
static uint8_t find_entry(const struct detect_stream *stream, uint32_t rule)
{
	uint8_t i = 0;

	while (i < stream->candidate_count && stream->candidates[i].rule != rule)
		i++;
	return i;
}

/* Where in the window the rule has to be looked for: behind what it matched already. */
static size_t find_floor(const struct detect_stream *stream, const struct rule *rule,
	const struct pass_window *window)
{
	uint8_t entry = find_entry(stream, rule->info.index);
	size_t reach;
	int32_t floor;

	if (is_single(rule)) {
		reach = rule->items[0].content.size - 1;
		return window->fresh > reach ? window->fresh - reach : 0;
	}
	if (entry == stream->candidate_count)
		return 0;
	floor = (int32_t)(stream->candidates[entry].floor - offset_at(window, 0));
	/* One among the fresh bytes is of a segment that was judged, but did not go on. */
	return floor > 0 && (size_t)floor <= window->fresh ? (size_t)floor : 0;
}

/* Keeps the rule in mind: bytes to come may complete it, or must not match again. */
static void remember(struct detect_stream *stream, const struct rule *rule,
	const struct pass_window *window, size_t match_end)
{
	uint8_t entry = find_entry(stream, rule->info.index);

	/* Without a pattern a rule is looked at always; its matches alone have to be known. */
	if (is_single(rule) || (match_end == 0 && !has_pattern(rule)))
		return;
	if (entry == DETECT_CANDIDATES) {
		stream->rescan = true;
		return;
	}
	if (entry == stream->candidate_count) {
		stream->candidate_count++;
		stream->candidates[entry].rule = rule->info.index;
		stream->candidates[entry].floor = offset_at(window, 0);
		stream->candidates[entry].seen = offset_at(window, window->payload.size);
	}
	if (match_end > 0) {
		stream->candidates[entry].floor = offset_at(window, match_end);
		stream->candidates[entry].seen = offset_at(window, window->payload.size);
	}
}

static void match_stream_rule(struct pass *pass, const struct rule *rule,
	struct detect_stream *stream, const struct pass_window *window)
{
	int64_t shift = window->payload_at == SIZE_MAX ? INT32_MIN : -(int64_t)window->payload_at;
	uint16_t replacement_count = pass->result->replacement_count;
	bool is_lost = false;
	size_t end;

	if (!pass_applies(pass, rule))
		return;
	end = match_all(
		pass, rule, &window->payload, find_floor(stream, rule, window), shift, &is_lost);
	/* Of a message that comes in several pieces with one packet: once. */
	if (end > 0 && !(pass->message && result_has(pass->result, rule)))
		pass_conclude(pass, rule);
	if (is_lost) {
		/* Part of it has been let through before: what is left must not follow. */
		pass->result->replacement_count = replacement_count;
		pass->result->replacement_failed = &rule->info;
	}
	remember(stream, rule, window, end);
}

void pass_look_at_window(
	struct pass *pass, struct detect_stream *stream, const struct pass_window *window)
{
	const struct payload *payload = &window->payload;
	size_t from = window->fresh > PREFILTER_PATTERN_MAX - 1
		? window->fresh - (PREFILTER_PATTERN_MAX - 1)
		: 0;

	pass->in_stream = true;
	pass_begin(pass);
	renew_stream(pass, stream, window);
	if (stream->rescan)
		from = 0;
	stream->rescan = false;
	if (window->prefilter)
		pass_find_candidates(
			pass, window->prefilter, payload->bytes + from, payload->size - from);
	if (window->others)
		pass_find_candidates(pass, window->others, NULL, 0);
	renew_candidates(pass, stream, window);
	pass_sort_candidates(pass);
	for (size_t i = 0; i < pass->worker->candidate_count; i++)
		match_stream_rule(
			pass, pass->ruleset->rules[pass->worker->candidates[i]], stream, window);
}

void detect_stream(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_stream *stream, const uint8_t *bytes,
	size_t size, size_t fresh, uint64_t stream_offset, size_t payload_at,
	struct detect_result *result)
{
	struct pass_window window = {
		.payload = {bytes, size, stream_offset}, .fresh = fresh, .payload_at = payload_at};
	struct pass pass;

	if (fresh >= size || !pass_open(&pass, ruleset, worker, context, result))
		return;
	window.prefilter = pass.group->stream;
	pass_look_at_window(&pass, stream, &window);
}

/* ---- what to do ---- */

static int compare_alerts(const void *left, const void *right)
{
	const struct detect_alert *a = left, *b = right;

	return a->rule->index < b->rule->index ? -1 : a->rule->index > b->rule->index;
}

static bool is_for_flow(const struct detect_alert *alert)
{
	return alert->in_stream || rule_of(alert->rule)->is_ip_only;
}

static void decide(struct detect_result *result, const struct detect_alert *alert)
{
	bool is_reject = alert->action != RULE_DROP && alert->action != RULE_PASS;

	result->applies_to_flow |= is_for_flow(alert);
	/* A reject does what a drop does, and more. */
	if (result->decided_by && (!is_reject || result->action != RULE_DROP))
		return;
	result->action = alert->action;
	result->decided_by = alert->rule;
}

void detect_result_finish(struct detect_result *result)
{
	size_t kept = 0;

	if (result->alert_count > 1)
		qsort(result->alerts, result->alert_count, sizeof(result->alerts[0]),
			compare_alerts);
	for (size_t i = 0; i < result->alert_count; i++) {
		const struct detect_alert *alert = &result->alerts[i];

		if (alert->action != RULE_ALERT)
			decide(result, alert);
		if (alert->action == RULE_PASS)
			break; /* neither it nor what is behind it is told */
		if (!alert->is_noalert)
			result->alerts[kept++] = *alert;
	}
	result->alert_count = (uint16_t)kept;
	if (result->action == RULE_PASS)
		result->replacement_count = 0;
	else if (result->replacement_failed && result->action == RULE_ALERT) {
		result->action = RULE_DROP;
		result->applies_to_flow = true;
		result->decided_by = result->replacement_failed;
	}
}

bool detect_result_stops_packet(const struct detect_result *result)
{
	bool stops = false;

	for (size_t i = 0; i < result->alert_count; i++) {
		const struct detect_alert *alert = &result->alerts[i];

		if (alert->action == RULE_PASS || is_for_flow(alert))
			return false;
		stops |= alert->action != RULE_ALERT;
	}
	return stops;
}
