/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From YAML to the normalised document, row by row of the schema. Goes on after each error, so that
 * one run reports all of them; what was wrong is absent from the document and makes no follow-up.
 */
#include "control/config/load.h"

#include "control/config/report.h"
#include "control/config/value.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *read_option(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path);

__attribute__((format(printf, 5, 6))) static void report_at(struct load *load,
	const struct yaml_node *node, const char *path, const char *valid, const char *format, ...)
{
	struct config_place place = {.line = node->line,
		.column = node->column,
		.key = path,
		.found = node->kind == YAML_SCALAR ? node->value : NULL};
	char text[VALUE_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	config_report_add(load->report, CONFIG_ERROR, &place, valid, "%s", text);
}

static void report_path(struct load *load, enum config_severity severity, const char *path,
	const char *valid, const char *text)
{
	char above[CONFIG_PATH_SIZE];
	struct config_place place = {.key = path};
	const struct yaml_node *node;
	char *dot = above;

	snprintf(above, sizeof(above), "%s", path);
	node = load->root ? yaml_find(load->root, above) : NULL;
	if (node && node->kind == YAML_SCALAR)
		place.found = node->value;
	while (!node && dot) {
		dot = strrchr(above, '.');
		if (dot)
			*dot = '\0';
		node = dot && load->root ? yaml_find(load->root, above) : NULL;
	}
	if (node) {
		/* A scalar is where it stands; a whole section is where its key is. */
		bool is_at_key = node->kind != YAML_SCALAR && node->key_line;

		place.line = is_at_key ? node->key_line : node->line;
		place.column = is_at_key ? node->key_column : node->column;
	}
	config_report_add(load->report, severity, &place, valid, "%s", text);
}

void load_error(struct load *load, const char *path, const char *valid, const char *format, ...)
{
	char text[VALUE_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report_path(load, CONFIG_ERROR, path, valid, text);
}

void load_warning(struct load *load, const char *path, const char *valid, const char *format, ...)
{
	char text[VALUE_TEXT_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	report_path(load, CONFIG_WARNING, path, valid, text);
}

static bool is_empty_scalar(const struct yaml_node *node)
{
	return node->kind == YAML_SCALAR && node->is_plain
		&& (node->value[0] == '\0' || strcmp(node->value, "~") == 0
			|| strcmp(node->value, "null") == 0);
}

static void set(struct load *load, json_t *object, const char *key, json_t *value)
{
	if (value && json_object_set_new(object, key, value) < 0)
		load->is_out_of_memory = true;
}

static json_t *parse_scalar(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	char valid[VALUE_TEXT_SIZE];
	struct error why;
	json_t *value;

	value_describe(option, valid);
	if (node->kind != YAML_SCALAR) {
		report_at(load, node, path, valid, "one value is expected here, not a %s",
			node->kind == YAML_SEQUENCE ? "list" : "section");
		return NULL;
	}
	if (is_empty_scalar(node)) {
		report_at(load, node, path, valid, "the value is missing");
		return NULL;
	}
	if (value_parse(option, node->value, &value, &why) < 0) {
		report_at(load, node, path, valid, "%s", why.text);
		return NULL;
	}
	return value;
}

static void check_count(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path, size_t count)
{
	/* Of lists of numbers the row's range is that of the numbers. */
	if (option->type == CONFIG_INTEGER)
		return;
	if (count < (size_t)option->minimum)
		report_at(load, node, path, option->example, "the list needs %lld at least",
			(long long)option->minimum);
	if (count > (size_t)option->maximum)
		report_at(load, node, path, NULL, "%zu elements; %lld at most", count,
			(long long)option->maximum);
}

static json_t *vlans_to_json(const bool is_member[4096])
{
	json_t *list = json_array();

	for (int vlan = 1; list && vlan < 4095; vlan++)
		if (is_member[vlan])
			json_array_append_new(list, json_integer(vlan));
	return list;
}

static json_t *read_vlans(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	char valid[VALUE_TEXT_SIZE], element[CONFIG_PATH_SIZE];
	bool is_member[4096] = {false}, is_good = true;
	unsigned int first, last;
	struct error why;
	size_t index = 0;

	value_describe(option, valid);
	for (const struct yaml_node *child = node->first; child; child = child->next, index++) {
		snprintf(element, sizeof(element), "%s[%zu]", path, index);
		if (child->kind != YAML_SCALAR) {
			report_at(load, child, element, valid, "one value is expected here");
			is_good = false;
		} else if (value_parse_vlans(child->value, &first, &last, &why) < 0) {
			report_at(load, child, element, valid, "%s", why.text);
			is_good = false;
		} else {
			memset(is_member + first, true, last - first + 1);
		}
	}
	return is_good ? vlans_to_json(is_member) : NULL;
}

static json_t *read_elements(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	char element[CONFIG_PATH_SIZE];
	json_t *list = json_array();
	bool is_good = true;
	size_t index = 0;

	for (const struct yaml_node *child = node->first; child; child = child->next, index++) {
		json_t *value;

		snprintf(element, sizeof(element), "%s[%zu]", path, index);
		value = parse_scalar(load, option, child, element);
		if (!value)
			is_good = false;
		else if (json_array_append_new(list, value) < 0)
			load->is_out_of_memory = true;
	}
	if (is_good)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *read_list(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	char example[VALUE_TEXT_SIZE];

	if (node->kind != YAML_SEQUENCE) {
		if (node->kind == YAML_SCALAR && node->value[0])
			snprintf(example, sizeof(example), "[%.200s]", node->value);
		else
			snprintf(example, sizeof(example), "%s",
				option->example ? option->example : "[]");
		report_at(load, node, path, example, "a list is expected here");
		return NULL;
	}
	check_count(load, option, node, path, node->child_count);
	return option->type == CONFIG_VLANS ? read_vlans(load, option, node, path)
					    : read_elements(load, option, node, path);
}

/* Appends node in the syntax of rules: a list becomes "[a,b]". */
static bool append_variable(const struct yaml_node *node, char *out, size_t size)
{
	size_t used = strlen(out);

	if (node->kind == YAML_SCALAR)
		return node->value[0] && !is_empty_scalar(node)
			&& (size_t)snprintf(out + used, size - used, "%s", node->value)
			< size - used;
	if (node->kind != YAML_SEQUENCE || !node->first || size - used < 3)
		return false;
	strcat(out, "[");
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		if (!append_variable(child, out, size - 2))
			return false;
		if (child->next)
			strcat(out, ",");
	}
	strcat(out, "]");
	return true;
}

static json_t *read_variable(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	size_t size = (size_t)option->maximum;
	char *text = calloc(1, size);
	json_t *value = NULL;

	if (!text)
		load->is_out_of_memory = true;
	else if (!append_variable(node, text, size))
		report_at(load, node, path, config_type_describe(CONFIG_VARIABLE),
			"empty, too long, or neither a text nor a list of texts");
	else
		value = json_string(text);
	free(text);
	return value;
}

/* The valid keys of a section as "a, b, c". */
static void list_children(const struct config_option *parent, char *out, size_t size)
{
	const struct config_option *child = NULL;
	size_t used = 0;

	out[0] = '\0';
	while ((child = config_option_next_child(parent, child)) && used < size) {
		int added = snprintf(out + used, size - used, "%s%s", used ? ", " : "",
			config_option_name(child));

		used += added > 0 ? (size_t)added : 0;
	}
}

/* A row elsewhere with this name: people forget under which section an option is. */
static const char *find_elsewhere(const char *name)
{
	for (size_t i = 0; i < config_option_count; i++)
		if (strcmp(config_option_name(&config_options[i]), name) == 0)
			return config_options[i].key;
	return NULL;
}

static void report_unknown(struct load *load, const struct config_option *parent,
	const struct yaml_node *node, const char *path)
{
	const char *suggestion = config_suggest(parent, node->key);
	const char *elsewhere = find_elsewhere(node->key);
	struct config_place place = {
		.line = node->key_line, .column = node->key_column, .key = path};
	char valid[VALUE_TEXT_SIZE];

	list_children(parent, valid, sizeof(valid));
	if (suggestion)
		config_report_add(load->report, CONFIG_ERROR, &place, valid,
			"unknown key; did you mean %s?", suggestion);
	else if (elsewhere)
		config_report_add(load->report, CONFIG_ERROR, &place, valid,
			"unknown key here; there is %s", elsewhere);
	else
		config_report_add(load->report, CONFIG_ERROR, &place, valid, "unknown key");
}

static void make_path(const char *parent, const char *name, char out[CONFIG_PATH_SIZE])
{
	snprintf(out, CONFIG_PATH_SIZE, "%s%s%.100s", parent, *parent ? "." : "", name);
}

/* A member of a map: whether its name is one. */
static bool check_member_name(struct load *load, const struct config_option *map,
	const struct yaml_node *node, const char *path)
{
	struct config_place place = {.line = node->key_line,
		.column = node->key_column,
		.key = path,
		.found = node->key};
	unsigned int first, last;
	struct error why;
	const char *at = node->key;

	if (strcmp(map->key_type, "vlan") == 0) {
		if (value_parse_vlans(node->key, &first, &last, &why) == 0 && first == last
			&& *at != '0' && !strchr(at, '-'))
			return true;
		config_report_add(load->report, CONFIG_ERROR, &place, "1 to 4094",
			"the name is not a VLAN id");
		return false;
	}
	if (isalnum((unsigned char)*at) || *at == '_') {
		while (isalnum((unsigned char)*at) || *at == '_'
			|| (*at == '-' && strcmp(map->key_type, "name") == 0))
			at++;
		if (*at == '\0' && strlen(node->key) <= (map->key_type[0] == 'v' ? 63 : 31))
			return true;
	}
	config_report_add(load->report, CONFIG_ERROR, &place,
		strcmp(map->key_type, "name") == 0
			? "1 to 31 letters, digits, '-' and '_', a letter or digit first"
			: "1 to 63 letters, digits and '_'",
		"the name cannot be used");
	return false;
}

static json_t *read_map(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	const struct config_option *member = config_option_child(option, "*");
	char child_path[CONFIG_PATH_SIZE];
	json_t *object = json_object();

	if (!node || is_empty_scalar(node))
		return object;
	if (node->kind != YAML_MAPPING) {
		report_at(load, node, path, NULL, "names with what belongs to each are expected");
		return object;
	}
	if (node->child_count > (size_t)option->maximum)
		report_at(load, node, path, NULL, "%zu members; %lld at most", node->child_count,
			(long long)option->maximum);
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		make_path(path, child->key, child_path);
		if (!child->is_duplicate && check_member_name(load, option, child, child_path))
			set(load, object, child->key, read_option(load, member, child, child_path));
	}
	return object;
}

static json_t *default_of(struct load *load, const struct config_option *option)
{
	size_t index = (size_t)(option - config_options);

	if (!option->default_text)
		return NULL;
	if (!load->defaults[index]) {
		struct yaml_node *node;

		if (yaml_parse(
			    option->default_text, strlen(option->default_text), load->report, &node)
			< 0) {
			load->is_out_of_memory = true;
			return NULL;
		}
		load->defaults[index] = read_option(load, option, node, option->key);
		yaml_destroy(node);
	}
	/* Lists are copied, as finish.c may add to one. */
	return json_copy(load->defaults[index]);
}

static void read_missing(struct load *load, const struct config_option *child,
	const struct yaml_node *section, const char *path, json_t *object)
{
	const char *name = config_option_name(child);

	if (config_option_is(child, CONFIG_IS_REQUIRED)) {
		struct config_place place = {.key = path};

		if (section) {
			place.line = section->key_line ? section->key_line : section->line;
			place.column = section->key_line ? section->key_column : section->column;
		}
		config_report_add(load->report, CONFIG_ERROR, &place, child->example,
			"%s is missing: %c%s", name, tolower((unsigned char)child->help[0]),
			child->help + 1);
	} else if (child->type == CONFIG_SECTION || child->type == CONFIG_MAP) {
		if (!config_option_is(child, CONFIG_IS_OPTIONAL))
			set(load, object, name, read_option(load, child, NULL, path));
	} else {
		set(load, object, name, default_of(load, child));
	}
}

static void report_unknown_keys(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	char child_path[CONFIG_PATH_SIZE];

	for (const struct yaml_node *child = node->first; child; child = child->next) {
		make_path(path, child->key, child_path);
		if (!child->is_duplicate && !config_option_child(option, child->key))
			report_unknown(load, option, child, child_path);
	}
}

/* The rows below option, in their order: written, by short form, or missing. */
static json_t *read_children(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	bool is_short = node && node->kind == YAML_SCALAR && !is_empty_scalar(node);
	const struct config_option *row = NULL;
	char child_path[CONFIG_PATH_SIZE];
	json_t *object = json_object();

	while ((row = config_option_next_child(option, row))) {
		const char *name = config_option_name(row);
		const struct yaml_node *child = node ? yaml_child(node, name) : NULL;

		make_path(path, name, child_path);
		if (is_short && strcmp(name, option->short_form) == 0)
			set(load, object, name, parse_scalar(load, row, node, path));
		else if (child)
			set(load, object, name, read_option(load, row, child, child_path));
		else
			read_missing(load, row, node, child_path, object);
	}
	return object;
}

static json_t *read_section(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	bool is_scalar = node && node->kind == YAML_SCALAR && !is_empty_scalar(node);
	char valid[VALUE_TEXT_SIZE];

	if ((is_scalar && !(option && option->short_form))
		|| (node && node->kind == YAML_SEQUENCE)) {
		list_children(option, valid, sizeof(valid));
		report_at(load, node, path, valid, "a section with keys is expected here");
		return json_object();
	}
	if (node && node->kind == YAML_MAPPING)
		report_unknown_keys(load, option, node, path);
	return read_children(load, option, node, path);
}

/* The value of one row as JSON; NULL when it was wrong, or has no value and no default. */
static json_t *read_option(struct load *load, const struct config_option *option,
	const struct yaml_node *node, const char *path)
{
	if (option->type == CONFIG_SECTION)
		return read_section(load, option, node, path);
	if (option->type == CONFIG_MAP)
		return read_map(load, option, node, path);
	if (option->type == CONFIG_VARIABLE)
		return read_variable(load, option, node, path);
	if (config_option_is(option, CONFIG_IS_LIST))
		return read_list(load, option, node, path);
	return parse_scalar(load, option, node, path);
}

static void free_defaults(struct load *load)
{
	for (size_t i = 0; load->defaults && i < config_option_count; i++)
		json_decref(load->defaults[i]);
	free(load->defaults);
}

static int finish_load(struct load *load, json_t **document)
{
	struct config_report *report = load->report;
	struct config_place place = {.key = ""};
	int r = report->error_count ? -EINVAL : 0;

	if (r == 0 && !load->is_out_of_memory && config_finish(load->document) < 0)
		load->is_out_of_memory = true;
	if (load->is_out_of_memory) {
		config_report_add(report, CONFIG_ERROR, &place, NULL, "no memory");
		r = -ENOMEM;
	}
	config_report_sort(report);
	if (r == 0)
		*document = json_incref(load->document);
	return r;
}

int config_load_text(const char *text, size_t size, const char *name, json_t **document,
	struct config_report *report)
{
	struct load load = {.report = report};
	struct config_place place = {.key = ""};
	struct yaml_node *root = NULL;
	int r;

	*document = NULL;
	report->file = strdup(name);
	r = yaml_parse(text, size, report, &root);
	if (r < 0) {
		if (r == -ENOMEM)
			config_report_add(report, CONFIG_ERROR, &place, NULL, "no memory");
		config_report_sort(report);
		return r;
	}
	load.root = root;
	load.defaults = calloc(config_option_count, sizeof(load.defaults[0]));
	if (load.defaults)
		load.document = read_section(&load, NULL, root, "");
	else
		load.is_out_of_memory = true;
	if (!load.is_out_of_memory)
		config_check(&load);
	r = finish_load(&load, document);
	json_decref(load.document);
	free_defaults(&load);
	yaml_destroy(root);
	return r;
}

static int refuse_file(struct config_report *report, const char *name, int code, const char *text)
{
	struct config_place place = {.key = ""};

	report->file = strdup(name);
	config_report_add(report, CONFIG_ERROR, &place, NULL, "%s", text);
	return code;
}

int config_load(int fd, const char *name, json_t **document, struct config_report *report)
{
	char *text = malloc(CONFIG_FILE_SIZE_MAX + 1);
	size_t size = 0;
	ssize_t got = 1;
	int r;

	*document = NULL;
	if (!text)
		return refuse_file(report, name, -ENOMEM, "no memory");
	(void)lseek(fd, 0, SEEK_SET); /* fails on a pipe, which is read from where it is */
	while (got != 0 && size <= CONFIG_FILE_SIZE_MAX) {
		got = read(fd, text + size, CONFIG_FILE_SIZE_MAX + 1 - size);
		if (got < 0 && errno != EINTR)
			break;
		size += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		r = refuse_file(report, name, -EIO, strerror(errno));
	else if (size > CONFIG_FILE_SIZE_MAX)
		r = refuse_file(report, name, -EFBIG,
			"the file is larger than 4 MiB; that is no configuration");
	else
		r = config_load_text(text, size, name, document, report);
	free(text);
	return r;
}
