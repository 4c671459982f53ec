/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/suricata/suricata_eve.h"

#include <stdio.h>
#include <string.h>

#define REASON_LENGTH_MAX 48

/* All that `inspection.suricata.events` can ask for; stats stay in `inspect.status`. */
static const char *const types[] = {"alert", "drop", "anomaly", "flow", "http", "dns", "tls", "ssh",
	"smtp", "ftp", "smb", "fileinfo", NULL};

static bool is_known_type(const char *type)
{
	for (const char *const *known = types; type && *known; known++)
		if (strcmp(type, *known) == 0)
			return true;
	return false;
}

/* A flow's record has lists, of all that it saw. */
static bool read_mac(const json_t *ether, const char *key, const char *list, uint8_t out[6])
{
	const json_t *value = json_object_get(ether, key);
	const char *text =
		json_string_value(value ? value : json_array_get(json_object_get(ether, list), 0));
	int end = 0;

	return text
		&& sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &out[0], &out[1], &out[2],
			   &out[3], &out[4], &out[5], &end)
		== 6
		&& text[end] == '\0';
}

bool suricata_eve_read(const json_t *record, struct suricata_key *key)
{
	const json_t *ether = json_object_get(record, "ether");
	const json_t *vlan = json_array_get(json_object_get(record, "vlan"), 0);
	json_int_t number = json_integer_value(vlan);

	memset(key, 0, sizeof(*key));
	if (!is_known_type(json_string_value(json_object_get(record, "event_type"))))
		return false;
	if (number > 0 && number < 4095)
		key->vlan = (uint16_t)number;
	key->has_macs = key->vlan && read_mac(ether, "dest_mac", "dest_macs", key->macs)
		&& read_mac(ether, "src_mac", "src_macs", key->macs + 6);
	return true;
}

static void set_or_delete(json_t *record, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(record, key, json_string(value));
	else
		json_object_del(record, key);
}

void suricata_eve_complete(json_t *record, const struct suricata_names *names)
{
	static const char *const ours[] = {"type", "seq", "host", "role"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		json_object_del(record, ours[i]);
	set_or_delete(record, "engine", "suricata");
	set_or_delete(record, "in_iface", names->in_interface);
	set_or_delete(record, "partition", names->partition);
	set_or_delete(record, "origin", names->origin);
}

void suricata_eve_count_drop(const json_t *record, json_t *counts)
{
	const json_t *value = json_object_get(json_object_get(record, "drop"), "reason");
	const char *reason = json_string_value(value);
	json_t *count;

	if (!reason || json_string_length(value) > REASON_LENGTH_MAX
		|| strlen(reason) != json_string_length(value))
		reason = "other";
	count = json_object_get(counts, reason);
	if (!count && json_object_size(counts) >= SURICATA_REASONS_MAX) {
		reason = "other";
		count = json_object_get(counts, reason);
	}
	json_object_set_new(counts, reason, json_integer(json_integer_value(count) + 1));
}
