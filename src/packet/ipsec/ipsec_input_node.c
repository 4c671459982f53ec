/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipsec_input: ESP addressed to a VIPA (D4), to a target's own address (D9), or to ours on a
 * trusted link (D10), bare or in UDP. Its SA is found by SPI and destination; the packet is
 * checked, opened, checked again inside, and goes on as decrypted (D12). Workers.
 */
#include "base/clock.h"
#include "packet/engine/nodes.h"
#include "packet/engine/worker.h"
#include "packet/ipsec/ipsec_packet.h"
#include "packet/port/offload.h"
#include "wire/checksum.h"

#include <netinet/in.h>

enum ipsec_input_edge {
	IPSEC_INPUT_EDGE_ORIGIN_TAG,
	IPSEC_INPUT_EDGE_TARGET, /* of a target's station */
	IPSEC_INPUT_EDGE_LINK,
	IPSEC_INPUT_EDGE_DROP,
	IPSEC_INPUT_EDGE_COUNT,
};

/* What is around the ESP of a packet. */
struct around {
	struct decoded decoded;
	struct ip_address source, destination;
	bool is_encapsulated;
	uint32_t header_size; /* IP with extensions, without UDP */
};

/* Up to ESP_BURST packets of one call. */
struct burst {
	uint16_t count;
	struct rte_mbuf *packets[ESP_BURST];
	struct sa *sas[ESP_BURST]; /* NULL: there is nothing to open */
	struct esp_work works[ESP_BURST];
	struct around around[ESP_BURST];
};

/* ---- finding the SA ---- */

static enum drop_reason find_esp(struct around *around, uint32_t *at)
{
	const struct decoded *decoded = &around->decoded;

	if (decoded->malformed || decoded->l3_offset != ETH_HEADER_SIZE || !decoded->ip_version)
		return DROP_ipsec_malformed;
	if (decoded->is_fragment)
		return DROP_ipsec_fragment;
	around->header_size = decoded->ip_payload_offset - ETH_HEADER_SIZE;
	around->source.version = around->destination.version = decoded->ip_version;
	memcpy(around->source.bytes, decoded->source, sizeof(around->source.bytes));
	memcpy(around->destination.bytes, decoded->destination, sizeof(around->destination.bytes));
	around->is_encapsulated = decoded->protocol == IPPROTO_UDP;
	if (!around->is_encapsulated && decoded->protocol != ESP_PROTOCOL)
		return DROP_ipsec_malformed;
	*at = around->is_encapsulated ? decoded->payload_offset : decoded->ip_payload_offset;
	if (*at == 0 || *at + ESP_HEADER_SIZE > decoded->l3_end)
		return DROP_ipsec_malformed;
	return DROP_none;
}

static enum drop_reason look_up(struct burst *burst, uint16_t i)
{
	struct around *around = &burst->around[i];
	enum drop_reason reason;
	struct rte_mbuf *packet;
	uint32_t at, spi_wire;
	struct sa *sa;

	decode_headers(rte_pktmbuf_mtod(burst->packets[i], const uint8_t *),
		burst->packets[i]->data_len, burst->packets[i]->pkt_len, &around->decoded);
	if (unlikely(around->decoded.icmp_type) && ipsec_take_error(&around->decoded))
		return DROP_ipsec_error;
	reason = find_esp(around, &at);
	if (unlikely(reason))
		return reason;
	packet = ipsec_make_room(burst->packets[i], 0, 0, &reason);
	if (unlikely(!packet))
		return reason;
	burst->packets[i] = packet;
	burst->works[i] = (struct esp_work){.packet = packet,
		.at = rte_pktmbuf_mtod_offset(packet, uint8_t *, at),
		.size = around->decoded.l3_end - at};
	memcpy(&spi_wire, burst->works[i].at, sizeof(spi_wire));
	sa = sa_look_up(SA_INBOUND, spi_wire, &around->destination);
	if (unlikely(!sa))
		return DROP_ipsec_unknown_spi;
	if (unlikely(publish_read(&sa->outer)->has_encapsulation != around->is_encapsulated))
		return DROP_ipsec_encapsulation;
	burst->sas[i] = sa;
	return DROP_none;
}

/* ---- behind the opening ---- */

/* RFC 3948, RFC 7296 section 2.23: an authentic packet, the newest one, that comes from elsewhere.
 * The manager of keys decides. */
static void note_mapping(struct sa *sa, const struct around *around, uint64_t sequence)
{
	const struct sa_outer *outer = publish_read(&sa->outer);
	bool is_told = false;

	if (likely(!around->is_encapsulated
		    || (outer->source_port == around->decoded.source_port
			    && ip_address_is_equal(&outer->source, &around->source))))
		return;
	rte_spinlock_lock(&sa->lock);
	/* Acquire and release: the partner is take_mapping(). */
	if (sequence == sa->window.highest
		&& !__atomic_load_n(&sa->mapping.is_news, __ATOMIC_ACQUIRE)) {
		sa->mapping.source = around->source;
		sa->mapping.source_port = around->decoded.source_port;
		__atomic_store_n(&sa->mapping.is_news, true, __ATOMIC_RELEASE);
		is_told = true;
	}
	rte_spinlock_unlock(&sa->lock);
	if (is_told)
		worker_notify_control();
}

/* Lets the frame begin with the kept header of header_size bytes, in front of the payload. */
static void move_headers(const struct esp_work *work, uint32_t header_size)
{
	struct rte_mbuf *packet = work->packet;
	uint8_t *frame = rte_pktmbuf_mtod(packet, uint8_t *), *to = work->at - header_size;

	memmove(to, frame, header_size);
	rte_pktmbuf_adj(packet, (uint16_t)(to - frame));
	packet->data_len = (uint16_t)(header_size + work->size);
	packet->pkt_len = packet->data_len;
	/* What was left to do about the outer packet has nothing to do with the inner one. */
	packet->ol_flags &= ~OFFLOAD_FLAGS;
	packet->tx_offload = 0;
}

/* Tunnel mode: what is inside takes the outer header's place. */
static enum drop_reason unwrap_tunnel(
	const struct sa *sa, const struct esp_work *work, struct around *around)
{
	const uint8_t *outer_ip =
		rte_pktmbuf_mtod_offset(work->packet, const uint8_t *, ETH_HEADER_SIZE);
	uint8_t outer_class = ip_traffic_class(outer_ip), inner_class, class;
	uint8_t version = work->next_header == ESP_NEXT_IPV4 ? 4 : 6;
	uint8_t *frame;
	int ecn;

	if (work->next_header != ESP_NEXT_IPV4 && work->next_header != ESP_NEXT_IPV6)
		return DROP_ipsec_next_header;
	move_headers(work, ETH_HEADER_SIZE);
	frame = rte_pktmbuf_mtod(work->packet, uint8_t *);
	network_store16(frame + ETH_TYPE_OFFSET, version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	decode_headers(frame, work->packet->data_len, work->packet->pkt_len, &around->decoded);
	if (around->decoded.malformed || around->decoded.ip_version != version)
		return DROP_ipsec_inner;
	inner_class = ip_traffic_class(work->at);
	ecn = ecn_leaving(inner_class, sa->copies_ecn ? outer_class : 0);
	if (ecn < 0)
		return DROP_ipsec_congestion;
	class = (uint8_t)((sa->copies_dscp ? outer_class : inner_class) & ~ECN_MASK);
	class |= (uint8_t)ecn;
	if (class != inner_class)
		ip_set_traffic_class(work->at, class);
	return DROP_none;
}

/* Transport mode: the IP header is put in front of what was protected. */
static enum drop_reason unwrap_transport(const struct esp_work *work, struct around *around)
{
	uint32_t header_size = around->header_size;
	uint8_t *frame, *ip, *next;

	move_headers(work, ETH_HEADER_SIZE + header_size);
	frame = rte_pktmbuf_mtod(work->packet, uint8_t *);
	ip = frame + ETH_HEADER_SIZE;
	next = ip_next_header(ip, header_size);
	if (!next)
		return DROP_ipsec_malformed;
	ip_set_payload(ip, next, work->next_header, header_size + work->size);
	decode_headers(frame, work->packet->data_len, work->packet->pkt_len, &around->decoded);
	if (around->decoded.malformed)
		return DROP_ipsec_inner;
	/* RFC 3948 section 3.1.2: the sender's checksum was of other addresses. ESP has shown that
	 * nothing else was changed. */
	if (around->is_encapsulated)
		checksum_repair(frame, &around->decoded);
	return DROP_none;
}

/* RFC 4301 section 5.2, step 4. */
static bool is_what_sa_is_for(const struct sa *sa, const struct decoded *decoded)
{
	const struct policy *policy;
	struct policy_packet packet;

	policy_packet_of(decoded, &packet);
	for (uint16_t i = 0; i < sa->selector_count; i++)
		if (selector_matches(&sa->selectors[i], &packet))
			return true;
	if (sa->selector_count)
		return false;
	policy = policy_find(POLICY_INBOUND, &packet);
	return policy && policy->action == POLICY_PROTECT && policy->mode == sa->mode
		&& __atomic_load_n(&policy->request, __ATOMIC_RELAXED)
		== policy_request(__atomic_load_n(&sa->owner, __ATOMIC_RELAXED), sa->request);
}

static enum drop_reason finish(struct sa *sa, struct esp_work *work, struct around *around)
{
	struct packet_metadata *metadata = packet_metadata(work->packet);
	bool is_outer_ipv6 = around->source.version == 6;
	enum drop_reason reason;

	note_mapping(sa, around, work->sequence);
	if (work->next_header == ESP_NEXT_DUMMY)
		return DROP_ipsec_dummy;
	reason = sa->mode == SA_TUNNEL ? unwrap_tunnel(sa, work, around)
				       : unwrap_transport(work, around);
	if (unlikely(reason))
		return reason;
	if (unlikely(!is_what_sa_is_for(sa, &around->decoded)))
		return DROP_ipsec_selector;
	/* Padding against traffic analysis is none of the packet's (RFC 4303 section 2.7). */
	work->packet->data_len = (uint16_t)around->decoded.l3_end;
	work->packet->pkt_len = around->decoded.l3_end;
	metadata->origin.kind = ORIGIN_DECRYPTED;
	metadata->origin.vlan = metadata->vlan;
	metadata->service.peer = sa->peer;
	metadata->service.is_outer_ipv6 = is_outer_ipv6;
	if (likely(!(metadata->flags & (PACKET_IS_OF_STATION | PACKET_IS_OF_LINK))))
		metadata->flags |= PACKET_IS_FOR_VIPA;
	return DROP_none;
}

/* ---- the node ---- */

static rte_edge_t way_on(const struct rte_mbuf *packet)
{
	uint16_t flags = packet_metadata_const(packet)->flags;

	if (flags & PACKET_IS_OF_LINK)
		return IPSEC_INPUT_EDGE_LINK;
	return flags & PACKET_IS_OF_STATION ? IPSEC_INPUT_EDGE_TARGET : IPSEC_INPUT_EDGE_ORIGIN_TAG;
}

static void hand_on(struct rte_graph *graph, struct rte_node *node, struct burst *burst, uint16_t i)
{
	struct rte_mbuf *packet = burst->packets[i];
	struct esp_work *work = &burst->works[i];
	const struct sa *sa = burst->sas[i];

	if (likely(sa && work->reason == DROP_none))
		work->reason = (uint8_t)finish(burst->sas[i], work, &burst->around[i]);
	if (unlikely(work->reason != DROP_none)) {
		trace_step(packet, "ipsec_input", "drop: %s", drop_descriptions[work->reason].name);
		drop_mark(packet, (enum drop_reason)work->reason);
		node_forward(graph, node, IPSEC_INPUT_EDGE_DROP, packet);
		return;
	}
	trace_step(packet, "ipsec_input", "SPI 0x%x, number %lu: decrypted", sa->name.spi,
		(unsigned long)work->sequence);
	node_forward(graph, node, way_on(packet), packet);
}

static void open_burst(
	struct rte_graph *graph, struct rte_node *node, struct burst *burst, uint64_t now_s)
{
	bool is_on = publish_read(&ipsec_settings) != NULL;

	for (uint16_t i = 0; i < burst->count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(burst->packets[i], const uint8_t *));
	for (uint16_t i = 0; i < burst->count; i++) {
		enum drop_reason reason;

		burst->sas[i] = NULL;
		reason = is_on ? look_up(burst, i) : DROP_ipsec_off;
		if (unlikely(reason))
			burst->works[i].reason = (uint8_t)reason;
	}
	ipsec_by_sa(burst->sas, burst->works, burst->count, now_s, esp_open);
	for (uint16_t i = 0; i < burst->count; i++)
		hand_on(graph, node, burst, i);
}

static uint16_t ipsec_input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	uint64_t now_s = clock_monotonic_ns() / CLOCK_NS_PER_S;
	struct burst burst;

	for (uint16_t done = 0; done < count; done = (uint16_t)(done + burst.count)) {
		burst.count = RTE_MIN((uint16_t)(count - done), (uint16_t)ESP_BURST);
		memcpy(burst.packets, objects + done, burst.count * sizeof(burst.packets[0]));
		open_burst(graph, node, &burst, now_s);
	}
	return count;
}

struct rte_node_register ipsec_input_node = {
	.name = "ipsec_input",
	.process = ipsec_input_process,
	.nb_edges = IPSEC_INPUT_EDGE_COUNT,
	.next_nodes =
		{
			[IPSEC_INPUT_EDGE_ORIGIN_TAG] = "origin_tag",
			[IPSEC_INPUT_EDGE_TARGET] = "target_input",
			[IPSEC_INPUT_EDGE_LINK] = "link_input",
			[IPSEC_INPUT_EDGE_DROP] = "drop",
		},
};
