/* SPDX-License-Identifier: BSD-3-Clause */
/* An address of either version of IP, in network order. Unused bytes are zero, so that two of them
 * may be compared and hashed as memory. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define IP_ADDRESS_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */

struct ip_address {
	uint8_t version;   /* 4, 6; 0: none */
	uint8_t bytes[16]; /* IPv4 in the first four, the rest zero */
};

static inline bool ip_address_is_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* False, and none in out: text is no address, or NULL. */
bool ip_address_parse(const char *text, struct ip_address *out);

/* The same for "192.0.2.0/24"; without a length all bits count. *length is in bits. */
bool ip_address_parse_prefix(const char *text, struct ip_address *out, uint8_t *length);

/* Whether the address, of the same version, is within the network of which that many bits count. */
static inline bool ip_address_is_within(
	const struct ip_address *address, const struct ip_address *network, uint8_t length)
{
	uint8_t bytes = length / 8, bits = length % 8;
	uint8_t mask = (uint8_t)(0xff00 >> bits);

	return memcmp(network->bytes, address->bytes, bytes) == 0
		&& (!bits || !((network->bytes[bytes] ^ address->bytes[bytes]) & mask));
}

/* As people write it; "" of none. */
void ip_address_text(const struct ip_address *address, char text[IP_ADDRESS_TEXT_SIZE]);
