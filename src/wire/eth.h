/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet (IEEE 802.3) and its VLAN tags (IEEE 802.1Q): sizes, types and addresses. */
#pragma once

#include "wire/network.h"

#include <stdbool.h>

#define ETH_ADDRESS_SIZE   6
#define ETH_HEADER_SIZE    14
#define ETH_TAG_SIZE       4
#define ETH_TYPE_OFFSET    12
#define ETH_FRAME_SIZE_MIN 60    /* without FCS; shorter ones are padded on the wire */
#define ETH_TYPE_MIN       0x600 /* below it the field is an IEEE 802.3 length */
#define ETH_PRIORITY_COUNT 8
#define ETH_VLAN_ID_COUNT  4096
#define ETH_VLAN_ID_MIN    1
#define ETH_VLAN_ID_MAX    4094 /* 0 is a priority tag, 4095 reserved: IEEE 802.1Q table 9-2 */
#define ETH_VLAN_ID_MASK   0xfff

#define ETH_RESERVED_PAUSE 1 /* last byte of the reserved address of IEEE 802.3 annex 31B */

enum eth_type {
	ETH_TYPE_IPV4 = 0x0800,
	ETH_TYPE_ARP = 0x0806,
	ETH_TYPE_RARP = 0x8035,
	ETH_TYPE_VLAN = 0x8100,
	ETH_TYPE_IPV6 = 0x86dd,
	ETH_TYPE_EAPOL = 0x888e,
	ETH_TYPE_QINQ = 0x88a8,
	ETH_TYPE_PREAUTH = 0x88c7,  /* EAPOL pre-authentication, IEEE 802.11i */
	ETH_TYPE_QINQ_OLD = 0x9100, /* before 802.1ad; some switches still take it */
};

static inline bool eth_type_is_tag(uint16_t type)
{
	return type == ETH_TYPE_VLAN || type == ETH_TYPE_QINQ || type == ETH_TYPE_QINQ_OLD;
}

static inline bool eth_address_is_group(const uint8_t address[ETH_ADDRESS_SIZE])
{
	return address[0] & 1;
}

static inline bool eth_address_is_broadcast(const uint8_t address[ETH_ADDRESS_SIZE])
{
	return (network_load32(address) & (0xffff0000 | network_load16(address + 4))) == 0xffffffff;
}

static inline bool eth_address_is_zero(const uint8_t address[ETH_ADDRESS_SIZE])
{
	return !(network_load32(address) | network_load16(address + 4));
}

/* 01:80:c2:00:00:00 to :0f, which bridges answer themselves (IEEE 802.1Q table 8-1). */
static inline bool eth_address_is_reserved(const uint8_t address[ETH_ADDRESS_SIZE])
{
	return network_load32(address) == 0x0180c200 && (network_load16(address + 4) & 0xfff0) == 0;
}
