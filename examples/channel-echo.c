/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends back what it receives: two channels, one each way, between one endpoint of ours and one of
 * another partition.
 *
 *	channel-echo SOCKET OUR-ENDPOINT PARTITION ENDPOINT
 *
 * The other end: `bulkhead channel open OUR-PARTITION:OUR-ENDPOINT --endpoint ENDPOINT`.
 */
#include <bulkhead/channel.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Without a copy of ours: the message is read where it lies and written where it is sent from. */
static int echo(struct bulkhead_channel *receiver, struct bulkhead_channel *sender)
{
	const void *message;
	void *place;
	size_t size;
	int status;

	for (;;) {
		status = bulkhead_channel_peek(receiver, &message, &size, -1);
		if (status == 0)
			status = bulkhead_channel_reserve(sender, size, &place, -1);
		if (status < 0)
			return status;
		memcpy(place, message, size);
		bulkhead_channel_commit(sender, size, 1);
		bulkhead_channel_release(receiver);
	}
}

int main(int argc, char **argv)
{
	struct bulkhead_channel *receiver, *sender;
	struct bulkhead_channels *channels;
	uint32_t endpoint, remote_endpoint;
	int status;

	if (argc != 5)
		errx(2, "usage: channel-echo SOCKET OUR-ENDPOINT PARTITION ENDPOINT");
	endpoint = (uint32_t)atoi(argv[2]);
	remote_endpoint = (uint32_t)atoi(argv[4]);
	status = bulkhead_channels_attach(argv[1], 5000, &channels);
	if (status < 0)
		errx(1, "%s: %s", argv[1], strerror(-status));
	status = bulkhead_channels_bind(channels, endpoint, NULL);
	if (status < 0)
		errx(1, "endpoint %u: %s", endpoint, strerror(-status));
	/* Both are authorised before either is waited for: the other end does the same. */
	status = bulkhead_channel_open(channels, BULKHEAD_CHANNEL_SEND, endpoint, argv[3],
		remote_endpoint, NULL, 0, &sender);
	if (status == 0)
		status = bulkhead_channel_open(channels, BULKHEAD_CHANNEL_RECEIVE, endpoint,
			argv[3], remote_endpoint, NULL, -1, &receiver);
	if (status == 0)
		status = bulkhead_channel_wait(sender, -1);
	if (status < 0)
		errx(1, "%s:%u: %s", argv[3], remote_endpoint, strerror(-status));
	status = echo(receiver, sender);
	if (status != -EPIPE)
		errx(1, "%s", strerror(-status));
	/* What was answered last still goes, if the other end listens. */
	bulkhead_channel_flush(sender, 1000);
	bulkhead_channels_detach(channels);
	return 0;
}
