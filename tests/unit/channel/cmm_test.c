/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The mechanism with real lanes, rings and keys, and processes that are played by this one: figure
 * 5 of the seed (C1 to C3), every refusal, the exclusion (C6), revocation (C4), policy (C10),
 * exhaustion and death (C9), within and between partitions (C8).
 */
#include "tests/unit/channel/process.h"
#include "tests/unit/wait.h"

#include <errno.h>
#include <signal.h>

static struct {
	struct cmm cmm;
	struct process web, db, app, other;
	struct cmm_event event; /* the last */
	char by[64], set_by[64], sender[64], receiver[64];
	uint32_t event_count;
	uint32_t is_woken;
} world;

static const char policy_text[] =
	"{'threads': 2, 'cores': [], 'poll': 50,"
	" 'partitions': {"
	"  'web': {'socket': '/a', 'group': 'bulkhead', 'access': 'group', 'endpoints': 4,"
	"          'channels': 4, 'processes': 2, 'memory': 1048576,"
	"          'static': {'log': {'id': 9, 'uid': 77}}},"
	"  'db': {'socket': '/b', 'group': 'bulkhead', 'access': 'all', 'endpoints': 4,"
	"         'channels': 4, 'processes': 2, 'memory': 1048576, 'static': {}},"
	"  'app': {'socket': '/c', 'group': 'bulkhead', 'access': 'group', 'endpoints': 4,"
	"          'channels': 4, 'processes': 2, 'memory': 1048576, 'static': {}}},"
	" 'allow': {"
	"  'web-db': {'from': 'web', 'to': 'db', 'channels': 2, 'message-max': 4096, 'rate': 0},"
	"  'app-db': {'from': 'app', 'to': 'db', 'channels': 2, 'message-max': 4096, 'rate': 0},"
	"  'web-web': {'from': 'web', 'to': 'web', 'channels': 2, 'message-max': 4096,"
	"              'rate': 0}}}";

/* --- The cmm's owner --- */

static void copy_name(char out[64], const char *name)
{
	snprintf(out, 64, "%s", name ? name : "-");
}

static void on_event(void *context, const struct cmm_event *event)
{
	world.event = *event;
	copy_name(world.by, event->by);
	copy_name(world.set_by, event->set_by);
	copy_name(world.sender, event->sender);
	copy_name(world.receiver, event->receiver);
	world.event_count++;
}

static void on_wake(void *context)
{
	__atomic_store_n(&world.is_woken, 1, __ATOMIC_RELAXED);
}

static const struct cmm_ops ops = {.send = process_send, .event = on_event, .wake = on_wake};

static void on_forget(struct session *session)
{
	struct process *process = session->context;

	process->is_forgotten = true;
	process->session = NULL;
}

/* The policy with keys of `allow`, `partitions` and others replaced or (NULL) removed. */
static struct policy *make_policy(void (*change)(json_t *channels))
{
	char text[sizeof(policy_text)];
	json_t *document, *channels;
	struct policy *policy;
	struct error error;

	strcpy(text, policy_text);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	channels = json_loads(text, 0, NULL);
	assert_non_null(channels);
	if (change)
		change(channels);
	document = json_pack("{s:o}", "channels", channels);
	assert_int_equal(policy_create(document, &policy, &error), 0);
	json_decref(document);
	return policy;
}

static void set_policy(void (*change)(json_t *channels))
{
	struct error error;

	assert_int_equal(cmm_prepare(&world.cmm, make_policy(change), &error), 0);
	cmm_commit(&world.cmm, on_forget);
}

/* --- Processes --- */

static void attach(struct process *process, const char *partition, uid_t uid)
{
	process_attach(&world.cmm, process, partition, uid);
}

static enum key_setter setter_of(uint32_t row_id)
{
	const struct state_row *row = cmm_find_row(&world.cmm, row_id);

	return key_table_setter(&world.cmm.keys, row->key_slot);
}

/* web:5 sends to db:6. Rows come out. */
static void stand_up(uint32_t *sender, uint32_t *receiver)
{
	*sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6);
	*receiver = open_row(&world.db, 6, ATTACH_RECEIVE, "web", 5);
	assert_int_equal(act(&world.db, ATTACH_KEY, *receiver), 0);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, *receiver), 0);
	assert_non_null(find_notice(&world.db, ATTACH_UP));
}

static int open_world(void **state)
{
	struct process *const processes[] = {&world.web, &world.db, &world.app};
	static const char *const names[] = {"web", "db", "app"};
	struct error error;

	memset(&world, 0, sizeof(world));
	assert_int_equal(cmm_open(&world.cmm, &ops, NULL, &error), 0);
	set_policy(NULL);
	for (int i = 0; i < 3; i++) {
		attach(processes[i], names[i], 0);
		assert_int_equal(hello(processes[i]), 0);
	}
	assert_int_equal(bind_endpoint(&world.web, 5), 0);
	assert_int_equal(bind_endpoint(&world.db, 6), 0);
	assert_int_equal(bind_endpoint(&world.app, 7), 0);
	return 0;
}

static int close_world(void **state)
{
	cmm_close(&world.cmm);
	drop_ring(&world.web);
	drop_ring(&world.db);
	drop_ring(&world.app);
	drop_ring(&world.other);
	return 0;
}

/* --- Tests --- */

static void figure_5_step_by_step(void **state)
{
	uint32_t receiver, sender;

	/* 502, 503: rows; nobody has a key. */
	receiver = open_row(&world.db, 6, ATTACH_RECEIVE, "web", 5);
	sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6);
	assert_int_equal(setter_of(receiver), KEY_UNSET);
	assert_int_equal(setter_of(sender), KEY_UNSET);
	/* 504, 506: a key at the receiver's side alone. */
	assert_int_equal(act(&world.db, ATTACH_KEY, receiver), 0);
	assert_int_equal(setter_of(receiver), KEY_SET_LOCAL);
	assert_int_equal(setter_of(sender), KEY_UNSET);
	/* 508 to 514: verified, then stored at the sender's. */
	world.web.notice_count = 0;
	assert_int_equal(act(&world.db, ATTACH_CONNECT, receiver), 0);
	assert_int_equal(setter_of(sender), KEY_SET_REMOTE);
	assert_memory_equal(&world.cmm.keys.rows[cmm_find_row(&world.cmm, sender)->key_slot].stamp,
		&world.cmm.keys.rows[cmm_find_row(&world.cmm, receiver)->key_slot].stamp,
		sizeof(struct stamp));
	assert_int_equal(find_notice(&world.web, ATTACH_UP)->row, sender);
	assert_string_equal(world.event.action, "up");
	assert_string_equal(world.sender, "web");
	assert_string_equal(world.receiver, "db");
	/* 516 to 524. */
	say(&world.web, "hello");
	assert_becomes(hears(&world.db, "hello"));
}

static void a_request_before_its_row_is_made_again(void **state)
{
	uint32_t receiver = open_row(&world.db, 6, ATTACH_RECEIVE, "web", 5), sender;

	assert_int_equal(act(&world.db, ATTACH_KEY, receiver), 0);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, receiver), -ENOENT);
	assert_int_equal(world.cmm.counts.refused[ATTACH_REASON_NO_ROW], 1);
	sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6);
	/* The answer comes first: the process has to know the row. */
	assert_int_equal(world.web.notices[0].kind, ATTACH_ANSWER);
	assert_int_equal(world.web.notices[1].kind, ATTACH_UP);
	assert_int_equal(world.web.notices[1].row, sender);
}

static void a_request_to_another_partition_s_row_is_refused(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6), receiver;

	/* A receiver within web, not db, wants what web:5 sends. */
	attach(&world.other, "web", 0);
	assert_int_equal(hello(&world.other), 0);
	assert_int_equal(bind_endpoint(&world.other, 6), 0);
	receiver = open_row(&world.other, 6, ATTACH_RECEIVE, "web", 5);
	assert_int_equal(act(&world.other, ATTACH_KEY, receiver), 0);
	world.web.notice_count = 0;
	assert_int_equal(act(&world.other, ATTACH_CONNECT, receiver), -EXDEV);
	assert_int_equal(setter_of(sender), KEY_UNSET);
	assert_int_equal(world.cmm.counts.refused[ATTACH_REASON_WRONG_PARTITION], 1);
	assert_string_equal(world.event.action, "refused");
	assert_string_equal(world.event.reason, "wrong-partition");
	assert_string_equal(world.by, "web");
	/* Both sides are told; the sender's once, however often it is tried. */
	assert_int_equal(
		find_notice(&world.web, ATTACH_REFUSED)->reason, ATTACH_REASON_WRONG_PARTITION);
	world.web.notice_count = 0;
	assert_int_equal(act(&world.other, ATTACH_CONNECT, receiver), -EXDEV);
	assert_int_equal(world.web.notice_count, 0);
}

static void a_request_from_another_endpoint_is_refused(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6), receiver;

	assert_int_equal(bind_endpoint(&world.db, 8), 0);
	receiver = open_row(&world.db, 8, ATTACH_RECEIVE, "web", 5);
	assert_int_equal(act(&world.db, ATTACH_KEY, receiver), 0);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, receiver), -EADDRNOTAVAIL);
	assert_int_equal(setter_of(sender), KEY_UNSET);
	assert_string_equal(world.event.reason, "wrong-endpoint");
	assert_int_equal(world.event.receiver_endpoint, 8);
	assert_null(cmm_find_row(&world.cmm, sender)->route);
}

static void a_second_key_by_the_local_side_is_an_exception(void **state)
{
	uint32_t sender, receiver;
	struct stamp before;
	const struct key_row *row;

	stand_up(&sender, &receiver);
	row = &world.cmm.keys.rows[cmm_find_row(&world.cmm, sender)->key_slot];
	before = row->stamp;
	assert_int_equal(act(&world.web, ATTACH_KEY, sender), -EKEYREJECTED);
	assert_memory_equal(&row->stamp, &before, sizeof(before));
	assert_string_equal(world.event.action, "exception");
	assert_string_equal(world.by, "web");
	assert_string_equal(world.set_by, "db");
	assert_int_equal(world.cmm.counts.exceptions, 1);
	assert_non_null(find_notice(&world.db, ATTACH_EXCEPTION));
	say(&world.web, "still");
	assert_becomes(hears(&world.db, "still"));
}

static void a_second_key_by_the_remote_side_is_an_exception(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6);
	uint32_t receiver = open_row(&world.db, 6, ATTACH_RECEIVE, "web", 5);

	assert_int_equal(act(&world.web, ATTACH_KEY, sender), 0);
	assert_int_equal(act(&world.db, ATTACH_KEY, receiver), 0);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, receiver), -EKEYREJECTED);
	assert_int_equal(setter_of(sender), KEY_SET_LOCAL);
	assert_string_equal(world.event.action, "exception");
	assert_string_equal(world.by, "db");
	assert_string_equal(world.set_by, "web");
	assert_null(cmm_find_row(&world.cmm, sender)->route);
}

static void the_same_side_again_changes_nothing(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	assert_int_equal(act(&world.db, ATTACH_KEY, receiver), -EALREADY);
	assert_int_equal(act(&world.db, ATTACH_CONNECT, receiver), -EISCONN);
	assert_int_equal(world.cmm.counts.exceptions, 0);
}

static void within_one_partition_it_is_the_same(void **state)
{
	uint32_t receiver;

	attach(&world.other, "web", 0);
	assert_int_equal(hello(&world.other), 0);
	assert_int_equal(bind_endpoint(&world.other, 6), 0);
	open_row(&world.web, 5, ATTACH_SEND, "web", 6);
	receiver = open_row(&world.other, 6, ATTACH_RECEIVE, "web", 5);
	assert_int_equal(act(&world.other, ATTACH_KEY, receiver), 0);
	assert_int_equal(act(&world.other, ATTACH_CONNECT, receiver), 0);
	say(&world.web, "inside");
	assert_becomes(hears(&world.other, "inside"));
}

static void what_no_rule_allows_is_denied(void **state)
{
	/* From db to web there is no rule, nor to a partition that is not configured. */
	assert_int_equal(authorise(&world.db, 6, ATTACH_SEND, "web", 5)->status, -EPERM);
	assert_string_equal(world.event.action, "denied");
	assert_string_equal(world.by, "db");
	assert_string_equal(world.receiver, "web");
	assert_int_equal(authorise(&world.web, 5, ATTACH_RECEIVE, "db", 6)->status, -EPERM);
	assert_int_equal(authorise(&world.web, 5, ATTACH_SEND, "nobody", 6)->status, -EPERM);
	assert_int_equal(world.cmm.counts.denied, 3);
	assert_int_equal(world.cmm.keys.used, 0);
}

static void others_endpoints_are_not_ours(void **state)
{
	uint32_t sender = open_row(&world.web, 5, ATTACH_SEND, "db", 6);

	attach(&world.other, "web", 0);
	assert_int_equal(hello(&world.other), 0);
	assert_int_equal(bind_endpoint(&world.other, 5), -EADDRINUSE);
	assert_int_equal(authorise(&world.other, 5, ATTACH_SEND, "db", 7)->status, -EACCES);
	assert_int_equal(act(&world.other, ATTACH_KEY, sender), -EBADSLT);
	assert_int_equal(act(&world.other, ATTACH_REVOKE, sender), -EBADSLT);
	assert_int_equal(ask(&world.other,
				 (struct attach_request){.operation = ATTACH_UNBIND, .endpoint = 5})
				 ->status,
		-EACCES);
	assert_int_equal(bind_endpoint(&world.other, 9), -EACCES);
}

static void limits_end_in_errors_and_go_with_their_rows(void **state)
{
	struct attach_request large = {.operation = ATTACH_AUTHORISE,
		.endpoint = 5,
		.direction = ATTACH_SEND,
		.remote_endpoint = 9,
		.remote = "db"};
	uint32_t first = open_row(&world.web, 5, ATTACH_SEND, "db", 6);

	assert_int_equal(authorise(&world.web, 5, ATTACH_SEND, "db", 6)->status, -EEXIST);
	large.message_max = 4097;
	assert_int_equal(ask(&world.web, large)->status, -EMSGSIZE);
	large.message_max = 0;
	large.capacity = 3;
	assert_int_equal(ask(&world.web, large)->status, -EINVAL);
	large.capacity = 1 << 20;
	assert_int_equal(ask(&world.web, large)->status, -ENOBUFS);
	open_row(&world.web, 5, ATTACH_SEND, "db", 7);
	assert_int_equal(authorise(&world.web, 5, ATTACH_SEND, "db", 8)->status, -EDQUOT);
	assert_int_equal(act(&world.web, ATTACH_REVOKE, first), 0);
	open_row(&world.web, 5, ATTACH_SEND, "db", 8);
}

static void processes_are_limited(void **state)
{
	struct session *session;

	attach(&world.other, "db", 0);
	assert_int_equal(
		cmm_session_open(cmm_find_partition(&world.cmm, "db"), 1, 0, NULL, &session),
		-EDQUOT);
	cmm_session_close(world.other.session);
	assert_int_equal(cmm_session_open(cmm_find_partition(&world.cmm, "db"), 1, 0, &world.other,
				 &session),
		0);
}

static void revocation_by_either_end_stops_all(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	assert_int_equal(act(&world.db, ATTACH_REVOKE, receiver), 0);
	/* From this answer on nothing arrives. */
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_REVOKED);
	assert_null(find_notice(&world.db, ATTACH_DOWN));
	say(&world.web, "late");
	assert_false(hears(&world.db, "late"));
	assert_int_equal(world.db.view.shared->tail, 0);
	assert_int_equal(world.web.view.shared->end, ATTACH_REASON_REVOKED);
	assert_null(cmm_find_row(&world.cmm, sender));
	assert_int_equal(world.cmm.keys.used, 0);
	stand_up(&sender, &receiver);
	assert_int_equal(act(&world.web, ATTACH_REVOKE, sender), 0);
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_REVOKED);
	stand_up(&sender, &receiver);
	assert_int_equal(cmm_revoke(&world.cmm, sender), 0);
	assert_int_equal(cmm_revoke(&world.cmm, sender), -ENOENT);
	assert_int_equal(world.web.view.shared->end, ATTACH_REASON_OPERATOR);
}

static void what_a_dead_sender_had_said_is_heard_and_then_the_end(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	say(&world.web, "last words");
	cmm_session_close(world.web.session);
	assert_true(hears(&world.db, "last words"));
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_PEER_GONE);
	assert_null(endpoint_find(&cmm_find_partition(&world.cmm, "web")->endpoints, 5));
	attach(&world.web, "web", 0);
	assert_int_equal(hello(&world.web), 0);
	assert_int_equal(bind_endpoint(&world.web, 5), 0);
	stand_up(&sender, &receiver);
}

static void a_dead_receiver_ends_the_sender_s_row(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	cmm_session_close(world.db.session);
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_PEER_GONE);
	/* Who hears of it finds it in the ring. */
	assert_int_equal(world.web.end_when_told, ATTACH_REASON_PEER_GONE);
	assert_null(cmm_find_row(&world.cmm, sender));
}

static void who_breaks_its_ring_loses_its_channel_alone(void **state)
{
	uint32_t sender, receiver, others;
	uint64_t one = 1;

	/* Beside it app:7 sends to db:8. */
	assert_int_equal(bind_endpoint(&world.db, 8), 0);
	attach(&world.other, "db", 0);
	assert_int_equal(hello(&world.other), 0);
	assert_int_equal(bind_endpoint(&world.other, 9), 0);
	open_row(&world.app, 7, ATTACH_SEND, "db", 9);
	others = open_row(&world.other, 9, ATTACH_RECEIVE, "app", 7);
	assert_int_equal(act(&world.other, ATTACH_KEY, others), 0);
	assert_int_equal(act(&world.other, ATTACH_CONNECT, others), 0);
	stand_up(&sender, &receiver);
	world.web.view.shared->tail = 12345;
	assert_int_equal(write(world.web.descriptors[ATTACH_BELL], &one, sizeof(one)), sizeof(one));
	assert_becomes(__atomic_load_n(&world.is_woken, __ATOMIC_RELAXED));
	world.web.notice_count = 0;
	cmm_collect(&world.cmm);
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_SENDER_RING);
	assert_int_equal(find_notice(&world.db, ATTACH_DOWN)->reason, ATTACH_REASON_SENDER_RING);
	assert_int_equal(world.cmm.counts.ended[ATTACH_REASON_SENDER_RING], 1);
	say(&world.app, "unharmed");
	assert_becomes(hears(&world.other, "unharmed"));
}

static void forbid_web_db(json_t *channels)
{
	json_object_del(json_object_get(channels, "allow"), "web-db");
}

static void remove_db(json_t *channels)
{
	forbid_web_db(channels);
	json_object_del(json_object_get(channels, "allow"), "app-db");
	json_object_del(json_object_get(channels, "partitions"), "db");
}

static void allow_one(json_t *channels)
{
	json_object_set_new(json_object_get(json_object_get(channels, "allow"), "web-db"),
		"channels", json_integer(1));
}

static void remove_all(json_t *channels)
{
	json_object_clear(json_object_get(channels, "allow"));
	json_object_clear(json_object_get(channels, "partitions"));
}

static void one_thread(json_t *channels)
{
	json_object_set_new(channels, "threads", json_integer(1));
}

static void a_live_change_closes_what_it_forbids(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	set_policy(forbid_web_db);
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_POLICY);
	assert_null(cmm_find_row(&world.cmm, receiver));
	assert_int_equal(authorise(&world.web, 5, ATTACH_SEND, "db", 6)->status, -EPERM);
	set_policy(NULL);
	stand_up(&sender, &receiver);
	world.web.notice_count = 0;
	set_policy(remove_db);
	assert_true(world.db.is_forgotten);
	assert_int_equal(find_notice(&world.web, ATTACH_DOWN)->reason, ATTACH_REASON_POLICY);
	set_policy(remove_all);
	assert_true(world.web.is_forgotten);
	assert_int_equal(world.cmm.lane_count, 0);
}

static void fewer_channels_close_the_newest(void **state)
{
	uint32_t first = open_row(&world.web, 5, ATTACH_SEND, "db", 6);
	uint32_t second = open_row(&world.web, 5, ATTACH_SEND, "db", 7);

	set_policy(allow_one);
	assert_non_null(cmm_find_row(&world.cmm, first));
	assert_null(cmm_find_row(&world.cmm, second));
}

/* What goes with one of its ends makes room at the other: there, db's second row is the newest. */
static void the_other_end_of_what_is_closed_makes_room(void **state)
{
	uint32_t waiting = open_row(&world.web, 5, ATTACH_SEND, "db", 7);
	uint32_t sender, receiver, second;

	stand_up(&sender, &receiver);
	second = open_row(&world.db, 6, ATTACH_RECEIVE, "web", 9);
	set_policy(allow_one);
	assert_non_null(cmm_find_row(&world.cmm, waiting));
	assert_null(cmm_find_row(&world.cmm, sender));
	assert_null(cmm_find_row(&world.cmm, receiver));
	assert_non_null(cmm_find_row(&world.cmm, second));
}

static void channels_stay_when_the_threads_change(void **state)
{
	uint32_t sender, receiver;

	stand_up(&sender, &receiver);
	say(&world.web, "before");
	set_policy(one_thread);
	assert_int_equal(world.cmm.lane_count, 1);
	say(&world.web, "after");
	assert_becomes(hears(&world.db, "before"));
	assert_becomes(hears(&world.db, "after"));
}

static void impossible_core(json_t *channels)
{
	json_object_set_new(channels, "cores", json_pack("[i, i]", 0, 1023));
	json_object_set_new(json_object_get(channels, "partitions"), "new",
		json_deep_copy(json_object_get(json_object_get(channels, "partitions"), "app")));
}

static void a_policy_that_cannot_be_had_changes_nothing(void **state)
{
	uint32_t sender, receiver;
	struct error error;

	stand_up(&sender, &receiver);
	assert_true(cmm_prepare(&world.cmm, make_policy(impossible_core), &error) < 0);
	assert_non_null(strstr(error.text, "core 1023"));
	assert_null(cmm_find_partition(&world.cmm, "new"));
	say(&world.web, "as before");
	assert_becomes(hears(&world.db, "as before"));
}

static void what_is_no_request_ends_the_session(void **state)
{
	struct attach_request request = {.operation = ATTACH_BIND};

	assert_int_equal(cmm_handle(world.web.session, &request, 5), -EPROTO);
	request.padding = 1;
	assert_int_equal(cmm_handle(world.web.session, &request, sizeof(request)), -EPROTO);
	request.padding = 0;
	request.operation = ATTACH_OPERATION_COUNT;
	assert_int_equal(cmm_handle(world.web.session, &request, sizeof(request)), -EPROTO);
	request.operation = ATTACH_BIND;
	memset(request.remote, 'x', sizeof(request.remote));
	assert_int_equal(cmm_handle(world.web.session, &request, sizeof(request)), -EPROTO);
	strcpy(request.remote, "ab");
	assert_int_equal(cmm_handle(world.web.session, &request, sizeof(request)), -EPROTO);
	/* Bytes that no event could tell. */
	memset(request.remote, 0, sizeof(request.remote));
	strcpy(request.remote, "db\xff");
	assert_int_equal(cmm_handle(world.web.session, &request, sizeof(request)), -EPROTO);
	/* Before it has said hello. */
	attach(&world.other, "web", 0);
	memset(&request, 0, sizeof(request));
	request.operation = ATTACH_BIND;
	assert_int_equal(cmm_handle(world.other.session, &request, sizeof(request)), -EPROTO);
	request.operation = ATTACH_HELLO;
	request.endpoint = ATTACH_VERSION + 1;
	assert_int_equal(ask(&world.other, request)->status, -EPROTONOSUPPORT);
}

static void events_of_one_partition_are_limited(void **state)
{
	for (int i = 0; i < 200; i++)
		assert_int_equal(authorise(&world.db, 6, ATTACH_SEND, "web", 5)->status, -EPERM);
	assert_in_range(world.event_count, 50, 199);
	assert_int_equal(world.cmm.counts.events_suppressed + world.event_count, 200);
	assert_int_equal(world.cmm.counts.denied, 200);
	/* Another's are told all the same. */
	assert_int_equal(authorise(&world.app, 7, ATTACH_SEND, "web", 5)->status, -EPERM);
	assert_string_equal(world.by, "app");
}

int main(void)
{
#define CMM_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		CMM_TEST(figure_5_step_by_step),
		CMM_TEST(a_request_before_its_row_is_made_again),
		CMM_TEST(a_request_to_another_partition_s_row_is_refused),
		CMM_TEST(a_request_from_another_endpoint_is_refused),
		CMM_TEST(a_second_key_by_the_local_side_is_an_exception),
		CMM_TEST(a_second_key_by_the_remote_side_is_an_exception),
		CMM_TEST(the_same_side_again_changes_nothing),
		CMM_TEST(within_one_partition_it_is_the_same),
		CMM_TEST(what_no_rule_allows_is_denied),
		CMM_TEST(others_endpoints_are_not_ours),
		CMM_TEST(limits_end_in_errors_and_go_with_their_rows),
		CMM_TEST(processes_are_limited),
		CMM_TEST(revocation_by_either_end_stops_all),
		CMM_TEST(what_a_dead_sender_had_said_is_heard_and_then_the_end),
		CMM_TEST(a_dead_receiver_ends_the_sender_s_row),
		CMM_TEST(who_breaks_its_ring_loses_its_channel_alone),
		CMM_TEST(a_live_change_closes_what_it_forbids),
		CMM_TEST(fewer_channels_close_the_newest),
		CMM_TEST(the_other_end_of_what_is_closed_makes_room),
		CMM_TEST(channels_stay_when_the_threads_change),
		CMM_TEST(a_policy_that_cannot_be_had_changes_nothing),
		CMM_TEST(what_is_no_request_ends_the_session),
		CMM_TEST(events_of_one_partition_are_limited),
	};

	/* As the roles: a pipe whose reader is gone is an error. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
