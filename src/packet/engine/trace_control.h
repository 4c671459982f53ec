/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Traces as the engine runs them. Workers write steps into rings of their own; the control thread
 * takes them out and sends notifications `trace.records` and, at the end, `trace.end` to control.
 */
#pragma once

#include "packet/engine/watch.h"
#include "packet/packet_module.h"

#include <rte_mbuf.h>

/* Worker: chooses packets at their entrance and records the entry of traced ones into node. */
void trace_watch(const struct watch *watch, const struct rte_node *node, struct rte_mbuf **packets,
	uint16_t count, bool is_source);

/* Control thread. */
void trace_open(uv_loop_t *loop);
void trace_close(void);    /* ends all traces; workers have stopped */
void trace_stop_all(void); /* control is gone: nobody listens */
void trace_handle_start(struct ipc_request *request, void *context);
void trace_handle_stop(struct ipc_request *request, void *context);
