/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replacements that make a UDP datagram shorter or longer (I3): its payload, lengths and checksums
 * are made anew, in a packet of its own. (For TCP see
 * translate.h.) Worker.
 */
#pragma once

#include "packet/inspect/builtin/job.h"

/* Whether one of the result's replacements has another size than what it replaces. */
bool resize_is_needed(const struct detect_result *result);

/* Carries the replacements out; *job->packet is another one afterwards, with right checksums.
 * false: they overlap, the datagram would be larger than IP can carry, or no buffer is free. */
bool resize_datagram(struct job *job);

/* By where they begin. */
void resize_sort(struct detect_replacement *edits, uint16_t count);
/* A packet with these bytes, and the metadata of old. NULL: no buffer is free. */
struct rte_mbuf *resize_make_packet(struct rte_mbuf *old, const uint8_t *frame, uint32_t size);
