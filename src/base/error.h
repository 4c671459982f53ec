/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Errors. Functions return 0 or a negative errno. Where a person has to read why, they also fill a
 * struct error: what was wrong, where (file, line, object), what to do. No allocation; any thread.
 */
#pragma once

#include <stddef.h>

#define ERROR_TEXT_SIZE 512

struct error {
	char text[ERROR_TEXT_SIZE];
};

/*
 * Formats the message into error (NULL is allowed) and returns code, so that
 * `return error_set(error, -EINVAL, "port %s: ...", name);` is one statement.
 */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "format: " before the message that is there, as a caller that knows more of the place. */
void error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
