/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Plain vsock for a guest, as a peer of channels: what a guest's process sends comes out of a Unix
 * socket of the host, and the other way round, as rust-vmm's vhost-device-vsock does it (QEMU has
 * no back end of its own, and the kernel's vhost_vsock is not everywhere).
 *
 *	vsock-relay CID DEVICE-SOCKET PROCESS-SOCKET
 *
 * It listens for QEMU at the one, and connects to the other for each of the guest's connections,
 * one at a time. The device is that of the channel role (channel/vsock), so both go the same path;
 * what is behind it there (sessions, mirrored rings, keys, lanes) is not here. A process that does
 * not read holds up its guest, so bytes may flow one way, or one way after the other. Trusts all.
 */
#include "base/descriptors.h"
#include "channel/vsock/vhost_user.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { POLL_QEMU, POLL_PROCESS, POLL_KICKS, POLLS = POLL_KICKS + VSOCK_QUEUES };

struct relay {
	const char *process_path;
	int qemu, process; /* process -1: the guest has no connection */
	struct vsock_device device;
	struct vhost_user vhost;
	struct ring_stream stream; /* only as the buffer that the device sends from */
};

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		errx(2, "%s: too long for a socket", path);
	strcpy(address.sun_path, path);
	return address;
}

/* --- The device's owner --- */

static int open_process(struct vsock_connection *connection)
{
	struct relay *relay = connection->device->context;
	struct sockaddr_un address = address_of(relay->process_path);

	if (relay->process >= 0)
		return -EBUSY;
	relay->process = socket(AF_UNIX, SOCK_STREAM, 0);
	if (relay->process < 0
		|| connect(relay->process, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "%s", relay->process_path);
	ring_stream_open(&relay->stream, NULL);
	connection->process = relay;
	connection->stream = &relay->stream;
	return 0;
}

static void close_process(struct vsock_connection *connection)
{
	struct relay *relay = connection->process;

	close(relay->process);
	relay->process = -1;
}

static int take(struct vsock_connection *connection, const uint8_t *bytes, size_t size)
{
	struct relay *relay = connection->process;

	while (size > 0) {
		ssize_t sent = send(relay->process, bytes, size, MSG_NOSIGNAL);

		if (sent < 0)
			return -errno;
		bytes += sent;
		size -= (size_t)sent;
	}
	return 0;
}

static int fill(struct vsock_connection *connection)
{
	struct relay *relay = connection->process;
	struct ring_stream *stream = &relay->stream;
	ssize_t got;

	if (stream->tx_end == sizeof(stream->tx))
		return 0;
	got = recv(relay->process, stream->tx + stream->tx_end, sizeof(stream->tx) - stream->tx_end,
		MSG_DONTWAIT);
	if (got > 0)
		stream->tx_end += (size_t)got;
	return got == 0 ? -EPIPE : got < 0 && errno != EAGAIN ? -errno : 0;
}

static const struct vsock_ops ops = {
	.open = open_process, .close = close_process, .take = take, .fill = fill};

/* --- QEMU --- */

/* Descriptors come with the head. QEMU's end is the program's. */
static void read_message(struct relay *relay, struct vhost_message *message)
{
	DESCRIPTORS_ROOM(VHOST_DESCRIPTORS_MAX) room;
	uint8_t head[VHOST_HEAD_SIZE];
	struct iovec part = {head, sizeof(head)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};

	if (recvmsg(relay->qemu, &header, MSG_WAITALL) != sizeof(head))
		exit(0);
	message->descriptor_count =
		(uint32_t)descriptors_take(&header, message->descriptors, VHOST_DESCRIPTORS_MAX);
	if (vhost_message_read_head(head, message) < 0)
		errx(1, "QEMU says %u", message->request);
	if (message->size > 0
		&& recv(relay->qemu, message->body, message->size, MSG_WAITALL)
			!= (ssize_t)message->size)
		exit(0);
}

static void answer_qemu(struct relay *relay)
{
	uint8_t reply[VHOST_HEAD_SIZE + VHOST_BODY_MAX];
	struct vhost_message message;
	int size;

	read_message(relay, &message);
	size = vhost_user_handle(&relay->vhost, &message, reply);
	if (size < 0)
		errx(1, "request %u of QEMU: %s", message.request, strerror(-size));
	for (uint32_t i = 0; i < message.descriptor_count; i++)
		if (message.descriptors[i] >= 0)
			close(message.descriptors[i]);
	if (size > 0 && send(relay->qemu, reply, (size_t)size, MSG_NOSIGNAL) != size)
		err(1, "send to QEMU");
}

static int accept_qemu(const char *path)
{
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), qemu;

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		err(1, "%s", path);
	qemu = accept(fd, NULL, NULL);
	if (qemu < 0)
		err(1, "accept");
	close(fd);
	return qemu;
}

/* --- The loop --- */

/* Bells are eventfds of our own QEMU: they are written and read as they are. */
static enum vsock_result run_device(struct relay *relay)
{
	bool must_notify[VSOCK_QUEUES];
	enum vsock_result result = vsock_device_run(&relay->device, must_notify);
	uint64_t one = 1;

	for (int i = 0; i < VSOCK_QUEUES; i++)
		if (must_notify[i])
			(void)!write(relay->vhost.queues[i].call, &one, sizeof(one));
	if (result == VSOCK_BROKEN)
		errx(1, "the guest's driver wrote what it may not");
	return result;
}

/* A process is heard when what it has said before is with the guest. */
static void wait_for_any(struct relay *relay, bool has_more)
{
	bool is_heard = relay->process >= 0 && ring_stream_waiting(&relay->stream) == 0;
	struct pollfd polls[POLLS] = {
		[POLL_QEMU] = {relay->qemu, POLLIN, 0},
		[POLL_PROCESS] = {is_heard ? relay->process : -1, POLLIN, 0},
		[POLL_KICKS + VSOCK_RX] = {relay->vhost.queues[VSOCK_RX].kick, POLLIN, 0},
		[POLL_KICKS + VSOCK_TX] = {relay->vhost.queues[VSOCK_TX].kick, POLLIN, 0},
	};
	uint64_t count;

	if (poll(polls, POLLS, has_more ? 0 : -1) < 0)
		err(1, "poll");
	for (int i = POLL_KICKS; i < POLLS; i++)
		if (polls[i].revents & POLLIN)
			(void)!read(polls[i].fd, &count, sizeof(count));
	if (polls[POLL_QEMU].revents)
		answer_qemu(relay);
}

int main(int argc, char **argv)
{
	static struct relay relay;
	enum vsock_result result = VSOCK_IDLE;

	if (argc != 4)
		errx(2, "usage: see the source");
	relay.process_path = argv[3];
	relay.process = -1;
	vsock_device_open(&relay.device, strtoul(argv[1], NULL, 10), &ops, &relay);
	vhost_user_open(&relay.vhost, &relay.device);
	relay.qemu = accept_qemu(argv[2]);
	for (;;) {
		wait_for_any(&relay, result == VSOCK_AGAIN);
		result = run_device(&relay);
	}
}
