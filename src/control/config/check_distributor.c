/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options of `distributor` say together. */
#include "control/config/check.h"

#include "schema/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- targets ---- */

static void check_partition(struct load *load, const char *path, const char *name)
{
	const char *dot = strchr(name, '.');
	char partition[CONFIG_PATH_SIZE];
	const json_t *adapter;

	snprintf(partition, sizeof(partition), "%.*s", dot ? (int)(dot - name) : 0, name);
	adapter = json_object_get(json_object_get(load->document, "partitions"), partition);
	adapter = dot ? json_object_get(json_object_get(adapter, "adapters"), dot + 1) : NULL;
	if (!adapter)
		load_error(load, path, "PARTITION.ADAPTER, both of them under `partitions`",
			"there is no such adapter");
	else if (!text_of(adapter, "mac") || !json_object_get(adapter, "vlan"))
		load_error(load, path, "an adapter with `mac` and `vlan`",
			"the adapter's `mac` or `vlan` is not said");
}

static bool is_one_written(const struct load *load, const char *base)
{
	char address[CONFIG_PATH_SIZE + 16], partition[CONFIG_PATH_SIZE + 16];

	snprintf(address, sizeof(address), "%s.address", base);
	snprintf(partition, sizeof(partition), "%s.partition", base);
	return check_is_written(load, address) || check_is_written(load, partition);
}

static void check_target(
	struct load *load, const json_t *section, const char *name, const json_t *target)
{
	const char *address = text_of(target, "address"), *partition = text_of(target, "partition");
	char base[CONFIG_PATH_SIZE], path[CONFIG_PATH_SIZE + 16];

	snprintf(base, sizeof(base), "distributor.targets.%s", name);
	if (!address && !partition && is_one_written(load, base))
		return; /* it was wrong, and has been reported */
	if (!address == !partition) {
		load_error(load, base, "address and key-file, or partition",
			partition ? "it is a host on the link and a partition at once"
				  : "it is neither a host on the link nor a partition");
		return;
	}
	if (partition) {
		snprintf(path, sizeof(path), "%s.partition", base);
		check_partition(load, path, partition);
		return;
	}
	if (!text_of(target, "key-file"))
		load_error(load, base, "key-file: /etc/bulkhead/NAME.key",
			"a target on the link needs its key");
	if (!text_of(section, "link") || !text_of(section, "local"))
		load_error(load, base, "distributor.link and distributor.local",
			"it is on a link, and which one is not said");
	snprintf(path, sizeof(path), "%s.address", base);
	check_link_address(load, path, address, text_of(section, "local"));
	snprintf(path, sizeof(path), "%s.next-hop", base);
	check_link_address(load, path, text_of(target, "next-hop"), text_of(section, "local"));
}

static void check_target_addresses(struct load *load, const json_t *targets)
{
	json_t *seen = json_object(), *target;
	char path[CONFIG_PATH_SIZE];
	const char *name;

	json_object_foreach ((json_t *)targets, name, target) {
		const char *address = text_of(target, "address");

		if (!address)
			continue;
		snprintf(path, sizeof(path), "distributor.targets.%s.address", name);
		if (json_object_get(seen, address))
			load_error(load, path, "each target's own address",
				"target %s has it already",
				json_string_value(json_object_get(seen, address)));
		else
			json_object_set_new(seen, address, json_string(name));
	}
	json_decref(seen);
}

/* ---- virtual addresses ---- */

static void check_service(struct load *load, const json_t *section, const char *base,
	const json_t *service, json_t *seen)
{
	const json_t *targets = json_object_get(section, "targets");
	const char *protocol = text_of(service, "protocol");
	char path[CONFIG_PATH_SIZE + 16], key[32];
	json_t *target;
	size_t i;

	snprintf(path, sizeof(path), "%s.targets", base);
	json_array_foreach (json_object_get(service, "targets"), i, target)
		if (!json_object_get(targets, json_string_value(target)))
			load_error(load, path, "names of distributor.targets",
				"there is no target %s", json_string_value(target));
	snprintf(key, sizeof(key), "%s/%lld", protocol ? protocol : "tcp",
		(long long)json_integer_value(json_object_get(service, "port")));
	snprintf(path, sizeof(path), "%s.port", base);
	if (json_object_get(seen, key))
		load_error(load, path, "a port of its own", "another service is on %s", key);
	json_object_set_new(seen, key, json_true());
}

static void check_vipa(
	struct load *load, const json_t *section, const char *name, const json_t *vipa)
{
	const char *address = text_of(vipa, "address"), *router = text_of(vipa, "router");
	json_t *seen = json_object(), *service;
	char path[CONFIG_PATH_SIZE];
	const char *service_name;

	snprintf(path, sizeof(path), "distributor.vipas.%s.router", name);
	if (router && strchr(router, '/'))
		load_error(load, path, "the address of one host", "it is a prefix");
	else if (router && address && !strchr(router, ':') != !strchr(address, ':'))
		load_error(load, path, "a router of the address's kind",
			"one is IPv4, the other IPv6");
	json_object_foreach (json_object_get(vipa, "services"), service_name, service) {
		snprintf(
			path, sizeof(path), "distributor.vipas.%s.services.%s", name, service_name);
		check_service(load, section, path, service, seen);
	}
	json_decref(seen);
}

static size_t address_size(const char *address)
{
	return strcspn(address, "/");
}

static void check_vipa_addresses(struct load *load, const json_t *vipas)
{
	char path[CONFIG_PATH_SIZE];
	const char *name, *other;
	json_t *vipa, *before;

	json_object_foreach ((json_t *)vipas, name, vipa) {
		const char *address = text_of(vipa, "address");

		json_object_foreach ((json_t *)vipas, other, before) {
			const char *taken = text_of(before, "address");

			if (before == vipa)
				break;
			if (!address || !taken || address_size(address) != address_size(taken)
				|| strncmp(address, taken, address_size(address)) != 0)
				continue;
			snprintf(path, sizeof(path), "distributor.vipas.%s.address", name);
			load_error(load, path, "an address of its own", "%s has it already", other);
		}
	}
}

void check_distributor(struct load *load)
{
	const json_t *section = json_object_get(load->document, "distributor");
	const json_t *gateway = json_object_get(load->document, "gateway");
	const char *link = text_of(section, "link"), *name;
	json_t *target, *vipa;

	if (!section)
		return;
	if (link)
		check_link(load, "distributor.link", link);
	check_link_address(load, "distributor.local", text_of(section, "local"), NULL);
	json_object_foreach (json_object_get(section, "targets"), name, target)
		check_target(load, section, name, target);
	check_target_addresses(load, json_object_get(section, "targets"));
	json_object_foreach (json_object_get(section, "vipas"), name, vipa)
		check_vipa(load, section, name, vipa);
	check_vipa_addresses(load, json_object_get(section, "vipas"));
	if (!text_of(gateway, "physical") && !check_is_written(load, "gateway.physical"))
		load_error(load, "distributor", "gateway.physical: ADAPTER",
			"virtual addresses are on the physical adapter, and there is none");
}
