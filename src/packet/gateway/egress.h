/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What forwarding nodes have in common: the rules of the egress port (IEEE 802.1Q 8.6.4, 8.8.9),
 * and copies for several ports. tx puts the tag back. Worker threads.
 */
#pragma once

#include "packet/engine/drop_count.h"
#include "packet/gateway/ingress.h"

/* Copies that wait for one node within one walk; its queue counts with 16 bits. */
#define EGRESS_COPIES_MAX 8192

/* Whether the packet may leave through the port (an index; PORT_NONE gives absent). Sets
 * egress_port. */
static inline enum drop_reason egress_check(const struct vlan_table *table, uint16_t index,
	struct rte_mbuf *packet, enum drop_reason absent)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	const struct switch_port *port = vlan_table_port(table, index);

	if (unlikely(!port))
		return absent;
	if (unlikely(!switch_port_carries(port, metadata->vlan)))
		return DROP_vlan_not_member;
	if (unlikely(metadata->vlan == port->pvid && packet_ethertype(packet) == ETH_TYPE_VLAN
		    && (port->flags & SWITCH_PORT_TAKES_TAGS)))
		return DROP_vlan_double;
	if (unlikely(!rate_allows(
		    &port->state->rate_out, rte_pktmbuf_pkt_len(packet), metadata->priority)))
		return DROP_rate_out;
	metadata->egress_port = index;
	return DROP_none;
}

/* A port's name, for traces. Valid to the end of the walk. */
const char *egress_port_name(uint16_t index) __attribute__((cold));

/* Marks, traces and hands over to the node's drop edge. */
static inline void egress_drop(struct rte_graph *graph, struct rte_node *node, rte_edge_t edge,
	struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, node->name, "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	node_forward(graph, node, edge, packet);
}

/* A copy that shares the data: both are marked so. NULL, and counted: no buffer, or too many copies
 * wait for the edge's node already. */
struct rte_mbuf *egress_copy(struct rte_node *node, rte_edge_t edge, struct rte_mbuf *packet);

/*
 * Sends the packet to each member port of its VLAN but the one it came from, along edge tx. When
 * take_original is set the last member gets the packet itself; else the packet stays the caller's.
 * Returns how many were sent: with 0 the packet is the caller's in any case.
 */
uint16_t egress_flood(struct rte_graph *graph, struct rte_node *node, rte_edge_t tx,
	const struct vlan_table *table, struct rte_mbuf *packet, bool take_original);
