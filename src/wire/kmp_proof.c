/* SPDX-License-Identifier: BSD-3-Clause */
/* The secret that both ends of KMP have, and how they prove it. */
#include "bulkhead/kmp.h"

#include "base/hex.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define LABEL_SIZE 22 /* of both, with the terminating zero */

bool kmp_name_is_valid(const char *name)
{
	size_t size = strlen(name);

	if (size == 0 || size > KMP_NAME_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = name[i];
		bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where the next word is, past blanks and comments; end when there is none. */
static const char *next_word(const char *at, const char *end)
{
	while (at < end && (is_blank(*at) || *at == '#')) {
		if (*at != '#') {
			at++;
			continue;
		}
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at)
			return end;
	}
	return at;
}

int kmp_secret_parse(
	const char *text, size_t size, uint8_t out[KMP_SECRET_MAX], size_t *secret_size)
{
	const char *end = text + size, *at = next_word(text, end);
	size_t count = 0;

	while (at < end && !is_blank(*at) && *at != '#') {
		int high = hex_value(at[0]), low = end - at >= 2 ? hex_value(at[1]) : -1;

		if (high < 0 || low < 0 || count == KMP_SECRET_MAX)
			goto refuse;
		out[count++] = (uint8_t)(high << 4 | low);
		at += 2;
	}
	if (count < KMP_SECRET_MIN || next_word(at, end) != end)
		goto refuse;
	*secret_size = count;
	return 0;

refuse:
	explicit_bzero(out, KMP_SECRET_MAX);
	return -EINVAL;
}

int kmp_proof(const uint8_t *secret, size_t secret_size, enum kmp_prover prover,
	const uint8_t client_nonce[KMP_NONCE_SIZE], const uint8_t server_nonce[KMP_NONCE_SIZE],
	const char *name, uint8_t out[KMP_PROOF_SIZE])
{
	static const char labels[2][LABEL_SIZE] = {
		[KMP_PROVER_CLIENT] = "bulkhead KMP 1 client",
		[KMP_PROVER_SERVER] = "bulkhead KMP 1 server",
	};
	uint8_t text[LABEL_SIZE + 2 * KMP_NONCE_SIZE + KMP_NAME_MAX], *at = text;
	size_t name_size = strnlen(name, KMP_NAME_MAX);
	unsigned int size = KMP_PROOF_SIZE;

	memcpy(at, labels[prover], LABEL_SIZE);
	at += LABEL_SIZE;
	memcpy(at, client_nonce, KMP_NONCE_SIZE);
	at += KMP_NONCE_SIZE;
	memcpy(at, server_nonce, KMP_NONCE_SIZE);
	at += KMP_NONCE_SIZE;
	memcpy(at, name, name_size);
	at += name_size;
	return HMAC(EVP_sha256(), secret, (int)secret_size, text, (size_t)(at - text), out, &size)
		? 0
		: -EIO;
}
