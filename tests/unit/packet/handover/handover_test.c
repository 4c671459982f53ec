/* SPDX-License-Identifier: BSD-3-Clause */
/* What is taken in a hand-over, and what is taken back (D15, D16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "handover_lab.h"

#define OWNER 0x80001234u

static struct handover_message message;
static struct error error;

static const uint8_t key[20] = {1, 2, 3};

static struct sa_parameters parameters_of(uint32_t spi, enum sa_direction direction)
{
	return (struct sa_parameters){
		.name = {.spi = spi, .destination = lab_address(direction ? CLIENT : VIPA)},
		.source = lab_address(direction ? VIPA : CLIENT),
		.direction = (uint8_t)direction,
		.mode = SA_TUNNEL,
		.cipher = SA_CIPHER_AES_GCM_16,
		.cipher_key = key,
		.cipher_key_size = sizeof(key),
		.replay_window = direction ? 0 : 128,
		.request = 1,
		.owner = OWNER};
}

/* As the giver would say it of an SA with that past. */
static enum kmp_code hear_sa(struct handover_taking *taking, const struct sa_parameters *parameters,
	uint64_t sequence, uint64_t highest)
{
	const struct sa giver = {.direction = parameters->direction,
		.sequence_max = sequence,
		.window = {.highest = highest},
		.iv_base = 77,
		.counters = {.packets = 5, .bytes = 500}};
	struct kmp_writer *writer = handover_say(&message, KMP_HANDOVER_SA);

	assert_true(kmp_terms_put_sa(writer, parameters));
	kmp_put_number(writer, KMP_ATTRIBUTE_OWNER, 4, parameters->owner);
	handover_put_past(writer, &giver);
	return handover_hear(taking, &message, &error);
}

static enum kmp_code hear_policy(struct handover_taking *taking, uint32_t owner)
{
	struct policy_parameters policy = {.direction = POLICY_OUTBOUND,
		.action = POLICY_PROTECT,
		.mode = SA_TUNNEL,
		.request = 1,
		.owner = owner,
		.selector = {.source_first = lab_address(VIPA),
			.source_last = lab_address(VIPA),
			.destination_first = lab_address(CLIENT),
			.destination_last = lab_address(CLIENT),
			.source_port_last = UINT16_MAX,
			.destination_port_last = UINT16_MAX}};
	struct kmp_writer *writer = handover_say(&message, KMP_HANDOVER_POLICY);

	kmp_terms_put_policy(writer, &policy);
	kmp_put_number(writer, KMP_ATTRIBUTE_OWNER, 4, owner);
	return handover_hear(taking, &message, &error);
}

static enum kmp_code hear_connection(struct handover_taking *taking, uint16_t vipa, uint16_t target)
{
	struct connection connection = {.state = CONNECTION_ESTABLISHED,
		.flags = CONNECTION_IS_USED | CONNECTION_IS_SECURE,
		.acknowledged = 4711,
		.packets = 3,
		.key = {.client_port = 4000, .port = 80, .protocol = IPPROTO_TCP}};
	uint8_t row[KMP_CONNECTION_SIZE];
	struct ip_address client = lab_address(CLIENT);

	memcpy(connection.key.client, client.bytes, 16);
	handover_write_connection(row, &connection, vipa, target);
	kmp_put(handover_say(&message, KMP_HANDOVER_CONNECTIONS), KMP_ATTRIBUTE_CONNECTIONS, row,
		sizeof(row));
	return handover_hear(taking, &message, &error);
}

static uint32_t connection_count(void)
{
	return distributor_workers[0]->connections->count;
}

static void numbers_go_on_behind_what_was_promised(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct sa_parameters out = parameters_of(0x1000, SA_OUTBOUND);
	struct sa_parameters in = parameters_of(0x2000, SA_INBOUND);
	const struct sa *sa;

	assert_non_null(taking);
	assert_int_equal(hear_sa(taking, &out, 1000000, 0), KMP_OK);
	assert_int_equal(hear_sa(taking, &in, 0, 4000), KMP_OK);
	sa = sa_find(&out.name);
	assert_int_equal(sa->sequence, 1000000);
	assert_int_equal(sa->sequence_max, 1000000); /* none, until a state with it is kept */
	assert_int_equal(sa->iv_base, 77);
	assert_int_equal(sa->owner, OWNER);
	assert_memory_equal(sa->key, key, sizeof(key));
	sa = sa_find(&in.name);
	assert_false(replay_is_new(&sa->window, 3999));
	assert_false(replay_is_new(&sa->window, 4000));
	assert_true(replay_is_new(&sa->window, 4001));
	handover_undo(taking);
	handover_taking_destroy(taking);
}

static void all_that_came_is_taken_back_and_nothing_else(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct sa_parameters own = parameters_of(0x3000, SA_INBOUND);
	struct sa_parameters theirs = parameters_of(0x3001, SA_OUTBOUND);

	own.owner = OWNER + 2;
	assert_int_equal(sa_add(&own, &error), 0);
	assert_int_equal(hear_sa(taking, &theirs, 10, 0), KMP_OK);
	assert_int_equal(hear_policy(taking, OWNER), KMP_OK);
	assert_int_equal(hear_connection(taking, 0, 0), KMP_OK);
	assert_int_equal(sa_table_count(), 2);
	assert_int_equal(policy_count(), 1);
	assert_int_equal(connection_count(), 1);
	handover_undo(taking);
	handover_taking_destroy(taking);
	assert_int_equal(sa_table_count(), 1);
	assert_int_equal(policy_count(), 0);
	assert_int_equal(connection_count(), 0);
	assert_non_null(sa_find(&own.name));
	sa_flush_owner(own.owner);
}

static void connection_keeps_its_target_and_state(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct connection_key sought = {.client_port = 4000, .port = 80, .protocol = IPPROTO_TCP};
	struct ip_address client = lab_address(CLIENT), vipa = lab_address(VIPA);
	const struct connection *found;

	memcpy(sought.client, client.bytes, 16);
	sought.vipa = vipa_find(vipa_table, 10, &vipa);
	sought.vipa_generation = vipa_table->vipas[sought.vipa].generation;
	assert_int_equal(hear_connection(taking, 0, 0), KMP_OK);
	found = connection_find(distributor_workers[0]->connections, &sought);
	assert_non_null(found);
	assert_string_equal(vipa_table->targets[found->target].name, "t1");
	assert_int_equal(found->state, CONNECTION_ESTABLISHED);
	assert_int_equal(found->flags, CONNECTION_IS_USED | CONNECTION_IS_SECURE);
	assert_int_equal(found->acknowledged, 4711);
	assert_int_equal(hear_connection(taking, 0, 0), KMP_EXISTS);
	assert_int_equal(hear_connection(taking, 1, 0), KMP_BAD_VALUE);
	assert_int_equal(hear_connection(taking, 0, 1), KMP_BAD_VALUE);
	handover_undo(taking);
	handover_taking_destroy(taking);
}

static void refuses_what_it_does_not_have_itself(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct sa_parameters statics = parameters_of(0x4000, SA_OUTBOUND);

	handover_say_vipa(&message, "web", CLIENT);
	assert_int_equal(handover_hear(taking, &message, &error), KMP_NOT_FOUND);
	assert_non_null(strstr(error.text, "no VIPA web"));
	handover_say_target(&message, "t1", CLIENT);
	assert_int_equal(handover_hear(taking, &message, &error), KMP_NOT_FOUND);
	statics.owner = SA_OWNER_CONFIGURATION;
	assert_int_equal(hear_sa(taking, &statics, 1, 0), KMP_NOT_FOUND);
	assert_non_null(strstr(error.text, "ipsec.sas"));
	assert_int_equal(hear_policy(taking, SA_OWNER_CONFIGURATION), KMP_BAD_VALUE);
	handover_undo(taking);
	handover_taking_destroy(taking);
}

static void refuses_static_association_with_another_key(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct sa_parameters own = parameters_of(0x5000, SA_OUTBOUND), theirs = own;
	uint8_t other[sizeof(key)] = {9};

	own.owner = theirs.owner = SA_OWNER_CONFIGURATION;
	theirs.cipher_key = other;
	assert_int_equal(sa_add(&own, &error), 0);
	assert_int_equal(hear_sa(taking, &theirs, 1, 0), KMP_NOT_FOUND);
	assert_int_equal(sa_find(&own.name)->sequence, 0);
	assert_int_equal(hear_sa(taking, &own, 99, 0), KMP_OK);
	assert_int_equal(sa_find(&own.name)->sequence, 99);
	handover_undo(taking);
	handover_taking_destroy(taking);
	assert_int_equal(
		sa_table_count(), 0); /* the configuration, which has none here, adds its own */
}

static void refuses_a_number_that_cannot_be(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct sa_parameters out = parameters_of(0x6000, SA_OUTBOUND);

	assert_int_equal(hear_sa(taking, &out, 1ULL << 32, 0), KMP_BAD_VALUE);
	out.has_esn = true;
	assert_int_equal(hear_sa(taking, &out, 1ULL << 32, 0), KMP_OK);
	handover_undo(taking);
	handover_taking_destroy(taking);
}

static void needs_standby_and_the_same_format(void **state)
{
	struct handover_taking *taking = handover_taking_create();

	assert_int_equal(hear_connection(taking, 0, 0), KMP_WRONG_STATE);
	kmp_put_number(handover_say(&message, KMP_HANDOVER_BEGIN), KMP_ATTRIBUTE_FORMAT, 4,
		HANDOVER_FORMAT + 1);
	assert_int_equal(handover_hear(taking, &message, &error), KMP_WRONG_VERSION);
	standby_set(STANDBY_OFF);
	handover_say_begin(&message);
	assert_int_equal(handover_hear(taking, &message, &error), KMP_EXISTS);
	assert_false(handover_can_commit(taking));
	standby_set(STANDBY_ON);
	assert_int_equal(handover_hear(taking, &message, &error), KMP_OK);
	assert_true(handover_can_commit(taking));
	standby_set(STANDBY_OFF); /* a configuration came */
	assert_false(handover_can_commit(taking));
	assert_int_equal(hear_policy(taking, OWNER), KMP_WRONG_STATE);
	standby_set(STANDBY_ON);
	handover_taking_destroy(taking);
}

static void commit_ends_the_silence(void **state)
{
	struct handover_taking *taking = handover_begin();
	struct lab_frame frame;

	assert_int_equal(hear_connection(taking, 0, 0), KMP_OK);
	lab_make_tcp(&frame, true, CLIENT, VIPA, 4000, 80, 0x10, 1);
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("xcf0"), 0);
	handover_commit(taking);
	handover_taking_destroy(taking);
	assert_false(standby_is_silent());
	assert_int_equal(connection_count(), 1);
	distributor_forget_connections();
	standby_set(STANDBY_ON);
}

/* What is configured says how a daemon begins; another value than before is followed. */
static void configuration_is_followed_when_it_changes(void **state)
{
	struct standby_kept kept;

	standby_configure(true);
	assert_int_equal(standby_state, STANDBY_ON);
	standby_set(STANDBY_OFF); /* by a hand-over */
	standby_configure(true);
	assert_int_equal(standby_state, STANDBY_OFF);
	kept = standby_keep();
	assert_true(kept.is_known && kept.is_configured && !kept.is_on);
	standby_configure(false);
	assert_int_equal(standby_state, STANDBY_OFF);
	standby_configure(true);
	assert_int_equal(standby_state, STANDBY_ON);
	standby_restore(&kept); /* the next life of the one that got the addresses */
	standby_configure(true);
	assert_int_equal(standby_state, STANDBY_OFF);
	standby_set(STANDBY_ON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_on_behind_what_was_promised),
		cmocka_unit_test(all_that_came_is_taken_back_and_nothing_else),
		cmocka_unit_test(connection_keeps_its_target_and_state),
		cmocka_unit_test(refuses_what_it_does_not_have_itself),
		cmocka_unit_test(refuses_static_association_with_another_key),
		cmocka_unit_test(refuses_a_number_that_cannot_be),
		cmocka_unit_test(needs_standby_and_the_same_format),
		cmocka_unit_test(commit_ends_the_silence),
		cmocka_unit_test(configuration_is_followed_when_it_changes),
	};

	return cmocka_run_group_tests(tests, handover_lab_open, handover_lab_close);
}
