/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config/yaml_tree.h"

#include "control/config/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct parse {
	yaml_parser_t parser;
	struct config_report *report;
	struct yaml_node *stack[CONFIG_DEPTH_MAX]; /* open sequences and mappings */
	size_t depth;
	struct yaml_node *root;
	char *key; /* read in the mapping on top, its value not yet */
	unsigned int key_line, key_column;
	size_t node_count;
	bool has_document;
};

void yaml_destroy(struct yaml_node *root)
{
	/* Iterative: the list of what is to free is chained by next, children put in front. */
	while (root) {
		struct yaml_node *next = root->next;

		if (root->first) {
			root->last->next = next;
			next = root->first;
		}
		json_decref(root->keys);
		free(root->key);
		free(root->value);
		free(root);
		root = next;
	}
}

/* Path of the mapping or sequence on top with name behind it; for messages, so it may be cut. */
static const char *parse_path(const struct parse *parse, const char *name, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 1; i < parse->depth + 1; i++) {
		const char *part = i < parse->depth ? parse->stack[i]->key : name;
		int added;

		if (!part)
			continue;
		added = snprintf(out + used, size - used, "%s%s", used ? "." : "", part);
		if (added < 0 || (size_t)added >= size - used)
			break;
		used += (size_t)added;
	}
	return out;
}

__attribute__((format(printf, 3, 4))) static int refuse(
	struct parse *parse, const yaml_mark_t *mark, const char *format, ...)
{
	char path[256], text[256];
	struct config_place place = {
		.line = (unsigned int)mark->line + 1,
		.column = (unsigned int)mark->column + 1,
		.key = parse_path(parse, parse->key, path, sizeof(path)),
	};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	config_report_add(parse->report, CONFIG_ERROR, &place, NULL, "%s", text);
	return -EINVAL;
}

/* libyaml says what it expected in its own terms; the usual slips get a plain word. */
static int refuse_syntax(struct parse *parse)
{
	const yaml_parser_t *parser = &parse->parser;
	const char *problem = parser->problem ? parser->problem : "the text is no YAML";
	const char *hint = "";

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR) {
		struct config_place place = {.key = ""};

		config_report_add(parse->report, CONFIG_ERROR, &place, "UTF-8 text",
			"%s at byte %zu", problem, parser->problem_offset);
		return -EINVAL;
	}
	if (strstr(problem, "cannot start any token"))
		hint = " (tabs do not indent in YAML; texts that start with @, % or ` need "
		       "quotes)";
	else if (strstr(problem, "mapping values are not allowed"))
		hint = " (is the line above indented as it should be? texts with \": \" need "
		       "quotes)";
	else if (strstr(problem, "unexpected end of stream"))
		hint = " (a quote is not closed)";
	else if (strstr(problem, "did not find expected"))
		hint = " (a bracket, quote or indentation before it is not closed)";
	return refuse(parse, &parser->problem_mark, "%s%s", problem, hint);
}

/* Notes the key in its mapping's set (jansson's hashes are keyed: nobody can make them collide). 0,
 * the line (from 1) where the mapping had it before, or -ENOMEM. */
static int note_key(struct yaml_node *mapping, const char *key, unsigned int line)
{
	const json_t *before = json_object_get(mapping->keys, key);

	if (before)
		return (int)json_integer_value(before);
	if (!mapping->keys)
		mapping->keys = json_object();
	return json_object_set_new(mapping->keys, key, json_integer(line)) == 0 ? 0 : -ENOMEM;
}

/* The node takes the parser's key; one that was there before is told. */
static int take_key(struct parse *parse, struct yaml_node *mapping, struct yaml_node *node)
{
	int line = note_key(mapping, parse->key, parse->key_line);

	if (line > 0) {
		yaml_mark_t mark = {.line = parse->key_line - 1, .column = parse->key_column - 1};

		refuse(parse, &mark, "the key is there twice; first in line %d", line);
		node->is_duplicate = true;
	}
	node->key = parse->key;
	parse->key = NULL;
	return line < 0 ? line : 0;
}

/* Puts a new node to where the parser is; the parse owns it through the tree. */
static int add_node(
	struct parse *parse, enum yaml_kind kind, const yaml_mark_t *mark, struct yaml_node **out)
{
	struct yaml_node *parent = parse->depth ? parse->stack[parse->depth - 1] : NULL;
	struct yaml_node *node;
	int r = 0;

	if (++parse->node_count > CONFIG_NODES_MAX)
		return refuse(parse, mark, "more than %d values; that is no configuration",
			CONFIG_NODES_MAX);
	if (parent && parent->child_count >= CONFIG_CHILDREN_MAX)
		return refuse(
			parse, mark, "more than %d values in one list or map", CONFIG_CHILDREN_MAX);
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	*node = (struct yaml_node){.kind = kind,
		.line = (unsigned int)mark->line + 1,
		.column = (unsigned int)mark->column + 1,
		.key_line = parse->key_line,
		.key_column = parse->key_column};
	if (parent && parent->kind == YAML_MAPPING) {
		r = take_key(parse, parent, node);
	}
	if (!parent) {
		parse->root = node;
	} else {
		if (parent->last)
			parent->last->next = node;
		else
			parent->first = node;
		parent->last = node;
		parent->child_count++;
	}
	*out = node;
	return r;
}

static bool expects_key(const struct parse *parse)
{
	return parse->depth && parse->stack[parse->depth - 1]->kind == YAML_MAPPING && !parse->key;
}

static int read_scalar(struct parse *parse, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	struct yaml_node *node;
	char *copy;
	int r;

	if (event->data.scalar.anchor)
		return refuse(parse, &event->start_mark,
			"anchors (&) are not taken; write the "
			"value where it is needed");
	if (event->data.scalar.tag)
		return refuse(parse, &event->start_mark,
			"tags (!) are not taken; a value that "
			"starts with ! needs quotes");
	for (size_t i = 0; i < event->data.scalar.length; i++)
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return refuse(parse, &event->start_mark, "a control character in a text");
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	if (expects_key(parse)) {
		parse->key = copy;
		parse->key_line = (unsigned int)event->start_mark.line + 1;
		parse->key_column = (unsigned int)event->start_mark.column + 1;
		return 0;
	}
	r = add_node(parse, YAML_SCALAR, &event->start_mark, &node);
	if (r < 0) {
		free(copy);
		return r;
	}
	node->value = copy;
	node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int open_collection(struct parse *parse, enum yaml_kind kind, const yaml_event_t *event,
	const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct yaml_node *node;
	int r;

	if (anchor)
		return refuse(parse, &event->start_mark,
			"anchors (&) are not taken; write the "
			"value where it is needed");
	if (tag)
		return refuse(parse, &event->start_mark, "tags (!) are not taken");
	if (expects_key(parse))
		return refuse(parse, &event->start_mark, "a key must be a plain text");
	if (parse->depth >= CONFIG_DEPTH_MAX)
		return refuse(parse, &event->start_mark, "nested deeper than %d", CONFIG_DEPTH_MAX);
	r = add_node(parse, kind, &event->start_mark, &node);
	if (r < 0)
		return r;
	parse->stack[parse->depth++] = node;
	return 0;
}

static int read_event(struct parse *parse, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (parse->has_document)
			return refuse(parse, &event->start_mark,
				"a second document (---); a configuration is one");
		parse->has_document = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(parse, &event->start_mark,
			"aliases (*) are not taken; a text that starts with * needs quotes");
	case YAML_SCALAR_EVENT:
		return read_scalar(parse, event);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(parse, YAML_SEQUENCE, event,
			event->data.sequence_start.anchor, event->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_collection(parse, YAML_MAPPING, event, event->data.mapping_start.anchor,
			event->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		parse->depth--;
		return 0;
	default:
		return 0;
	}
}

static int read_events(struct parse *parse)
{
	bool is_end = false;
	int r = 0;

	while (r == 0 && !is_end) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parse->parser, &event))
			return refuse_syntax(parse);
		is_end = event.type == YAML_STREAM_END_EVENT;
		r = read_event(parse, &event);
		yaml_event_delete(&event);
	}
	return r;
}

int yaml_parse(const char *text, size_t size, struct config_report *report, struct yaml_node **root)
{
	struct parse parse = {.report = report};
	int r;

	*root = NULL;
	if (!yaml_parser_initialize(&parse.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parse.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parse.parser, (const unsigned char *)text, size);
	r = read_events(&parse);
	yaml_parser_delete(&parse.parser);
	free(parse.key);
	if (r < 0) {
		yaml_destroy(parse.root);
		return r;
	}
	*root = parse.root;
	return 0;
}

const struct yaml_node *yaml_child(const struct yaml_node *node, const char *key)
{
	if (node->kind != YAML_MAPPING)
		return NULL;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

static const struct yaml_node *child_sized(
	const struct yaml_node *node, const char *key, size_t size)
{
	if (node->kind != YAML_MAPPING)
		return NULL;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if (strlen(child->key) == size && memcmp(child->key, key, size) == 0)
			return child;
	return NULL;
}

const struct yaml_node *yaml_find(const struct yaml_node *root, const char *path)
{
	const struct yaml_node *node = root;

	while (node && *path) {
		if (*path == '[') {
			unsigned long index = strtoul(path + 1, (char **)&path, 10);

			path += *path == ']';
			node = node->kind == YAML_SEQUENCE ? node->first : NULL;
			while (node && index--)
				node = node->next;
		} else {
			size_t size = strcspn(path, ".[");

			node = child_sized(node, path, size);
			path += size;
		}
		path += *path == '.';
	}
	return node;
}
