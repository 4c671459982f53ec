/* SPDX-License-Identifier: BSD-3-Clause */
/* One packet under inspection: what builtin_submit.c and its neighbours hand each other. Worker. */
#pragma once

#include "packet/engine/drop.h"
#include "packet/inspect/builtin/builtin.h"

/* One packet (or one datagram of several). */
struct job {
	struct builtin *builtin;
	struct builtin_worker *own;
	const struct builtin_settings *settings;
	const struct ruleset *ruleset;
	uint16_t worker;
	uint64_t now_ns;
	struct rte_mbuf **packet;
	uint8_t *frame; /* in the packet, or a copy */
	bool is_copied, is_datagram, is_urgent;
	bool is_about_flow; /* an ICMP error: the flow is the one that it tells of */
	struct decoded decoded;
	struct flow_lookup lookup;
	struct flow *flow;
	enum flow_side side;
	struct stream *stream; /* NULL: none for this packet */
	struct stream_step step;
	struct detect_context context;
	struct detect_result result;
	enum app_outcome app_outcome;
	struct app_summary app_summary; /* of the message that rules matched */
	bool has_app_summary;
};

/* The verdict of a packet that is dropped. */
static inline enum verdict job_drop(struct job *job, enum drop_reason reason)
{
	drop_mark(*job->packet, reason);
	return VERDICT_DROP;
}

/* For a burst. */
void job_init(struct job *job, struct builtin *builtin, uint16_t worker);
/* Which way a packet came, to tell the ends of a connection apart. */
uint32_t job_ingress(struct rte_mbuf *packet);
/* Reads the packet's bytes and headers. */
void job_open(struct job *job, struct rte_mbuf **packet);
/* A segment whose flow and side are known. */
enum verdict job_inspect_segment(struct job *job);
/* Whether the frame may be written; makes it so. */
bool job_can_change(struct job *job);
/* After that: its checksums, and its way back into the packet. */
void job_finish_change(struct job *job);
/* What a packet is changed to before it goes on; false: it cannot be, and must not go on. Bytes
 * that were let through with other content before; an urgent pointer; what rules replace.
 * job_change.c */
bool job_apply_rewrite(struct job *job);
bool job_clear_urgent(struct job *job);
bool job_apply_edits(struct job *job);

/* Alerts, and the drop when there is one; within the limit of events. job_events.c */
void job_emit_alerts(struct job *job);
/* An anomaly; event is a constant, with Suricata's prefix "decoder." or "stream.". */
void job_emit_anomaly(struct job *job, const char *event);
/* The headers do not parse. */
void job_emit_malformed(struct job *job);

static inline uint32_t job_ready_room(const struct builtin_worker *own)
{
	return BUILTIN_READY_MAX - (own->ready_head - own->ready_tail);
}

/* Lets packet wait for collect; there is room. */
void job_make_ready(struct builtin_worker *own, struct rte_mbuf *packet, enum verdict verdict);
