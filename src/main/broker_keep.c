/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the keeper holds for the next broker (keeper.h), and how that one takes it. Each item is put
 * again when it changes, before anybody is told of the change.
 */
#include "base/descriptors.h"
#include "main/broker_state.h"
#include "main/death.h"
#include "main/keeper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors in this order, those that there are: of the process, the channel, the kept memory. */
struct role_item {
	struct supervised_life life;
	bool has_channel;
	size_t kept_count; /* BROKER_KEPT_COUNT at most */
};

struct broker_item {
	enum broker_phase phase;
	bool is_reloading;
	enum log_sink log_sink;
	enum log_level log_level;
	char log_path[sizeof(((struct broker *)0)->log_path)];
};

static_assert(sizeof(struct broker_item) <= KEEPER_DATA_MAX, "fits a message");
static_assert(sizeof(struct role_item) <= KEEPER_DATA_MAX, "fits a message");

/* The keeper does nothing but read: a full socket is so for a moment. When it is gone, so is the
 * broker soon. */
static void send_to_keeper(struct broker *broker, const struct keeper_message *message,
	size_t data_size, const int *descriptors, size_t descriptor_count)
{
	DESCRIPTORS_ROOM(KEEPER_DESCRIPTORS_MAX) room;
	struct iovec part = {(void *)message, offsetof(struct keeper_message, data) + data_size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	struct pollfd writable = {.fd = broker->keeper_fd, .events = POLLOUT};

	descriptors_attach(&header, &room, descriptors, descriptor_count);
	while (sendmsg(broker->keeper_fd, &header, MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			poll(&writable, 1, -1);
		else if (errno != EINTR)
			return;
	}
}

static void change_item(struct broker *broker, enum keeper_operation operation, const char *kind,
	const char *name, const void *data, size_t size, const int *descriptors,
	size_t descriptor_count)
{
	struct keeper_message message = {.operation = operation};

	if (broker->keeper_fd < 0 || !broker->is_kept)
		return;
	snprintf(message.key, sizeof(message.key), "%s:%s", kind, name);
	if (size > 0)
		memcpy(message.data, data, size);
	send_to_keeper(broker, &message, size, descriptors, descriptor_count);
}

void broker_put(struct broker *broker, const char *kind, const char *name, const void *data,
	size_t size, const int *descriptors, size_t descriptor_count)
{
	change_item(broker, KEEPER_PUT, kind, name, data, size, descriptors, descriptor_count);
}

void broker_drop(struct broker *broker, const char *kind, const char *name)
{
	change_item(broker, KEEPER_DROP, kind, name, NULL, 0, NULL, 0);
}

void broker_notify(struct broker *broker, const char *format, ...)
{
	struct keeper_message message = {.operation = KEEPER_NOTIFY};
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf((char *)message.data, sizeof(message.data), format, arguments);
	va_end(arguments);
	if (broker->keeper_fd >= 0 && size >= 0 && (size_t)size < sizeof(message.data))
		send_to_keeper(broker, &message, (size_t)size, NULL, 0);
}

void broker_put_self(struct broker *broker)
{
	struct broker_item item;

	memset(&item, 0, sizeof(item));
	item.phase = broker->phase;
	item.is_reloading = broker->is_reloading;
	item.log_sink = broker->log_sink;
	item.log_level = broker->log_level;
	memcpy(item.log_path, broker->log_path, sizeof(item.log_path));
	broker_put(broker, "broker", "", &item, sizeof(item), NULL, 0);
}

void supervised_put(struct supervised *supervised)
{
	struct role_item item;
	int descriptors[2 + BROKER_KEPT_COUNT];
	size_t count = 0;

	memset(&item, 0, sizeof(item));
	item.life = supervised->life;
	item.has_channel = supervised->channel != NULL;
	item.kept_count = supervised->kept_count;
	if (item.life.pid)
		descriptors[count++] = supervised->pidfd;
	if (item.has_channel)
		descriptors[count++] = supervised->channel_fd;
	for (size_t i = 0; i < item.kept_count; i++)
		descriptors[count++] = supervised->kept_fds[i];
	broker_put(supervised->broker, "role", supervised->role->name, &item, sizeof(item),
		descriptors, count);
}

static void take_role(
	struct broker *broker, const char *name, const struct role_item *item, int *descriptors)
{
	for (size_t i = 0; i < broker->role_count; i++) {
		struct supervised *supervised = &broker->supervised[i];

		if (strcmp(supervised->role->name, name) != 0)
			continue;
		supervised->life = item->life;
		if (item->life.pid)
			supervised->pidfd = *descriptors++;
		if (item->has_channel)
			supervised->channel_fd = *descriptors++;
		supervised->kept_count = item->kept_count;
		for (size_t k = 0; k < item->kept_count; k++)
			supervised->kept_fds[k] = *descriptors++;
	}
}

static void take_self(struct broker *broker, const struct broker_item *item)
{
	broker->phase = item->phase;
	broker->is_reloading = item->is_reloading;
	broker->log_sink = item->log_sink;
	broker->log_level = item->log_level;
	memcpy(broker->log_path, item->log_path, sizeof(broker->log_path));
}

/* From a broker of the same program, which runs as long as its keeper does: its bytes are ours. */
static void take_item(void *context, const char *key, const void *data, size_t size,
	int *descriptors, size_t descriptor_count)
{
	struct broker *broker = context;
	const char *name = strchr(key, ':') + 1;
	union {
		struct role_item role;
		struct broker_item self;
	} item;

	if (strncmp(key, "role:", 5) == 0 && size == sizeof(item.role)) {
		memcpy(&item.role, data, size);
		take_role(broker, name, &item.role, descriptors);
	} else if (strncmp(key, "broker:", 7) == 0 && size == sizeof(item.self)) {
		memcpy(&item.self, data, size);
		take_self(broker, &item.self);
	} else if (strncmp(key, "tap:", 4) == 0) {
		broker_take_tap(broker, name, data, size, descriptors, descriptor_count);
	} else if (strncmp(key, "program:", 8) == 0) {
		broker_take_program(broker, name, data, size);
	} else if (strncmp(key, "socket:", 7) == 0) {
		broker_remember_socket(broker, name);
	}
}

int broker_take_over(struct broker *broker, struct error *error)
{
	struct handover_header header;
	int status;

	fcntl(KEEPER_FD, F_SETFD, FD_CLOEXEC);
	status = handover_read(HANDOVER_FD, &header, take_item, broker);
	close(HANDOVER_FD);
	if (status < 0)
		return error_set(
			error, status, "what the keeper hands over: %s", strerror(-status));
	broker->ready_fd = header.ready_fd;
	broker->restarts = header.restarts;
	broker->is_kept = header.restarts > 0;
	broker->is_asked_to_stop = header.is_asked_to_stop;
	if (header.ready_fd >= 0)
		fcntl(header.ready_fd, F_SETFD, FD_CLOEXEC);
	if (header.restarts > 0)
		death_describe(header.last.pid, header.last.status, broker->reason,
			sizeof(broker->reason));
	return 0;
}
