/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/secret.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* Bytes read, up to room; a negative errno. */
static ssize_t read_all(int fd, uint8_t *out, size_t room)
{
	size_t size = 0;
	ssize_t got;

	do {
		got = read(fd, out + size, room - size);
		size += got > 0 ? (size_t)got : 0;
	} while (got > 0 && size < room);
	return got < 0 ? -errno : (ssize_t)size;
}

int secret_read(int fd, size_t size_max, struct secret **out, size_t *size, struct error *error)
{
	struct secret *secret = secret_create(size_max + 1);
	ssize_t got = secret ? read_all(fd, secret->bytes, size_max + 1) : -errno;

	if (got >= 0 && (size_t)got <= size_max) {
		*out = secret;
		*size = (size_t)got;
		return 0;
	}
	secret_destroy(secret);
	if (got < 0)
		return error_set(error, (int)got, "%s", strerror((int)-got));
	return error_set(error, -EFBIG, "larger than %zu bytes", size_max);
}
