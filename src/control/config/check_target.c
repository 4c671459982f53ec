/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options of `target` say together. */
#include "control/config/check.h"

#include "schema/json.h"

#include <string.h>

#define REPORTED_MAX 48 /* services of all VIPAs, in a report (HEARTBEAT_SERVICES_MAX) */

static void check_ends(struct load *load, const json_t *section)
{
	const char *link = text_of(section, "link"), *local = text_of(section, "local");
	const json_t *distributor = json_object_get(load->document, "distributor");
	json_t *address;
	size_t i;

	if (link)
		check_link(load, "target.link", link);
	check_link_address(load, "target.local", local, local);
	json_array_foreach (json_object_get(section, "distributors"), i, address)
		check_link_address(load, "target.distributors", json_string_value(address), local);
	if (local && text_of(distributor, "local")
		&& strcmp(local, text_of(distributor, "local")) == 0)
		load_error(load, "target.local", "an address of its own",
			"distributor.local is the same: what comes there is for one of both");
}

static void check_vipas(struct load *load, const json_t *section)
{
	const json_t *vipas = json_object_get(section, "vipas"), *vipa;
	size_t count = json_array_size(vipas), i;

	json_array_foreach (vipas, i, vipa)
		if (strchr(json_string_value(vipa), '/'))
			load_error(load, "target.vipas", "the address of one host",
				"%s is a prefix", json_string_value(vipa));
	count *= json_object_size(json_object_get(section, "services"));
	if (count > REPORTED_MAX)
		load_error(load, "target.services", NULL,
			"%zu services, of all virtual addresses together; %d at most", count,
			REPORTED_MAX);
}

static bool is_ipv6(const json_t *address)
{
	return strchr(json_string_value(address), ':') != NULL;
}

/* Without its prefix. */
static bool is_same_host(const json_t *address, const json_t *other)
{
	const char *a = json_string_value(address), *b = json_string_value(other);
	size_t size = strcspn(a, "/");

	return size == strcspn(b, "/") && memcmp(a, b, size) == 0;
}

static void check_direct(struct load *load, const json_t *section)
{
	const json_t *direct = json_object_get(section, "direct");
	const json_t *addresses = json_object_get(direct, "addresses");
	const json_t *routers = json_object_get(direct, "routers"), *address, *other;
	size_t i, j;

	if (!direct)
		return;
	if (!text_of(json_object_get(load->document, "gateway"), "physical"))
		load_error(load, "target.direct", "gateway.physical",
			"there is no physical adapter to go out of");
	if (json_array_size(addresses) == 2
		&& is_ipv6(json_array_get(addresses, 0)) == is_ipv6(json_array_get(addresses, 1)))
		load_error(load, "target.direct.addresses", "one of IPv4 and one of IPv6",
			"both are of one kind");
	json_array_foreach (addresses, i, address)
		json_array_foreach (json_object_get(section, "vipas"), j, other)
			if (is_same_host(address, other))
				load_error(load, "target.direct.addresses",
					"an address of this host alone",
					"%s is a virtual address, the distributor's on that "
					"network",
					json_string_value(other));
	json_array_foreach (routers, i, address)
		if (strchr(json_string_value(address), '/'))
			load_error(load, "target.direct.routers", "the address of one host",
				"%s is a prefix", json_string_value(address));
}

void check_target_section(struct load *load)
{
	const json_t *section = json_object_get(load->document, "target");

	if (!section)
		return;
	check_ends(load, section);
	check_vipas(load, section);
	check_direct(load, section);
}
