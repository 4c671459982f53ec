/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/egress.h"

#include "packet/engine/pool.h"
#include "packet/port/port.h"

const char *egress_port_name(uint16_t index)
{
	const struct port *port = port_at(index);

	return port ? port->config.name : "a port that is gone";
}

struct rte_mbuf *egress_copy(struct rte_node *node, rte_edge_t edge, struct rte_mbuf *packet)
{
	uint16_t ingress = packet_metadata(packet)->origin.ingress_port;
	struct rte_mbuf *copy;

	if (unlikely(node->nodes[edge]->idx >= EGRESS_COPIES_MAX)) {
		drop_note(ingress, DROP_flood_limit, 1);
		return NULL;
	}
	copy = rte_pktmbuf_clone(packet, packet_pool);
	if (unlikely(!copy)) {
		drop_note(ingress, DROP_no_memory, 1);
		return NULL;
	}
	packet_metadata(packet)->flags |= PACKET_IS_COPY;
	packet_metadata(copy)->flags |= PACKET_IS_COPY;
	return copy;
}

/* A copy for the port; false when none was sent. */
static bool send_copy(struct rte_graph *graph, struct rte_node *node, rte_edge_t tx,
	struct rte_mbuf *packet, uint16_t port)
{
	struct rte_mbuf *copy = egress_copy(node, tx, packet);

	if (!copy)
		return false;
	packet_metadata(copy)->egress_port = port;
	trace_step(copy, node->name, "copy to %s", egress_port_name(port));
	node_forward(graph, node, tx, copy);
	return true;
}

uint16_t egress_flood(struct rte_graph *graph, struct rte_node *node, rte_edge_t tx,
	const struct vlan_table *table, struct rte_mbuf *packet, bool take_original)
{
	const struct packet_metadata *metadata = packet_metadata(packet);
	const struct vlan *vlan = &table->vlans[metadata->vlan];
	const struct origin *origin = &metadata->origin;
	bool has_ingress = ingress_port(table, origin) != NULL;
	uint16_t last = PORT_NONE, sent = 0;

	for (uint16_t i = 0; i < vlan->member_count; i++) {
		uint16_t port = table->members[vlan->first_member + i];
		enum drop_reason reason;

		if (has_ingress && port == origin->ingress_port)
			continue;
		reason = egress_check(table, port, packet, DROP_vlan_not_member);
		if (unlikely(reason)) {
			drop_note(origin->ingress_port, reason, 1);
			continue;
		}
		if (last != PORT_NONE)
			sent += send_copy(graph, node, tx, packet, last);
		last = port;
	}
	if (last == PORT_NONE)
		return 0;
	if (!take_original)
		return sent + send_copy(graph, node, tx, packet, last);
	packet_metadata(packet)->egress_port = last;
	trace_step(packet, node->name, "flooded, last to %s", egress_port_name(last));
	node_forward(graph, node, tx, packet);
	return sent + 1;
}
