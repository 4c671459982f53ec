/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ring of a memif, in memory that the other end may write at any time (I10). Each descriptor is
 * copied once, the copy is checked, and only the copy is used; our place in the ring is kept here
 * and never read back. What cannot be right is counted; a peer that goes on with it, or whose
 * counter runs away, has its ring stopped, and the control thread closes the link.
 *
 * A ring carries packets one way: the client owns its memory, and so the buffers. As the server we
 * find a buffer by the descriptor; as the client by its place, whatever the descriptor says.
 *
 * Receiving: one worker at a time. Made and released by the control thread.
 */
#pragma once

#include "packet/port/memif_memory.h"

#include <rte_mbuf.h>
#include <rte_spinlock.h>
#include <stdbool.h>
#include <stdint.h>

#define MEMIF_COOKIE        0x3E31F20
#define MEMIF_RING_LOG2_MAX 14
#define MEMIF_MASK_INT      1 /* in the flags of a ring: its receiver polls */
/* Descriptors of one packet: 64 KB in buffers of 1 KB. */
#define MEMIF_CHAIN_MAX 64
/* Descriptors that were wrong, until a peer is taken to be hostile. */
#define MEMIF_BAD_MAX 64

enum memif_descriptor_flags { MEMIF_NEXT = 1 };

struct memif_descriptor {
	uint16_t flags;
	uint16_t region;
	uint32_t length;
	uint32_t offset;
	uint32_t metadata;
};

/* As it lies in memory. */
struct memif_shared {
	uint32_t cookie;
	uint16_t flags;
	uint16_t head; /* written by the client */
	uint8_t to_line[56];
	uint16_t tail; /* written by the server */
	uint8_t to_descriptors[62];
	struct memif_descriptor descriptors[];
};
static_assert(sizeof(struct memif_shared) == 128, "two cache lines");

struct signal_bell;

struct memif_ring {
	const struct memif_memory *memory;
	struct memif_shared *shared;
	/* The two counters; ends of what we may use are where the peer's stands plus a bias. */
	const uint16_t *theirs;
	uint16_t *ours;
	uint16_t their_bias, our_bias;
	uint16_t size, mask;
	uint16_t next;        /* our place; the counter without its bias */
	uint8_t *buffers;     /* as the client: of all places, in their order; NULL: the server */
	uint32_t buffer_size; /* as the client */
	bool is_receiving;
	int eventfd;              /* sending: to be rung; owned */
	struct signal_bell *bell; /* borrowed */
	/* Sending: workers share a queue when the peer has fewer, and do not learn of it at once.
	 */
	rte_spinlock_t lock;
	uint32_t bad_count;
	const char *fault; /* why it was stopped; written by the worker, read relaxed */
} __rte_cache_aligned;

#define MEMIF_RING_BYTES(log2_size)                                                                \
	(sizeof(struct memif_shared) + (sizeof(struct memif_descriptor) << (log2_size)))

/* Where the ring lies, checked: NULL, with a reason, when it cannot be there. */
struct memif_shared *memif_ring_find(const struct memif_memory *memory, uint16_t region,
	uint32_t offset, uint8_t log2_size, struct error *error);
/* Begins with an empty ring; buffers as in the struct. */
void memif_ring_begin(struct memif_ring *ring, bool is_receiving, const struct memif_memory *memory,
	struct memif_shared *shared, uint8_t log2_size, uint8_t *buffers, uint32_t buffer_size);
/* As the client, when the server is ready: it may use the ring's buffers. */
void memif_ring_lend(struct memif_ring *ring);

/* At most count packets, of packet_pool; wrong ones are empty and marked OFFLOAD_IS_INVALID. */
uint16_t memif_ring_receive(struct memif_ring *ring, struct rte_mbuf **packets, uint16_t count);
/* Consumes those sent, from the front. *refused of them (added to) can never be sent: they have
 * more bytes than a chain of the peer's buffers. */
uint16_t memif_ring_send(
	struct memif_ring *ring, struct rte_mbuf **packets, uint16_t count, uint16_t *refused);
