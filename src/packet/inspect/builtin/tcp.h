/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a TCP connection's segments mean for its flow: where each direction's stream begins, what is
 * acknowledged, when it is established and closed (RFC 9293, RFC 5961). Distrusts on purpose: what
 * an endpoint would ignore must not change what we track. Worker thread only.
 */
#pragma once

#include "packet/inspect/builtin/flow_table.h"
#include "wire/tcp.h"

enum tcp_outcome {
	TCP_TRACKED,   /* goes on to the stream */
	TCP_IGNORED,   /* may pass; its receiver will not take it for a part of the stream */
	TCP_FORBIDDEN, /* must not pass: it could reach the receiver beside what is tracked */
};

struct tcp_settings {
	bool picks_up_midstream;
};

/* Before the segment's payload is laid out. ingress tells where it came in: a side's segments do
 * not come from where the other side's do. The flow may be started over. *anomaly: what is odd
 * about the segment, as EVE calls it (a constant); NULL. */
enum tcp_outcome tcp_track(struct flow_table *table, struct flow *flow, enum flow_side *side,
	const struct decoded *decoded, uint32_t ingress, const struct tcp_settings *settings,
	const char **anomaly);

/* Where in the frame its timestamp's value is (RFC 7323); 0: it has none. */
uint32_t tcp_timestamp_at(const struct decoded *decoded);
/* Where in the frame its selective acknowledgements begin, with kind and size of the option (RFC
 * 2018, RFC 2883), and their *size, 2 where it is empty;
 * 0: it brings none. */
uint32_t tcp_find_sack(const struct decoded *decoded, uint32_t *size);

/* After the segment was let through: FIN and the states that follow from it. */
void tcp_settle(struct flow_table *table, struct flow *flow, enum flow_side side,
	const struct decoded *decoded);

/* Sequence number of the first byte of payload. */
static inline uint32_t tcp_payload_sequence(const struct decoded *decoded)
{
	return decoded->tcp_sequence + ((decoded->tcp_flags & TCP_SYN) ? 1 : 0);
}
