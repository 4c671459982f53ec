/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that wait for a verdict, of one worker (I4, G3). What leaves the process instead of the
 * packet and its origin is a handle: index, and bits that only we can compute, new each time the
 * index is used. A handle is good for one hold_take(): a second one, one after the deadline, or one
 * by another inspector finds nothing (I10). Bounded; the worker's thread alone.
 */
#pragma once

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#define HOLD_INDEX_BITS 20
#define HOLD_TAG_BITS   44
#define HOLD_MAX        (1u << HOLD_INDEX_BITS)
#define HOLD_OWNER_NONE 0
#define HOLD_EXPIRE_ALL UINT64_MAX

struct hold_table;

/* limit: packets at most, HOLD_MAX at most. Control thread. NULL: no memory. */
struct hold_table *hold_table_create(uint32_t limit);
/* May be changed while the worker goes on; what is above it stays until it is taken. */
void hold_set_limit(struct hold_table *table, uint32_t limit);
/* Frees the packets that are left, too. NULL is allowed. */
void hold_table_destroy(struct hold_table *table);

/* Takes packet and gives its handle; owner is the inspector that holds it, never 0. -ENOBUFS: the
 * table is full, packet is still the caller's. */
int hold_insert(struct hold_table *table, struct rte_mbuf *packet, uint16_t owner,
	uint64_t deadline_ns, uint64_t *handle);

/* The packet, now the caller's; NULL when the handle is not valid (any more) for this owner. */
struct rte_mbuf *hold_take(struct hold_table *table, uint64_t handle, uint16_t owner);

/* The packet, which stays where it is; NULL likewise. */
struct rte_mbuf *hold_find(struct hold_table *table, uint64_t handle, uint16_t owner);

/* For carriers with few bits: a handle cut to index_bits + tag_bits (low bits are the index), and
 * the reverse of it, with the same rules as hold_take(). -ERANGE: the index needs more bits. */
int hold_handle_shorten(
	uint64_t handle, unsigned int index_bits, unsigned int tag_bits, uint32_t *out);
struct rte_mbuf *hold_take_short(struct hold_table *table, uint32_t handle, unsigned int index_bits,
	unsigned int tag_bits, uint16_t owner);

struct hold_expired {
	struct rte_mbuf *packet;
	uint16_t owner;
};

/* Up to max packets whose deadline is over at now_ns, earliest slots first; they are the caller's.
 * Deadlines are met to a millisecond. */
uint16_t hold_expire(
	struct hold_table *table, uint64_t now_ns, struct hold_expired *expired, uint16_t max);
/* Likewise, but of one owner and whatever the deadline: the inspector is gone. */
uint16_t hold_release(
	struct hold_table *table, uint16_t owner, struct rte_mbuf **packets, uint16_t max);

/* Read relaxed by the control thread. */
uint32_t hold_count(const struct hold_table *table);
uint32_t hold_count_of(const struct hold_table *table, uint16_t owner);
uint32_t hold_limit(const struct hold_table *table);
