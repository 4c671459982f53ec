/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/handover/handover_link.h"

#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GONE        "the other daemon has closed the connection"
#define BUFFER_SIZE (KMP_MESSAGE_MAX + 1) /* one more: what is too long is malformed */

struct handover_link {
	uv_poll_t poll;
	uv_timer_t timer;
	int fd;
	int handles_open;
	bool is_closed;
	const struct handover_link_ops *ops;
	void *context;
	struct kmp_writer writer;
	struct secret *buffers; /* what comes, what goes */
};

static uint8_t *in(const struct handover_link *link)
{
	return secret_bytes(link->buffers);
}

static uint8_t *out(const struct handover_link *link)
{
	return in(link) + BUFFER_SIZE;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct handover_link *link = handle->data;

	if (--link->handles_open > 0)
		return;
	secret_destroy(link->buffers);
	free(link);
}

void handover_link_close(struct handover_link *link)
{
	if (!link || link->is_closed)
		return;
	link->is_closed = true;
	link->handles_open = 2;
	uv_close((uv_handle_t *)&link->poll, on_handle_closed);
	uv_close((uv_handle_t *)&link->timer, on_handle_closed);
	close(link->fd);
}

/* ---- what comes ---- */

/* False: nothing more for now, or ever; *why is set in the latter case. */
static bool receive(struct handover_link *link, const char **why)
{
	ssize_t size = recv(link->fd, in(link), BUFFER_SIZE, MSG_DONTWAIT);
	struct kmp_message message;

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (size <= 0) {
		*why = GONE;
		return false;
	}
	if (kmp_decode(in(link), (size_t)size, &message) == KMP_OK)
		link->ops->message(link->context, &message);
	else
		*why = "the other daemon says what this one does not understand";
	explicit_bzero(in(link), (size_t)size);
	return !*why;
}

/* After it nothing can come any more: what was on its way has been told. */
static void end(struct handover_link *link, const char *why)
{
	const char *ignored = NULL;

	shutdown(link->fd, SHUT_RD);
	while (!link->is_closed && receive(link, &ignored))
		;
	if (!link->is_closed)
		link->ops->end(link->context, why);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct handover_link *link = poll->data;
	/* It is gone, and has not read all: what it has said is still there. */
	const char *why = status < 0 ? GONE : NULL;

	/* One at a time: others of the loop get their turn. */
	if (!why)
		receive(link, &why);
	if (why && !link->is_closed)
		end(link, why);
}

static void on_timer(uv_timer_t *timer)
{
	end(timer->data, "the other daemon has not answered in time");
}

void handover_link_wait(struct handover_link *link, uint32_t timeout_ms)
{
	if (!link->is_closed)
		uv_timer_start(&link->timer, on_timer, timeout_ms, 0);
}

int handover_link_open(uv_loop_t *loop, int fd, const struct handover_link_ops *ops, void *context,
	struct handover_link **out_link)
{
	struct handover_link *link = calloc(1, sizeof(*link));
	int status = -ENOMEM;

	if (!link)
		goto close_fd;
	link->fd = fd;
	link->ops = ops;
	link->context = context;
	link->buffers = secret_create(2 * (size_t)BUFFER_SIZE);
	if (!link->buffers)
		goto free_link;
	status = uv_poll_init(loop, &link->poll, fd);
	if (status < 0)
		goto destroy_buffers;
	uv_timer_init(loop, &link->timer);
	link->poll.data = link->timer.data = link;
	uv_poll_start(&link->poll, UV_READABLE | UV_DISCONNECT, on_ready);
	*out_link = link;
	return 0;

destroy_buffers:
	secret_destroy(link->buffers);
free_link:
	free(link);
close_fd:
	close(fd);
	return status;
}

/* ---- what goes ---- */

struct kmp_writer *handover_link_begin(
	struct handover_link *link, enum kmp_type type, uint32_t sequence, uint32_t acknowledgement)
{
	kmp_begin(&link->writer, out(link), KMP_MESSAGE_MAX, type, sequence, acknowledgement);
	return &link->writer;
}

int handover_link_send(struct handover_link *link)
{
	size_t size = kmp_end(&link->writer);
	ssize_t sent;
	int status = 0;

	if (link->is_closed)
		return -EPIPE;
	do
		sent = size ? send(link->fd, out(link), size, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		status = errno == EAGAIN || errno == ENOBUFS ? -EAGAIN : -EPIPE;
	explicit_bzero(out(link), link->writer.size);
	return size ? status : -EMSGSIZE;
}
