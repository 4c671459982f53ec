/* SPDX-License-Identifier: BSD-3-Clause */
/* The builtin inspector's own: what builtin.c (control thread) and builtin_submit.c (workers)
 * share. */
#pragma once

#include "packet/inspect/builtin/flow_table.h"
#include "packet/inspect/builtin/fragments.h"
#include "packet/inspect/builtin/held.h"
#include "packet/inspect/builtin/packet_bytes.h"
#include "packet/inspect/event_ring.h"
#include "packet/inspect/inspector.h"

#define BUILTIN_READY_MAX   2048 /* released packets that wait for collect */
#define BUILTIN_EVENTS_MAX  4096 /* records that wait for the control thread */
#define BUILTIN_EVENTS_RATE 2000 /* a second and worker; what is above is counted */

struct builtin_settings {
	bool drops_malformed;
	bool ignores_checksums;
	bool picks_up_midstream;
	bool forwards_early;   /* decision 0006 instead of 0009 */
	uint64_t stream_depth; /* 0: none */
};

struct builtin_counters { /* written by the worker, read relaxed */
	uint64_t malformed, bad_checksums, events_suppressed, rewritten, edited, rejected;
	uint64_t stream_outside, stream_no_memory, fragments_refused;
	uint64_t held, gaps_given_up;
	uint64_t bypassed, icmp_related, icmp_unrelated;
};

struct builtin_worker {
	struct flow_table *flows;
	struct fragment_table *fragments;
	struct held_list held;
	struct event_ring *events;
	uint64_t event_tokens, event_tokens_at_ns;
	struct {
		struct rte_mbuf *packet;
		enum verdict verdict;
	} ready[BUILTIN_READY_MAX];
	uint32_t ready_head, ready_tail;
	struct builtin_counters counters;
	struct app_counters app_counters;
	struct fragment_datagram datagram;
	uint8_t scratch[PACKET_BYTES_MAX]; /* of a packet whose buffer is in pieces */
	uint8_t resized[PACKET_BYTES_MAX]; /* a datagram with replacements of other sizes */
};

struct builtin {
	struct inspector base;
	struct ruleset *ruleset;           /* published */
	struct builtin_settings *settings; /* published */
	uint16_t worker_count;
	json_t *report; /* of the ruleset's compilation; control thread */
	struct builtin_worker *workers[WORKERS_MAX];
};

void builtin_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts);
uint16_t builtin_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max);
