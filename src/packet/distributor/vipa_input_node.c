/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vipa_input: frames from the physical adapter that are for a VIPA (D1, D3, D4). Questions for its
 * hardware address are answered; IKE goes to the host's socket layer, ESP to be decrypted; what
 * comes in clear goes on, where that is allowed, to be tagged with its origin. Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/standby.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/ipsec/ipsec.h"
#include "packet/link/resolve.h"
#include "packet/port/port.h"

#include <netinet/in.h>

#define ICMPV6_NEIGHBOUR_FIRST 133
#define ICMPV6_NEIGHBOUR_LAST  137

enum vipa_input_edge {
	VIPA_INPUT_EDGE_ORIGIN_TAG,
	VIPA_INPUT_EDGE_IPSEC,
	VIPA_INPUT_EDGE_TX,
	VIPA_INPUT_EDGE_DROP,
	VIPA_INPUT_EDGE_COUNT,
	VIPA_INPUT_TAKEN, /* a fragment that waits for the others */
};

static rte_edge_t refuse(struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "vipa_input", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	return VIPA_INPUT_EDGE_DROP;
}

/* ---- addresses ---- */

static rte_edge_t resolve(const struct vipa_table *table, struct distributor_worker *own,
	struct rte_mbuf *packet, const struct resolve_message *message)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	uint16_t index = vipa_find(table, metadata->vlan, &message->target);
	const struct vipa *vipa = &table->vipas[index == VIPA_NONE ? 0 : index];

	/* Its own address in somebody else's mouth teaches nothing. */
	if (vipa_find(table, metadata->vlan, &message->sender) == VIPA_NONE)
		neighbour_learn(metadata->vlan, &message->sender, message->sender_mac, own->now,
			message->is_question && index != VIPA_NONE);
	if (!message->is_question || index == VIPA_NONE
		|| !resolve_answer(packet, message, vipa->mac))
		return refuse(packet, DROP_vipa_resolved);
	metadata->egress_port = metadata->origin.ingress_port;
	trace_step(packet, "vipa_input", "answered: the address is VIPA %s's", vipa->name);
	return VIPA_INPUT_EDGE_TX;
}

/* ---- IPsec or not ---- */

/* The host has the VIPA among its own addresses, and its interface another hardware address. */
static rte_edge_t give_to_host(const struct vipa_table *table, struct rte_mbuf *packet)
{
	const struct port *host = port_at(table->host_port);

	if (!host)
		return refuse(packet, DROP_vipa_no_host);
	memcpy(rte_pktmbuf_mtod(packet, uint8_t *), host->mac, ETH_ADDRESS_SIZE);
	packet_metadata(packet)->egress_port = host->index;
	trace_step(packet, "vipa_input", "IKE, to the host");
	return VIPA_INPUT_EDGE_TX;
}

static rte_edge_t sort(const struct vipa_table *table, uint16_t index, struct rte_mbuf *packet,
	const struct decoded *decoded)
{
	const struct vipa *vipa = &table->vipas[index];
	struct packet_metadata *metadata = packet_metadata(packet);
	enum ipsec_traffic traffic = ipsec_classify(decoded);
	enum drop_reason reason;

	if (vipa->security == VIPA_SECURITY_OFF && traffic == TRAFFIC_ESP)
		return refuse(packet, DROP_vipa_no_ipsec);
	if (vipa->security != VIPA_SECURITY_OFF && traffic == TRAFFIC_IKE)
		return give_to_host(table, packet);
	metadata->flags |= PACKET_IS_FOR_VIPA;
	metadata->service = (struct service_tag){.vipa = index, .target = VIPA_NONE};
	if (traffic == TRAFFIC_ESP) {
		trace_step(packet, "vipa_input", "for VIPA %s, by IPsec", vipa->name);
		return VIPA_INPUT_EDGE_IPSEC;
	}
	if (vipa->security == VIPA_SECURITY_REQUIRED)
		return refuse(packet, DROP_vipa_plain);
	reason = ipsec_check_plain(decoded);
	if (reason)
		return refuse(packet, reason);
	trace_step(packet, "vipa_input", "for VIPA %s, in clear", vipa->name);
	return VIPA_INPUT_EDGE_ORIGIN_TAG;
}

/* ---- the node ---- */

static bool is_resolution(const struct decoded *decoded)
{
	return decoded->ethertype == ETH_TYPE_ARP
		|| (decoded->ip_version == 6 && decoded->protocol == IPPROTO_ICMPV6
			&& decoded->icmp_type >= ICMPV6_NEIGHBOUR_FIRST
			&& decoded->icmp_type <= ICMPV6_NEIGHBOUR_LAST);
}

static rte_edge_t take(
	const struct vipa_table *table, struct distributor_worker *own, struct rte_mbuf **packet)
{
	struct resolve_message message;
	struct ip_address destination;
	struct decoded decoded;
	uint16_t index;

	decode_headers(rte_pktmbuf_mtod(*packet, const uint8_t *), (*packet)->data_len,
		(*packet)->pkt_len, &decoded);
	if (is_resolution(&decoded))
		return resolve_read(*packet, &message) ? resolve(table, own, *packet, &message)
						       : refuse(*packet, DROP_vipa_malformed);
	if (decoded.malformed || decoded.l3_offset != ETH_HEADER_SIZE || !decoded.ip_version)
		return refuse(*packet, DROP_vipa_malformed);
	destination.version = decoded.ip_version;
	memcpy(destination.bytes, decoded.destination, sizeof(destination.bytes));
	index = vipa_find(table, packet_metadata(*packet)->vlan, &destination);
	if (index == VIPA_NONE)
		return refuse(*packet, DROP_vipa_unknown);
	/* Of those that are not for us alone: ports, or the SPI, are in the first one. */
	if (decoded.is_fragment
		&& (decoded.protocol == IPPROTO_UDP || decoded.protocol == IPPROTO_ESP)) {
		*packet = datagram_reassemble(own, *packet, &decoded);
		if (!*packet)
			return VIPA_INPUT_TAKEN;
		decode_headers(rte_pktmbuf_mtod(*packet, const uint8_t *), (*packet)->data_len,
			(*packet)->pkt_len, &decoded);
	}
	return sort(table, index, *packet, &decoded);
}

static uint16_t vipa_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	const struct vipa_table *table = publish_read(&vipa_table);
	struct distributor_worker *own = distributor_own();

	bool is_silent = standby_is_silent();

	if (table)
		own->now = distribute_clock();
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = objects[i];
		rte_edge_t edge;

		if (unlikely(!table || is_silent))
			edge = refuse(packet, table ? DROP_vipa_standby : DROP_vipa_unknown);
		else
			edge = take(table, own, &packet);

		if (edge != VIPA_INPUT_TAKEN)
			node_forward(graph, node, edge, packet);
	}
	return count;
}

struct rte_node_register vipa_input_node = {
	.name = "vipa_input",
	.process = vipa_input_process,
	.nb_edges = VIPA_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[VIPA_INPUT_EDGE_ORIGIN_TAG] = "origin_tag",
			[VIPA_INPUT_EDGE_IPSEC] = "ipsec_input",
			[VIPA_INPUT_EDGE_TX] = "tx",
			[VIPA_INPUT_EDGE_DROP] = "drop",
		},
};
