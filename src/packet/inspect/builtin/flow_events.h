/* SPDX-License-Identifier: BSD-3-Clause */
/* What is told of a flow when it ends: EVE's `flow` (I9), and a statistic. */
#pragma once

#include "packet/inspect/builtin/builtin.h"
#include "packet/inspect/eve.h"

/* A packet of the flow, which is at its beginning or not. Worker. */
void flow_events_note(struct flow *flow, enum flow_side side, const struct decoded *decoded,
	const struct packet_metadata *metadata);

/* A flow_end_fn; context is the worker's struct builtin_worker. Worker. */
void flow_events_end(void *context, struct flow *flow, enum flow_end reason);

/* The record of a flow that ends for reason ("timeout"); it holds nothing. Any thread. */
void flow_events_fill(struct eve_record *record, const struct flow *flow, const char *reason);
