/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenMetrics text (version 1.0.0) from samples [{name, type, help, labels, value}] as in
 * packet.metrics. Families are put together, names get the prefix bulkhead_, counters the suffix
 * _total, and names that end in a base unit a UNIT line. No state.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define OPENMETRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* New string for free(), with *size without its NUL; NULL: no memory. Samples that are not valid
 * are left out and counted in *left_out. */
char *openmetrics_render(const json_t *samples, size_t *size, size_t *left_out);
