/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket of a channel: whole messages with descriptors in and out, and the send queue. */
#include "ipc/channel.h"

#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void ipc_close_descriptors(int *descriptors, size_t descriptor_count)
{
	for (size_t i = 0; i < descriptor_count; i++) {
		if (descriptors[i] >= 0)
			close(descriptors[i]);
		descriptors[i] = -1;
	}
}

int ipc_copy_descriptors(const int *descriptors, size_t descriptor_count, int *out)
{
	for (size_t i = 0; i < descriptor_count; i++) {
		out[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 0);
		if (out[i] < 0) {
			int code = -errno;

			ipc_close_descriptors(out, i);
			return code;
		}
	}
	return 0;
}

static int ipc_socket_send(
	int fd, char *text, size_t size, const int *descriptors, size_t descriptor_count)
{
	struct iovec part = {text, size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	DESCRIPTORS_ROOM(IPC_DESCRIPTORS_MAX) room;
	ssize_t sent;

	descriptors_attach(&header, &room, descriptors, descriptor_count);
	do
		sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static void ipc_outgoing_destroy(struct ipc_channel *channel, struct ipc_outgoing *outgoing)
{
	list_remove(&outgoing->node);
	channel->queue_size -= outgoing->size;
	ipc_close_descriptors(outgoing->descriptors, outgoing->descriptor_count);
	free(outgoing->text);
	free(outgoing);
}

static int ipc_enqueue(struct ipc_channel *channel, char *text, size_t size, const int *descriptors,
	size_t descriptor_count)
{
	struct ipc_outgoing *outgoing = calloc(1, sizeof(*outgoing));
	int status;

	if (!outgoing)
		return -ENOMEM;
	status = ipc_copy_descriptors(descriptors, descriptor_count, outgoing->descriptors);
	if (status < 0) {
		free(outgoing);
		return status;
	}
	outgoing->descriptor_count = descriptor_count;
	outgoing->text = text;
	outgoing->size = size;
	list_append(&channel->queue, &outgoing->node);
	channel->queue_size += size;
	ipc_channel_poll(channel);
	return 0;
}

int ipc_transport_send(struct ipc_channel *channel, char *text, size_t size, size_t queue_limit,
	const int *descriptors, size_t descriptor_count)
{
	int status = -EAGAIN;

	if (channel->is_closed || channel->is_broken) {
		status = -EPIPE;
	} else if (descriptor_count > IPC_DESCRIPTORS_MAX) {
		status = -EINVAL;
	} else if (list_is_empty(&channel->queue)) {
		status = ipc_socket_send(channel->fd, text, size, descriptors, descriptor_count);
	}
	if (status == -EAGAIN) {
		status = -ENOBUFS;
		if (channel->queue_size + size <= queue_limit)
			status = ipc_enqueue(channel, text, size, descriptors, descriptor_count);
		if (status == 0)
			return 0;
	}
	free(text);
	return status;
}

int ipc_transport_flush(struct ipc_channel *channel)
{
	while (!list_is_empty(&channel->queue)) {
		struct ipc_outgoing *outgoing =
			list_entry(channel->queue.next, struct ipc_outgoing, node);
		int status = ipc_socket_send(channel->fd, outgoing->text, outgoing->size,
			outgoing->descriptors, outgoing->descriptor_count);

		if (status == -EAGAIN)
			return 0;
		if (status < 0)
			return status;
		ipc_outgoing_destroy(channel, outgoing);
	}
	return 0;
}

void ipc_transport_clear(struct ipc_channel *channel)
{
	list_foreach_safe (node, &channel->queue)
		ipc_outgoing_destroy(channel, list_entry(node, struct ipc_outgoing, node));
}

int ipc_transport_receive(
	struct ipc_channel *channel, size_t *size, int *descriptors, size_t *descriptor_count)
{
	struct iovec part = {channel->buffer, IPC_MESSAGE_SIZE};
	DESCRIPTORS_ROOM(IPC_DESCRIPTORS_MAX) room;
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};
	ssize_t got;

	*descriptor_count = 0;
	do
		got = recvmsg(channel->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	*descriptor_count = descriptors_take(&header, descriptors, IPC_DESCRIPTORS_MAX);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		ipc_close_descriptors(descriptors, *descriptor_count);
		return -EMSGSIZE;
	}
	*size = (size_t)got;
	return 0;
}
