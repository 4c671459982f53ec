/* SPDX-License-Identifier: BSD-3-Clause */
/* Private to the broker's files: its state, and what they do for each other. */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "main/backoff.h"
#include "main/broker.h"
#include "main/identity.h"
#include "main/role.h"

#include <sys/types.h>

/* What a stopping role gets before it is killed. */
#define BROKER_STOP_MS 5000
/* How often a role may die by a signal before the daemon was ready; then the start has failed. */
#define BROKER_START_TRIES 3
#define BROKER_REASON_SIZE 512
/* Descriptors of `broker.keep`. */
#define BROKER_KEPT_COUNT 2

enum supervised_state {
	SUPERVISED_STOPPED,
	SUPERVISED_STARTING,
	SUPERVISED_READY,
	SUPERVISED_WAITING, /* for its back-off to end */
	SUPERVISED_STOPPING
};

/* What of a role the next broker goes on with, as bytes (keeper.h). Times are of uv_now(), which
 * all processes share. */
struct supervised_life {
	enum supervised_state state;
	pid_t pid; /* 0: no process */
	unsigned restarts;
	uint64_t started_at_ms;
	uint64_t changed_at_ms; /* state */
	uint64_t due_at_ms;     /* WAITING */
	struct backoff backoff;
	bool is_asked_to_restart;
	bool is_second_try;              /* the role's last process ended with ROLE_EXIT_AGAIN */
	char reason[BROKER_REASON_SIZE]; /* why it ended last; "" when it did not */
};

struct supervised {
	struct broker *broker;
	const struct role *role;
	struct supervised_life life;
	int pidfd;        /* life.pid != 0 */
	uv_timer_t timer; /* WAITING: start it; STOPPING: kill it */
	struct ipc_channel *channel;
	int channel_fd; /* channel != NULL: owned by it */
	/* Memory that the role wants back when it was started again: sealed, and then some that it
	 * goes on writing to. */
	size_t kept_count;
	int kept_fds[BROKER_KEPT_COUNT];
};

enum broker_phase { BROKER_STARTING, BROKER_RUNNING, BROKER_STOPPING };

struct broker {
	uv_loop_t loop;
	const struct broker_options *options;
	struct identity identity;
	enum broker_phase phase;
	int exit_code;
	int ready_fd;
	bool is_reloading; /* control was told to */
	int keeper_fd;     /* -1: none (unit tests) */
	bool is_kept;      /* the daemon was ready: the keeper is given what changes */
	uv_poll_t keeper_poll;
	unsigned restarts;               /* of the broker */
	bool is_asked_to_stop;           /* restarts > 0: the one before was */
	char reason[BROKER_REASON_SIZE]; /* restarts > 0: how the one before ended */
	uint64_t started_at_ms;
	uv_signal_t on_term, on_interrupt, on_hangup;
	uv_timer_t watchdog;
	struct supervised *supervised;
	size_t role_count;
	struct list taps;      /* of struct broker_tap, broker_network.c */
	struct list dead_taps; /* of struct broker_tap: nobody wants them any more */
	uv_timer_t tap_timer;  /* removes them, many at once */
	struct list listening; /* of struct broker_socket, broker_files.c */
	struct list programs;  /* of struct broker_program, broker_programs.c */
	enum log_sink log_sink;
	enum log_level log_level;
	char log_path[4096];
};

/* broker.c */
const char *supervised_state_name(enum supervised_state state);
int broker_restart(struct supervised *supervised, struct error *error);
/* Tells one role, or all (NULL), and the broker itself, where to log. */
int broker_tell_log(struct broker *broker, struct supervised *only, struct error *error);

/* broker_requests.c: one call of a role. */
void broker_handle_request(struct ipc_request *request, struct supervised *from);

/* broker_files.c; each answers the request */
void broker_open_config(struct ipc_request *request, void *context);
void broker_open_rules(struct ipc_request *request, void *context);
void broker_open_cache(struct ipc_request *request, void *context);
void broker_open_key(struct ipc_request *request, void *context);
void broker_open_append(struct ipc_request *request, void *context);
void broker_listen_unix(struct ipc_request *request, void *context);
void broker_connect_unix(struct ipc_request *request, void *context);
/* Opens path to append as the roles' user; the descriptor or a negative errno. */
int broker_append_file(const struct identity *identity, const char *path, struct error *error);
/* Makes the folders that belong to the roles' user where they are missing. */
void broker_make_folders(const struct broker *broker);
void broker_unlink_sockets(struct broker *broker);

/* broker_network.c; each answers the request */
void broker_listen_tcp(struct ipc_request *request, void *context);
void broker_connect_tcp(struct ipc_request *request, void *context);
void broker_open_tap(struct ipc_request *request, void *context);
void broker_close_tap(struct ipc_request *request, void *context);
void broker_open_packet_socket(struct ipc_request *request, void *context);
void broker_start_taps(struct broker *broker);
void broker_close_taps(struct broker *broker);

/* Both are kept; path as it was asked for. */
void broker_take_tap(struct broker *broker, const char *name, const void *settings, size_t size,
	int *descriptors, size_t descriptor_count);
void broker_remember_socket(struct broker *broker, const char *path);

/* broker_keep.c: what the keeper is given, from the moment that the daemon is ready. */
void broker_put(struct broker *broker, const char *kind, const char *name, const void *data,
	size_t size, const int *descriptors, size_t descriptor_count);
void broker_drop(struct broker *broker, const char *kind, const char *name);
void broker_put_self(struct broker *broker);
void supervised_put(struct supervised *supervised);
/* Everything but TAPs and sockets has its own call above. */
void broker_put_taps(struct broker *broker);
void broker_put_sockets(struct broker *broker);
/* For systemd: as sd_notifyf(3). */
void broker_notify(struct broker *broker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Takes what the broker before left; the roles' channels are not open yet. */
int broker_take_over(struct broker *broker, struct error *error);

/* broker_programs.c; each answers the request */
void broker_start_program(struct ipc_request *request, void *context);
void broker_stop_program(struct ipc_request *request, void *context);
void broker_programs_role_ended(struct supervised *role);
void broker_programs_close(struct broker *broker);
/* For the next broker; and by that one, when its roles are known, and when it goes on. */
void broker_put_programs(struct broker *broker);
void broker_take_program(struct broker *broker, const char *name, const void *data, size_t size);
void broker_resume_programs(struct broker *broker);
/* After the loop's end. */
void broker_programs_free(struct broker *broker);
