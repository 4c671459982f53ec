/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), as used by IPv4, TCP, UDP, ICMP. Pure; any thread. */
#pragma once

#include "wire/decode.h"

/* Adds size bytes to a running sum; a piece of odd size may only be the last one. */
uint32_t checksum_add(uint32_t sum, const uint8_t *data, size_t size);

/* The complement of the folded sum: what stands in the header, in host order. */
uint16_t checksum_finish(uint32_t sum);

/* Sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) for l4_size bytes behind
 * it. decoded has to have an ip_version. */
uint32_t checksum_pseudo_header(const struct decoded *decoded, uint32_t l4_size);

/* Into an IPv4 header, over as many bytes as it says to have. */
void checksum_write_ipv4(uint8_t *ip);

/*
 * Writes right checksums into the IPv4 header and the TCP, UDP, ICMP or ICMPv6 header of frame, the
 * bytes that were decoded. Leaves alone what has none to write: fragments' transport, UDP over IPv4
 * that was sent without, frames that were not captured whole.
 */
void checksum_repair(uint8_t *frame, const struct decoded *decoded);

/* Whether the checksums that checksum_repair() would write are there already. */
bool checksum_is_right(const struct decoded *decoded);
