/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for streams, of one worker: a buddy allocator over one mapping whose size is the budget.
 * Pages are touched when they are first used. take and put belong to the worker's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ARENA_BLOCK_MIN 4096u
#define ARENA_BLOCK_MAX (1024u * 1024u)

struct arena;

/* size is rounded down to whole largest blocks, at least one. NULL: no memory. Control thread. */
struct arena *arena_create(size_t size);
void arena_destroy(struct arena *arena);

/* A block of at least size bytes, whose true size is *actual; NULL: the budget is used up, or size
 * is above ARENA_BLOCK_MAX. Not cleared. */
void *arena_take(struct arena *arena, size_t size, size_t *actual);
/* NULL is allowed. */
void arena_put(struct arena *arena, void *block);

size_t arena_used(const struct arena *arena); /* bytes in blocks; any thread, relaxed */
size_t arena_size(const struct arena *arena);
