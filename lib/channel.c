/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data path: messages in rings (channel/ring.h), waiting, and waking the channel role. What is
 * said on the socket is in channel_attach.c. A function here never reads the socket: that the role
 * is gone shows in poll(2), that a channel has ended in its ring.
 */
#include "bulkhead/channel.h"

#include "lib/channel_private.h"
#include "lib/now.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* Looks between two looks at the clock, and (of a process that only ever looks once) at whether the
 * role is still there. Powers of two. */
#define SPIN_LOOKS 32
#define IDLE_LOOKS 4096
/* Parts of a ring that a receiver gives back at a time. */
#define GIVE_BACK_PARTS 8

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* --- Looking --- */

static int has_ended(const struct bulkhead_channel *channel)
{
	/* Acquire: the last messages are seen by who sees the end. */
	return channel->reason
		|| __atomic_load_n(&channel->view.shared->end, __ATOMIC_ACQUIRE) != 0;
}

static void wake_role(struct bulkhead_channel *channel, uint32_t *word)
{
	uint64_t one = 1;
	ssize_t written;

	if (!ring_must_wake(word))
		return;
	channel->stats.wakes++;
	written = write(channel->bell, &one, sizeof(one));
	(void)written; /* a bell that is full has been rung */
}

/* What was received goes back to the role in large parts; all of it before there is a wait. */
static void give_back(struct bulkhead_channel *channel, int all)
{
	struct ring_consumer *consumer = &channel->consumer;
	uint64_t kept = consumer->head - channel->given_back;

	if (kept == 0 || (!all && kept < channel->view.capacity / GIVE_BACK_PARTS))
		return;
	channel->given_back = consumer->head;
	ring_consumer_publish(consumer);
	if (consumer->tail_seen - consumer->head <= channel->view.capacity / 2)
		wake_role(channel, &channel->view.shared->producer_sleeps);
}

/* 1: there is a message, 0: none, -EPIPE. */
static int look_for_message(struct bulkhead_channel *channel)
{
	const uint8_t *message;
	uint32_t size;
	int status = ring_consumer_next(&channel->consumer, &message, &size);

	if (status == 0 && has_ended(channel))
		status = ring_consumer_next(&channel->consumer, &message, &size) > 0 ? 1 : -EPIPE;
	if (status == 1) {
		channel->message = message;
		channel->message_size = size;
	} else if (status == 0) {
		give_back(channel, 1);
	}
	return status < 0 ? -EPIPE : status;
}

/* 1: there is room for channel->wanted bytes, 0: not yet, -EPIPE. */
static int look_for_room(struct bulkhead_channel *channel)
{
	int status;

	if (has_ended(channel))
		return -EPIPE;
	status = ring_producer_has_room(&channel->producer, channel->wanted);
	return status < 0 ? -EPIPE : status;
}

static int look_whether_taken(struct bulkhead_channel *channel)
{
	const uint64_t *head = &channel->view.shared->head;

	if (__atomic_load_n(head, __ATOMIC_ACQUIRE) == channel->producer.tail)
		return 1;
	if (!has_ended(channel))
		return 0;
	/* Once more: it may have been taken before the end that was seen. */
	return __atomic_load_n(head, __ATOMIC_ACQUIRE) == channel->producer.tail ? 1 : -EPIPE;
}

/* --- Waiting --- */

typedef int (*look_fn)(struct bulkhead_channel *channel);

static uint32_t *sleep_word(struct bulkhead_channel *channel)
{
	return channel->direction == BULKHEAD_CHANNEL_SEND ? &channel->view.shared->producer_sleeps
							   : &channel->view.shared->consumer_sleeps;
}

static void drain_wakes(const struct bulkhead_channel *channel)
{
	char ignored[256];

	while (read(channel->wake, ignored, sizeof(ignored)) == sizeof(ignored))
		;
}

static int role_is_gone(const struct bulkhead_channel *channel)
{
	struct pollfd socket = {.fd = channel->channels->fd, .events = POLLRDHUP};

	return poll(&socket, 1, 0) > 0;
}

static int spin(struct bulkhead_channel *channel, look_fn look)
{
	uint64_t end_ns = channel->channels->spin_ns ? now_ns() + channel->channels->spin_ns : 0;
	int status = 0;

	while (end_ns && status == 0) {
		for (int i = 0; i < SPIN_LOOKS && status == 0; i++) {
			relax();
			status = look(channel);
		}
		if (now_ns() >= end_ns)
			break;
	}
	return status;
}

/* Sleeps until woken, or until end_ns (0: for ever). 0: look again. */
static int sleep_once(struct bulkhead_channel *channel, look_fn look, uint64_t end_ns)
{
	struct pollfd fds[2] = {{.fd = channel->wake, .events = POLLIN},
		{.fd = channel->channels->fd, .events = POLLRDHUP}};
	uint64_t now = end_ns ? now_ns() : 0, left_ns = end_ns > now ? end_ns - now : 0;
	struct timespec left = {(time_t)(left_ns / 1000000000ULL), (long)(left_ns % 1000000000ULL)};
	int status, count;

	ring_announce_sleep(sleep_word(channel));
	status = look(channel);
	if (status != 0)
		goto awake;
	if (end_ns && left_ns == 0) {
		status = -ETIMEDOUT;
		goto awake;
	}
	channel->stats.sleeps++;
	count = ppoll(fds, 2, end_ns ? &left : NULL, NULL);
	if (count < 0)
		status = -errno;
	else if (count > 0 && fds[0].revents)
		drain_wakes(channel);
	if (count > 0 && fds[1].revents) {
		status = look(channel);
		status = status ? status : -ECONNRESET;
	}
awake:
	ring_end_sleep(sleep_word(channel));
	return status;
}

/* 1: what look looks for is there. */
static int wait_for(struct bulkhead_channel *channel, look_fn look, int timeout_ms)
{
	int status = look(channel);
	uint64_t end_ns;

	if (status != 0)
		return status;
	if (timeout_ms == 0) {
		if (++channel->idle_looks % IDLE_LOOKS == 0 && role_is_gone(channel))
			return -ECONNRESET;
		return -EAGAIN;
	}
	end_ns = timeout_ms > 0 ? now_ns() + (uint64_t)timeout_ms * 1000000ULL : 0;
	status = spin(channel, look);
	while (status == 0)
		status = sleep_once(channel, look, end_ns);
	return status;
}

static int check(const struct bulkhead_channel *channel, enum bulkhead_channel_direction direction)
{
	if (channel->direction != direction)
		return -EOPNOTSUPP;
	return channel->is_up || has_ended(channel) ? 0 : -ENOTCONN;
}

/* --- Sending --- */

int bulkhead_channel_reserve(
	struct bulkhead_channel *channel, size_t size, void **out, int timeout_ms)
{
	int status = check(channel, BULKHEAD_CHANNEL_SEND);

	if (status < 0)
		return status;
	if (channel->is_reserved)
		return -EBUSY;
	if (has_ended(channel))
		return -EPIPE;
	if (size > channel->message_max)
		return -EMSGSIZE;
	channel->wanted = size;
	status = wait_for(channel, look_for_room, timeout_ms);
	if (status < 0)
		return status;
	channel->is_reserved = 1;
	*out = ring_producer_place(&channel->producer);
	return 0;
}

int bulkhead_channel_commit(struct bulkhead_channel *channel, size_t size, int keep)
{
	if (!channel->is_reserved || size > channel->wanted)
		return -EINVAL;
	channel->is_reserved = 0;
	if (!keep)
		return 0;
	ring_producer_append(&channel->producer, (uint32_t)size);
	ring_producer_publish(&channel->producer);
	wake_role(channel, &channel->view.shared->consumer_sleeps);
	channel->stats.messages++;
	channel->stats.bytes += size;
	return 0;
}

int bulkhead_channel_send(
	struct bulkhead_channel *channel, const void *message, size_t size, int timeout_ms)
{
	void *place;
	int status = bulkhead_channel_reserve(channel, size, &place, timeout_ms);

	if (status < 0)
		return status;
	memcpy(place, message, size);
	return bulkhead_channel_commit(channel, size, 1);
}

int bulkhead_channel_flush(struct bulkhead_channel *channel, int timeout_ms)
{
	int status = check(channel, BULKHEAD_CHANNEL_SEND);

	if (status == 0)
		status = wait_for(channel, look_whether_taken, timeout_ms);
	return status < 0 ? status : 0;
}

/* --- Receiving --- */

int bulkhead_channel_peek(
	struct bulkhead_channel *channel, const void **message, size_t *size, int timeout_ms)
{
	int status = check(channel, BULKHEAD_CHANNEL_RECEIVE);

	if (status < 0)
		return status;
	status = wait_for(channel, look_for_message, timeout_ms);
	if (status < 0)
		return status;
	channel->is_peeked = 1;
	*message = channel->message;
	*size = channel->message_size;
	return 0;
}

int bulkhead_channel_release(struct bulkhead_channel *channel)
{
	if (!channel->is_peeked)
		return -EINVAL;
	channel->is_peeked = 0;
	channel->stats.messages++;
	channel->stats.bytes += channel->message_size;
	ring_consumer_advance(&channel->consumer, channel->message_size);
	give_back(channel, 0);
	return 0;
}

ssize_t bulkhead_channel_receive(
	struct bulkhead_channel *channel, void *buffer, size_t size, int timeout_ms)
{
	const void *message;
	size_t got;
	int status = bulkhead_channel_peek(channel, &message, &got, timeout_ms);

	if (status < 0)
		return status;
	if (got > size)
		return -EMSGSIZE;
	memcpy(buffer, message, got);
	bulkhead_channel_release(channel);
	return (ssize_t)got;
}

/* --- Event loops --- */

int bulkhead_channel_descriptor(const struct bulkhead_channel *channel)
{
	return channel->descriptor;
}

int bulkhead_channel_arm(struct bulkhead_channel *channel)
{
	look_fn look =
		channel->direction == BULKHEAD_CHANNEL_SEND ? look_for_room : look_for_message;

	if (channel->is_reserved)
		return 1;
	drain_wakes(channel);
	channel->wanted = channel->message_max;
	ring_announce_sleep(sleep_word(channel));
	/* Before it stands there is nothing to look for; the role wakes us when it does. */
	if (!channel->is_up && !has_ended(channel))
		return 0;
	if (look(channel) == 0)
		return 0;
	ring_end_sleep(sleep_word(channel));
	return 1;
}

void bulkhead_channel_get_stats(
	const struct bulkhead_channel *channel, struct bulkhead_channel_stats *out)
{
	const struct ring_shared *shared = channel->view.shared;

	*out = channel->stats;
	out->capacity = channel->view.capacity;
	out->message_max = channel->is_up ? channel->message_max : 0;
	out->waiting = channel->direction == BULKHEAD_CHANNEL_SEND
		? channel->producer.tail - __atomic_load_n(&shared->head, __ATOMIC_RELAXED)
		: __atomic_load_n(&shared->tail, __ATOMIC_RELAXED) - channel->consumer.head;
}
