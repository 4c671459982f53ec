/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to src/ipc: the channel's struct, shared by channel.c, transport.c and request.c. */
#pragma once

#include "base/list.h"
#include "ipc/ipc.h"
#include "ipc/message.h"

/* A peer that does not read: what may wait for it, before calls and notifications are refused with
 * -ENOBUFS. Answers may use the reserve on top; when that is full too the channel is closed. */
#define IPC_QUEUE_SIZE         (2 * 1024 * 1024)
#define IPC_QUEUE_RESERVE_SIZE (2 * 1024 * 1024)
/* A peer that asks faster than it is answered is not read until answers went out. */
#define IPC_REQUESTS_MAX 256
#define IPC_CALLS_MAX    1024
/* Messages read for one channel before the others of the loop get their turn. */
#define IPC_READ_BURST 16

struct ipc_outgoing {
	struct list node;
	char *text;
	size_t size;
	int descriptors[IPC_DESCRIPTORS_MAX]; /* owned duplicates */
	size_t descriptor_count;
};

struct ipc_pending_call {
	struct list node;
	int64_t id;
	uint64_t deadline_ms; /* of uv_now() */
	ipc_reply_fn done;
	void *context;
	char *text; /* what was sent, when the channel keeps calls; else NULL */
	size_t size;
	int descriptors[IPC_DESCRIPTORS_MAX]; /* owned duplicates */
	size_t descriptor_count;
};

struct ipc_channel {
	uv_loop_t *loop;
	uv_poll_t poll;
	uv_timer_t timer; /* runs while calls are pending: at the earliest deadline */
	const struct ipc_ops *ops;
	void *context;
	int fd;
	int events; /* what poll waits for */
	int64_t next_id;
	struct list calls; /* of struct ipc_pending_call */
	size_t call_count;
	struct list queue;    /* of struct ipc_outgoing */
	size_t queue_size;    /* bytes */
	size_t request_count; /* received and unanswered */
	unsigned references;  /* open handles, requests, and functions that are at work on it */
	bool keeps_calls;     /* whole, for ipc_resend() */
	bool is_closed;       /* by its owner */
	bool is_broken;       /* by its peer: on_close is due, or was told */
	bool is_told;         /* on_close ran */
	char *buffer;         /* of IPC_MESSAGE_SIZE */
};

struct ipc_request {
	struct ipc_channel *channel; /* referenced */
	struct ipc_message message;
	int descriptors[IPC_DESCRIPTORS_MAX];
	size_t descriptor_count;
};

void ipc_channel_get(struct ipc_channel *channel);
void ipc_channel_put(struct ipc_channel *channel);
/* Sets what the poll handle waits for from the state of the queue and of the requests. */
void ipc_channel_poll(struct ipc_channel *channel);

/* transport.c: sends text now or queues it; text is consumed, descriptors are borrowed. */
int ipc_transport_send(struct ipc_channel *channel, char *text, size_t size, size_t queue_limit,
	const int *descriptors, size_t descriptor_count);
/* Sends what waits. 0 or a negative errno that ends the channel. */
int ipc_transport_flush(struct ipc_channel *channel);
void ipc_transport_clear(struct ipc_channel *channel);
/* Next message into channel->buffer: *size is 0 at the end of the stream. -EAGAIN, -EMSGSIZE for
 * one that was cut, others. Descriptors are then owned by the caller. */
int ipc_transport_receive(
	struct ipc_channel *channel, size_t *size, int *descriptors, size_t *descriptor_count);
void ipc_close_descriptors(int *descriptors, size_t descriptor_count);
/* Fills out with duplicates; all or none. */
int ipc_copy_descriptors(const int *descriptors, size_t descriptor_count, int *out);

/* request.c: hands a call or notification to the owner. Takes message and descriptors. */
void ipc_request_deliver(struct ipc_channel *channel, struct ipc_message *message, int *descriptors,
	size_t descriptor_count);
