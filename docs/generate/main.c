/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints one part of the manual: manual NAME [FILE]. NAME is a page ("bulkhead-ports.1"),
 * "completion.bash", "configuration.md" or "api.md"; FILE is the help of bulkheadd, for
 * bulkheadd.8.
 */
#include "control/config/config.h"
#include "docs/generate/pages.h"

#include <stdlib.h>
#include <string.h>

static int print_daemon(const char *path)
{
	FILE *help = fopen(path, "r");

	if (!help) {
		perror(path);
		return 1;
	}
	page_daemon(stdout, help);
	fclose(help);
	return 0;
}

/* "bulkhead-ports.1": the page of the command ports. */
static int print_command(const char *name)
{
	char group[64];
	size_t length = strlen(name);

	if (strncmp(name, "bulkhead-", 9) != 0 || length < 12
		|| strcmp(name + length - 2, ".1") != 0)
		return -1;
	snprintf(group, sizeof(group), "%.*s", (int)(length - 11), name + 9);
	return page_command(stdout, group);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} parts[] = {
		{"bulkhead.1", page_bulkhead},
		{"bulkhead.yaml.5", page_configuration},
		{"bulkhead-drops.7", page_drops},
		{"bulkhead-api.7", page_api},
		{"completion.bash", print_completion},
		{"configuration.md", config_reference_print_markdown},
		{"api.md", print_api_markdown},
	};
	const char *name = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(parts[i].name, name) == 0) {
			parts[i].print(stdout);
			return ferror(stdout) || fflush(stdout) ? 1 : 0;
		}
	}
	if (strcmp(name, "bulkheadd.8") == 0 && argc > 2)
		return print_daemon(argv[2]);
	if (print_command(name) == 0)
		return 0;
	fprintf(stderr, "manual: there is no page %s\n", name);
	return 2;
}
