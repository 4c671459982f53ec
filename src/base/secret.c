/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

struct secret {
	size_t mapped;
	_Alignas(16) uint8_t bytes[];
};

struct secret *secret_create(size_t size)
{
	size_t mapped = sizeof(struct secret) + size;
	struct secret *secret =
		mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (secret == MAP_FAILED)
		return NULL;
	if (mlock(secret, mapped) < 0 || madvise(secret, mapped, MADV_DONTDUMP) < 0
		|| madvise(secret, mapped, MADV_DONTFORK) < 0) {
		int why = errno;

		munmap(secret, mapped);
		errno = why;
		return NULL;
	}
	secret->mapped = mapped;
	return secret;
}

void secret_destroy(struct secret *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret->bytes, secret->mapped - sizeof(*secret));
	munmap(secret, secret->mapped);
}

void *secret_bytes(struct secret *secret)
{
	return secret->bytes;
}
