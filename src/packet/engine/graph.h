/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packet graph: one rte_graph a worker, made of the nodes of nodes.c. When its composition
 * changes, new graphs are made beside the running ones and swapped in between two walks; a walk
 * leaves no packet in a node, so nothing is lost (docs/decisions/0003).
 *
 * Counters of nodes and edges go on over a swap. Writer: the worker; reader: the control thread.
 */
#pragma once

#include "base/error.h"
#include "packet/engine/publish.h"
#include "packet/engine/watch.h"

#include <rte_graph.h>
#include <rte_graph_worker.h>
#include <stdbool.h>
#include <stdint.h>

#define GRAPH_NODES_MAX 64 /* registered, in all */
#define GRAPH_EDGES_MAX 32 /* of a node */

/* What of the graph depends on the configuration. */
struct graph_composition {
	bool has_inspection; /* some engine other than none */
	bool has_distributor;
	bool has_target;
	bool has_handoff; /* inspection or distributor, and more than one worker */
};

/* One worker's graph. */
struct graph {
	struct rte_graph *rte;
	uint16_t worker;
	/* Bit set per node: edges that share their target with another edge of the node, and which
	 * the node therefore counts itself, with node_count_edge(). */
	uint32_t shared_edges[GRAPH_NODES_MAX];
	uint64_t edge_packets[GRAPH_NODES_MAX][GRAPH_EDGES_MAX];
};

/* The counters of the calling worker's graph, for node_count_edge(). */
extern __thread uint64_t (*graph_edge_packets)[GRAPH_EDGES_MAX];

/* Registers the nodes (NULL-terminated list). Control thread, once, when EAL runs. */
int graph_register(struct rte_node_register *const *list, struct error *error);

/* Names the decisions that a node's edges stand for (one text an edge, static), for
 * `bulkhead graph`. Control thread. */
void graph_label_edges(const struct rte_node_register *node, const char *const *labels);

/* Makes graphs of the composition for all workers, beside those that run. */
int graph_prepare(const struct graph_composition *composition, struct error *error);
/* Whether the prepared differs from the running composition, so that commit swaps. */
bool graph_is_prepared(void);
/* Swaps what was prepared in, waits until each worker has ended its walk (bounded by a walk), and
 * destroys the old graphs. */
void graph_commit(void);
void graph_abort(void);
/* When the workers have ended: destroys all graphs. */
void graph_close(void);

uint32_t graph_generation(void);

/* Sums over workers and past graphs. */
struct graph_node_counters {
	const char *name;
	uint64_t packets, calls, cycles;
	uint16_t edge_count;
	const char *edge_targets[GRAPH_EDGES_MAX];
	const char *edge_labels[GRAPH_EDGES_MAX]; /* NULL: none */
	uint64_t edge_packets[GRAPH_EDGES_MAX];
	bool is_in_graph; /* of the running composition */
};
/* Fills at most max rows in the walk's order; returns how many. */
uint32_t graph_read(struct graph_node_counters *out, uint32_t max);

/* Relaxed: a statistic with one writer; partner is graph_read(). */
#define GRAPH_COUNT(counter, value)                                                                \
	__atomic_store_n(&(counter), (counter) + (value), __ATOMIC_RELAXED)

/* Runs one node and counts what it sent along its edges: by the growth of its neighbours' queues,
 * so that it costs once a burst, not once a packet, however the node enqueues. source_watch: not
 * NULL, when node is a source that is watched. *clock: the TSC when the walk came to the node, and
 * then when it leaves it; read once a node, so the little that the walk does between two nodes is
 * the later one's. */
static inline uint16_t graph_run_node(struct graph *graph, struct rte_node *node,
	const struct watch *source_watch, uint64_t *clock)
{
	uint64_t *edges = graph->edge_packets[node->id];
	uint32_t shared = graph->shared_edges[node->id];
	uint16_t before[GRAPH_EDGES_MAX], processed;
	uint64_t ended;

	for (rte_edge_t i = 0; i < node->nb_edges; i++)
		before[i] = node->nodes[i]->idx;
	processed = node->process(graph->rte, node, node->objs, node->idx);
	ended = rte_rdtsc();
	GRAPH_COUNT(node->total_cycles, ended - *clock);
	*clock = ended;
	GRAPH_COUNT(node->total_calls, 1);
	GRAPH_COUNT(node->total_objs, processed);
	node->idx = 0;
	for (rte_edge_t i = 0; i < node->nb_edges; i++) {
		uint16_t added = (uint16_t)(node->nodes[i]->idx - before[i]);

		if (!(shared & 1U << i))
			GRAPH_COUNT(edges[i], added);
		if (unlikely(source_watch != NULL) && added > 0)
			watch_node(
				source_watch, node, node->nodes[i]->objs + before[i], added, true);
	}
	return processed;
}

/* As rte_graph_walk() (same traversal), with edges counted and watched. Returns how many packets
 * came from source nodes. Worker. */
static inline uint32_t graph_walk(struct graph *graph)
{
	struct rte_graph *rte = graph->rte;
	const rte_graph_off_t *start = rte->cir_start;
	const rte_node_t mask = rte->cir_mask;
	const struct watch *watch = publish_read(&watch_slot);
	uint32_t head = rte->head, packets = 0;
	uint64_t clock = rte_rdtsc();

	graph_edge_packets = graph->edge_packets;
	while (likely(head != rte->tail)) {
		struct rte_node *node = RTE_PTR_ADD(rte, start[(int32_t)head++]);
		bool is_source = (int32_t)head <= 0;
		uint16_t processed;

		if (unlikely(watch != NULL) && !is_source)
			watch_node(watch, node, node->objs, node->idx, false);
		processed = graph_run_node(graph, node, is_source ? watch : NULL, &clock);
		packets += is_source ? processed : 0;
		head = likely((int32_t)head > 0) ? head & mask : head;
	}
	rte->tail = 0;
	return packets;
}
