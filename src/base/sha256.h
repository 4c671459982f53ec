/* SPDX-License-Identifier: BSD-3-Clause */
/* SHA-256 (FIPS 180-4): tells whether bytes are the same as before. Any thread; no allocation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE  32
#define SHA256_BLOCK 64

struct sha256 {
	uint32_t state[8];
	uint64_t size; /* bytes so far */
	uint8_t block[SHA256_BLOCK];
};

void sha256_begin(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t size);
void sha256_end(struct sha256 *hash, uint8_t out[SHA256_SIZE]);
