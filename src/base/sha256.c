/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: of the cube roots of the first 64 primes. */
static const uint32_t constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate(uint32_t word, unsigned int bits)
{
	return word >> bits | word << (32 - bits);
}

/* 6.2.2, steps 1 to 4. */
static void add_block(struct sha256 *hash, const uint8_t *block)
{
	uint32_t words[64], state[8];

	for (int i = 0; i < 16; i++)
		words[i] = (uint32_t)block[i * 4] << 24 | (uint32_t)block[i * 4 + 1] << 16
			| (uint32_t)block[i * 4 + 2] << 8 | block[i * 4 + 3];
	for (int i = 16; i < 64; i++)
		words[i] = words[i - 16] + words[i - 7]
			+ (rotate(words[i - 15], 7) ^ rotate(words[i - 15], 18)
				^ words[i - 15] >> 3)
			+ (rotate(words[i - 2], 17) ^ rotate(words[i - 2], 19)
				^ words[i - 2] >> 10);
	memcpy(state, hash->state, sizeof(state));
	for (int i = 0; i < 64; i++) {
		uint32_t first = state[7]
			+ (rotate(state[4], 6) ^ rotate(state[4], 11) ^ rotate(state[4], 25))
			+ ((state[4] & state[5]) ^ (~state[4] & state[6])) + constants[i]
			+ words[i];
		uint32_t second =
			(rotate(state[0], 2) ^ rotate(state[0], 13) ^ rotate(state[0], 22))
			+ ((state[0] & state[1]) ^ (state[0] & state[2]) ^ (state[1] & state[2]));

		memmove(state + 1, state, 7 * sizeof(state[0]));
		state[4] += first;
		state[0] = first + second;
	}
	for (int i = 0; i < 8; i++)
		hash->state[i] += state[i];
}

void sha256_begin(struct sha256 *hash)
{
	/* 5.3.3 */
	*hash = (struct sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(struct sha256 *hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size > 0) {
		size_t used = hash->size % SHA256_BLOCK, part = SHA256_BLOCK - used;

		part = part < size ? part : size;
		memcpy(hash->block + used, at, part);
		hash->size += part;
		at += part;
		size -= part;
		if (used + part == SHA256_BLOCK)
			add_block(hash, hash->block);
	}
}

void sha256_end(struct sha256 *hash, uint8_t out[SHA256_SIZE])
{
	static const uint8_t padding[SHA256_BLOCK] = {0x80};
	uint64_t bits = hash->size * 8;
	size_t used = hash->size % SHA256_BLOCK;
	uint8_t length[8];

	sha256_add(hash, padding, (used < 56 ? 56 : 56 + SHA256_BLOCK) - used);
	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha256_add(hash, length, sizeof(length));
	for (int i = 0; i < SHA256_SIZE; i++)
		out[i] = (uint8_t)(hash->state[i / 4] >> (24 - i % 4 * 8));
}
