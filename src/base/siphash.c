/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/siphash.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are loaded as they are");

void siphash_start(struct siphash_state *state, const uint8_t key[SIPHASH_KEY_SIZE])
{
	uint64_t words[2];

	memcpy(words, key, sizeof(words));
	*state = (struct siphash_state){0};
	siphash_set(state->v, words);
	state->v[1] ^= 0xee;
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
			siphash_compress(v, state->tail);
			state->tail = 0;
		}
	}
	for (; size >= 8; size -= 8, at += 8, state->size += 8) {
		memcpy(&word, at, sizeof(word));
		siphash_compress(v, word);
	}
	for (; size > 0; size--, at++, state->size++)
		state->tail |= (uint64_t)*at << state->size % 8 * 8;
	memcpy(state->v, v, sizeof(v));
}

void siphash_end(struct siphash_state *state, uint8_t mac[SIPHASH_MAC_SIZE])
{
	uint64_t *v = state->v, word;

	siphash_compress(v, state->tail | state->size << 56);
	v[2] ^= 0xee;
	siphash_rounds(v, 4);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(mac, &word, sizeof(word));
	v[1] ^= 0xdd;
	siphash_rounds(v, 4);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	memcpy(mac + 8, &word, sizeof(word));
	explicit_bzero(state, sizeof(*state));
}
