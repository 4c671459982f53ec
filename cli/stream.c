/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/stream.h"

#include "cli/format.h"
#include "lib/now.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static volatile sig_atomic_t was_interrupted;

static void on_signal(int number)
{
	was_interrupted = 1;
}

bool stream_is_interrupted(void)
{
	return was_interrupted;
}

/* Without SA_RESTART: the wait for the daemon must end. */
void stream_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int stream_follow(struct cli *cli, int64_t timeout_ms, stream_fn handle, void *context)
{
	int64_t deadline = timeout_ms > 0 ? now_ms() + timeout_ms : 0;
	struct bulkhead_control_error error;

	stream_catch_signals();
	while (!was_interrupted) {
		int64_t left = deadline ? deadline - now_ms() : -1;
		json_t *notification;
		int code, enough;

		if (deadline && left <= 0)
			break;
		code = bulkhead_control_next(cli->control, (int)left, &notification, &error);
		if (code == -EINTR || code == -ETIMEDOUT)
			continue;
		if (code < 0)
			return cli_fail("%s", error.message);
		enough = handle(cli, format_string(notification, "method"),
			json_object_get(notification, "params"), context);
		json_decref(notification);
		if (enough)
			break;
		/* Whoever reads our output has gone. */
		if (fflush(stdout) != 0)
			return CLI_FAILED;
	}
	return CLI_OK;
}

int64_t stream_timeout(struct cli *cli)
{
	const char *text = cli_value(cli, "timeout");
	int64_t ms = text ? format_parse_duration(text) : 0;

	if (text && ms <= 0) {
		cli_usage(cli, "--timeout %s: must be a time, as 10 or 5min", text);
		return -1;
	}
	return ms;
}

/* --protocol and --filter together are one expression. */
static int add_filter(struct cli *cli, json_t *params)
{
	static const char *const protocols[] = {
		"arp", "icmp", "icmp6", "ip", "ip6", "tcp", "udp", NULL};
	const char *protocol = cli_value(cli, "protocol"), *filter = cli_value(cli, "filter");
	size_t i = 0;
	char text[1024];

	if (!protocol) {
		cli_param_string(cli, params, "filter", "filter");
		return 0;
	}
	while (protocols[i] && strcmp(protocols[i], protocol) != 0)
		i++;
	if (!protocols[i]) {
		cli_usage(cli, "--protocol %s: must be one of arp icmp icmp6 ip ip6 tcp udp",
			protocol);
		return -1;
	}
	snprintf(text, sizeof(text), filter ? "%s and (%s)" : "%s", protocol, filter);
	json_object_set_new(params, "filter", json_string(text));
	return 0;
}

json_t *stream_filter_params(struct cli *cli)
{
	json_t *params = json_object();

	cli_param_string(cli, params, "port", "port");
	if (cli_param_integer(cli, params, "count", "count") < 0
		|| cli_param_integer(cli, params, "vlan", "vlan") < 0
		|| add_filter(cli, params) < 0) {
		json_decref(params);
		return NULL;
	}
	return params;
}
