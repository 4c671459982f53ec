/* SPDX-License-Identifier: BSD-3-Clause */
/* An address of either version of IP, in network order. Unused bytes are zero, so that two of them
 * may be compared and hashed as memory. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_address {
	uint8_t version;   /* 4, 6; 0: none */
	uint8_t bytes[16]; /* IPv4 in the first four, the rest zero */
};

static inline bool ip_address_is_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
