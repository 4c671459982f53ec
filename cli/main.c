/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/command.h"

#include <time.h>
#include <unistd.h>

static void sleep_seconds(double seconds)
{
	struct timespec wait = {.tv_sec = (time_t)seconds};

	wait.tv_nsec = (long)((seconds - (double)wait.tv_sec) * 1e9);
	nanosleep(&wait, NULL);
}

/* Again and again, each time from the top of the screen. */
static int run_watched(struct cli *cli)
{
	bool is_terminal = isatty(STDOUT_FILENO);

	for (;;) {
		int code;

		if (is_terminal && !cli->is_json)
			fputs("\033[H\033[2J", stdout);
		code = cli->command->run(cli);
		if (code != CLI_OK || fflush(stdout) != 0)
			return code;
		sleep_seconds(cli->watch_s);
		if (!is_terminal && !cli->is_json)
			putchar('\n');
	}
}

static int run(struct cli *cli)
{
	int code = cli->watch_s > 0 ? run_watched(cli) : cli->command->run(cli);

	bulkhead_control_close(cli->control);
	return code;
}

int main(int argc, char **argv)
{
	struct cli cli;
	char text[256];
	int code;

	if (cli_parse(&cli, argc, argv, text, sizeof(text)) < 0)
		return cli_usage(&cli, "%s", text);
	if (cli.wants_version) {
		puts("bulkhead " BULKHEAD_VERSION);
		return CLI_OK;
	}
	if (cli.wants_help) {
		help_print(stdout, cli.command, cli.group);
		return CLI_OK;
	}
	code = run(&cli);
	/* A full disk behind stdout is a failure, too. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return code == CLI_OK ? CLI_FAILED : code;
	return code;
}
