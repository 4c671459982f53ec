/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON-RPC 2.0 over SOCK_SEQPACKET, with descriptors attached: between the roles, and as the public
 * API. One packet is one message of at most IPC_MESSAGE_SIZE bytes; longer answers are paged by the
 * method ("after"/"limit" in, "next" out). All functions belong to the thread that runs the loop.
 *
 * Both ends may call, notify and answer. A peer that sends bytes which are no JSON-RPC gets the
 * standard error answer; what cannot be answered closes the channel.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define IPC_MESSAGE_SIZE    (128 * 1024)
#define IPC_DESCRIPTORS_MAX 16
#define IPC_CALL_TIMEOUT_MS 10000

/* JSON-RPC 2.0 section 5.1, and ours from -32000 down. */
enum ipc_error {
	IPC_PARSE_ERROR = -32700,
	IPC_INVALID_REQUEST = -32600,
	IPC_METHOD_NOT_FOUND = -32601,
	IPC_INVALID_PARAMS = -32602,
	IPC_INTERNAL_ERROR = -32603,
	IPC_FAILED =
		-32000, /* the request was understood and could not be done; message says why */
	IPC_FORBIDDEN = -32001,   /* the peer's credentials do not allow the method */
	IPC_UNAVAILABLE = -32002, /* the role that owns the method is down or restarting */
	IPC_TIMED_OUT = -32003,
};

struct ipc_channel;
struct ipc_request;

/* What the owner of a channel is told. Each runs on the loop's thread. */
struct ipc_ops {
	/* A call or (is_notification) a notification. params is borrowed and may be NULL. The
	 * descriptors are owned by the request and closed with it unless taken. A call must be
	 * answered by exactly one ipc_reply* (now or later). A notification's request ends when
	 * this returns: it is not kept, and answers to it go nowhere. */
	void (*on_request)(struct ipc_request *request, void *context);
	/* The peer is gone. Pending calls have been answered with IPC_UNAVAILABLE. The callee
	 * closes. */
	void (*on_close)(struct ipc_channel *channel, void *context);
};

/* error is NULL on success, else {code, message, data}. result and error are borrowed; descriptors
 * that the callback wants to keep it takes by setting the array's element to -1. */
typedef void (*ipc_reply_fn)(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count);

/* Takes fd. */
int ipc_open(uv_loop_t *loop, int fd, const struct ipc_ops *ops, void *context,
	struct ipc_channel **out);
/* NULL is allowed. Requests of this channel that are still unanswered may be answered afterwards:
 * the answer then goes nowhere. */
void ipc_close(struct ipc_channel *channel);

/* params is consumed (also on error), descriptors are borrowed (duplicated by the kernel).
 * -EMSGSIZE, -EPIPE, -ENOBUFS (bounded send queue is full). done is called exactly once when 0 was
 * returned; never from inside this call. */
int ipc_call(struct ipc_channel *channel, const char *method, json_t *params,
	const int *descriptors, size_t descriptor_count, uint32_t timeout_ms, ipc_reply_fn done,
	void *context);
int ipc_notify(struct ipc_channel *channel, const char *method, json_t *params,
	const int *descriptors, size_t descriptor_count);
/* Whether little of the send queue is in use: room for what others may want to send at once. */
bool ipc_queue_is_short(const struct ipc_channel *channel);
/* For a socket whose other end may pass from a process that died to another: from now on calls are
 * remembered until they are answered, and ipc_resend() makes those that were not once more. So the
 * methods have to bear being called twice; the second answer goes nowhere. */
void ipc_keep_calls(struct ipc_channel *channel);
void ipc_resend(struct ipc_channel *channel);

const char *ipc_request_method(const struct ipc_request *request);
const json_t *ipc_request_params(const struct ipc_request *request);
bool ipc_request_is_notification(const struct ipc_request *request);
struct ipc_channel *ipc_request_channel(const struct ipc_request *request);
/* Takes descriptor index out of the request; -1 when there is none. */
int ipc_request_take_descriptor(struct ipc_request *request, size_t index);
size_t ipc_request_descriptor_count(const struct ipc_request *request);

/* Each consumes the request, and result or data. */
void ipc_reply(struct ipc_request *request, json_t *result);
void ipc_reply_with_descriptors(struct ipc_request *request, json_t *result, const int *descriptors,
	size_t descriptor_count);
void ipc_reply_error(struct ipc_request *request, int code, const char *message, json_t *data);
/* As ipc_reply_error(IPC_FAILED) for a negative errno and a message for people. */
void ipc_reply_failed(struct ipc_request *request, int code, const char *message);

/* A row of a role's dispatch table; NULL name ends it. */
struct ipc_method {
	const char *name;
	void (*handle)(struct ipc_request *request, void *context);
};
/* Finds the row and calls it; answers IPC_METHOD_NOT_FOUND otherwise. */
void ipc_dispatch(const struct ipc_method *methods, struct ipc_request *request, void *context);
