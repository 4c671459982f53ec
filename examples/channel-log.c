/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log shipper: lines of standard input go to a log collector in another partition, which writes
 * them, each behind the name of the partition that it came from, to standard output. Nobody can
 * write into the log of another partition: whose line it is follows from the channel.
 *
 *	channel-log ship SOCKET OUR-ENDPOINT PARTITION ENDPOINT <log
 *	channel-log collect SOCKET OUR-ENDPOINT PARTITION:ENDPOINT…
 *
 * The collector waits for all its channels in one poll(2). A shipper is never held up by a slow
 * collector, or one that is away: it counts the lines that find no room, and says so with the next
 * one.
 */
#include <bulkhead/channel.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE   8192
#define SOURCES_MAX 64

struct source {
	const char *partition;
	struct bulkhead_channel *channel; /* NULL: it has ended */
};

static struct bulkhead_channels *attach(const char *path, uint32_t endpoint)
{
	struct bulkhead_channels *channels;
	int status = bulkhead_channels_attach(path, 5000, &channels);

	if (status == 0)
		status = bulkhead_channels_bind(channels, endpoint, NULL);
	if (status < 0)
		errx(1, "%s: endpoint %u: %s", path, endpoint, strerror(-status));
	return channels;
}

/* --- Shipping --- */

static int ship_line(struct bulkhead_channel *channel, const char *line, unsigned long *lost)
{
	char text[64];
	int status = 0;

	if (*lost > 0) {
		snprintf(text, sizeof(text), "(%lu lines are missing)", *lost);
		status = bulkhead_channel_send(channel, text, strlen(text), 0);
	}
	if (status == 0) {
		*lost = 0;
		status = bulkhead_channel_send(channel, line, strcspn(line, "\n"), 0);
	}
	if (status == -EAGAIN) {
		++*lost;
		status = 0;
	}
	return status;
}

static int ship(int argc, char **argv)
{
	struct bulkhead_channels *channels;
	struct bulkhead_channel *channel;
	uint32_t endpoint, remote_endpoint;
	unsigned long lost = 0;
	char line[LINE_SIZE];
	int status;

	if (argc != 6)
		errx(2, "usage: channel-log ship SOCKET OUR-ENDPOINT PARTITION ENDPOINT");
	endpoint = (uint32_t)atoi(argv[3]);
	remote_endpoint = (uint32_t)atoi(argv[5]);
	channels = attach(argv[2], endpoint);
	status = bulkhead_channel_open(channels, BULKHEAD_CHANNEL_SEND, endpoint, argv[4],
		remote_endpoint, NULL, -1, &channel);
	while (status == 0 && fgets(line, sizeof(line), stdin))
		status = ship_line(channel, line, &lost);
	if (status == 0)
		status = bulkhead_channel_flush(channel, -1);
	if (status < 0)
		errx(1, "%s:%u: %s", argv[4], remote_endpoint, strerror(-status));
	bulkhead_channels_detach(channels);
	return 0;
}

/* --- Collecting --- */

static void collect_some(struct source *source)
{
	const void *line;
	size_t size;
	int status;

	while ((status = bulkhead_channel_peek(source->channel, &line, &size, 0)) == 0) {
		printf("%s: %.*s\n", source->partition, (int)size, (const char *)line);
		bulkhead_channel_release(source->channel);
	}
	fflush(stdout);
	if (status == -EAGAIN || status == -ENOTCONN)
		return;
	warnx("%s: %s", source->partition, bulkhead_channel_reason(source->channel));
	bulkhead_channel_close(source->channel);
	source->channel = NULL;
}

static void collect_all(struct source *sources, int count)
{
	struct pollfd fds[SOURCES_MAX];
	int open_count;

	do {
		int timeout_ms = -1;

		open_count = 0;
		for (int i = 0; i < count; i++) {
			fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
			if (!sources[i].channel)
				continue;
			/* One that came to stand meanwhile is told by its descriptor, too. */
			bulkhead_channel_wait(sources[i].channel, 0);
			fds[i].fd = bulkhead_channel_descriptor(sources[i].channel);
			if (bulkhead_channel_arm(sources[i].channel))
				timeout_ms = 0;
			open_count++;
		}
		if (open_count > 0)
			poll(fds, (nfds_t)count, timeout_ms);
		for (int i = 0; i < count; i++)
			if (sources[i].channel)
				collect_some(&sources[i]);
	} while (open_count > 0);
}

static int collect(int argc, char **argv)
{
	struct source sources[SOURCES_MAX];
	struct bulkhead_channels *channels;
	int count = argc - 4;

	if (count < 1 || count > SOURCES_MAX)
		errx(2, "usage: channel-log collect SOCKET OUR-ENDPOINT PARTITION:ENDPOINT...");
	channels = attach(argv[2], (uint32_t)atoi(argv[3]));
	for (int i = 0; i < count; i++) {
		char *colon = strrchr(argv[4 + i], ':');
		int status;

		if (!colon)
			errx(2, "%s: must be PARTITION:ENDPOINT", argv[4 + i]);
		*colon = '\0';
		sources[i].partition = argv[4 + i];
		status = bulkhead_channel_open(channels, BULKHEAD_CHANNEL_RECEIVE,
			(uint32_t)atoi(argv[3]), argv[4 + i], (uint32_t)atoi(colon + 1), NULL, 0,
			&sources[i].channel);
		if (status < 0)
			errx(1, "%s: %s", argv[4 + i], strerror(-status));
	}
	collect_all(sources, count);
	bulkhead_channels_detach(channels);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "ship") == 0)
		return ship(argc, argv);
	if (argc > 1 && strcmp(argv[1], "collect") == 0)
		return collect(argc, argv);
	errx(2, "usage: channel-log ship|collect ...");
}
