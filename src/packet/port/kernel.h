/* SPDX-License-Identifier: BSD-3-Clause */
/* What of the kernel backend can be tried without a broker. */
#pragma once

#include "packet/port/port.h"

#include <linux/virtio_net.h>
#include <rte_mbuf.h>
#include <stdint.h>

/* Puts a VLAN tag behind the addresses of a frame that the kernel delivered without it, and moves
 * the checksum's place in header along. -EINVAL, -ENOMEM. */
int kernel_insert_tag(
	struct rte_mbuf *packet, struct virtio_net_hdr *header, uint16_t tpid, uint16_t tci);

/* Makes port ready out of the broker's answer ({index, mac, mtu}) to an open; takes the descriptors
 * that it sets to -1. Control thread. */
int kernel_adopt(struct port *port, bool is_tap, const json_t *answer, int *descriptors,
	size_t count, struct error *error);
