/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to one packet before it is queued on its egress port. Worker thread. */
#pragma once

#include "packet/engine/drop.h"
#include "packet/engine/metadata.h"
#include "packet/port/offload.h"
#include "packet/port/port.h"

#include <rte_ether.h>

#define TRANSMIT_WIRE_SIZE_MIN 60 /* IEEE 802.3 clause 3.2.8: 64 octets with the FCS */

/*
 * Inserts the tag, checks the size, pads, and finishes or prepares checksums for the port; a
 * super-frame that the port does not take is left to offload_segment(). *packet may be replaced.
 * Returns DROP_none or why the packet cannot leave (it stays the caller's).
 */
enum drop_reason transmit_prepare(
	const struct port *port, struct rte_mbuf **packet, struct rte_mempool *pool);

/* The largest frame that surely fits the port, for transmit_is_plain(): read once a burst. */
static inline uint32_t transmit_plain_size_max(const struct port *port)
{
	return __atomic_load_n(&port->mtu_bytes, __ATOMIC_RELAXED) + RTE_ETHER_HDR_LEN;
}

/* Whether transmit_prepare() would find nothing to do: so it is for most packets. */
static inline bool transmit_is_plain(
	const struct port *port, const struct rte_mbuf *packet, uint32_t plain_size_max)
{
	return packet->pkt_len <= plain_size_max && !offload_is_needed(packet)
		&& !port_vlan_is_tagged(port, packet_metadata_const(packet)->vlan)
		&& !(port->is_wire && packet->pkt_len < TRANSMIT_WIRE_SIZE_MIN)
		&& !(port->is_linear && packet->nb_segs > 1);
}

bool transmit_takes_super_frame(const struct port *port, const struct rte_mbuf *packet);
