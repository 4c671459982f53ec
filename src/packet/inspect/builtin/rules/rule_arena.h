/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bump allocation for what lives as long as a ruleset: given back as a whole. Control side only,
 * one thread at a time.
 */
#pragma once

#include <stddef.h>

struct rule_arena_chunk;

struct rule_arena {
	struct rule_arena_chunk *chunks; /* the one in use first */
	size_t size;                     /* bytes taken from the heap */
};

/* Zeroed, aligned for any type; NULL when there is no memory. Freed by rule_arena_release(). */
void *rule_arena_take(struct rule_arena *arena, size_t size);

/* A copy of size bytes, with a NUL behind them that is not counted. */
char *rule_arena_copy(struct rule_arena *arena, const void *bytes, size_t size);

void rule_arena_release(struct rule_arena *arena);
