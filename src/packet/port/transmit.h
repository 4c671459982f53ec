/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to one packet before it is queued on its egress port. Worker thread. */
#pragma once

#include "packet/engine/drop.h"
#include "packet/port/port.h"

/*
 * Inserts the tag, checks the size, pads, and finishes or prepares checksums for the port; a
 * super-frame that the port does not take is left to offload_segment(). *packet may be replaced.
 * Returns DROP_none or why the packet cannot leave (it stays the caller's).
 */
enum drop_reason transmit_prepare(
	const struct port *port, struct rte_mbuf **packet, struct rte_mempool *pool);

bool transmit_takes_super_frame(const struct port *port, const struct rte_mbuf *packet);
