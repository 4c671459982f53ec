/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Somebody in a guest who speaks vsock without the agent, for the scenarios. Prints what came of
 * it: "refused", "connected", or how the host ended what he had said.
 *
 *	guest-hostile connect FROM-PORT TO-PORT    from 0: any, as those that have no right have
 *	guest-hostile say SEED                     garbage, from a privileged port
 *	guest-hostile claim SEED                   a process's first frame, then garbage
 *	guest-hostile many                         connections until one is refused: how many
 */
#include "channel/ring_stream.h"

#include <err.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GARBAGE_SIZE 200000

/* A negative errno, of the connecting. */
static int connect_from(uint32_t from, uint32_t to)
{
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		err(1, "socket");
	address.svm_port = from;
	if (from > 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "bind to %u", from);
	address.svm_cid = VMADDR_CID_HOST;
	address.svm_port = to;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int why = -errno;

		close(fd);
		return why;
	}
	return fd;
}

static void say_result(int fd)
{
	if (fd >= 0)
		puts("connected");
	else
		puts(fd == -ECONNRESET ? "refused" : strerror(-fd));
}

static void fill(uint8_t *bytes, size_t size, unsigned int seed)
{
	srand(seed);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)rand();
}

static size_t put_process(uint8_t *bytes)
{
	const struct stream_process who = {.version = GUEST_VERSION, .pid = 1};
	const struct stream_head head = {
		.size = sizeof(head) + sizeof(who), .kind = STREAM_PROCESS};

	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), &who, sizeof(who));
	return head.size;
}

static void say(bool claims, unsigned int seed)
{
	static uint8_t bytes[GARBAGE_SIZE];
	int fd = connect_from(999, GUEST_PORT);
	size_t said = claims ? put_process(bytes) : 0;

	if (fd < 0)
		errx(1, "connect: %s", strerror(-fd));
	fill(bytes + said, sizeof(bytes) - said, seed);
	/* It may be ended before all is said. */
	while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
		;
	puts("ended");
}

static void open_many(void)
{
	uint32_t count = 0;

	while (count < GUEST_PORT_MAX && connect_from(count + 1, GUEST_PORT) >= 0)
		count++;
	printf("%u\n", count);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "connect") == 0)
		say_result(connect_from((uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3])));
	else if (argc == 3 && strcmp(argv[1], "say") == 0)
		say(false, (unsigned int)atoi(argv[2]));
	else if (argc == 3 && strcmp(argv[1], "claim") == 0)
		say(true, (unsigned int)atoi(argv[2]));
	else if (argc == 2 && strcmp(argv[1], "many") == 0)
		open_many();
	else
		errx(2, "see the top of guest_hostile.c");
	return 0;
}
