/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/kmp_unix.h"

#include "base/accept.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BURST  8
#define RECEIVE_BURST 16 /* messages of one client before others of the loop get their turn */

struct connection {
	struct list node;
	struct kmp_unix *listener;
	struct kmp_session *session;
	uv_poll_t poll;
	int fd;
	bool is_over; /* the session has ended, or the client is gone */
};

struct kmp_unix {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;
	int handles_open;
	struct kmp_server *server;
	struct list connections;
	struct secret *buffer; /* where messages are received, which may hold keys */
};

static void on_connection_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_connection(struct connection *connection)
{
	kmp_session_close(connection->session, clock_monotonic_ns());
	list_remove(&connection->node);
	uv_close((uv_handle_t *)&connection->poll, on_connection_closed);
	/* What was sent stays readable for the client. */
	close(connection->fd);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* Closes it when it is over, or waits for what it wants. */
static void settle(struct connection *connection)
{
	int events = UV_DISCONNECT;

	if (connection->is_over) {
		close_connection(connection);
		return;
	}
	if (kmp_session_takes_input(connection->session))
		events |= UV_READABLE;
	if (kmp_session_wants_output(connection->session))
		events |= UV_WRITABLE;
	uv_poll_start(&connection->poll, events, on_ready);
}

static void on_timer(uv_timer_t *timer)
{
	kmp_unix_attend(timer->data);
}

void kmp_unix_attend(struct kmp_unix *listener)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t next_ns = kmp_server_tick(listener->server, now_ns);

	list_foreach_safe (node, &listener->connections)
		settle(list_entry(node, struct connection, node));
	if (next_ns == UINT64_MAX)
		uv_timer_stop(&listener->timer);
	else
		uv_timer_start(&listener->timer, on_timer,
			next_ns > now_ns ? (next_ns - now_ns) / CLOCK_NS_PER_MS + 1 : 1, 0);
}

static int send_message(void *context, const uint8_t *message, size_t size)
{
	struct connection *connection = context;
	ssize_t sent = send(connection->fd, message, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent >= 0)
		return 0;
	if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
		return -EAGAIN;
	connection->is_over = true;
	return -errno;
}

static void end(void *context)
{
	((struct connection *)context)->is_over = true;
}

static const struct kmp_connection_ops connection_ops = {.send = send_message, .end = end};

/* False: that was all for now. */
static bool receive_message(struct connection *connection)
{
	uint8_t *buffer = secret_bytes(connection->listener->buffer);
	/* One byte more than a message may have: what is too long is malformed. */
	ssize_t size = recv(connection->fd, buffer, KMP_MESSAGE_MAX + 1, MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (size <= 0) {
		connection->is_over = true;
		return false;
	}
	kmp_session_receive(connection->session, buffer, (size_t)size, clock_monotonic_ns());
	return true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;
	struct kmp_unix *listener = connection->listener;

	if (status < 0)
		connection->is_over = true;
	if (!connection->is_over && events & UV_WRITABLE)
		kmp_session_writable(connection->session, clock_monotonic_ns());
	for (int i = 0; i < RECEIVE_BURST && !connection->is_over
		&& kmp_session_takes_input(connection->session);
		i++)
		if (!receive_message(connection))
			break;
	/* Gone while it is not heard: what it has sent is not asked for. */
	if (events & UV_DISCONNECT && !kmp_session_takes_input(connection->session))
		connection->is_over = true;
	kmp_unix_attend(listener);
}

static uint64_t peer_of(int fd)
{
	struct ucred credentials = {.uid = (uid_t)-1};
	socklen_t size = sizeof(credentials);

	/* Who cannot be told apart is limited together. */
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
	return credentials.uid;
}

/* Takes fd. */
static int admit(struct kmp_unix *listener, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int status = -ENOMEM;

	if (!connection)
		goto close_fd;
	connection->listener = listener;
	connection->fd = fd;
	status = kmp_session_open(listener->server, peer_of(fd), &connection_ops, connection,
		clock_monotonic_ns(), &connection->session);
	if (status < 0)
		goto free_connection;
	status = uv_poll_init(
		uv_handle_get_loop((uv_handle_t *)&listener->poll), &connection->poll, fd);
	if (status < 0)
		goto close_session;
	connection->poll.data = connection;
	list_append(&listener->connections, &connection->node);
	return 0;

close_session:
	kmp_session_close(connection->session, clock_monotonic_ns());
free_connection:
	free(connection);
close_fd:
	close(fd);
	return status;
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
	struct kmp_unix *listener = poll->data;

	for (int i = 0; i < ACCEPT_BURST; i++) {
		int fd = accept_connection(listener->fd, NULL, NULL);

		if (fd < 0)
			break;
		status = admit(listener, fd);
		if (status < 0)
			log_warning("kmp_turned_away", log_errno(status));
	}
	kmp_unix_attend(listener);
}

int kmp_unix_open(uv_loop_t *loop, int fd, struct kmp_server *server, struct kmp_unix **out)
{
	struct kmp_unix *listener = calloc(1, sizeof(*listener));
	int status = -ENOMEM;

	if (!listener)
		goto close_fd;
	listener->buffer = secret_create(KMP_MESSAGE_MAX + 1);
	if (!listener->buffer)
		goto free_listener;
	listener->fd = fd;
	listener->server = server;
	list_init(&listener->connections);
	status = uv_poll_init(loop, &listener->poll, fd);
	if (status < 0)
		goto destroy_buffer;
	uv_timer_init(loop, &listener->timer);
	listener->poll.data = listener->timer.data = listener;
	uv_poll_start(&listener->poll, UV_READABLE, on_connect);
	kmp_unix_attend(listener);
	*out = listener;
	return 0;

destroy_buffer:
	secret_destroy(listener->buffer);
free_listener:
	free(listener);
close_fd:
	close(fd);
	return status;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct kmp_unix *listener = handle->data;

	if (--listener->handles_open > 0)
		return;
	secret_destroy(listener->buffer);
	free(listener);
}

void kmp_unix_close(struct kmp_unix *listener)
{
	if (!listener)
		return;
	list_foreach_safe (node, &listener->connections)
		close_connection(list_entry(node, struct connection, node));
	listener->handles_open = 2;
	uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
	uv_close((uv_handle_t *)&listener->timer, on_handle_closed);
	close(listener->fd);
}
