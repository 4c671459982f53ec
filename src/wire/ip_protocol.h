/* SPDX-License-Identifier: BSD-3-Clause */
/* The protocols above IP that the configuration and the API name. Pure; any thread. */
#pragma once

#include <stdint.h>

/* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, IPPROTO_ICMPV6; 0: another word, or NULL.
 */
uint8_t ip_protocol_of(const char *name);
/* "tcp"; "any" for what has no name here. */
const char *ip_protocol_name(uint8_t protocol);
