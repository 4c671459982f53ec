/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A channel on the loop: its life, what poll reports, and calls with their timeouts. A channel is
 * freed when its owner closed it, libuv has let go of its handles and all requests are answered.
 */
#include "ipc/channel.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ipc_on_poll(uv_poll_t *handle, int status, int events);
static void ipc_on_timer(uv_timer_t *timer);
static void ipc_break_later(uv_timer_t *timer);

void ipc_channel_get(struct ipc_channel *channel)
{
	channel->references++;
}

void ipc_channel_put(struct ipc_channel *channel)
{
	if (--channel->references > 0)
		return;
	free(channel->buffer);
	free(channel);
}

/* Waits for what is useful now. A channel broken outside its own callback (an answer could not be
 * sent) tells its owner from the loop. */
void ipc_channel_poll(struct ipc_channel *channel)
{
	int events = 0;

	if (channel->is_closed)
		return;
	if (channel->is_broken) {
		if (channel->is_told)
			return;
		uv_poll_stop(&channel->poll);
		uv_timer_start(&channel->timer, ipc_break_later, 0, 0);
		return;
	}
	if (channel->request_count < IPC_REQUESTS_MAX)
		events |= UV_READABLE;
	if (!list_is_empty(&channel->queue))
		events |= UV_WRITABLE;
	if (events == channel->events)
		return;
	channel->events = events;
	if (events)
		uv_poll_start(&channel->poll, events, ipc_on_poll);
	else
		uv_poll_stop(&channel->poll);
}

int ipc_open(
	uv_loop_t *loop, int fd, const struct ipc_ops *ops, void *context, struct ipc_channel **out)
{
	struct ipc_channel *channel = calloc(1, sizeof(*channel));
	int buffer_size = 4 * IPC_MESSAGE_SIZE;
	int status = -ENOMEM;

	if (!channel)
		goto close_fd;
	channel->buffer = malloc(IPC_MESSAGE_SIZE);
	if (!channel->buffer)
		goto free_channel;
	/* Room for a few of the longest messages; the system's default does for one. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof(buffer_size));
	status = uv_poll_init(loop, &channel->poll, fd);
	if (status < 0)
		goto free_buffer;
	uv_timer_init(loop, &channel->timer);
	channel->poll.data = channel;
	channel->timer.data = channel;
	channel->loop = loop;
	channel->ops = ops;
	channel->context = context;
	channel->fd = fd;
	/* Not those of a process that had this socket before: answers to them may still come. */
	channel->next_id = (int64_t)(uv_hrtime() / 1000);
	channel->references = 2; /* of the two handles */
	list_init(&channel->calls);
	list_init(&channel->queue);
	ipc_channel_poll(channel);
	*out = channel;
	return 0;

free_buffer:
	free(channel->buffer);
free_channel:
	free(channel);
close_fd:
	close(fd);
	return status;
}

static void ipc_on_handle_closed(uv_handle_t *handle)
{
	ipc_channel_put(handle->data);
}

static void ipc_pending_destroy(struct ipc_pending_call *call)
{
	ipc_close_descriptors(call->descriptors, call->descriptor_count);
	free(call->text);
	free(call);
}

static void ipc_call_finish(
	struct ipc_channel *channel, struct ipc_pending_call *call, int code, const char *message)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);

	list_remove(&call->node);
	channel->call_count--;
	call->done(call->context, NULL, error, NULL, 0);
	json_decref(error);
	ipc_pending_destroy(call);
}

/* A callback may make or finish other calls, so each turn starts at the head again. */
static void ipc_calls_abandon(struct ipc_channel *channel)
{
	while (!list_is_empty(&channel->calls))
		ipc_call_finish(channel,
			list_entry(channel->calls.next, struct ipc_pending_call, node),
			IPC_UNAVAILABLE, "the peer is gone");
}

void ipc_close(struct ipc_channel *channel)
{
	if (!channel || channel->is_closed)
		return;
	channel->is_closed = true;
	ipc_calls_abandon(channel);
	/* What was said before the close is still heard if the socket takes it. */
	if (!channel->is_broken)
		ipc_transport_flush(channel);
	ipc_transport_clear(channel);
	uv_close((uv_handle_t *)&channel->poll, ipc_on_handle_closed);
	close(channel->fd); /* only now: libuv has taken it out of its epoll set */
	uv_close((uv_handle_t *)&channel->timer, ipc_on_handle_closed);
}

/* Tells the owner once that the peer is gone. */
static void ipc_channel_break(struct ipc_channel *channel)
{
	ipc_channel_get(channel);
	channel->is_broken = true;
	channel->events = 0;
	uv_poll_stop(&channel->poll);
	uv_timer_stop(&channel->timer);
	ipc_calls_abandon(channel);
	ipc_transport_clear(channel);
	if (!channel->is_closed && !channel->is_told) {
		channel->is_told = true;
		channel->ops->on_close(channel, channel->context);
	}
	ipc_channel_put(channel);
}

static void ipc_break_later(uv_timer_t *timer)
{
	ipc_channel_break(timer->data);
}

static void ipc_answer_received(struct ipc_channel *channel, struct ipc_message *message,
	int *descriptors, size_t descriptor_count)
{
	int64_t id = message->id ? json_integer_value(message->id) : 0;

	list_foreach (node, &channel->calls) {
		struct ipc_pending_call *call = list_entry(node, struct ipc_pending_call, node);

		if (call->id != id)
			continue;
		list_remove(&call->node);
		channel->call_count--;
		call->done(call->context, message->result, message->error, descriptors,
			descriptor_count);
		ipc_pending_destroy(call);
		return;
	}
	/* It came after its timeout, or the peer made it up; neither concerns anybody. */
	log_debug("ipc_answer_unasked", log_int("id", id));
}

/* Answers bytes that are no request; false when the channel has to be closed for them. */
static bool ipc_refuse_message(struct ipc_channel *channel, struct ipc_refusal *refusal)
{
	json_t *answer;
	char *text;
	size_t size;

	if (!refusal->is_answerable) {
		log_warning("ipc_message_refused", log_str("reason", refusal->message));
		/* A notification with bad parameters only concerns itself. */
		return refusal->code == IPC_INVALID_PARAMS;
	}
	answer = ipc_message_error(json_incref(refusal->id), refusal->code, refusal->message, NULL);
	if (ipc_message_encode(answer, &text, &size) < 0)
		return false;
	return ipc_transport_send(channel, text, size, IPC_QUEUE_SIZE, NULL, 0) == 0;
}

/* One message; false when the channel is at its end. */
static bool ipc_handle_message(
	struct ipc_channel *channel, size_t size, int *descriptors, size_t descriptor_count)
{
	struct ipc_message message;
	struct ipc_refusal refusal;

	if (ipc_message_parse(channel->buffer, size, &message, &refusal) < 0) {
		bool is_survived = ipc_refuse_message(channel, &refusal);

		ipc_refusal_clear(&refusal);
		ipc_close_descriptors(descriptors, descriptor_count);
		return is_survived;
	}
	if (message.kind == IPC_MESSAGE_CALL || message.kind == IPC_MESSAGE_NOTIFICATION) {
		ipc_request_deliver(channel, &message, descriptors, descriptor_count);
		return !channel->is_broken;
	}
	ipc_answer_received(channel, &message, descriptors, descriptor_count);
	ipc_close_descriptors(descriptors, descriptor_count);
	ipc_message_clear(&message);
	return true;
}

static bool ipc_channel_read(struct ipc_channel *channel)
{
	for (int i = 0; i < IPC_READ_BURST; i++) {
		int descriptors[IPC_DESCRIPTORS_MAX];
		size_t size = 0, descriptor_count;
		int status;

		if (channel->is_closed || channel->request_count >= IPC_REQUESTS_MAX)
			return true;
		status = ipc_transport_receive(channel, &size, descriptors, &descriptor_count);
		if (status == -EAGAIN)
			return true;
		if (status == -EMSGSIZE)
			log_warning("ipc_message_too_long",
				log_uint("limit_bytes", IPC_MESSAGE_SIZE),
				log_uint("limit_descriptors", IPC_DESCRIPTORS_MAX));
		if (status < 0)
			return false;
		if (size == 0) { /* the peer's end, or an empty message, which nobody sends */
			ipc_close_descriptors(descriptors, descriptor_count);
			return false;
		}
		if (!ipc_handle_message(channel, size, descriptors, descriptor_count))
			return false;
	}
	return true;
}

static void ipc_on_poll(uv_poll_t *handle, int status, int events)
{
	struct ipc_channel *channel = handle->data;
	bool is_alive = status == 0;

	ipc_channel_get(channel);
	if (is_alive && (events & UV_WRITABLE))
		is_alive = ipc_transport_flush(channel) == 0;
	/* Whatever poll says of an error, what the peer said before it is still read. */
	if (is_alive || status < 0)
		is_alive = ipc_channel_read(channel) && status == 0;
	if (!channel->is_closed) {
		if (is_alive)
			ipc_channel_poll(channel);
		else
			ipc_channel_break(channel);
	}
	ipc_channel_put(channel);
}

static void ipc_timer_set(struct ipc_channel *channel)
{
	uint64_t now_ms = uv_now(channel->loop);
	uint64_t earliest_ms = UINT64_MAX;

	if (channel->is_closed || channel->is_broken)
		return;
	list_foreach (node, &channel->calls) {
		struct ipc_pending_call *call = list_entry(node, struct ipc_pending_call, node);

		if (call->deadline_ms < earliest_ms)
			earliest_ms = call->deadline_ms;
	}
	if (earliest_ms == UINT64_MAX)
		uv_timer_stop(&channel->timer);
	else
		uv_timer_start(&channel->timer, ipc_on_timer,
			earliest_ms > now_ms ? earliest_ms - now_ms : 0, 0);
}

static struct ipc_pending_call *ipc_find_expired(struct ipc_channel *channel, uint64_t now_ms)
{
	list_foreach (node, &channel->calls) {
		struct ipc_pending_call *call = list_entry(node, struct ipc_pending_call, node);

		if (call->deadline_ms <= now_ms)
			return call;
	}
	return NULL;
}

static void ipc_on_timer(uv_timer_t *timer)
{
	struct ipc_channel *channel = timer->data;
	uint64_t now_ms = uv_now(channel->loop);
	struct ipc_pending_call *call;

	ipc_channel_get(channel);
	while ((call = ipc_find_expired(channel, now_ms)))
		ipc_call_finish(channel, call, IPC_TIMED_OUT, "no answer in time");
	ipc_timer_set(channel);
	ipc_channel_put(channel);
}

static int ipc_remember(struct ipc_pending_call *call, const char *text, size_t size,
	const int *descriptors, size_t descriptor_count)
{
	int status = -EINVAL;

	if (descriptor_count <= IPC_DESCRIPTORS_MAX)
		status = ipc_copy_descriptors(descriptors, descriptor_count, call->descriptors);
	if (status < 0)
		return status;
	call->descriptor_count = descriptor_count;
	call->text = malloc(size);
	if (!call->text)
		return -ENOMEM;
	memcpy(call->text, text, size);
	call->size = size;
	return 0;
}

static int ipc_send_request(struct ipc_channel *channel, const char *method, json_t *params,
	json_t *id, const int *descriptors, size_t descriptor_count, struct ipc_pending_call *call)
{
	char *text;
	size_t size;
	int status;

	status = ipc_message_encode(ipc_message_request(method, params, id), &text, &size);
	if (status < 0)
		return status;
	if (call && channel->keeps_calls)
		status = ipc_remember(call, text, size, descriptors, descriptor_count);
	if (status < 0) {
		free(text);
		return status;
	}
	return ipc_transport_send(
		channel, text, size, IPC_QUEUE_SIZE, descriptors, descriptor_count);
}

int ipc_call(struct ipc_channel *channel, const char *method, json_t *params,
	const int *descriptors, size_t descriptor_count, uint32_t timeout_ms, ipc_reply_fn done,
	void *context)
{
	struct ipc_pending_call *call = NULL;
	int status = -ENOBUFS;

	if (channel->call_count < IPC_CALLS_MAX)
		call = calloc(1, sizeof(*call));
	if (!call) {
		json_decref(params);
		return status;
	}
	call->id = ++channel->next_id;
	/* The loop's clock stands still while a handler works; what that took is not the call's. */
	uv_update_time(channel->loop);
	call->deadline_ms = uv_now(channel->loop) + timeout_ms;
	call->done = done;
	call->context = context;
	status = ipc_send_request(channel, method, params, json_integer(call->id), descriptors,
		descriptor_count, call);
	if (status < 0) {
		ipc_pending_destroy(call);
		return status;
	}
	list_append(&channel->calls, &call->node);
	channel->call_count++;
	ipc_timer_set(channel);
	return 0;
}

int ipc_notify(struct ipc_channel *channel, const char *method, json_t *params,
	const int *descriptors, size_t descriptor_count)
{
	return ipc_send_request(channel, method, params, NULL, descriptors, descriptor_count, NULL);
}

bool ipc_queue_is_short(const struct ipc_channel *channel)
{
	return channel->queue_size <= IPC_QUEUE_SIZE / 4;
}

void ipc_keep_calls(struct ipc_channel *channel)
{
	channel->keeps_calls = true;
}

/* What cannot be sent now ends with its timeout. */
void ipc_resend(struct ipc_channel *channel)
{
	list_foreach (node, &channel->calls) {
		struct ipc_pending_call *call = list_entry(node, struct ipc_pending_call, node);
		char *text = call->text ? malloc(call->size) : NULL;
		int status = -ENOMEM;

		if (text)
			status = ipc_transport_send(channel, memcpy(text, call->text, call->size),
				call->size, IPC_QUEUE_SIZE, call->descriptors,
				call->descriptor_count);
		if (status < 0)
			log_warning("ipc_call_not_repeated", log_errno(status));
	}
}
