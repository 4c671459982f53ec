/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/vsock/vsock_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Packets of a direction in one run. */
#define VSOCK_BATCH 64

void vsock_device_open(
	struct vsock_device *device, uint64_t cid, const struct vsock_ops *ops, void *context)
{
	memset(device, 0, sizeof(*device));
	device->ops = ops;
	device->context = context;
	device->cid = cid;
	list_init(&device->order);
}

/* --- Connections --- */

static struct vsock_connection *find_connection(const struct vsock_device *device, uint32_t port)
{
	return port <= GUEST_PORT_MAX ? device->connections[port] : NULL;
}

/* The owner's part of it. */
static void let_go(struct vsock_connection *connection)
{
	if (connection->process)
		connection->device->ops->close(connection);
	connection->process = NULL;
	connection->stream = NULL;
}

static void destroy_connection(struct vsock_connection *connection)
{
	let_go(connection);
	list_remove(&connection->node);
	connection->device->connections[connection->guest_port] = NULL;
	connection->device->connection_count--;
	free(connection);
}

/* The guest hears of it when there is a buffer. */
static void reset_connection(struct vsock_connection *connection)
{
	let_go(connection);
	connection->owes_reset = true;
}

void vsock_connection_end(struct vsock_connection *connection, bool at_once)
{
	if (at_once) {
		connection->process = NULL;
		connection->stream = NULL;
		connection->owes_reset = true;
	} else {
		connection->is_ending = true;
	}
}

void vsock_device_reset_connections(struct vsock_device *device)
{
	list_foreach (node, &device->order)
		reset_connection(list_entry(node, struct vsock_connection, node));
}

void vsock_device_stop(struct vsock_device *device)
{
	list_foreach_safe (node, &device->order)
		destroy_connection(list_entry(node, struct vsock_connection, node));
	device->reset_count = 0;
	for (int i = 0; i < VSOCK_QUEUES; i++)
		device->queues[i].is_running = false;
}

/* --- From the guest --- */

/* There is room: no packet is taken without. */
static void owe_reset(struct vsock_device *device, const struct vsock_packet *packet)
{
	if (packet->operation == VSOCK_RESET)
		return;
	device->resets[device->reset_count++] =
		(struct vsock_packet){.source_port = packet->target_port,
			.target_port = packet->source_port,
			.type = packet->type,
			.operation = VSOCK_RESET};
}

static void accept_connection(struct vsock_device *device, const struct vsock_packet *packet)
{
	struct vsock_connection *connection = calloc(1, sizeof(*connection));

	if (!connection) {
		owe_reset(device, packet);
		return;
	}
	connection->device = device;
	connection->guest_port = packet->source_port;
	connection->peer_room = packet->room;
	connection->peer_taken = packet->taken;
	if (device->ops->open(connection) < 0) {
		free(connection);
		owe_reset(device, packet);
		return;
	}
	connection->owes_response = true;
	device->connections[connection->guest_port] = connection;
	list_append(&device->order, &connection->node);
	device->connection_count++;
}

static void take_payload(struct vsock_connection *connection, const struct vsock_packet *packet,
	const uint8_t *bytes)
{
	connection->received += packet->size;
	if (connection->received - connection->told >= VSOCK_ROOM / 4)
		connection->owes_credit = true;
	/* What a process says that is about to end is not heard. */
	if (connection->process && !connection->is_ending
		&& connection->device->ops->take(connection, bytes, packet->size) < 0)
		reset_connection(connection);
}

static void take_packet_of(struct vsock_connection *connection, const struct vsock_packet *packet,
	const uint8_t *bytes)
{
	connection->peer_room = packet->room;
	connection->peer_taken = packet->taken;
	switch (packet->operation) {
	case VSOCK_BYTES:
		take_payload(connection, packet, bytes);
		break;
	case VSOCK_CREDIT_REQUEST:
		connection->owes_credit = true;
		break;
	case VSOCK_CREDIT_UPDATE:
		break;
	case VSOCK_SHUTDOWN:
		/* Who only receives would have nothing to say: all of it ends. */
		if (packet->flags & VSOCK_NO_SEND)
			reset_connection(connection);
		break;
	case VSOCK_RESET:
		destroy_connection(connection);
		break;
	default:
		reset_connection(connection);
	}
}

static void take_packet(
	struct vsock_device *device, const struct vsock_packet *packet, const uint8_t *bytes)
{
	struct vsock_connection *connection;

	device->counts.received++;
	/* Nobody else's name is heard. */
	if (packet->source_cid != device->cid || packet->target_cid != VSOCK_CID_HOST) {
		device->counts.dropped++;
		return;
	}
	connection = packet->type == VSOCK_TYPE_STREAM && packet->target_port == GUEST_PORT
		? find_connection(device, packet->source_port)
		: NULL;
	/* One that owes a reset is not there for the guest any more. */
	if (connection && !connection->owes_reset) {
		take_packet_of(connection, packet, bytes);
	} else if (!connection && packet->operation == VSOCK_REQUEST
		&& packet->type == VSOCK_TYPE_STREAM && packet->target_port == GUEST_PORT
		&& packet->source_port > 0 && packet->source_port <= GUEST_PORT_MAX) {
		accept_connection(device, packet);
	} else {
		device->counts.dropped++;
		owe_reset(device, packet);
	}
}

/* 1: one was taken, 0: there is none, or no room for what has to be answered. */
static int take_next(struct vsock_device *device)
{
	struct virtqueue *queue = &device->queues[VSOCK_TX];
	struct vsock_packet packet;
	struct chain chain;
	int status;

	if (device->reset_count == VSOCK_RESETS_MAX)
		return 0;
	status = virtqueue_next(queue, &device->memory, &chain);
	if (status <= 0)
		return status;
	if (!chain_read(&chain, 0, device->packet, VSOCK_HEAD_SIZE))
		return -EPROTO;
	vsock_packet_read(device->packet, &packet);
	if (packet.size > VSOCK_PAYLOAD_MAX
		|| !chain_read(
			&chain, VSOCK_HEAD_SIZE, device->packet + VSOCK_HEAD_SIZE, packet.size))
		return -EPROTO;
	virtqueue_finish(queue, &chain, 0);
	take_packet(device, &packet, device->packet + VSOCK_HEAD_SIZE);
	return 1;
}

/* --- To the guest --- */

/* What it may still be sent; a guest that takes back room has none. */
static uint32_t credit_of(const struct vsock_connection *connection)
{
	uint32_t under_way = connection->sent - connection->peer_taken;

	return under_way < connection->peer_room ? connection->peer_room - under_way : 0;
}

static struct vsock_packet packet_for(struct vsock_connection *connection, uint16_t operation)
{
	connection->told = connection->received;
	connection->owes_credit = false;
	return (struct vsock_packet){.source_port = GUEST_PORT,
		.target_port = connection->guest_port,
		.type = VSOCK_TYPE_STREAM,
		.operation = operation,
		.room = VSOCK_ROOM,
		.taken = connection->received};
}

static bool give_packet(struct vsock_device *device, const struct chain *chain,
	struct vsock_packet *packet, const uint8_t *bytes)
{
	uint8_t head[VSOCK_HEAD_SIZE];

	packet->source_cid = VSOCK_CID_HOST;
	packet->target_cid = device->cid;
	vsock_packet_write(head, packet);
	if (!chain_write(chain, 0, head, sizeof(head))
		|| !chain_write(chain, sizeof(head), bytes, packet->size))
		return false;
	virtqueue_finish(&device->queues[VSOCK_RX], chain, (uint32_t)sizeof(head) + packet->size);
	device->counts.sent++;
	device->counts.resets += packet->operation == VSOCK_RESET;
	return true;
}

/* The bytes that fit into the chain and the guest's room. 0 when there are none. */
static uint32_t payload_of(struct vsock_connection *connection, const struct chain *chain)
{
	uint32_t size = credit_of(connection);
	size_t waiting;

	if (!connection->stream)
		return 0;
	if (connection->device->ops->fill(connection) < 0) {
		reset_connection(connection);
		return 0;
	}
	waiting = ring_stream_waiting(connection->stream);
	if (chain->write_size <= VSOCK_HEAD_SIZE)
		return 0;
	if (size > chain->write_size - VSOCK_HEAD_SIZE)
		size = chain->write_size - VSOCK_HEAD_SIZE;
	if (size > VSOCK_PAYLOAD_MAX)
		size = VSOCK_PAYLOAD_MAX;
	return waiting < size ? (uint32_t)waiting : size;
}

/* Ends what has nothing left to say. */
static bool must_shut_down(const struct vsock_connection *connection)
{
	return connection->is_ending && !connection->has_ended
		&& (!connection->stream || ring_stream_waiting(connection->stream) == 0);
}

/* What this connection owes the guest, if anything. operation 0: nothing. */
static struct vsock_packet next_packet(
	struct vsock_connection *connection, const struct chain *chain)
{
	struct vsock_packet packet;
	uint32_t size;

	if (connection->owes_reset)
		return packet_for(connection, VSOCK_RESET);
	if (connection->owes_response) {
		connection->owes_response = false;
		return packet_for(connection, VSOCK_RESPONSE);
	}
	size = payload_of(connection, chain);
	if (connection->owes_reset)
		return packet_for(connection, VSOCK_RESET);
	if (size > 0) {
		packet = packet_for(connection, VSOCK_BYTES);
		packet.size = size;
		return packet;
	}
	if (must_shut_down(connection)) {
		connection->has_ended = true;
		let_go(connection);
		packet = packet_for(connection, VSOCK_SHUTDOWN);
		packet.flags = VSOCK_NO_RECEIVE | VSOCK_NO_SEND;
		return packet;
	}
	return connection->owes_credit ? packet_for(connection, VSOCK_CREDIT_UPDATE)
				       : (struct vsock_packet){0};
}

/* 1: this connection had something for the chain. */
static int give_of(struct vsock_connection *connection, const struct chain *chain)
{
	struct vsock_packet packet = next_packet(connection, chain);
	struct vsock_device *device = connection->device;
	const uint8_t *bytes = packet.size > 0 ? ring_stream_next(connection->stream) : NULL;

	if (packet.operation == 0)
		return 0;
	if (!give_packet(device, chain, &packet, bytes))
		return -EPROTO;
	if (packet.size > 0) {
		connection->sent += packet.size;
		ring_stream_sent(connection->stream, packet.size);
	}
	if (packet.operation == VSOCK_RESET) {
		destroy_connection(connection);
		return 1;
	}
	/* To the end, so that all have their turn. */
	list_remove(&connection->node);
	list_append(&device->order, &connection->node);
	return 1;
}

/* 1: one was given, 0: there is nothing to say, or no buffer for it. */
static int give_next(struct vsock_device *device)
{
	struct chain chain;
	int status = virtqueue_next(&device->queues[VSOCK_RX], &device->memory, &chain);

	if (status <= 0)
		return status;
	if (device->reset_count > 0) {
		device->reset_count--;
		return give_packet(device, &chain, &device->resets[device->reset_count], NULL)
			? 1
			: -EPROTO;
	}
	list_foreach_safe (node, &device->order) {
		status = give_of(list_entry(node, struct vsock_connection, node), &chain);
		if (status != 0)
			return status;
	}
	return 0;
}

/* Runs one direction; whether it stopped only because others want their turn. */
static int run_queue(struct vsock_device *device, int (*next)(struct vsock_device *device),
	const struct virtqueue *queue, bool *must_notify)
{
	int status = 1, count;

	for (count = 0; count < VSOCK_BATCH && status > 0; count++)
		status = next(device);
	/* The last look may have found nothing. */
	*must_notify = (count > 1 || status > 0) && virtqueue_must_notify(queue);
	return status;
}

enum vsock_result vsock_device_run(struct vsock_device *device, bool must_notify[VSOCK_QUEUES])
{
	int taken, given;

	must_notify[VSOCK_RX] = must_notify[VSOCK_TX] = false;
	if (!vsock_device_is_running(device))
		return VSOCK_IDLE;
	taken = run_queue(device, take_next, &device->queues[VSOCK_TX], &must_notify[VSOCK_TX]);
	given = run_queue(device, give_next, &device->queues[VSOCK_RX], &must_notify[VSOCK_RX]);
	if (taken < 0 || given < 0) {
		vsock_device_stop(device);
		return VSOCK_BROKEN;
	}
	return taken > 0 || given > 0 ? VSOCK_AGAIN : VSOCK_IDLE;
}
