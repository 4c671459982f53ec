/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema/config_schema.h"

#include <assert.h>
#include <string.h>

static const struct {
	const char *name, *description;
} types[CONFIG_TYPE_COUNT] = {
	[CONFIG_SECTION] = {"section", "a section (keys and values)"},
	[CONFIG_MAP] = {"map", "a map (names and what belongs to each)"},
	[CONFIG_BOOL] = {"bool", "true or false"},
	[CONFIG_INTEGER] = {"integer", "a whole number"},
	[CONFIG_DURATION] = {"duration", "a duration with its unit: us, ms, s, min, h or d"},
	[CONFIG_RATE] = {"rate", "a rate such as 500Mbit/s or 10Gbit/s"},
	[CONFIG_PACKET_RATE] = {"packet rate", "a rate such as 1000/s or 10k/s"},
	[CONFIG_SIZE] = {"size", "a size such as 64MiB or 1GB"},
	[CONFIG_STRING] = {"string", "a text"},
	[CONFIG_NAME] = {"name", "a name of letters, digits, '-' and '_'"},
	[CONFIG_ENUM] = {"word", "one of a few words"},
	[CONFIG_MAC] = {"MAC address", "a unicast MAC address such as \"52:54:00:00:10:01\""},
	[CONFIG_ADDRESS] = {"IP address", "an IPv4 or IPv6 address or prefix"},
	[CONFIG_HOST_ADDRESS] = {"interface address",
		"an address with its prefix length such as "
		"192.0.2.1/24"},
	[CONFIG_VLAN] = {"VLAN id", "a VLAN id, 1 to 4094"},
	[CONFIG_VLANS] = {"VLAN ids", "a VLAN id or a range such as 20-29"},
	[CONFIG_PORTS] = {"ports", "a port, or a range such as 8000-8099"},
	[CONFIG_DEVICE] = {"device",
		"af_xdp:IF, af_packet:IF, netdev:IF, tap:IF, memif:SOCKET, vhost-user:SOCKET or "
		"pci:ADDRESS"},
	[CONFIG_INTERFACE] = {"interface", "a network interface's name, 1 to 15 characters"},
	[CONFIG_PATH] = {"path", "an absolute path"},
	[CONFIG_GLOB] = {"path pattern", "an absolute path, with *, ? and [] as in the shell"},
	[CONFIG_SINK] = {"sink", "a word or an absolute path"},
	[CONFIG_ENDPOINT] = {"endpoint", "an address with a port such as 127.0.0.1:9580, or none"},
	[CONFIG_PRINCIPAL] = {"user or group", "a user's name, or a group's with @ before it"},
	[CONFIG_VARIABLE] = {"variable", "a text in the syntax of rules, or a list of such"},
};

static const char *const effects[CONFIG_EFFECT_COUNT] = {
	[CONFIG_LIVE] = "live",
	[CONFIG_REOPEN] = "reopen",
	[CONFIG_RESTART] = "restart",
	[CONFIG_DAEMON] = "daemon",
};

static bool pattern_matches(const char *pattern, const char *path)
{
	while (*pattern && *path) {
		size_t pattern_size = strcspn(pattern, "."), path_size = strcspn(path, ".");
		size_t name_size = strcspn(path, ".[");

		if (pattern_size != 1 || *pattern != '*') {
			if (pattern_size != name_size || memcmp(pattern, path, name_size) != 0)
				return false;
		} else if (name_size == 0) {
			return false;
		}
		pattern += pattern_size;
		path += path_size;
		if (*pattern == '.' && *path == '.') {
			pattern++;
			path++;
		} else {
			break;
		}
	}
	return *pattern == '\0' && *path == '\0';
}

const struct config_option *config_option_find(const char *path)
{
	if (*path == '\0')
		return NULL;
	for (size_t i = 0; i < config_option_count; i++)
		if (pattern_matches(config_options[i].key, path))
			return &config_options[i];
	return NULL;
}

static bool is_child(const struct config_option *parent, const struct config_option *option)
{
	size_t size = parent ? strlen(parent->key) : 0;
	const char *rest = option->key;

	if (parent) {
		if (strncmp(option->key, parent->key, size) != 0 || option->key[size] != '.')
			return false;
		rest += size + 1;
	}
	return strchr(rest, '.') == NULL;
}

const struct config_option *config_option_next_child(
	const struct config_option *parent, const struct config_option *previous)
{
	const struct config_option *end = config_options + config_option_count;
	const struct config_option *option = previous ? previous + 1 : config_options;

	if (!previous && parent)
		option = parent + 1;
	for (; option < end; option++)
		if (is_child(parent, option))
			return option;
	return NULL;
}

const struct config_option *config_option_child(
	const struct config_option *parent, const char *name)
{
	const struct config_option *child = NULL;

	while ((child = config_option_next_child(parent, child))) {
		const char *own = config_option_name(child);

		if (strcmp(own, name) == 0 || strcmp(own, "*") == 0)
			return child;
	}
	return NULL;
}

const char *config_option_name(const struct config_option *option)
{
	const char *dot = strrchr(option->key, '.');

	return dot ? dot + 1 : option->key;
}

bool config_option_is(const struct config_option *option, enum config_flag flag)
{
	return option->flags & flag;
}

bool config_values_contain(const char *values, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = values; at && *at; at += strcspn(at, "|"), at += *at == '|')
		if (strcspn(at, "|") == size && memcmp(at, word, size) == 0)
			return true;
	return false;
}

const char *config_type_name(enum config_type type)
{
	assert(type < CONFIG_TYPE_COUNT);
	return types[type].name;
}

const char *config_type_describe(enum config_type type)
{
	assert(type < CONFIG_TYPE_COUNT);
	return types[type].description;
}

const char *config_effect_name(enum config_effect effect)
{
	assert(effect < CONFIG_EFFECT_COUNT);
	return effects[effect];
}
