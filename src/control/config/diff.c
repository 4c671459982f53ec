/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs between two normalised documents, in the order of the schema. */
#include "control/config/config.h"

#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 512

static int diff_option(json_t *changes, const struct config_option *option, const char *path,
	const json_t *old_value, const json_t *new_value);

static int add_change(json_t *changes, const struct config_option *option, const char *path,
	const json_t *old_value, const json_t *new_value)
{
	const char *op = !old_value ? "add" : !new_value ? "remove" : "change";
	json_t *change = json_pack("{s:s, s:s, s:s}", "key", path, "op", op, "effect",
		config_effect_name(option->effect));

	if (!change)
		return -1;
	if (old_value)
		json_object_set(change, "old", (json_t *)old_value);
	if (new_value)
		json_object_set(change, "new", (json_t *)new_value);
	return json_array_append_new(changes, change);
}

static void make_path(const char *parent, const char *name, char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%s%s%s", parent, *parent ? "." : "", name);
}

static int diff_section(json_t *changes, const struct config_option *option, const char *path,
	const json_t *old_value, const json_t *new_value)
{
	const struct config_option *child = NULL;
	char child_path[PATH_SIZE];
	int r = 0;

	while (r == 0 && (child = config_option_next_child(option, child))) {
		const char *name = config_option_name(child);

		make_path(path, name, child_path);
		r = diff_option(changes, child, child_path, json_object_get(old_value, name),
			json_object_get(new_value, name));
	}
	return r;
}

static int compare_names(const void *left, const void *right)
{
	const char *a = *(const char *const *)left, *b = *(const char *const *)right;
	size_t a_size = strlen(a), b_size = strlen(b);
	bool are_numbers = strspn(a, "0123456789") == a_size && strspn(b, "0123456789") == b_size;

	/* VLAN ids as numbers. */
	if (are_numbers && a_size != b_size)
		return a_size < b_size ? -1 : 1;
	return strcmp(a, b);
}

/* The sorted names of both; for free(). */
static const char **union_names(const json_t *left, const json_t *right, size_t *count)
{
	const char **names =
		calloc(json_object_size(left) + json_object_size(right) + 1, sizeof(*names));
	const char *name;
	json_t *value;

	*count = 0;
	if (!names)
		return NULL;
	json_object_foreach ((json_t *)left, name, value)
		names[(*count)++] = name;
	json_object_foreach ((json_t *)right, name, value)
		if (!json_object_get(left, name))
			names[(*count)++] = name;
	qsort(names, *count, sizeof(*names), compare_names);
	return names;
}

static int diff_map(json_t *changes, const struct config_option *option, const char *path,
	const json_t *old_value, const json_t *new_value)
{
	const struct config_option *member = config_option_child(option, "*");
	char child_path[PATH_SIZE];
	size_t count;
	const char **names = union_names(old_value, new_value, &count);
	int r = names ? 0 : -1;

	for (size_t i = 0; r == 0 && i < count; i++) {
		const json_t *old_member = json_object_get(old_value, names[i]);
		const json_t *new_member = json_object_get(new_value, names[i]);

		make_path(path, names[i], child_path);
		r = diff_option(changes, member, child_path, old_member, new_member);
	}
	free(names);
	return r;
}

static int diff_option(json_t *changes, const struct config_option *option, const char *path,
	const json_t *old_value, const json_t *new_value)
{
	if ((!old_value && !new_value)
		|| (old_value && new_value && json_equal(old_value, new_value)))
		return 0;
	/* A section or member that came or went is one change. */
	if (old_value && new_value && option->type == CONFIG_SECTION)
		return diff_section(changes, option, path, old_value, new_value);
	if (old_value && new_value && option->type == CONFIG_MAP)
		return diff_map(changes, option, path, old_value, new_value);
	return add_change(changes, option, path, old_value, new_value);
}

json_t *config_diff(const json_t *old_document, const json_t *new_document)
{
	json_t *changes = json_array();

	if (changes && diff_section(changes, NULL, "", old_document, new_document) == 0)
		return changes;
	json_decref(changes);
	return NULL;
}
