/* SPDX-License-Identifier: BSD-3-Clause */
/* The roles' lives: start, connection, death and restart, stop; and the daemon's own. */
#include "main/broker_state.h"
#include "main/death.h"
#include "main/keeper.h"
#include "main/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* What a reload may take (rules are compiled) before systemd is told that it is over. */
#define BROKER_RELOAD_MS 60000
/* Instead of a status: nobody is left who knows how it ended. */
#define SUPERVISED_LOST (-1)

static void supervised_spawn(struct supervised *supervised);
static void broker_stop_next(struct broker *broker);

const char *supervised_state_name(enum supervised_state state)
{
	static const char *const names[] = {
		[SUPERVISED_STOPPED] = "stopped",
		[SUPERVISED_STARTING] = "starting",
		[SUPERVISED_READY] = "ready",
		[SUPERVISED_WAITING] = "waiting",
		[SUPERVISED_STOPPING] = "stopping",
	};

	return names[state];
}

static struct supervised *broker_find(struct broker *broker, const char *name)
{
	for (size_t i = 0; i < broker->role_count; i++)
		if (strcmp(broker->supervised[i].role->name, name) == 0)
			return &broker->supervised[i];
	return NULL;
}

/* Control makes events of it. */
static void broker_announce(struct broker *broker, const char *name, const char *state, pid_t pid,
	unsigned restarts, const char *reason)
{
	struct supervised *control = broker_find(broker, "control");

	if (!control || !control->channel)
		return;
	ipc_notify(control->channel, "broker.role",
		json_pack("{s:s, s:s, s:i, s:i, s:s}", "name", name, "state", state, "pid",
			(int)pid, "restarts", (int)restarts, "reason", reason),
		NULL, 0);
}

static void supervised_set_state(struct supervised *supervised, enum supervised_state state)
{
	struct supervised_life *life = &supervised->life;

	life->state = state;
	life->changed_at_ms = uv_now(&supervised->broker->loop);
	supervised_put(supervised);
	broker_announce(supervised->broker, supervised->role->name, supervised_state_name(state),
		life->pid, life->restarts, life->reason);
}

static void supervised_signal(struct supervised *supervised, int number)
{
	struct spawned spawned = {supervised->life.pid, supervised->pidfd};

	if (supervised->life.pid)
		spawned_signal(&spawned, number);
}

/* The first word to whoever waits for the start: main's parent, or a person. */
static void broker_tell_start(struct broker *broker, const char *text)
{
	if (broker->ready_fd >= 0) {
		if (write(broker->ready_fd, text, strlen(text)) < 0)
			log_warning("start_untold", log_errno(-errno));
		close(broker->ready_fd);
		broker->ready_fd = -1;
	} else if (strcmp(text, "R") != 0) {
		fprintf(stderr, "bulkheadd: %s\n", text);
	}
}

static void broker_stop(struct broker *broker)
{
	if (broker->phase == BROKER_STOPPING)
		return;
	broker->phase = BROKER_STOPPING;
	broker_put_self(broker);
	broker_notify(broker, "STOPPING=1");
	log_info("daemon_stopping");
	broker_stop_next(broker);
}

/* Before the daemon was ready a failure is final: people are told, and nothing is retried. */
static void broker_fail(struct broker *broker, const struct supervised *supervised)
{
	char text[BROKER_REASON_SIZE + 64];

	if (broker->phase != BROKER_STARTING)
		return;
	snprintf(text, sizeof(text), "the role %s cannot start: %s", supervised->role->name,
		supervised->life.reason);
	broker->exit_code = 1;
	broker_notify(broker, "STATUS=%s", text);
	broker_tell_start(broker, text);
	broker_stop(broker);
}

/* From now on the daemon survives its broker. */
static void broker_put_all(struct broker *broker)
{
	broker->is_kept = true;
	broker_put_self(broker);
	for (size_t i = 0; i < broker->role_count; i++)
		supervised_put(&broker->supervised[i]);
	broker_put_taps(broker);
	broker_put_sockets(broker);
	broker_put_programs(broker);
}

static void broker_check_ready(struct broker *broker)
{
	for (size_t i = 0; i < broker->role_count; i++)
		if (broker->supervised[i].life.state != SUPERVISED_READY)
			return;
	if (broker->phase != BROKER_STARTING)
		return;
	broker->phase = BROKER_RUNNING;
	broker_put_all(broker);
	broker_notify(broker, "READY=1\nSTATUS=all roles are ready");
	log_info("daemon_ready",
		log_uint("after_ms", uv_now(&broker->loop) - broker->started_at_ms));
	broker_tell_start(broker, "R");
}

static void supervised_keep_reason(struct supervised *supervised, const json_t *params)
{
	const char *message = json_string_value(json_object_get(params, "message"));

	snprintf(supervised->life.reason, sizeof(supervised->life.reason), "%s",
		message ? message : "it did not say why");
	log_error("role_failed", log_str("name", supervised->role->name),
		log_str("reason", supervised->life.reason));
}

static void supervised_on_request(struct ipc_request *request, void *context)
{
	struct supervised *supervised = context;
	const char *method = ipc_request_method(request);

	if (strcmp(method, "role.ready") == 0) {
		ipc_reply(request, NULL);
		if (supervised->life.state == SUPERVISED_STARTING) {
			supervised_set_state(supervised, SUPERVISED_READY);
			broker_check_ready(supervised->broker);
		}
	} else if (strcmp(method, "role.failed") == 0) {
		supervised_keep_reason(supervised, ipc_request_params(request));
		ipc_reply(request, NULL);
		broker_fail(supervised->broker, supervised);
	} else {
		broker_handle_request(request, supervised);
	}
}

static void supervised_kill(uv_timer_t *timer)
{
	struct supervised *supervised = timer->data;

	log_warning("role_killed", log_str("name", supervised->role->name),
		log_str("reason", "it did not stop in time"));
	supervised_signal(supervised, SIGKILL);
}

/* A role that lets go of its channel is at its end, or broken; it gets as long as one that was
 * asked to stop. */
static void supervised_on_channel_close(struct ipc_channel *channel, void *context)
{
	struct supervised *supervised = context;

	ipc_close(channel);
	supervised->channel = NULL;
	supervised_put(supervised);
	if (supervised->life.pid)
		uv_timer_start(&supervised->timer, supervised_kill, BROKER_STOP_MS, 0);
}

static const struct ipc_ops supervised_ops = {supervised_on_request, supervised_on_channel_close};

static void supervised_on_due(uv_timer_t *timer)
{
	supervised_spawn(timer->data);
}

static void supervised_wait(struct supervised *supervised, uint32_t wait_ms)
{
	supervised->life.restarts++;
	supervised->life.due_at_ms = uv_now(&supervised->broker->loop) + wait_ms;
	supervised_set_state(supervised, SUPERVISED_WAITING);
	log_warning("role_restarts", log_str("name", supervised->role->name),
		log_str("reason", supervised->life.reason), log_uint("in_ms", wait_ms),
		log_uint("restarts", supervised->life.restarts));
	uv_timer_start(&supervised->timer, supervised_on_due, wait_ms, 0);
}

static void supervised_ended(struct supervised *supervised, bool is_signal)
{
	struct broker *broker = supervised->broker;
	uint64_t ran_ms = uv_now(&broker->loop) - supervised->life.started_at_ms;

	if (broker->phase == BROKER_STOPPING) {
		supervised_set_state(supervised, SUPERVISED_STOPPED);
		broker_stop_next(broker);
		return;
	}
	if (supervised->life.is_asked_to_restart) {
		supervised->life.is_asked_to_restart = false;
		supervised_wait(supervised, 0);
		return;
	}
	if (broker->phase == BROKER_STARTING
		&& (!is_signal || supervised->life.restarts + 1 >= BROKER_START_TRIES)) {
		supervised_set_state(supervised, SUPERVISED_STOPPED);
		broker_fail(broker, supervised);
		return;
	}
	supervised_wait(supervised, backoff_next(&supervised->life.backoff, ran_ms));
}

/* status is that of waitpid(2), or SUPERVISED_LOST. */
static void supervised_exited(struct supervised *supervised, int status)
{
	struct broker *broker = supervised->broker;
	struct supervised_life *life = &supervised->life;
	bool is_expected = broker->phase == BROKER_STOPPING || life->is_asked_to_restart;
	bool is_signal = status == SUPERVISED_LOST || WIFSIGNALED(status);
	char how[128] = "it ended between two brokers";

	uv_update_time(&broker->loop);
	/* What it said before its end is still in the socket: why it failed, that it was ready. */
	if (supervised->channel && broker->phase == BROKER_STARTING)
		uv_run(&broker->loop, UV_RUN_NOWAIT);
	if (status != SUPERVISED_LOST)
		death_describe(life->pid, status, how, sizeof(how));
	if (!is_expected)
		log_error("role_ended", log_str("name", supervised->role->name),
			log_int("pid", life->pid), log_str("how", how));
	if (is_signal || !life->reason[0])
		snprintf(life->reason, sizeof(life->reason), "%s",
			is_expected ? "it was asked to stop" : how);
	life->pid = 0;
	close(supervised->pidfd);
	uv_timer_stop(&supervised->timer);
	ipc_close(supervised->channel);
	supervised->channel = NULL;
	broker_programs_role_ended(supervised);
	life->is_second_try = !is_signal && WEXITSTATUS(status) == ROLE_EXIT_AGAIN;
	supervised_ended(supervised, is_signal || life->is_second_try);
}

/* The keeper tells who ended: it is the parent of all. */
static void broker_on_keeper(uv_poll_t *poll, int status, int events)
{
	struct broker *broker = poll->data;
	struct keeper_ended ended;
	ssize_t size = recv(broker->keeper_fd, &ended, sizeof(ended), MSG_DONTWAIT);

	if (size < 0 && errno == EAGAIN)
		return;
	if (size != sizeof(ended)) {
		/* Nobody would tell any more who ended. The roles see that they are alone, and end
		 * in order. */
		log_error("keeper_gone", log_str("effect", "the daemon ends"));
		broker_unlink_sockets(broker);
		_exit(1);
	}
	for (size_t i = 0; i < broker->role_count; i++) {
		if (broker->supervised[i].life.pid != ended.pid)
			continue;
		supervised_exited(&broker->supervised[i], ended.status);
		return;
	}
}

/* The environment of the roles: the broker's without what systemd gave to the broker only. */
static char **roles_environment(void)
{
	static const char *const hidden[] = {"NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};
	size_t count = 0;
	char **copy;

	while (environ[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	if (!copy)
		abort();
	count = 0;
	for (char **entry = environ; *entry; entry++) {
		bool is_hidden = false;

		for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
			is_hidden |= strncmp(*entry, hidden[i], strlen(hidden[i])) == 0;
		if (!is_hidden)
			copy[count++] = *entry;
	}
	return copy;
}

static int supervised_exec(struct supervised *supervised, int fd, int own_fd)
{
	char *arguments[] = {
		"bulkheadd", "--role", (char *)supervised->role->name, NULL, NULL, NULL};
	char **environment = roles_environment();
	struct spawned spawned;
	size_t count = 3;
	int status;

	if (supervised->broker->options->is_foreground)
		arguments[count++] = "--foreground";
	if (supervised->life.is_second_try)
		arguments[count++] = "--second-try";
	status = spawn_sibling(arguments, environment, fd, own_fd, &spawned);

	free(environment);
	if (status < 0)
		return status;
	supervised->life.pid = spawned.pid;
	supervised->pidfd = spawned.pidfd;
	return 0;
}

static int supervised_open_channel(struct supervised *supervised, int fd)
{
	int status = ipc_open(
		&supervised->broker->loop, fd, &supervised_ops, supervised, &supervised->channel);

	supervised->channel_fd = fd;
	if (status < 0) {
		supervised->channel = NULL;
		supervised_signal(supervised, SIGKILL); /* its end is told, it is tried again */
	}
	return status;
}

static bool roles_are_peers(const struct role *a, const struct role *b)
{
	for (const char *const *name = a->peers; *name; name++)
		if (strcmp(*name, b->name) == 0)
			return true;
	return false;
}

static void supervised_send_peer(struct supervised *to, const struct supervised *peer, int fd)
{
	int status = ipc_notify(
		to->channel, "role.peer", json_pack("{s:s}", "role", peer->role->name), &fd, 1);

	if (status < 0)
		log_error("role_peer_failed", log_str("name", to->role->name), log_errno(status));
}

/* Gives a role that was just started a channel to each of its peers that run. */
static void supervised_connect(struct supervised *supervised)
{
	struct broker *broker = supervised->broker;

	for (size_t i = 0; i < broker->role_count; i++) {
		struct supervised *peer = &broker->supervised[i];
		int fds[2];

		if (peer == supervised || !peer->channel
			|| !(roles_are_peers(supervised->role, peer->role)
				|| roles_are_peers(peer->role, supervised->role)))
			continue;
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
			log_error("role_peer_failed", log_errno(-errno));
			continue;
		}
		supervised_send_peer(supervised, peer, fds[0]);
		supervised_send_peer(peer, supervised, fds[1]);
		close(fds[0]);
		close(fds[1]);
	}
}

static int supervised_try_spawn(struct supervised *supervised)
{
	struct broker *broker = supervised->broker;
	struct error error;
	int fds[2], status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	status = supervised_exec(supervised, fds[1], fds[0]);
	close(fds[1]);
	if (status < 0) {
		close(fds[0]);
		return status;
	}
	if (supervised_open_channel(supervised, fds[0]) < 0)
		return 0;
	/* It does nothing yet. A broker that dies before the keeper knows of it closes its channel;
	 * one that dies after it leaves a role that is neither waiting nor started, which the next
	 * one kills. */
	supervised_put(supervised);
	ipc_notify(supervised->channel, "role.start", NULL, NULL, 0);
	if (broker_tell_log(broker, supervised, &error) < 0)
		log_error("role_log_failed", log_str("reason", error.text));
	supervised_connect(supervised);
	return 0;
}

static void supervised_spawn(struct supervised *supervised)
{
	struct broker *broker = supervised->broker;
	int status;

	uv_timer_stop(&supervised->timer);
	supervised->life.started_at_ms = uv_now(&broker->loop);
	if (supervised->life.state != SUPERVISED_STOPPED)
		supervised->life.reason[0] = '\0';
	status = supervised_try_spawn(supervised);
	if (status < 0) {
		snprintf(supervised->life.reason, sizeof(supervised->life.reason),
			"process cannot be made: %s", strerror(-status));
		supervised_ended(supervised, true);
		return;
	}
	supervised_set_state(supervised, SUPERVISED_STARTING);
	log_info("role_started", log_str("name", supervised->role->name),
		log_int("pid", supervised->life.pid));
}

static void supervised_stop(struct supervised *supervised)
{
	supervised_set_state(supervised, SUPERVISED_STOPPING);
	if (supervised->channel)
		ipc_notify(supervised->channel, "role.stop", NULL, NULL, 0);
	else
		supervised_signal(supervised, SIGTERM);
	uv_timer_start(&supervised->timer, supervised_kill, BROKER_STOP_MS, 0);
}

int broker_restart(struct supervised *supervised, struct error *error)
{
	if (supervised->life.state != SUPERVISED_READY
		&& supervised->life.state != SUPERVISED_STARTING)
		return error_set(error, -EBUSY, "the role %s is %s already", supervised->role->name,
			supervised_state_name(supervised->life.state));
	supervised->life.is_asked_to_restart = true;
	supervised_stop(supervised);
	return 0;
}

static void broker_close_handles(struct broker *broker)
{
	uv_close((uv_handle_t *)&broker->on_term, NULL);
	uv_close((uv_handle_t *)&broker->on_interrupt, NULL);
	uv_close((uv_handle_t *)&broker->on_hangup, NULL);
	uv_close((uv_handle_t *)&broker->watchdog, NULL);
	uv_close((uv_handle_t *)&broker->keeper_poll, NULL);
	for (size_t i = 0; i < broker->role_count; i++)
		uv_close((uv_handle_t *)&broker->supervised[i].timer, NULL);
}

/* Backwards, one after the other: who uses another role ends before it. */
static void broker_stop_next(struct broker *broker)
{
	for (size_t i = broker->role_count; i > 0; i--) {
		struct supervised *supervised = &broker->supervised[i - 1];

		if (supervised->life.state == SUPERVISED_STOPPING)
			return;
		if (supervised->life.pid) {
			supervised_stop(supervised);
			return;
		}
		uv_timer_stop(&supervised->timer);
		supervised->life.state = SUPERVISED_STOPPED;
	}
	broker_programs_close(broker);
	broker_unlink_sockets(broker);
	broker_close_taps(broker);
	broker_close_handles(broker);
}

static void broker_on_stop_signal(uv_signal_t *handle, int number)
{
	struct broker *broker = handle->data;

	if (broker->phase != BROKER_STOPPING) {
		broker_stop(broker);
		return;
	}
	/* Asked twice: no more waiting. */
	for (size_t i = 0; i < broker->role_count; i++)
		if (broker->supervised[i].life.pid)
			supervised_signal(&broker->supervised[i], SIGKILL);
}

/* A reload that a broker did not live to see is done again by the next. */
static void broker_set_reloading(struct broker *broker, bool is_reloading)
{
	broker->is_reloading = is_reloading;
	broker_put_self(broker);
}

static void broker_on_reloaded(void *context, const json_t *result, const json_t *error,
	int *descriptors, size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(error, "message"));
	struct broker *broker = context;

	if (error)
		log_error("reload_failed", log_str("reason", message),
			log_str("effect", "the old configuration stays"));
	broker_notify(broker, "READY=1\nSTATUS=%s",
		error ? "reload failed, the old configuration stays; see the log"
		      : "all roles are ready");
	broker_set_reloading(broker, false);
}

static void broker_reload(struct broker *broker)
{
	struct supervised *control = broker_find(broker, "control");
	struct error error = {0};
	int status = -ENOENT;

	broker_set_reloading(broker, true);
	/* It may have been rotated; where it cannot be opened again the old file stays. */
	if (broker->log_sink == LOG_SINK_FILE && broker_tell_log(broker, NULL, &error) < 0)
		log_error("log_not_reopened", log_str("reason", error.text));
	broker_notify(broker, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, uv_hrtime() / 1000);
	if (control && control->channel)
		status = ipc_call(control->channel, "config.reload", NULL, NULL, 0,
			BROKER_RELOAD_MS, broker_on_reloaded, broker);
	if (status < 0) {
		log_error("reload_failed", log_errno(status));
		broker_notify(broker, "READY=1");
		broker_set_reloading(broker, false);
	}
}

static void broker_on_hangup(uv_signal_t *handle, int number)
{
	struct broker *broker = handle->data;

	if (broker->phase == BROKER_RUNNING)
		broker_reload(broker);
}

static void broker_on_watchdog(uv_timer_t *timer)
{
	broker_notify(timer->data, "WATCHDOG=1");
}

static void broker_start_watchdog(struct broker *broker)
{
	uint64_t limit_us = 0;

	uv_timer_init(&broker->loop, &broker->watchdog);
	broker->watchdog.data = broker;
	if (sd_watchdog_enabled(0, &limit_us) > 0)
		uv_timer_start(&broker->watchdog, broker_on_watchdog, 0, limit_us / 2000);
}

static void broker_start_signal(
	struct broker *broker, uv_signal_t *handle, int number, uv_signal_cb callback)
{
	uv_signal_init(&broker->loop, handle);
	handle->data = broker;
	uv_signal_start(handle, callback, number);
}

int broker_tell_log(struct broker *broker, struct supervised *only, struct error *error)
{
	bool is_file = broker->log_sink == LOG_SINK_FILE;
	int fd = -1;

	if (is_file) {
		fd = broker_append_file(&broker->identity, broker->log_path, error);
		if (fd < 0)
			return fd;
	}
	for (size_t i = 0; i < broker->role_count; i++) {
		struct supervised *supervised = &broker->supervised[i];

		if (!supervised->channel || (only && only != supervised))
			continue;
		ipc_notify(supervised->channel, "role.log",
			json_pack("{s:i, s:i}", "sink", (int)broker->log_sink, "level",
				(int)broker->log_level),
			&fd, is_file ? 1 : 0);
	}
	if (only && is_file)
		close(fd);
	else if (!only)
		log_open(broker->log_sink, fd, "broker", broker->log_level);
	return 0;
}

/* The broker's empty state. */
static int broker_init_state(struct broker *broker, struct error *error)
{
	int status = uv_loop_init(&broker->loop);

	if (status < 0)
		return error_set(error, status, "event loop: %s", strerror(-status));
	while (roles[broker->role_count].name)
		broker->role_count++;
	broker->supervised = calloc(broker->role_count, sizeof(*broker->supervised));
	if (!broker->supervised)
		return error_set(error, -ENOMEM, "no memory");
	for (size_t i = 0; i < broker->role_count; i++) {
		struct supervised *supervised = &broker->supervised[i];

		supervised->broker = broker;
		supervised->role = &roles[i];
		supervised->channel_fd = -1;
		uv_timer_init(&broker->loop, &supervised->timer);
		supervised->timer.data = supervised;
	}
	list_init(&broker->listening);
	list_init(&broker->programs);
	broker_start_taps(broker);
	broker->log_sink = broker->options->is_foreground ? LOG_SINK_STDERR : LOG_SINK_JOURNALD;
	broker->log_level = LOG_LEVEL_INFO;
	return 0;
}

static int broker_init(struct broker *broker, struct error *error)
{
	int status = broker_init_state(broker, error);

	if (status == 0)
		status = broker_take_over(broker, error);
	if (status == 0)
		status = identity_find(&broker->identity, error);
	if (status < 0)
		return status;
	if (geteuid() != 0)
		return error_set(
			error, -EPERM, "must be started by root; the roles give its rights up");
	/* Supplementary groups of root would count when files are opened for the roles. */
	if (setgroups(0, NULL) < 0)
		return error_set(error, -errno, "setgroups: %s", strerror(errno));
	if (broker->restarts == 0 && access(broker->options->config_path, R_OK) < 0)
		return error_set(error, -errno, "%s: %s (--config names another file)",
			broker->options->config_path, strerror(errno));
	return 0;
}

/* Goes on with a role of the broker before. */
static void supervised_resume(struct supervised *supervised)
{
	struct supervised_life *life = &supervised->life;
	uint64_t now_ms = uv_now(&supervised->broker->loop);

	if (supervised->channel_fd >= 0
		&& supervised_open_channel(supervised, supervised->channel_fd) == 0)
		ipc_notify(supervised->channel, "role.resume", NULL, NULL, 0);
	if (life->pid && life->state == SUPERVISED_WAITING)
		supervised_signal(supervised, SIGKILL); /* its start was not finished */
	else if (life->state == SUPERVISED_WAITING)
		uv_timer_start(&supervised->timer, supervised_on_due,
			life->due_at_ms > now_ms ? life->due_at_ms - now_ms : 0, 0);
	else if (life->pid && life->state == SUPERVISED_STOPPING)
		supervised_stop(supervised);
	else if (life->pid && !supervised->channel)
		uv_timer_start(&supervised->timer, supervised_kill, BROKER_STOP_MS, 0);
}

/* What the keeper told to the broker before, and that one did not live to read. */
static void supervised_check_alive(struct supervised *supervised)
{
	struct spawned spawned = {supervised->life.pid, supervised->pidfd};

	if (supervised->life.pid && spawned_signal(&spawned, 0) == -ESRCH)
		supervised_exited(supervised, SUPERVISED_LOST);
}

/* Goes on with the daemon of a broker that died. */
static void broker_resume(struct broker *broker)
{
	struct error error;

	for (size_t i = 0; i < broker->role_count; i++)
		supervised_resume(&broker->supervised[i]);
	if (broker_tell_log(broker, NULL, &error) < 0)
		log_error("log_not_reopened", log_str("reason", error.text));
	log_warning("broker_resumed", log_str("reason", broker->reason),
		log_uint("restarts", broker->restarts));
	/* First those of whom it is known how they ended. */
	for (size_t i = 0; i < broker->role_count; i++)
		broker_on_keeper(&broker->keeper_poll, 0, UV_READABLE);
	for (size_t i = 0; i < broker->role_count; i++)
		supervised_check_alive(&broker->supervised[i]);
	broker_announce(broker, "broker", "ready", getpid(), broker->restarts, broker->reason);
	if (broker->phase != BROKER_STOPPING)
		broker_resume_programs(broker);
	if (broker->phase == BROKER_STOPPING)
		broker_stop_next(broker);
	else if (broker->is_asked_to_stop)
		broker_stop(broker);
	else if (broker->is_reloading)
		broker_reload(broker);
}

static void broker_start_signals(struct broker *broker)
{
	sigset_t none;

	broker_start_signal(broker, &broker->on_term, SIGTERM, broker_on_stop_signal);
	broker_start_signal(broker, &broker->on_interrupt, SIGINT, broker_on_stop_signal);
	broker_start_signal(broker, &broker->on_hangup, SIGHUP, broker_on_hangup);
	/* The keeper blocked them: what it passed on meanwhile comes now. */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void broker_start(struct broker *broker)
{
	broker->started_at_ms = uv_now(&broker->loop);
	uv_poll_init(&broker->loop, &broker->keeper_poll, broker->keeper_fd);
	broker->keeper_poll.data = broker;
	uv_poll_start(&broker->keeper_poll, UV_READABLE, broker_on_keeper);
	broker_start_signals(broker);
	broker_start_watchdog(broker);
	broker_make_folders(broker);
	if (broker->restarts > 0) {
		broker_resume(broker);
		return;
	}
	for (size_t i = 0; i < broker->role_count && broker->phase == BROKER_STARTING; i++)
		supervised_spawn(&broker->supervised[i]);
}

int broker_run(const struct broker_options *options)
{
	struct broker broker = {.options = options, .ready_fd = -1, .keeper_fd = KEEPER_FD};
	struct error error = {0};

	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "bulkheadd"); /* not "exe", which it was started by */
	log_open(options->is_foreground ? LOG_SINK_STDERR : LOG_SINK_JOURNALD, -1, "broker",
		LOG_LEVEL_INFO);
	if (broker_init(&broker, &error) < 0) {
		/* Roles that run are not given up for it: the keeper tries again. */
		if (broker.restarts > 0) {
			log_error("broker_not_resumed", log_str("reason", error.text));
			abort();
		}
		broker_tell_start(&broker, error.text);
		return 1;
	}
	broker_start(&broker);
	uv_run(&broker.loop, UV_RUN_DEFAULT);
	uv_loop_close(&broker.loop);
	broker_programs_free(&broker);
	free(broker.supervised);
	log_info("daemon_stopped", log_int("exit_code", broker.exit_code));
	log_close();
	return broker.exit_code;
}
