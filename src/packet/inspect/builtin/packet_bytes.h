/* SPDX-License-Identifier: BSD-3-Clause */
/* A packet's bytes as one run, whether its buffer is or not, and the way back. Worker. */
#pragma once

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A guest's TSO frame: 64 KiB behind an Ethernet header with tags. */
#define PACKET_BYTES_MAX (65536 + 256)

/* Where the checksum field is not what will go out on a wire: left to the device, or already
 * checked by one (then right without a look at it). */
static inline bool packet_has_open_checksum(const struct rte_mbuf *packet)
{
	return (packet->ol_flags
		       & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG))
		|| (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE;
}

static inline bool packet_has_checked_checksum(const struct rte_mbuf *packet)
{
	return packet_has_open_checksum(packet)
		|| (packet->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

/* Whether nobody else reads the packet's bytes. */
static inline bool packet_is_writable(const struct rte_mbuf *packet)
{
	for (; packet; packet = packet->next)
		if (rte_mbuf_refcnt_read(packet) != 1 || !RTE_MBUF_DIRECT(packet))
			return false;
	return true;
}

/* Writes size bytes at offset, over segments. The packet is long enough. */
static inline void packet_bytes_write(
	struct rte_mbuf *packet, uint32_t offset, const uint8_t *bytes, uint32_t size)
{
	while (size > 0) {
		uint32_t part;

		while (offset >= packet->data_len) {
			offset -= packet->data_len;
			packet = packet->next;
		}
		part = RTE_MIN(size, packet->data_len - offset);
		memcpy(rte_pktmbuf_mtod_offset(packet, uint8_t *, offset), bytes, part);
		bytes += part;
		size -= part;
		offset += part;
	}
}
