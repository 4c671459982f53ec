/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/ring_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void ring_stream_open(struct ring_stream *stream, const struct ring_stream_ops *ops)
{
	stream->ops = ops;
	stream->tx_start = stream->tx_end = stream->rx_size = 0;
	stream->mirror_count = 0;
	list_init(&stream->mirrors);
}

void ring_stream_close(struct ring_stream *stream)
{
	list_foreach_safe (node, &stream->mirrors)
		ring_mirror_close(stream, list_entry(node, struct ring_mirror, node));
}

/* --- Mirrors --- */

struct ring_mirror *ring_mirror_find(const struct ring_stream *stream, uint32_t row)
{
	list_foreach (node, &stream->mirrors) {
		struct ring_mirror *mirror = list_entry(node, struct ring_mirror, node);

		if (mirror->row == row)
			return mirror;
	}
	return NULL;
}

int ring_mirror_open(struct ring_stream *stream, const struct stream_head *what, int memory,
	uint64_t capacity, int notify, int wait, struct ring_mirror **out)
{
	struct ring_mirror *mirror = calloc(1, sizeof(*mirror));
	int status = mirror ? ring_memory_map(memory, capacity, &mirror->view) : -ENOMEM;

	if (status < 0) {
		free(mirror);
		close(notify);
		close(wait);
		return status;
	}
	mirror->row = what->row;
	mirror->is_source = what->value != 0;
	mirror->notify = notify;
	mirror->wait = wait;
	list_append(&stream->mirrors, &mirror->node);
	stream->mirror_count++;
	*out = mirror;
	return 0;
}

void ring_mirror_close(struct ring_stream *stream, struct ring_mirror *mirror)
{
	list_remove(&mirror->node);
	stream->mirror_count--;
	ring_memory_unmap(&mirror->view);
	close(mirror->notify);
	close(mirror->wait);
	free(mirror);
}

void ring_mirror_end(struct ring_mirror *mirror, const struct stream_head *last,
	const struct attach_notice *notice)
{
	if (mirror->is_ending)
		return;
	mirror->is_ending = true;
	mirror->last = *last;
	if (notice)
		mirror->last_notice = *notice;
}

/* An eventfd and a pipe take the same. Either is full only when it has been written to. */
static void mirror_wake(const struct ring_mirror *mirror, uint32_t *word)
{
	uint64_t one = 1;

	if (ring_must_wake(word))
		(void)!write(mirror->notify, &one, sizeof(one));
}

/* --- Sending --- */

static uint8_t *tx_place(struct ring_stream *stream, size_t size)
{
	if (size > STREAM_TX_SIZE - stream->tx_end && stream->tx_start > 0) {
		memmove(stream->tx, stream->tx + stream->tx_start, ring_stream_waiting(stream));
		stream->tx_end -= stream->tx_start;
		stream->tx_start = 0;
	}
	return size > STREAM_TX_SIZE - stream->tx_end ? NULL : stream->tx + stream->tx_end;
}

int ring_stream_queue(struct ring_stream *stream, const struct stream_head *head, const void *body)
{
	uint8_t *place = tx_place(stream, head->size);

	if (!place)
		return -ENOBUFS;
	memcpy(place, head, sizeof(*head));
	if (head->size > sizeof(*head))
		memcpy(place + sizeof(*head), body, head->size - sizeof(*head));
	stream->tx_end += head->size;
	return 0;
}

void ring_stream_sent(struct ring_stream *stream, size_t size)
{
	stream->tx_start += size;
	if (stream->tx_start == stream->tx_end)
		stream->tx_start = stream->tx_end = 0;
}

static bool has_room(const struct ring_stream *stream)
{
	return ring_stream_waiting(stream) < STREAM_TX_BYTES - STREAM_FRAME_MAX;
}

/* 1: a piece was queued, 0: there is none. */
static int send_piece(struct ring_stream *stream, struct ring_mirror *mirror)
{
	/* Pairs with ring_producer_publish(): the bytes are there. */
	uint64_t tail = __atomic_load_n(&mirror->view.shared->tail, __ATOMIC_ACQUIRE);
	uint64_t left = tail - mirror->position;
	struct stream_head head = {.kind = STREAM_BYTES, .row = mirror->row};

	if (left > mirror->view.capacity - (mirror->position - mirror->taken))
		return -EPROTO;
	if (left == 0)
		return 0;
	head.value = left <= STREAM_PIECE_MAX;
	if (left > STREAM_PIECE_MAX)
		left = STREAM_PIECE_MAX;
	head.size = (uint32_t)(sizeof(head) + left);
	mirror->position += left;
	return ring_stream_queue(stream, &head, ring_at(&mirror->view, mirror->position - left)) < 0
		? -ENOBUFS
		: 1;
}

static int send_taken(struct ring_stream *stream, struct ring_mirror *mirror)
{
	struct stream_head head = {.kind = STREAM_TAKEN, .row = mirror->row};
	/* Pairs with ring_consumer_publish(): the place is free once it is told. */
	uint64_t position = __atomic_load_n(&mirror->view.shared->head, __ATOMIC_ACQUIRE);

	if (position == mirror->taken)
		return 0;
	if (position - mirror->taken > mirror->position - mirror->taken)
		return -EPROTO;
	mirror->taken = position;
	head.size = sizeof(head) + sizeof(position);
	return ring_stream_queue(stream, &head, &position) < 0 ? -ENOBUFS : 1;
}

/* Of what is behind it: whether there is more is in the result, as above. */
static int fill_mirror(struct ring_stream *stream, struct ring_mirror *mirror)
{
	uint32_t *word = mirror->is_source ? &mirror->view.shared->consumer_sleeps
					   : &mirror->view.shared->producer_sleeps;
	int status;

	ring_end_sleep(word);
	status = mirror->is_source ? send_piece(stream, mirror) : send_taken(stream, mirror);
	if (status == 0 && mirror->is_ending) {
		status = ring_stream_queue(stream, &mirror->last, &mirror->last_notice);
		if (status == 0)
			ring_mirror_close(stream, mirror);
	}
	return status;
}

/* In turns, so that no ring waits for another one's end. */
int ring_stream_fill(struct ring_stream *stream)
{
	bool has_more = true;

	while (has_more) {
		has_more = false;
		list_foreach_safe (node, &stream->mirrors) {
			int status;

			if (!has_room(stream))
				return 0;
			status = fill_mirror(stream, list_entry(node, struct ring_mirror, node));
			if (status < 0)
				return status;
			has_more |= status > 0;
		}
	}
	return 0;
}

bool ring_stream_arm(struct ring_stream *stream)
{
	list_foreach (node, &stream->mirrors) {
		struct ring_mirror *mirror = list_entry(node, struct ring_mirror, node);
		struct ring_shared *shared = mirror->view.shared;

		if (mirror->is_ending)
			return false;
		if (mirror->is_source) {
			ring_announce_sleep(&shared->consumer_sleeps);
			if (__atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE) != mirror->position)
				return false;
		} else if (mirror->taken != mirror->position) {
			ring_announce_sleep(&shared->producer_sleeps);
			if (__atomic_load_n(&shared->head, __ATOMIC_ACQUIRE) != mirror->taken)
				return false;
		}
	}
	return true;
}

/* --- Receiving --- */

static int take_bytes(struct ring_mirror *mirror, const struct stream_head *head,
	const uint8_t *bytes, size_t size)
{
	struct ring_view *view = &mirror->view;

	/* What was not told as taken is not free, whatever the consumer says now. */
	if (mirror->is_source || head->value > 1 || size == 0
		|| size > view->capacity - (mirror->position - mirror->taken))
		return -EPROTO;
	memcpy(ring_at(view, mirror->position), bytes, size);
	mirror->position += size;
	if (!head->value)
		return 0;
	/* Pairs with the load in ring_consumer_next(). */
	__atomic_store_n(&view->shared->tail, mirror->position, __ATOMIC_RELEASE);
	mirror_wake(mirror, &view->shared->consumer_sleeps);
	return 0;
}

static int take_taken(struct ring_mirror *mirror, const uint8_t *body, size_t size)
{
	struct ring_view *view = &mirror->view;
	uint64_t position;

	if (!mirror->is_source || size != sizeof(position))
		return -EPROTO;
	memcpy(&position, body, sizeof(position));
	if (position - mirror->taken > mirror->position - mirror->taken)
		return -EPROTO;
	mirror->taken = position;
	/* Pairs with the load in ring_producer_has_room(). */
	__atomic_store_n(&view->shared->head, position, __ATOMIC_RELEASE);
	/* As a route does it: a producer that waits for room is woken when there is plenty. */
	if (mirror->position - position <= view->capacity / 2)
		mirror_wake(mirror, &view->shared->producer_sleeps);
	return 0;
}

static int take_frame(
	struct ring_stream *stream, const struct stream_head *head, const uint8_t *body)
{
	size_t size = head->size - sizeof(*head);
	struct ring_mirror *mirror;

	if (head->kind != STREAM_BYTES && head->kind != STREAM_TAKEN)
		return stream->ops->frame(stream, head, body);
	mirror = ring_mirror_find(stream, head->row);
	/* It was there, and is gone on this side first: numbers of rows come once. */
	if (!mirror)
		return 0;
	return head->kind == STREAM_BYTES ? take_bytes(mirror, head, body, size)
					  : take_taken(mirror, body, size);
}

/* Bytes of the frames that were taken, or a negative errno. */
static ssize_t take_frames(struct ring_stream *stream)
{
	struct stream_head head;
	size_t at = 0;

	while (stream->rx_size - at >= sizeof(head)) {
		int status;

		memcpy(&head, stream->rx + at, sizeof(head));
		if (head.size < sizeof(head) || head.size > STREAM_FRAME_MAX || head.kind == 0
			|| head.kind >= STREAM_KIND_COUNT)
			return -EPROTO;
		if (head.size > stream->rx_size - at)
			break;
		status = take_frame(stream, &head, stream->rx + at + sizeof(head));
		if (status < 0)
			return status;
		at += head.size;
	}
	return (ssize_t)at;
}

int ring_stream_take(struct ring_stream *stream, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		size_t part = STREAM_FRAME_MAX - stream->rx_size;
		ssize_t taken;

		if (part > size)
			part = size;
		memcpy(stream->rx + stream->rx_size, bytes, part);
		stream->rx_size += part;
		bytes += part;
		size -= part;
		taken = take_frames(stream);
		if (taken < 0)
			return (int)taken;
		stream->rx_size -= (size_t)taken;
		memmove(stream->rx, stream->rx + taken, stream->rx_size);
	}
	return 0;
}
