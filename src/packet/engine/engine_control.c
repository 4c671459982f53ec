/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine as a module of the packet role: starts EAL and the workers with the first
 * configuration, rebuilds the graph when its composition changes, and answers engine.status,
 * graph.show and drops.list. Control thread.
 */
#include "packet/engine/engine_control.h"

#include "base/clock.h"
#include "base/log.h"
#include "packet/engine/capture.h"
#include "packet/engine/drop_count.h"
#include "packet/engine/eal.h"
#include "packet/engine/eal_log.h"
#include "packet/engine/graph.h"
#include "packet/engine/handoff.h"
#include "packet/engine/names.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish_private.h"
#include "packet/engine/trace_control.h"
#include "packet/engine/worker_control.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAP_MAX_US_DEFAULT 250
#define DROP_ANY_PORT      UINT16_MAX
#define HOUSEKEEPING_MS    1000

static struct workers_config workers_config; /* as started; nap_max_us as in force */
static uint32_t prepared_nap_max_us;
static uint64_t started_at_ns, started_wall_ns;
static uv_timer_t housekeeping;
static bool is_started;

static void read_workers_config(const json_t *config, struct workers_config *out)
{
	const json_t *packet = json_object_get(config, "packet");
	const json_t *cores = json_object_get(packet, "cores");
	const json_t *nap_max = json_object_get(packet, "nap-max");
	json_int_t count = json_integer_value(json_object_get(packet, "workers"));

	*out = (struct workers_config){
		.count = (uint16_t)(count < 1         ? 1
				: count > WORKERS_MAX ? WORKERS_MAX
						      : count),
		.nap_max_us = nap_max ? (uint32_t)json_integer_value(nap_max) : NAP_MAX_US_DEFAULT,
	};
	for (size_t i = 0; i < WORKERS_MAX; i++)
		out->cores[i] = i < json_array_size(cores)
			? (int)json_integer_value(json_array_get(cores, i))
			: WORKER_NO_CORE;
}

static void read_composition(const json_t *config, struct graph_composition *out)
{
	const json_t *engines = json_object_get(json_object_get(config, "inspection"), "engines");
	json_t *engine;
	size_t i;

	*out = (struct graph_composition){0};
	json_array_foreach (engines, i, engine)
		if (json_is_string(engine) && strcmp(json_string_value(engine), "none") != 0)
			out->has_inspection = true;
	out->has_distributor = json_object_get(config, "distributor") != NULL;
	out->has_target = json_object_get(config, "target") != NULL;
	out->has_handoff =
		(out->has_inspection || out->has_distributor) && workers_config.count > 1;
}

static void on_housekeeping(uv_timer_t *timer)
{
	eal_log_drain();
}

int engine_start(uv_loop_t *loop, const json_t *config, struct error *error)
{
	struct eal_config eal_config;
	int status;

	if (is_started)
		return 0;
	eal_config_read(config, &eal_config);
	read_workers_config(config, &workers_config);
	status = eal_start(&eal_config, error);
	if (status < 0)
		return status;
	started_wall_ns = clock_wall_ns();
	status = pool_open(eal_config.memory_bytes, error);
	if (status < 0)
		goto stop_eal;
	status = publish_open(loop);
	if (status == 0)
		status = drop_open(workers_config.count);
	if (status == 0)
		status = handoff_open(workers_config.count);
	if (status < 0) {
		error_set(error, status, "packet.memory is too small for the engine's own tables");
		goto close_tables;
	}
	status = graph_register(nodes, error);
	if (status < 0)
		goto close_tables;
	status = workers_start(loop, &workers_config, error);
	if (status < 0)
		goto close_graph;
	trace_open(loop);
	capture_open(loop);
	uv_timer_init(loop, &housekeeping);
	uv_timer_start(&housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
	started_at_ns = clock_monotonic_ns();
	is_started = true;
	log_info("engine_started", log_uint("workers", workers_config.count),
		log_uint("memory_bytes", eal_config.memory_bytes),
		log_bool("hugepages", eal_uses_hugepages()),
		log_uint("packet_buffers", packet_pool->size));
	return 0;

close_graph:
	graph_close();
close_tables:
	handoff_close();
	drop_close();
	publish_close();
	pool_close();
stop_eal:
	eal_stop();
	return status;
}

bool engine_is_spoilt(void)
{
	return !is_started && eal_was_tried();
}

void engine_stop_workers(void)
{
	if (is_started)
		workers_stop();
}

void engine_stop(void)
{
	if (!is_started)
		return;
	capture_close();
	trace_close();
	uv_close((uv_handle_t *)&housekeeping, NULL);
	graph_close();
	handoff_close();
	publish_close();
	drop_close();
	pool_close();
	eal_stop();
	is_started = false;
}

void engine_needs_restart(const json_t *config, json_t *keys)
{
	struct workers_config wanted;
	struct eal_config eal_config;

	if (!is_started)
		return;
	eal_config_read(config, &eal_config);
	eal_needs_restart(&eal_config, keys);
	read_workers_config(config, &wanted);
	if (wanted.count != workers_config.count)
		json_array_append_new(keys, json_string("packet.workers"));
	if (memcmp(wanted.cores, workers_config.cores, sizeof(wanted.cores)) != 0)
		json_array_append_new(keys, json_string("packet.cores"));
}

void engine_control_gone(void)
{
	if (!is_started)
		return;
	trace_stop_all();
	capture_stop_all();
}

static void prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	struct graph_composition composition;
	struct workers_config wanted;
	struct error error;

	read_workers_config(config, &wanted);
	prepared_nap_max_us = wanted.nap_max_us;
	read_composition(config, &composition);
	if (graph_prepare(&composition, &error) < 0)
		done(context, &error);
	else
		done(context, NULL);
}

static void commit(void)
{
	workers_config.nap_max_us = prepared_nap_max_us;
	workers_set_nap_max(prepared_nap_max_us);
}

static json_t *worker_json(uint16_t index)
{
	struct worker_statistics statistics;

	worker_read_statistics(index, &statistics);
	return json_pack("{s:i, s:i, s:I, s:I, s:I, s:I, s:I}", "index", index, "core",
		statistics.core, "walks", (json_int_t)statistics.walks, "packets",
		(json_int_t)statistics.packets, "busy_cycles", (json_int_t)statistics.busy_cycles,
		"naps", (json_int_t)statistics.naps, "nap_ns", (json_int_t)statistics.nap_ns);
}

static json_t *memory_json(void)
{
	struct rte_malloc_socket_stats sum = {0};

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		struct rte_malloc_socket_stats one;

		if (rte_malloc_get_socket_stats(socket, &one) < 0)
			continue;
		sum.heap_totalsz_bytes += one.heap_totalsz_bytes;
		sum.heap_allocsz_bytes += one.heap_allocsz_bytes;
	}
	return json_pack("{s:b, s:I, s:I, s:I, s:I}", "uses_hugepages", eal_uses_hugepages(),
		"total_bytes", (json_int_t)sum.heap_totalsz_bytes, "used_bytes",
		(json_int_t)sum.heap_allocsz_bytes, "packets_total", (json_int_t)packet_pool->size,
		"packets_free", (json_int_t)rte_mempool_avail_count(packet_pool));
}

static void handle_status(struct ipc_request *request, void *context)
{
	uint64_t now_ns = clock_monotonic_ns();
	json_t *workers = json_array();

	for (uint16_t i = 0; i < worker_count(); i++)
		json_array_append_new(workers, worker_json(i));
	ipc_reply(request,
		json_pack("{s:s, s:I, s:I, s:I, s:o, s:o}", "dpdk", rte_version(), "uptime_s",
			(json_int_t)((now_ns - started_at_ns) / CLOCK_NS_PER_S), "cycles_per_s",
			(json_int_t)rte_get_tsc_hz(), "at_ns", (json_int_t)now_ns, "workers",
			workers, "memory", memory_json()));
}

static json_t *node_json(const struct graph_node_counters *node)
{
	return json_pack("{s:s, s:I, s:I, s:I}", "name", node->name, "packets",
		(json_int_t)node->packets, "calls", (json_int_t)node->calls, "cycles",
		(json_int_t)node->cycles);
}

static void append_edges(json_t *edges, const struct graph_node_counters *node)
{
	for (uint16_t i = 0; i < node->edge_count; i++) {
		json_t *edge = json_pack("{s:s, s:s, s:I}", "from", node->name, "to",
			node->edge_targets[i], "packets", (json_int_t)node->edge_packets[i]);

		if (node->edge_labels[i])
			json_object_set_new(edge, "label", json_string(node->edge_labels[i]));
		json_array_append_new(edges, edge);
	}
}

static json_t *drops_json(uint16_t port, bool with_text)
{
	json_t *drops = json_array();

	for (int i = DROP_none + 1; i < DROP_REASON_COUNT; i++) {
		uint64_t packets = port == DROP_ANY_PORT
			? drop_count((enum drop_reason)i)
			: drop_count_of_port(port, (enum drop_reason)i);
		const struct drop_description *drop = &drop_descriptions[i];
		json_t *row;

		if (!with_text && packets == 0)
			continue;
		row = json_pack("{s:s, s:I}", "reason", drop->name, "packets", (json_int_t)packets);
		if (with_text) {
			json_object_set_new(row, "owner", json_string(drop->owner));
			json_object_set_new(row, "text", json_string(drop->text));
		}
		json_array_append_new(drops, row);
	}
	return drops;
}

static void handle_graph(struct ipc_request *request, void *context)
{
	json_t *rows = json_array(), *edges = json_array();
	struct graph_node_counters *counters = calloc(GRAPH_NODES_MAX, sizeof(*counters));
	uint32_t count = counters ? graph_read(counters, GRAPH_NODES_MAX) : 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!counters[i].is_in_graph)
			continue;
		json_array_append_new(rows, node_json(&counters[i]));
		append_edges(edges, &counters[i]);
	}
	free(counters);
	ipc_reply(request,
		json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "at_ns",
			(json_int_t)clock_monotonic_ns(), "generation",
			(json_int_t)graph_generation(), "nodes", rows, "edges", edges, "ports",
			engine_names.list_ports ? engine_names.list_ports() : json_array(), "drops",
			drops_json(DROP_ANY_PORT, false)));
}

static void handle_drops(struct ipc_request *request, void *context)
{
	const char *name = json_string_value(json_object_get(ipc_request_params(request), "port"));
	uint16_t port = DROP_ANY_PORT, generation;
	json_t *drops, *drop;
	json_int_t total = 0;
	size_t i;

	if (name
		&& (!engine_names.find_port
			|| engine_names.find_port(name, &port, &generation) < 0)) {
		ipc_reply_failed(request, -ENOENT, "there is no such port; see port.list");
		return;
	}
	drops = drops_json(port, true);
	json_array_foreach (drops, i, drop)
		total += json_integer_value(json_object_get(drop, "packets"));
	ipc_reply(request, json_pack("{s:I, s:o}", "total", total, "drops", drops));
}

static const struct ipc_method methods[] = {
	{"engine.status", handle_status},
	{"graph.show", handle_graph},
	{"drops.list", handle_drops},
	{"trace.start", trace_handle_start},
	{"trace.stop", trace_handle_stop},
	{"capture.start", capture_handle_start},
	{"capture.stop", capture_handle_stop},
	{NULL, NULL},
};

static void worker_metric(
	json_t *samples, uint16_t index, const char *name, const char *help, double value)
{
	char worker[8];

	snprintf(worker, sizeof(worker), "%u", index);
	packet_metric(samples, name, "counter", help, json_pack("{s:s}", "worker", worker), value);
}

static void worker_metrics(json_t *samples, uint16_t index)
{
	struct worker_statistics statistics;

	worker_read_statistics(index, &statistics);
	worker_metric(samples, index, "worker_packets", "Packets that a worker received.",
		(double)statistics.packets);
	worker_metric(samples, index, "worker_busy_seconds",
		"Time that a worker spent in walks with packets.",
		(double)statistics.busy_cycles / (double)rte_get_tsc_hz());
	worker_metric(samples, index, "worker_nap_seconds", "Time that a worker slept.",
		(double)statistics.nap_ns / (double)CLOCK_NS_PER_S);
}

static void metrics(json_t *samples)
{
	/* Counters are those of the process. */
	packet_metric(samples, "packet_start_time_seconds", "gauge",
		"When the packet role started, since the epoch; its counters start from 0 then.",
		NULL, (double)started_wall_ns / (double)CLOCK_NS_PER_S);
	for (int i = DROP_none + 1; i < DROP_REASON_COUNT; i++)
		packet_metric(samples, "drops", "counter", "Packets dropped, by reason.",
			json_pack("{s:s, s:s}", "reason", drop_descriptions[i].name, "owner",
				drop_descriptions[i].owner),
			(double)drop_count((enum drop_reason)i));
	for (uint16_t i = 0; i < worker_count(); i++)
		worker_metrics(samples, i);
	packet_metric(samples, "packet_buffers", "gauge", "Packet buffers in all.", NULL,
		(double)packet_pool->size);
	packet_metric(samples, "packet_buffers_free", "gauge", "Packet buffers that are free.",
		NULL, (double)rte_mempool_avail_count(packet_pool));
}

const struct packet_module engine_module = {
	.name = "engine",
	.prepare = prepare,
	.commit = commit,
	.abort = graph_abort,
	.methods = methods,
	.metrics = metrics,
};
