/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What separates the builtin engine's flows and streams (builtin.c, flow_table.c, stream.c: the
 * callers) from its rule language and matching (rules/: the implementation). A ruleset is immutable
 * once compiled and read by all workers; what a worker writes while it matches (Hyperscan scratch,
 * match counters) lies in the ruleset once per worker. What a rule has to remember of a flow lies
 * in the flow, in memory that the flow table hands out zeroed and never looks into.
 */
#pragma once

#include "base/error.h"
#include "wire/decode.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define DETECT_MATCHES_MAX     8  /* reported of one packet; more are counted in the result */
#define DETECT_EDITS_MAX       16 /* replacements in one packet */
#define DETECT_SIDE_STATE_SIZE 48 /* bytes for the rule engine, per direction of a flow */
#define DETECT_FLOW_STATE_SIZE 64 /* bytes for the rule engine, per flow (flowbits) */

/* ---- compiling: control side ---- */

struct ruleset;

struct ruleset_source {
	const char *name; /* path, for messages */
	int fd;           /* borrowed, at its start, read to its end */
};

struct ruleset_config {
	const struct ruleset_source *sources;
	size_t source_count;
	const json_t *variables; /* {"HOME_NET": …} as configured; borrowed, NULL: none */
	uint16_t worker_count;
};

/*
 * Any thread (it takes seconds for large sets, so callers use a helper thread); no global state.
 * 0: *out is ready. -EINVAL: a rule is wrong (not merely beyond this engine), error names the
 * first, *out is untouched. In both cases *report is a new reference:
 *	{"files": n, "rules": n, "accepted": n, "coverage": 0.0..1.0,
 *	 "errors":  [{"file", "line", "sid", "reason"}],
 *	 "refused": [{"file", "line", "sid", "reason"}]}
 * where refused names what this engine cannot express; such rules are left out, and told.
 */
int ruleset_create(const struct ruleset_config *config, struct ruleset **out, json_t **report,
	struct error *error);
/* After the workers' grace period. NULL is allowed. */
void ruleset_destroy(struct ruleset *ruleset);

/* A page of rules for `bulkhead inspect rules`, [{"sid", "gid", "rev", "action", "msg", "file",
 * "line", "matches"}], of those with index >= after; *next is where to go on, 0 at the end. Control
 * thread; counters are read relaxed. New reference. */
json_t *ruleset_list(const struct ruleset *ruleset, size_t after, size_t limit, size_t *next);
size_t ruleset_rule_count(const struct ruleset *ruleset);

/* ---- matching: worker side ---- */

enum detect_action { /* in order of strength; a pass rule beats all, so it is no part of it */
	DETECT_NONE,
	DETECT_ALERT,
	DETECT_REJECT, /* drop, and tell both ends */
	DETECT_DROP,
	DETECT_PASS,
};

/* Of a rule, for the event; lives as long as the ruleset. */
struct detect_signature {
	uint32_t gid, sid, rev;
	uint8_t severity; /* priority: 1 is worst */
	enum detect_action action;
	const char *message;  /* msg, "" when there is none */
	const char *category; /* the text of its classtype, "" */
};

enum detect_flag {
	DETECT_TO_SERVER = 1 << 0,   /* else to the client */
	DETECT_ESTABLISHED = 1 << 1, /* flow:established */
	DETECT_HAS_FLOW = 1 << 2,    /* part of a tracked flow; clear: flow keywords do not match */
	DETECT_STREAM_START = 1 << 3, /* the window holds the stream from its first byte on */
	DETECT_IS_REASSEMBLED = 1 << 4, /* decoded is a whole datagram made of fragments */
	DETECT_IS_FIRST_RUN = 1 << 5,   /* first packet of the flow under this ruleset */
};

/*
 * Contiguous bytes of one direction of a TCP connection, in order and with first-wins overlaps
 * resolved: what the receiver will read. `data[0 .. fresh)` was shown before under this ruleset,
 * `data[fresh .. size)` is new. Successive calls for one direction leave no gap: where one was
 * given up, the window starts anew behind it (and fresh is 0). The history is at least
 * STREAM_HISTORY bytes, or all there is.
 */
struct detect_stream {
	const uint8_t *data;
	uint32_t size;
	uint32_t fresh;    /* index of the first new byte */
	uint64_t position; /* offset of data[0] in the stream, 0 at its first byte */
};

struct detect_input {
	const struct decoded *decoded; /* frame, headers, payload: contiguous */
	uint16_t vlan;
	uint8_t flags;                      /* enum detect_flag */
	const struct detect_stream *stream; /* NULL: no stream; payload rules see the payload */
	uint8_t *side_state; /* this direction's; NULL without DETECT_HAS_FLOW; 8-byte aligned */
	uint8_t *flow_state; /* the flow's; likewise */
	uint64_t now_ns;     /* monotonic */
};

/*
 * Bytes to overwrite (I3, same size). offset is from the start of the packet's own payload
 * (decoded->payload_offset); a replace match that lies partly in bytes which were delivered before
 * cannot be edited any more: such a rule drops instead.
 */
struct detect_edit {
	uint32_t offset, size;
	const uint8_t *bytes; /* lives as long as the ruleset */
};

struct detect_result {
	enum detect_action action; /* the strongest of the matches; DETECT_PASS: a pass rule won */
	bool is_for_flow;          /* drop, reject or pass holds for the rest of the flow too */
	uint8_t match_count;       /* valid elements of matches */
	uint8_t edit_count;
	uint32_t match_total; /* with those that did not fit */
	const struct detect_signature *matches[DETECT_MATCHES_MAX]; /* strongest first */
	struct detect_edit edits[DETECT_EDITS_MAX];
};

/*
 * One packet, in its stream's order. With input->stream the rules that look at payload see the
 * stream, and match when at least one byte of the match is fresh (so a match is told once); those
 * with packet keywords (dsize, tcp-pkt) see the packet's payload. Without, all see the payload.
 * Fills *result wholly. worker is below ruleset_config.worker_count. No allocation, no lock.
 */
void detect_run(struct ruleset *ruleset, uint16_t worker, const struct detect_input *input,
	struct detect_result *result);
