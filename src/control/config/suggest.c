/* SPDX-License-Identifier: BSD-3-Clause */
/* "Did you mean …": the nearest word by optimal string alignment distance. */
#include "control/config/load.h"

#include <string.h>

#define WORD_MAX 40 /* longer ones are no slip of a key */

static unsigned int minimum(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int config_distance(const char *from, const char *to)
{
	unsigned int rows[3][WORD_MAX + 1];
	size_t from_size = strlen(from), to_size = strlen(to);

	if (from_size > WORD_MAX || to_size > WORD_MAX)
		return WORD_MAX;
	for (size_t j = 0; j <= to_size; j++)
		rows[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= from_size; i++) {
		unsigned int *row = rows[i % 3], *above = rows[(i + 2) % 3];
		const unsigned int *second = rows[(i + 1) % 3];

		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= to_size; j++) {
			bool is_equal = from[i - 1] == to[j - 1];

			row[j] = minimum(
				minimum(above[j] + 1, row[j - 1] + 1), above[j - 1] + !is_equal);
			if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
				row[j] = minimum(row[j], second[j - 2] + 1);
		}
	}
	return rows[from_size % 3][to_size];
}

bool config_is_near(const char *from, const char *to, unsigned int *distance)
{
	size_t size = strlen(from);

	*distance = config_distance(from, to);
	if (*distance == 0)
		return false;
	/* A beginning of three letters is meant, too: "addr" for "addresses". */
	if (size >= 3 && strncmp(from, to, size) == 0) {
		*distance = 1;
		return true;
	}
	return *distance <= 1 + size / 3 && *distance < size;
}

const char *config_suggest(const struct config_option *parent, const char *name)
{
	const struct config_option *child = NULL;
	unsigned int best = WORD_MAX, distance;
	const char *suggestion = NULL;

	while ((child = config_option_next_child(parent, child))) {
		const char *own = config_option_name(child);

		if (strcmp(own, "*") != 0 && config_is_near(name, own, &distance)
			&& distance < best) {
			best = distance;
			suggestion = own;
		}
	}
	return suggestion;
}
