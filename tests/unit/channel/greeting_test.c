/* SPDX-License-Identifier: BSD-3-Clause */
/* How a connection becomes a peer's link, and how it does not: two mechanisms in one loop (C3, C9).
 */
#include "channel/greeting.h"

#include "tests/unit/channel/certificates.h"
#include "tests/unit/wait.h"
#include "wire/cmm_frame.h"

#include <errno.h>
#include <signal.h>

struct host {
	struct cmm cmm;
	struct identity identity;
	struct tls *tls;
	char action[32], peer[64], reason[256]; /* of the last event of a peer */
	uint32_t event_count;
};

static struct {
	uv_loop_t loop;
	struct identity authority;
	struct host one, two;
} world;

static void on_peer_event(void *context, const struct cmm_peer_event *event)
{
	struct host *host = context;

	snprintf(host->action, sizeof(host->action), "%s", event->action);
	snprintf(host->peer, sizeof(host->peer), "%s", event->peer ? event->peer : "-");
	snprintf(host->reason, sizeof(host->reason), "%s", event->reason ? event->reason : "-");
	host->event_count++;
}

static void on_wake(void *context)
{
}

/* A host of this name that knows another one. */
static void open_host(struct host *host, const char *name, const char *peer)
{
	static const struct cmm_ops ops = {.peer_event = on_peer_event, .wake = on_wake};
	json_t *document = json_pack("{s:{s:i, s:[], s:i, s:{}, s:{}, s:{s:{}}}}", "channels",
		"threads", 1, "cores", "poll", 0, "partitions", "allow", "peers", peer);
	struct policy *policy;
	struct error error;

	host->identity = identity_open(name, &world.authority, CERTIFICATE_DAYS);
	host->tls = identity_tls(&host->identity, &world.authority);
	assert_int_equal(cmm_open(&host->cmm, &ops, host, &error), 0);
	assert_int_equal(policy_create(document, &policy, &error), 0);
	json_decref(document);
	assert_int_equal(cmm_prepare(&host->cmm, policy, &error), 0);
	cmm_commit(&host->cmm, NULL);
}

static void close_host(struct host *host)
{
	cmm_close(&host->cmm);
	tls_destroy(host->tls);
	identity_close(&host->identity);
}

static int open_world(void **state)
{
	memset(&world, 0, sizeof(world));
	uv_loop_init(&world.loop);
	world.authority = identity_open("authority", NULL, CERTIFICATE_DAYS);
	open_host(&world.one, "hv1", "hv2");
	open_host(&world.two, "hv2", "hv1");
	return 0;
}

static int close_world(void **state)
{
	greeting_close_all();
	uv_run(&world.loop, UV_RUN_DEFAULT);
	close_host(&world.one);
	close_host(&world.two);
	identity_close(&world.authority);
	assert_int_equal(uv_loop_close(&world.loop), 0);
	return 0;
}

#define assert_comes(condition) assert_becomes((uv_run(&world.loop, UV_RUN_NOWAIT), (condition)))

static bool is_linked(const struct host *host, const char *peer)
{
	return link_is_attached(cmm_find_peer(&host->cmm, peer)->link);
}

/* hv1 calls hv2. */
static void greet(void)
{
	int ends[2];

	connect_pair(ends);
	assert_int_equal(greeting_open(&world.loop, &world.one.cmm, world.one.tls, ends[0], "hv2",
				 "192.0.2.2"),
		0);
	assert_int_equal(greeting_open(&world.loop, &world.two.cmm, world.two.tls, ends[1], NULL,
				 "192.0.2.1"),
		0);
}

static void two_hosts_meet(void **state)
{
	const struct peer *two = cmm_find_peer(&world.one.cmm, "hv2");
	const struct peer *one = cmm_find_peer(&world.two.cmm, "hv1");

	greet();
	assert_true(greeting_is_under_way("hv2"));
	assert_comes(is_linked(&world.one, "hv2") && is_linked(&world.two, "hv1"));
	assert_false(greeting_is_under_way("hv2"));
	assert_int_equal(two->incarnation, world.two.cmm.incarnation);
	assert_int_equal(one->incarnation, world.one.cmm.incarnation);
	assert_true(two->is_dialled);
	assert_false(one->is_dialled);
	assert_string_equal(world.one.action, "peer-up");
	assert_string_equal(world.two.action, "peer-up");
}

static void use_identity(struct host *host, const char *name, const struct identity *authority)
{
	tls_destroy(host->tls);
	identity_close(&host->identity);
	host->identity = identity_open(name, authority, CERTIFICATE_DAYS);
	host->tls = identity_tls(&host->identity, &world.authority);
}

static void a_stranger_is_refused(void **state)
{
	struct identity authority = identity_open("authority", NULL, CERTIFICATE_DAYS);

	use_identity(&world.two, "hv2", &authority);
	greet();
	assert_comes(world.one.event_count > 0 && !greeting_is_under_way(""));
	assert_string_equal(world.one.action, "peer-refused");
	assert_string_equal(world.one.peer, "hv2");
	assert_non_null(strstr(world.one.reason, "its certificate: "));
	assert_non_null(
		strstr(cmm_find_peer(&world.one.cmm, "hv2")->failure.text, "its certificate: "));
	assert_false(is_linked(&world.one, "hv2") || is_linked(&world.two, "hv1"));
	identity_close(&authority);
}

static void who_is_another_one_than_was_called_is_refused(void **state)
{
	use_identity(&world.two, "hv3", &world.authority);
	greet();
	assert_comes(world.one.event_count > 0);
	assert_string_equal(world.one.action, "peer-refused");
	assert_string_equal(world.one.reason, "its certificate is another one's: /CN=hv3");
	assert_false(is_linked(&world.one, "hv2"));
}

static void who_calls_and_is_no_peer_is_refused(void **state)
{
	use_identity(&world.one, "hv9", &world.authority);
	greet();
	assert_comes(world.two.event_count > 0);
	assert_string_equal(world.two.action, "peer-refused");
	assert_string_equal(world.two.peer, "-");
	assert_string_equal(world.two.reason, "its certificate is no peer's: /CN=hv9");
	assert_false(is_linked(&world.two, "hv1"));
}

/* A peer that has the right certificate, and says as its first frame what is none of ours. */
static void another_protocol_is_refused(void **state)
{
	uint8_t hello[CMM_HELLO_SIZE] = {0, 0, 0, CMM_HELLO_SIZE, CMM_HELLO};
	struct tls_session *session;
	bool wants_write;
	struct error error;
	int ends[2];

	connect_pair(ends);
	assert_int_equal(tls_session_open(world.one.tls, ends[0], true, &session), 0);
	assert_int_equal(greeting_open(&world.loop, &world.two.cmm, world.two.tls, ends[1], NULL,
				 "192.0.2.1"),
		0);
	assert_comes(tls_session_handshake(session, &wants_write, &error) == 0);
	assert_int_equal(tls_session_write(session, hello, sizeof(hello)), sizeof(hello));
	assert_comes(world.two.event_count > 0);
	assert_string_equal(world.two.peer, "hv1");
	assert_string_equal(world.two.reason, "it speaks another protocol, or another version");
	assert_false(is_linked(&world.two, "hv1"));
	tls_session_close(session);
}

static void who_only_connects_is_nobody_to_tell_of(void **state)
{
	int ends[2];

	connect_pair(ends);
	assert_int_equal(greeting_open(&world.loop, &world.two.cmm, world.two.tls, ends[1], NULL,
				 "192.0.2.1"),
		0);
	assert_true(greeting_is_under_way(""));
	close(ends[0]);
	assert_comes(!greeting_is_under_way(""));
	assert_false(is_linked(&world.two, "hv1"));
}

/* Whoever only connects has a place until somebody else needs it: a peer finds one at any time. */
static void strangers_are_few_and_keep_nobody_out(void **state)
{
	int ends[33][2];
	char byte;

	for (int i = 0; i < 33; i++) {
		connect_pair(ends[i]);
		assert_int_equal(greeting_open(&world.loop, &world.two.cmm, world.two.tls,
					 ends[i][1], NULL, "192.0.2.1"),
			0);
	}
	assert_becomes(recv(ends[0][0], &byte, 1, 0) == 0);
	assert_int_equal(recv(ends[1][0], &byte, 1, 0), -1);
	greet();
	assert_becomes(recv(ends[1][0], &byte, 1, 0) == 0);
	assert_comes(is_linked(&world.one, "hv2") && is_linked(&world.two, "hv1"));
	greeting_close_all();
	for (int i = 0; i < 33; i++) {
		assert_becomes(recv(ends[i][0], &byte, 1, 0) == 0);
		close(ends[i][0]);
	}
}

int main(void)
{
#define GREETING_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		GREETING_TEST(two_hosts_meet),
		GREETING_TEST(a_stranger_is_refused),
		GREETING_TEST(who_is_another_one_than_was_called_is_refused),
		GREETING_TEST(who_calls_and_is_no_peer_is_refused),
		GREETING_TEST(another_protocol_is_refused),
		GREETING_TEST(who_only_connects_is_nobody_to_tell_of),
		GREETING_TEST(strangers_are_few_and_keep_nobody_out),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
