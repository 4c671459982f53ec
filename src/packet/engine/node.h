/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes of the graph. One node, one file (*_node.c), one `struct rte_node_register NAME_node`. They
 * are registered explicitly from the list in nodes.c (no constructors), which *is* the packet walk.
 * Edges are enums named by meaning; each node has an edge to "drop".
 */
#pragma once

#include "packet/engine/drop.h"
#include "packet/engine/metadata.h"
#include "packet/engine/trace.h"

#include <rte_graph.h>
#include <rte_graph_worker.h>

/* Hands the packet over to an edge of node, and counts it for the edge's rate in `bulkhead graph`.
 */
static inline void node_forward(
	struct rte_graph *graph, struct rte_node *node, rte_edge_t edge, struct rte_mbuf *packet)
{
	rte_node_enqueue_x1(graph, node, edge, packet);
}
