/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target_direct: what the host sends from a VIPA straight to its client, out of the physical
 * adapter (D9), in ESP or not: to the client itself when it is on-link, else to the router. The
 * frame's sender, and who asks for hardware addresses, is our station there: the VIPA is nobody's
 * on that network but the distributor's. Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/target.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/link/resolve.h"
#include "packet/port/port.h"

enum target_direct_edge {
	TARGET_DIRECT_EDGE_TX,
	TARGET_DIRECT_EDGE_DROP,
	TARGET_DIRECT_EDGE_COUNT,
};

/* One call of the node. */
struct sender {
	struct rte_graph *graph;
	struct rte_node *node;
	const struct target_table *table;
	struct target_worker *own;
	uint32_t now; /* ticks of the neighbour table */
};

static void drop(const struct sender *sender, struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "target_direct", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	node_forward(sender->graph, sender->node, TARGET_DIRECT_EDGE_DROP, packet);
}

static struct ip_address destination_of(const struct rte_mbuf *packet)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_HEADER_SIZE);
	struct ip_address address = {.version = ip[0] >> 4};

	if (address.version == 4)
		memcpy(address.bytes, ip + 16, 4);
	else
		memcpy(address.bytes, ip + 24, 16);
	return address;
}

/* Version 0: there is no way to it. */
static struct ip_address find_hop(
	const struct target_table *table, const struct ip_address *destination)
{
	const struct target_station *station = target_station(table, destination->version);

	if (!station->address.version)
		return (struct ip_address){.version = 0};
	return ip_address_is_within(destination, &station->address, station->prefix)
		? *destination
		: station->router;
}

static void set_headers(const struct target_table *table, struct rte_mbuf *packet,
	uint8_t ip_version, const uint8_t mac[ETH_ADDRESS_SIZE])
{
	struct packet_metadata *metadata = packet_metadata(packet);
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);

	memcpy(frame, mac, ETH_ADDRESS_SIZE);
	memcpy(frame + ETH_ADDRESS_SIZE, table->mac, ETH_ADDRESS_SIZE);
	network_store16(frame + ETH_TYPE_OFFSET, ip_version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	metadata->vlan = table->vlan;
	metadata->egress_port = table->physical_port;
}

/* NULL: no memory. */
static struct rte_mbuf *question_of(const struct target_table *table, const struct ip_address *hop)
{
	const struct target_station *station = target_station(table, hop->version);
	struct rte_mbuf *question = rte_pktmbuf_alloc(packet_pool);

	if (!question)
		return NULL;
	*packet_metadata(question) = (struct packet_metadata){.vlan = table->vlan,
		.origin = {.ingress_port = PORT_NONE},
		.egress_port = table->physical_port};
	resolve_write_question(question, &station->address, hop, table->mac);
	return question;
}

static void ask(const struct sender *sender, const struct ip_address *hop)
{
	struct rte_mbuf *question = question_of(sender->table, hop);

	if (question)
		node_forward(sender->graph, sender->node, TARGET_DIRECT_EDGE_TX, question);
}

static void keep(const struct sender *sender, struct rte_mbuf *packet)
{
	struct target_worker *own = sender->own;

	if (own->waiting_count == TARGET_WAITING_MAX) {
		drop(sender, packet, DROP_target_unreachable);
		return;
	}
	own->waiting[own->waiting_count++] =
		(struct target_waiting){.packet = packet, .since = sender->now};
}

static void send_straight(const struct sender *sender, struct rte_mbuf *packet)
{
	struct ip_address destination = destination_of(packet), hop;
	uint8_t mac[ETH_ADDRESS_SIZE];
	enum neighbour_state state;

	hop = find_hop(sender->table, &destination);
	if (!hop.version || sender->table->physical_port == PORT_NONE) {
		drop(sender, packet, DROP_target_no_way);
		return;
	}
	state = neighbour_find(sender->table->vlan, &hop, sender->now, mac);
	if (unlikely(state == NEIGHBOUR_STALE || state == NEIGHBOUR_UNKNOWN))
		ask(sender, &hop);
	if (unlikely(state != NEIGHBOUR_KNOWN && state != NEIGHBOUR_STALE)) {
		keep(sender, packet);
		return;
	}
	set_headers(sender->table, packet, destination.version, mac);
	TARGET_COUNT(sender->own->totals.direct);
	trace_step(packet, "target_direct", "to the %s",
		ip_address_is_equal(&hop, &destination) ? "client" : "router");
	node_forward(sender->graph, sender->node, TARGET_DIRECT_EDGE_TX, packet);
}

enum outcome { STILL_WAITS, IS_READY, IS_LOST };

/* *question: to be sent first, since the one before, or its answer, was lost; NULL: none. */
static enum outcome settle(const struct target_table *table, struct target_waiting *waiting,
	uint32_t now, struct rte_mbuf **question)
{
	struct ip_address destination = destination_of(waiting->packet);
	struct ip_address hop = find_hop(table, &destination);
	uint8_t mac[ETH_ADDRESS_SIZE];
	enum neighbour_state state;

	*question = NULL;
	if (!hop.version)
		return IS_LOST;
	state = neighbour_find(table->vlan, &hop, now, mac);
	if ((state == NEIGHBOUR_UNKNOWN || state == NEIGHBOUR_STALE)
		&& waiting_may_ask(&waiting->asked, now))
		*question = question_of(table, &hop);
	if (state == NEIGHBOUR_KNOWN || state == NEIGHBOUR_STALE) {
		set_headers(table, waiting->packet, destination.version, mac);
		return IS_READY;
	}
	return now - waiting->since > WAITING_TICKS ? IS_LOST : STILL_WAITS;
}

void target_retry_waiting(const struct target_table *table, struct target_worker *own,
	void (*send_packet)(void *context, struct rte_mbuf *packet, bool is_lost), void *context)
{
	uint32_t now = distribute_clock();
	struct rte_mbuf *question;
	uint16_t kept = 0;

	for (uint16_t i = 0; i < own->waiting_count; i++) {
		enum outcome outcome = settle(table, &own->waiting[i], now, &question);

		if (question)
			send_packet(context, question, false);
		if (outcome == STILL_WAITS) {
			own->waiting[kept++] = own->waiting[i];
			continue;
		}
		if (outcome == IS_READY)
			TARGET_COUNT(own->totals.direct);
		send_packet(context, own->waiting[i].packet, outcome == IS_LOST);
	}
	own->waiting_count = kept;
}

static uint16_t target_direct_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct sender sender = {.graph = graph,
		.node = node,
		.table = publish_read(&target_table),
		.own = target_workers[worker_index],
		.now = distribute_clock()};

	for (uint16_t i = 0; i < count; i++) {
		if (likely(sender.table != NULL))
			send_straight(&sender, objects[i]);
		else
			drop(&sender, objects[i], DROP_target_no_way);
	}
	return count;
}

struct rte_node_register target_direct_node = {
	.name = "target_direct",
	.process = target_direct_process,
	.nb_edges = TARGET_DIRECT_EDGE_COUNT,
	.next_nodes =
		{
			[TARGET_DIRECT_EDGE_TX] = "tx",
			[TARGET_DIRECT_EDGE_DROP] = "drop",
		},
};
