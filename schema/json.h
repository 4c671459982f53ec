/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of and set into JSON objects everywhere. Any thread. */
#pragma once

#include <jansson.h>
#include <stdint.h>

/* Borrowed; NULL: there is none of that key, or it is no text. */
static inline const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static inline void set_number(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}
