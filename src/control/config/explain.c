/* SPDX-License-Identifier: BSD-3-Clause */
/* Options explained, from their rows. */
#include "control/config/explain.h"

#include "control/config/load.h"
#include "control/config/value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const effect_sentences[CONFIG_EFFECT_COUNT] = {
	[CONFIG_LIVE] = "at once",
	[CONFIG_REOPEN] = "at once; its port is opened again",
	[CONFIG_RESTART] = "at once; the packet role is started again",
	[CONFIG_DAEMON] = "with the next start of the daemon",
};

const char *config_effect_sentence(enum config_effect effect)
{
	return effect_sentences[effect];
}

static bool has_children(const struct config_option *option)
{
	return option->type == CONFIG_SECTION || option->type == CONFIG_MAP;
}

void config_option_valid(const struct config_option *option, char *out, size_t size)
{
	char valid[VALUE_TEXT_SIZE];

	value_describe(option, valid);
	snprintf(out, size, "%s%s",
		config_option_is(option, CONFIG_IS_LIST) ? "a list; each: " : "", valid);
}

void config_option_default(const struct config_option *option, char *out, size_t size)
{
	if (config_option_is(option, CONFIG_IS_REQUIRED))
		snprintf(out, size, "required");
	else if (option->default_text && option->default_note)
		snprintf(out, size, "%s", option->default_note);
	else if (option->default_text)
		snprintf(out, size, "%s", option->default_text);
	else
		snprintf(out, size, "%s", option->default_note ? option->default_note : "none");
}

json_t *config_option_json(const struct config_option *option)
{
	char valid[VALUE_TEXT_SIZE + 32];
	json_t *json = json_pack("{s:s, s:s, s:b, s:b, s:s, s:s}", "key", option->key, "type",
		config_type_name(option->type), "is_list", config_option_is(option, CONFIG_IS_LIST),
		"is_required", config_option_is(option, CONFIG_IS_REQUIRED), "effect",
		config_effect_name(option->effect), "help", option->help);

	if (!json)
		return NULL;
	config_option_valid(option, valid, sizeof(valid));
	json_object_set_new(json, "valid", json_string(valid));
	json_object_set_new(json, "default",
		option->default_text ? json_string(option->default_text) : json_null());
	if (option->default_note)
		json_object_set_new(json, "default_note", json_string(option->default_note));
	if (option->unit)
		json_object_set_new(json, "unit", json_string(option->unit));
	if (option->example)
		json_object_set_new(json, "example", json_string(option->example));
	return json;
}

/* Where the path stops to be known, the nearest name of that section. */
static void suggest(const char *key, char *out, size_t size)
{
	const struct config_option *parent = NULL;
	char path[CONFIG_PATH_SIZE], name[64];
	const char *suggestion;

	if (!out || size == 0)
		return;
	out[0] = path[0] = '\0';
	for (const char *at = key; *at;) {
		size_t length = strcspn(at, ".");
		const struct config_option *child;

		snprintf(name, sizeof(name), "%.*s", (int)(length < 63 ? length : 63), at);
		child = config_option_child(parent, name);
		if (!child) {
			suggestion = config_suggest(parent, name);
			if (suggestion)
				snprintf(out, size, "%.400s%s%s", path, *path ? "." : "",
					suggestion);
			return;
		}
		snprintf(path, sizeof(path), "%.*s", (int)(at - key + (long)length), key);
		parent = child;
		at += length + (at[length] == '.');
	}
}

/* What "" explains: the sections of the file. */
static const struct config_option whole = {
	.key = "", .type = CONFIG_SECTION, .help = "The configuration's sections"};

static const struct config_option *find_explained(const char *key)
{
	return *key ? config_option_find(key) : &whole;
}

static const struct config_option *next_explained(
	const struct config_option *option, const struct config_option *previous)
{
	return config_option_next_child(option == &whole ? NULL : option, previous);
}

json_t *config_explain(const char *key, char *suggestion, size_t suggestion_size)
{
	const struct config_option *option = find_explained(key), *child = NULL;
	json_t *json, *children;

	if (!option) {
		suggest(key, suggestion, suggestion_size);
		return NULL;
	}
	json = config_option_json(option);
	if (!json || !has_children(option))
		return json;
	children = json_array();
	while ((child = next_explained(option, child)))
		json_array_append_new(children, config_option_json(child));
	json_object_set_new(json, "children", children);
	return json;
}

static void print_row(FILE *out, const char *label, const char *text)
{
	fprintf(out, "  %-9s %s\n", label, text);
}

int config_explain_print(const char *key, FILE *out, char *suggestion, size_t suggestion_size)
{
	const struct config_option *option = find_explained(key), *child = NULL;
	char text[VALUE_TEXT_SIZE + 32];
	bool is_first = true;

	if (!option) {
		suggest(key, suggestion, suggestion_size);
		return -ENOENT;
	}
	fprintf(out, "%s\n  %s\n", *key ? option->key : "bulkhead.yaml", option->help);
	if (!has_children(option))
		fputc('\n', out);
	if (!has_children(option)) {
		config_option_valid(option, text, sizeof(text));
		print_row(out, "valid", text);
	}
	config_option_default(option, text, sizeof(text));
	if (!has_children(option) || config_option_is(option, CONFIG_IS_OPTIONAL))
		print_row(out, "default", text);
	if (option->example)
		print_row(out, "example", option->example);
	if (!has_children(option))
		print_row(out, "changes", effect_sentences[option->effect]);
	for (; (child = next_explained(option, child)); is_first = false)
		fprintf(out, "%s  %-18s %s\n", is_first ? "\n" : "", config_option_name(child),
			child->help);
	return 0;
}
