/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/stream.h"

#include <rte_common.h>
#include <string.h>

/* A receiver may take a little more than it offered (window probes, a late update). */
#define WINDOW_SLACK 65536u

struct span {
	uint32_t from, to; /* offsets into data */
};

struct stream_buffer {
	uint32_t capacity;
	uint32_t base;                      /* sequence number of data[0] */
	uint32_t size;                      /* contiguous bytes */
	uint32_t count;                     /* of early */
	struct span early[STREAM_GAPS_MAX]; /* beyond size, sorted, apart from each other */
	uint8_t data[];
};

void stream_release(struct stream *stream, struct arena *arena)
{
	arena_put(arena, stream->buffer);
	stream->buffer = NULL;
}

bool stream_is_settled(const struct stream *stream)
{
	return (!stream->buffer || stream->buffer->count == 0) && (stream->flags & STREAM_HAS_ACK)
		&& !stream_before(stream->acked, stream->next);
}

void stream_sync(struct stream *stream, struct arena *arena, uint32_t next, bool has_start)
{
	stream_release(stream, arena);
	stream->next = next;
	stream->acked = next;
	stream->position = 0;
	stream->flags &= (uint16_t) ~(STREAM_HAS_START | STREAM_HAS_FIN | STREAM_HAS_ACK
		| STREAM_IS_BEYOND | STREAM_HAS_TOLD | STREAM_HAS_NEWEST);
	stream->flags |= STREAM_IS_SYNCED | (has_start ? STREAM_HAS_START : 0);
}

bool stream_acknowledge(struct stream *stream, uint32_t acknowledged, uint32_t window)
{
	if (!(stream->flags & STREAM_IS_SYNCED))
		return true;
	/* Nobody can acknowledge what we have not let through, but where that began midway. */
	if (stream_before(stream->next + 1, acknowledged) && (stream->flags & STREAM_HAS_START)) {
		if (!(stream->flags & STREAM_IS_BEYOND))
			return false;
		acknowledged = stream->next;
	}
	if (!(stream->flags & STREAM_HAS_ACK) || stream_before(stream->acked, acknowledged))
		stream->acked = acknowledged;
	if (!stream_before(stream->acked, stream->told_to))
		stream->flags &= (uint16_t)~STREAM_HAS_TOLD;
	stream->flags |= STREAM_HAS_ACK;
	if (window > stream->window)
		stream->window = window;
	return true;
}

/* ---- room ---- */

static void slide(struct stream_buffer *buffer, uint32_t bytes)
{
	uint32_t end = buffer->count ? buffer->early[buffer->count - 1].to : buffer->size;

	memmove(buffer->data, buffer->data + bytes, end - bytes);
	buffer->base += bytes;
	buffer->size -= bytes;
	for (uint32_t i = 0; i < buffer->count; i++) {
		buffer->early[i].from -= bytes;
		buffer->early[i].to -= bytes;
	}
}

/* How much of the front nobody needs: history beyond STREAM_HISTORY that is acknowledged, or, when
 * there is no other way, that is not. */
static uint32_t disposable(const struct stream *stream, bool with_unacknowledged)
{
	const struct stream_buffer *buffer = stream->buffer;
	uint32_t limit = buffer->size > STREAM_HISTORY ? buffer->size - STREAM_HISTORY : 0;
	uint32_t acked;

	if (with_unacknowledged)
		return limit;
	if (!(stream->flags & STREAM_HAS_ACK) || stream_before(stream->acked, buffer->base))
		return 0;
	acked = stream->acked - buffer->base;
	return acked < limit ? acked : limit;
}

static struct stream_buffer *make_buffer(struct arena *arena, uint32_t size)
{
	struct stream_buffer *buffer;
	size_t actual;

	buffer = arena_take(arena, sizeof(*buffer) + (size_t)size, &actual);
	if (!buffer)
		return NULL;
	buffer->capacity = (uint32_t)(actual - sizeof(*buffer));
	buffer->size = 0;
	buffer->count = 0;
	return buffer;
}

static bool grow(struct stream *stream, struct arena *arena, uint32_t needed)
{
	struct stream_buffer *old = stream->buffer, *new = make_buffer(arena, needed);
	uint32_t end, capacity;

	if (!new)
		return false;
	capacity = new->capacity;
	end = old->count ? old->early[old->count - 1].to : old->size;
	memcpy(new, old, sizeof(*old) + end);
	new->capacity = capacity;
	stream_release(stream, arena);
	stream->buffer = new;
	return true;
}

/* Makes data[from .. end) storable; what lies before from may go, which changes the base. */
static bool make_room(struct stream *stream, struct arena *arena, uint32_t from, uint32_t end)
{
	struct stream_buffer *buffer = stream->buffer;
	uint32_t bytes;

	if (end <= buffer->capacity)
		return true;
	/* Moving little for little room would cost more than it gives. */
	bytes = RTE_MIN(disposable(stream, false), from);
	if (bytes >= buffer->capacity / 4 && end - bytes <= buffer->capacity) {
		slide(buffer, bytes);
		return true;
	}
	if (end <= ARENA_BLOCK_MAX && grow(stream, arena, end))
		return true;
	/* What the receiver may still need cannot go, or its repetition could not be compared: the
	 * sender has to wait. Where acknowledgements are never seen there is no other way. */
	bytes = RTE_MIN(disposable(stream, !(stream->flags & STREAM_HAS_ACK)), from);
	if (bytes == 0 || end - bytes > buffer->capacity)
		return false;
	slide(buffer, bytes);
	return true;
}

/* ---- bytes ---- */

/* The first early span that ends behind offset; count when there is none. */
static uint32_t find_early(const struct stream_buffer *buffer, uint32_t offset)
{
	uint32_t i = 0;

	while (i < buffer->count && buffer->early[i].to <= offset)
		i++;
	return i;
}

/* Walks [from, to): pieces that are there are compared, others are copied in. */
static bool lay_out(
	struct stream_buffer *buffer, uint32_t from, uint32_t to, const uint8_t *payload)
{
	uint32_t start = from, i;
	bool differs = false;

	if (from < buffer->size) {
		uint32_t end = to < buffer->size ? to : buffer->size;

		differs = memcmp(buffer->data + from, payload, end - from) != 0;
		from = end;
	}
	for (i = find_early(buffer, from); from < to; i++) {
		struct span gap = {.from = to, .to = to};
		uint32_t end;

		if (i < buffer->count && buffer->early[i].from < to)
			gap = buffer->early[i];
		if (from < gap.from) {
			memcpy(buffer->data + from, payload + (from - start), gap.from - from);
			from = gap.from;
		}
		end = gap.to < to ? gap.to : to;
		if (from < end)
			differs |= memcmp(buffer->data + from, payload + (from - start), end - from)
				!= 0;
		from = end > from ? end : from;
	}
	return differs;
}

/* Contiguous bytes when [from, to) is there too. */
static uint32_t contiguous_with(const struct stream_buffer *buffer, uint32_t from, uint32_t to)
{
	uint32_t size = buffer->size;

	if (from > size)
		return size;
	if (to > size)
		size = to;
	for (uint32_t i = 0; i < buffer->count && buffer->early[i].from <= size; i++)
		if (buffer->early[i].to > size)
			size = buffer->early[i].to;
	return size;
}

static bool can_add_early(const struct stream_buffer *buffer, uint32_t from, uint32_t to)
{
	uint32_t at = find_early(buffer, from);

	if (buffer->count < STREAM_GAPS_MAX)
		return true;
	/* Full: only where it joins one that is there. */
	return (at < buffer->count && buffer->early[at].from <= to)
		|| (at > 0 && buffer->early[at - 1].to == from);
}

/*
 * A stream picked up midway begins where its first segment was seen. When that one came early, what
 * precedes it is put before it, and it becomes an early span. Only while the buffer still has all
 * since then.
 */
static bool begin_earlier(struct stream *stream, struct arena *arena, uint32_t sequence)
{
	struct stream_buffer *buffer = stream->buffer;
	uint32_t distance = buffer->base - sequence, end;

	if ((stream->flags & STREAM_HAS_START) || stream->position != buffer->size
		|| distance > ARENA_BLOCK_MAX / 2 || buffer->count == STREAM_GAPS_MAX)
		return false;
	end = buffer->count ? buffer->early[buffer->count - 1].to : buffer->size;
	if (end + distance > buffer->capacity && !grow(stream, arena, end + distance))
		return false;
	buffer = stream->buffer;
	memmove(buffer->data + distance, buffer->data, end);
	for (uint32_t i = 0; i < buffer->count; i++) {
		buffer->early[i].from += distance;
		buffer->early[i].to += distance;
	}
	if (buffer->size > 0) {
		memmove(buffer->early + 1, buffer->early, buffer->count * sizeof(buffer->early[0]));
		buffer->early[0] = (struct span){.from = distance, .to = distance + buffer->size};
		buffer->count++;
	}
	buffer->base = stream->next = sequence;
	buffer->size = 0;
	stream->position = 0;
	return true;
}

bool stream_is_outside(const struct stream *stream, uint32_t sequence, uint32_t size)
{
	uint32_t end = sequence + size;

	if ((stream->flags & STREAM_HAS_FIN) && stream_before(stream->fin, end))
		return true;
	if (!(stream->flags & STREAM_HAS_ACK))
		return (int32_t)(end - stream->next) > (int32_t)ARENA_BLOCK_MAX;
	return (int32_t)(end - stream->acked) > (int32_t)(stream->window + WINDOW_SLACK);
}

void stream_prepare(struct stream *stream, struct arena *arena, uint32_t sequence,
	const uint8_t *payload, uint32_t size, struct stream_step *step)
{
	struct stream_buffer *buffer = stream->buffer;

	*step = (struct stream_step){.result = STREAM_OLD};
	if ((stream->flags & STREAM_IS_BEYOND) && !stream_before(sequence, stream->next))
		return;
	step->result = STREAM_OUTSIDE;
	if (stream_is_outside(stream, sequence, size))
		return;
	step->result = STREAM_NO_MEMORY;
	if (!buffer) {
		buffer = stream->buffer = make_buffer(arena, size);
		if (!buffer)
			return;
		buffer->base = stream->next;
	}
	if (stream_before(sequence, buffer->base)) {
		step->skip = RTE_MIN(buffer->base - sequence, size);
		/* What the receiver has acknowledged it will not read again; the rest cannot be
		 * compared any more. */
		if ((stream->flags & STREAM_HAS_ACK)
			&& !stream_before(stream->acked, sequence + step->skip)) {
			step->result = STREAM_OLD;
		} else {
			if (!begin_earlier(stream, arena, sequence))
				return;
			buffer = stream->buffer;
			step->skip = 0;
		}
	}
	if (step->skip == size)
		return;
	step->result = STREAM_NO_MEMORY;
	step->from = sequence + step->skip - buffer->base;
	step->to = step->from + size - step->skip;
	if (!make_room(stream, arena, step->from, step->to))
		return;
	buffer = stream->buffer;
	step->from = sequence + step->skip - buffer->base;
	step->to = step->from + size - step->skip;
	step->fresh = buffer->size;
	step->size = contiguous_with(buffer, step->from, step->to);
	if (step->from > buffer->size && !can_add_early(buffer, step->from, step->to))
		return;
	step->must_rewrite = lay_out(buffer, step->from, step->to, payload + step->skip);
	if (step->size > step->fresh)
		step->result = STREAM_NEW;
	else
		step->result = step->from > buffer->size ? STREAM_EARLY : STREAM_OLD;
}

void stream_window(
	const struct stream *stream, const struct stream_step *step, struct stream_window *window)
{
	static const uint8_t nothing[1]; /* a step without payload, of a stream without any */
	const struct stream_buffer *buffer = stream->buffer;
	uint32_t start = step->fresh > STREAM_HISTORY ? step->fresh - STREAM_HISTORY : 0;

	window->data = buffer ? buffer->data + start : nothing;
	window->size = step->size - start;
	window->fresh = step->fresh - start;
	window->position = stream->position - window->fresh;
	window->payload_at =
		step->skip == 0 && step->from >= start ? (size_t)(step->from - start) : SIZE_MAX;
}

void stream_rewrite(const struct stream *stream, const struct stream_step *step, uint8_t *payload)
{
	memcpy(payload + step->skip, stream->buffer->data + step->from, step->to - step->from);
}

bool stream_edit(struct stream *stream, const struct stream_step *step, uint32_t offset,
	const uint8_t *bytes, uint32_t size)
{
	struct stream_buffer *buffer = stream->buffer;
	uint32_t from = step->from + offset - step->skip, to = from + size, early;

	if (offset < step->skip || to > step->to || from < step->fresh)
		return false;
	early = find_early(buffer, from);
	if (early < buffer->count && buffer->early[early].from < to)
		return false;
	memcpy(buffer->data + from, bytes, size);
	return true;
}

bool stream_has_early(const struct stream *stream)
{
	return stream->buffer && stream->buffer->count > 0;
}

static void add_early(struct stream_buffer *buffer, uint32_t from, uint32_t to)
{
	uint32_t at = find_early(buffer, from), end;

	if (at > 0 && buffer->early[at - 1].to == from)
		from = buffer->early[--at].from;
	for (end = at; end < buffer->count && buffer->early[end].from <= to; end++) {
		if (buffer->early[end].from < from)
			from = buffer->early[end].from;
		if (buffer->early[end].to > to)
			to = buffer->early[end].to;
	}
	/* [at, end) become one. */
	if (end == at)
		memmove(&buffer->early[at + 1], &buffer->early[at],
			(buffer->count - at) * sizeof(buffer->early[0]));
	else
		memmove(&buffer->early[at + 1], &buffer->early[end],
			(buffer->count - end) * sizeof(buffer->early[0]));
	buffer->count += 1 - (end - at);
	buffer->early[at] = (struct span){.from = from, .to = to};
}

void stream_commit(struct stream *stream, const struct stream_step *step)
{
	struct stream_buffer *buffer = stream->buffer;
	uint32_t taken = 0;

	if (step->result == STREAM_EARLY)
		add_early(buffer, step->from, step->to);
	if (step->result != STREAM_NEW)
		return;
	while (taken < buffer->count && buffer->early[taken].from <= step->size)
		taken++;
	memmove(buffer->early, buffer->early + taken,
		(buffer->count - taken) * sizeof(buffer->early[0]));
	buffer->count -= taken;
	stream->next += step->size - step->fresh;
	stream->position += step->size - step->fresh;
	buffer->size = step->size;
}
