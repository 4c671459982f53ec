/* SPDX-License-Identifier: BSD-3-Clause */
/* IPv6 neighbour discovery (RFC 4861), as far as addresses are claimed in it. Pure; any thread. */
#pragma once

#include "wire/eth.h"

#include <stddef.h>

enum nd_type {
	ND_ROUTER_SOLICITATION = 133,
	ND_ROUTER_ADVERTISEMENT = 134,
	ND_NEIGHBOUR_SOLICITATION = 135,
	ND_NEIGHBOUR_ADVERTISEMENT = 136,
	ND_REDIRECT = 137,
};

struct nd {
	const uint8_t
		*target; /* of solicitation and advertisement: 16 bytes, borrowed; else NULL */
	/* Option of the type that tells the sender's or the target's own address; NULL: none. */
	const uint8_t *link_address;
};

static inline bool nd_is_type(uint8_t icmp_type)
{
	return icmp_type >= ND_ROUTER_SOLICITATION && icmp_type <= ND_REDIRECT;
}

/* bytes is the ICMPv6 message. False: too short, or an option's length is wrong (RFC 4861 section
 * 7.1.1: such messages are discarded by who gets them). */
bool nd_parse(const uint8_t *bytes, size_t size, struct nd *out);
