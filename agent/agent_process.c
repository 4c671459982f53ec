/* SPDX-License-Identifier: BSD-3-Clause */
#include "agent/agent_process.h"

#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Requests and reads of a process before others get their turn. */
#define AGENT_BURST 16
/* Ticks that a role may be silent. */
#define AGENT_SILENCE_MAX 2

struct agent_process {
	struct list node;
	struct ring_stream stream; /* its owner is found by it */
	int epoll;
	int fd;                                 /* the process; -1: gone */
	int role;                               /* vsock */
	uint32_t watched_process, watched_role; /* of epoll(7) */
	bool is_connected, is_due;
	uint32_t silence; /* ticks since the role has said something */
	struct ucred credentials;
};

static struct agent_process *process_of(struct ring_stream *stream)
{
	return list_entry(stream, struct agent_process, stream);
}

struct list *agent_process_node(struct agent_process *process)
{
	return &process->node;
}

struct agent_process *agent_process_of(struct list *node)
{
	return list_entry(node, struct agent_process, node);
}

void agent_process_wake(struct agent_process *process)
{
	process->is_due = true;
}

/* events 0: not at all, since an end would be told again and again. */
static int watch(struct agent_process *process, int fd, uint32_t *watched, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = process};
	int operation = !events ? EPOLL_CTL_DEL : *watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	if (*watched == events)
		return 0;
	*watched = events;
	return epoll_ctl(process->epoll, operation, fd, &event) < 0 ? -errno : 0;
}

/* --- To the process --- */

static int tell_process(
	int fd, const struct attach_notice *notice, const int *descriptors, size_t count)
{
	struct iovec part = {(void *)notice, sizeof(*notice)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	DESCRIPTORS_ROOM(ATTACH_DESCRIPTORS) room;

	descriptors_attach(&header, &room, descriptors, count);
	/* Who does not read what it has to know is gone. */
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -ECONNRESET : 0;
}

static void close_any(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* The ring, the bell that wakes us, and a pipe that wakes the process: as the role makes them. Its
 * descriptors come out, but for the mirror's. */
static int open_descriptors(uint64_t capacity, int descriptors[ATTACH_DESCRIPTORS], int *wake)
{
	int ends[2] = {-1, -1};

	descriptors[ATTACH_MEMORY] = ring_memory_create(capacity);
	if (descriptors[ATTACH_MEMORY] < 0)
		return descriptors[ATTACH_MEMORY];
	descriptors[ATTACH_BELL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (descriptors[ATTACH_BELL] < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	descriptors[ATTACH_WAKE] = ends[0];
	*wake = ends[1];
	return 0;
}

/* Takes wake and bell. As a process may empty a bell that it shares, none is read here; each ring
 * is an edge. */
static int open_mirror(struct agent_process *process, const struct stream_head *head,
	const struct attach_notice *notice, const int *descriptors, int wake)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = process};
	const struct stream_head what = {.row = head->row, .value = head->value == ATTACH_SEND};
	struct ring_mirror *mirror;
	int status = ring_mirror_open(&process->stream, &what, descriptors[ATTACH_MEMORY],
		notice->capacity, wake, descriptors[ATTACH_BELL], &mirror);

	if (status == 0
		&& epoll_ctl(process->epoll, EPOLL_CTL_ADD, descriptors[ATTACH_BELL], &event) < 0)
		status = -errno;
	return status;
}

static int answer_with_ring(struct agent_process *process, const struct stream_head *head,
	const struct attach_notice *notice)
{
	int descriptors[ATTACH_DESCRIPTORS] = {-1, -1, -1}, wake = -1;
	int status = open_descriptors(notice->capacity, descriptors, &wake);

	if (status == 0) {
		status = open_mirror(process, head, notice, descriptors, wake);
		if (status == 0)
			status = tell_process(process->fd, notice, descriptors, ATTACH_DESCRIPTORS);
	} else {
		close_any(descriptors[ATTACH_BELL]);
	}
	close_any(descriptors[ATTACH_MEMORY]);
	close_any(descriptors[ATTACH_WAKE]);
	return status;
}

/* What was delivered is seen by who sees the end. */
static void end_ring(struct agent_process *process, uint32_t row, uint32_t reason)
{
	struct ring_mirror *mirror = ring_mirror_find(&process->stream, row);
	uint64_t one = 1;

	if (!mirror)
		return;
	__atomic_store_n(&mirror->view.shared->end, reason, __ATOMIC_RELEASE);
	(void)!write(mirror->notify, &one, sizeof(one));
	/* The bell is the process's, too: it leaves the set with the mirror only so. */
	(void)epoll_ctl(process->epoll, EPOLL_CTL_DEL, mirror->wait, NULL);
	ring_mirror_close(&process->stream, mirror);
}

static int on_frame(struct ring_stream *stream, const struct stream_head *head, const void *body)
{
	struct agent_process *process = process_of(stream);
	struct attach_notice notice;

	if (head->kind == STREAM_ALIVE)
		return 0;
	if (head->kind == STREAM_GONE) {
		end_ring(process, head->row, ATTACH_REASON_REVOKED);
		return 0;
	}
	if (head->kind != STREAM_NOTICE || head->size != sizeof(*head) + sizeof(notice))
		return -EPROTO;
	memcpy(&notice, body, sizeof(notice));
	/* Of a process that is gone only what it had sent is still under way. */
	if (process->fd < 0)
		return 0;
	if (head->value)
		return answer_with_ring(process, head, &notice);
	if (notice.kind == ATTACH_DOWN)
		end_ring(process, head->row, notice.reason);
	return tell_process(process->fd, &notice, NULL, 0);
}

/* --- From the process --- */

static void process_is_gone(struct agent_process *process)
{
	close(process->fd);
	process->fd = -1;
}

/* As the role does on a host (channel/agent.c). */
static bool is_from_owner(const struct agent_process *process, struct msghdr *header)
{
	pid_t sender = descriptors_sender(header);

	return sender != 0 && sender == process->credentials.pid;
}

/* 1: a request is on its way, 0: none, -ECONNRESET: it is gone, -EPROTO: it is to be turned out. */
static int read_request(struct agent_process *process)
{
	struct stream_head head = {.kind = STREAM_REQUEST};
	struct attach_request request;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec part = {&request, sizeof(request)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t size = recvmsg(process->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (size == 0)
		return -ECONNRESET;
	if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || !is_from_owner(process, &header))
		return -EPROTO;
	head.size = (uint32_t)(sizeof(head) + (size_t)size);
	return ring_stream_queue(&process->stream, &head, &request) < 0 ? -EPROTO : 1;
}

static bool may_ask(const struct agent_process *process)
{
	return process->fd >= 0 && process->is_connected
		&& ring_stream_waiting(&process->stream) < STREAM_TX_BYTES;
}

/* --- The stream --- */

static void refuse(int fd, int status)
{
	const struct attach_notice notice = {.kind = ATTACH_ANSWER, .status = status};

	(void)tell_process(fd, &notice, NULL, 0);
}

/* The kernel keeps these ports for who may have them: the role believes nobody else. */
static int bind_privileged(int fd)
{
	static uint32_t last;
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};

	for (uint32_t i = 0; i < GUEST_PORT_MAX; i++) {
		last = last % GUEST_PORT_MAX + 1;
		address.svm_port = last;
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

static int connect_role(void)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = GUEST_PORT};
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), status;

	if (fd < 0)
		return -errno;
	status = bind_privileged(fd);
	if (status == 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0
		&& errno != EINPROGRESS)
		status = -errno;
	if (status < 0) {
		close(fd);
		return status;
	}
	return fd;
}

/* The kernel says that connecting is over. What the connection says first is who the process is. */
static int end_connecting(struct agent_process *process)
{
	const struct stream_process who = {.version = GUEST_VERSION,
		.pid = (uint32_t)process->credentials.pid,
		.uid = process->credentials.uid};
	const struct stream_head head = {
		.size = sizeof(head) + sizeof(who), .kind = STREAM_PROCESS};
	struct sockaddr_vm peer;
	socklen_t size = sizeof(peer);
	int code = 0;
	socklen_t code_size = sizeof(code);

	if (getsockopt(process->role, SOL_SOCKET, SO_ERROR, &code, &code_size) < 0 || code
		|| getpeername(process->role, (struct sockaddr *)&peer, &size) < 0) {
		refuse(process->fd, -ECONNREFUSED);
		return -ECONNRESET;
	}
	process->is_connected = true;
	return ring_stream_queue(&process->stream, &head, &who);
}

static int read_role(struct agent_process *process)
{
	uint8_t bytes[16384];
	ssize_t got = recv(process->role, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (got == 0)
		return -ECONNRESET;
	process->silence = 0;
	return ring_stream_take(&process->stream, bytes, (size_t)got) < 0 ? -ECONNRESET : 1;
}

/* 1: there may be more to write, 0: it takes no more now, or there is nothing. */
static int write_role(struct agent_process *process)
{
	ssize_t written;

	if (ring_stream_fill(&process->stream) < 0)
		return -ECONNRESET;
	if (ring_stream_waiting(&process->stream) == 0)
		return 0;
	written = send(process->role, ring_stream_next(&process->stream),
		ring_stream_waiting(&process->stream), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (written < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	ring_stream_sent(&process->stream, (size_t)written);
	return 1;
}

/* --- The process --- */

struct agent_process *agent_process_open(int epoll, int fd)
{
	static const struct ring_stream_ops ops = {.frame = on_frame};
	struct agent_process *process = calloc(1, sizeof(*process));
	socklen_t size = sizeof(process->credentials);
	int role = connect_role(), status = role;

	if (process && status >= 0
		&& getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process->credentials, &size) < 0)
		status = -errno;
	if (!process || status < 0) {
		refuse(fd, -ECONNREFUSED);
		if (role >= 0)
			close(role);
		close(fd);
		free(process);
		return NULL;
	}
	list_init(&process->node);
	ring_stream_open(&process->stream, &ops);
	process->epoll = epoll;
	process->fd = fd;
	process->role = role;
	if (watch(process, role, &process->watched_role, EPOLLOUT) < 0) {
		agent_process_close(process);
		return NULL;
	}
	return process;
}

void agent_process_close(struct agent_process *process)
{
	list_remove(&process->node);
	/* Bells are their processes', too. */
	list_foreach (node, &process->stream.mirrors)
		(void)epoll_ctl(process->epoll, EPOLL_CTL_DEL,
			list_entry(node, struct ring_mirror, node)->wait, NULL);
	ring_stream_close(&process->stream);
	if (process->fd >= 0)
		close(process->fd);
	close(process->role);
	free(process);
}

/* What its descriptors are to tell next. */
static int watch_all(struct agent_process *process)
{
	bool must_write = !process->is_connected || ring_stream_waiting(&process->stream) > 0;
	int status = watch(process, process->role, &process->watched_role,
		EPOLLIN | (must_write ? EPOLLOUT : 0));

	if (status == 0 && process->fd >= 0)
		status = watch(process, process->fd, &process->watched_process,
			may_ask(process) ? EPOLLIN : 0);
	return status;
}

/* The process, as far as it may speak: 1: there is more. */
static int run_requests(struct agent_process *process)
{
	int status = 1;

	for (int i = 0; i < AGENT_BURST && status > 0; i++) {
		if (!may_ask(process))
			return 0;
		status = read_request(process);
	}
	if (status == -ECONNRESET) {
		process_is_gone(process);
		return 0;
	}
	return status;
}

static int run_stream(struct agent_process *process)
{
	int got = 1, put = 1;

	for (int i = 0; i < AGENT_BURST && (got > 0 || put > 0); i++) {
		got = read_role(process);
		put = got < 0 ? got : write_role(process);
		if (got < 0 || put < 0)
			return -ECONNRESET;
	}
	return got > 0 || put > 0;
}

static int run(struct agent_process *process)
{
	int asked, moved;

	if (!process->is_connected && end_connecting(process) < 0)
		return -ECONNRESET;
	asked = run_requests(process);
	if (asked < 0)
		return -ECONNRESET;
	moved = run_stream(process);
	if (moved < 0 || watch_all(process) < 0)
		return -ECONNRESET;
	/* What a process had sent before it went goes before its connection does. */
	if (process->fd < 0 && ring_stream_waiting(&process->stream) == 0)
		return -ECONNRESET;
	if (asked || moved)
		return 1;
	return ring_stream_waiting(&process->stream) == 0 && !ring_stream_arm(&process->stream);
}

int agent_process_tick(struct agent_process *process)
{
	const struct stream_head head = {.size = sizeof(head), .kind = STREAM_ALIVE};

	if (!process->is_connected)
		return 0;
	if (process->silence++ >= AGENT_SILENCE_MAX)
		return -ECONNRESET;
	process->is_due = true;
	/* What waits already is a question, too. */
	return ring_stream_waiting(&process->stream) > 0
		? 0
		: ring_stream_queue(&process->stream, &head, NULL);
}

int agent_process_run(struct agent_process *process)
{
	int status = process->is_due ? run(process) : 0;

	process->is_due = status > 0;
	return status;
}
