/* SPDX-License-Identifier: BSD-3-Clause */
/* The builtin inspector's own: what builtin.c (control thread) and builtin_submit.c (workers)
 * share. */
#pragma once

#include "packet/inspect/builtin/event_lane.h"
#include "packet/inspect/builtin/flow_table.h"
#include "packet/inspect/builtin/fragments.h"
#include "packet/inspect/builtin/held.h"
#include "packet/inspect/builtin/packet_bytes.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/inspector.h"

#define BUILTIN_READY_MAX 2048 /* released packets that wait for collect */

#define BUILTIN_RESIZED_MAX (PACKET_BYTES_MAX + 65536)

struct builtin_settings {
	bool drops_malformed;
	bool drops_unrelated; /* ICMP errors about no flow */
	bool ignores_checksums;
	bool picks_up_midstream;
	bool forwards_early;   /* decision 0006 instead of 0009 */
	bool bypasses_unknown; /* also flows of no protocol that is known */
	uint32_t event_types;  /* bit set of enum eve_type */
	uint64_t stats_interval_ns;
	uint64_t stream_depth; /* 0: none */
};

struct builtin_counters { /* written by the worker, read relaxed */
	uint64_t bad_checksums, rewritten, edited, rejected;
	uint64_t stream_outside, stream_no_memory, fragments_refused, fragments_incomplete;
	uint64_t held, gaps_given_up;
	uint64_t resized, translations_lost;
	uint64_t bypassed, icmp_related, icmp_unrelated;
	uint64_t malformed_by[DECODE_MALFORMED_COUNT];
};

/* What was seen, as Suricata counts it; written by the worker, read relaxed. */
struct builtin_statistics {
	uint64_t packets, bytes, largest;
	uint64_t arp, ipv4, ipv6, vlan, vlan_in_vlan;
	uint64_t tcp, udp, sctp, icmpv4, icmpv6;
	uint64_t tcp_syn, tcp_syn_ack, tcp_rst, tcp_urgent;
	uint64_t fragments_ipv4, fragments_ipv6, reassembled_ipv4, reassembled_ipv6;
	uint64_t flows, flows_tcp, flows_udp, flows_icmpv4, flows_icmpv6;
	uint64_t flows_reused, ended_bypassed, ended[FLOW_STATE_COUNT];
};

/* What is read of a burst's packets before the first of them is judged. */
struct builtin_prepared {
	struct decoded decoded;
	struct flow_lookup lookup;
};

struct builtin_worker {
	struct flow_table *flows;
	struct fragment_table *fragments;
	struct held_list held;
	struct list translated; /* flows whose ends count differently: struct translation */
	struct event_lane lanes[EVENT_LANE_COUNT];
	struct {
		struct rte_mbuf *packet;
		enum verdict verdict;
	} ready[BUILTIN_READY_MAX];
	uint32_t ready_head, ready_tail;
	struct builtin_prepared prepared[INSPECT_BURST];
	const struct builtin *builtin;
	struct builtin_counters counters;
	struct builtin_statistics statistics;
	struct app_counters app_counters;
	struct fragment_datagram datagram;
	uint8_t scratch[PACKET_BYTES_MAX];    /* of a packet whose buffer is in pieces */
	uint8_t resized[BUILTIN_RESIZED_MAX]; /* a packet with replacements of other sizes */
};

struct builtin {
	struct inspector base;
	struct ruleset *ruleset;           /* published */
	struct builtin_settings *settings; /* published */
	uint16_t worker_count;
	json_t *report;                   /* of the ruleset's compilation; control thread */
	uint64_t started_ns, stats_at_ns; /* control thread */
	struct builtin_worker *workers[WORKERS_MAX];
};

/* Of counters that the calling worker writes. Relaxed: a statistic, the control thread reads it. */
static inline void builtin_count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

void builtin_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts);
/* The engine was replaced: what it knows of flows is lost. */
void builtin_retire(struct inspector *inspector, uint16_t worker);
uint16_t builtin_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max);
