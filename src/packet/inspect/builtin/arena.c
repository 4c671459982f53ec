/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/arena.h"

#include "base/list.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ORDERS     9    /* 4 KiB << 0 … << 8 */
#define STATE_USED 0x80 /* with the order, at a block's first page; other pages have no meaning */

static_assert(ARENA_BLOCK_MIN << (ORDERS - 1) == ARENA_BLOCK_MAX, "orders cover the block sizes");

struct arena {
	uint8_t *base;
	size_t size, used;
	struct list free[ORDERS]; /* of list nodes at the start of free blocks */
	uint8_t states[];
};

struct arena *arena_create(size_t size)
{
	size_t blocks = size / ARENA_BLOCK_MAX ? size / ARENA_BLOCK_MAX : 1;
	size_t pages = blocks << (ORDERS - 1);
	struct arena *arena = calloc(1, sizeof(*arena) + pages);

	if (!arena)
		return NULL;
	arena->size = blocks * ARENA_BLOCK_MAX;
	arena->base = mmap(NULL, arena->size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena->base == MAP_FAILED) {
		free(arena);
		return NULL;
	}
	for (int order = 0; order < ORDERS; order++)
		list_init(&arena->free[order]);
	for (size_t i = 0; i < blocks; i++) {
		list_append(&arena->free[ORDERS - 1],
			(struct list *)(void *)(arena->base + i * ARENA_BLOCK_MAX));
		arena->states[i << (ORDERS - 1)] = ORDERS - 1;
	}
	return arena;
}

void arena_destroy(struct arena *arena)
{
	if (!arena)
		return;
	munmap(arena->base, arena->size);
	free(arena);
}

static size_t page_of(const struct arena *arena, const void *block)
{
	return (size_t)((const uint8_t *)block - arena->base) / ARENA_BLOCK_MIN;
}

static void *block_at(struct arena *arena, size_t page)
{
	return arena->base + page * ARENA_BLOCK_MIN;
}

static void set_used(struct arena *arena, size_t used)
{
	/* Relaxed: shown by the control thread, nothing hangs on it. */
	__atomic_store_n(&arena->used, used, __ATOMIC_RELAXED);
}

void *arena_take(struct arena *arena, size_t size, size_t *actual)
{
	int wanted = 0, order;
	struct list *block;
	size_t page;

	while (wanted < ORDERS && ((size_t)ARENA_BLOCK_MIN << wanted) < size)
		wanted++;
	for (order = wanted; order < ORDERS && list_is_empty(&arena->free[order]); order++)
		;
	if (order >= ORDERS)
		return NULL;
	block = arena->free[order].next;
	list_remove(block);
	page = page_of(arena, block);
	while (order > wanted) {
		order--;
		arena->states[page + ((size_t)1 << order)] = (uint8_t)order;
		list_prepend(&arena->free[order], block_at(arena, page + ((size_t)1 << order)));
	}
	arena->states[page] = (uint8_t)(STATE_USED | wanted);
	*actual = (size_t)ARENA_BLOCK_MIN << wanted;
	set_used(arena, arena->used + *actual);
	return block;
}

void arena_put(struct arena *arena, void *block)
{
	size_t page;
	int order;

	if (!block)
		return;
	page = page_of(arena, block);
	order = arena->states[page] & ~STATE_USED;
	set_used(arena, arena->used - ((size_t)ARENA_BLOCK_MIN << order));
	while (order < ORDERS - 1) {
		size_t buddy = page ^ ((size_t)1 << order);

		if (arena->states[buddy] != order)
			break;
		list_remove(block_at(arena, buddy));
		page &= ~((size_t)1 << order);
		order++;
	}
	arena->states[page] = (uint8_t)order;
	list_prepend(&arena->free[order], block_at(arena, page));
}

size_t arena_used(const struct arena *arena)
{
	return __atomic_load_n(&arena->used, __ATOMIC_RELAXED);
}

size_t arena_size(const struct arena *arena)
{
	return arena->size;
}
