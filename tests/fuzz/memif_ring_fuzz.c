/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings of a memif while the other end writes whatever it likes into their memory, between any two
 * bursts: as the server (rings and buffers all the client's) and as the client. Nothing outside of
 * the region is touched, each packet is bounded, and no buffer is lost.
 */
#include "packet/engine/pool.h"
#include "packet/port/memif_ring.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"

#include "../unit/packet/port/frames.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RING_LOG2    4
#define BUFFERS_AT   1024
#define BUFFER_SIZE  256
#define REGION_SIZE  (BUFFERS_AT + 2 * (BUFFER_SIZE << RING_LOG2))
#define SEND_AT      512
#define FRAME_MAX_AS 65557

static struct memif_ring receiving, sending;

static uint16_t take16(const uint8_t **data, size_t *size)
{
	uint16_t value = 0;

	if (*size < 2) {
		*size = 0;
		return 0;
	}
	memcpy(&value, *data, 2);
	*data += 2;
	*size -= 2;
	return value;
}

/* The peer writes words somewhere, mostly where rings are. */
static void scribble(uint8_t *region, const uint8_t **data, size_t *size)
{
	uint16_t count = take16(data, size) % 64;
	uint16_t at = take16(data, size);

	at = (uint16_t)(at & 0x8000 ? at % (REGION_SIZE - 2) : at % (BUFFERS_AT - 2));
	for (; count > 0 && *size > 0 && at < REGION_SIZE - 2; count--, at += 2) {
		uint16_t value = take16(data, size);

		memcpy(region + at, &value, 2);
	}
}

static void receive_packets(uint16_t count)
{
	struct rte_mbuf *packets[PORT_BURST];
	uint16_t taken = memif_ring_receive(&receiving, packets, count % (PORT_BURST + 1));

	for (uint16_t i = 0; i < taken; i++) {
		rte_mbuf_sanity_check(packets[i], 1);
		if (packets[i]->pkt_len > FRAME_MAX_AS
			|| (packets[i]->ol_flags & OFFLOAD_IS_INVALID && packets[i]->pkt_len > 0))
			abort();
	}
	rte_pktmbuf_free_bulk(packets, taken);
}

static void send_packets(uint16_t choice)
{
	uint16_t count = choice % (PORT_BURST + 1), length = choice >> 4, refused = 0, sent;
	struct rte_mbuf *packets[PORT_BURST];

	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *rest;

		packets[i] = rte_pktmbuf_alloc(packet_pool);
		rte_pktmbuf_append(packets[i], length % 2000);
		if (!(choice & 1))
			continue;
		rest = rte_pktmbuf_alloc(packet_pool);
		rte_pktmbuf_append(rest, length % 1999);
		if (rte_pktmbuf_chain(packets[i], rest) < 0)
			abort();
	}
	sent = memif_ring_send(&sending, packets, count, &refused);
	if (sent > count || refused > sent)
		abort();
	rte_pktmbuf_free_bulk(packets + sent, count - sent);
}

static void begin(struct memif_memory *memory, bool is_client)
{
	uint8_t *base = memory->regions[0].base;
	uint8_t *buffers = base + BUFFERS_AT;

	memset(&receiving, 0, sizeof(receiving));
	memset(&sending, 0, sizeof(sending));
	sending.eventfd = -1;
	memif_ring_begin(&receiving, true, memory, (struct memif_shared *)(void *)base, RING_LOG2,
		is_client ? buffers : NULL, BUFFER_SIZE);
	memif_ring_begin(&sending, false, memory, (struct memif_shared *)(void *)(base + SEND_AT),
		RING_LOG2, is_client ? buffers + (BUFFER_SIZE << RING_LOG2) : NULL, BUFFER_SIZE);
	if (is_client)
		memif_ring_lend(&receiving);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memif_memory memory = {.region_count = 1};
	uint8_t *base;

	if (!packet_pool)
		packet_pool = frames_start("memif_ring_fuzz");
	/* From the heap, so that the sanitizer sees its ends. */
	base = aligned_alloc(128, REGION_SIZE);
	if (!packet_pool || !base)
		abort();
	memset(base, 0, REGION_SIZE);
	memory.regions[0] = (struct memif_region){.base = base, .size = REGION_SIZE};
	begin(&memory, take16(&data, &size) & 1);
	while (size > 0) {
		switch (take16(&data, &size) % 4) {
		case 0:
			receive_packets(take16(&data, &size));
			break;
		case 1:
			send_packets(take16(&data, &size));
			break;
		default:
			scribble(base, &data, &size);
		}
	}
	free(base);
	if (rte_mempool_in_use_count(packet_pool) != 0)
		abort();
	return 0;
}
