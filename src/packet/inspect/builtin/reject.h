/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `reject` sends (I3): RST segments for TCP, ICMP "administratively prohibited" otherwise, to
 * the sender out of the port that the packet came from, and to the addressee along with the origin
 * tag of the packet. Worker.
 */
#pragma once

#include "packet/inspect/builtin/answer.h"

/* packet is the rejected one, as decoded (whole). Counts nothing and fails silently where no answer
 * is allowed (RFC 1122 section 3.2.2, RFC 4443 section 2.4) or no buffer is free. */
void reject_packet(uint16_t worker, struct rte_mbuf *packet, const struct decoded *decoded,
	unsigned int targets);

/* The answers as frames, for the tests too. Return their size, 0: none is allowed. out has
 * REJECT_FRAME_SIZE bytes. */
#define REJECT_FRAME_SIZE 640
uint32_t reject_build_rst(const struct decoded *decoded, enum answer_target target, uint8_t *out);
uint32_t reject_build_icmp(const struct decoded *decoded, uint8_t *out);
