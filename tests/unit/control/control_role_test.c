/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The whole control role against a broker and a packet role of a few lines, over real sockets, and
 *a client that uses the library:
 *
 *	client thread ── API socket ── control ──┬── broker (here)
 *	                                         ├── packet (here)
 *	                                         └── channel (here)
 */
#include "base/log.h"
#include "bulkhead/control.h"
#include "control/control_role.h"
#include "schema/api_schema.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

#define CONFIRM_MS 5000 /* plenty for the call that confirms */
#define WAIT_MS    (WAIT_BOUND_NS / CLOCK_NS_PER_MS)

static const char config_text[] = "host: hv1\n"
				  "adapters:\n"
				  "  uplink: {device: \"netdev:eth1\"}\n"
				  "gateway:\n"
				  "  physical: uplink\n"
				  "  trunks: {trunk-a: {vlans: [10]}}\n"
				  "partitions:\n"
				  "  web: {adapters: {eth0: {attach: \"netdev:web0\", vlan: 10}}}\n"
				  "inspection: {engines: [none]}\n"
				  "control: {metrics: none}\n";

static struct {
	uv_loop_t loop;
	struct role_context role;
	void *state;
	struct ipc_channel *broker_end, *packet_end, *channel_end;
	char socket_path[64];
	pthread_t client;
	uv_async_t client_done, poke;
	void (*poked)(void); /* what poke runs on the loop's thread */
	/* The packet role. */
	int prepares, commits, aborts, trace_stops;
	int channel_commits;
	json_int_t generation;
	bool refuses;
	json_t *config;
	bool is_ready;
	char failure[512];
} world;

/* --- The broker --- */

static int text_fd(const char *text)
{
	return bulkhead_control_memory(text, strlen(text));
}

static int listen_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, world.socket_path);
	unlink(world.socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static void reply_fd(struct ipc_request *request, json_t *result, int fd)
{
	ipc_reply_with_descriptors(request, result, &fd, 1);
	close(fd);
}

static void on_broker_request(struct ipc_request *request, void *context)
{
	const char *method = ipc_request_method(request);

	if (strcmp(method, "role.ready") == 0)
		world.is_ready = true;
	else if (strcmp(method, "role.failed") == 0)
		snprintf(world.failure, sizeof(world.failure), "%s",
			json_string_value(json_object_get(ipc_request_params(request), "message")));
	else if (strcmp(method, "broker.open_config") == 0)
		reply_fd(request, json_pack("{s:s}", "path", "/etc/b.yaml"), text_fd(config_text));
	else if (strcmp(method, "broker.listen_unix") == 0)
		reply_fd(request, json_object(), listen_unix());
	else if (strcmp(method, "broker.keep") == 0)
		ipc_reply(request, json_object());
	else if (strcmp(method, "broker.kept") == 0)
		ipc_reply(request, json_object());
	else if (strcmp(method, "broker.set_role_log") == 0)
		ipc_reply(request, json_object());
	else if (strcmp(method, "broker.roles") == 0)
		ipc_reply(request,
			json_pack("{s:[{s:s, s:s, s:i, s:i, s:i}]}", "roles", "name", "packet",
				"state", "ready", "pid", 7, "restarts", 1, "uptime_ms", 3000));
	else
		ipc_reply_error(request, IPC_METHOD_NOT_FOUND, "not in this test", NULL);
}

/* --- The packet role --- */

static void configure(struct ipc_request *request, const json_t *params)
{
	const char *phase = json_string_value(json_object_get(params, "phase"));

	if (strcmp(phase, "prepare") == 0) {
		world.prepares++;
		json_decref(world.config);
		world.config = json_incref(json_object_get(params, "config"));
		if (world.refuses) {
			ipc_reply_failed(request, -EINVAL, "port web.eth0: no such interface");
			return;
		}
	} else if (strcmp(phase, "commit") == 0) {
		world.commits++;
		world.generation = json_integer_value(json_object_get(params, "generation"));
	} else {
		world.aborts++;
	}
	ipc_reply(request, json_object());
}

static void start_trace(struct ipc_request *request)
{
	ipc_reply(request, json_pack("{s:i}", "trace", 5));
	ipc_notify(world.packet_end, "trace.records",
		json_pack(
			"{s:i, s:[{s:i, s:s}]}", "trace", 5, "records", "packet", 1, "node", "tx"),
		NULL, 0);
	/* Nobody's: must reach nobody. */
	ipc_notify(world.packet_end, "trace.records",
		json_pack("{s:i, s:[]}", "trace", 6, "records"), NULL, 0);
}

static void on_packet_request(struct ipc_request *request, void *context)
{
	const char *method = ipc_request_method(request);
	const json_t *params = ipc_request_params(request);

	if (strcmp(method, "packet.configure") == 0)
		configure(request, params);
	else if (strcmp(method, "packet.config") == 0)
		ipc_reply(request,
			json_pack("{s:I, s:O*}", "generation", world.generation, "config",
				world.generation ? world.config : NULL));
	else if (strcmp(method, "port.list") == 0)
		ipc_reply(request, json_pack("{s:[]}", "ports"));
	else if (strcmp(method, "inspect.status") == 0)
		ipc_reply(request, json_pack("{s:[]}", "engines"));
	else if (strcmp(method, "trace.start") == 0)
		start_trace(request);
	else if (strcmp(method, "trace.stop") == 0) {
		/* Relaxed: its only writer; read by the client's thread. */
		__atomic_store_n(&world.trace_stops, world.trace_stops + 1, __ATOMIC_RELAXED);
		ipc_reply(request, json_object());
	} else if (strcmp(method, "capture.start") == 0) {
		int fd = ipc_request_take_descriptor(request, 0);

		assert_int_equal(write(fd, "pcapng", 6), 6);
		close(fd);
		ipc_reply(request, json_pack("{s:i}", "capture", 1));
	} else {
		ipc_reply_error(request, IPC_FAILED, "not in this test", NULL);
	}
}

static void on_end_closed(struct ipc_channel *channel, void *context)
{
	struct ipc_channel **end = context;

	ipc_close(channel);
	*end = NULL;
}

static const struct ipc_ops broker_ops = {
	.on_request = on_broker_request, .on_close = on_end_closed};
static const struct ipc_ops packet_ops = {
	.on_request = on_packet_request, .on_close = on_end_closed};

/* --- The channel role: takes whatever it is given --- */

static void on_channel_request(struct ipc_request *request, void *context)
{
	const char *phase =
		json_string_value(json_object_get(ipc_request_params(request), "phase"));

	if (strcmp(ipc_request_method(request), "channel.configure") == 0) {
		/* Relaxed: its only writer; read by the client's thread. */
		__atomic_store_n(&world.channel_commits,
			world.channel_commits + (strcmp(phase, "commit") == 0), __ATOMIC_RELAXED);
		ipc_reply(request, json_object());
	} else {
		ipc_reply_error(request, IPC_FAILED, "not in this test", NULL);
	}
}

static const struct ipc_ops channel_ops = {
	.on_request = on_channel_request, .on_close = on_end_closed};

static void ignore_request(struct ipc_request *request, void *context)
{
	control_role_ops.request(world.state, request);
}

static void ignore_close(struct ipc_channel *channel, void *context)
{
}

static const struct ipc_ops role_ops = {.on_request = ignore_request, .on_close = ignore_close};

static void connect_packet(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(
		ipc_open(&world.loop, ends[0], &packet_ops, &world.packet_end, &world.packet_end),
		0);
	control_role_ops.peer(world.state, "packet", ends[1]);
}

static void connect_channel(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(ipc_open(&world.loop, ends[0], &channel_ops, &world.channel_end,
				 &world.channel_end),
		0);
	control_role_ops.peer(world.state, "channel", ends[1]);
}

static void kill_packet(void)
{
	ipc_close(world.packet_end);
	world.packet_end = NULL;
	world.generation = 0;
	connect_packet();
}

static void kill_channel(void)
{
	ipc_close(world.channel_end);
	world.channel_end = NULL;
	connect_channel();
}

/* --- The world --- */

static void on_poke(uv_async_t *async)
{
	world.poked();
}

static void on_client_done(uv_async_t *async)
{
	control_role_ops.stop(world.state);
	ipc_close(world.packet_end);
	ipc_close(world.channel_end);
	ipc_close(world.broker_end);
	ipc_close(world.role.broker);
	uv_close((uv_handle_t *)&world.client_done, NULL);
	uv_close((uv_handle_t *)&world.poke, NULL);
}

static void *(*client_body)(void *);

static void *run_client(void *argument)
{
	client_body(NULL);
	uv_async_send(&world.client_done);
	return NULL;
}

/* Runs the role, with body as its client in a thread of its own. */
static void run_world(void *(*body)(void *))
{
	struct error error;
	int ends[2];

	snprintf(world.socket_path, sizeof(world.socket_path), "/tmp/control-test-%d.sock",
		getpid());
	uv_loop_init(&world.loop);
	uv_async_init(&world.loop, &world.client_done, on_client_done);
	uv_async_init(&world.loop, &world.poke, on_poke);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(
		ipc_open(&world.loop, ends[0], &broker_ops, &world.broker_end, &world.broker_end),
		0);
	world.role = (struct role_context){.loop = &world.loop, .name = "control"};
	assert_int_equal(ipc_open(&world.loop, ends[1], &role_ops, NULL, &world.role.broker), 0);
	assert_int_equal(control_role_ops.start(&world.role, &world.state, &error), 0);
	connect_packet();
	connect_channel();
	client_body = body;
	assert_int_equal(pthread_create(&world.client, NULL, run_client, NULL), 0);
	uv_run(&world.loop, UV_RUN_DEFAULT);
	pthread_join(world.client, NULL);
	assert_int_equal(uv_loop_close(&world.loop), 0);
	unlink(world.socket_path);
}

static int reset(void **state)
{
	json_decref(world.config);
	memset(&world, 0, sizeof(world));
	return 0;
}

/* --- What the client does; checks are told to the test's thread by these. --- */

static struct bulkhead_control *client;
static struct bulkhead_control_error refusal;
static char verdicts[4096];

static void note(const char *format, ...)
{
	size_t used = strlen(verdicts);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(verdicts + used, sizeof(verdicts) - used, format, arguments);
	va_end(arguments);
}

/* NULL when it was refused; the reason is in refusal. */
static json_t *call(const char *method, json_t *params, int fd)
{
	json_t *result = NULL;

	refusal.message[0] = '\0';
	if (bulkhead_control_call(client, method, params, fd, &result, &refusal) < 0)
		return NULL;
	return result;
}

/* Calls, checks the answer against the method's row, and notes a member. */
static void call_and_note(const char *method, json_t *params, int fd, const char *member)
{
	json_t *result = call(method, params, fd), *value = json_object_get(result, member);
	struct error error;
	char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	if (result && api_check_result(api_method_find(method), result, &error) < 0)
		note("[%s] ", error.text);
	note("%s=%s ", member, text ? text : refusal.message);
	free(text);
	json_decref(result);
}

static void wait_for_state(const char *wanted)
{
	uint64_t end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;

	do {
		json_t *status = client ? call("status.get", NULL, -1) : NULL;
		const char *state = json_string_value(json_object_get(status, "state"));
		bool is_there = state && strcmp(state, wanted) == 0;

		json_decref(status);
		if (is_there)
			return;
		if (!client)
			bulkhead_control_open(world.socket_path, &client, &refusal);
	} while (wait_step(end_ns));
	note("never %s: %s", wanted, refusal.message);
}

static void apply(const char *text, int confirm_ms)
{
	int fd = text_fd(text);
	json_t *params = json_pack("{s:s}", "file", "new.yaml");

	if (confirm_ms)
		json_object_set_new(params, "confirm_ms", json_integer(confirm_ms));
	call_and_note("config.apply", params, fd, "generation");
	close(fd);
}

static char *with_line(const char *line)
{
	static char text[2048];

	snprintf(text, sizeof(text), "%s%s", config_text, line);
	return text;
}

static void *begin(void *argument)
{
	verdicts[0] = '\0';
	client = NULL;
	wait_for_state("running");
	return NULL;
}

static void *end(void)
{
	bulkhead_control_close(client);
	client = NULL;
	return NULL;
}

static void *apply_and_roll_back(void *argument)
{
	begin(NULL);
	call_and_note("status.get", NULL, -1, "host");
	apply(with_line("log: {level: debug}\n"), 0);
	call_and_note("config.show", json_pack("{s:s}", "key", "log.level"), -1, "config");
	apply(with_line("log: {level: debugg}\n"), 0);
	world.refuses = true;
	apply(with_line("events: {eve: none}\n"), 0);
	world.refuses = false;
	call_and_note("config.rollback", NULL, -1, "generation");
	call_and_note("config.show", json_pack("{s:s}", "key", "log.level"), -1, "config");
	call_and_note("config.confirm", NULL, -1, "generation");
	return end();
}

static void applies_all_or_nothing_and_rolls_back(void **state)
{
	run_world(apply_and_roll_back);
	assert_true(world.is_ready);
	assert_non_null(strstr(verdicts,
		"host=\"hv1\" generation=2 config=\"debug\" generation=2 "
		"generation=port web.eth0: no such interface "
		"generation=3 config=\"info\" generation=nothing waits"));
	assert_int_equal(world.commits, 3);
}

/* A rollback makes a generation too. */
static void wait_for_generation(json_int_t wanted)
{
	uint64_t end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;
	json_int_t generation;

	do {
		json_t *status = call("status.get", NULL, -1),
		       *config = json_object_get(status, "config");

		generation = json_integer_value(json_object_get(config, "generation"));
		json_decref(status);
	} while (generation < wanted && wait_step(end_ns));
}

static void *apply_unconfirmed(void *argument)
{
	begin(NULL);
	apply(with_line("log: {level: debug}\n"), 1000);
	wait_for_generation(3);
	call_and_note("config.show", json_pack("{s:s}", "key", "log.level"), -1, "config");
	apply(with_line("log: {level: error}\n"), CONFIRM_MS);
	call_and_note("config.confirm", NULL, -1, "generation");
	usleep((CONFIRM_MS + 300) * 1000);
	call_and_note("config.show", json_pack("{s:s}", "key", "log.level"), -1, "config");
	return end();
}

static void rolls_back_what_was_not_confirmed_in_time(void **state)
{
	run_world(apply_unconfirmed);
	assert_string_equal(verdicts,
		"generation=2 config=\"info\" generation=4 generation=4 "
		"config=\"error\" ");
}

static void *lose_packet(void *argument)
{
	begin(NULL);
	call_and_note("trace.start", json_pack("{s:i}", "count", 1), -1, "trace");
	world.poked = kill_packet;
	uv_async_send(&world.poke);
	for (int i = 0; i < 2; i++) {
		json_t *notification = NULL;

		if (bulkhead_control_next(client, WAIT_MS, &notification, &refusal) == 0)
			note("%s ", json_string_value(json_object_get(notification, "method")));
		json_decref(notification);
	}
	wait_for_state("running");
	return end();
}

static void gives_a_restarted_packet_role_its_configuration(void **state)
{
	run_world(lose_packet);
	assert_string_equal(verdicts, "trace=5 trace.records trace.end ");
	assert_int_equal(world.prepares, 2);
	assert_int_equal(world.commits, 2);
	assert_int_equal(world.generation, 1);
}

static void *lose_channel(void *argument)
{
	begin(NULL);
	world.poked = kill_channel;
	uv_async_send(&world.poke);
	while (__atomic_load_n(&world.channel_commits, __ATOMIC_RELAXED) < 2)
		usleep(WAIT_STEP_US);
	wait_for_state("running");
	apply(with_line("log: {level: debug}\n"), 0);
	return end();
}

/* The others are not touched by it. */
static void gives_a_restarted_channel_role_its_configuration(void **state)
{
	run_world(lose_channel);
	assert_string_equal(verdicts, "generation=2 ");
	assert_int_equal(world.prepares, 2);
	assert_int_equal(world.channel_commits, 3);
}

static void *look(void *argument)
{
	begin(NULL);
	call_and_note("status.get", NULL, -1, "config");
	return end();
}

static void takes_over_what_a_packet_role_runs_that_outlived_it(void **state)
{
	world.generation = 41;
	world.config = json_pack("{s:s, s:{s:s, s:s, s:s, s:[], s:[]}, s:{s:s}, s:{s:s, s:s}}",
		"host", "old", "control", "socket", "/x", "metrics", "none", "group", "nogroup",
		"readers", "operators", "events", "eve", "none", "log", "sink", "stderr", "level",
		"info");
	run_world(look);
	assert_true(world.is_ready);
	assert_int_equal(world.prepares, 0);
	/* A channel role gets what the packet role runs. */
	assert_int_equal(world.channel_commits, 1);
	assert_non_null(strstr(verdicts, "\"generation\":41"));
}

static void *go_wrong(void *argument)
{
	int pipe_ends[2];

	begin(NULL);
	/* A pipe could block control for ever. */
	assert_int_equal(pipe(pipe_ends), 0);
	call_and_note("config.check", json_pack("{s:s}", "file", "x"), pipe_ends[0], "is_valid");
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	call_and_note("packet.configure",
		json_pack("{s:i, s:s}", "generation", 9, "phase", "abort"), -1, "x");
	call_and_note("port.list", json_pack("{s:i}", "limit", 0), -1, "x");
	call_and_note("events.unsubscribe", json_pack("{s:i}", "subscription", 77), -1, "x");
	return end();
}

static void refuses_what_a_client_must_not_do(void **state)
{
	run_world(go_wrong);
	assert_non_null(strstr(verdicts, "is_valid=the descriptor must be memory"));
	assert_non_null(strstr(verdicts, "x=there is no method \"packet.configure\""));
	assert_non_null(strstr(verdicts, "x=port.list: parameter limit: found 0"));
	assert_non_null(strstr(verdicts, "x=this connection has no subscription"));
	assert_int_equal(world.aborts, 0);
}

static void *leave_trace(void *argument)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	uint64_t end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;
	char text[8] = "";

	begin(NULL);
	call_and_note("trace.start", NULL, -1, "trace");
	call_and_note("capture.start", NULL, fd, "capture");
	note("%zd", pread(fd, text, sizeof(text), 0));
	close(fd);
	end();
	while (__atomic_load_n(&world.trace_stops, __ATOMIC_RELAXED) == 0 && wait_step(end_ns))
		;
	return NULL;
}

static void passes_descriptors_and_stops_what_a_client_left_behind(void **state)
{
	run_world(leave_trace);
	assert_string_equal(verdicts, "trace=5 capture=1 6");
	assert_int_equal(world.trace_stops, 1);
}

static void publish_some(void)
{
	for (int i = 0; i < 3; i++)
		ipc_notify(world.packet_end, "event",
			json_pack("{s:s, s:s, s:i}", "event_type", i == 1 ? "drop" : "alert",
				"port", "web.eth0", "i", i),
			NULL, 0);
}

static void *follow(void *argument)
{
	begin(NULL);
	call_and_note("events.subscribe",
		json_pack("{s:[s], s:s}", "types", "alert", "partition", "web"), -1,
		"subscription");
	world.poked = publish_some;
	uv_async_send(&world.poke);
	for (int i = 0; i < 2; i++) {
		json_t *notification = NULL, *event;

		bulkhead_control_next(client, WAIT_MS, &notification, &refusal);
		event = json_object_get(json_object_get(notification, "params"), "event");
		note("%lld", (long long)json_integer_value(json_object_get(event, "i")));
		json_decref(notification);
	}
	return end();
}

static void hands_events_to_those_who_subscribed(void **state)
{
	run_world(follow);
	assert_string_equal(verdicts, "subscription=1 02");
}

/* A client that subscribes and never reads. */
static void publish_many(void)
{
	static char filler[20000];

	memset(filler, 'x', sizeof(filler) - 1);
	for (int i = 0; i < 400; i++)
		ipc_notify(world.packet_end, "event",
			json_pack("{s:s, s:s}", "event_type", "a", "b", filler), NULL, 0);
}

static void *never_read(void *argument)
{
	struct bulkhead_control *slow = NULL;
	struct bulkhead_control_error error;
	uint64_t end_ns = clock_monotonic_ns() + WAIT_BOUND_NS;
	json_t *result = NULL;

	begin(NULL);
	bulkhead_control_open(world.socket_path, &slow, &error);
	bulkhead_control_call(slow, "events.subscribe", NULL, -1, &result, &error);
	json_decref(result);
	world.poked = publish_many;
	do {
		json_t *status = call("status.get", NULL, -1);
		bool is_alone = json_integer_value(json_object_get(status, "clients")) == 1;

		json_decref(status);
		if (is_alone) {
			note("dropped");
			break;
		}
		uv_async_send(&world.poke);
		usleep(10000);
	} while (wait_step(end_ns));
	bulkhead_control_close(slow);
	return end();
}

static void drops_a_client_that_does_not_read(void **state)
{
	run_world(never_read);
	assert_string_equal(verdicts, "dropped");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(applies_all_or_nothing_and_rolls_back, reset),
		cmocka_unit_test_setup(rolls_back_what_was_not_confirmed_in_time, reset),
		cmocka_unit_test_setup(gives_a_restarted_packet_role_its_configuration, reset),
		cmocka_unit_test_setup(gives_a_restarted_channel_role_its_configuration, reset),
		cmocka_unit_test_setup(takes_over_what_a_packet_role_runs_that_outlived_it, reset),
		cmocka_unit_test_setup(refuses_what_a_client_must_not_do, reset),
		cmocka_unit_test_setup(
			passes_descriptors_and_stops_what_a_client_left_behind, reset),
		cmocka_unit_test_setup(hands_events_to_those_who_subscribed, reset),
		cmocka_unit_test_setup(drops_a_client_that_does_not_read, reset),
	};

	log_open(LOG_SINK_STDERR, STDERR_FILENO, "test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
