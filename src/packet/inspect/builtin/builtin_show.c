/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/builtin_show.h"

#include "base/clock.h"
#include "packet/engine/drop.h"
#include "packet/inspect/builtin/flow_events.h"
#include "packet/inspect/builtin/statistics.h"
#include "packet/inspect/inspect_names.h"
#include "packet/link/link.h"
#include "packet/packet_module.h"
#include "schema/api_schema.h"
#include "schema/json.h"
#include "wire/ip_address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MAX 256 /* events of one worker made into JSON in one go */

/* ---- sums over workers ---- */

#define SUM(builtin, field) statistics_sum(builtin, offsetof(struct builtin_worker, counters.field))

static const char *const lane_names[EVENT_LANE_COUNT] = {
	[EVENT_LANE_ALERTS] = "alert",
	[EVENT_LANE_ANOMALIES] = "anomaly",
	[EVENT_LANE_FLOWS] = "flow",
};

struct totals {
	uint64_t flows, capacity, evicted, stream_bytes, stream_size;
	uint64_t events_lost[EVENT_LANE_COUNT];
};

static struct totals add_up(const struct builtin *builtin)
{
	struct totals totals = {0};

	for (uint16_t i = 0; i < builtin->worker_count; i++) {
		struct builtin_worker *own = builtin->workers[i];

		totals.flows += flow_table_count(own->flows);
		totals.capacity += flow_table_capacity(own->flows);
		totals.evicted += flow_table_evicted(own->flows);
		totals.stream_bytes += arena_used(flow_table_arena(own->flows));
		totals.stream_size += arena_size(flow_table_arena(own->flows));
		for (int kind = 0; kind < EVENT_LANE_COUNT; kind++)
			totals.events_lost[kind] += event_lane_lost(&own->lanes[kind]);
	}
	return totals;
}

static uint64_t figure(const struct builtin *builtin, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(builtin->report, key));
}

static uint64_t refused_count(const struct builtin *builtin)
{
	return figure(builtin, "refused");
}

/* Of application protocols: what was read, and what was odd about it. */
static json_t *messages_to_json(const struct builtin *builtin)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
		{"http_requests", offsetof(struct builtin_worker, app_counters.http_requests)},
		{"http_responses", offsetof(struct builtin_worker, app_counters.http_responses)},
		{"http_smuggling", offsetof(struct builtin_worker, app_counters.http_smuggling)},
		{"http_malformed", offsetof(struct builtin_worker, app_counters.http_malformed)},
		{"http_encoding", offsetof(struct builtin_worker, app_counters.http_encoding)},
		{"tls_hellos", offsetof(struct builtin_worker, app_counters.tls_hellos)},
		{"tls_malformed", offsetof(struct builtin_worker, app_counters.tls_malformed)},
		{"dns_messages", offsetof(struct builtin_worker, app_counters.dns_messages)},
		{"dns_malformed", offsetof(struct builtin_worker, app_counters.dns_malformed)},
		{"gaps", offsetof(struct builtin_worker, app_counters.gaps)},
		{"beyond_limits", offsetof(struct builtin_worker, app_counters.limits)},
	};
	json_t *messages = json_object();

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		set_number(messages, rows[i].name, statistics_sum(builtin, rows[i].offset));
	return messages;
}

static json_t *describe_malformed(const struct builtin *builtin)
{
	json_t *reasons = json_object();

	for (int reason = DECODE_OK + 1; reason < DECODE_MALFORMED_COUNT; reason++) {
		uint64_t count = statistics_malformed_by(builtin, (enum decode_malformed)reason);

		if (count)
			set_number(reasons, decode_malformed_name((enum decode_malformed)reason),
				count);
	}
	return reasons;
}

json_t *builtin_status(struct inspector *inspector)
{
	const struct builtin *builtin = (const struct builtin *)inspector;
	struct totals totals = add_up(builtin);
	json_t *status = json_object(), *details = json_object();

	set_number(status, "rules_loaded",
		builtin->ruleset ? ruleset_rule_count(builtin->ruleset) : 0);
	set_number(status, "rules_refused", refused_count(builtin));
	set_number(status, "flows", totals.flows);
	set_number(details, "flows_max", totals.capacity);
	set_number(details, "flows_evicted", totals.evicted);
	set_number(details, "stream_bytes", totals.stream_bytes);
	set_number(details, "stream_memory", totals.stream_size);
	set_number(details, "events_lost", totals.events_lost[EVENT_LANE_ALERTS]);
	set_number(details, "anomalies_lost", totals.events_lost[EVENT_LANE_ANOMALIES]);
	set_number(details, "flow_events_lost", totals.events_lost[EVENT_LANE_FLOWS]);
	set_number(details, "malformed", statistics_malformed(builtin));
	json_object_set_new(details, "malformed_by", describe_malformed(builtin));
	set_number(details, "bad_checksums", SUM(builtin, bad_checksums));
	set_number(details, "segments_rewritten", SUM(builtin, rewritten));
	set_number(details, "segments_outside", SUM(builtin, stream_outside));
	set_number(details, "streams_without_memory", SUM(builtin, stream_no_memory));
	set_number(details, "fragments_refused", SUM(builtin, fragments_refused));
	set_number(details, "fragments_incomplete", SUM(builtin, fragments_incomplete));
	set_number(details, "segments_held", SUM(builtin, held));
	set_number(details, "gaps_given_up", SUM(builtin, gaps_given_up));
	set_number(details, "segments_resized", SUM(builtin, resized));
	set_number(details, "translations_lost", SUM(builtin, translations_lost));
	set_number(details, "flows_bypassed", SUM(builtin, bypassed));
	set_number(details, "icmp_errors_of_flows", SUM(builtin, icmp_related));
	set_number(details, "icmp_errors_of_no_flow", SUM(builtin, icmp_unrelated));
	set_number(details, "replacements", SUM(builtin, edited));
	set_number(details, "rejects", SUM(builtin, rejected));
	json_object_set_new(details, "messages", messages_to_json(builtin));
	if (builtin->ruleset)
		json_object_set_new(details, "ruleset", ruleset_status(builtin->ruleset));
	json_object_set_new(status, "details", details);
	return status;
}

void builtin_metrics(struct inspector *inspector, json_t *samples)
{
	const struct builtin *builtin = (const struct builtin *)inspector;
	struct totals totals = add_up(builtin);

	packet_metric(samples, "inspect_rules", "gauge", "Rules in force.", NULL,
		builtin->ruleset ? ruleset_rule_count(builtin->ruleset) : 0);
	packet_metric(samples, "inspect_flows", "gauge", "Flows that are tracked.", NULL,
		(double)totals.flows);
	packet_metric(samples, "inspect_flows_evicted_total", "counter",
		"Flows that lost their place to newer ones.", NULL, (double)totals.evicted);
	packet_metric(samples, "inspect_stream_bytes", "gauge",
		"Memory in use for reassembling TCP streams.", NULL, (double)totals.stream_bytes);
	for (int kind = 0; kind < EVENT_LANE_COUNT; kind++)
		packet_metric(samples, "inspect_events_lost_total", "counter",
			"Security events beyond the rate limit, or that found no room.",
			json_pack("{s:s}", "kind", lane_names[kind]),
			(double)totals.events_lost[kind]);
	for (int reason = DECODE_OK + 1; reason < DECODE_MALFORMED_COUNT; reason++)
		packet_metric(samples, "inspect_malformed_total", "counter",
			"Frames whose headers do not parse.",
			json_pack("{s:s}", "reason",
				decode_malformed_name((enum decode_malformed)reason)),
			(double)statistics_malformed_by(builtin, (enum decode_malformed)reason));
	packet_metric(samples, "inspect_segments_rewritten_total", "counter",
		"TCP segments that brought other bytes than were seen before.", NULL,
		(double)SUM(builtin, rewritten));
}

/* ---- inspect.rules ---- */

static bool matches_sid(const json_t *rule, const json_t *params)
{
	const json_t *sid = json_object_get(params, "sid");

	return !sid || json_equal(sid, json_object_get(rule, "sid"));
}

static void copy(json_t *to, const json_t *from, const char *key)
{
	json_t *value = json_object_get(from, key);

	if (value && !json_is_null(value))
		json_object_set(to, key, value);
}

static void append_rule(json_t *rules, const json_t *from, bool is_loaded)
{
	static const char *const loaded_keys[] = {
		"file", "line", "sid", "action", "msg", "matches"};
	static const char *const refused_keys[] = {"file", "line", "sid", "keyword", "reason"};
	json_t *rule = json_object();

	json_object_set_new(rule, "state", json_string(is_loaded ? "loaded" : "refused"));
	if (is_loaded)
		for (size_t i = 0; i < RTE_DIM(loaded_keys); i++)
			copy(rule, from, loaded_keys[i]);
	else
		for (size_t i = 0; i < RTE_DIM(refused_keys); i++)
			copy(rule, from, refused_keys[i]);
	json_array_append_new(rules, rule);
}

/* The cursor counts loaded rules first, then refused ones. */
static size_t cursor(const json_t *params)
{
	const char *after = api_page_after(params);

	return after ? strtoul(after, NULL, 10) : 0;
}

static void set_next(json_t *answer, size_t next)
{
	char text[24];

	snprintf(text, sizeof(text), "%zu", next);
	json_object_set_new(answer, "next", json_string(text));
}

/* Appends from index at on; returns where it stopped: the count, or less when the page is full. */
static size_t append_loaded(
	const struct builtin *builtin, const json_t *params, size_t at, size_t limit, json_t *rules)
{
	size_t total = builtin->ruleset ? ruleset_rule_count(builtin->ruleset) : 0;

	while (at < total && json_array_size(rules) < limit) {
		json_t *page = ruleset_rules(builtin->ruleset, (uint32_t)at, (uint32_t)limit);
		size_t size = json_array_size(page), i;

		for (i = 0; i < size && json_array_size(rules) < limit; i++)
			if (matches_sid(json_array_get(page, i), params))
				append_rule(rules, json_array_get(page, i), true);
		at += i;
		json_decref(page);
		if (size == 0)
			return total;
	}
	return at;
}

static int compare_keywords(const void *left, const void *right)
{
	json_int_t a = json_integer_value(json_object_get(*(json_t *const *)left, "rules"));
	json_int_t b = json_integer_value(json_object_get(*(json_t *const *)right, "rules"));

	return a > b ? -1 : a < b;
}

/* [{keyword, rules}], most frequent first. */
static json_t *refused_by_keyword(const json_t *report)
{
	json_t *by_keyword = json_object_get(report, "refused_by_keyword"), *list = json_array();
	json_t **rows = calloc(json_object_size(by_keyword) + 1, sizeof(json_t *)), *count;
	const char *keyword;
	size_t size = 0;

	json_object_foreach (by_keyword, keyword, count)
		if (rows)
			rows[size++] = json_pack("{s:s, s:O}", "keyword", keyword, "rules", count);
	if (size > 0)
		qsort(rows, size, sizeof(json_t *), compare_keywords);
	for (size_t i = 0; i < size; i++)
		json_array_append_new(list, rows[i]);
	free(rows);
	return list;
}

json_t *builtin_rules(struct inspector *inspector, const json_t *params)
{
	const struct builtin *builtin = (const struct builtin *)inspector;
	const char *state = json_string_value(json_object_get(params, "state"));
	size_t total = builtin->ruleset ? ruleset_rule_count(builtin->ruleset) : 0;
	const json_t *refusals = json_object_get(builtin->report, "refusals");
	size_t limit = api_page_limit(params), at = cursor(params);
	json_t *answer = json_object(), *rules = json_array();
	json_t *coverage = json_object_get(builtin->report, "coverage_percent");

	set_number(answer, "loaded", total);
	set_number(answer, "refused", refused_count(builtin));
	json_object_set_new(
		answer, "coverage_percent", coverage ? json_incref(coverage) : json_real(100));
	set_number(answer, "files", figure(builtin, "files"));
	set_number(answer, "disabled", figure(builtin, "disabled"));
	json_object_set_new(answer, "refused_by_keyword", refused_by_keyword(builtin->report));
	if (at < total && (!state || strcmp(state, "loaded") == 0))
		at = append_loaded(builtin, params, at, limit, rules);
	else if (at < total)
		at = total;
	if (at >= total && (!state || strcmp(state, "refused") == 0)) {
		for (; at - total < json_array_size(refusals) && json_array_size(rules) < limit;
			at++)
			if (matches_sid(json_array_get(refusals, at - total), params))
				append_rule(rules, json_array_get(refusals, at - total), false);
	} else if (at >= total) {
		at = total + json_array_size(refusals);
	}
	json_object_set_new(answer, "rules", rules);
	if (at < total + json_array_size(refusals))
		set_next(answer, at);
	return answer;
}

/* ---- inspect.flows ---- */

static void read_filter(const json_t *params, struct flow_filter *filter)
{
	const char *address = text_of(params, "address");
	struct ip_address parsed;

	memset(filter, 0, sizeof(*filter));
	filter->verdict = text_of(params, "verdict");
	filter->vlan = (uint16_t)json_integer_value(json_object_get(params, "vlan"));
	if (!address)
		return;
	if (ip_address_parse(address, &parsed)) {
		filter->ip_version = parsed.version;
		memcpy(filter->address, parsed.bytes, sizeof(filter->address));
	} else {
		filter->ip_version = UINT8_MAX; /* matches nothing */
	}
}

json_t *builtin_flows(struct inspector *inspector, const json_t *params)
{
	const struct builtin *builtin = (const struct builtin *)inspector;
	uint32_t capacity = flow_table_capacity(builtin->workers[0]->flows);
	size_t end = (size_t)capacity * builtin->worker_count, at = cursor(params);
	json_t *answer = json_object(), *flows = json_array();
	uint64_t now_ns = clock_monotonic_ns();
	struct flow_filter filter;

	read_filter(params, &filter);
	for (; at < end && json_array_size(flows) < api_page_limit(params); at++) {
		struct flow_table *table = builtin->workers[at / capacity]->flows;
		json_t *flow;

		/* The rest was never used. */
		if (at % capacity >= flow_table_used(table)) {
			at += capacity - at % capacity - 1;
			continue;
		}
		flow = flow_table_show(table, (uint32_t)(at % capacity), &filter, now_ns);
		if (flow)
			json_array_append_new(flows, flow);
	}
	set_number(answer, "total", add_up(builtin).flows);
	json_object_set_new(answer, "flows", flows);
	if (at < end)
		set_next(answer, at);
	return answer;
}

/* ---- events ---- */

static void emit(const struct eve_record *record)
{
	struct inspect_names buffer;
	struct eve_names names = {0};
	char remote[IP_ADDRESS_TEXT_SIZE];

	inspect_find_names(&record->origin, record->destination_mac, record->vlan, &buffer);
	names.in_interface = buffer.port[0] ? buffer.port : NULL;
	names.partition = buffer.partition[0] ? buffer.partition : NULL;
	names.drop_reason = drop_descriptions[record->drop_reason].name;
	link_peer_text(LINK_APPLIANCE, record->remote.client, remote);
	names.remote_host = remote[0] ? remote : NULL;
	packet_emit_event(eve_to_json(record, &names));
	eve_release(record);
}

/* Alerts are told whatever waits; the rest leaves them room on the way to control. */
static void drain(struct event_lane *lane, enum event_lane_kind kind)
{
	for (int left = DRAIN_MAX; left > 0; left--) {
		const struct eve_record *record = event_ring_peek(lane->ring);

		if (!record || (kind != EVENT_LANE_ALERTS && !packet_has_room_for_events()))
			return;
		emit(record);
		event_ring_release(lane->ring);
	}
}

static void emit_statistics(struct builtin *builtin)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (!(builtin->settings->event_types & 1u << EVE_STATS)
		|| now_ns < builtin->stats_at_ns + builtin->settings->stats_interval_ns)
		return;
	builtin->stats_at_ns = now_ns;
	packet_emit_event(statistics_event(builtin));
}

void builtin_drain_events(struct inspector *inspector)
{
	struct builtin *builtin = (struct builtin *)inspector;

	for (int kind = 0; kind < EVENT_LANE_COUNT; kind++)
		for (uint16_t i = 0; i < builtin->worker_count; i++)
			drain(&builtin->workers[i]->lanes[kind], (enum event_lane_kind)kind);
	emit_statistics(builtin);
}

/* ---- at the end ---- */

static uint64_t end_flows(const struct flow_table *flows)
{
	struct eve_record *record = calloc(1, sizeof(*record));
	const struct flow *flow;
	uint64_t untold = 0;
	uint32_t index = 0;

	while ((flow = flow_table_next(flows, &index))) {
		if (!record || !packet_has_room_for_events()) {
			untold++;
			continue;
		}
		flow_events_fill(record, flow, "shutdown");
		emit(record);
	}
	free(record);
	return untold;
}

void builtin_end_events(struct builtin *builtin)
{
	uint64_t untold = 0;

	if (!builtin->settings)
		return;
	for (uint16_t i = 0; i < builtin->worker_count && builtin->workers[i]; i++) {
		for (int kind = 0; kind < EVENT_LANE_COUNT; kind++)
			drain(&builtin->workers[i]->lanes[kind], (enum event_lane_kind)kind);
		if (builtin->settings->event_types & 1u << EVE_FLOW)
			untold += end_flows(builtin->workers[i]->flows);
	}
	if (untold > 0)
		packet_emit_event(json_pack(
			"{s:s, s:I}", "event_type", "events_lost", "count", (json_int_t)untold));
}
