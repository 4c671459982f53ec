/* SPDX-License-Identifier: BSD-3-Clause */
/* What Suricata writes to its sockets, in pieces of changing size: whatever it is, what becomes an
 * event says of itself only what we say of it. */
#include "packet/inspect/suricata/json_lines.h"
#include "packet/inspect/suricata/suricata_eve.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *counts;

static void take(void *context, json_t *record)
{
	const struct suricata_names names = {.in_interface = "uplink", .partition = "web"};
	struct suricata_key key;

	(void)context;
	if (!suricata_eve_read(record, &key))
		return;
	suricata_eve_count_drop(record, counts);
	suricata_eve_complete(record, &names);
	if (json_object_get(record, "type") || json_object_get(record, "origin")
		|| strcmp(json_string_value(json_object_get(record, "engine")), "suricata") != 0
		|| json_object_size(counts) > SURICATA_REASONS_MAX + 1)
		abort();
	free(json_dumps(record, JSON_COMPACT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_lines lines;
	size_t step = size > 0 ? data[0] + 1u : 1;

	memset(&lines, 0, offsetof(struct json_lines, buffer));
	counts = json_object();
	for (size_t at = 0; at < size; at += step)
		json_lines_feed(&lines, (const char *)data + at,
			at + step < size ? step : size - at, take, NULL);
	json_decref(counts);
	return 0;
}
