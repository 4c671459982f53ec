/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The API as one table: a row per method. From it come validation and authorisation in the control
 * role, `bulkhead api`, and the reference page. A role that owns a method implements exactly the
 * params and the result that stand in its row; a test compares real answers with the rows
 * (api_check_result). Constant data; any thread.
 *
 * Paged methods take "after" (an opaque cursor: the "next" of the answer before) and "limit", and
 * answer "next" while there is more. One page fits into one message (IPC_MESSAGE_SIZE).
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define API_PAGE_LIMIT_DEFAULT 100
#define API_PAGE_LIMIT_MAX     250 /* of the longest elements, ports: still one message */

enum api_access {
	API_READER,   /* members of the readers' group, operators and root */
	API_OPERATOR, /* members of the operators' group, and root */
	API_INTERNAL, /* between roles; never from outside */
};

enum api_type {
	API_STRING,
	API_INTEGER, /* of 63 bits: counters wrap there in the far future */
	API_NUMBER,  /* integer or real */
	API_BOOLEAN,
	API_OBJECT,
	API_STRINGS, /* array of strings */
	API_LIST,    /* array of objects; its fields follow as "list[].field" */
	API_VLAN,    /* integer 1..4094 */
	API_MAC,     /* "52:54:00:00:10:01" */
	API_NAME,    /* string of 1..63 printable characters without spaces */
	API_ANY,
	API_TYPE_COUNT,
};

struct api_param {
	const char *name;
	enum api_type type;
	bool is_required;
	int64_t minimum, maximum; /* of integers, when maximum is not 0 */
	const char *choices;      /* of strings: "a|b|c"; NULL: any */
	const char *help;
};

/* A field of the result. "ports[].name": of each element of "ports"; "config.file": of an object.
 */
struct api_field {
	const char *path;
	enum api_type type;
	bool is_optional;
	const char *help;
};

/* A notification that a method's success lets come, to the channel that called. */
struct api_method {
	const char *name;  /* "port.list" */
	const char *owner; /* the role that answers: "control", "packet", "channel" */
	enum api_access access;
	bool is_paged;                  /* adds after and limit to params, next to the result */
	bool takes_descriptor;          /* exactly one descriptor comes with the call */
	const char *help;               /* one line */
	const struct api_param *params; /* NULL name ends it; NULL: none */
	const struct api_field *result; /* NULL path ends it; NULL: an empty object */
	const struct api_notification *notifications; /* NULL name ends it */
};

struct api_notification {
	const char *name; /* "trace.records" */
	const char *help;
	const struct api_field *fields;
};

/* Sorted as they are documented; a NULL name ends it. */
extern const struct api_method api_methods[];

const struct api_method *api_method_find(const char *name); /* NULL: no such method */
const char *api_type_name(enum api_type type);
const char *api_access_name(enum api_access access);

/* Checks params (NULL is an empty object) against the row: types, ranges, choices, required ones,
 * no unknown ones. -EINVAL with a message for people that names all that is valid. */
int api_check_params(const struct api_method *method, const json_t *params, struct error *error);

/* Checks an answer against the row: each field present and of its type. Unknown fields are an error
 * too: they lack documentation. For tests. */
int api_check_result(const struct api_method *method, const json_t *result, struct error *error);

/* limit of a paged call's (checked) params. */
size_t api_page_limit(const json_t *params);
/* after of a paged call's (checked) params; NULL: from the start. Borrowed. */
const char *api_page_after(const json_t *params);

/* The whole table as JSON ({"methods": [...]}), new reference; NULL when memory is out. */
json_t *api_schema_json(void);
json_t *api_method_json(const struct api_method *method);
