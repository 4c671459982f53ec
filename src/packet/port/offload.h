/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a sender left to the receiver (G11): partial checksums and segments to be cut (TSO, UDP
 * GSO).
 *
 * A packet's wishes are the mbuf's transmit flags, from whatever port it came:
 * RTE_MBUF_F_TX_TCP_CKSUM or _UDP_CKSUM (the checksum field is to be filled), RTE_MBUF_F_TX_TCP_SEG
 * or _UDP_SEG with tso_segsz. l2_len (with all tags), l3_len (with IPv6 extension headers) and
 * l4_len tell where the headers are; they are worked out again from the frame before they are used,
 * so that a node which strips a tag or an inspector which edits a packet need not keep them.
 *
 * Any thread; the packet belongs to the caller.
 */
#pragma once

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OFFLOAD_HEADERS_MAX  256 /* Ethernet, tags, IP with options or extensions, TCP */
#define OFFLOAD_SEGMENTS_MAX 512 /* of one super-frame: 64 kB at 128 bytes each */

#define OFFLOAD_CHECKSUM_FLAGS (RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_UDP_CKSUM)
#define OFFLOAD_SEGMENT_FLAGS  (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)
#define OFFLOAD_FLAGS                                                                              \
	(RTE_MBUF_F_TX_L4_MASK | OFFLOAD_SEGMENT_FLAGS | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6   \
		| RTE_MBUF_F_TX_IP_CKSUM)

/* Set by a backend on a packet that came with impossible wishes; rx drops it as malformed. A bit
 * that no driver sets on receive. */
#define OFFLOAD_IS_INVALID RTE_MBUF_F_TX_MACSEC

/* Where the headers of a frame are. */
struct offload_layout {
	uint16_t l2_size;   /* Ethernet header and tags */
	uint16_t l3_size;   /* IP header with options or extension headers */
	uint16_t l4_size;   /* TCP with options or UDP; 0: neither, or not all there */
	uint32_t ip_end;    /* where the IP packet says that it ends; behind it is a trailer */
	uint8_t ip_version; /* 4, 6 or 0 */
	uint8_t protocol;   /* IPPROTO_TCP, IPPROTO_UDP, other; of a fragment always 0 */
};

/* Finds the headers; bytes holds the frame's beginning (all of it, or OFFLOAD_HEADERS_MAX). */
void offload_find_headers(const uint8_t *bytes, size_t size, struct offload_layout *out);

#define OFFLOAD_NEEDED_FLAGS                                                                       \
	(RTE_MBUF_F_TX_L4_MASK | OFFLOAD_SEGMENT_FLAGS | RTE_MBUF_F_TX_IP_CKSUM)
static inline bool offload_is_needed(const struct rte_mbuf *packet)
{
	return packet->ol_flags & OFFLOAD_NEEDED_FLAGS;
}

static inline bool offload_is_super_frame(const struct rte_mbuf *packet)
{
	return packet->ol_flags & OFFLOAD_SEGMENT_FLAGS;
}

/* Checks flags that come from outside against the frame and sets the header lengths from it;
 * -EINVAL when they contradict each other. Flags we know nothing of are cleared. */
int offload_validate(struct rte_mbuf *packet);

/* Makes the first size bytes private to this packet and contiguous, so that they may be written:
 * clones share their data (PACKET_IS_COPY). *packet may be replaced by another head, that is taken
 * from pool. -ENOMEM leaves the packet as it was. */
int offload_make_writable(struct rte_mbuf **packet, uint32_t size, struct rte_mempool *pool);

/* Prepares a packet whose offloads the egress device finishes: lengths are set and the checksum
 * field holds the pseudo header's sum over the whole length, as virtio wants it. -EINVAL, -ENOMEM.
 */
int offload_prepare(struct rte_mbuf **packet, struct rte_mempool *pool);

/* Fills in the checksums that are partial, and clears the wishes. Not for super-frames. -EINVAL,
 * -ENOMEM. */
int offload_finish_checksum(struct rte_mbuf **packet, struct rte_mempool *pool);

/*
 * Cuts a super-frame into out: finished packets with metadata as of packet, which stays the
 * caller's. Returns their number; -EINVAL; -ENOMEM when the pool ran dry (nothing is left over
 * then).
 */
int offload_segment(struct rte_mbuf *packet, struct rte_mempool *pool, struct rte_mbuf **out,
	uint16_t out_count);

/* Both of the above: what an engine outside of this process needs. Consumes packet; returns the
 * number of finished packets in out (1 or more), or a negative errno, when packet is freed. */
int offload_finish(struct rte_mbuf *packet, struct rte_mempool *pool, struct rte_mbuf **out,
	uint16_t out_count);

/* One's complement sum (RFC 1071) over size bytes of a packet from offset on, folded, not inverted.
 */
uint16_t offload_raw_sum(const struct rte_mbuf *packet, uint32_t offset, uint32_t size);

/* The layer-3 size that counts against an MTU: of a super-frame, that of its segments. */
uint32_t offload_layer3_size(const struct rte_mbuf *packet);
