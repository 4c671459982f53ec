/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/networks.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS    4096
#define DEPTH_MAX  16 /* of nested lists and variables */
#define PORT_MAX   65535
#define NUMBER_MAX (~(interval_number)0)
/* ::ffff:0:0/96, where IPv4 addresses are in the line of numbers (RFC 4291, 2.5.5.2). */
#define IPV4_FIRST ((interval_number)0xffff << 32)

enum list_kind { LIST_ADDRESSES, LIST_PORTS };

/* A list that was read before, by its text. */
struct known_list {
	struct known_list *next;
	enum list_kind kind;
	bool is_any;
	struct interval_set set;
	char text[];
};

struct networks {
	const json_t *variables;
	struct known_list *buckets[BUCKETS];
};

/* What a list says so far: what it names, and what it takes away. */
struct list_value {
	struct interval_set members, excluded;
};

struct list_reader {
	struct networks *networks;
	enum list_kind kind;
	unsigned int depth;
	struct error *error;
};

static int read_list(struct list_reader *reader, const char *text, struct list_value *value);

struct networks *networks_create(const json_t *variables)
{
	struct networks *networks = calloc(1, sizeof(*networks));

	if (networks)
		networks->variables = variables;
	return networks;
}

void networks_destroy(struct networks *networks)
{
	if (!networks)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (networks->buckets[i]) {
			struct known_list *known = networks->buckets[i];

			networks->buckets[i] = known->next;
			interval_set_clear(&known->set);
			free(known);
		}
	}
	free(networks);
}

void networks_forget_variables(struct networks *networks)
{
	networks->variables = NULL;
}

interval_number networks_address_number(const uint8_t address[16], uint8_t ip_version)
{
	interval_number number = 0;

	for (size_t i = 0; i < (ip_version == 4 ? 4 : 16); i++)
		number = number << 8 | address[i];
	return ip_version == 4 ? IPV4_FIRST | number : number;
}

static const char *kind_name(const struct list_reader *reader)
{
	return reader->kind == LIST_PORTS ? "port" : "address";
}

static interval_number last_of(enum list_kind kind)
{
	return kind == LIST_PORTS ? PORT_MAX : NUMBER_MAX;
}

/* ---- one address, one port ---- */

static int read_address(const char *text, interval_number *out, bool *is_ipv4)
{
	uint8_t bytes[16];

	*is_ipv4 = inet_pton(AF_INET, text, bytes) == 1;
	if (!*is_ipv4 && inet_pton(AF_INET6, text, bytes) != 1)
		return -EINVAL;
	*out = networks_address_number(bytes, *is_ipv4 ? 4 : 6);
	return 0;
}

/* Digits alone, at most max. */
static int read_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return *end || errno || *out > max ? -EINVAL : 0;
}

/* "24", or for IPv4 also "255.255.255.0". */
static int read_prefix(const char *text, bool is_ipv4, unsigned int *out)
{
	unsigned int bits = is_ipv4 ? 32 : 128;
	struct in_addr mask;
	unsigned long number;
	uint32_t inverse;

	if (read_number(text, bits, &number) == 0) {
		*out = (unsigned int)number;
		return 0;
	}
	if (!is_ipv4 || inet_pton(AF_INET, text, &mask) != 1)
		return -EINVAL;
	inverse = ~ntohl(mask.s_addr);
	if (inverse & (inverse + 1))
		return -EINVAL; /* holes */
	*out = 32 - (unsigned int)__builtin_popcount(inverse);
	return 0;
}

static int read_address_range(char *text, interval_number *first, interval_number *last)
{
	char *slash = strchr(text, '/'), *dash = strchr(text, '-');
	bool is_ipv4, last_is_ipv4;
	unsigned int prefix;
	interval_number host;

	if (slash)
		*slash = '\0';
	else if (dash)
		*dash = '\0';
	if (read_address(text, first, &is_ipv4) < 0)
		return -EINVAL;
	*last = *first;
	if (slash) {
		if (read_prefix(slash + 1, is_ipv4, &prefix) < 0)
			return -EINVAL;
		prefix += is_ipv4 ? 96 : 0;
		host = prefix == 0 ? NUMBER_MAX : ((interval_number)1 << (128 - prefix)) - 1;
		*first &= ~host;
		*last = *first | host;
	} else if (dash) {
		if (read_address(dash + 1, last, &last_is_ipv4) < 0 || last_is_ipv4 != is_ipv4)
			return -EINVAL;
	}
	return *first <= *last ? 0 : -EINVAL;
}

static int read_port_range(char *text, interval_number *first, interval_number *last)
{
	char *colon = strchr(text, ':');
	unsigned long low = 0, high = PORT_MAX;

	if (!colon) {
		if (read_number(text, PORT_MAX, &low) < 0)
			return -EINVAL;
		high = low;
	} else {
		*colon = '\0';
		if (colon == text && colon[1] == '\0')
			return -EINVAL;
		if (colon != text && read_number(text, PORT_MAX, &low) < 0)
			return -EINVAL;
		if (colon[1] && read_number(colon + 1, PORT_MAX, &high) < 0)
			return -EINVAL;
	}
	*first = low;
	*last = high;
	return low <= high ? 0 : -EINVAL;
}

static int read_range(struct list_reader *reader, const char *text, struct interval_set *out)
{
	char copy[128];
	interval_number first = 0, last = last_of(reader->kind);
	int code;

	if (strcmp(text, "any") != 0) {
		if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
			code = -EINVAL;
		else if (reader->kind == LIST_PORTS)
			code = read_port_range(copy, &first, &last);
		else
			code = read_address_range(copy, &first, &last);
		if (code < 0)
			return error_set(reader->error, -EINVAL,
				reader->kind == LIST_PORTS
					? "\"%.80s\" is no port (0 to 65535), no range like "
					  "1024:2048, 1024: or :1023, and not \"any\""
					: "\"%.80s\" is no IPv4 or IPv6 address, network like "
					  "192.0.2.0/24, range like 192.0.2.1-192.0.2.9, or "
					  "\"any\"",
				text);
	}
	code = interval_set_add(out, first, last);
	return code == -E2BIG ? error_set(reader->error, -EINVAL, "the list is too long") : code;
}

/* ---- variables ---- */

/* The variable's value as list text; caller frees. NULL: it has none that is a list. */
static char *variable_text(const json_t *value, unsigned int depth)
{
	char *text = NULL, *element, *joined;
	const json_t *item;
	size_t i;

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_integer(value))
		return asprintf(&text, "%" JSON_INTEGER_FORMAT, json_integer_value(value)) < 0
			? NULL
			: text;
	if (!json_is_array(value) || json_array_size(value) == 0 || depth > DEPTH_MAX)
		return NULL;
	json_array_foreach (value, i, item) {
		element = variable_text(item, depth + 1);
		if (!element
			|| asprintf(&joined, "%s%s%s", text ? text : "[", text ? "," : "", element)
				< 0)
			joined = NULL;
		free(element);
		free(text);
		text = joined;
		if (!text)
			return NULL;
	}
	if (asprintf(&joined, "%s]", text) < 0)
		joined = NULL;
	free(text);
	return joined;
}

static int read_variable(struct list_reader *reader, const char *name, struct list_value *value)
{
	const json_t *definition = json_object_get(reader->networks->variables, name);
	char *text;
	int code;

	if (!definition)
		return error_set(reader->error, -EINVAL,
			"the variable $%.60s is not defined: set it in inspection.variables", name);
	text = variable_text(definition, 0);
	if (!text)
		return error_set(reader->error, -EINVAL,
			"the variable $%.60s is empty, or no text or list of texts", name);
	code = read_list(reader, text, value);
	if (code == -EINVAL)
		error_prefix(reader->error, "in $%.60s", name);
	free(text);
	return code;
}

/* ---- lists ---- */

static void value_clear(struct list_value *value)
{
	interval_set_clear(&value->members);
	interval_set_clear(&value->excluded);
}

/* *out = members without what is excluded; a list of exclusions alone is taken from all. */
static int value_settle(
	struct list_reader *reader, struct list_value *value, struct interval_set *out)
{
	int code = 0;

	if (value->members.count == 0)
		code = interval_set_add(&value->members, 0, last_of(reader->kind));
	if (code < 0)
		return code;
	interval_set_normalize(&value->members);
	interval_set_normalize(&value->excluded);
	code = interval_set_subtract(&value->members, &value->excluded, out);
	if (code == 0 && out->count == 0)
		return error_set(reader->error, -EINVAL, "the %s list leaves nothing over",
			kind_name(reader));
	return code;
}

/* One element: [list], $VARIABLE, or a range; "!" before it takes it away. */
static int read_element(struct list_reader *reader, char *text, struct list_value *value)
{
	struct list_value inner = {0};
	struct interval_set settled = {0};
	bool is_negated = *text == '!';
	int code;

	if (is_negated)
		for (text++; isspace((unsigned char)*text); text++)
			;
	if (*text == '!')
		return error_set(reader->error, -EINVAL, "\"!!\" is not a negation");
	if (*text == '[' || *text == '$') {
		code = read_list(reader, text, &inner);
		if (code == 0)
			code = value_settle(reader, &inner, &settled);
	} else {
		code = read_range(reader, text, &settled);
	}
	if (code == 0)
		code = interval_set_add_all(
			is_negated ? &value->excluded : &value->members, &settled);
	if (code == -E2BIG)
		code = error_set(reader->error, -EINVAL, "the list is too long");
	value_clear(&inner);
	interval_set_clear(&settled);
	return code;
}

/* Where the element at text ends: a comma outside of brackets, or the end. NULL: brackets do not
 * match. */
static char *find_element_end(char *text)
{
	unsigned int depth = 0;

	for (; *text && (*text != ',' || depth > 0); text++) {
		if (*text == '[')
			depth++;
		else if (*text == ']' && depth-- == 0)
			return NULL;
	}
	return depth == 0 ? text : NULL;
}

static void trim(char **text)
{
	char *end = *text + strlen(*text);

	while (isspace((unsigned char)**text))
		(*text)++;
	while (end > *text && isspace((unsigned char)end[-1]))
		*--end = '\0';
}

static int read_elements(struct list_reader *reader, char *text, struct list_value *value)
{
	bool is_last = false;
	int code = 0;

	while (code == 0 && !is_last) {
		char *end = find_element_end(text);

		if (!end)
			return error_set(reader->error, -EINVAL,
				"the brackets of the %s list do not match", kind_name(reader));
		is_last = *end == '\0';
		*end = '\0';
		trim(&text);
		if (*text == '\0')
			return error_set(reader->error, -EINVAL, "the %s list has an empty element",
				kind_name(reader));
		code = read_element(reader, text, value);
		text = end + 1;
	}
	return code;
}

static int read_list(struct list_reader *reader, const char *text, struct list_value *value)
{
	char *copy, *inner;
	size_t size;
	int code = 0;

	if (reader->depth++ > DEPTH_MAX)
		return error_set(reader->error, -EINVAL,
			"lists and variables are nested more than %d deep, or in a circle",
			DEPTH_MAX);
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	inner = copy;
	trim(&inner);
	size = strlen(inner);
	if (*inner == '$' && !strpbrk(inner, ",[]")) {
		code = read_variable(reader, inner + 1, value);
	} else if (*inner == '[' && find_element_end(inner) == inner + size) {
		if (inner[size - 1] != ']')
			code = error_set(reader->error, -EINVAL, "expected nothing behind \"]\"");
		inner[size - 1] = '\0';
		if (code == 0)
			code = read_elements(reader, inner + 1, value);
	} else {
		code = read_elements(reader, inner, value);
	}
	free(copy);
	reader->depth--;
	return code;
}

/* ---- sharing ---- */

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t hash_text(const char *text, enum list_kind kind)
{
	uint32_t hash = 2166136261U ^ (uint32_t)kind;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619U;
	return hash;
}

static int create_list(struct networks *networks, enum list_kind kind, const char *text,
	struct known_list **out, struct error *error)
{
	struct list_reader reader = {.networks = networks, .kind = kind, .error = error};
	struct list_value value = {0};
	struct known_list *known = calloc(1, sizeof(*known) + strlen(text) + 1);
	int code;

	if (!known)
		return -ENOMEM;
	known->kind = kind;
	strcpy(known->text, text);
	code = read_list(&reader, text, &value);
	if (code == 0)
		code = value_settle(&reader, &value, &known->set);
	value_clear(&value);
	if (code < 0) {
		interval_set_clear(&known->set);
		free(known);
		return code;
	}
	known->is_any = known->set.count == 1 && known->set.intervals[0].first == 0
		&& known->set.intervals[0].last == last_of(kind);
	*out = known;
	return 0;
}

static int find_or_create(struct networks *networks, enum list_kind kind, const char *text,
	const struct interval_set **out, struct error *error)
{
	struct known_list **bucket = &networks->buckets[hash_text(text, kind) % BUCKETS];
	struct known_list *known = *bucket;
	int code;

	while (known && (known->kind != kind || strcmp(known->text, text) != 0))
		known = known->next;
	if (!known) {
		code = create_list(networks, kind, text, &known, error);
		if (code < 0)
			return code;
		known->next = *bucket;
		*bucket = known;
	}
	*out = known->is_any ? NULL : &known->set;
	return 0;
}

int networks_addresses(struct networks *networks, const char *text, const struct interval_set **out,
	struct error *error)
{
	return find_or_create(networks, LIST_ADDRESSES, text, out, error);
}

int networks_ports(struct networks *networks, const char *text, const struct interval_set **out,
	struct error *error)
{
	return find_or_create(networks, LIST_PORTS, text, out, error);
}
