/* SPDX-License-Identifier: BSD-3-Clause */
/* From the rules of the configuration to librte_acl's. Control thread. */
#include "packet/distributor/filter.h"
#include "packet/distributor/filter_key.h"
#include "schema/json.h"
#include "wire/ip_address.h"
#include "wire/ip_protocol.h"
#include "wire/network.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define IPV6_WORDS        4
#define COMPILED_SIZE_MAX (16 << 20) /* bytes of one kind, of packet.memory */

/* Fields of the two layouts in order; those of a step have the same input_index. */
#define FIELD(type_, index, size_, step, at)                                                       \
	{                                                                                          \
		.type = RTE_ACL_FIELD_TYPE_##type_, .size = (size_), .field_index = (index),       \
		.input_index = (step), .offset = (at)                                              \
	}
#define AT4(field) offsetof(struct filter_key_ipv4, field)
#define AT6(field) offsetof(struct filter_key_ipv6, field)

static const struct rte_acl_field_def fields_ipv4[FILTER_FIELDS_IPV4] = {
	FIELD(BITMASK, 0, 1, 0, AT4(protocol)),
	FIELD(MASK, 1, 4, 1, AT4(source)),
	FIELD(MASK, 2, 4, 2, AT4(destination)),
	FIELD(RANGE, 3, 2, 3, AT4(ports)),
	FIELD(RANGE, 4, 2, 3, AT4(ports) + 2),
};

static const struct rte_acl_field_def fields_ipv6[FILTER_FIELDS_IPV6] = {
	FIELD(BITMASK, 0, 1, 0, AT6(protocol)),
	FIELD(MASK, 1, 4, 1, AT6(source)),
	FIELD(MASK, 2, 4, 2, AT6(source) + 4),
	FIELD(MASK, 3, 4, 3, AT6(source) + 8),
	FIELD(MASK, 4, 4, 4, AT6(source) + 12),
	FIELD(MASK, 5, 4, 5, AT6(destination)),
	FIELD(MASK, 6, 4, 6, AT6(destination) + 4),
	FIELD(MASK, 7, 4, 7, AT6(destination) + 8),
	FIELD(MASK, 8, 4, 8, AT6(destination) + 12),
	FIELD(RANGE, 9, 2, 9, AT6(ports)),
	FIELD(RANGE, 10, 2, 9, AT6(ports) + 2),
};

struct prefix {
	struct ip_address address;
	uint8_t length; /* bits */
};

struct ports {
	uint16_t first, last;
};

/* One entry: of one rule, one source, one destination, and one range of each kind of port. */
struct entry {
	const struct prefix *source, *destination; /* NULL: any */
	struct ports ports[2];
	uint8_t protocol; /* 0: any */
	int32_t priority;
	uint32_t rule; /* index + 1 */
};

/* Goes over the rules twice: to count the entries, and to add them to contexts of that size. */
struct compiler {
	bool is_counting;
	struct rte_acl_ctx *contexts[FILTER_KIND_COUNT];
	uint32_t counts[FILTER_KIND_COUNT];
	struct error *error;
};

static bool is_ipv4(enum filter_kind kind)
{
	return kind == FILTER_IPV4 || kind == FILTER_IPV4_FRAGMENT;
}

/* ---- reading ---- */

static struct ports parse_ports(const char *text)
{
	char *end;
	uint16_t first = (uint16_t)strtoul(text, &end, 10);
	uint16_t last = *end == '-' ? (uint16_t)strtoul(end + 1, NULL, 10) : first;

	return (struct ports){first, last};
}

/* Element i of a list; of an empty list the one element that stands for any. */
static size_t alternatives(const json_t *row, const char *key)
{
	size_t count = json_array_size(json_object_get(row, key));

	return count ? count : 1;
}

static struct ports ports_at(const json_t *row, const char *key, size_t i)
{
	const char *text = json_string_value(json_array_get(json_object_get(row, key), i));

	return text ? parse_ports(text) : (struct ports){0, UINT16_MAX};
}

/* False: any. */
static bool prefix_at(const json_t *row, const char *key, size_t i, struct prefix *out)
{
	const char *text = json_string_value(json_array_get(json_object_get(row, key), i));

	return ip_address_parse_prefix(text, &out->address, &out->length);
}

/* ---- entries ---- */

static int create_contexts(struct compiler *compiler)
{
	static unsigned int made; /* names have to differ */
	char name[32];

	for (int kind = 0; kind < FILTER_KIND_COUNT; kind++) {
		uint32_t fields = is_ipv4(kind) ? FILTER_FIELDS_IPV4 : FILTER_FIELDS_IPV6;
		const struct rte_acl_param param = {.name = name,
			.socket_id = SOCKET_ID_ANY,
			.rule_size = RTE_ACL_RULE_SZ(fields),
			.max_rule_num = compiler->counts[kind]};

		if (compiler->counts[kind] == 0)
			continue;
		snprintf(name, sizeof(name), "filter-%u", made++);
		compiler->contexts[kind] = rte_acl_create(&param);
		if (!compiler->contexts[kind])
			return error_set(compiler->error, -ENOMEM, "filters: no memory");
	}
	compiler->is_counting = false;
	return 0;
}

static void set_common(struct rte_acl_rule_data *data, struct rte_acl_field *protocol,
	struct rte_acl_field *ports, const struct entry *entry)
{
	data->category_mask = 1;
	data->priority = entry->priority;
	data->userdata = entry->rule;
	protocol->value.u8 = entry->protocol;
	protocol->mask_range.u8 = entry->protocol ? 0xff : 0;
	for (int i = 0; i < 2; i++) {
		ports[i].value.u16 = entry->ports[i].first;
		ports[i].mask_range.u16 = entry->ports[i].last;
	}
}

/* Consecutive words of an address, in host order, with the bits of the prefix in each. */
static void set_words(struct rte_acl_field *fields, int words, const struct prefix *prefix)
{
	for (int i = 0; prefix && i < words; i++) {
		int bits = prefix->length - 32 * i;

		fields[i].value.u32 = network_load32(&prefix->address.bytes[4 * i]);
		fields[i].mask_range.u32 = bits <= 0 ? 0 : bits >= 32 ? 32 : (uint32_t)bits;
	}
}

static int add_to(struct compiler *compiler, enum filter_kind kind, const struct entry *entry)
{
	struct filter_entry_ipv4 ipv4 = {.data = {0}};
	struct filter_entry_ipv6 ipv6 = {.data = {0}};
	const struct rte_acl_rule *rule = (const struct rte_acl_rule *)&ipv4;

	if (compiler->is_counting)
		return ++compiler->counts[kind] <= FILTER_ENTRIES_MAX
			? 0
			: error_set(compiler->error, -E2BIG,
				"filters: more than %d combinations of sources, destinations and "
				"ports",
				FILTER_ENTRIES_MAX);
	if (is_ipv4(kind)) {
		set_common(&ipv4.data, &ipv4.field[0], &ipv4.field[3], entry);
		set_words(&ipv4.field[1], 1, entry->source);
		set_words(&ipv4.field[2], 1, entry->destination);
	} else {
		set_common(&ipv6.data, &ipv6.field[0], &ipv6.field[9], entry);
		set_words(&ipv6.field[1], IPV6_WORDS, entry->source);
		set_words(&ipv6.field[5], IPV6_WORDS, entry->destination);
		rule = (const struct rte_acl_rule *)&ipv6;
	}
	if (rte_acl_add_rules(compiler->contexts[kind], rule, 1) < 0)
		return error_set(compiler->error, -ENOMEM, "filters: no memory");
	return 0;
}

static bool is_any(struct ports ports)
{
	return ports.first == 0 && ports.last == UINT16_MAX;
}

/* For one version of IP, as whole packets and as later fragments. */
static int add_version(
	struct compiler *compiler, uint8_t version, const struct entry *entry, bool accepts)
{
	struct entry later = *entry;
	int status = add_to(compiler, version == 4 ? FILTER_IPV4 : FILTER_IPV6, entry);

	if (status < 0 || (!accepts && !(is_any(entry->ports[0]) && is_any(entry->ports[1]))))
		return status;
	later.ports[0] = later.ports[1] = (struct ports){0, UINT16_MAX};
	return add_to(compiler, version == 4 ? FILTER_IPV4_FRAGMENT : FILTER_IPV6_FRAGMENT, &later);
}

static bool is_of(const struct prefix *prefix, uint8_t version)
{
	return !prefix || prefix->address.version == version;
}

static int add_entry(struct compiler *compiler, const struct entry *entry, bool accepts)
{
	int status = 0;

	if (is_of(entry->source, 4) && is_of(entry->destination, 4)
		&& entry->protocol != IPPROTO_ICMPV6)
		status = add_version(compiler, 4, entry, accepts);
	if (status == 0 && is_of(entry->source, 6) && is_of(entry->destination, 6)
		&& entry->protocol != IPPROTO_ICMP)
		status = add_version(compiler, 6, entry, accepts);
	return status;
}

static int add_ports(
	struct compiler *compiler, const json_t *row, struct entry *entry, bool accepts)
{
	size_t sources = alternatives(row, "source-ports");
	size_t destinations = alternatives(row, "destination-ports");

	for (size_t i = 0; i < sources; i++)
		for (size_t j = 0; j < destinations; j++) {
			int status;

			entry->ports[0] = ports_at(row, "source-ports", i);
			entry->ports[1] = ports_at(row, "destination-ports", j);
			status = add_entry(compiler, entry, accepts);
			if (status < 0)
				return status;
		}
	return 0;
}

static int add_rule(struct compiler *compiler, const struct filter_rule *rule, uint32_t index)
{
	size_t sources = alternatives(rule->row, "source");
	size_t destinations = alternatives(rule->row, "destination");
	/* rte_acl prefers the higher priority. */
	struct entry entry = {.protocol = ip_protocol_of(text_of(rule->row, "protocol")),
		.priority = (int32_t)(FILTER_RULES_MAX - index),
		.rule = index + 1};
	struct prefix source, destination;

	for (size_t i = 0; i < sources; i++)
		for (size_t j = 0; j < destinations; j++) {
			bool has_source = prefix_at(rule->row, "source", i, &source);
			bool has_destination = prefix_at(rule->row, "destination", j, &destination);
			int status;

			entry.source = has_source ? &source : NULL;
			entry.destination = has_destination ? &destination : NULL;
			status = add_ports(compiler, rule->row, &entry, rule->accepts);
			if (status < 0)
				return status;
		}
	return 0;
}

static int add_rules(struct compiler *compiler, const struct filter_set *set)
{
	int status = 0;

	for (uint16_t i = 0; status == 0 && i < set->count; i++)
		status = add_rule(compiler, &set->rules[i], i);
	return status;
}

static int build(struct compiler *compiler)
{
	for (int kind = 0; kind < FILTER_KIND_COUNT; kind++) {
		struct rte_acl_config config = {.num_categories = 1, .max_size = COMPILED_SIZE_MAX};
		int status;

		config.num_fields = is_ipv4(kind) ? FILTER_FIELDS_IPV4 : FILTER_FIELDS_IPV6;
		memcpy(config.defs, is_ipv4(kind) ? fields_ipv4 : fields_ipv6,
			is_ipv4(kind) ? sizeof(fields_ipv4) : sizeof(fields_ipv6));
		status = compiler->contexts[kind] ? rte_acl_build(compiler->contexts[kind], &config)
						  : 0;
		if (status < 0)
			return error_set(compiler->error, status,
				"filters: they cannot be compiled: %s", strerror(-status));
	}
	return 0;
}

/* ---- sets ---- */

static int by_order(const void *a, const void *b)
{
	const struct filter_rule *left = a, *right = b;
	json_int_t x = json_integer_value(json_object_get(left->row, "order"));
	json_int_t y = json_integer_value(json_object_get(right->row, "order"));

	/* By name where they are the same, so that it is always the same order. */
	return x != y ? (x > y) - (x < y) : strcmp(left->name, right->name);
}

static int slot_of(const struct filter_set *set, const char *name)
{
	for (uint16_t i = 0; set && i < set->count; i++)
		if (strcmp(set->rules[i].name, name) == 0)
			return set->rules[i].slot;
	return -1;
}

static void assign_slots(struct filter_set *set, const struct filter_set *running)
{
	bool is_used[FILTER_RULES_MAX] = {false};
	uint16_t next = 0;

	for (uint16_t i = 0; i < set->count; i++) {
		int slot = slot_of(running, set->rules[i].name);

		set->rules[i].slot = slot < 0 ? FILTER_RULES_MAX : (uint16_t)slot;
		if (slot >= 0)
			is_used[slot] = true;
	}
	for (uint16_t i = 0; i < set->count; i++) {
		if (set->rules[i].slot != FILTER_RULES_MAX)
			continue;
		while (is_used[next])
			next++;
		set->rules[i].slot = next++;
		for (int worker = 0; worker < WORKERS_MAX; worker++)
			filter_hits[worker][set->rules[i].slot] = 0;
	}
}

static int read_rules(struct filter_set *set, json_t *rows, struct error *error)
{
	const char *name;
	json_t *row;

	json_object_foreach (rows, name, row) {
		struct filter_rule *rule = &set->rules[set->count];

		if (set->count == FILTER_RULES_MAX)
			return error_set(
				error, -E2BIG, "filters: more than %d rules", FILTER_RULES_MAX);
		snprintf(rule->name, sizeof(rule->name), "%s", name);
		rule->accepts = strcmp(text_of(row, "action"), "accept") == 0;
		rule->row = json_incref(row);
		set->count++;
	}
	qsort(set->rules, set->count, sizeof(set->rules[0]), by_order);
	return 0;
}

void filter_set_destroy(struct filter_set *set)
{
	if (!set)
		return;
	for (int kind = 0; kind < FILTER_KIND_COUNT; kind++)
		rte_acl_free(set->compiled[kind]);
	for (uint16_t i = 0; i < set->count; i++)
		json_decref(set->rules[i].row);
	free(set);
}

int filter_set_create(const json_t *config, const struct filter_set *running,
	struct filter_set **out, struct error *error)
{
	const json_t *section = json_object_get(config, "filters");
	const char *otherwise = text_of(section, "default");
	struct compiler compiler = {.is_counting = true, .error = error};
	struct filter_set *set;
	int status;

	*out = NULL;
	if (json_object_size(json_object_get(section, "rules")) == 0
		&& (!otherwise || strcmp(otherwise, "accept") == 0))
		return 0;
	set = calloc(1, sizeof(*set));
	if (!set)
		return error_set(error, -ENOMEM, "filters: no memory");
	set->accepts = otherwise && strcmp(otherwise, "accept") == 0;
	status = read_rules(set, json_object_get(section, "rules"), error);
	if (status == 0)
		status = add_rules(&compiler, set);
	if (status == 0)
		status = create_contexts(&compiler);
	if (status == 0)
		status = add_rules(&compiler, set);
	if (status == 0)
		status = build(&compiler);
	memcpy(set->compiled, compiler.contexts, sizeof(set->compiled));
	if (status < 0) {
		filter_set_destroy(set);
		return status;
	}
	assign_slots(set, running);
	*out = set;
	return 0;
}
