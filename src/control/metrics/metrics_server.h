/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET /metrics over HTTP on the socket that the broker opened. The text is made at most once a
 * second, however many ask; scrapers wait for it without a thread. The loop's thread.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdint.h>
#include <uv.h>

#define METRICS_CACHE_MS        1000
#define METRICS_CONNECTIONS_MAX 32
#define METRICS_IDLE_TIMEOUT_S  10

struct metrics_server;

/* Collects samples and ends with metrics_server_collected(), now or later, exactly once. */
typedef void (*metrics_collect_fn)(void *context, struct metrics_server *server);

/* Takes listen_fd, also on failure. */
int metrics_server_open(uv_loop_t *loop, int listen_fd, metrics_collect_fn collect, void *context,
	struct metrics_server **out, struct error *error);
/* No collection may be under way any more. NULL is allowed. */
void metrics_server_close(struct metrics_server *server);
/* samples is consumed; NULL: none could be had, scrapers get an error. */
void metrics_server_collected(struct metrics_server *server, json_t *samples);
