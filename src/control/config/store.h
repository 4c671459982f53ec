/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store: the configuration that runs, and the transaction that changes it. A change is prepared
 * by all path roles, then committed by all; when one refuses, those that had prepared abort, and
 * nothing has changed. One change at a time, the others wait their turn. A role that was started
 * again gets what runs. A change can be left unconfirmed: it is then rolled back after a while,
 *also when this process was started again meanwhile, for what is needed to do so is kept elsewhere
 *before the roles commit.
 *
 * Knows roles, clocks and sockets only through its ops. One thread.
 *
 *	        begin ─► prepare ─┬─► keep ─► commit ─► running
 *	                          ├─► abort  ─► as before
 *	                          └─► abort  ─► restart of the role ─► prepare ─► keep, commit or
 *abort
 */
#pragma once

#include "base/error.h"
#include "base/list.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_ROLES_MAX   8
#define CONFIG_WAITING_MAX 16    /* changes that wait for their turn */
#define CONFIG_RETRY_MS    2000  /* a restarted role refused what runs: again after so long */
#define CONFIG_RESTART_MS  60000 /* a role that is started again for a change is back by then */

enum config_phase { CONFIG_PREPARE, CONFIG_COMMIT, CONFIG_ABORT };
enum config_timer {
	CONFIG_TIMER_CONFIRM,
	CONFIG_TIMER_RETRY,
	CONFIG_TIMER_RESTART,
	CONFIG_TIMER_COUNT,
};

enum config_answer {
	CONFIG_ANSWER_GONE = 1 << 0, /* the role went away before it answered */
	CONFIG_ANSWER_RESTART =
		1 << 1, /* prepared, but to be in force the role has to start again */
};

struct config_store;

struct config_store_ops {
	/* Sends phase to a role; config_store_answered() follows later, not from within. document
	 * (borrowed) comes with prepare only. A negative errno: not sent, error says why. */
	int (*send)(void *context, unsigned int role, enum config_phase phase,
		json_int_t generation, const json_t *document, struct error *error);
	/* Starts a role again; config_store_role_down() and _up() follow, or _restart_failed(). */
	void (*restart)(void *context, unsigned int role);
	/* Lets config_store_timer() run once after after_ms; 0 stops it. */
	void (*set_timer)(void *context, enum config_timer timer, uint64_t after_ms);
	uint64_t (*now_ms)(void *context);
	/* Lets states (taken) outlive this process; config_store_kept() follows, not from within.
	 */
	void (*keep)(void *context, json_t *states);
	/* store->running is new. changes as of config_diff(), borrowed. */
	void (*on_running)(void *context, bool is_first, const json_t *changes);
};

/* Told once for each change: its differences (borrowed), or NULL and why nothing changed. */
typedef void (*config_done_fn)(void *context, const json_t *changes, const struct error *error);

struct config_role_state {
	bool is_up;
	bool is_configured; /* has what runs in force */
	bool is_restarting; /* about to go down and come back, as the store asked for */
};

struct config_store {
	/* Written by the store, read by its owner. */
	json_t *running;            /* NULL: none yet */
	json_t *previous;           /* what a rollback goes back to; NULL: nothing */
	char *file, *previous_file; /* where they came from; NULL: unknown */
	json_int_t generation;      /* counts what ran */
	bool is_unconfirmed;
	uint64_t confirm_due_ms;       /* of now_ms() */
	char problem[ERROR_TEXT_SIZE]; /* why a role cannot take what runs; "" : none */
	struct config_role_state roles[CONFIG_ROLES_MAX];

	/* The store's own. */
	const struct config_store_ops *ops;
	void *context;
	const char *const *role_names; /* ended by NULL */
	unsigned int role_count;
	unsigned int restart_role;    /* which role a change with effect `restart` is for */
	struct config_change *change; /* under way; NULL: none */
	struct list waiting;          /* of struct config_change */
	unsigned int waiting_count;
	bool is_closed;
};

/* Roles are told apart by their index in role_names (borrowed, ended by NULL). */
void config_store_init(struct config_store *store, const struct config_store_ops *ops,
	void *context, const char *const *role_names, unsigned int restart_role);
/* Ends all changes with an error, and stops the timers; the content stays readable. */
void config_store_close(struct config_store *store);
/* After close. */
void config_store_destroy(struct config_store *store);

/* Takes document (also on failure), which file (its name) says. confirm_ms 0: for good. done may
 * run within this call. */
void config_store_apply(struct config_store *store, json_t *document, const char *file,
	uint64_t confirm_ms, config_done_fn done, void *context);
/* Goes back to the previous one, before all changes that wait. */
void config_store_rollback(struct config_store *store, config_done_fn done, void *context);
/* -ENOENT: nothing waits for it. */
int config_store_confirm(struct config_store *store, struct error *error);
/* What has to outlive this process: {"runs": state, "next": state}. `next` is what the roles are
 * about to commit; either may be absent. */
json_t *config_store_states(const struct config_store *store);
/* The state (borrowed) of the generation that a role runs; 0, it runs none: the one that had to
 * run. NULL: none. */
json_t *config_state_find(const json_t *states, json_int_t generation);
/* At the start: document (taken) of that generation runs in a role that outlived this process, or
 * (NULL) the role is to be given what state says. state (NULL: unknown) is the one of
 * config_state_find(). A rollback that it waits for happens in time, or at once. */
void config_store_take_over(struct config_store *store, unsigned int role, json_t *document,
	json_int_t generation, const json_t *state);

/* What the owner's sockets and timers bring. */
void config_store_role_up(struct config_store *store, unsigned int role);
void config_store_role_down(struct config_store *store, unsigned int role);
/* error_text NULL: done. flags of enum config_answer. */
void config_store_answered(
	struct config_store *store, unsigned int role, const char *error_text, unsigned int flags);
/* error_text NULL: what ops->keep was given is safe. */
void config_store_kept(struct config_store *store, const char *error_text);
void config_store_restart_failed(struct config_store *store, const char *error_text);
void config_store_timer(struct config_store *store, enum config_timer timer);
