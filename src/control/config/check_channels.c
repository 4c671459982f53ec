/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks of `channels`: names that refer to each other, and what may be there only once. */
#include "control/config/check.h"

#include "base/hex.h"
#include "schema/json.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As the broker has it: lower ones are those of system services. */
#define LINK_PORT_MIN   1024
#define PARTITION_MAX   31
#define PARTITION_CHARS "letters, digits, - and _"

/* Whether text is the name of a partition, as the other host has checked it. */
static bool is_partition_name(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (!isascii((unsigned char)text[i])
			|| (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_'))
			return false;
	return length > 0 && length <= PARTITION_MAX;
}

/* PEER/PARTITION. */
static void check_far_end(struct load *load, const char *path, const char *end, const char *slash)
{
	const json_t *channels = json_object_get(load->document, "channels");
	char peer[CONFIG_PATH_SIZE];

	snprintf(peer, sizeof(peer), "%.*s", (int)(slash - end), end);
	if (!json_object_get(json_object_get(channels, "peers"), peer))
		load_error(load, path, "the name of one of channels.peers before the /",
			"there is no peer of this name");
	else if (!is_partition_name(slash + 1))
		load_error(load, path,
			"the name of a partition behind the /: 1 to 31 " PARTITION_CHARS,
			"this is none");
}

static void check_rule_end(
	struct load *load, const char *rule, const char *key, const char *partition)
{
	const json_t *channels = json_object_get(load->document, "channels");
	const char *slash = partition ? strchr(partition, '/') : NULL;
	char path[CONFIG_PATH_SIZE];

	snprintf(path, sizeof(path), "channels.allow.%s.%s", rule, key);
	if (slash)
		check_far_end(load, path, partition, slash);
	else if (partition && !json_object_get(json_object_get(channels, "partitions"), partition))
		load_error(load, path,
			"the name of one of channels.partitions, or PEER/PARTITION of one of "
			"channels.peers",
			"there is no partition of this name");
}

static void check_rule_is_ours(struct load *load, const char *name, const json_t *rule)
{
	const char *from = text_of(rule, "from"), *to = text_of(rule, "to");
	char path[CONFIG_PATH_SIZE];

	if (!from || !to || !strchr(from, '/') || !strchr(to, '/'))
		return;
	snprintf(path, sizeof(path), "channels.allow.%s", name);
	load_error(load, path, "a partition of this host as from or to",
		"both are of other hosts, which have rules of their own");
}

/* --- Links to other hosts --- */

static void check_link_port(struct load *load, const char *path, const char *endpoint)
{
	const char *colon = endpoint ? strrchr(endpoint, ':') : NULL;

	if (colon && atoi(colon + 1) < LINK_PORT_MIN)
		load_error(load, path, "a port from 1024 on",
			"lower ports are those of system services");
}

static void check_fingerprint(struct load *load, const char *name, const char *fingerprint)
{
	char path[CONFIG_PATH_SIZE];

	for (const char *at = fingerprint; at && *at; at++) {
		if (hex_value(*at) >= 0)
			continue;
		snprintf(path, sizeof(path), "channels.peers.%s.fingerprint", name);
		load_error(load, path, "64 hexadecimal digits, without colons",
			"`%c` is no hexadecimal digit", *at);
		return;
	}
}

static const char *identity_of(const char *name, const json_t *peer)
{
	const char *identity = text_of(peer, "identity");

	return identity ? identity : name;
}

/* Who a peer is follows from its certificate: it has to be one of them. */
static void check_identity_once(struct load *load, const json_t *peers, const char *name)
{
	const json_t *peer = json_object_get(peers, name);
	char path[CONFIG_PATH_SIZE];
	const char *other_name;
	json_t *other;

	json_object_foreach ((json_t *)peers, other_name, other) {
		if (other == peer)
			return;
		if (strcasecmp(identity_of(name, peer), identity_of(other_name, other)) != 0)
			continue;
		snprintf(path, sizeof(path), "channels.peers.%s", name);
		load_error(
			load, path, "an identity of its own", "peer %s has the same", other_name);
		return;
	}
}

static void check_peer(struct load *load, const json_t *channels, const char *name)
{
	const json_t *link = json_object_get(channels, "link");
	const json_t *peers = json_object_get(channels, "peers");
	const json_t *peer = json_object_get(peers, name);
	char path[CONFIG_PATH_SIZE];

	snprintf(path, sizeof(path), "channels.peers.%s.address", name);
	check_link_port(load, path, text_of(peer, "address"));
	snprintf(path, sizeof(path), "channels.peers.%s", name);
	if (!link)
		load_error(load, path, "the section channels.link beside it",
			"without it we have no certificate");
	else if (!text_of(peer, "address") && !text_of(link, "listen"))
		load_error(load, path, "its address, or channels.link.listen",
			"neither can we connect to it, nor it to us");
	check_fingerprint(load, name, text_of(peer, "fingerprint"));
	check_identity_once(load, peers, name);
}

static void check_links(struct load *load, const json_t *channels)
{
	const char *name;
	json_t *peer;

	check_link_port(
		load, "channels.link.listen", text_of(json_object_get(channels, "link"), "listen"));
	json_object_foreach (json_object_get(channels, "peers"), name, peer)
		check_peer(load, channels, name);
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

/* Of its processes, or of its virtual machine. */
static const char *socket_of(const json_t *partition, bool is_guests)
{
	return text_of(is_guests ? json_object_get(partition, "vsock") : partition, "socket");
}

/* Whether a socket before this one, in the order of the file, is the same. */
static void check_socket_once(
	struct load *load, const json_t *partitions, const char *name, bool is_guests)
{
	const json_t *partition = json_object_get(partitions, name);
	const char *socket = socket_of(partition, is_guests), *other_name;
	char path[CONFIG_PATH_SIZE];
	json_t *other;

	json_object_foreach ((json_t *)partitions, other_name, other) {
		for (int i = 0; i < 2; i++) {
			const char *text = socket_of(other, i);

			if (!socket || (other == partition && i == is_guests))
				return;
			if (!text || strcmp(text, socket) != 0)
				continue;
			snprintf(path, sizeof(path), "channels.partitions.%s.%ssocket", name,
				is_guests ? "vsock." : "");
			load_error(load, path,
				"a socket of its own: it says which partition a process is in",
				"partition %s has it already", other_name);
			return;
		}
	}
}

static void check_has_socket(struct load *load, const char *name, const json_t *partition)
{
	char path[CONFIG_PATH_SIZE];

	if (json_object_get(partition, "socket") || json_object_get(partition, "vsock"))
		return;
	snprintf(path, sizeof(path), "channels.partitions.%s", name);
	load_error(load, path, "socket, or vsock for a virtual machine",
		"its processes have nothing to attach to");
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
		check_has_socket(load, name, section);
		check_socket_once(load, partitions, name, false);
		check_socket_once(load, partitions, name, true);
		json_object_foreach (json_object_get(section, "static"), static_name, row)
			check_static_once(
				load, name, json_object_get(section, "static"), static_name);
	}
	json_object_foreach (rules, name, section) {
		check_rule_end(load, name, "from", text_of(section, "from"));
		check_rule_end(load, name, "to", text_of(section, "to"));
		check_rule_once(load, rules, name);
		check_rule_is_ours(load, name, section);
	}
	check_links(load, channels);
}
