/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link to another host's mechanism (decision 0022): a stream of frames (wire/cmm_frame.h), and
 * the ends of the channels that go through it. All of a link is on one lane: the link itself, which
 * reads and writes the stream, and its ends, each a member of its own. DATA and ACK are the lane's;
 * a frame of another kind stops the reading until the control thread has taken it.
 *
 * Frames in plain text have keys in them and are in secret memory. What comes from the peer is
 * checked here against the channel it says it is for; what is not right is dropped and counted.
 *
 * Functions are the control thread's, and stop the lane for a moment.
 */
#pragma once

#include "base/list.h"
#include "channel/lane.h"
#include "channel/route.h"
#include "wire/cmm_frame.h"

#include <sys/types.h>

#define LINK_BUCKETS 256

/* Messages and acknowledgements that are dropped: name, word, sentence. */
#define LINK_DROPS(X)                                                                              \
	X(STALE, "stale", "for a channel that is not there: never was, or has just ended")         \
	X(FORGED, "forged", "ids or key are not those of its channel")                             \
	X(REPLAYED, "replayed", "delivered before")                                                \
	X(GAP, "gap", "ahead of the one that was due")                                             \
	X(TOO_LARGE, "too-large", "larger than agreed")                                            \
	X(NO_CREDIT, "no-credit", "beyond what there was room for")                                \
	X(BAD_ACK, "bad-ack", "an acknowledgement of what was not sent")

enum link_drop {
#define LINK_DROP_ROW(name, word, text) LINK_DROP_##name,
	LINK_DROPS(LINK_DROP_ROW)
#undef LINK_DROP_ROW
		LINK_DROP_COUNT
};

const char *link_drop_word(enum link_drop drop);

/* Bytes to and from the peer, in order; nothing here blocks. */
struct link_stream {
	/* Count, -EAGAIN, or why it is over (0: the peer has ended it). */
	ssize_t (*read)(void *context, void *out, size_t size);
	ssize_t (*write)(void *context, const void *bytes, size_t size);
	void (*close)(void *context); /* on the control thread */
	void *context;
	int fd; /* to be polled; -1: there is no stream */
};

/* Written by the lane, read by the control thread, relaxed. */
struct link_counts {
	uint64_t sent_frames, received_frames; /* DATA */
	uint64_t sent_bytes, received_bytes;   /* of the stream, in plain text */
	uint64_t drops[LINK_DROP_COUNT];
};

struct link_memory;

struct link {
	struct lane_member member;
	struct lane *lane; /* its own, and its ends' */
	const struct key_table *keys;
	struct list ends; /* of struct link_end */
	struct link_end *buckets[LINK_BUCKETS];
	struct secret *secret;
	struct link_memory *memory; /* in secret */
	struct link_counts counts;
	struct link_stream stream;
	/* The lane's, and control's while that rests. */
	size_t tx_start, tx_end, rx_start, rx_end;
	size_t control_size;           /* of the frame that control has taken; 0: none */
	bool has_waiting_ends;         /* for room in tx */
	bool tx_is_stale, rx_is_stale; /* there are keys of ends that are gone: to be wiped */
	struct link_end *filled;       /* has messages that its process does not see yet */
	uint32_t has_control;          /* a frame for the control thread is there: relaxed */
	int32_t failure;               /* negative errno: the stream is over; relaxed */
};

struct link_end_counts {
	uint64_t messages, bytes, wakes, dropped;
};

/* An end here of a channel whose other end is at the peer. */
struct link_end {
	struct lane_member member;
	struct link *link;
	struct list node;         /* of the link's */
	struct link_end *chained; /* in its bucket */
	/* Set before it is added. */
	void *context;    /* the owner's */
	uint32_t channel; /* the receiver's host's number */
	bool is_sender;
	uint32_t key_slot;
	int wake;
	uint32_t message_max;
	uint64_t interval_ns; /* of a sender, as of a route. Control, any time */
	uint64_t limit;       /* of a sender: how far it may come; of a receiver: what was told */

	/* The lane's. */
	struct ring_consumer from; /* of a sender: the next to be sent */
	uint64_t acknowledged;     /* position that the peer has; of a receiver: what was told */
	uint64_t counted;          /* position up to which messages were counted */
	bool is_paused;            /* until the receiver's host has said where to go on */
	struct ring_producer to;   /* of a receiver */
	uint32_t size, offset;     /* of the message that is under way in pieces */
	bool is_idle;              /* a sender's: nothing to send, so it listens to its process */
	struct link_end_counts counts;
	uint32_t failure; /* enum attach_reason, by the lane */
	bool is_named;    /* control's: by the peer, since the link is up again */
};

/* Without stream. -ENOMEM, or why no memory can be locked. */
int link_create(const struct key_table *keys, struct lane *lane, struct link **out);
/* Without ends. NULL is allowed. */
void link_destroy(struct link *link);
/* Takes the stream (closed on failure). There is none. */
int link_attach(struct link *link, const struct link_stream *stream);
/* Closes the stream, if there is one: senders stop until they are resumed. */
void link_detach(struct link *link);
static inline bool link_is_attached(const struct link *link)
{
	return link->stream.fd >= 0;
}
/* Takes it, with all its ends, to another lane. */
void link_move_lane(struct link *link, struct lane *lane);

/* Why the stream is over; 0: it is not. */
int link_failure(const struct link *link);
/* 1: *out is the next frame for the control thread, valid until the next call; 0: there is none. */
int link_next_control(struct link *link, struct cmm_frame *out);
/* Behind what is queued. Nothing is sent without a stream; one that takes no more is over. */
void link_send(struct link *link, const struct cmm_frame *frame);

/* The link has a stream. */
int link_add_end(struct link *link, struct link_end *end);
/* with_rest: what the sender has published goes before, as far as the peer takes it at once; what
 * the receiver has delivered is acknowledged. */
void link_remove_end(struct link_end *end, bool with_rest);
/* The sender goes on from what the peer has. -EPROTO: that cannot be. */
int link_resume_end(struct link_end *end, uint64_t sequence, uint64_t limit);
/* Tells the peer where the receiver is, so that its sender goes on there (RESUME); since the link
 * was attached nothing else was said of it. */
void link_resume_receiver(struct link_end *end);
/* NULL: none. */
struct link_end *link_find_end(const struct link *link, bool is_sender, uint32_t channel);
