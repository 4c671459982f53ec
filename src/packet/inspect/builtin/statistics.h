/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine has seen, in Suricata's words: EVE's `stats` (I9). */
#pragma once

#include "packet/inspect/builtin/builtin.h"

/* Worker. */
void statistics_count_packet(struct builtin_statistics *statistics, const struct decoded *decoded);
/* The first packet of a flow. Worker. */
void statistics_count_flow(struct builtin_statistics *statistics, const struct decoded *decoded);

/* The sum over workers of the counter at that offset in struct builtin_worker. Any thread. */
uint64_t statistics_sum(const struct builtin *builtin, size_t offset);
/* Frames whose headers do not parse: all, and for one reason. */
uint64_t statistics_malformed(const struct builtin *builtin);
uint64_t statistics_malformed_by(const struct builtin *builtin, enum decode_malformed reason);

/* The event, new reference. Control thread. */
json_t *statistics_event(const struct builtin *builtin);
