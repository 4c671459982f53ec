/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON Schema (draft 2020-12) of bulkhead.yaml for editors: completion, help and a first check
 * while typing. It knows each option by itself; what depends on several is for `config check`.
 */
#include "control/config/load.h"
#include "control/config/value.h"

#include <stdlib.h>
#include <string.h>

static json_t *schema_of(const struct config_option *option);

static json_t *pattern(const char *regex)
{
	return json_pack("{s:s, s:s}", "type", "string", "pattern", regex);
}

static json_t *words(const char *values)
{
	json_t *list = json_array();

	for (const char *at = values; *at;) {
		size_t size = strcspn(at, "|");

		json_array_append_new(list, json_stringn(at, size));
		at += size + (at[size] == '|');
	}
	return list;
}

static json_t *any_of(json_t *first, json_t *second)
{
	return json_pack("{s:[o, o]}", "anyOf", first, second);
}

/* hugepages: `on` and `off` are booleans to editors that read YAML 1.1. */
static json_t *enum_schema(const char *values)
{
	json_t *list = words(values);

	if (config_values_contain(values, "on"))
		json_array_append_new(list, json_true());
	if (config_values_contain(values, "off"))
		json_array_append_new(list, json_false());
	return json_pack("{s:o}", "enum", list);
}

static json_t *integer_schema(json_int_t minimum, json_int_t maximum)
{
	return json_pack(
		"{s:s, s:I, s:I}", "type", "integer", "minimum", minimum, "maximum", maximum);
}

#define IPV4_REGEX "([0-9]{1,3}\\.){3}[0-9]{1,3}"
#define IPV6_REGEX "[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"
#define NUMBER     "^[0-9]+(\\.[0-9]+)? ?"

static json_t *text_schema(const struct config_option *option)
{
	switch (option->type) {
	case CONFIG_NAME:
		return pattern("^[A-Za-z0-9][A-Za-z0-9_-]*$");
	case CONFIG_MAC:
		return pattern("^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$");
	case CONFIG_ADDRESS:
		return pattern("^(" IPV4_REGEX "|" IPV6_REGEX ")(/[0-9]{1,3})?$");
	case CONFIG_HOST_ADDRESS:
		return pattern("^(" IPV4_REGEX "|" IPV6_REGEX ")/[0-9]{1,3}$");
	case CONFIG_DEVICE:
		return pattern("^(af_xdp|af_packet|netdev|tap|memif|vhost-user|pci):.+$");
	case CONFIG_INTERFACE:
		return pattern("^[A-Za-z0-9_.@-]{1,15}$");
	case CONFIG_PATH:
	case CONFIG_GLOB:
		return pattern("^/");
	case CONFIG_SINK:
		return any_of(enum_schema(option->values),
			pattern(strstr(option->values, "unix:") ? "^(unix:)?/" : "^/"));
	case CONFIG_ENDPOINT:
		return pattern("^(none|(" IPV4_REGEX "|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5})$");
	case CONFIG_PRINCIPAL:
		return pattern("^@?[A-Za-z0-9_.$-]{1,31}$");
	default:
		return json_pack("{s:s}", "type", "string");
	}
}

static json_t *scalar_schema(const struct config_option *option)
{
	switch (option->type) {
	case CONFIG_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case CONFIG_INTEGER:
		return integer_schema(option->minimum, option->maximum);
	case CONFIG_VLAN:
		return integer_schema(1, 4094);
	case CONFIG_VLANS:
		return any_of(integer_schema(1, 4094), pattern("^[0-9]{1,4}-[0-9]{1,4}$"));
	case CONFIG_PORTS:
		return any_of(integer_schema(0, 65535), pattern("^[0-9]{1,5}-[0-9]{1,5}$"));
	case CONFIG_DURATION:
		return pattern(NUMBER "(us|ms|s|min|h|d)$");
	case CONFIG_RATE:
		return pattern(NUMBER "[TGMk]?bit/s$");
	case CONFIG_PACKET_RATE:
		return pattern(NUMBER "[Mk]?/s$");
	case CONFIG_SIZE:
		return pattern(NUMBER "([TGMK]i|[TGMk])?B$");
	case CONFIG_ENUM:
		return enum_schema(option->values);
	case CONFIG_VARIABLE:
		return json_pack("{s:[s, s, s]}", "type", "string", "integer", "array");
	default:
		return text_schema(option);
	}
}

static void forbid_others(json_t *schema)
{
	json_object_set_new(schema, "additionalProperties", json_false());
	/* `adapters:` with nothing behind it is an empty section. */
	json_object_set_new(schema, "type", json_pack("[s, s]", "object", "null"));
}

static json_t *section_schema(const struct config_option *option)
{
	json_t *schema = json_object(), *properties = json_object(), *required = json_array();
	const struct config_option *child = NULL;

	while ((child = config_option_next_child(option, child))) {
		const char *name = config_option_name(child);

		json_object_set_new(properties, name, schema_of(child));
		if (config_option_is(child, CONFIG_IS_REQUIRED))
			json_array_append_new(required, json_string(name));
	}
	forbid_others(schema);
	json_object_set_new(schema, "properties", properties);
	if (json_array_size(required)) {
		json_object_set(schema, "required", required);
		json_object_set_new(schema, "type", json_string("object"));
	}
	json_decref(required);
	if (option && option->short_form)
		return any_of(
			schema, scalar_schema(config_option_child(option, option->short_form)));
	return schema;
}

static json_t *map_schema(const struct config_option *option)
{
	const char *names = "^[A-Za-z0-9][A-Za-z0-9_-]{0,30}$";
	json_t *schema = json_object();

	if (strcmp(option->key_type, "vlan") == 0)
		names = "^[1-9][0-9]{0,3}$";
	else if (strcmp(option->key_type, "variable") == 0)
		names = "^[A-Za-z0-9_]{1,63}$";
	forbid_others(schema);
	json_object_set_new(schema, "patternProperties",
		json_pack("{s:o}", names, schema_of(config_option_child(option, "*"))));
	return schema;
}

/* Takes items. Of lists of numbers the row's range is that of the numbers. */
static json_t *list_schema(const struct config_option *option, json_t *items)
{
	json_t *schema = json_pack("{s:s, s:o}", "type", "array", "items", items);

	if (option->type != CONFIG_INTEGER) {
		json_object_set_new(schema, "minItems", json_integer(option->minimum));
		json_object_set_new(schema, "maxItems", json_integer(option->maximum));
	}
	return schema;
}

static json_t *schema_of(const struct config_option *option)
{
	json_t *schema;

	if (option->type == CONFIG_SECTION)
		schema = section_schema(option);
	else if (option->type == CONFIG_MAP)
		schema = map_schema(option);
	else
		schema = scalar_schema(option);
	if (config_option_is(option, CONFIG_IS_LIST))
		schema = list_schema(option, schema);
	else if (config_option_is(option, CONFIG_TAKES_NONE))
		schema = any_of(schema, json_pack("{s:s}", "const", "none"));
	if (schema)
		json_object_set_new(schema, "description", json_string(option->help));
	return schema;
}

json_t *config_json_schema(void)
{
	json_t *schema = section_schema(NULL);

	if (!schema)
		return NULL;
	json_object_set_new(
		schema, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(schema, "title", json_string("Bulkhead configuration (bulkhead.yaml)"));
	return schema;
}
