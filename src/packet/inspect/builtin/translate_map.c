/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/translate_map.h"

#include "packet/inspect/builtin/stream.h"

#include <string.h>

void translate_map_init(struct translate_map *map, uint32_t sent, uint32_t acked)
{
	*map = (struct translate_map){.sent = sent, .acked = acked};
}

void translate_map_release(struct translate_map *map, struct arena *arena)
{
	arena_put(arena, map->records);
	arena_put(arena, map->bytes);
	map->records = NULL;
	map->bytes = NULL;
	map->count = 0;
}

/* ---- records ---- */

static const struct translate_record *record_at(const struct translate_map *map, uint32_t i)
{
	return i < map->count ? &map->records[map->first + i] : NULL;
}

static uint32_t receiver_end(const struct translate_record *record)
{
	return record->at + record->difference + record->new_size;
}

/* The first record that ends behind the sender's number; count when there is none. */
static uint32_t find(const struct translate_map *map, uint32_t sequence)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;
		const struct translate_record *record = record_at(map, middle);

		if (stream_before(sequence, record->at + record->old_size))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The same, by the receiver's number. */
static const struct translate_record *find_back(const struct translate_map *map, uint32_t number)
{
	uint32_t low = 0, high = map->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (stream_before(number, receiver_end(record_at(map, middle))))
			high = middle;
		else
			low = middle + 1;
	}
	return record_at(map, low);
}

bool translate_map_has_room(const struct translate_map *map, uint32_t records)
{
	return map->count + records <= TRANSLATE_RECORDS_MAX
		&& map->bytes_end - map->bytes_first + TRANSLATE_STEP_MAX <= TRANSLATE_BYTES_MAX;
}

/* Another block with what is in [from, from + size) at its start. NULL: no memory, old stays. */
static void *move(
	struct arena *arena, void *old, size_t from, size_t size, size_t needed, size_t *actual)
{
	void *new = arena_take(arena, needed, actual);

	if (!new)
		return NULL;
	if (size > 0)
		memcpy(new, (const char *)old + from, size);
	arena_put(arena, old);
	return new;
}

static bool make_record_room(struct translate_map *map, struct arena *arena)
{
	const size_t one = sizeof(map->records[0]);
	struct translate_record *records;
	size_t actual;

	if (map->count == TRANSLATE_RECORDS_MAX)
		return false;
	if (map->first + map->count < map->capacity)
		return true;
	if (map->first > map->capacity / 2) {
		memmove(map->records, map->records + map->first, map->count * one);
		map->first = 0;
		return true;
	}
	records = move(arena, map->records, map->first * one, map->count * one,
		(map->count * 2 + 1) * one, &actual);
	if (!records)
		return false;
	map->records = records;
	map->capacity = (uint32_t)(actual / one);
	map->first = 0;
	return true;
}

static bool make_byte_room(struct translate_map *map, struct arena *arena, uint32_t size)
{
	uint32_t used = map->bytes_end - map->bytes_first, gone = map->bytes_first;
	size_t actual = map->bytes_capacity;
	uint8_t *bytes = map->bytes;

	if (used + size > TRANSLATE_BYTES_MAX)
		return false;
	if (map->bytes_end + size <= map->bytes_capacity)
		return true;
	if (used + size <= map->bytes_capacity / 2)
		memmove(map->bytes, map->bytes + gone, used);
	else
		bytes = move(arena, map->bytes, gone, used, (size_t)(used + size) * 2, &actual);
	if (!bytes)
		return false;
	map->bytes = bytes;
	map->bytes_capacity = (uint32_t)actual;
	map->bytes_first = 0;
	map->bytes_end = used;
	for (uint32_t i = 0; i < map->count; i++)
		map->records[map->first + i].bytes_at -= gone;
	return true;
}

bool translate_map_add(struct translate_map *map, struct arena *arena, uint32_t at,
	uint32_t old_size, const uint8_t *bytes, uint32_t new_size)
{
	const struct translate_record *last =
		map->count > 0 ? record_at(map, map->count - 1) : NULL;

	if (stream_before(at, map->sent) || (last && stream_before(at, last->at + last->old_size))
		|| old_size == 0 || new_size == 0)
		return false;
	if (!make_record_room(map, arena) || !make_byte_room(map, arena, new_size))
		return false;
	map->records[map->first + map->count++] = (struct translate_record){.at = at,
		.old_size = old_size,
		.new_size = new_size,
		.bytes_at = map->bytes_end,
		.difference = map->difference};
	memcpy(map->bytes + map->bytes_end, bytes, new_size);
	map->bytes_end += new_size;
	map->difference += new_size - old_size;
	return true;
}

void translate_map_acknowledge(struct translate_map *map, uint32_t acked)
{
	if (!stream_before(map->acked, acked) || stream_before(map->sent + 1, acked))
		return;
	map->acked = acked;
	while (map->count > 0) {
		const struct translate_record *record = record_at(map, 0);

		if (stream_before(acked, record->at + record->old_size))
			return;
		map->bytes_first = record->bytes_at + record->new_size;
		map->first++;
		map->count--;
	}
}

/* ---- numbers ---- */

uint32_t translate_map_forward(const struct translate_map *map, uint32_t sequence)
{
	const struct translate_record *record = record_at(map, find(map, sequence));

	if (!record)
		return sequence + map->difference;
	if (stream_before(record->at, sequence))
		sequence = record->at;
	return sequence + record->difference;
}

uint32_t translate_map_back(const struct translate_map *map, uint32_t acknowledgement)
{
	const struct translate_record *record = find_back(map, acknowledgement);

	if (!record)
		return acknowledgement - map->difference;
	if (!stream_before(acknowledgement, record->at + record->difference))
		return record->at;
	return acknowledgement - record->difference;
}

bool translate_map_back_block(const struct translate_map *map, uint32_t *from, uint32_t *to)
{
	const struct translate_record *record = find_back(map, *from);

	/* Its beginning is missing. */
	if (record && stream_before(record->at + record->difference, *from))
		*from = record->at + record->old_size;
	else
		*from = translate_map_back(map, *from);
	*to = translate_map_back(map, *to);
	return stream_before(*from, *to);
}

/* ---- bytes ---- */

bool translate_map_touches(const struct translate_map *map, uint32_t sequence, uint32_t size)
{
	const struct translate_record *record = record_at(map, find(map, sequence));

	return record && size > 0 && stream_before(record->at, sequence + size);
}

uint32_t translate_map_apply(const struct translate_map *map, uint32_t sequence,
	const uint8_t *payload, uint32_t size, uint8_t *out, uint32_t max)
{
	uint32_t at = sequence, end = sequence + size, done = 0;

	for (uint32_t i = find(map, sequence); stream_before(at, end); i++) {
		const struct translate_record *record = record_at(map, i);
		uint32_t stop = record && stream_before(record->at, end) ? record->at : end;

		if (stream_before(stop, at))
			stop = at;
		if (stop - at > max - done)
			return TRANSLATE_NO_ROOM;
		memcpy(out + done, payload + (at - sequence), stop - at);
		done += stop - at;
		at = stop;
		if (at == end)
			break;
		if (record->new_size > max - done)
			return TRANSLATE_NO_ROOM;
		memcpy(out + done, map->bytes + record->bytes_at, record->new_size);
		done += record->new_size;
		at = record->at + record->old_size;
	}
	return done;
}
