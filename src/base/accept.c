/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/accept.h"

#include "base/log.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Given up for the moment that it takes to turn somebody away. */
static int spare = -1;

static void keep_spare(void)
{
	if (spare < 0)
		spare = eventfd(0, EFD_CLOEXEC);
}

static int try(int listener, struct sockaddr *from, socklen_t *size)
{
	int fd = accept4(listener, from, size, SOCK_NONBLOCK | SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void turn_away(int listener)
{
	struct sockaddr nobody;
	socklen_t size = sizeof(nobody);
	int fd;

	if (spare >= 0)
		close(spare);
	spare = -1;
	fd = try(listener, &nobody, &size);
	if (fd >= 0)
		close(fd);
}

int accept_connection(int listener, struct sockaddr *from, socklen_t *size)
{
	int fd;

	keep_spare();
	fd = try(listener, from, size);
	if (fd != -EMFILE && fd != -ENFILE)
		return fd;
	turn_away(listener);
	keep_spare();
	log_warning("connection_refused", log_errno(fd), log_str("hint", "LimitNOFILE="));
	return fd;
}
