/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Links as a module of the packet role: reads our ends from the configuration and their keys from
 * files that the broker opens, and publishes the table that workers read. Each change reads the key
 * files again, so that `bulkhead config apply` is how a key is replaced. Control thread.
 */
#include "base/log.h"
#include "packet/link/link.h"
#include "packet/packet_module.h"
#include "schema/json.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>

struct link_table *link_table;

static struct {
	struct link_table *table;
	json_t *sections[LINK_ROLE_COUNT]; /* of the document; NULL: not used */
	int role;                          /* whose key file is being read */
	packet_prepared_fn done;
	void *context;
} change;

static void destroy_table(void *memory)
{
	struct link_table *table = memory;

	if (!table)
		return;
	for (int i = 0; i < LINK_ROLE_COUNT; i++)
		secret_destroy(table->ends[i].secret);
	free(table);
}

static void forget_change(void)
{
	destroy_table(change.table);
	for (int i = 0; i < LINK_ROLE_COUNT; i++)
		json_decref(change.sections[i]);
	memset(&change, 0, sizeof(change));
}

static void end_prepare(const struct error *error)
{
	packet_prepared_fn done = change.done;
	void *context = change.context;

	if (error)
		forget_change();
	done(context, error);
}

/* ---- what the configuration says ---- */

static const char *const section_names[LINK_ROLE_COUNT] = {
	[LINK_CLIENT] = "inspection.appliance",
	[LINK_APPLIANCE] = "appliance",
	[LINK_DISTRIBUTOR] = "distributor",
	[LINK_TARGET] = "target",
};

static int add_peer(struct link_end *end, const char *address, const char *hop, const char *mac,
	const char *section, struct error *error)
{
	struct link_peer *peer = &end->peers[end->peer_count];
	struct rte_ether_addr parsed;

	if (end->peer_count == LINK_PEERS_MAX)
		return error_set(error, -E2BIG, "%s: more than %d hosts", section, LINK_PEERS_MAX);
	if (!ip_address_parse(address, &peer->address)
		|| !ip_address_parse(hop ? hop : address, &peer->hop))
		return error_set(error, -EINVAL, "%s: no address of a host: %s", section,
			address ? address : "nothing");
	if (peer->address.version != end->local.version || peer->hop.version != end->local.version)
		return error_set(error, -EINVAL,
			"%s: local, %s and next-hop have to be all IPv4 or all IPv6", section,
			address);
	if (mac && rte_ether_unformat_addr(mac, &parsed) == 0) {
		link_learn_mac(peer, parsed.addr_bytes);
		peer->is_static = true;
	}
	end->peer_count++;
	return 0;
}

/* Targets on the link; those that are partitions of this host have no address there. */
static int add_targets(const json_t *section, struct link_end *end, struct error *error)
{
	const char *name, *address;
	json_t *target;

	json_object_foreach (json_object_get(section, "targets"), name, target) {
		address = text_of(target, "address");
		if (address
			&& add_peer(end, address, text_of(target, "next-hop"),
				   text_of(target, "mac"), "distributor.targets", error)
				< 0)
			return -EINVAL;
	}
	return 0;
}

static int read_end(const json_t *section, int role, struct link_end *end, struct error *error)
{
	const char *name = section_names[role], *client;
	const json_t *value;
	size_t i;

	const char *security = text_of(section, "link-security");

	if (role == LINK_DISTRIBUTOR && !text_of(section, "link"))
		return 0; /* all targets are partitions of this host */
	if (!text_of(section, "link") || (!text_of(section, "key-file") && role != LINK_DISTRIBUTOR)
		|| !ip_address_parse(text_of(section, "local"), &end->local))
		return error_set(error, -EINVAL,
			"%s: link, local (one address) and key-file are needed", name);
	end->is_used = true;
	end->is_protected = security && strcmp(security, "required") == 0;
	end->port = PORT_NONE;
	if (role == LINK_CLIENT)
		return add_peer(end, text_of(section, "remote"), text_of(section, "next-hop"),
			text_of(section, "remote-mac"), name, error);
	if (role == LINK_DISTRIBUTOR)
		return add_targets(section, end, error);
	json_array_foreach (
		json_object_get(section, role == LINK_TARGET ? "distributors" : "clients"), i,
		value) {
		client = json_string_value(value);
		if (add_peer(end, client, NULL, NULL, name, error) < 0)
			return -EINVAL;
	}
	return 0;
}

/* Without IPsec nothing at all would leave. */
static int check_protection(const json_t *document, int role, struct error *error)
{
	if (!change.table->ends[role].is_protected || json_object_get(document, "ipsec"))
		return 0;
	return error_set(error, -EINVAL,
		"%s.link-security: required needs the section ipsec, with a policy for the link's "
		"addresses",
		section_names[role]);
}

static bool uses_appliance(const json_t *inspection)
{
	const json_t *engines = json_object_get(inspection, "engines"), *engine;
	size_t i;

	json_array_foreach (engines, i, engine)
		if (strcmp(json_string_value(engine), "appliance") == 0)
			return true;
	return false;
}

/* ---- keys ---- */

static int take_keys(int fd, struct link_end *end, struct error *error)
{
	end->secret = secret_create(sizeof(struct link_keys));
	if (!end->secret)
		return error_set(error, -errno, "%s", strerror(errno));
	return link_keys_read(fd, secret_bytes(end->secret), error);
}

static void read_next_keys(void);

static void on_key_file(void *context, const json_t *result, const json_t *failure,
	int *descriptors, size_t descriptor_count)
{
	struct link_end *end = &change.table->ends[change.role];
	const char *section = section_names[change.role];
	const char *path = text_of(change.sections[change.role], "key-file");
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct error error;

	if (failure || descriptor_count == 0) {
		error_set(&error, -EACCES, "%s.key-file: %s", section,
			message ? message : "not opened");
		end_prepare(&error);
		return;
	}
	if (take_keys(descriptors[0], end, &error) < 0) {
		error_prefix(&error, "%s.key-file: %s", section, path);
		end_prepare(&error);
		return;
	}
	change.role++;
	read_next_keys();
}

static void read_next_keys(void)
{
	while (change.role < LINK_ROLE_COUNT && !text_of(change.sections[change.role], "key-file"))
		change.role++;
	if (change.role == LINK_ROLE_COUNT) {
		end_prepare(NULL);
		return;
	}
	packet_broker_call("broker.open_key",
		json_pack("{s:s}", "path", text_of(change.sections[change.role], "key-file")), NULL,
		0, on_key_file, NULL);
}

/* ---- the module ---- */

static void link_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	json_t *inspection = json_object_get(config, "inspection");
	json_t *found[LINK_ROLE_COUNT] = {
		[LINK_CLIENT] = uses_appliance(inspection)
			? json_object_get(inspection, "appliance")
			: NULL,
		[LINK_APPLIANCE] = json_object_get(config, "appliance"),
		[LINK_DISTRIBUTOR] = json_object_get(config, "distributor"),
		[LINK_TARGET] = json_object_get(config, "target"),
	};
	struct error error;

	memset(&change, 0, sizeof(change));
	change.done = done;
	change.context = context;
	change.table = calloc(1, sizeof(*change.table));
	if (!change.table) {
		error_set(&error, -ENOMEM, "links: no memory");
		end_prepare(&error);
		return;
	}
	for (int i = 0; i < LINK_ROLE_COUNT; i++) {
		if (!found[i])
			continue;
		change.sections[i] = json_incref(found[i]);
		if (read_end(found[i], i, &change.table->ends[i], &error) < 0
			|| check_protection(config, i, &error) < 0) {
			end_prepare(&error);
			return;
		}
	}
	read_next_keys();
}

/* What the workers have learned stays, and what they learn while the tables change is learned
 * again. */
static void keep_learned(struct link_end *end, const struct link_end *old)
{
	for (uint16_t i = 0; i < end->peer_count; i++) {
		int at = old->is_used ? link_find_peer(old, &end->peers[i].address) : -1;

		if (at >= 0 && !end->peers[i].is_static && !old->peers[at].is_static)
			end->peers[i].mac = __atomic_load_n(&old->peers[at].mac, __ATOMIC_RELAXED);
	}
}

static void link_commit(void)
{
	struct link_table *table = change.table;

	for (int i = 0; i < LINK_ROLE_COUNT; i++) {
		const char *name = text_of(change.sections[i], "link");
		struct port *port = name ? port_find(name) : NULL;

		if (port && port->kind == PORT_XCF)
			table->ends[i].port = port->index;
		if (link_table)
			keep_learned(&table->ends[i], &link_table->ends[i]);
	}
	publish_swap(&link_table, table, destroy_table);
	change.table = NULL;
	forget_change();
}

void link_peer_text(enum link_role role, uint16_t index, char text[IP_ADDRESS_TEXT_SIZE])
{
	const struct link_end *end = link_end_of(link_table, role);

	text[0] = '\0';
	if (end && index < end->peer_count)
		ip_address_text(&end->peers[index].address, text);
}

/* The workers have ended. */
static void link_stop(void)
{
	destroy_table(link_table);
	link_table = NULL;
}

const struct packet_module link_module = {
	.name = "link",
	.stop = link_stop,
	.prepare = link_prepare,
	.commit = link_commit,
	.abort = forget_change,
};
