/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/ip_address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>

static_assert(IP_ADDRESS_TEXT_SIZE == INET6_ADDRSTRLEN, "the longest address fits");

bool ip_address_parse(const char *text, struct ip_address *out)
{
	*out = (struct ip_address){.version = 0};
	if (text && inet_pton(AF_INET, text, out->bytes) == 1)
		out->version = 4;
	else if (text && inet_pton(AF_INET6, text, out->bytes) == 1)
		out->version = 6;
	return out->version != 0;
}

bool ip_address_parse_prefix(const char *text, struct ip_address *out, uint8_t *length)
{
	char host[IP_ADDRESS_TEXT_SIZE];
	size_t size = text ? strcspn(text, "/") : 0;
	unsigned long bits;

	*out = (struct ip_address){.version = 0};
	if (!text || size >= sizeof(host))
		return false;
	memcpy(host, text, size);
	host[size] = '\0';
	if (!ip_address_parse(host, out))
		return false;
	bits = out->version == 4 ? 32 : 128;
	*length = (uint8_t)bits;
	if (!text[size])
		return true;
	if (strtoul(text + size + 1, NULL, 10) > bits) {
		*out = (struct ip_address){.version = 0};
		return false;
	}
	*length = (uint8_t)strtoul(text + size + 1, NULL, 10);
	return true;
}

void ip_address_text(const struct ip_address *address, char text[IP_ADDRESS_TEXT_SIZE])
{
	text[0] = '\0';
	if (address->version)
		inet_ntop(address->version == 4 ? AF_INET : AF_INET6, address->bytes, text,
			IP_ADDRESS_TEXT_SIZE);
}
