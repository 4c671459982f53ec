/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Captures: copies of the packets that enter a node, written as pcapng into the client's
 * descriptor. Workers copy into rings of their own, out of buffers of the capture's own, so that a
 * slow reader costs the traffic nothing; what does not fit is counted as lost.
 */
#pragma once

#include "packet/engine/watch.h"
#include "packet/packet_module.h"

#include <rte_mbuf.h>

/* Worker. */
void capture_watch(struct capture *capture, const struct rte_node *node, struct rte_mbuf **packets,
	uint16_t count);

/* Control thread. */
int capture_open(uv_loop_t *loop);
void capture_close(void);    /* ends all captures; workers have stopped */
void capture_stop_all(void); /* control is gone */
void capture_handle_start(struct ipc_request *request, void *context);
void capture_handle_stop(struct ipc_request *request, void *context);
