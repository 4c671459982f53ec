/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings over a stream of bytes: how a guest's process has the same rings as a process of the host,
 * though it shares no memory with the channel role (decision 0023). Each ring is there twice, once
 * in the role and once in the guest, with the same capacity, the same positions and the same bytes;
 * an end of this stream stands at each of the two as the producer or consumer that is not there.
 * Used by the role (vsock/guest.c) and by bulkhead-agent; needs nothing but libc.
 *
 * The consumer's position goes back the other way, and only what was consumed at the far end is
 * given back here. So there is always room for what the producer could put into its ring, and what
 * a sender sees taken has been taken by the mechanism. Contents are never looked at: a process that
 * writes into its ring what no ring may have is found out by who consumes it.
 *
 * Frames are in little-endian order: a head, and by kind:
 *
 *	PROCESS   agent → role   first of all: who the process is, in the guest
 *	REQUEST   agent → role   struct attach_request
 *	NOTICE    role → agent   struct attach_notice; value: direction of the ring that comes with
 *	                         it (an answer to AUTHORISE), else 0
 *	GONE      role → agent   row: it is not there any more, as its process has wished
 *	BYTES     both           row; of its ring. value 1: all up to here is published
 *	TAKEN     both           row; position up to which was consumed
 *	ALIVE     both           asks for the same: no guest's kernel tells of a role that died
 *
 * One thread.
 */
#pragma once

#include "base/list.h"
#include "channel/attach_protocol.h"
#include "channel/ring.h"

#include <sys/types.h>

/* Agents connect from a port that a guest's kernel keeps for privileged processes, so nobody else
 * in the guest can say who a process is. */
#define GUEST_PORT     9590 /* of the host, CID 2 */
#define GUEST_PORT_MAX 1023 /* of the agent */
#define GUEST_VERSION  1

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are written as they are");

enum stream_kind {
	STREAM_PROCESS = 1,
	STREAM_REQUEST,
	STREAM_NOTICE,
	STREAM_GONE,
	STREAM_BYTES,
	STREAM_TAKEN,
	STREAM_ALIVE,
	STREAM_KIND_COUNT,
};

struct stream_head {
	uint32_t size; /* of the whole frame */
	uint32_t kind; /* enum stream_kind */
	uint32_t row;
	uint32_t value;
};

struct stream_process {
	uint32_t version;
	uint32_t pid, uid;
	uint32_t padding; /* 0 */
};

#define STREAM_PIECE_MAX 32768
#define STREAM_FRAME_MAX (sizeof(struct stream_head) + STREAM_PIECE_MAX)
/* BYTES are written while less than this waits; the rest is for notices of many rows. */
#define STREAM_TX_BYTES (2 * STREAM_FRAME_MAX)
#define STREAM_TX_SIZE  (STREAM_TX_BYTES + 65536)

struct ring_stream;

/* A ring that is here and at the far end. */
struct ring_mirror {
	struct list node; /* of the stream's */
	uint32_t row;
	bool is_source; /* the producer is here */
	struct ring_view view;
	int notify, wait;  /* descriptors: wakes the end that is here; it wakes us. Owned */
	uint64_t position; /* of a source: sent; else written */
	uint64_t taken;    /* of a source: given back; else told */
	bool is_ending;    /* its last frame follows what is left */
	struct stream_head last;
	struct attach_notice last_notice;
};

struct ring_stream_ops {
	/* A frame that is not about rings. 0, or a negative errno, which ends the stream. */
	int (*frame)(struct ring_stream *stream, const struct stream_head *head, const void *body);
};

struct ring_stream {
	const struct ring_stream_ops *ops;
	struct list mirrors; /* of struct ring_mirror */
	uint32_t mirror_count;
	size_t tx_start, tx_end, rx_size;
	uint8_t tx[STREAM_TX_SIZE];
	uint8_t rx[STREAM_FRAME_MAX];
};

void ring_stream_open(struct ring_stream *stream, const struct ring_stream_ops *ops);
/* Closes all mirrors. What is written in rings here is not told to anybody. */
void ring_stream_close(struct ring_stream *stream);

/* What came. -EPROTO: it is nothing that the far end may say; or what ops->frame has returned. */
int ring_stream_take(struct ring_stream *stream, const uint8_t *bytes, size_t size);
/* Writes what there is to send behind what is queued, as far as there is room. -EPROTO: an end of a
 * ring that is here lies. */
int ring_stream_fill(struct ring_stream *stream);
/* Queued bytes, which go with ring_stream_sent(). */
static inline size_t ring_stream_waiting(const struct ring_stream *stream)
{
	return stream->tx_end - stream->tx_start;
}
static inline const uint8_t *ring_stream_next(const struct ring_stream *stream)
{
	return stream->tx + stream->tx_start;
}
void ring_stream_sent(struct ring_stream *stream, size_t size);
/* Queues a frame without fill's limit. -ENOBUFS: the far end does not read. */
int ring_stream_queue(struct ring_stream *stream, const struct stream_head *head, const void *body);
/* There is nothing more to fill, and each ring will wake us (by its mirror's `wait`). false: there
 * is something. */
bool ring_stream_arm(struct ring_stream *stream);

/* A mirror of the ring in memory (borrowed), at its beginning. Takes notify and wait, also on
 * failure. -EINVAL: no ring of this capacity; -ENOMEM. */
int ring_mirror_open(struct ring_stream *stream, const struct stream_head *what, int memory,
	uint64_t capacity, int notify, int wait, struct ring_mirror **out);
/* What is in the ring goes to the far end, then this frame (with the notice; NULL: none), and the
 * mirror is gone. */
void ring_mirror_end(struct ring_mirror *mirror, const struct stream_head *last,
	const struct attach_notice *notice);
/* Now. */
void ring_mirror_close(struct ring_stream *stream, struct ring_mirror *mirror);
struct ring_mirror *ring_mirror_find(const struct ring_stream *stream, uint32_t row);
