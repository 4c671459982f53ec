/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/filter.h"

#include "packet/distributor/filter_key.h"

#include <netinet/in.h>

struct filter_set *filter_set;
uint64_t filter_hits[WORKERS_MAX][FILTER_RULES_MAX + 1];

static void set_ports(const struct decoded *decoded, uint16_t ports[2])
{
	if (!decoded->l4_offset)
		return; /* rules about ports are of protocols that have them: check_filters.c */
	ports[0] = __builtin_bswap16(decoded->source_port);
	ports[1] = __builtin_bswap16(decoded->destination_port);
}

/* Index of the rule that the packet is for, + 1; 0: none is. */
static uint32_t classify_ipv4(const struct rte_acl_ctx *compiled, const struct decoded *decoded)
{
	struct filter_key_ipv4 key = {.protocol = decoded->protocol};
	const uint8_t *data = (const uint8_t *)&key;
	uint32_t result = 0;

	memcpy(key.source, decoded->source, sizeof(key.source));
	memcpy(key.destination, decoded->destination, sizeof(key.destination));
	set_ports(decoded, key.ports);
	rte_acl_classify(compiled, &data, &result, 1, 1);
	return result;
}

static uint32_t classify_ipv6(const struct rte_acl_ctx *compiled, const struct decoded *decoded)
{
	struct filter_key_ipv6 key = {.protocol = decoded->protocol};
	const uint8_t *data = (const uint8_t *)&key;
	uint32_t result = 0;

	memcpy(key.source, decoded->source, sizeof(key.source));
	memcpy(key.destination, decoded->destination, sizeof(key.destination));
	set_ports(decoded, key.ports);
	rte_acl_classify(compiled, &data, &result, 1, 1);
	return result;
}

static enum filter_kind kind_of(const struct decoded *decoded)
{
	bool is_later = decoded->is_fragment && !decoded->is_first_fragment;

	if (decoded->ip_version == 4)
		return is_later ? FILTER_IPV4_FRAGMENT : FILTER_IPV4;
	return is_later ? FILTER_IPV6_FRAGMENT : FILTER_IPV6;
}

bool filter_check(const struct filter_set *set, const struct decoded *decoded)
{
	const struct rte_acl_ctx *compiled;
	uint32_t found = 0;
	uint64_t *hits;

	if (!set)
		return true;
	compiled = set->compiled[kind_of(decoded)];
	if (compiled)
		found = decoded->ip_version == 4 ? classify_ipv4(compiled, decoded)
						 : classify_ipv6(compiled, decoded);
	hits = &filter_hits[worker_index][found ? set->rules[found - 1].slot : FILTER_SLOT_DEFAULT];
	/* Relaxed: a statistic; partner is filter_control.c. */
	__atomic_store_n(hits, *hits + 1, __ATOMIC_RELAXED);
	return found ? set->rules[found - 1].accepts : set->accepts;
}
