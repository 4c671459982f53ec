/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/port/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What usually is wrong is a folder. */
static int check_folder(const char *path, struct error *error)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash)
		return error_set(error, -EINVAL, "%s is no absolute path", path);
	*(slash == folder ? slash + 1 : slash) = '\0';
	if (access(folder, W_OK | X_OK) < 0)
		return error_set(error, -EACCES,
			"the folder %s is not writable for the packet role's user: %s", folder,
			strerror(errno));
	return 0;
}

static bool is_served(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool result;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	/* The kernel looks for a listener first: EPROTOTYPE is one with another type of socket. */
	result = fd >= 0
		&& (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0
			|| errno == EAGAIN || errno == EPROTOTYPE);
	if (fd >= 0)
		close(fd);
	return result;
}

int socket_file_prepare(const char *path, struct error *error)
{
	struct stat status;
	int result = check_folder(path, error);

	if (result < 0 || lstat(path, &status) < 0)
		return result;
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, -EEXIST,
			"%s exists and is no socket; remove it or choose another path", path);
	if (is_served(path))
		return error_set(error, -EADDRINUSE, "another process listens on %s", path);
	if (unlink(path) < 0)
		return error_set(error, -errno, "cannot remove the stale socket %s: %s", path,
			strerror(errno));
	return 0;
}

int socket_file_set_mode(const char *path, mode_t mode)
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), result = 0;
	struct stat status;
	char name[64];

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode) || status.st_uid != geteuid())
		result = -EPERM;
	else if (chmod(name, mode) < 0)
		result = -errno;
	close(fd);
	return result;
}

bool socket_file_find_problem(const char *path, struct error *error)
{
	if (access(path, W_OK) == 0 || errno != EACCES)
		return false;
	error_set(error, -EACCES,
		"the packet role's user (uid %u) may not write to the socket %s; give it to that "
		"user or to a group of his",
		(unsigned)getuid(), path);
	return true;
}
