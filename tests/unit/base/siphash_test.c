/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/secret.h"
#include "base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Of the message 00 01 02 … under the key 00 01 … 0f: the first two are of the reference code
 * (vectors.h), the others of `openssl mac SIPHASH`. */
static const struct {
	size_t size;
	uint8_t mac[SIPHASH_MAC_SIZE];
} vectors[] = {
	{0,
		{0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55,
			0x02, 0x93}},
	{1,
		{0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22,
			0xfc, 0x45}},
	{7,
		{0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0,
			0x82, 0x39}},
	{8,
		{0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14,
			0x97, 0xb4}},
	{9,
		{0x26, 0x44, 0x99, 0x06, 0x0a, 0xd9, 0xba, 0xab, 0xc4, 0x7f, 0x8b, 0x02, 0xbb, 0x6d,
			0x71, 0xed}},
	{63,
		{0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f,
			0xbd, 0x7c}},
};

static void sum(const uint8_t *message, size_t size, size_t piece, uint8_t *mac)
{
	uint8_t key[SIPHASH_KEY_SIZE];
	struct siphash_state state;

	for (uint8_t i = 0; i < sizeof(key); i++)
		key[i] = i;
	siphash_start(&state, key);
	for (size_t at = 0; at < size; at += piece)
		siphash_add(&state, message + at, size - at < piece ? size - at : piece);
	siphash_end(&state, mac);
}

static void gives_the_published_sums_in_whatever_pieces(void **state)
{
	uint8_t message[64], mac[SIPHASH_MAC_SIZE];

	(void)state;
	for (uint8_t i = 0; i < sizeof(message); i++)
		message[i] = i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		for (size_t piece = 1; piece <= 64; piece++) {
			sum(message, vectors[i].size, piece, mac);
			assert_memory_equal(mac, vectors[i].mac, sizeof(mac));
		}
	}
}

static void secrets_begin_empty_and_compare_by_all_their_bytes(void **state)
{
	struct secret *secret = secret_create(64);
	uint8_t zeros[64] = {0};

	(void)state;
	assert_non_null(secret);
	assert_true(secret_is_equal(secret_bytes(secret), zeros, sizeof(zeros)));
	for (size_t i = 0; i < sizeof(zeros); i++) {
		zeros[i] = 0x80;
		assert_false(secret_is_equal(secret_bytes(secret), zeros, sizeof(zeros)));
		zeros[i] = 0;
	}
	secret_destroy(secret);
	secret_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_published_sums_in_whatever_pieces),
		cmocka_unit_test(secrets_begin_empty_and_compare_by_all_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
