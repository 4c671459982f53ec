/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trace: packets chosen by a filter record, node by node, where they were and what was decided
 * (`bulkhead trace`). Costs one predictable branch per packet and node while nothing is traced.
 */
#pragma once

#include "packet/engine/metadata.h"

/* Records one step of a traced packet with a short text ("fdb: internal -> web.eth0"). Worker. */
void trace_record(struct rte_mbuf *packet, const char *node, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

#define trace_step(packet, node, ...)                                                              \
	do {                                                                                       \
		if (__builtin_expect(packet_metadata(packet)->flags & PACKET_IS_TRACED, 0))        \
			trace_record(packet, node, __VA_ARGS__);                                   \
	} while (0)
