/* SPDX-License-Identifier: BSD-3-Clause */
/* inspect replay: the settings are read and checked here; the program that has the engine in it
 * does the rest in this one's place. */
#include "cli/command.h"
#include "control/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM     "bulkhead-replay"
#define SETTINGS_FD 3
#define PATH_SIZE   4096

/* The document of --config, or of the embedded default. NULL: the message is printed. */
static json_t *load_document(const char *path)
{
	const char *text = config_default_text();
	struct config_report report;
	json_t *document = NULL;
	int fd = -1;

	if (path) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			cli_fail("cannot read %s: %s", path, strerror(errno));
			return NULL;
		}
	}
	config_report_init(&report);
	if (path)
		config_load(fd, path, &document, &report);
	else
		config_load_text(text, strlen(text), "the default", &document, &report);
	if (!document)
		config_report_print(&report, stderr);
	config_report_destroy(&report);
	if (fd >= 0)
		close(fd);
	return document;
}

/* --rules in the place of inspection.rules: patterns, separated by commas. */
static void set_rules(json_t *inspection, const char *patterns)
{
	json_t *rules = json_array();
	char *copy = strdup(patterns), *rest = copy, *pattern;

	while ((pattern = strsep(&rest, ",")))
		if (*pattern)
			json_array_append_new(rules, json_string(pattern));
	json_object_set_new(inspection, "rules", rules);
	free(copy);
}

/* Puts `inspection` of the document where the program reads it. */
static int pass_settings(const json_t *document)
{
	char *text = json_dumps(json_object_get(document, "inspection"), JSON_COMPACT);
	int fd = text ? bulkhead_control_memory(text, strlen(text)) : -ENOMEM;

	free(text);
	if (fd < 0)
		return cli_fail("settings cannot be passed on: %s", strerror(-fd));
	if (fd != SETTINGS_FD && dup2(fd, SETTINGS_FD) < 0)
		return cli_fail("settings cannot be passed on: %s", strerror(errno));
	if (fd == SETTINGS_FD && fcntl(fd, F_SETFD, 0) < 0)
		return cli_fail("settings cannot be passed on: %s", strerror(errno));
	lseek(SETTINGS_FD, 0, SEEK_SET);
	return CLI_OK;
}

static int send_events_to(const char *path)
{
	int fd;

	if (!path || strcmp(path, "-") == 0)
		return CLI_OK;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return cli_fail("cannot write %s: %s", path, strerror(errno));
	return CLI_OK;
}

/* Installed in libexec; in a build folder beside this program. */
static void find_program(char out[PATH_SIZE])
{
	char self[PATH_SIZE / 2];
	ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[size > 0 ? size : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	snprintf(out, PATH_SIZE, "%s/" PROGRAM, self);
	if (access(out, X_OK) < 0)
		snprintf(out, PATH_SIZE, "%s/" PROGRAM, BULKHEAD_LIBEXEC);
}

int inspect_replay(struct cli *cli)
{
	const char *rules = cli_value(cli, "rules"), *delivered = cli_value(cli, "delivered");
	json_t *document = load_document(cli_value(cli, "config"));
	const char *arguments[8] = {PROGRAM};
	char program[PATH_SIZE];
	int count = 1;

	if (!document)
		return CLI_FAILED;
	if (rules)
		set_rules(json_object_get(document, "inspection"), rules);
	if (pass_settings(document) != CLI_OK || send_events_to(cli_value(cli, "eve")) != CLI_OK)
		return CLI_FAILED;
	json_decref(document);
	if (delivered) {
		arguments[count++] = "--delivered";
		arguments[count++] = delivered;
	}
	if (cli->is_json)
		arguments[count++] = "--json";
	arguments[count++] = "--";
	arguments[count++] = cli->arguments[0];
	find_program(program);
	execv(program, (char *const *)(uintptr_t)arguments);
	return cli_fail("cannot start %s: %s (is the package whole?)", program, strerror(errno));
}
