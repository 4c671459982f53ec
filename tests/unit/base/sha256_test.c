/* SPDX-License-Identifier: BSD-3-Clause */
/* The examples of FIPS 180-4 (NIST, "Examples with Intermediate Values"). */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(const char *text, size_t times, size_t piece, const char *expected)
{
	struct sha256 hash;
	uint8_t digest[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	sha256_begin(&hash);
	for (size_t i = 0; i < times; i++)
		for (size_t at = 0; at < strlen(text); at += piece) {
			size_t left = strlen(text) - at;

			sha256_add(&hash, text + at, left < piece ? left : piece);
		}
	sha256_end(&hash, digest);
	for (size_t i = 0; i < SHA256_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	assert_string_equal(hex, expected);
}

static void gives_the_digests_of_the_standard(void **state)
{
	check("", 1, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	check("abc", 1, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, 64,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	check("aaaaaaaaaa", 100000, 7,
		"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(gives_the_digests_of_the_standard)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
