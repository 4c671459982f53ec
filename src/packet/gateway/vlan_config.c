/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds a vlan_table from the normalised configuration (schema/config_schema.h). Control thread.
 */
#include "packet/gateway/fdb_table.h"
#include "packet/gateway/vlan_table.h"
#include "wire/ip_address.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdlib.h>

struct builder {
	const json_t *config, *gateway;
	const struct vlan_table *running;
	struct vlan_table *table;
	uint32_t statics_size;
	struct error *error;
};

static const json_t *get(const json_t *object, const char *key)
{
	return json_object_get(object, key);
}

static json_int_t get_integer(const json_t *object, const char *key)
{
	return json_integer_value(get(object, key));
}

static bool get_bool(const json_t *object, const char *key, bool absent)
{
	const json_t *value = get(object, key);

	return value ? json_is_true(value) : absent;
}

static bool is_vlan(json_int_t vlan)
{
	return vlan >= ETH_VLAN_ID_MIN && vlan <= ETH_VLAN_ID_MAX;
}

static int no_memory(struct builder *builder)
{
	return error_set(builder->error, -ENOMEM, "no memory for the switch's tables");
}

/* The index of a trunk adapter: the one it has already, or a free one. */
static int find_trunk_index(const struct builder *builder, const char *name)
{
	const struct vlan_table *running = builder->running;

	for (int i = 0; running && i < TRUNKS_MAX; i++)
		if (strcmp(running->trunk_names[i], name) == 0)
			return i;
	for (int i = 0; i < TRUNKS_MAX; i++) {
		if (!builder->table->trunk_names[i][0] && !(running && running->trunk_names[i][0]))
			return i;
	}
	/* All that are free now belong to trunks that leave with this change. */
	for (int i = 0; i < TRUNKS_MAX; i++)
		if (!builder->table->trunk_names[i][0])
			return i;
	return -1;
}

static int read_trunks(struct builder *builder)
{
	struct vlan_table *table = builder->table;
	json_t *trunks = json_object_get(builder->gateway, "trunks"), *trunk, *element;
	const char *name;
	size_t i;

	if (json_object_size(trunks) > TRUNKS_MAX)
		return error_set(builder->error, -E2BIG,
			"gateway.trunks: %zu trunk adapters; there can be %d",
			json_object_size(trunks), TRUNKS_MAX);
	json_object_foreach (trunks, name, trunk) {
		int index = find_trunk_index(builder, name);

		if (index < 0)
			return error_set(builder->error, -E2BIG,
				"gateway.trunks.%s: no index is free for it; remove old trunk "
				"adapters in a change of their own first",
				name);
		snprintf(table->trunk_names[index], TRUNK_NAME_SIZE, "%s", name);
		json_array_foreach (get(trunk, "vlans"), i, element) {
			json_int_t vlan = json_integer_value(element);

			if (!is_vlan(vlan))
				continue;
			if (table->vlans[vlan].trunk != TRUNK_NONE)
				return error_set(builder->error, -EINVAL,
					"gateway.trunks.%s.vlans: VLAN %d belongs to trunk adapter "
					"%s already; a VLAN belongs to one",
					name, (int)vlan,
					table->trunk_names[table->vlans[vlan].trunk]);
			table->vlans[vlan].trunk = (uint8_t)index;
			table->details[vlan].is_configured = true;
		}
	}
	return 0;
}

static void read_vlans(struct builder *builder)
{
	struct vlan_table *table = builder->table;
	const json_t *inspection = get(builder->config, "inspection");
	const char *scope = json_string_value(get(inspection, "scope"));
	json_t *vlans = json_object_get(builder->gateway, "vlans"), *section;
	const char *key;

	for (int i = 0; i < ETH_VLAN_ID_COUNT; i++) {
		table->vlans[i].flags = VLAN_FLOOD;
		if (scope && strcmp(scope, "all") == 0)
			table->vlans[i].flags |= VLAN_INSPECT_ALL;
	}
	json_object_foreach (vlans, key, section) {
		const char *inspect = json_string_value(get(section, "inspect"));
		int vlan = atoi(key);

		if (!is_vlan(vlan))
			continue;
		table->details[vlan].is_configured = true;
		table->details[vlan].addresses_max = (uint32_t)get_integer(section, "mac-limit");
		if (!get_bool(section, "flood", true))
			table->vlans[vlan].flags &= (uint8_t)~VLAN_FLOOD;
		if (inspect && strcmp(inspect, "all") == 0)
			table->vlans[vlan].flags |= VLAN_INSPECT_ALL;
		else if (inspect)
			table->vlans[vlan].flags &= (uint8_t)~VLAN_INSPECT_ALL;
	}
}

static bool has_inspection(const json_t *config)
{
	const json_t *engines = get(get(config, "inspection"), "engines"), *engine;
	size_t i;

	json_array_foreach (engines, i, engine)
		if (strcmp(json_string_value(engine), "none") != 0)
			return true;
	return false;
}

/* The state of a port lives on while index and generation stay. */
static struct switch_port_state *get_state(struct builder *builder, const struct port *port)
{
	const struct switch_port *old =
		builder->running ? vlan_table_port(builder->running, port->index) : NULL;
	struct switch_port_state *state;

	if (old && old->generation == port->generation) {
		old->state->references++;
		return old->state;
	}
	if (posix_memalign((void **)&state, RTE_CACHE_LINE_SIZE, sizeof(*state)))
		return NULL;
	*state = (struct switch_port_state){
		.references = 1, .index = port->index, .generation = port->generation};
	memcpy(state->name, port->config.name, sizeof(state->name));
	return state;
}

/* Enters the port of that name; *out is NULL when the port module does not know it. */
static int add_port(struct builder *builder, const char *name, struct switch_port **out,
	struct switch_port_plan **plan)
{
	struct vlan_table *table = builder->table;
	const struct port *port = port_find(name);
	struct switch_port_plan *plans;
	struct switch_port *entry;

	*out = NULL;
	if (!port || port->index >= PORTS_MAX
		|| table->ports[port->index].flags & SWITCH_PORT_IS_THERE)
		return 0;
	plans = realloc(table->plans, (table->plan_count + 1) * sizeof(*plans));
	if (!plans)
		return no_memory(builder);
	table->plans = plans;
	entry = &table->ports[port->index];
	entry->state = get_state(builder, port);
	if (!entry->state)
		return no_memory(builder);
	entry->generation = port->generation;
	entry->kind = port->kind;
	entry->flags = SWITCH_PORT_IS_THERE;
	if (port->index >= table->port_count)
		table->port_count = (uint16_t)(port->index + 1);
	*plan = &plans[table->plan_count++];
	**plan = (struct switch_port_plan){.index = port->index};
	*out = entry;
	return 0;
}

static int add_static(struct builder *builder, uint16_t vlan, const uint8_t *mac, uint16_t port,
	enum fdb_kind kind)
{
	struct vlan_table *table = builder->table;
	uint8_t padded[8] = {0};

	if (table->static_count == builder->statics_size) {
		uint32_t size = builder->statics_size ? builder->statics_size * 2 : 64;
		struct static_address *statics = realloc(table->statics, size * sizeof(*statics));

		if (!statics)
			return no_memory(builder);
		table->statics = statics;
		builder->statics_size = size;
	}
	memcpy(padded, mac, ETH_ADDRESS_SIZE);
	table->statics[table->static_count++] = (struct static_address){
		.key = fdb_key(vlan, padded), .port = port, .kind = (uint8_t)kind};
	return 0;
}

static int read_physical(struct builder *builder)
{
	const char *name = json_string_value(get(builder->gateway, "physical"));
	struct switch_port *port;
	struct switch_port_plan *plan;
	int status;

	if (!name)
		return 0;
	status = add_port(builder, name, &port, &plan);
	if (status < 0 || !port)
		return status;
	port->flags |= SWITCH_PORT_TAKES_TAGS | SWITCH_PORT_ALL_VLANS;
	port->pvid = (uint16_t)get_integer(builder->gateway, "native-vlan");
	builder->table->physical_port = plan->index;
	return 0;
}

static int read_host(struct builder *builder)
{
	const json_t *host = get(builder->gateway, "host");
	struct vlan_table *table = builder->table;
	struct switch_port *port;
	struct switch_port_plan *plan;
	int status;

	if (!host)
		return 0;
	status = add_port(builder, "host", &port, &plan);
	if (status < 0 || !port)
		return status;
	port->pvid = table->host_vlan = (uint16_t)get_integer(host, "vlan");
	table->host_port = plan->index;
	table->details[table->host_vlan].is_configured = true;
	return 0;
}

static bool parse_mac(const json_t *value, uint8_t mac[ETH_ADDRESS_SIZE])
{
	const char *text = json_string_value(value);
	struct rte_ether_addr address;

	if (!text || rte_ether_unformat_addr(text, &address) != 0)
		return false;
	memcpy(mac, address.addr_bytes, ETH_ADDRESS_SIZE);
	return true;
}

/* "192.0.2.10", "2001:db8::/64". Returns the version, 0 when it is none. */
static int parse_prefix(const char *text, struct guard_prefix *out)
{
	struct ip_address address;
	uint8_t length;

	*out = (struct guard_prefix){0};
	if (!ip_address_parse_prefix(text, &address, &length))
		return 0;
	for (int i = 0; i < length; i++)
		out->mask[i / 8] |= (uint8_t)(0x80 >> (i % 8));
	for (int i = 0; i < 16; i++)
		out->address[i] = address.bytes[i] & out->mask[i];
	return address.version;
}

/* fe80::/64 and the modified EUI-64 of the MAC (RFC 4291 appendix A). */
static void make_link_local(const uint8_t mac[ETH_ADDRESS_SIZE], uint8_t out[16])
{
	memset(out, 0, 16);
	out[0] = 0xfe;
	out[1] = 0x80;
	memcpy(out + 8, mac, 3);
	out[8] ^= 2;
	out[11] = 0xff;
	out[12] = 0xfe;
	memcpy(out + 13, mac + 3, 3);
}

static uint8_t read_guard_flags(const json_t *section)
{
	static const struct {
		const char *key;
		uint8_t flag;
	} rows[] = {{"mac", GUARD_MAC}, {"ip", GUARD_IP}, {"arp", GUARD_ARP}, {"nd", GUARD_ND},
		{"dhcp", GUARD_DHCP}, {"ra", GUARD_RA}, {"eapol", GUARD_EAPOL}};
	uint8_t flags = 0;

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		if (get_bool(section, rows[i].key, false))
			flags |= rows[i].flag;
	return flags;
}

static int read_guard(struct builder *builder, const json_t *adapter, struct switch_port *port)
{
	const json_t *addresses = get(adapter, "addresses"), *statics = get(adapter, "static");
	uint8_t flags = read_guard_flags(get(adapter, "guard"));
	struct guard *guard;
	const json_t *element;
	size_t i;

	if (!flags)
		return 0;
	guard = calloc(1, sizeof(*guard));
	if (!guard)
		return no_memory(builder);
	port->guard = guard;
	guard->flags = flags;
	guard->macs = calloc(json_array_size(statics) + 1, sizeof(*guard->macs));
	guard->ipv4 = calloc(json_array_size(addresses) + 1, sizeof(*guard->ipv4));
	guard->ipv6 = calloc(json_array_size(addresses) + 1, sizeof(*guard->ipv6));
	if (!guard->macs || !guard->ipv4 || !guard->ipv6)
		return no_memory(builder);
	if (parse_mac(get(adapter, "mac"), guard->macs[0]))
		guard->mac_count++;
	json_array_foreach (statics, i, element)
		if (parse_mac(element, guard->macs[guard->mac_count]))
			guard->mac_count++;
	json_array_foreach (addresses, i, element) {
		struct guard_prefix prefix;
		int version = parse_prefix(json_string_value(element), &prefix);

		if (version == 4)
			guard->ipv4[guard->ipv4_count++] = prefix;
		else if (version == 6)
			guard->ipv6[guard->ipv6_count++] = prefix;
	}
	if (guard->mac_count && guard->ipv6_count) {
		guard->has_ipv6_link_local = true;
		make_link_local(guard->macs[0], guard->ipv6_link_local);
	}
	return 0;
}

static void read_limits(const json_t *adapter, struct switch_port_plan *plan)
{
	const json_t *rate = get(adapter, "rate"), *storm = get(adapter, "storm");

	plan->rate_in = (uint64_t)get_integer(rate, "in");
	plan->rate_out = (uint64_t)get_integer(rate, "out");
	plan->storm[STORM_BROADCAST] = (uint64_t)get_integer(storm, "broadcast");
	plan->storm[STORM_MULTICAST] = (uint64_t)get_integer(storm, "multicast");
	plan->storm[STORM_UNKNOWN_UNICAST] = (uint64_t)get_integer(storm, "unknown-unicast");
	plan->addresses_max = (uint32_t)get_integer(adapter, "mac-limit");
}

static int read_membership(struct builder *builder, const json_t *adapter, struct switch_port *port)
{
	const char *mode = json_string_value(get(adapter, "mode"));
	uint64_t *tagged;
	const json_t *element;
	size_t i;

	port->pvid = (uint16_t)get_integer(adapter, "vlan");
	port->priority = (uint8_t)get_integer(adapter, "priority");
	if (!mode || strcmp(mode, "trunk") != 0)
		return 0;
	port->flags |= SWITCH_PORT_TAKES_TAGS;
	tagged = calloc(ETH_VLAN_ID_COUNT / 64, sizeof(*tagged));
	if (!tagged)
		return no_memory(builder);
	port->tagged = tagged;
	json_array_foreach (get(adapter, "vlans"), i, element) {
		json_int_t vlan = json_integer_value(element);

		if (is_vlan(vlan) && vlan != port->pvid)
			tagged[vlan / 64] |= 1ULL << (vlan % 64);
	}
	return 0;
}

static int add_statics_of(struct builder *builder, const json_t *adapter,
	const struct switch_port *port, uint16_t index)
{
	const json_t *list = get(adapter, "static");
	int status = 0;

	for (size_t i = 0; i <= json_array_size(list); i++) {
		uint8_t mac[ETH_ADDRESS_SIZE];

		if (!parse_mac(i ? json_array_get(list, i - 1) : get(adapter, "mac"), mac))
			continue;
		for (uint16_t vlan = ETH_VLAN_ID_MIN; vlan <= ETH_VLAN_ID_MAX && !status; vlan++)
			if (switch_port_carries(port, vlan))
				status = add_static(builder, vlan, mac, index, FDB_INTERNAL);
	}
	return status;
}

static int read_adapter(struct builder *builder, const char *name, const json_t *adapter)
{
	struct switch_port *port;
	struct switch_port_plan *plan;
	int status = add_port(builder, name, &port, &plan);

	if (status < 0 || !port)
		return status;
	read_limits(adapter, plan);
	status = read_membership(builder, adapter, port);
	if (!status)
		status = read_guard(builder, adapter, port);
	return status ? status : add_statics_of(builder, adapter, port, plan->index);
}

static int read_partitions(struct builder *builder)
{
	json_t *partitions = json_object_get(builder->config, "partitions"), *partition, *adapter;
	const char *partition_name, *adapter_name;

	json_object_foreach (partitions, partition_name, partition) {
		json_object_foreach (
			json_object_get(partition, "adapters"), adapter_name, adapter) {
			char name[PORT_NAME_SIZE];
			int status;

			snprintf(name, sizeof(name), "%s.%s", partition_name, adapter_name);
			status = read_adapter(builder, name, adapter);
			if (status < 0)
				return status;
		}
	}
	return 0;
}

/* Writes the list of member ports of each VLAN, one behind the other. */
static int make_members(struct builder *builder)
{
	struct vlan_table *table = builder->table;
	uint32_t total = 0;

	for (int pass = 0; pass < 2; pass++) {
		uint32_t at = 0;

		for (uint16_t vlan = ETH_VLAN_ID_MIN; vlan <= ETH_VLAN_ID_MAX; vlan++) {
			uint32_t first = at;

			for (uint16_t i = 0; i < table->port_count; i++) {
				const struct switch_port *port = vlan_table_port(table, i);

				if (!port || port->kind != PORT_PARTITION
					|| !switch_port_carries(port, vlan))
					continue;
				if (table->members)
					table->members[at] = i;
				at++;
			}
			table->vlans[vlan].first_member = first;
			table->vlans[vlan].member_count = (uint16_t)(at - first);
			table->details[vlan].is_configured |= at != first;
		}
		total = at;
		if (pass)
			break;
		table->members = calloc(total + 1, sizeof(*table->members));
		if (!table->members)
			return no_memory(builder);
	}
	return 0;
}

static int compare_statics(const void *a, const void *b)
{
	uint64_t left = ((const struct static_address *)a)->key;
	uint64_t right = ((const struct static_address *)b)->key;

	return left < right ? -1 : left > right;
}

static void format_key(uint64_t key, char *out, size_t size)
{
	uint8_t mac[ETH_ADDRESS_SIZE];

	fdb_key_mac(key, mac);
	snprintf(out, size, RTE_ETHER_ADDR_PRT_FMT, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* An address can be behind one port of a VLAN only, and all of them have to fit. */
static int check_statics(struct builder *builder)
{
	struct vlan_table *table = builder->table;
	json_int_t entries_max = get_integer(builder->gateway, "fdb-max");
	uint32_t kept = 0;

	if (table->static_count > entries_max)
		return error_set(builder->error, -ENOSPC,
			"gateway.fdb-max: %u configured addresses do not fit into %d entries",
			table->static_count, (int)entries_max);
	if (table->static_count)
		qsort(table->statics, table->static_count, sizeof(*table->statics),
			compare_statics);
	for (uint32_t i = 0; i < table->static_count; i++) {
		const struct static_address *entry = &table->statics[i];
		char mac[RTE_ETHER_ADDR_FMT_SIZE];

		if (!kept || table->statics[kept - 1].key != entry->key) {
			table->statics[kept++] = *entry;
			continue;
		}
		if (table->statics[kept - 1].port == entry->port)
			continue;
		format_key(entry->key, mac, sizeof(mac));
		return error_set(builder->error, -EINVAL,
			"partitions: address %s is configured for both %s and %s in VLAN %u; it "
			"can be behind one port only",
			mac, table->ports[table->statics[kept - 1].port].state->name,
			table->ports[entry->port].state->name, fdb_key_vlan(entry->key));
	}
	table->static_count = kept;
	return 0;
}

static int build(struct builder *builder)
{
	const char *reserved = json_string_value(get(builder->gateway, "reserved-addresses"));
	int status = read_trunks(builder);

	if (status < 0)
		return status;
	builder->table->forwards_reserved = !reserved || strcmp(reserved, "forward") == 0;
	builder->table->has_inspection = has_inspection(builder->config);
	read_vlans(builder);
	status = read_physical(builder);
	if (!status)
		status = read_host(builder);
	if (!status)
		status = read_partitions(builder);
	if (!status)
		status = make_members(builder);
	return status ? status : check_statics(builder);
}

int vlan_table_create(const json_t *config, const struct vlan_table *running,
	struct vlan_table **out, struct error *error)
{
	struct builder builder = {
		.config = config,
		.gateway = get(config, "gateway"),
		.running = running,
		.table = vlan_table_create_empty(),
		.error = error,
	};
	int status;

	if (!builder.table)
		return no_memory(&builder);
	status = build(&builder);
	if (status < 0) {
		vlan_table_destroy(builder.table);
		return status;
	}
	*out = builder.table;
	return 0;
}
