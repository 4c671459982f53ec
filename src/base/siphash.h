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
