/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/agent.h"

#include "base/accept.h"
#include "base/descriptors.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Packets read of one process before the others get their turn. */
#define AGENT_READ_BURST 16

struct agent {
	uv_poll_t poll;
	struct cmm *cmm;
	char partition[ATTACH_NAME_SIZE];
	int fd;
};

struct client {
	struct list node; /* in clients */
	uv_poll_t poll;
	struct session *session;
	int fd;
};

/* All of it belongs to the loop's thread. */
static struct list clients = {&clients, &clients};

/* --- Processes --- */

static void on_client_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void client_close(struct client *client)
{
	list_remove(&client->node);
	uv_close((uv_handle_t *)&client->poll, on_client_closed);
	close(client->fd);
}

void agent_forget(struct session *session)
{
	client_close(session->context);
}

void agent_forget_all(void)
{
	list_foreach_safe (node, &clients)
		client_close(list_entry(node, struct client, node));
}

static int agent_send_to(
	int fd, const struct attach_notice *notice, const int *descriptors, size_t count)
{
	struct iovec part = {(void *)notice, sizeof(*notice)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	DESCRIPTORS_ROOM(ATTACH_DESCRIPTORS) room;

	descriptors_attach(&header, &room, descriptors, count);
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void agent_send(struct session *session, const struct attach_notice *notice, const int *descriptors,
	size_t count)
{
	struct client *client = session->context;

	/* Who does not read what it has to know is gone: the loop hears of it. */
	if (agent_send_to(client->fd, notice, descriptors, count) < 0)
		shutdown(client->fd, SHUT_RDWR);
}

/* Whether the packet is of the process that has attached, and of no heir of its socket. Its users
 * do not matter: a packet bears the real one, a socket the effective one at its beginning, and a
 * process may change both. */
static bool is_from_owner(const struct session *session, struct msghdr *header)
{
	pid_t sender = descriptors_sender(header);

	return sender != 0 && sender == session->pid;
}

/* 1: go on, 0: nothing more, -ECONNRESET: it is gone, -EPROTO, -EPERM. */
static int client_read(struct client *client)
{
	struct attach_request request;
	struct iovec part = {&request, sizeof(request)};
	union {
		struct cmsghdr header; /* for its alignment */
		char credentials[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t size = recvmsg(client->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int status;

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (size == 0)
		return -ECONNRESET;
	/* Descriptors are sent by us only: there is no room for them, and they are not taken. */
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EPROTO;
	if (!is_from_owner(client->session, &header))
		return -EPERM;
	status = cmm_handle(client->session, &request, (size_t)size);
	return status < 0 ? status : 1;
}

static void client_end(struct client *client, int why)
{
	struct session *session = client->session;

	if (why == -EPROTO || why == -EPERM)
		log_warning("process_turned_out", log_str("partition", session->partition->name),
			log_int("pid", session->pid), log_int("uid", session->uid),
			log_str("why",
				why == -EPERM ? "another process used its socket"
					      : "it sent what is no request"));
	/* First the session, whose end is told to other processes, too. */
	cmm_session_close(session);
	client_close(client);
}

static void on_client(uv_poll_t *poll, int status, int events)
{
	struct client *client = poll->data;
	int result = status < 0 ? -ECONNRESET : 1;

	for (int i = 0; result > 0 && i < AGENT_READ_BURST; i++)
		result = client_read(client);
	if (result < 0)
		client_end(client, result);
}

/* --- Those who come --- */

static void refuse(int fd, int status)
{
	struct attach_notice notice = {.kind = ATTACH_ANSWER, .status = status};

	agent_send_to(fd, &notice, NULL, 0);
	close(fd);
}

static int client_open(struct agent *agent, int fd, const struct ucred *credentials)
{
	struct partition *partition = cmm_find_partition(agent->cmm, agent->partition);
	struct client *client = calloc(1, sizeof(*client));
	int status = partition && client ? 0 : -ENOMEM;

	if (status == 0)
		status = cmm_session_open(
			partition, credentials->pid, credentials->uid, client, &client->session);
	if (status < 0) {
		free(client);
		return status;
	}
	status = uv_poll_init(agent->poll.loop, &client->poll, fd);
	if (status < 0) {
		cmm_session_close(client->session);
		free(client);
		return status;
	}
	client->fd = fd;
	client->poll.data = client;
	list_append(&clients, &client->node);
	uv_poll_start(&client->poll, UV_READABLE, on_client);
	return 0;
}

static void agent_accept(struct agent *agent, int fd)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	int status = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		status = -errno;
	if (status == 0)
		status = client_open(agent, fd, &credentials);
	if (status < 0) {
		log_warning("process_refused", log_str("partition", agent->partition),
			log_errno(status));
		refuse(fd, status);
	}
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct agent *agent = poll->data;
	int fd = accept_connection(agent->fd, NULL, NULL);

	if (fd >= 0)
		agent_accept(agent, fd);
}

int agent_open(uv_loop_t *loop, struct cmm *cmm, const char *partition, int fd, struct agent **out)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int yes = 1, status = agent ? 0 : -ENOMEM;

	/* What is accepted inherits it: each packet bears the credentials of who sent it. */
	if (status == 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) < 0)
		status = -errno;
	if (status == 0)
		status = uv_poll_init(loop, &agent->poll, fd);
	if (status < 0) {
		close(fd);
		free(agent);
		return status;
	}
	agent->fd = fd;
	agent->cmm = cmm;
	agent->poll.data = agent;
	snprintf(agent->partition, sizeof(agent->partition), "%s", partition);
	uv_poll_start(&agent->poll, UV_READABLE, on_connection);
	*out = agent;
	return 0;
}

static void on_agent_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void agent_close(struct agent *agent)
{
	if (!agent)
		return;
	uv_close((uv_handle_t *)&agent->poll, on_agent_closed);
	close(agent->fd);
}
