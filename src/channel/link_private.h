/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to link.c (the stream) and link_end.c (ends of channels). The lane's thread. */
#pragma once

#include "channel/link.h"

/* DATA is written while less than this waits for the peer, so that no channel fills the queue; the
 * rest is for control: a frame for each row that there can be, twice. */
#define LINK_TX_DATA 65536
#define LINK_TX_SIZE (1024 * 1024)
#define LINK_TX_LAST (LINK_TX_SIZE / 2) /* for the last of an end that is about to go */
#define LINK_RX_SIZE ((size_t)(2 * CMM_FRAME_MAX))

struct link_memory {
	uint8_t tx[LINK_TX_SIZE];
	uint8_t rx[LINK_RX_SIZE];
	uint8_t control[CMM_CONTROL_MAX];
};

/* Place for size bytes behind what is queued; NULL: there is none. */
uint8_t *link_tx_place(struct link *link, size_t size);
static inline size_t link_tx_waiting(const struct link *link)
{
	return link->tx_end - link->tx_start;
}
/* Queues a frame other than DATA. */
void link_queue(struct link *link, const struct cmm_frame *frame);
/* Writes what the stream takes. */
void link_flush(struct link *link);
void link_break(struct link *link, int why);
void link_count_drop(struct link *link, struct link_end *end, enum link_drop drop);
static inline void link_add(uint64_t *counter, uint64_t amount)
{
	__atomic_store_n(counter, *counter + amount, __ATOMIC_RELAXED);
}

/* --- link_end.c --- */
extern const struct lane_ops link_end_ops;
/* A DATA frame, and an ACK. */
void link_deliver(struct link *link, const struct cmm_frame *frame, struct stamp *scratch);
void link_acknowledge(struct link *link, const struct cmm_frame *frame);
/* Shows the process what was delivered. */
void link_settle(struct link *link);
