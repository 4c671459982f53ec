/* SPDX-License-Identifier: BSD-3-Clause */
/* Events of KMP: kept, sent and repeated until they are acknowledged. */
#include "packet/ipsec/kmp_session.h"

#include "kmp_clients.h"

static void events_tell_what_becomes_of_an_sa(void **state)
{
	struct client *client = connected(0, "charon");
	const struct sa_name name = {.spi = 300, .destination = our_here};
	const struct sa_selector packet = {.source_first = our_here,
		.source_last = our_here,
		.destination_first = our_there,
		.destination_last = our_there,
		.protocol = 6,
		.source_port_first = 443,
		.source_port_last = 443,
		.destination_port_first = 1024,
		.destination_port_last = 1024};
	struct kmp_selector selector;
	uint16_t count;
	uint32_t owner;

	assert_int_equal(add_sa(client, 300), KMP_OK);
	owner = fake_sa.sas[0].view.owner;
	kmp_server_expire(server, owner, &name, false, now_ns);
	assert_true(next(client));
	assert_int_equal(message.type, KMP_SA_EXPIRE);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_SPI), 300);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_IS_HARD), 0);
	kmp_server_acquire(server, owner, 5, &packet, now_ns);
	assert_true(next(client));
	assert_int_equal(message.type, KMP_SA_ACQUIRE);
	assert_int_equal(message.sequence, 2);
	assert_int_equal(kmp_get_selectors(&message, &selector, 1, &count), KMP_OK);
	assert_int_equal(selector.destination_port_last, 1024);
	kmp_server_mapping(server, owner, &name, &our_there, 40001, now_ns);
	assert_true(next(client));
	assert_int_equal(message.type, KMP_MAPPING_CHANGED);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_SOURCE_PORT), 40001);
	kmp_server_expire(server, owner ^ 2, &name, true, now_ns); /* nobody's */
	assert_false(next(client));
}

static void an_event_is_repeated_until_it_is_acknowledged(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(add_sa(client, 300), KMP_OK);
	expire(client, 300);
	expire(client, 300);
	assert_true(next(client) && next(client));
	assert_int_equal(message.sequence, 2);
	advance(KMP_REPEAT_MS - 1);
	assert_false(next(client));
	advance(1);
	assert_true(next(client));
	assert_int_equal(message.sequence, 1);
	assert_true(next(client));
	acknowledge(client, 1);
	advance(KMP_REPEAT_MS);
	assert_true(next(client));
	assert_int_equal(message.sequence, 2);
	assert_false(next(client));
	acknowledge(client, 1); /* again: no harm */
	acknowledge(client, 2);
	advance(10 * KMP_REPEAT_MS);
	assert_false(next(client));
	assert_int_equal(kmp_server_stats(server).events_repeated, 3);
}

static void what_was_not_sent_cannot_be_acknowledged(void **state)
{
	struct client *client = connected(0, "charon");
	struct kmp_writer writer;

	assert_int_equal(add_sa(client, 300), KMP_OK);
	expire(client, 300);
	assert_true(next(client));
	kmp_begin(&writer, out, sizeof(out), KMP_EVENT_ACK, ++client->sequence, 2);
	assert_int_equal(result(client, &writer), KMP_BAD_VALUE);
	advance(KMP_REPEAT_MS);
	assert_true(next(client));
	assert_int_equal(message.sequence, 1);
}

static void a_window_of_events_is_on_its_way(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(add_sa(client, 300), KMP_OK);
	for (int i = 0; i < KMP_EVENT_WINDOW + 5; i++)
		expire(client, 300);
	for (int i = 0; i < KMP_EVENT_WINDOW; i++)
		assert_true(next(client));
	assert_false(next(client));
	acknowledge(client, 3);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_true(next(client));
		assert_int_equal(message.sequence, KMP_EVENT_WINDOW + i);
	}
	assert_false(next(client));
}

/* E3: never lost without the software being told. */
static void a_loss_of_events_is_told_in_its_place(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(add_sa(client, 300), KMP_OK);
	for (int i = 0; i < KMP_EVENTS_MAX + 7; i++)
		expire(client, 300);
	for (uint32_t i = 1; i <= KMP_EVENTS_MAX; i++) {
		assert_true(next(client));
		assert_int_equal(message.sequence, i);
		assert_int_equal(message.type, KMP_SA_EXPIRE);
		acknowledge(client, i);
	}
	assert_true(next(client));
	assert_int_equal(message.type, KMP_OVERRUN);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_LOST), 7);
	assert_int_equal(kmp_server_stats(server).events_lost, 7);
	expire(client, 300);
	assert_true(next(client));
	assert_int_equal(message.sequence, KMP_EVENTS_MAX + 2);
}

static void events_wait_for_who_is_away(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(add_sa(client, 300), KMP_OK);
	expire(client, 300);
	assert_true(next(client));
	disconnect(client);
	expire(client, 300);
	client = connect_as(0, 0);
	log_in(client, "charon", true);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_EVENT), 1);
	assert_true(next(client));
	assert_int_equal(message.sequence, 1);
	assert_true(next(client));
	assert_int_equal(message.sequence, 2);
	disconnect(client);
	client = connected(0, "charon"); /* begins anew: they are not its own */
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_EVENT), 3);
	assert_false(next(client));
}

static void events_wait_for_room(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(add_sa(client, 300), KMP_OK);
	client->room = 1;
	expire(client, 300);
	expire(client, 300);
	assert_true(next(client));
	assert_false(next(client));
	assert_true(kmp_session_wants_output(client->session));
	assert_true(kmp_session_takes_input(client->session));
	client->room = UINT32_MAX;
	kmp_session_writable(client->session, now_ns);
	assert_true(next(client));
	assert_int_equal(message.sequence, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_tell_what_becomes_of_an_sa),
		TEST(an_event_is_repeated_until_it_is_acknowledged),
		TEST(what_was_not_sent_cannot_be_acknowledged),
		TEST(a_window_of_events_is_on_its_way),
		TEST(a_loss_of_events_is_told_in_its_place),
		TEST(events_wait_for_who_is_away),
		TEST(events_wait_for_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
