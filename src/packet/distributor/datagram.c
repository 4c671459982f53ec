/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole datagrams from fragments, and pieces of datagrams that are too large (D13). Workers. */
#include "base/clock.h"
#include "packet/distributor/distributor.h"
#include "packet/port/port.h"
#include "wire/checksum.h"

#include <rte_cycles.h>
#include <rte_ip.h>

#define DONT_FRAGMENT 0x40 /* in the seventh byte of an IPv4 header */

uint32_t distribute_clock(void)
{
	return (uint32_t)(clock_monotonic_ns() / (CONNECTION_TICK_MS * CLOCK_NS_PER_MS));
}

/* ---- sizes ---- */

uint32_t distribute_port_mtu(uint16_t index)
{
	const struct port *port = port_at(index);

	/* Relaxed: a device may change it at any time. */
	return port ? __atomic_load_n(&port->mtu_bytes, __ATOMIC_RELAXED) : 0;
}

static uint32_t target_mtu(const struct vipa_target *target)
{
	const struct link_end *end = link_end_of(publish_read(&link_table), LINK_DISTRIBUTOR);
	uint32_t mtu;

	if (target->is_local)
		return distribute_port_mtu(target->local_port);
	mtu = end ? distribute_port_mtu(end->port) : 0;
	return mtu ? mtu - link_gre_overhead(end) : 0;
}

uint32_t distribute_path_mtu(
	const struct vipa_table *table, uint16_t target, bool is_secure, bool is_outer_ipv6)
{
	uint32_t inside = target_mtu(&table->targets[target]);
	uint32_t outside = distribute_port_mtu(table->physical_port);

	if (is_secure && outside)
		outside -=
			is_outer_ipv6 ? DISTRIBUTE_ESP_OVERHEAD_IPV6 : DISTRIBUTE_ESP_OVERHEAD_IPV4;
	return RTE_MIN(inside, outside);
}

/* ---- whole ---- */

/* The library leaves the checksum to us, and forgets what is no field of its own. */
static struct rte_mbuf *finish_whole(struct rte_mbuf *whole, struct packet_metadata metadata)
{
	uint8_t *frame = rte_pktmbuf_mtod(whole, uint8_t *);

	if (network_load16(frame + ETH_TYPE_OFFSET) == ETH_TYPE_IPV4)
		checksum_write_ipv4(frame + ETH_HEADER_SIZE);
	metadata.flags |= PACKET_IS_REASSEMBLED;
	*packet_metadata(whole) = metadata;
	whole->ol_flags = 0;
	return whole;
}

/* Behind the datagram may be padding, which the library would take for a part of it. */
static bool trim_padding(struct rte_mbuf *packet, const struct decoded *decoded)
{
	return packet->pkt_len == decoded->l3_end
		|| rte_pktmbuf_trim(packet, (uint16_t)(packet->pkt_len - decoded->l3_end)) == 0;
}

static struct rte_ip_frag_tbl *table_of(
	const struct distributor_worker *own, const struct packet_metadata *metadata)
{
	switch (metadata->origin.kind) {
	case ORIGIN_DECRYPTED:
		return own->fragments[DATAGRAM_DECRYPTED];
	case ORIGIN_TARGET:
		return own->fragments[DATAGRAM_OF_TARGET];
	default: /* from outside; not tagged yet, when UDP or ESP is looked into */
		return own->fragments[DATAGRAM_CLEAR];
	}
}

struct rte_mbuf *datagram_reassemble(
	struct distributor_worker *own, struct rte_mbuf *packet, const struct decoded *decoded)
{
	struct packet_metadata metadata = *packet_metadata(packet);
	uint8_t *ip = rte_pktmbuf_mtod_offset(packet, uint8_t *, ETH_HEADER_SIZE);
	struct rte_ip_frag_tbl *table = table_of(own, &metadata);
	struct rte_ipv6_fragment_ext *extension;
	struct rte_mbuf *whole;

	if (packet->nb_segs > 1 || decoded->l3_offset != ETH_HEADER_SIZE
		|| !trim_padding(packet, decoded)) {
		rte_pktmbuf_free(packet);
		return NULL;
	}
	packet->l2_len = ETH_HEADER_SIZE;
	if (decoded->ip_version == 4) {
		packet->l3_len = (ip[0] & 0xfU) * 4;
		whole = rte_ipv4_frag_reassemble_packet(
			table, &own->dead, packet, rte_rdtsc(), (struct rte_ipv4_hdr *)ip);
	} else {
		extension = rte_ipv6_frag_get_ipv6_fragment_header((struct rte_ipv6_hdr *)ip);
		if (!extension) { /* behind other extension headers: nobody sends that */
			rte_pktmbuf_free(packet);
			return NULL;
		}
		packet->l3_len = sizeof(struct rte_ipv6_hdr) + sizeof(*extension);
		whole = rte_ipv6_frag_reassemble_packet(table, &own->dead, packet, rte_rdtsc(),
			(struct rte_ipv6_hdr *)ip, extension);
	}
	rte_ip_frag_free_death_row(&own->dead, 0);
	return whole ? finish_whole(whole, metadata) : NULL;
}

/* ---- pieces ---- */

enum datagram_fit datagram_fit(struct rte_mbuf *packet, uint32_t mtu,
	struct rte_mbuf *pieces[PIECES_MAX], uint16_t *piece_count)
{
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	bool is_ipv4 = network_load16(frame + ETH_TYPE_OFFSET) == ETH_TYPE_IPV4;
	int count;

	if (likely(packet->pkt_len <= mtu + ETH_HEADER_SIZE))
		return DATAGRAM_FITS;
	if (!(packet_metadata(packet)->flags & PACKET_IS_REASSEMBLED)
		&& (!is_ipv4 || frame[ETH_HEADER_SIZE + 6] & DONT_FRAGMENT))
		return DATAGRAM_TOO_BIG;
	count = pieces_cut(packet, mtu, pieces);
	if (count < 0)
		return DATAGRAM_FAILED;
	*piece_count = (uint16_t)count;
	return DATAGRAM_CUT;
}
