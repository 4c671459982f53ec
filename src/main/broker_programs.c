/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lives of programs (program.h): started for a role that asked, started again when they die,
 * ended with the role, since what they were connected to is gone with it.
 */
#include "main/broker_state.h"
#include "main/death.h"
#include "main/keeper.h"
#include "main/params.h"
#include "main/program.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* One of the list that a role asked for. Freed when the daemon ends. */
struct broker_program {
	struct list node;
	struct broker *broker;
	struct supervised *owner;
	const struct program *program;
	char binary[PARAMS_PATH_SIZE], folder[PARAMS_PATH_SIZE];
	bool is_wanted, is_asked_to_restart, is_closing;
	enum supervised_state state;
	uv_process_t process;
	uv_timer_t timer; /* WAITING: start it; STOPPING: kill it */
	pid_t pid;        /* 0: no process */
	unsigned restarts;
	uint64_t started_at_ms;
	struct backoff backoff;
	char reason[BROKER_REASON_SIZE];
};

static void program_spawn(struct broker_program *own);

/* ---- checks ---- */

/* Nobody but root can put something else at this path. */
static int check_roots(char *path, struct error *error)
{
	struct stat info;

	for (char *end = path + strlen(path); end > path; end = strrchr(path, '/')) {
		*end = '\0';
		if (lstat(*path ? path : "/", &info) < 0)
			return error_set(error, -errno, "%s: %s", path, strerror(errno));
		if (info.st_uid != 0 || info.st_mode & (S_IWGRP | S_IWOTH))
			return error_set(error, -EPERM,
				"%s can be written by others than root; a program is started from "
				"root's folders only",
				*path ? path : "/");
	}
	return 0;
}

static int check_binary(const struct program *program, const char *asked,
	char out[PARAMS_PATH_SIZE], struct error *error)
{
	char *path = realpath(asked, NULL);
	const char *base = path ? strrchr(path, '/') + 1 : NULL;
	struct stat info;
	int status = 0;

	if (!path)
		return error_set(error, -errno, "%s: %s", asked, strerror(errno));
	if (strcmp(base, program->name) != 0)
		status = error_set(
			error, -EINVAL, "%s: the program's name must be %s", path, program->name);
	else if (stat(path, &info) < 0 || !S_ISREG(info.st_mode) || !(info.st_mode & S_IXOTH))
		status = error_set(error, -EACCES, "%s: is no program", path);
	if (status == 0) {
		snprintf(out, PARAMS_PATH_SIZE, "%s", path);
		status = check_roots(path, error);
	}
	free(path);
	return status;
}

/* Changes a folder of it that only `owner` (or root, who has just made it) can have put there. */
static int give_inner(int folder, const char *name, uid_t owner, uid_t uid, gid_t gid, mode_t mode)
{
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;
	int status = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &info) < 0 || (info.st_uid != 0 && info.st_uid != owner))
		status = -EPERM;
	else if (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0)
		status = -errno;
	close(fd);
	return status;
}

/* `run` is the program's to write to, and the role's to read; in `packets`, if the role has made
 * it, both have their sockets. */
static int give_inner_folders(int folder, const struct identity *role, const struct identity *own)
{
	int status;

	if (mkdirat(folder, "run", 0700) < 0 && errno != EEXIST)
		return -errno;
	status = give_inner(folder, "run", own->uid, own->uid, role->gid, 02750);
	if (status < 0)
		return status;
	status = give_inner(folder, "packets", role->uid, role->uid, own->gid, 0770);
	return status == -ENOENT ? 0 : status;
}

/* Lets the program's group into a folder that is the role's own, and nobody else. */
static int give_folder(const struct identity *role, const struct program *program, const char *path,
	struct error *error)
{
	struct identity own;
	struct stat info;
	int fd, status = program_identity(program, &own, error);

	if (status < 0)
		return status;
	identity_assume(role, (gid_t)-1);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	status = -errno;
	identity_resume();
	if (fd < 0)
		return error_set(error, status, "%s: %s", path, strerror(-status));
	status = 0;
	if (fstat(fd, &info) < 0 || info.st_uid != role->uid)
		status = -EPERM;
	else if (fchown(fd, (uid_t)-1, own.gid) < 0 || fchmod(fd, 0750) < 0)
		status = -errno;
	if (status == 0)
		status = give_inner_folders(fd, role, &own);
	close(fd);
	if (status < 0)
		return error_set(error, status, "%s: cannot be given to the user %s: %s", path,
			own.user, strerror(-status));
	if (own.is_fallback)
		log_warning("user_missing", log_str("user", program->user),
			log_str("instead", own.user), log_str("remedy", "systemd-sysusers"));
	return 0;
}

/* ---- life ---- */

static void program_set_state(struct broker_program *own, enum supervised_state state)
{
	struct broker *broker = own->broker;

	own->state = state;
	for (size_t i = 0; i < broker->role_count; i++) {
		struct supervised *role = &broker->supervised[i];

		if (!role->channel
			|| (role != own->owner && strcmp(role->role->name, "control") != 0))
			continue;
		ipc_notify(role->channel, "broker.program",
			json_pack("{s:s, s:s, s:i, s:i, s:s}", "name", own->program->name, "state",
				supervised_state_name(state), "pid", (int)own->pid, "restarts",
				(int)own->restarts, "reason", own->reason),
			NULL, 0);
	}
}

/* For the next broker: a program dies with the one that started it. */
struct program_item {
	char owner[32];
	char binary[sizeof(((struct broker_program *)0)->binary)];
	char folder[sizeof(((struct broker_program *)0)->folder)];
};

static_assert(sizeof(struct program_item) <= KEEPER_DATA_MAX, "fits a message");

static void program_put(const struct broker_program *own)
{
	struct program_item item = {0};

	if (!own->is_wanted) {
		broker_drop(own->broker, "program", own->program->name);
		return;
	}
	snprintf(item.owner, sizeof(item.owner), "%s", own->owner->role->name);
	strcpy(item.binary, own->binary);
	strcpy(item.folder, own->folder);
	broker_put(own->broker, "program", own->program->name, &item, sizeof(item), NULL, 0);
}

static void program_on_wait(uv_timer_t *timer)
{
	program_spawn(timer->data);
}

static void program_wait(struct broker_program *own, uint32_t wait_ms)
{
	own->restarts++;
	program_set_state(own, SUPERVISED_WAITING);
	uv_timer_start(&own->timer, program_on_wait, wait_ms, 0);
}

/* What comes after an end. */
static void program_ended(struct broker_program *own)
{
	uint64_t ran_ms = uv_now(&own->broker->loop) - own->started_at_ms;
	bool is_asked = own->is_asked_to_restart;

	own->is_asked_to_restart = false;
	if (own->is_closing)
		uv_close((uv_handle_t *)&own->timer, NULL);
	else if (!own->is_wanted || own->broker->phase == BROKER_STOPPING)
		program_set_state(own, SUPERVISED_STOPPED);
	else
		program_wait(own, is_asked ? 0 : backoff_next(&own->backoff, ran_ms));
}

static void program_on_exit(uv_process_t *process, int64_t exit_status, int term_signal)
{
	struct broker_program *own = process->data;
	char how[128];

	uv_update_time(&own->broker->loop);
	death_describe(own->pid, W_EXITCODE((int)exit_status, term_signal), how, sizeof(how));
	snprintf(own->reason, sizeof(own->reason), "%s",
		own->state == SUPERVISED_STOPPING ? "it was asked to stop" : how);
	if (own->state != SUPERVISED_STOPPING)
		log_error("program_ended", log_str("name", own->program->name),
			log_int("pid", own->pid), log_str("how", how),
			log_str("folder", own->folder));
	own->pid = 0;
	uv_timer_stop(&own->timer);
	uv_close((uv_handle_t *)process, NULL);
	program_ended(own);
}

static void program_spawn(struct broker_program *own)
{
	char *arguments[] = {"bulkheadd", "--program", (char *)(uintptr_t)own->program->name,
		own->binary, own->folder, NULL};
	uv_process_options_t options = {
		.file = "/proc/self/exe",
		.args = arguments,
		.cwd = "/",
		.flags = UV_PROCESS_DETACHED,
		.exit_cb = program_on_exit,
	};
	int status;

	uv_timer_stop(&own->timer);
	own->process.data = own;
	own->started_at_ms = uv_now(&own->broker->loop);
	status = uv_spawn(&own->broker->loop, &own->process, &options);
	if (status < 0) {
		uv_close((uv_handle_t *)&own->process, NULL);
		snprintf(own->reason, sizeof(own->reason), "process cannot be made: %s",
			strerror(-status));
		program_ended(own);
		return;
	}
	own->pid = own->process.pid;
	program_set_state(own, SUPERVISED_READY);
	log_info("program_started", log_str("name", own->program->name), log_int("pid", own->pid));
}

static void program_on_kill(uv_timer_t *timer)
{
	struct broker_program *own = timer->data;

	uv_process_kill(&own->process, SIGKILL);
}

static void program_stop(struct broker_program *own)
{
	uv_timer_stop(&own->timer);
	if (!own->pid) {
		if (own->state == SUPERVISED_WAITING)
			program_set_state(own, SUPERVISED_STOPPED);
		return;
	}
	if (own->state == SUPERVISED_STOPPING)
		return;
	program_set_state(own, SUPERVISED_STOPPING);
	uv_process_kill(&own->process, SIGTERM);
	uv_timer_start(&own->timer, program_on_kill, BROKER_STOP_MS, 0);
}

void broker_programs_role_ended(struct supervised *role)
{
	list_foreach (node, &role->broker->programs) {
		struct broker_program *own = list_entry(node, struct broker_program, node);

		if (own->owner != role)
			continue;
		own->is_wanted = false;
		program_put(own);
		program_stop(own);
		/* It has nothing left that it could end in order. */
		if (own->pid)
			uv_process_kill(&own->process, SIGKILL);
	}
}

void broker_programs_close(struct broker *broker)
{
	list_foreach (node, &broker->programs) {
		struct broker_program *own = list_entry(node, struct broker_program, node);

		own->is_wanted = false;
		own->is_closing = true;
		program_stop(own);
		if (own->pid)
			uv_process_kill(&own->process, SIGKILL);
		else
			uv_close((uv_handle_t *)&own->timer, NULL);
	}
}

void broker_programs_free(struct broker *broker)
{
	list_foreach_safe (node, &broker->programs) {
		list_remove(node);
		free(list_entry(node, struct broker_program, node));
	}
}

/* ---- requests ---- */

static struct broker_program *find(struct supervised *owner, const struct program *program)
{
	list_foreach (node, &owner->broker->programs) {
		struct broker_program *own = list_entry(node, struct broker_program, node);

		if (own->program == program)
			return own;
	}
	return NULL;
}

static struct broker_program *find_or_make(struct supervised *owner, const struct program *program)
{
	struct broker_program *own = find(owner, program);

	if (own)
		return own;
	own = calloc(1, sizeof(*own));
	if (!own)
		return NULL;
	own->broker = owner->broker;
	own->owner = owner;
	own->program = program;
	uv_timer_init(&owner->broker->loop, &own->timer);
	own->timer.data = own;
	list_append(&owner->broker->programs, &own->node);
	return own;
}

static int read_program(const json_t *params, const struct program **out, struct error *error)
{
	char name[32];
	int status = params_string(
		params, "program", true, sizeof(name), "abcdefghijklmnopqrstuvwxyz", name, error);

	if (status < 0)
		return status;
	*out = program_find(name);
	return *out ? 0 : error_set(error, -EINVAL, "there is no program `%s`", name);
}

/* Begins it, or with other files in its folder again. */
static void program_start(struct broker_program *own)
{
	own->is_wanted = true;
	program_put(own);
	if (own->pid) {
		own->is_asked_to_restart = true;
		program_stop(own);
		return;
	}
	own->backoff = (struct backoff){0};
	own->reason[0] = '\0';
	program_spawn(own);
}

void broker_start_program(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"program", "binary", "folder", "is_attached", NULL};
	const json_t *params = ipc_request_params(request);
	struct supervised *from = context;
	char binary[PARAMS_PATH_SIZE] = "", real[PARAMS_PATH_SIZE] = "", folder[PARAMS_PATH_SIZE];
	bool is_attached = json_is_true(json_object_get(params, "is_attached"));
	const struct program *program = NULL;
	struct broker_program *own = NULL;
	struct error error = {0};
	int status = params_only(params, names, &error);

	if (status == 0)
		status = read_program(params, &program, &error);
	if (status == 0)
		status = params_path(params, "folder", sizeof(folder), folder, &error);
	if (status == 0 && !is_attached)
		status = params_path(params, "binary", sizeof(binary), binary, &error);
	if (status == 0 && !is_attached)
		status = check_binary(program, binary, real, &error);
	if (status == 0)
		status = give_folder(&from->broker->identity, program, folder, &error);
	if (status == 0 && !is_attached) {
		own = find_or_make(from, program);
		status = own ? 0 : error_set(&error, -ENOMEM, "no memory");
	}
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	if (own) {
		strcpy(own->binary, real);
		strcpy(own->folder, folder);
		program_start(own);
	}
	ipc_reply(request, json_object());
}

void broker_stop_program(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"program", NULL};
	const json_t *params = ipc_request_params(request);
	const struct program *program = NULL;
	struct broker_program *own = NULL;
	struct error error = {0};
	int status = params_only(params, names, &error);

	if (status == 0)
		status = read_program(params, &program, &error);
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	own = find(context, program);
	if (own) {
		own->is_wanted = false;
		program_put(own);
		program_stop(own);
	}
	ipc_reply(request, json_object());
}

/* ---- handover ---- */

void broker_put_programs(struct broker *broker)
{
	list_foreach (node, &broker->programs)
		program_put(list_entry(node, struct broker_program, node));
}

void broker_take_program(struct broker *broker, const char *name, const void *data, size_t size)
{
	const struct program *program = program_find(name);
	struct broker_program *own = NULL;
	struct program_item item;

	if (size != sizeof(item))
		return;
	memcpy(&item, data, sizeof(item));
	for (size_t i = 0; program && i < broker->role_count; i++)
		if (strcmp(broker->supervised[i].role->name, item.owner) == 0)
			own = find_or_make(&broker->supervised[i], program);
	if (!own)
		return;
	strcpy(own->binary, item.binary);
	strcpy(own->folder, item.folder);
	own->is_wanted = true;
}

void broker_resume_programs(struct broker *broker)
{
	list_foreach (node, &broker->programs) {
		struct broker_program *own = list_entry(node, struct broker_program, node);

		snprintf(own->reason, sizeof(own->reason), "its broker died");
		program_wait(own, 0);
	}
}
