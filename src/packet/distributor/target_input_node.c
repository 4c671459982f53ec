/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target_input: GRE from a trusted link, for this host as a target. It is taken from a
 * distributor's address, on the link that it is on, with one of the keys that are shared with it,
 * and for one of our VIPAs (D7's mirror); then the host gets the packet inside, and by which way
 * the flow came is remembered (D9). Common filters are not asked: the distributor has (D8). They
 * are asked for what came to our station by our own IPsec. Workers.
 */
#include "base/clock.h"
#include "packet/distributor/filter.h"
#include "packet/distributor/target.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/port/port.h"
#include "wire/decode.h"

#include <netinet/in.h>

enum target_input_edge { TARGET_INPUT_EDGE_TX, TARGET_INPUT_EDGE_DROP, TARGET_INPUT_EDGE_COUNT };

/* One call of the node. */
struct receiver {
	const struct target_table *table; /* NULL: this host is no target */
	struct target_worker *own;
	struct link_end *end;
	const struct filter_set *filters;
	const struct port *host; /* the hidden interface; NULL: it is not there */
	uint32_t now_s;
};

static rte_edge_t refuse(struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "target_input", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	return TARGET_INPUT_EDGE_DROP;
}

/* ---- who sent it ---- */

/* enum gre_kind, or -1. */
static int find_kind(const struct target_keys *keys, uint32_t key)
{
	int found = -1;

	for (uint8_t i = 0; i < keys->count; i++) {
		int kind = gre_kind_of(&keys->keys[i].to_target, key);

		if (kind >= 0)
			found = kind;
	}
	return found;
}

static enum drop_reason reason_of(enum gre_fault fault)
{
	return fault == GRE_NO_KEY ? DROP_gre_key : DROP_gre_malformed;
}

static bool is_by_our_link(
	const struct receiver *receiver, const struct rte_mbuf *packet, const struct gre *gre)
{
	return receiver->end
		&& receiver->end->port == packet_metadata_const(packet)->origin.ingress_port
		&& ip_address_is_equal(&gre->destination, &receiver->end->local);
}

/* ---- for whom it is ---- */

/* The inner packet, behind an Ethernet header without addresses. */
static bool unwrap(struct rte_mbuf *packet, const struct gre *gre)
{
	uint8_t *frame;

	if (gre->payload_end < packet->pkt_len
		&& rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - gre->payload_end)) < 0)
		return false;
	frame = (uint8_t *)rte_pktmbuf_adj(
		packet, (uint16_t)(gre->payload_offset - ETH_HEADER_SIZE));
	if (!frame)
		return false;
	network_store16(frame + ETH_TYPE_OFFSET, gre->protocol);
	packet->ol_flags &= ~RTE_MBUF_F_TX_OFFLOAD_MASK;
	return true;
}

static void address_to_host(struct rte_mbuf *packet, const struct port *host)
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *);

	memcpy(frame, host->mac, ETH_ADDRESS_SIZE);
	memcpy(frame + ETH_ADDRESS_SIZE, host->mac, ETH_ADDRESS_SIZE);
	frame[ETH_ADDRESS_SIZE] ^= 0x40; /* nobody's: the other end of the TAP */
	packet_metadata(packet)->egress_port = host->index;
}

/* What no client can have. */
static bool is_odd_source(const struct target_table *table, const struct ip_address *source)
{
	if (target_has_vipa(table, source))
		return true;
	if (source->version == 4)
		return source->bytes[0] == 0 || source->bytes[0] == 127 || source->bytes[0] >= 224;
	return source->bytes[0] == 0xff
		|| (network_load32(source->bytes) == 0 && network_load32(source->bytes + 4) == 0
			&& network_load32(source->bytes + 8) == 0
			&& network_load32(source->bytes + 12) <= 1);
}

static bool has_ports(const struct decoded *decoded)
{
	return decoded->l4_offset
		&& (decoded->protocol == IPPROTO_TCP || decoded->protocol == IPPROTO_UDP
			|| decoded->protocol == IPPROTO_SCTP);
}

/* Later fragments, and ICMP, are no flow of their own. */
static bool remember(
	const struct receiver *receiver, const struct decoded *decoded, struct target_way way)
{
	struct target_flow_key key = {.client_port = decoded->source_port,
		.port = decoded->destination_port,
		.ip_version = decoded->ip_version,
		.protocol = decoded->protocol};

	if (!has_ports(decoded))
		return true;
	memcpy(key.client, decoded->source, sizeof(key.client));
	memcpy(key.vipa, decoded->destination, sizeof(key.vipa));
	return target_flow_learn(receiver->own->flows, &key, way,
		decoded->protocol == IPPROTO_TCP ? decoded->tcp_flags : 0, receiver->now_s);
}

/* Of a frame with the client's packet: the host gets it. */
static rte_edge_t deliver(const struct receiver *receiver, struct rte_mbuf *packet,
	const struct decoded *decoded, struct target_way way)
{
	struct ip_address source, destination;

	source.version = destination.version = decoded->ip_version;
	memcpy(source.bytes, decoded->source, sizeof(source.bytes));
	memcpy(destination.bytes, decoded->destination, sizeof(destination.bytes));
	if (!target_has_vipa(receiver->table, &destination)
		|| is_odd_source(receiver->table, &source))
		return refuse(packet, DROP_target_address);
	if (!remember(receiver, decoded, way))
		return refuse(packet, DROP_target_full);
	address_to_host(packet, receiver->host);
	return TARGET_INPUT_EDGE_TX;
}

static rte_edge_t take_packet(const struct receiver *receiver, struct rte_mbuf *packet,
	const struct gre *gre, enum gre_kind kind, uint8_t peer)
{
	const struct target_way way = {
		.kind = kind == GRE_SECURE ? TARGET_WAY_SECURE : TARGET_WAY_PLAIN, .peer = peer};
	struct decoded decoded;
	rte_edge_t edge;

	if (!receiver->host)
		return refuse(packet, DROP_tx_down);
	if (gre->protocol == GRE_HEARTBEAT || !unwrap(packet, gre))
		return refuse(packet, DROP_gre_malformed);
	decode_headers(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len,
		&decoded);
	if (decoded.malformed || !decoded.ip_version)
		return refuse(packet, DROP_gre_malformed);
	edge = deliver(receiver, packet, &decoded, way);
	if (edge == TARGET_INPUT_EDGE_TX) {
		TARGET_COUNT(receiver->own->totals.from_distributor[kind]);
		trace_step(packet, "target_input", "%s, to the host",
			kind == GRE_SECURE ? "came by IPsec" : "came in clear");
	}
	return edge;
}

/* What ipsec_input has decrypted; and what ipsec_output tells the host of what it sent. */
static rte_edge_t take_own(const struct receiver *receiver, struct rte_mbuf *packet)
{
	bool is_decrypted = packet_metadata(packet)->origin.kind == ORIGIN_DECRYPTED;
	const struct target_way way = {.kind = TARGET_WAY_PROTECTED, .peer = TARGET_PEER_NONE};
	struct decoded decoded;
	rte_edge_t edge;

	if (!receiver->table || !receiver->host)
		return refuse(packet, DROP_tx_down);
	decode_headers(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len,
		&decoded);
	if (is_decrypted && !filter_check(receiver->filters, &decoded))
		return refuse(packet, DROP_filter_rule);
	edge = deliver(receiver, packet, &decoded, way);
	if (is_decrypted && edge == TARGET_INPUT_EDGE_TX) {
		TARGET_COUNT(receiver->own->totals.decrypted);
		trace_step(packet, "target_input", "came by our own IPsec, to the host");
	}
	return edge;
}

/* Heartbeats end here. */
static rte_edge_t take_control(const struct receiver *receiver, struct rte_mbuf *packet,
	const struct gre *gre, uint8_t peer)
{
	if (gre->protocol != GRE_HEARTBEAT
		|| !target_take_answer(receiver->table, peer, packet, gre))
		return refuse(packet, DROP_gre_heartbeat);
	rte_pktmbuf_free(packet);
	return TARGET_INPUT_EDGE_COUNT;
}

/* ---- the node ---- */

/* TARGET_INPUT_EDGE_COUNT: it is taken. */
static rte_edge_t take(const struct receiver *receiver, struct rte_mbuf *packet)
{
	struct gre gre;
	enum gre_fault fault = gre_parse(
		rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len, &gre);
	int peer, kind;

	if (fault != GRE_FINE) {
		trace_step(packet, "target_input", "GRE: %s", gre_fault_name(fault));
		return refuse(packet, reason_of(fault));
	}
	if (!is_by_our_link(receiver, packet, &gre))
		return refuse(packet, DROP_gre_link);
	peer = link_find_peer(receiver->end, &gre.source);
	if (peer < 0)
		return refuse(packet, DROP_gre_sender);
	kind = find_kind(target_keys(receiver->table, (uint8_t)peer), gre.key);
	if (kind < 0) {
		TARGET_COUNT(target_peers[peer].refused);
		return refuse(packet, DROP_gre_key);
	}
	if (kind == GRE_CONTROL)
		return take_control(receiver, packet, &gre, (uint8_t)peer);
	return take_packet(receiver, packet, &gre, (enum gre_kind)kind, (uint8_t)peer);
}

static uint16_t target_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct receiver receiver = {.table = publish_read(&target_table),
		.own = target_workers[worker_index],
		.filters = publish_read(&filter_set),
		.now_s = (uint32_t)(clock_monotonic_ns() / CLOCK_NS_PER_S)};

	if (receiver.table) {
		receiver.end = link_end_of(publish_read(&link_table), LINK_TARGET);
		receiver.host = port_at(receiver.table->host_port);
	}
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *packet = pool_gather(objects[i]);
		rte_edge_t edge;

		if (unlikely(!packet)) {
			packet = objects[i];
			edge = refuse(packet, DROP_no_memory);
		} else {
			edge = packet_metadata(packet)->flags & PACKET_IS_OF_STATION
				? take_own(&receiver, packet)
				: take(&receiver, packet);
		}
		if (edge != TARGET_INPUT_EDGE_COUNT)
			node_forward(graph, node, edge, packet);
	}
	return count;
}

struct rte_node_register target_input_node = {
	.name = "target_input",
	.process = target_input_process,
	.nb_edges = TARGET_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[TARGET_INPUT_EDGE_TX] = "tx",
			[TARGET_INPUT_EDGE_DROP] = "drop",
		},
};
