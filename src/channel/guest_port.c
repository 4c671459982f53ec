/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/guest_port.h"

#include "base/accept.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/signal_bell.h"
#include "channel/vsock/vhost_user.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Messages of QEMU, or events, before others get their turn. */
#define PORT_BURST 32

enum { PORT_LISTEN, PORT_PEER, PORT_EVENTS, PORT_POLLS };

struct guest_port {
	struct guest_owner owner;
	struct vsock_device device;
	struct vhost_user vhost;
	struct signal_bell *bell; /* NULL: the kernel has none for us */
	uv_poll_t polls[PORT_POLLS];
	uv_async_t again; /* there is something to do for the device */
	uint32_t open_handles;
	int fd;                  /* that listens */
	int peer;                /* QEMU; -1: none */
	bool is_occupied;        /* by it, or by what is left of the one before */
	int events;              /* epoll: kicks and rings, edge-triggered. Nobody reads a kick */
	int kicks[VSOCK_QUEUES]; /* that are in it */
	struct vhost_message message; /* being read */
	size_t got;                   /* bytes of it, with its head */
	uint8_t head[VHOST_HEAD_SIZE];
};

/* --- The device --- */

static void notify_guest(const struct guest_port *port, const bool must_notify[VSOCK_QUEUES])
{
	for (int i = 0; i < VSOCK_QUEUES; i++)
		if (must_notify[i] && port->vhost.queues[i].call >= 0)
			signal_bell_ring(port->bell, port->vhost.queues[i].call);
}

static void run_device(struct guest_port *port)
{
	bool must_notify[VSOCK_QUEUES];
	enum vsock_result result = vsock_device_run(&port->device, must_notify);

	notify_guest(port, must_notify);
	if (result == VSOCK_BROKEN)
		log_warning("guest_broke_its_device", log_str("partition", port->owner.partition));
	/* What comes between two looks rings. */
	if (result == VSOCK_AGAIN || !guest_arm(&port->device))
		uv_async_send(&port->again);
}

static void on_again(uv_async_t *async)
{
	run_device(async->data);
}

static void wake(void *context)
{
	struct guest_port *port = context;

	uv_async_send(&port->again);
}

/* fd -1 of a kick: it is not read, it may be somebody else's. */
static int watch_as(const struct guest_port *port, int fd, int number)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = number};

	return epoll_ctl(port->events, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch(void *context, int fd)
{
	return watch_as(context, fd, fd);
}

/* Of a ring's pipe, whose two ends are both ours. A number that is another one's meanwhile has
 * nothing to lose: all rings are looked at. */
static void empty_pipe(int fd)
{
	uint8_t bytes[512];

	while (read(fd, bytes, sizeof(bytes)) == sizeof(bytes))
		;
}

static void on_events(uv_poll_t *poll, int status, int events)
{
	struct guest_port *port = poll->data;
	struct epoll_event ready[PORT_BURST];
	int count = epoll_wait(port->events, ready, PORT_BURST, 0);

	for (int i = 0; i < count; i++)
		if (ready[i].data.fd >= 0)
			empty_pipe(ready[i].data.fd);
	run_device(port);
}

/* --- QEMU --- */

static void close_message(struct vhost_message *message)
{
	for (uint32_t i = 0; i < message->descriptor_count; i++)
		if (message->descriptors[i] >= 0)
			close(message->descriptors[i]);
	message->descriptor_count = 0;
}

/* Those that the queues have now; an old one has left with its closing. */
static int watch_kicks(struct guest_port *port)
{
	for (int i = 0; i < VSOCK_QUEUES; i++) {
		int kick = port->vhost.queues[i].kick, status;

		if (kick == port->kicks[i])
			continue;
		port->kicks[i] = kick;
		status = kick >= 0 ? watch_as(port, kick, -1) : 0;
		if (status < 0)
			return status;
	}
	return 0;
}

static void unwatch_kicks(struct guest_port *port)
{
	for (int i = 0; i < VSOCK_QUEUES; i++) {
		/* QEMU has it, too: it stays in the set until it is taken out. */
		if (port->kicks[i] >= 0)
			(void)epoll_ctl(port->events, EPOLL_CTL_DEL, port->kicks[i], NULL);
		port->kicks[i] = -1;
	}
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_peer_closed(uv_handle_t *handle)
{
	struct guest_port *port = handle->data;

	if (--port->open_handles == 0) {
		free(port);
		return;
	}
	port->is_occupied = false;
	if (port->fd >= 0)
		uv_poll_start(&port->polls[PORT_LISTEN], UV_READABLE, on_connection);
}

static void drop_peer(struct guest_port *port, int why)
{
	if (port->peer < 0)
		return;
	if (why != -ECONNRESET)
		log_warning("guest_device_refused", log_str("partition", port->owner.partition),
			log_errno(why),
			log_str("hint",
				why == -EACCES ? "its memory has to be a sealed memfd "
						 "(memory-backend-memfd,share=on) without huge "
						 "pages"
					       : ""));
	log_info("guest_gone", log_str("partition", port->owner.partition));
	unwatch_kicks(port);
	vhost_user_close(&port->vhost);
	close_message(&port->message);
	uv_close((uv_handle_t *)&port->polls[PORT_PEER], on_peer_closed);
	close(port->peer);
	port->peer = -1;
}

/* A part of a message: 1, 0: nothing now, or a negative errno. */
static int read_part(struct guest_port *port, void *out, size_t size)
{
	DESCRIPTORS_ROOM(VHOST_DESCRIPTORS_MAX) room;
	struct iovec part = {out, size};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};
	struct vhost_message *message = &port->message;
	ssize_t got = recvmsg(port->peer, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (got == 0)
		return -ECONNRESET;
	message->descriptor_count += (uint32_t)descriptors_take(&header,
		message->descriptors + message->descriptor_count,
		VHOST_DESCRIPTORS_MAX - message->descriptor_count);
	port->got += (size_t)got;
	return header.msg_flags & MSG_CTRUNC ? -EPROTO : 1;
}

static int answer_message(struct guest_port *port)
{
	uint8_t reply[VHOST_HEAD_SIZE + VHOST_BODY_MAX];
	int size = vhost_user_handle(&port->vhost, &port->message, reply);

	close_message(&port->message);
	port->got = 0;
	if (size < 0)
		return size;
	if (size > 0 && send(port->peer, reply, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL) != size)
		return -EIO;
	return watch_kicks(port);
}

/* 1: go on, 0: nothing now, or why it ends. */
static int read_message(struct guest_port *port)
{
	struct vhost_message *message = &port->message;
	int status = 1;

	if (port->got < VHOST_HEAD_SIZE) {
		status = read_part(port, port->head + port->got, VHOST_HEAD_SIZE - port->got);
		if (status <= 0 || port->got < VHOST_HEAD_SIZE)
			return status;
		status = vhost_message_read_head(port->head, message);
		if (status < 0)
			return status;
	}
	if (port->got < VHOST_HEAD_SIZE + message->size) {
		size_t have = port->got - VHOST_HEAD_SIZE;

		status = read_part(port, message->body + have, message->size - have);
		if (status <= 0 || port->got < VHOST_HEAD_SIZE + message->size)
			return status;
	}
	status = answer_message(port);
	return status < 0 ? status : 1;
}

static void on_peer(uv_poll_t *poll, int status, int events)
{
	struct guest_port *port = poll->data;
	int result = status < 0 ? -ECONNRESET : 1;

	for (int i = 0; result > 0 && i < PORT_BURST; i++)
		result = read_message(port);
	if (result < 0)
		drop_peer(port, result);
	else
		run_device(port);
}

void guest_port_take(struct guest_port *port, int fd)
{
	uv_poll_t *poll = &port->polls[PORT_PEER];
	int status = port->is_occupied ? -EBUSY : uv_poll_init(port->again.loop, poll, fd);

	if (status < 0) {
		log_warning("guest_device_refused", log_str("partition", port->owner.partition),
			log_errno(status));
		close(fd);
		return;
	}
	poll->data = port;
	port->is_occupied = true;
	port->open_handles++;
	port->peer = fd;
	port->got = 0;
	port->message.descriptor_count = 0;
	log_info("guest_there", log_str("partition", port->owner.partition));
	uv_poll_start(poll, UV_READABLE, on_peer);
}

bool guest_port_has_peer(const struct guest_port *port)
{
	return port->is_occupied;
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct guest_port *port = poll->data;
	int fd = accept_connection(port->fd, NULL, NULL);

	if (fd < 0)
		return;
	/* The next one waits in the socket's queue. */
	guest_port_take(port, fd);
	if (port->is_occupied)
		uv_poll_stop(poll);
}

/* --- Life --- */

static void on_handle_closed(uv_handle_t *handle)
{
	struct guest_port *port = handle->data;

	if (--port->open_handles == 0)
		free(port);
}

static void start_handles(struct guest_port *port, uv_loop_t *loop)
{
	uv_async_init(loop, &port->again, on_again);
	port->again.data = port;
	port->polls[PORT_EVENTS].data = port;
	port->open_handles += 2;
	uv_poll_start(&port->polls[PORT_EVENTS], UV_READABLE, on_events);
	if (port->fd >= 0)
		uv_poll_start(&port->polls[PORT_LISTEN], UV_READABLE, on_connection);
}

/* Frees the port on failure. */
static int init_port(struct guest_port *port, uv_loop_t *loop)
{
	int status = 0;

	port->events = epoll_create1(EPOLL_CLOEXEC);
	if (port->events < 0)
		status = -errno;
	else if (port->fd >= 0)
		status = uv_poll_init(loop, &port->polls[PORT_LISTEN], port->fd);
	if (status == 0 && port->fd >= 0) {
		port->polls[PORT_LISTEN].data = port;
		port->open_handles = 1;
	}
	if (status == 0)
		status = uv_poll_init(loop, &port->polls[PORT_EVENTS], port->events);
	if (status == 0)
		return 0;
	if (port->events >= 0)
		close(port->events);
	if (port->open_handles > 0)
		uv_close((uv_handle_t *)&port->polls[PORT_LISTEN], on_handle_closed);
	else
		free(port);
	return status;
}

int guest_port_open(uv_loop_t *loop, struct cmm *cmm, const char *partition, uint32_t cid, int fd,
	struct guest_port **out)
{
	struct guest_port *port = calloc(1, sizeof(*port));
	int status = -ENOMEM;

	if (port) {
		port->fd = fd;
		status = init_port(port, loop);
	}
	if (status < 0) {
		if (fd >= 0)
			close(fd);
		return status;
	}
	port->owner =
		(struct guest_owner){.cmm = cmm, .wake = wake, .watch = watch, .context = port};
	snprintf(port->owner.partition, sizeof(port->owner.partition), "%s", partition);
	port->bell = signal_bell_create();
	if (!port->bell)
		log_warning("guest_has_no_interrupts", log_str("partition", partition));
	port->peer = -1;
	for (int i = 0; i < VSOCK_QUEUES; i++)
		port->kicks[i] = -1;
	vsock_device_open(&port->device, cid, &guest_vsock_ops, &port->owner);
	vhost_user_open(&port->vhost, &port->device);
	start_handles(port, loop);
	*out = port;
	return 0;
}

/* What its processes are told last, and that their connections end. */
static void say_goodbye(struct guest_port *port)
{
	bool must_notify[VSOCK_QUEUES];

	(void)vsock_device_run(&port->device, must_notify);
	vsock_device_reset_connections(&port->device);
	(void)vsock_device_run(&port->device, must_notify);
	notify_guest(port, must_notify);
}

void guest_port_close(struct guest_port *port)
{
	if (!port)
		return;
	say_goodbye(port);
	if (port->fd >= 0) {
		uv_close((uv_handle_t *)&port->polls[PORT_LISTEN], on_handle_closed);
		close(port->fd);
	}
	port->fd = -1;
	drop_peer(port, -ECONNRESET);
	uv_close((uv_handle_t *)&port->polls[PORT_EVENTS], on_handle_closed);
	uv_close((uv_handle_t *)&port->again, on_handle_closed);
	close(port->events);
	signal_bell_destroy(port->bell);
	port->bell = NULL;
}
