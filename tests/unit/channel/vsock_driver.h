/* SPDX-License-Identifier: BSD-3-Clause */
/* A vsock driver as a guest has it, with a device whose queues are in its memory. */
#pragma once

#include "channel/vsock/vsock_device.h"

#include <assert.h>
#include <string.h>

#define DRIVER_MEMORY  (2 * 1024 * 1024)
#define DRIVER_QUEUE   64
#define DRIVER_BUFFER  8192
#define DRIVER_BUFFERS 0x40000 /* of tx, then of rx */

struct driver {
	struct vsock_device device;
	_Alignas(4096) uint8_t memory[DRIVER_MEMORY];
	uint16_t given[VSOCK_QUEUES], seen[VSOCK_QUEUES];
};

struct driver_descriptor {
	uint64_t address;
	uint32_t size;
	uint16_t flags, next;
};

static inline uint8_t *driver_ring(struct driver *driver, int queue)
{
	return driver->memory + queue * 0x10000;
}

static inline struct driver_descriptor *driver_descriptor(
	struct driver *driver, int queue, uint32_t number)
{
	return (struct driver_descriptor *)(void *)driver_ring(driver, queue) + number;
}

static inline uint16_t *driver_available(struct driver *driver, int queue)
{
	return (uint16_t *)(void *)(driver_ring(driver, queue) + 0x4000);
}

static inline uint8_t *driver_used(struct driver *driver, int queue)
{
	return driver_ring(driver, queue) + 0x8000;
}

static inline uint64_t driver_buffer(int queue, uint32_t number)
{
	return DRIVER_BUFFERS + (uint64_t)(queue * DRIVER_QUEUE + (int)number) * DRIVER_BUFFER;
}

static inline void driver_open(
	struct driver *driver, uint64_t cid, const struct vsock_ops *ops, void *context)
{
	memset(driver, 0, sizeof(*driver));
	vsock_device_open(&driver->device, cid, ops, context);
	driver->device.memory.count = 1;
	driver->device.memory.regions[0] =
		(struct guest_region){.size = DRIVER_MEMORY, .base = driver->memory};
	for (int i = 0; i < VSOCK_QUEUES; i++) {
		struct virtqueue *queue = &driver->device.queues[i];

		queue->size = DRIVER_QUEUE;
		queue->descriptors = driver_ring(driver, i);
		queue->available = (const uint8_t *)driver_available(driver, i);
		queue->used = driver_used(driver, i);
		virtqueue_start(queue, 0);
	}
}

/* The chain that begins at this descriptor is the device's. */
static inline void driver_give(struct driver *driver, int queue, uint16_t head)
{
	uint16_t *available = driver_available(driver, queue);

	available[2 + driver->given[queue] % DRIVER_QUEUE] = head;
	available[1] = ++driver->given[queue];
}

/* A buffer for a packet to the guest, in two parts, as Linux has them. */
static inline void driver_give_buffer(struct driver *driver)
{
	uint16_t head = (uint16_t)(2 * driver->given[VSOCK_RX] % DRIVER_QUEUE);

	*driver_descriptor(driver, VSOCK_RX, head) = (struct driver_descriptor){
		driver_buffer(VSOCK_RX, head), VSOCK_HEAD_SIZE, 1 | 2, (uint16_t)(head + 1)};
	*driver_descriptor(driver, VSOCK_RX, head + 1u) =
		(struct driver_descriptor){driver_buffer(VSOCK_RX, head + 1u), 4096, 2, 0};
	driver_give(driver, VSOCK_RX, head);
}

static inline struct vsock_packet driver_packet(
	const struct driver *driver, uint32_t port, uint16_t operation)
{
	return (struct vsock_packet){.source_cid = driver->device.cid,
		.target_cid = VSOCK_CID_HOST,
		.source_port = port,
		.target_port = GUEST_PORT,
		.type = VSOCK_TYPE_STREAM,
		.operation = operation,
		.room = 65536};
}

static inline void driver_send(
	struct driver *driver, const struct vsock_packet *packet, const void *bytes)
{
	uint16_t head = (uint16_t)(driver->given[VSOCK_TX] % DRIVER_QUEUE);
	uint64_t at = driver_buffer(VSOCK_TX, head);

	vsock_packet_write(driver->memory + at, packet);
	if (bytes)
		memcpy(driver->memory + at + VSOCK_HEAD_SIZE, bytes, packet->size);
	*driver_descriptor(driver, VSOCK_TX, head) =
		(struct driver_descriptor){at, VSOCK_HEAD_SIZE + packet->size, 0, 0};
	driver_give(driver, VSOCK_TX, head);
}

static inline enum vsock_result driver_run(struct driver *driver)
{
	bool must_notify[VSOCK_QUEUES];

	return vsock_device_run(&driver->device, must_notify);
}

/* The next packet that the device has given; *bytes is behind its head. false: there is none. */
static inline bool driver_receive(
	struct driver *driver, struct vsock_packet *out, const uint8_t **bytes)
{
	const uint8_t *used = driver_used(driver, VSOCK_RX);
	uint16_t index = *(const uint16_t *)(const void *)(used + 2);
	uint32_t head;

	if (index == driver->seen[VSOCK_RX])
		return false;
	memcpy(&head, used + 4 + 8 * (driver->seen[VSOCK_RX]++ % DRIVER_QUEUE), sizeof(head));
	vsock_packet_read(driver->memory + driver_buffer(VSOCK_RX, head), out);
	*bytes = driver->memory + driver_buffer(VSOCK_RX, head + 1);
	return true;
}
