/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments of a TCP stream that wait behind a gap (I6): they lie in the worker's hold table, and
 * here is noted which of them wait where. A queue a stream, from the arena while it has some;
 * queues with the time of their gap in a list, oldest first. Bounded a stream, and in all. That
 * time alone ends their stay: the hold table's would let them go on unread. Worker thread only.
 */
#pragma once

#include "base/list.h"
#include "packet/inspect/builtin/arena.h"
#include "packet/inspect/hold_table.h"

#define HELD_SEGMENTS_MAX 320 /* of one stream: what a window of 460 kB has behind a loss */

struct held_segment {
	uint64_t handle;
	uint32_t from, to;       /* sequence numbers, its FIN among them */
	uint16_t payload_offset; /* in the frame */
	uint16_t buffers;
	uint32_t has_fin : 1;
	uint32_t since_ms : 31; /* when it came, round and round */
};

struct held_queue {
	struct list link; /* in held_list.queues */
	void *flow;       /* the holder's own */
	uint8_t side;
	uint16_t count;
	bool is_answer_due; /* the sender is told of it when the receiver has all before the gap */
	bool is_told;       /* the sender knows of some, by selective acknowledgements */
	uint32_t gap;       /* where the stream stood when its time began */
	uint64_t since_ns;  /* when that was */
	struct held_segment segments[HELD_SEGMENTS_MAX]; /* sorted by from */
};

struct held_list {
	struct arena *arena;
	struct hold_table *holds;
	uint16_t owner;
	struct list queues;
	uint32_t segments, segments_max;
	uint32_t buffers, buffers_max;
};

enum held_outcome {
	HELD_TAKEN,    /* the packet is in the hold table */
	HELD_REPEATED, /* others bring all of it already; the packet is the caller's */
	HELD_FULL,     /* likewise: a bound is reached */
};

/* Makes the queue where there is none: *queue. flow and side are only kept. */
enum held_outcome held_add(struct held_list *list, struct held_queue **queue,
	struct rte_mbuf *packet, const struct held_segment *segment, uint64_t now_ns);

/* How long the one that came first has waited. */
uint64_t held_age_ns(const struct held_queue *queue, uint64_t now_ns);

bool held_overlaps(const struct held_queue *queue, uint32_t from, uint32_t to);
/* What held segments of the queue have for [from, to): copied over payload, since what came first
 * counts. Returns whether that changed anything. */
bool held_overlay(const struct held_list *list, const struct held_queue *queue, uint32_t from,
	uint32_t to, uint8_t *payload);

/* The first segment, when next has reached it; the queue goes with its last one. NULL: none. */
struct rte_mbuf *held_take_due(struct held_list *list, struct held_queue **queue, uint32_t next);
/* The first segment, wherever it is. */
struct rte_mbuf *held_take_any(struct held_list *list, struct held_queue **queue);
