/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes events as lines of EVE JSON to the file or Unix socket that the broker opened. Lines are
 * collected and written once per round of the loop; what the sink does not take waits, bounded, and
 * is then lost and counted. Never leaves half a line. The loop's thread.
 */
#pragma once

#include "control/events/event_bus.h"

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define EVE_BUFFER_SIZE (1024 * 1024)

struct eve_writer;

struct eve_counts {
	uint64_t written; /* lines */
	uint64_t errors;  /* lines lost */
};

/* lost: the sink is of no use any more (socket closed, file deleted): open it again and set it. */
struct eve_writer *eve_writer_create(
	uv_loop_t *loop, void (*lost)(void *context), void *context); /* NULL: no memory */
/* Writes what waits. NULL is allowed. */
void eve_writer_destroy(struct eve_writer *writer);

/* Takes fd and closes the one before; -1: none, lines are dropped without being counted. */
void eve_writer_set(struct eve_writer *writer, int fd);
/* line is without its newline; an event_sink_fn. */
void eve_writer_write(void *writer, enum event_weight weight, const char *line, size_t size);
void eve_writer_flush(struct eve_writer *writer);
void eve_writer_count(const struct eve_writer *writer, struct eve_counts *out);
