/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The builtin inspector: flow table, TCP reassembly and IP defragmentation of each worker, and the
 * compiled rules that all of them read (I6). This file is the control thread's part; the workers'
 * is builtin_submit.c.
 */
#include "packet/inspect/builtin/builtin.h"

#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/inspect/builtin/builtin_show.h"
#include "packet/inspect/builtin/flow_events.h"
#include "packet/inspect/builtin/order.h"
#include "packet/inspect/builtin/translate.h"
#include "packet/inspect/eve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAGMENT_ENTRIES 1024 /* datagrams of one worker that are put together at a time */

struct builtin_compiled {
	struct ruleset *ruleset;
	json_t *report;
};

static int builtin_compile(
	const struct inspector_rules *rules, void **out, json_t **report, struct error *error)
{
	const struct builtin *running = (const struct builtin *)rules->running;
	struct builtin_compiled *compiled = calloc(1, sizeof(*compiled));
	struct ruleset_file *files = calloc(rules->file_count + 1, sizeof(*files));
	int status = -ENOMEM;

	*report = NULL;
	if (!compiled || !files) {
		error_set(error, -ENOMEM, "inspection.rules: no memory");
		goto free_all;
	}
	for (size_t i = 0; i < rules->file_count; i++)
		files[i] = (struct ruleset_file){.name = rules->files[i].name,
			.text = rules->files[i].text,
			.size = rules->files[i].size};
	status = ruleset_build(&(const struct ruleset_source){.files = files,
				       .file_count = rules->file_count,
				       .variables = rules->variables,
				       .worker_count = rules->worker_count,
				       .previous = running ? running->ruleset : NULL,
				       .progress = rules->progress,
				       .cache_fd = rules->cache_fd},
		&compiled->ruleset, report, error);
	if (status < 0)
		goto free_all;
	compiled->report = json_incref(*report);
	*out = compiled;
	free(files);
	return 0;

free_all:
	free(files);
	free(compiled);
	return status;
}

static void builtin_discard(void *opaque)
{
	struct builtin_compiled *compiled = opaque;

	if (!compiled)
		return;
	ruleset_destroy(compiled->ruleset);
	json_decref(compiled->report);
	free(compiled);
}

/* ---- creation ---- */

static void worker_destroy(struct builtin_worker *own)
{
	if (!own)
		return;
	while (own->ready_tail != own->ready_head)
		rte_pktmbuf_free(own->ready[own->ready_tail++ % BUILTIN_READY_MAX].packet);
	flow_table_destroy(own->flows);
	fragment_table_destroy(own->fragments);
	for (int i = 0; i < EVENT_LANE_COUNT; i++)
		event_lane_close(&own->lanes[i]);
	free(own);
}

static bool open_lanes(struct builtin_worker *own)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool is_open = true;

	for (int i = 0; i < EVENT_LANE_COUNT; i++)
		is_open &= event_lane_open(&own->lanes[i], (enum event_lane_kind)i, now_ns);
	return is_open;
}

static void end_flow(void *own, struct flow *flow, enum flow_end reason)
{
	order_forget(own, flow);
	translate_forget(own, flow);
	flow_events_end(own, flow, reason);
}

static struct builtin_worker *worker_create(
	const struct builtin *builtin, uint32_t flows, size_t stream_memory)
{
	struct builtin_worker *own = calloc(1, sizeof(*own));
	bool has_lanes;

	if (!own)
		return NULL;
	own->flows = flow_table_create(flows, stream_memory);
	own->fragments = fragment_table_create(FRAGMENT_ENTRIES);
	has_lanes = open_lanes(own);
	list_init(&own->held.queues);
	list_init(&own->translated);
	own->builtin = builtin;
	if (!own->flows || !own->fragments || !has_lanes) {
		worker_destroy(own);
		return NULL;
	}
	own->held.arena = flow_table_arena(own->flows);
	flow_table_watch(own->flows, end_flow, own);
	return own;
}

static bool is_word(const json_t *config, const char *key, const char *word)
{
	const char *value = json_string_value(json_object_get(config, key));

	return value && strcmp(value, word) == 0;
}

/* A configuration that was loaded always has the list. */
static uint32_t read_event_types(const json_t *config)
{
	const json_t *names = json_object_get(config, "events"), *name;
	uint32_t types = names ? 0 : 1u << EVE_ALERT | 1u << EVE_DROP;
	size_t i;

	json_array_foreach (names, i, name)
		types |= 1u << eve_find_type(json_string_value(name));
	return types;
}

static struct builtin_settings *make_settings(const json_t *config)
{
	struct builtin_settings *settings = calloc(1, sizeof(*settings));

	if (!settings)
		return NULL;
	settings->drops_malformed = is_word(config, "malformed", "drop");
	settings->drops_unrelated = is_word(config, "unrelated-errors", "drop");
	settings->ignores_checksums = is_word(config, "checksums", "ignore");
	settings->picks_up_midstream = !is_word(config, "midstream", "drop");
	settings->forwards_early = is_word(config, "stream-order", "forward");
	settings->bypasses_unknown = json_is_true(json_object_get(config, "bypass-unknown"));
	settings->event_types = read_event_types(config);
	settings->stats_interval_ns =
		(uint64_t)json_integer_value(json_object_get(config, "stats-interval"))
		* CLOCK_NS_PER_MS;
	settings->stream_depth =
		(uint64_t)json_integer_value(json_object_get(config, "stream-depth"));
	return settings;
}

static void builtin_destroy(struct inspector *inspector)
{
	struct builtin *builtin = (struct builtin *)inspector;

	if (!builtin)
		return;
	builtin_end_events(builtin);
	for (uint16_t i = 0; i < builtin->worker_count; i++)
		worker_destroy(builtin->workers[i]);
	ruleset_destroy(builtin->ruleset);
	free(builtin->settings);
	json_decref(builtin->report);
	free(builtin);
}

static int builtin_create(const json_t *config, uint16_t worker_count, void *opaque,
	struct inspector **out, struct error *error)
{
	struct builtin_compiled *compiled = opaque;
	uint32_t flows = (uint32_t)json_integer_value(json_object_get(config, "flows-max"));
	size_t memory = (size_t)json_integer_value(json_object_get(config, "stream-memory"));
	struct builtin *builtin = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*builtin), RTE_CACHE_LINE_SIZE));

	if (!builtin)
		return error_set(error, -ENOMEM, "inspection: no memory for the builtin engine");
	memset(builtin, 0, sizeof(*builtin));
	builtin->base.ops = &builtin_inspector;
	builtin->worker_count = worker_count;
	builtin->started_ns = builtin->stats_at_ns = clock_monotonic_ns();
	builtin->settings = make_settings(config);
	for (uint16_t i = 0; i < worker_count; i++) {
		builtin->workers[i] = worker_create(
			builtin, RTE_MAX(flows / worker_count, 1u), memory / worker_count);
		if (builtin->workers[i] && builtin->settings)
			continue;
		builtin_destroy(&builtin->base);
		return error_set(error, -ENOMEM,
			"inspection: no memory for %u flows and %zu bytes of streams; lower "
			"flows-max or stream-memory",
			flows, memory);
	}
	if (compiled) {
		builtin->ruleset = compiled->ruleset;
		builtin->report = compiled->report;
		free(compiled);
	}
	*out = &builtin->base;
	return 0;
}

/* ---- changes while it runs ---- */

static void builtin_configure(struct inspector *inspector, const json_t *config)
{
	struct builtin *builtin = (struct builtin *)inspector;
	struct builtin_settings *settings = make_settings(config);

	/* Without memory for twenty bytes the old ones stay. */
	if (settings)
		publish_swap(&builtin->settings, settings, free);
}

static void destroy_ruleset(void *ruleset)
{
	ruleset_destroy(ruleset);
}

static void builtin_reload(struct inspector *inspector, void *opaque)
{
	struct builtin *builtin = (struct builtin *)inspector;
	struct builtin_compiled *compiled = opaque;

	publish_swap(&builtin->ruleset, compiled->ruleset, destroy_ruleset);
	json_decref(builtin->report);
	builtin->report = compiled->report;
	free(compiled);
}

const struct inspector_ops builtin_inspector = {
	.name = "builtin",
	.compile = builtin_compile,
	.discard = builtin_discard,
	.create = builtin_create,
	.destroy = builtin_destroy,
	.submit = builtin_submit,
	.collect = builtin_collect,
	.retire = builtin_retire,
	.configure = builtin_configure,
	.reload = builtin_reload,
	.status = builtin_status,
	.metrics = builtin_metrics,
	.rules = builtin_rules,
	.flows = builtin_flows,
	.drain = builtin_drain_events,
};
