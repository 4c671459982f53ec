/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/memif_link.h"

#include "base/signal_bell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CLIENT_RING_LOG2   10
#define CLIENT_BUFFER_SIZE 2048
#define APPLICATION        "bulkhead " BULKHEAD_VERSION

struct memif_link *memif_link_create(bool is_client, uint32_t id, uint16_t queue_max)
{
	struct memif_link *link = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*link), (size_t)RTE_CACHE_LINE_SIZE));

	if (!link)
		return NULL;
	memset(link, 0, sizeof(*link));
	link->is_client = is_client;
	link->id = id;
	link->queue_max = RTE_MIN(queue_max, (uint16_t)PORT_QUEUES_MAX);
	link->fd = -1;
	for (int i = 0; i < PORT_QUEUES_MAX; i++)
		link->rx[i].eventfd = link->tx[i].eventfd = -1;
	return link;
}

void memif_link_destroy(struct memif_link *link)
{
	if (!link)
		return;
	for (int i = 0; i < PORT_QUEUES_MAX; i++) {
		if (link->rx[i].eventfd >= 0)
			close(link->rx[i].eventfd);
		if (link->tx[i].eventfd >= 0)
			close(link->tx[i].eventfd);
		signal_bell_destroy(link->bells[i]);
	}
	if (link->fd >= 0)
		close(link->fd);
	memif_memory_release(&link->memory);
	free(link);
}

void memif_link_hello(struct memif_message *out)
{
	*out = (struct memif_message){.type = MEMIF_HELLO,
		.hello = {.name = APPLICATION,
			.version_min = MEMIF_VERSION,
			.version_max = MEMIF_VERSION,
			.region_max = MEMIF_REGIONS_MAX - 1,
			.to_client_max = PORT_QUEUES_MAX - 1,
			.to_server_max = PORT_QUEUES_MAX - 1,
			.ring_log2_max = MEMIF_RING_LOG2_MAX}};
}

/* --- The server --- */

static int take_init(
	struct memif_link *link, const struct memif_message *message, struct error *error)
{
	if (link->peer[0] != '\0')
		return error_set(error, -EPROTO, "INIT twice");
	if (message->init.version != MEMIF_VERSION)
		return error_set(error, -EPROTO, "only memif 2.0 is spoken");
	if (message->init.mode != MEMIF_MODE_ETHERNET)
		return error_set(error, -EPROTO, "only Ethernet is spoken");
	snprintf(link->peer, sizeof(link->peer), "%s",
		message->init.name[0] ? message->init.name : "unnamed");
	return 0;
}

static int take_ring(
	struct memif_link *link, const struct memif_message *message, int *fd, struct error *error)
{
	bool is_receiving = message->add_ring.flags & MEMIF_RING_TO_SERVER;
	uint16_t *count = is_receiving ? &link->rx_count : &link->tx_count;
	struct memif_ring *ring = (is_receiving ? link->rx : link->tx) + *count;
	struct memif_shared *shared;

	if (message->add_ring.index != *count)
		return error_set(error, -EPROTO, "unexpected ring index");
	if (*count >= link->queue_max)
		return error_set(error, -EPROTO, "more queues than the %u that this interface has",
			link->queue_max);
	if (message->add_ring.private_size != 0)
		return error_set(error, -EPROTO, "private headers are not spoken");
	if (*fd < 0)
		return error_set(error, -EPROTO, "ring without an eventfd");
	shared = memif_ring_find(&link->memory, message->add_ring.region, message->add_ring.offset,
		message->add_ring.log2_size, error);
	if (!shared)
		return -EINVAL;
	memif_ring_begin(
		ring, is_receiving, &link->memory, shared, message->add_ring.log2_size, NULL, 0);
	if (!is_receiving) { /* for arrivals we have no use for it */
		ring->bell = link->bells[*count] = signal_bell_create();
		ring->eventfd = *fd;
		*fd = -1;
	}
	(*count)++;
	return 0;
}

/* Only now may a ring be relied on to be set up by the client. */
static int take_connect(struct memif_link *link, struct error *error)
{
	if (link->rx_count == 0 || link->tx_count == 0)
		return error_set(error, -EPROTO, "no ring in one of the directions");
	for (uint16_t i = 0; i < link->rx_count + link->tx_count; i++) {
		const struct memif_ring *ring =
			i < link->rx_count ? &link->rx[i] : &link->tx[i - link->rx_count];

		if (__atomic_load_n(&ring->shared->cookie, __ATOMIC_RELAXED) != MEMIF_COOKIE)
			return error_set(error, -EPROTO, "no ring where one was announced");
	}
	link->is_connected = true;
	return 0;
}

static int take_as_server(struct memif_link *link, const struct memif_message *message, int *fd,
	struct memif_message *answer, struct error *error)
{
	int result = 0;

	if (link->is_connected || (link->peer[0] == '\0' && message->type != MEMIF_INIT))
		return error_set(error, -EPROTO, "unexpected message");
	*answer = (struct memif_message){.type = MEMIF_ACK};
	switch (message->type) {
	case MEMIF_INIT:
		result = take_init(link, message, error);
		break;
	case MEMIF_ADD_REGION:
		result = memif_memory_add(&link->memory, message->add_region.index,
			message->add_region.size, *fd, error);
		break;
	case MEMIF_ADD_RING:
		result = take_ring(link, message, fd, error);
		break;
	case MEMIF_CONNECT:
		*answer = (struct memif_message){.type = MEMIF_CONNECTED};
		snprintf(answer->interface, sizeof(answer->interface), "%u", link->id);
		result = take_connect(link, error);
		break;
	default:
		return error_set(error, -EPROTO, "unexpected message");
	}
	return result < 0 ? result : 1;
}

/* --- The client --- */

static uint64_t ring_offset(const struct memif_link *link, uint16_t number)
{
	return number * MEMIF_RING_BYTES(link->ring_log2);
}

/* Ring number i, those to the server first, and its buffers behind all rings. */
static int make_ring(struct memif_link *link, uint16_t number, uint16_t pairs, struct error *error)
{
	bool is_receiving = number >= pairs;
	struct memif_ring *ring = is_receiving ? &link->rx[number - pairs] : &link->tx[number];
	uint8_t *base = link->memory.regions[0].base;
	uint8_t *buffers = base + ring_offset(link, (uint16_t)(2 * pairs))
		+ ((size_t)number << link->ring_log2) * CLIENT_BUFFER_SIZE;
	struct memif_shared *shared =
		(struct memif_shared *)(void *)(base + ring_offset(link, number));

	shared->cookie = MEMIF_COOKIE;
	memif_ring_begin(ring, is_receiving, &link->memory, shared, link->ring_log2, buffers,
		CLIENT_BUFFER_SIZE);
	ring->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ring->eventfd < 0)
		return error_set(error, -errno, "eventfd: %s", strerror(errno));
	if (!is_receiving)
		ring->bell = link->bells[number] = signal_bell_create();
	return 0;
}

static int take_hello(
	struct memif_link *link, const struct memif_message *message, struct error *error)
{
	uint16_t pairs;
	int result;

	if (message->hello.version_min > MEMIF_VERSION
		|| message->hello.version_max < MEMIF_VERSION)
		return error_set(error, -EPROTO, "only memif 2.0 is spoken");
	snprintf(link->peer, sizeof(link->peer), "%s",
		message->hello.name[0] ? message->hello.name : "unnamed");
	pairs = RTE_MIN(link->queue_max, message->hello.to_client_max + 1);
	pairs = RTE_MIN(pairs, message->hello.to_server_max + 1);
	link->ring_log2 = RTE_MIN(message->hello.ring_log2_max, CLIENT_RING_LOG2);
	result = memif_memory_create(&link->memory,
		ring_offset(link, (uint16_t)(2 * pairs))
			+ (2ULL * pairs << link->ring_log2) * CLIENT_BUFFER_SIZE,
		&link->fd, error);
	for (uint16_t i = 0; result == 0 && i < 2 * pairs; i++)
		result = make_ring(link, i, pairs, error);
	link->rx_count = link->tx_count = pairs;
	return result;
}

/* INIT, region 0, the rings to the server, those from it, CONNECT. */
static void announce(struct memif_link *link, struct memif_message *out, int *fd)
{
	uint16_t step = link->announced++, pairs = link->tx_count;
	bool is_to_server = step - 2 < pairs;

	if (step == 0) {
		*out = (struct memif_message){.type = MEMIF_INIT,
			.init = {.version = MEMIF_VERSION, .id = link->id, .name = APPLICATION}};
	} else if (step == 1) {
		*out = (struct memif_message){
			.type = MEMIF_ADD_REGION, .add_region = {.size = link->memory.total}};
		*fd = link->fd;
	} else if (step < 2 + 2 * pairs) {
		uint16_t number = (uint16_t)(step - 2);
		uint16_t index = is_to_server ? number : (uint16_t)(number - pairs);

		*out = (struct memif_message){.type = MEMIF_ADD_RING,
			.add_ring = {.flags = is_to_server ? MEMIF_RING_TO_SERVER : 0,
				.index = index,
				.offset = (uint32_t)ring_offset(link, number),
				.log2_size = link->ring_log2}};
		*fd = (is_to_server ? link->tx : link->rx)[index].eventfd;
	} else {
		*out = (struct memif_message){.type = MEMIF_CONNECT};
		snprintf(out->interface, sizeof(out->interface), "%u", link->id);
	}
}

static int take_as_client(struct memif_link *link, const struct memif_message *message,
	struct memif_message *answer, int *answer_fd, struct error *error)
{
	uint16_t last = (uint16_t)(3 + link->rx_count + link->tx_count);
	int result = 0;

	if (message->type == MEMIF_HELLO && link->announced == 0)
		result = take_hello(link, message, error);
	else if (message->type == MEMIF_CONNECTED && link->announced == last && !link->is_connected)
		link->is_connected = true;
	else if (message->type != MEMIF_ACK || link->announced == 0 || link->announced >= last)
		return error_set(error, -EPROTO, "unexpected message");
	if (result < 0)
		return result;
	if (!link->is_connected) {
		announce(link, answer, answer_fd);
		return 1;
	}
	for (uint16_t i = 0; i < link->rx_count; i++)
		memif_ring_lend(&link->rx[i]);
	return 0;
}

/* --- Both --- */

int memif_link_take(struct memif_link *link, const struct memif_message *message, int *fd,
	struct memif_message *answer, int *answer_fd, struct error *error)
{
	*answer_fd = -1;
	if (message->type == MEMIF_DISCONNECT)
		return error_set(error, -EPROTO, "the other end disconnects");
	if (link->is_client)
		return take_as_client(link, message, answer, answer_fd, error);
	return take_as_server(link, message, fd, answer, error);
}

const char *memif_link_fault(const struct memif_link *link)
{
	for (uint16_t i = 0; i < link->rx_count + link->tx_count; i++) {
		const struct memif_ring *ring =
			i < link->rx_count ? &link->rx[i] : &link->tx[i - link->rx_count];
		const char *fault = __atomic_load_n(&ring->fault, __ATOMIC_RELAXED);

		if (fault)
			return fault;
	}
	return NULL;
}
