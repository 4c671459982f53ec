/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memif interfaces: sockets, connections and their life, for ports (memif_port.c) and for
 * inspectors outside. Several interfaces with different ids may listen on one socket. The other end
 * is not trusted (I10, docs/decisions/0016): what a worker finds wrong in memory closes the link,
 * and whoever was so is not let in again at once.
 *
 * Opening, closing and connections: control thread. Bursts: workers, one at a time a queue for
 * receiving.
 */
#pragma once

#include "base/error.h"

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <uv.h>

struct memif;

struct memif_setup {
	uv_loop_t *loop;
	const char *path;
	uint32_t id;
	bool is_client; /* connects, and again; else listens */
	uint16_t queue_count;
	mode_t socket_mode; /* of a socket that we make; 0: as the umask makes it */
	/* The link came or went; not from inside open or close. NULL: nobody asks. */
	void (*on_link)(void *context);
	void *context;
};

int memif_open(const struct memif_setup *setup, struct memif **out, struct error *error);
/* Workers no longer use it. NULL is allowed. */
void memif_close(struct memif *memif);

/* To be called now and then (every tenth of a second will do): ends the link of a hostile peer, and
 * connects a client. Returns whether the link is up. */
bool memif_refresh(struct memif *memif);
bool memif_is_up(const struct memif *memif);
/* Queues that the peer takes packets from; 0 while it is down. */
uint16_t memif_tx_queue_count(const struct memif *memif);
/* Why the link is down, where we know it. */
bool memif_find_problem(const struct memif *memif, struct error *error);

/* Worker. As the bursts of a port (port.h); *refused as with memif_ring_send(). */
uint16_t memif_receive(
	struct memif *memif, uint16_t queue, struct rte_mbuf **packets, uint16_t count);
uint16_t memif_send(struct memif *memif, uint16_t queue, struct rte_mbuf **packets, uint16_t count,
	uint16_t *refused);
