/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The virtio-net header (virtio 1.2, section 5.1.6) as TAPs and packet sockets carry it, 10 bytes
 * in host order, to and from an mbuf's offload wishes. Both directions distrust what they read: the
 * peer may be a partition.
 */
#pragma once

#include <linux/virtio_net.h>
#include <rte_mbuf.h>

/*
 * Sets the packet's wishes from the header that came with it. A partial checksum that is neither
 * plain TCP's nor UDP's is filled in at once (tunnels). The packet's first bytes must be contiguous
 * and writable. -EINVAL: it asks for what is impossible. rx runs offload_validate() over the rest.
 */
int virtio_header_decode(const struct virtio_net_hdr *header, struct rte_mbuf *packet);

/* Describes the wishes of a packet that offload_prepare() has seen. */
void virtio_header_encode(const struct rte_mbuf *packet, struct virtio_net_hdr *header);
