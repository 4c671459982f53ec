/* SPDX-License-Identifier: BSD-3-Clause */
/* capture: the packet role writes pcapng into a descriptor that we open, with our rights. */
#include "cli/format.h"
#include "cli/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct capture {
	json_int_t id; /* 0: over */
	json_int_t packets, lost;
	bool is_failed;
};

static int on_notification(struct cli *cli, const char *method, const json_t *params, void *context)
{
	struct capture *capture = context;
	const char *reason = format_string(params, "reason");

	if (strcmp(method, "capture.end") != 0)
		return 0;
	capture->id = 0;
	capture->packets = format_integer(params, "packets");
	capture->lost = format_integer(params, "lost");
	if (strcmp(reason, "count") != 0 && strcmp(reason, "stopped") != 0) {
		cli_fail("the capture ended: %s", reason);
		capture->is_failed = true;
	}
	return 1;
}

static int stop(struct cli *cli, struct capture *capture)
{
	json_t *result;

	if (cli_call(cli, "capture.stop", json_pack("{s:I}", "capture", capture->id), &result) != 0)
		return CLI_FAILED;
	capture->packets = format_integer(result, "packets");
	capture->lost = format_integer(result, "lost");
	json_decref(result);
	return CLI_OK;
}

static void print_end(struct cli *cli, const struct capture *capture)
{
	/* Standard output may be the capture itself. */
	bool is_stdout = strcmp(cli->arguments[0], "-") == 0;

	if (cli->is_json && !is_stdout)
		printf("{\"packets\": %lld, \"lost\": %lld}\n", (long long)capture->packets,
			(long long)capture->lost);
	else if (!cli->is_json)
		fprintf(stderr, "%lld packets captured, %lld lost\n", (long long)capture->packets,
			(long long)capture->lost);
}

static int start(struct cli *cli, json_t *params, int fd, struct capture *capture)
{
	struct bulkhead_control_error error;
	json_t *result;

	if (bulkhead_control_call(cli->control, "capture.start", params, fd, &result, &error) < 0)
		return cli_fail("%s", error.message);
	capture->id = format_integer(result, "capture");
	json_decref(result);
	return CLI_OK;
}

/* The descriptor to write into; -1: the message is printed. */
static int open_output(struct cli *cli)
{
	const char *path = cli->arguments[0];
	int fd;

	if (strcmp(path, "-") == 0) {
		if (isatty(STDOUT_FILENO)) {
			cli_fail("a capture on the terminal is of no use: name a file, or use a "
				 "pipe");
			return -1;
		}
		return dup(STDOUT_FILENO);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		cli_fail("cannot write %s: %s", path, strerror(errno));
	return fd;
}

int capture_packets(struct cli *cli)
{
	int64_t timeout_ms = stream_timeout(cli);
	json_t *params = timeout_ms < 0 ? NULL : stream_filter_params(cli);
	struct capture capture = {0};
	int fd, code;

	if (!params || cli_param_integer(cli, params, "snap", "snap_bytes") < 0) {
		json_decref(params);
		return CLI_USAGE;
	}
	cli_param_string(cli, params, "node", "node");
	/* A file that is there stays as it is when the daemon is not. */
	fd = cli_connect(cli) == 0 ? open_output(cli) : -1;
	if (fd < 0) {
		json_decref(params);
		return CLI_FAILED;
	}
	code = start(cli, params, fd, &capture);
	close(fd);
	if (code != CLI_OK)
		return code;
	code = stream_follow(cli, timeout_ms, on_notification, &capture);
	if (code == CLI_OK && capture.id > 0)
		code = stop(cli, &capture);
	if (code == CLI_OK)
		print_end(cli, &capture);
	return capture.is_failed ? CLI_FAILED : code;
}
