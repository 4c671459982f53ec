/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

void id_random_bytes(void *out, size_t size)
{
	uint8_t *at = out;

	while (size > 0) {
		ssize_t got = getrandom(at, size, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		size -= (size_t)got;
	}
}

uint64_t id_random_u64(void)
{
	uint64_t value;

	id_random_bytes(&value, sizeof(value));
	return value;
}
