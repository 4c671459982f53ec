/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of the graph's nodes (nodes.c): it *is* the packet walk. A node's file defines
 * `struct rte_node_register NAME_node` with its edges' targets by name; a node is in the graph when
 * a source node reaches it. What depends on the configuration is one edge: where origin_tag sends
 * packets (inspect, handoff or straight to origin_forward).
 */
#pragma once

#include <rte_graph.h>

/* The walk, in its order; NULL ends it. A node's owner adds its row here. */
extern struct rte_node_register *const nodes[];

/* Port. */
extern struct rte_node_register rx_node; /* source */
extern struct rte_node_register tx_node;
/* Engine. */
extern struct rte_node_register drop_node;
extern struct rte_node_register handoff_node;
extern struct rte_node_register handoff_rx_node; /* source */
/* Links. */
extern struct rte_node_register link_input_node;
/* Gateway. */
extern struct rte_node_register physical_input_node;
extern struct rte_node_register switch_input_node;
extern struct rte_node_register host_input_node;
extern struct rte_node_register switch_forward_node;
extern struct rte_node_register origin_tag_node;
extern struct rte_node_register origin_forward_node;
/* IPsec. */
extern struct rte_node_register ipsec_input_node;
extern struct rte_node_register ipsec_output_node;
/* Distributor. */
extern struct rte_node_register vipa_input_node;
extern struct rte_node_register gre_input_node;
extern struct rte_node_register distribute_node;
extern struct rte_node_register distribute_tick_node; /* source: what is due without a packet */
extern struct rte_node_register gre_output_node;
extern struct rte_node_register vipa_output_node;
/* Inspection. */
extern struct rte_node_register inspect_node;
extern struct rte_node_register inspect_return_node; /* source: held packets that got a verdict */
extern struct rte_node_register geneve_input_node;
extern struct rte_node_register geneve_output_node;
/* Target. */
extern struct rte_node_register target_input_node;
extern struct rte_node_register target_reply_node;
extern struct rte_node_register target_direct_node;
extern struct rte_node_register target_station_node;
extern struct rte_node_register target_tick_node; /* source */

/* The edge that the engine points elsewhere: element 0 of origin_tag's next_nodes. */
enum nodes_fixed_edge {
	ORIGIN_TAG_EDGE_NEXT, /* inspect | handoff | origin_forward */
};
