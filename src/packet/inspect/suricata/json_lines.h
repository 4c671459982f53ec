/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What Suricata writes: JSON objects, a line each, over a stream (its EVE output, the answers of
 * its command socket). It is not trusted: bounded, and a line that is too long or no object is
 * counted and passed over. Any thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With room in a message to control (IPC_MESSAGE_SIZE) for what is added. */
#define JSON_LINE_MAX (64 * 1024)

struct json_lines {
	size_t size;      /* of the line that has begun */
	bool is_skipping; /* it is too long */
	uint64_t invalid; /* lines passed over */
	char buffer[JSON_LINE_MAX];
};

/* object is borrowed. */
typedef void (*json_lines_fn)(void *context, json_t *object);

void json_lines_reset(struct json_lines *lines);
void json_lines_feed(
	struct json_lines *lines, const char *data, size_t size, json_lines_fn take, void *context);
