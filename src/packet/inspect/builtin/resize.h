/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replacements that make a UDP datagram shorter or longer (I3): its payload, lengths and checksums
 * are made anew, in a packet of its own. (In TCP a replacement has as many bytes as what it
 * replaces.) Worker.
 */
#pragma once

#include "packet/inspect/builtin/job.h"

/* Whether one of the result's replacements has another size than what it replaces. */
bool resize_is_needed(const struct detect_result *result);

/* Carries the replacements out; *job->packet is another one afterwards, with right checksums.
 * false: they overlap, the datagram would be larger than IP can carry, or no buffer is free. */
bool resize_datagram(struct job *job);
