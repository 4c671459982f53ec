/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests and responses over two channels. The helper is struct caller with call(): it numbers
 * requests, so that an answer that came too late for its call is not taken for that of the next
 * one. Around it a service that keeps numbers for names, and a client:
 *
 *	channel-request serve SOCKET OUR-ENDPOINT PARTITION ENDPOINT
 *	channel-request call SOCKET OUR-ENDPOINT PARTITION ENDPOINT 'set a 1' 'get a'
 */
#include <bulkhead/channel.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_SIZE  256
#define NAMES_MAX  64
#define TIMEOUT_MS 5000

struct message {
	uint64_t number;
	char text[TEXT_SIZE];
};

/* One end of a dialogue. */
struct caller {
	struct bulkhead_channels *channels;
	struct bulkhead_channel *sender, *receiver;
	uint64_t number;
};

/* Attaches, and opens a channel each way between endpoint and remote:remote_endpoint. */
static int open_caller(struct caller *caller, const char *path, uint32_t endpoint,
	const char *remote, uint32_t remote_endpoint)
{
	int status = bulkhead_channels_attach(path, TIMEOUT_MS, &caller->channels);

	if (status == 0)
		status = bulkhead_channels_bind(caller->channels, endpoint, NULL);
	if (status == 0)
		status = bulkhead_channel_open(caller->channels, BULKHEAD_CHANNEL_SEND, endpoint,
			remote, remote_endpoint, NULL, 0, &caller->sender);
	if (status == 0)
		status = bulkhead_channel_open(caller->channels, BULKHEAD_CHANNEL_RECEIVE, endpoint,
			remote, remote_endpoint, NULL, -1, &caller->receiver);
	return status < 0 ? status : bulkhead_channel_wait(caller->sender, -1);
}

/* What another partition sends is checked as any input from outside. */
static int receive(struct caller *caller, struct message *out, int timeout_ms)
{
	ssize_t size = bulkhead_channel_receive(caller->receiver, out, sizeof(*out), timeout_ms);

	if (size < 0)
		return (int)size;
	if (size != sizeof(*out) || out->text[TEXT_SIZE - 1] != '\0')
		return -EPROTO;
	return 0;
}

/* Asks, and waits for the answer to this very question. */
static int call(struct caller *caller, const char *request, struct message *answer)
{
	struct message message = {.number = ++caller->number};
	int status;

	snprintf(message.text, sizeof(message.text), "%s", request);
	status = bulkhead_channel_send(caller->sender, &message, sizeof(message), TIMEOUT_MS);
	while (status == 0) {
		status = receive(caller, answer, TIMEOUT_MS);
		if (status == 0 && answer->number == caller->number)
			break;
	}
	return status;
}

/* --- The service --- */

struct entry {
	char name[TEXT_SIZE];
	long value;
};

static void act(struct entry *entries, const char *request, char out[TEXT_SIZE])
{
	char verb[TEXT_SIZE] = "", name[TEXT_SIZE] = "";
	struct entry *entry = entries;
	long value = 0;
	int count = sscanf(request, "%255s %255s %ld", verb, name, &value);

	while (entry < entries + NAMES_MAX && entry->name[0] && strcmp(entry->name, name) != 0)
		entry++;
	if (strcmp(verb, "set") == 0 && count == 3 && entry < entries + NAMES_MAX) {
		strcpy(entry->name, name);
		entry->value = value;
		strcpy(out, "ok");
	} else if (strcmp(verb, "get") == 0 && entry < entries + NAMES_MAX && entry->name[0]) {
		snprintf(out, TEXT_SIZE, "%ld", entry->value);
	} else {
		strcpy(out, "error");
	}
}

static int serve(struct caller *caller)
{
	static struct entry entries[NAMES_MAX];
	struct message request;
	int status;

	while ((status = receive(caller, &request, -1)) == 0) {
		struct message answer = {.number = request.number};

		act(entries, request.text, answer.text);
		status = bulkhead_channel_send(caller->sender, &answer, sizeof(answer), TIMEOUT_MS);
		if (status < 0)
			break;
	}
	return status == -EPIPE ? 0 : status;
}

static int ask_all(struct caller *caller, char **requests)
{
	struct message answer;
	int status = 0;

	for (; *requests && status == 0; requests++) {
		status = call(caller, *requests, &answer);
		if (status == 0)
			puts(answer.text);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct caller caller = {0};
	int status;

	if (argc < 6)
		errx(2,
			"usage: channel-request serve|call SOCKET OUR-ENDPOINT PARTITION ENDPOINT "
			"[REQUEST...]");
	status = open_caller(
		&caller, argv[2], (uint32_t)atoi(argv[3]), argv[4], (uint32_t)atoi(argv[5]));
	if (status == 0)
		status =
			strcmp(argv[1], "serve") == 0 ? serve(&caller) : ask_all(&caller, argv + 6);
	if (status < 0)
		errx(1, "%s:%s: %s", argv[4], argv[5], strerror(-status));
	bulkhead_channels_detach(caller.channels);
	return 0;
}
