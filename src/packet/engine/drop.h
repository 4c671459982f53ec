/* SPDX-License-Identifier: BSD-3-Clause */
/* Drop reasons, generated from drop_reasons.def. A worker counts, the control thread sums up. */
#pragma once

#include "packet/engine/metadata.h"

#include <stdint.h>

enum drop_reason {
#define DROP(name, owner, text) DROP_##name,
#include "packet/engine/drop_reasons.def"
#undef DROP
	DROP_REASON_COUNT,
};

struct drop_description {
	const char *name;  /* "guard_mac" */
	const char *owner; /* the folder: "gateway" */
	const char *text;
};
extern const struct drop_description drop_descriptions[DROP_REASON_COUNT];

/* Notes the reason; the caller then enqueues the packet to its drop edge. */
static inline void drop_mark(struct rte_mbuf *packet, enum drop_reason reason)
{
	packet_metadata(packet)->drop_reason = (uint8_t)reason;
}
