/* SPDX-License-Identifier: BSD-3-Clause */
/* bulkheadd: options, and the way into the background. */
#include "main/broker.h"
#include "main/keeper.h"
#include "main/program.h"
#include "main/role.h"
#include "main/role_main.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_PATH "/etc/bulkhead/bulkhead.yaml"
#define EXIT_USAGE  2

static void print_help(void)
{
	puts("Usage: bulkheadd [--config FILE] [--foreground]\n"
	     "\n"
	     "Bulkhead's daemon: a gateway that tags, inspects and forwards partitions' traffic.\n"
	     "It starts one process for each of its roles, and restarts those that die.\n"
	     "\n"
	     "  --config FILE   configuration (default " CONFIG_PATH ")\n"
	     "  --foreground    stay in the foreground and log to stderr; without it the command\n"
	     "                  returns when the daemon is ready, or has failed to start\n"
	     "  --version       print the version\n"
	     "  --help          print this text\n"
	     "\n"
	     "Roles:");
	for (const struct role *role = roles; role->name; role++)
		printf("  %-15s %s\n", role->name, role->job);
	puts("\n"
	     "Signals: SIGTERM and SIGINT stop the daemon in order, SIGHUP reads the\n"
	     "configuration again. Exit codes: 0 stopped, 1 failed, 2 wrong options.\n"
	     "\n"
	     "Example: bulkheadd --foreground --config ./bulkhead.yaml");
}

/* The parent's part: says what became of the start, and ends with its exit code. */
static int wait_for_start(int fd)
{
	char text[1024];
	ssize_t size = read(fd, text, sizeof(text) - 1);

	if (size == 1 && text[0] == 'R')
		return 0;
	text[size > 0 ? size : 0] = '\0';
	fprintf(stderr, "bulkheadd: %s\n", size > 0 ? text : "the daemon ended while it started");
	return 1;
}

/* Returns in the daemon's process only, with the descriptor to be told about the start; -1 on
 * errors. */
static int go_to_background(void)
{
	int fds[2], null;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid < 0)
		return -1;
	if (pid > 0) {
		close(fds[1]);
		_exit(wait_for_start(fds[0]));
	}
	close(fds[0]);
	setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	return fds[1];
}

/* Whatever was not said to be inherited is not the daemon's. */
static void close_inherited(int first)
{
	close_range((unsigned)first, ~0U, 0);
	/* The three that everybody writes to must be there, or a socket takes their place. */
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			_exit(1);
}

/* Its descriptors are those that the keeper meant it to have. */
static int run_broker(const struct broker_options *options)
{
	struct stat info;

	if (fstat(KEEPER_FD, &info) < 0 || !S_ISSOCK(info.st_mode)) {
		fputs("bulkheadd: --broker is for the keeper's own use\n", stderr);
		return EXIT_USAGE;
	}
	return broker_run(options);
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"config", required_argument, NULL, 'c'},
		{"foreground", no_argument, NULL, 'f'},
		{"role", required_argument, NULL, 'r'},
		{"second-try", no_argument, NULL, 's'},
		{"broker", no_argument, NULL, 'b'},
		{"program", required_argument, NULL, 'p'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct broker_options options = {.config_path = CONFIG_PATH, .ready_fd = -1};
	const char *role = NULL, *program = NULL;
	bool is_second_try = false;
	bool is_broker = false;
	char *config_path;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.config_path = optarg;
			break;
		case 'f':
			options.is_foreground = true;
			break;
		case 'r':
			role = optarg;
			break;
		case 's':
			is_second_try = true;
			break;
		case 'b':
			is_broker = true;
			break;
		case 'p':
			program = optarg;
			break;
		case 'V':
			puts("bulkheadd " BULKHEAD_VERSION);
			return 0;
		case 'h':
			print_help();
			return 0;
		default:
			fputs("Try `bulkheadd --help`.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (program && argc - optind == 2) {
		close_inherited(STDERR_FILENO + 1);
		return program_exec(program, argv[optind], argv[optind + 1]);
	}
	if (optind < argc) {
		fprintf(stderr, "bulkheadd: unexpected argument `%s`\nTry `bulkheadd --help`.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	if (role) {
		close_inherited(ROLE_BROKER_FD + 1);
		return role_run(role, options.is_foreground, is_second_try);
	}
	if (is_broker)
		return run_broker(&options);
	close_inherited(STDERR_FILENO + 1);
	config_path = realpath(options.config_path, NULL);
	if (!config_path) {
		fprintf(stderr, "bulkheadd: %s: %s (--config names another file)\n",
			options.config_path, strerror(errno));
		return 1;
	}
	options.config_path = config_path;
	if (!options.is_foreground)
		options.ready_fd = go_to_background();
	if (!options.is_foreground && options.ready_fd < 0) {
		fprintf(stderr, "bulkheadd: cannot go to the background: %s\n", strerror(errno));
		return 1;
	}
	option = keeper_run(&options);
	free(config_path);
	return option;
}
