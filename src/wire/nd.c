/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/nd.h"

#define OPTION_SOURCE_LINK_ADDRESS 1
#define OPTION_TARGET_LINK_ADDRESS 2

/* Bytes before the options. */
static size_t header_size(uint8_t type)
{
	switch (type) {
	case ND_ROUTER_SOLICITATION:
		return 8;
	case ND_ROUTER_ADVERTISEMENT:
		return 16;
	case ND_REDIRECT:
		return 40;
	default:
		return 24;
	}
}

bool nd_parse(const uint8_t *bytes, size_t size, struct nd *out)
{
	size_t at;

	*out = (struct nd){0};
	if (size < 8 || !nd_is_type(bytes[0]) || size < header_size(bytes[0]))
		return false;
	at = header_size(bytes[0]);
	if (bytes[0] == ND_NEIGHBOUR_SOLICITATION || bytes[0] == ND_NEIGHBOUR_ADVERTISEMENT)
		out->target = bytes + 8;
	while (at < size) {
		size_t option;

		if (size - at < 8 || bytes[at + 1] == 0)
			return false;
		option = (size_t)bytes[at + 1] * 8;
		if (option > size - at)
			return false;
		/* The last one counts for some hosts, the first for others: two are refused. */
		if (bytes[at] == OPTION_SOURCE_LINK_ADDRESS
			|| bytes[at] == OPTION_TARGET_LINK_ADDRESS) {
			if (out->link_address)
				return false;
			out->link_address = bytes + at + 2;
		}
		at += option;
	}
	return true;
}
