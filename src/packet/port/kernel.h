/* SPDX-License-Identifier: BSD-3-Clause */
/* What of the kernel backend can be tried without descriptors. */
#pragma once

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdint.h>

/* Puts a VLAN tag behind the addresses of a frame that the kernel delivered without it, and moves
 * the checksum's place in header along. -EINVAL, -ENOMEM. */
int kernel_insert_tag(
	struct rte_mbuf *packet, struct virtio_net_hdr *header, uint16_t tpid, uint16_t tci);
