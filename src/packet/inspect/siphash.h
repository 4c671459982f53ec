/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) over 64-bit words:
 * what an outsider must not be able to guess or to make collide. Pure; any thread. */
#pragma once

#include "base/siphash.h"

struct siphash_key {
	uint64_t words[2];
};

/* Of count words, in the host's byte order (it never leaves the host). */
static inline uint64_t siphash_words(
	const struct siphash_key *key, const uint64_t *words, size_t count)
{
	uint64_t v[4];

	siphash_set(v, key->words);
	for (size_t i = 0; i < count; i++)
		siphash_compress(v, words[i]);
	siphash_compress(v, (uint64_t)(count * 8) << 56);
	v[2] ^= 0xff;
	siphash_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t siphash_2(const struct siphash_key *key, uint64_t a, uint64_t b)
{
	const uint64_t words[2] = {a, b};

	return siphash_words(key, words, 2);
}
