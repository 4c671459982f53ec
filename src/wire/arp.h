/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP (RFC 826) and RARP (RFC 903) for IPv4 over Ethernet. Pure; any thread. */
#pragma once

#include "wire/eth.h"

#include <stddef.h>

#define ARP_SIZE 28

struct arp {
	uint16_t operation;
	uint8_t sender_mac[ETH_ADDRESS_SIZE], target_mac[ETH_ADDRESS_SIZE];
	uint8_t sender_ip[4], target_ip[4];
};

/* False: too short, or not IPv4 over Ethernet. */
static inline bool arp_parse(const uint8_t *bytes, size_t size, struct arp *out)
{
	if (size < ARP_SIZE || network_load32(bytes) != 0x00010800
		|| network_load16(bytes + 4) != 0x0604)
		return false;
	out->operation = network_load16(bytes + 6);
	memcpy(out->sender_mac, bytes + 8, ETH_ADDRESS_SIZE);
	memcpy(out->sender_ip, bytes + 14, 4);
	memcpy(out->target_mac, bytes + 18, ETH_ADDRESS_SIZE);
	memcpy(out->target_ip, bytes + 24, 4);
	return true;
}
