/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine has seen, in Suricata's words: EVE's `stats` (I9). */
#pragma once

#include "packet/inspect/builtin/builtin.h"

/* Worker. */
void statistics_count_packet(struct builtin_statistics *statistics, const struct decoded *decoded);
/* The first packet of a flow. Worker. */
void statistics_count_flow(struct builtin_statistics *statistics, const struct decoded *decoded);

/* The event, new reference. Control thread. */
json_t *statistics_event(const struct builtin *builtin);
