/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames that the inspector makes in answer to a packet: to its sender, out of the port that it
 * came from, or to its addressee, along with its origin tag. Worker.
 */
#pragma once

#include "packet/engine/metadata.h"
#include "wire/decode.h"

#include <rte_mbuf.h>

#define ANSWER_HEADERS_MAX 32 /* Ethernet with tags */
#define ANSWER_IPV6_HEADER 40

enum answer_target {
	ANSWER_TO_SOURCE = 1 << 0,
	ANSWER_TO_DESTINATION = 1 << 1,
};

/* Not to what was sent to a group, or by nobody (RFC 1122 section 3.2.2). */
bool answer_is_allowed(const struct decoded *decoded);

/* Ethernet and IP headers of an answer to decoded, to be finished by answer_finish(); returns where
 * the payload goes. */
uint32_t answer_put_headers(const struct decoded *decoded, bool is_reversed, uint8_t protocol,
	uint32_t payload_size, uint8_t *out);
/* Fills in the checksums. */
void answer_finish(uint8_t *frame, uint32_t size);

/* Sends frame in answer to packet; silently not where no buffer is free, or the port is gone.
 * Nothing with size 0. */
void answer_send(uint16_t worker, struct rte_mbuf *packet, const uint8_t *frame, uint32_t size,
	enum answer_target target);
/* The same for a packet that is gone, by its metadata. */
void answer_send_as(uint16_t worker, const struct packet_metadata *metadata, const uint8_t *frame,
	uint32_t size, enum answer_target target);
