/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for the tests of this folder, and checksums worked out in a plain way of their own. */
#pragma once

#include "packet/engine/metadata.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define FRAME_MAX 65600

struct frame {
	uint32_t size, l3, l4, payload; /* offsets */
	uint8_t bytes[FRAME_MAX];
};

struct frame_spec {
	int tags; /* 0x88a8 ones */
	int ip_version;
	uint8_t protocol;
	uint32_t ip_options; /* bytes; with IPv6 a destination options header of that size */
	uint32_t tcp_options;
	uint32_t payload;
	uint8_t tcp_flags;
};

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline uint32_t get16(const uint8_t *at)
{
	return (uint32_t)at[0] << 8 | at[1];
}

static inline uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

/* The sum of RFC 1071, one 16-bit word at a time. */
static inline uint32_t plain_sum(const uint8_t *bytes, uint32_t size, uint32_t sum)
{
	for (uint32_t i = 0; i < size; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint32_t plain_pseudo_sum(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + frame->l3;
	uint32_t size;
	uint8_t protocol;
	uint32_t sum;

	if (ip[0] >> 4 == 4) {
		size = get16(ip + 2) - (ip[0] & 15) * 4U;
		protocol = ip[9];
		sum = plain_sum(ip + 12, 8, 0);
	} else {
		size = get16(ip + 4) + 40 - (frame->l4 - frame->l3);
		protocol = frame->l4 - frame->l3 > 40 ? ip[40] : ip[6];
		sum = plain_sum(ip + 8, 32, 0);
	}
	sum += size + protocol;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Whether the layer-4 checksum of a frame is right: all of it sums up to ones. */
static inline bool plain_is_right(const struct frame *frame)
{
	const uint8_t *ip = frame->bytes + frame->l3;
	uint32_t end = frame->l3 + (ip[0] >> 4 == 4 ? get16(ip + 2) : get16(ip + 4) + 40);

	if (ip[0] >> 4 == 4 && plain_sum(ip, frame->l4 - frame->l3, 0) != 0xffff)
		return false;
	return plain_sum(frame->bytes + frame->l4, end - frame->l4, plain_pseudo_sum(frame))
		== 0xffff;
}

static inline void frame_make(struct frame *frame, const struct frame_spec *spec)
{
	uint8_t *ip, *l4;
	uint32_t l4_header = spec->protocol == IPPROTO_TCP ? 20 + spec->tcp_options : 8;

	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, "\x52\x54\x00\x00\x00\x02\x52\x54\x00\x00\x00\x01", 12);
	frame->l3 = 14;
	for (int i = 0; i < spec->tags; i++, frame->l3 += 4) {
		put16(frame->bytes + frame->l3 - 2, 0x88a8);
		put16(frame->bytes + frame->l3, 100U + (uint32_t)i);
	}
	ip = frame->bytes + frame->l3;
	put16(ip - 2, spec->ip_version == 4 ? 0x0800 : 0x86dd);
	frame->l4 = frame->l3 + (spec->ip_version == 4 ? 20 : 40) + spec->ip_options;
	frame->payload = frame->l4 + l4_header;
	frame->size = frame->payload + spec->payload;
	if (spec->ip_version == 4) {
		ip[0] = (uint8_t)(0x45 + spec->ip_options / 4);
		put16(ip + 2, frame->size - frame->l3);
		put16(ip + 4, 0xfffe); /* so that the identification wraps */
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = spec->protocol;
		memcpy(ip + 12, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8);
		memset(ip + 20, 1, spec->ip_options);
		put16(ip + 10, ~plain_sum(ip, frame->l4 - frame->l3, 0));
	} else {
		ip[0] = 0x60;
		put16(ip + 4, frame->size - frame->l3 - 40);
		ip[6] = spec->ip_options ? IPPROTO_DSTOPTS : spec->protocol;
		ip[7] = 64;
		memcpy(ip + 8, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
		memcpy(ip + 24, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2", 16);
		if (spec->ip_options) {
			ip[40] = spec->protocol;
			ip[41] = (uint8_t)(spec->ip_options / 8 - 1);
		}
	}
	l4 = frame->bytes + frame->l4;
	put16(l4, 4000);
	put16(l4 + 2, 80);
	if (spec->protocol == IPPROTO_TCP) {
		put16(l4 + 4, 0xffff);
		put16(l4 + 6, 0xff00); /* so that the sequence number wraps */
		l4[12] = (uint8_t)(l4_header / 4 << 4);
		l4[13] = spec->tcp_flags;
		memset(l4 + 20, 1, spec->tcp_options);
	} else if (spec->protocol == IPPROTO_UDP) {
		put16(l4 + 4, frame->size - frame->l4);
	}
	for (uint32_t i = 0; i < spec->payload; i++)
		frame->bytes[frame->payload + i] = (uint8_t)(i * 7 + i / 251);
}

/* The partial checksum as a sender leaves it: the sum over the pseudo header. */
static inline void frame_leave_checksum(struct frame *frame)
{
	bool is_tcp = frame->payload - frame->l4 >= 20;

	put16(frame->bytes + frame->l4 + (is_tcp ? 16 : 6), plain_pseudo_sum(frame));
}

/* As a chain whose segments have at most segment bytes (0: as they fit). */
static inline struct rte_mbuf *frame_to_mbuf(
	const struct frame *frame, struct rte_mempool *pool, uint32_t segment)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(pool), *last = head;

	*packet_metadata(head) = (struct packet_metadata){.vlan = 10};
	for (uint32_t at = 0; at < frame->size;) {
		uint32_t part = RTE_MIN(frame->size - at, (uint32_t)rte_pktmbuf_tailroom(last));

		if (segment && part > segment - last->data_len)
			part = segment - last->data_len;
		if (part == 0) {
			last->next = rte_pktmbuf_alloc(pool);
			last = last->next;
			head->nb_segs++;
			continue;
		}
		memcpy(rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len), frame->bytes + at,
			part);
		last->data_len += (uint16_t)part;
		head->pkt_len += part;
		at += part;
	}
	rte_mbuf_sanity_check(head, 1);
	return head;
}

static inline void frame_from_mbuf(struct frame *frame, const struct rte_mbuf *packet)
{
	const void *bytes;

	rte_mbuf_sanity_check(packet, 1);
	assert(packet->pkt_len <= FRAME_MAX);
	bytes = rte_pktmbuf_read(packet, 0, packet->pkt_len, frame->bytes);
	assert(bytes);
	if (bytes != frame->bytes)
		memcpy(frame->bytes, bytes, packet->pkt_len);
	frame->size = packet->pkt_len;
}

/* EAL on ordinary memory, and a pool. */
static inline struct rte_mempool *frames_start(const char *name)
{
	char prefix[64];
	char *arguments[] = {(char *)(uintptr_t)name, (char *)(uintptr_t) "--no-huge",
		(char *)(uintptr_t) "-m", (char *)(uintptr_t) "96", (char *)(uintptr_t) "--no-pci",
		(char *)(uintptr_t) "--no-telemetry", (char *)(uintptr_t) "--no-shconf",
		(char *)(uintptr_t) "--iova-mode=va", (char *)(uintptr_t) "--log-level=3", prefix,
		NULL};

	snprintf(prefix, sizeof(prefix), "--file-prefix=%s-%d", name, (int)getpid());
	if (rte_eal_init(10, arguments) < 0 || packet_metadata_register() < 0)
		return NULL;
	(void)rmdir(rte_eal_get_runtime_dir()); /* empty, and EAL leaves it */
	return rte_pktmbuf_pool_create(
		"frames", 4096, 64, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
}
