/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/events/eve_writer.h"

#include "base/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* How often what waits is tried again, and how often a file is looked at for its deletion. */
#define RETRY_MS   100
#define RECHECK_MS 1000
/* Of what waits, records of traffic may be so much: the rest is for alerts. */
#define BULK_SIZE (EVE_BUFFER_SIZE / 2)
/* RFC 3164: facility local5, severity info, as Suricata's EVE by syslog has it. */
#define SYSLOG_HEAD "<174>bulkhead: "

struct eve_writer {
	uv_loop_t *loop;
	uv_prepare_t prepare; /* before the loop sleeps: write */
	uv_timer_t timer;     /* runs while something waits */
	void (*lost)(void *context);
	void *context;
	int fd;
	bool is_socket;
	bool is_syslog;      /* a datagram socket: each line is a message of its own */
	bool is_lost;        /* told, not set again yet */
	bool is_broken_line; /* the buffer starts within a line that began in the sink before */
	uint64_t checked_at_ms;
	struct eve_counts counts;
	size_t size;
	int handles_open; /* while closing */
	char buffer[EVE_BUFFER_SIZE];
};

static void on_prepare(uv_prepare_t *prepare)
{
	eve_writer_flush(prepare->data);
}

static void on_timer(uv_timer_t *timer)
{
	eve_writer_flush(timer->data);
}

struct eve_writer *eve_writer_create(uv_loop_t *loop, void (*lost)(void *context), void *context)
{
	struct eve_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return NULL;
	writer->loop = loop;
	writer->fd = -1;
	writer->lost = lost;
	writer->context = context;
	uv_prepare_init(loop, &writer->prepare);
	uv_timer_init(loop, &writer->timer);
	writer->prepare.data = writer->timer.data = writer;
	uv_prepare_start(&writer->prepare, on_prepare);
	uv_unref((uv_handle_t *)&writer->prepare);
	uv_unref((uv_handle_t *)&writer->timer);
	return writer;
}

static void on_closed(uv_handle_t *handle)
{
	struct eve_writer *writer = handle->data;

	if (--writer->handles_open == 0)
		free(writer);
}

void eve_writer_destroy(struct eve_writer *writer)
{
	if (!writer)
		return;
	writer->lost = NULL;
	eve_writer_flush(writer);
	if (writer->fd >= 0)
		close(writer->fd);
	writer->handles_open = 2;
	uv_close((uv_handle_t *)&writer->prepare, on_closed);
	uv_close((uv_handle_t *)&writer->timer, on_closed);
}

static size_t count_lines(const char *text, size_t size)
{
	size_t count = 0;

	for (const char *at = text; (at = memchr(at, '\n', size - (size_t)(at - text))); at++)
		count++;
	return count;
}

static void consume(struct eve_writer *writer, size_t size)
{
	writer->is_broken_line = writer->buffer[size - 1] != '\n';
	writer->size -= size;
	memmove(writer->buffer, writer->buffer + size, writer->size);
}

/* The rest of a line whose beginning went elsewhere is of no use. */
static void drop_broken_line(struct eve_writer *writer)
{
	const char *end = memchr(writer->buffer, '\n', writer->size);

	if (!writer->is_broken_line || !end)
		return;
	consume(writer, (size_t)(end - writer->buffer) + 1);
	writer->counts.errors++;
}

static bool is_datagram(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

void eve_writer_set(struct eve_writer *writer, int fd)
{
	struct stat status;

	eve_writer_flush(writer);
	drop_broken_line(writer);
	if (writer->fd >= 0)
		close(writer->fd);
	writer->fd = fd;
	writer->is_lost = false;
	writer->is_socket = fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
	writer->is_syslog = writer->is_socket && is_datagram(fd);
	if (fd < 0)
		writer->size = 0;
}

static void tell_lost(struct eve_writer *writer)
{
	if (writer->is_lost || !writer->lost)
		return;
	writer->is_lost = true;
	writer->lost(writer->context);
}

/* A file that was deleted under us (a careless rotation) is opened again. */
static void check_deleted(struct eve_writer *writer)
{
	uint64_t now = uv_now(writer->loop);
	struct stat status;

	if (writer->is_socket || now - writer->checked_at_ms < RECHECK_MS)
		return;
	writer->checked_at_ms = now;
	if (fstat(writer->fd, &status) == 0 && status.st_nlink == 0)
		tell_lost(writer);
}

/* The first line as one message of syslog; as if it had been taken, when it is too long for one. */
static ssize_t send_message(struct eve_writer *writer)
{
	const char *end = memchr(writer->buffer, '\n', writer->size);
	size_t size = end ? (size_t)(end - writer->buffer) : writer->size;
	struct iovec parts[2] = {{SYSLOG_HEAD, strlen(SYSLOG_HEAD)}, {writer->buffer, size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (sendmsg(writer->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno != EMSGSIZE)
			return -1;
		writer->counts.errors++;
		writer->counts.written--; /* is counted by the caller */
	}
	return (ssize_t)size + (end != NULL);
}

static ssize_t send_some(struct eve_writer *writer)
{
	if (writer->is_syslog)
		return send_message(writer);
	if (writer->is_socket)
		return send(writer->fd, writer->buffer, writer->size, MSG_DONTWAIT | MSG_NOSIGNAL);
	return write(writer->fd, writer->buffer, writer->size);
}

void eve_writer_flush(struct eve_writer *writer)
{
	while (writer->size > 0 && writer->fd >= 0 && !writer->is_lost) {
		ssize_t sent = send_some(writer);

		if (sent > 0) {
			writer->counts.written += count_lines(writer->buffer, (size_t)sent);
			consume(writer, (size_t)sent);
			continue;
		}
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno != EAGAIN) {
			log_error("eve_write_failed", log_errno(-errno));
			if (writer->is_socket)
				tell_lost(writer);
		}
		break;
	}
	if (writer->fd >= 0)
		check_deleted(writer);
	if (writer->size > 0)
		uv_timer_start(&writer->timer, on_timer, RETRY_MS, 0);
}

void eve_writer_write(void *context, enum event_weight weight, const char *line, size_t size)
{
	struct eve_writer *writer = context;
	size_t room = weight == EVENT_BULK ? BULK_SIZE : sizeof(writer->buffer);

	if (writer->fd < 0)
		return;
	if (writer->size + size + 1 > room)
		eve_writer_flush(writer);
	if (writer->size + size + 1 > room) {
		writer->counts.errors++;
		return;
	}
	memcpy(writer->buffer + writer->size, line, size);
	writer->buffer[writer->size + size] = '\n';
	writer->size += size + 1;
}

void eve_writer_count(const struct eve_writer *writer, struct eve_counts *out)
{
	*out = writer->counts;
}
