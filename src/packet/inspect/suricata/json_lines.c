/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/suricata/json_lines.h"

#include <string.h>

void json_lines_reset(struct json_lines *lines)
{
	lines->size = 0;
	lines->is_skipping = false;
}

static void end_line(struct json_lines *lines, json_lines_fn take, void *context)
{
	/* A zero byte in a string is Suricata's way to show what was in a packet. */
	json_t *value = lines->is_skipping ? NULL
					   : json_loadb(lines->buffer, lines->size,
						   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	if (json_is_object(value))
		take(context, value);
	else if (lines->is_skipping || lines->size > 0)
		lines->invalid++;
	json_decref(value);
	json_lines_reset(lines);
}

void json_lines_feed(
	struct json_lines *lines, const char *data, size_t size, json_lines_fn take, void *context)
{
	while (size > 0) {
		const char *end = memchr(data, '\n', size);
		size_t part = end ? (size_t)(end - data) : size;

		if (part > sizeof(lines->buffer) - lines->size)
			lines->is_skipping = true;
		if (!lines->is_skipping) {
			memcpy(lines->buffer + lines->size, data, part);
			lines->size += part;
		}
		if (!end)
			return;
		end_line(lines, take, context);
		data += part + 1;
		size -= part + 1;
	}
}
