/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flows of one worker: both directions of a TCP, UDP or ICMP exchange within one VLAN, IPv4 and
 * IPv6. Bounded. Where the table is full, one goes: of the VLAN that has most flows which are
 * closed or never got an answer, if these are many, so that a flood of them costs nobody's
 * connections; else of the VLAN that has most. The oldest goes first, closed ones before new ones
 * before the others. Written by the worker; the control thread reads through flow_table_list().
 */
#pragma once

#include "packet/engine/metadata.h"
#include "packet/inspect/builtin/app/app.h"
#include "packet/inspect/builtin/detect.h"
#include "packet/inspect/builtin/stream.h"
#include "packet/inspect/siphash.h"

#include <jansson.h>

enum flow_state {
	FLOW_NEW,         /* one side was heard */
	FLOW_ESTABLISHED, /* both; TCP: handshake done, or picked up midstream */
	FLOW_CLOSED,      /* TCP: FIN of both sides, or a valid RST */
	FLOW_STATE_COUNT,
};

enum flow_verdict {
	FLOW_INSPECT,
	FLOW_PASS,
	FLOW_DROP,
};

/* What the verdict rests on. */
enum flow_reason {
	FLOW_REASON_NONE,
	FLOW_REASON_RULE,        /* reason_sid */
	FLOW_REASON_BYPASS,      /* clean so far, and more than bypass-after bytes */
	FLOW_REASON_TRANSLATION, /* how its ends' numbers differ was lost: both were reset */
};

/* Why a flow ends. */
enum flow_end {
	FLOW_END_TIMEOUT,
	FLOW_END_EVICTED,
	FLOW_END_REUSED, /* a new connection on its addresses and ports */
};

enum flow_side { FLOW_CLIENT, FLOW_SERVER, FLOW_SIDES };

static inline enum flow_side flow_other_side(enum flow_side side)
{
	return side == FLOW_CLIENT ? FLOW_SERVER : FLOW_CLIENT;
}

/* Addresses and ports in an order that both directions agree on. No padding. */
struct flow_key {
	uint8_t addresses[2][16];
	uint16_t ports[2];
	uint16_t vlan;
	uint8_t protocol;
	uint8_t ip_version;
};

/* Where a packet of the client came in, for events. */
struct flow_opener {
	struct origin origin;
	struct remote_tag remote;
	uint8_t destination_mac[6];
};

struct flow {
	struct flow_key key;
	uint64_t hash;
	uint64_t id; /* for events; random start, so that it tells nothing */
	uint64_t started_wall_ns, started_ns, seen_ns;
	uint64_t packets[FLOW_SIDES], bytes[FLOW_SIDES]; /* sent by the side */
	uint32_t chain;                                  /* next in the bucket */
	uint32_t older, younger;                         /* in the list of VLAN and state */
	uint8_t client;     /* which of the key's addresses is the client's: 0 or 1 */
	uint8_t state;      /* enum flow_state */
	uint8_t verdict;    /* enum flow_verdict */
	uint8_t reason;     /* enum flow_reason */
	bool is_suspicious; /* a rule matched, or bytes of it were rewritten: never bypassed */
	bool is_alerted;    /* a rule that tells of it matched */
	bool has_opener;    /* opener is valid */
	uint8_t first_fin;  /* TCP: enum flow_side that closed first, and 1; 0: none */
	uint8_t tcp_flags[FLOW_SIDES];     /* of all packets of the side */
	uint8_t icmp_types[FLOW_SIDES][2]; /* type and code of the side's first packet */
	struct flow_opener opener;
	uint32_t reason_sid;
	bool is_used;
	struct translation *translation; /* its ends count differently; NULL: they do not */
	uint32_t path_mtu;               /* that ICMP errors told of; 0: none did */
	uint32_t ready_until; /* of its worker's ready packets, those before are its own */
	struct stream streams[FLOW_SIDES]; /* TCP: what the side sends */
	struct app_flow app;
	struct detect_flow detect;
	struct detect_stream detect_streams[FLOW_SIDES];
};

struct flow_table;

/* Both are of the worker. NULL: no memory. Control thread. */
struct flow_table *flow_table_create(uint32_t capacity, size_t stream_memory);
void flow_table_destroy(struct flow_table *table);

/* end is called for each flow before it is removed or started over, and lets go of its translation.
 * Control thread, at first. */
typedef void (*flow_end_fn)(void *context, struct flow *flow, enum flow_end reason);
void flow_table_watch(struct flow_table *table, flow_end_fn end, void *context);
/* The next flow from *index on, which moves; NULL: no more. Worker, or when it has ended. */
const struct flow *flow_table_next(const struct flow_table *table, uint32_t *index);

/* Where a packet's flow is, or would be. What lies there is fetched while other packets of a burst
 * are prepared: first the place itself (by look), then the flow (by fetch). */
struct flow_lookup {
	struct flow_key key;
	uint64_t hash;
	uint8_t sender;   /* which of the key's addresses */
	bool is_followed; /* a protocol with flows; the rest is valid then */
};

void flow_table_look(const struct flow_table *table, const struct decoded *decoded, uint16_t vlan,
	struct flow_lookup *out);
void flow_table_fetch(const struct flow_table *table, const struct flow_lookup *lookup);
/* The flow of a packet, made when there is none; *side is the one that sent it. NULL: not a
 * protocol that is followed. */
struct flow *flow_table_get(struct flow_table *table, const struct decoded *decoded,
	const struct flow_lookup *lookup, uint64_t now_ns, enum flow_side *side);
/* The same, but only one that is there, and nothing of it changes. */
struct flow *flow_table_find(struct flow_table *table, const struct decoded *decoded, uint16_t vlan,
	enum flow_side *side);
void flow_table_set_state(struct flow_table *table, struct flow *flow, enum flow_state state);
/* Starts the flow over: its tuple is used for a new connection, whose client is the sender. */
void flow_table_restart(struct flow_table *table, struct flow *flow, enum flow_side sender);

/* Frees some flows whose time is over; a bounded step. */
void flow_table_age(struct flow_table *table, uint64_t now_ns);
/* The same, for a worker that has no packets: now and then, and then more of them. */
void flow_table_age_idle(struct flow_table *table, uint64_t now_ns);
/* Nothing of the flow is read any more: the memory of its streams and messages goes back. */
void flow_table_stop_reading(struct flow_table *table, struct flow *flow);
/* Lets go of histories that are not needed; whether there was one. A bounded step. */
bool flow_table_reclaim(struct flow_table *table);

struct arena *flow_table_arena(struct flow_table *table);
uint32_t flow_table_count(const struct flow_table *table);    /* any thread */
uint64_t flow_table_evicted(const struct flow_table *table);  /* any thread */
uint32_t flow_table_capacity(const struct flow_table *table); /* any thread */
uint32_t flow_table_used(const struct flow_table *table); /* indices that ever were; any thread */

/* For inspect.flows, control thread, while the worker goes on: one flow at index as the API shows
 * it; NULL: free, or it changed while it was read. New reference. */
struct flow_filter {
	uint16_t vlan;      /* 0: all */
	uint8_t ip_version; /* of address; 0: all */
	uint8_t address[16];
	const char *verdict; /* NULL: all */
};
json_t *flow_table_show(const struct flow_table *table, uint32_t index,
	const struct flow_filter *filter, uint64_t now_ns);
