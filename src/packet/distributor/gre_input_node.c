/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gre_input: GRE from a trusted link, for the distributor. It is taken from the address of a
 * target, on the link that the targets are on, with one of that target's keys (D6, D7); whether its
 * connection is known, distribute sees, on the worker that has the connection. Heartbeats are
 * answered. Workers.
 */
#include "base/clock.h"
#include "packet/distributor/distributor.h"
#include "packet/distributor/health.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/port/port.h"

enum gre_input_edge {
	GRE_INPUT_EDGE_ORIGIN_TAG,
	GRE_INPUT_EDGE_ANSWER,
	GRE_INPUT_EDGE_PROTECT, /* an answer by a link that demands it (D10) */
	GRE_INPUT_EDGE_DROP,
	GRE_INPUT_EDGE_COUNT,
};

/* One call of the node. */
struct receiver {
	const struct vipa_table *table;
	struct distributor_worker *own;
	struct link_end *end; /* NULL: no distributor */
};

static rte_edge_t refuse(struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "gre_input", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	return GRE_INPUT_EDGE_DROP;
}

/* The target with that address; VIPA_NONE. */
static uint16_t find_target(const struct receiver *receiver, const struct ip_address *source)
{
	int peer = link_find_peer(receiver->end, source);

	for (uint16_t i = 0; peer >= 0 && i < receiver->table->target_count; i++)
		if (receiver->table->targets[i].name[0] && receiver->table->targets[i].peer == peer)
			return i;
	return VIPA_NONE;
}

/* ---- heartbeats ---- */

/* ESP is addressed to a VIPA, so its version is that of one. */
static bool has_ipv6(const struct vipa_table *table)
{
	for (uint16_t i = 0; i < table->vipa_count; i++)
		if (table->vipas[i].name[0] && table->vipas[i].address.version == 6)
			return true;
	return false;
}

/* The report's own buffer carries the answer. */
static rte_edge_t send_answer(const struct receiver *receiver, struct rte_mbuf *packet,
	uint16_t target, struct heartbeat *answer)
{
	const struct vipa_secret *secret = vipa_secret(receiver->table, target);
	const struct link_end *end = receiver->end;
	const struct link_peer *peer = &end->peers[receiver->table->targets[target].peer];
	const struct port *port = link_port(end);
	uint32_t size = ETH_HEADER_SIZE + gre_overhead(end->local.version);
	uint8_t body[HEARTBEAT_SIZE_MAX], mac[ETH_ADDRESS_SIZE];
	struct gre_headers headers = {
		.destination_mac = mac,
		.source = &end->local,
		.destination = &peer->address,
		.key = secret->to_target.keys[GRE_CONTROL],
		.protocol = GRE_HEARTBEAT,
	};
	size_t body_size;

	if (packet->nb_segs > 1 || !port || !link_peer_mac(peer, mac))
		return refuse(packet, DROP_link_no_peer);
	headers.source_mac = port->mac;
	answer->mtu_bytes = (uint16_t)distribute_path_mtu(
		receiver->table, target, true, has_ipv6(receiver->table));
	body_size = heartbeat_seal(body, answer, secret->bytes, &end->local, &peer->address);
	rte_pktmbuf_reset(packet);
	gre_write((uint8_t *)rte_pktmbuf_append(packet, (uint16_t)size), &headers,
		(uint32_t)body_size);
	memcpy(rte_pktmbuf_append(packet, (uint16_t)body_size), body, body_size);
	*packet_metadata(packet) = (struct packet_metadata){
		.origin = {.ingress_port = end->port}, .egress_port = port->index};
	return link_protect(end, packet) ? GRE_INPUT_EDGE_PROTECT : GRE_INPUT_EDGE_ANSWER;
}

static rte_edge_t take_heartbeat(const struct receiver *receiver, struct rte_mbuf *packet,
	const struct gre *gre, uint16_t target)
{
	const struct vipa_secret *secret = vipa_secret(receiver->table, target);
	struct link_peer *peer = &receiver->end->peers[receiver->table->targets[target].peer];
	uint8_t body[HEARTBEAT_SIZE_MAX];
	uint32_t size = gre->payload_end - gre->payload_offset;
	struct heartbeat report, answer;
	const uint8_t *at;

	if (size > sizeof(body))
		return refuse(packet, DROP_gre_heartbeat);
	at = rte_pktmbuf_read(packet, gre->payload_offset, size, body);
	if (!at
		|| heartbeat_open(at, size, secret->bytes, &gre->source, &gre->destination, &report)
			!= HEARTBEAT_FINE
		|| report.kind != HEARTBEAT_REPORT)
		return refuse(packet, DROP_gre_heartbeat);
	/* From here on its sender is who it says: the answer goes where this came from. */
	link_learn_mac(peer, rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_ADDRESS_SIZE));
	if (health_take_report(target, &report, clock_monotonic_ns(), &answer))
		DISTRIBUTE_COUNT(receiver->own->targets[target].heartbeats, 1);
	return send_answer(receiver, packet, target, &answer);
}

/* ---- answers to clients ---- */

/* The inner packet, behind the outer frame's Ethernet header. */
static bool unwrap(struct rte_mbuf *packet, const struct gre *gre)
{
	uint8_t header[ETH_HEADER_SIZE];

	memcpy(header, rte_pktmbuf_mtod(packet, uint8_t *), sizeof(header));
	network_store16(header + ETH_TYPE_OFFSET, gre->protocol);
	if (gre->payload_end < packet->pkt_len
		&& rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - gre->payload_end)) < 0)
		return false;
	if (!rte_pktmbuf_adj(packet, (uint16_t)(gre->payload_offset - ETH_HEADER_SIZE)))
		return false;
	memcpy(rte_pktmbuf_mtod(packet, uint8_t *), header, sizeof(header));
	packet->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	return true;
}

/* The VIPA that has the inner packet's source address, in whatever VLAN; VIPA_NONE. */
static uint16_t find_source(const struct vipa_table *table, const struct rte_mbuf *packet)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_HEADER_SIZE);
	struct ip_address source = {.version = ip[0] >> 4};
	uint32_t size = ETH_HEADER_SIZE + (source.version == 4 ? 20U : 40U);

	if (packet->data_len < size)
		return VIPA_NONE;
	if (source.version == 4)
		memcpy(source.bytes, ip + 12, 4);
	else
		memcpy(source.bytes, ip + 8, 16);
	return vipa_find_any(table, &source);
}

static rte_edge_t take_answer(const struct receiver *receiver, struct rte_mbuf *packet,
	const struct gre *gre, uint16_t target, enum gre_kind kind)
{
	struct packet_metadata *metadata = packet_metadata(packet);
	uint16_t vipa;

	if (gre->protocol == GRE_HEARTBEAT || !unwrap(packet, gre))
		return refuse(packet, DROP_gre_malformed);
	vipa = find_source(receiver->table, packet);
	if (vipa == VIPA_NONE)
		return refuse(packet, DROP_gre_unknown);
	metadata->vlan = receiver->table->vipas[vipa].vlan;
	metadata->origin.kind = ORIGIN_TARGET;
	metadata->origin.vlan = metadata->vlan;
	metadata->service = (struct service_tag){
		.vipa = vipa, .target = target, .is_secure = kind == GRE_SECURE};
	trace_step(packet, "gre_input", "of target %s", receiver->table->targets[target].name);
	return GRE_INPUT_EDGE_ORIGIN_TAG;
}

/* ---- the node ---- */

static rte_edge_t take(const struct receiver *receiver, struct rte_mbuf *packet)
{
	struct gre gre;
	enum gre_fault fault = gre_parse(
		rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len, &gre);
	uint16_t target;
	int kind;

	if (fault == GRE_NO_KEY)
		return refuse(packet, DROP_gre_key);
	if (fault != GRE_FINE) {
		trace_step(packet, "gre_input", "malformed: %s", gre_fault_name(fault));
		return refuse(packet, DROP_gre_malformed);
	}
	if (!receiver->end || receiver->end->port != packet_metadata(packet)->origin.ingress_port
		|| !ip_address_is_equal(&gre.destination, &receiver->end->local))
		return refuse(packet, DROP_gre_link);
	target = find_target(receiver, &gre.source);
	if (target == VIPA_NONE)
		return refuse(packet, DROP_gre_sender);
	kind = gre_kind_of(&vipa_secret(receiver->table, target)->from_target, gre.key);
	if (kind < 0) {
		DISTRIBUTE_COUNT(receiver->own->targets[target].refused, 1);
		return refuse(packet, DROP_gre_key);
	}
	if (kind == GRE_CONTROL)
		return gre.protocol == GRE_HEARTBEAT
			? take_heartbeat(receiver, packet, &gre, target)
			: refuse(packet, DROP_gre_malformed);
	return take_answer(receiver, packet, &gre, target, (enum gre_kind)kind);
}

static uint16_t gre_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct receiver receiver = {.table = publish_read(&vipa_table),
		.own = distributor_own(),
		.end = link_end_of(publish_read(&link_table), LINK_DISTRIBUTOR)};

	if (!receiver.table)
		receiver.end = NULL;
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = pool_gather(objects[i]);
		rte_edge_t edge;

		if (unlikely(!packet)) {
			packet = objects[i];
			edge = refuse(packet, DROP_no_memory);
		} else {
			edge = take(&receiver, packet);
		}
		node_forward(graph, node, edge, packet);
	}
	return count;
}

struct rte_node_register gre_input_node = {
	.name = "gre_input",
	.process = gre_input_process,
	.nb_edges = GRE_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[GRE_INPUT_EDGE_ORIGIN_TAG] = "origin_tag",
			[GRE_INPUT_EDGE_ANSWER] = "tx",
			[GRE_INPUT_EDGE_PROTECT] = "ipsec_output",
			[GRE_INPUT_EDGE_DROP] = "drop",
		},
};
