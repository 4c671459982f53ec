/* SPDX-License-Identifier: BSD-3-Clause */
/* Following what the daemon notifies, until it ends, a time is over, or the user has enough. */
#pragma once

#include "cli/command.h"

#include <stdint.h>

/* Return 0: go on; 1: enough. */
typedef int (*stream_fn)(struct cli *cli, const char *method, const json_t *params, void *context);

/* CLI_OK also when SIGINT or SIGTERM came, or timeout_ms (0: none) was over. */
int stream_follow(struct cli *cli, int64_t timeout_ms, stream_fn handle, void *context);
/* From now on SIGINT and SIGTERM interrupt system calls and are only noted. */
void stream_catch_signals(void);
/* A signal came. */
bool stream_is_interrupted(void);
/* Value of --timeout in ms; 0: none. -1: wrong, and told. */
int64_t stream_timeout(struct cli *cli);
/* The parameters of trace.start and capture.start from the options; NULL: wrong, and told. */
json_t *stream_filter_params(struct cli *cli);
