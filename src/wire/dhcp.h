/* SPDX-License-Identifier: BSD-3-Clause */
/* DHCP (RFC 2131) and DHCPv6 (RFC 8415): the ports that tell a server or relay from a client. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DHCP_SERVER_PORT   67
#define DHCP_CLIENT_PORT   68
#define DHCPV6_CLIENT_PORT 546
#define DHCPV6_SERVER_PORT 547

/* Clients take answers whatever port they come from, so both ports tell. */
static inline bool dhcp_is_from_server(uint8_t ip_version, uint16_t source, uint16_t destination)
{
	if (ip_version == 4)
		return source == DHCP_SERVER_PORT || destination == DHCP_CLIENT_PORT;
	return source == DHCPV6_SERVER_PORT || destination == DHCPV6_CLIENT_PORT;
}

static inline bool dhcp_is_from_client(uint8_t ip_version, uint16_t source, uint16_t destination)
{
	return ip_version == 4 && source == DHCP_CLIENT_PORT && destination == DHCP_SERVER_PORT;
}
