/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/config/store.h"

#include "control/config/config.h"
#include "schema/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum step {
	STEP_WAIT,
	STEP_RESTART,
	STEP_PREPARE,
	STEP_KEEP,
	STEP_COMMIT,
	STEP_ABORT,
	STEP_ABORT_TRIAL, /* it was good: the role is started again, and prepares once more */
};

struct config_change {
	struct list node; /* in store->waiting */
	json_t *document; /* NULL until it begins: a rollback's is the previous one of then */
	char *file;       /* as document */
	json_t *changes;
	uint64_t confirm_ms;
	bool is_again; /* what runs, for roles that were started again */
	bool is_rollback;
	bool wants_restart;
	bool did_restart; /* a role was started again for this change */
	config_done_fn done;
	void *context;

	enum step step;
	unsigned int targets, prepared, committed; /* sets of roles, a bit each */
	unsigned int answers_due;
	struct error failure; /* "": none so far */
};

static void begin(struct config_store *store, struct config_change *change);
static void begin_next(struct config_store *store);

static void nobody_waits(void *context, const json_t *changes, const struct error *error)
{
}

static void destroy_change(struct config_change *change)
{
	json_decref(change->document);
	json_decref(change->changes);
	free(change->file);
	free(change);
}

/* Tells, frees, and goes on with what waits. error NULL: done. */
static void end(struct config_store *store, struct config_change *change, const struct error *error)
{
	store->change = NULL;
	change->done(change->context, error ? NULL : change->changes, error);
	destroy_change(change);
	begin_next(store);
}

void config_store_init(struct config_store *store, const struct config_store_ops *ops,
	void *context, const char *const *role_names, unsigned int restart_role)
{
	memset(store, 0, sizeof(*store));
	store->ops = ops;
	store->context = context;
	store->role_names = role_names;
	while (store->role_count < CONFIG_ROLES_MAX && role_names[store->role_count])
		store->role_count++;
	store->restart_role = restart_role;
	list_init(&store->waiting);
}

void config_store_close(struct config_store *store)
{
	struct error error;

	error_set(&error, -ECANCELED, "the daemon is stopping");
	store->is_closed = true;
	for (int timer = 0; timer < CONFIG_TIMER_COUNT; timer++)
		store->ops->set_timer(store->context, timer, 0);
	if (store->change)
		end(store, store->change, &error);
	else
		begin_next(store);
}

void config_store_destroy(struct config_store *store)
{
	json_decref(store->running);
	json_decref(store->previous);
	store->running = store->previous = NULL;
	free(store->file);
	free(store->previous_file);
	store->file = store->previous_file = NULL;
}

static char *copy_text(const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		abort(); /* a role without memory cannot go on; the broker starts it again */
	return copy;
}

/* --- What outlives the process --- */

json_t *config_store_states(const struct config_store *store)
{
	const struct config_change *change = store->change;
	json_t *states = json_object();

	if (store->running)
		json_object_set_new(states, "runs",
			json_pack("{s:I, s:O, s:s*, s:O*, s:s*, s:I}", "generation",
				store->generation, "document", store->running, "file", store->file,
				"previous", store->previous, "previous_file", store->previous_file,
				"confirm_due_ms", (json_int_t)store->confirm_due_ms));
	if (change && change->step == STEP_KEEP)
		json_object_set_new(states, "next",
			json_pack("{s:I, s:O, s:s*, s:O*, s:s*, s:I}", "generation",
				store->generation + 1, "document", change->document, "file",
				change->file, "previous", store->running, "previous_file",
				store->file, "confirm_due_ms",
				(json_int_t)(change->confirm_ms ? store->ops->now_ms(store->context)
							+ change->confirm_ms
								: 0)));
	return states;
}

json_t *config_state_find(const json_t *states, json_int_t generation)
{
	json_t *runs = json_object_get(states, "runs"), *next = json_object_get(states, "next");

	/* A role that lost its memory cannot say whether it had committed: what was certain wins.
	 */
	if (generation == 0)
		return runs;
	if (json_integer_value(json_object_get(runs, "generation")) == generation)
		return runs;
	if (json_integer_value(json_object_get(next, "generation")) == generation)
		return next;
	return NULL;
}

/* --- Beginning --- */

/* Why the change cannot begin; 0: it can. */
static int check_obstacles(
	const struct config_store *store, const struct config_change *change, struct error *error)
{
	if (store->is_closed)
		return error_set(error, -ECANCELED, "the daemon is stopping");
	if (change->is_again)
		return 0;
	if (change->is_rollback && !store->previous)
		return error_set(error, -ENOENT,
			"there is nothing to go back to: this is the first configuration since the "
			"daemon's start");
	if (store->is_unconfirmed && !change->is_rollback)
		return error_set(error, -EBUSY,
			"the configuration that was applied before is not confirmed yet: use "
			"`bulkhead config confirm` or `bulkhead config rollback` first");
	for (unsigned int role = 0; role < store->role_count; role++)
		if (!store->roles[role].is_up || store->roles[role].is_restarting)
			return error_set(error, -EAGAIN,
				"the %s role is not running at the moment; it is started again, "
				"try again",
				store->role_names[role]);
	return 0;
}

static bool needs_restart(const json_t *changes)
{
	const char *effect;
	json_t *change;
	size_t i;

	json_array_foreach (changes, i, change) {
		effect = json_string_value(json_object_get(change, "effect"));
		if (effect && strcmp(effect, "restart") == 0)
			return true;
	}
	return false;
}

static void fail_to_send(struct config_change *change, const struct error *error)
{
	if (!change->failure.text[0])
		change->failure = *error;
}

/* Sends phase to each role of the set; returns whether any answer is due. */
static bool send_all(struct config_store *store, struct config_change *change, unsigned int roles,
	enum config_phase phase)
{
	json_int_t generation = store->generation + !change->is_again;
	struct error error;

	change->answers_due = 0;
	for (unsigned int role = 0; role < store->role_count; role++) {
		if (!(roles & 1u << role))
			continue;
		if (store->ops->send(store->context, role, phase, generation,
			    phase == CONFIG_PREPARE ? change->document : NULL, &error)
			== 0)
			change->answers_due++;
		else if (phase == CONFIG_PREPARE)
			fail_to_send(change, &error);
	}
	return change->answers_due > 0;
}

static void step_done(struct config_store *store, struct config_change *change);

static void prepare(struct config_store *store, struct config_change *change)
{
	change->step = STEP_PREPARE;
	if (!send_all(store, change, change->targets, CONFIG_PREPARE))
		step_done(store, change);
}

static bool lacks_running(const struct config_store *store, unsigned int role)
{
	const struct config_role_state *state = &store->roles[role];

	return store->running && !store->is_closed && state->is_up && !state->is_restarting
		&& !state->is_configured;
}

static unsigned int targets_of(const struct config_store *store, const struct config_change *change)
{
	unsigned int targets = 0;

	for (unsigned int role = 0; role < store->role_count; role++)
		if (!change->is_again || lacks_running(store, role))
			targets |= 1u << role;
	return targets;
}

static void restart(struct config_store *store)
{
	store->roles[store->restart_role].is_configured = false;
	store->roles[store->restart_role].is_restarting = true;
	store->ops->restart(store->context, store->restart_role);
}

static void begin(struct config_store *store, struct config_change *change)
{
	struct error error;

	store->change = change;
	if (check_obstacles(store, change, &error) < 0) {
		end(store, change, &error);
		return;
	}
	if (change->is_rollback) {
		change->document = json_incref(store->previous);
		change->file = copy_text(store->previous_file);
	}
	change->changes = config_diff(store->running, change->document);
	if (!change->changes) {
		error_set(&error, -ENOMEM, "no memory to compare the configurations");
		end(store, change, &error);
		return;
	}
	change->targets = targets_of(store, change);
	change->wants_restart = store->running && needs_restart(change->changes);
	prepare(store, change);
}

/* Roles that lack what runs come before the changes that wait. */
static struct config_change *next_change(struct config_store *store)
{
	struct config_change *change;

	for (unsigned int role = 0; role < store->role_count && !store->problem[0]; role++) {
		if (!lacks_running(store, role))
			continue;
		change = calloc(1, sizeof(*change));
		if (!change)
			return NULL;
		change->document = json_incref(store->running);
		change->is_again = true;
		change->done = nobody_waits;
		return change;
	}
	if (list_is_empty(&store->waiting))
		return NULL;
	change = list_entry(store->waiting.next, struct config_change, node);
	list_remove(&change->node);
	store->waiting_count--;
	return change;
}

static void begin_next(struct config_store *store)
{
	struct config_change *change;

	/* begin() may end a change at once, and then comes here by itself. */
	if (!store->change && (change = next_change(store)))
		begin(store, change);
}

/* --- Going on --- */

static void succeed_again(struct config_store *store, struct config_change *change)
{
	for (unsigned int role = 0; role < store->role_count; role++)
		if (change->committed & 1u << role)
			store->roles[role].is_configured = true;
	end(store, change, NULL);
}

static void arm_confirm(struct config_store *store, uint64_t confirm_ms)
{
	store->is_unconfirmed = confirm_ms > 0;
	store->confirm_due_ms = confirm_ms ? store->ops->now_ms(store->context) + confirm_ms : 0;
	store->ops->set_timer(store->context, CONFIG_TIMER_CONFIRM, confirm_ms);
}

static void succeed(struct config_store *store, struct config_change *change)
{
	bool is_first = store->running == NULL;

	json_decref(store->previous);
	free(store->previous_file);
	store->previous = store->running;
	store->previous_file = store->file;
	store->running = json_incref(change->document);
	store->file = change->file;
	change->file = NULL;
	store->generation++;
	store->problem[0] = '\0';
	/* A role that died while it committed gets it when it is back. */
	for (unsigned int role = 0; role < store->role_count; role++)
		store->roles[role].is_configured =
			store->roles[role].is_up && (change->committed & 1u << role);
	arm_confirm(store, change->confirm_ms);
	store->ops->on_running(store->context, is_first, change->changes);
	end(store, change, NULL);
}

/* Nothing has changed; but a role that was started again, or has committed what another refused
 * to, does not have what runs. */
static void fail(struct config_store *store, struct config_change *change)
{
	struct error error = change->failure;

	if (change->is_again) {
		memcpy(store->problem, error.text, sizeof(store->problem));
		store->ops->set_timer(store->context, CONFIG_TIMER_RETRY, CONFIG_RETRY_MS);
	}
	for (unsigned int role = 0; role < store->role_count; role++)
		if (change->step == STEP_COMMIT && (change->prepared & 1u << role))
			store->roles[role].is_configured = false;
	/* It may have taken over memory and workers of what failed. */
	if (change->did_restart && !store->is_closed)
		restart(store);
	end(store, change, &error);
}

static void commit(struct config_store *store, struct config_change *change)
{
	change->step = STEP_COMMIT;
	if (!send_all(store, change, change->prepared, CONFIG_COMMIT))
		step_done(store, change);
}

/* What a rollback needs has to be safe before there is anything to roll back. */
static void keep(struct config_store *store, struct config_change *change)
{
	change->step = STEP_KEEP;
	store->ops->keep(store->context, config_store_states(store));
}

static void abort_prepared(struct config_store *store, struct config_change *change)
{
	change->step = STEP_ABORT;
	if (!send_all(store, change, change->prepared, CONFIG_ABORT))
		step_done(store, change);
}

/* What the role cannot do while it runs was tried as far as it can be, before guests notice. */
static void abort_trial(struct config_store *store, struct config_change *change)
{
	change->step = STEP_ABORT_TRIAL;
	if (!send_all(store, change, change->prepared, CONFIG_ABORT))
		step_done(store, change);
}

static void restart_for(struct config_store *store, struct config_change *change)
{
	change->step = STEP_RESTART;
	change->prepared = 0;
	change->did_restart = true;
	store->ops->set_timer(store->context, CONFIG_TIMER_RESTART, CONFIG_RESTART_MS);
	restart(store);
}

/* All answers of a step are there. */
static void step_done(struct config_store *store, struct config_change *change)
{
	bool has_failed = change->failure.text[0] != '\0';

	if ((change->step == STEP_PREPARE || change->step == STEP_KEEP) && has_failed)
		abort_prepared(store, change);
	else if (change->step == STEP_PREPARE && change->wants_restart && !change->did_restart)
		abort_trial(store, change);
	else if (change->step == STEP_PREPARE && !change->is_again)
		keep(store, change);
	else if (change->step == STEP_PREPARE || change->step == STEP_KEEP)
		commit(store, change);
	else if (change->step == STEP_ABORT_TRIAL)
		restart_for(store, change);
	else if (change->step == STEP_ABORT || has_failed)
		fail(store, change);
	else if (change->is_again)
		succeed_again(store, change);
	else
		succeed(store, change);
}

void config_store_answered(
	struct config_store *store, unsigned int role, const char *error_text, unsigned int flags)
{
	bool is_gone = flags & CONFIG_ANSWER_GONE;
	struct config_change *change = store->change;

	if (is_gone)
		config_store_role_down(store, role);
	if (!change || change->step < STEP_PREPARE || change->answers_due == 0)
		return;
	/* What was prepared is good: a role that dies while it commits gets it when it is back. */
	if (error_text && change->step < STEP_ABORT && !(is_gone && change->step == STEP_COMMIT)
		&& !change->failure.text[0])
		error_set(&change->failure, -EIO, "%s", error_text);
	if ((flags & CONFIG_ANSWER_RESTART) && !change->is_again && store->running)
		change->wants_restart = true;
	if (!error_text && change->step == STEP_PREPARE)
		change->prepared |= 1u << role;
	if (!error_text && change->step == STEP_COMMIT)
		change->committed |= 1u << role;
	if (--change->answers_due == 0)
		step_done(store, change);
}

void config_store_kept(struct config_store *store, const char *error_text)
{
	struct config_change *change = store->change;

	if (!change || change->step != STEP_KEEP)
		return; /* the store was closed meanwhile */
	if (error_text)
		error_set(
			&change->failure, -EIO, "it cannot be kept for a rollback: %s", error_text);
	step_done(store, change);
}

void config_store_role_up(struct config_store *store, unsigned int role)
{
	struct config_change *change = store->change;

	store->roles[role] = (struct config_role_state){.is_up = true};
	store->problem[0] = '\0';
	if (change && change->step == STEP_RESTART && role == store->restart_role) {
		store->ops->set_timer(store->context, CONFIG_TIMER_RESTART, 0);
		prepare(store, change);
	} else {
		begin_next(store);
	}
}

void config_store_role_down(struct config_store *store, unsigned int role)
{
	store->roles[role].is_up = false;
	store->roles[role].is_configured = false;
}

void config_store_restart_failed(struct config_store *store, const char *error_text)
{
	struct config_change *change = store->change;

	/* It goes on, as it is. */
	store->roles[store->restart_role].is_restarting = false;
	if (change && change->step == STEP_RESTART) {
		store->ops->set_timer(store->context, CONFIG_TIMER_RESTART, 0);
		change->did_restart = false;
		error_set(&change->failure, -EIO, "%s", error_text);
		fail(store, change);
	} else {
		begin_next(store);
	}
}

/* --- What people ask for --- */

static struct config_change *new_change(
	struct config_store *store, config_done_fn done, void *context)
{
	struct config_change *change = calloc(1, sizeof(*change));
	struct error error;

	if (!change || store->waiting_count >= CONFIG_WAITING_MAX) {
		free(change);
		error_set(&error, -EBUSY,
			"too many changes of the configuration are under way; try again");
		done(context, NULL, &error);
		return NULL;
	}
	change->done = done;
	change->context = context;
	return change;
}

void config_store_apply(struct config_store *store, json_t *document, const char *file,
	uint64_t confirm_ms, config_done_fn done, void *context)
{
	struct config_change *change = new_change(store, done, context);

	if (!change) {
		json_decref(document);
		return;
	}
	change->document = document;
	change->file = copy_text(file);
	change->confirm_ms = confirm_ms;
	list_append(&store->waiting, &change->node);
	store->waiting_count++;
	begin_next(store);
}

void config_store_rollback(struct config_store *store, config_done_fn done, void *context)
{
	struct config_change *change = new_change(store, done, context);

	if (!change)
		return;
	change->is_rollback = true;
	list_prepend(&store->waiting, &change->node);
	store->waiting_count++;
	begin_next(store);
}

int config_store_confirm(struct config_store *store, struct error *error)
{
	if (!store->is_unconfirmed)
		return error_set(error, -ENOENT,
			"nothing waits for a confirmation; what runs (generation "
			"%" JSON_INTEGER_FORMAT ") stays",
			store->generation);
	arm_confirm(store, 0);
	return 0;
}

void config_store_take_over(struct config_store *store, unsigned int role, json_t *document,
	json_int_t generation, const json_t *state)
{
	uint64_t due_ms = (uint64_t)json_integer_value(json_object_get(state, "confirm_due_ms"));
	uint64_t now_ms = store->ops->now_ms(store->context);

	config_store_destroy(store);
	store->roles[role].is_configured = document != NULL;
	store->running = document ? document : json_incref(json_object_get(state, "document"));
	store->generation =
		document ? generation : json_integer_value(json_object_get(state, "generation"));
	store->file = copy_text(text_of(state, "file"));
	store->previous = json_incref(json_object_get(state, "previous"));
	store->previous_file = copy_text(text_of(state, "previous_file"));
	if (due_ms)
		arm_confirm(store, due_ms > now_ms ? due_ms - now_ms : 1);
	begin_next(store);
}

/* A rollback that failed, most likely for a role that is down: what is unconfirmed must not stay.
 */
static void on_rolled_back(void *context, const json_t *changes, const struct error *error)
{
	struct config_store *store = context;

	if (error && store->is_unconfirmed && !store->is_closed)
		arm_confirm(store, CONFIG_RETRY_MS);
}

void config_store_timer(struct config_store *store, enum config_timer timer)
{
	if (store->is_closed)
		return;
	if (timer == CONFIG_TIMER_RETRY) {
		store->problem[0] = '\0';
		begin_next(store);
	} else if (timer == CONFIG_TIMER_RESTART) {
		config_store_restart_failed(
			store, "the role was started again and did not come back");
	} else if (store->is_unconfirmed) {
		config_store_rollback(store, on_rolled_back, store);
	}
}
