/* SPDX-License-Identifier: BSD-3-Clause */
/* What librte_acl looks at, in network order: the first field is of one byte, and each four bytes
 * behind it are one step (rte_acl's rule for layouts). For filter*.c alone. */
#pragma once

#include <rte_acl.h>
#include <stdint.h>

struct filter_key_ipv4 {
	uint8_t protocol;
	uint8_t zero[3];
	uint8_t source[4], destination[4];
	uint16_t ports[2]; /* source, destination */
};

struct filter_key_ipv6 {
	uint8_t protocol;
	uint8_t zero[3];
	uint8_t source[16], destination[16];
	uint16_t ports[2];
};

#define FILTER_FIELDS_IPV4 5
#define FILTER_FIELDS_IPV6 11

RTE_ACL_RULE_DEF(filter_entry_ipv4, FILTER_FIELDS_IPV4);
RTE_ACL_RULE_DEF(filter_entry_ipv6, FILTER_FIELDS_IPV6);
