/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/route.h"

#include <stddef.h>
#include <unistd.h>

void route_wake(int wake)
{
	/* A full pipe has waked already; one without reader has nobody to wake. */
	ssize_t ignored = write(wake, "", 1);

	(void)ignored;
}

static enum lane_result route_fail(struct route *route, enum attach_reason reason)
{
	__atomic_store_n(&route->failure, reason, __ATOMIC_RELAXED);
	return LANE_FAILED;
}

/* Relaxed: control changes it at any time, and any moment will do. */
static uint64_t route_interval_ns(const struct route *route)
{
	return __atomic_load_n(&route->interval_ns, __ATOMIC_RELAXED);
}

/* The next message, when it may go now: LANE_MOVED. */
static enum lane_result route_next(
	struct route *route, const uint8_t **message, uint32_t *size, uint64_t now_ns)
{
	int status = ring_consumer_next(&route->from, message, size);

	if (status <= 0)
		return status < 0 ? route_fail(route, ATTACH_REASON_SENDER_RING) : LANE_IDLE;
	if (*size > route->message_max)
		return route_fail(route, ATTACH_REASON_TOO_LARGE);
	if (lane_member_is_throttled(&route->member, route_interval_ns(route), now_ns))
		return LANE_THROTTLED;
	status = ring_producer_has_room(&route->to, *size);
	if (status > 0)
		return LANE_MOVED;
	route->blocked_size = *size;
	return status < 0 ? route_fail(route, ATTACH_REASON_RECEIVER_RING) : LANE_BLOCKED;
}

static void route_deliver(
	struct route *route, struct stamp *scratch, const uint8_t *message, uint32_t size)
{
	/* The sender's half of the mechanism attaches, the receiver's verifies. */
	key_table_stamp(route->keys, route->sender.key_slot, scratch);
	if (!key_table_verify(route->keys, route->receiver.key_slot, scratch)) {
		__atomic_store_n(&route->counts.forged, route->counts.forged + 1, __ATOMIC_RELAXED);
		return;
	}
	memcpy(ring_producer_place(&route->to), message, size);
	ring_producer_append(&route->to, size);
	__atomic_store_n(&route->counts.messages, route->counts.messages + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&route->counts.bytes, route->counts.bytes + size, __ATOMIC_RELAXED);
}

static void route_wake_end(struct route *route, uint32_t *word, int wake)
{
	if (!ring_must_wake(word))
		return;
	route_wake(wake);
	__atomic_store_n(&route->counts.wakes, route->counts.wakes + 1, __ATOMIC_RELAXED);
}

/* First what was delivered, then that its place is free: what a lane that dies in between leaves
 * behind can be lost to the sender's knowledge, and never be delivered twice. */
static void route_publish(struct route *route)
{
	struct ring_consumer *from = &route->from;

	ring_producer_publish(&route->to);
	ring_consumer_publish(from);
	route_wake_end(route, &route->to.view.shared->consumer_sleeps, route->receiver.wake);
	/* A sender that waits for room is woken when there is plenty. */
	if (from->tail_seen - from->head <= from->view.capacity / 2)
		route_wake_end(route, &from->view.shared->producer_sleeps, route->sender.wake);
}

enum lane_result route_move(struct route *route, struct stamp *scratch, uint64_t now_ns)
{
	enum lane_result result = LANE_IDLE;
	const uint8_t *message;
	uint64_t bytes = 0;
	uint32_t count = 0, size;

	route->blocked_size = 0;
	while (count < ROUTE_BATCH && bytes < ROUTE_BATCH_BYTES) {
		result = route_next(route, &message, &size, now_ns);
		if (result != LANE_MOVED)
			break;
		route_deliver(route, scratch, message, size);
		lane_member_count_rate(&route->member, route_interval_ns(route), now_ns);
		ring_consumer_advance(&route->from, size);
		bytes += size;
		count++;
	}
	if (count == 0)
		return result;
	route_publish(route);
	return result == LANE_FAILED ? LANE_FAILED : LANE_MOVED;
}

bool route_arm(struct route *route)
{
	bool may_sleep;

	if (route->blocked_size) {
		ring_announce_sleep(&route->to.view.shared->producer_sleeps);
		/* A receiver that broke its ring is found out by the next move. */
		may_sleep = ring_producer_has_room(&route->to, route->blocked_size) == 0;
	} else {
		ring_announce_sleep(&route->from.view.shared->consumer_sleeps);
		may_sleep = ring_consumer_is_empty(&route->from);
	}
	if (!may_sleep)
		route_disarm(route);
	return may_sleep;
}

void route_disarm(struct route *route)
{
	ring_end_sleep(&route->to.view.shared->producer_sleeps);
	ring_end_sleep(&route->from.view.shared->consumer_sleeps);
}

void route_end(const struct ring_view *view, int wake, enum attach_reason reason)
{
	/* Release: the last messages are seen by who sees the end. */
	__atomic_store_n(&view->shared->end, reason, __ATOMIC_RELEASE);
	route_wake(wake);
}

/* --- As a member of a lane --- */

static struct route *route_of(struct lane_member *member)
{
	return (struct route *)(void *)member;
}

static enum lane_result route_member_move(
	struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	return route_move(route_of(member), scratch, now_ns);
}

static bool route_member_arm(struct lane_member *member)
{
	return route_arm(route_of(member));
}

static void route_member_disarm(struct lane_member *member)
{
	route_disarm(route_of(member));
}

/* What was published when it began, and no more: the memory may be another process's, too, which
 * would never come to an end. */
static void route_member_move_rest(
	struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	struct route *route = route_of(member);
	uint64_t end = __atomic_load_n(&route->from.view.shared->tail, __ATOMIC_ACQUIRE);
	uint64_t left = end - route->from.head;

	while (end - route->from.head <= left && end != route->from.head)
		if (route_move(route, scratch, now_ns) != LANE_MOVED)
			break;
}

_Static_assert(offsetof(struct route, member) == 0, "route_of()");

const struct lane_ops route_ops = {
	.move = route_member_move,
	.arm = route_member_arm,
	.disarm = route_member_disarm,
	.move_rest = route_member_move_rest,
};
