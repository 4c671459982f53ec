/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP fragments, of one worker (I6): held until their datagram is complete, inspected as a whole,
 * and then released unchanged, or dropped, all of them (G13). Overlaps are never taken: receivers
 * differ in what they make of them (RFC 5722; Linux drops them for IPv4 too). The fragments lie in
 * the worker's hold table. A datagram that is not whole in time goes nowhere, whatever on-failure
 * says: that its sender left something out is no failure of ours. Who sends many that do not become
 * whole has a part of the room only.
 */
#pragma once

#include "packet/inspect/hold_table.h"
#include "wire/decode.h"

#define FRAGMENTS_MAX        128           /* of one datagram: 64 KiB in pieces of 512 bytes */
#define FRAGMENT_BUFFER_SIZE (65536 + 512) /* a whole datagram with its headers */

struct fragment_table;

enum fragment_outcome {
	FRAGMENT_HELD,     /* the packet is in the hold table */
	FRAGMENT_COMPLETE, /* out->packets: all of them, this one too */
	FRAGMENT_REFUSED,  /* overlaps, repeats, contradicts, or too many; out->packets: what was
			      held */
	FRAGMENT_FULL,     /* no room; out->packets: likewise */
};

/* The packets are the caller's, in order of offset. The one that was added stays the caller's with
 * FRAGMENT_REFUSED and FRAGMENT_FULL and is then not among them. */
struct fragment_datagram {
	uint16_t count;
	struct rte_mbuf *packets[FRAGMENTS_MAX];
	uint8_t *frame; /* the table's own; valid until the next add */
	uint32_t frame_size;
};

struct fragment_table *fragment_table_create(uint32_t capacity);
void fragment_table_destroy(struct fragment_table *table);

struct fragment_input {
	struct rte_mbuf *packet;
	const struct decoded *decoded; /* of the whole, contiguous frame */
	uint16_t vlan;
	uint16_t owner; /* in the hold table */
	uint64_t now_ns, deadline_ns;
};

enum fragment_outcome fragment_add(struct fragment_table *table, struct hold_table *holds,
	const struct fragment_input *input, struct fragment_datagram *out);

/* One datagram whose time is over; out->packets: what was held of it. Whether there was one. */
bool fragment_expire(struct fragment_table *table, struct hold_table *holds, uint16_t owner,
	uint64_t now_ns, struct fragment_datagram *out);
