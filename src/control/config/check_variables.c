/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Variables of rules refer to each other ($HOME_NET). Each must be there, and none may contain
 * itself. What their addresses and ports mean is the rule parser's to check.
 */
#include "control/config/check.h"

#include "control/config/variables.h"

#include <ctype.h>
#include <string.h>

#define NAME_SIZE 64

/* The next $NAME of text from *at on; false: no more. */
static bool next_reference(const char **at, char name[NAME_SIZE])
{
	const char *dollar = strchr(*at, '$');
	size_t size = 0;

	if (!dollar)
		return false;
	for (dollar++; isalnum((unsigned char)*dollar) || *dollar == '_'; dollar++)
		if (size < NAME_SIZE - 1)
			name[size++] = *dollar;
	name[size] = '\0';
	*at = dollar;
	return true;
}

static const char *value_of(const json_t *variables, const char *name)
{
	const char *value = json_string_value(json_object_get(variables, name));

	return value ? value : variables_default(name);
}

enum mark { MARK_NONE, MARK_OPEN, MARK_DONE };

/* Depth-first along the references; true when name leads back to a variable that is open. */
static bool leads_back(const json_t *variables, json_t *marks, const char *name)
{
	const char *value = value_of(variables, name), *at = value;
	char reference[NAME_SIZE];
	json_int_t mark = json_integer_value(json_object_get(marks, name));

	if (mark != MARK_NONE || !value)
		return mark == MARK_OPEN;
	json_object_set_new(marks, name, json_integer(MARK_OPEN));
	while (next_reference(&at, reference))
		if (leads_back(variables, marks, reference))
			return true;
	json_object_set_new(marks, name, json_integer(MARK_DONE));
	return false;
}

static bool has_balanced_brackets(const char *text)
{
	int depth = 0;

	for (; *text && depth >= 0; text++)
		depth += (*text == '[') - (*text == ']');
	return depth == 0;
}

static void check_references(
	struct load *load, const json_t *variables, const char *value, const char *path)
{
	const char *at = value;
	char name[NAME_SIZE];

	if (!has_balanced_brackets(value))
		load_error(load, path, NULL, "a bracket is not closed, or not opened");
	while (next_reference(&at, name)) {
		char other[CONFIG_PATH_SIZE];

		snprintf(other, sizeof(other), "inspection.variables.%s", name);
		if (!value_of(variables, name) && !check_is_written(load, other))
			load_error(load, path, "a variable of inspection.variables",
				"there is no variable $%s", name);
	}
}

void check_variables(struct load *load)
{
	const json_t *inspection = json_object_get(load->document, "inspection");
	json_t *variables = json_object_get(inspection, "variables"), *value;
	char path[CONFIG_PATH_SIZE];
	const char *name;

	json_object_foreach (variables, name, value) {
		json_t *marks = json_object();

		snprintf(path, sizeof(path), "inspection.variables.%s", name);
		check_references(load, variables, json_string_value(value), path);
		if (!marks)
			load->is_out_of_memory = true;
		else if (leads_back(variables, marks, name))
			load_error(load, path, NULL, "the variable refers to itself in the end");
		json_decref(marks);
	}
}
