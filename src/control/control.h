/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Private to the control role: its state, and what its files do for each other. One thread: the
 * loop's.
 *
 *	control_role.c     the role's ops: start, peers, the broker's requests, stop
 *	control_apply.c    changes of the configuration: one at a time, all or nothing
 *	control_settings.c what of the configuration concerns control itself
 *	control_methods.c  API methods that control answers
 *	control_metrics.c  samples of all roles
 */
#pragma once

#include "base/error.h"
#include "control/api/api_server.h"
#include "control/config/config.h"
#include "control/config/store.h"
#include "control/events/eve_writer.h"
#include "control/events/event_bus.h"
#include "control/metrics/metrics_server.h"
#include "ipc/ipc.h"
#include "main/role.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

/* The roles that get the configuration, in the order of control_peer_names. */
enum control_peer { PEER_PACKET, PEER_CHANNEL, PEER_COUNT };
extern const char *const control_peer_names[]; /* ended by NULL */

struct control;

/* What a peer's ops and answers are given. */
struct control_peer_link {
	struct control *control;
	enum control_peer peer;
	struct ipc_channel *channel; /* NULL: down */
};

struct control {
	struct role_context *role;
	struct control_peer_link peers[PEER_COUNT];
	bool is_stopping;
	unsigned int references; /* itself, its timers, and calls to the broker under way */

	/* The configuration. Writer: control_apply.c. */
	struct config_store store;
	uv_timer_t config_timers[CONFIG_TIMER_COUNT];
	char applied_at[40];
	/* At the start: what the control before has left or, if nothing, the file's text, and the
	 * packet role's answer about what runs are awaited. */
	bool is_file_read, is_packet_asked;
	json_t *kept;  /* config_store_states(), with applied_at in each; NULL: nothing */
	json_t *first; /* from the file; NULL: it has errors */
	char *first_file;
	json_t *packet_document; /* NULL: the packet role runs none */
	json_int_t packet_generation;
	char first_error[ERROR_TEXT_SIZE];

	/* Control's own. */
	json_t *settings; /* the document that they are of; NULL: none yet */
	struct api_server *api;
	struct event_bus *bus;
	struct eve_writer *eve;
	/* Why these could not be opened, for status; "": all is well. */
	char metrics_problem[ERROR_TEXT_SIZE], eve_problem[ERROR_TEXT_SIZE];
	struct metrics_server *metrics;
	struct collection *collection; /* of metrics, under way; NULL: none */
	bool is_eve_opening;
	bool is_eve_stale;                   /* asked for again while it was being opened */
	uv_timer_t eve_timer, metrics_timer; /* try again */
	uint64_t started_ms;
	char started_at[40];
};

/* --- control_apply.c --- */

/* Told once; result is {"is_applied", "generation", "errors", "warnings", "changes"} (borrowed), or
 * NULL with error. */
typedef void (*apply_done_fn)(void *context, const json_t *result, const struct error *error);

/* Applies the text in fd (borrowed). confirm_ms 0: for good. done may run within this call. */
void control_apply_fd(struct control *control, int fd, const char *file, uint64_t confirm_ms,
	apply_done_fn done, void *context);
/* Reads the file of the broker's --config again and applies it. */
void control_reload(struct control *control, apply_done_fn done, void *context);
void control_rollback(struct control *control, apply_done_fn done, void *context);
/* done gets no result of its own, and error NULL when it is confirmed. */
void control_confirm(struct control *control, apply_done_fn done, void *context);
/* Sets result's list (taken), as much of it as fits into a message beside others; what does not is
 * counted in NAME_left_out, with more that are not in the list. */
void control_set_bounded(json_t *result, const char *name, json_t *list, size_t more);
/* A peer has connected, or gone (also: control stops). */
void control_apply_peer_up(struct control *control, enum control_peer peer);
void control_apply_peer_down(struct control *control, enum control_peer peer);
void control_apply_init(struct control *control);
void control_apply_close(struct control *control);

/* --- control_settings.c --- */

/* Puts in force what concerns control itself, as far as it differs. Failures are logged and told in
 * status: a metrics port that is taken must not stop the gateway. */
void control_settings_apply(struct control *control, json_t *config);
/* Opens the EVE file or socket again (rotation). */
void control_reopen_eve(struct control *control);
void control_settings_init(struct control *control);
void control_settings_close(struct control *control);

/* --- control_methods.c --- */
void control_handle(void *context, struct api_session *session, struct ipc_request *request);
void control_forget(void *context, struct api_session *session);

/* --- control_metrics.c --- */
void control_collect_metrics(void *context, struct metrics_server *server);
void control_metrics_abandon(struct control *control);

/* --- control_role.c --- */
/* A call to the broker; as ipc_call, but done is called in any case. params is consumed. */
void control_broker_call(struct control *control, const char *method, json_t *params,
	ipc_reply_fn done, void *context);
/* The same with a descriptor (borrowed). */
void control_broker_give(struct control *control, const char *method, json_t *params, int fd,
	ipc_reply_fn done, void *context);
/* A timer of control's, which keeps it alive until the timer is closed. */
void control_timer_init(struct control *control, uv_timer_t *timer);
void control_timer_close(uv_timer_t *timer);
/* The channel to a peer; NULL: it is down. */
static inline struct ipc_channel *control_channel(
	const struct control *control, enum control_peer peer)
{
	return control->peers[peer].channel;
}
/* Text of an error object of an answer; never NULL. */
const char *control_error_text(const json_t *error);
