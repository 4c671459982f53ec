/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host_input: frames from the host's own socket layer, through its interface in gateway.host.vlan.
 * All of them are tagged with their origin next (seed 000, figure 3A, block 307). Workers.
 */
#include "packet/distributor/standby.h"
#include "packet/distributor/vipa.h"
#include "packet/engine/nodes.h"
#include "packet/gateway/ingress.h"

static uint16_t host_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	/* IKE for a virtual address is the host's, as long as the address is ours. */
	const struct ingress_takers nobody = {
		.silent = standby_is_silent() ? publish_read(&vipa_table) : NULL};

	return ingress_run(graph, node, (struct rte_mbuf **)objects, count, &nobody);
}

struct rte_node_register host_input_node = {
	.name = "host_input",
	.process = host_input_process,
	.nb_edges = INGRESS_EDGE_COUNT,
	.next_nodes =
		{
			[INGRESS_EDGE_ORIGIN_TAG] = "origin_tag",
			[INGRESS_EDGE_DROP] = "drop",
		},
};
