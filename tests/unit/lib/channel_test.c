/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library's channels against the mechanism and its agents in a thread of this process (C1, C4,
 * C8, C9), over real sockets:
 *
 *	test ── libbulkhead ──┬── web.sock ── agent ──┬── cmm ── lane
 *	                      └── db.sock ─── agent ──┘
 */
#include "bulkhead/channel.h"

#include "channel/agent.h"
#include "channel/attach_protocol.h"
#include "channel/cmm.h"
#include "tests/unit/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#define MESSAGE_MAX 8192
#define WAIT_MS     20000

static const char policy_text[] =
	"{\"channels\": {\"threads\": 1, \"cores\": [], \"poll\": 20,"
	" \"partitions\": {"
	"  \"web\": {\"socket\": \"/a\", \"group\": \"g\", \"access\": \"all\", \"endpoints\": 8,"
	"            \"channels\": 8, \"processes\": 2, \"memory\": 8388608, \"static\": {}},"
	"  \"db\": {\"socket\": \"/b\", \"group\": \"g\", \"access\": \"all\", \"endpoints\": 8,"
	"           \"channels\": 8, \"processes\": 2, \"memory\": 8388608, \"static\": {}}},"
	" \"allow\": {"
	"  \"web-db\": {\"from\": \"web\", \"to\": \"db\", \"channels\": 4, \"message-max\": 8192,"
	"               \"rate\": 0}}}}";

static struct {
	uv_loop_t loop;
	uv_async_t stop, wake;
	pthread_t thread;
	struct cmm cmm;
	struct agent *agents[2];
	char paths[2][64];
	struct bulkhead_channels *web, *db;
	struct bulkhead_channel *sender, *receiver;
} world;

static void on_event(void *context, const struct cmm_event *event)
{
}

static void on_lane_failed(void *context)
{
	uv_async_send(&world.wake);
}

static void on_wake(uv_async_t *async)
{
	cmm_collect(&world.cmm);
}

/* As the role stops: its processes are told, then their sockets go. */
static void on_stop(uv_async_t *async)
{
	for (int i = 0; i < 2; i++)
		agent_close(world.agents[i]);
	cmm_end(&world.cmm);
	agent_forget_all();
	cmm_close(&world.cmm);
	uv_close((uv_handle_t *)&world.stop, NULL);
	uv_close((uv_handle_t *)&world.wake, NULL);
}

static void *run(void *argument)
{
	uv_run(&world.loop, UV_RUN_DEFAULT);
	return NULL;
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int open_world(void **state)
{
	static const struct cmm_ops ops = {
		.send = agent_send, .event = on_event, .wake = on_lane_failed};
	static const char *const names[] = {"web", "db"};
	json_t *document = json_loads(policy_text, 0, NULL);
	struct policy *policy;
	struct error error;

	memset(&world, 0, sizeof(world));
	uv_loop_init(&world.loop);
	uv_async_init(&world.loop, &world.stop, on_stop);
	uv_async_init(&world.loop, &world.wake, on_wake);
	assert_int_equal(cmm_open(&world.cmm, &ops, NULL, &error), 0);
	assert_int_equal(policy_create(document, &policy, &error), 0);
	json_decref(document);
	assert_int_equal(cmm_prepare(&world.cmm, policy, &error), 0);
	cmm_commit(&world.cmm, agent_forget);
	for (int i = 0; i < 2; i++) {
		snprintf(world.paths[i], sizeof(world.paths[i]), "/tmp/channel-test-%d-%s.sock",
			getpid(), names[i]);
		assert_int_equal(agent_open(&world.loop, &world.cmm, names[i],
					 listen_at(world.paths[i]), &world.agents[i]),
			0);
	}
	pthread_create(&world.thread, NULL, run, NULL);
	assert_int_equal(bulkhead_channels_attach(world.paths[0], 0, &world.web), 0);
	assert_int_equal(bulkhead_channels_attach(world.paths[1], 0, &world.db), 0);
	assert_int_equal(bulkhead_channels_bind(world.web, 5, NULL), 0);
	assert_int_equal(bulkhead_channels_bind(world.db, 6, NULL), 0);
	return 0;
}

static void stop_role(void)
{
	if (!world.thread)
		return;
	uv_async_send(&world.stop);
	pthread_join(world.thread, NULL);
	world.thread = 0;
	assert_int_equal(uv_loop_close(&world.loop), 0);
}

static int close_world(void **state)
{
	bulkhead_channels_detach(world.web);
	bulkhead_channels_detach(world.db);
	stop_role();
	unlink(world.paths[0]);
	unlink(world.paths[1]);
	return 0;
}

static int open_sender(uint32_t remote_endpoint, int timeout_ms)
{
	return bulkhead_channel_open(world.web, BULKHEAD_CHANNEL_SEND, 5, "db", remote_endpoint,
		NULL, timeout_ms, &world.sender);
}

static int open_receiver(uint32_t remote_endpoint, int timeout_ms)
{
	return bulkhead_channel_open(world.db, BULKHEAD_CHANNEL_RECEIVE, 6, "web", remote_endpoint,
		NULL, timeout_ms, &world.receiver);
}

static void stand_up(void)
{
	assert_int_equal(open_sender(6, 0), 0);
	assert_int_equal(open_receiver(5, WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_wait(world.sender, WAIT_MS), 0);
}

static void tells_who_one_is(void **state)
{
	assert_string_equal(bulkhead_channels_partition(world.web), "web");
	assert_string_equal(bulkhead_channels_partition(world.db), "db");
}

static void messages_go_from_one_to_the_other(void **state)
{
	char text[16];

	stand_up();
	assert_int_equal(bulkhead_channel_send(world.sender, "hello", 5, WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_send(world.sender, "", 0, WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), 0), -EAGAIN);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, 4, 1), -ETIMEDOUT);
}

static void without_a_copy_it_is_the_same(void **state)
{
	struct bulkhead_channel_stats stats;
	const void *message;
	void *place;
	size_t size;

	stand_up();
	assert_int_equal(bulkhead_channel_reserve(world.sender, 100, &place, WAIT_MS), 0);
	assert_int_equal((uintptr_t)place % 8, 0);
	assert_int_equal(bulkhead_channel_reserve(world.sender, 1, &place, 0), -EBUSY);
	memcpy(place, "in place", 8);
	assert_int_equal(bulkhead_channel_commit(world.sender, 101, 1), -EINVAL);
	assert_int_equal(bulkhead_channel_commit(world.sender, 8, 1), 0);
	assert_int_equal(bulkhead_channel_reserve(world.sender, 100, &place, 0), 0);
	assert_int_equal(bulkhead_channel_commit(world.sender, 0, 0), 0);
	assert_int_equal(bulkhead_channel_commit(world.sender, 0, 0), -EINVAL);
	assert_int_equal(bulkhead_channel_release(world.receiver), -EINVAL);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			bulkhead_channel_peek(world.receiver, &message, &size, WAIT_MS), 0);
		assert_int_equal(size, 8);
		assert_memory_equal(message, "in place", 8);
	}
	assert_int_equal(bulkhead_channel_receive(world.receiver, place, 7, 0), -EMSGSIZE);
	assert_int_equal(bulkhead_channel_release(world.receiver), 0);
	assert_int_equal(bulkhead_channel_peek(world.receiver, &message, &size, 0), -EAGAIN);
	bulkhead_channel_get_stats(world.receiver, &stats);
	assert_int_equal(stats.messages, 1);
	assert_int_equal(stats.bytes, 8);
	assert_int_equal(stats.message_max, MESSAGE_MAX);
}

static void what_cannot_be_is_said_by_its_error(void **state)
{
	static char large[MESSAGE_MAX + 1];
	const struct bulkhead_channel_options options = {.message_max = MESSAGE_MAX + 1};
	struct bulkhead_channel *channel;
	uint32_t endpoint;

	assert_int_equal(open_sender(6, 0), 0);
	assert_int_equal(bulkhead_channel_send(world.sender, "early", 5, 0), -ENOTCONN);
	assert_int_equal(bulkhead_channel_receive(world.sender, large, 1, 0), -EOPNOTSUPP);
	assert_int_equal(open_receiver(5, WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_wait(world.sender, WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_send(world.sender, large, sizeof(large), 0), -EMSGSIZE);
	assert_int_equal(bulkhead_channel_send(world.receiver, "x", 1, 0), -EOPNOTSUPP);
	assert_int_equal(bulkhead_channel_open(
				 world.db, BULKHEAD_CHANNEL_SEND, 6, "web", 5, NULL, 0, &channel),
		-EPERM);
	assert_int_equal(bulkhead_channel_open(
				 world.web, BULKHEAD_CHANNEL_SEND, 4, "db", 6, NULL, 0, &channel),
		-EACCES);
	assert_int_equal(bulkhead_channel_open(world.web, BULKHEAD_CHANNEL_SEND, 5, "db", 9,
				 &options, 0, &channel),
		-EMSGSIZE);
	assert_int_equal(open_sender(6, 0), -EEXIST);
	assert_int_equal(bulkhead_channels_bind(world.db, 6, NULL), -EADDRINUSE);
	assert_int_equal(bulkhead_channels_bind(world.db, 0, &endpoint), 0);
	assert_true(endpoint > 1023);
	assert_int_equal(bulkhead_channels_unbind(world.db, 7), -EACCES);
	assert_int_equal(bulkhead_channels_attach("/nowhere/x.sock", 0, &world.web), -ENOENT);
}

static void an_end_that_does_not_come_is_a_time_out(void **state)
{
	assert_int_equal(open_receiver(5, 1), -ETIMEDOUT);
	assert_int_equal(open_sender(6, 1), -ETIMEDOUT);
	/* One that has authorised another endpoint is not there for us. */
	assert_int_equal(open_sender(7, 0), 0);
	assert_int_equal(open_receiver(5, 1), -EACCES);
}

static void a_partition_has_its_limit_of_processes(void **state)
{
	struct bulkhead_channels *second, *third;

	assert_int_equal(bulkhead_channels_attach(world.paths[0], 0, &second), 0);
	assert_int_equal(bulkhead_channels_attach(world.paths[0], 0, &third), -EDQUOT);
	bulkhead_channels_detach(second);
	assert_becomes(bulkhead_channels_attach(world.paths[0], 0, &third) == 0);
	bulkhead_channels_detach(third);
}

static void a_flushed_close_loses_nothing(void **state)
{
	char text[8];

	stand_up();
	for (int i = 0; i < 500; i++)
		assert_int_equal(bulkhead_channel_send(world.sender, &i, sizeof(i), WAIT_MS), 0);
	assert_int_equal(bulkhead_channel_flush(world.sender, WAIT_MS), 0);
	bulkhead_channel_close(world.sender);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(
			bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS),
			sizeof(i));
		assert_memory_equal(text, &i, sizeof(i));
	}
	assert_int_equal(
		bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), -EPIPE);
	assert_string_equal(bulkhead_channel_reason(world.receiver), "revoked");
	bulkhead_channel_close(world.receiver);
	stand_up();
	bulkhead_channel_close(world.receiver);
	assert_becomes(bulkhead_channel_send(world.sender, "x", 1, 0) == -EPIPE);
}

static void *send_many(void *argument)
{
	static char filler[MESSAGE_MAX];

	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t size = sizeof(i) + i * 7 % (MESSAGE_MAX - sizeof(i));

		memcpy(filler, &i, sizeof(i));
		if (bulkhead_channel_send(world.sender, filler, size, -1) < 0)
			return "a send failed";
	}
	return NULL;
}

/* Both sleep and are woken many times: rings are far smaller than what goes through. */
static void order_and_sizes_are_kept_when_both_sleep(void **state)
{
	static char buffer[MESSAGE_MAX];
	struct bulkhead_channel_stats stats;
	pthread_t thread;
	void *problem;

	bulkhead_channels_set_spin(world.web, 0);
	bulkhead_channels_set_spin(world.db, 0);
	stand_up();
	pthread_create(&thread, NULL, send_many, NULL);
	for (uint32_t i = 0; i < 20000; i++) {
		ssize_t size =
			bulkhead_channel_receive(world.receiver, buffer, sizeof(buffer), WAIT_MS);

		assert_int_equal(size, sizeof(i) + i * 7 % (MESSAGE_MAX - sizeof(i)));
		assert_memory_equal(buffer, &i, sizeof(i));
	}
	pthread_join(thread, &problem);
	assert_null(problem);
	bulkhead_channel_get_stats(world.receiver, &stats);
	assert_int_equal(stats.messages, 20000);
	assert_true(stats.sleeps > 0);
}

static bool is_readable(int descriptor, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = descriptor, .events = POLLIN};

	return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void the_descriptor_tells_of_messages_and_of_the_end(void **state)
{
	char text[8];
	int descriptor;

	assert_int_equal(open_receiver(5, 0), 0);
	descriptor = bulkhead_channel_descriptor(world.receiver);
	assert_int_equal(bulkhead_channel_arm(world.receiver), 0);
	assert_false(is_readable(descriptor, 0));
	assert_int_equal(open_sender(6, WAIT_MS), 0);
	assert_true(is_readable(descriptor, WAIT_MS));
	assert_int_equal(bulkhead_channel_wait(world.receiver, 0), 0);
	assert_int_equal(bulkhead_channel_arm(world.receiver), 0);
	assert_false(is_readable(descriptor, 0));
	assert_int_equal(bulkhead_channel_send(world.sender, "a", 1, 0), 0);
	assert_true(is_readable(descriptor, WAIT_MS));
	assert_int_equal(bulkhead_channel_arm(world.receiver), 1);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), 0), 1);
	assert_int_equal(bulkhead_channel_arm(world.receiver), 0);
	bulkhead_channel_close(world.sender);
	assert_true(is_readable(descriptor, WAIT_MS));
	assert_int_equal(bulkhead_channel_arm(world.receiver), 1);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), 0), -EPIPE);
}

static void when_the_role_is_gone_all_is_heard_first(void **state)
{
	char text[8];

	stand_up();
	assert_int_equal(bulkhead_channel_send(world.sender, "last", 4, 0), 0);
	assert_int_equal(bulkhead_channel_flush(world.sender, WAIT_MS), 0);
	stop_role();
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), 4);
	assert_int_equal(
		bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), -EPIPE);
	assert_string_equal(bulkhead_channel_reason(world.receiver), "stopped");
	assert_int_equal(bulkhead_channels_bind(world.web, 0, NULL), -ECONNRESET);
}

static void detaching_ends_all_its_channels(void **state)
{
	char text[8];

	stand_up();
	assert_int_equal(bulkhead_channel_send(world.sender, "last", 4, 0), 0);
	assert_int_equal(bulkhead_channel_flush(world.sender, WAIT_MS), 0);
	bulkhead_channels_detach(world.web);
	world.web = NULL;
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), 4);
	assert_int_equal(
		bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), -EPIPE);
	assert_string_equal(bulkhead_channel_reason(world.receiver), "revoked");
	/* Its endpoint is free. */
	assert_int_equal(bulkhead_channels_attach(world.paths[0], 0, &world.web), 0);
	assert_becomes(bulkhead_channels_bind(world.web, 5, NULL) == 0);
}

static void on_signal(int number)
{
}

struct interruption {
	pthread_t whom;
	uint32_t is_over;
};

static void *interrupt(void *argument)
{
	struct interruption *interruption = argument;

	while (!__atomic_load_n(&interruption->is_over, __ATOMIC_RELAXED)) {
		pthread_kill(interruption->whom, SIGUSR1);
		usleep(WAIT_STEP_US);
	}
	return NULL;
}

static void a_signal_ends_a_wait(void **state)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct interruption interruption = {.whom = pthread_self()};
	pthread_t thread;
	char text[8];

	stand_up();
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, interrupt, &interruption);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), -1), -EINTR);
	/* A request and its answer are not to be torn apart. */
	for (int i = 0; i < 100; i++) {
		uint32_t endpoint;

		assert_int_equal(bulkhead_channels_bind(world.db, 0, &endpoint), 0);
		assert_int_equal(bulkhead_channels_unbind(world.db, endpoint), 0);
	}
	__atomic_store_n(&interruption.is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(bulkhead_channel_send(world.sender, "go on", 5, 0), 0);
	assert_int_equal(bulkhead_channel_receive(world.receiver, text, sizeof(text), WAIT_MS), 5);
}

/* Lets the first one in and closes, as a role that is being killed; answers the second one. */
static void *die_and_come_back(void *argument)
{
	int listener = *(int *)argument, fd = accept(listener, NULL, NULL);
	struct attach_notice answer = {.kind = ATTACH_ANSWER, .partition = "again"};
	struct attach_request hello;

	close(fd);
	fd = accept(listener, NULL, NULL);
	if (recv(fd, &hello, sizeof(hello), 0) == sizeof(hello)) {
		answer.serial = hello.serial;
		send(fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

static void attaching_waits_for_a_role_that_comes_back(void **state)
{
	struct bulkhead_channels *channels;
	char path[64];
	pthread_t thread;
	int listener;

	snprintf(path, sizeof(path), "/tmp/channel-test-%d-again.sock", getpid());
	listener = listen_at(path);
	fcntl(listener, F_SETFL, 0);
	pthread_create(&thread, NULL, die_and_come_back, &listener);
	assert_int_equal(bulkhead_channels_attach(path, WAIT_MS, &channels), 0);
	assert_string_equal(bulkhead_channels_partition(channels), "again");
	bulkhead_channels_detach(channels);
	pthread_join(thread, NULL);
	close(listener);
	unlink(path);
}

/* A child has the socket, but is not the process that attached. */
static void a_child_is_somebody_else(void **state)
{
	int status;
	pid_t pid;

	stand_up();
	pid = fork();
	if (pid == 0)
		_exit(bulkhead_channels_bind(world.web, 9, NULL) == -EPERM ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(bulkhead_channel_send(world.sender, "ours", 4, 0), 0);
}

int main(void)
{
#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		CHANNEL_TEST(tells_who_one_is),
		CHANNEL_TEST(messages_go_from_one_to_the_other),
		CHANNEL_TEST(without_a_copy_it_is_the_same),
		CHANNEL_TEST(what_cannot_be_is_said_by_its_error),
		CHANNEL_TEST(an_end_that_does_not_come_is_a_time_out),
		CHANNEL_TEST(a_partition_has_its_limit_of_processes),
		CHANNEL_TEST(a_flushed_close_loses_nothing),
		CHANNEL_TEST(order_and_sizes_are_kept_when_both_sleep),
		CHANNEL_TEST(the_descriptor_tells_of_messages_and_of_the_end),
		CHANNEL_TEST(when_the_role_is_gone_all_is_heard_first),
		CHANNEL_TEST(detaching_ends_all_its_channels),
		CHANNEL_TEST(a_signal_ends_a_wait),
		cmocka_unit_test(attaching_waits_for_a_role_that_comes_back),
		CHANNEL_TEST(a_child_is_somebody_else),
	};

	/* As the roles: a pipe whose reader is gone is an error. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
