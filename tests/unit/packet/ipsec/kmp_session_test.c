/* SPDX-License-Identifier: BSD-3-Clause */
/* KMP's sessions: the handshake, requests, bad input, take-over and grace. */
#include "packet/ipsec/kmp_session.h"

#include "kmp_clients.h"

/* ---- the handshake ---- */

static void both_ends_prove_that_they_have_the_secret(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(ping(client), KMP_OK);
	assert_int_equal(kmp_server_stats(server).sessions, 1);
}

static void a_stranger_gets_nothing(void **state)
{
	struct client *client = connect_as(0, 0);

	assert_int_equal(ping(client), KMP_WRONG_STATE);
	assert_int_equal(add_sa(client, 300), KMP_WRONG_STATE);
	assert_int_equal(fake_sa.changes, 0);
	assert_int_equal(kmp_server_stats(server).sessions, 0);
	advance(KMP_HANDSHAKE_MS - 1);
	assert_false(client->is_ended);
	advance(1);
	assert_true(client->is_ended);
}

static void a_wrong_proof_ends_the_session(void **state)
{
	static const uint8_t other[sizeof(secret)] = {1};
	struct client *client = connect_as(0, 0);
	uint8_t nonce[KMP_NONCE_SIZE];
	struct kmp_writer writer;

	hello(client, &writer, "charon", false);
	ask(client, &writer, KMP_CHALLENGE);
	prove(client, &writer, "charon", other, nonce);
	assert_int_equal(result(client, &writer), KMP_DENIED);
	assert_true(client->is_ended);
	assert_false(kmp_session_takes_input(client->session));
	assert_int_equal(kmp_server_stats(server).denied, 1);
}

/* A proof that was seen is of no use for another challenge, nor is the server's own. */
static void a_proof_is_good_for_its_challenge_only(void **state)
{
	struct client *first = connect_as(0, 0), *second = connect_as(1, 0);
	uint8_t nonce[KMP_NONCE_SIZE];
	struct kmp_writer writer;

	hello(first, &writer, "charon", false);
	ask(first, &writer, KMP_CHALLENGE);
	memcpy(nonce, message.attributes[KMP_ATTRIBUTE_NONCE].value, KMP_NONCE_SIZE);
	hello(second, &writer, "charon", false);
	ask(second, &writer, KMP_CHALLENGE);
	assert_memory_not_equal(
		message.attributes[KMP_ATTRIBUTE_NONCE].value, nonce, KMP_NONCE_SIZE);
	message.attributes[KMP_ATTRIBUTE_NONCE].value = nonce;
	prove(second, &writer, "charon", secret, nonce);
	assert_int_equal(result(second, &writer), KMP_DENIED);
}

static unsigned int fail_to_prove(int i, uint64_t peer)
{
	static const uint8_t other[sizeof(secret)] = {1};
	struct client *client = connect_as(i, peer);
	uint8_t nonce[KMP_NONCE_SIZE];
	struct kmp_writer writer;
	unsigned int code;

	hello(client, &writer, "charon", false);
	send_bytes(client, kmp_end(&writer));
	assert_true(next(client));
	if (message.type == KMP_CHALLENGE) {
		prove(client, &writer, "charon", other, nonce);
		ask(client, &writer, KMP_RESULT);
	}
	code = (unsigned int)kmp_get_number(&message, KMP_ATTRIBUTE_CODE);
	assert_true(client->is_ended);
	disconnect(client);
	return code;
}

static void who_fails_too_often_is_refused_for_a_while(void **state)
{
	for (int i = 0; i < KMP_FAILURES_MAX; i++)
		assert_int_equal(fail_to_prove(0, 1000), KMP_DENIED);
	assert_int_equal(fail_to_prove(0, 1000), KMP_BUSY);
	assert_int_equal(fail_to_prove(0, 1001), KMP_DENIED); /* somebody else */
	advance(KMP_FAILURE_WINDOW_MS);
	assert_int_equal(fail_to_prove(0, 1000), KMP_DENIED);
}

static void names_are_plain(void **state)
{
	static const char *const names[] = {"a b", "../x", "\xc3\xa4", "a\n"};
	struct client *client = connect_as(0, 0);
	struct kmp_writer writer;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		hello(client, &writer, names[i], false);
		assert_int_equal(result(client, &writer), KMP_BAD_VALUE);
	}
	begin(client, &writer, KMP_HELLO);
	kmp_put(&writer, KMP_ATTRIBUTE_NAME, "charon\0x", 8);
	kmp_put(&writer, KMP_ATTRIBUTE_NONCE, client->nonce, KMP_NONCE_SIZE);
	kmp_put_number(&writer, KMP_ATTRIBUTE_RESUMES, 1, 0);
	assert_int_equal(result(client, &writer), KMP_BAD_VALUE);
	log_in(client, "A-z.09_", false);
}

static void strangers_do_not_fill_the_house(void **state)
{
	struct kmp_session *session;

	for (int i = 0; i < KMP_STRANGERS_MAX; i++)
		connect_as(i, 0);
	assert_int_equal(
		kmp_session_open(server, 0, &ops, &clients[19], now_ns, &session), -EUSERS);
	log_in(&clients[0], "charon", false);
	connect_as(19, 0);
}

/* ---- requests ---- */

static void an_sa_is_added_with_all_that_was_said(void **state)
{
	struct client *client = connected(0, "charon");
	const struct sa_parameters *parameters = &fake_sa.sas[0].parameters;
	struct kmp_writer writer;
	uint32_t spi;

	begin(client, &writer, KMP_GET_SPI);
	kmp_put_address(&writer, KMP_ATTRIBUTE_DESTINATION, &here);
	ask(client, &writer, KMP_SPI);
	spi = (uint32_t)kmp_get_number(&message, KMP_ATTRIBUTE_SPI);
	assert_int_equal(add_sa(client, spi), KMP_OK);
	assert_int_equal(fake_sa.sa_count, 1);
	assert_int_equal(parameters->name.spi, spi);
	assert_true(ip_address_is_equal(&parameters->name.destination, &our_here));
	assert_true(ip_address_is_equal(&parameters->source, &our_there));
	assert_int_equal(parameters->cipher, SA_CIPHER_AES_GCM_16);
	assert_int_equal(parameters->integrity, SA_INTEGRITY_NONE);
	assert_true(parameters->has_esn);
	assert_false(parameters->has_encapsulation);
	assert_int_equal(parameters->lifetime.hard_s, 60);
	assert_int_equal(fake_sa.sas[0].cipher_key[2], 7);
	assert_int_equal(add_sa(client, spi), KMP_EXISTS);
}

static void an_answer_says_why_not(void **state)
{
	struct client *client = connected(0, "charon");
	struct kmp_sa sa = {.name = {.spi = 300, .destination = here},
		.source = there,
		.cipher = KMP_CIPHER_AES_GCM_16,
		.cipher_key = secret,
		.cipher_key_size = 7};
	struct kmp_writer writer;
	char text[KMP_TEXT_MAX + 1];

	begin(client, &writer, KMP_SA_ADD);
	kmp_put_sa(&writer, &sa);
	assert_int_equal(result(client, &writer), KMP_BAD_VALUE);
	kmp_get_text(&message, KMP_ATTRIBUTE_TEXT, text, sizeof(text));
	assert_string_equal(text, "the key has 7 bytes, and needs 20");
	sa.cipher = 3; /* 3DES */
	begin(client, &writer, KMP_SA_ADD);
	kmp_put_sa(&writer, &sa);
	assert_int_equal(result(client, &writer), KMP_NOT_SUPPORTED);
	assert_int_equal(fake_sa.changes, 0);
}

static void an_sa_is_moved_asked_for_and_deleted(void **state)
{
	struct client *client = connected(0, "charon");
	const struct kmp_sa_name name = {.spi = 300, .destination = here};
	const struct kmp_move move = {.name = name,
		.new_source = there,
		.new_destination = here,
		.has_encapsulation = true,
		.source_port = 40000,
		.destination_port = 4500};
	struct kmp_usage usage;
	struct kmp_writer writer;

	assert_int_equal(add_sa(client, 300), KMP_OK);
	begin(client, &writer, KMP_SA_UPDATE);
	kmp_put_move(&writer, &move);
	assert_int_equal(result(client, &writer), KMP_OK);
	assert_int_equal(fake_sa.sas[0].view.source_port, 40000);
	begin(client, &writer, KMP_SA_QUERY);
	kmp_put_name(&writer, &name);
	ask(client, &writer, KMP_USAGE);
	kmp_get_usage(&message, &usage);
	assert_int_equal(usage.bytes, 4711);
	assert_int_equal(usage.idle_s, 3);
	assert_int_equal(about_sa(client, KMP_SA_DELETE, 300), KMP_OK);
	assert_int_equal(about_sa(client, KMP_SA_DELETE, 300), KMP_NOT_FOUND);
	assert_int_equal(fake_sa.sa_count, 0);
}

static unsigned int change_policy(struct client *client, enum kmp_type type, uint32_t spi)
{
	const struct kmp_policy policy = {.direction = KMP_POLICY_OUTBOUND,
		.action = KMP_PROTECT,
		.selector = {.source_first = here,
			.source_last = here,
			.destination_first = there,
			.destination_last = there,
			.source_port_last = 65535,
			.destination_port_last = 65535},
		.priority = 100,
		.mode = KMP_TUNNEL,
		.request = 5,
		.spi = spi,
		.source = here,
		.destination = there};
	struct kmp_writer writer;

	begin(client, &writer, type);
	kmp_put_policy(&writer, &policy);
	return result(client, &writer);
}

static void policies_come_and_go(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(change_policy(client, KMP_POLICY_ADD, 300), KMP_OK);
	assert_int_equal(change_policy(client, KMP_POLICY_ADD, 301), KMP_OK);
	assert_int_equal(fake_sa.policies[1].spi, 301);
	assert_int_equal(fake_sa.policies[1].direction, POLICY_OUTBOUND);
	assert_true(ip_address_is_equal(&fake_sa.policies[1].destination, &our_there));
	assert_int_equal(change_policy(client, KMP_POLICY_DELETE, 300), KMP_OK);
	assert_int_equal(change_policy(client, KMP_POLICY_DELETE, 300), KMP_NOT_FOUND);
	assert_int_equal(fake_sa.policy_count, 1);
}

/* E12: what others have is not there for a session, and keys are for nobody. */
static void an_sa_belongs_to_who_brought_it(void **state)
{
	struct client *charon = connected(0, "charon"), *other = connected(1, "other");

	assert_int_equal(add_sa(charon, 300), KMP_OK);
	assert_int_equal(about_sa(other, KMP_SA_DELETE, 300), KMP_NOT_FOUND);
	assert_int_equal(about_sa(other, KMP_SA_QUERY, 300), KMP_NOT_FOUND);
	assert_int_equal(fake_sa.sa_count, 1);
	for (size_t i = 0; i < charon->count; i++)
		assert_null(memmem(charon->inbox[i].bytes, charon->inbox[i].size,
			fake_sa.sas[0].cipher_key, 20));
}

/* All pages: how many SAs, and how many pages. */
static size_t list(struct client *client, bool is_all, unsigned int *pages)
{
	static struct kmp_sa_entry entries[KMP_SAS_MAX];
	uint32_t after = 0;
	struct kmp_writer writer;
	size_t count, total = 0;

	*pages = 0;
	do {
		begin(client, &writer, KMP_LIST);
		kmp_put_number(&writer, KMP_ATTRIBUTE_IS_ALL, 1, is_all);
		kmp_put_number(&writer, KMP_ATTRIBUTE_AFTER, 4, after);
		ask(client, &writer, KMP_SAS);
		assert_int_equal(kmp_get_entries(&message, entries, &count), KMP_OK);
		after = (uint32_t)kmp_get_number(&message, KMP_ATTRIBUTE_NEXT);
		total += count;
		++*pages;
	} while (after != 0);
	return total;
}

static void lists_tell_what_there_is(void **state)
{
	struct client *charon = connected(0, "charon"), *other = connected(1, "other");
	unsigned int pages;

	for (uint32_t i = 0; i < 450; i++)
		assert_int_equal(add_sa(charon, 300 + i), KMP_OK);
	charon->count = charon->read = 0;
	assert_int_equal(list(charon, false, &pages), 450);
	assert_int_equal(pages, 3);
	assert_int_equal(list(other, false, &pages), 0);
	assert_int_equal(list(other, true, &pages), 450);
}

/* ---- bad input ---- */

static void what_is_malformed_changes_nothing_and_the_session_survives(void **state)
{
	struct client *client = connected(0, "charon");
	struct kmp_writer writer;
	unsigned int changes = fake_sa.changes;

	memset(out, 0xff, 100);
	send_bytes(client, 100);
	assert_true(next(client));
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_CODE), KMP_MALFORMED);
	assert_int_equal(message.acknowledgement, 0);
	send_bytes(client, 0);
	assert_true(next(client));
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_CODE), KMP_MALFORMED);
	begin(client, &writer, KMP_SA_ADD);
	assert_int_equal(result(client, &writer), KMP_MISSING_ATTRIBUTE);
	begin(client, &writer, KMP_WELCOME);
	assert_int_equal(result(client, &writer), KMP_MISSING_ATTRIBUTE);
	begin(client, &writer, KMP_SPI);
	kmp_put_number(&writer, KMP_ATTRIBUTE_SPI, 4, 300);
	assert_int_equal(result(client, &writer), KMP_UNKNOWN_TYPE); /* it is for us to send */
	begin(client, &writer, KMP_PING);
	writer.out[23] = 1; /* another target */
	assert_int_equal(result(client, &writer), KMP_NOT_FOUND);
	assert_int_equal(kmp_server_stats(server).malformed, 6);
	assert_int_equal(fake_sa.changes, changes);
	assert_int_equal(ping(client), KMP_OK);
}

static void a_sequence_is_used_once(void **state)
{
	struct client *client = connected(0, "charon");

	client->sequence -= 1;
	assert_int_equal(add_sa(client, 300), KMP_WRONG_SEQUENCE);
	client->sequence -= 2;
	assert_int_equal(add_sa(client, 300), KMP_WRONG_SEQUENCE);
	assert_int_equal(fake_sa.sa_count, 0);
	client->sequence += 100;
	assert_int_equal(ping(client), KMP_OK);
	client->sequence = client->sequence + INT32_MAX - 1; /* as serial numbers go */
	assert_int_equal(ping(client), KMP_OK);
	client->sequence = UINT32_MAX;
	assert_int_equal(ping(client), KMP_OK);
}

static void ike_is_refused_where_hosts_have_sockets(void **state)
{
	struct client *client = connected(0, "charon");
	struct kmp_writer writer;

	begin(client, &writer, KMP_IKE_SEND);
	kmp_put_address(&writer, KMP_ATTRIBUTE_SOURCE, &here);
	kmp_put_address(&writer, KMP_ATTRIBUTE_DESTINATION, &there);
	kmp_put_number(&writer, KMP_ATTRIBUTE_SOURCE_PORT, 2, 500);
	kmp_put_number(&writer, KMP_ATTRIBUTE_DESTINATION_PORT, 2, 500);
	kmp_put(&writer, KMP_ATTRIBUTE_PACKET, "ike", 3);
	assert_int_equal(result(client, &writer), KMP_NOT_SUPPORTED);
}

static void who_does_not_read_is_not_heard(void **state)
{
	struct client *client = connected(0, "charon");
	struct kmp_writer writer;

	client->room = 0;
	begin(client, &writer, KMP_PING);
	send_bytes(client, kmp_end(&writer));
	assert_false(kmp_session_takes_input(client->session));
	assert_true(kmp_session_wants_output(client->session));
	kmp_session_writable(client->session, now_ns); /* it was not */
	assert_false(kmp_session_takes_input(client->session));
	client->room = 1;
	kmp_session_writable(client->session, now_ns);
	assert_true(kmp_session_takes_input(client->session));
	assert_false(kmp_session_wants_output(client->session));
	assert_true(next(client));
	assert_int_equal(message.acknowledgement, client->sequence);
	assert_false(next(client));
}

/* ---- take-over and grace ---- */

static void a_new_session_takes_over_what_the_name_brought(void **state)
{
	struct client *old = connected(0, "charon"), *new = connect_as(1, 0);

	assert_int_equal(add_sa(old, 300), KMP_OK);
	log_in(new, "charon", true);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_RESUMES), 1);
	assert_true(old->is_ended);
	assert_false(kmp_session_takes_input(old->session));
	assert_int_equal(about_sa(new, KMP_SA_DELETE, 300), KMP_OK);
	disconnect(old);
	advance(10 * GRACE_MS);
	assert_int_equal(add_sa(new, 301), KMP_OK);
	assert_int_equal(fake_sa.sa_count, 1);
	assert_int_equal(kmp_server_stats(server).taken_over, 1);
}

/* A charon that was started again does not know of what it had; traffic goes on for the grace. */
static void what_a_client_left_behind_stays_for_the_grace(void **state)
{
	struct client *client = connected(0, "charon");
	unsigned int pages;

	assert_int_equal(add_sa(client, 300), KMP_OK);
	assert_int_equal(change_policy(client, KMP_POLICY_ADD, 300), KMP_OK);
	disconnect(client);
	client = connected(0, "charon");
	assert_int_equal(list(client, false, &pages), 0);
	assert_int_equal(add_sa(client, 301), KMP_OK);
	advance(GRACE_MS - 1);
	assert_int_equal(fake_sa.sa_count, 2);
	assert_int_equal(fake_sa.policy_count, 1);
	advance(1);
	assert_int_equal(fake_sa.sa_count, 1);
	assert_int_equal(fake_sa.policy_count, 0);
	assert_int_equal(fake_sa.sas[0].view.name.spi, 301);
}

static void a_lost_connection_leaves_all_for_the_grace(void **state)
{
	struct client *client = connected(0, "charon");

	assert_int_equal(add_sa(client, 300), KMP_OK);
	disconnect(client);
	advance(GRACE_MS - 1);
	assert_int_equal(fake_sa.sa_count, 1);
	client = connect_as(0, 0);
	log_in(client, "charon", true);
	advance(10 * GRACE_MS);
	assert_int_equal(fake_sa.sa_count, 1);
	disconnect(client);
	advance(GRACE_MS);
	assert_int_equal(fake_sa.sa_count, 0);
	client = connect_as(0, 0);
	log_in(client, "charon", true);
	assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_RESUMES), 0);
	assert_int_equal(kmp_server_stats(server).expired, 1);
}

static void bye_takes_all_back(void **state)
{
	struct client *client = connected(0, "charon"), *other = connected(1, "other");
	struct kmp_writer writer;

	assert_int_equal(add_sa(client, 300), KMP_OK);
	assert_int_equal(add_sa(other, 301), KMP_OK);
	assert_int_equal(change_policy(client, KMP_POLICY_ADD, 300), KMP_OK);
	begin(client, &writer, KMP_BYE);
	assert_int_equal(result(client, &writer), KMP_OK);
	assert_true(client->is_ended);
	assert_int_equal(fake_sa.sa_count, 1);
	assert_int_equal(fake_sa.policy_count, 0);
}

/* SAs that outlive the packet role are their owner's again, or end with the grace. */
static void what_was_there_before_the_server_finds_its_owner(void **state)
{
	const struct kmp_settings settings = {
		.secret = secret, .secret_size = sizeof(secret), .grace_ms = GRACE_MS};
	struct client *charon = connected(0, "charon"), *other = connected(1, "other");
	unsigned int pages;

	assert_int_equal(add_sa(charon, 300), KMP_OK);
	assert_int_equal(add_sa(other, 301), KMP_OK);
	disconnect(charon);
	disconnect(other);
	kmp_server_destroy(server, false);
	assert_int_equal(kmp_server_create(&settings, now_ns, &server), 0);
	charon = connect_as(0, 0);
	log_in(charon, "charon", true);
	assert_int_equal(list(charon, false, &pages), 1);
	advance(GRACE_MS);
	assert_int_equal(fake_sa.sa_count, 1);
	assert_int_equal(about_sa(charon, KMP_SA_DELETE, 300), KMP_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_ends_prove_that_they_have_the_secret),
		TEST(a_stranger_gets_nothing),
		TEST(a_wrong_proof_ends_the_session),
		TEST(a_proof_is_good_for_its_challenge_only),
		TEST(who_fails_too_often_is_refused_for_a_while),
		TEST(names_are_plain),
		TEST(strangers_do_not_fill_the_house),
		TEST(an_sa_is_added_with_all_that_was_said),
		TEST(an_answer_says_why_not),
		TEST(an_sa_is_moved_asked_for_and_deleted),
		TEST(policies_come_and_go),
		TEST(an_sa_belongs_to_who_brought_it),
		TEST(lists_tell_what_there_is),
		TEST(what_is_malformed_changes_nothing_and_the_session_survives),
		TEST(a_sequence_is_used_once),
		TEST(ike_is_refused_where_hosts_have_sockets),
		TEST(who_does_not_read_is_not_heard),
		TEST(a_new_session_takes_over_what_the_name_brought),
		TEST(what_a_client_left_behind_stays_for_the_grace),
		TEST(a_lost_connection_leaves_all_for_the_grace),
		TEST(bye_takes_all_back),
		TEST(what_was_there_before_the_server_finds_its_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
