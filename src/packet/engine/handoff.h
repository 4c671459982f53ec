/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-over of packets between workers, so that all packets between two hosts of a VLAN are
 * inspected by one worker: pair_hash modulo workers. So a flow's both directions, its fragments
 * (later ones have no ports), its ICMP errors, and the flows that an application protocol opens
 * beside it meet in one worker's tables; the price is that two hosts never use two workers. A ring
 * per pair of workers, written by the one and read by the other. In the graph only with inspection
 * or a distributor, whose connections belong to workers likewise, and more than one worker.
 */
#pragma once

#include <stdint.h>

/* Control thread; before the workers, and after them. Without rings when worker_count is 1. */
int handoff_open(uint16_t worker_count);
void handoff_close(void);
