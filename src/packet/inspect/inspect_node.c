/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inspect: hands tagged packets to the chain of inspectors. What passes goes on to origin_forward,
 * what is held comes back through inspect_return. Which packets get here is the gateway's decision
 * (`inspection.scope`, G7).
 */
#include "packet/engine/nodes.h"
#include "packet/engine/publish.h"
#include "packet/inspect/inspect_nodes.h"

#include <string.h>

static uint16_t inspect_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct inspect_chain *chain = publish_read(&inspect_chain);
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;
	uint16_t worker = worker_index;

	if (chain && unlikely(chain->retiring_count > 0)) {
		inspect_chain_retire(chain, worker);
		inspect_emit_injections(graph, node, inspect_workers[worker]);
	}
	for (uint16_t done = 0; done < count; done += INSPECT_BURST) {
		struct inspect_output output = {.pass_count = 0, .drop_count = 0};
		struct rte_mbuf *burst[INSPECT_BURST];
		uint16_t size = RTE_MIN((uint16_t)(count - done), (uint16_t)INSPECT_BURST);

		if (!chain) {
			for (uint16_t i = 0; i < size; i++)
				node_forward(graph, node, INSPECT_EDGE_FORWARD, packets[done + i]);
			continue;
		}
		/* The node's own array is read on while edges fill; the chain writes its copy. */
		memcpy(burst, packets + done, size * sizeof(burst[0]));
		inspect_chain_run(chain, worker, 0, burst, size, &output);
		inspect_emit(graph, node, &output);
		if (inspect_workers[worker]->injection_count > 0)
			inspect_emit_injections(graph, node, inspect_workers[worker]);
	}
	return count;
}

struct rte_node_register inspect_node = {
	.name = "inspect",
	.process = inspect_process,
	.nb_edges = INSPECT_EDGE_COUNT,
	.next_nodes =
		{
			[INSPECT_EDGE_FORWARD] = "origin_forward",
			[INSPECT_EDGE_DROP] = "drop",
			[INSPECT_EDGE_TX] = "tx",
		},
};
