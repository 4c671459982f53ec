/* SPDX-License-Identifier: BSD-3-Clause */
#include "bulkhead/control.h"

#include "base/descriptors.h"
#include "ipc/ipc.h"
#include "lib/now.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS        125000 /* a little more than the daemon gives its roles */
#define PAGE_LIMIT        250    /* what the daemon gives at most (API_PAGE_LIMIT_MAX) */
#define NOTIFICATIONS_MAX 65536  /* that may wait while a call is under way */

struct bulkhead_control {
	int fd;
	unsigned int timeout_ms;
	json_int_t next_id;
	json_t *notifications; /* array: those that came during a call */
	int descriptor;        /* of the last answer; -1: none */
	char buffer[IPC_MESSAGE_SIZE];
};

__attribute__((format(printf, 3, 4))) static int fail(
	struct bulkhead_control_error *error, int code, const char *format, ...)
{
	va_list arguments;

	error->code = 0;
	va_start(arguments, format);
	vsnprintf(error->message, sizeof(error->message), format, arguments);
	va_end(arguments);
	return code;
}

static int fail_connect(struct bulkhead_control_error *error, int code, const char *path)
{
	switch (code) {
	case ENOENT:
	case ECONNREFUSED:
		return fail(error, -code,
			"the daemon is not running (%s): start it with `systemctl start "
			"bulkheadd`, "
			"or name its socket with --socket PATH",
			code == ENOENT ? "there is no socket" : "nobody listens on the socket");
	case EACCES:
		return fail(error, -code,
			"permission denied: you may not use the daemon's socket %s; ask to become "
			"a "
			"member of its group",
			path);
	default:
		return fail(error, -code, "cannot connect to %s: %s", path, strerror(code));
	}
}

int bulkhead_control_open(
	const char *path, struct bulkhead_control **out, struct bulkhead_control_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct bulkhead_control *control;
	int fd, code;

	path = path ? path : BULKHEAD_CONTROL_SOCKET;
	if (strlen(path) >= sizeof(address.sun_path))
		return fail(error, -ENAMETOOLONG, "the socket's path is too long: %s", path);
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(error, -errno, "no socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		code = errno;
		close(fd);
		return fail_connect(error, code, path);
	}
	control = calloc(1, sizeof(*control));
	if (!control) {
		close(fd);
		return fail(error, -ENOMEM, "no memory left");
	}
	control->fd = fd;
	control->descriptor = -1;
	control->timeout_ms = TIMEOUT_MS;
	control->next_id = 1;
	control->notifications = json_array();
	*out = control;
	return 0;
}

static void drop_descriptor(struct bulkhead_control *control)
{
	if (control->descriptor >= 0)
		close(control->descriptor);
	control->descriptor = -1;
}

void bulkhead_control_close(struct bulkhead_control *control)
{
	if (!control)
		return;
	drop_descriptor(control);
	json_decref(control->notifications);
	close(control->fd);
	free(control);
}

void bulkhead_control_set_timeout(struct bulkhead_control *control, unsigned int timeout_ms)
{
	control->timeout_ms = timeout_ms;
}

int bulkhead_control_descriptor(const struct bulkhead_control *control)
{
	return control->fd;
}

int bulkhead_control_take_descriptor(struct bulkhead_control *control)
{
	int fd = control->descriptor;

	control->descriptor = -1;
	return fd;
}

static int send_text(
	struct bulkhead_control *control, const char *text, size_t size, int descriptor)
{
	DESCRIPTORS_ROOM(1) room;
	struct iovec part = {.iov_base = (char *)text, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	descriptors_attach(&message, &room, &descriptor, descriptor >= 0);
	do {
		sent = sendmsg(control->fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static int send_call(struct bulkhead_control *control, const char *method, json_t *params,
	int descriptor, json_int_t id)
{
	json_t *call = json_pack("{s:s, s:s, s:o*, s:I}", "jsonrpc", "2.0", "method", method,
		"params", params, "id", id);
	char *text = call ? json_dumps(call, JSON_COMPACT) : NULL;
	int code = -ENOMEM;

	json_decref(call);
	if (text && strlen(text) > IPC_MESSAGE_SIZE)
		code = -EMSGSIZE;
	else if (text)
		code = send_text(control, text, strlen(text), descriptor);
	free(text);
	return code;
}

/* Keeps the first descriptor that comes during a call, closes the others. */
static void keep_descriptor(struct bulkhead_control *control, struct msghdr *message)
{
	size_t max = control->descriptor < 0;

	descriptors_take(message, &control->descriptor, max);
}

/* Waits for the descriptor to be readable; timeout_ms < 0: for ever. */
static int wait_readable(struct bulkhead_control *control, int timeout_ms)
{
	struct pollfd entry = {.fd = control->fd, .events = POLLIN};
	int count = poll(&entry, 1, timeout_ms);

	if (count < 0)
		return -errno;
	return count == 0 ? -ETIMEDOUT : 0;
}

/* The next message, as a new reference. */
static int receive(struct bulkhead_control *control, int timeout_ms, json_t **out)
{
	DESCRIPTORS_ROOM(IPC_DESCRIPTORS_MAX) room;
	struct iovec part = {.iov_base = control->buffer, .iov_len = sizeof(control->buffer)};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};
	ssize_t size;
	int code = wait_readable(control, timeout_ms);

	if (code < 0)
		return code;
	size = recvmsg(control->fd, &message, MSG_CMSG_CLOEXEC);
	if (size < 0)
		return -errno;
	if (size == 0)
		return -ECONNRESET;
	keep_descriptor(control, &message);
	*out = json_loadb(control->buffer, (size_t)size, 0, NULL);
	return *out ? 0 : -EPROTO;
}

static int fail_connection(struct bulkhead_control_error *error, int code)
{
	switch (code) {
	case -ECONNRESET:
	case -EPIPE:
		return fail(error, code,
			"the daemon closed the connection: it was stopped or started again, or "
			"this client did not read fast enough; the daemon's log says which");
	case -ETIMEDOUT:
		return fail(error, code, "the daemon did not answer in time");
	case -EMSGSIZE:
		return fail(error, code, "the call is longer than a message may be");
	case -EPROTO:
		return fail(error, code, "the daemon sent what is no answer");
	default:
		return fail(
			error, code, "the connection to the daemon failed: %s", strerror(-code));
	}
}

/* Until the answer to id is there; notifications are kept for bulkhead_control_next(). */
static int receive_answer(struct bulkhead_control *control, json_int_t id, json_t **out)
{
	int64_t deadline = now_ms() + control->timeout_ms;

	for (;;) {
		int64_t left = deadline - now_ms();
		json_t *message = NULL;
		int code = -ETIMEDOUT;

		if (control->timeout_ms == 0)
			left = -1;
		if (left > 0 || control->timeout_ms == 0)
			code = receive(control, (int)left, &message);
		if (code == -EINTR)
			continue;
		if (code < 0)
			return code;
		if (!json_object_get(message, "method")
			&& json_integer_value(json_object_get(message, "id")) == id) {
			*out = message;
			return 0;
		}
		if (json_object_get(message, "method")
			&& json_array_size(control->notifications) < NOTIFICATIONS_MAX)
			json_array_append(control->notifications, message);
		json_decref(message);
	}
}

int bulkhead_control_call(struct bulkhead_control *control, const char *method, json_t *params,
	int descriptor, json_t **result, struct bulkhead_control_error *error)
{
	json_int_t id = control->next_id++;
	json_t *answer = NULL, *refusal;
	const char *message;
	int code;

	drop_descriptor(control);
	code = send_call(control, method, params, descriptor, id);
	if (code == 0)
		code = receive_answer(control, id, &answer);
	if (code < 0)
		return fail_connection(error, code);
	refusal = json_object_get(answer, "error");
	if (refusal) {
		message = json_string_value(json_object_get(refusal, "message"));
		fail(error, 0, "%s", message ? message : "the daemon refused, and gave no reason");
		error->code = (int)json_integer_value(json_object_get(refusal, "code"));
		json_decref(answer);
		return -EREMOTEIO;
	}
	*result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return 0;
}

/* Appends the lists of page to those of all; other values are those of the first page. */
static void join_page(json_t *all, json_t *page)
{
	const char *name;
	json_t *value;

	json_object_del(all, "next");
	json_object_foreach (page, name, value) {
		json_t *list = json_object_get(all, name);

		if (json_is_array(list) && json_is_array(value))
			json_array_extend(list, value);
		else if (strcmp(name, "next") == 0)
			json_object_set(all, name, value);
	}
}

/* One page; a page that is too long for a message is asked for with a smaller limit, which stays.
 */
static int call_page(struct bulkhead_control *control, const char *method, json_t *params,
	json_t **page, struct bulkhead_control_error *error)
{
	for (;;) {
		int code =
			bulkhead_control_call(control, method, json_copy(params), -1, page, error);
		json_int_t limit = json_integer_value(json_object_get(params, "limit"));

		if (code != -EREMOTEIO || error->code != IPC_INTERNAL_ERROR || limit <= 1)
			return code;
		json_object_set_new(params, "limit", json_integer(limit / 4 > 1 ? limit / 4 : 1));
	}
}

int bulkhead_control_call_paged(struct bulkhead_control *control, const char *method,
	json_t *params, json_t **result, struct bulkhead_control_error *error)
{
	json_t *all = NULL, *page = NULL, *next;
	int code;

	if (!params)
		params = json_object();
	if (!json_object_get(params, "limit"))
		json_object_set_new(params, "limit", json_integer(PAGE_LIMIT));
	do {
		code = call_page(control, method, params, &page, error);
		if (code < 0)
			break;
		if (!all) {
			all = page;
		} else {
			join_page(all, page);
			json_decref(page);
		}
		next = json_object_get(all, "next");
		if (next)
			json_object_set(params, "after", next);
	} while (next);
	json_decref(params);
	if (code < 0) {
		json_decref(all);
		return code;
	}
	*result = all;
	return 0;
}

int bulkhead_control_next(struct bulkhead_control *control, int timeout_ms, json_t **notification,
	struct bulkhead_control_error *error)
{
	int code;

	if (json_array_size(control->notifications) > 0) {
		*notification = json_incref(json_array_get(control->notifications, 0));
		json_array_remove(control->notifications, 0);
		return 0;
	}
	code = receive(control, timeout_ms, notification);
	if (code == -ETIMEDOUT || code == -EINTR)
		return code;
	if (code < 0)
		return fail_connection(error, code);
	return 0;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			text += written;
			size -= (size_t)written;
		}
	}
	return 0;
}

int bulkhead_control_memory(const void *text, size_t size)
{
	int fd = memfd_create("bulkhead", MFD_CLOEXEC | MFD_ALLOW_SEALING), code;

	if (fd < 0)
		return -errno;
	code = write_all(fd, text, size);
	if (code == 0
		&& (lseek(fd, 0, SEEK_SET) < 0
			|| fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0))
		code = -errno;
	if (code < 0) {
		close(fd);
		return code;
	}
	return fd;
}
