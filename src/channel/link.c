/* SPDX-License-Identifier: BSD-3-Clause */
/* A link's stream: what is queued is written, what comes is read and parsed. */
#include "channel/link.h"

#include "channel/link_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* What is read before the lane's other members get their turn. */
#define LINK_READ_BATCH (256 * 1024)

const char *link_drop_word(enum link_drop drop)
{
	static const char *const words[] = {
#define WORD(name, word, text) word,
		LINK_DROPS(WORD)
#undef WORD
	};

	return words[drop];
}

void link_count_drop(struct link *link, struct link_end *end, enum link_drop drop)
{
	link_add(&link->counts.drops[drop], 1);
	if (end)
		link_add(&end->counts.dropped, 1);
}

/* --- The lane's thread --- */

static struct link *link_of(struct lane_member *member)
{
	return (struct link *)(void *)member;
}

_Static_assert(offsetof(struct link, member) == 0, "link_of()");

void link_break(struct link *link, int why)
{
	if (link->failure)
		return;
	__atomic_store_n(&link->failure, why, __ATOMIC_RELAXED);
	link->tx_start = link->tx_end = 0;
	lane_notify(link->lane);
}

uint8_t *link_tx_place(struct link *link, size_t size)
{
	uint8_t *tx = link->memory->tx;

	if (size > LINK_TX_SIZE - link->tx_end && link->tx_start > 0) {
		memmove(tx, tx + link->tx_start, link_tx_waiting(link));
		link->tx_end -= link->tx_start;
		link->tx_start = 0;
	}
	return size > LINK_TX_SIZE - link->tx_end ? NULL : tx + link->tx_end;
}

void link_queue(struct link *link, const struct cmm_frame *frame)
{
	uint8_t *place = link_tx_place(link, CMM_CONTROL_MAX);

	if (place)
		link->tx_end += cmm_frame_write(place, frame);
	else
		link_break(link, -ENOBUFS);
}

static void link_wake_waiting(struct link *link)
{
	if (!link->has_waiting_ends || link_tx_waiting(link) > LINK_TX_DATA / 2)
		return;
	link->has_waiting_ends = false;
	list_foreach (node, &link->ends) {
		struct link_end *end = list_entry(node, struct link_end, node);

		lane_activate(&end->member);
	}
}

/* Keys of channels that have ended do not stay, once their frames have gone. */
static void link_wipe(struct link *link)
{
	if (link->tx_is_stale && link_tx_waiting(link) == 0) {
		explicit_bzero(link->memory->tx, sizeof(link->memory->tx));
		link->tx_is_stale = false;
	}
	if (link->rx_is_stale && link->rx_start == link->rx_end) {
		explicit_bzero(link->memory->rx, sizeof(link->memory->rx));
		link->rx_is_stale = false;
	}
}

void link_flush(struct link *link)
{
	while (link->tx_start < link->tx_end && !link->failure) {
		ssize_t written = link->stream.write(link->stream.context,
			link->memory->tx + link->tx_start, link_tx_waiting(link));

		if (written == -EAGAIN)
			break;
		if (written <= 0) {
			link_break(link, written < 0 ? (int)written : -EPIPE);
			break;
		}
		link->tx_start += (size_t)written;
		link_add(&link->counts.sent_bytes, (uint64_t)written);
	}
	if (link->tx_start == link->tx_end)
		link->tx_start = link->tx_end = 0;
	link_wipe(link);
	link_wake_waiting(link);
}

/* One frame; false: it is for the control thread. */
static bool link_take(struct link *link, const struct cmm_frame *frame, struct stamp *scratch)
{
	if (frame->type == CMM_DATA) {
		link_deliver(link, frame, scratch);
	} else if (frame->type == CMM_ACK) {
		link_acknowledge(link, frame);
	} else {
		__atomic_store_n(&link->has_control, 1, __ATOMIC_RELAXED);
		lane_notify(link->lane);
		return false;
	}
	return true;
}

static void link_parse(struct link *link, struct stamp *scratch)
{
	struct cmm_frame frame;

	while (!link->has_control && !link->failure) {
		int taken = cmm_frame_read(
			link->memory->rx + link->rx_start, link->rx_end - link->rx_start, &frame);

		if (taken < 0)
			link_break(link, taken);
		if (taken <= 0 || !link_take(link, &frame, scratch))
			break;
		link->rx_start += (size_t)taken;
	}
	link_settle(link);
	if (link->rx_start == link->rx_end)
		link->rx_start = link->rx_end = 0;
	link_wipe(link);
}

/* Bytes read, 0: none now. */
static size_t link_fill(struct link *link)
{
	uint8_t *rx = link->memory->rx;
	ssize_t got;

	if (LINK_RX_SIZE - link->rx_end < CMM_FRAME_MAX) {
		memmove(rx, rx + link->rx_start, link->rx_end - link->rx_start);
		link->rx_end -= link->rx_start;
		link->rx_start = 0;
	}
	got = link->stream.read(
		link->stream.context, rx + link->rx_end, LINK_RX_SIZE - link->rx_end);
	if (got == -EAGAIN)
		return 0;
	if (got <= 0) {
		link_break(link, got < 0 ? (int)got : -EPIPE);
		return 0;
	}
	link->rx_end += (size_t)got;
	link_add(&link->counts.received_bytes, (uint64_t)got);
	return (size_t)got;
}

static enum lane_result link_move(
	struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	struct link *link = link_of(member);
	size_t total = 0, got;

	link_flush(link);
	link_parse(link, scratch);
	while (!link->has_control && !link->failure && total < LINK_READ_BATCH) {
		got = link_fill(link);
		if (got == 0)
			break;
		total += got;
		link_parse(link, scratch);
	}
	return total > 0 ? LANE_MOVED : LANE_IDLE;
}

/* All was read and written that can be, or control has to take a frame first, which wakes us. */
static bool link_arm(struct lane_member *member)
{
	return true;
}

static void link_disarm(struct lane_member *member)
{
}

static const struct lane_ops link_ops = {.move = link_move, .arm = link_arm, .disarm = link_disarm};

/* --- The control thread --- */

int link_create(const struct key_table *keys, struct lane *lane, struct link **out)
{
	struct link *link = calloc(1, sizeof(*link));
	int why;

	if (!link)
		return -ENOMEM;
	link->secret = secret_create(sizeof(struct link_memory));
	if (!link->secret) {
		why = -errno;
		free(link);
		return why;
	}
	link->memory = secret_bytes(link->secret);
	link->keys = keys;
	link->lane = lane;
	link->stream.fd = -1;
	list_init(&link->ends);
	*out = link;
	return 0;
}

void link_destroy(struct link *link)
{
	if (!link)
		return;
	link_detach(link);
	secret_destroy(link->secret);
	free(link);
}

/* While the lane rests, or has nothing of it: senders wait for the peer's word, and messages that
 * came in part come again. */
static void link_pause_ends(struct link *link)
{
	list_foreach (node, &link->ends) {
		struct link_end *end = list_entry(node, struct link_end, node);

		end->is_paused = true;
		end->is_named = false;
		end->offset = 0;
	}
}

int link_attach(struct link *link, const struct link_stream *stream)
{
	int status;

	link->tx_start = link->tx_end = link->rx_start = link->rx_end = 0;
	link->control_size = 0;
	link->has_control = 0;
	link->failure = 0;
	link->stream = *stream;
	link->member = (struct lane_member){.ops = &link_ops,
		.bells = {stream->fd, -1},
		.bell_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP};
	status = lane_add(link->lane, &link->member);
	if (status < 0) {
		stream->close(stream->context);
		link->stream.fd = -1;
	}
	return status;
}

void link_detach(struct link *link)
{
	if (!link_is_attached(link))
		return;
	lane_remove(&link->member, false);
	lane_pause(link->lane);
	link_pause_ends(link);
	link->stream.fd = -1;
	explicit_bzero(link->memory, sizeof(*link->memory));
	lane_resume(link->lane);
	link->stream.close(link->stream.context);
}

void link_move_lane(struct link *link, struct lane *lane)
{
	/* First all of it from the one, since its parts share state. What was on a lane has its
	 * descriptors, and there is room for a pointer. */
	if (link_is_attached(link))
		lane_remove(&link->member, false);
	list_foreach (node, &link->ends)
		lane_remove(&list_entry(node, struct link_end, node)->member, false);
	link->lane = lane;
	list_foreach (node, &link->ends)
		if (lane_add(lane, &list_entry(node, struct link_end, node)->member) < 0)
			abort();
	if (link_is_attached(link) && lane_add(lane, &link->member) < 0)
		abort();
}

int link_failure(const struct link *link)
{
	return __atomic_load_n(&link->failure, __ATOMIC_RELAXED);
}

/* While the lane rests: the frame at the start of rx, when it is one for control. */
static int link_take_control(struct link *link, struct cmm_frame *out)
{
	const uint8_t *at = link->memory->rx + link->rx_start;
	int taken;

	link->rx_start += link->control_size;
	at += link->control_size;
	explicit_bzero(link->memory->control, link->control_size);
	link->control_size = 0;
	taken = cmm_frame_read(at, link->rx_end - link->rx_start, out);
	if (taken <= 0 || out->type == CMM_DATA || out->type == CMM_ACK)
		return 0;
	/* What it refers to has to stay while the lane goes on. */
	memcpy(link->memory->control, at, (size_t)taken);
	cmm_frame_read(link->memory->control, (size_t)taken, out);
	link->control_size = (size_t)taken;
	return 1;
}

int link_next_control(struct link *link, struct cmm_frame *out)
{
	int found;

	if (!link_is_attached(link) || !__atomic_load_n(&link->has_control, __ATOMIC_RELAXED))
		return 0;
	lane_pause(link->lane);
	found = link_take_control(link, out);
	if (!found) {
		__atomic_store_n(&link->has_control, 0, __ATOMIC_RELAXED);
		lane_activate(&link->member);
	}
	lane_resume(link->lane);
	return found;
}

void link_send(struct link *link, const struct cmm_frame *frame)
{
	if (!link_is_attached(link))
		return;
	lane_pause(link->lane);
	if (!link->failure)
		link_queue(link, frame);
	lane_activate(&link->member);
	lane_resume(link->lane);
}

static struct link_end **link_bucket(struct link *link, uint32_t channel)
{
	return &link->buckets[channel % LINK_BUCKETS];
}

struct link_end *link_find_end(const struct link *link, bool is_sender, uint32_t channel)
{
	struct link_end *end = link->buckets[channel % LINK_BUCKETS];

	while (end && (end->channel != channel || end->is_sender != is_sender))
		end = end->chained;
	return end;
}

int link_add_end(struct link *link, struct link_end *end)
{
	struct link_end **bucket = link_bucket(link, end->channel);
	int status;

	end->link = link;
	end->member.ops = &link_end_ops;
	end->member.bell_events = EPOLLIN;
	status = lane_add(link->lane, &end->member);
	if (status < 0)
		return status;
	lane_pause(link->lane);
	end->chained = *bucket;
	*bucket = end;
	list_append(&link->ends, &end->node);
	lane_resume(link->lane);
	return 0;
}

void link_remove_end(struct link_end *end, bool with_rest)
{
	struct link *link = end->link;
	struct link_end **at = link_bucket(link, end->channel);

	/* First nothing of the link finds it, and could give it turns again. */
	lane_pause(link->lane);
	while (*at != end)
		at = &(*at)->chained;
	*at = end->chained;
	list_remove(&end->node);
	lane_resume(link->lane);
	lane_remove(&end->member, with_rest);
	lane_pause(link->lane);
	link->tx_is_stale = link->rx_is_stale = true;
	link_wipe(link);
	lane_resume(link->lane);
}

int link_resume_end(struct link_end *end, uint64_t sequence, uint64_t limit)
{
	struct link *link = end->link;
	int status = 0;

	lane_pause(link->lane);
	/* Of what was sent since, all may have arrived. */
	if (sequence < end->acknowledged || sequence > end->from.head
		|| sequence % RING_ALIGN != 0) {
		status = -EPROTO;
	} else {
		end->from.head = end->from.tail_seen = sequence;
		end->acknowledged = sequence;
		end->limit = limit;
		end->offset = 0;
		end->is_paused = false;
		ring_consumer_publish(&end->from);
		route_wake(end->wake);
		lane_activate(&end->member);
	}
	lane_resume(link->lane);
	return status;
}
