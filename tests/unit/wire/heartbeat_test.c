/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/heartbeat.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct ip_address target = {4, {198, 51, 100, 2}};
static const struct ip_address distributor = {4, {198, 51, 100, 1}};
static const uint8_t secret[SIPHASH_KEY_SIZE] = {1, 2, 3};
static uint8_t body[HEARTBEAT_SIZE_MAX];
static size_t body_size;
static struct heartbeat opened;

static const struct heartbeat report = {
	.kind = HEARTBEAT_REPORT,
	.session = 0x0123456789abcdef,
	.sequence = 7,
	.challenge = 0xfedcba9876543210,
	.load = 40000,
	.service_count = 2,
	.services =
		{
			{{4, {192, 0, 2, 80}}, IPPROTO_TCP, 443, true},
			{{6, {0x20, 0x01, 0x0d, 0xb8, [15] = 80}}, IPPROTO_SCTP, 9, false},
		},
};

static void seal(const struct heartbeat *message)
{
	body_size = heartbeat_seal(body, message, secret, &target, &distributor);
}

static enum heartbeat_fault try_open(void)
{
	return heartbeat_open(body, body_size, secret, &target, &distributor, &opened);
}

/* Authentic again, after a change. */
static void seal_again(void)
{
	struct siphash_state state;

	siphash_start(&state, secret);
	siphash_add(&state, "bulkhead heartbeat", sizeof("bulkhead heartbeat"));
	siphash_add(&state, &target, sizeof(target));
	siphash_add(&state, &distributor, sizeof(distributor));
	siphash_add(&state, body, body_size - SIPHASH_MAC_SIZE);
	siphash_end(&state, body + body_size - SIPHASH_MAC_SIZE);
}

/* D14 */
static void reads_what_it_writes(void **state)
{
	(void)state;
	seal(&report);
	assert_int_equal(body_size, HEARTBEAT_HEAD_SIZE + 2 * HEARTBEAT_SERVICE_SIZE + 16);
	assert_int_equal(try_open(), HEARTBEAT_FINE);
	assert_int_equal(opened.session, report.session);
	assert_int_equal(opened.sequence, 7);
	assert_int_equal(opened.challenge, report.challenge);
	assert_int_equal(opened.load, 40000);
	assert_int_equal(opened.service_count, 2);
	for (int i = 0; i < 2; i++) {
		assert_true(
			ip_address_is_equal(&opened.services[i].vipa, &report.services[i].vipa));
		assert_int_equal(opened.services[i].protocol, report.services[i].protocol);
		assert_int_equal(opened.services[i].port, report.services[i].port);
		assert_int_equal(opened.services[i].is_ready, report.services[i].is_ready);
	}
}

/* D13, D14 */
static void an_answer_carries_the_mtu(void **state)
{
	const struct heartbeat answer = {
		.kind = HEARTBEAT_ANSWER, .session = 1, .sequence = 2, .mtu_bytes = 1400};

	(void)state;
	seal(&answer);
	assert_int_equal(try_open(), HEARTBEAT_FINE);
	assert_int_equal(opened.kind, HEARTBEAT_ANSWER);
	assert_int_equal(opened.mtu_bytes, 1400);
}

/* D14 */
static void takes_as_many_services_as_it_says(void **state)
{
	struct heartbeat many = {.kind = HEARTBEAT_REPORT, .service_count = HEARTBEAT_SERVICES_MAX};

	(void)state;
	for (int i = 0; i < HEARTBEAT_SERVICES_MAX; i++)
		many.services[i] = report.services[1];
	seal(&many);
	assert_int_equal(body_size, HEARTBEAT_SIZE_MAX);
	assert_int_equal(try_open(), HEARTBEAT_FINE);
	assert_int_equal(opened.services[HEARTBEAT_SERVICES_MAX - 1].port, 9);
	body[2]++;
	assert_int_equal(try_open(), HEARTBEAT_MALFORMED);
}

/* D14: authenticated, each bit of it, and both ends. */
static void any_bit_changed_is_refused(void **state)
{
	(void)state;
	seal(&report);
	for (size_t bit = 0; bit < body_size * 8; bit++) {
		body[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(try_open(), HEARTBEAT_FINE);
		body[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(try_open(), HEARTBEAT_FINE);
}

static void another_sender_or_secret_is_refused(void **state)
{
	static const uint8_t other[SIPHASH_KEY_SIZE] = {1};

	(void)state;
	seal(&report);
	assert_int_equal(heartbeat_open(body, body_size, secret, &distributor, &target, &opened),
		HEARTBEAT_FORGED);
	assert_int_equal(heartbeat_open(body, body_size, other, &target, &distributor, &opened),
		HEARTBEAT_FORGED);
}

static void another_size_is_refused(void **state)
{
	size_t whole;

	(void)state;
	seal(&report);
	whole = body_size;
	for (body_size = 0; body_size < whole; body_size++)
		assert_int_equal(try_open(), HEARTBEAT_SHORT);
	body_size = whole + 1;
	assert_int_equal(try_open(), HEARTBEAT_SHORT);
}

/* What has the right code may still be from a peer with defects. */
static void authentic_nonsense_is_refused(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} cases[] = {{1, 0}, {1, HEARTBEAT_KIND_COUNT}, {1, HEARTBEAT_ANSWER}, {3, 1}, {32, 5},
		{33, IPPROTO_ICMP}, {34, 2}, {35, 1}, {38, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		seal(&report);
		body[cases[i].offset] = cases[i].value;
		seal_again();
		opened.load = 1;
		assert_int_equal(try_open(), HEARTBEAT_MALFORMED);
		assert_int_equal(opened.load, 1); /* untouched */
	}
	seal(&report);
	body[0] = 2;
	seal_again();
	assert_int_equal(try_open(), HEARTBEAT_OTHER_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes),
		cmocka_unit_test(an_answer_carries_the_mtu),
		cmocka_unit_test(takes_as_many_services_as_it_says),
		cmocka_unit_test(any_bit_changed_is_refused),
		cmocka_unit_test(another_sender_or_secret_is_refused),
		cmocka_unit_test(another_size_is_refused),
		cmocka_unit_test(authentic_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
