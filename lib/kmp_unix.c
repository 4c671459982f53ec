/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/kmp_unix.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The context is the descriptor itself. */
static int fd_of(void *context)
{
	return (int)(intptr_t)context;
}

static int fail(struct bulkhead_kmp_error *error, int code, const char *path, const char *why)
{
	snprintf(error->message, sizeof(error->message), "%s: %s", path, why);
	error->code = 0;
	return code;
}

static const char *reason(int code)
{
	switch (code) {
	case ENOENT:
	case ECONNREFUSED:
		return "nobody listens there: is the daemon running, with ipsec.kmp in its "
		       "configuration?";
	case EACCES:
		return "permission denied: it is for root and the group of the daemon's user";
	default:
		return strerror(code);
	}
}

int kmp_unix_connect(const char *path, void **context, struct bulkhead_kmp_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, code;

	path = path ? path : BULKHEAD_KMP_SOCKET;
	if (strlen(path) >= sizeof(address.sun_path))
		return fail(error, -ENAMETOOLONG, path, "longer than a socket's path may be");
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(error, -errno, "socket", strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		code = errno;
		close(fd);
		return fail(error, -code, path, reason(code));
	}
	*context = (void *)(intptr_t)fd;
	return 0;
}

/* The daemon takes nothing while it owes an answer; then there is room. */
static int unix_send(void *context, const void *message, size_t size)
{
	ssize_t sent;

	do {
		sent = send(fd_of(context), message, size, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	return 0;
}

static int unix_receive(void *context, void *message, size_t room, int timeout_ms, size_t *size)
{
	struct pollfd entry = {.fd = fd_of(context), .events = POLLIN};
	int count = poll(&entry, 1, timeout_ms);
	ssize_t received;

	if (count <= 0)
		return count < 0 ? -errno : -ETIMEDOUT;
	received = recv(fd_of(context), message, room, MSG_TRUNC);
	if (received <= 0)
		return received < 0 ? -errno : -ECONNRESET;
	if ((size_t)received > room)
		return -EMSGSIZE;
	*size = (size_t)received;
	return 0;
}

static void unix_close(void *context)
{
	close(fd_of(context));
}

const struct kmp_transport kmp_unix_transport = {
	.send = unix_send,
	.receive = unix_receive,
	.descriptor = fd_of,
	.close = unix_close,
};
