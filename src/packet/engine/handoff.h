/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hand-over of packets between workers, so that all packets of a flow, both directions, are
 * inspected by one worker: flow_hash modulo workers. A ring per pair of workers, written by the one
 * and read by the other. In the graph only with inspection and more than one worker.
 */
#pragma once

#include <stdint.h>

/* Control thread; before the workers, and after them. Without rings when worker_count is 1. */
int handoff_open(uint16_t worker_count);
void handoff_close(void);
