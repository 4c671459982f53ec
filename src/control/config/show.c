/* SPDX-License-Identifier: BSD-3-Clause */
/* The normalised document as YAML, with the units that people write. */
#include "control/config/value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void show_option(FILE *out, const struct config_option *option, const char *name,
	const json_t *value, int depth);

static void indent(FILE *out, int depth)
{
	fprintf(out, "%*s", depth * 2, "");
}

/* Whether YAML 1.1 and 1.2 read it as the same plain text. */
static bool is_plain_safe(const char *text)
{
	static const char *const words[] = {
		"true", "false", "yes", "no", "on", "off", "null", "y", "n"};

	if (!isalnum((unsigned char)*text) && *text != '/')
		return false;
	for (const char *at = text; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_./@+", *at))
			return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return false;
	return true;
}

static void show_string(FILE *out, const char *text)
{
	if (is_plain_safe(text)) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++)
		fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	fputc('"', out);
}

static void show_scalar(FILE *out, const struct config_option *option, const json_t *value)
{
	/* The words of ENUM are of the schema: `on` and `off` are no booleans to us. */
	char text[VALUE_TEXT_SIZE];

	if (json_is_string(value) && option->type == CONFIG_ENUM) {
		fputs(json_string_value(value), out);
	} else if (json_is_string(value)) {
		show_string(out, json_string_value(value));
	} else {
		value_format(option, value, text);
		fputs(text, out);
	}
}

/* Runs of VLAN ids as ranges. */
static void show_vlans(FILE *out, const json_t *list)
{
	size_t count = json_array_size(list);

	for (size_t i = 0, last; i < count; i = last + 1) {
		json_int_t first = json_integer_value(json_array_get(list, i));

		last = i;
		while (last + 1 < count
			&& json_integer_value(json_array_get(list, last + 1))
				== first + (json_int_t)(last + 1 - i))
			last++;
		fprintf(out, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "", first);
		if (last > i)
			fprintf(out, "-%" JSON_INTEGER_FORMAT, first + (json_int_t)(last - i));
	}
}

static void show_list(FILE *out, const struct config_option *option, const json_t *list)
{
	json_t *value;
	size_t i;

	fputc('[', out);
	if (option->type == CONFIG_VLANS) {
		show_vlans(out, list);
	} else {
		json_array_foreach (list, i, value) {
			fputs(i ? ", " : "", out);
			show_scalar(out, option, value);
		}
	}
	fputc(']', out);
}

static void show_children(
	FILE *out, const struct config_option *option, const json_t *object, int depth)
{
	const struct config_option *child = NULL;
	const char *name;
	json_t *value;

	if (option && option->type == CONFIG_MAP) {
		child = config_option_child(option, "*");
		json_object_foreach ((json_t *)object, name, value)
			show_option(out, child, name, value, depth);
		return;
	}
	while ((child = config_option_next_child(option, child))) {
		name = config_option_name(child);
		value = json_object_get(object, name);
		if (value)
			show_option(out, child, name, value, depth);
	}
}

static void show_option(FILE *out, const struct config_option *option, const char *name,
	const json_t *value, int depth)
{
	indent(out, depth);
	if (json_is_object(value) && json_object_size(value) == 0) {
		fprintf(out, "%s: {}\n", name);
	} else if (json_is_object(value)) {
		fprintf(out, "%s:\n", name);
		show_children(out, option, value, depth + 1);
	} else if (json_is_array(value)) {
		fprintf(out, "%s: ", name);
		show_list(out, option, value);
		fputc('\n', out);
	} else {
		fprintf(out, "%s: ", name);
		show_scalar(out, option, value);
		fputc('\n', out);
	}
}

static void show_flow(FILE *out, const struct config_option *option, const json_t *value);

/* The value in one line; for free(). */
static char *flow_text(const struct config_option *option, const json_t *value)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	show_flow(out, option, value);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* Without what is as it would be anyway. */
static void show_flow_object(FILE *out, const struct config_option *option, const json_t *object)
{
	const char *name, *separator = "";
	json_t *value;

	fputc('{', out);
	json_object_foreach ((json_t *)object, name, value) {
		const struct config_option *child = config_option_child(option, name);
		const char *usual = child && child->default_text ? child->default_text : "{}";
		char *text = child ? flow_text(child, value) : NULL;

		if (text && strcmp(text, usual) != 0) {
			fprintf(out, "%s%s: %s", separator, name, text);
			separator = ", ";
		}
		free(text);
	}
	fputc('}', out);
}

static void show_flow(FILE *out, const struct config_option *option, const json_t *value)
{
	if (json_is_object(value))
		show_flow_object(out, option, value);
	else if (json_is_array(value))
		show_list(out, option, value);
	else
		show_scalar(out, option, value);
}

char *config_show_value(const char *key, const json_t *value)
{
	const struct config_option *option = config_option_find(key);

	return option ? flow_text(option, value) : NULL;
}

char *config_show_below(const char *key, const json_t *value)
{
	const struct config_option *option = config_option_find(key);
	char *text = NULL;
	size_t size;
	FILE *out = option ? open_memstream(&text, &size) : NULL;

	if (!out)
		return NULL;
	if (json_is_object(value)) {
		show_children(out, option, value, 0);
	} else {
		show_flow(out, option, value);
		fputc('\n', out);
	}
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* `none` is absent from the document where it is the end of an endpoint; it is not the default. */
static const json_t *with_none(json_t *copy)
{
	json_t *control = json_object_get(copy, "control");

	if (control && !json_object_get(control, "metrics"))
		json_object_set_new(control, "metrics", json_string("none"));
	return copy;
}

char *config_show(const json_t *document)
{
	json_t *copy = json_deep_copy(document);
	char *text = NULL;
	size_t size;
	FILE *out = copy ? open_memstream(&text, &size) : NULL;

	if (out) {
		show_children(out, NULL, with_none(copy), 0);
		if (fclose(out) != 0) {
			free(text);
			text = NULL;
		}
	}
	json_decref(copy);
	return text;
}
