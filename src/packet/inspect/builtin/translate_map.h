/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the sequence numbers of one direction of a TCP connection differ on both sides of us, since
 * bytes in it were replaced by fewer or more (I3). A record for each replacement that the receiver
 * has not acknowledged, with the new bytes, so that a repetition brings the same again, whatever
 * its borders are; what is acknowledged lives on in the difference alone. Bounded.
 *
 * All numbers are the sender's, but where the receiver's are named. A replacement goes out as a
 * whole with each segment that has a byte of what it replaces. Worker thread only.
 */
#pragma once

#include "packet/inspect/builtin/arena.h"

#include <stdbool.h>
#include <stdint.h>

#define TRANSLATE_RECORDS_MAX 1024
#define TRANSLATE_BYTES_MAX   (256u * 1024) /* of new bytes */
#define TRANSLATE_STEP_MAX    65536u        /* new bytes in one segment */

struct translate_record {
	uint32_t at, old_size; /* the bytes that are replaced */
	uint32_t new_size;     /* at least 1 */
	uint32_t bytes_at;     /* the new ones, in the map's bytes */
	uint32_t difference;   /* receiver's number less sender's, before it */
};

struct translate_map {
	struct translate_record *records; /* [first, first + count), in order, apart */
	uint32_t first, count, capacity;
	uint8_t *bytes; /* [bytes_first, bytes_end) are of records */
	uint32_t bytes_first, bytes_end, bytes_capacity;
	uint32_t difference; /* behind all records */
	uint32_t sent;       /* behind all that was let through */
	uint32_t acked;      /* up to here the receiver has it */
};

/* Nothing is replaced yet. */
void translate_map_init(struct translate_map *map, uint32_t sent, uint32_t acked);
void translate_map_release(struct translate_map *map, struct arena *arena);

/* Whether `records` more with TRANSLATE_STEP_MAX bytes in all find a place. */
bool translate_map_has_room(const struct translate_map *map, uint32_t records);
/* Behind all others, and not before what was sent; the bytes are copied. false: it lies before, the
 * bounds are reached, or there is no memory. */
bool translate_map_add(struct translate_map *map, struct arena *arena, uint32_t at,
	uint32_t old_size, const uint8_t *bytes, uint32_t new_size);
/* The receiver has all up to here: records before it are not needed. Believed up to what was sent,
 * and a FIN. */
void translate_map_acknowledge(struct translate_map *map, uint32_t acked);

/* The receiver's number. One inside of replaced bytes becomes that of the first new one. */
uint32_t translate_map_forward(const struct translate_map *map, uint32_t sequence);
/* The sender's number for the receiver's acknowledgement. One inside of new bytes becomes that of
 * the first replaced one: the rest has to come again. */
uint32_t translate_map_back(const struct translate_map *map, uint32_t acknowledgement);
/* The same for a selective acknowledgement, which shrinks to what the receiver surely has; false:
 * nothing is left. */
bool translate_map_back_block(const struct translate_map *map, uint32_t *from, uint32_t *to);

/* Whether the segment has bytes that are replaced. */
bool translate_map_touches(const struct translate_map *map, uint32_t sequence, uint32_t size);
/* The segment's payload as the receiver gets it, from translate_map_forward(sequence) on. Returns
 * its size, or TRANSLATE_NO_ROOM: more than max bytes, and what is in out is of no use. */
#define TRANSLATE_NO_ROOM UINT32_MAX
uint32_t translate_map_apply(const struct translate_map *map, uint32_t sequence,
	const uint8_t *payload, uint32_t size, uint8_t *out, uint32_t max);
