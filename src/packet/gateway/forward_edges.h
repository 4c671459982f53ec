/* SPDX-License-Identifier: BSD-3-Clause */
/* The decisions of the forwarding nodes, as edges; gateway_control.c labels them for the graph. */
#pragma once

enum switch_forward_edge {
	SWITCH_FORWARD_EDGE_LOCAL,
	SWITCH_FORWARD_EDGE_FLOOD,
	SWITCH_FORWARD_EDGE_TRUNK,
	SWITCH_FORWARD_EDGE_ANSWER, /* of a virtual address's target to a client */
	SWITCH_FORWARD_EDGE_DROP,
	SWITCH_FORWARD_EDGE_COUNT,
};
extern const char *const switch_forward_labels[SWITCH_FORWARD_EDGE_COUNT];

/* Figure 3B of seed 000, block by block. */
enum origin_forward_edge {
	ORIGIN_FORWARD_EDGE_TRUNK_TO_PHYSICAL,     /* 317 -> 319 */
	ORIGIN_FORWARD_EDGE_PHYSICAL_TO_TRUNK,     /* 321 -> 323 -> 325 */
	ORIGIN_FORWARD_EDGE_HOST_TO_TRUNK,         /* 327 -> 329 -> 331 */
	ORIGIN_FORWARD_EDGE_HOST_TO_PHYSICAL,      /* 327 -> 333 -> 335 */
	ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_TRUNK,    /* 337, the one copy */
	ORIGIN_FORWARD_EDGE_HOST_UNKNOWN_PHYSICAL, /* 337, the other */
	ORIGIN_FORWARD_EDGE_TO_HOST,               /* the host's own socket layer is the receiver */
	ORIGIN_FORWARD_EDGE_EAST_WEST, /* inspected on its way from partition to partition (G7) */
	ORIGIN_FORWARD_EDGE_REMOTE,    /* inspected for another host: back to it */
	ORIGIN_FORWARD_EDGE_VIPA,      /* for a virtual address, decrypted or in clear */
	ORIGIN_FORWARD_EDGE_TARGET,    /* a target's answer */
	ORIGIN_FORWARD_EDGE_DROP,
	ORIGIN_FORWARD_EDGE_COUNT,
};
extern const char *const origin_forward_labels[ORIGIN_FORWARD_EDGE_COUNT];
