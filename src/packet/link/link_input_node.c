/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link_input: frames from a trusted link. Questions for our addresses are answered, IP goes on to
 * geneve_input, GRE to gre_input, or to target_input when it is for this host as a target; nothing
 * of a link ever gets to the switch (D10). Where GRE has to be in ESP, that goes to ipsec_input,
 * and what was in it comes back here. Workers.
 */
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/link/link.h"
#include "packet/port/port.h"
#include "wire/esp.h"

#include <netinet/in.h>

enum link_input_edge {
	LINK_INPUT_EDGE_GENEVE,
	LINK_INPUT_EDGE_GRE,
	LINK_INPUT_EDGE_TARGET,
	LINK_INPUT_EDGE_IPSEC,
	LINK_INPUT_EDGE_ANSWER,
	LINK_INPUT_EDGE_DROP,
	LINK_INPUT_EDGE_COUNT,
};

#define IPV4_PROTOCOL    9
#define IPV4_DESTINATION 16
#define IPV6_NEXT_HEADER 6
#define IPV6_DESTINATION 24

/* One call of the node. */
struct walk {
	struct link_table *table;
	const struct port_table *ports;
	const struct link_end *distributor, *target; /* NULL: none */
};

static rte_edge_t refuse(struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "link_input", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	return LINK_INPUT_EDGE_DROP;
}

/* ---- GRE, in clear or not ---- */

/* A host may be a distributor and another one's target: they have different addresses. */
static rte_edge_t find_gre(const struct link_end *target, const struct rte_mbuf *packet)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_HEADER_SIZE);
	uint16_t offset, size;

	if (!target || target->port != packet_metadata_const(packet)->origin.ingress_port)
		return LINK_INPUT_EDGE_GRE;
	offset = target->local.version == 4 ? IPV4_DESTINATION : IPV6_DESTINATION;
	size = target->local.version == 4 ? 4 : 16;
	return packet->data_len >= ETH_HEADER_SIZE + offset + size
			&& ip[0] >> 4 == target->local.version
			&& memcmp(ip + offset, target->local.bytes, size) == 0
		? LINK_INPUT_EDGE_TARGET
		: LINK_INPUT_EDGE_GRE;
}

static bool is_protected_there(const struct link_end *end, const struct rte_mbuf *packet)
{
	return end && end->is_protected
		&& end->port == packet_metadata_const(packet)->origin.ingress_port;
}

/* What comes back from ipsec_input is tagged by those who take it. */
static rte_edge_t take_gre(const struct walk *walk, struct rte_mbuf *packet, bool was_in_esp)
{
	rte_edge_t edge = find_gre(walk->target, packet);

	if (!was_in_esp
		&& is_protected_there(
			edge == LINK_INPUT_EDGE_TARGET ? walk->target : walk->distributor, packet))
		return refuse(packet, DROP_link_plain);
	return edge;
}

/* False: nobody here has ESP on that link, or it was in ESP itself. */
static bool takes_esp(const struct walk *walk, const struct rte_mbuf *packet, bool was_in_esp)
{
	return !was_in_esp
		&& (is_protected_there(walk->distributor, packet)
			|| is_protected_there(walk->target, packet));
}

/* Whether ipsec_input gave it back. It is an ordinary packet of the link from here on. */
static bool take_back(struct rte_mbuf *packet)
{
	struct packet_metadata *metadata = packet_metadata(packet);

	if (likely(!(metadata->flags & PACKET_IS_OF_LINK)))
		return false;
	metadata->flags &= (uint16_t)~PACKET_IS_OF_LINK;
	metadata->origin.kind = ORIGIN_NONE;
	return true;
}

/* ---- the node ---- */

/* The edge of a tunnel's packet; LINK_INPUT_EDGE_COUNT: it may be address resolution. Of IPv4, and
 * of IPv6 over UDP, all that is not GRE is left to geneve_input. */
static rte_edge_t find_tunnel(const struct walk *walk, struct rte_mbuf *packet)
{
	bool was_in_esp = take_back(packet);
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint16_t type = network_load16(frame + ETH_TYPE_OFFSET);
	uint16_t field =
		ETH_HEADER_SIZE + (type == ETH_TYPE_IPV6 ? IPV6_NEXT_HEADER : IPV4_PROTOCOL);

	if (type != ETH_TYPE_IPV4 && type != ETH_TYPE_IPV6)
		return LINK_INPUT_EDGE_COUNT;
	if (packet->data_len > field && frame[field] == IPPROTO_GRE)
		return take_gre(walk, packet, was_in_esp);
	if (packet->data_len > field && frame[field] == ESP_PROTOCOL
		&& takes_esp(walk, packet, was_in_esp)) {
		packet_metadata(packet)->flags |= PACKET_IS_OF_LINK;
		return LINK_INPUT_EDGE_IPSEC;
	}
	if (type == ETH_TYPE_IPV6 && !(packet->data_len > field && frame[field] == IPPROTO_UDP))
		return LINK_INPUT_EDGE_COUNT;
	return LINK_INPUT_EDGE_GENEVE;
}

static uint16_t link_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct walk walk = {.table = publish_read(&link_table), .ports = publish_read(&port_table)};

	walk.distributor = link_end_of(walk.table, LINK_DISTRIBUTOR);
	walk.target = link_end_of(walk.table, LINK_TARGET);
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = objects[i];
		struct packet_metadata *metadata = packet_metadata(packet);
		uint16_t index = metadata->origin.ingress_port;
		const struct port *port =
			index < walk.ports->count ? walk.ports->ports[index] : NULL;
		rte_edge_t edge = find_tunnel(&walk, packet);

		if (likely(edge != LINK_INPUT_EDGE_COUNT)) {
			node_forward(graph, node, edge, packet);
		} else if (port && link_resolve(walk.table, port, packet)) {
			metadata->egress_port = index;
			trace_step(packet, "link_input", "answered: the address is ours");
			node_forward(graph, node, LINK_INPUT_EDGE_ANSWER, packet);
		} else {
			node_forward(graph, node, refuse(packet, DROP_link_unknown), packet);
		}
	}
	return count;
}

struct rte_node_register link_input_node = {
	.name = "link_input",
	.process = link_input_process,
	.nb_edges = LINK_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[LINK_INPUT_EDGE_GENEVE] = "geneve_input",
			[LINK_INPUT_EDGE_GRE] = "gre_input",
			[LINK_INPUT_EDGE_TARGET] = "target_input",
			[LINK_INPUT_EDGE_IPSEC] = "ipsec_input",
			[LINK_INPUT_EDGE_ANSWER] = "tx",
			[LINK_INPUT_EDGE_DROP] = "drop",
		},
};
