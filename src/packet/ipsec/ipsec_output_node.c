/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipsec_output: what a VIPA sends, as policy has it (D5; RFC 4301 section 5.1): protected, passed
 * or discarded; at the distributor, and at a target, whose host sends it straight out (D9). What
 * leaves for a trusted link that demands protection, too (D10). What would get too big is cut
 * before it is protected, or its sender is told. Workers.
 */
#include "base/clock.h"
#include "packet/distributor/standby.h"
#include "packet/engine/drop_count.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pieces.h"
#include "packet/engine/pool.h"
#include "packet/engine/worker.h"
#include "packet/ipsec/ipsec_packet.h"
#include "packet/port/offload.h"
#include "wire/checksum.h"
#include "wire/icmp_error.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ip_frag.h>

#define DONT_FRAGMENT 0x40

enum ipsec_output_edge {
	IPSEC_OUTPUT_EDGE_VIPA_OUTPUT,
	IPSEC_OUTPUT_EDGE_DIRECT, /* of a target's station */
	IPSEC_OUTPUT_EDGE_LINK,
	/* Who is told that its packet is too big: */
	IPSEC_OUTPUT_EDGE_TO_TARGET,
	IPSEC_OUTPUT_EDGE_TO_HOST, /* this host, as a target */
	IPSEC_OUTPUT_EDGE_DROP,
	IPSEC_OUTPUT_EDGE_COUNT,
};

/* One call of the node. */
struct output {
	struct rte_graph *graph;
	struct rte_node *node;
	const struct ipsec_settings *settings;
	uint32_t mtu;
	uint64_t now_s;
};

/* A packet that is to be protected, as it was. */
struct around {
	const struct sa_outer *outer;
	uint8_t ethernet[ETH_HEADER_SIZE];
	uint32_t header_size; /* transport mode: of its IP header with extensions */
	uint8_t traffic_class;
	bool has_df;
};

struct burst {
	uint16_t count;
	struct sa *sas[ESP_BURST];
	struct esp_work works[ESP_BURST];
	struct around around[ESP_BURST];
};

/* Cut before they are protected: one worker cuts one packet at a time. */
static struct rte_mbuf *segments[WORKERS_MAX][OFFLOAD_SEGMENTS_MAX];

static void drop(const struct output *output, struct rte_mbuf *packet, enum drop_reason reason)
{
	trace_step(packet, "ipsec_output", "drop: %s", drop_descriptions[reason].name);
	drop_mark(packet, reason);
	node_forward(output->graph, output->node, IPSEC_OUTPUT_EDGE_DROP, packet);
}

static void pass(const struct output *output, struct rte_mbuf *packet)
{
	uint16_t flags = packet_metadata(packet)->flags;
	rte_edge_t edge = IPSEC_OUTPUT_EDGE_VIPA_OUTPUT;

	if (unlikely(flags & PACKET_IS_OF_LINK))
		edge = IPSEC_OUTPUT_EDGE_LINK;
	else if (unlikely(flags & PACKET_IS_OF_STATION))
		edge = IPSEC_OUTPUT_EDGE_DIRECT;
	node_forward(output->graph, output->node, edge, packet);
}

/* In the clear: never the answer of a connection that came by IPsec, nor what is for a link that
 * demands protection, whatever has become of the policies since (D3). */
static void bypass(const struct output *output, struct rte_mbuf *packet)
{
	if (unlikely(packet_metadata(packet)->service.is_secure)) {
		drop(output, packet, DROP_ipsec_required);
		return;
	}
	trace_step(packet, "ipsec_output", "bypasses IPsec");
	pass(output, packet);
}

/* ---- policy ---- */

/* Whether ESP may stand behind the packet's headers. */
static bool has_plain_headers(struct rte_mbuf *packet, const struct decoded *decoded)
{
	return ip_next_header(rte_pktmbuf_mtod_offset(packet, uint8_t *, ETH_HEADER_SIZE),
		decoded->ip_payload_offset - ETH_HEADER_SIZE);
}

/* Of transport mode: what goes to one of several peers behind one address never leaves by another
 * one's SA. NULL: there is none. */
static struct sa *choose_of_peer(
	const struct policy *policy, struct sa *sa, const struct packet_metadata *metadata)
{
	uint32_t peer = metadata->service.peer;
	uint64_t request = __atomic_load_n(&policy->request, __ATOMIC_RELAXED);
	struct sa *own;

	if (metadata->flags & (PACKET_IS_OF_LINK | PACKET_IS_OF_STATION))
		peer = IPSEC_PEER_BY_ADDRESS;
	if (likely(sa->peer == peer))
		return sa;
	own = sa_find_of_peer(peer, (uint32_t)(request >> 32), (uint32_t)request);
	if (own || (peer != IPSEC_PEER_BY_ADDRESS && peer != IPSEC_PEER_UNKNOWN))
		return own;
	return __atomic_load_n(&policy->has_many_peers, __ATOMIC_RELAXED) ? NULL : sa;
}

/* NULL: the packet is done with. */
static struct sa *choose(
	const struct output *output, struct rte_mbuf *packet, const struct decoded *decoded)
{
	struct policy_packet wanted;
	struct policy *policy;
	struct sa *sa;

	if (decoded->malformed || !decoded->ip_version || decoded->l3_offset != ETH_HEADER_SIZE) {
		drop(output, packet, DROP_ipsec_malformed);
		return NULL;
	}
	policy_packet_of(decoded, &wanted);
	policy = policy_find(POLICY_OUTBOUND, &wanted);
	if (policy)
		/* Relaxed: a statistic. */
		__atomic_add_fetch(&policy->packets, 1, __ATOMIC_RELAXED);
	if (policy ? policy->action == POLICY_BYPASS : output->settings->bypasses) {
		/* The ports, in the first fragment, may be what another policy protects. */
		if (unlikely(!wanted.has_ports && policy_may_protect(POLICY_OUTBOUND, &wanted)))
			drop(output, packet, DROP_ipsec_fragment);
		else
			bypass(output, packet);
		return NULL;
	}
	if (!policy || policy->action == POLICY_DISCARD) {
		drop(output, packet, DROP_ipsec_policy);
		return NULL;
	}
	sa = publish_read(&policy->sa);
	if (unlikely(!sa)) {
		policy_ask(policy, &wanted);
		drop(output, packet, DROP_ipsec_no_sa);
		return NULL;
	}
	if (sa->mode == SA_TRANSPORT)
		sa = choose_of_peer(policy, sa, packet_metadata_const(packet));
	if (unlikely(!sa)) {
		drop(output, packet, DROP_ipsec_peer);
	} else if (unlikely(sa->mode == SA_TRANSPORT
			   && (decoded->is_fragment || !has_plain_headers(packet, decoded)))) {
		/* RFC 4301 section 4.1: fragments are nothing for transport mode. */
		drop(output, packet, DROP_ipsec_fragment);
		sa = NULL;
	}
	return sa;
}

/* ---- size ---- */

static uint32_t port_mtu(uint16_t index)
{
	const struct port *port = port_at(index);

	/* Without a way out the nodes behind drop all. */
	return port ? __atomic_load_n(&port->mtu_bytes, __ATOMIC_RELAXED) : IPSEC_SIZE_MAX;
}

static uint32_t protected_size(const struct sa *sa, const struct decoded *decoded)
{
	const struct sa_outer *outer = publish_read(&sa->outer);
	uint32_t ip_size = decoded->l3_end - ETH_HEADER_SIZE;
	uint32_t kept = decoded->ip_payload_offset - ETH_HEADER_SIZE;

	if (sa->mode == SA_TUNNEL)
		return outer->size + esp_size_of(sa, ip_size);
	return kept + (outer->size - outer->ip_size) + esp_size_of(sa, ip_size - kept);
}

/* The largest IP packet that fits into mtu bytes when it is protected. */
static uint32_t inner_mtu(const struct sa *sa, const struct decoded *decoded, uint32_t mtu)
{
	const struct sa_outer *outer = publish_read(&sa->outer);
	uint32_t alignment = sa->crypto.alignment;
	uint32_t kept = sa->mode == SA_TUNNEL ? 0 : decoded->ip_payload_offset - ETH_HEADER_SIZE;
	uint32_t around = ESP_HEADER_SIZE + sa->crypto.iv_size + sa->crypto.icv_size + kept
		+ (sa->mode == SA_TUNNEL ? outer->size : outer->size - outer->ip_size);

	if (mtu < around + alignment)
		return 0;
	return (mtu - around) / alignment * alignment - ESP_TAIL_SIZE + kept;
}

static bool has_df(const struct decoded *decoded)
{
	return decoded->ip_version == 6 || decoded->frame[ETH_HEADER_SIZE + 6] & DONT_FRAGMENT;
}

/* What was put together here came in pieces, and is cut again. */
static bool may_be_cut(const struct rte_mbuf *packet, const struct decoded *decoded)
{
	return !has_df(decoded) || packet_metadata_const(packet)->flags & PACKET_IS_REASSEMBLED;
}

static void tell_sender(const struct output *output, struct rte_mbuf *packet,
	const struct decoded *decoded, uint32_t mtu)
{
	uint16_t flags = packet_metadata(packet)->flags;
	/* Of a link the senders are we: gre_output and target_reply leave the room that ESP needs.
	 */
	struct rte_mbuf *answer = flags & PACKET_IS_OF_LINK ? NULL : rte_pktmbuf_alloc(packet_pool);
	size_t size = 0;

	if (answer)
		size = icmp_error_write_too_big(rte_pktmbuf_mtod(answer, uint8_t *),
			rte_pktmbuf_tailroom(answer), decoded, mtu);
	if (size > 0) {
		answer->data_len = (uint16_t)size;
		answer->pkt_len = (uint32_t)size;
		*packet_metadata(answer) = *packet_metadata(packet);
		node_forward(output->graph, output->node,
			flags & PACKET_IS_OF_STATION ? IPSEC_OUTPUT_EDGE_TO_HOST
						     : IPSEC_OUTPUT_EDGE_TO_TARGET,
			answer);
	} else {
		rte_pktmbuf_free(answer);
	}
	drop(output, packet, DROP_ipsec_too_big);
}

static void protect_burst(const struct output *output, struct burst *burst);
static void add(const struct output *output, struct burst *burst, struct sa *sa,
	struct rte_mbuf *packet, struct decoded *decoded);

/* Each by the whole packet's SA: but for the first they have no ports that policy could ask for. */
static void protect_pieces(
	const struct output *output, struct sa *sa, struct rte_mbuf *const *pieces, int count)
{
	struct decoded decoded;
	struct burst burst;

	burst.count = 0;
	for (int i = 0; i < count; i++) {
		decode_headers(rte_pktmbuf_mtod(pieces[i], const uint8_t *), pieces[i]->data_len,
			pieces[i]->pkt_len, &decoded);
		add(output, &burst, sa, pieces[i], &decoded);
	}
	if (burst.count > 0)
		protect_burst(output, &burst);
}

/* RFC 4301 section 7, and DF of tunnels: pieces fit, and need not be put together by the peer's
 * IPsec. */
static void cut(const struct output *output, struct sa *sa, struct rte_mbuf *packet,
	const struct decoded *decoded, uint32_t mtu)
{
	struct rte_mbuf *pieces[PIECES_MAX];
	int count;

	if (rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - decoded->l3_end)) < 0) {
		drop(output, packet, DROP_ipsec_malformed);
		return;
	}
	count = pieces_cut(packet, mtu, pieces);
	if (count < 0)
		drop(output, packet, count == -ENOMEM ? DROP_no_memory : DROP_ipsec_too_big);
	else
		protect_pieces(output, sa, pieces, count);
}

static uint32_t mtu_of(const struct output *output, const struct rte_mbuf *packet)
{
	const struct packet_metadata *metadata = packet_metadata_const(packet);

	if (likely(!(metadata->flags & PACKET_IS_OF_LINK)))
		return output->mtu;
	return port_mtu(metadata->egress_port);
}

/* False: the packet is done with. */
static bool fits(const struct output *output, struct burst *burst, struct sa *sa,
	struct rte_mbuf *packet, const struct decoded *decoded)
{
	uint32_t path = __atomic_load_n(&sa->path_mtu, __ATOMIC_RELAXED);
	uint32_t mtu = mtu_of(output, packet), inner;

	mtu = path ? RTE_MIN(path, mtu) : mtu;
	if (likely(protected_size(sa, decoded) <= mtu))
		return true;
	inner = inner_mtu(sa, decoded, mtu);
	if (!may_be_cut(packet, decoded)) {
		tell_sender(output, packet, decoded, inner);
		return false;
	}
	/* Transport mode: the pieces are made behind it, of ESP (RFC 4301 section 4.1). */
	if (sa->mode == SA_TRANSPORT)
		return true;
	protect_burst(output, burst); /* the pieces must not overtake what came before */
	cut(output, sa, packet, decoded, inner);
	return false;
}

/* ---- around ESP ---- */

/* Gives the packet to the burst. */
static void take(
	struct burst *burst, struct sa *sa, struct rte_mbuf *packet, const struct decoded *decoded)
{
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *), *ip = frame + ETH_HEADER_SIZE;
	uint32_t ip_size = decoded->l3_end - ETH_HEADER_SIZE;
	struct around *around = &burst->around[burst->count];
	struct esp_work *work = &burst->works[burst->count];

	*around = (struct around){.outer = publish_read(&sa->outer),
		.traffic_class = ip_traffic_class(ip),
		.has_df = has_df(decoded)};
	memcpy(around->ethernet, frame, sizeof(around->ethernet));
	*work = (struct esp_work){.packet = packet, .at = ip, .size = ip_size};
	work->next_header = decoded->ip_version == 4 ? ESP_NEXT_IPV4 : ESP_NEXT_IPV6;
	if (sa->mode == SA_TRANSPORT) {
		around->header_size = decoded->ip_payload_offset - ETH_HEADER_SIZE;
		work->at += around->header_size;
		work->size -= around->header_size;
		work->next_header = *ip_next_header(ip, around->header_size);
		/* ESP's header comes where the IP header is: that one goes to its new place. */
		memmove(ip - esp_room_before(sa) - (around->outer->size - around->outer->ip_size),
			ip, around->header_size);
	}
	burst->sas[burst->count++] = sa;
}

/* Sets where the frame begins and how long it is; returns its IP header's place. */
static uint8_t *set_frame(const struct esp_work *work, const struct around *around, uint32_t before)
{
	struct rte_mbuf *packet = work->packet;
	uint8_t *frame = work->at - before - ETH_HEADER_SIZE;

	packet->data_off = (uint16_t)(frame - (uint8_t *)packet->buf_addr);
	packet->data_len = (uint16_t)(ETH_HEADER_SIZE + before + work->size);
	packet->pkt_len = packet->data_len;
	memcpy(frame, around->ethernet, sizeof(around->ethernet));
	return frame + ETH_HEADER_SIZE;
}

static void put_tunnel_around(
	const struct sa *sa, const struct esp_work *work, const struct around *around)
{
	const struct sa_outer *outer = around->outer;
	struct outer_choice choice = {
		.id = (uint16_t)work->sequence, .has_df = sa->copies_df && around->has_df};
	uint8_t *ip = set_frame(work, around, outer->size);

	if (sa->copies_dscp)
		choice.tos |= (uint8_t)(around->traffic_class & ~ECN_MASK);
	if (sa->copies_ecn)
		choice.tos |= (uint8_t)(around->traffic_class & ECN_MASK);
	outer_write(ip, outer, &choice, work->size);
	network_store16(ip - ETH_HEADER_SIZE + ETH_TYPE_OFFSET,
		outer->source.version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
}

static void put_transport_around(const struct esp_work *work, const struct around *around)
{
	uint32_t udp_size = around->outer->size - around->outer->ip_size;
	uint32_t header_size = around->header_size;
	uint8_t *ip = set_frame(work, around, header_size + udp_size);

	ip_set_payload(ip, ip_next_header(ip, header_size), udp_size ? IPPROTO_UDP : ESP_PROTOCOL,
		header_size + udp_size + work->size);
	if (udp_size)
		outer_write_udp(ip, header_size, around->outer, work->size);
}

static void protect_burst(const struct output *output, struct burst *burst)
{
	ipsec_by_sa(burst->sas, burst->works, burst->count, output->now_s, esp_seal);
	for (uint16_t i = 0; i < burst->count; i++) {
		const struct sa *sa = burst->sas[i];
		struct esp_work *work = &burst->works[i];

		if (unlikely(work->reason != DROP_none)) {
			drop(output, work->packet, (enum drop_reason)work->reason);
			continue;
		}
		if (sa->mode == SA_TUNNEL)
			put_tunnel_around(sa, work, &burst->around[i]);
		else
			put_transport_around(work, &burst->around[i]);
		trace_step(work->packet, "ipsec_output", "SPI 0x%x, number %lu: protected",
			sa->name.spi, (unsigned long)work->sequence);
		pass(output, work->packet);
	}
	burst->count = 0;
}

/* Gives a packet that fits to the burst, with room for ESP; a full burst goes. */
static void add(const struct output *output, struct burst *burst, struct sa *sa,
	struct rte_mbuf *packet, struct decoded *decoded)
{
	enum drop_reason reason;
	struct rte_mbuf *roomy = ipsec_make_room(packet,
		esp_room_before(sa) + SA_OUTER_IP_MAX + ESP_UDP_SIZE, ESP_ROOM_BEHIND, &reason);

	if (unlikely(!roomy)) {
		drop(output, packet, reason);
		return;
	}
	decoded->frame = rte_pktmbuf_mtod(roomy, const uint8_t *);
	take(burst, sa, roomy, decoded);
	if (burst->count == ESP_BURST)
		protect_burst(output, burst);
}

static void protect(const struct output *output, struct burst *burst, struct rte_mbuf *packet)
{
	struct decoded decoded;
	struct sa *sa;

	decode_headers(rte_pktmbuf_mtod(packet, const uint8_t *), packet->data_len, packet->pkt_len,
		&decoded);
	sa = choose(output, packet, &decoded);
	if (sa && likely(fits(output, burst, sa, packet, &decoded)))
		add(output, burst, sa, packet, &decoded);
}

static void protect_all(const struct output *output, struct rte_mbuf **packets, uint16_t count)
{
	struct burst burst;

	burst.count = 0;
	for (uint16_t i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(packets[i], const uint8_t *));
	for (uint16_t i = 0; i < count; i++)
		protect(output, &burst, packets[i]);
	if (burst.count > 0)
		protect_burst(output, &burst);
}

/* ---- the node ---- */

/* Checksums that the sender left to others have to be right inside of ESP, and super-frames are
 * cut. */
static void finish_offloads(const struct output *output, struct rte_mbuf *packet)
{
	uint16_t port = packet_metadata(packet)->origin.ingress_port;
	int count =
		offload_finish(packet, packet_pool, segments[worker_index], OFFLOAD_SEGMENTS_MAX);

	if (unlikely(count < 0)) /* the packet is freed */
		drop_note(port, count == -ENOMEM ? DROP_no_memory : DROP_rx_malformed, 1);
	else
		protect_all(output, segments[worker_index], (uint16_t)count);
}

static uint16_t ipsec_output_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct output output = {.graph = graph,
		.node = node,
		.settings = publish_read(&ipsec_settings),
		.now_s = clock_monotonic_ns() / CLOCK_NS_PER_S};
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;
	uint16_t from = 0;

	/* Before a number is taken: it may be another daemon's already. */
	if (standby_is_silent()) {
		for (uint16_t i = 0; i < count; i++)
			drop(&output, packets[i], DROP_vipa_standby);
		return count;
	}
	if (!output.settings) {
		for (uint16_t i = 0; i < count; i++)
			bypass(&output, packets[i]);
		return count;
	}
	output.mtu = port_mtu(output.settings->physical_port);
	for (uint16_t i = 0; i < count; i++) {
		if (likely(!offload_is_needed(packets[i])))
			continue;
		protect_all(&output, packets + from, (uint16_t)(i - from));
		finish_offloads(&output, packets[i]);
		from = (uint16_t)(i + 1);
	}
	protect_all(&output, packets + from, (uint16_t)(count - from));
	return count;
}

struct rte_node_register ipsec_output_node = {
	.name = "ipsec_output",
	.process = ipsec_output_process,
	.nb_edges = IPSEC_OUTPUT_EDGE_COUNT,
	.next_nodes =
		{
			[IPSEC_OUTPUT_EDGE_VIPA_OUTPUT] = "vipa_output",
			[IPSEC_OUTPUT_EDGE_DIRECT] = "target_direct",
			[IPSEC_OUTPUT_EDGE_LINK] = "tx",
			[IPSEC_OUTPUT_EDGE_TO_TARGET] = "gre_output",
			[IPSEC_OUTPUT_EDGE_TO_HOST] = "target_input",
			[IPSEC_OUTPUT_EDGE_DROP] = "drop",
		},
};
