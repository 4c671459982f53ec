/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of a virtio-vsock packet (virtio 1.2, 5.10.6), little-endian. Pure; any thread. */
#pragma once

#include <stdint.h>

#define VSOCK_HEAD_SIZE   44
#define VSOCK_CID_HOST    2
#define VSOCK_TYPE_STREAM 1

enum vsock_operation {
	VSOCK_REQUEST = 1,
	VSOCK_RESPONSE,
	VSOCK_RESET,
	VSOCK_SHUTDOWN,
	VSOCK_BYTES,
	VSOCK_CREDIT_UPDATE,
	VSOCK_CREDIT_REQUEST,
};

/* Flags of a SHUTDOWN. */
#define VSOCK_NO_RECEIVE 1
#define VSOCK_NO_SEND    2

struct vsock_packet {
	uint64_t source_cid, target_cid;
	uint32_t source_port, target_port;
	uint32_t size; /* of what follows */
	uint16_t type, operation;
	uint32_t flags;
	uint32_t room, taken; /* buf_alloc and fwd_cnt of who sends it */
};

void vsock_packet_read(const uint8_t bytes[VSOCK_HEAD_SIZE], struct vsock_packet *out);
void vsock_packet_write(uint8_t out[VSOCK_HEAD_SIZE], const struct vsock_packet *packet);
