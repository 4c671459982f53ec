/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target_station: address resolution of our stations on the physical adapter's network: questions
 * for them are answered, and answers to theirs are learned. Nothing else is taken there: the
 * station's address is nobody's to connect to. Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/target.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/link/resolve.h"

enum target_station_edge {
	TARGET_STATION_EDGE_TX,
	TARGET_STATION_EDGE_DROP,
	TARGET_STATION_EDGE_COUNT,
};

static bool is_ours(const struct target_table *table, const struct ip_address *address)
{
	const struct target_station *station = target_station(table, address->version);

	return station->address.version && ip_address_is_equal(&station->address, address);
}

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
		&& is_ours(table, &message.target);
}

static rte_edge_t refuse(struct rte_mbuf *packet)
{
	trace_step(
		packet, "target_station", "drop: %s", drop_descriptions[DROP_target_station].name);
	drop_mark(packet, DROP_target_station);
	return TARGET_STATION_EDGE_DROP;
}

static rte_edge_t take(const struct target_table *table, struct rte_mbuf *packet, uint32_t now)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	struct resolve_message message;
	bool is_asked;

	if (!resolve_read(packet, &message))
		return refuse(packet);
	is_asked = message.is_question && is_ours(table, &message.target);
	if (!is_ours(table, &message.sender))
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
			[TARGET_STATION_EDGE_DROP] = "drop",
		},
};
