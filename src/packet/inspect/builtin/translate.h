/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replacements that make a TCP segment shorter or longer (I3, decision 0015). From the first one on
 * the flow has a translation: its packets' numbers are put right on their way in (what the receiver
 * acknowledges, before anybody else reads it) and on their way out (what the sender counts). Flow
 * table, stream, rules and answers know the sender's numbers alone.
 *
 * A translation belongs to the flow, not to the rules, and outlives their reload and a verdict for
 * the flow. When it is lost both ends are reset, since each would take the other's numbers for
 * other bytes. Worker thread only.
 */
#pragma once

#include "packet/inspect/builtin/answer.h"
#include "packet/inspect/builtin/job.h"
#include "packet/inspect/builtin/translate_map.h"

struct translation {
	struct list link; /* in builtin_worker.translated */
	struct flow *flow;
	struct translate_map maps[FLOW_SIDES]; /* of what the side sends */
	uint32_t mtu_bytes;                    /* least of all ports; 0: unknown */
	bool has_fin[FLOW_SIDES];
	/* A packet of the flow, as the reset that may be needed is an answer to it. */
	enum flow_side side;
	struct decoded decoded;
	uint8_t headers[ANSWER_HEADERS_MAX];
	struct packet_metadata metadata;
};

/* Of a packet whose flow is known, before anything reads its acknowledgement; false: it cannot be
 * changed, and must be dropped. */
bool translate_in(struct job *job);
/* The last step of a packet that got its verdict: its numbers, and its bytes where they are
 * replaced. May return another verdict; VERDICT_HELD when it became several, which are ready. */
enum verdict translate_out(struct job *job, enum verdict verdict);

/* Whether all that one segment may need can be remembered. */
bool translate_has_room(const struct job *job);
/* Remembers the result's replacements, which translate_out() carries out; those of the same size
 * are carried out at once. false: not possible here. */
bool translate_edit(struct job *job);

/* Puts decoded into the numbers of the end that an answer to it goes to. */
void translate_answer(const struct flow *flow, enum flow_side side, enum answer_target target,
	struct decoded *decoded);
/* The number in an ICMP error's quotation of a packet that sender sent, as sender counts. */
uint32_t translate_quoted(const struct flow *flow, enum flow_side sender, uint32_t sequence);
/* Makes the quotation what the packet's sender sent, and learns the path's MTU (RFC 1191, RFC
 * 8201). false: as in translate_in(). */
bool translate_quotation(struct job *job, const struct decoded *about, enum flow_side sender);

/* The flow is over or begins anew. */
void translate_forget(struct builtin_worker *own, struct flow *flow);
/* All translations of the worker are lost: their ends are reset, their flows dropped. */
void translate_lose_all(struct builtin_worker *own);
