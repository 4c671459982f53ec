/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two mechanisms, linked (C3 to C6, C8, C9): figure 5 between hosts, every refusal, the exclusion,
 * revocation and death at either end, links that are lost and made again, mechanisms that are
 * started anew. All in this process, over a socket pair:
 *
 *	web ── hv1's cmm ══ socket pair ══ hv2's cmm ──┬── db
 *	                                               └── cache
 */
#include "channel/cmm_private.h"
#include "tests/unit/channel/process.h"
#include "tests/unit/wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

struct event {
	char action[32], reason[64], by[64], set_by[64], sender[64], receiver[64];
	uint32_t count;
};

struct host {
	struct cmm cmm;
	const char *peer;               /* its name for the other one */
	struct event event, peer_event; /* the last of each */
	int fd;
};

static struct {
	struct host one, two;
	struct process web, db, cache;
} world;

static const char policy_one[] =
	"{'channels': {'threads': 2, 'cores': [], 'poll': 50,"
	" 'partitions': {"
	"  'web': {'socket': '/a', 'endpoints': 4, 'channels': 4, 'processes': 2,"
	"          'memory': 2097152, 'static': {}}},"
	" 'link': {'timeout': 0}, 'peers': {'hv2': {}},"
	" 'allow': {"
	"  'out': {'from': 'web', 'to': 'hv2/db', 'channels': 4, 'message-max': 4096, 'rate': 0},"
	"  'cache': {'from': 'web', 'to': 'hv2/cache', 'channels': 4, 'message-max': 4096,"
	"            'rate': 0},"
	"  'in': {'from': 'hv2/db', 'to': 'web', 'channels': 4, 'message-max': 4096, 'rate': 0}}}}";

static const char policy_two[] =
	"{'channels': {'threads': 1, 'cores': [], 'poll': 50,"
	" 'partitions': {"
	"  'db': {'socket': '/a', 'endpoints': 4, 'channels': 4, 'processes': 2,"
	"         'memory': 2097152, 'static': {}},"
	"  'cache': {'socket': '/b', 'endpoints': 4, 'channels': 4, 'processes': 2,"
	"            'memory': 2097152, 'static': {}}},"
	" 'link': {'timeout': 0}, 'peers': {'hv1': {}},"
	" 'allow': {"
	"  'in': {'from': 'hv1/web', 'to': 'db', 'channels': 4, 'message-max': 1024, 'rate': 0},"
	"  'cache': {'from': 'hv1/web', 'to': 'cache', 'channels': 4, 'message-max': 4096,"
	"            'rate': 0},"
	"  'stray': {'from': 'hv1/nobody', 'to': 'db', 'channels': 4, 'message-max': 4096,"
	"            'rate': 0},"
	"  'out': {'from': 'db', 'to': 'hv1/web', 'channels': 4, 'message-max': 4096,"
	"          'rate': 0}}}}";

/* --- Hosts --- */

static void copy(char out[64], const char *text)
{
	snprintf(out, 64, "%s", text ? text : "-");
}

static void on_event(void *context, const struct cmm_event *event)
{
	struct event *last = &((struct host *)context)->event;

	snprintf(last->action, sizeof(last->action), "%s", event->action);
	copy(last->reason, event->reason);
	copy(last->by, event->by);
	copy(last->set_by, event->set_by);
	copy(last->sender, event->sender);
	copy(last->receiver, event->receiver);
	last->count++;
}

static void on_peer_event(void *context, const struct cmm_peer_event *event)
{
	struct event *last = &((struct host *)context)->peer_event;

	snprintf(last->action, sizeof(last->action), "%s", event->action);
	copy(last->reason, event->reason);
	last->count++;
}

static void on_wake(void *context)
{
}

static struct policy *make_policy(const char *text, void (*change)(json_t *channels))
{
	char quoted[sizeof(policy_two) + sizeof(policy_one)];
	struct policy *policy;
	struct error error;
	json_t *document;

	strcpy(quoted, text);
	for (char *at = quoted; *at; at++)
		if (*at == '\'')
			*at = '"';
	document = json_loads(quoted, 0, NULL);
	assert_non_null(document);
	if (change)
		change(json_object_get(document, "channels"));
	assert_int_equal(policy_create(document, &policy, &error), 0);
	json_decref(document);
	return policy;
}

static void set_policy(struct host *host, const char *text, void (*change)(json_t *channels))
{
	struct error error;

	assert_int_equal(cmm_prepare(&host->cmm, make_policy(text, change), &error), 0);
	cmm_commit(&host->cmm, NULL);
}

static void open_host(struct host *host, const char *peer, const char *policy)
{
	static const struct cmm_ops ops = {.send = process_send,
		.event = on_event,
		.peer_event = on_peer_event,
		.wake = on_wake};
	struct error error;

	*host = (struct host){.peer = peer};
	assert_int_equal(cmm_open(&host->cmm, &ops, host, &error), 0);
	set_policy(host, policy, NULL);
}

static void open_process(
	struct host *host, struct process *process, const char *partition, uint32_t endpoint)
{
	process_attach(&host->cmm, process, partition, 0);
	assert_int_equal(hello(process), 0);
	assert_int_equal(bind_endpoint(process, endpoint), 0);
}

/* --- The link --- */

static ssize_t stream_read(void *context, void *out, size_t size)
{
	ssize_t got = recv(*(int *)context, out, size, MSG_DONTWAIT);

	return got < 0 ? -errno : got;
}

static ssize_t stream_write(void *context, const void *bytes, size_t size)
{
	ssize_t written = send(*(int *)context, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	return written < 0 ? -errno : written;
}

static void stream_close(void *context)
{
	close(*(int *)context);
}

static struct peer *peer_of(const struct host *host)
{
	return cmm_find_peer(&host->cmm, host->peer);
}

static int connect_host(struct host *host, uint64_t incarnation, int fd, bool is_dialled)
{
	struct link_stream stream = {stream_read, stream_write, stream_close, &host->fd, fd};

	/* What was there is not looked at any more before its close. */
	cmm_peer_disconnect(peer_of(host), "another one comes");
	host->fd = fd;
	return cmm_peer_connect(peer_of(host), &stream, incarnation, is_dialled);
}

static void link_hosts(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(connect_host(&world.one, world.two.cmm.incarnation, ends[0], true), 0);
	assert_int_equal(connect_host(&world.two, world.one.cmm.incarnation, ends[1], false), 0);
}

static void unlink_hosts(void)
{
	cmm_peer_disconnect(peer_of(&world.one), "test");
	cmm_peer_disconnect(peer_of(&world.two), "test");
}

/* What both loops do. */
static bool work(void)
{
	cmm_collect(&world.one.cmm);
	cmm_collect(&world.two.cmm);
	return true;
}

#define assert_comes(condition) assert_becomes((work(), (condition)))

/* Everything said before has been acted upon: each answers a request of its own behind it. */
static void settle(void)
{
	uint64_t before = world.two.cmm.counts.refused[ATTACH_REASON_NO_ROW];
	uint32_t row = open_row(&world.cache, 8, ATTACH_RECEIVE, "hv1/web", 9);

	assert_int_equal(act(&world.cache, ATTACH_KEY, row), 0);
	assert_int_equal(act(&world.cache, ATTACH_CONNECT, row), -EINPROGRESS);
	assert_comes(world.two.cmm.counts.refused[ATTACH_REASON_NO_ROW] > before);
	assert_int_equal(act(&world.cache, ATTACH_REVOKE, row), 0);
}

static int open_world(void **state)
{
	memset(&world, 0, sizeof(world));
	open_host(&world.one, "hv2", policy_one);
	open_host(&world.two, "hv1", policy_two);
	open_process(&world.one, &world.web, "web", 5);
	open_process(&world.two, &world.db, "db", 6);
	open_process(&world.two, &world.cache, "cache", 8);
	link_hosts();
	return 0;
}

static int close_world(void **state)
{
	cmm_close(&world.one.cmm);
	cmm_close(&world.two.cmm);
	drop_ring(&world.web);
	drop_ring(&world.db);
	drop_ring(&world.cache);
	return 0;
}

static enum key_setter setter_of(const struct host *host, uint32_t row)
{
	return key_table_setter(&host->cmm.keys, cmm_find_row(&host->cmm, row)->key_slot);
}

static bool is_up(const struct host *host, uint32_t row_id)
{
	const struct state_row *row = cmm_find_row(&host->cmm, row_id);

	return row && row->far;
}

static bool is_told(const struct process *process, uint32_t kind)
{
	return find_notice(process, kind) != NULL;
}

/* A receiver at db, with its key, asks. */
static uint32_t ask_for(uint32_t endpoint)
{
	uint32_t row = open_row(&world.db, 6, ATTACH_RECEIVE, "hv1/web", endpoint);

	assert_int_equal(act(&world.db, ATTACH_KEY, row), 0);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, row), -EINPROGRESS);
	return row;
}

/* web:5 sends to db:6. */
static void stand_up(uint32_t *sender, uint32_t *receiver)
{
	*sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 6);
	*receiver = ask_for(5);
	assert_comes(is_up(&world.one, *sender) && is_up(&world.two, *receiver));
}

/* --- Tests --- */

static void figure_5_between_two_hosts(void **state)
{
	uint32_t receiver = open_row(&world.db, 6, ATTACH_RECEIVE, "hv1/web", 5);
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 6);
	const struct state_row *row;

	/* 504, 506. */
	assert_int_equal(act(&world.db, ATTACH_KEY, receiver), 0);
	assert_int_equal(setter_of(&world.two, receiver), KEY_SET_LOCAL);
	settle();
	assert_int_equal(setter_of(&world.one, sender), KEY_UNSET);
	/* 508 to 514. */
	world.web.notice_count = 0;
	assert_int_equal(act(&world.db, ATTACH_CONNECT, receiver), -EINPROGRESS);
	assert_comes(is_told(&world.web, ATTACH_UP) && is_told(&world.db, ATTACH_UP));
	assert_int_equal(setter_of(&world.one, sender), KEY_SET_REMOTE);
	row = cmm_find_row(&world.one.cmm, sender);
	assert_memory_equal(&world.one.cmm.keys.rows[row->key_slot].stamp,
		&world.two.cmm.keys.rows[cmm_find_row(&world.two.cmm, receiver)->key_slot].stamp,
		sizeof(struct stamp));
	assert_string_equal(world.one.event.sender, "web");
	assert_string_equal(world.one.event.receiver, "hv2/db");
	assert_string_equal(world.two.event.sender, "hv1/web");
	assert_string_equal(world.two.event.receiver, "db");
	/* The lesser of both hosts' rules. */
	assert_int_equal(find_notice(&world.web, ATTACH_UP)->message_max, 1024);
	/* 516 to 524. */
	say(&world.web, "hello");
	assert_comes(hears(&world.db, "hello"));
}

static void a_request_before_its_row_is_made_again(void **state)
{
	uint32_t receiver = ask_for(5), sender;

	assert_comes(world.two.cmm.counts.refused[ATTACH_REASON_NO_ROW] == 1);
	assert_int_equal(world.one.cmm.counts.refused[ATTACH_REASON_NO_ROW], 1);
	/* Nothing that people would have to hear of. */
	assert_int_equal(world.one.event.count + world.two.event.count, 0);
	sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 6);
	assert_comes(is_up(&world.one, sender) && is_up(&world.two, receiver));
}

/* From a host that asks again, when messages have gone already. */
static void a_request_that_comes_twice_changes_nothing(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	say(&world.web, "one");
	assert_comes(hears(&world.db, "one"));
	assert_comes(__atomic_load_n(&cmm_find_row(&world.one.cmm, sender)->view.shared->head,
			     __ATOMIC_ACQUIRE)
		> 0);
	cmm_far_connect(cmm_find_row(&world.two.cmm, receiver));
	settle();
	assert_true(is_up(&world.one, sender) && is_up(&world.two, receiver));
	say(&world.web, "two");
	assert_comes(hears(&world.db, "two"));
	assert_int_equal(peer_of(&world.two)->link->counts.drops[LINK_DROP_REPLAYED], 0);
}

/* Both hosts have refused it, and told of it; nothing was stored. */
static void expect_refusal(uint32_t sender, const char *why, const char *by_far, const char *by)
{
	assert_comes(world.two.event.count == 1);
	assert_int_equal(setter_of(&world.one, sender), KEY_UNSET);
	assert_string_equal(world.one.event.action, "refused");
	assert_string_equal(world.one.event.reason, why);
	assert_string_equal(world.one.event.by, by_far);
	assert_string_equal(world.two.event.action, "refused");
	assert_string_equal(world.two.event.reason, why);
	assert_string_equal(world.two.event.by, by);
}

static void another_endpoint_is_refused(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 7);

	ask_for(5);
	expect_refusal(sender, "wrong-endpoint", "hv2/db", "db");
	assert_int_equal(find_notice(&world.web, ATTACH_REFUSED)->row, sender);
	assert_true(is_told(&world.db, ATTACH_REFUSED));
}

static void another_partition_is_refused(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/cache", 6);

	ask_for(5);
	expect_refusal(sender, "wrong-partition", "hv2/db", "db");
	assert_string_equal(find_notice(&world.web, ATTACH_REFUSED)->partition, "hv2/db");
	assert_true(is_told(&world.db, ATTACH_REFUSED));
}

static void what_the_other_host_s_rules_do_not_allow_is_refused(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 6), row;

	/* hv2 would allow it; hv1 has no such partition. */
	row = open_row(&world.db, 6, ATTACH_RECEIVE, "hv1/nobody", 5);
	assert_int_equal(act(&world.db, ATTACH_KEY, row), 0);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, row), -EINPROGRESS);
	expect_refusal(sender, "denied", "hv2/db", "db");
	assert_int_equal(find_notice(&world.db, ATTACH_REFUSED)->reason, ATTACH_REASON_DENIED);
}

/* A peer that comes and goes until its rate of events is used up. */
static void comings_and_goings_hide_no_refusal(void **state)
{
	assert_becomes((link_hosts(), world.one.cmm.counts.events_suppressed > 0));
	another_endpoint_is_refused(state);
}

static void remote_after_local_is_an_exception(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 6), receiver;

	assert_int_equal(act(&world.web, ATTACH_KEY, sender), 0);
	receiver = ask_for(5);
	settle();
	settle(); /* a second request would be behind what the first settle() said */
	/* Asked once, though hv2 hears of the row while its request is under way. */
	assert_int_equal(world.one.event.count, 1);
	assert_int_equal(world.two.event.count, 1);
	assert_int_equal(setter_of(&world.one, sender), KEY_SET_LOCAL);
	assert_string_equal(world.one.event.action, "exception");
	assert_string_equal(world.one.event.by, "hv2/db");
	assert_string_equal(world.one.event.set_by, "web");
	assert_string_equal(world.two.event.action, "exception");
	assert_string_equal(world.two.event.by, "db");
	assert_string_equal(world.two.event.set_by, "hv1/web");
	assert_true(is_told(&world.web, ATTACH_EXCEPTION) && is_told(&world.db, ATTACH_EXCEPTION));
	assert_false(is_up(&world.two, receiver));
}

static void local_after_remote_is_an_exception(void **state)
{
	uint32_t sender, receiver;
	struct stamp before;
	const struct key_row *row;

	stand_up(&sender, &receiver);
	row = &world.one.cmm.keys.rows[cmm_find_row(&world.one.cmm, sender)->key_slot];
	before = row->stamp;
	world.db.notice_count = 0;
	assert_int_equal(act(&world.web, ATTACH_KEY, sender), -EKEYREJECTED);
	assert_comes(is_told(&world.db, ATTACH_EXCEPTION));
	assert_memory_equal(&row->stamp, &before, sizeof(before));
	assert_string_equal(world.one.event.by, "web");
	assert_string_equal(world.one.event.set_by, "hv2/db");
	assert_string_equal(world.two.event.by, "hv1/web");
	assert_string_equal(world.two.event.set_by, "db");
	say(&world.web, "still");
	assert_comes(hears(&world.db, "still"));
}

static void either_end_revokes(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	assert_int_equal(act(&world.db, ATTACH_REVOKE, receiver), 0);
	/* From this answer on nothing arrives. */
	say(&world.web, "late");
	assert_comes(is_told(&world.web, ATTACH_DOWN));
	assert_int_equal(world.db.view.shared->tail, 0);
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_REVOKED);
	assert_null(cmm_find_row(&world.one.cmm, sender));
	assert_int_equal(world.one.cmm.keys.used + world.two.cmm.keys.used, 0);
	stand_up(&sender, &receiver);
	world.db.notice_count = 0;
	assert_int_equal(act(&world.web, ATTACH_REVOKE, sender), 0);
	assert_comes(is_told(&world.db, ATTACH_DOWN));
	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	assert_int_equal(cmm_revoke(&world.two.cmm, receiver), 0);
	assert_comes(is_told(&world.web, ATTACH_DOWN));
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_OPERATOR);
}

static void what_a_dead_sender_had_said_is_heard_and_then_the_end(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.db.notice_count = 0;
	say(&world.web, "last words");
	cmm_session_close(world.web.session);
	assert_comes(is_told(&world.db, ATTACH_DOWN));
	assert_true(hears(&world.db, "last words"));
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_PEER_GONE);
}

static void a_dead_receiver_ends_the_sender_s_row(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	cmm_session_close(world.db.session);
	assert_comes(is_told(&world.web, ATTACH_DOWN));
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_PEER_GONE);
}

static void a_link_that_comes_again_goes_on(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	say(&world.web, "one");
	assert_comes(hears(&world.db, "one"));
	unlink_hosts();
	say(&world.web, "two");
	link_hosts();
	say(&world.web, "three");
	assert_comes(hears(&world.db, "two"));
	assert_comes(hears(&world.db, "three"));
	assert_true(is_up(&world.one, sender) && is_up(&world.two, receiver));
}

/* The link goes behind each of the steps, and the channel stands all the same. */
static void a_link_is_lost_at_every_step(void **state)
{
	for (int step = 0; step < 5; step++) {
		uint32_t sender, receiver;

		sender = open_row(&world.web, 5, ATTACH_SEND, "hv2/db", 6);
		if (step == 0)
			link_hosts(); /* AUTHORISED was said, or not */
		receiver = ask_for(5);
		if (step == 1)
			link_hosts(); /* CONNECT */
		if (step >= 2)
			assert_becomes((cmm_collect(&world.one.cmm), is_up(&world.one, sender)));
		if (step == 2)
			link_hosts(); /* ACCEPT was said, and not taken */
		if (step >= 3)
			assert_comes(is_up(&world.two, receiver));
		if (step == 3)
			link_hosts();
		say(&world.web, "a message");
		if (step == 4)
			link_hosts(); /* DATA, or its acknowledgement */
		assert_comes(hears(&world.db, "a message"));
		assert_false(hears(&world.db, "a message"));
		world.web.notice_count = 0;
		assert_int_equal(act(&world.db, ATTACH_REVOKE, receiver), 0);
		assert_comes(is_told(&world.web, ATTACH_DOWN));
	}
}

static void what_ended_meanwhile_ends_behind_it(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	unlink_hosts();
	assert_int_equal(act(&world.db, ATTACH_REVOKE, receiver), 0);
	world.web.notice_count = 0;
	link_hosts();
	assert_comes(is_told(&world.web, ATTACH_DOWN));
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_REVOKED);
	/* The same from the sender's side. */
	stand_up(&sender, &receiver);
	unlink_hosts();
	assert_int_equal(act(&world.web, ATTACH_REVOKE, sender), 0);
	world.db.notice_count = 0;
	link_hosts();
	assert_comes(is_told(&world.db, ATTACH_DOWN));
}

static void a_link_that_stays_down_ends_its_channels(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	cmm_tick(&world.one.cmm);
	assert_true(is_up(&world.one, sender));
	unlink_hosts();
	world.web.notice_count = world.db.notice_count = 0;
	assert_becomes((cmm_tick(&world.one.cmm), cmm_tick(&world.two.cmm),
		is_told(&world.web, ATTACH_DOWN) && is_told(&world.db, ATTACH_DOWN)));
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_LINK_LOST);
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_LINK_LOST);
}

static void a_mechanism_that_was_started_anew_has_no_channels(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	cmm_close(&world.two.cmm);
	open_host(&world.two, "hv1", policy_two);
	link_hosts();
	assert_true(is_told(&world.web, ATTACH_DOWN));
	assert_int_equal(
		find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_PEER_RESTARTED);
	drop_ring(&world.db);
	open_process(&world.two, &world.db, "db", 6);
	stand_up(&sender, &receiver);
	say(&world.web, "again");
	assert_comes(hears(&world.db, "again"));
}

static void of_two_connections_both_sides_keep_the_same(void **state)
{
	struct host *greater = &world.one, *lesser = &world.two;
	struct link_stream stream = {stream_read, stream_write, stream_close, NULL, -1};
	int ends[2];

	if (greater->cmm.incarnation < lesser->cmm.incarnation) {
		greater = &world.two;
		lesser = &world.one;
	}
	/* One that the greater has dialled stands; another one, by the lesser, is not taken. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(connect_host(greater, lesser->cmm.incarnation, ends[0], true), 0);
	assert_int_equal(connect_host(lesser, greater->cmm.incarnation, ends[1], false), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	stream.context = &ends[0];
	stream.fd = ends[0];
	assert_int_equal(
		cmm_peer_connect(peer_of(greater), &stream, lesser->cmm.incarnation, false),
		-EALREADY);
	stream.context = &ends[1];
	stream.fd = ends[1];
	assert_int_equal(cmm_peer_connect(peer_of(lesser), &stream, greater->cmm.incarnation, true),
		-EALREADY);
	assert_int_equal(peer_of(greater)->connections, 2);
	assert_true(link_is_attached(peer_of(greater)->link));
}

static void who_says_twice_who_it_is_is_disconnected(void **state)
{
	const struct cmm_frame hello_again = {.type = CMM_HELLO, .incarnation = 9};

	link_send(peer_of(&world.one)->link, &hello_again);
	assert_comes(!link_is_attached(peer_of(&world.two)->link));
	assert_string_equal(world.two.peer_event.action, "peer-down");
	assert_string_equal(world.two.peer_event.reason, "it has said twice who it is");
	assert_comes(!link_is_attached(peer_of(&world.one)->link));
}

static void forbid_in(json_t *channels)
{
	json_object_del(json_object_get(channels, "allow"), "in");
}

static void forget_peer(json_t *channels)
{
	json_object_clear(json_object_get(channels, "allow"));
	json_object_clear(json_object_get(channels, "peers"));
}

static void slow_down(json_t *channels)
{
	json_object_set_new(json_object_get(json_object_get(channels, "allow"), "out"), "rate",
		json_integer(10));
}

static void a_live_change_on_either_host_closes_what_it_forbids(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	set_policy(&world.one, policy_one, slow_down);
	assert_int_equal(cmm_find_row(&world.one.cmm, sender)->far->interval_ns, 100000000);
	world.web.notice_count = world.db.notice_count = 0;
	set_policy(&world.two, policy_two, forbid_in);
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_POLICY);
	assert_comes(is_told(&world.web, ATTACH_DOWN));
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_POLICY);
	set_policy(&world.two, policy_two, NULL);
	stand_up(&sender, &receiver);
	world.web.notice_count = world.db.notice_count = 0;
	set_policy(&world.one, policy_one, forget_peer);
	assert_null(cmm_find_peer(&world.one.cmm, "hv2"));
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_POLICY);
	/* That was said before the connection was closed: the lane has a round between two rests.
	 */
	assert_comes(is_told(&world.db, ATTACH_DOWN));
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_POLICY);
}

static void a_mechanism_that_stops_says_so(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.db.notice_count = 0;
	cmm_close(&world.one.cmm);
	assert_becomes((cmm_collect(&world.two.cmm), is_told(&world.db, ATTACH_DOWN)));
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_STOPPED);
	open_host(&world.one, "hv2", policy_one);
}

int main(void)
{
#define LINKS_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		LINKS_TEST(figure_5_between_two_hosts),
		LINKS_TEST(a_request_before_its_row_is_made_again),
		LINKS_TEST(a_request_that_comes_twice_changes_nothing),
		LINKS_TEST(another_endpoint_is_refused),
		LINKS_TEST(another_partition_is_refused),
		LINKS_TEST(what_the_other_host_s_rules_do_not_allow_is_refused),
		LINKS_TEST(comings_and_goings_hide_no_refusal),
		LINKS_TEST(remote_after_local_is_an_exception),
		LINKS_TEST(local_after_remote_is_an_exception),
		LINKS_TEST(either_end_revokes),
		LINKS_TEST(what_a_dead_sender_had_said_is_heard_and_then_the_end),
		LINKS_TEST(a_dead_receiver_ends_the_sender_s_row),
		LINKS_TEST(a_link_that_comes_again_goes_on),
		LINKS_TEST(a_link_is_lost_at_every_step),
		LINKS_TEST(what_ended_meanwhile_ends_behind_it),
		LINKS_TEST(a_link_that_stays_down_ends_its_channels),
		LINKS_TEST(a_mechanism_that_was_started_anew_has_no_channels),
		LINKS_TEST(of_two_connections_both_sides_keep_the_same),
		LINKS_TEST(who_says_twice_who_it_is_is_disconnected),
		LINKS_TEST(a_live_change_on_either_host_closes_what_it_forbids),
		LINKS_TEST(a_mechanism_that_stops_says_so),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
