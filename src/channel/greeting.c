/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/greeting.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GREETING_TIMEOUT_NS (10 * CLOCK_NS_PER_S)
/* Of those that were accepted: all together cannot have more of us. */
#define GREETING_STRANGERS_MAX 32

/* A network that is cut is found out within this, also when there is nothing to say. */
#define KEEPALIVE_IDLE_S     5
#define KEEPALIVE_INTERVAL_S 2
#define KEEPALIVE_COUNT      3
#define USER_TIMEOUT_MS      10000

struct greeting {
	struct list node; /* in greetings */
	uv_poll_t poll;
	struct cmm *cmm;
	struct tls_session *session;
	int fd;                      /* the session's */
	char peer[ATTACH_NAME_SIZE]; /* "": not known yet */
	char address[64];
	uint64_t deadline_ns;
	bool is_dialled, is_connected, is_secured;
	uint8_t hello[CMM_HELLO_SIZE], answer[CMM_HELLO_SIZE];
	size_t said, heard;
};

/* All of it belongs to the loop's thread. */
static struct list greetings = {&greetings, &greetings};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

/* With the session, unless it has found another owner. */
static void greeting_close(struct greeting *greeting)
{
	list_remove(&greeting->node);
	uv_close((uv_handle_t *)&greeting->poll, on_closed);
	tls_session_close(greeting->session);
}

/* Each failure is told once, however often it is tried again. */
static void greeting_fail(struct greeting *greeting, bool is_refusal, const char *why)
{
	struct peer *peer = greeting->peer[0] ? cmm_find_peer(greeting->cmm, greeting->peer) : NULL;
	bool is_new = !peer || strcmp(peer->failure.text, why) != 0;

	if (peer)
		error_set(&peer->failure, -EACCES, "%s", why);
	if (is_new)
		log_warning("link_failed", log_str("peer", greeting->peer),
			log_str("address", greeting->address), log_str("why", why));
	if (is_new && is_refusal)
		cmm_tell_refused(greeting->cmm, peer, greeting->address, why);
	greeting_close(greeting);
}

bool greeting_is_under_way(const char *peer)
{
	list_foreach (node, &greetings)
		if (strcmp(list_entry(node, struct greeting, node)->peer, peer) == 0)
			return true;
	return false;
}

void greeting_tick(void)
{
	uint64_t now_ns = clock_monotonic_ns();

	list_foreach_safe (node, &greetings) {
		struct greeting *greeting = list_entry(node, struct greeting, node);

		if (now_ns > greeting->deadline_ns)
			greeting_fail(greeting, false,
				greeting->is_connected ? "it takes too long to say who it is"
						       : "no answer from its address");
	}
}

void greeting_close_all(void)
{
	list_foreach_safe (node, &greetings)
		greeting_close(list_entry(node, struct greeting, node));
}

/* --- Steps: 1: done, 0: wait, negative: it is over, which was told --- */

static int connect_step(struct greeting *greeting)
{
	int code = 0;
	socklen_t size = sizeof(code);

	if (getsockopt(greeting->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
		code = errno;
	if (code) {
		greeting_fail(greeting, false, strerror(code));
		return -code;
	}
	greeting->is_connected = true;
	return 1;
}

/* The peer whose certificate it is: the one that was called, or any. */
static struct peer *find_peer(const struct greeting *greeting)
{
	list_foreach (node, &greeting->cmm->peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (greeting->peer[0] && strcmp(peer->name, greeting->peer) != 0)
			continue;
		if (peer->settings && tls_session_is_of(greeting->session, peer->settings))
			return peer;
	}
	return NULL;
}

static int secure_step(struct greeting *greeting, int *events)
{
	char why[ERROR_TEXT_SIZE], name[128];
	bool wants_write = false;
	struct error error;
	int status = tls_session_handshake(greeting->session, &wants_write, &error);
	struct peer *peer;

	if (status == -EAGAIN) {
		*events = wants_write ? UV_WRITABLE : UV_READABLE;
		return 0;
	}
	if (status < 0) {
		greeting_fail(greeting, true, error.text);
		return status;
	}
	peer = find_peer(greeting);
	if (!peer) {
		tls_session_name(greeting->session, name, sizeof(name));
		snprintf(why, sizeof(why), "its certificate is %s: %s",
			greeting->peer[0] ? "another one's" : "no peer's", name);
		greeting_fail(greeting, true, why);
		return -EACCES;
	}
	snprintf(greeting->peer, sizeof(greeting->peer), "%s", peer->name);
	greeting->is_secured = true;
	return 1;
}

/* A part of the first frame, in one direction. */
static int exchange(struct greeting *greeting, size_t *done,
	ssize_t (*act)(struct greeting *greeting, size_t left))
{
	while (*done < CMM_HELLO_SIZE) {
		ssize_t count = act(greeting, CMM_HELLO_SIZE - *done);

		if (count == -EAGAIN)
			return 0;
		if (count <= 0) {
			/* A certificate that it does not like it tells behind its handshake. */
			greeting_fail(greeting, false,
				count == -EBADMSG ? "it has refused our certificate"
						  : "it has closed the connection");
			return -EPIPE;
		}
		*done += (size_t)count;
	}
	return 1;
}

static ssize_t say(struct greeting *greeting, size_t left)
{
	return tls_session_write(greeting->session, greeting->hello + greeting->said, left);
}

static ssize_t hear(struct greeting *greeting, size_t left)
{
	return tls_session_read(greeting->session, greeting->answer + greeting->heard, left);
}

static int hello_step(struct greeting *greeting, int *events)
{
	struct cmm_frame frame;
	int status = exchange(greeting, &greeting->said, say);

	*events = UV_WRITABLE;
	if (status <= 0)
		return status;
	*events = UV_READABLE;
	status = exchange(greeting, &greeting->heard, hear);
	if (status <= 0)
		return status;
	if (cmm_frame_read(greeting->answer, CMM_HELLO_SIZE, &frame) == CMM_HELLO_SIZE
		&& frame.type == CMM_HELLO && frame.incarnation != 0)
		return 1;
	greeting_fail(greeting, true, "it speaks another protocol, or another version");
	return -EPROTO;
}

static void greeting_end(struct greeting *greeting, bool is_dialled)
{
	struct peer *peer = cmm_find_peer(greeting->cmm, greeting->peer);
	struct link_stream stream = tls_session_stream(greeting->session);
	struct cmm_frame frame;
	int status;

	cmm_frame_read(greeting->answer, CMM_HELLO_SIZE, &frame);
	/* Out of the loop's poll set before it goes into a lane's. */
	if (peer)
		greeting->session = NULL;
	greeting_close(greeting);
	if (!peer)
		return;
	status = cmm_peer_connect(peer, &stream, frame.incarnation, is_dialled);
	if (status < 0 && status != -EALREADY)
		log_error("link_not_taken", log_str("peer", peer->name), log_errno(status));
}

static void on_event(uv_poll_t *poll, int status, int events);

static void greeting_go_on(struct greeting *greeting)
{
	int events = UV_WRITABLE, status = 1;
	bool is_dialled = greeting->is_dialled;

	if (!greeting->is_connected)
		status = connect_step(greeting);
	if (status > 0 && !greeting->is_secured)
		status = secure_step(greeting, &events);
	if (status > 0)
		status = hello_step(greeting, &events);
	if (status > 0)
		greeting_end(greeting, is_dialled);
	else if (status == 0)
		uv_poll_start(&greeting->poll, events, on_event);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct greeting *greeting = poll->data;

	/* That there is an error, and not which one. */
	if (status < 0 && greeting->is_connected)
		greeting_fail(greeting, false, "it has closed the connection");
	else
		greeting_go_on(greeting);
}

/* --- Beginning --- */

static void set_option(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)) < 0)
		log_warning("link_option", log_int("option", option), log_errno(-errno));
}

static void set_options(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
}

/* The one that has had the most time to prove who it is goes: who needs a place has it long enough,
 * and silent ones keep nobody out. */
static void make_place(void)
{
	struct greeting *oldest = NULL;
	uint32_t count = 0;

	list_foreach (node, &greetings) {
		struct greeting *greeting = list_entry(node, struct greeting, node);

		if (greeting->is_dialled)
			continue;
		oldest = oldest ? oldest : greeting;
		count++;
	}
	if (count >= GREETING_STRANGERS_MAX)
		greeting_fail(oldest, false, "it has not said who it is, and others have come");
}

int greeting_open(uv_loop_t *loop, struct cmm *cmm, struct tls *tls, int fd, const char *peer,
	const char *address)
{
	const struct cmm_frame hello = {.type = CMM_HELLO, .incarnation = cmm->incarnation};
	uint8_t frame[CMM_CONTROL_MAX];
	struct greeting *greeting;
	int status;

	if (!peer)
		make_place();
	greeting = calloc(1, sizeof(*greeting));
	if (!greeting) {
		close(fd);
		return -ENOMEM;
	}
	set_options(fd);
	status = tls_session_open(tls, fd, peer != NULL, &greeting->session);
	if (status == 0 && (status = uv_poll_init(loop, &greeting->poll, fd)) < 0)
		tls_session_close(greeting->session);
	if (status < 0) {
		free(greeting);
		return status;
	}
	cmm_frame_write(frame, &hello);
	memcpy(greeting->hello, frame, CMM_HELLO_SIZE);
	greeting->cmm = cmm;
	greeting->fd = fd;
	greeting->is_dialled = peer != NULL;
	greeting->is_connected = !peer;
	snprintf(greeting->peer, sizeof(greeting->peer), "%s", peer ? peer : "");
	snprintf(greeting->address, sizeof(greeting->address), "%s", address);
	greeting->deadline_ns = clock_monotonic_ns() + GREETING_TIMEOUT_NS;
	greeting->poll.data = greeting;
	list_append(&greetings, &greeting->node);
	uv_poll_start(&greeting->poll, peer ? UV_WRITABLE : UV_READABLE, on_event);
	return 0;
}
