/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/offload.h"

#include "packet/engine/metadata.h"
#include "wire/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define TAGS_MAX       4  /* outer tags that the walk follows */
#define EXTENSIONS_MAX 8  /* IPv6 extension headers, likewise */
#define TCP_SIZE_MIN   20 /* RFC 9293 section 3.1 */

/* What segmenting one super-frame works with. */
struct segmenter {
	struct rte_mbuf *source;
	struct rte_mempool *pool;
	struct offload_layout layout;
	uint32_t header_size;
	uint8_t header[OFFLOAD_HEADERS_MAX];
	uint32_t payload_size; /* of the super-frame */
	uint32_t segment_size; /* payload of each segment but the last */
	uint32_t offset;       /* payload bytes cut so far */
	uint16_t index;        /* of the segment to come */
};

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void write_u16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void write_u32(uint8_t *at, uint32_t value)
{
	write_u16(at, value >> 16);
	write_u16(at + 2, value);
}

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)read_u16(at) << 16 | read_u16(at + 2);
}

/* Skips the tags; returns the ethertype behind them, 0 when there is none. */
static uint16_t find_layer3(const uint8_t *bytes, size_t size, struct offload_layout *out)
{
	uint32_t at = 2 * RTE_ETHER_ADDR_LEN;

	for (int tags = 0; tags <= TAGS_MAX && at + 2 <= size; tags++, at += 4) {
		uint16_t type = read_u16(bytes + at);

		if (type != RTE_ETHER_TYPE_VLAN && type != RTE_ETHER_TYPE_QINQ) {
			out->l2_size = (uint16_t)(at + 2);
			return type;
		}
	}
	return 0;
}

static void find_ipv4(const uint8_t *ip, size_t size, struct offload_layout *out)
{
	uint32_t header_size, total_size;

	if (size < sizeof(struct rte_ipv4_hdr) || ip[0] >> 4 != 4)
		return;
	header_size = (ip[0] & 0xf) * 4U;
	if (header_size < sizeof(struct rte_ipv4_hdr) || header_size > size)
		return;
	total_size = read_u16(ip + 2);
	if (total_size < header_size)
		return;
	out->ip_version = 4;
	out->ip_end = out->l2_size + total_size;
	out->l3_size = (uint16_t)header_size;
	/* Fragments have no layer 4 that anybody could finish. */
	if (!(read_u16(ip + 6) & (RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)))
		out->protocol = ip[9];
}

static void find_ipv6(const uint8_t *ip, size_t size, struct offload_layout *out)
{
	uint32_t at = sizeof(struct rte_ipv6_hdr);
	uint32_t total_size;
	uint8_t next;

	if (size < at || ip[0] >> 4 != 6)
		return;
	next = ip[6];
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			break;
		if (at + 8 > size || at + (ip[at + 1] + 1U) * 8 > size)
			return;
		next = ip[at];
		at += (ip[at + 1] + 1U) * 8;
	}
	total_size = (uint32_t)(sizeof(struct rte_ipv6_hdr) + read_u16(ip + 4));
	if (total_size < at)
		return;
	out->ip_version = 6;
	out->ip_end = out->l2_size + total_size;
	out->l3_size = (uint16_t)at;
	if (next != IPPROTO_FRAGMENT)
		out->protocol = next;
}

void offload_find_headers(const uint8_t *bytes, size_t size, struct offload_layout *out)
{
	uint16_t type;
	uint32_t l4;

	*out = (struct offload_layout){0};
	type = find_layer3(bytes, size, out);
	if (type == RTE_ETHER_TYPE_IPV4)
		find_ipv4(bytes + out->l2_size, size - out->l2_size, out);
	else if (type == RTE_ETHER_TYPE_IPV6)
		find_ipv6(bytes + out->l2_size, size - out->l2_size, out);
	l4 = (uint32_t)out->l2_size + out->l3_size;
	size = RTE_MIN(size, (size_t)out->ip_end);
	if (out->protocol == IPPROTO_UDP && l4 + sizeof(struct rte_udp_hdr) <= size) {
		out->l4_size = sizeof(struct rte_udp_hdr);
	} else if (out->protocol == IPPROTO_TCP && l4 + TCP_SIZE_MIN <= size) {
		uint32_t l4_size = (bytes[l4 + 12] >> 4) * 4U;

		if (l4_size >= TCP_SIZE_MIN && l4 + l4_size <= size)
			out->l4_size = (uint16_t)l4_size;
	}
}

/* The same for a packet; scratch takes the bytes when they are not contiguous. */
static const uint8_t *find_packet_headers(const struct rte_mbuf *packet,
	uint8_t scratch[OFFLOAD_HEADERS_MAX], struct offload_layout *out)
{
	uint32_t size = RTE_MIN(packet->pkt_len, (uint32_t)OFFLOAD_HEADERS_MAX);
	const uint8_t *bytes = rte_pktmbuf_read(packet, 0, size, scratch);

	*out = (struct offload_layout){0};
	if (bytes)
		offload_find_headers(bytes, size, out);
	return bytes;
}

static uint32_t headers_size(const struct offload_layout *layout)
{
	return (uint32_t)layout->l2_size + layout->l3_size + layout->l4_size;
}

/* The layer-4 header and its payload; what lies behind the IP packet is a trailer. */
static uint32_t layer4_size(const struct offload_layout *layout)
{
	return layout->ip_end - layout->l2_size - layout->l3_size;
}

static uint8_t flagged_protocol(uint64_t flags)
{
	if (flags & RTE_MBUF_F_TX_TCP_SEG)
		return IPPROTO_TCP;
	if (flags & RTE_MBUF_F_TX_UDP_SEG)
		return IPPROTO_UDP;
	if ((flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM)
		return IPPROTO_TCP;
	if ((flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM)
		return IPPROTO_UDP;
	return 0;
}

static bool segments_are_sane(const struct rte_mbuf *packet, const struct offload_layout *layout)
{
	uint32_t header_size = headers_size(layout);

	if (packet->tso_segsz == 0 || packet->pkt_len <= header_size)
		return false;
	return (packet->pkt_len - header_size - 1) / packet->tso_segsz < OFFLOAD_SEGMENTS_MAX;
}

/* Sets lengths and flags of packet from its headers; the wishes are kept as they are. */
static void set_layout(struct rte_mbuf *packet, const struct offload_layout *layout)
{
	packet->l2_len = layout->l2_size;
	packet->l3_len = layout->l3_size;
	packet->l4_len = layout->l4_size;
	packet->ol_flags &= ~(RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6);
	packet->ol_flags |= layout->ip_version == 4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	if (packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
		packet->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	if (packet->ol_flags & RTE_MBUF_F_TX_UDP_SEG)
		packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
}

/* Finds the headers and checks the wishes against them. */
static int check_wishes(struct rte_mbuf *packet, struct offload_layout *layout)
{
	uint8_t scratch[OFFLOAD_HEADERS_MAX];
	uint8_t protocol = flagged_protocol(packet->ol_flags);

	find_packet_headers(packet, scratch, layout);
	if (protocol == 0 || layout->protocol != protocol || layout->l4_size == 0)
		return -EINVAL;
	if (layout->ip_end > packet->pkt_len)
		return -EINVAL;
	if (offload_is_super_frame(packet)) {
		if (layout->ip_end != packet->pkt_len || !segments_are_sane(packet, layout))
			return -EINVAL;
		if (packet->pkt_len - headers_size(layout) <= packet->tso_segsz)
			packet->ol_flags &= ~OFFLOAD_SEGMENT_FLAGS; /* fits into one segment */
	}
	return 0;
}

int offload_validate(struct rte_mbuf *packet)
{
	struct offload_layout layout;

	packet->ol_flags &= OFFLOAD_FLAGS | RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
	packet->ol_flags &= ~RTE_MBUF_F_TX_IP_CKSUM; /* no sender leaves that one out */
	if (!offload_is_needed(packet)) {
		packet->ol_flags &= ~OFFLOAD_FLAGS;
		return 0;
	}
	if (offload_is_super_frame(packet)) {
		packet->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
		packet->ol_flags |= packet->ol_flags & RTE_MBUF_F_TX_TCP_SEG
			? RTE_MBUF_F_TX_TCP_CKSUM
			: RTE_MBUF_F_TX_UDP_CKSUM;
	}
	if (check_wishes(packet, &layout) < 0)
		return -EINVAL;
	set_layout(packet, &layout);
	return 0;
}

static bool is_writable(struct rte_mbuf *packet, uint32_t size)
{
	return rte_pktmbuf_data_len(packet) >= size && RTE_MBUF_DIRECT(packet)
		&& rte_mbuf_refcnt_read(packet) == 1;
}

/* Cuts size bytes off the front. Empty segments are freed, but for the last. */
static struct rte_mbuf *cut_front(struct rte_mbuf *packet, uint32_t size)
{
	uint32_t pkt_len = packet->pkt_len - size;
	uint16_t segments = packet->nb_segs;

	while (size > 0 && size >= packet->data_len && packet->next) {
		struct rte_mbuf *next = packet->next;

		size -= packet->data_len;
		packet->next = NULL;
		packet->nb_segs = 1;
		rte_pktmbuf_free_seg(packet);
		packet = next;
		segments--;
	}
	packet->data_off += (uint16_t)size;
	packet->data_len -= (uint16_t)size;
	packet->pkt_len = pkt_len;
	packet->nb_segs = segments;
	return packet;
}

int offload_make_writable(struct rte_mbuf **packet, uint32_t size, struct rte_mempool *pool)
{
	struct rte_mbuf *rest = *packet;
	struct rte_mbuf *head;
	const void *bytes;
	void *copy;

	if (is_writable(rest, size))
		return 0;
	if (size > rest->pkt_len)
		return -EINVAL;
	head = rte_pktmbuf_alloc(pool);
	if (!head)
		return -ENOMEM;
	copy = rte_pktmbuf_append(head, (uint16_t)size);
	if (!copy) {
		rte_pktmbuf_free(head);
		return -ENOMEM;
	}
	bytes = rte_pktmbuf_read(rest, 0, size, copy);
	if (bytes != copy)
		memcpy(copy, bytes, size);
	*packet_metadata(head) = *packet_metadata(rest);
	head->ol_flags |= rest->ol_flags & OFFLOAD_FLAGS;
	head->tx_offload = rest->tx_offload;
	if (size == rest->pkt_len) {
		rte_pktmbuf_free(rest);
	} else {
		rest = cut_front(rest, size);
		head->next = rest;
		head->nb_segs = (uint16_t)(rest->nb_segs + 1);
		head->pkt_len = size + rest->pkt_len;
	}
	*packet = head;
	return 0;
}

/* Sum over the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1), folded, not inverted. */
static uint16_t pseudo_header_sum(
	const uint8_t *ip, const struct offload_layout *layout, uint32_t l4_size)
{
	uint32_t addresses_at = layout->ip_version == 4 ? 12 : 8;
	uint32_t addresses_size = layout->ip_version == 4 ? 8 : 32;
	uint8_t tail[8] = {[7] = layout->protocol};
	uint32_t sum = rte_raw_cksum(ip + addresses_at, addresses_size);

	write_u32(tail, l4_size);
	sum += rte_raw_cksum(tail, sizeof(tail));
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static uint32_t checksum_at(const struct offload_layout *layout)
{
	return (uint32_t)layout->l2_size + layout->l3_size
		+ (layout->protocol == IPPROTO_TCP ? offsetof(struct rte_tcp_hdr, cksum)
						   : offsetof(struct rte_udp_hdr, dgram_cksum));
}

int offload_prepare(struct rte_mbuf **packet, struct rte_mempool *pool)
{
	struct offload_layout layout;
	uint16_t sum, found;
	uint8_t *bytes;
	int result;

	result = check_wishes(*packet, &layout);
	if (result < 0)
		return result;
	set_layout(*packet, &layout);
	if (rte_pktmbuf_data_len(*packet) < headers_size(&layout)) {
		result = offload_make_writable(packet, headers_size(&layout), pool);
		if (result < 0)
			return result;
	}
	bytes = rte_pktmbuf_mtod(*packet, uint8_t *);
	sum = pseudo_header_sum(bytes + layout.l2_size, &layout, layer4_size(&layout));
	memcpy(&found, bytes + checksum_at(&layout), sizeof(found));
	if (found == sum)
		return 0; /* as senders leave it; so that clones need no copy */
	result = offload_make_writable(packet, headers_size(&layout), pool);
	if (result < 0)
		return result;
	bytes = rte_pktmbuf_mtod(*packet, uint8_t *);
	memcpy(bytes + checksum_at(&layout), &sum, sizeof(sum));
	return 0;
}

/* As rte_raw_cksum_mbuf(), which in DPDK 22.11 loses carries behind a segment of odd size. */
uint16_t offload_raw_sum(const struct rte_mbuf *packet, uint32_t offset, uint32_t size)
{
	uint32_t total = 0, done = 0;

	for (; packet && offset >= packet->data_len; packet = packet->next)
		offset -= packet->data_len;
	for (; packet && done < size; packet = packet->next, offset = 0) {
		uint32_t part = RTE_MIN(packet->data_len - offset, size - done);
		uint16_t sum = rte_raw_cksum(
			rte_pktmbuf_mtod_offset(packet, const uint8_t *, offset), part);

		total += done & 1 ? rte_bswap16(sum) : sum;
		done += part;
	}
	total = (total & 0xffff) + (total >> 16);
	return (uint16_t)((total & 0xffff) + (total >> 16));
}

/* Fills in the checksum of a packet whose headers are contiguous and writable. */
static void fill_checksum(struct rte_mbuf *packet, const struct offload_layout *layout)
{
	uint32_t l4_offset = (uint32_t)layout->l2_size + layout->l3_size;
	uint8_t *bytes = rte_pktmbuf_mtod(packet, uint8_t *);
	uint8_t *field = bytes + checksum_at(layout);
	uint32_t total;
	uint16_t sum;

	memset(field, 0, 2);
	total = (uint32_t)offload_raw_sum(packet, l4_offset, layer4_size(layout))
		+ pseudo_header_sum(bytes + layout->l2_size, layout, layer4_size(layout));
	total = (total & 0xffff) + (total >> 16);
	sum = (uint16_t) ~((total & 0xffff) + (total >> 16));
	if (sum == 0 && layout->protocol == IPPROTO_UDP)
		sum = 0xffff; /* RFC 768: zero would mean "no checksum" */
	memcpy(field, &sum, sizeof(sum));
}

int offload_finish_checksum(struct rte_mbuf **packet, struct rte_mempool *pool)
{
	struct offload_layout layout;
	int result;

	if (!offload_is_needed(*packet))
		return 0;
	result = check_wishes(*packet, &layout);
	if (result < 0)
		return result;
	result = offload_make_writable(packet, headers_size(&layout), pool);
	if (result < 0)
		return result;
	fill_checksum(*packet, &layout);
	(*packet)->ol_flags &= ~OFFLOAD_FLAGS;
	(*packet)->tx_offload = 0;
	return 0;
}

static int segmenter_init(
	struct segmenter *segmenter, struct rte_mbuf *packet, struct rte_mempool *pool)
{
	const uint8_t *bytes;

	*segmenter = (struct segmenter){.source = packet, .pool = pool};
	if (check_wishes(packet, &segmenter->layout) < 0)
		return -EINVAL;
	segmenter->header_size = headers_size(&segmenter->layout);
	bytes = rte_pktmbuf_read(packet, 0, segmenter->header_size, segmenter->header);
	if (!bytes)
		return -EINVAL;
	if (bytes != segmenter->header)
		memcpy(segmenter->header, bytes, segmenter->header_size);
	segmenter->payload_size = packet->pkt_len - segmenter->header_size;
	segmenter->segment_size = packet->tso_segsz ? packet->tso_segsz : segmenter->payload_size;
	return 0;
}

/* Appends size bytes of the source's payload, in as many buffers as they need. */
static int append_payload(const struct segmenter *segmenter, struct rte_mbuf *head, uint32_t size)
{
	uint32_t offset = segmenter->header_size + segmenter->offset;
	struct rte_mbuf *last = head;

	while (size > 0) {
		uint32_t part = RTE_MIN(size, (uint32_t)rte_pktmbuf_tailroom(last));
		uint8_t *to = rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len);
		const void *from = rte_pktmbuf_read(segmenter->source, offset, part, to);

		if (from != to)
			memcpy(to, from, part);
		last->data_len += (uint16_t)part;
		head->pkt_len += part;
		offset += part;
		size -= part;
		if (size == 0)
			break;
		last->next = rte_pktmbuf_alloc(segmenter->pool);
		if (!last->next)
			return -ENOMEM;
		last = last->next;
		last->data_off = 0; /* nothing is ever put before it */
		head->nb_segs++;
	}
	return 0;
}

/* Lengths, identification, sequence number and flags as the sender would have written them. */
static void edit_headers(const struct segmenter *segmenter, uint8_t *bytes, uint32_t payload_size)
{
	const struct offload_layout *layout = &segmenter->layout;
	uint8_t *ip = bytes + layout->l2_size;
	uint8_t *l4 = ip + layout->l3_size;
	uint32_t ip_size = layout->l3_size + layout->l4_size + payload_size;
	bool is_last = segmenter->offset + payload_size == segmenter->payload_size;
	uint16_t sum;

	if (layout->ip_version == 4) {
		write_u16(ip + 2, ip_size);
		write_u16(ip + 4, read_u16(ip + 4) + (uint32_t)segmenter->index);
		memset(ip + 10, 0, 2);
		sum = (uint16_t)~rte_raw_cksum(ip, layout->l3_size);
		memcpy(ip + 10, &sum, sizeof(sum));
	} else {
		write_u16(ip + 4, ip_size - (uint32_t)sizeof(struct rte_ipv6_hdr));
	}
	if (layout->protocol == IPPROTO_UDP) {
		write_u16(l4 + 4, layout->l4_size + payload_size);
		return;
	}
	write_u32(l4 + 4, read_u32(l4 + 4) + segmenter->offset);
	if (!is_last)
		l4[TCP_FLAGS_AT] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (segmenter->index > 0)
		l4[TCP_FLAGS_AT] &= (uint8_t)~TCP_CWR; /* RFC 3168 section 6.1.2: told once */
}

/* Cuts the next segment off; NULL when the pool is empty. */
static struct rte_mbuf *next_segment(struct segmenter *segmenter)
{
	uint32_t left = segmenter->payload_size - segmenter->offset;
	uint32_t size = RTE_MIN(left, segmenter->segment_size);
	struct offload_layout layout = segmenter->layout;
	struct rte_mbuf *segment = rte_pktmbuf_alloc(segmenter->pool);
	uint8_t *header;

	if (!segment)
		return NULL;
	header = (uint8_t *)rte_pktmbuf_append(segment, (uint16_t)segmenter->header_size);
	if (!header)
		goto free_segment;
	memcpy(header, segmenter->header, segmenter->header_size);
	*packet_metadata(segment) = *packet_metadata(segmenter->source);
	if (append_payload(segmenter, segment, size) < 0)
		goto free_segment;
	edit_headers(segmenter, header, size);
	layout.ip_end = segment->pkt_len;
	fill_checksum(segment, &layout);
	segmenter->offset += size;
	segmenter->index++;
	return segment;
free_segment:
	rte_pktmbuf_free(segment);
	return NULL;
}

int offload_segment(struct rte_mbuf *packet, struct rte_mempool *pool, struct rte_mbuf **out,
	uint16_t out_count)
{
	struct segmenter segmenter;
	uint16_t count = 0;

	if (segmenter_init(&segmenter, packet, pool) < 0)
		return -EINVAL;
	if ((segmenter.payload_size - 1) / segmenter.segment_size >= out_count)
		return -EINVAL;
	while (segmenter.offset < segmenter.payload_size) {
		struct rte_mbuf *segment = next_segment(&segmenter);

		if (!segment) {
			rte_pktmbuf_free_bulk(out, count);
			return -ENOMEM;
		}
		out[count++] = segment;
	}
	return count;
}

int offload_finish(struct rte_mbuf *packet, struct rte_mempool *pool, struct rte_mbuf **out,
	uint16_t out_count)
{
	int result;

	if (out_count == 0) {
		result = -EINVAL;
	} else if (offload_is_super_frame(packet)) {
		result = offload_segment(packet, pool, out, out_count);
		if (result > 0)
			rte_pktmbuf_free(packet);
	} else {
		result = offload_finish_checksum(&packet, pool);
		if (result == 0) {
			out[0] = packet;
			result = 1;
		}
	}
	if (result <= 0)
		rte_pktmbuf_free(packet);
	return result;
}

uint32_t offload_layer3_size(const struct rte_mbuf *packet)
{
	uint8_t scratch[OFFLOAD_HEADERS_MAX];
	struct offload_layout layout;

	find_packet_headers(packet, scratch, &layout);
	if (offload_is_super_frame(packet) && packet->tso_segsz)
		return (uint32_t)layout.l3_size + layout.l4_size + packet->tso_segsz;
	return packet->pkt_len - RTE_MIN((uint32_t)layout.l2_size, packet->pkt_len);
}
