/* SPDX-License-Identifier: BSD-3-Clause */
/* Edges that inspect and inspect_return have in common, and how packets get onto them. Workers. */
#pragma once

#include "packet/engine/node.h"
#include "packet/inspect/inspect.h"

enum inspect_edge {
	INSPECT_EDGE_FORWARD, /* passed: on, by its origin tag */
	INSPECT_EDGE_DROP,
	INSPECT_EDGE_TX, /* made by an inspector: out of a port */
	INSPECT_EDGE_COUNT,
};

static inline void inspect_emit(
	struct rte_graph *graph, struct rte_node *node, const struct inspect_output *output)
{
	for (uint16_t i = 0; i < output->pass_count; i++)
		node_forward(graph, node, INSPECT_EDGE_FORWARD, output->pass[i]);
	for (uint16_t i = 0; i < output->drop_count; i++) {
		struct packet_metadata *metadata = packet_metadata(output->drop[i]);

		/* Whoever asked is told: the same way back as what passes. */
		if (unlikely(metadata->origin.kind == ORIGIN_REMOTE)) {
			metadata->flags |= PACKET_IS_REFUSED;
			node_forward(graph, node, INSPECT_EDGE_FORWARD, output->drop[i]);
			continue;
		}
		node_forward(graph, node, INSPECT_EDGE_DROP, output->drop[i]);
	}
}

static inline void inspect_emit_injections(
	struct rte_graph *graph, struct rte_node *node, struct inspect_worker *state)
{
	for (uint16_t i = 0; i < state->injection_count; i++)
		node_forward(graph, node,
			state->injections[i].where == INSPECT_INJECT_TX ? INSPECT_EDGE_TX
									: INSPECT_EDGE_FORWARD,
			state->injections[i].packet);
	state->injection_count = 0;
}
