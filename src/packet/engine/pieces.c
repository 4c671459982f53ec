/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/pieces.h"

#include "packet/engine/metadata.h"
#include "packet/engine/pool.h"
#include "wire/checksum.h"
#include "wire/eth.h"
#include "wire/network.h"

#include <errno.h>
#include <rte_ip_frag.h>
#include <rte_random.h>

#define DONT_FRAGMENT 0x40 /* in the seventh byte of an IPv4 header */
#define MTU_MIN       68   /* RFC 791; less leaves no room behind IPv6's two headers */
#define IPV6_HEADERS  48   /* with the fragment header */
#define IPV6_ID       44   /* where the identification is */

/* The library leaves checksums and identifications to us. */
static void finish(struct rte_mbuf *const *pieces, int count, bool is_ipv4)
{
	/* RFC 7739: not to be foreseen. */
	uint32_t id = (uint32_t)rte_rand();

	for (int i = 0; i < count; i++) {
		uint8_t *ip = rte_pktmbuf_mtod(pieces[i], uint8_t *);

		if (is_ipv4)
			checksum_write_ipv4(ip);
		else
			network_store32(ip + IPV6_ID, id);
	}
}

int pieces_cut(struct rte_mbuf *packet, uint32_t mtu, struct rte_mbuf *pieces[PIECES_MAX])
{
	uint8_t header[ETH_HEADER_SIZE], *ip;
	bool is_ipv4;
	int count;

	if (mtu < MTU_MIN)
		return -EMSGSIZE;
	memcpy(header, rte_pktmbuf_mtod(packet, uint8_t *), sizeof(header));
	is_ipv4 = network_load16(header + ETH_TYPE_OFFSET) == ETH_TYPE_IPV4;
	ip = (uint8_t *)rte_pktmbuf_adj(packet, ETH_HEADER_SIZE);
	if (is_ipv4)
		ip[6] &= (uint8_t)~DONT_FRAGMENT;
	else /* pieces are multiples of 8 bytes behind both headers */
		mtu = ((mtu - IPV6_HEADERS) & ~7U) + IPV6_HEADERS;
	count = (is_ipv4 ? rte_ipv4_fragment_packet : rte_ipv6_fragment_packet)(
		packet, pieces, PIECES_MAX, (uint16_t)mtu, packet_pool, packet_pool);
	if (count <= 0) {
		memcpy(rte_pktmbuf_prepend(packet, ETH_HEADER_SIZE), header, sizeof(header));
		return count < 0 ? count : -EMSGSIZE;
	}
	finish(pieces, count, is_ipv4);
	for (int i = 0; i < count; i++) {
		memcpy(rte_pktmbuf_prepend(pieces[i], ETH_HEADER_SIZE), header, sizeof(header));
		*packet_metadata(pieces[i]) = *packet_metadata(packet);
	}
	rte_pktmbuf_free(packet);
	return count;
}
