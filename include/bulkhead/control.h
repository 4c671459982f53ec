/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Client of the control API: JSON-RPC 2.0 over the daemon's Unix socket. Blocking calls, and a
 * queue of the notifications that come meanwhile. One thread at a time per connection.
 *
 *	struct bulkhead_control *control;
 *	struct bulkhead_control_error error;
 *	json_t *result;
 *
 *	if (bulkhead_control_open(NULL, &control, &error) < 0)
 *		errx(1, "%s", error.message);
 *	if (bulkhead_control_call(control, "status.get", NULL, -1, &result, &error) < 0)
 *		errx(1, "%s", error.message);
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#define BULKHEAD_CONTROL_SOCKET "/run/bulkhead/control.sock"

struct bulkhead_control;

struct bulkhead_control_error {
	int code;          /* of JSON-RPC when the daemon refused; 0 otherwise */
	char message[768]; /* for people */
};

/* path NULL: BULKHEAD_CONTROL_SOCKET. 0 or a negative errno. */
int bulkhead_control_open(
	const char *path, struct bulkhead_control **out, struct bulkhead_control_error *error);
void bulkhead_control_close(struct bulkhead_control *control);

/* Longest wait for an answer; 0: for ever. 65 s unless set. */
void bulkhead_control_set_timeout(struct bulkhead_control *control, unsigned int timeout_ms);

/*
 * params is consumed (NULL: none); descriptor is borrowed (-1: none). 0 with *result as a new
 * reference. -EREMOTEIO: the daemon refused, error has its code and message. Other negative errno:
 * the connection failed, and is of no more use.
 */
int bulkhead_control_call(struct bulkhead_control *control, const char *method, json_t *params,
	int descriptor, json_t **result, struct bulkhead_control_error *error);

/* The descriptor that came with the last answer; -1: none. The caller's from then on. */
int bulkhead_control_take_descriptor(struct bulkhead_control *control);

/* All pages of a paged method: the lists of the answers are put together in the first one. */
int bulkhead_control_call_paged(struct bulkhead_control *control, const char *method,
	json_t *params, json_t **result, struct bulkhead_control_error *error);

/* Next notification: {"method": ..., "params": {...}} as a new reference. Waits up to timeout_ms
 * (-1: for ever). -ETIMEDOUT when none came, -EINTR on a signal. */
int bulkhead_control_next(struct bulkhead_control *control, int timeout_ms, json_t **notification,
	struct bulkhead_control_error *error);

/* For poll(2): readable when bulkhead_control_next() may have something. */
int bulkhead_control_descriptor(const struct bulkhead_control *control);

/* Text as sealed memory, for methods that take a configuration; a descriptor or a negative errno.
 */
int bulkhead_control_memory(const void *text, size_t size);
