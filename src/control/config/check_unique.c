/* SPDX-License-Identifier: BSD-3-Clause */
/* What may be there once only: devices, names of ports, MAC addresses within a VLAN. */
#include "control/config/check.h"

#include "schema/device.h"

#include <stdlib.h>
#include <string.h>

#define VLAN_COUNT 4096

/* Reports a second use of value; seen maps values to the path of their first. */
static void claim(struct load *load, json_t *seen, const char *value, const char *path,
	const char *valid, const char *what)
{
	const char *first = json_string_value(json_object_get(seen, value));

	if (first)
		load_error(load, path, valid, "%s %s already", first, what);
	else if (json_object_set_new(seen, value, json_string(path)) < 0)
		load->is_out_of_memory = true;
}

/* What the system has once: an interface, whatever driver is on it; a socket; a device. */
static void claim_device(struct load *load, json_t *seen, const char *text, const char *path)
{
	char resource[DEVICE_ARGUMENT_SIZE + 32];
	struct device device;

	if (!text || device_parse(text, &device, NULL) < 0)
		return;
	if (device.kind == DEVICE_MEMIF)
		snprintf(resource, sizeof(resource), "%s#%u", device.argument, device.id);
	else
		snprintf(resource, sizeof(resource), "%s", device.argument);
	claim(load, seen, resource, path, "a device of its own", "uses this device");
}

static void check_sockets(struct load *load, json_t *seen)
{
	static const char *const users[] = {"kmp", "handover"};
	const json_t *ipsec = json_object_get(load->document, "ipsec");
	char path[CONFIG_PATH_SIZE];

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		const json_t *section = json_object_get(ipsec, users[i]);
		const char *text = json_string_value(json_object_get(section, "socket"));

		snprintf(path, sizeof(path), "ipsec.%s.socket", users[i]);
		if (text)
			claim(load, seen, text, path, "a socket of its own", "uses this socket");
	}
}

static void check_devices(struct load *load, json_t *seen)
{
	const json_t *gateway = json_object_get(load->document, "gateway");
	const json_t *control = json_object_get(load->document, "control");
	const char *name, *partition_name, *text;
	json_t *adapter, *partition;
	char path[CONFIG_PATH_SIZE];

	text = json_string_value(json_object_get(control, "socket"));
	if (text)
		claim(load, seen, text, "control.socket", NULL, "");
	check_sockets(load, seen);
	text = json_string_value(json_object_get(json_object_get(gateway, "host"), "interface"));
	if (text)
		claim(load, seen, text, "gateway.host.interface", NULL, "");
	json_object_foreach (json_object_get(load->document, "adapters"), name, adapter) {
		snprintf(path, sizeof(path), "adapters.%s.device", name);
		claim_device(
			load, seen, json_string_value(json_object_get(adapter, "device")), path);
	}
	json_object_foreach (
		json_object_get(load->document, "partitions"), partition_name, partition) {
		json_object_foreach (json_object_get(partition, "adapters"), name, adapter) {
			snprintf(path, sizeof(path), "partitions.%s.adapters.%s.attach",
				partition_name, name);
			claim_device(load, seen,
				json_string_value(json_object_get(adapter, "attach")), path);
		}
	}
}

/* Ports are told apart by name: an adapter's is its own, those of gateway.host and target are
 * "host" and "vipa". */
static void check_port_names(struct load *load)
{
	if (json_object_get(json_object_get(load->document, "adapters"), "host"))
		load_error(load, "adapters.host", "another name",
			"\"host\" is the name of the host's own port (gateway.host)");
	if (json_object_get(json_object_get(load->document, "adapters"), "vipa"))
		load_error(load, "adapters.vipa", "another name",
			"\"vipa\" is the name of the port of the hidden interface (target)");
}

static bool share_vlan(const json_t *left, const json_t *right)
{
	bool is_member[VLAN_COUNT] = {false};
	const json_t *sides[] = {left, right};

	for (int side = 0; side < 2; side++) {
		const json_t *vlans = json_object_get(sides[side], "vlans");
		json_int_t pvid = json_integer_value(json_object_get(sides[side], "vlan"));
		json_t *vlan;
		size_t i;

		if (side == 1 && is_member[pvid] && pvid)
			return true;
		is_member[pvid] |= side == 0;
		json_array_foreach (vlans, i, vlan) {
			json_int_t id = json_integer_value(vlan);

			if (side == 1 && is_member[id])
				return true;
			is_member[id] |= side == 0;
		}
	}
	return false;
}

/* owners: MAC -> [[path, port], …]; the port's object is borrowed by reference count. */
static void claim_mac(
	struct load *load, json_t *owners, const char *mac, json_t *port, const char *path)
{
	json_t *list = json_object_get(owners, mac), *owner;
	size_t i;

	if (!list) {
		list = json_array();
		if (json_object_set_new(owners, mac, list) < 0) {
			load->is_out_of_memory = true;
			return;
		}
	}
	json_array_foreach (list, i, owner) {
		if (share_vlan(json_array_get(owner, 1), port)) {
			load_error(load, path, "an address that no other port of the VLAN has",
				"%s has this address already",
				json_string_value(json_array_get(owner, 0)));
			return;
		}
	}
	if (json_array_append_new(list, json_pack("[s, O]", path, port)) < 0)
		load->is_out_of_memory = true;
}

static void claim_port_macs(struct load *load, json_t *owners, json_t *port, const char *base)
{
	const char *mac = json_string_value(json_object_get(port, "mac"));
	char path[CONFIG_PATH_SIZE];
	json_t *address;
	size_t i;

	snprintf(path, sizeof(path), "%.480s.mac", base);
	if (mac)
		claim_mac(load, owners, mac, port, path);
	json_array_foreach (json_object_get(port, "static"), i, address) {
		snprintf(path, sizeof(path), "%.480s.static[%zu]", base, i);
		claim_mac(load, owners, json_string_value(address), port, path);
	}
}

static void check_macs(struct load *load, json_t *owners)
{
	const json_t *gateway = json_object_get(load->document, "gateway");
	json_t *host = json_object_get(gateway, "host");
	const char *partition_name, *name;
	json_t *partition, *adapter;
	char base[CONFIG_PATH_SIZE];

	if (host)
		claim_port_macs(load, owners, host, "gateway.host");
	json_object_foreach (
		json_object_get(load->document, "partitions"), partition_name, partition) {
		json_object_foreach (json_object_get(partition, "adapters"), name, adapter) {
			snprintf(base, sizeof(base), "partitions.%s.adapters.%s", partition_name,
				name);
			claim_port_macs(load, owners, adapter, base);
		}
	}
}

void check_unique(struct load *load)
{
	json_t *devices = json_object(), *owners = json_object();

	if (devices && owners) {
		check_devices(load, devices);
		check_port_names(load);
		check_macs(load, owners);
	} else {
		load->is_out_of_memory = true;
	}
	json_decref(devices);
	json_decref(owners);
}
