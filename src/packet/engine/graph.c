/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/graph.h"

#include "base/log.h"
#include "packet/engine/nodes.h"
#include "packet/engine/publish.h"
#include "packet/engine/worker_control.h"

#include <errno.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 6

struct totals {
	uint64_t packets, calls, cycles;
	uint64_t edge_packets[GRAPH_EDGES_MAX];
	rte_node_t edge_targets[GRAPH_EDGES_MAX]; /* what they went to */
};

__thread uint64_t (*graph_edge_packets)[GRAPH_EDGES_MAX];

/* Control thread. */
static struct rte_node_register *const *registered;
static struct graph *running[WORKERS_MAX], *prepared[WORKERS_MAX];
static bool has_prepared, is_running;
static struct graph_composition ever; /* what some running graph had */
static struct graph_composition running_composition, prepared_composition;
static uint32_t generation; /* of the running graphs */
static uint32_t made;       /* graphs ever, for their names */
static struct totals *past; /* [GRAPH_NODES_MAX], of graphs that are gone */
static const struct rte_node_register *by_id[GRAPH_NODES_MAX];
static const char *const *labels_by_id[GRAPH_NODES_MAX];

int graph_register(struct rte_node_register *const *list, struct error *error)
{
	past = calloc(GRAPH_NODES_MAX, sizeof(*past));
	if (!past)
		return -ENOMEM;
	registered = list;
	for (; *list; list++) {
		struct rte_node_register *node = *list;

		if (node->nb_edges > GRAPH_EDGES_MAX)
			return error_set(
				error, -E2BIG, "node %s has %u edges", node->name, node->nb_edges);
		node->parent_id = RTE_NODE_ID_INVALID;
		node->id = __rte_node_register(node);
		if (node->id == RTE_NODE_ID_INVALID || node->id >= GRAPH_NODES_MAX)
			return error_set(error, -ENOSPC, "cannot register node %s: %s", node->name,
				rte_strerror(rte_errno));
		by_id[node->id] = node;
	}
	return 0;
}

void graph_label_edges(const struct rte_node_register *node, const char *const *labels)
{
	labels_by_id[node->id] = labels;
}

/* Points the edge that depends on the composition at its target, for graphs made from now on. */
static int point_edges(const struct graph_composition *composition)
{
	const char *next = "origin_forward";
	rte_node_t origin_tag = rte_node_from_name("origin_tag");

	if (composition->has_handoff)
		next = "handoff"; /* and inspect behind it, which passes all without inspectors */
	else if (composition->has_inspection)
		next = "inspect";
	if (origin_tag == RTE_NODE_ID_INVALID)
		return -ENOENT;
	return rte_node_edge_update(origin_tag, ORIGIN_TAG_EDGE_NEXT, &next, 1) == 0 ? -rte_errno
										     : 0;
}

static bool is_source_of(
	const struct rte_node_register *node, const struct graph_composition *composition)
{
	if (!(node->flags & RTE_NODE_SOURCE_F))
		return false;
	/* These two stay when inspection goes: what is held or handed over still comes through. */
	if (strcmp(node->name, "inspect_return") == 0)
		return composition->has_inspection || ever.has_inspection;
	if (strcmp(node->name, "handoff_rx") == 0)
		return composition->has_handoff || ever.has_handoff;
	if (strcmp(node->name, "distribute_tick") == 0)
		return composition->has_distributor;
	if (strcmp(node->name, "target_tick") == 0)
		return composition->has_target;
	return true;
}

/* Adds the counters of a graph that no worker walks to past. */
static void keep_counters(const struct graph *graph)
{
	const struct rte_node *node;
	rte_graph_off_t offset;
	rte_node_t count;

	rte_graph_foreach_node(count, offset, graph->rte, node)
	{
		struct totals *totals = &past[node->id];

		totals->packets += node->total_objs;
		totals->calls += node->total_calls;
		totals->cycles += node->total_cycles;
		for (rte_edge_t i = 0; i < node->nb_edges; i++) {
			/* An edge that now leads elsewhere starts from zero. */
			if (totals->edge_targets[i] != node->nodes[i]->id)
				totals->edge_packets[i] = 0;
			totals->edge_targets[i] = node->nodes[i]->id;
			totals->edge_packets[i] += graph->edge_packets[node->id][i];
		}
	}
}

static void destroy(struct graph *graph)
{
	if (!graph)
		return;
	if (graph->rte) {
		keep_counters(graph);
		rte_graph_destroy(graph->rte->id);
	}
	rte_free(graph);
}

static void find_shared_edges(struct graph *graph)
{
	const struct rte_node *node;
	rte_graph_off_t offset;
	rte_node_t count;

	rte_graph_foreach_node(count, offset, graph->rte,
		node) for (rte_edge_t i = 0; i < node->nb_edges; i++) for (rte_edge_t other = 0;
									   other < node->nb_edges;
									   other++) if (other != i
		&& node->nodes[other] == node->nodes[i]) graph->shared_edges[node->id] |= 1U << i;
}

static int create(uint16_t worker, const struct graph_composition *composition, struct graph **out,
	struct error *error)
{
	const char *sources[SOURCES_MAX];
	struct rte_graph_param param = {.socket_id = SOCKET_ID_ANY, .node_patterns = sources};
	char name[RTE_GRAPH_NAMESIZE];
	struct graph *graph = rte_zmalloc("graph", sizeof(*graph), RTE_CACHE_LINE_SIZE);

	if (!graph)
		return error_set(error, -ENOMEM, "no memory for the graph of worker %u", worker);
	for (struct rte_node_register *const *node = registered; *node; node++)
		if (is_source_of(*node, composition) && param.nb_node_patterns < SOURCES_MAX)
			sources[param.nb_node_patterns++] = (*node)->name;
	snprintf(name, sizeof(name), "worker-%u.%u", worker, made++);
	graph->worker = worker;
	if (rte_graph_create(name, &param) == RTE_GRAPH_ID_INVALID) {
		int status = rte_errno ? -rte_errno : -EINVAL;

		destroy(graph);
		return error_set(error, status, "cannot make the graph of worker %u: %s", worker,
			strerror(-status));
	}
	graph->rte = rte_graph_lookup(name);
	find_shared_edges(graph);
	*out = graph;
	return 0;
}

int graph_prepare(const struct graph_composition *composition, struct error *error)
{
	int status;

	if (is_running && memcmp(composition, &running_composition, sizeof(*composition)) == 0)
		return 0;
	status = point_edges(composition);
	if (status < 0)
		return error_set(error, status, "cannot turn the edge of node origin_tag: %s",
			strerror(-status));
	has_prepared = true;
	prepared_composition = *composition;
	for (uint16_t i = 0; i < worker_count(); i++) {
		status = create(i, composition, &prepared[i], error);
		if (status < 0) {
			graph_abort();
			return status;
		}
	}
	return 0;
}

bool graph_is_prepared(void)
{
	return has_prepared;
}

void graph_commit(void)
{
	struct graph *old[WORKERS_MAX];

	if (!has_prepared)
		return;
	for (uint16_t i = 0; i < worker_count(); i++) {
		old[i] = worker_swap_graph(i, prepared[i]);
		running[i] = prepared[i];
		prepared[i] = NULL;
	}
	publish_wait();
	for (uint16_t i = 0; i < worker_count(); i++)
		destroy(old[i]);
	running_composition = prepared_composition;
	ever.has_inspection |= running_composition.has_inspection;
	ever.has_handoff |= running_composition.has_handoff;
	has_prepared = false;
	is_running = true;
	generation++;
	log_info("graph_rebuilt", log_uint("generation", generation),
		log_bool("inspection", running_composition.has_inspection),
		log_bool("distributor", running_composition.has_distributor),
		log_bool("target", running_composition.has_target),
		log_bool("handoff", running_composition.has_handoff));
}

void graph_abort(void)
{
	if (!has_prepared)
		return;
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		destroy(prepared[i]);
		prepared[i] = NULL;
	}
	if (is_running)
		point_edges(&running_composition);
	has_prepared = false;
}

void graph_close(void)
{
	graph_abort();
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		destroy(running[i]);
		running[i] = NULL;
	}
	is_running = false;
	free(past);
	past = NULL;
}

uint32_t graph_generation(void)
{
	return generation;
}

static void add_running(const struct rte_node_register *row, struct graph_node_counters *out)
{
	for (uint16_t i = 0; i < worker_count(); i++) {
		const struct rte_node *node =
			running[i] ? rte_graph_node_get(running[i]->rte->id, row->id) : NULL;

		if (!node)
			continue;
		out->is_in_graph = true;
		/* Relaxed; pairs with GRAPH_COUNT(). */
		out->packets += __atomic_load_n(&node->total_objs, __ATOMIC_RELAXED);
		out->calls += __atomic_load_n(&node->total_calls, __ATOMIC_RELAXED);
		out->cycles += __atomic_load_n(&node->total_cycles, __ATOMIC_RELAXED);
		out->edge_count = node->nb_edges;
		for (rte_edge_t edge = 0; edge < node->nb_edges; edge++)
			/* Relaxed; pairs with graph_run_node(). */
			out->edge_packets[edge] += __atomic_load_n(
				&running[i]->edge_packets[row->id][edge], __ATOMIC_RELAXED);
	}
}

/* Targets and labels as they are now, and what went along before this graph. */
static void add_past(const struct rte_node_register *row, struct graph_node_counters *out)
{
	const struct totals *totals = &past[row->id];
	const struct rte_node *node =
		running[0] ? rte_graph_node_get(running[0]->rte->id, row->id) : NULL;

	out->packets += totals->packets;
	out->calls += totals->calls;
	out->cycles += totals->cycles;
	for (rte_edge_t edge = 0; node && edge < node->nb_edges; edge++) {
		rte_node_t target = node->nodes[edge]->id;

		out->edge_targets[edge] = by_id[target]->name;
		out->edge_labels[edge] = labels_by_id[row->id] ? labels_by_id[row->id][edge] : NULL;
		if (totals->edge_targets[edge] == target)
			out->edge_packets[edge] += totals->edge_packets[edge];
	}
}

uint32_t graph_read(struct graph_node_counters *out, uint32_t max)
{
	uint32_t count = 0;

	if (!past)
		return 0;
	for (struct rte_node_register *const *row = registered; *row && count < max; row++) {
		out[count] = (struct graph_node_counters){.name = (*row)->name};
		add_running(*row, &out[count]);
		add_past(*row, &out[count]);
		count++;
	}
	return count;
}
