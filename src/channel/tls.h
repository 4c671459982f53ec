/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS 1.3 between two mechanisms, both with a certificate of one of our authorities (decision
 * 0022). A session belongs to the loop's thread until its stream is a link's, then to that link's
 * lane. Nothing here opens a file or a socket.
 */
#pragma once

#include "base/error.h"
#include "channel/link.h"
#include "channel/policy.h"

struct tls;
struct tls_session;

/* Files that were opened for us; all PEM. */
enum tls_file { TLS_CERTIFICATE, TLS_KEY, TLS_AUTHORITIES, TLS_FILES };

/* Reads the files, which stay the caller's. */
int tls_create(const int files[TLS_FILES], struct tls **out, struct error *error);
/* Sessions may outlive it. NULL is allowed. */
void tls_destroy(struct tls *tls);
/* Whether both were made of the same files. */
bool tls_is_same(const struct tls *a, const struct tls *b);

/* Takes fd, a connected socket. */
int tls_session_open(struct tls *tls, int fd, bool is_client, struct tls_session **out);
/* Closes the socket. NULL is allowed. */
void tls_session_close(struct tls_session *session);
/* 0: done, and the certificate is one of an authority's; -EAGAIN: when the socket is readable, or,
 * with *wants_write, writable; else *error says why not. */
int tls_session_handshake(struct tls_session *session, bool *wants_write, struct error *error);
/* Whether the peer's certificate is this peer's. */
bool tls_session_is_of(const struct tls_session *session, const struct policy_peer *peer);
/* The names in the peer's certificate, for people: "hv2". */
void tls_session_name(const struct tls_session *session, char *out, size_t size);
/* As of struct link_stream. */
ssize_t tls_session_read(void *session, void *out, size_t size);
ssize_t tls_session_write(void *session, const void *bytes, size_t size);
/* The session as a stream, which owns it. */
struct link_stream tls_session_stream(struct tls_session *session);
