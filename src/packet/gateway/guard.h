/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address guard (G8): holds a partition's port to the addresses that the configuration gives it,
 * and to the part of a client: no DHCP server, no router, no EAPOL of its own. Headers are found
 * behind VLAN tags, LLC/SNAP and IPv6 extension headers; what the guard would have to see and
 * cannot (fragments that split the header chain, stacks that are too deep) is dropped (RFC 7113).
 *
 * Constant once published; read by any worker.
 */
#pragma once

#include "packet/engine/drop.h"
#include "wire/eth.h"

#include <stdbool.h>
#include <stdint.h>

enum guard_flag {
	GUARD_MAC = 1 << 0,
	GUARD_IP = 1 << 1,
	GUARD_ARP = 1 << 2,
	GUARD_ND = 1 << 3,
	GUARD_DHCP = 1 << 4,
	GUARD_RA = 1 << 5,
	GUARD_EAPOL = 1 << 6, /* EAPOL is not allowed */
};

struct guard_prefix {
	uint8_t address[16], mask[16]; /* IPv4 in the first four bytes */
};

struct guard {
	uint8_t flags; /* enum guard_flag */
	bool has_ipv6_link_local;
	uint16_t mac_count, ipv4_count, ipv6_count;
	uint8_t (*macs)[ETH_ADDRESS_SIZE]; /* the first one is the port's own */
	struct guard_prefix *ipv4, *ipv6;
	uint8_t ipv6_link_local[16]; /* from the MAC (RFC 4291 appendix A) */
};

/* DROP_none, or why the frame (in canonical form, without its outer tag) may not enter. Reads
 * captured_size bytes at most; size is the whole frame's. */
enum drop_reason guard_check(
	const struct guard *guard, const uint8_t *frame, uint32_t captured_size, uint32_t size);
