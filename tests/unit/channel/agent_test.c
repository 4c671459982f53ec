/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Agents: partitions' sockets, and processes on them that do as they like (C1, C9). One thread is
 * the loop and the processes; that a child is not its parent is in tests/unit/lib/channel_test.c.
 */
#include "channel/agent.h"

#include "tests/unit/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static const char policy_text[] =
	"{\"channels\": {\"threads\": 1, \"cores\": [], \"poll\": 0, \"allow\": {},"
	" \"partitions\": {"
	"  \"web\": {\"socket\": \"/a\", \"endpoints\": 8, \"channels\": 8, \"processes\": 4,"
	"            \"memory\": 1048576, \"static\": {}},"
	"  \"db\": {\"socket\": \"/b\", \"endpoints\": 8, \"channels\": 8, \"processes\": 4,"
	"           \"memory\": 1048576, \"static\": {}}}}}";

static struct {
	uv_loop_t loop;
	struct cmm cmm;
	struct agent *web, *db;
	char paths[2][64];
} world;

static void on_wake(void *context)
{
}

static int open_socket(int index, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	strcpy(address->sun_path, world.paths[index]);
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static struct agent *open_agent(int index, const char *partition)
{
	struct sockaddr_un address;
	struct agent *agent;
	int fd;

	snprintf(world.paths[index], sizeof(world.paths[index]), "/tmp/agent-test-%d-%s.sock",
		getpid(), partition);
	unlink(world.paths[index]);
	fd = open_socket(index, &address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(agent_open(&world.loop, &world.cmm, partition, fd, &agent), 0);
	return agent;
}

static int open_world(void **state)
{
	static const struct cmm_ops ops = {.send = agent_send, .wake = on_wake};
	json_t *document = json_loads(policy_text, 0, NULL);
	struct policy *policy;
	struct error error;

	memset(&world, 0, sizeof(world));
	uv_loop_init(&world.loop);
	assert_int_equal(cmm_open(&world.cmm, &ops, NULL, &error), 0);
	assert_int_equal(policy_create(document, &policy, &error), 0);
	json_decref(document);
	assert_int_equal(cmm_prepare(&world.cmm, policy, &error), 0);
	cmm_commit(&world.cmm, agent_forget);
	world.web = open_agent(0, "web");
	world.db = open_agent(1, "db");
	return 0;
}

static int close_world(void **state)
{
	agent_close(world.web);
	agent_close(world.db);
	cmm_end(&world.cmm);
	agent_forget_all();
	cmm_close(&world.cmm);
	uv_run(&world.loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world.loop), 0);
	unlink(world.paths[0]);
	unlink(world.paths[1]);
	return 0;
}

#define assert_comes(condition) assert_becomes((uv_run(&world.loop, UV_RUN_NOWAIT), (condition)))

static int come(int index)
{
	struct sockaddr_un address;
	int fd = open_socket(index, &address);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static const struct attach_request hello = {
	.operation = ATTACH_HELLO, .endpoint = ATTACH_VERSION, .serial = 1};

static struct attach_notice ask(int fd, const struct attach_request *request)
{
	struct attach_notice answer;

	assert_int_equal(send(fd, request, sizeof(*request), MSG_NOSIGNAL), sizeof(*request));
	assert_comes(recv(fd, &answer, sizeof(answer), 0) == sizeof(answer));
	assert_int_equal(answer.serial, request->serial);
	return answer;
}

static uint32_t sessions(const char *partition)
{
	return cmm_find_partition(&world.cmm, partition)->session_count;
}

static bool is_over(int fd)
{
	struct attach_notice notice;

	return recv(fd, &notice, sizeof(notice), 0) == 0 || errno == ECONNRESET;
}

static void who_one_is_follows_from_the_socket(void **state)
{
	int web = come(0), db = come(1);

	assert_string_equal(ask(web, &hello).partition, "web");
	assert_string_equal(ask(db, &hello).partition, "db");
	assert_int_equal(sessions("web"), 1);
	close(web);
	assert_comes(sessions("web") == 0);
	assert_int_equal(sessions("db"), 1);
	close(db);
}

static void send_descriptor(int fd, int descriptor)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS,
			     .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct iovec part = {(void *)&hello, sizeof(hello)};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space)};

	memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
	assert_int_equal(sendmsg(fd, &header, MSG_NOSIGNAL), sizeof(hello));
}

static void a_descriptor_that_a_process_sends_is_not_taken(void **state)
{
	int web = come(0), ends[2];
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	send_descriptor(web, ends[1]);
	close(ends[1]);
	assert_comes(is_over(web));
	assert_int_equal(sessions("web"), 0);
	/* Nobody has it any more. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	close(web);
}

/* As a program that runs with the rights of its file's owner. */
static void whose_rights_a_process_has_does_not_change_who_it_is(void **state)
{
	int web;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(world.paths[0], 0666), 0);
	assert_int_equal(seteuid(65534), 0);
	web = come(0);
	assert_int_equal(seteuid(0), 0);
	assert_string_equal(ask(web, &hello).partition, "web");
	close(web);
}

static void a_packet_of_another_size_ends_the_session(void **state)
{
	static const char bytes[2 * sizeof(struct attach_request)];
	const size_t sizes[] = {1, sizeof(struct attach_request) - 1,
		sizeof(struct attach_request) + 1, sizeof(bytes)};

	for (int i = 0; i < 4; i++) {
		int web = come(0);

		assert_int_equal(send(web, bytes, sizes[i], MSG_NOSIGNAL), sizes[i]);
		assert_comes(is_over(web));
		assert_int_equal(sessions("web"), 0);
		close(web);
	}
}

static void who_does_not_read_is_gone(void **state)
{
	int web = come(0), db = come(1);

	assert_comes(sessions("web") == 1);
	assert_becomes((send(web, &hello, sizeof(hello), MSG_NOSIGNAL),
		uv_run(&world.loop, UV_RUN_NOWAIT), sessions("web") == 0));
	assert_string_equal(ask(db, &hello).partition, "db");
	close(web);
	close(db);
}

static void who_is_in_stays_when_nobody_is_let_in_any_more(void **state)
{
	const struct attach_request bind_any = {.operation = ATTACH_BIND, .serial = 2};
	struct sockaddr_un address;
	int web = come(0), late;

	ask(web, &hello);
	agent_close(world.web);
	world.web = NULL;
	late = open_socket(0, &address);
	assert_int_equal(connect(late, (struct sockaddr *)&address, sizeof(address)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(ask(web, &bind_any).status, 0);
	close(late);
	close(web);
}

int main(void)
{
#define AGENT_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		AGENT_TEST(who_one_is_follows_from_the_socket),
		AGENT_TEST(a_descriptor_that_a_process_sends_is_not_taken),
		AGENT_TEST(whose_rights_a_process_has_does_not_change_who_it_is),
		AGENT_TEST(a_packet_of_another_size_ends_the_session),
		AGENT_TEST(who_does_not_read_is_gone),
		AGENT_TEST(who_is_in_stays_when_nobody_is_let_in_any_more),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
