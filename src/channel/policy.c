/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/policy.h"

#include "base/clock.h"
#include "base/hex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void policy_copy(char *out, size_t size, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(out, size, "%s", text ? text : "");
}

static uint64_t policy_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool policy_word_is(const json_t *object, const char *key, const char *word)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text && strcmp(text, word) == 0;
}

static int policy_read_static(struct policy_partition *partition, const json_t *section)
{
	const char *name;
	json_t *row;

	partition->reservations =
		calloc(json_object_size(section) + 1, sizeof(*partition->reservations));
	if (!partition->reservations)
		return -ENOMEM;
	json_object_foreach ((json_t *)section, name, row)
		partition->reservations[partition->reservation_count++] =
			(struct endpoint_reservation){.id = (uint32_t)policy_number(row, "id"),
				.uid = (uid_t)policy_number(row, "uid")};
	return 0;
}

static int policy_read_partition(
	struct policy_partition *out, const char *name, const json_t *section)
{
	const json_t *guest = json_object_get(section, "vsock");

	snprintf(out->name, sizeof(out->name), "%s", name);
	policy_copy(out->socket, sizeof(out->socket), section, "socket");
	policy_copy(out->guest_socket, sizeof(out->guest_socket), guest, "socket");
	out->is_guest_client = json_is_true(json_object_get(guest, "client"));
	out->cid = (uint32_t)policy_number(guest, "cid");
	policy_copy(out->group, sizeof(out->group), section, "group");
	out->is_open_to_all = policy_word_is(section, "access", "all");
	out->endpoint_max = (uint32_t)policy_number(section, "endpoints");
	out->row_max = (uint32_t)policy_number(section, "channels");
	out->process_max = (uint32_t)policy_number(section, "processes");
	out->memory_max = policy_number(section, "memory");
	return policy_read_static(out, json_object_get(section, "static"));
}

static void policy_read_rule(struct policy_rule *out, const char *name, const json_t *section)
{
	snprintf(out->name, sizeof(out->name), "%s", name);
	policy_copy(out->from, sizeof(out->from), section, "from");
	policy_copy(out->to, sizeof(out->to), section, "to");
	out->channel_max = (uint32_t)policy_number(section, "channels");
	out->message_max = (uint32_t)policy_number(section, "message-max");
	out->rate = policy_number(section, "rate");
}

static void policy_read_lanes(struct policy *policy, const json_t *section)
{
	const json_t *cores = json_object_get(section, "cores");

	policy->poll_ns = policy_number(section, "poll") * CLOCK_NS_PER_US;
	policy->lane_count = (uint32_t)policy_number(section, "threads");
	for (size_t i = 0; i < POLICY_LANES_MAX; i++) {
		const json_t *core = json_array_get(cores, i);

		policy->cores[i] = core ? (int)json_integer_value(core) : -1;
	}
}

static void policy_read_endpoint(
	struct policy_endpoint *out, const json_t *section, const char *key)
{
	const char *text = json_string_value(json_object_get(section, key));
	const char *colon = text ? strrchr(text, ':') : NULL;
	size_t size;

	if (!colon)
		return;
	/* "[::1]:9580": the brackets are of the text, not of the address. */
	size = (size_t)(colon - text);
	if (text[0] == '[' && size >= 2) {
		text++;
		size -= 2;
	}
	snprintf(out->address, sizeof(out->address), "%.*s", (int)size, text);
	out->port = (uint16_t)atoi(colon + 1);
}

static void policy_read_peer(struct policy_peer *out, const char *name, const json_t *section)
{
	const char *digits = json_string_value(json_object_get(section, "fingerprint"));

	snprintf(out->name, sizeof(out->name), "%s", name);
	policy_copy(out->identity, sizeof(out->identity), section, "identity");
	if (!out->identity[0])
		snprintf(out->identity, sizeof(out->identity), "%s", name);
	policy_read_endpoint(&out->address, section, "address");
	out->has_fingerprint = digits != NULL;
	for (int i = 0; digits && i < POLICY_FINGERPRINT_SIZE; i++)
		out->fingerprint[i] =
			(uint8_t)(hex_value(digits[2 * i]) << 4 | hex_value(digits[2 * i + 1]));
}

static char *policy_path(const json_t *section, const char *key)
{
	const char *path = json_string_value(json_object_get(section, key));

	return strdup(path ? path : "");
}

static int policy_read_link(struct policy_link *link, const json_t *section)
{
	link->is_configured = section != NULL;
	link->timeout_ns = policy_number(section, "timeout") * CLOCK_NS_PER_MS;
	policy_read_endpoint(&link->listen, section, "listen");
	link->certificate = policy_path(section, "certificate");
	link->key = policy_path(section, "key");
	link->authorities = policy_path(section, "authorities");
	return link->certificate && link->key && link->authorities ? 0 : -ENOMEM;
}

static int policy_read_peers(struct policy *policy, const json_t *peers)
{
	const char *name;
	json_t *row;

	policy->peers = calloc(json_object_size(peers) + 1, sizeof(*policy->peers));
	if (!policy->peers)
		return -ENOMEM;
	json_object_foreach ((json_t *)peers, name, row)
		policy_read_peer(&policy->peers[policy->peer_count++], name, row);
	return 0;
}

static int policy_read(struct policy *policy, const json_t *section)
{
	const json_t *partitions = json_object_get(section, "partitions");
	const json_t *rules = json_object_get(section, "allow");
	const char *name;
	json_t *row;

	policy->partitions = calloc(json_object_size(partitions) + 1, sizeof(*policy->partitions));
	policy->rules = calloc(json_object_size(rules) + 1, sizeof(*policy->rules));
	if (!policy->partitions || !policy->rules)
		return -ENOMEM;
	json_object_foreach ((json_t *)partitions, name, row)
		if (policy_read_partition(&policy->partitions[policy->partition_count++], name, row)
			< 0)
			return -ENOMEM;
	json_object_foreach ((json_t *)rules, name, row)
		policy_read_rule(&policy->rules[policy->rule_count++], name, row);
	policy_read_lanes(policy, section);
	if (policy_read_link(&policy->link, json_object_get(section, "link")) < 0)
		return -ENOMEM;
	return policy_read_peers(policy, json_object_get(section, "peers"));
}

int policy_create(const json_t *document, struct policy **out, struct error *error)
{
	struct policy *policy = calloc(1, sizeof(*policy));
	int status = -ENOMEM;

	if (policy)
		status = policy_read(policy, json_object_get(document, "channels"));
	if (status < 0) {
		policy_destroy(policy);
		return error_set(error, status, "channels: no memory left");
	}
	*out = policy;
	return 0;
}

void policy_destroy(struct policy *policy)
{
	if (!policy)
		return;
	for (uint32_t i = 0; i < policy->partition_count; i++)
		free(policy->partitions[i].reservations);
	free(policy->partitions);
	free(policy->rules);
	free(policy->link.certificate);
	free(policy->link.key);
	free(policy->link.authorities);
	free(policy->peers);
	free(policy);
}

const struct policy_rule *policy_find_rule(
	const struct policy *policy, const char *from, const char *to)
{
	for (uint32_t i = 0; i < policy->rule_count; i++)
		if (strcmp(policy->rules[i].from, from) == 0
			&& strcmp(policy->rules[i].to, to) == 0)
			return &policy->rules[i];
	return NULL;
}

const struct policy_peer *policy_find_peer(const struct policy *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->peer_count; i++)
		if (strcmp(policy->peers[i].name, name) == 0)
			return &policy->peers[i];
	return NULL;
}

const struct policy_partition *policy_find_partition(const struct policy *policy, const char *name)
{
	for (uint32_t i = 0; i < policy->partition_count; i++)
		if (strcmp(policy->partitions[i].name, name) == 0)
			return &policy->partitions[i];
	return NULL;
}
