/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of `channels`: names that refer to each other, and what may be there only once. */
#include "control/config/check.h"

#include "schema/json.h"

#include <string.h>

static void check_rule_end(
	struct load *load, const char *rule, const char *key, const char *partition)
{
	const json_t *channels = json_object_get(load->document, "channels");
	char path[CONFIG_PATH_SIZE];

	if (!partition || json_object_get(json_object_get(channels, "partitions"), partition))
		return;
	snprintf(path, sizeof(path), "channels.allow.%s.%s", rule, key);
	load_error(load, path, "the name of one of channels.partitions",
		"there is no partition of this name");
}

static void check_rule_once(struct load *load, const json_t *rules, const char *name)
{
	const json_t *rule = json_object_get(rules, name);
	char path[CONFIG_PATH_SIZE];
	const char *other_name;
	json_t *other;

	json_object_foreach ((json_t *)rules, other_name, other) {
		if (other == rule)
			return;
		if (!json_equal(json_object_get(rule, "from"), json_object_get(other, "from"))
			|| !json_equal(json_object_get(rule, "to"), json_object_get(other, "to")))
			continue;
		snprintf(path, sizeof(path), "channels.allow.%s", name);
		load_error(load, path, "one rule for the same from and to",
			"rule %s is for the same partitions", other_name);
		return;
	}
}

static void check_static_once(
	struct load *load, const char *partition, const json_t *section, const char *name)
{
	const json_t *row = json_object_get(section, name);
	char path[CONFIG_PATH_SIZE];
	const char *other_name;
	json_t *other;

	json_object_foreach ((json_t *)section, other_name, other) {
		if (other == row)
			return;
		if (!json_equal(json_object_get(row, "id"), json_object_get(other, "id")))
			continue;
		snprintf(
			path, sizeof(path), "channels.partitions.%s.static.%s.id", partition, name);
		load_error(load, path, "each id once", "%s has it already", other_name);
		return;
	}
}

static void check_socket_once(struct load *load, const json_t *partitions, const char *name)
{
	const json_t *partition = json_object_get(partitions, name);
	const char *socket = text_of(partition, "socket"), *other_name;
	char path[CONFIG_PATH_SIZE];
	json_t *other;

	json_object_foreach ((json_t *)partitions, other_name, other) {
		if (other == partition || !socket)
			return;
		if (!text_of(other, "socket") || strcmp(text_of(other, "socket"), socket) != 0)
			continue;
		snprintf(path, sizeof(path), "channels.partitions.%s.socket", name);
		load_error(load, path,
			"a socket of its own: it says which partition a process is in",
			"partition %s has it already", other_name);
		return;
	}
}

static void check_channel_cores(struct load *load, const json_t *channels)
{
	const json_t *cores = json_object_get(channels, "cores");
	const json_t *count = json_object_get(channels, "threads");

	if (count && json_array_size(cores)
		&& (json_int_t)json_array_size(cores) != json_integer_value(count))
		load_error(load, "channels.cores", "one core for each of channels.threads, or []",
			"%zu cores for %" JSON_INTEGER_FORMAT " threads", json_array_size(cores),
			json_integer_value(count));
}

void check_channels(struct load *load)
{
	const json_t *channels = json_object_get(load->document, "channels");
	json_t *partitions = json_object_get(channels, "partitions"), *section, *row;
	json_t *rules = json_object_get(channels, "allow");
	const char *name, *static_name;

	check_channel_cores(load, channels);
	json_object_foreach (partitions, name, section) {
		check_socket_once(load, partitions, name);
		json_object_foreach (json_object_get(section, "static"), static_name, row)
			check_static_once(
				load, name, json_object_get(section, "static"), static_name);
	}
	json_object_foreach (rules, name, section) {
		check_rule_end(load, name, "from", text_of(section, "from"));
		check_rule_end(load, name, "to", text_of(section, "to"));
		check_rule_once(load, rules, name);
	}
}
