/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target_station: what is for our stations on the physical adapter's network. Questions for their
 * hardware address are answered, and answers to theirs are learned; ESP goes to be decrypted, IKE
 * to the host's socket layer (D9). Nothing else is taken there: the station's address is nobody's
 * to connect to. Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/target.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/ipsec/ipsec.h"
#include "packet/link/resolve.h"
#include "packet/port/port.h"

enum target_station_edge {
	TARGET_STATION_EDGE_TX,
	TARGET_STATION_EDGE_IPSEC,
	TARGET_STATION_EDGE_DROP,
	TARGET_STATION_EDGE_COUNT,
};

/* The answers come to our hardware address, and questions to all, or to a group of its own. */
bool target_takes(const struct target_table *table, uint16_t vlan, const struct rte_mbuf *packet)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	struct resolve_message message;

	if (vlan != table->vlan)
		return false;
	if (memcmp(frame, table->mac, ETH_ADDRESS_SIZE) == 0)
		return true;
	return eth_address_is_group(frame) && resolve_read(packet, &message) && message.is_question
		&& target_is_station(table, &message.target);
}

static rte_edge_t refuse(struct rte_mbuf *packet)
{
	trace_step(
		packet, "target_station", "drop: %s", drop_descriptions[DROP_target_station].name);
	drop_mark(packet, DROP_target_station);
	return TARGET_STATION_EDGE_DROP;
}

/* ---- IPsec ---- */

/* The host has the station's address among its own, and its interface another hardware address. */
static rte_edge_t give_to_sockets(const struct target_table *table, struct rte_mbuf *packet)
{
	const struct port *host = port_at(table->socket_port);

	if (!host)
		return refuse(packet);
	memcpy(rte_pktmbuf_mtod(packet, uint8_t *), host->mac, ETH_ADDRESS_SIZE);
	packet_metadata(packet)->egress_port = host->index;
	trace_step(packet, "target_station", "IKE, to the host");
	return TARGET_STATION_EDGE_TX;
}

static rte_edge_t take_packet(const struct target_table *table, struct rte_mbuf *packet)
{
	struct ip_address destination;
	struct decoded decoded;

	decode_headers(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len,
		&decoded);
	destination.version = decoded.ip_version;
	memcpy(destination.bytes, decoded.destination, sizeof(destination.bytes));
	if (decoded.malformed || !decoded.ip_version || !target_is_station(table, &destination))
		return refuse(packet);
	switch (ipsec_classify(&decoded)) {
	case TRAFFIC_ESP:
		packet_metadata(packet)->flags |= PACKET_IS_OF_STATION;
		trace_step(packet, "target_station", "by our own IPsec");
		return TARGET_STATION_EDGE_IPSEC;
	case TRAFFIC_IKE:
		return give_to_sockets(table, packet);
	default:
		return refuse(packet);
	}
}

/* ---- the node ---- */

static rte_edge_t take(const struct target_table *table, struct rte_mbuf *packet, uint32_t now)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	struct resolve_message message;
	bool is_asked;

	if (!resolve_read(packet, &message))
		return take_packet(table, packet);
	is_asked = message.is_question && target_is_station(table, &message.target);
	if (!target_is_station(table, &message.sender))
		neighbour_learn(metadata->vlan, &message.sender, message.sender_mac, now, is_asked);
	if (!is_asked || !resolve_answer(packet, &message, table->mac))
		return refuse(packet);
	metadata->egress_port = metadata->origin.ingress_port;
	trace_step(packet, "target_station", "answered: the address is ours");
	return TARGET_STATION_EDGE_TX;
}

static uint16_t target_station_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	const struct target_table *table = publish_read(&target_table);
	uint32_t now = distribute_clock();

	for (uint16_t i = 0; i < count; i++)
		node_forward(graph, node, table ? take(table, objects[i], now) : refuse(objects[i]),
			objects[i]);
	return count;
}

struct rte_node_register target_station_node = {
	.name = "target_station",
	.process = target_station_process,
	.nb_edges = TARGET_STATION_EDGE_COUNT,
	.next_nodes =
		{
			[TARGET_STATION_EDGE_TX] = "tx",
			[TARGET_STATION_EDGE_IPSEC] = "ipsec_input",
			[TARGET_STATION_EDGE_DROP] = "drop",
		},
};
