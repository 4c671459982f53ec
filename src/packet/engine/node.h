/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of the graph. One node, one file (*_node.c), one `struct rte_node_register NAME_node`. They
 * are registered explicitly from the list in nodes.c (no constructors), which *is* the packet walk.
 * Edges are enums named by meaning; each node has an edge to "drop".
 */
#pragma once

#include "packet/engine/drop.h"
#include "packet/engine/graph.h"
#include "packet/engine/metadata.h"
#include "packet/engine/trace.h"

#include <rte_graph.h>
#include <rte_graph_worker.h>

/* Hands the packet over to an edge of node. The walk counts it for the rates in `bulkhead graph`,
 * unless the node has another edge with the same target: see node_count_edge(). */
static inline void node_forward(
	struct rte_graph *graph, struct rte_node *node, rte_edge_t edge, struct rte_mbuf *packet)
{
	rte_node_enqueue_x1(graph, node, edge, packet);
}

/*
 * A run: packets of one call that follow one another to the same edge. They are handed over
 * together, which costs a copy of their pointers; and when all of a call's packets are one run and
 * nobody else has given the next node any, the two nodes swap their arrays. What a node sends with
 * node_forward() in between comes behind the run when node_run_flush() was called before.
 */
struct node_run {
	struct rte_graph *graph;
	struct rte_node *node;
	void **objects; /* of the call */
	uint16_t count; /* of objects */
	uint16_t start, end;
	rte_edge_t edge;
};

static inline struct node_run node_run_start(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	return (struct node_run){.graph = graph, .node = node, .objects = objects, .count = count};
}

static inline void node_run_flush(struct node_run *run)
{
	uint16_t size = (uint16_t)(run->end - run->start);

	if (size > 0)
		rte_node_enqueue(run->graph, run->node, run->edge, run->objects + run->start, size);
	run->start = run->end;
}

/* Hands objects[at] over to an edge; at grows from call to call. */
static inline void node_run_forward(struct node_run *run, uint16_t at, rte_edge_t edge)
{
	if (unlikely(at != run->end || edge != run->edge)) {
		node_run_flush(run);
		run->start = at;
		run->edge = edge;
	}
	run->end = (uint16_t)(at + 1);
}

/* At the end of a call: the objects may be gone from it. */
static inline void node_run_end(struct node_run *run)
{
	if (likely(run->start == 0 && run->end == run->count && run->objects == run->node->objs))
		rte_node_next_stream_move(run->graph, run->node, run->edge);
	else
		node_run_flush(run);
}

/* Counts packets that a node sent along an edge which shares its target with another edge of the
 * node (edges of different meaning, as "external" and "unknown", both to tx). */
static inline void node_count_edge(const struct rte_node *node, rte_edge_t edge, uint32_t packets)
{
	GRAPH_COUNT(graph_edge_packets[node->id][edge], packets);
}
