/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of one worker for the control thread: fixed size, one writer, one reader, bounded; what
 * does not fit is counted. The writer fills a slot in place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_ring;

/* count is rounded up to a power of two. NULL: no memory. */
struct event_ring *event_ring_create(uint32_t count, size_t record_size);
void event_ring_destroy(struct event_ring *ring);

/* Writer: a slot to fill, NULL when the ring is full (counted); then event_ring_commit(). */
void *event_ring_reserve(struct event_ring *ring);
void event_ring_commit(struct event_ring *ring);

/* Reader: the oldest record, NULL when there is none; then event_ring_release(). */
const void *event_ring_peek(struct event_ring *ring);
void event_ring_release(struct event_ring *ring);

/* For the writer: whether the reader should come soon. */
bool event_ring_is_half_full(const struct event_ring *ring);
uint64_t event_ring_lost(const struct event_ring *ring); /* any thread */
