/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The closed list of what roles may ask of the broker, documented in README.md. Which role may ask
 * what is in the role's row; a request that is not there is refused and logged.
 */
#include "main/broker_state.h"
#include "main/params.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a role's memory across restarts: the state of a configuration in all its versions. */
#define BROKER_KEPT_MAX (64 * 1024 * 1024)

static void broker_set_role_log(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"sink", "level", NULL};
	static const char *const levels[] = {"error", "warning", "info", "debug"};
	const json_t *params = ipc_request_params(request);
	struct supervised *from = context;
	struct broker *broker = from->broker;
	char sink[PARAMS_PATH_SIZE] = "stderr", level[16] = "info";
	struct error error = {0};
	int status, level_index = -1;

	status = params_only(params, names, &error);
	if (status == 0)
		status = params_string(params, "sink", false, sizeof(sink), NULL, sink, &error);
	if (status == 0)
		status = params_string(params, "level", false, sizeof(level), NULL, level, &error);
	for (int i = 0; i < 4; i++)
		if (strcmp(level, levels[i]) == 0)
			level_index = i;
	if (status == 0 && level_index < 0)
		status = error_set(
			&error, -EINVAL, "parameter `level` must be error, warning, info or debug");
	if (status == 0 && sink[0] != '/' && strcmp(sink, "stderr") != 0
		&& strcmp(sink, "journald") != 0)
		status = error_set(&error, -EINVAL,
			"parameter `sink` must be stderr, journald or an absolute path");
	if (status == 0 && sink[0] == '/' && !path_is_clean(sink))
		status =
			error_set(&error, -EINVAL, "parameter `sink` has `..` or `//` in its path");
	if (status == 0) {
		broker->log_level = (enum log_level)level_index;
		broker->log_sink = sink[0] == '/'     ? LOG_SINK_FILE
			: strcmp(sink, "stderr") == 0 ? LOG_SINK_STDERR
						      : LOG_SINK_JOURNALD;
		strcpy(broker->log_path, sink);
		broker_put_self(broker);
		status = broker_tell_log(broker, NULL, &error);
	}
	if (status < 0)
		ipc_reply_failed(request, status, error.text);
	else
		ipc_reply(request, json_object());
}

static json_t *broker_role_row(const char *name, const char *state, pid_t pid, unsigned restarts,
	uint64_t since_ms, uint64_t uptime_ms, const char *reason)
{
	return json_pack("{s:s, s:s, s:i, s:i, s:I, s:I, s:s}", "name", name, "state", state, "pid",
		(int)pid, "restarts", (int)restarts, "since_ms", (json_int_t)since_ms, "uptime_ms",
		(json_int_t)uptime_ms, "reason", reason);
}

static void broker_list_roles(struct ipc_request *request, void *context)
{
	struct supervised *from = context;
	struct broker *broker = from->broker;
	uint64_t now_ms = uv_now(&broker->loop);
	json_t *rows = json_array();

	json_array_append_new(rows,
		broker_role_row("broker", broker->phase == BROKER_STOPPING ? "stopping" : "ready",
			getpid(), broker->restarts, now_ms - broker->started_at_ms,
			now_ms - broker->started_at_ms, broker->reason));
	for (size_t i = 0; i < broker->role_count; i++) {
		struct supervised *row = &broker->supervised[i];

		json_array_append_new(rows,
			broker_role_row(row->role->name, supervised_state_name(row->life.state),
				row->life.pid, row->life.restarts, now_ms - row->life.changed_at_ms,
				row->life.pid ? now_ms - row->life.started_at_ms : 0,
				row->life.reason));
	}
	ipc_reply(request, json_pack("{s:o}", "roles", rows));
}

static void broker_restart_role(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"role", NULL};
	const json_t *params = ipc_request_params(request);
	struct supervised *from = context;
	struct broker *broker = from->broker;
	struct supervised *wanted = NULL;
	struct error error = {0};
	char name[32];
	int status;

	status = params_only(params, names, &error);
	if (status == 0)
		status = params_string(params, "role", true, sizeof(name),
			"abcdefghijklmnopqrstuvwxyz_", name, &error);
	for (size_t i = 0; status == 0 && i < broker->role_count; i++)
		if (strcmp(broker->supervised[i].role->name, name) == 0)
			wanted = &broker->supervised[i];
	if (status == 0 && (!wanted || wanted == from))
		status = error_set(&error, -EINVAL, "there is no other role `%s`", name);
	if (status == 0)
		status = broker_restart(wanted, &error);
	if (status < 0)
		ipc_reply_failed(request, status, error.text);
	else
		ipc_reply(request, json_object());
}

/* Sealed: what the role gets back is what it gave, and what is kept cannot grow. The second is
 * memory that the role goes on writing to, in the size that it has. */
static int check_kept(int fd, bool is_written_to, struct error *error)
{
	const int wanted =
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | (is_written_to ? 0 : F_SEAL_WRITE);
	struct stat info;
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &info) < 0)
		return error_set(error, -EINVAL,
			"the %sdescriptor must be memory of memfd_create(2) with all seals%s",
			is_written_to ? "second " : "", is_written_to ? " but F_SEAL_WRITE" : "");
	if (info.st_size > BROKER_KEPT_MAX)
		return error_set(error, -E2BIG, "no more than %d MiB are kept for a role",
			BROKER_KEPT_MAX / (1024 * 1024));
	return 0;
}

static void close_kept(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void broker_keep(struct ipc_request *request, void *context)
{
	static const char *const names[] = {NULL};
	struct supervised *from = context;
	size_t count = ipc_request_descriptor_count(request);
	int fds[BROKER_KEPT_COUNT];
	struct error error = {0};
	int status = params_only(ipc_request_params(request), names, &error);

	if (status == 0 && (count == 0 || count > BROKER_KEPT_COUNT))
		status = error_set(&error, -EINVAL, "one descriptor is kept, or two");
	for (size_t i = 0; i < BROKER_KEPT_COUNT; i++)
		fds[i] = ipc_request_take_descriptor(request, i);
	for (size_t i = 0; status == 0 && i < count; i++)
		status = check_kept(fds[i], i > 0, &error);
	if (status < 0) {
		close_kept(fds, BROKER_KEPT_COUNT);
		ipc_reply_failed(request, status, error.text);
		return;
	}
	close_kept(from->kept_fds, from->kept_count);
	memcpy(from->kept_fds, fds, sizeof(fds));
	from->kept_count = count;
	supervised_put(from);
	ipc_reply(request, json_object());
}

static void broker_kept(struct ipc_request *request, void *context)
{
	static const char *const names[] = {NULL};
	struct supervised *from = context;
	struct error error = {0};
	int status = params_only(ipc_request_params(request), names, &error);

	if (status < 0)
		ipc_reply_failed(request, status, error.text);
	else
		ipc_reply_with_descriptors(
			request, json_object(), from->kept_fds, from->kept_count);
}

static const struct ipc_method broker_methods[] = {
	{"broker.open_config", broker_open_config},
	{"broker.open_rules", broker_open_rules},
	{"broker.open_cache", broker_open_cache},
	{"broker.open_key", broker_open_key},
	{"broker.open_append", broker_open_append},
	{"broker.listen_unix", broker_listen_unix},
	{"broker.connect_unix", broker_connect_unix},
	{"broker.listen_tcp", broker_listen_tcp},
	{"broker.connect_tcp", broker_connect_tcp},
	{"broker.open_tap", broker_open_tap},
	{"broker.close_tap", broker_close_tap},
	{"broker.open_packet_socket", broker_open_packet_socket},
	{"broker.start_program", broker_start_program},
	{"broker.stop_program", broker_stop_program},
	{"broker.set_role_log", broker_set_role_log},
	{"broker.roles", broker_list_roles},
	{"broker.restart_role", broker_restart_role},
	{"broker.keep", broker_keep},
	{"broker.kept", broker_kept},
	{0},
};

static bool broker_is_allowed(const struct role *role, const char *method)
{
	for (const char *const *name = role->requests; *name; name++)
		if (strcmp(*name, method) == 0)
			return true;
	return false;
}

void broker_handle_request(struct ipc_request *request, struct supervised *from)
{
	const char *method = ipc_request_method(request);

	if (!broker_is_allowed(from->role, method)) {
		log_warning("broker_request_refused", log_str("from", from->role->name),
			log_str("method", method));
		ipc_reply_error(
			request, IPC_FORBIDDEN, "the role's row does not list this request", NULL);
		return;
	}
	ipc_dispatch(broker_methods, request, from);
}
