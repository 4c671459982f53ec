/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-2-4 with 128 bits of result (Aumasson, Bernstein: "SipHash: a fast short-input PRF",
 * 2012, and the authors' reference code), over bytes that come in pieces: a code of authentication
 * for packets. Bytes are read in little-endian order, so both ends of a link agree. Pure; any
 * thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The function's parts, for those who hash in another way (packet/inspect/siphash.h). */
static inline uint64_t siphash_rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void siphash_rounds(uint64_t v[4], int count)
{
	for (int i = 0; i < count; i++) {
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
}

static inline void siphash_compress(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	siphash_rounds(v, 2);
	v[0] ^= word;
}

/* v from a key. */
static inline void siphash_set(uint64_t v[4], const uint64_t key[2])
{
	v[0] = key[0] ^ 0x736f6d6570736575ULL;
	v[1] = key[1] ^ 0x646f72616e646f6dULL;
	v[2] = key[0] ^ 0x6c7967656e657261ULL;
	v[3] = key[1] ^ 0x7465646279746573ULL;
}

#define SIPHASH_KEY_SIZE 16
#define SIPHASH_MAC_SIZE 16

struct siphash_state {
	uint64_t v[4];
	uint64_t tail; /* bytes that do not make a word yet */
	uint64_t size; /* of all */
};

void siphash_start(struct siphash_state *state, const uint8_t key[SIPHASH_KEY_SIZE]);
void siphash_add(struct siphash_state *state, const void *data, size_t size);
void siphash_end(struct siphash_state *state, uint8_t mac[SIPHASH_MAC_SIZE]);
