/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/rule_arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Rules are some hundred bytes each; larger wishes get a chunk of their own. */
#define CHUNK_SIZE ((size_t)256 << 10)

struct rule_arena_chunk {
	struct rule_arena_chunk *next;
	size_t size, used;
	alignas(max_align_t) uint8_t bytes[];
};

static struct rule_arena_chunk *chunk_create(struct rule_arena *arena, size_t size)
{
	struct rule_arena_chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->size += sizeof(*chunk) + size;
	return chunk;
}

void *rule_arena_take(struct rule_arena *arena, size_t size)
{
	struct rule_arena_chunk *chunk = arena->chunks;
	size_t aligned;

	if (size > SIZE_MAX / 2)
		return NULL;
	aligned = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!chunk || chunk->size - chunk->used < aligned)
		chunk = chunk_create(arena, aligned > CHUNK_SIZE ? aligned : CHUNK_SIZE);
	if (!chunk)
		return NULL;
	chunk->used += aligned;
	return chunk->bytes + chunk->used - aligned;
}

char *rule_arena_copy(struct rule_arena *arena, const void *bytes, size_t size)
{
	char *copy = rule_arena_take(arena, size + 1);

	if (copy && size > 0)
		memcpy(copy, bytes, size);
	return copy;
}

void rule_arena_release(struct rule_arena *arena)
{
	struct rule_arena_chunk *chunk = arena->chunks;

	while (chunk) {
		struct rule_arena_chunk *next = chunk->next;

		free(chunk);
		chunk = next;
	}
	*arena = (struct rule_arena){0};
}
