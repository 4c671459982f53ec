/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a held packet travels to an inspector outside of this process and back:
 *
 *	[MACs][0x8926 VN-Tag: dst_vif (14 bit) + src_vif (12 bit) = handle]
 *	      [0x8100 VLAN id, the same in both directions][the frame from its Ethernet type on]
 *
 * Suricata keeps tenants with the same addresses apart by the VLAN id, sees both directions of a
 *flow as one, and leaves the VN-Tag alone (facts/dpdk-suricata.md). Pure; any thread.
 */
#pragma once

#include "wire/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VN_TAG_SIZE       10 /* ethertype and VN-Tag, TPID and TCI */
#define VN_TAG_INDEX_BITS 12 /* of the handle; the rest cannot be guessed */
#define VN_TAG_TAG_BITS   14
#define VN_TAG_ETHERTYPE  0x8926
#define VN_TAG_TPID       0x8100
#define VN_TAG_MACS       12
#define VN_TAG_FRAME_MIN  14

/* Writes MACs and tags in front of what follows the MACs; out has VN_TAG_MACS + VN_TAG_SIZE bytes.
 */
static inline void vn_tag_write(uint8_t *out, const uint8_t *macs, uint32_t handle, uint16_t vlan)
{
	uint32_t destination = handle >> 12 & 0x3fff, source = handle & 0xfff;

	memcpy(out, macs, VN_TAG_MACS);
	network_store16(out + 12, VN_TAG_ETHERTYPE);
	network_store32(out + 14, destination << 16 | source);
	network_store16(out + 18, VN_TAG_TPID);
	network_store16(out + 20, vlan & 0xfff);
}

/* False: not a frame of ours. */
static inline bool vn_tag_read(const uint8_t *frame, size_t size, uint32_t *handle, uint16_t *vlan)
{
	uint32_t tag;

	if (size < VN_TAG_FRAME_MIN + VN_TAG_SIZE || network_load16(frame + 12) != VN_TAG_ETHERTYPE
		|| network_load16(frame + 18) != VN_TAG_TPID)
		return false;
	tag = network_load32(frame + 14);
	*handle = (tag >> 16 & 0x3fff) << 12 | (tag & 0xfff);
	*vlan = network_load16(frame + 20) & 0xfff;
	return true;
}
