/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest's driver that writes into its queues and buffers whatever it likes (C9): the device stays
 * in the guest's memory, comes to an end, and lets go of every connection that it had taken.
 */
#include "tests/unit/channel/vsock_driver.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ring_stream stream;
static int open_count;

static int on_open(struct vsock_connection *connection)
{
	connection->process = &stream;
	connection->stream = &stream;
	open_count++;
	return 0;
}

static void on_close(struct vsock_connection *connection)
{
	open_count--;
}

static int on_take(struct vsock_connection *connection, const uint8_t *bytes, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum ^= bytes[i];
	return sum == 1 ? -EPROTO : 0;
}

static int on_fill(struct vsock_connection *connection)
{
	stream.tx_start = 0;
	stream.tx_end = 5000;
	return 0;
}

struct input {
	const uint8_t *data;
	size_t size;
};

static uint32_t take(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* A packet of few ports, mostly well made. */
static void send_packet(struct driver *driver, struct input *input)
{
	static const uint8_t payload[256];
	struct vsock_packet packet =
		driver_packet(driver, 1 + take(input) % 4, (uint16_t)(take(input) % 9));

	packet.size = take(input);
	packet.room = take(input) << take(input) % 32;
	packet.taken = take(input) << take(input) % 32;
	packet.flags = take(input) % 4;
	driver_send(driver, &packet, payload);
}

/* Anything, anywhere in the queues. */
static void scribble(struct driver *driver, struct input *input)
{
	static const uint32_t places[] = {0, 8, 12, 14, 0x4000, 0x4002, 0x4004, 0x8002};
	uint32_t queue = take(input) % VSOCK_QUEUES;
	uint8_t *at =
		driver_ring(driver, (int)queue) + places[take(input) % 8] + 16 * (take(input) % 4);
	uint32_t value = take(input) | take(input) << 8;

	memcpy(at, &value, 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vsock_ops ops = {on_open, on_close, on_take, on_fill};
	static struct driver driver;
	struct input input = {data, size};

	driver_open(&driver, 3, &ops, NULL);
	while (input.size > 0) {
		uint32_t choice = take(&input) % 8;

		if (choice < 3)
			send_packet(&driver, &input);
		else if (choice < 6)
			driver_give_buffer(&driver);
		else if (choice == 6)
			scribble(&driver, &input);
		else if (driver_run(&driver) == VSOCK_BROKEN)
			break;
	}
	for (int i = 0; i < 2000 && driver_run(&driver) == VSOCK_AGAIN; i++)
		;
	if (open_count > GUEST_PORT_MAX)
		abort();
	vsock_device_stop(&driver.device);
	if (open_count != 0 || driver.device.connection_count != 0)
		abort();
	return 0;
}
