/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/ip_protocol.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	uint8_t protocol;
} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP},
	{"icmp", IPPROTO_ICMP}, {"icmpv6", IPPROTO_ICMPV6}};

uint8_t ip_protocol_of(const char *name)
{
	for (size_t i = 0; name && i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (strcmp(protocols[i].name, name) == 0)
			return protocols[i].protocol;
	return 0;
}

const char *ip_protocol_name(uint8_t protocol)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (protocols[i].protocol == protocol)
			return protocols[i].name;
	return "any";
}
