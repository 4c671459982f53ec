/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to libbulkhead's channels: channel.c (rings) and channel_attach.c (the socket). */
#pragma once

#include "bulkhead/channel.h"
#include "channel/attach_protocol.h"
#include "channel/ring.h"

struct bulkhead_channels {
	int fd;
	pid_t pid; /* whose it is: a child has to attach itself */
	uint32_t serial;
	uint64_t spin_ns;
	struct bulkhead_channel *first; /* all that are not closed */
	char partition[BULKHEAD_CHANNEL_NAME_SIZE];
};

struct bulkhead_channel {
	struct bulkhead_channels *channels;
	struct bulkhead_channel *next;
	uint32_t row, direction, endpoint;
	char remote[BULKHEAD_CHANNEL_NAME_SIZE];

	/* Set by channel_attach.c. */
	int is_up;
	uint32_t message_max;
	uint32_t reason; /* enum attach_reason, from the socket; 0: it has not ended */
	int was_refused; /* the other end had authorised somebody else, when last asked */
	int bell, wake, descriptor; /* the last one is the caller's to poll */

	/* The data path's. */
	struct ring_view view;
	struct ring_producer producer; /* of view, when sending */
	struct ring_consumer consumer; /* of view, when receiving */
	uint64_t given_back;           /* of the consumer's head: what the role has seen */
	uint64_t wanted;               /* bytes of the message that there has to be room for */
	int is_reserved, is_peeked;
	const uint8_t *message; /* the one peeked */
	uint32_t message_size;
	uint32_t idle_looks;
	struct bulkhead_channel_stats stats;
};
