/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/vsock/vsock_packet.h"

static uint64_t load(const uint8_t *at, int size)
{
	uint64_t value = 0;

	for (int i = size; i-- > 0;)
		value = value << 8 | at[i];
	return value;
}

static uint8_t *store(uint8_t *at, uint64_t value, int size)
{
	for (int i = 0; i < size; i++)
		*at++ = (uint8_t)(value >> 8 * i);
	return at;
}

void vsock_packet_read(const uint8_t bytes[VSOCK_HEAD_SIZE], struct vsock_packet *out)
{
	*out = (struct vsock_packet){.source_cid = load(bytes, 8),
		.target_cid = load(bytes + 8, 8),
		.source_port = (uint32_t)load(bytes + 16, 4),
		.target_port = (uint32_t)load(bytes + 20, 4),
		.size = (uint32_t)load(bytes + 24, 4),
		.type = (uint16_t)load(bytes + 28, 2),
		.operation = (uint16_t)load(bytes + 30, 2),
		.flags = (uint32_t)load(bytes + 32, 4),
		.room = (uint32_t)load(bytes + 36, 4),
		.taken = (uint32_t)load(bytes + 40, 4)};
}

void vsock_packet_write(uint8_t out[VSOCK_HEAD_SIZE], const struct vsock_packet *packet)
{
	out = store(out, packet->source_cid, 8);
	out = store(out, packet->target_cid, 8);
	out = store(out, packet->source_port, 4);
	out = store(out, packet->target_port, 4);
	out = store(out, packet->size, 4);
	out = store(out, packet->type, 2);
	out = store(out, packet->operation, 2);
	out = store(out, packet->flags, 4);
	out = store(out, packet->room, 4);
	store(out, packet->taken, 4);
}
