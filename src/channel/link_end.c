/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ends of channels that go through a link. A sender's: messages from its process's ring, where
 * they stay until the peer has acknowledged them. A receiver's: messages into its process's ring,
 * and what the peer has to know of that: how much is there, how much room is left.
 */
#include "channel/link_private.h"

#include <errno.h>
#include <string.h>

/* Of a ring: when so much was delivered or made free, the peer is told at once, and not only when
 * nothing else happens. */
#define LINK_TELL_PARTS 4

static struct link_end *end_of(struct lane_member *member)
{
	return (struct link_end *)(void *)member;
}

_Static_assert(offsetof(struct link_end, member) == 0, "end_of()");

static enum lane_result end_fail(struct link_end *end, enum attach_reason reason)
{
	__atomic_store_n(&end->failure, reason, __ATOMIC_RELAXED);
	return LANE_FAILED;
}

static void end_wake(struct link_end *end, uint32_t *word)
{
	if (!ring_must_wake(word))
		return;
	route_wake(end->wake);
	link_add(&end->counts.wakes, 1);
}

static uint64_t end_interval_ns(const struct link_end *end)
{
	/* Relaxed: control changes it at any time, and any moment will do. */
	return __atomic_load_n(&end->interval_ns, __ATOMIC_RELAXED);
}

/* --- Senders --- */

/* The next message, when a piece of it may go now: LANE_MOVED. */
static enum lane_result sender_next(
	struct link_end *end, const uint8_t **message, uint32_t *size, uint64_t now_ns)
{
	int status = ring_consumer_next(&end->from, message, size);

	end->is_idle = status == 0;
	if (status <= 0)
		return status < 0 ? end_fail(end, ATTACH_REASON_SENDER_RING) : LANE_IDLE;
	if (*size > end->message_max)
		return end_fail(end, ATTACH_REASON_TOO_LARGE);
	/* Its first piece said how long it is. */
	if (end->offset > 0 && *size != end->size)
		return end_fail(end, ATTACH_REASON_SENDER_RING);
	if (end->offset == 0
		&& lane_member_is_throttled(&end->member, end_interval_ns(end), now_ns))
		return LANE_THROTTLED;
	return end->from.head + ring_record_size(*size) > end->limit ? LANE_BLOCKED : LANE_MOVED;
}

static void sender_count(struct link_end *end, uint32_t size)
{
	if (end->from.head <= end->counted)
		return;
	end->counted = end->from.head;
	link_add(&end->counts.messages, 1);
	link_add(&end->counts.bytes, size);
}

/* The piece is read once, into the frame. */
static void sender_put(struct link_end *end, uint8_t *place, const uint8_t *message, uint32_t size,
	struct stamp *scratch)
{
	uint32_t left = size - end->offset;
	struct cmm_frame frame = {.channel = end->channel,
		.sequence = end->from.head,
		.size = size,
		.offset = end->offset,
		.payload_size = left < CMM_PIECE_MAX ? left : CMM_PIECE_MAX};

	/* The sender's half of the mechanism attaches ids and key (C5). */
	key_table_stamp(end->link->keys, end->key_slot, scratch);
	frame.sender_partition = scratch->ids.sender_partition;
	frame.sender_endpoint = scratch->ids.sender_endpoint;
	frame.receiver_partition = scratch->ids.receiver_partition;
	frame.receiver_endpoint = scratch->ids.receiver_endpoint;
	frame.key = scratch->key;
	cmm_frame_write_data(place, &frame);
	memcpy(place + CMM_DATA_HEAD_SIZE, message + end->offset, frame.payload_size);
	end->link->tx_end += CMM_DATA_HEAD_SIZE + frame.payload_size;
	end->size = size;
	end->offset += frame.payload_size;
	link_add(&end->link->counts.sent_frames, 1);
}

/* queue_max: bytes of the link's queue that there may be before. */
static enum lane_result sender_move(
	struct link_end *end, struct stamp *scratch, uint64_t now_ns, size_t queue_max)
{
	struct link *link = end->link;
	enum lane_result result = LANE_BLOCKED;
	const uint8_t *message;
	uint32_t count, size;

	end->is_idle = false;
	for (count = 0; count < ROUTE_BATCH && !end->is_paused && !link->failure; count++) {
		uint8_t *place;

		result = sender_next(end, &message, &size, now_ns);
		if (result != LANE_MOVED)
			break;
		result = LANE_BLOCKED;
		if (link_tx_waiting(link) >= queue_max) {
			link->has_waiting_ends = true;
			break;
		}
		place = link_tx_place(link, CMM_FRAME_MAX);
		if (!place)
			break;
		sender_put(end, place, message, size, scratch);
		if (end->offset < size)
			continue;
		end->offset = 0;
		lane_member_count_rate(&end->member, end_interval_ns(end), now_ns);
		ring_consumer_advance(&end->from, size);
		sender_count(end, size);
	}
	return count > 0 && result != LANE_FAILED ? LANE_MOVED : result;
}

void link_acknowledge(struct link *link, const struct cmm_frame *frame)
{
	struct link_end *end = link_find_end(link, true, frame->channel);
	struct ring_consumer done;

	if (!end) {
		link_count_drop(link, NULL, LINK_DROP_STALE);
		return;
	}
	if (end->is_paused || frame->sequence < end->acknowledged
		|| frame->sequence > end->from.head || frame->sequence % RING_ALIGN != 0
		|| frame->limit < end->limit) {
		link_count_drop(link, end, LINK_DROP_BAD_ACK);
		return;
	}
	end->limit = frame->limit;
	end->acknowledged = frame->sequence;
	done = end->from;
	done.head = frame->sequence;
	ring_consumer_publish(&done);
	/* A sender that waits for room is woken when there is plenty. */
	if (done.tail_seen - done.head <= done.view.capacity / 2)
		end_wake(end, &done.view.shared->producer_sleeps);
	lane_activate(&end->member);
}

/* --- Receivers --- */

/* Why the frame is not for this channel, or not now; LINK_DROP_COUNT: it is. */
static enum link_drop receiver_check(
	struct link_end *end, const struct cmm_frame *frame, struct stamp *scratch)
{
	int status;

	scratch->ids = (struct channel_ids){.sender_partition = frame->sender_partition,
		.sender_endpoint = frame->sender_endpoint,
		.receiver_partition = frame->receiver_partition,
		.receiver_endpoint = frame->receiver_endpoint};
	memcpy(scratch->key, frame->key, sizeof(scratch->key));
	/* The receiver's half verifies (C5). */
	if (!key_table_verify(end->link->keys, end->key_slot, scratch))
		return LINK_DROP_FORGED;
	if (frame->size > end->message_max)
		return LINK_DROP_TOO_LARGE;
	if (frame->sequence < end->to.tail
		|| (frame->sequence == end->to.tail && frame->offset < end->offset))
		return LINK_DROP_REPLAYED;
	if (frame->sequence > end->to.tail || frame->offset > end->offset
		|| (end->offset > 0 && frame->size != end->size))
		return LINK_DROP_GAP;
	status = end->offset > 0 ? 1 : ring_producer_has_room(&end->to, frame->size);
	if (status < 0 && !end->failure) {
		end_fail(end, ATTACH_REASON_RECEIVER_RING);
		lane_notify(end->link->lane);
	}
	return status > 0 ? LINK_DROP_COUNT : LINK_DROP_NO_CREDIT;
}

void link_settle(struct link *link)
{
	struct link_end *end = link->filled;

	if (!end)
		return;
	link->filled = NULL;
	ring_producer_publish(&end->to);
	end_wake(end, &end->to.view.shared->consumer_sleeps);
	lane_activate(&end->member);
}

void link_deliver(struct link *link, const struct cmm_frame *frame, struct stamp *scratch)
{
	struct link_end *end = link_find_end(link, false, frame->channel);
	enum link_drop drop = end ? receiver_check(end, frame, scratch) : LINK_DROP_STALE;

	link_add(&link->counts.received_frames, 1);
	if (drop != LINK_DROP_COUNT) {
		link_count_drop(link, end, drop);
		return;
	}
	if (frame->payload_size > 0)
		memcpy(ring_producer_place(&end->to) + frame->offset, frame->payload,
			frame->payload_size);
	end->size = frame->size;
	end->offset = frame->offset + frame->payload_size;
	if (end->offset < end->size)
		return;
	end->offset = 0;
	ring_producer_append(&end->to, frame->size);
	link_add(&end->counts.messages, 1);
	link_add(&end->counts.bytes, frame->size);
	if (link->filled != end)
		link_settle(link);
	link->filled = end;
}

/* How far the peer may come. A process that has broken its ring is found out here. */
static uint64_t receiver_limit(struct link_end *end)
{
	struct ring_producer *to = &end->to;

	/* Asks for more than there can be, so that the consumer's position is looked at. */
	if (ring_producer_has_room(to, (uint32_t)to->view.capacity) < 0 && !end->failure) {
		end_fail(end, ATTACH_REASON_RECEIVER_RING);
		lane_notify(end->link->lane);
	}
	return to->head_seen + to->view.capacity;
}

static void receiver_tell(struct link_end *end, uint64_t limit)
{
	const struct cmm_frame frame = {
		.type = CMM_ACK, .channel = end->channel, .sequence = end->to.tail, .limit = limit};

	end->acknowledged = frame.sequence;
	end->limit = limit;
	link_queue(end->link, &frame);
}

/* An end that is paused touches nothing of the link: it may have no stream. */
static bool receiver_can_tell(const struct link_end *end, size_t queue_max)
{
	return !end->is_paused && !end->link->failure && link_tx_waiting(end->link) < queue_max;
}

static enum lane_result receiver_move(struct link_end *end)
{
	uint64_t limit = receiver_limit(end), part = end->to.view.capacity / LINK_TELL_PARTS;

	if (end->failure)
		return LANE_FAILED;
	if (!receiver_can_tell(end, LINK_TX_DATA)
		|| (end->to.tail - end->acknowledged < part && limit - end->limit < part))
		return LANE_IDLE;
	receiver_tell(end, limit);
	link_flush(end->link);
	return LANE_MOVED;
}

/* Nothing has come for a while: what was delivered is acknowledged, and the process is asked to say
 * when it has made room, if the peer may soon need it. */
static bool receiver_arm(struct link_end *end)
{
	uint64_t limit = receiver_limit(end), part = end->to.view.capacity / LINK_TELL_PARTS;

	if (receiver_can_tell(end, LINK_TX_DATA)
		&& (end->to.tail != end->acknowledged || limit - end->limit >= part)) {
		receiver_tell(end, limit);
		link_flush(end->link);
	}
	/* Then there is nobody to tell; who waits for room in the queue is woken. */
	if (!receiver_can_tell(end, LINK_TX_DATA)) {
		end->link->has_waiting_ends = true;
		return true;
	}
	if (end->limit - end->to.tail >= end->to.view.capacity / 2)
		return true;
	ring_announce_sleep(&end->to.view.shared->producer_sleeps);
	return receiver_limit(end) - end->limit < part;
}

void link_resume_receiver(struct link_end *end)
{
	struct link *link = end->link;
	struct cmm_frame frame = {.type = CMM_RESUME, .channel = end->channel};

	lane_pause(link->lane);
	end->acknowledged = frame.sequence = end->to.tail;
	end->limit = frame.limit = receiver_limit(end);
	end->is_paused = false;
	if (!link->failure)
		link_queue(link, &frame);
	lane_activate(&link->member);
	lane_activate(&end->member);
	lane_resume(link->lane);
}

/* --- Members of a lane --- */

static enum lane_result end_move(struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	struct link_end *end = end_of(member);
	enum lane_result result;

	if (!end->is_sender)
		return receiver_move(end);
	result = sender_move(end, scratch, now_ns, LINK_TX_DATA);
	/* One that failed may have said something before. */
	if (result == LANE_MOVED || result == LANE_FAILED)
		link_flush(end->link);
	return result;
}

static bool sender_arm(struct link_end *end)
{
	/* Who waits for the peer is woken by its frames, or by room in the queue. */
	if (!end->is_idle)
		return true;
	ring_announce_sleep(&end->from.view.shared->consumer_sleeps);
	return ring_consumer_is_empty(&end->from);
}

static void end_disarm(struct lane_member *member)
{
	struct link_end *end = end_of(member);

	if (end->is_sender)
		ring_end_sleep(&end->from.view.shared->consumer_sleeps);
	else
		ring_end_sleep(&end->to.view.shared->producer_sleeps);
}

static bool end_arm(struct lane_member *member)
{
	struct link_end *end = end_of(member);
	bool may_sleep = end->is_sender ? sender_arm(end) : receiver_arm(end);

	if (!may_sleep)
		end_disarm(member);
	return may_sleep;
}

/* Before the peer hears that the channel has ended: its sender asks whether all was taken. There is
 * nobody who would say it later. */
static void receiver_move_rest(struct link_end *end)
{
	if (receiver_can_tell(end, LINK_TX_LAST) && end->to.tail != end->acknowledged)
		receiver_tell(end, end->limit);
}

/* As far as the peer takes it at once, and the queue. */
static void end_move_rest(struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	struct link_end *end = end_of(member);
	uint64_t end_at, left;

	if (!end->is_sender) {
		receiver_move_rest(end);
		return;
	}
	end_at = __atomic_load_n(&end->from.view.shared->tail, __ATOMIC_ACQUIRE);
	left = end_at - end->from.head;
	while (end_at - end->from.head <= left && end_at != end->from.head)
		if (sender_move(end, scratch, now_ns, LINK_TX_LAST) != LANE_MOVED)
			break;
}

const struct lane_ops link_end_ops = {
	.move = end_move, .arm = end_arm, .disarm = end_disarm, .move_rest = end_move_rest};
