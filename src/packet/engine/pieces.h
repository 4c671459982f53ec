/* SPDX-License-Identifier: BSD-3-Clause */
/* Pieces of IP packets that are too large (RFC 791 section 3.2, RFC 8200 section 4.5). Workers. */
#pragma once

#include <rte_mbuf.h>
#include <stdint.h>

#define PIECES_MAX 64 /* that one packet is cut into */

/*
 * Cuts a frame's IP packet, without padding behind it, into frames whose packets take mtu bytes at
 * most; IPv4's DF is left out. Returns how many: the packet is gone, pieces may be chains that
 * share its data. Negative errno: the packet is as it was, but for DF. -ENOMEM; others: it cannot
 * be cut so.
 */
int pieces_cut(struct rte_mbuf *packet, uint32_t mtu, struct rte_mbuf *pieces[PIECES_MAX]);
