/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/ipsec_packet.h"

#include "packet/engine/pool.h"
#include "packet/ipsec/ipsec.h"
#include "wire/icmp_error.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_errno.h>

#define LARGE_COUNT        256
#define LARGE_ROOM_BEFORE  256
#define LARGE_ROOM_BEHIND  128
#define ICMP_UNREACHABLE   3
#define ICMP_NEEDS_CUTTING 4
#define ICMPV6_TOO_BIG     2
#define UDP_IKE            500 /* RFC 7296 section 2 */
#define NON_ESP_MARKER     4   /* bytes of zero in front of IKE on port 4500 */
/* What an ICMP message may lower a path to: RFC 791 section 3.2, RFC 8200 section 5. */
#define PATH_MTU_MIN_IPV4 576u
#define PATH_MTU_MIN_IPV6 1280u

struct ipsec_settings *ipsec_settings;
static struct rte_mempool *large_pool;

int ipsec_pool_open(struct error *error)
{
	large_pool = rte_pktmbuf_pool_create("ipsec-large", LARGE_COUNT, 0, 0,
		LARGE_ROOM_BEFORE + IPSEC_SIZE_MAX + LARGE_ROOM_BEHIND, SOCKET_ID_ANY);
	if (!large_pool)
		return error_set(error, -ENOMEM, "ipsec: no memory for large packets: %s",
			rte_strerror(rte_errno));
	return 0;
}

void ipsec_pool_close(void)
{
	rte_mempool_free(large_pool);
	large_pool = NULL;
}

static struct rte_mbuf *copy_into(
	struct rte_mbuf *packet, struct rte_mempool *pool, uint32_t before)
{
	struct rte_mbuf *copy = rte_pktmbuf_alloc(pool);
	uint8_t *to;

	if (!copy)
		return NULL;
	copy->data_off = (uint16_t)before;
	to = (uint8_t *)rte_pktmbuf_append(copy, (uint16_t)packet->pkt_len);
	for (const struct rte_mbuf *part = packet; part; part = part->next) {
		memcpy(to, rte_pktmbuf_mtod(part, const uint8_t *), part->data_len);
		to += part->data_len;
	}
	*packet_metadata(copy) = *packet_metadata(packet);
	rte_pktmbuf_free(packet);
	return copy;
}

struct rte_mbuf *ipsec_make_room(
	struct rte_mbuf *packet, uint32_t before, uint32_t behind, enum drop_reason *reason)
{
	uint32_t needed = before + packet->pkt_len + behind;
	struct rte_mbuf *copy;

	if (likely(packet->nb_segs == 1 && RTE_MBUF_DIRECT(packet)
		    && rte_mbuf_refcnt_read(packet) == 1 && rte_pktmbuf_headroom(packet) >= before
		    && rte_pktmbuf_tailroom(packet) >= behind))
		return packet;
	if (packet->pkt_len > IPSEC_SIZE_MAX) {
		*reason = DROP_ipsec_too_large;
		return NULL;
	}
	copy = needed <= rte_pktmbuf_data_room_size(packet_pool)
		? copy_into(packet, packet_pool, before)
		: copy_into(packet, large_pool, LARGE_ROOM_BEFORE);
	if (!copy)
		*reason = DROP_no_memory;
	return copy;
}

bool ipsec_is_other_peer(uint32_t of, uint32_t peer)
{
	return unlikely(of != peer) && of != IPSEC_PEER_UNKNOWN && peer != IPSEC_PEER_UNKNOWN
		&& (of == IPSEC_PEER_BY_ADDRESS || sa_peer_is_there(of));
}

void ipsec_by_sa(struct sa *const *sas, struct esp_work *works, uint16_t count, uint64_t now_s,
	void (*run)(struct sa *, struct esp_work *const *, uint16_t, uint64_t))
{
	struct esp_work *group[ESP_BURST];
	uint32_t done = 0; /* bit set */

	for (uint16_t first = 0; first < count; first++) {
		uint16_t size = 0;

		if (!sas[first] || done >> first & 1)
			continue;
		for (uint16_t i = first; i < count; i++)
			if (sas[i] == sas[first]) {
				group[size++] = &works[i];
				done |= 1U << i;
			}
		run(sas[first], group, size, now_s);
	}
}

static enum ipsec_traffic classify_udp(const struct decoded *decoded)
{
	const uint8_t *payload = decoded->frame + decoded->payload_offset;

	if (decoded->destination_port == UDP_IKE)
		return TRAFFIC_IKE;
	if (decoded->destination_port != ESP_UDP_PORT)
		return TRAFFIC_PLAIN;
	/* A keep-alive is one byte (RFC 3948 section 2.3): charon takes it as well as any. */
	if (decoded->payload_size < NON_ESP_MARKER
		|| decoded->payload_offset + NON_ESP_MARKER > decoded->captured_size)
		return TRAFFIC_IKE;
	return network_load32(payload) ? TRAFFIC_ESP : TRAFFIC_IKE;
}

enum ipsec_traffic ipsec_classify(const struct decoded *decoded)
{
	struct decoded about;

	if (decoded->protocol == ESP_PROTOCOL)
		return TRAFFIC_ESP;
	if (decoded->protocol == IPPROTO_UDP && decoded->payload_offset)
		return classify_udp(decoded);
	/* About what went out as ESP: the path's MTU is its SA's business. */
	if (icmp_error_read(decoded, &about) == 0
		&& (about.protocol == ESP_PROTOCOL
			|| (about.protocol == IPPROTO_UDP && about.source_port == ESP_UDP_PORT)))
		return TRAFFIC_ESP;
	return TRAFFIC_PLAIN;
}

enum drop_reason ipsec_check_plain(const struct decoded *decoded)
{
	const struct ipsec_settings *settings = publish_read(&ipsec_settings);
	const struct policy *policy;
	struct policy_packet packet;

	if (!settings)
		return DROP_none;
	policy_packet_of(decoded, &packet);
	policy = policy_find(POLICY_INBOUND, &packet);
	if (!policy)
		return settings->bypasses ? DROP_none : DROP_ipsec_policy;
	if (policy->action == POLICY_PROTECT)
		return DROP_ipsec_required;
	return policy->action == POLICY_BYPASS ? DROP_none : DROP_ipsec_policy;
}

/* The MTU that it tells; 0: it tells none. */
static uint32_t told_mtu(const struct decoded *error)
{
	const uint8_t *icmp = error->frame + error->l4_offset;

	if (!error->payload_offset)
		return 0;
	if (error->protocol == IPPROTO_ICMP && error->icmp_type == ICMP_UNREACHABLE
		&& error->icmp_code == ICMP_NEEDS_CUTTING)
		return RTE_MAX((uint32_t)network_load16(icmp + 6), PATH_MTU_MIN_IPV4);
	if (error->protocol == IPPROTO_ICMPV6 && error->icmp_type == ICMPV6_TOO_BIG)
		return RTE_MAX(network_load32(icmp + 4), PATH_MTU_MIN_IPV6);
	return 0;
}

static void note_path(const struct decoded *error, const struct decoded *about, uint32_t mtu)
{
	struct ip_address destination = {.version = error->ip_version};
	uint32_t at =
		about->ip_payload_offset + (about->protocol == IPPROTO_UDP ? ESP_UDP_SIZE : 0);
	uint32_t spi_wire;
	struct sa *sa;

	if (at + sizeof(spi_wire) > error->captured_size)
		return;
	/* Who knows the SPI is on the path: RFC 4301 section 8.2.1. */
	memcpy(&spi_wire, error->frame + at, sizeof(spi_wire));
	memcpy(destination.bytes, about->destination, sizeof(destination.bytes));
	sa = sa_look_up(SA_OUTBOUND, spi_wire, &destination);
	if (!sa)
		return;
	/* Relaxed: one number. */
	if (!sa->path_mtu || mtu < __atomic_load_n(&sa->path_mtu, __ATOMIC_RELAXED))
		__atomic_store_n(&sa->path_mtu, mtu, __ATOMIC_RELAXED);
}

bool ipsec_take_error(const struct decoded *error)
{
	struct decoded about;
	uint32_t mtu;

	if (icmp_error_read(error, &about) < 0
		|| (about.protocol != IPPROTO_UDP && about.protocol != ESP_PROTOCOL))
		return false;
	mtu = told_mtu(error);
	if (mtu)
		note_path(error, &about, mtu);
	return true;
}
