/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/port_config.h"

#include "packet/port/vhost_device.h"
#include "schema/device.h"

#include <errno.h>
#include <rte_config.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>

#define MTU_BEFORE_ANSWERS 1280

static struct port_config *add_config(struct port_configs *configs)
{
	struct port_config *items =
		realloc(configs->items, (configs->count + 1) * sizeof(*configs->items));

	if (!items)
		return NULL;
	configs->items = items;
	items += configs->count++;
	*items = (struct port_config){.queue_count = 1};
	return items;
}

/* What all sections share. */
static void read_common(const json_t *section, struct port_config *out)
{
	const char *mac = json_string_value(json_object_get(section, "mac"));
	json_int_t queues = json_integer_value(json_object_get(section, "queues"));
	json_t *addresses = json_object_get(section, "addresses");
	struct rte_ether_addr address;

	out->mtu_bytes = (uint32_t)json_integer_value(json_object_get(section, "mtu"));
	if (queues > 0)
		out->queue_count = (uint16_t)RTE_MIN(queues, (json_int_t)PORT_QUEUES_MAX);
	if (out->kind != PORT_HOST)
		return;
	/* For the host's interface these are set on it; a partition's belong to its guard. */
	if (mac && rte_ether_unformat_addr(mac, &address) == 0)
		memcpy(out->mac, address.addr_bytes, sizeof(out->mac));
	if (addresses)
		out->addresses = json_incref(addresses);
}

static int read_device(
	struct port_config *out, const char *device, const char *key, struct error *error)
{
	struct device parsed;

	if (!device || strlen(device) >= sizeof(out->device))
		return error_set(error, -EINVAL, "%s: no device", key);
	if (device_parse(device, &parsed, error) < 0) {
		error_prefix(error, "%s", key);
		return -EINVAL;
	}
	memcpy(out->device, device, strlen(device) + 1);
	return 0;
}

/* Of the adapters that lead outside only what the gateway names is opened. */
static int read_physical(const json_t *config, struct port_configs *out, struct error *error)
{
	const json_t *adapters = json_object_get(config, "adapters");
	const char *name =
		json_string_value(json_object_get(json_object_get(config, "gateway"), "physical"));
	const json_t *adapter = name ? json_object_get(adapters, name) : NULL;
	const char *kind = json_string_value(json_object_get(adapter, "kind"));
	struct port_config *port;

	if (!name)
		return 0;
	if (!adapter)
		return error_set(error, -EINVAL,
			"gateway.physical: there is no adapter \"%s\" in adapters", name);
	if (kind && strcmp(kind, "physical") != 0)
		return error_set(error, -EINVAL,
			"gateway.physical: adapter \"%s\" is of kind %s; it has to be physical",
			name, kind);
	port = add_config(out);
	if (!port)
		return error_set(error, -ENOMEM, "no memory");
	port->kind = PORT_PHYSICAL;
	snprintf(port->name, sizeof(port->name), "%s", name);
	read_common(adapter, port);
	return read_device(
		port, json_string_value(json_object_get(adapter, "device")), port->name, error);
}

/* Links to other hosts are opened whoever uses them: they bridge nothing. */
static int read_links(const json_t *config, struct port_configs *out, struct error *error)
{
	json_t *adapters = json_object_get(config, "adapters"), *adapter;
	const char *name;

	json_object_foreach (adapters, name, adapter) {
		const char *kind = json_string_value(json_object_get(adapter, "kind"));
		struct port_config *port;

		if (!kind || strcmp(kind, "xcf") != 0)
			continue;
		port = add_config(out);
		if (!port)
			return error_set(error, -ENOMEM, "no memory");
		port->kind = PORT_XCF;
		snprintf(port->name, sizeof(port->name), "%s", name);
		read_common(adapter, port);
		if (read_device(port, json_string_value(json_object_get(adapter, "device")), name,
			    error)
			< 0)
			return -EINVAL;
	}
	return 0;
}

static int read_host(const json_t *config, struct port_configs *out, struct error *error)
{
	const json_t *host = json_object_get(json_object_get(config, "gateway"), "host");
	const char *interface = json_string_value(json_object_get(host, "interface"));
	struct port_config *port;
	char device[64];

	if (!host)
		return 0;
	if (!interface)
		return error_set(error, -EINVAL, "gateway.host.interface: missing");
	port = add_config(out);
	if (!port)
		return error_set(error, -ENOMEM, "no memory");
	port->kind = PORT_HOST;
	snprintf(port->name, sizeof(port->name), "host");
	snprintf(device, sizeof(device), "tap:%.40s", interface);
	read_common(host, port);
	return read_device(port, device, "gateway.host.interface", error);
}

/* Addresses of one host each, and nobody's beside: see the broker's source_table. */
static int read_target(const json_t *config, struct port_configs *out, struct error *error)
{
	const json_t *target = json_object_get(config, "target");
	const char *interface = json_string_value(json_object_get(target, "interface"));
	json_int_t mtu = json_integer_value(json_object_get(target, "mtu"));
	struct port_config *port;
	json_t *address;
	char device[64];
	size_t i;

	if (!target)
		return 0;
	if (!interface)
		return error_set(error, -EINVAL, "target.interface: missing");
	port = add_config(out);
	if (!port)
		return error_set(error, -ENOMEM, "no memory");
	port->kind = PORT_VIPA;
	/* Until a distributor has said what fits: what fits everywhere (RFC 8200 section 5). */
	port->mtu_bytes = mtu ? (uint32_t)mtu : MTU_BEFORE_ANSWERS;
	port->addresses = json_array();
	json_array_foreach (json_object_get(target, "vipas"), i, address) {
		const char *text = json_string_value(address);

		json_array_append_new(
			port->addresses, json_sprintf("%s/%d", text, strchr(text, ':') ? 128 : 32));
	}
	snprintf(port->name, sizeof(port->name), PORT_VIPA_NAME);
	snprintf(device, sizeof(device), "tap:%.40s", interface);
	return read_device(port, device, "target.interface", error);
}

static int read_partition(
	const char *name, const json_t *partition, struct port_configs *out, struct error *error)
{
	json_t *adapters = json_object_get(partition, "adapters"), *adapter;
	const char *adapter_name;

	json_object_foreach (adapters, adapter_name, adapter) {
		struct port_config *port = add_config(out);
		int size;

		if (!port)
			return error_set(error, -ENOMEM, "no memory");
		port->kind = PORT_PARTITION;
		size = snprintf(port->name, sizeof(port->name), "%s.%s", name, adapter_name);
		if (size >= (int)sizeof(port->name))
			return error_set(error, -EINVAL,
				"partitions.%s.adapters.%s: both names together are longer than "
				"%zu characters",
				name, adapter_name, sizeof(port->name) - 2);
		read_common(adapter, port);
		if (read_device(port, json_string_value(json_object_get(adapter, "attach")),
			    port->name, error)
			< 0)
			return -EINVAL;
	}
	return 0;
}

bool port_config_shares_device(const char *device, const char *other)
{
	const char *argument = strchr(device, ':'), *other_argument = strchr(other, ':');
	struct device a, b;
	size_t size;

	/* Most differ here already: this is asked for each pair of ports. */
	if (!argument || !other_argument)
		return false;
	size = strcspn(argument, ",");
	if (size != strcspn(other_argument, ",") || memcmp(argument, other_argument, size) != 0)
		return false;
	return device_parse(device, &a, NULL) == 0 && device_parse(other, &b, NULL) == 0
		&& a.id == b.id;
}

/* Two ports cannot share what is behind them. */
static int check_devices(const struct port_configs *configs, struct error *error)
{
	for (size_t i = 0; i < configs->count; i++)
		for (size_t j = 0; j < i; j++)
			if (port_config_shares_device(
				    configs->items[i].device, configs->items[j].device))
				return error_set(error, -EINVAL,
					"%s and %s have the same device \"%s\"",
					configs->items[j].name, configs->items[i].name,
					configs->items[i].device);
	if (configs->count > PORTS_MAX / 2) /* old and new ones live side by side for a while */
		return error_set(
			error, -E2BIG, "%zu ports; %d are possible", configs->count, PORTS_MAX / 2);
	return 0;
}

static bool is_of_dpdk(enum device_kind kind)
{
	return kind == DEVICE_AF_XDP || kind == DEVICE_PCI;
}

/* One error that says so, instead of one for each port. */
static int check_room(const struct port_configs *configs, struct error *error)
{
	size_t dpdk_count = 0, vhost_count = 0;
	struct device device;

	for (size_t i = 0; i < configs->count; i++) {
		if (device_parse(configs->items[i].device, &device, NULL) < 0)
			continue;
		dpdk_count += is_of_dpdk(device.kind);
		vhost_count += device.kind == DEVICE_VHOST_USER;
	}
	/* Debian builds DPDK for 32 devices. */
	if (dpdk_count > RTE_MAX_ETHPORTS)
		return error_set(error, -E2BIG,
			"%zu ports are af_xdp: or pci:, and DPDK as it was built for this system "
			"has room for %d of them; use netdev:, tap:, vhost-user: or memif:, which "
			"do not count, or a DPDK with a larger max_ethports",
			dpdk_count, RTE_MAX_ETHPORTS);
	if (vhost_count > VHOST_DEVICES_MAX)
		return error_set(error, -E2BIG, "%zu ports are vhost-user:; %d are possible",
			vhost_count, VHOST_DEVICES_MAX);
	return 0;
}

int port_configs_read(const json_t *config, struct port_configs *out, struct error *error)
{
	json_t *partitions = json_object_get(config, "partitions"), *partition;
	const char *name;
	int result;

	*out = (struct port_configs){0};
	result = read_physical(config, out, error);
	if (result == 0)
		result = read_links(config, out, error);
	if (result == 0)
		result = read_host(config, out, error);
	if (result == 0)
		result = read_target(config, out, error);
	json_object_foreach (partitions, name, partition)
		if (result == 0)
			result = read_partition(name, partition, out, error);
	if (result == 0)
		result = check_devices(out, error);
	if (result == 0)
		result = check_room(out, error);
	if (result < 0)
		port_configs_release(out);
	return result;
}

void port_configs_release(struct port_configs *configs)
{
	for (size_t i = 0; i < configs->count; i++)
		port_config_release(&configs->items[i]);
	free(configs->items);
	*configs = (struct port_configs){0};
}

void port_config_copy(struct port_config *to, const struct port_config *from)
{
	*to = *from;
	json_incref(to->addresses);
}

void port_config_release(struct port_config *config)
{
	json_decref(config->addresses);
	config->addresses = NULL;
}

bool port_config_is_same(const struct port_config *a, const struct port_config *b)
{
	return a->kind == b->kind && a->mtu_bytes == b->mtu_bytes
		&& a->queue_count == b->queue_count && strcmp(a->name, b->name) == 0
		&& strcmp(a->device, b->device) == 0 && memcmp(a->mac, b->mac, sizeof(a->mac)) == 0
		&& (a->addresses == b->addresses || json_equal(a->addresses, b->addresses));
}
