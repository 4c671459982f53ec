/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/memif.h"

#include "base/accept.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/list.h"
#include "base/log.h"
#include "packet/engine/publish.h"
#include "packet/port/memif_link.h"
#include "packet/port/socket_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections of one socket that have not said yet which interface they want. The oldest one makes
 * way for a new one. */
#define STRANGERS_MAX 16
#define BACKLOG       16
/* How long nobody is let in after a peer that was hostile. */
#define PENALTY_NS (1 * CLOCK_NS_PER_S)
#define RETRY_NS   (1 * CLOCK_NS_PER_S)

/* A listening socket; control thread, as all here but memif->link. */
struct memif_socket {
	struct list siblings;
	struct list memifs;
	struct list strangers; /* the oldest one first */
	uint32_t stranger_count;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int fd;
	uv_poll_t poll;
};

struct memif {
	struct list siblings;        /* on its socket */
	struct memif_socket *socket; /* NULL: a client */
	struct memif_setup setup;    /* path is that of the struct below */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct connection *connection; /* who has it, or is about to */
	struct memif_link *link;       /* published: connected */
	uint64_t closed_until_ns;      /* to others: a penalty, or the client's next attempt */
	char problem[ERROR_TEXT_SIZE]; /* why the last link ended, or did not begin */
};

struct connection {
	struct list siblings; /* of the strangers, while it is one */
	struct memif_socket *socket;
	struct memif *memif; /* NULL: a stranger */
	struct memif_link *link;
	int fd;
	uv_poll_t poll;
};

static struct list sockets = {&sockets, &sockets};

/* --- The end of a connection --- */

static void on_connection_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void close_descriptor(uv_poll_t *poll, int fd, uv_close_cb done)
{
	uv_close((uv_handle_t *)poll, done);
	close(fd);
}

/* Takes the link away from workers, and the interface from the connection. */
static void leave(struct connection *connection)
{
	struct memif *memif = connection->memif;

	if (!memif) {
		list_remove(&connection->siblings);
		connection->socket->stranger_count--;
		memif_link_destroy(connection->link);
		return;
	}
	memif->connection = NULL;
	if (memif->link)
		publish_swap(&memif->link, NULL, memif_link_destroy);
	else
		memif_link_destroy(connection->link);
}

static bool send_message(int fd, const struct memif_message *message, int descriptor)
{
	uint8_t bytes[MEMIF_MESSAGE_SIZE];
	DESCRIPTORS_ROOM(1) room;
	struct iovec vector = {bytes, sizeof(bytes)};
	struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};

	memif_message_encode(message, bytes);
	descriptors_attach(&header, &room, &descriptor, descriptor >= 0);
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(bytes);
}

/* Tells the peer, the log, and whoever asks for the interface's problem. */
static void end(struct connection *connection, const char *why)
{
	struct memif_message message = {.type = MEMIF_DISCONNECT};
	struct memif *memif = connection->memif;
	bool was_up = memif && memif->link;

	snprintf(message.disconnect.text, sizeof(message.disconnect.text), "%s", why);
	(void)send_message(connection->fd, &message, -1);
	log_info("memif_closed", log_str("socket", memif ? memif->path : connection->socket->path),
		log_str("peer", connection->link ? connection->link->peer : ""),
		log_str("problem", why));
	if (memif)
		snprintf(memif->problem, sizeof(memif->problem), "%s", why);
	leave(connection);
	close_descriptor(&connection->poll, connection->fd, on_connection_closed);
	if (was_up && memif->setup.on_link)
		memif->setup.on_link(memif->setup.context);
}

/* A peer that breaks the rules, and not one that just goes. */
static void refuse(struct connection *connection, const char *why)
{
	struct memif *memif = connection->memif;

	if (memif) {
		log_warning(memif->link ? "memif_hostile" : "memif_refused",
			log_str("socket", memif->path), log_uint("id", memif->setup.id),
			log_str("peer", connection->link->peer), log_str("problem", why));
		if (memif->link)
			memif->closed_until_ns = clock_monotonic_ns() + PENALTY_NS;
	}
	end(connection, why);
}

/* --- Messages --- */

/* Takes the descriptor out of the message: *fd, -1 when there is none. False: there were more, for
 * which it has no room. */
static bool take_descriptors(struct msghdr *header, int *fd)
{
	*fd = -1;
	(void)descriptors_take(header, fd, 1);
	return !(header->msg_flags & MSG_CTRUNC);
}

/* 1: *message and *fd (owned, -1: none); 0: nothing yet; else the connection's end, and why. */
static int receive_message(int from, struct memif_message *message, int *fd, const char **why)
{
	uint8_t bytes[MEMIF_MESSAGE_SIZE];
	DESCRIPTORS_ROOM(1) room;
	struct iovec vector = {bytes, sizeof(bytes)};
	struct msghdr header = {.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = CMSG_LEN(sizeof(int))};
	ssize_t size = recvmsg(from, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	*why = "the other end is gone";
	if (size < 0)
		return -ECONNRESET;
	if (size == 0) {
		/* An empty message looks the same, and may have brought a descriptor. */
		(void)take_descriptors(&header, fd);
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return -ECONNRESET;
	}
	*why = "a message of another size, type or number of descriptors";
	if (take_descriptors(&header, fd) && !(header.msg_flags & MSG_TRUNC)
		&& memif_message_decode(bytes, (size_t)size, message) == 0)
		return 1;
	if (*fd >= 0)
		close(*fd);
	return -EBADMSG;
}

static struct memif *find_memif(struct memif_socket *socket, uint32_t id)
{
	list_foreach (node, &socket->memifs) {
		struct memif *memif = list_entry(node, struct memif, siblings);

		if (memif->setup.id == id)
			return memif;
	}
	return NULL;
}

/* A stranger says what it wants. NULL, or why it does not get it. */
static const char *choose_memif(struct connection *connection, const struct memif_message *message)
{
	struct memif *memif;

	if (message->type != MEMIF_INIT)
		return "unexpected message";
	memif = find_memif(connection->socket, message->init.id);
	if (!memif)
		return "ID not found";
	if (memif->link)
		return "Already connected";
	if (clock_monotonic_ns() < memif->closed_until_ns)
		return "closed for a second after a peer that broke the rules";
	connection->link = memif_link_create(false, memif->setup.id, memif->setup.queue_count);
	if (!connection->link)
		return "no memory";
	/* One that has not come to its end by now will not. */
	if (memif->connection)
		end(memif->connection, "another one was quicker");
	list_remove(&connection->siblings);
	connection->socket->stranger_count--;
	connection->memif = memif;
	memif->connection = connection;
	return NULL;
}

static void begin_link(struct connection *connection)
{
	struct memif *memif = connection->memif;

	memif->problem[0] = '\0';
	log_info("memif_connected", log_str("socket", memif->path), log_uint("id", memif->setup.id),
		log_str("peer", connection->link->peer),
		log_uint("rx_queues", connection->link->rx_count),
		log_uint("tx_queues", connection->link->tx_count));
	publish_swap(&memif->link, connection->link, NULL);
	if (memif->setup.on_link)
		memif->setup.on_link(memif->setup.context);
}

static void take_message(
	struct connection *connection, const struct memif_message *message, int *fd)
{
	struct memif_message answer;
	struct error error;
	int result, answer_fd;
	const char *why = connection->memif ? NULL : choose_memif(connection, message);

	if (why) {
		end(connection, why);
		return;
	}
	result = memif_link_take(connection->link, message, fd, &answer, &answer_fd, &error);
	if (result < 0) {
		if (message->type == MEMIF_DISCONNECT)
			end(connection, message->disconnect.text);
		else
			refuse(connection, error.text);
		return;
	}
	if (result > 0 && !send_message(connection->fd, &answer, answer_fd)) {
		end(connection, "it does not read");
		return;
	}
	if (connection->link->is_connected)
		begin_link(connection);
}

/* One message a turn of the loop: others have their turn between two of them. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;
	struct memif_message message;
	const char *why;
	int fd, result;

	result = receive_message(connection->fd, &message, &fd, &why);
	if (result == 0)
		return;
	if (result == -EBADMSG)
		refuse(connection, why);
	else if (result < 0)
		end(connection, why);
	else
		take_message(connection, &message, &fd);
	if (result > 0 && fd >= 0)
		close(fd);
}

static struct connection *make_connection(uv_loop_t *loop, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return NULL;
	connection->fd = fd;
	connection->poll.data = connection;
	if (uv_poll_init(loop, &connection->poll, fd) < 0) {
		free(connection);
		return NULL;
	}
	uv_poll_start(&connection->poll, UV_READABLE, on_readable);
	return connection;
}

/* --- Listening --- */

static void on_arrival(uv_poll_t *poll, int status, int events)
{
	struct memif_socket *socket = poll->data;
	int fd = accept_connection(socket->fd, NULL, NULL);
	struct connection *connection;
	struct memif_message hello;

	if (fd < 0)
		return;
	if (socket->stranger_count == STRANGERS_MAX)
		end(list_entry(socket->strangers.next, struct connection, siblings),
			"others came, and this one said nothing");
	connection = make_connection(poll->loop, fd);
	if (!connection) {
		close(fd);
		return;
	}
	connection->socket = socket;
	list_append(&socket->strangers, &connection->siblings);
	socket->stranger_count++;
	memif_link_hello(&hello);
	if (!send_message(fd, &hello, -1))
		end(connection, "it does not read");
}

static int make_listener(const struct memif_setup *setup, int *out, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (socket_file_prepare(setup->path, error) < 0)
		return -EACCES;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, -errno, "socket: %s", strerror(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", setup->path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		error_set(error, -errno, "%s: %s", setup->path, strerror(errno));
		close(fd);
		return -EADDRINUSE;
	}
	if (listen(fd, BACKLOG) < 0
		|| (setup->socket_mode
			&& socket_file_set_mode(setup->path, setup->socket_mode) < 0)) {
		(void)unlink(setup->path);
		close(fd);
		return error_set(error, -EACCES, "%s: cannot make it others' to use", setup->path);
	}
	*out = fd;
	return 0;
}

static struct memif_socket *open_socket(const struct memif_setup *setup, struct error *error)
{
	struct memif_socket *socket;

	list_foreach (node, &sockets) {
		socket = list_entry(node, struct memif_socket, siblings);
		if (strcmp(socket->path, setup->path) == 0)
			return socket;
	}
	socket = calloc(1, sizeof(*socket));
	if (!socket) {
		error_set(error, -ENOMEM, "no memory");
		return NULL;
	}
	snprintf(socket->path, sizeof(socket->path), "%s", setup->path);
	list_init(&socket->memifs);
	list_init(&socket->strangers);
	if (make_listener(setup, &socket->fd, error) < 0) {
		free(socket);
		return NULL;
	}
	socket->poll.data = socket;
	if (uv_poll_init(setup->loop, &socket->poll, socket->fd) < 0) {
		error_set(error, -EIO, "%s cannot be watched", setup->path);
		close(socket->fd);
		(void)unlink(setup->path);
		free(socket);
		return NULL;
	}
	uv_poll_start(&socket->poll, UV_READABLE, on_arrival);
	list_append(&sockets, &socket->siblings);
	return socket;
}

static void on_socket_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* With its last interface. */
static void put_socket(struct memif_socket *socket)
{
	if (!list_is_empty(&socket->memifs))
		return;
	while (!list_is_empty(&socket->strangers))
		end(list_entry(socket->strangers.next, struct connection, siblings),
			"the interface is closed");
	list_remove(&socket->siblings);
	(void)unlink(socket->path);
	close_descriptor(&socket->poll, socket->fd, on_socket_closed);
}

/* --- Interfaces --- */

static void note_unreachable(struct memif *memif)
{
	struct error error = {0};

	(void)socket_file_find_problem(memif->path, &error);
	snprintf(memif->problem, sizeof(memif->problem), "%s", error.text);
}

static void connect_client(struct memif *memif)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct connection *connection = NULL;

	memif->closed_until_ns = clock_monotonic_ns() + RETRY_NS;
	if (fd < 0)
		return;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", memif->path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		note_unreachable(memif);
	else
		connection = make_connection(memif->setup.loop, fd);
	if (!connection) {
		close(fd);
		return;
	}
	connection->link = memif_link_create(true, memif->setup.id, memif->setup.queue_count);
	connection->memif = memif;
	memif->connection = connection;
	if (!connection->link)
		end(connection, "no memory");
}

int memif_open(const struct memif_setup *setup, struct memif **out, struct error *error)
{
	struct memif *memif = calloc(1, sizeof(*memif));

	if (!memif)
		return error_set(error, -ENOMEM, "no memory");
	memif->setup = *setup;
	snprintf(memif->path, sizeof(memif->path), "%s", setup->path);
	memif->setup.path = memif->path;
	if (!setup->is_client) {
		memif->socket = open_socket(setup, error);
		if (!memif->socket) {
			free(memif);
			return -EACCES;
		}
		if (find_memif(memif->socket, setup->id)) {
			free(memif);
			return error_set(error, -EEXIST, "%s has an interface with id %u already",
				setup->path, setup->id);
		}
		list_append(&memif->socket->memifs, &memif->siblings);
	}
	*out = memif;
	return 0;
}

void memif_close(struct memif *memif)
{
	if (!memif)
		return;
	memif->setup.on_link = NULL;
	if (memif->connection)
		end(memif->connection, "the interface is closed");
	if (memif->socket) {
		list_remove(&memif->siblings);
		put_socket(memif->socket);
	}
	free(memif);
}

bool memif_refresh(struct memif *memif)
{
	const char *fault = memif->link ? memif_link_fault(memif->link) : NULL;

	if (fault)
		refuse(memif->connection, fault);
	if (memif->setup.is_client && !memif->connection
		&& clock_monotonic_ns() >= memif->closed_until_ns)
		connect_client(memif);
	return memif->link != NULL;
}

bool memif_is_up(const struct memif *memif)
{
	return memif->link != NULL;
}

uint16_t memif_tx_queue_count(const struct memif *memif)
{
	return memif->link ? memif->link->tx_count : 0;
}

bool memif_find_problem(const struct memif *memif, struct error *error)
{
	if (memif->link || memif->problem[0] == '\0')
		return false;
	error_set(error, -ENOTCONN, "%s", memif->problem);
	return true;
}

/* --- Workers --- */

uint16_t memif_receive(
	struct memif *memif, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	struct memif_link *link = publish_read(&memif->link);

	if (unlikely(!link || queue >= link->rx_count))
		return 0;
	return memif_ring_receive(&link->rx[queue], packets, count);
}

uint16_t memif_send(struct memif *memif, uint16_t queue, struct rte_mbuf **packets, uint16_t count,
	uint16_t *refused)
{
	struct memif_link *link = publish_read(&memif->link);

	if (unlikely(!link || queue >= link->tx_count))
		return 0;
	return memif_ring_send(&link->tx[queue], packets, count, refused);
}
