/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files and Unix sockets for the roles. Everything but the configuration file is opened with the
 * rights of the roles' user, so that a path a compromised role made up gives it nothing.
 */
#include "main/broker_state.h"
#include "main/params.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RULES_PATTERNS_MAX 256
#define RULES_FILES_MAX    1024
/* Of folders that one request may read: a pattern of a role that was taken over, such as one
 * wildcard behind the other, must not hold the broker up. */
#define RULES_ENTRIES_MAX 65536
#define LISTEN_BACKLOG    64
#define CACHE_FILE        "rules.cache"

/* A socket that is unlinked when the daemon ends. */
struct broker_socket {
	struct list node;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static const struct identity *broker_identity(void *context)
{
	return &((struct supervised *)context)->broker->identity;
}

static void broker_reply_descriptor(struct ipc_request *request, const char *path, int fd)
{
	ipc_reply_with_descriptors(request, json_pack("{s:s}", "path", path), &fd, 1);
	close(fd);
}

void broker_open_config(struct ipc_request *request, void *context)
{
	static const char *const names[] = {NULL};
	const char *path = ((struct supervised *)context)->broker->options->config_path;
	struct error error = {0};
	struct stat info;
	int fd, status = params_only(ipc_request_params(request), names, &error);

	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	status = fd < 0 || fstat(fd, &info) < 0 ? -errno : 0;
	if (status == 0 && !S_ISREG(info.st_mode))
		status = -EINVAL;
	if (status == 0) {
		broker_reply_descriptor(request, path, fd);
		return;
	}
	error_set(&error, status, "%s: %s", path,
		status == -EINVAL ? "is not a regular file" : strerror(-status));
	if (fd >= 0)
		close(fd);
	ipc_reply_failed(request, status, error.text);
}

static size_t rules_entries; /* that the request under way has read */

static void *rules_opendir(const char *path)
{
	if (++rules_entries > RULES_ENTRIES_MAX)
		return NULL;
	return opendir(path);
}

static struct dirent *rules_readdir(void *folder)
{
	return ++rules_entries > RULES_ENTRIES_MAX ? NULL : readdir(folder);
}

static void rules_closedir(void *folder)
{
	closedir(folder);
}

static int rules_lstat(const char *path, struct stat *out)
{
	return ++rules_entries > RULES_ENTRIES_MAX ? -1 : lstat(path, out);
}

static int rules_stat(const char *path, struct stat *out)
{
	return ++rules_entries > RULES_ENTRIES_MAX ? -1 : stat(path, out);
}

static int rules_glob(const char *pattern, glob_t *found)
{
	*found = (glob_t){.gl_opendir = rules_opendir,
		.gl_readdir = rules_readdir,
		.gl_closedir = rules_closedir,
		.gl_lstat = rules_lstat,
		.gl_stat = rules_stat};
	return glob(pattern, GLOB_ALTDIRFUNC, NULL, found);
}

/* The files that the patterns match, in their order; each pattern without a file is missing. */
static int rules_find(
	const json_t *patterns, char **paths, size_t *count, json_t *missing, struct error *error)
{
	const json_t *value;
	size_t index;

	rules_entries = 0;
	json_array_foreach (patterns, index, value) {
		const char *pattern = json_string_value(value);
		glob_t found;
		int status;

		if (json_string_length(value) >= PARAMS_PATH_SIZE || !path_is_clean(pattern))
			return error_set(error, -EINVAL,
				"parameter `patterns`: element %zu is no absolute path", index);
		status = rules_glob(pattern, &found);
		if (status != 0)
			json_array_append_new(missing, json_string(pattern));
		for (size_t i = 0; status == 0 && i < found.gl_pathc; i++) {
			if (*count < RULES_FILES_MAX)
				paths[*count] = strdup(found.gl_pathv[i]);
			*count += 1;
		}
		globfree(&found);
		if (rules_entries > RULES_ENTRIES_MAX)
			return error_set(error, -E2BIG,
				"the pattern %s reads too many folders; name them", pattern);
	}
	if (*count > RULES_FILES_MAX) {
		*count = RULES_FILES_MAX;
		return error_set(
			error, -E2BIG, "the patterns match more than %d files", RULES_FILES_MAX);
	}
	return 0;
}

static int rules_open_one(const char *path, struct error *error)
{
	/* O_NONBLOCK: a FIFO must not stop the broker. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat info;
	const char *why = NULL;

	if (fd < 0 || fstat(fd, &info) < 0)
		return error_set(error, -errno, "%s: %s (the roles' user must be able to read it)",
			path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		why = "is not a regular file";
	else if (info.st_mode & S_IWOTH)
		why = "can be written by everybody; chmod o-w it";
	if (!why)
		return fd;
	close(fd);
	return error_set(error, -EPERM, "%s: %s", path, why);
}

static int rules_open_page(char **paths, size_t count, size_t first, json_t *files, int *fds,
	size_t *fd_count, struct error *error)
{
	for (size_t i = first; i < count && *fd_count < IPC_DESCRIPTORS_MAX; i++) {
		int fd = rules_open_one(paths[i], error);

		if (fd < 0)
			return fd;
		fds[(*fd_count)++] = fd;
		json_array_append_new(files, json_pack("{s:s}", "path", paths[i]));
	}
	return 0;
}

static int rules_check_params(const json_t *params, int64_t *after, struct error *error)
{
	static const char *const names[] = {"patterns", "after", NULL};
	const json_t *patterns = json_object_get(params, "patterns");
	const json_t *value;
	size_t index;
	int status = params_only(params, names, error);

	if (status < 0)
		return status;
	if (!json_is_array(patterns) || json_array_size(patterns) > RULES_PATTERNS_MAX)
		return error_set(error, -EINVAL,
			"parameter `patterns` must be a list of up to %d patterns",
			RULES_PATTERNS_MAX);
	json_array_foreach (patterns, index, value)
		if (!json_is_string(value) || strlen(json_string_value(value)) == 0)
			return error_set(error, -EINVAL,
				"parameter `patterns`: element %zu is no path", index);
	return params_integer(params, "after", false, 0, RULES_FILES_MAX, after, error);
}

void broker_open_rules(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	json_t *files = json_array(), *missing = json_array();
	char *paths[RULES_FILES_MAX];
	int fds[IPC_DESCRIPTORS_MAX];
	size_t count = 0, fd_count = 0;
	struct error error = {0};
	int64_t after = 0;
	int status;

	status = rules_check_params(params, &after, &error);
	if (status == 0) {
		identity_assume(broker_identity(context), (gid_t)-1);
		status = rules_find(
			json_object_get(params, "patterns"), paths, &count, missing, &error);
		if (status == 0)
			status = rules_open_page(
				paths, count, (size_t)after, files, fds, &fd_count, &error);
		identity_resume();
	}
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
	} else {
		size_t next = (size_t)after + fd_count;

		ipc_reply_with_descriptors(request,
			json_pack("{s:O, s:O, s:o}", "files", files, "missing", missing, "next",
				next < count ? json_integer((json_int_t)next) : json_null()),
			fds, fd_count);
	}
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	for (size_t i = 0; i < count; i++)
		free(paths[i]);
	json_decref(files);
	json_decref(missing);
}

/* Whether nobody but the roles' user and root may change what is there. */
static bool cache_is_own(const struct identity *identity, const struct stat *info)
{
	return (info->st_uid == identity->uid || info->st_uid == 0)
		&& !(info->st_mode & (S_IWGRP | S_IWOTH));
}

/* The file in the folder; one that others had a hand in is replaced. With the roles' rights. */
static int cache_open_file(const struct identity *identity, int folder)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int fd = openat(folder, CACHE_FILE, flags, 0600);
	struct stat info;

	if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1
		&& cache_is_own(identity, &info))
		return fd;
	if (fd >= 0)
		close(fd);
	if (unlinkat(folder, CACHE_FILE, 0) < 0)
		return -errno;
	fd = openat(folder, CACHE_FILE, flags | O_EXCL, 0600);
	return fd < 0 ? -errno : fd;
}

static int cache_open(const struct identity *identity, const char *path, struct error *error)
{
	int folder, fd;
	struct stat info;

	identity_assume(identity, (gid_t)-1);
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0 || fstat(folder, &info) < 0)
		fd = error_set(error, -errno, "%s: %s", path, strerror(errno));
	else if (!cache_is_own(identity, &info))
		fd = error_set(error, -EPERM,
			"%s: must belong to the user %s, and nobody else may write it", path,
			identity->user);
	else if ((fd = cache_open_file(identity, folder)) < 0)
		error_set(error, fd, "%s/" CACHE_FILE ": %s (the user %s must be able to write it)",
			path, strerror(-fd), identity->user);
	if (folder >= 0)
		close(folder);
	identity_resume();
	return fd;
}

/* A request with one path, by the parameter key. */
static void answer_open(struct ipc_request *request, void *context, const char *key,
	int (*open_path)(const struct identity *identity, const char *path, struct error *error))
{
	const char *const names[] = {key, NULL};
	const json_t *params = ipc_request_params(request);
	char path[PARAMS_PATH_SIZE];
	struct error error = {0};
	int fd = -1, status = params_only(params, names, &error);

	if (status == 0)
		status = params_path(params, key, sizeof(path), path, &error);
	if (status == 0)
		status = fd = open_path(broker_identity(context), path, &error);
	if (status < 0)
		ipc_reply_failed(request, status, error.text);
	else
		broker_reply_descriptor(request, path, fd);
}

void broker_open_cache(struct ipc_request *request, void *context)
{
	answer_open(request, context, "folder", cache_open);
}

int broker_append_file(const struct identity *identity, const char *path, struct error *error)
{
	struct stat info;
	int fd, status;

	identity_assume(identity, (gid_t)-1);
	fd = open(path,
		O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
		0640);
	status = fd < 0 ? -errno : 0;
	identity_resume();
	if (status < 0)
		return error_set(error, status,
			"%s: cannot be opened for appending: %s (its folder must be writable for "
			"the user %s)",
			path, strerror(-status), identity->user);
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
		close(fd);
		return error_set(error, -EINVAL, "%s: is not a regular file", path);
	}
	return fd;
}

/* A key: of one file, that nobody but its owner and group can read. With the roles' rights. */
static int key_open_file(const struct identity *identity, const char *path, struct error *error)
{
	/* O_NONBLOCK: a FIFO must not stop the broker. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	const char *why = NULL;
	struct stat info;

	if (fd < 0)
		return error_set(error, -errno, "%s: %s (the roles' user must be able to read it)",
			path, strerror(errno));
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		why = "is not a regular file";
	else if (info.st_mode & (S_IRWXO | S_IWGRP))
		why = "others than its owner and group can read it, or others than its owner write "
		      "it; chmod 0640 it";
	else if (info.st_uid != 0 && info.st_uid != identity->uid)
		why = "belongs neither to root nor to the roles' user";
	if (!why)
		return fd;
	close(fd);
	return error_set(error, -EPERM, "%s: %s", path, why);
}

static int key_open(const struct identity *identity, const char *path, struct error *error)
{
	int fd;

	identity_assume(identity, (gid_t)-1);
	fd = key_open_file(identity, path, error);
	identity_resume();
	return fd;
}

void broker_open_key(struct ipc_request *request, void *context)
{
	answer_open(request, context, "path", key_open);
}

void broker_open_append(struct ipc_request *request, void *context)
{
	answer_open(request, context, "path", broker_append_file);
}

/* Connects a socket of type to path, with the rights of now; the descriptor or a negative errno. */
static int unix_connect(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int status;

	if (fd < 0)
		return -errno;
	strcpy(address.sun_path, path); /* its size was checked */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	status = -errno;
	close(fd);
	return status;
}

/* Removes a socket at path that nobody listens on. */
static int unix_remove_stale(const char *path, int type, struct error *error)
{
	struct stat info;
	int fd;

	if (lstat(path, &info) < 0)
		return errno == ENOENT ? 0
				       : error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(info.st_mode))
		return error_set(error, -EEXIST,
			"%s: is there, and not a socket; remove it or choose another path", path);
	fd = unix_connect(path, type);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || fd == -EAGAIN || fd == -EPROTOTYPE)
		return error_set(error, -EADDRINUSE,
			"%s: another process listens there; stop it or choose another path", path);
	if (unlink(path) < 0)
		return error_set(error, -errno, "%s: stale socket cannot be removed: %s", path,
			strerror(errno));
	return 0;
}

/* The folders above a path that are missing, as far as the roles' user may make them: what is in
 * /run is gone after each boot. What cannot be made shows when the socket is bound. */
static void make_folders_above(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	mode_t old_mask = umask(0022);

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
		mkdir(folder, 0755);
	}
	umask(old_mask);
}

static int unix_bind(const struct identity *identity, const char *path, int type, mode_t mode,
	gid_t group, bool makes_folders, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t old_mask;
	int fd, status;

	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(error, -errno, "socket: %s", strerror(errno));
	strcpy(address.sun_path, path);
	identity_assume(identity, group);
	if (makes_folders)
		make_folders_above(path);
	/* Mode and group are there from the first moment. */
	old_mask = umask(0777 & ~mode);
	status = unix_remove_stale(path, type, error);
	if (status == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		status = error_set(error, -errno,
			"%s: cannot be made: %s (its folder must be writable for the user %s)",
			path, strerror(errno), identity->user);
	umask(old_mask);
	identity_resume();
	if (status == 0 && listen(fd, LISTEN_BACKLOG) < 0)
		status = error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (status < 0) {
		close(fd);
		return status;
	}
	return fd;
}

void broker_remember_socket(struct broker *broker, const char *path)
{
	struct broker_socket *entry;

	list_foreach (node, &broker->listening)
		if (strcmp(list_entry(node, struct broker_socket, node)->path, path) == 0)
			return;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return; /* a socket stays behind, and is found stale at the next start */
	strcpy(entry->path, path);
	list_append(&broker->listening, &entry->node);
	broker_put(broker, "socket", path, NULL, 0, NULL, 0);
}

void broker_put_sockets(struct broker *broker)
{
	list_foreach (node, &broker->listening)
		broker_put(broker, "socket", list_entry(node, struct broker_socket, node)->path,
			NULL, 0, NULL, 0);
}

static int listen_unix_group(const json_t *params, gid_t *out, struct error *error)
{
	const struct group *entry;
	char name[33];
	int status;

	if (!json_object_get(params, "group"))
		return 0;
	status = params_string(params, "group", true, sizeof(name), NULL, name, error);
	if (status < 0)
		return status;
	entry = getgrnam(name);
	if (entry) {
		*out = entry->gr_gid;
		return 0;
	}
	/* The package's group is not there on a machine where nothing was installed. */
	if (strcmp(name, IDENTITY_USER) == 0) {
		log_warning("socket_group_missing", log_str("group", name),
			log_str("effect", "only root and the roles' user can use the socket"));
		return 0;
	}
	return error_set(error, -ENOENT, "there is no group %s (control.group)", name);
}

/* The parameter `type`, as the number of socket(2). */
static int unix_type(const json_t *params, int *out, struct error *error)
{
	static const char *const words[] = {"stream", "dgram", "seqpacket"};
	static const int numbers[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	char type[16] = "";
	int status = params_string(params, "type", false, sizeof(type), NULL, type, error);

	if (status < 0 || !type[0])
		return status;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		*out = numbers[i];
		if (strcmp(type, words[i]) == 0)
			return 0;
	}
	return error_set(error, -EINVAL, "parameter `type` must be stream, dgram or seqpacket");
}

void broker_listen_unix(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"path", "type", "mode", "group", "folders", NULL};
	const json_t *params = ipc_request_params(request);
	const json_t *folders = json_object_get(params, "folders");
	const struct identity *identity = broker_identity(context);
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	gid_t group = identity->gid;
	struct error error = {0};
	int64_t mode = 0660;
	int fd = -1, status = params_only(params, names, &error), type = SOCK_SEQPACKET;

	if (status == 0)
		status = params_path(params, "path", sizeof(path), path, &error);
	if (status == 0)
		status = unix_type(params, &type, &error);
	if (status == 0 && type == SOCK_DGRAM)
		status = error_set(&error, -EINVAL, "a dgram socket does not listen");
	if (status == 0)
		status = params_integer(params, "mode", false, 0, 0777, &mode, &error);
	if (status == 0)
		status = listen_unix_group(params, &group, &error);
	if (status == 0 && folders && !json_is_boolean(folders))
		status = error_set(&error, -EINVAL, "parameter `folders` must be true or false");
	if (status == 0)
		status = fd = unix_bind(
			identity, path, type, (mode_t)mode, group, json_is_true(folders), &error);
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	broker_remember_socket(((struct supervised *)context)->broker, path);
	broker_reply_descriptor(request, path, fd);
}

void broker_connect_unix(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"path", "type", NULL};
	const json_t *params = ipc_request_params(request);
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct error error = {0};
	int fd = -1, status = params_only(params, names, &error), type = SOCK_STREAM;

	if (status == 0)
		status = params_path(params, "path", sizeof(path), path, &error);
	if (status == 0)
		status = unix_type(params, &type, &error);
	if (status == 0) {
		identity_assume(broker_identity(context), (gid_t)-1);
		status = fd = unix_connect(path, type);
		identity_resume();
		if (status < 0)
			error_set(
				&error, status, "%s: cannot connect: %s", path, strerror(-status));
	}
	if (status < 0)
		ipc_reply_failed(request, status, error.text);
	else
		broker_reply_descriptor(request, path, fd);
}

void broker_make_folders(const struct broker *broker)
{
	static const char *const folders[] = {
		"/run/bulkhead", "/var/log/bulkhead", "/var/cache/bulkhead"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		struct stat info;

		/* Their parents are root's, so nobody puts another folder in their place. systemd
		 * makes them, too, and for root. */
		mkdir(folders[i], 0755);
		if (lstat(folders[i], &info) < 0 || !S_ISDIR(info.st_mode)
			|| info.st_uid == broker->identity.uid)
			continue;
		if (lchown(folders[i], broker->identity.uid, broker->identity.gid) < 0)
			log_warning(
				"folder_not_given", log_str("path", folders[i]), log_errno(-errno));
	}
}

void broker_unlink_sockets(struct broker *broker)
{
	list_foreach_safe (node, &broker->listening) {
		struct broker_socket *entry = list_entry(node, struct broker_socket, node);
		struct stat info;

		identity_assume(&broker->identity, (gid_t)-1);
		if (lstat(entry->path, &info) == 0 && S_ISSOCK(info.st_mode))
			unlink(entry->path);
		identity_resume();
		list_remove(node);
		free(entry);
	}
}
