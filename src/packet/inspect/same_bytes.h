/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a packet came back from outside as it went out. Worker. */
#pragma once

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The bytes of a from a_at on are those of b from b_at on; both may be in pieces, and the offsets
 * lie in the first one. */
static inline bool same_bytes(
	const struct rte_mbuf *a, uint32_t a_at, const struct rte_mbuf *b, uint32_t b_at)
{
	if (a->pkt_len - a_at != b->pkt_len - b_at)
		return false;
	while (a && b) {
		uint32_t part = RTE_MIN(a->data_len - a_at, b->data_len - b_at);

		if (memcmp(rte_pktmbuf_mtod_offset(a, const uint8_t *, a_at),
			    rte_pktmbuf_mtod_offset(b, const uint8_t *, b_at), part)
			!= 0)
			return false;
		a_at += part;
		b_at += part;
		if (a_at == a->data_len) {
			a = a->next;
			a_at = 0;
		}
		if (b_at == b->data_len) {
			b = b->next;
			b_at = 0;
		}
	}
	return true;
}
