/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection management mechanism of this host: partitions with their state tables and
 * endpoints, the key table, the routes and their lanes. Knows processes as sessions, and sockets,
 * the loop and the API only through its ops. Control thread; lanes are threads of their own.
 *
 * How a channel comes to stand (the seed's figure 5; numbers are its steps):
 *
 *	receiver: AUTHORISE   a row in the state table of its partition                     502
 *	sender:   AUTHORISE   a row in the state table of its own                           503
 *	receiver: KEY         a key is made here, into the row of the key table       504, 506
 *	receiver: CONNECT     key and ids go to the sender's half of the mechanism    508, 510
 *	                      which verifies them against the row of 503,                   512
 *	                      and only then stores the key in the sender's row              514
 *	both:     UP
 *
 * When the sender's row comes after the CONNECT, the request is made again. Between hosts it is the
 * same, in frames on a link (cmm_links.c).
 */
#pragma once

#include "base/error.h"
#include "base/list.h"
#include "channel/attach_protocol.h"
#include "channel/endpoint.h"
#include "channel/key_table.h"
#include "channel/lane.h"
#include "channel/link.h"
#include "channel/policy.h"
#include "channel/route.h"
#include "channel/state_table.h"

#include <stdint.h>
#include <sys/types.h>

/* Rows of all partitions; each has descriptors, of which a process has 16,384. */
#define CMM_ROWS_MAX 4096

struct cmm;

/* Events are told at a rate, of each who causes them. Refusals have a rate of their own, so that
 * nobody hides them behind comings and goings. */
struct event_rate {
	uint64_t due_ns[2]; /* by is_refusal */
};

/* Another host's mechanism. */
struct peer {
	struct list node; /* of the cmm's */
	struct cmm *cmm;
	char name[ATTACH_NAME_SIZE];
	const struct policy_peer *settings; /* NULL: not in force yet */
	struct link *link;
	uint64_t incarnation; /* of the mechanism that the channels are with; 0: none was met yet */
	bool is_dialled;      /* we have made the connection that there is, or was */
	uint64_t changed_ns;  /* when it came up, or went down */
	uint64_t connections; /* made so far */
	struct error failure; /* why it is down, for people; "": it was never up */
	struct event_rate events;
	bool is_called; /* the owner's: a socket to it is being made */
};

struct partition {
	struct list node; /* of the cmm's */
	struct cmm *cmm;
	struct peer *peer; /* NULL: of this host. One of a peer has a name and a number alone */
	char name[ATTACH_NAME_SIZE];
	uint32_t number;                         /* in ids; never used twice */
	const struct policy_partition *settings; /* NULL: not in force yet */
	struct state_table rows;
	struct endpoint_table endpoints;
	struct list sessions; /* of struct session */
	uint32_t session_count;
	struct event_rate events;
};

/* A process that has attached. */
struct session {
	struct list node; /* of the partition's */
	struct partition *partition;
	pid_t pid;
	uid_t uid;
	bool is_greeted;
	bool is_guest;         /* a process of a virtual machine */
	struct list endpoints; /* of struct endpoint */
	struct list rows;      /* of struct state_row */
	void *context;         /* the owner's */
};

/* Something to be told to people: an event, with both identities. */
struct cmm_event {
	const char *action;            /* up, down, refused, denied, exception */
	bool is_refusal;               /* each but up and down */
	const char *reason;            /* a word; NULL: none */
	const char *sender, *receiver; /* partitions */
	uint32_t sender_endpoint, receiver_endpoint;
	const char *by;     /* partition that caused it; NULL: the configuration or an operator */
	const char *set_by; /* of an exception: partition whose side had set the key */
	pid_t pid;          /* of the process that caused it; 0: none */
	uid_t uid;
};

/* A link came up or went down, or somebody was refused. */
struct cmm_peer_event {
	const char *action;  /* peer-up, peer-down, peer-refused */
	const char *peer;    /* NULL: nobody that we know */
	const char *address; /* NULL: not known here */
	const char *reason;  /* for people; NULL: none */
};

struct cmm_ops {
	/* To the process; descriptors are borrowed. The session may be closed after this call, not
	 * within. */
	void (*send)(struct session *session, const struct attach_notice *notice,
		const int *descriptors, size_t count);
	/* A process of a guest has ended this row itself, which is told by no notice. */
	void (*guest_row_gone)(struct session *session, uint32_t row);
	void (*event)(void *context, const struct cmm_event *event);
	void (*peer_event)(void *context, const struct cmm_peer_event *event);
	/* On any thread: cmm_collect() is to be called. */
	void (*wake)(void *context);
};

struct cmm_counts {
	uint64_t attached, up, down, denied, exceptions;
	uint64_t refused[ATTACH_REASON_COUNT];
	uint64_t ended[ATTACH_REASON_COUNT];
	uint64_t messages, bytes, forged, wakes; /* also of routes that are gone */
	uint64_t events_suppressed;
};

struct cmm {
	const struct cmm_ops *ops;
	void *context;
	struct policy *policy; /* NULL: none yet */
	struct key_table keys;
	struct list partitions;     /* of struct partition, of this host */
	struct list far_partitions; /* of peers, that rules name */
	struct list peers;          /* of struct peer */
	uint64_t incarnation;
	struct secret *scratch; /* of struct stamp */
	struct event_rate stranger_events;
	struct lane *lanes[POLICY_LANES_MAX];
	uint32_t lane_count;
	/* Between prepare and commit. */
	struct policy *next_policy;
	struct lane *next_lanes[POLICY_LANES_MAX];
	uint32_t next_lane_count;
	bool renews_lanes;
	uint32_t next_partition, next_row;
	struct cmm_counts counts;
};

/* -ENOMEM, or why no memory can be locked. */
int cmm_open(struct cmm *cmm, const struct cmm_ops *ops, void *context, struct error *error);
/* Ends all channels; processes are told. */
void cmm_end(struct cmm *cmm);
/* The same, and frees sessions (their context stays the owner's) and wipes the key table. */
void cmm_close(struct cmm *cmm);
/* Makes ready all of a new policy (taken) that can fail, beside what runs; a failure leaves nothing
 * behind. Then one of the two: */
int cmm_prepare(struct cmm *cmm, struct policy *policy, struct error *error);
void cmm_abort(struct cmm *cmm);
/* What is not allowed any more is closed, the newest first where there are too many; sessions of
 * partitions that are gone are freed after a last call of forget. */
void cmm_commit(struct cmm *cmm, void (*forget)(struct session *session));
/* NULL: not configured. */
struct partition *cmm_find_partition(const struct cmm *cmm, const char *name);

/* -EDQUOT: the partition has its limit of processes. */
int cmm_session_open(
	struct partition *partition, pid_t pid, uid_t uid, void *context, struct session **out);
void cmm_session_close(struct session *session);
/* Acts on a request of a process, and answers with ops->send. size is what came. -EPROTO: it is
 * none, and the session has to be closed. */
int cmm_handle(struct session *session, const void *bytes, size_t size);

/* Closes the channels that failed on their lanes, and acts on what peers say. */
void cmm_collect(struct cmm *cmm);
/* Once a second or so: links that are down for too long. */
void cmm_tick(struct cmm *cmm);
/* NULL: not configured. */
struct peer *cmm_find_peer(const struct cmm *cmm, const char *name);
/* The peer has proved who it is, and said its incarnation. Takes the stream (closed on failure).
 * -EALREADY: there is a connection that both sides prefer. */
int cmm_peer_connect(
	struct peer *peer, const struct link_stream *stream, uint64_t incarnation, bool is_dialled);
/* Takes the connection down, as when certificates have changed; channels stay for a while. */
void cmm_peer_disconnect(struct peer *peer, const char *why);
/* Tells people of somebody who was refused, unless there were many. peer: NULL: nobody we know. */
void cmm_tell_refused(struct cmm *cmm, struct peer *peer, const char *address, const char *reason);
/* Channels that stand through its link. */
uint32_t cmm_peer_channels(const struct peer *peer);
/* By an operator. -ENOENT. */
int cmm_revoke(struct cmm *cmm, uint32_t row_id);
/* NULL: none. */
struct state_row *cmm_find_row(const struct cmm *cmm, uint32_t row_id);
/* Rows of this rule on the side of direction (enum attach_direction). */
uint32_t cmm_count_rule(const struct cmm *cmm, const struct policy_rule *rule, uint32_t direction);
/* The counters with those of what stands. */
void cmm_count(const struct cmm *cmm, struct cmm_counts *out);
/* Adds what came through the row's channel, if it stands. */
void cmm_row_add_counts(struct cmm_counts *counts, const struct state_row *row);
static inline bool cmm_row_is_up(const struct state_row *row)
{
	return row->route || row->far;
}
/* Bytes of a message at most, of both ends while it is up. */
uint32_t cmm_row_message_max(const struct state_row *row);
/* "revoked", and its sentence. */
const char *attach_reason_word(enum attach_reason reason);
const char *attach_reason_text(enum attach_reason reason);
