/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/inspect_policy.h"

#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/inspect/inspect_names.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t inspect_chain_size(const struct inspect_chain *chain)
{
	return sizeof(*chain) + chain->party_count * sizeof(chain->parties[0]);
}

static enum failure_policy read_policy(const json_t *object, const char *key)
{
	const char *word = json_string_value(json_object_get(object, key));

	if (!word)
		return FAILURE_UNSET;
	return strcmp(word, "pass") == 0 ? FAILURE_PASS : FAILURE_DROP;
}

/* 0: not said here; an integer of the document, with 0 for never. */
static uint64_t read_bypass(struct inspect_chain *chain, const json_t *object)
{
	const json_t *value = json_object_get(object, "bypass-after");
	uint64_t bytes = (uint64_t)json_integer_value(value);

	if (!json_is_integer(value))
		return 0;
	if (bytes == 0)
		return INSPECT_BYPASS_NEVER;
	if (chain->bypass_least == 0 || bytes < chain->bypass_least)
		chain->bypass_least = bytes;
	return bytes;
}

static bool read_mac(const json_t *adapter, uint8_t mac[6])
{
	const char *text = json_string_value(json_object_get(adapter, "mac"));

	return text
		&& sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
			   &mac[4], &mac[5])
		== 6;
}

/* Calls visit for each adapter of each partition. */
static void each_adapter(const json_t *document,
	void (*visit)(
		void *context, const char *partition, const char *name, const json_t *adapter),
	void *context)
{
	const char *partition, *name;
	json_t *value, *adapter;

	json_object_foreach (json_object_get(document, "partitions"), partition, value)
		json_object_foreach (json_object_get(value, "adapters"), name, adapter)
			visit(context, partition, name, adapter);
}

static void count_adapter(
	void *context, const char *partition, const char *name, const json_t *adapter)
{
	size_t *count = context;

	(*count)++;
}

static void add_party(void *context, const char *partition, const char *name, const json_t *adapter)
{
	struct inspect_chain *chain = context;
	struct inspect_party *party = &chain->parties[chain->party_count];

	if (!read_mac(adapter, party->mac))
		return;
	party->vlan = (uint16_t)json_integer_value(json_object_get(adapter, "vlan"));
	party->on_failure = (uint8_t)read_policy(adapter, "on-failure");
	party->bypass_after = read_bypass(chain, adapter);
	chain->party_count++;
}

static int compare_parties(const void *a, const void *b)
{
	return memcmp(((const struct inspect_party *)a)->mac,
		((const struct inspect_party *)b)->mac,
		sizeof(((const struct inspect_party *)a)->mac));
}

struct inspect_chain *inspect_policy_create(const json_t *document, struct error *error)
{
	static const char *const kinds[ORIGIN_KIND_COUNT] = {
		[ORIGIN_NONE] = "default",
		[ORIGIN_PHYSICAL] = "physical",
		[ORIGIN_TRUNK] = "trunk",
		[ORIGIN_HOST] = "host",
		[ORIGIN_DECRYPTED] = "default",
		[ORIGIN_REMOTE] = "default",
		[ORIGIN_TARGET] = "default",
	};
	const json_t *config = json_object_get(document, "inspection");
	const json_t *on_failure = json_object_get(config, "on-failure");
	struct inspect_chain *chain;
	const char *vlan;
	json_t *value;
	size_t count = 0;

	each_adapter(document, count_adapter, &count);
	chain = calloc(1, sizeof(*chain) + count * sizeof(chain->parties[0]));
	if (!chain) {
		error_set(error, -ENOMEM, "inspection: no memory for the failure policies");
		return NULL;
	}
	chain->gap_timeout_ns =
		(uint64_t)json_integer_value(json_object_get(config, "stream-gap-timeout"))
		* CLOCK_NS_PER_MS;
	chain->deadline_ns =
		(uint64_t)json_integer_value(json_object_get(config, "deadline")) * CLOCK_NS_PER_MS;
	for (int kind = 0; kind < ORIGIN_KIND_COUNT; kind++)
		chain->kind_policy[kind] = (uint8_t)read_policy(on_failure, kinds[kind]);
	chain->bypass_after = read_bypass(chain, config);
	if (chain->bypass_after == 0)
		chain->bypass_after = INSPECT_BYPASS_NEVER;
	json_object_foreach (
		json_object_get(json_object_get(document, "gateway"), "vlans"), vlan, value) {
		unsigned long number = strtoul(vlan, NULL, 10) % INSPECT_VLANS;

		chain->vlan_policy[number] = (uint8_t)read_policy(value, "on-failure");
		chain->vlan_bypass[number] = read_bypass(chain, value);
	}
	each_adapter(document, add_party, chain);
	qsort(chain->parties, chain->party_count, sizeof(chain->parties[0]), compare_parties);
	return chain;
}

static void bind_port(void *context, const char *partition, const char *name, const json_t *adapter)
{
	struct inspect_chain *chain = context;
	char port_name[PORT_NAME_SIZE];
	const struct port *port;

	snprintf(port_name, sizeof(port_name), "%s.%s", partition, name);
	port = port_find(port_name);
	if (!port)
		return;
	chain->port_policy[port->index] = (uint8_t)read_policy(adapter, "on-failure");
	chain->port_bypass[port->index] = read_bypass(chain, adapter);
}

void inspect_policy_bind_ports(struct inspect_chain *chain, const json_t *document)
{
	each_adapter(document, bind_port, chain);
}

/* ---- names ---- */

struct search {
	const uint8_t *mac;
	uint16_t vlan;
	const char *found;
};

static void match_party(
	void *context, const char *partition, const char *name, const json_t *adapter)
{
	struct search *search = context;
	json_int_t vlan = json_integer_value(json_object_get(adapter, "vlan"));
	uint8_t mac[6];

	if (!search->found && (vlan == 0 || vlan == search->vlan) && read_mac(adapter, mac)
		&& memcmp(mac, search->mac, sizeof(mac)) == 0)
		search->found = partition;
}

void inspect_find_names(const struct origin *origin, const uint8_t destination_mac[6],
	uint16_t vlan, struct inspect_names *out)
{
	const struct port_table *table = publish_read(&port_table);
	const struct port *port = NULL;
	struct search search = {.mac = destination_mac, .vlan = vlan};

	memset(out, 0, sizeof(*out));
	if (table && origin->ingress_port < table->count)
		port = table->ports[origin->ingress_port];
	if (port && port->generation == origin->ingress_generation)
		snprintf(out->port, sizeof(out->port), "%s", port->config.name);
	if (port && port->kind == PORT_PARTITION) {
		snprintf(out->partition, sizeof(out->partition), "%s", out->port);
		*strchrnul(out->partition, '.') = '\0';
		return;
	}
	each_adapter(packet_config(), match_party, &search);
	if (search.found)
		snprintf(out->partition, sizeof(out->partition), "%s", search.found);
}
