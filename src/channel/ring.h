/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring of messages of any size between a process and the channel role: one producer, one
 * consumer, in memory that both can write. Shared by src/channel and libbulkhead (lib/channel.c),
 * as a producer or a consumer each; needs nothing but libc.
 *
 *	0                        struct ring_shared, alone in its pages
 *	RING_DATA_AT             capacity bytes, mapped twice in a row, so that each record is in
 *	                         one piece wherever it begins
 *
 * A record is a word with its size and the message, padded to RING_ALIGN. Positions count bytes
 * from the beginning and never wrap (64 bits). Each end keeps its own position in memory of its
 * own and trusts nothing that the other end can write: a position must lie between what was seen
 * of it before and what the own one allows, a size within what was published. What does not is
 * -EPROTO, for good. Whoever needs a message to stay the same copies it first: the other end can
 * still write it.
 *
 * Sleeping: an end says so in its word, looks once more, and waits on a descriptor; who publishes
 * looks at the other end's word (ring_must_wake()).
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Pages are of 64 KiB at most (arm64); memory that is not touched is not there. */
#define RING_DATA_AT      65536
#define RING_ALIGN        8
#define RING_RECORD_SIZE  8 /* of the word in front of a message */
#define RING_CAPACITY_MIN 65536ULL
#define RING_CAPACITY_MAX (1ULL << 30)
#define RING_LINE         128 /* two lines: what the prefetcher fetches together */

struct ring_shared {
	/* Writer: the producer. */
	_Alignas(RING_LINE) uint64_t tail;
	/* Writer: the consumer. */
	_Alignas(RING_LINE) uint64_t head;
	/* Set by the end it is of, when it is about to sleep; cleared by who wakes it. */
	_Alignas(RING_LINE) uint32_t consumer_sleeps;
	_Alignas(RING_LINE) uint32_t producer_sleeps;
	/* Writer: the channel role, once: why nothing comes or goes any more. */
	_Alignas(RING_LINE) uint32_t end;
};

/* The mapping. */
struct ring_view {
	struct ring_shared *shared;
	uint8_t *data;
	uint64_t capacity; /* bytes, a power of two */
};

struct ring_producer {
	struct ring_view view;
	uint64_t tail;      /* own: where the next record begins */
	uint64_t head_seen; /* of the consumer's */
};

struct ring_consumer {
	struct ring_view view;
	uint64_t head;      /* own */
	uint64_t tail_seen; /* of the producer's */
};

/* ring_memory.c. New sealed memory of this capacity; a descriptor or a negative errno. */
int ring_memory_create(uint64_t capacity);
/* Maps it (fd stays the caller's). -EINVAL: no ring memory of this capacity, or it could be cut
 * off. Undone by ring_memory_unmap(), which takes a view of zeros, too. */
int ring_memory_map(int fd, uint64_t capacity, struct ring_view *out);
void ring_memory_unmap(struct ring_view *view);
/* The least power of two that holds some messages of this size, and is a capacity. */
uint64_t ring_capacity_for(uint64_t message_max);

static inline bool ring_capacity_is_valid(uint64_t capacity)
{
	return capacity >= RING_CAPACITY_MIN && capacity <= RING_CAPACITY_MAX
		&& (capacity & (capacity - 1)) == 0;
}

/* Bytes that a message takes up. size has to be below RING_CAPACITY_MAX. */
static inline uint64_t ring_record_size(uint64_t size)
{
	return (RING_RECORD_SIZE + size + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
}

static inline uint8_t *ring_at(const struct ring_view *view, uint64_t position)
{
	return view->data + (position & (view->capacity - 1));
}

/* --- Producer --- */

/* 1: a message of size bytes fits, 0: not yet, -EPROTO. size is checked against the capacity by the
 * caller, once for all. */
static inline int ring_producer_has_room(struct ring_producer *producer, uint64_t size)
{
	uint64_t needed = ring_record_size(size), capacity = producer->view.capacity, head;

	if (producer->tail - producer->head_seen + needed <= capacity)
		return 1;
	/* Pairs with ring_consumer_publish(): the place is free once it is seen. */
	head = __atomic_load_n(&producer->view.shared->head, __ATOMIC_ACQUIRE);
	if (head - producer->head_seen > producer->tail - producer->head_seen)
		return -EPROTO;
	producer->head_seen = head;
	return producer->tail - head + needed <= capacity;
}

/* Where the next message goes; for who has seen that there is room. */
static inline uint8_t *ring_producer_place(const struct ring_producer *producer)
{
	return ring_at(&producer->view, producer->tail) + RING_RECORD_SIZE;
}

/* Ends the message that was written to its place. Not seen by the consumer before the publish. */
static inline void ring_producer_append(struct ring_producer *producer, uint32_t size)
{
	uint64_t word = size;

	memcpy(ring_at(&producer->view, producer->tail), &word, sizeof(word));
	producer->tail += ring_record_size(size);
}

static inline void ring_producer_publish(struct ring_producer *producer)
{
	/* Pairs with the load in ring_consumer_next(). */
	__atomic_store_n(&producer->view.shared->tail, producer->tail, __ATOMIC_RELEASE);
}

/* --- Consumer --- */

/* 1: *message and *size are of the next message, 0: there is none, -EPROTO. The message stays in
 * place until ring_consumer_advance() and the publish. Its size was read once. */
static inline int ring_consumer_next(
	struct ring_consumer *consumer, const uint8_t **message, uint32_t *size)
{
	uint64_t left = consumer->tail_seen - consumer->head, word;
	const uint8_t *at = ring_at(&consumer->view, consumer->head);

	if (left == 0) {
		/* Pairs with ring_producer_publish(). */
		consumer->tail_seen =
			__atomic_load_n(&consumer->view.shared->tail, __ATOMIC_ACQUIRE);
		left = consumer->tail_seen - consumer->head;
		if (left == 0)
			return 0;
		if (left > consumer->view.capacity || left % RING_ALIGN != 0)
			return -EPROTO;
	}
	/* Relaxed: ordered by the load of the tail. Once, whoever writes it meanwhile. */
	word = __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
	if (word > left - RING_RECORD_SIZE || ring_record_size(word) > left)
		return -EPROTO;
	*message = at + RING_RECORD_SIZE;
	*size = (uint32_t)word;
	return 1;
}

static inline void ring_consumer_advance(struct ring_consumer *consumer, uint32_t size)
{
	consumer->head += ring_record_size(size);
}

static inline void ring_consumer_publish(struct ring_consumer *consumer)
{
	/* Pairs with the load in ring_producer_has_room(): the reads are done. */
	__atomic_store_n(&consumer->view.shared->head, consumer->head, __ATOMIC_RELEASE);
}

/* Whether the producer has published something behind what was seen. */
static inline bool ring_consumer_is_empty(const struct ring_consumer *consumer)
{
	return consumer->tail_seen == consumer->head
		&& __atomic_load_n(&consumer->view.shared->tail, __ATOMIC_ACQUIRE)
		== consumer->head;
}

/* --- Sleeping --- */

/*
 * Both ends exchange the word, so one of the two comes first: the sleeper, and then the other end
 * finds 1 and wakes it; or the other end, and then the sleeper, which looks at the ring behind its
 * own exchange, sees what was published before the other's.
 */

/* Says that this end is about to sleep; the caller then looks at the ring once more. */
static inline void ring_announce_sleep(uint32_t *word)
{
	(void)__atomic_exchange_n(word, 1, __ATOMIC_ACQ_REL);
}

static inline void ring_end_sleep(uint32_t *word)
{
	/* Relaxed: a wake too many does no harm. */
	__atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

/* Behind a publish: whether the other end has to be woken. */
static inline bool ring_must_wake(uint32_t *word)
{
	return __atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL) != 0;
}
