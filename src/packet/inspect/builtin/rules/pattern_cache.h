/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiled patterns in a file, by the SHA-256 of all they depend on, so that rules which did not
 * change are not compiled again (decision 0011). What is in the file becomes code's data without
 * further checks, so that a file which others may write, or whose digests are wrong, is not used.
 * One thread at a time.
 */
#pragma once

#include "base/error.h"
#include "base/sha256.h"

#include <hs/hs.h>
#include <stdbool.h>

struct pattern_cache;

struct pattern_key {
	uint8_t digest[SHA256_SIZE];
};

/* Of patterns in the order of their numbers, with what Hyperscan makes of them here. */
void pattern_key_make(struct pattern_key *key, const char *const *patterns,
	const unsigned int *flags, const size_t *sizes, size_t count);

/* fd is open for reading and writing, and stays the caller's. NULL: no memory. A file that cannot
 * be used makes an empty cache, and problem says why ("" for one that is new). */
struct pattern_cache *pattern_cache_open(int fd, struct error *problem);
void pattern_cache_close(struct pattern_cache *cache);

/* A database of the caller's own; NULL: none. */
hs_database_t *pattern_cache_find(struct pattern_cache *cache, const struct pattern_key *key);

/* Replaces the file by what follows: begin, add for each, end. 0, or -EIO with an error and an
 * empty file. */
int pattern_cache_begin(struct pattern_cache *cache, size_t count, struct error *error);
int pattern_cache_add(struct pattern_cache *cache, const struct pattern_key *key,
	const hs_database_t *database, struct error *error);
int pattern_cache_end(struct pattern_cache *cache, struct error *error);
