/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target_reply: what the host sends from its VIPAs, through the hidden interface. Answers go the
 * way that their connection came by: back to the distributor in GRE, when it came to it by IPsec,
 * else straight out, past the common filters and with our own IPsec where policy asks for it (D8,
 * D9). An answer whose connection is not known (any more) goes nowhere: it may be one that is
 * nobody's to see. Workers.
 */
#include "base/clock.h"
#include "packet/distributor/filter.h"
#include "packet/distributor/target.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"
#include "wire/decode.h"
#include "wire/icmp_error.h"
#include "wire/tcp.h"

#include <netinet/in.h>

#define PIECE_LIMIT_S                                                                              \
	30 /* RFC 8200 section 4.5 says 60 of the receiver; our host sends at once                 \
	    */

enum target_reply_edge {
	TARGET_REPLY_EDGE_LINK,
	TARGET_REPLY_EDGE_IPSEC, /* straight out; or to the distributor, by a link that demands it
				  */
	TARGET_REPLY_EDGE_DROP,
	TARGET_REPLY_EDGE_COUNT,
};

/* One call of the node. */
struct replier {
	struct rte_graph *graph;
	struct rte_node *node;
	const struct target_table *table; /* NULL: this host is no target (any more) */
	struct target_worker *own;
	const struct filter_set *filters;
	const struct link_end *end;
	const struct port *link; /* NULL: it is down */
	struct target_flows *flows[WORKERS_MAX];
	uint16_t flows_count;
	uint32_t now_s;
};

static void drop(const struct replier *replier, struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "target_reply", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	node_forward(replier->graph, replier->node, TARGET_REPLY_EDGE_DROP, packet);
}

/* ---- which way ---- */

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

/* The flow that a packet of ours belongs to. */
static struct target_flow_key key_of(const struct decoded *decoded)
{
	struct target_flow_key key = {.client_port = decoded->destination_port,
		.port = decoded->source_port,
		.ip_version = decoded->ip_version,
		.protocol = decoded->protocol};

	memcpy(key.client, decoded->destination, sizeof(key.client));
	memcpy(key.vipa, decoded->source, sizeof(key.vipa));
	return key;
}

/* The flow that an ICMP error of ours is about: what it quotes is the client's packet. */
static bool key_of_error(const struct decoded *decoded, struct target_flow_key *key)
{
	struct decoded about;

	if (icmp_error_read(decoded, &about) != 0 || !has_ports(about.protocol))
		return false;
	*key = (struct target_flow_key){.client_port = about.source_port,
		.port = about.destination_port,
		.ip_version = about.ip_version,
		.protocol = about.protocol};
	memcpy(key->client, about.source, sizeof(key->client));
	memcpy(key->vipa, about.destination, sizeof(key->vipa));
	return true;
}

/* Begun by this host: the first packet of TCP, others from ports that no client comes to. Which
 * those are only a list of services says: without one any datagram may be a late answer. */
static struct target_way way_of_own(const struct replier *replier, const struct decoded *decoded,
	const struct target_flow_key *key)
{
	const struct target_way own = {.kind = TARGET_WAY_OWN, .peer = TARGET_PEER_NONE};
	const struct target_way unknown = {.kind = TARGET_WAY_UNKNOWN};

	if (target_has_service(replier->table, decoded->protocol, decoded->source_port))
		return unknown;
	if (decoded->protocol != IPPROTO_TCP)
		return replier->table->service_count > 0 ? own : unknown;
	if ((decoded->tcp_flags & (TCP_SYN | TCP_ACK)) != TCP_SYN)
		return unknown;
	/* Remembered, so that what follows is known. */
	return target_flow_learn(replier->own->flows, key, own, TCP_SYN, replier->now_s) ? own
											 : unknown;
}

static struct target_way way_of_flow(const struct replier *replier, const struct decoded *decoded)
{
	struct target_flow_key key = key_of(decoded);
	struct target_way way;

	if (!has_ports(decoded->protocol)) {
		/* Echo, say: from the host's own hand. Of what it reports of a flow that is not
		 * known, nobody is told. */
		if (icmp_error_read(decoded, &(struct decoded){.frame = NULL}) == -ENOENT)
			return (struct target_way){.kind = TARGET_WAY_OWN};
		if (!key_of_error(decoded, &key))
			return (struct target_way){.kind = TARGET_WAY_UNKNOWN};
		return target_flow_find(replier->flows, replier->flows_count, &key, replier->now_s);
	}
	way = target_flow_find(replier->flows, replier->flows_count, &key, replier->now_s);
	return way.kind == TARGET_WAY_UNKNOWN ? way_of_own(replier, decoded, &key) : way;
}

/* ---- fragments: those behind go as their first one did ---- */

static uint64_t datagram_of(const struct decoded *decoded)
{
	uint64_t words[4], hash = (uint64_t)decoded->fragment_id << 8 | decoded->protocol;

	memcpy(words, decoded->source, 16);
	memcpy(words + 2, decoded->destination, 16);
	for (int i = 0; i < 4; i++)
		hash = (hash ^ words[i]) * 0xff51afd7ed558ccdULL ^ hash >> 29;
	return hash ? hash : 1;
}

static struct target_way way_of(const struct replier *replier, const struct decoded *decoded)
{
	uint64_t datagram;
	struct target_piece *piece;

	if (likely(!decoded->is_fragment))
		return way_of_flow(replier, decoded);
	datagram = datagram_of(decoded);
	piece = &replier->own->pieces[datagram % TARGET_PIECES_MAX];
	if (decoded->is_first_fragment)
		*piece = (struct target_piece){.datagram = datagram,
			.way = way_of_flow(replier, decoded),
			.seen_s = replier->now_s};
	if (piece->datagram != datagram || replier->now_s - piece->seen_s > PIECE_LIMIT_S)
		return (struct target_way){.kind = TARGET_WAY_UNKNOWN};
	return piece->way;
}

/* ---- back to the distributor ---- */

static void wrap(const struct replier *replier, struct rte_mbuf *packet, uint8_t peer)
{
	const struct target_keys *keys = target_keys(replier->table, peer);
	uint16_t type =
		network_load16(rte_pktmbuf_mtod_offset(packet, const uint8_t *, ETH_TYPE_OFFSET));

	rte_pktmbuf_adj(packet, ETH_HEADER_SIZE);
	if (!target_wrap(packet, replier->end, peer, replier->link,
		    keys->keys[0].to_distributor.keys[GRE_SECURE], type)) {
		drop(replier, packet, DROP_link_no_peer);
		return;
	}
	packet_metadata(packet)->egress_port = replier->link->index;
	packet_metadata(packet)->vlan = 0;
	TARGET_COUNT(replier->own->totals.to_distributor);
	trace_step(packet, "target_reply", "to the distributor");
	node_forward(replier->graph, replier->node,
		link_protect(replier->end, packet) ? TARGET_REPLY_EDGE_IPSEC
						   : TARGET_REPLY_EDGE_LINK,
		packet);
}

/* The host leaves checksums and cutting to us; a distributor gets what is finished. */
static void send_back(const struct replier *replier, struct rte_mbuf *packet, uint8_t peer)
{
	struct rte_mbuf *parts[OFFLOAD_SEGMENTS_MAX];
	int count;

	if (!replier->link || peer >= replier->end->peer_count
		|| !target_keys(replier->table, peer)->count) {
		drop(replier, packet, DROP_link_no_peer);
		return;
	}
	if (offload_is_super_frame(packet)) {
		count = offload_segment(packet, packet_pool, parts, OFFLOAD_SEGMENTS_MAX);
		if (count < 0) {
			drop(replier, packet,
				count == -ENOMEM ? DROP_no_memory : DROP_rx_malformed);
			return;
		}
		rte_pktmbuf_free(packet);
		for (int i = 0; i < count; i++)
			wrap(replier, parts[i], peer);
		return;
	}
	if (offload_is_needed(packet) && offload_finish_checksum(&packet, packet_pool) < 0) {
		drop(replier, packet, DROP_no_memory);
		return;
	}
	wrap(replier, packet, peer);
}

/* ---- straight out ---- */

static void send_straight(const struct replier *replier, struct rte_mbuf *packet, bool is_secure)
{
	struct packet_metadata *metadata = packet_metadata(packet);

	metadata->origin.kind = ORIGIN_HOST;
	metadata->origin.vlan = replier->table->vlan;
	metadata->flags |= PACKET_IS_OF_STATION;
	metadata->service = (struct service_tag){
		.vipa = SERVICE_NO_TARGET, .target = SERVICE_NO_TARGET, .is_secure = is_secure};
	trace_step(packet, "target_reply", "straight out");
	node_forward(replier->graph, replier->node, TARGET_REPLY_EDGE_IPSEC, packet);
}

/* ---- the node ---- */

static void reply(const struct replier *replier, struct rte_mbuf *packet)
{
	struct ip_address source;
	struct decoded decoded;
	struct target_way way;

	decode_headers(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len,
		&decoded);
	source.version = decoded.ip_version;
	memcpy(source.bytes, decoded.source, sizeof(source.bytes));
	/* Of an interface that is up, the kernel itself sends a little, too. */
	if (!replier->table || decoded.malformed || !decoded.ip_version
		|| !target_has_vipa(replier->table, &source)) {
		drop(replier, packet, DROP_target_source);
		return;
	}
	way = way_of(replier, &decoded);
	switch (way.kind) {
	case TARGET_WAY_SECURE:
		send_back(replier, packet, way.peer);
		break;
	case TARGET_WAY_PLAIN:
	case TARGET_WAY_OWN:
	case TARGET_WAY_PROTECTED:
		if (filter_check(replier->filters, &decoded))
			send_straight(replier, packet, way.kind == TARGET_WAY_PROTECTED);
		else
			drop(replier, packet, DROP_filter_rule);
		break;
	default:
		drop(replier, packet, DROP_target_flow);
	}
}

static void begin(struct replier *replier)
{
	for (uint16_t i = 0; i < worker_count(); i++)
		if (target_workers[i])
			replier->flows[replier->flows_count++] = target_workers[i]->flows;
	replier->end = link_end_of(publish_read(&link_table), LINK_TARGET);
	replier->link = replier->end ? link_port(replier->end) : NULL;
}

static uint16_t target_reply_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct replier replier = {.graph = graph,
		.node = node,
		.table = publish_read(&target_table),
		.own = target_workers[worker_index],
		.filters = publish_read(&filter_set),
		.now_s = (uint32_t)(clock_monotonic_ns() / CLOCK_NS_PER_S)};

	if (replier.table)
		begin(&replier);
	for (uint16_t i = 0; i < count; i++)
		reply(&replier, objects[i]);
	return count;
}

struct rte_node_register target_reply_node = {
	.name = "target_reply",
	.process = target_reply_process,
	.nb_edges = TARGET_REPLY_EDGE_COUNT,
	.next_nodes =
		{
			[TARGET_REPLY_EDGE_LINK] = "tx",
			[TARGET_REPLY_EDGE_IPSEC] = "ipsec_output",
			[TARGET_REPLY_EDGE_DROP] = "drop",
		},
};
