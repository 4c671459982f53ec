/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's end of KMP (include/bulkhead/kmp.h), whatever the transport: who is connected under
 * which name, what each brought, which events wait for their acknowledgement. SAs and policies
 * themselves are sa_control.h's. Time comes with each call. Control thread of the packet role.
 */
#pragma once

#include "base/secret.h"
#include "bulkhead/kmp.h"
#include "packet/ipsec/sa_control.h"

#define KMP_SESSIONS_MAX  64
#define KMP_STRANGERS_MAX 16 /* of these, before their proof */
#define KMP_OWNERS_MAX    64
#define KMP_HANDSHAKE_MS  10000
#define KMP_REPEAT_MS     2000 /* an event that was not acknowledged is sent again */
/* Wrong proofs of one peer within the window, until its HELLO is refused unheard. */
#define KMP_FAILURES_MAX      5
#define KMP_FAILURE_WINDOW_MS 30000

struct kmp_server;
struct kmp_session;

struct kmp_settings {
	const uint8_t *secret; /* borrowed until the next kmp_server_set() */
	size_t secret_size;
	uint32_t grace_ms;
};

/* A connection of a transport. Neither function may call back. */
struct kmp_connection_ops {
	/* A whole message. 0; -EAGAIN: no room now, kmp_session_writable() is called when there
	 * is; others: it is broken, and will be closed. */
	int (*send)(void *context, const uint8_t *message, size_t size);
	/* The session has ended: after what was sent, the connection is to be closed. */
	void (*end)(void *context);
};

/* What the SAs' owners brought before this server was there stays for the time of grace. -ENOMEM.
 */
int kmp_server_create(
	const struct kmp_settings *settings, uint64_t now_ns, struct kmp_server **out);
/* All sessions were closed. is_final: what their owners brought goes, too. NULL is allowed. */
void kmp_server_destroy(struct kmp_server *server, bool is_final);
/* Owners of SAs that came by another way than a session stay for the time of grace. */
void kmp_server_adopt(struct kmp_server *server, uint64_t now_ns);
/* Sessions that are there go on. */
void kmp_server_set(struct kmp_server *server, const struct kmp_settings *settings);
/* Does what is due; returns when to call again, UINT64_MAX: no need. */
uint64_t kmp_server_tick(struct kmp_server *server, uint64_t now_ns);
/* sessions is a number of now, the others count. */
struct kmp_stats kmp_server_stats(const struct kmp_server *server);

/* What sa_events tell, for the session of the owner. */
void kmp_server_expire(struct kmp_server *server, uint32_t owner, const struct sa_name *name,
	bool is_hard, uint64_t now_ns);
void kmp_server_acquire(struct kmp_server *server, uint32_t owner, uint32_t request,
	const struct sa_selector *packet, uint64_t now_ns);
void kmp_server_mapping(struct kmp_server *server, uint32_t owner, const struct sa_name *name,
	const struct ip_address *source, uint16_t source_port, uint64_t now_ns);

/* peer tells who is limited together (a user's id). -EUSERS: too many; -ENOMEM. */
int kmp_session_open(struct kmp_server *server, uint64_t peer, const struct kmp_connection_ops *ops,
	void *context, uint64_t now_ns, struct kmp_session **out);
/* The connection is gone. */
void kmp_session_close(struct kmp_session *session, uint64_t now_ns);
/* One message; wiped when this returns, whatever it was. Only while kmp_session_takes_input(). */
void kmp_session_receive(
	struct kmp_session *session, uint8_t *message, size_t size, uint64_t now_ns);
/* False: its answer could not be sent yet, or it has ended. */
bool kmp_session_takes_input(const struct kmp_session *session);
bool kmp_session_wants_output(const struct kmp_session *session);
void kmp_session_writable(struct kmp_session *session, uint64_t now_ns);

/* For `bulkhead ipsec` and metrics. */
struct kmp_session_view {
	char name[KMP_NAME_MAX + 1]; /* "": before its proof, or of before a restart */
	bool is_connected;
	uint32_t owner;
	uint32_t events_waiting;
	uint64_t grace_left_ms; /* not connected */
};
size_t kmp_server_list(
	const struct kmp_server *server, uint64_t now_ns, struct kmp_session_view *out, size_t max);
