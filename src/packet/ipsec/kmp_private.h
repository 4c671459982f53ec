/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the KMP server share. Control thread. */
#pragma once

#include "base/clock.h"
#include "base/list.h"
#include "packet/ipsec/kmp_session.h"

#define KMP_EVENT_SIZE 160 /* of the largest, SA_ACQUIRE, with room to spare */
#define KMP_PEERS_MAX  16

struct kmp_queued_event {
	uint16_t size;
	uint8_t message[KMP_EVENT_SIZE];
};

/* A ring of the events that are not acknowledged: the first `sent` of them were sent. */
struct kmp_events {
	struct kmp_queued_event ring[KMP_EVENTS_MAX];
	uint32_t head, count, sent;
	uint32_t ever_sent;     /* so many were, in this connection or one before */
	uint32_t next_sequence; /* of the next one that is put in */
	uint32_t lost;          /* not put in, and not told yet */
	uint64_t sent_at_ns;    /* the last time that any was */
};

/* A name, and what it brought: under its number, and what a client that began anew left behind
 * under another one that belongs to it. */
struct kmp_owner {
	struct list node;
	char name[KMP_NAME_MAX + 1]; /* "": of before this server was there */
	uint32_t number;
	struct kmp_session *session; /* NULL: nobody is there, until: */
	uint64_t gone_until_ns;
	uint64_t retired_until_ns; /* 0: nothing is left behind */
	struct kmp_events events;
};

struct kmp_failures {
	uint64_t peer, since_ns;
	uint32_t count;
};

struct kmp_server {
	struct kmp_settings settings;
	struct kmp_stats stats;
	struct list owners, sessions;
	uint32_t owner_count, session_count, stranger_count;
	struct kmp_failures failures[KMP_PEERS_MAX];
};

enum kmp_session_state {
	KMP_SESSION_NEW,
	KMP_SESSION_CHALLENGED,
	KMP_SESSION_READY,
	KMP_SESSION_ENDED
};

struct kmp_session {
	struct list node;
	struct kmp_server *server;
	const struct kmp_connection_ops *ops;
	void *context;
	uint64_t peer;
	enum kmp_session_state state;
	bool is_stranger; /* counted as one */
	uint32_t number;
	uint32_t last_sequence;
	uint64_t handshake_until_ns;
	char name[KMP_NAME_MAX + 1];
	bool resumes;
	uint8_t client_nonce[KMP_NONCE_SIZE], server_nonce[KMP_NONCE_SIZE];
	struct kmp_owner *owner; /* while READY */
	bool is_blocked;         /* the connection takes nothing more now */
	size_t answer_size;      /* of an answer that waits; 0: none */
	uint8_t answer[KMP_MESSAGE_MAX];
};

/* ---- kmp_session.c ---- */
/* False: there is no room in the connection now, or it is broken. */
bool kmp_session_send(struct kmp_session *session, const uint8_t *message, size_t size);
/* The session answers no more; its owner's time of grace begins. */
void kmp_session_end(struct kmp_session *session, uint64_t now_ns);

/* ---- kmp_owner.c ---- */
/* The owner of a name, made when there is none (is_new). NULL: no room, or another name has its
 * number. */
struct kmp_owner *kmp_owner_get(struct kmp_server *server, const char *name, bool *is_new);
struct kmp_owner *kmp_owner_find(const struct kmp_server *server, uint32_t number);
/* What was brought under its number stays for the time of grace, and is not its own any more. */
void kmp_owner_retire(struct kmp_server *server, struct kmp_owner *owner, uint64_t now_ns);
void kmp_owner_destroy(struct kmp_server *server, struct kmp_owner *owner);
/* Whoever brought something before this server was there. */
void kmp_owners_adopt(struct kmp_server *server, uint64_t now_ns);
uint64_t kmp_owners_tick(struct kmp_server *server, uint64_t now_ns);
/* All that it brought goes. */
void kmp_owner_flush(const struct kmp_owner *owner);

/* ---- kmp_events.c ---- */
/* Sends what may be sent now. */
void kmp_events_pump(struct kmp_owner *owner, uint64_t now_ns);
/* A new session: all that was not acknowledged is sent from its first on. */
void kmp_events_restart(struct kmp_owner *owner, uint64_t now_ns);
void kmp_events_clear(struct kmp_owner *owner);
enum kmp_code kmp_events_acknowledge(struct kmp_owner *owner, uint32_t sequence, uint64_t now_ns);
/* Repeats what is due; returns when to call again, UINT64_MAX: no need. */
uint64_t kmp_events_tick(struct kmp_owner *owner, uint64_t now_ns);

/* ---- kmp_requests.c ---- */
/* Does what the message asks for. KMP_OK: done, with an answer in the writer, or none where RESULT
 * is enough. Otherwise nothing was changed, and error says why, or is empty. */
enum kmp_code kmp_request(struct kmp_session *session, const struct kmp_message *message,
	struct kmp_writer *answer, struct error *error);
