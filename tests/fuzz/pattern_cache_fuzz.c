/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of compiled patterns, whatever is in it: read within its bounds, and nothing is made of
 * bytes whose digest is wrong. */
#include "packet/inspect/builtin/rules/pattern_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Head and index are of fixed size: keys may stand anywhere behind them. */
static void find_all(struct pattern_cache *cache, const uint8_t *data, size_t size)
{
	struct pattern_key key;

	for (size_t at = 0; at + sizeof(key) <= size && at < 4096; at += 8) {
		memcpy(&key, data + at, sizeof(key));
		hs_free_database(pattern_cache_find(cache, &key));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("pattern_cache_fuzz", MFD_CLOEXEC);
	struct pattern_cache *cache;
	struct error problem;

	if (fd < 0 || fchmod(fd, 0600) < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	cache = pattern_cache_open(fd, &problem);
	if (!cache)
		abort();
	find_all(cache, data, size);
	pattern_cache_close(cache);
	close(fd);
	return 0;
}
