/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * physical_input: frames from the physical adapter. Their IEEE 802.1Q tag tells the VLAN, without
 * one it is gateway.native-vlan. All of them are tagged with their origin next (seed 000, figure
 * 3A, block 313); those for a virtual address of the distributor's by way of vipa_input; what
 * a target's station asks for ends in target_station. Workers.
 */
#include "packet/distributor/target.h"
#include "packet/distributor/vipa.h"
#include "packet/engine/nodes.h"
#include "packet/gateway/ingress.h"

static uint16_t physical_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	const struct ingress_takers takers = {
		.vipas = publish_read(&vipa_table), .target = publish_read(&target_table)};

	return ingress_run(graph, node, (struct rte_mbuf **)objects, count, &takers);
}

struct rte_node_register physical_input_node = {
	.name = "physical_input",
	.process = physical_input_process,
	.nb_edges = INGRESS_EDGE_PHYSICAL_COUNT,
	.next_nodes =
		{
			[INGRESS_EDGE_ORIGIN_TAG] = "origin_tag",
			[INGRESS_EDGE_DROP] = "drop",
			[INGRESS_EDGE_VIPA] = "vipa_input",
			[INGRESS_EDGE_STATION] = "target_station",
		},
};
