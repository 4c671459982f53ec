/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/role_main.h"
#include "base/log.h"
#include "main/role.h"
#include "main/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* When keeper and broker are gone nobody kills a role that does not come to its end. */
#define ROLE_ORPHAN_S 10

struct role_process {
	const struct role *role;
	struct role_context context;
	uv_loop_t loop;
	uv_signal_t on_term;
	void *state;
	bool is_stopping;
};

static void role_stop(struct role_process *process)
{
	if (process->is_stopping)
		return;
	process->is_stopping = true;
	uv_close((uv_handle_t *)&process->on_term, NULL);
	process->role->ops->stop(process->state);
	ipc_close(process->context.broker);
	process->context.broker = NULL;
}

static void role_set_log(struct role_process *process, struct ipc_request *request)
{
	const json_t *params = ipc_request_params(request);
	enum log_sink sink = (enum log_sink)json_integer_value(json_object_get(params, "sink"));
	enum log_level level = (enum log_level)json_integer_value(json_object_get(params, "level"));
	int fd = sink == LOG_SINK_FILE ? ipc_request_take_descriptor(request, 0) : -1;

	if (sink == LOG_SINK_FILE && fd < 0)
		return;
	log_open(sink, fd, process->role->name, level);
}

/* Another broker reads the channel. What the one before was asked and told may be lost with it. */
static void role_resume(struct role_process *process)
{
	ipc_resend(process->context.broker);
	if (process->context.is_ready)
		role_tell_ready(&process->context);
}

static void role_on_request(struct ipc_request *request, void *context)
{
	struct role_process *process = context;
	const char *method = ipc_request_method(request);
	const char *peer = json_string_value(json_object_get(ipc_request_params(request), "role"));

	if (strncmp(method, "role.", 5) != 0) {
		process->role->ops->request(process->state, request);
		return;
	}
	if (strcmp(method, "role.peer") == 0 && peer) {
		int fd = ipc_request_take_descriptor(request, 0);

		if (fd >= 0)
			process->role->ops->peer(process->state, peer, fd);
	} else if (strcmp(method, "role.log") == 0) {
		role_set_log(process, request);
	} else if (strcmp(method, "role.resume") == 0) {
		role_resume(process);
	}
	if (strcmp(method, "role.stop") == 0) {
		ipc_reply(request, NULL);
		role_stop(process);
		return;
	}
	ipc_reply(request, NULL);
}

static void role_on_broker_gone(struct ipc_channel *channel, void *context)
{
	struct role_process *process = context;

	log_error("broker_gone", log_str("effect", "the role ends"));
	alarm(ROLE_ORPHAN_S);
	role_stop(process);
}

static void role_on_term(uv_signal_t *handle, int number)
{
	role_stop(handle->data);
}

static const struct ipc_ops role_broker_ops = {role_on_request, role_on_broker_gone};

/* The terminal's Ctrl-C and hang-up reach all processes; the broker decides what they mean. */
static void role_ignore_signals(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static int role_start(struct role_process *process, struct error *error)
{
	const struct role *role = process->role;
	int status = sandbox_enter(role, error);

	if (status == 0)
		status = role->ops->start(&process->context, &process->state, error);
	if (status < 0)
		return status;
	status = sandbox_confine(role, error);
	if (status < 0)
		role->ops->stop(process->state);
	return status;
}

int role_run(const char *name, bool is_foreground, bool is_second_try)
{
	struct role_process process = {.role = role_find(name)};
	struct error error = {0};
	struct stat info;
	int status;

	if (!process.role || fstat(ROLE_BROKER_FD, &info) < 0 || !S_ISSOCK(info.st_mode)) {
		fprintf(stderr, "bulkheadd: --role is for the broker's own use\n");
		return 2;
	}
	fcntl(ROLE_BROKER_FD, F_SETFD, FD_CLOEXEC);
	tzset(); /* reads its file before the file system changes */
	log_open(is_foreground ? LOG_SINK_STDERR : LOG_SINK_JOURNALD, -1, name, LOG_LEVEL_INFO);
	role_ignore_signals();
	prctl(PR_SET_NAME, "bulkheadd"); /* not "exe", which it was started by */
	uv_loop_init(&process.loop);
	process.context = (struct role_context){.loop = &process.loop,
		.name = name,
		.is_foreground = is_foreground,
		.is_second_try = is_second_try};
	status = ipc_open(
		&process.loop, ROLE_BROKER_FD, &role_broker_ops, &process, &process.context.broker);
	if (status < 0) {
		log_error("role_start_failed", log_errno(status));
		return 1;
	}
	ipc_keep_calls(process.context.broker);
	status = role_start(&process, &error);
	if (status < 0) {
		log_error("role_start_failed", log_str("reason", error.text));
		role_tell_failed(&process.context, error.text);
		ipc_close(process.context.broker);
		uv_run(&process.loop, UV_RUN_DEFAULT);
		return 1;
	}
	uv_signal_init(&process.loop, &process.on_term);
	process.on_term.data = &process;
	uv_signal_start(&process.on_term, role_on_term, SIGTERM);
	uv_run(&process.loop, UV_RUN_DEFAULT);
	uv_loop_close(&process.loop);
	log_close();
	if (sandbox_is_sanitized())
		_exit(0);
	return 0;
}
