/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012) over 64-bit words:
 * what an outsider must not be able to guess or to make collide. Pure; any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t words[2];
};

static inline uint64_t siphash_rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[2] = siphash_rotate(v[2], 32);
}

/* Of count words, in the host's byte order (it never leaves the host). */
static inline uint64_t siphash_words(
	const struct siphash_key *key, const uint64_t *words, size_t count)
{
	uint64_t v[4] = {key->words[0] ^ 0x736f6d6570736575ULL,
		key->words[1] ^ 0x646f72616e646f6dULL, key->words[0] ^ 0x6c7967656e657261ULL,
		key->words[1] ^ 0x7465646279746573ULL};
	uint64_t last = (uint64_t)(count * 8) << 56;

	for (size_t i = 0; i < count; i++) {
		v[3] ^= words[i];
		siphash_round(v);
		siphash_round(v);
		v[0] ^= words[i];
	}
	v[3] ^= last;
	siphash_round(v);
	siphash_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t siphash_2(const struct siphash_key *key, uint64_t a, uint64_t b)
{
	const uint64_t words[2] = {a, b};

	return siphash_words(key, words, 2);
}
