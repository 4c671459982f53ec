/* SPDX-License-Identifier: BSD-3-Clause */
/* The transaction of a configuration, with roles, timers and clock faked at the store's ops. G12 */
#include "control/config/store.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOG_SIZE 4096

/* What the store asked of its owner, in order, as text. */
struct fake {
	struct config_store store;
	char log[LOG_SIZE];
	uint64_t now_ms, timers[CONFIG_TIMER_COUNT];
	json_t *kept;                  /* the states that would outlive the process */
	bool is_keep_due, keeps_later; /* the answer to it */
	bool refuses_to_send;
	char result[ERROR_TEXT_SIZE]; /* of the last change that ended: "done" or why not */
	size_t change_count;
	unsigned int running_count, first_count;
};

static void note(struct fake *fake, const char *format, ...)
{
	size_t used = strlen(fake->log);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fake->log + used, LOG_SIZE - used, format, arguments);
	va_end(arguments);
}

static int fake_send(void *context, unsigned int role, enum config_phase phase,
	json_int_t generation, const json_t *document, struct error *error)
{
	static const char *const names[] = {"prepare", "commit", "abort"};
	struct fake *fake = context;

	if (fake->refuses_to_send)
		return error_set(error, -EPIPE, "not sent");
	assert_int_equal(document != NULL, phase == CONFIG_PREPARE);
	note(fake, "%s %u #%d", names[phase], role, (int)generation);
	if (document)
		note(fake, " %s", json_string_value(json_object_get(document, "host")));
	note(fake, "; ");
	return 0;
}

static void fake_restart(void *context, unsigned int role)
{
	note(context, "restart %u; ", role);
}

static void fake_set_timer(void *context, enum config_timer timer, uint64_t after_ms)
{
	struct fake *fake = context;

	fake->timers[timer] = after_ms;
}

static uint64_t fake_now(void *context)
{
	struct fake *fake = context;

	return fake->now_ms;
}

static void fake_running(void *context, bool is_first, const json_t *changes)
{
	struct fake *fake = context;

	fake->running_count++;
	fake->first_count += is_first;
	assert_true(json_is_array(changes));
}

static void fake_keep(void *context, json_t *states)
{
	struct fake *fake = context;

	json_decref(fake->kept);
	fake->kept = states;
	fake->is_keep_due = true;
}

static const struct config_store_ops fake_ops = {
	.send = fake_send,
	.restart = fake_restart,
	.set_timer = fake_set_timer,
	.now_ms = fake_now,
	.keep = fake_keep,
	.on_running = fake_running,
};

static void on_done(void *context, const json_t *changes, const struct error *error)
{
	struct fake *fake = context;

	assert_true(!changes == !!error);
	fake->change_count = json_array_size(changes);
	snprintf(fake->result, sizeof(fake->result), "%s", error ? error->text : "done");
}

/* A document that differs by its host, and by what needs a restart. */
static json_t *document(const char *host, int workers)
{
	return json_pack("{s:s, s:{s:i}}", "host", host, "packet", "workers", workers);
}

static void expect(struct fake *fake, const char *log)
{
	assert_string_equal(fake->log, log);
	fake->log[0] = '\0';
}

static void apply(struct fake *fake, const char *host, uint64_t confirm_ms)
{
	fake->result[0] = '\0';
	config_store_apply(&fake->store, document(host, 1), host, confirm_ms, on_done, fake);
}

static void answer_keep(struct fake *fake, const char *error)
{
	fake->is_keep_due = false;
	config_store_kept(&fake->store, error);
}

static void answer(struct fake *fake, unsigned int role, const char *error)
{
	config_store_answered(&fake->store, role, error, 0);
	if (fake->is_keep_due && !fake->keeps_later)
		answer_keep(fake, NULL);
}

/* A store with two roles up, which runs the document "one". */
static int setup(void **state)
{
	static const char *const names[] = {"packet", "storage", NULL};
	struct fake *fake = calloc(1, sizeof(*fake));

	config_store_init(&fake->store, &fake_ops, fake, names, 0);
	config_store_role_up(&fake->store, 0);
	config_store_role_up(&fake->store, 1);
	expect(fake, "");
	apply(fake, "one", 0);
	expect(fake, "prepare 0 #1 one; prepare 1 #1 one; ");
	answer(fake, 1, NULL);
	expect(fake, "");
	answer(fake, 0, NULL);
	expect(fake, "commit 0 #1; commit 1 #1; ");
	answer(fake, 0, NULL);
	answer(fake, 1, NULL);
	assert_string_equal(fake->result, "done");
	assert_int_equal(fake->first_count, 1);
	*state = fake;
	return 0;
}

static int teardown(void **state)
{
	struct fake *fake = *state;

	config_store_close(&fake->store);
	config_store_destroy(&fake->store);
	json_decref(fake->kept);
	free(fake);
	return 0;
}

static const char *running(const struct fake *fake)
{
	return json_string_value(json_object_get(fake->store.running, "host"));
}

static void answer_all(struct fake *fake)
{
	answer(fake, 0, NULL);
	answer(fake, 1, NULL);
}

static void commits_when_all_roles_prepared(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	expect(fake, "prepare 0 #2 two; prepare 1 #2 two; ");
	answer_all(fake);
	expect(fake, "commit 0 #2; commit 1 #2; ");
	assert_string_equal(running(fake), "one");
	answer_all(fake);
	assert_string_equal(running(fake), "two");
	assert_string_equal(fake->result, "done");
	assert_int_equal(fake->change_count, 1);
	assert_int_equal(fake->store.generation, 2);
	assert_true(fake->store.roles[0].is_configured && fake->store.roles[1].is_configured);
}

static void aborts_what_was_prepared_when_a_role_refuses(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	fake->log[0] = '\0';
	answer(fake, 0, NULL);
	answer(fake, 1, "no such disk");
	expect(fake, "abort 0 #2; ");
	assert_string_equal(fake->result, "");
	answer(fake, 0, NULL);
	assert_string_equal(fake->result, "no such disk");
	assert_string_equal(running(fake), "one");
	assert_int_equal(fake->store.generation, 1);
	assert_true(fake->store.roles[0].is_configured && fake->store.roles[1].is_configured);
}

static void fails_when_nothing_can_be_sent(void **state)
{
	struct fake *fake = *state;

	fake->refuses_to_send = true;
	apply(fake, "two", 0);
	assert_string_equal(fake->result, "not sent");
	assert_string_equal(running(fake), "one");
}

static void does_changes_one_after_the_other(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	apply(fake, "three", 0);
	expect(fake, "prepare 0 #2 two; prepare 1 #2 two; ");
	answer_all(fake);
	fake->log[0] = '\0';
	answer_all(fake);
	expect(fake, "prepare 0 #3 three; prepare 1 #3 three; ");
	answer_all(fake);
	answer_all(fake);
	assert_string_equal(running(fake), "three");
}

static void refuses_more_changes_than_may_wait(void **state)
{
	struct fake *fake = *state;

	for (int i = 0; i < CONFIG_WAITING_MAX + 1; i++) {
		apply(fake, "two", 0);
		assert_string_equal(fake->result, "");
	}
	apply(fake, "two", 0);
	assert_non_null(strstr(fake->result, "too many"));
}

static void refuses_a_change_while_a_role_is_down(void **state)
{
	struct fake *fake = *state;

	config_store_role_down(&fake->store, 1);
	apply(fake, "two", 0);
	assert_non_null(strstr(fake->result, "the storage role is not running"));
	expect(fake, "");
}

static void gives_what_runs_to_a_role_that_came_back(void **state)
{
	struct fake *fake = *state;

	config_store_role_down(&fake->store, 1);
	config_store_role_up(&fake->store, 1);
	expect(fake, "prepare 1 #1 one; ");
	answer(fake, 1, NULL);
	expect(fake, "commit 1 #1; ");
	assert_false(fake->store.roles[1].is_configured);
	answer(fake, 1, NULL);
	assert_true(fake->store.roles[1].is_configured);
	assert_int_equal(fake->running_count, 1);
}

static void tries_again_when_a_role_refuses_what_runs(void **state)
{
	struct fake *fake = *state;

	config_store_role_down(&fake->store, 0);
	config_store_role_up(&fake->store, 0);
	fake->log[0] = '\0';
	answer(fake, 0, "interface is gone");
	assert_string_equal(fake->store.problem, "interface is gone");
	assert_int_equal(fake->timers[CONFIG_TIMER_RETRY], CONFIG_RETRY_MS);
	expect(fake, "");
	config_store_timer(&fake->store, CONFIG_TIMER_RETRY);
	expect(fake, "prepare 0 #1 one; ");
	answer(fake, 0, NULL);
	answer(fake, 0, NULL);
	assert_string_equal(fake->store.problem, "");
	assert_true(fake->store.roles[0].is_configured);
}

static void fails_when_a_role_dies_while_it_prepares(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	answer(fake, 1, NULL);
	fake->log[0] = '\0';
	config_store_answered(&fake->store, 0, "packet is gone", CONFIG_ANSWER_GONE);
	config_store_role_down(&fake->store, 0);
	expect(fake, "abort 1 #2; ");
	answer(fake, 1, NULL);
	assert_string_equal(fake->result, "packet is gone");
	config_store_role_up(&fake->store, 0);
	expect(fake, "prepare 0 #1 one; ");
}

static void succeeds_when_a_role_dies_while_it_commits(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	answer_all(fake);
	answer(fake, 1, NULL);
	config_store_answered(&fake->store, 0, "packet is gone", CONFIG_ANSWER_GONE);
	config_store_role_down(&fake->store, 0);
	assert_string_equal(fake->result, "done");
	assert_string_equal(running(fake), "two");
	fake->log[0] = '\0';
	config_store_role_up(&fake->store, 0);
	expect(fake, "prepare 0 #2 two; ");
}

static void puts_what_runs_back_when_a_commit_is_refused(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	answer_all(fake);
	fake->log[0] = '\0';
	answer(fake, 0, NULL);
	answer(fake, 1, "cannot");
	assert_string_equal(fake->result, "cannot");
	assert_string_equal(running(fake), "one");
	expect(fake, "prepare 0 #1 one; prepare 1 #1 one; ");
}

static void rolls_back_what_is_not_confirmed(void **state)
{
	struct fake *fake = *state;

	fake->now_ms = 1000;
	apply(fake, "two", 60000);
	answer_all(fake);
	answer_all(fake);
	assert_true(fake->store.is_unconfirmed);
	assert_int_equal(fake->store.confirm_due_ms, 61000);
	assert_int_equal(fake->timers[CONFIG_TIMER_CONFIRM], 60000);
	fake->log[0] = '\0';
	config_store_timer(&fake->store, CONFIG_TIMER_CONFIRM);
	expect(fake, "prepare 0 #3 one; prepare 1 #3 one; ");
	answer_all(fake);
	answer_all(fake);
	assert_string_equal(running(fake), "one");
	assert_false(fake->store.is_unconfirmed);
	assert_int_equal(fake->timers[CONFIG_TIMER_CONFIRM], 0);
}

static void keeps_what_is_confirmed(void **state)
{
	struct fake *fake = *state;
	struct error error;

	assert_int_equal(config_store_confirm(&fake->store, &error), -ENOENT);
	apply(fake, "two", 60000);
	answer_all(fake);
	answer_all(fake);
	assert_int_equal(config_store_confirm(&fake->store, &error), 0);
	assert_int_equal(fake->timers[CONFIG_TIMER_CONFIRM], 0);
	fake->log[0] = '\0';
	config_store_timer(&fake->store, CONFIG_TIMER_CONFIRM);
	expect(fake, "");
	assert_string_equal(running(fake), "two");
}

static void refuses_a_change_while_another_is_unconfirmed(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 60000);
	answer_all(fake);
	answer_all(fake);
	apply(fake, "three", 0);
	assert_non_null(strstr(fake->result, "not confirmed yet"));
}

static void tries_a_rollback_again_until_it_is_done(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 60000);
	answer_all(fake);
	answer_all(fake);
	config_store_role_down(&fake->store, 0);
	config_store_timer(&fake->store, CONFIG_TIMER_CONFIRM);
	assert_true(fake->store.is_unconfirmed);
	assert_int_equal(fake->timers[CONFIG_TIMER_CONFIRM], CONFIG_RETRY_MS);
	config_store_role_up(&fake->store, 0);
	answer(fake, 0, NULL);
	answer(fake, 0, NULL);
	fake->log[0] = '\0';
	config_store_timer(&fake->store, CONFIG_TIMER_CONFIRM);
	expect(fake, "prepare 0 #3 one; prepare 1 #3 one; ");
}

static void rolls_back_on_demand_and_only_once(void **state)
{
	struct fake *fake = *state;

	config_store_rollback(&fake->store, on_done, fake);
	assert_non_null(strstr(fake->result, "nothing to go back to"));
	apply(fake, "two", 0);
	answer_all(fake);
	answer_all(fake);
	config_store_rollback(&fake->store, on_done, fake);
	answer_all(fake);
	answer_all(fake);
	assert_string_equal(running(fake), "one");
	assert_string_equal(
		json_string_value(json_object_get(fake->store.previous, "host")), "two");
}

/* A change that needs a restart is tried first, and has come as far as the restart. */
static void begin_restart(struct fake *fake)
{
	config_store_apply(&fake->store, document("one", 2), "one", 0, on_done, fake);
	expect(fake, "prepare 0 #2 one; prepare 1 #2 one; ");
	answer_all(fake);
	expect(fake, "abort 0 #2; abort 1 #2; ");
	answer_all(fake);
	expect(fake, "restart 0; ");
}

static void refuses_before_it_restarts_what_cannot_be(void **state)
{
	struct fake *fake = *state;

	config_store_apply(&fake->store, document("one", 2), "one", 0, on_done, fake);
	fake->log[0] = '\0';
	answer(fake, 0, "no such interface");
	answer(fake, 1, NULL);
	expect(fake, "abort 1 #2; ");
	answer(fake, 1, NULL);
	expect(fake, "");
	assert_string_equal(fake->result, "no such interface");
	assert_true(fake->store.roles[0].is_configured);
}

static void restarts_the_role_when_it_says_so(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	fake->log[0] = '\0';
	config_store_answered(&fake->store, 0, NULL, CONFIG_ANSWER_RESTART);
	answer(fake, 1, NULL);
	expect(fake, "abort 0 #2; abort 1 #2; ");
	answer_all(fake);
	expect(fake, "restart 0; ");
}

static void restarts_the_role_for_what_needs_it(void **state)
{
	struct fake *fake = *state;

	begin_restart(fake);
	config_store_role_down(&fake->store, 0);
	expect(fake, "");
	config_store_role_up(&fake->store, 0);
	expect(fake, "prepare 0 #2 one; prepare 1 #2 one; ");
	answer_all(fake);
	answer_all(fake);
	assert_string_equal(fake->result, "done");
	assert_int_equal(fake->timers[CONFIG_TIMER_RESTART], 0);
}

static void restarts_the_role_again_when_the_change_fails(void **state)
{
	struct fake *fake = *state;

	begin_restart(fake);
	config_store_role_down(&fake->store, 0);
	config_store_role_up(&fake->store, 0);
	fake->log[0] = '\0';
	answer(fake, 0, "no such core");
	answer(fake, 1, NULL);
	expect(fake, "abort 1 #2; ");
	answer(fake, 1, NULL);
	expect(fake, "restart 0; ");
	assert_string_equal(fake->result, "no such core");
	config_store_role_down(&fake->store, 0);
	config_store_role_up(&fake->store, 0);
	expect(fake, "prepare 0 #1 one; ");
}

static void fails_when_the_role_cannot_be_restarted(void **state)
{
	struct fake *fake = *state;

	begin_restart(fake);
	fake->log[0] = '\0';
	config_store_restart_failed(&fake->store, "the broker is busy");
	assert_string_equal(fake->result, "the broker is busy");
	/* It was not told to forget anything, but may have been about to: it gets all again. */
	expect(fake, "prepare 0 #1 one; ");
}

static void fails_when_the_restarted_role_stays_away(void **state)
{
	struct fake *fake = *state;

	begin_restart(fake);
	config_store_role_down(&fake->store, 0);
	assert_int_equal(fake->timers[CONFIG_TIMER_RESTART], CONFIG_RESTART_MS);
	config_store_timer(&fake->store, CONFIG_TIMER_RESTART);
	assert_non_null(strstr(fake->result, "did not come back"));
	assert_string_equal(running(fake), "one");
}

static void takes_over_what_a_role_runs(void **state)
{
	static const char *const names[] = {"packet", NULL};
	struct fake fake = {.log = ""};

	config_store_init(&fake.store, &fake_ops, &fake, names, 0);
	config_store_role_up(&fake.store, 0);
	config_store_take_over(&fake.store, 0, document("old", 1), 7, NULL);
	expect(&fake, "");
	assert_string_equal(running(&fake), "old");
	apply(&fake, "new", 0);
	expect(&fake, "prepare 0 #8 new; ");
	config_store_close(&fake.store);
	assert_string_equal(fake.result, "the daemon is stopping");
	config_store_destroy(&fake.store);
}

static void keeps_before_it_commits_and_refuses_what_cannot_be_kept(void **state)
{
	struct fake *fake = *state;

	fake->keeps_later = true;
	apply(fake, "two", 60000);
	fake->log[0] = '\0';
	answer_all(fake);
	assert_true(fake->is_keep_due);
	expect(fake, "");
	answer_keep(fake, "no memory");
	expect(fake, "abort 0 #2; abort 1 #2; ");
	answer_all(fake);
	assert_non_null(strstr(fake->result, "no memory"));
	assert_string_equal(running(fake), "one");
}

/* The store of a process that was started again, with what the one before had kept last. */
static void start_again(
	struct fake *again, const struct fake *before, const char *running, json_int_t generation)
{
	static const char *const names[] = {"packet", NULL};
	json_t *state = config_state_find(before->kept, generation);

	assert_non_null(state);
	again->now_ms = before->now_ms + 20000;
	config_store_init(&again->store, &fake_ops, again, names, 0);
	config_store_role_up(&again->store, 0);
	config_store_take_over(
		&again->store, 0, running ? document(running, 1) : NULL, generation, state);
}

static void rolls_back_in_time_what_a_process_before_left_unconfirmed(void **state)
{
	struct fake *fake = *state, again = {.log = ""};

	fake->now_ms = 1000;
	fake->keeps_later = true;
	apply(fake, "two", 60000);
	answer_all(fake);
	/* It ends here: the role may have committed before it did, and may not have. */
	start_again(&again, fake, "two", 2);
	assert_true(again.store.is_unconfirmed);
	assert_int_equal(again.timers[CONFIG_TIMER_CONFIRM], 40000);
	assert_string_equal(again.store.file, "two");
	config_store_timer(&again.store, CONFIG_TIMER_CONFIRM);
	expect(&again, "prepare 0 #3 one; ");
	answer(&again, 0, NULL);
	answer(&again, 0, NULL);
	assert_string_equal(running(&again), "one");
	assert_string_equal(again.store.file, "one");
	config_store_close(&again.store);
	config_store_destroy(&again.store);
	json_decref(again.kept);

	again = (struct fake){.log = ""};
	start_again(&again, fake, "one", 1);
	assert_false(again.store.is_unconfirmed);
	assert_string_equal(again.store.file, "one");
	config_store_close(&again.store);
	config_store_destroy(&again.store);
}

static void rolls_back_at_once_when_the_time_is_over(void **state)
{
	struct fake *fake = *state, again = {.log = ""};
	struct error error;

	fake->now_ms = 1000;
	fake->keeps_later = true;
	apply(fake, "two", 5000);
	answer_all(fake);
	start_again(&again, fake, "two", 2);
	assert_int_equal(again.timers[CONFIG_TIMER_CONFIRM], 1);
	assert_int_equal(config_store_confirm(&again.store, &error), 0);
	config_store_close(&again.store);
	config_store_destroy(&again.store);
}

static void gives_what_was_certain_to_a_role_that_lost_its_memory_too(void **state)
{
	struct fake *fake = *state, again = {.log = ""};

	fake->keeps_later = true;
	apply(fake, "two", 60000);
	answer_all(fake);
	start_again(&again, fake, NULL, 0);
	expect(&again, "prepare 0 #1 one; ");
	assert_string_equal(running(&again), "one");
	assert_int_equal(again.store.generation, 1);
	config_store_close(&again.store);
	config_store_destroy(&again.store);
}

static void ends_all_changes_when_it_closes(void **state)
{
	struct fake *fake = *state;

	apply(fake, "two", 0);
	apply(fake, "three", 0);
	config_store_close(&fake->store);
	assert_string_equal(fake->result, "the daemon is stopping");
	fake->log[0] = '\0';
	answer_all(fake);
	expect(fake, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(commits_when_all_roles_prepared, setup, teardown),
		cmocka_unit_test_setup_teardown(
			aborts_what_was_prepared_when_a_role_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(fails_when_nothing_can_be_sent, setup, teardown),
		cmocka_unit_test_setup_teardown(does_changes_one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refuses_more_changes_than_may_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refuses_a_change_while_a_role_is_down, setup, teardown),
		cmocka_unit_test_setup_teardown(
			gives_what_runs_to_a_role_that_came_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			tries_again_when_a_role_refuses_what_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fails_when_a_role_dies_while_it_prepares, setup, teardown),
		cmocka_unit_test_setup_teardown(
			succeeds_when_a_role_dies_while_it_commits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			puts_what_runs_back_when_a_commit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(rolls_back_what_is_not_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_what_is_confirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refuses_a_change_while_another_is_unconfirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			tries_a_rollback_again_until_it_is_done, setup, teardown),
		cmocka_unit_test_setup_teardown(
			rolls_back_on_demand_and_only_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refuses_before_it_restarts_what_cannot_be, setup, teardown),
		cmocka_unit_test_setup_teardown(restarts_the_role_when_it_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(
			restarts_the_role_for_what_needs_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			restarts_the_role_again_when_the_change_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fails_when_the_role_cannot_be_restarted, setup, teardown),
		cmocka_unit_test_setup_teardown(
			fails_when_the_restarted_role_stays_away, setup, teardown),
		cmocka_unit_test(takes_over_what_a_role_runs),
		cmocka_unit_test_setup_teardown(
			keeps_before_it_commits_and_refuses_what_cannot_be_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
			rolls_back_in_time_what_a_process_before_left_unconfirmed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			rolls_back_at_once_when_the_time_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			gives_what_was_certain_to_a_role_that_lost_its_memory_too, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_all_changes_when_it_closes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
