/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/event_ring.h"

#include <rte_common.h>
#include <sys/mman.h>

struct event_ring {
	uint32_t mask;
	size_t record_size, mapped;
	uint32_t head __rte_cache_aligned; /* written by the writer */
	uint64_t lost;
	uint32_t tail __rte_cache_aligned; /* written by the reader */
	uint8_t records[] __rte_cache_aligned;
};

struct event_ring *event_ring_create(uint32_t count, size_t record_size)
{
	struct event_ring *ring;
	uint32_t size = 1;
	size_t mapped;

	while (size < count)
		size *= 2;
	record_size = RTE_ALIGN_CEIL(record_size, 16);
	/* Pages are only there once they are needed: most rings never are full. */
	mapped = sizeof(*ring) + size * record_size;
	ring = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring == MAP_FAILED)
		return NULL;
	ring->mask = size - 1;
	ring->record_size = record_size;
	ring->mapped = mapped;
	return ring;
}

void event_ring_destroy(struct event_ring *ring)
{
	if (ring)
		munmap(ring, ring->mapped);
}

void *event_ring_reserve(struct event_ring *ring)
{
	/* Acquire: pairs with event_ring_release(), the slot is read no more. */
	uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	if (ring->head - tail > ring->mask) {
		__atomic_store_n(&ring->lost, ring->lost + 1, __ATOMIC_RELAXED);
		return NULL;
	}
	return ring->records + (ring->head & ring->mask) * ring->record_size;
}

void event_ring_commit(struct event_ring *ring)
{
	/* Release: pairs with event_ring_peek(), the record is written. */
	__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
}

const void *event_ring_peek(struct event_ring *ring)
{
	/* Acquire: pairs with event_ring_commit(). */
	if (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == ring->tail)
		return NULL;
	return ring->records + (ring->tail & ring->mask) * ring->record_size;
}

void event_ring_release(struct event_ring *ring)
{
	/* Release: pairs with event_ring_reserve(). */
	__atomic_store_n(&ring->tail, ring->tail + 1, __ATOMIC_RELEASE);
}

bool event_ring_is_half_full(const struct event_ring *ring)
{
	/* Relaxed: about is good enough. */
	return ring->head - __atomic_load_n(&ring->tail, __ATOMIC_RELAXED) > ring->mask / 2;
}

uint64_t event_ring_lost(const struct event_ring *ring)
{
	return __atomic_load_n(&ring->lost, __ATOMIC_RELAXED);
}
