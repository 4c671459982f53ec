/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `distributor` of the normalised document as a table. Control thread. */
#include "packet/distributor/vipa.h"

#include "base/error.h"
#include "base/siphash.h"
#include "schema/json.h"
#include "wire/ip_protocol.h"

#include <errno.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <stdio.h>
#include <stdlib.h>

/* "192.0.2.80/24" */
static bool parse_prefix(const char *text, struct vipa *vipa)
{
	return text && strchr(text, '/')
		&& ip_address_parse_prefix(text, &vipa->address, &vipa->prefix);
}

/* Locally administered, and the same each time: neighbours need not learn it again. */
static void derive_mac(const struct vipa *vipa, uint8_t mac[ETH_ADDRESS_SIZE])
{
	static const uint8_t key[SIPHASH_KEY_SIZE] = "bulkhead vipa";
	uint8_t hash[SIPHASH_MAC_SIZE];
	struct siphash_state state;

	siphash_start(&state, key);
	siphash_add(&state, &vipa->vlan, sizeof(vipa->vlan));
	siphash_add(&state, &vipa->address, sizeof(vipa->address));
	siphash_end(&state, hash);
	memcpy(mac, hash, ETH_ADDRESS_SIZE);
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static enum vipa_scheduling read_scheduling(const json_t *object, enum vipa_scheduling absent)
{
	const char *word = text_of(object, "scheduling");

	if (!word)
		return absent;
	if (strcmp(word, "maglev") == 0)
		return VIPA_MAGLEV;
	return strcmp(word, "wrr") == 0 ? VIPA_ROUND_ROBIN : VIPA_LEAST_CONNECTIONS;
}

/* ---- targets ---- */

static int find_target(const struct vipa_table *table, const char *name)
{
	for (uint16_t i = 0; table && i < table->target_count; i++)
		if (strcmp(table->targets[i].name, name) == 0)
			return i;
	return -1;
}

/* The partition's adapter: a row of the document, its address known. */
static int read_local(
	const json_t *config, const char *name, struct vipa_target *target, struct error *error)
{
	char partition[PORT_NAME_SIZE];
	const json_t *row = json_object_get(config, "partitions");
	const char *dot = strchr(name, '.'), *mac;
	struct rte_ether_addr parsed;

	snprintf(partition, sizeof(partition), "%.*s", dot ? (int)(dot - name) : 0, name);
	row = json_object_get(json_object_get(row, partition), "adapters");
	row = dot ? json_object_get(row, dot + 1) : NULL;
	mac = text_of(row, "mac");
	if (!mac || rte_ether_unformat_addr(mac, &parsed) < 0)
		return error_set(error, -EINVAL,
			"distributor.targets.%s: %s is no adapter of a partition with a mac",
			target->name, name);
	target->is_local = true;
	snprintf(target->local_name, sizeof(target->local_name), "%s", name);
	memcpy(target->local_mac, parsed.addr_bytes, sizeof(target->local_mac));
	target->local_vlan = (uint16_t)json_integer_value(json_object_get(row, "vlan"));
	return 0;
}

static int read_target(
	const json_t *config, const json_t *row, struct vipa_target *target, struct error *error)
{
	const char *partition = text_of(row, "partition"), *health = text_of(row, "health");

	target->weight = (uint32_t)json_integer_value(json_object_get(row, "weight"));
	if (partition)
		return read_local(config, partition, target, error);
	target->has_heartbeat = health && strcmp(health, "heartbeat") == 0;
	if (!ip_address_parse(text_of(row, "address"), &target->address))
		return error_set(error, -EINVAL,
			"distributor.targets.%s: address or partition is needed", target->name);
	return 0;
}

/* The index that the name has in running, or one that is free in both. */
static int take_target(struct vipa_table *table, const struct vipa_table *running, const char *name)
{
	int at = find_target(running, name);

	if (at >= 0 && table->targets[at].name[0])
		at = -1; /* somebody else had to take it */
	for (int i = 0; at < 0 && i < VIPA_TARGETS_MAX; i++)
		if (!table->targets[i].name[0] && !(running && running->targets[i].name[0]))
			at = i;
	for (int i = 0; at < 0 && i < VIPA_TARGETS_MAX; i++)
		if (!table->targets[i].name[0])
			at = i;
	if (at < 0)
		return -1;
	if (running) {
		bool is_same = strcmp(running->targets[at].name, name) == 0;

		table->targets[at].generation =
			(uint8_t)(running->targets[at].generation + !is_same);
	}
	snprintf(table->targets[at].name, VIPA_NAME_SIZE, "%s", name);
	if (at >= table->target_count)
		table->target_count = (uint16_t)(at + 1);
	return at;
}

static int read_targets(const json_t *config, const json_t *section,
	const struct vipa_table *running, struct vipa_table *table, struct error *error)
{
	const char *name;
	json_t *row;
	int at;

	for (int i = 0; running && i < VIPA_TARGETS_MAX; i++)
		table->targets[i].generation = running->targets[i].generation;
	json_object_foreach (json_object_get(section, "targets"), name, row) {
		at = take_target(table, running, name);
		if (at < 0)
			return error_set(error, -E2BIG, "distributor.targets: more than %d",
				VIPA_TARGETS_MAX);
		if (read_target(config, row, &table->targets[at], error) < 0)
			return -EINVAL;
		table->has_local_targets |= table->targets[at].is_local;
	}
	return 0;
}

/* ---- VIPAs ---- */

static int read_service_targets(const json_t *row, const char *vipa, const struct vipa_table *table,
	struct vipa_service *service, struct error *error)
{
	const json_t *names = json_object_get(row, "targets"), *name;
	size_t i;
	int at;

	json_array_foreach (names, i, name) {
		at = find_target(table, json_string_value(name));
		if (at < 0 || service->target_count == VIPA_TARGETS_MAX)
			return error_set(error, -EINVAL,
				"distributor.vipas.%s.services.%s: there is no target %s", vipa,
				service->name, json_string_value(name));
		service->targets[service->target_count++] = (uint8_t)at;
	}
	for (uint16_t each = 0; json_array_size(names) == 0 && each < table->target_count; each++)
		if (table->targets[each].name[0])
			service->targets[service->target_count++] = (uint8_t)each;
	return 0;
}

static int read_service(struct vipa_table *table, uint16_t vipa, const char *name,
	const json_t *row, enum vipa_scheduling scheduling, struct error *error)
{
	struct vipa_service *service = &table->services[table->service_count];
	const char *persistence = text_of(row, "persistence");

	if (table->service_count == VIPA_SERVICES_MAX)
		return error_set(error, -E2BIG, "distributor.vipas: more than %d services in all",
			VIPA_SERVICES_MAX);
	table->service_count++;
	table->vipas[vipa].service_count++;
	snprintf(service->name, sizeof(service->name), "%s", name);
	service->vipa = vipa;
	service->protocol = ip_protocol_of(text_of(row, "protocol"));
	service->port = (uint16_t)json_integer_value(json_object_get(row, "port"));
	service->is_persistent = persistence && strcmp(persistence, "client") == 0;
	service->scheduling = (uint8_t)read_scheduling(row, scheduling);
	if (service->is_persistent)
		service->scheduling = VIPA_MAGLEV;
	return read_service_targets(row, table->vipas[vipa].name, table, service, error);
}

static int read_vipa(struct vipa_table *table, uint16_t at, const json_t *row,
	enum vipa_scheduling scheduling, struct error *error)
{
	struct vipa *vipa = &table->vipas[at];
	const char *security = text_of(row, "security"), *mac = text_of(row, "mac"), *name;
	struct rte_ether_addr parsed;
	json_t *service;

	vipa->vlan = (uint16_t)json_integer_value(json_object_get(row, "vlan"));
	if (!parse_prefix(text_of(row, "address"), vipa))
		return error_set(
			error, -EINVAL, "distributor.vipas.%s.address: no address", vipa->name);
	(void)ip_address_parse(text_of(row, "router"), &vipa->router);
	if (mac && rte_ether_unformat_addr(mac, &parsed) == 0)
		memcpy(vipa->mac, parsed.addr_bytes, sizeof(vipa->mac));
	else
		derive_mac(vipa, vipa->mac);
	if (security && strcmp(security, "required") == 0)
		vipa->security = VIPA_SECURITY_REQUIRED;
	else if (security && strcmp(security, "off") == 0)
		vipa->security = VIPA_SECURITY_OFF;
	vipa->first_service = table->service_count;
	json_object_foreach (json_object_get(row, "services"), name, service)
		if (read_service(table, at, name, service, scheduling, error) < 0)
			return -EINVAL;
	return 0;
}

static bool is_same_vipa(const struct vipa *vipa, const char *name, const char *address)
{
	struct vipa other = {.prefix = 0};

	return strcmp(vipa->name, name) == 0 && parse_prefix(address, &other)
		&& ip_address_is_equal(&vipa->address, &other.address);
}

/* As take_target(); another address is another VIPA. */
static int take_vipa(struct vipa_table *table, const struct vipa_table *running, const char *name,
	const char *address)
{
	int at = -1;

	for (int i = 0; running && at < 0 && i < VIPAS_MAX; i++)
		if (is_same_vipa(&running->vipas[i], name, address) && !table->vipas[i].name[0])
			at = i;
	for (int i = 0; at < 0 && i < VIPAS_MAX; i++)
		if (!table->vipas[i].name[0] && !(running && running->vipas[i].name[0]))
			at = i;
	for (int i = 0; at < 0 && i < VIPAS_MAX; i++)
		if (!table->vipas[i].name[0])
			at = i;
	if (at < 0)
		return -1;
	if (running && !is_same_vipa(&running->vipas[at], name, address))
		table->vipas[at].generation++;
	snprintf(table->vipas[at].name, VIPA_NAME_SIZE, "%s", name);
	if (at >= table->vipa_count)
		table->vipa_count = (uint16_t)(at + 1);
	return at;
}

static int read_vipas(const json_t *section, const struct vipa_table *running,
	struct vipa_table *table, struct error *error)
{
	enum vipa_scheduling scheduling = read_scheduling(section, VIPA_LEAST_CONNECTIONS);
	const char *name;
	json_t *row;
	int at;

	for (int i = 0; running && i < VIPAS_MAX; i++)
		table->vipas[i].generation = running->vipas[i].generation;
	json_object_foreach (json_object_get(section, "vipas"), name, row) {
		at = take_vipa(table, running, name, text_of(row, "address"));
		if (at < 0)
			return error_set(
				error, -E2BIG, "distributor.vipas: more than %d", VIPAS_MAX);
		if (read_vipa(table, (uint16_t)at, row, scheduling, error) < 0)
			return -EINVAL;
	}
	return 0;
}

/* ---- the table ---- */

/* There may be connections still from before the distributor went: they are not this one's. */
static void begin_generations(struct vipa_table *table)
{
	static uint8_t lives;

	lives++;
	for (int i = 0; i < VIPAS_MAX; i++)
		table->vipas[i].generation = lives;
	for (int i = 0; i < VIPA_TARGETS_MAX; i++)
		table->targets[i].generation = lives;
}

int vipa_table_create(const json_t *config, const struct vipa_table *running,
	struct vipa_table **out, struct error *error)
{
	const json_t *section = json_object_get(config, "distributor");
	const json_t *gateway = json_object_get(config, "gateway");
	const char *physical = text_of(gateway, "physical"), *death;
	bool has_host = json_object_get(gateway, "host") != NULL;
	struct vipa_table *table;

	*out = NULL;
	if (!section)
		return 0;
	table = calloc(1, sizeof(*table));
	if (table && !running)
		begin_generations(table);
	if (table)
		table->secrets = secret_create(VIPA_TARGETS_MAX * sizeof(struct vipa_secret));
	if (!table || !table->secrets) {
		vipa_table_destroy(table);
		return error_set(error, -ENOMEM, "distributor: no memory");
	}
	death = text_of(section, "on-target-death");
	table->moves = death && strcmp(death, "move") == 0;
	snprintf(
		table->physical_name, sizeof(table->physical_name), "%s", physical ? physical : "");
	snprintf(table->host_name, sizeof(table->host_name), "%s", has_host ? "host" : "");
	if (read_targets(config, section, running, table, error) < 0
		|| read_vipas(section, running, table, error) < 0) {
		vipa_table_destroy(table);
		return -EINVAL;
	}
	*out = table;
	return 0;
}

const char *vipa_key_file(const json_t *config, const char *target)
{
	const json_t *targets = json_object_get(json_object_get(config, "distributor"), "targets");

	return text_of(json_object_get(targets, target), "key-file");
}
