/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection of a memif, from the first message to the last packet: regions and rings that the
 * client announces, checked as they come. No sockets here. Control thread; when it is connected its
 * rings belong to workers, until it was taken away and their grace period is over.
 */
#pragma once

#include "packet/port/memif_message.h"
#include "packet/port/memif_ring.h"
#include "packet/port/port.h"

struct memif_link {
	bool is_client, is_connected;
	uint16_t queue_max; /* pairs that our side has */
	uint16_t rx_count, tx_count;
	uint16_t announced; /* as the client: messages that were sent */
	uint8_t ring_log2;  /* as the client */
	uint32_t id;
	int fd; /* as the client: of our region; owned */
	struct signal_bell *bells[PORT_QUEUES_MAX];
	struct memif_memory memory;
	char peer[MEMIF_NAME_SIZE];
	struct memif_ring rx[PORT_QUEUES_MAX], tx[PORT_QUEUES_MAX];
};

/* NULL: no memory. */
struct memif_link *memif_link_create(bool is_client, uint32_t id, uint16_t queue_max);
void memif_link_destroy(struct memif_link *link);

/* What a server says first. */
void memif_link_hello(struct memif_message *out);

/*
 * Takes one message, with its descriptor (-1: none), which is set to -1 when it is kept. Fills in
 * the answer and *answer_fd, borrowed (-1: none). 1: there is an answer; 0: there is none;
 * -EPROTO, -EINVAL, -ENOMEM: the connection is to be closed, and error says why to the peer.
 */
int memif_link_take(struct memif_link *link, const struct memif_message *message, int *fd,
	struct memif_message *answer, int *answer_fd, struct error *error);

/* Why a worker stopped a ring; NULL: none is. */
const char *memif_link_fault(const struct memif_link *link);
