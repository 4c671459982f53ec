/* SPDX-License-Identifier: BSD-3-Clause */
/* The API's `inspect.` methods, metrics, and the events of failures. Control thread. */
#pragma once

#include "ipc/ipc.h"

extern const struct ipc_method inspect_methods[];

void inspect_metrics(json_t *samples);

/* Tells, at most once a call, what the failure policy decided since the last one. */
void inspect_report_failures(void);

/* inspect_control.c */
/* {"percent", "elapsed_ms"} while rules are compiled, a new reference; else NULL. */
json_t *inspect_compiling(void);
void inspect_reload(struct ipc_request *request, void *context);
