/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes the blocks of a pcapng file (draft-ietf-opsawg-pcapng) into memory: section header,
 * interface descriptions, enhanced packets with comment and direction, interface statistics. Pure.
 * Why not rte_pcapng: docs/decisions/0003.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Grows as needed up to a bound that its owner keeps. */
struct pcapng_buffer {
	uint8_t *data;
	size_t size, room;
	bool has_failed; /* memory was out: the file is no longer whole */
};

enum pcapng_direction { PCAPNG_UNKNOWN, PCAPNG_INBOUND, PCAPNG_OUTBOUND };

struct pcapng_packet {
	uint32_t interface;
	uint64_t wall_ns;
	uint32_t captured_size, original_size;
	enum pcapng_direction direction;
	const char *comment; /* NULL: none */
};

void pcapng_write_header(
	struct pcapng_buffer *buffer, const char *application, const char *comment);
/* Interfaces are numbered from 0 in the order of this call. */
void pcapng_write_interface(struct pcapng_buffer *buffer, const char *name, uint32_t snap_size);
/* Room for packet->captured_size bytes, which the caller fills in; NULL when memory was out. */
uint8_t *pcapng_write_packet(struct pcapng_buffer *buffer, const struct pcapng_packet *packet);
void pcapng_write_statistics(struct pcapng_buffer *buffer, uint32_t interface, uint64_t wall_ns,
	uint64_t received, uint64_t dropped);
