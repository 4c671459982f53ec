/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine as the packet role starts and stops it, around the other modules. Control thread. */
#pragma once

#include "base/error.h"
#include "packet/packet_module.h"

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

/* EAL, buffers, publication, workers without a graph: from the first configuration. Does nothing
 * when it was done. After a failure the process has to be started again. */
int engine_start(uv_loop_t *loop, const json_t *config, struct error *error);

/* A start failed so far in that this process cannot start again. */
bool engine_is_spoilt(void);

/* Ends the workers' threads: before the other modules stop. */
void engine_stop_workers(void);
/* The rest: after the other modules have stopped. */
void engine_stop(void);

/* Options of config that take effect with a new process only, appended to keys. */
void engine_needs_restart(const json_t *config, json_t *keys);

/* Control's channel is gone, and with it the clients: ends traces and captures. */
void engine_control_gone(void);
