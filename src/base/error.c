/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

void error_prefix(struct error *error, const char *format, ...)
{
	struct error old;
	va_list arguments;
	int used;

	if (!error)
		return;
	old = *error;
	va_start(arguments, format);
	used = vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	if (used < 0 || (size_t)used + sizeof(": ") > sizeof(error->text))
		return;
	memcpy(error->text + used, ": ", 2);
	used += 2;
	memcpy(error->text + used, old.text, sizeof(error->text) - (size_t)used);
	error->text[sizeof(error->text) - 1] = '\0';
}
