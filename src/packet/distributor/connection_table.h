/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connections of one worker (D2): which target each goes to. Bounded; the memory is taken at
 * once. Entries are found by a keyed hash and aged by the state of their protocol.
 *
 * Who gets in when it is full: half of the entries is divided into a reserve for each VIPA, the
 * other half is shared. A VIPA within its reserve always gets an entry; beyond it, from the shared
 * half. When that is used up, the oldest embryonic connection gives way: one of the same VIPA, or
 * of the one that has most of them. Others never give way.
 *
 * Thread: the worker that it belongs to, alone.
 */
#pragma once

#include "packet/distributor/vipa.h"

#include <stdint.h>

#define CONNECTION_NONE      UINT32_MAX
#define CONNECTION_TICK_MS   100
#define CONNECTION_BYTES_MAX 128 /* a connection, in all: issue 4, section 5 */

/* No padding: compared and hashed as memory. */
struct connection_key {
	uint8_t client[16];
	uint16_t client_port, port; /* host order */
	uint16_t vipa;
	uint8_t vipa_generation;
	uint8_t protocol;
};

static_assert(sizeof(struct connection_key) == 24, "has no padding");

enum connection_state {
	CONNECTION_EMBRYONIC,   /* however it was begun: nothing has come behind that packet yet */
	CONNECTION_ESTABLISHED, /* TCP and SCTP: the client has gone on with it */
	CONNECTION_CLOSING,     /* both ends, or one by a reset, have said that they are done */
	CONNECTION_DATAGRAM,    /* UDP: likewise */
	CONNECTION_STATE_COUNT,
};

enum connection_flag {
	CONNECTION_IS_USED = 1 << 0,
	CONNECTION_IS_SECURE = 1 << 1, /* came by IPsec: so come all of its packets (D3) */
	CONNECTION_CLIENT_DONE = 1 << 2,
	CONNECTION_TARGET_DONE = 1 << 3,
	CONNECTION_OUTER_IPV6 = 1 << 4, /* secure: of its last packet, around ESP */
};

struct connection {
	struct connection_key key;
	uint32_t chain;        /* next of its hash; free list */
	uint32_t older, newer; /* in the list of its state, by when it was seen */
	uint32_t seen;         /* ticks */
	uint32_t acknowledged; /* TCP: what the client expects next from the target */
	uint32_t peer;         /* secure: who the client is, beside its address (ipsec.h) */
	uint32_t packets;      /* of the client */
	uint16_t target;
	uint8_t target_generation;
	uint8_t state; /* enum connection_state */
	uint8_t flags; /* enum connection_flag */
};

/* With its share of the hash's heads, at least one and at most two for each connection. */
static_assert(sizeof(struct connection) + 2 * sizeof(uint32_t) <= CONNECTION_BYTES_MAX,
	"what a connection takes");

struct connection_list {
	uint32_t oldest, newest;
};

struct connection_share {
	uint32_t count; /* of all states */
	uint32_t embryonic_count;
	struct connection_list embryonic;
};

struct connection_table {
	uint32_t capacity, count;
	uint32_t mask; /* of heads */
	uint64_t key[2];
	uint32_t reserve;    /* of each VIPA */
	uint32_t shared_max; /* beyond all reserves */
	uint32_t shared_used;
	uint32_t free;  /* first of the chain of those that were used before */
	uint32_t fresh; /* the first that was never used */
	uint32_t
		timeouts[CONNECTION_STATE_COUNT]; /* ticks; the control thread sets them, relaxed */
	struct connection_list lists[CONNECTION_STATE_COUNT]; /* but of embryonic ones */
	struct connection_share shares[VIPAS_MAX];
	uint32_t targets[VIPA_TARGETS_MAX]; /* connections of each; others read it, relaxed */
	uint32_t *heads;
	struct connection *entries;
};

/* NULL: no memory. */
struct connection_table *connection_table_create(uint32_t capacity);
void connection_table_destroy(struct connection_table *table);
/* All of them are forgotten, whoever they were. By the control thread, while no worker looks. */
void connection_table_clear(struct connection_table *table);
/* For so many VIPAs. Before the worker starts, or by it. */
void connection_table_divide(struct connection_table *table, uint32_t vipa_count);

/* NULL: not known. */
struct connection *connection_find(
	struct connection_table *table, const struct connection_key *key);
/* An entry for a key that is not there; NULL: the VIPA has its share, and nothing may give way.
 * What a packet begins is embryonic; other states are for what is known from elsewhere. */
struct connection *connection_add(struct connection_table *table, const struct connection_key *key,
	enum connection_state state, uint16_t target, uint8_t target_generation, uint32_t now);
void connection_remove(struct connection_table *table, struct connection *connection);
/* It was seen, and is in that state from now on. */
void connection_touch(struct connection_table *table, struct connection *connection,
	enum connection_state state, uint32_t now);
/* Removes up to max connections whose time is over; returns how many. */
uint32_t connection_expire(struct connection_table *table, uint32_t now, uint32_t max);

/* A client's state machine, as far as it is seen (RFC 9293 section 3.3.2; RFC 9260 section 4): of a
 * packet from the client, not counted yet, or from the target. flags are TCP's; of SCTP the type of
 * the first chunk. */
enum connection_state connection_next_state(
	struct connection *connection, uint8_t flags, bool is_from_client);
