/* SPDX-License-Identifier: BSD-3-Clause */
/* vlan.list, fdb.list, fdb.flush, the switch's part of port.list, and metrics. Control thread. */
#include "packet/gateway/fdb_control.h"
#include "packet/gateway/gateway_control.h"
#include "packet/gateway/trunk_counters.h"
#include "schema/api_schema.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdlib.h>

/* A page is closed behind these: one more row, and the trunks, fit into IPC_MESSAGE_SIZE. */
#define PAGE_SIZE_MAX (32 * 1024)
#define VLAN_ROW_SIZE 160 /* without the members */

static const char *port_name(uint16_t index)
{
	const struct switch_port *port = vlan_table_port(vlan_table, index);

	return port ? port->state->name : "";
}

/* ---- VLANs ---- */

static const char *failure_policy(uint16_t vlan)
{
	const json_t *config = packet_config();
	const json_t *vlans = json_object_get(json_object_get(config, "gateway"), "vlans");
	const json_t *policy = json_object_get(json_object_get(config, "inspection"), "on-failure");
	const char *text;
	char key[8];

	snprintf(key, sizeof(key), "%u", vlan);
	text = json_string_value(json_object_get(json_object_get(vlans, key), "on-failure"));
	if (!text)
		text = json_string_value(json_object_get(policy, "default"));
	return text ? text : "drop";
}

/* Adds the names of the VLAN's ports to the two lists, as many as a message takes; returns their
 * size in it. */
static size_t list_members(uint16_t vlan, json_t *members, json_t *tagged)
{
	bool has_trunk = vlan_table->vlans[vlan].trunk != TRUNK_NONE;
	char text[32];
	size_t size = 0;
	uint32_t more = 0;

	for (uint16_t i = 0; i < vlan_table->port_count; i++) {
		const struct switch_port *port = vlan_table_port(vlan_table, i);

		/* The physical adapter carries what a trunk leads to. */
		if (!port || !switch_port_carries(port, vlan)
			|| (port->kind == PORT_PHYSICAL && !has_trunk))
			continue;
		if (size > PAGE_SIZE_MAX) {
			more++;
			continue;
		}
		size += strlen(port->state->name) + 3;
		json_array_append_new(switch_port_is_tagged(port, vlan) ? tagged : members,
			json_string(port->state->name));
	}
	snprintf(text, sizeof(text), "and %u more", more);
	if (more)
		json_array_append_new(members, json_string(text));
	return size;
}

static json_t *describe_vlan(uint16_t vlan, size_t *size)
{
	const struct vlan *row = &vlan_table->vlans[vlan];
	json_t *members = json_array(), *tagged = json_array();
	const char *trunk = row->trunk == TRUNK_NONE ? "" : vlan_table->trunk_names[row->trunk];

	*size += VLAN_ROW_SIZE + list_members(vlan, members, tagged);
	return json_pack("{s:i, s:s, s:s, s:s, s:i, s:o, s:o}", "vlan", vlan, "trunk", trunk,
		"inspect", row->flags & VLAN_INSPECT_ALL ? "all" : "gateway", "on_failure",
		failure_policy(vlan), "addresses", (int)fdb_control_vlan_count(vlan), "members",
		members, "tagged", tagged);
}

static json_t *describe_trunks(void)
{
	json_t *trunks = json_array();

	for (int i = 0; i < TRUNKS_MAX; i++) {
		struct trunk_counters sum = trunk_counters_sum((uint8_t)i);

		if (!vlan_table->trunk_names[i][0])
			continue;
		json_array_append_new(trunks,
			json_pack("{s:s, s:I, s:I, s:I, s:I}", "name", vlan_table->trunk_names[i],
				"to_gateway_packets", (json_int_t)sum.from_packets,
				"to_gateway_bytes", (json_int_t)sum.from_bytes,
				"to_partitions_packets", (json_int_t)sum.to_packets,
				"to_partitions_bytes", (json_int_t)sum.to_bytes));
	}
	return trunks;
}

static void list_vlans(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *after = api_page_after(params);
	size_t limit = api_page_limit(params), size = 0;
	json_t *vlans = json_array(), *answer;
	uint16_t last = after ? (uint16_t)atoi(after) : 0;
	char next[8];

	/* The trunks are on the first page only: those who put pages together get them once. */
	answer = json_pack(
		"{s:o, s:o}", "vlans", vlans, "trunks", after ? json_array() : describe_trunks());
	for (uint16_t vlan = (uint16_t)(last + 1); vlan <= ETH_VLAN_ID_MAX; vlan++) {
		if (!vlan_table->details[vlan].is_configured)
			continue;
		if (json_array_size(vlans) == limit || size > PAGE_SIZE_MAX) {
			snprintf(next, sizeof(next), "%u", last);
			json_object_set_new(answer, "next", json_string(next));
			break;
		}
		json_array_append_new(vlans, describe_vlan(vlan, &size));
		last = vlan;
	}
	ipc_reply(request, answer);
}

/* ---- forwarding table ---- */

struct fdb_filter {
	uint16_t vlan; /* 0: any */
	uint16_t port; /* PORT_NONE: any */
	bool has_mac;
	uint8_t mac[8];
};

/* False: the request was answered with what is wrong. */
static bool read_filter(struct ipc_request *request, struct fdb_filter *out)
{
	const json_t *params = ipc_request_params(request);
	const char *port = json_string_value(json_object_get(params, "port"));
	const char *mac = json_string_value(json_object_get(params, "mac"));
	struct rte_ether_addr address;
	char message[PORT_NAME_SIZE + 64];

	*out = (struct fdb_filter){
		.vlan = (uint16_t)json_integer_value(json_object_get(params, "vlan")),
		.port = PORT_NONE};
	if (mac && rte_ether_unformat_addr(mac, &address) == 0) {
		out->has_mac = true;
		memcpy(out->mac, address.addr_bytes, ETH_ADDRESS_SIZE);
	}
	if (!port)
		return true;
	for (uint16_t i = 0; i < vlan_table->port_count; i++)
		if (strcmp(port_name(i), port) == 0)
			out->port = i;
	if (out->port != PORT_NONE)
		return true;
	snprintf(message, sizeof(message), "there is no port \"%.*s\"; see port.list",
		PORT_NAME_SIZE, port);
	ipc_reply_failed(request, -ENOENT, message);
	return false;
}

static bool passes(const struct fdb_filter *filter, uint64_t key, uint64_t value)
{
	return (!filter->vlan || filter->vlan == fdb_key_vlan(key))
		&& (filter->port == PORT_NONE || filter->port == fdb_value_port(value))
		&& (!filter->has_mac || fdb_key(fdb_key_vlan(key), filter->mac) == key);
}

static json_t *describe_entry(uint64_t key, uint64_t value)
{
	static const char *const kinds[] = {
		[FDB_INTERNAL] = "internal", [FDB_EXTERNAL] = "external", [FDB_HOST] = "host"};
	bool is_static = value & FDB_VALUE_IS_STATIC;
	uint32_t age = is_static ? 0 : fdb_value_age(value, fdb_table->now);
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	uint8_t bytes[ETH_ADDRESS_SIZE];

	fdb_key_mac(key, bytes);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
		bytes[3], bytes[4], bytes[5]);
	return json_pack("{s:i, s:s, s:s, s:s, s:b, s:i}", "vlan", fdb_key_vlan(key), "mac", mac,
		"port", port_name(fdb_value_port(value)), "kind", kinds[fdb_value_kind(value)],
		"is_static", is_static, "age_s", (int)(age * FDB_TICK_MS / 1000));
}

/* In the table's own order: a cursor stays good while entries come and go. */
static void list_fdb(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *after = api_page_after(params);
	size_t limit = api_page_limit(params);
	json_t *entries, *answer;
	struct fdb_filter filter;
	uint32_t cursor = after ? (uint32_t)strtoul(after, NULL, 10) : 0;
	uint64_t key, value;
	char next[16];

	if (!read_filter(request, &filter))
		return;
	entries = json_array();
	answer = json_pack("{s:i, s:o}", "total", (int)fdb_table->count, "entries", entries);
	for (uint32_t here = cursor; fdb_next(fdb_table, &cursor, &key, &value); here = cursor) {
		if (!passes(&filter, key, value))
			continue;
		if (json_array_size(entries) == limit) {
			snprintf(next, sizeof(next), "%u", here);
			json_object_set_new(answer, "next", json_string(next));
			break;
		}
		json_array_append_new(entries, describe_entry(key, value));
	}
	ipc_reply(request, answer);
}

static void flush_fdb(struct ipc_request *request, void *context)
{
	struct fdb_filter filter;

	if (!read_filter(request, &filter))
		return;
	ipc_reply(request,
		json_pack("{s:i}", "flushed", (int)fdb_control_flush(filter.vlan, filter.port)));
}

const struct ipc_method gateway_methods[] = {
	{"vlan.list", list_vlans},
	{"fdb.list", list_fdb},
	{"fdb.flush", flush_fdb},
	{NULL, NULL},
};

/* ---- ports ---- */

/* "10,20-29" */
static json_t *format_vlans(const struct switch_port *port)
{
	char text[ETH_VLAN_ID_COUNT * 5] = "";
	size_t size = 0;

	for (uint32_t vlan = ETH_VLAN_ID_MIN; vlan <= ETH_VLAN_ID_MAX; vlan++) {
		uint32_t last = vlan;

		if (!switch_port_is_tagged(port, (uint16_t)vlan))
			continue;
		while (last < ETH_VLAN_ID_MAX && switch_port_is_tagged(port, (uint16_t)(last + 1)))
			last++;
		size += (size_t)snprintf(text + size, sizeof(text) - size,
			last == vlan ? "%s%u" : "%s%u-%u", size ? "," : "", vlan, last);
		vlan = last;
	}
	return json_string(text);
}

static json_t *describe_guard(const struct guard *guard)
{
	static const struct {
		const char *key;
		uint8_t flag;
	} rows[] = {{"mac", GUARD_MAC}, {"ip", GUARD_IP}, {"arp", GUARD_ARP}, {"nd", GUARD_ND},
		{"dhcp", GUARD_DHCP}, {"ra", GUARD_RA}, {"eapol", GUARD_EAPOL}};
	json_t *out = json_object();

	for (size_t i = 0; i < RTE_DIM(rows); i++)
		json_object_set_new(out, rows[i].key, json_boolean(guard->flags & rows[i].flag));
	json_object_set_new(out, "addresses", json_integer(guard->ipv4_count + guard->ipv6_count));
	return out;
}

static json_t *describe_rates(uint16_t index)
{
	const struct switch_port_plan *plan = NULL;

	for (uint32_t i = 0; i < vlan_table->plan_count; i++)
		if (vlan_table->plans[i].index == index)
			plan = &vlan_table->plans[i];
	if (!plan)
		return json_object();
	return json_pack("{s:I, s:I, s:i, s:I, s:I, s:I, s:i}", "in", (json_int_t)plan->rate_in,
		"out", (json_int_t)plan->rate_out, "priority", vlan_table->ports[index].priority,
		"broadcast", (json_int_t)plan->storm[STORM_BROADCAST], "multicast",
		(json_int_t)plan->storm[STORM_MULTICAST], "unknown_unicast",
		(json_int_t)plan->storm[STORM_UNKNOWN_UNICAST], "mac_limit",
		(int)plan->addresses_max);
}

void gateway_describe_port(const struct port *port, json_t *out, bool is_detailed)
{
	const struct switch_port *entry = vlan_table_port(vlan_table, port->index);

	if (!entry || entry->generation != port->generation)
		return;
	json_object_set_new(out, "mode",
		json_string(entry->flags & SWITCH_PORT_TAKES_TAGS ? "trunk" : "access"));
	if (entry->pvid)
		json_object_set_new(out, "vlan", json_integer(entry->pvid));
	if (entry->tagged)
		json_object_set_new(out, "vlans", format_vlans(entry));
	if (entry->guard && entry->guard->mac_count) {
		const uint8_t *mac = entry->guard->macs[0];
		char text[RTE_ETHER_ADDR_FMT_SIZE];

		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
			mac[2], mac[3], mac[4], mac[5]);
		json_object_set_new(out, "mac", json_string(text));
	}
	if (!is_detailed)
		return;
	json_object_set_new(out, "rates", describe_rates(port->index));
	if (entry->guard)
		json_object_set_new(out, "guard", describe_guard(entry->guard));
}

/* ---- metrics ---- */

static void add_trunk_metrics(json_t *samples, uint8_t trunk)
{
	struct trunk_counters sum = trunk_counters_sum(trunk);
	const struct {
		const char *direction;
		uint64_t packets, bytes;
	} rows[] = {{"to_gateway", sum.from_packets, sum.from_bytes},
		{"to_partitions", sum.to_packets, sum.to_bytes}};

	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		packet_metric(samples, "trunk_packets", "counter",
			"Packets through the trunk adapter.",
			json_pack("{s:s, s:s}", "trunk", vlan_table->trunk_names[trunk],
				"direction", rows[i].direction),
			(double)rows[i].packets);
		packet_metric(samples, "trunk_bytes", "counter", "Bytes through the trunk adapter.",
			json_pack("{s:s, s:s}", "trunk", vlan_table->trunk_names[trunk],
				"direction", rows[i].direction),
			(double)rows[i].bytes);
	}
}

static void add_fdb_metric(json_t *samples, const char *what, uint64_t count)
{
	packet_metric(samples, "fdb_changes", "counter",
		"Changes of the forwarding table, and addresses that it did not take.",
		json_pack("{s:s}", "change", what), (double)count);
}

void gateway_metrics(json_t *samples)
{
	packet_metric(samples, "fdb_entries", "gauge", "Addresses in the forwarding table.", NULL,
		fdb_table->count);
	packet_metric(samples, "fdb_entries_max", "gauge",
		"Addresses that the forwarding table takes.", NULL, fdb_table->entries_max);
	add_fdb_metric(samples, "learned", fdb_counters.learned);
	add_fdb_metric(samples, "moved", fdb_counters.moved);
	add_fdb_metric(samples, "aged", fdb_counters.aged);
	add_fdb_metric(samples, "flushed", fdb_counters.flushed);
	add_fdb_metric(samples, "refused_port_limit", fdb_counters.refused_port);
	add_fdb_metric(samples, "refused_vlan_limit", fdb_counters.refused_vlan);
	add_fdb_metric(samples, "refused_full", fdb_counters.refused_full);
	add_fdb_metric(samples, "moves_stopped", fdb_counters.moves_stopped);
	add_fdb_metric(samples, "reports_lost", fdb_control_lost_reports());
	for (int i = 0; i < TRUNKS_MAX; i++)
		if (vlan_table->trunk_names[i][0])
			add_trunk_metrics(samples, (uint8_t)i);
}
