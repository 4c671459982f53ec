/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control messages of memif 2.0, as DPDK's net_memif, VPP and libmemif send them: 128 bytes each in
 * a packet of a Unix socket, fields packed, in the host's byte order. There is no standard; layout
 * and meaning are those of memif.h in VPP (src/plugins/memif) and DPDK (drivers/net/memif). Pure;
 * any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MEMIF_MESSAGE_SIZE   128
#define MEMIF_VERSION        0x0200
#define MEMIF_NAME_SIZE      33 /* 32 on the wire, which need not end with a zero */
#define MEMIF_TEXT_SIZE      97
#define MEMIF_MODE_ETHERNET  0
#define MEMIF_RING_TO_SERVER 1 /* in add_ring.flags: from the client to the server */

enum memif_message_type {
	MEMIF_ACK = 1,
	MEMIF_HELLO,      /* server: what it takes */
	MEMIF_INIT,       /* client: which interface it wants */
	MEMIF_ADD_REGION, /* client, with a descriptor: shared memory */
	MEMIF_ADD_RING,   /* client, with a descriptor: a ring in it, and its eventfd */
	MEMIF_CONNECT,    /* client: that was all */
	MEMIF_CONNECTED,  /* server: packets may flow */
	MEMIF_DISCONNECT, /* either, before it closes */
};

struct memif_message {
	enum memif_message_type type;
	union {
		struct {
			char name[MEMIF_NAME_SIZE];
			uint16_t version_min, version_max;
			/* The largest indices that are taken. */
			uint16_t region_max, to_client_max, to_server_max;
			uint8_t ring_log2_max;
		} hello;
		struct {
			uint16_t version;
			uint32_t id;
			uint8_t mode;
			char name[MEMIF_NAME_SIZE];
		} init;
		struct {
			uint16_t index;
			uint64_t size;
		} add_region;
		struct {
			uint16_t flags, index, region;
			uint32_t offset; /* into the region */
			uint8_t log2_size;
			uint16_t private_size;
		} add_ring;
		char interface[MEMIF_NAME_SIZE]; /* MEMIF_CONNECT, MEMIF_CONNECTED */
		struct {
			uint32_t code;
			char text[MEMIF_TEXT_SIZE];
		} disconnect;
	};
};

/* -EBADMSG: another size, or a type that there is not. */
int memif_message_decode(const uint8_t *bytes, size_t size, struct memif_message *out);
void memif_message_encode(const struct memif_message *message, uint8_t out[MEMIF_MESSAGE_SIZE]);
