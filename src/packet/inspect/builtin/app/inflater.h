/* SPDX-License-Identifier: BSD-3-Clause */
/* Decompresses a body of HTTP, in a block of the arena. Worker. */
#pragma once

#include "packet/inspect/builtin/app/app.h"

enum inflater_format { INFLATER_NONE, INFLATER_GZIP, INFLATER_DEFLATE };

struct inflater;

/* NULL: no memory. */
struct inflater *inflater_create(struct arena *arena, enum inflater_format format);
void inflater_destroy(struct inflater *inflater, struct arena *arena);

/*
 * Takes bytes from *in and puts at most out_size out. What is no valid compressed data is handed
 * out as it is, as browsers and Suricata do, and *is_bad set once. APP_LIMIT: out of proportion to
 * what came in.
 */
enum app_outcome inflater_run(struct inflater *inflater, struct app_bytes *in, uint8_t *out,
	size_t out_size, size_t *produced, bool *is_bad);
