/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel whose ends write whatever they like into their rings, between any two batches of the
 * lane (C9). Nothing outside of the rings is touched (pages behind them are guarded), what reaches
 * the receiver's ring are whole messages that are not too large, and a route that failed says by
 * whose fault.
 */
#include "channel/route.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAPACITY    RING_CAPACITY_MIN
#define MESSAGE_MAX 2000
/* Where scribbling mostly goes: the positions and words, and the first records. */
#define HEADER_SIZE sizeof(struct ring_shared)
#define RECORDS     4096

static struct {
	struct key_table keys;
	struct secret *scratch;
	int memory[2];
	struct ring_view views[2]; /* the processes' mappings: sender, receiver */
	struct ring_view ours[2];
	uint32_t slots[2];
	int null;
} world;

struct input {
	const uint8_t *data;
	size_t size;
};

static uint32_t take(struct input *input, size_t bytes)
{
	uint32_t value = 0;

	for (; bytes > 0 && input->size > 0; bytes--, input->size--)
		value = value << 8 | *input->data++;
	return value;
}

static void open_world(void)
{
	const struct channel_ids ids = {1, 2, 3, 4};

	world.null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	world.scratch = secret_create(sizeof(struct stamp));
	if (key_table_open(&world.keys, 2) < 0 || !world.scratch)
		abort();
	for (int i = 0; i < 2; i++) {
		world.memory[i] = ring_memory_create(CAPACITY);
		if (ring_memory_map(world.memory[i], CAPACITY, &world.views[i]) < 0
			|| ring_memory_map(world.memory[i], CAPACITY, &world.ours[i]) < 0)
			abort();
		key_table_claim(&world.keys, &ids, &world.slots[i]);
	}
	key_table_set_local(&world.keys, world.slots[1]);
	key_table_set_remote(&world.keys, world.slots[0], world.slots[1]);
}

static void scribble(struct ring_view *view, struct input *input)
{
	uint32_t at = take(input, 2), count = take(input, 1) % 16;
	uint8_t *base = at & 0x8000 ? view->data : (uint8_t *)view->shared;

	at = at & 0x8000 ? at % RECORDS : at % HEADER_SIZE;
	for (; count > 0; count--, at++)
		base[at] = (uint8_t)take(input, 1);
}

static void set_position(uint64_t *position, struct input *input)
{
	*position = (uint64_t)(int64_t)(int32_t)take(input, 4);
}

static void send_message(struct ring_producer *sender, struct input *input)
{
	uint32_t size = take(input, 2) % (MESSAGE_MAX + 8);

	if (ring_producer_has_room(sender, size) != 1)
		return;
	memset(ring_producer_place(sender), (int)size, size);
	ring_producer_append(sender, size);
	ring_producer_publish(sender);
}

/* An honest receiver finds whole messages in its ring, as long as it was not the one to scribble.
 */
static void receive(struct ring_consumer *receiver, bool is_honest)
{
	const uint8_t *message;
	uint32_t size;
	int status = ring_consumer_next(receiver, &message, &size);

	if (is_honest && (status < 0 || (status > 0 && size > MESSAGE_MAX)))
		abort();
	if (status <= 0)
		return;
	ring_consumer_advance(receiver, size);
	ring_consumer_publish(receiver);
}

static void check_failure(const struct route *route, bool receiver_is_honest)
{
	if (route->failure == ATTACH_REASON_RECEIVER_RING && receiver_is_honest)
		abort();
	if (route->failure != ATTACH_REASON_SENDER_RING && route->failure != ATTACH_REASON_TOO_LARGE
		&& route->failure != ATTACH_REASON_RECEIVER_RING)
		abort();
}

static struct route make_route(void)
{
	struct route route = {.keys = &world.keys, .message_max = MESSAGE_MAX};

	route.sender = (struct route_end){world.slots[0], world.null};
	route.receiver = (struct route_end){world.slots[1], world.null};
	route.from.view = world.ours[0];
	route.to.view = world.ours[1];
	return route;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	struct route route;
	struct ring_producer sender = {0};
	struct ring_consumer receiver = {0};
	bool is_honest = true;

	if (!world.scratch)
		open_world();
	for (int i = 0; i < 2; i++)
		memset(world.views[i].shared, 0, HEADER_SIZE);
	route = make_route();
	sender.view = world.views[0];
	receiver.view = world.views[1];
	while (input.size > 0) {
		switch (take(&input, 1) % 8) {
		case 0:
			scribble(&world.views[0], &input);
			break;
		case 1:
			is_honest = false;
			scribble(&world.views[1], &input);
			break;
		case 2:
			set_position(&world.views[0].shared->tail, &input);
			break;
		case 3:
			is_honest = false;
			set_position(&world.views[1].shared->head, &input);
			break;
		case 4:
			receive(&receiver, is_honest);
			break;
		case 5:
			if (route_arm(&route))
				route_disarm(&route);
			break;
		case 6:
			send_message(&sender, &input);
			break;
		default:
			if (route_move(&route, secret_bytes(world.scratch), take(&input, 1))
				== LANE_FAILED) {
				check_failure(&route, is_honest);
				return 0;
			}
		}
	}
	return 0;
}
