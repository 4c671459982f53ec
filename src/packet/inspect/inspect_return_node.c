/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inspect_return: a source node. Held packets come back here from their inspector, in any order, or
 * because their deadline is over and the failure policy decides (I1, I4).
 */
#include "base/clock.h"
#include "packet/engine/nodes.h"
#include "packet/engine/publish.h"
#include "packet/inspect/inspect_nodes.h"

#include <string.h>

static uint16_t inspect_return_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct inspect_chain *chain = publish_read(&inspect_chain);
	struct inspect_output output = {.pass_count = 0, .drop_count = 0};
	uint16_t worker = worker_index;

	if (!chain)
		return 0;
	inspect_chain_retire(chain, worker);
	count = inspect_chain_collect(chain, worker, clock_monotonic_ns(), &output);
	inspect_emit(graph, node, &output);
	count += inspect_workers[worker]->injection_count;
	if (inspect_workers[worker]->injection_count > 0)
		inspect_emit_injections(graph, node, inspect_workers[worker]);
	return count;
}

struct rte_node_register inspect_return_node = {
	.name = "inspect_return",
	.flags = RTE_NODE_SOURCE_F,
	.process = inspect_return_process,
	.nb_edges = INSPECT_EDGE_COUNT,
	.next_nodes =
		{
			[INSPECT_EDGE_FORWARD] = "origin_forward",
			[INSPECT_EDGE_DROP] = "drop",
			[INSPECT_EDGE_TX] = "tx",
		},
};
