/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/virtio_header.h"

#include "packet/port/offload.h"
#include "wire/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* linux/virtio_net.h of Debian 12 does not have it yet. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Fills the checksum in as the header describes it: the field holds the pseudo header's sum, and
 * the sum over all from csum_start on replaces it. */
static int fill_generic(const struct virtio_net_hdr *header, struct rte_mbuf *packet)
{
	uint32_t field_at = (uint32_t)header->csum_start + header->csum_offset;
	uint16_t sum;

	if (field_at + sizeof(sum) > packet->data_len)
		return -EINVAL;
	sum = (uint16_t)~offload_raw_sum(
		packet, header->csum_start, packet->pkt_len - header->csum_start);
	if (sum == 0)
		sum = 0xffff; /* the same number; right for UDP too */
	memcpy(rte_pktmbuf_mtod_offset(packet, void *, field_at), &sum, sizeof(sum));
	return 0;
}

static bool is_layer4_checksum(
	const struct virtio_net_hdr *header, const struct offload_layout *layout)
{
	if (layout->l4_size == 0 || header->csum_start != layout->l2_size + layout->l3_size)
		return false;
	return (layout->protocol == IPPROTO_TCP
		       && header->csum_offset == offsetof(struct rte_tcp_hdr, cksum))
		|| (layout->protocol == IPPROTO_UDP
			&& header->csum_offset == offsetof(struct rte_udp_hdr, dgram_cksum));
}

static int decode_segments(const struct virtio_net_hdr *header, const struct offload_layout *layout,
	struct rte_mbuf *packet)
{
	uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (header->gso_size == 0)
		return -EINVAL;
	if (type == VIRTIO_NET_HDR_GSO_UDP_L4) {
		if (layout->protocol != IPPROTO_UDP)
			return -EINVAL;
		packet->ol_flags |= RTE_MBUF_F_TX_UDP_SEG;
	} else {
		uint8_t version = type == VIRTIO_NET_HDR_GSO_TCPV4 ? 4
			: type == VIRTIO_NET_HDR_GSO_TCPV6         ? 6
								   : 0;

		if (version == 0 || layout->ip_version != version
			|| layout->protocol != IPPROTO_TCP)
			return -EINVAL;
		packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
	}
	packet->tso_segsz = header->gso_size;
	return 0;
}

int virtio_header_decode(const struct virtio_net_hdr *header, struct rte_mbuf *packet)
{
	bool is_partial = header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	bool is_super_frame = header->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	struct offload_layout layout;

	if (!is_partial && !is_super_frame)
		return 0;
	offload_find_headers(rte_pktmbuf_mtod(packet, const uint8_t *),
		RTE_MIN(packet->data_len, (uint16_t)OFFLOAD_HEADERS_MAX), &layout);
	if (is_partial && !is_layer4_checksum(header, &layout))
		return is_super_frame ? -EINVAL : fill_generic(header, packet);
	if (is_super_frame && decode_segments(header, &layout, packet) < 0)
		return -EINVAL;
	packet->ol_flags |=
		layout.protocol == IPPROTO_TCP ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	return 0;
}

void virtio_header_encode(const struct rte_mbuf *packet, struct virtio_net_hdr *header)
{
	bool is_tcp = (packet->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM;
	uint16_t l4_at = (uint16_t)(packet->l2_len + packet->l3_len);

	*header = (struct virtio_net_hdr){0};
	if (!offload_is_needed(packet))
		return;
	header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header->csum_start = l4_at;
	header->csum_offset = is_tcp ? offsetof(struct rte_tcp_hdr, cksum)
				     : offsetof(struct rte_udp_hdr, dgram_cksum);
	if (!offload_is_super_frame(packet))
		return;
	header->hdr_len = (uint16_t)(l4_at + packet->l4_len);
	header->gso_size = packet->tso_segsz;
	if (packet->ol_flags & RTE_MBUF_F_TX_UDP_SEG) {
		header->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		return;
	}
	header->gso_type = packet->ol_flags & RTE_MBUF_F_TX_IPV4 ? VIRTIO_NET_HDR_GSO_TCPV4
								 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (*rte_pktmbuf_mtod_offset(packet, const uint8_t *, l4_at + TCP_FLAGS_AT) & TCP_CWR)
		header->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
}
