/* SPDX-License-Identifier: BSD-3-Clause */
/* What a process says to the channel role on its partition's socket (channel/attach_protocol.h). */
#include "bulkhead/channel.h"

#include "base/descriptors.h"
#include "lib/channel_private.h"
#include "lib/now.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS          20000
#define ANSWER_MS        10000 /* a role that takes longer is taken for one that is gone */
#define CONNECT_PAUSE_MS 10

/* Left of a time that ends at end_ms (0: never), for poll(2). */
static int left_ms(int64_t end_ms)
{
	int64_t now = now_ms();

	if (end_ms == 0)
		return -1;
	return end_ms > now ? (int)(end_ms - now) : 0;
}

static int64_t end_of(int timeout_ms)
{
	return timeout_ms < 0 ? 0 : now_ms() + timeout_ms;
}

/* --- Notices --- */

/* One packet. -EAGAIN: none. Descriptors that came are the caller's. */
static int receive_notice(struct bulkhead_channels *channels, struct attach_notice *notice,
	int descriptors[ATTACH_DESCRIPTORS], int *count)
{
	DESCRIPTORS_ROOM(ATTACH_DESCRIPTORS) room;
	struct iovec part = {notice, sizeof(*notice)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};
	ssize_t size = recvmsg(channels->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	/* That we were not heard; what was said to us is behind it. */
	if (size < 0 && errno == ECONNRESET)
		size = recvmsg(channels->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*count = 0;
	if (size < 0)
		return errno == EINTR ? -EAGAIN : errno == EAGAIN ? -EAGAIN : -ECONNRESET;
	*count = (int)descriptors_take(&header, descriptors, ATTACH_DESCRIPTORS);
	return size == sizeof(*notice) ? 0 : -ECONNRESET;
}

static struct bulkhead_channel *find_channel(const struct bulkhead_channels *channels, uint32_t row)
{
	struct bulkhead_channel *channel = channels->first;

	while (channel && channel->row != row)
		channel = channel->next;
	return channel;
}

/* What the role tells of a channel without having been asked. */
static void take_notice(struct bulkhead_channels *channels, const struct attach_notice *notice)
{
	struct bulkhead_channel *channel = find_channel(channels, notice->row);

	if (!channel)
		return;
	if (notice->kind == ATTACH_UP) {
		channel->message_max = notice->message_max;
		channel->is_up = 1;
	} else if (notice->kind == ATTACH_DOWN) {
		channel->reason = notice->reason;
	} else if (notice->kind == ATTACH_REFUSED
		&& strncmp(notice->partition, channel->remote, sizeof(channel->remote)) == 0) {
		channel->was_refused = 1;
	}
}

/* Waits for the next packet. -ETIMEDOUT, -EINTR, -ECONNRESET. */
static int next_notice(struct bulkhead_channels *channels, struct attach_notice *notice,
	int descriptors[ATTACH_DESCRIPTORS], int *count, int64_t end_ms)
{
	struct pollfd socket = {.fd = channels->fd, .events = POLLIN};
	int status;

	while ((status = receive_notice(channels, notice, descriptors, count)) == -EAGAIN) {
		int ready = poll(&socket, 1, left_ms(end_ms));

		if (ready < 0)
			return -errno;
		if (ready == 0)
			return -ETIMEDOUT;
	}
	return status;
}

static void close_all(const int *descriptors, int count)
{
	for (int i = 0; i < count; i++)
		close(descriptors[i]);
}

/* Asks, and waits for the answer; a signal does not end that. The answer's status, or what the
 * socket says. Descriptors (NULL: none are expected) are the caller's on success. */
static int ask(struct bulkhead_channels *channels, struct attach_request *request,
	struct attach_notice *answer, int descriptors[ATTACH_DESCRIPTORS], int *count)
{
	int received[ATTACH_DESCRIPTORS], received_count = 0, status;
	int64_t end_ms = end_of(ANSWER_MS);

	if (channels->pid != getpid())
		return -EPERM;
	request->serial = ++channels->serial;
	/* A role that has closed the socket may have said why before: that is read first. */
	(void)!send(channels->fd, request, sizeof(*request), MSG_NOSIGNAL);
	for (;;) {
		do
			status = next_notice(channels, answer, received, &received_count, end_ms);
		while (status == -EINTR);
		if (status < 0)
			return status == -ETIMEDOUT ? -ECONNRESET : status;
		/* Serial 0 is of who was not let in at all. */
		if (answer->kind == ATTACH_ANSWER
			&& (answer->serial == request->serial || answer->serial == 0))
			break;
		take_notice(channels, answer);
		close_all(received, received_count);
	}
	if (descriptors && answer->status == 0) {
		memcpy(descriptors, received, sizeof(received));
		*count = received_count;
	} else {
		close_all(received, received_count);
	}
	return answer->status;
}

/* --- Attaching --- */

static int connect_once(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		int why = -errno;

		close(fd);
		return why;
	}
	return fd;
}

/* A role that is on its way: not there yet, or, as it ended, it let us in and was gone. */
static int is_coming(int status)
{
	return status == -ENOENT || status == -ECONNREFUSED || status == -ECONNRESET;
}

static int say_hello(struct bulkhead_channels *channels, const struct sockaddr_un *address)
{
	struct attach_request hello = {.operation = ATTACH_HELLO, .endpoint = ATTACH_VERSION};
	struct attach_notice answer;
	int status = connect_once(address);

	channels->fd = status;
	if (status >= 0)
		status = ask(channels, &hello, &answer, NULL, NULL);
	if (status == 0)
		memcpy(channels->partition, answer.partition, sizeof(channels->partition) - 1);
	else if (channels->fd >= 0)
		close(channels->fd);
	if (status < 0)
		channels->fd = -1;
	return status;
}

int bulkhead_channels_attach(const char *path, int timeout_ms, struct bulkhead_channels **out)
{
	const struct timespec pause = {.tv_nsec = CONNECT_PAUSE_MS * 1000000L};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t end_ms = end_of(timeout_ms);
	struct bulkhead_channels *channels;
	int status;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	channels = calloc(1, sizeof(*channels));
	if (!channels)
		return -ENOMEM;
	channels->pid = getpid();
	channels->spin_ns = SPIN_NS;
	while (is_coming(status = say_hello(channels, &address)) && left_ms(end_ms) != 0)
		nanosleep(&pause, NULL);
	if (status < 0) {
		bulkhead_channels_detach(channels);
		return status;
	}
	*out = channels;
	return 0;
}

void bulkhead_channels_detach(struct bulkhead_channels *channels)
{
	if (!channels)
		return;
	while (channels->first)
		bulkhead_channel_close(channels->first);
	if (channels->fd >= 0)
		close(channels->fd);
	free(channels);
}

const char *bulkhead_channels_partition(const struct bulkhead_channels *channels)
{
	return channels->partition;
}

void bulkhead_channels_set_spin(struct bulkhead_channels *channels, unsigned int spin_us)
{
	channels->spin_ns = spin_us * 1000ULL;
}

int bulkhead_channels_bind(struct bulkhead_channels *channels, uint32_t endpoint, uint32_t *out)
{
	struct attach_request request = {.operation = ATTACH_BIND, .endpoint = endpoint};
	struct attach_notice answer;
	int status = ask(channels, &request, &answer, NULL, NULL);

	if (status == 0 && out)
		*out = answer.endpoint;
	return status;
}

int bulkhead_channels_unbind(struct bulkhead_channels *channels, uint32_t endpoint)
{
	struct attach_request request = {.operation = ATTACH_UNBIND, .endpoint = endpoint};
	struct attach_notice answer;
	int status = ask(channels, &request, &answer, NULL, NULL);
	struct bulkhead_channel *channel;

	for (channel = channels->first; channel && status == 0; channel = channel->next)
		if (channel->endpoint == endpoint && !channel->reason)
			channel->reason = ATTACH_REASON_REVOKED;
	return status;
}

/* --- Opening --- */

static int act(struct bulkhead_channel *channel, uint32_t operation)
{
	struct attach_request request = {.operation = operation, .row = channel->row};
	struct attach_notice answer;

	return ask(channel->channels, &request, &answer, NULL, NULL);
}

/* One descriptor for both that can happen: the role wakes us, or is gone. */
static int open_descriptor(struct bulkhead_channel *channel)
{
	struct epoll_event wake = {.events = EPOLLIN}, gone = {.events = EPOLLRDHUP};

	channel->descriptor = epoll_create1(EPOLL_CLOEXEC);
	if (channel->descriptor < 0
		|| epoll_ctl(channel->descriptor, EPOLL_CTL_ADD, channel->wake, &wake) < 0
		|| epoll_ctl(channel->descriptor, EPOLL_CTL_ADD, channel->channels->fd, &gone) < 0)
		return -errno;
	return 0;
}

static int authorise(struct bulkhead_channel *channel,
	const struct bulkhead_channel_options *options, uint32_t remote_endpoint)
{
	struct attach_request request = {.operation = ATTACH_AUTHORISE,
		.endpoint = channel->endpoint,
		.remote_endpoint = remote_endpoint,
		.direction = channel->direction,
		.message_max = options ? options->message_max : 0,
		.capacity = options ? options->ring_capacity : 0};
	int descriptors[ATTACH_DESCRIPTORS], count = 0, status;
	struct attach_notice answer;

	memcpy(request.remote, channel->remote, sizeof(request.remote));
	status = ask(channel->channels, &request, &answer, descriptors, &count);
	if (status < 0)
		return status;
	channel->row = answer.row;
	channel->message_max = answer.message_max;
	if (count != ATTACH_DESCRIPTORS) {
		close_all(descriptors, count);
		return -ECONNRESET;
	}
	channel->bell = descriptors[ATTACH_BELL];
	channel->wake = descriptors[ATTACH_WAKE];
	status = ring_memory_map(descriptors[ATTACH_MEMORY], answer.capacity, &channel->view);
	close(descriptors[ATTACH_MEMORY]);
	channel->producer.view = channel->consumer.view = channel->view;
	return status < 0 ? status : open_descriptor(channel);
}

/* The receiver's agent has the key made, and the request sent; an end that is not there yet is
 * waited for. */
static int request_channel(struct bulkhead_channel *channel)
{
	int status = act(channel, ATTACH_KEY);

	if (status == 0)
		status = act(channel, ATTACH_CONNECT);
	channel->was_refused = status == -EXDEV || status == -EADDRNOTAVAIL;
	return status == -ENOENT || status == -EINPROGRESS || channel->was_refused ? 0 : status;
}

int bulkhead_channel_open(struct bulkhead_channels *channels,
	enum bulkhead_channel_direction direction, uint32_t endpoint, const char *remote,
	uint32_t remote_endpoint, const struct bulkhead_channel_options *options, int timeout_ms,
	struct bulkhead_channel **out)
{
	struct bulkhead_channel *channel = calloc(1, sizeof(*channel));
	int status;

	if (!channel)
		return -ENOMEM;
	channel->channels = channels;
	channel->direction = direction;
	channel->endpoint = endpoint;
	channel->bell = channel->wake = channel->descriptor = -1;
	channel->next = channels->first;
	channels->first = channel;
	status = strlen(remote) < sizeof(channel->remote) ? 0 : -EINVAL;
	if (status == 0) {
		strcpy(channel->remote, remote);
		status = authorise(channel, options, remote_endpoint);
	}
	if (status == 0 && direction == BULKHEAD_CHANNEL_RECEIVE)
		status = request_channel(channel);
	if (status == 0 && timeout_ms != 0)
		status = bulkhead_channel_wait(channel, timeout_ms);
	if (status < 0) {
		bulkhead_channel_close(channel);
		return status;
	}
	*out = channel;
	return 0;
}

int bulkhead_channel_wait(struct bulkhead_channel *channel, int timeout_ms)
{
	struct bulkhead_channels *channels = channel->channels;
	int descriptors[ATTACH_DESCRIPTORS], count, status;
	int64_t end_ms = end_of(timeout_ms);
	struct attach_notice notice;

	if (channels->pid != getpid())
		return -EPERM;
	while (!channel->is_up && !channel->reason) {
		status = next_notice(channels, &notice, descriptors, &count, end_ms);
		if (status == -ETIMEDOUT && channel->was_refused)
			return -EACCES;
		if (status < 0)
			return status;
		close_all(descriptors, count);
		take_notice(channels, &notice);
	}
	return channel->is_up ? 0 : -EPIPE;
}

static void unlink_channel(struct bulkhead_channel *channel)
{
	struct bulkhead_channel **at = &channel->channels->first;

	while (*at != channel)
		at = &(*at)->next;
	*at = channel->next;
}

void bulkhead_channel_close(struct bulkhead_channel *channel)
{
	if (!channel)
		return;
	/* What ended by itself has no row any more, and -EBADSLT says no more than that. */
	if (channel->row && !channel->reason)
		(void)act(channel, ATTACH_REVOKE);
	unlink_channel(channel);
	if (channel->channels->pid == getpid())
		ring_memory_unmap(&channel->view);
	if (channel->bell >= 0)
		close(channel->bell);
	if (channel->wake >= 0)
		close(channel->wake);
	if (channel->descriptor >= 0)
		close(channel->descriptor);
	free(channel);
}

const char *bulkhead_channel_reason(const struct bulkhead_channel *channel)
{
	static const char *const words[] = {NULL,
#define WORD(name, word, text) word,
		ATTACH_REASONS(WORD)
#undef WORD
	};
	uint32_t reason = channel->reason;

	if (!reason && channel->view.shared)
		reason = __atomic_load_n(&channel->view.shared->end, __ATOMIC_ACQUIRE);
	return reason < sizeof(words) / sizeof(words[0]) ? words[reason] : "unknown";
}
