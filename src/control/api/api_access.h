/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may call what: the peer's credentials as the kernel tells them, against the users and groups
 * of the configuration; and whether a call is admitted at all (method, access, params, descriptors)
 * before anything else looks at it. No state; the loop's thread.
 */
#pragma once

#include "base/error.h"
#include "schema/api_schema.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define API_PEER_GROUPS_MAX 256 /* more groups of a peer are not looked at */
#define API_PRINCIPALS_MAX  64  /* users or groups of one list */

/* Credentials at the time of connect(2). */
struct api_peer {
	uid_t uid;
	pid_t pid;
	gid_t groups[API_PEER_GROUPS_MAX]; /* primary and supplementary */
	size_t group_count;
};

/* A resolved list of users and groups. */
struct api_principals {
	uid_t users[API_PRINCIPALS_MAX];
	size_t user_count;
	gid_t groups[API_PRINCIPALS_MAX];
	size_t group_count;
};

/* What a peer may do; each includes the one before. */
enum api_grant { API_GRANT_NONE, API_GRANT_READER, API_GRANT_OPERATOR };

/* SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket. */
int api_peer_read(int fd, struct api_peer *out);

/* Root may always operate. */
enum api_grant api_grant_of(const struct api_peer *peer, const struct api_principals *readers,
	const struct api_principals *operators);

/*
 * Admits a call, or says why not: an ipc_error code (JSON-RPC) with the message in error. 0: *out
 * is the method's row. params is from outside and may be NULL.
 */
int api_admit(enum api_grant grant, const char *method_name, const json_t *params,
	size_t descriptor_count, const struct api_method **out, struct error *error);
