/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process with channels, for the scenarios: sends or receives messages whose sizes and contents
 * follow from a seed and a number, so that the receiver can check each one, its place included.
 * Prints one line of JSON at its end.
 *
 *	channel-peer send SOCKET ENDPOINT PARTITION ENDPOINT COUNT SEED [SIZE-MAX]
 *	channel-peer receive SOCKET ENDPOINT PARTITION ENDPOINT COUNT SEED [SIZE-MAX]
 *
 * COUNT 0: until the channel ends. With CHANNEL_PEER_RECONNECT a sender whose role is gone attaches
 * again, and goes on with the message behind the last one that it had sent; the receiver then
 * checks that numbers grow, and counts those that are missing.
 */
#include "bulkhead/channel.h"

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE_MIN  32
#define ATTACH_MS 20000
#define OPEN_MS   20000
/* From the middle on, a sender that waits for its role's end sends one message in so long. */
#define PATIENCE_US 1000

struct header {
	uint64_t number;
	uint64_t checksum; /* of the rest, which follows from seed and number */
};

struct peer {
	const char *path, *remote;
	uint32_t endpoint, remote_endpoint;
	enum bulkhead_channel_direction direction;
	uint64_t count, seed;
	size_t size_max;
	bool reconnects;
	struct bulkhead_channels *channels;
	struct bulkhead_channel *channel;
	uint64_t next, missing, reconnections;
};

/* SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
static uint64_t mix(uint64_t value)
{
	value += 0x9e3779b97f4a7c15ULL;
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ value >> 27) * 0x94d049bb133111ebULL;
	return value ^ value >> 31;
}

static size_t size_of(const struct peer *peer, uint64_t number)
{
	return SIZE_MIN + mix(peer->seed ^ number) % (peer->size_max - SIZE_MIN + 1);
}

/* Fills the message, and returns its checksum. */
static uint64_t fill(const struct peer *peer, uint64_t number, uint8_t *bytes, size_t size)
{
	uint64_t state = peer->seed * 31 + number, sum = 0;

	for (size_t at = 0; at < size; at += sizeof(state)) {
		size_t part = size - at < sizeof(state) ? size - at : sizeof(state);

		state = mix(state);
		memcpy(bytes + at, &state, part);
		sum = sum * 1099511628211ULL + state;
	}
	return sum;
}

static uint64_t sum_of(const uint8_t *bytes, size_t size)
{
	uint64_t sum = 0;

	for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, bytes + at, sizeof(word));
		sum = sum * 1099511628211ULL + word;
	}
	return sum;
}

static int open_peer(struct peer *peer)
{
	int status = bulkhead_channels_attach(peer->path, ATTACH_MS, &peer->channels);

	if (status == 0)
		status = bulkhead_channels_bind(peer->channels, peer->endpoint, NULL);
	if (status == 0)
		status = bulkhead_channel_open(peer->channels, peer->direction, peer->endpoint,
			peer->remote, peer->remote_endpoint, NULL, OPEN_MS, &peer->channel);
	return status;
}

static int reopen(struct peer *peer)
{
	bulkhead_channels_detach(peer->channels);
	peer->channels = NULL;
	peer->channel = NULL;
	peer->reconnections++;
	return open_peer(peer);
}

static int send_one(struct peer *peer)
{
	size_t size = size_of(peer, peer->next) & ~(size_t)7;
	struct header header = {.number = peer->next};
	uint8_t *bytes;
	void *place;
	int status = bulkhead_channel_reserve(peer->channel, size, &place, -1);

	if (status < 0)
		return status;
	bytes = place;
	header.checksum = fill(peer, peer->next, bytes + sizeof(header), size - sizeof(header));
	memcpy(bytes, &header, sizeof(header));
	peer->next++;
	return bulkhead_channel_commit(peer->channel, size, 1);
}

static int send_all(struct peer *peer)
{
	int status = 0;

	while (status == 0 && (peer->count == 0 || peer->next < peer->count)) {
		status = send_one(peer);
		if (peer->reconnects && peer->reconnections == 0 && peer->next > peer->count / 2)
			usleep(PATIENCE_US); /* there is something left to send when the role goes
					      */
	}
	return status < 0 ? status : bulkhead_channel_flush(peer->channel, -1);
}

static void check(struct peer *peer, const uint8_t *bytes, size_t size)
{
	struct header header;

	if (size < sizeof(header))
		errx(3, "message %lu: %zu bytes", peer->next, size);
	memcpy(&header, bytes, sizeof(header));
	if (header.number < peer->next)
		errx(3, "message %lu again, when %lu was due", header.number, peer->next);
	peer->missing += header.number - peer->next;
	if (header.number != peer->next && !peer->reconnects)
		errx(3, "message %lu, when %lu was due", header.number, peer->next);
	if (size != (size_of(peer, header.number) & ~(size_t)7)
		|| header.checksum != sum_of(bytes + sizeof(header), size - sizeof(header)))
		errx(3, "message %lu has not the content that it was sent with", header.number);
	peer->next = header.number + 1;
}

static int receive_all(struct peer *peer)
{
	const void *message;
	size_t size;
	int status = 0;

	while (peer->count == 0 || peer->next < peer->count) {
		status = bulkhead_channel_peek(peer->channel, &message, &size, -1);
		if (status < 0)
			break;
		check(peer, message, size);
		bulkhead_channel_release(peer->channel);
	}
	return status;
}

/* Whether it is worth while to attach again: the role was lost, or the other end with it. */
static bool is_lost(const struct peer *peer, int status)
{
	if (!peer->reconnects)
		return false;
	return status == -ECONNRESET || (status == -EPIPE && peer->count != 0);
}

static int work(struct peer *peer)
{
	int status = open_peer(peer);

	if (status == 0) {
		printf("open\n");
		fflush(stdout);
	}
	for (;;) {
		if (status == 0)
			status = peer->direction == BULKHEAD_CHANNEL_SEND ? send_all(peer)
									  : receive_all(peer);
		if (!is_lost(peer, status))
			return status;
		status = reopen(peer);
	}
}

int main(int argc, char **argv)
{
	struct peer peer = {.reconnects = getenv("CHANNEL_PEER_RECONNECT") != NULL};
	struct bulkhead_channel_stats stats = {0};
	const char *reason = NULL;
	int status;

	if (argc < 8)
		errx(2, "usage: see the source");
	peer.direction =
		strcmp(argv[1], "send") == 0 ? BULKHEAD_CHANNEL_SEND : BULKHEAD_CHANNEL_RECEIVE;
	peer.path = argv[2];
	peer.endpoint = (uint32_t)atoi(argv[3]);
	peer.remote = argv[4];
	peer.remote_endpoint = (uint32_t)atoi(argv[5]);
	peer.count = strtoull(argv[6], NULL, 10);
	peer.seed = strtoull(argv[7], NULL, 10);
	peer.size_max = argc > 8 ? strtoul(argv[8], NULL, 10) : 512;
	status = work(&peer);
	if (peer.channel) {
		bulkhead_channel_get_stats(peer.channel, &stats);
		reason = bulkhead_channel_reason(peer.channel);
	}
	printf("{\"status\": %d, \"messages\": %lu, \"bytes\": %lu, \"missing\": %lu, "
	       "\"reconnections\": %lu, \"sleeps\": %lu, \"reason\": \"%s\"}\n",
		status, peer.next, stats.bytes, peer.missing, peer.reconnections, stats.sleeps,
		reason ? reason : "");
	bulkhead_channels_detach(peer.channels);
	return 0;
}
