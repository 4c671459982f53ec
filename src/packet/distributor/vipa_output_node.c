/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vipa_output: packets that a VIPA sends, out of the physical adapter: to the client itself when it
 * is on-link, else to the VIPA's router. While its hardware address is not known, it is asked for,
 * and a few packets wait (RFC 1122 section 2.3.2.2). What is larger than the adapter takes is cut,
 * or its sender, a target, is told (D13). Workers.
 */
#include "packet/distributor/distributor.h"
#include "packet/distributor/neighbour.h"
#include "packet/distributor/standby.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/link/resolve.h"
#include "packet/port/port.h"

enum vipa_output_edge {
	VIPA_OUTPUT_EDGE_TX,
	VIPA_OUTPUT_EDGE_TO_TARGET, /* it is told that its packet is too big */
	VIPA_OUTPUT_EDGE_DROP,
	VIPA_OUTPUT_EDGE_COUNT,
};

/* One call of the node. */
struct sender {
	struct rte_graph *graph;
	struct rte_node *node;
	const struct vipa_table *table;
	struct distributor_worker *own;
	uint32_t mtu;
};

static void drop(const struct sender *sender, struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "vipa_output", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	node_forward(sender->graph, sender->node, VIPA_OUTPUT_EDGE_DROP, packet);
}

/* ---- where to ---- */

static void read_addresses(
	const struct rte_mbuf *packet, struct ip_address *source, struct ip_address *destination)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_HEADER_SIZE);

	*source = *destination = (struct ip_address){.version = ip[0] >> 4};
	if (source->version == 4) {
		memcpy(source->bytes, ip + 12, 4);
		memcpy(destination->bytes, ip + 16, 4);
	} else {
		memcpy(source->bytes, ip + 8, 16);
		memcpy(destination->bytes, ip + 24, 16);
	}
}

/* NULL: there is no way to it. */
static const struct ip_address *find_hop(
	const struct vipa *vipa, const struct ip_address *destination)
{
	if (ip_address_is_within(destination, &vipa->address, vipa->prefix))
		return destination;
	return vipa->router.version ? &vipa->router : NULL;
}

static struct rte_mbuf *question_of(
	const struct vipa_table *table, const struct vipa *vipa, const struct ip_address *hop)
{
	struct rte_mbuf *question = rte_pktmbuf_alloc(packet_pool);

	if (!question)
		return NULL;
	*packet_metadata(question) = (struct packet_metadata){.vlan = vipa->vlan,
		.origin = {.ingress_port = PORT_NONE},
		.egress_port = table->physical_port};
	resolve_write_question(question, &vipa->address, hop, vipa->mac);
	return question;
}

struct rte_mbuf *vipa_output_question(const struct vipa_table *table, const struct waiting *waiting)
{
	struct ip_address source, destination;
	uint16_t index;

	read_addresses(waiting->packet, &source, &destination);
	index = vipa_find(table, packet_metadata(waiting->packet)->vlan, &source);
	return index == VIPA_NONE ? NULL : question_of(table, &table->vipas[index], &waiting->hop);
}

static void ask(const struct sender *sender, const struct vipa *vipa, const struct ip_address *hop)
{
	struct rte_mbuf *question = question_of(sender->table, vipa, hop);

	if (question)
		node_forward(sender->graph, sender->node, VIPA_OUTPUT_EDGE_TX, question);
}

static bool hold(
	struct distributor_worker *own, struct rte_mbuf *packet, const struct ip_address *hop)
{
	uint16_t same = 0;

	for (uint16_t i = 0; i < own->waiting_count; i++)
		same += ip_address_is_equal(&own->waiting[i].hop, hop);
	if (same >= WAITING_PER_HOP || own->waiting_count == WAITING_MAX)
		return false;
	own->waiting[own->waiting_count++] =
		(struct waiting){.packet = packet, .hop = *hop, .since = own->now};
	return true;
}

/* ---- out ---- */

static void transmit(const struct sender *sender, struct rte_mbuf *packet, const struct vipa *vipa,
	const uint8_t mac[ETH_ADDRESS_SIZE])
{
	struct packet_metadata *metadata = packet_metadata(packet);
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);

	memcpy(frame, mac, ETH_ADDRESS_SIZE);
	memcpy(frame + ETH_ADDRESS_SIZE, vipa->mac, ETH_ADDRESS_SIZE);
	network_store16(frame + ETH_TYPE_OFFSET,
		vipa->address.version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	metadata->vlan = vipa->vlan;
	metadata->egress_port = sender->table->physical_port;
	trace_step(packet, "vipa_output", "from VIPA %s", vipa->name);
	node_forward(sender->graph, sender->node, VIPA_OUTPUT_EDGE_TX, packet);
}

static void send_out(const struct sender *sender, struct rte_mbuf *packet)
{
	struct ip_address source, destination;
	uint8_t mac[ETH_ADDRESS_SIZE];
	const struct ip_address *hop;
	enum neighbour_state state;
	const struct vipa *vipa;
	uint16_t index;

	read_addresses(packet, &source, &destination);
	index = vipa_find(sender->table, packet_metadata(packet)->vlan, &source);
	vipa = &sender->table->vipas[index == VIPA_NONE ? 0 : index];
	hop = index == VIPA_NONE ? NULL : find_hop(vipa, &destination);
	if (!hop) {
		drop(sender, packet, index == VIPA_NONE ? DROP_vipa_unknown : DROP_vipa_no_router);
		return;
	}
	state = neighbour_find(vipa->vlan, hop, sender->own->now, mac);
	if (unlikely(state == NEIGHBOUR_STALE || state == NEIGHBOUR_UNKNOWN))
		ask(sender, vipa, hop);
	if (likely(state == NEIGHBOUR_KNOWN || state == NEIGHBOUR_STALE))
		transmit(sender, packet, vipa, mac);
	else if (!hold(sender->own, packet, hop))
		drop(sender, packet, DROP_vipa_unreachable);
}

static void tell_target(const struct sender *sender, struct rte_mbuf *packet)
{
	bool is_answer = packet_metadata(packet)->origin.kind == ORIGIN_TARGET;
	struct rte_mbuf *error = is_answer ? message_too_big(packet, sender->mtu) : NULL;

	if (error)
		node_forward(sender->graph, sender->node, VIPA_OUTPUT_EDGE_TO_TARGET, error);
	drop(sender, packet, DROP_vipa_too_big);
}

static void fit(const struct sender *sender, struct rte_mbuf *packet)
{
	struct rte_mbuf *pieces[PIECES_MAX];
	uint16_t count;

	switch (datagram_fit(packet, sender->mtu, pieces, &count)) {
	case DATAGRAM_FITS:
		send_out(sender, packet);
		return;
	case DATAGRAM_CUT:
		for (uint16_t i = 0; i < count; i++)
			send_out(sender, pieces[i]);
		return;
	case DATAGRAM_TOO_BIG:
		tell_target(sender, packet);
		return;
	case DATAGRAM_FAILED:
		drop(sender, packet, DROP_no_memory);
		return;
	}
}

static uint16_t vipa_output_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct sender sender = {.graph = graph,
		.node = node,
		.table = publish_read(&vipa_table),
		.own = distributor_own()};

	bool is_silent = standby_is_silent();

	if (sender.table)
		sender.mtu = distribute_port_mtu(sender.table->physical_port);
	for (uint16_t i = 0; i < count; i++) {
		if (unlikely(is_silent))
			drop(&sender, objects[i], DROP_vipa_standby);
		else if (likely(sender.mtu > 0))
			fit(&sender, objects[i]);
		else
			drop(&sender, objects[i], DROP_no_physical);
	}
	return count;
}

struct rte_node_register vipa_output_node = {
	.name = "vipa_output",
	.process = vipa_output_process,
	.nb_edges = VIPA_OUTPUT_EDGE_COUNT,
	.next_nodes =
		{
			[VIPA_OUTPUT_EDGE_TX] = "tx",
			[VIPA_OUTPUT_EDGE_TO_TARGET] = "gre_output",
			[VIPA_OUTPUT_EDGE_DROP] = "drop",
		},
};
