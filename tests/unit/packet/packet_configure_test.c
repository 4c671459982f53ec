/* SPDX-License-Identifier: BSD-3-Clause */
/* The transaction of a configuration change, through three modules that write down what they are
 * asked. The engine starts for real, since it comes before all modules. */
#include "packet/engine/engine_control.h"
#include "packet/packet_configure.h"
#include "packet/packet_module.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct ipc_channel *control, *packet;
static char journal[512];     /* what the modules were asked, in order */
static const char *who_fails; /* module whose prepare fails; NULL: none */
static const char *who_waits; /* module whose prepare ends later */
static packet_prepared_fn waiting_done;
static void *waiting_context;
static char last_error[ERROR_TEXT_SIZE];
static int answers;

static void note(const char *what, const char *name)
{
	size_t length = strlen(journal);

	snprintf(journal + length, sizeof(journal) - length, "%s%s %s", length ? ", " : "", what,
		name);
}

static void prepare(const char *name, packet_prepared_fn done, void *context)
{
	struct error error;

	note("prepare", name);
	if (who_fails && strcmp(who_fails, name) == 0) {
		error_set(&error, -EINVAL, "adapters.%s: no such device", name);
		done(context, &error);
	} else if (who_waits && strcmp(who_waits, name) == 0) {
		waiting_done = done;
		waiting_context = context;
	} else {
		done(context, NULL);
	}
}

#define MODULE(name_)                                                                              \
	static int name_##_start(struct error *error)                                              \
	{                                                                                          \
		(void)error;                                                                       \
		note("start", #name_);                                                             \
		return 0;                                                                          \
	}                                                                                          \
	static void name_##_stop(void)                                                             \
	{                                                                                          \
		note("stop", #name_);                                                              \
	}                                                                                          \
	static void name_##_prepare(const json_t *config, packet_prepared_fn done, void *context)  \
	{                                                                                          \
		(void)config;                                                                      \
		prepare(#name_, done, context);                                                    \
	}                                                                                          \
	static void name_##_commit(void)                                                           \
	{                                                                                          \
		note("commit", #name_);                                                            \
	}                                                                                          \
	static void name_##_finish(void)                                                           \
	{                                                                                          \
		note("finish", #name_);                                                            \
	}                                                                                          \
	static void name_##_abort(void)                                                            \
	{                                                                                          \
		note("abort", #name_);                                                             \
	}                                                                                          \
	static const struct packet_module name_##_module = {.name = #name_,                        \
		.start = name_##_start,                                                            \
		.stop = name_##_stop,                                                              \
		.prepare = name_##_prepare,                                                        \
		.commit = name_##_commit,                                                          \
		.finish = name_##_finish,                                                          \
		.abort = name_##_abort}

MODULE(a);
MODULE(b);
MODULE(c);

const struct packet_module *const packet_modules[] = {&a_module, &b_module, &c_module, NULL};

/* What packet_role.c gives to modules. */
uv_loop_t *packet_loop(void)
{
	return &loop;
}

void packet_broker_call(const char *method, json_t *params, const int *descriptors,
	size_t descriptor_count, ipc_reply_fn done, void *context)
{
	(void)method;
	(void)params;
	(void)descriptors;
	(void)descriptor_count;
	(void)done;
	(void)context;
	fail_msg("no module here asks the broker");
}

void packet_emit_event(json_t *event)
{
	json_decref(event);
}

int packet_notify(const char *method, json_t *params)
{
	(void)method;
	json_decref(params);
	return 0;
}

void packet_metric(json_t *samples, const char *name, const char *type, const char *help,
	json_t *labels, double value)
{
	(void)samples;
	(void)name;
	(void)type;
	(void)help;
	(void)value;
	json_decref(labels);
}

static void on_request(struct ipc_request *request, void *context)
{
	packet_configure(request, context);
}

static void on_close(struct ipc_channel *channel, void *context)
{
	(void)channel;
	(void)context;
}

static const struct ipc_ops ops = {.on_request = on_request, .on_close = on_close};

static void on_answer(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(error, "message"));

	(void)context;
	(void)result;
	(void)descriptors;
	(void)descriptor_count;
	snprintf(last_error, sizeof(last_error), "%s", message ? message : "");
	answers++;
}

static void run_loop(void)
{
	for (int i = 0; i < 20; i++) {
		usleep(500);
		uv_run(&loop, UV_RUN_NOWAIT);
	}
}

static void configure(const char *phase, int generation)
{
	json_t *params = json_pack("{s:s, s:i}", "phase", phase, "generation", generation);

	if (strcmp(phase, "prepare") == 0)
		json_object_set_new(params, "config",
			json_pack("{s:{s:I, s:s, s:i}, s:i}", "packet", "memory",
				(json_int_t)(48 << 20), "hugepages", "off", "workers", 1, "mark",
				generation));
	assert_int_equal(
		ipc_call(control, "packet.configure", params, NULL, 0, 20000, on_answer, NULL), 0);
	run_loop();
}

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	uv_loop_init(&loop);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	ipc_open(&loop, pair[0], &ops, NULL, &packet);
	return ipc_open(&loop, pair[1], &ops, NULL, &control);
}

static int begin_test(void **state)
{
	(void)state;
	journal[0] = '\0';
	last_error[0] = '\0';
	who_fails = who_waits = NULL;
	answers = 0;
	return 0;
}

static void starts_modules_once_and_commits_in_order(void **state)
{
	(void)state;
	assert_null(packet_config());
	configure("prepare", 1);
	assert_null(packet_config());
	configure("commit", 1);
	assert_string_equal(last_error, "");
	assert_string_equal(journal,
		"start a, start b, start c, prepare a, prepare b, prepare c, commit a, commit b, "
		"commit c, finish c, finish b, finish a");
	assert_int_equal(json_integer_value(json_object_get(packet_config(), "mark")), 1);
}

static void failed_prepare_undoes_those_before_it(void **state)
{
	(void)state;
	who_fails = "c";
	configure("prepare", 2);
	assert_string_equal(journal, "prepare a, prepare b, prepare c, abort b, abort a");
	assert_string_equal(last_error, "adapters.c: no such device");
	configure("commit", 2);
	assert_string_equal(last_error, "this generation is not prepared");
	assert_int_equal(json_integer_value(json_object_get(packet_config(), "mark")), 1);
}

static void abort_undoes_backward_and_keeps_the_running_configuration(void **state)
{
	(void)state;
	configure("prepare", 3);
	configure("abort", 3);
	assert_string_equal(journal, "prepare a, prepare b, prepare c, abort c, abort b, abort a");
	assert_int_equal(json_integer_value(json_object_get(packet_config(), "mark")), 1);
}

static void waits_for_a_module_that_prepares_later(void **state)
{
	(void)state;
	who_waits = "b";
	configure("prepare", 4);
	assert_string_equal(journal, "prepare a, prepare b");
	assert_int_equal(answers, 0);
	configure("prepare", 5);
	assert_int_equal(answers, 1);
	assert_non_null(strstr(last_error, "is being prepared"));
	waiting_done(waiting_context, NULL);
	run_loop();
	assert_int_equal(answers, 2);
	configure("commit", 4);
	assert_int_equal(json_integer_value(json_object_get(packet_config(), "mark")), 4);
}

static void change_of_a_control_that_died_is_undone_before_the_next(void **state)
{
	(void)state;
	who_waits = "b";
	configure("prepare", 6);
	packet_configure_peer_gone();
	who_waits = NULL;
	configure("prepare", 7); /* of the new control: waits its turn */
	assert_string_equal(journal, "prepare a, prepare b");
	waiting_done(waiting_context, NULL);
	run_loop();
	assert_string_equal(journal,
		"prepare a, prepare b, prepare c, abort c, abort b, abort a, prepare a, prepare b, "
		"prepare c");
	configure("commit", 7);
	assert_int_equal(json_integer_value(json_object_get(packet_config(), "mark")), 7);
}

static void second_prepare_replaces_one_that_was_not_committed(void **state)
{
	(void)state;
	configure("prepare", 8);
	configure("prepare", 9);
	assert_string_equal(journal,
		"prepare a, prepare b, prepare c, abort c, abort b, abort a, prepare a, prepare b, "
		"prepare c");
	configure("commit", 8);
	assert_string_equal(last_error, "this generation is not prepared");
	configure("commit", 9);
	assert_int_equal(json_integer_value(json_object_get(packet_config(), "mark")), 9);
}

static void stop_undoes_what_is_prepared_and_stops_backward(void **state)
{
	(void)state;
	who_waits = "c";
	configure("prepare", 10);
	packet_configure_stop();
	assert_string_equal(journal,
		"prepare a, prepare b, prepare c, abort b, abort a, stop c, stop b, stop a");
	waiting_done(waiting_context, NULL); /* too late; does nothing */
	assert_null(packet_config());
	ipc_close(control);
	ipc_close(packet);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, begin_test)
		TEST(starts_modules_once_and_commits_in_order),
		TEST(failed_prepare_undoes_those_before_it),
		TEST(abort_undoes_backward_and_keeps_the_running_configuration),
		TEST(waits_for_a_module_that_prepares_later),
		TEST(change_of_a_control_that_died_is_undone_before_the_next),
		TEST(second_prepare_replaces_one_that_was_not_committed),
		TEST(stop_undoes_what_is_prepared_and_stops_backward),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
