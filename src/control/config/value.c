/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config/value.h"

#include "schema/device.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VLAN_MAX 4094 /* IEEE 802.1Q 9.6: 0 and 4095 are reserved */
#define PORT_MAX 65535

/* Units, biggest first; factor is in the smallest of its table. */
struct unit {
	const char *name;
	int64_t factor;
	bool is_input_only; /* understood, but not written */
};

static const struct unit durations[] = {/* in us */
	{"d", 86400000000, false}, {"h", 3600000000, false}, {"min", 60000000, false},
	{"s", 1000000, false}, {"ms", 1000, false}, {"us", 1, false}, {NULL, 0, false}};
static const struct unit rates[] = {{"Tbit/s", 1000000000000, false}, {"Gbit/s", 1000000000, false},
	{"Mbit/s", 1000000, false}, {"kbit/s", 1000, false}, {"bit/s", 1, false}, {NULL, 0, false}};
static const struct unit packet_rates[] = {
	{"M/s", 1000000, false}, {"k/s", 1000, false}, {"/s", 1, false}, {NULL, 0, false}};
static const struct unit sizes[] = {{"TiB", 1099511627776, false}, {"GiB", 1073741824, false},
	{"MiB", 1048576, false}, {"KiB", 1024, false}, {"TB", 1000000000000, true},
	{"GB", 1000000000, true}, {"MB", 1000000, true}, {"kB", 1000, true}, {"B", 1, false},
	{NULL, 0, false}};

static const struct unit *units_of(enum config_type type)
{
	switch (type) {
	case CONFIG_DURATION:
		return durations;
	case CONFIG_RATE:
		return rates;
	case CONFIG_PACKET_RATE:
		return packet_rates;
	case CONFIG_SIZE:
		return sizes;
	default:
		return NULL;
	}
}

/* How many of the table's smallest unit are in the document's. */
static int64_t document_unit(const struct config_option *option)
{
	return option->type == CONFIG_DURATION && strcmp(option->unit, "ms") == 0 ? 1000 : 1;
}

static int parse_digits(const char **at, int64_t *out)
{
	int64_t value = 0;

	*out = 0;
	if (!isdigit((unsigned char)**at))
		return -EINVAL;
	for (; isdigit((unsigned char)**at); (*at)++)
		if (__builtin_mul_overflow(value, 10, &value)
			|| __builtin_add_overflow(value, **at - '0', &value))
			return -ERANGE;
	*out = value;
	return 0;
}

/* "1.5" as whole and thousandths. */
static int parse_decimal(const char **at, int64_t *thousandths)
{
	int64_t whole, scale = 100;
	int r = parse_digits(at, &whole);

	if (r < 0 || __builtin_mul_overflow(whole, 1000, &whole))
		return r < 0 ? r : -ERANGE;
	if (**at == '.') {
		(*at)++;
		if (!isdigit((unsigned char)**at))
			return -EINVAL;
		for (; isdigit((unsigned char)**at); (*at)++, scale /= 10) {
			if (scale == 0)
				return -EDOM;
			whole += (**at - '0') * scale;
		}
	}
	*thousandths = whole;
	return 0;
}

static int check_range(const struct config_option *option, int64_t value, struct error *why)
{
	char bound[VALUE_TEXT_SIZE];
	json_t *json;

	if (option->type == CONFIG_VLAN)
		return value >= 1 && value <= VLAN_MAX ? 0
						       : error_set(why, -EINVAL, "not a VLAN id");
	if (value >= option->minimum && value <= option->maximum)
		return 0;
	json = json_integer(value < option->minimum ? option->minimum : option->maximum);
	value_format(option, json, bound);
	json_decref(json);
	return error_set(why, -EINVAL, "%s %s", value < option->minimum ? "below" : "above", bound);
}

static int parse_integer(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	bool is_negative = *text == '-';
	const char *at = text + is_negative;
	int64_t value;
	int r = parse_digits(&at, &value);

	if (r == -ERANGE)
		return error_set(why, -EINVAL, "the number is too large");
	if (r < 0 || *at)
		return error_set(why, -EINVAL, "not a whole number");
	value = is_negative ? -value : value;
	r = check_range(option, value, why);
	if (r == 0)
		*out = json_integer(value);
	return r;
}

static int parse_with_unit(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	const struct unit *unit = units_of(option->type);
	int64_t thousandths, value, scale = 1000 * document_unit(option);
	const char *at = text;
	int r = parse_decimal(&at, &thousandths);

	if (r == -ERANGE)
		return error_set(why, -EINVAL, "the number is too large");
	if (r == -EDOM)
		return error_set(why, -EINVAL, "more than three decimals");
	if (r < 0)
		return error_set(why, -EINVAL, "it does not start with a number");
	while (*at == ' ')
		at++;
	if (*at == '\0')
		return error_set(why, -EINVAL, "the unit is missing");
	while (unit->name && strcmp(unit->name, at) != 0)
		unit++;
	if (!unit->name)
		return error_set(why, -EINVAL, "unknown unit");
	if (__builtin_mul_overflow(thousandths, unit->factor, &value))
		return error_set(why, -EINVAL, "the number is too large");
	if (value % scale)
		return error_set(why, -EINVAL, "not a whole number of %s", option->unit);
	r = check_range(option, value / scale, why);
	if (r == 0)
		*out = json_integer(value / scale);
	return r;
}

static int parse_bool(const char *text, json_t **out, struct error *why)
{
	if (strcmp(text, "true") == 0)
		*out = json_true();
	else if (strcmp(text, "false") == 0)
		*out = json_false();
	else
		return error_set(why, -EINVAL, "neither true nor false");
	return 0;
}

static int check_length(const struct config_option *option, const char *text, struct error *why)
{
	/* Of lists the range counts elements. */
	int64_t maximum = config_option_is(option, CONFIG_IS_LIST) ? 4095 : option->maximum;
	size_t size = strlen(text);

	if (size == 0)
		return error_set(why, -EINVAL, "it is empty");
	if (maximum && size > (size_t)maximum)
		return error_set(why, -EINVAL, "longer than %" PRId64 " characters", maximum);
	return 0;
}

static int parse_name(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	int r = check_length(option, text, why);

	if (r < 0)
		return r;
	if (!isalnum((unsigned char)*text))
		return error_set(why, -EINVAL, "it does not start with a letter or digit");
	for (const char *at = text; *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
			return error_set(why, -EINVAL, "'%c' cannot be in a name",
				isprint((unsigned char)*at) ? *at : '?');
	*out = json_string(text);
	return 0;
}

static int parse_enum(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	if (*text == '\0' || strchr(text, '|') || !config_values_contain(option->values, text))
		return error_set(why, -EINVAL, "unknown word");
	*out = json_string(text);
	return 0;
}

static int parse_mac(const char *text, json_t **out, struct error *why)
{
	unsigned int bytes[6];
	char canonical[18];
	size_t i;

	for (i = 0; i < 17 && text[i]; i++)
		if (i % 3 == 2 ? text[i] != ':' && text[i] != '-'
			       : !isxdigit((unsigned char)text[i]))
			break;
	if (i != 17 || text[17])
		return error_set(why, -EINVAL, "not six pairs of hexadecimal digits with colons");
	for (i = 0; i < 6; i++)
		bytes[i] = (unsigned int)strtoul(text + i * 3, NULL, 16);
	if (bytes[0] & 1)
		return error_set(
			why, -EINVAL, "a group address; an adapter's has an even first byte");
	if (!(bytes[0] | bytes[1] | bytes[2] | bytes[3] | bytes[4] | bytes[5]))
		return error_set(why, -EINVAL, "all zero");
	snprintf(canonical, sizeof(canonical), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0] & 0xff,
		bytes[1] & 0xff, bytes[2] & 0xff, bytes[3] & 0xff, bytes[4] & 0xff,
		bytes[5] & 0xff);
	*out = json_string(canonical);
	return 0;
}

/* Splits "address/length"; *length is -1 without. */
static int parse_address_parts(
	const char *text, int *family, unsigned char address[16], int *length, struct error *why)
{
	char host[INET6_ADDRSTRLEN];
	size_t size = strcspn(text, "/");
	const char *at = text + size + 1;
	int64_t bits;

	*length = -1;
	if (size >= sizeof(host))
		return error_set(why, -EINVAL, "not an IP address");
	memcpy(host, text, size);
	host[size] = '\0';
	*family = strchr(host, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*family, host, address) != 1)
		return error_set(why, -EINVAL, "not an IP address");
	if (text[size] == '\0')
		return 0;
	if (parse_digits(&at, &bits) < 0 || *at || bits > (*family == AF_INET ? 32 : 128))
		return error_set(why, -EINVAL, "the prefix length is not 0 to %d",
			*family == AF_INET ? 32 : 128);
	*length = (int)bits;
	return 0;
}

static bool has_host_bits(const unsigned char address[16], int bits, int length)
{
	for (int bit = length; bit < bits; bit++)
		if (address[bit / 8] & (0x80 >> bit % 8))
			return true;
	return false;
}

static int parse_address(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	char canonical[INET6_ADDRSTRLEN];
	unsigned char address[16];
	int family = AF_INET, length, bits, r;

	r = parse_address_parts(text, &family, address, &length, why);
	if (r < 0)
		return r;
	bits = family == AF_INET ? 32 : 128;
	if (option->type == CONFIG_HOST_ADDRESS && length < 0)
		return error_set(why, -EINVAL, "the prefix length is missing, as in %s/%d", text,
			family == AF_INET ? 24 : 64);
	if (option->type == CONFIG_ADDRESS && length >= 0 && has_host_bits(address, bits, length))
		return error_set(why, -EINVAL,
			"bits are set behind the prefix; write the address alone or the prefix");
	inet_ntop(family, address, canonical, sizeof(canonical));
	if (length >= 0 && (option->type == CONFIG_HOST_ADDRESS || length < bits))
		*out = json_sprintf("%s/%d", canonical, length);
	else
		*out = json_string(canonical);
	return 0;
}

int value_parse_vlans(const char *text, unsigned int *first, unsigned int *last, struct error *why)
{
	const char *at = text;
	int64_t low, high;

	if (parse_digits(&at, &low) < 0)
		return error_set(why, -EINVAL, "not a VLAN id or range");
	high = low;
	if (*at == '-') {
		at++;
		if (parse_digits(&at, &high) < 0)
			return error_set(why, -EINVAL, "not a VLAN id or range");
	}
	if (*at)
		return error_set(why, -EINVAL, "not a VLAN id or range");
	if (low < 1 || low > VLAN_MAX || high < 1 || high > VLAN_MAX)
		return error_set(why, -EINVAL, "VLAN ids are 1 to %d", VLAN_MAX);
	if (low > high)
		return error_set(why, -EINVAL, "the range goes backwards");
	*first = (unsigned int)low;
	*last = (unsigned int)high;
	return 0;
}

static int parse_ports(const char *text, json_t **out, struct error *why)
{
	const char *at = text;
	int64_t first, last;
	int r = parse_digits(&at, &first);

	last = first;
	if (r == 0 && *at == '-') {
		at++;
		r = parse_digits(&at, &last);
	}
	if (r < 0 || *at)
		return error_set(why, -EINVAL, "not a port or range of ports");
	if (first > PORT_MAX || last > PORT_MAX)
		return error_set(why, -EINVAL, "ports are 0 to %d", PORT_MAX);
	if (first > last)
		return error_set(why, -EINVAL, "the range goes backwards");
	*out = first == last ? json_sprintf("%d", (int)first)
			     : json_sprintf("%d-%d", (int)first, (int)last);
	return 0;
}

static int parse_device(const char *text, json_t **out, struct error *why)
{
	struct device device;
	int r = device_parse(text, &device, why);

	if (r == 0)
		*out = json_string(text);
	return r;
}

static int parse_interface(const char *text, json_t **out, struct error *why)
{
	char device_text[VALUE_TEXT_SIZE];
	struct device device;
	int r;

	if (strlen(text) > 15 || strchr(text, ','))
		return error_set(why, -EINVAL,
			"an interface's name has 1 to 15 characters of "
			"letters, digits and - _ . @");
	snprintf(device_text, sizeof(device_text), "tap:%s", text);
	r = device_parse(device_text, &device, why);
	if (r == 0)
		*out = json_string(text);
	return r;
}

/* The broker opens what is written here, and follows no detours (path_is_clean() of src/main). */
static int check_components(const char *path, struct error *why)
{
	while (*path) {
		size_t size = strcspn(++path, "/");

		if (size == 0 && *path)
			return error_set(why, -EINVAL, "a path with // in it");
		if ((size == 1 && path[0] == '.') || (size == 2 && memcmp(path, "..", 2) == 0))
			return error_set(why, -EINVAL, "a path with . or .. in it");
		path += size;
	}
	return 0;
}

static int check_path(const struct config_option *option, const char *text, struct error *why)
{
	int r = check_length(option, text, why);

	if (r < 0)
		return r;
	if (*text != '/')
		return error_set(why, -EINVAL, "not an absolute path");
	if (text[strlen(text) - 1] == '/')
		return error_set(why, -EINVAL, "a folder, not a file");
	return check_components(text, why);
}

static int parse_path(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	int r = check_path(option, text, why);

	if (r == 0)
		*out = json_string(text);
	return r;
}

static int parse_sink(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	bool takes_socket = strstr(option->values, "unix:") != NULL;
	bool is_socket = takes_socket && strncmp(text, "unix:", 5) == 0;
	int r = 0;

	if (is_socket || *text == '\0' || !config_values_contain(option->values, text))
		r = check_path(option, is_socket ? text + 5 : text, why);
	if (r == 0)
		*out = json_string(text);
	return r;
}

/* ADDRESS:PORT with IPv6 in brackets (RFC 3986). */
static int parse_endpoint(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	const char *colon = strrchr(text, ':'), *at;
	char host[INET6_ADDRSTRLEN + 2];
	unsigned char address[16];
	size_t size = colon ? (size_t)(colon - text) : 0;
	int64_t port;
	int r;

	if (strcmp(text, "none") == 0) {
		*out = NULL;
		return 0;
	}
	if (!colon)
		return error_set(why, -EINVAL, "the port is missing, as in 127.0.0.1:9580");
	at = colon + 1;
	if (parse_digits(&at, &port) < 0 || *at || port < 1 || port > 65535)
		return error_set(why, -EINVAL, "the port is not 1 to 65535");
	if (size >= sizeof(host))
		return error_set(why, -EINVAL, "not an IP address before the port");
	memcpy(host, text, size);
	host[size] = '\0';
	if (host[0] == '[' && size > 2 && host[size - 1] == ']') {
		host[size - 1] = '\0';
		r = inet_pton(AF_INET6, host + 1, address);
	} else {
		r = inet_pton(AF_INET, host, address);
	}
	if (r != 1)
		return error_set(why, -EINVAL, "not an IP address before the port");
	*out = json_string(text);
	return 0;
}

static int parse_principal(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	const char *name = text + (*text == '@');

	if (*name == '\0' || strlen(name) > 31)
		return error_set(why, -EINVAL, "a name has 1 to 31 characters");
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.$", *at))
			return error_set(why, -EINVAL, "'%c' cannot be in the name of a user",
				isprint((unsigned char)*at) ? *at : '?');
	*out = json_string(text);
	return 0;
}

static int parse_string(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	int r = check_length(option, text, why);

	if (r == 0)
		*out = json_string(text);
	return r;
}

static int parse_text(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	switch (option->type) {
	case CONFIG_BOOL:
		return parse_bool(text, out, why);
	case CONFIG_NAME:
		return parse_name(option, text, out, why);
	case CONFIG_ENUM:
		return parse_enum(option, text, out, why);
	case CONFIG_MAC:
		return parse_mac(text, out, why);
	case CONFIG_ADDRESS:
	case CONFIG_HOST_ADDRESS:
		return parse_address(option, text, out, why);
	case CONFIG_DEVICE:
		return parse_device(text, out, why);
	case CONFIG_INTERFACE:
		return parse_interface(text, out, why);
	case CONFIG_PATH:
	case CONFIG_GLOB:
		return parse_path(option, text, out, why);
	case CONFIG_SINK:
		return parse_sink(option, text, out, why);
	case CONFIG_ENDPOINT:
		return parse_endpoint(option, text, out, why);
	case CONFIG_PORTS:
		return parse_ports(text, out, why);
	case CONFIG_PRINCIPAL:
		return parse_principal(option, text, out, why);
	default:
		return parse_string(option, text, out, why);
	}
}

int value_parse(
	const struct config_option *option, const char *text, json_t **out, struct error *why)
{
	*out = NULL;
	why->text[0] = '\0';
	if (config_option_is(option, CONFIG_TAKES_NONE) && strcmp(text, "none") == 0) {
		*out = json_integer(0);
		return 0;
	}
	if (option->type == CONFIG_INTEGER || option->type == CONFIG_VLAN)
		return parse_integer(option, text, out, why);
	if (units_of(option->type))
		return parse_with_unit(option, text, out, why);
	return parse_text(option, text, out, why);
}

static void format_with_unit(
	const struct config_option *option, int64_t value, char out[VALUE_TEXT_SIZE])
{
	const struct unit *unit = units_of(option->type), *best = NULL;
	int64_t smallest = value * document_unit(option);

	/* The biggest unit that needs no fraction. */
	for (; unit->name; unit++) {
		if (unit->is_input_only)
			continue;
		best = unit;
		if (smallest != 0 && smallest % unit->factor == 0)
			break;
	}
	if (smallest == 0 && option->unit && option->type == CONFIG_DURATION)
		snprintf(out, VALUE_TEXT_SIZE, "0%s", option->unit);
	else
		snprintf(
			out, VALUE_TEXT_SIZE, "%" PRId64 "%s", smallest / best->factor, best->name);
}

void value_format(
	const struct config_option *option, const json_t *value, char out[VALUE_TEXT_SIZE])
{
	out[0] = '\0';
	if (json_is_integer(value)) {
		int64_t number = json_integer_value(value);

		if (number == 0 && config_option_is(option, CONFIG_TAKES_NONE))
			strcpy(out, "none");
		else if (units_of(option->type))
			format_with_unit(option, number, out);
		else
			snprintf(out, VALUE_TEXT_SIZE, "%" PRId64, number);
	} else if (json_is_boolean(value)) {
		strcpy(out, json_is_true(value) ? "true" : "false");
	} else if (json_is_string(value)) {
		snprintf(out, VALUE_TEXT_SIZE, "%s", json_string_value(value));
	}
}

/* "drop|pass" as "drop or pass". */
static void describe_values(const char *values, char out[VALUE_TEXT_SIZE])
{
	size_t used = 0;

	out[0] = '\0';
	for (const char *at = values; *at;) {
		size_t size = strcspn(at, "|");
		bool is_last = at[size] == '\0';
		int added = snprintf(out + used, VALUE_TEXT_SIZE - used, "%s%.*s",
			at == values      ? ""
				: is_last ? " or "
					  : ", ",
			(int)size, at);

		used += added > 0 ? (size_t)added : 0;
		at += size + !is_last;
	}
}

static void describe_range(const struct config_option *option, char out[VALUE_TEXT_SIZE])
{
	char low[VALUE_TEXT_SIZE], high[VALUE_TEXT_SIZE];
	/* The least is formatted as a number also where 0 means none. */
	struct config_option plain = *option;
	json_t *minimum = json_integer(option->minimum), *maximum = json_integer(option->maximum);

	plain.flags &= ~(uint32_t)CONFIG_TAKES_NONE;
	value_format(&plain, minimum, low);
	value_format(&plain, maximum, high);
	json_decref(minimum);
	json_decref(maximum);
	snprintf(out, VALUE_TEXT_SIZE, "%.100s to %.100s%s%.20s%s", low, high,
		option->type == CONFIG_INTEGER && option->unit ? " " : "",
		option->type == CONFIG_INTEGER && option->unit ? option->unit : "",
		config_option_is(option, CONFIG_TAKES_NONE) ? ", or none" : "");
}

void value_describe(const struct config_option *option, char out[VALUE_TEXT_SIZE])
{
	switch (option->type) {
	case CONFIG_INTEGER:
	case CONFIG_DURATION:
	case CONFIG_RATE:
	case CONFIG_PACKET_RATE:
	case CONFIG_SIZE:
		describe_range(option, out);
		break;
	case CONFIG_ENUM:
		describe_values(option->values, out);
		break;
	case CONFIG_SINK:
		describe_values(option->values, out);
		strncat(out, ", or an absolute path", VALUE_TEXT_SIZE - strlen(out) - 1);
		break;
	default:
		snprintf(out, VALUE_TEXT_SIZE, "%s", config_type_describe(option->type));
	}
}
