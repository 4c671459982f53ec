/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/memif_ring.h"

#include "base/signal_bell.h"
#include "packet/engine/pool.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"

#include <errno.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>
#include <string.h>

#define FRAME_SIZE_MAX (65535 + 14 + 8) /* IP's maximum, Ethernet, two tags */

/* A checked copy of a descriptor. */
struct part {
	uint8_t *bytes; /* NULL: the descriptor is wrong */
	uint32_t size;  /* of the bytes in it; sending: of the room */
	bool has_next;
};

struct memif_shared *memif_ring_find(const struct memif_memory *memory, uint16_t region,
	uint32_t offset, uint8_t log2_size, struct error *error)
{
	struct memif_shared *shared;

	if (log2_size > MEMIF_RING_LOG2_MAX) {
		error_set(error, -EINVAL, "ring larger than 2^%d", MEMIF_RING_LOG2_MAX);
		return NULL;
	}
	shared = (struct memif_shared *)(void *)memif_memory_find(
		memory, region, offset, MEMIF_RING_BYTES(log2_size));
	/* Regions start on a page; a descriptor is loaded as two words. */
	if (!shared || offset % sizeof(struct memif_descriptor) != 0) {
		error_set(error, -EINVAL, "ring not in its region, or not aligned");
		return NULL;
	}
	return shared;
}

void memif_ring_begin(struct memif_ring *ring, bool is_receiving, const struct memif_memory *memory,
	struct memif_shared *shared, uint8_t log2_size, uint8_t *buffers, uint32_t buffer_size)
{
	bool is_client = buffers != NULL;

	rte_spinlock_init(&ring->lock);
	ring->memory = memory;
	ring->shared = shared;
	ring->is_receiving = is_receiving;
	ring->size = (uint16_t)(1U << log2_size);
	ring->mask = (uint16_t)(ring->size - 1);
	ring->buffers = buffers;
	ring->buffer_size = buffer_size;
	ring->theirs = is_client ? &shared->tail : &shared->head;
	ring->ours = is_client ? &shared->head : &shared->tail;
	/* A client lends its whole ring: to be filled, or to be sent from. */
	ring->their_bias = is_client && !is_receiving ? ring->size : 0;
	ring->our_bias = is_client && is_receiving ? ring->size : 0;
	__atomic_store_n(&shared->head, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&shared->tail, 0, __ATOMIC_RELAXED);
	if (is_receiving) /* arrivals are polled for */
		__atomic_store_n(&shared->flags, MEMIF_MASK_INT, __ATOMIC_RELAXED);
}

static void stop(struct memif_ring *ring, const char *why)
{
	__atomic_store_n(&ring->fault, why, __ATOMIC_RELAXED);
}

static void note_bad(struct memif_ring *ring)
{
	if (++ring->bad_count > MEMIF_BAD_MAX)
		stop(ring, "descriptors that point nowhere, or have no end");
}

/* Descriptors that the peer has given, and that were not used. */
static uint16_t count_available(struct memif_ring *ring)
{
	/* Acquire: pairs with the peer's release; descriptors and bytes are seen. */
	uint16_t end =
		(uint16_t)(__atomic_load_n(ring->theirs, __ATOMIC_ACQUIRE) + ring->their_bias);
	uint16_t available = (uint16_t)(end - ring->next);

	if (available > ring->size) {
		stop(ring, "a counter beyond the ring");
		return 0;
	}
	return available;
}

static struct memif_descriptor load(const struct memif_descriptor *shared)
{
	union {
		uint64_t words[2];
		struct memif_descriptor descriptor;
	} copy;
	const uint64_t *words = (const uint64_t *)(const void *)shared;

	/* Atomic, so that no compiler reads them again. */
	copy.words[0] = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
	copy.words[1] = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
	return copy.descriptor;
}

static struct part check(const struct memif_ring *ring, uint16_t slot)
{
	struct memif_descriptor copy = load(&ring->shared->descriptors[slot]);
	struct part part = {.size = copy.length, .has_next = copy.flags & MEMIF_NEXT};

	if (!ring->buffers) {
		part.bytes = memif_memory_find(ring->memory, copy.region, copy.offset, copy.length);
		return part;
	}
	part.bytes = ring->buffers + (size_t)slot * ring->buffer_size;
	if (!ring->is_receiving)
		part.size = ring->buffer_size;
	else if (copy.length > ring->buffer_size)
		part.bytes = NULL;
	return part;
}

/* Fills parts up to end, from the ring's place on. */
static uint16_t read_parts(
	const struct memif_ring *ring, struct part *parts, uint16_t at, uint16_t end)
{
	for (; at < end; at++) {
		parts[at] = check(ring, (uint16_t)(ring->next + at) & ring->mask);
		rte_prefetch0(parts[at].bytes);
	}
	return at;
}

/* As the client: descriptors of count places, from the one at on, as they are lent. */
static void offer(struct memif_ring *ring, uint16_t at, uint16_t count)
{
	uint32_t first = (uint32_t)(ring->buffers - ring->memory->regions[0].base);

	for (uint16_t i = 0; i < count; i++) {
		uint16_t slot = (uint16_t)(at + i) & ring->mask;

		ring->shared->descriptors[slot] = (struct memif_descriptor){
			.length = ring->buffer_size, .offset = first + slot * ring->buffer_size};
	}
}

void memif_ring_lend(struct memif_ring *ring)
{
	offer(ring, 0, ring->size);
	if (ring->is_receiving)
		/* Release: pairs with the server's acquire; the descriptors are seen. */
		__atomic_store_n(ring->ours, ring->our_bias, __ATOMIC_RELEASE);
}

/* --- Receiving --- */

/* How many parts the packet has that begins at the first one; 0: its end is not among them. */
static uint16_t chain_length(const struct part *parts, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		if (!parts[i].has_next)
			return (uint16_t)(i + 1);
	return 0;
}

static bool is_sound(const struct part *parts, uint16_t count)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < count; i++) {
		if (!parts[i].bytes)
			return false;
		total += parts[i].size;
	}
	return total <= FRAME_SIZE_MAX && !parts[count - 1].has_next;
}

/* What is left of a packet that cannot be one. */
static void make_invalid(struct rte_mbuf *packet)
{
	rte_pktmbuf_free(packet->next);
	packet->next = NULL;
	packet->nb_segs = 1;
	packet->data_len = 0;
	packet->pkt_len = 0;
	packet->ol_flags |= OFFLOAD_IS_INVALID;
}

static void take_packet(
	struct memif_ring *ring, struct rte_mbuf *packet, const struct part *parts, uint16_t count)
{
	struct rte_mbuf *last = packet;

	if (likely(count == 1 && parts->bytes && !parts->has_next
		    && parts->size <= rte_pktmbuf_tailroom(packet))) {
		rte_memcpy(rte_pktmbuf_mtod(packet, void *), parts->bytes, parts->size);
		packet->data_len = (uint16_t)parts->size;
		packet->pkt_len = parts->size;
		return;
	}
	if (!is_sound(parts, count)) {
		note_bad(ring);
		make_invalid(packet);
		return;
	}
	for (uint16_t i = 0; i < count; i++) {
		if (pool_append(packet, &last, parts[i].bytes, parts[i].size) == 0)
			continue;
		make_invalid(packet); /* no memory */
		return;
	}
}

/* Gives count descriptors back. */
static void release(struct memif_ring *ring, uint16_t count)
{
	if (ring->buffers)
		offer(ring, ring->next, count);
	ring->next = (uint16_t)(ring->next + count);
	/* Release: pairs with the peer's acquire; we have read what is in them. */
	__atomic_store_n(ring->ours, (uint16_t)(ring->next + ring->our_bias), __ATOMIC_RELEASE);
}

/* The first count descriptors, or so many that one packet ends. */
static uint16_t take_packets(
	struct memif_ring *ring, struct rte_mbuf **packets, uint16_t count, uint16_t available)
{
	struct part parts[MEMIF_CHAIN_MAX];
	uint16_t read = read_parts(ring, parts, 0, count), at = 0, taken = 0;

	while (at < read && taken < count) {
		uint16_t length = chain_length(parts + at, (uint16_t)(read - at));

		if (length == 0 && at > 0)
			break; /* the next burst begins with it */
		if (length == 0) {
			read = read_parts(
				ring, parts, read, RTE_MIN(available, (uint16_t)MEMIF_CHAIN_MAX));
			length = chain_length(parts, read);
		}
		if (length == 0)
			length = read; /* and no packet */
		take_packet(ring, packets[taken++], parts + at, length);
		at = (uint16_t)(at + length);
	}
	release(ring, at);
	return taken;
}

uint16_t memif_ring_receive(struct memif_ring *ring, struct rte_mbuf **packets, uint16_t count)
{
	uint16_t available, taken;

	if (unlikely(ring->fault != NULL))
		return 0;
	available = count_available(ring);
	count = RTE_MIN(count, available);
	count = RTE_MIN(count, (uint16_t)PORT_BURST);
	if (count == 0 || rte_pktmbuf_alloc_bulk(packet_pool, packets, count) < 0)
		return 0;
	taken = take_packets(ring, packets, count, available);
	rte_pktmbuf_free_bulk(packets + taken, count - taken);
	return taken;
}

/* --- Sending --- */

/* How many parts have room for size bytes; 0: there are too few. */
static uint16_t room_length(const struct part *parts, uint16_t count, uint32_t size)
{
	uint64_t room = 0;

	for (uint16_t i = 0; i < count; i++) {
		room += parts[i].bytes ? parts[i].size : 0;
		if (room >= size && room > 0)
			return (uint16_t)(i + 1);
	}
	return 0;
}

/* More than a chain of the peer's buffers takes, or it gave none. */
static void refuse(struct memif_ring *ring, const struct part *parts, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		if (!parts[i].bytes)
			note_bad(ring);
}

/* The part's bytes come from *segment at *offset on, which move along. */
static uint32_t fill(const struct part *part, const struct rte_mbuf **segment, uint32_t *offset)
{
	uint32_t room = part->bytes ? part->size : 0, filled = 0;

	while (*segment && filled < room) {
		uint32_t size = RTE_MIN(room - filled, (*segment)->data_len - *offset);

		rte_memcpy(part->bytes + filled,
			rte_pktmbuf_mtod_offset(*segment, const uint8_t *, *offset), size);
		filled += size;
		*offset += size;
		if (*offset == (*segment)->data_len) {
			*segment = (*segment)->next;
			*offset = 0;
		}
	}
	return filled;
}

static void put_packet(struct memif_ring *ring, const struct rte_mbuf *packet,
	const struct part *parts, uint16_t first, uint16_t count)
{
	uint32_t offset = 0;

	for (uint16_t i = 0; i < count; i++) {
		uint16_t slot = (uint16_t)(ring->next + first + i) & ring->mask;
		struct memif_descriptor *descriptor = &ring->shared->descriptors[slot];

		if (!parts[first + i].bytes)
			note_bad(ring); /* goes back empty */
		descriptor->length = fill(&parts[first + i], &packet, &offset);
		descriptor->flags = i + 1 < count ? MEMIF_NEXT : 0;
		if (!ring->buffers)
			continue;
		descriptor->region = 0;
		descriptor->offset = (uint32_t)(ring->buffers - ring->memory->regions[0].base)
			+ slot * ring->buffer_size;
	}
}

/* Tells the peer, and wakes it if it sleeps. */
static void publish(struct memif_ring *ring)
{
	/* Release: pairs with the peer's acquire; the packets are seen. */
	__atomic_store_n(ring->ours, (uint16_t)(ring->next + ring->our_bias), __ATOMIC_RELEASE);
	/* Before we look whether it wants to be woken: it says so, and then looks again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(__atomic_load_n(&ring->shared->flags, __ATOMIC_RELAXED) & MEMIF_MASK_INT)
		&& ring->eventfd >= 0)
		signal_bell_ring(ring->bell, ring->eventfd);
}

static uint16_t send_locked(
	struct memif_ring *ring, struct rte_mbuf **packets, uint16_t count, uint16_t *refused)
{
	struct part parts[MEMIF_CHAIN_MAX];
	uint16_t available, read, at = 0, done = 0, begin = ring->next;

	if (unlikely(ring->fault != NULL))
		return 0;
	available = count_available(ring);
	read = RTE_MIN(count, available);
	read = read_parts(ring, parts, 0, RTE_MIN(read, (uint16_t)MEMIF_CHAIN_MAX));
	while (done < count) {
		uint16_t length =
			room_length(parts + at, (uint16_t)(read - at), packets[done]->pkt_len);

		if (length > 0) {
			put_packet(ring, packets[done++], parts, at, length);
			at = (uint16_t)(at + length);
			continue;
		}
		if (at == 0 && read == RTE_MIN(available, (uint16_t)MEMIF_CHAIN_MAX)) {
			if (read < MEMIF_CHAIN_MAX)
				break; /* the ring is full */
			refuse(ring, parts, read);
			done++;
			(*refused)++;
			continue;
		}
		/* More descriptors than were read: from here on. */
		ring->next = (uint16_t)(ring->next + at);
		available = (uint16_t)(available - at);
		at = 0;
		read = read_parts(ring, parts, 0, RTE_MIN(available, (uint16_t)MEMIF_CHAIN_MAX));
	}
	ring->next = (uint16_t)(ring->next + at);
	if (ring->next != begin)
		publish(ring);
	return done;
}

uint16_t memif_ring_send(
	struct memif_ring *ring, struct rte_mbuf **packets, uint16_t count, uint16_t *refused)
{
	uint16_t sent;

	rte_spinlock_lock(&ring->lock);
	sent = send_locked(ring, packets, count, refused);
	rte_spinlock_unlock(&ring->lock);
	rte_pktmbuf_free_bulk(packets, sent);
	return sent;
}
