/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `target` of the normalised document as a table. Control thread. */
#include "packet/distributor/target.h"

#include "base/error.h"
#include "packet/port/port.h"
#include "schema/json.h"
#include "wire/ip_protocol.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <stdio.h>
#include <stdlib.h>

static int read_vipas(const json_t *section, struct target_table *table, struct error *error)
{
	const json_t *value;
	uint8_t prefix;
	size_t i;

	json_array_foreach (json_object_get(section, "vipas"), i, value) {
		if (table->vipa_count == TARGET_VIPAS_MAX)
			return error_set(
				error, -E2BIG, "target.vipas: more than %d", TARGET_VIPAS_MAX);
		if (!ip_address_parse_prefix(
			    json_string_value(value), &table->vipas[table->vipa_count], &prefix))
			return error_set(error, -EINVAL, "target.vipas: no address: %s",
				json_string_value(value));
		table->vipa_count++;
	}
	return 0;
}

static int read_services(const json_t *section, struct target_table *table, struct error *error)
{
	const char *name;
	json_t *row;

	json_object_foreach (json_object_get(section, "services"), name, row) {
		struct target_service *service = &table->services[table->service_count];

		if ((table->service_count + 1) * table->vipa_count > HEARTBEAT_SERVICES_MAX)
			return error_set(error, -E2BIG,
				"target.services: more than %d, of all VIPAs together",
				HEARTBEAT_SERVICES_MAX);
		snprintf(service->name, sizeof(service->name), "%s", name);
		service->protocol = ip_protocol_of(text_of(row, "protocol"));
		service->port = (uint16_t)json_integer_value(json_object_get(row, "port"));
		table->service_count++;
	}
	return 0;
}

/* Locally administered, and the same each time: neighbours need not learn it again. */
static void derive_mac(struct target_table *table)
{
	static const uint8_t key[SIPHASH_KEY_SIZE] = "bulkhead station";
	uint8_t hash[SIPHASH_MAC_SIZE];
	struct siphash_state state;

	siphash_start(&state, key);
	siphash_add(&state, &table->vlan, sizeof(table->vlan));
	siphash_add(&state, table->stations, sizeof(table->stations));
	siphash_end(&state, hash);
	memcpy(table->mac, hash, ETH_ADDRESS_SIZE);
	table->mac[0] = (uint8_t)((table->mac[0] & 0xfc) | 0x02);
}

static int read_direct(const json_t *direct, struct target_table *table, struct error *error)
{
	const json_t *value;
	struct ip_address address;
	uint8_t prefix;
	size_t i;

	table->vlan = (uint16_t)json_integer_value(json_object_get(direct, "vlan"));
	json_array_foreach (json_object_get(direct, "addresses"), i, value) {
		if (!ip_address_parse_prefix(json_string_value(value), &address, &prefix))
			return error_set(error, -EINVAL, "target.direct.addresses: no address: %s",
				json_string_value(value));
		table->stations[address.version == 6].address = address;
		table->stations[address.version == 6].prefix = prefix;
	}
	json_array_foreach (json_object_get(direct, "routers"), i, value) {
		if (!ip_address_parse_prefix(json_string_value(value), &address, &prefix))
			return error_set(error, -EINVAL, "target.direct.routers: no address: %s",
				json_string_value(value));
		table->stations[address.version == 6].router = address;
	}
	derive_mac(table);
	return 0;
}

static int read_section(const json_t *section, struct target_table *table, struct error *error)
{
	int status = read_vipas(section, table, error);

	table->host_port = table->physical_port = table->socket_port = PORT_NONE;
	table->interval_ms =
		(uint32_t)json_integer_value(json_object_get(section, "heartbeat-interval"));
	table->mtu_max_bytes = (uint32_t)json_integer_value(json_object_get(section, "mtu"));
	table->flows_max = (uint32_t)json_integer_value(json_object_get(section, "flows-max"));
	snprintf(table->interface, sizeof(table->interface), "%s", text_of(section, "interface"));
	if (status == 0)
		status = read_services(section, table, error);
	if (status == 0 && json_object_get(section, "direct"))
		status = read_direct(json_object_get(section, "direct"), table, error);
	return status;
}

int target_table_create(const json_t *config, struct target_table **out, struct error *error)
{
	const json_t *section = json_object_get(config, "target");
	struct target_table *table;
	int status;

	*out = NULL;
	if (!section)
		return 0;
	table = calloc(1, sizeof(*table));
	if (!table)
		return error_set(error, -ENOMEM, "target: no memory");
	table->keys = secret_create(LINK_PEERS_MAX * sizeof(struct target_keys));
	status = table->keys ? read_section(section, table, error)
			     : error_set(error, -errno, "target: keys: %s", strerror(errno));
	if (status < 0) {
		target_table_destroy(table);
		return status;
	}
	table->has_sockets = json_object_get(json_object_get(config, "gateway"), "host") != NULL;
	*out = table;
	return 0;
}

void target_table_destroy(struct target_table *table)
{
	if (!table)
		return;
	secret_destroy(table->keys);
	free(table);
}

/* ---- what other tables know ---- */

static uint16_t index_of(const char *name, enum port_kind kind)
{
	const struct port *port = name ? port_find(name) : NULL;

	return port && port->kind == kind ? port->index : PORT_NONE;
}

static int derive_keys(
	const struct link_end *end, const struct link_peer *peer, struct target_keys *out)
{
	const struct link_keys *keys = link_keys(end);

	out->count = keys->count;
	for (uint8_t i = 0; i < keys->count; i++) {
		memcpy(out->keys[i].secret, keys->keys[i].bytes, SIPHASH_KEY_SIZE);
		if (!gre_keys_derive(out->keys[i].secret, GRE_TO_TARGET, &peer->address,
			    &end->local, &out->keys[i].to_target)
			|| !gre_keys_derive(out->keys[i].secret, GRE_TO_DISTRIBUTOR, &peer->address,
				&end->local, &out->keys[i].to_distributor)) {
			out->count = 0;
			return -EEXIST;
		}
	}
	return 0;
}

int target_table_bind(struct target_table *table, const char *physical)
{
	const struct link_end *end = link_end_of(link_table, LINK_TARGET);
	struct target_keys *keys = secret_bytes(table->keys);
	int status = 0;

	table->host_port = index_of(PORT_VIPA_NAME, PORT_VIPA);
	table->physical_port = index_of(physical, PORT_PHYSICAL);
	table->socket_port = index_of(table->has_sockets ? "host" : NULL, PORT_HOST);
	for (uint16_t i = 0; end && i < end->peer_count && status == 0; i++)
		status = derive_keys(end, &end->peers[i], &keys[i]);
	return status;
}
