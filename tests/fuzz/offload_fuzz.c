/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Virtio-net headers and offload completion: 10 bytes of header, one that says how the frame lies
 * in memory and what the egress port takes, then the frame. What comes out must be whole.
 */
#include "packet/port/offload.h"
#include "packet/port/transmit.h"
#include "packet/port/virtio_header.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit/packet/port/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rte_mempool *pool;
static struct port port;
static struct frame frame;
static struct rte_mbuf *out[OFFLOAD_SEGMENTS_MAX];

static void transmit(struct rte_mbuf *packet)
{
	int count = 0;

	if (transmit_prepare(&port, &packet, pool) == DROP_none) {
		struct virtio_net_hdr header;

		rte_mbuf_sanity_check(packet, 1);
		virtio_header_encode(packet, &header);
		if (offload_is_super_frame(packet) && !transmit_takes_super_frame(&port, packet))
			count = offload_segment(packet, pool, out, OFFLOAD_SEGMENTS_MAX);
	}
	for (int i = 0; i < count; i++)
		rte_mbuf_sanity_check(out[i], 1);
	if (count > 0)
		rte_pktmbuf_free_bulk(out, (unsigned int)count);
	rte_pktmbuf_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t segments[] = {0, 300, 61, 14};
	struct virtio_net_hdr header;
	struct rte_mbuf *packet, *clone;
	uint8_t control;

	if (!pool) {
		pool = frames_start("offload_fuzz");
		if (!pool)
			abort();
	}
	if (size < sizeof(header) + 1 || size - sizeof(header) - 1 > FRAME_MAX)
		return 0;
	memcpy(&header, data, sizeof(header));
	control = data[sizeof(header)];
	frame.size = (uint32_t)(size - sizeof(header) - 1);
	memcpy(frame.bytes, data + sizeof(header) + 1, frame.size);
	packet = frame_to_mbuf(&frame, pool, segments[control & 3]);
	port.offloads = control >> 2 & 7;
	port.mtu_bytes = control & 32 ? 1500 : 65535;
	port.is_wire = control & 64;
	port.is_linear = control & 128;
	port_set_vlan_tagged(&port, 10, control & 64);
	if (packet->data_len >= RTE_MIN(packet->pkt_len, 256U)
		&& virtio_header_decode(&header, packet) == 0 && offload_validate(packet) == 0) {
		clone = rte_pktmbuf_clone(packet, pool);
		*packet_metadata(clone) = *packet_metadata(packet);
		transmit(clone);
		transmit(packet);
	} else {
		rte_pktmbuf_free(packet);
	}
	if (rte_mempool_in_use_count(pool) != 0)
		abort();
	return 0;
}
