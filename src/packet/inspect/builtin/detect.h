/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Detection: what the builtin inspector (flow table, reassembly) asks of the rules. A ruleset is
 * compiled on the control thread beside the old one, is immutable afterwards apart from counters
 * and per-worker scratch, and is published by pointer (engine/publish.h), so that a reload is a
 * swap (I5). Detection runs on workers and allocates nothing.
 *
 * Per packet the caller first feeds the bytes it brought to their stream, in order, to
 * detect_stream(), then the packet itself to detect_packet(). Both add to one struct
 * detect_result; detect_result_finish() then settles what happens to packet and flow.
 */
#pragma once

#include "base/error.h"
#include "wire/decode.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a rule may look back upon in a stream; the caller keeps that many bytes of each direction
 * before the new ones where it can. A pattern that spans more is not found (decision 0005). */
#define DETECT_WINDOW_BYTES     4096
#define DETECT_ALERTS_MAX       15 /* per packet, as Suricata's packet-alert-max */
#define DETECT_REPLACEMENTS_MAX 128
#define DETECT_FLOWBITS_MAX     1024 /* names in one ruleset */
#define DETECT_CANDIDATES       8

struct ruleset;
struct compile_progress;

/* ---- Compilation: control thread ---- */

struct ruleset_file {
	const char *name; /* for messages */
	const char *text; /* need not end in NUL */
	size_t size;
};

/* Why a rule is not in the ruleset. Only an invalid one makes compilation fail. */
enum ruleset_refusal {
	RULESET_INVALID,     /* syntax, range, undefined variable */
	RULESET_UNSUPPORTED, /* correct, but this engine cannot express it; the rest is loaded */
	RULESET_DUPLICATE,   /* same gid and sid, and no higher rev */
	RULESET_NO_EFFECT,   /* no rule: a line about one that is not there, or has that already */
	RULESET_REFUSAL_COUNT,
};

/*
 * Compiles the files. variables is an object of strings or arrays of strings, HOME_NET and
 * the like (ports too), and may be NULL. previous (may be NULL) keeps the numbering of flowbits.
 *
 * 0: *out is the new ruleset. -EINVAL: a rule is invalid, or -ENOMEM; *out is NULL then and error
 * names the first reason. In all cases *report (if report is not NULL) is a new reference:
 *   {"files": n, "accepted": n, "refused": n, "invalid": n, "unsupported": n,
 *    "duplicate": n, "disabled": n, "coverage_percent": x.y,
 *    "refused_by_keyword": {"http.uri": n, ...},
 *    "refusals": [{"file", "line", "kind": "invalid|unsupported|duplicate|no-effect", "keyword",
 * "reason", "sid"}, ...]}    (the first RULESET_REPORT_MAX of them)
 */
#define RULESET_REPORT_MAX 10000
int ruleset_compile(const struct ruleset_file *files, size_t file_count, const json_t *variables,
	uint16_t worker_count, const struct ruleset *previous, struct ruleset **out,
	json_t **report, struct error *error);

/* The same, with what a running daemon has on top. */
struct ruleset_source {
	const struct ruleset_file *files;
	size_t file_count;
	const json_t *variables;
	uint16_t worker_count;
	const struct ruleset *previous;
	struct compile_progress *progress; /* NULL: nobody looks. When stopped: -ECANCELED */
	const int *cache_fd;               /* of a file for compiled patterns; NULL: none */
};
int ruleset_build(const struct ruleset_source *source, struct ruleset **out, json_t **report,
	struct error *error);

/* Frees it. Call after the grace period; accepts NULL. */
void ruleset_destroy(struct ruleset *ruleset);

uint32_t ruleset_rule_count(const struct ruleset *ruleset);

/* {"rules", "groups", "patterns", "bytes", "evaluations", "limits_exceeded", "buffers",
 * "message_rules", "thresholds_evicted"}:
 * looks at a rule that were given up since they took too long; counts that made room. */
json_t *ruleset_status(const struct ruleset *ruleset);

/* Rules with their matches, from index after on, at most limit: array of {"index", "gid", "sid",
 * "rev", "action", "msg", "classtype", "priority", "file", "line", "matches"}. */
json_t *ruleset_rules(const struct ruleset *ruleset, uint32_t after, uint32_t limit);

/* ---- Rules as events show them ---- */

enum rule_action {
	RULE_ALERT,
	RULE_PASS,
	RULE_DROP,
	RULE_REJECT,      /* to the sender: RST, or ICMP unreachable */
	RULE_REJECT_DST,  /* to the receiver */
	RULE_REJECT_BOTH, /* to both */
};

enum rule_target { RULE_TARGET_NONE, RULE_TARGET_SOURCE, RULE_TARGET_DESTINATION };

static inline bool rule_action_blocks(enum rule_action action)
{
	return action == RULE_DROP || action == RULE_REJECT || action == RULE_REJECT_DST
		|| action == RULE_REJECT_BOTH;
}
const char *rule_action_name(enum rule_action action); /* "rejectboth" */

/* Borrowed from the ruleset: valid as long as it is, for a worker until the end of its walk. */
struct rule_info {
	uint32_t index;
	uint32_t gid, sid, rev;
	enum rule_action action;
	uint8_t priority;       /* 1 is the highest, 3 when the rule names none */
	const char *msg;        /* "" when it has none */
	const char *classtype;  /* "" */
	const char *category;   /* the class' long text: EVE's alert.category */
	uint8_t target;         /* which end is attacked: EVE's alert.target */
	const json_t *metadata; /* object of arrays of strings, or NULL: EVE's alert.metadata.
				 * A worker increfs it for its events, and never decrefs. */
};

/* ---- Detection: workers ---- */

/* Kept by the caller in each flow, zeroed when the flow is created. */
struct detect_flow {
	uint32_t generation;  /* of the ruleset that the rest speaks of */
	uint8_t ip_only_seen; /* bit 0 to server, bit 1 to client: rules on addresses are done */
	uint64_t bits[DETECT_FLOWBITS_MAX / 64];
};

/* Kept by the caller for each direction of a TCP flow, zeroed when the flow is created. */
struct detect_stream {
	uint32_t generation;
	uint8_t candidate_count;
	bool rescan; /* more candidates than fit: look at the whole window again */
	struct {
		uint32_t rule;
		uint32_t seen;  /* stream offset (low 32 bits) where its pattern was seen */
		uint32_t floor; /* it matched below this offset already */
	} candidates[DETECT_CANDIDATES];
};

struct detect_context {
	const struct decoded *packet;
	struct detect_flow *flow; /* NULL: no flow (ARP, malformed, table full) */
	bool to_server;           /* the packet goes from the flow's initiator to its responder */
	bool is_established;      /* TCP: handshake done or picked up midstream; else: both
				   * directions were seen */
	bool is_in_stream;        /* its payload is looked at by detect_stream(), so that rules
				   * for streams need not look at the packet */
	uint8_t app_protocol;     /* enum app_protocol of the flow */
	uint64_t now_ns;
};

struct detect_alert {
	const struct rule_info *rule;
	enum rule_action action; /* the rule's, or that of its rate_filter */
	bool in_stream;
	bool is_noalert; /* counts, sets bits, acts, but no event */
};

/* Bytes that a `replace` changes, of the packet's payload; the caller applies them to the frame
 * and repairs the checksums (I3). Applied in order. */
struct detect_replacement {
	uint32_t offset; /* from the start of the payload */
	uint16_t size;
	uint16_t new_size;    /* TCP and UDP only: may differ */
	const uint8_t *bytes; /* of the ruleset */
};

struct detect_result {
	/* Filled by detect_*, most weighty first after detect_result_finish(). */
	uint16_t alert_count;
	uint16_t alerts_lost; /* beyond DETECT_ALERTS_MAX */
	struct detect_alert alerts[DETECT_ALERTS_MAX + 1];
	uint16_t replacement_count;
	struct detect_replacement replacements[DETECT_REPLACEMENTS_MAX];
	/* A rule whose `replace` came too late: part of what it matched has been let through, or
	 * it is more than fits. The flow is dropped instead. NULL: none. */
	const struct rule_info *replacement_failed;

	/* By detect_result_finish(): what to do. RULE_ALERT: nothing but the events. */
	enum rule_action action;
	bool applies_to_flow; /* pass, drop or reject is for the rest of the flow, too */
	const struct rule_info *decided_by; /* the rule behind a pass, drop or reject */
};

static inline void detect_result_init(struct detect_result *result)
{
	result->alert_count = 0;
	result->alerts_lost = 0;
	result->replacement_count = 0;
	result->replacement_failed = NULL;
	result->action = RULE_ALERT;
	result->applies_to_flow = false;
	result->decided_by = NULL;
}

/* The packet: headers, payload, flow. worker < the worker_count of ruleset_compile(). */
void detect_packet(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_result *result);

/* A fragment of a datagram, before it is put together: only the rules that speak of fragments. The
 * context has no flow. */
void detect_fragment(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_result *result);

/*
 * Bytes of a stream, in order and without gaps: window[0, size) of which [fresh, size) are new
 * since the last call, and window[0] is at stream_offset (0: the first byte behind the SYN) of the
 * direction that context->to_server names. What is before fresh should be DETECT_WINDOW_BYTES
 * where the stream has them. payload_at is where in the window the payload of context->packet
 * begins (needed for replace), or SIZE_MAX when it begins before it.
 */
void detect_stream(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, struct detect_stream *stream, const uint8_t *window,
	size_t size, size_t fresh, uint64_t stream_offset, size_t payload_at,
	struct detect_result *result);

/*
 * A message of the flow's application protocol, or a piece of its body, that context->packet
 * completes (app/app.h). After detect_stream() and detect_packet().
 */
struct app_message;
void detect_message(const struct ruleset *ruleset, uint16_t worker,
	const struct detect_context *context, const struct app_message *message,
	struct detect_result *result);

/* Whether rules ask for protocols at all, and for the bodies of HTTP. */
bool ruleset_wants_app(const struct ruleset *ruleset);
bool ruleset_wants_body(const struct ruleset *ruleset, bool to_server);

/* Whether the packet is stopped by what was found so far, but not its flow: its bytes come again.
 */
bool detect_result_stops_packet(const struct detect_result *result);

/*
 * Orders the alerts and decides, as Suricata's default does: pass before drop before reject before
 * alert. A pass takes the alerts behind it away; drop and reject leave those that matched in
 * place. (applies_to_flow as Suricata: rules that matched in the stream, and those on addresses
 * alone.)
 */
void detect_result_finish(struct detect_result *result);
