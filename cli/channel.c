/* SPDX-License-Identifier: BSD-3-Clause */
/* channel open|send|recv: one end of a channel, for shells. These speak to the partition's socket,
 * not to the daemon's API. */
#include "bulkhead/channel.h"

#include "cli/command.h"
#include "cli/format.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTACH_SECONDS_MS 5000
#define SOCKET_VARIABLE   "BULKHEAD_CHANNEL_SOCKET"
#define SOCKET_DEFAULT    "/run/bulkhead/channel.sock"

struct end {
	struct bulkhead_channels *channels;
	struct bulkhead_channel *channel;
	uint32_t endpoint;
	char remote[BULKHEAD_CHANNEL_NAME_SIZE];
	uint32_t remote_endpoint;
	int timeout_ms;
};

static int parse_number(const char *text, uint32_t *out)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (end == text || *end || errno || value > INT32_MAX)
		return -1;
	*out = (uint32_t)value;
	return 0;
}

/* "db:6" */
static int parse_remote(const char *text, struct end *end)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;

	if (length == 0 || length >= sizeof(end->remote)
		|| parse_number(colon + 1, &end->remote_endpoint) < 0)
		return -1;
	memcpy(end->remote, text, length);
	end->remote[length] = '\0';
	return 0;
}

static int parse_end(struct cli *cli, struct end *end)
{
	const char *endpoint = cli_value(cli, "endpoint"), *timeout = cli_value(cli, "timeout");
	int64_t timeout_ms = timeout ? format_parse_duration(timeout) : -1;

	memset(end, 0, sizeof(*end));
	if (parse_remote(cli->arguments[0], end) < 0)
		return cli_usage(cli, "%s: must be PARTITION:ENDPOINT, as db:6", cli->arguments[0]);
	if (endpoint && parse_number(endpoint, &end->endpoint) < 0)
		return cli_usage(cli, "--endpoint %s: must be a number from 1 to 1023", endpoint);
	if (timeout && (timeout_ms < 0 || timeout_ms > INT32_MAX))
		return cli_usage(cli, "--timeout %s: must be a time, as 30s", timeout);
	end->timeout_ms = (int)timeout_ms;
	return CLI_OK;
}

static int fail_open(const struct end *end, int code)
{
	switch (code) {
	case -EPERM:
		return cli_fail("partition %s may have no such channel with %s: no rule of "
				"channels.allow names it",
			bulkhead_channels_partition(end->channels), end->remote);
	case -ETIMEDOUT:
		return cli_fail("%s:%u has not authorised a channel with us in time", end->remote,
			end->remote_endpoint);
	case -EACCES:
		return cli_fail("%s:%u has authorised somebody else, not %s:%u", end->remote,
			end->remote_endpoint, bulkhead_channels_partition(end->channels),
			end->endpoint);
	default:
		return cli_fail("the channel with %s:%u cannot be opened: %s", end->remote,
			end->remote_endpoint, strerror(-code));
	}
}

static int attach(struct cli *cli, struct end *end)
{
	const char *path = cli_value(cli, "attach");
	int code;

	if (!path)
		path = getenv(SOCKET_VARIABLE);
	if (!path)
		path = SOCKET_DEFAULT;
	code = bulkhead_channels_attach(path, ATTACH_SECONDS_MS, &end->channels);
	if (code < 0)
		return cli_fail(
			"%s: %s; name the partition's socket with --attach or " SOCKET_VARIABLE,
			path, strerror(-code));
	code = bulkhead_channels_bind(end->channels, end->endpoint, &end->endpoint);
	if (code < 0)
		return cli_fail("endpoint %u cannot be had: %s", end->endpoint, strerror(-code));
	return CLI_OK;
}

/* The other end has to know which endpoint was given out. */
static int open_end(struct cli *cli, struct end *end, enum bulkhead_channel_direction direction)
{
	int code = parse_end(cli, end);

	if (code == CLI_OK)
		code = attach(cli, end);
	if (code != CLI_OK)
		return code;
	if (!cli_value(cli, "endpoint"))
		fprintf(stderr, "endpoint %u of partition %s\n", end->endpoint,
			bulkhead_channels_partition(end->channels));
	code = bulkhead_channel_open(end->channels, direction, end->endpoint, end->remote,
		end->remote_endpoint, NULL, end->timeout_ms, &end->channel);
	return code < 0 ? fail_open(end, code) : CLI_OK;
}

static int end_of_channel(const struct end *end, int code)
{
	const char *reason = bulkhead_channel_reason(end->channel);

	if (code == -EPIPE)
		return cli_fail("the channel has ended: %s", reason ? reason : "unknown");
	return cli_fail("the channel: %s", strerror(-code));
}

/* --- send --- */

static int fail_send(const struct end *end, int code, size_t size)
{
	if (code == -EMSGSIZE)
		return cli_fail("a line of %zu bytes is longer than a message of this channel "
				"may be: see message-max of its rule",
			size);
	return end_of_channel(end, code);
}

static int send_lines(const struct end *end)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int status = CLI_OK;

	while (status == CLI_OK && (length = getline(&line, &room, stdin)) >= 0) {
		size_t size = (size_t)length - (line[length - 1] == '\n');
		int code = bulkhead_channel_send(end->channel, line, size, -1);

		if (code < 0)
			status = fail_send(end, code, size);
	}
	free(line);
	return status;
}

/* What was sent before a failure arrives, too. */
static int flush_lines(const struct end *end, int code)
{
	int status = bulkhead_channel_flush(end->channel, -1);

	return status < 0 && code == CLI_OK ? end_of_channel(end, status) : code;
}

int send_messages(struct cli *cli)
{
	struct end end;
	int code = open_end(cli, &end, BULKHEAD_CHANNEL_SEND);

	if (code == CLI_OK)
		code = flush_lines(&end, send_lines(&end));
	bulkhead_channels_detach(end.channels);
	return code;
}

/* --- recv --- */

static int print_message(const void *message, size_t size)
{
	fwrite(message, 1, size, stdout);
	putchar('\n');
	fflush(stdout);
	return ferror(stdout) ? cli_fail("standard output: %s", strerror(errno)) : CLI_OK;
}

static int print_messages(struct end *end, uint32_t count)
{
	const void *message;
	size_t size;

	for (uint32_t i = 0; count == 0 || i < count; i++) {
		int code = bulkhead_channel_peek(end->channel, &message, &size, -1);

		/* As a pipe: a sender that went has said all. */
		if (code == -EPIPE && count == 0)
			return CLI_OK;
		if (code < 0)
			return end_of_channel(end, code);
		if (print_message(message, size) != CLI_OK)
			return CLI_FAILED;
		bulkhead_channel_release(end->channel);
	}
	return CLI_OK;
}

int receive_messages(struct cli *cli)
{
	const char *text = cli_value(cli, "count");
	uint32_t count = 0;
	struct end end;
	int code;

	if (text && (parse_number(text, &count) < 0 || count == 0))
		return cli_usage(cli, "--count %s: must be a number from 1 on", text);
	code = open_end(cli, &end, BULKHEAD_CHANNEL_RECEIVE);
	if (code == CLI_OK)
		code = print_messages(&end, count);
	bulkhead_channels_detach(end.channels);
	return code;
}

/* --- open: both ways --- */

struct dialogue {
	struct end end; /* channel: of what is received */
	struct bulkhead_channel *sender;
	bool is_input_over;
	char *input;       /* a line that is not whole yet */
	size_t kept, room; /* bytes of it; what there may be: one more than a message may have */
};

/* All that is there; CLI_OK: go on, -1: the other end is through. */
static int print_all(struct dialogue *dialogue)
{
	const void *message;
	size_t size;
	int code;

	while ((code = bulkhead_channel_peek(dialogue->end.channel, &message, &size, 0)) == 0) {
		if (print_message(message, size) != CLI_OK)
			return CLI_FAILED;
		bulkhead_channel_release(dialogue->end.channel);
	}
	if (code == -EPIPE)
		return -1;
	return code == -EAGAIN ? CLI_OK : end_of_channel(&dialogue->end, code);
}

static int end_input(struct dialogue *dialogue)
{
	dialogue->is_input_over = true;
	/* An end that has gone hears nothing; what it had said is printed all the same. */
	(void)bulkhead_channel_flush(dialogue->sender, -1);
	bulkhead_channel_close(dialogue->sender);
	dialogue->sender = NULL;
	return CLI_OK;
}

static int send_line(struct dialogue *dialogue, const char *line, size_t size)
{
	int code = bulkhead_channel_send(dialogue->sender, line, size, -1);

	if (code == -EPIPE)
		return end_input(dialogue);
	return code < 0 ? fail_send(&dialogue->end, code, size) : CLI_OK;
}

/* Those that are whole; what is behind them stays. */
static int send_whole_lines(struct dialogue *dialogue)
{
	char *line = dialogue->input, *newline;
	int code = CLI_OK;

	while (code == CLI_OK && !dialogue->is_input_over
		&& (newline = memchr(line, '\n', dialogue->kept))) {
		size_t size = (size_t)(newline - line);

		code = send_line(dialogue, line, size);
		dialogue->kept -= size + 1;
		line = newline + 1;
	}
	memmove(dialogue->input, line, dialogue->kept);
	return code;
}

/* A line of a terminal, or as much as came through a pipe. */
static int send_input(struct dialogue *dialogue)
{
	ssize_t got = read(
		STDIN_FILENO, dialogue->input + dialogue->kept, dialogue->room - dialogue->kept);
	int code;

	dialogue->kept += got > 0 ? (size_t)got : 0;
	code = send_whole_lines(dialogue);
	if (code != CLI_OK || dialogue->is_input_over)
		return code;
	/* The last one, without newline; or one that is too long, which is told. */
	if (dialogue->kept > 0 && (got <= 0 || dialogue->kept == dialogue->room))
		code = send_line(dialogue, dialogue->input, dialogue->kept);
	return code == CLI_OK && got <= 0 && !dialogue->is_input_over ? end_input(dialogue) : code;
}

static int make_room(struct dialogue *dialogue)
{
	struct bulkhead_channel_stats stats;

	bulkhead_channel_get_stats(dialogue->sender, &stats);
	dialogue->room = stats.message_max + (size_t)1;
	dialogue->input = malloc(dialogue->room);
	return dialogue->input ? CLI_OK : cli_fail("no memory for a line");
}

static int talk(struct dialogue *dialogue)
{
	struct pollfd fds[2] = {
		{.fd = bulkhead_channel_descriptor(dialogue->end.channel), .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN}};
	int code = make_room(dialogue);

	while (code == CLI_OK) {
		int timeout_ms = bulkhead_channel_arm(dialogue->end.channel) ? 0 : -1;

		fds[1].fd = dialogue->is_input_over ? -1 : STDIN_FILENO;
		if (poll(fds, 2, timeout_ms) < 0)
			return cli_fail("poll: %s", strerror(errno));
		code = print_all(dialogue);
		if (code == CLI_OK && fds[1].revents)
			code = send_input(dialogue);
	}
	return code < 0 ? CLI_OK : code;
}

int open_dialogue(struct cli *cli)
{
	struct dialogue dialogue = {0};
	struct end *end = &dialogue.end;
	int code = parse_end(cli, end), status;

	if (code == CLI_OK)
		code = attach(cli, end);
	if (code == CLI_OK) {
		status = bulkhead_channel_open(end->channels, BULKHEAD_CHANNEL_SEND, end->endpoint,
			end->remote, end->remote_endpoint, NULL, 0, &dialogue.sender);
		if (status == 0)
			status = bulkhead_channel_open(end->channels, BULKHEAD_CHANNEL_RECEIVE,
				end->endpoint, end->remote, end->remote_endpoint, NULL,
				end->timeout_ms, &end->channel);
		if (status == 0)
			status = bulkhead_channel_wait(dialogue.sender, end->timeout_ms);
		code = status < 0 ? fail_open(end, status) : talk(&dialogue);
	}
	free(dialogue.input);
	bulkhead_channels_detach(end->channels);
	return code;
}
