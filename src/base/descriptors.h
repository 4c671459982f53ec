/* SPDX-License-Identifier: BSD-3-Clause */
/* What is beside a message on a Unix socket: descriptors, and who sent it (unix(7), SCM_RIGHTS and
 * SCM_CREDENTIALS). Any thread. */
#pragma once

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a message's msg_control points to when it has up to max descriptors. */
#define DESCRIPTORS_ROOM(max)                                                                      \
	union {                                                                                    \
		struct cmsghdr header; /* for its alignment */                                     \
		char space[CMSG_SPACE((max) * sizeof(int))];                                       \
	}

/* Puts descriptors (0: none) beside the message. room is a DESCRIPTORS_ROOM() for so many, and
 * stays until the message is sent. */
static inline void descriptors_attach(
	struct msghdr *message, void *room, const int *descriptors, size_t count)
{
	struct cmsghdr *header = room;

	if (count == 0)
		return;
	memset(room, 0, CMSG_SPACE(count * sizeof(int)));
	message->msg_control = room;
	message->msg_controllen = CMSG_SPACE(count * sizeof(int));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
}

/* Takes those that came with the message, up to max: they are the caller's, in out; others are
 * closed. Returns how many. What was cut off (MSG_CTRUNC) the kernel has closed. */
static inline size_t descriptors_take(struct msghdr *message, int *out, size_t max)
{
	size_t taken = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
		header = CMSG_NXTHDR(message, header)) {
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int each;

			memcpy(&each, CMSG_DATA(header) + i * sizeof(int), sizeof(each));
			if (taken < max)
				out[taken++] = each;
			else
				close(each);
		}
	}
	return taken;
}

/* The process that sent a message which has nothing beside it but credentials (SO_PASSCRED); 0: not
 * said. */
static inline pid_t descriptors_sender(struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	struct ucred credentials;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS)
		return 0;
	memcpy(&credentials, CMSG_DATA(header), sizeof(credentials));
	return credentials.pid;
}
