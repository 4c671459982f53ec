/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/held.h"

#include "base/clock.h"
#include "packet/inspect/builtin/stream.h"

#include <string.h>

#define MS_MASK 0x7fffffffu /* of held_segment.since_ms */

static struct held_queue *make_queue(struct held_list *list)
{
	struct held_queue *queue;
	size_t actual;

	queue = arena_take(list->arena, sizeof(*queue), &actual);
	if (!queue)
		return NULL;
	memset(queue, 0, offsetof(struct held_queue, segments));
	list_append(&list->queues, &queue->link);
	return queue;
}

static void free_if_empty(struct held_list *list, struct held_queue **queue)
{
	if ((*queue)->count > 0)
		return;
	list_remove(&(*queue)->link);
	arena_put(list->arena, *queue);
	*queue = NULL;
}

/* Behind those that begin at the same place. */
static uint16_t find_place(const struct held_queue *queue, uint32_t from)
{
	uint16_t at = queue->count;

	while (at > 0 && stream_before(from, queue->segments[at - 1].from))
		at--;
	return at;
}

static bool is_repeated(const struct held_queue *queue, uint32_t from, uint32_t to)
{
	for (uint16_t i = 0; i < queue->count && !stream_before(from, queue->segments[i].from);
		i++) {
		if (stream_before(from, queue->segments[i].to))
			from = queue->segments[i].to;
		if (!stream_before(from, to))
			return true;
	}
	return false;
}

static bool is_full(const struct held_list *list, const struct held_queue *queue, uint16_t buffers)
{
	return queue->count == HELD_SEGMENTS_MAX || list->segments >= list->segments_max
		|| list->buffers + buffers > list->buffers_max;
}

static uint32_t to_ms(uint64_t now_ns)
{
	return (uint32_t)(now_ns / CLOCK_NS_PER_MS) & MS_MASK;
}

uint64_t held_age_ns(const struct held_queue *queue, uint64_t now_ns)
{
	uint32_t now_ms = to_ms(now_ns), age_ms = 0;

	for (uint16_t i = 0; i < queue->count; i++)
		age_ms = RTE_MAX(age_ms, (now_ms - queue->segments[i].since_ms) & MS_MASK);
	return age_ms * CLOCK_NS_PER_MS;
}

enum held_outcome held_add(struct held_list *list, struct held_queue **queue,
	struct rte_mbuf *packet, const struct held_segment *segment, uint64_t now_ns)
{
	enum held_outcome outcome = HELD_FULL;
	struct held_segment added = *segment;
	uint16_t at;

	added.buffers = packet->nb_segs;
	added.since_ms = to_ms(now_ns);
	if (!*queue)
		*queue = make_queue(list);
	if (!*queue)
		return HELD_FULL;
	if (is_repeated(*queue, added.from, added.to))
		outcome = HELD_REPEATED;
	else if (!is_full(list, *queue, added.buffers)
		&& hold_insert(list->holds, packet, list->owner, UINT64_MAX, &added.handle) == 0)
		outcome = HELD_TAKEN;
	if (outcome != HELD_TAKEN) {
		free_if_empty(list, queue);
		return outcome;
	}
	at = find_place(*queue, added.from);
	memmove(&(*queue)->segments[at + 1], &(*queue)->segments[at],
		((*queue)->count - at) * sizeof(added));
	(*queue)->segments[at] = added;
	(*queue)->count++;
	list->segments++;
	list->buffers += added.buffers;
	return HELD_TAKEN;
}

static bool overlay(struct rte_mbuf *held, const struct held_segment *segment, uint32_t from,
	uint32_t to, uint8_t *payload)
{
	uint32_t begin = stream_before(from, segment->from) ? segment->from : from;
	uint32_t bytes_end = segment->to - segment->has_fin;
	uint32_t end = stream_before(bytes_end, to) ? bytes_end : to;
	uint32_t offset = segment->payload_offset + (begin - segment->from);
	bool is_changed = false;

	for (; stream_before(begin, end); begin++, offset++) {
		uint8_t byte;
		const uint8_t *seen = rte_pktmbuf_read(held, offset, 1, &byte);

		if (!seen)
			break;
		is_changed |= payload[begin - from] != *seen;
		payload[begin - from] = *seen;
	}
	return is_changed;
}

static bool overlaps(const struct held_segment *segment, uint32_t from, uint32_t to)
{
	return stream_before(segment->from, to) && stream_before(from, segment->to);
}

bool held_overlaps(const struct held_queue *queue, uint32_t from, uint32_t to)
{
	for (uint16_t i = 0; i < queue->count; i++)
		if (overlaps(&queue->segments[i], from, to))
			return true;
	return false;
}

bool held_overlay(const struct held_list *list, const struct held_queue *queue, uint32_t from,
	uint32_t to, uint8_t *payload)
{
	bool is_changed = false;

	for (uint16_t i = 0; i < queue->count; i++) {
		const struct held_segment *segment = &queue->segments[i];
		struct rte_mbuf *held;

		if (!overlaps(segment, from, to))
			continue;
		held = hold_find(list->holds, segment->handle, list->owner);
		if (held)
			is_changed |= overlay(held, segment, from, to, payload);
	}
	return is_changed;
}

struct rte_mbuf *held_take_any(struct held_list *list, struct held_queue **queue)
{
	struct rte_mbuf *packet = NULL;

	while (*queue && !packet) {
		struct held_segment first = (*queue)->segments[0];

		(*queue)->count--;
		memmove(&(*queue)->segments[0], &(*queue)->segments[1],
			(*queue)->count * sizeof(first));
		list->segments--;
		list->buffers -= first.buffers;
		packet = hold_take(list->holds, first.handle, list->owner);
		free_if_empty(list, queue);
	}
	return packet;
}

struct rte_mbuf *held_take_due(struct held_list *list, struct held_queue **queue, uint32_t next)
{
	if (!*queue || stream_before(next, (*queue)->segments[0].from))
		return NULL;
	return held_take_any(list, queue);
}
