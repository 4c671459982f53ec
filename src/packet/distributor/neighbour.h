/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hardware addresses of those on the VIPAs' networks: clients that are on-link, and routers. One
 * table for all workers: answers come in wherever the physical adapter's queue is polled.
 *
 * Readers and writers: workers. Each entry is read under a sequence count and written under its
 * bucket's lock, when there is news only.
 */
#pragma once

#include "wire/eth.h"
#include "wire/ip_address.h"

enum neighbour_state {
	NEIGHBOUR_KNOWN,
	NEIGHBOUR_STALE,   /* known, and to be asked again: the caller's turn to do so */
	NEIGHBOUR_UNKNOWN, /* to be asked: likewise */
	NEIGHBOUR_ASKED,   /* unknown; somebody has asked just now */
};

/* now: ticks of CONNECTION_TICK_MS. mac is set with KNOWN and STALE. */
enum neighbour_state neighbour_find(uint16_t vlan, const struct ip_address *address, uint32_t now,
	uint8_t mac[ETH_ADDRESS_SIZE]);

/* From a question or an answer that was addressed to us. An answer that nobody has asked for makes
 * no entry: may_add is false. */
void neighbour_learn(uint16_t vlan, const struct ip_address *address, const uint8_t *mac,
	uint32_t now, bool may_add);

/* Forgets all. No worker runs. */
void neighbour_clear(void);
