/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/siphash.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are loaded as they are");

static inline uint64_t rotate(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void rounds(uint64_t v[4], int count)
{
	for (int i = 0; i < count; i++) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static inline void compress(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

void siphash_start(struct siphash_state *state, const uint8_t key[SIPHASH_KEY_SIZE])
{
	uint64_t words[2];

	memcpy(words, key, sizeof(words));
	*state = (struct siphash_state){
		.v = {words[0] ^ 0x736f6d6570736575ULL, words[1] ^ 0x646f72616e646f6dULL ^ 0xee,
			words[0] ^ 0x6c7967656e657261ULL, words[1] ^ 0x7465646279746573ULL}};
	explicit_bzero(words, sizeof(words));
}

void siphash_add(struct siphash_state *state, const void *data, size_t size)
{
	uint64_t v[4] = {state->v[0], state->v[1], state->v[2], state->v[3]}, word;
	const uint8_t *at = data;

	/* Bytes up to the next word, one by one: pieces are few and mostly whole words. */
	for (; size > 0 && state->size % 8 != 0; size--, at++, state->size++) {
		state->tail |= (uint64_t)*at << state->size % 8 * 8;
		if (state->size % 8 == 7) {
			compress(v, state->tail);
			state->tail = 0;
		}
	}
	for (; size >= 8; size -= 8, at += 8, state->size += 8) {
		memcpy(&word, at, sizeof(word));
		compress(v, word);
	}
	for (; size > 0; size--, at++, state->size++)
		state->tail |= (uint64_t)*at << state->size % 8 * 8;
	memcpy(state->v, v, sizeof(v));
}

void siphash_end(struct siphash_state *state, uint8_t mac[SIPHASH_MAC_SIZE])
{
	uint64_t *v = state->v, word;

	compress(v, state->tail | state->size << 56);
	v[2] ^= 0xee;
	rounds(v, 4);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(mac, &word, sizeof(word));
	v[1] ^= 0xdd;
	rounds(v, 4);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(mac + 8, &word, sizeof(word));
	explicit_bzero(state, sizeof(*state));
}
