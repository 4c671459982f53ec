/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One direction of a TCP connection as its receiver will read it (I6). Each byte counts as what was
 * let through first: a segment that brings other bytes for the same place is told to be rewritten.
 * A segment ahead of a gap is held by order.h; where it is forwarded instead, it is stored here,
 * and the segment that closes the gap is judged by all that becomes readable with it (decisions
 * 0006 and 0009).
 *
 * The bytes lie in one linear buffer, so that the rules see them without copying: history,
 * what is not acknowledged yet, and beyond gaps what came early. Worker thread only; no allocation
 * but from the arena.
 */
#pragma once

#include "packet/inspect/builtin/arena.h"
#include "packet/inspect/builtin/detect.h"

#include <stdbool.h>
#include <stdint.h>

#define STREAM_HISTORY  DETECT_WINDOW_BYTES
#define STREAM_GAPS_MAX 32

enum stream_flag {
	STREAM_IS_SYNCED = 1 << 0,       /* next is valid */
	STREAM_HAS_START = 1 << 1,       /* from the SYN on: position 0 is the first byte */
	STREAM_HAS_ACK = 1 << 2,         /* acked is valid */
	STREAM_HAS_SCALE = 1 << 3,       /* scale is this side's own option */
	STREAM_HAS_FIN = 1 << 4,         /* fin is valid */
	STREAM_IS_BEYOND = 1 << 5,       /* past the depth: only what was seen is still watched */
	STREAM_HAS_INGRESS = 1 << 6,     /* ingress is valid */
	STREAM_SAW_SYN = 1 << 7,         /* and began with it */
	STREAM_HAS_SYN = 1 << 8,         /* syn is valid */
	STREAM_HAS_WINDOW = 1 << 9,      /* offered is valid */
	STREAM_HAS_TIMESTAMPS = 1 << 10, /* timestamps are valid (RFC 7323) */
	STREAM_HAS_SACK = 1 << 11,       /* this side permits selective acknowledgements */
	STREAM_HAS_TOLD = 1 << 12,       /* told_from and told_to are valid */
	STREAM_HAS_NEWEST = 1 << 13,     /* newest is valid */
};

struct stream_buffer;
struct held_queue;

/* In the flow, one for each direction: what this side sends. */
struct stream {
	struct stream_buffer *buffer; /* NULL: no byte yet, or let go */
	uint32_t next;                /* sequence number behind the last contiguous byte */
	uint32_t acked;               /* up to here the receiver has acknowledged */
	uint32_t window;              /* largest that the receiver has offered, in bytes */
	uint32_t fin;                 /* sequence number of the FIN */
	uint32_t syn;                 /* of the last SYN, which may not have been answered */
	uint64_t position;            /* stream offset of next */
	uint32_t ingress;             /* origin that this side's packets come from */
	uint16_t flags;               /* enum stream_flag */
	uint8_t scale;                /* window scale that this side announced */
	uint32_t told_from, told_to;  /* released, after its sender was told that it was held */
	uint32_t newest;              /* timestamp that its receiver has seen in order */
	uint16_t mss;                 /* that this side announced; 0: none */
	/* For answers in this side's name, as its last segment had it. */
	uint16_t offered; /* the window field */
	uint32_t timestamp, timestamp_echo;
	struct held_queue *held; /* its segments that wait behind a gap; NULL: none */
};

enum stream_result {
	STREAM_OLD,       /* nothing that was not seen before */
	STREAM_NEW,       /* contiguous bytes: the window has fresh ones */
	STREAM_EARLY,     /* stored behind a gap */
	STREAM_OUTSIDE,   /* beyond what the receiver's window admits, or behind its FIN */
	STREAM_NO_MEMORY, /* cannot be stored, or not be compared any more */
};

/* What one segment would do; nothing of it holds before stream_commit(). */
struct stream_step {
	enum stream_result result;
	bool must_rewrite; /* the segment brings other bytes than were seen: stream_rewrite() */
	uint32_t from, to; /* the segment's bytes, as offsets into the buffer */
	uint32_t skip;     /* bytes at the segment's start that lie before the buffer */
	uint32_t size;     /* contiguous bytes afterwards */
	uint32_t fresh;    /* contiguous bytes before */
};

/* First byte is expected at next; has_start as it says above. Lets go of what was there. */
void stream_sync(struct stream *stream, struct arena *arena, uint32_t next, bool has_start);

/* Whether bytes there are beyond what the receiver admits, or behind the FIN. */
bool stream_is_outside(const struct stream *stream, uint32_t sequence, uint32_t size);

/* Lays a segment's bytes out in the buffer, and compares. payload is not kept. */
void stream_prepare(struct stream *stream, struct arena *arena, uint32_t sequence,
	const uint8_t *payload, uint32_t size, struct stream_step *step);
/* For the rules: contiguous bytes with step's, at most STREAM_HISTORY old ones. *payload_at is
 * where the segment's payload begins in it, SIZE_MAX when it begins before it. Valid until commit.
 */
struct stream_window {
	const uint8_t *data;
	size_t size, fresh, payload_at;
	uint64_t position; /* of data[0] */
};
void stream_window(
	const struct stream *stream, const struct stream_step *step, struct stream_window *window);
/* Copies what was seen first over the segment's payload. */
void stream_rewrite(const struct stream *stream, const struct stream_step *step, uint8_t *payload);
/* Changes bytes that are new with this step; false when some of them went out earlier. */
bool stream_edit(struct stream *stream, const struct stream_step *step, uint32_t offset,
	const uint8_t *bytes, uint32_t size);
/* Whether bytes beyond a gap were let through. */
bool stream_has_early(const struct stream *stream);
void stream_commit(struct stream *stream, const struct stream_step *step);

/* The receiver has acknowledged up to here, and offers window bytes from there. false: it cannot
 * have, and nothing of it counts. */
bool stream_acknowledge(struct stream *stream, uint32_t acknowledged, uint32_t window);

/* Whether the receiver has all that was let through: only history is lost with the buffer. */
bool stream_is_settled(const struct stream *stream);
/* Gives the buffer back. */
void stream_release(struct stream *stream, struct arena *arena);

/* a before b in sequence space (RFC 9293 section 3.4). */
static inline bool stream_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
