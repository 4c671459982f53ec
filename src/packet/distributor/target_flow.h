/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * By which way the connections of a target came, and so by which way its answers go (D9): bounded,
 * by worker, aged. What a worker has learned all workers read: packets of the link and of the
 * hidden interface are polled where their queues are.
 *
 * Writer of a table: its worker. Readers: all workers, under a sequence count an entry. When a set
 * is full, flows that are half open, closing or over time give way, never an established one: a
 * flood of SYNs displaces nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum target_way_kind {
	TARGET_WAY_UNKNOWN,
	TARGET_WAY_SECURE,    /* back to the distributor, by GRE */
	TARGET_WAY_PLAIN,     /* distributed in clear: straight out */
	TARGET_WAY_OWN,       /* begun by this host: straight out */
	TARGET_WAY_PROTECTED, /* came by our own IPsec: straight out, protected again */
};

struct target_way {
	uint8_t kind; /* enum target_way_kind */
	uint8_t peer; /* TARGET_WAY_SECURE: index of the distributor */
};

/* Of a client's packet; of an answer both ends are swapped. 40 bytes without holes. */
struct target_flow_key {
	uint8_t client[16], vipa[16]; /* IPv4 in the first four bytes, the rest zero */
	uint16_t client_port, port;
	uint8_t ip_version, protocol;
	uint16_t zero;
};

struct target_flows;

/* count: entries, rounded up to a power of two. NULL: no memory. */
struct target_flows *target_flows_create(uint32_t count);
void target_flows_destroy(struct target_flows *flows);

/* The worker's own table. A packet of the flow came by the way; tcp_flags are 0 for other
 * protocols. False: there is no room. */
bool target_flow_learn(struct target_flows *flows, const struct target_flow_key *key,
	struct target_way way, uint8_t tcp_flags, uint32_t now_s);

/* In the tables of all workers: the way of the flow, as it was seen last; kind TARGET_WAY_UNKNOWN:
 * it is in none. Counts as a packet of the flow. */
struct target_way target_flow_find(struct target_flows *const *tables, uint16_t count,
	const struct target_flow_key *key, uint32_t now_s);

/* Control thread, for what is shown: flows in the table that are not over time. */
uint32_t target_flows_count(struct target_flows *flows, uint32_t now_s);
