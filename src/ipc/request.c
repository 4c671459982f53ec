/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the peer, and their answers. */
#include "ipc/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void ipc_request_destroy(struct ipc_request *request)
{
	struct ipc_channel *channel = request->channel;

	ipc_close_descriptors(request->descriptors, request->descriptor_count);
	ipc_message_clear(&request->message);
	free(request);
	channel->request_count--;
	ipc_channel_poll(channel);
	ipc_channel_put(channel);
}

void ipc_request_deliver(struct ipc_channel *channel, struct ipc_message *message, int *descriptors,
	size_t descriptor_count)
{
	bool is_notification = message->kind == IPC_MESSAGE_NOTIFICATION;
	struct ipc_request *request = calloc(1, sizeof(*request));

	if (!request) {
		ipc_close_descriptors(descriptors, descriptor_count);
		ipc_message_clear(message);
		channel->is_broken = true; /* a call that can't be answered closes the channel */
		return;
	}
	request->channel = channel;
	request->message = *message;
	memcpy(request->descriptors, descriptors, descriptor_count * sizeof(*descriptors));
	request->descriptor_count = descriptor_count;
	ipc_channel_get(channel);
	channel->request_count++;
	channel->ops->on_request(request, channel->context);
	if (is_notification)
		ipc_request_destroy(request);
}

const char *ipc_request_method(const struct ipc_request *request)
{
	return request->message.method;
}

const json_t *ipc_request_params(const struct ipc_request *request)
{
	return request->message.params;
}

bool ipc_request_is_notification(const struct ipc_request *request)
{
	return request->message.kind == IPC_MESSAGE_NOTIFICATION;
}

struct ipc_channel *ipc_request_channel(const struct ipc_request *request)
{
	return request->channel;
}

int ipc_request_take_descriptor(struct ipc_request *request, size_t index)
{
	int fd;

	if (index >= request->descriptor_count)
		return -1;
	fd = request->descriptors[index];
	request->descriptors[index] = -1;
	return fd;
}

size_t ipc_request_descriptor_count(const struct ipc_request *request)
{
	return request->descriptor_count;
}

/* An answer that can't be delivered leaves the peer waiting for ever: it closes the channel. */
static void ipc_request_answer(struct ipc_request *request, json_t *document,
	const int *descriptors, size_t descriptor_count)
{
	struct ipc_channel *channel = request->channel;
	json_t *id = request->message.id;
	char *text = NULL;
	size_t size = 0;
	int status;

	if (ipc_request_is_notification(request)) {
		json_decref(document); /* and it ends when on_request returns */
		return;
	}
	status = ipc_message_encode(document, &text, &size);
	if (status == -EMSGSIZE)
		status = ipc_message_encode(
			ipc_message_error(json_incref(id), IPC_INTERNAL_ERROR,
				"the answer is longer than a message may be; ask for less with "
				"\"limit\"",
				NULL),
			&text, &size);
	if (status == 0)
		status = ipc_transport_send(channel, text, size,
			IPC_QUEUE_SIZE + IPC_QUEUE_RESERVE_SIZE, descriptors, descriptor_count);
	if (status < 0)
		channel->is_broken = true;
	ipc_request_destroy(request);
}

void ipc_reply(struct ipc_request *request, json_t *result)
{
	ipc_reply_with_descriptors(request, result, NULL, 0);
}

void ipc_reply_with_descriptors(struct ipc_request *request, json_t *result, const int *descriptors,
	size_t descriptor_count)
{
	json_t *id = json_incref(request->message.id);

	ipc_request_answer(request, ipc_message_result(id, result), descriptors, descriptor_count);
}

void ipc_reply_error(struct ipc_request *request, int code, const char *message, json_t *data)
{
	json_t *id = json_incref(request->message.id);

	ipc_request_answer(request, ipc_message_error(id, code, message, data), NULL, 0);
}

void ipc_reply_failed(struct ipc_request *request, int code, const char *message)
{
	const char *name = strerrorname_np(-code);

	ipc_reply_error(
		request, IPC_FAILED, message, name ? json_pack("{s:s}", "errno", name) : NULL);
}

void ipc_dispatch(const struct ipc_method *methods, struct ipc_request *request, void *context)
{
	for (; methods->name; methods++) {
		if (strcmp(methods->name, ipc_request_method(request)) == 0) {
			methods->handle(request, context);
			return;
		}
	}
	ipc_reply_error(request, IPC_METHOD_NOT_FOUND, "no such method", NULL);
}
