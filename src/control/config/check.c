/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks across options. The document may lack what was wrong in itself; a check that misses
 * something therefore says nothing, for the error has been reported already.
 */
#include "control/config/check.h"

#include "schema/json.h"

#include <stdlib.h>
#include <string.h>

#define VLAN_COUNT 4096
/* Half of the packet role's table (PORTS_MAX, port.h), since while they change old and new ones are
 * there side by side. */
#define PORTS_MAX 2048

bool check_is_written(const struct load *load, const char *path)
{
	return load->root && yaml_find(load->root, path);
}

static void check_trunks(struct load *load, const json_t *gateway)
{
	const char *owner[VLAN_COUNT] = {NULL};
	const char *name;
	json_t *trunk, *vlan;
	size_t i;
	char path[CONFIG_PATH_SIZE];

	json_object_foreach (json_object_get(gateway, "trunks"), name, trunk) {
		json_array_foreach (json_object_get(trunk, "vlans"), i, vlan) {
			json_int_t id = json_integer_value(vlan);

			if (owner[id]) {
				snprintf(path, sizeof(path), "gateway.trunks.%s.vlans", name);
				load_error(load, path, "each VLAN in one trunk",
					"VLAN %" JSON_INTEGER_FORMAT " is in trunk %s already", id,
					owner[id]);
				break;
			}
			owner[id] = name;
		}
	}
	if (json_object_size(json_object_get(gateway, "trunks")) && !text_of(gateway, "physical")
		&& !check_is_written(load, "gateway.physical"))
		load_warning(load, "gateway.trunks", NULL,
			"the trunks lead nowhere: gateway.physical is not set");
}

static bool is_in_trunk(const json_t *gateway, json_int_t vlan)
{
	const char *name;
	json_t *trunk, *member;
	size_t i;

	json_object_foreach (json_object_get(gateway, "trunks"), name, trunk)
		json_array_foreach (json_object_get(trunk, "vlans"), i, member)
			if (json_integer_value(member) == vlan)
				return true;
	return false;
}

/* The adapters that could be the physical one. */
static void join_physical(const json_t *adapters, char *out, size_t size)
{
	const char *name, *kind;
	json_t *adapter;
	size_t used = 0;

	out[0] = '\0';
	json_object_foreach ((json_t *)adapters, name, adapter) {
		int added;

		kind = text_of(adapter, "kind");
		if (kind && strcmp(kind, "physical") != 0)
			continue;
		added = snprintf(out + used, size - used, "%s%s", used ? ", " : "one of ", name);
		if (added < 0 || (size_t)added >= size - used)
			return;
		used += (size_t)added;
	}
}

static void check_physical(struct load *load, const json_t *gateway)
{
	const json_t *adapters = json_object_get(load->document, "adapters");
	const char *physical = text_of(gateway, "physical");
	const json_t *adapter = physical ? json_object_get(adapters, physical) : NULL;
	char valid[256];
	const char *kind;

	if (!physical)
		return;
	if (!adapter) {
		join_physical(adapters, valid, sizeof(valid));
		load_error(load, "gateway.physical",
			valid[0] ? valid : "the name of an adapter under `adapters`",
			"there is no adapter of this name");
		return;
	}
	kind = text_of(adapter, "kind");
	if (kind && strcmp(kind, "physical") != 0)
		load_error(load, "gateway.physical", "an adapter of kind physical",
			"the adapter is of kind %s", kind);
}

static bool uses_engine(const json_t *inspection, const char *name)
{
	json_t *engine;
	size_t i;

	json_array_foreach (json_object_get(inspection, "engines"), i, engine)
		if (strcmp(json_string_value(engine), name) == 0)
			return true;
	return false;
}

static bool is_link_used(const json_t *document, const char *name)
{
	const json_t *inspection = json_object_get(document, "inspection");
	const char *asked = text_of(json_object_get(inspection, "appliance"), "link");
	const char *serving = text_of(json_object_get(document, "appliance"), "link");

	const char *distributing = text_of(json_object_get(document, "distributor"), "link");
	const char *targeted = text_of(json_object_get(document, "target"), "link");

	return (asked && strcmp(asked, name) == 0) || (serving && strcmp(serving, name) == 0)
		|| (distributing && strcmp(distributing, name) == 0)
		|| (targeted && strcmp(targeted, name) == 0);
}

static void check_adapters(struct load *load, const json_t *gateway)
{
	const json_t *adapters = json_object_get(load->document, "adapters");
	const char *physical = text_of(gateway, "physical"), *name, *kind;
	char path[CONFIG_PATH_SIZE];
	json_t *adapter;

	json_object_foreach ((json_t *)adapters, name, adapter) {
		kind = text_of(adapter, "kind");
		snprintf(path, sizeof(path), "adapters.%s", name);
		/* A name of the gateway's that is wrong has been reported, and is not this
		 * adapter's fault. */
		if (kind && strcmp(kind, "physical") == 0
			&& (!physical
				|| (strcmp(physical, name) != 0
					&& json_object_get(adapters, physical))))
			load_warning(load, path, NULL,
				"nothing uses this adapter: gateway.physical names %s",
				physical ? physical : "none");
		else if (kind && strcmp(kind, "xcf") == 0 && !is_link_used(load->document, name))
			load_warning(
				load, path, NULL, "nothing uses this link: no section names it");
	}
}

static void check_host(struct load *load, const json_t *gateway)
{
	const json_t *host = json_object_get(gateway, "host");
	json_int_t vlan = json_integer_value(json_object_get(host, "vlan"));

	if (vlan && !is_in_trunk(gateway, vlan))
		load_warning(load, "gateway.host.vlan", NULL,
			"no trunk carries this VLAN: the host reaches the outside only");
}

static void check_trunk_port(struct load *load, const json_t *adapter, const char *base)
{
	char vlan[CONFIG_PATH_SIZE], vlans[CONFIG_PATH_SIZE];
	const json_t *list = json_object_get(adapter, "vlans");

	snprintf(vlan, sizeof(vlan), "%.490s.vlan", base);
	snprintf(vlans, sizeof(vlans), "%.490s.vlans", base);
	/* A list that was written and is not in the document has been reported. */
	if (check_is_written(load, vlan) || json_array_size(list)
		|| (!list && check_is_written(load, vlans)))
		return;
	load_error(load, base, "vlans: [10, 20-29], or vlan: 10",
		"a port with mode trunk is in no VLAN");
}

static void check_access_port(
	struct load *load, const json_t *gateway, const json_t *adapter, const char *base)
{
	json_int_t vlan = json_integer_value(json_object_get(adapter, "vlan"));
	char path[CONFIG_PATH_SIZE + 16];

	if (json_array_size(json_object_get(adapter, "vlans"))) {
		snprintf(path, sizeof(path), "%s.vlans", base);
		load_error(load, path, "mode: trunk, or vlan alone",
			"tagged VLANs on a port with mode access");
	}
	snprintf(path, sizeof(path), "%s.vlan", base);
	if (!vlan && !check_is_written(load, path))
		load_error(load, path, "vlan: 1 to 4094", "an access port needs its VLAN");
	else if (vlan && !is_in_trunk(gateway, vlan))
		load_warning(
			load, path, NULL, "no trunk carries this VLAN: it stays within this host");
}

static void check_vlans(
	struct load *load, const json_t *gateway, const json_t *adapter, const char *base)
{
	const char *mode = text_of(adapter, "mode");

	if (mode && strcmp(mode, "access") == 0)
		check_access_port(load, gateway, adapter, base);
	else if (mode)
		check_trunk_port(load, adapter, base);
}

/* A guard that was asked for, but has nothing to hold the partition to. */
static void check_guard(struct load *load, const json_t *adapter, const char *base)
{
	static const char *const by_address[] = {"ip", "arp", "nd"};
	const json_t *guard = json_object_get(adapter, "guard");
	char path[CONFIG_PATH_SIZE];

	snprintf(path, sizeof(path), "%.490s.mac", base);
	if (json_is_true(json_object_get(guard, "mac")) && !check_is_written(load, path)) {
		snprintf(path, sizeof(path), "%.490s.guard.mac", base);
		load_error(load, path, "false, or the adapter with its `mac`",
			"the guard has no address to hold it to");
	}
	snprintf(path, sizeof(path), "%.490s.addresses", base);
	if (check_is_written(load, path)
		&& (json_array_size(json_object_get(adapter, "addresses"))
			|| !json_object_get(adapter, "addresses")))
		return;
	for (size_t i = 0; i < sizeof(by_address) / sizeof(by_address[0]); i++) {
		if (!json_is_true(json_object_get(guard, by_address[i])))
			continue;
		snprintf(path, sizeof(path), "%.490s.guard.%s", base, by_address[i]);
		load_error(load, path, "false, or the adapter with its `addresses`",
			"the guard has no addresses to hold it to");
	}
}

static void check_partitions(struct load *load, const json_t *gateway)
{
	const char *partition_name, *name;
	json_t *partition, *adapter;
	char base[CONFIG_PATH_SIZE];

	json_object_foreach (
		json_object_get(load->document, "partitions"), partition_name, partition) {
		json_object_foreach (json_object_get(partition, "adapters"), name, adapter) {
			snprintf(base, sizeof(base), "partitions.%s.adapters.%s", partition_name,
				name);
			check_vlans(load, gateway, adapter, base);
			check_guard(load, adapter, base);
		}
	}
}

static void check_engines(struct load *load, const json_t *inspection)
{
	const json_t *engines = json_object_get(inspection, "engines");
	bool has_none = false;
	json_t *engine, *other;
	size_t i, j;

	json_array_foreach (engines, i, engine) {
		has_none |= strcmp(json_string_value(engine), "none") == 0;
		json_array_foreach (engines, j, other) {
			if (j > i && json_equal(engine, other)) {
				load_error(load, "inspection.engines", "each engine once",
					"%s is in the list twice", json_string_value(engine));
				return;
			}
		}
	}
	if (has_none && json_array_size(engines) > 1)
		load_error(load, "inspection.engines", "[none], or the list without none",
			"none stands beside other engines");
	else if (has_none && json_array_size(json_object_get(inspection, "rules")))
		load_warning(load, "inspection.rules", NULL,
			"nothing uses the rules: inspection.engines is [none]");
}

void check_link(struct load *load, const char *path, const char *name)
{
	const json_t *adapter = json_object_get(json_object_get(load->document, "adapters"), name);
	const char *kind = text_of(adapter, "kind");

	if (!adapter)
		load_error(load, path, "the name of an adapter of kind xcf",
			"there is no adapter of this name");
	else if (kind && strcmp(kind, "xcf") != 0)
		load_error(load, path, "an adapter of kind xcf", "the adapter is of kind %s", kind);
}

/* One host, of the family that local has. */
void check_link_address(struct load *load, const char *path, const char *address, const char *local)
{
	if (!address)
		return;
	if (strchr(address, '/'))
		load_error(load, path, "the address of one host", "it is a prefix");
	else if (local && !strchr(address, ':') != !strchr(local, ':'))
		load_error(load, path, "addresses that are all IPv4 or all IPv6",
			"%s and local, %s, are of two kinds", address, local);
}

static void check_link_section(struct load *load, const json_t *section, const char *base)
{
	static const char *const keys[] = {"local", "remote", "next-hop"};
	const char *link = text_of(section, "link"), *local = text_of(section, "local");
	char path[CONFIG_PATH_SIZE];
	json_t *client;
	size_t i;

	if (link) {
		snprintf(path, sizeof(path), "%s.link", base);
		check_link(load, path, link);
	}
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		snprintf(path, sizeof(path), "%s.%s", base, keys[k]);
		check_link_address(load, path, text_of(section, keys[k]), local);
	}
	snprintf(path, sizeof(path), "%s.clients", base);
	json_array_foreach (json_object_get(section, "clients"), i, client)
		check_link_address(load, path, json_string_value(client), local);
}

static void check_appliance(struct load *load)
{
	const json_t *inspection = json_object_get(load->document, "inspection");
	const json_t *asked = json_object_get(inspection, "appliance");
	const json_t *serving = json_object_get(load->document, "appliance");
	bool is_used = uses_engine(inspection, "appliance");

	if (is_used && !asked && !check_is_written(load, "inspection.appliance"))
		load_error(load, "inspection.engines",
			"a section inspection.appliance, or other engines",
			"the engine appliance needs to know where it is");
	if (asked)
		check_link_section(load, asked, "inspection.appliance");
	if (asked && !is_used && json_object_get(inspection, "engines"))
		load_warning(load, "inspection.appliance", NULL,
			"nothing uses it: inspection.engines has no appliance");
	if (!serving)
		return;
	check_link_section(load, serving, "appliance");
	if (uses_engine(inspection, "none"))
		load_warning(load, "appliance", NULL,
			"this appliance passes all: inspection.engines is [none]");
}

static void check_inspection(struct load *load)
{
	const json_t *inspection = json_object_get(load->document, "inspection");
	json_int_t depth = json_integer_value(json_object_get(inspection, "stream-depth"));
	const json_t *memory = json_object_get(inspection, "stream-memory");

	check_engines(load, inspection);
	if (memory && depth > json_integer_value(memory))
		load_error(load,
			check_is_written(load, "inspection.stream-depth")
				? "inspection.stream-depth"
				: "inspection.stream-memory",
			"a depth of the memory at most",
			"inspection.stream-depth is more than inspection.stream-memory");
}

static void check_cores(struct load *load)
{
	const json_t *packet = json_object_get(load->document, "packet");
	const json_t *cores = json_object_get(packet, "cores");
	const json_t *workers = json_object_get(packet, "workers");
	json_t *core, *other;
	size_t i, j;

	if (workers && json_array_size(cores)
		&& (json_int_t)json_array_size(cores) != json_integer_value(workers))
		load_error(load, "packet.cores", "one core for each of packet.workers, or []",
			"%zu cores for %" JSON_INTEGER_FORMAT " workers", json_array_size(cores),
			json_integer_value(workers));
	json_array_foreach (cores, i, core) {
		json_array_foreach (cores, j, other) {
			if (j > i && json_equal(core, other))
				load_error(load, "packet.cores", "each core once",
					"core %" JSON_INTEGER_FORMAT " is in the list twice",
					json_integer_value(core));
		}
	}
}

static void check_port_count(struct load *load, const json_t *gateway)
{
	size_t count = json_object_size(json_object_get(load->document, "adapters"))
		+ (json_object_get(gateway, "host") != NULL)
		+ (json_object_get(load->document, "target") != NULL);
	const char *name;
	json_t *partition;

	json_object_foreach (json_object_get(load->document, "partitions"), name, partition)
		count += json_object_size(json_object_get(partition, "adapters"));
	if (count > PORTS_MAX)
		load_error(
			load, "partitions", NULL, "%zu ports in all; %d at most", count, PORTS_MAX);
}

/* Loopback, as the default is: whoever reaches another address reads the metrics without a name. */
static void check_metrics(struct load *load)
{
	const char *endpoint = text_of(json_object_get(load->document, "control"), "metrics");

	if (endpoint && strcmp(endpoint, "none") != 0 && strncmp(endpoint, "127.", 4) != 0
		&& strncmp(endpoint, "[::1]:", 6) != 0)
		load_warning(load, "control.metrics", NULL,
			"not a loopback address: everybody who reaches it reads the metrics, over "
			"plain HTTP");
}

void config_check(struct load *load)
{
	const json_t *gateway = json_object_get(load->document, "gateway");

	check_trunks(load, gateway);
	check_physical(load, gateway);
	check_adapters(load, gateway);
	check_host(load, gateway);
	check_partitions(load, gateway);
	check_port_count(load, gateway);
	check_unique(load);
	check_inspection(load);
	check_appliance(load);
	check_ipsec(load);
	check_distributor(load);
	check_channels(load);
	check_target_section(load);
	check_filters(load);
	check_variables(load);
	check_cores(load);
	check_metrics(load);
}
