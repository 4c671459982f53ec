/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema/api_schema.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_LENGTH_MAX 63
#define VLAN_MAX        4094 /* IEEE 802.1Q: 4095 is reserved */

static const char *const type_names[API_TYPE_COUNT] = {
	[API_STRING] = "string",
	[API_INTEGER] = "integer",
	[API_NUMBER] = "number",
	[API_BOOLEAN] = "boolean",
	[API_OBJECT] = "object",
	[API_STRINGS] = "list of strings",
	[API_LIST] = "list of objects",
	[API_VLAN] = "VLAN number 1..4094",
	[API_MAC] = "MAC address like 52:54:00:00:10:01",
	[API_NAME] = "name of 1..63 printable characters without spaces",
	[API_ANY] = "anything",
};

static const struct api_param page_params[] = {
	{.name = "after", .type = API_STRING, .help = "\"next\" of the page before"},
	{.name = "limit",
		.type = API_INTEGER,
		.minimum = 1,
		.maximum = API_PAGE_LIMIT_MAX,
		.help = "elements of this page, 100 unless told; fewer may come"},
	{.name = NULL},
};

static const struct api_param no_params[] = {{.name = NULL}};

const struct api_method *api_method_find(const char *name)
{
	for (const struct api_method *method = api_methods; method->name; method++) {
		if (strcmp(method->name, name) == 0)
			return method;
	}
	return NULL;
}

const char *api_type_name(enum api_type type)
{
	return type < API_TYPE_COUNT ? type_names[type] : "unknown";
}

const char *api_access_name(enum api_access access)
{
	static const char *const names[] = {
		[API_READER] = "reader", [API_OPERATOR] = "operator", [API_INTERNAL] = "internal"};

	return names[access];
}

static bool is_name(const char *text)
{
	size_t length = strlen(text);

	if (length < 1 || length > NAME_LENGTH_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	}
	return true;
}

static bool is_mac(const char *text)
{
	static const char hex[] = "0123456789abcdefABCDEF";

	if (strlen(text) != 17)
		return false;
	for (size_t i = 0; i < 17; i++) {
		if (i % 3 == 2 ? text[i] != ':' : !strchr(hex, text[i]))
			return false;
	}
	return true;
}

static bool is_list_of(const json_t *value, json_type type)
{
	size_t index;
	json_t *element;

	if (!json_is_array(value))
		return false;
	json_array_foreach (value, index, element) {
		if (json_typeof(element) != type)
			return false;
	}
	return true;
}

static bool is_of_type(enum api_type type, const json_t *value)
{
	switch (type) {
	case API_STRING:
		return json_is_string(value);
	case API_INTEGER:
		return json_is_integer(value);
	case API_NUMBER:
		return json_is_number(value);
	case API_BOOLEAN:
		return json_is_boolean(value);
	case API_OBJECT:
		return json_is_object(value);
	case API_STRINGS:
		return is_list_of(value, JSON_STRING);
	case API_LIST:
		return is_list_of(value, JSON_OBJECT);
	case API_VLAN:
		return json_is_integer(value) && json_integer_value(value) >= 1
			&& json_integer_value(value) <= VLAN_MAX;
	case API_MAC:
		return json_is_string(value) && is_mac(json_string_value(value));
	case API_NAME:
		return json_is_string(value) && is_name(json_string_value(value));
	case API_ANY:
		return true;
	case API_TYPE_COUNT:
		break;
	}
	return false;
}

static bool is_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	while (*choices) {
		size_t size = strcspn(choices, "|");

		if (size == length && memcmp(choices, text, size) == 0)
			return true;
		choices += size + (choices[size] == '|');
	}
	return false;
}

/* What was found, short enough for a message. */
static const char *describe(const json_t *value, char *out, size_t size)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

	if (!text)
		return "a value";
	snprintf(out, size, "%s", text);
	if (strlen(text) >= size && size > 4)
		memcpy(out + size - 4, "...", 4);
	free(text);
	return out;
}

static int check_param(const struct api_method *method, const struct api_param *param,
	const json_t *value, struct error *error)
{
	char found[64];

	if (!is_of_type(param->type, value))
		return error_set(error, -EINVAL, "%s: parameter %s: found %s, must be: %s",
			method->name, param->name, describe(value, found, sizeof(found)),
			api_type_name(param->type));
	if (param->maximum != 0
		&& (json_integer_value(value) < param->minimum
			|| json_integer_value(value) > param->maximum))
		return error_set(error, -EINVAL,
			"%s: parameter %s: found %s, must be from %lld to %lld", method->name,
			param->name, describe(value, found, sizeof(found)),
			(long long)param->minimum, (long long)param->maximum);
	if (param->choices && !is_choice(param->choices, json_string_value(value)))
		return error_set(error, -EINVAL, "%s: parameter %s: found %s, must be one of: %s",
			method->name, param->name, describe(value, found, sizeof(found)),
			param->choices);
	return 0;
}

static const struct api_param *find_param(const struct api_method *method, const char *name)
{
	const struct api_param *lists[2] = {method->params, method->is_paged ? page_params : NULL};

	for (size_t i = 0; i < 2; i++) {
		for (const struct api_param *param = lists[i]; param && param->name; param++) {
			if (strcmp(param->name, name) == 0)
				return param;
		}
	}
	return NULL;
}

/* "a, b, c": what the method takes. */
static const char *list_params(const struct api_method *method, char *out, size_t size)
{
	const struct api_param *lists[2] = {method->params, method->is_paged ? page_params : NULL};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < 2; i++) {
		for (const struct api_param *param = lists[i]; param && param->name; param++) {
			int wrote = snprintf(
				out + used, size - used, "%s%s", used ? ", " : "", param->name);

			if (wrote < 0 || (size_t)wrote >= size - used)
				return out;
			used += (size_t)wrote;
		}
	}
	return used ? out : "none";
}

int api_check_params(const struct api_method *method, const json_t *params, struct error *error)
{
	const struct api_param *required = method->params ? method->params : no_params;
	char valid[256], shown[64];
	const char *name;
	json_t *value;
	int code;

	if (params && !json_is_object(params))
		return error_set(error, -EINVAL, "%s: params must be an object of named parameters",
			method->name);
	json_object_foreach ((json_t *)params, name, value) {
		const struct api_param *param = find_param(method, name);

		if (!param) {
			snprintf(shown, sizeof(shown), "%s", name);
			return error_set(error, -EINVAL,
				"%s: there is no parameter \"%s\"; valid are: %s", method->name,
				shown, list_params(method, valid, sizeof(valid)));
		}
		code = check_param(method, param, value, error);
		if (code < 0)
			return code;
	}
	for (; required->name; required++) {
		if (required->is_required && !json_object_get(params, required->name))
			return error_set(error, -EINVAL, "%s: parameter %s is missing: %s",
				method->name, required->name, required->help);
	}
	return 0;
}

/*
 * The fields directly below prefix ("", "ports[].", "config."). Paths are checked level by level:
 * a field of an element is checked when its list is.
 */
static int check_level(const struct api_method *method, const struct api_field *fields,
	const char *prefix, const json_t *object, struct error *error);

static bool is_direct(const char *path, const char *prefix)
{
	size_t size = strlen(prefix);

	return strncmp(path, prefix, size) == 0 && !strpbrk(path + size, ".[");
}

static bool has_children(const struct api_field *fields, const char *prefix)
{
	for (; fields->path; fields++) {
		if (is_direct(fields->path, prefix))
			return true;
	}
	return false;
}

static int check_children(const struct api_method *method, const struct api_field *fields,
	const struct api_field *field, const json_t *value, struct error *error)
{
	char prefix[128];
	size_t index;
	json_t *element;

	if (field->type == API_OBJECT) {
		snprintf(prefix, sizeof(prefix), "%s.", field->path);
		return has_children(fields, prefix)
			? check_level(method, fields, prefix, value, error)
			: 0;
	}
	if (field->type != API_LIST)
		return 0;
	snprintf(prefix, sizeof(prefix), "%s[].", field->path);
	json_array_foreach (value, index, element) {
		int code = check_level(method, fields, prefix, element, error);

		if (code < 0)
			return code;
	}
	return 0;
}

static int check_level(const struct api_method *method, const struct api_field *fields,
	const char *prefix, const json_t *object, struct error *error)
{
	size_t prefix_size = strlen(prefix), known = 0;

	for (const struct api_field *field = fields; field->path; field++) {
		const json_t *value;
		char found[64];
		int code;

		if (!is_direct(field->path, prefix))
			continue;
		value = json_object_get(object, field->path + prefix_size);
		if (!value && !field->is_optional)
			return error_set(
				error, -EINVAL, "%s: result has no %s", method->name, field->path);
		if (!value)
			continue;
		known++;
		if (!is_of_type(field->type, value))
			return error_set(error, -EINVAL, "%s: result %s is %s, must be: %s",
				method->name, field->path, describe(value, found, sizeof(found)),
				api_type_name(field->type));
		code = check_children(method, fields, field, value, error);
		if (code < 0)
			return code;
	}
	if (prefix_size == 0 && method->is_paged && json_object_get(object, "next"))
		known++;
	if (known != json_object_size(object))
		return error_set(error, -EINVAL,
			"%s: result has undocumented fields below \"%s\": %zu of %zu known",
			method->name, prefix, known, json_object_size(object));
	return 0;
}

int api_check_result(const struct api_method *method, const json_t *result, struct error *error)
{
	static const struct api_field none[] = {{.path = NULL}};
	const json_t *next = json_object_get(result, "next");

	if (!json_is_object(result))
		return error_set(error, -EINVAL, "%s: result must be an object", method->name);
	if (method->is_paged && next && !json_is_string(next))
		return error_set(error, -EINVAL, "%s: next must be a string", method->name);
	return check_level(method, method->result ? method->result : none, "", result, error);
}

size_t api_page_limit(const json_t *params)
{
	const json_t *limit = json_object_get(params, "limit");

	return limit ? (size_t)json_integer_value(limit) : API_PAGE_LIMIT_DEFAULT;
}

const char *api_page_after(const json_t *params)
{
	return json_string_value(json_object_get(params, "after"));
}

static json_t *params_json(const struct api_method *method)
{
	const struct api_param *lists[2] = {method->params, method->is_paged ? page_params : NULL};
	json_t *out = json_array();

	for (size_t i = 0; i < 2; i++) {
		for (const struct api_param *param = lists[i]; param && param->name; param++) {
			json_t *row = json_pack("{s:s, s:s, s:b, s:s}", "name", param->name, "type",
				api_type_name(param->type), "is_required", param->is_required,
				"help", param->help);

			if (param->choices)
				json_object_set_new(row, "choices", json_string(param->choices));
			if (param->maximum != 0) {
				json_object_set_new(row, "minimum", json_integer(param->minimum));
				json_object_set_new(row, "maximum", json_integer(param->maximum));
			}
			json_array_append_new(out, row);
		}
	}
	return out;
}

static json_t *fields_json(const struct api_field *fields, bool is_paged)
{
	json_t *out = json_array();

	for (; fields && fields->path; fields++)
		json_array_append_new(out,
			json_pack("{s:s, s:s, s:b, s:s}", "path", fields->path, "type",
				api_type_name(fields->type), "is_optional", fields->is_optional,
				"help", fields->help));
	if (is_paged)
		json_array_append_new(out,
			json_pack("{s:s, s:s, s:b, s:s}", "path", "next", "type", "string",
				"is_optional", 1, "help",
				"there is more: \"after\" of the next call"));
	return out;
}

json_t *api_method_json(const struct api_method *method)
{
	const struct api_notification *notification = method->notifications;
	json_t *notifications = json_array();

	for (; notification && notification->name; notification++)
		json_array_append_new(notifications,
			json_pack("{s:s, s:s, s:o}", "name", notification->name, "help",
				notification->help, "fields",
				fields_json(notification->fields, false)));
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o}", "name", method->name,
		"owner", method->owner, "access", api_access_name(method->access), "help",
		method->help, "is_paged", method->is_paged, "takes_descriptor",
		method->takes_descriptor, "params", params_json(method), "result",
		fields_json(method->result, method->is_paged), "notifications", notifications);
}

json_t *api_schema_json(void)
{
	json_t *methods = json_array();

	for (const struct api_method *method = api_methods; method->name; method++)
		json_array_append_new(methods, api_method_json(method));
	return json_pack("{s:o}", "methods", methods);
}
