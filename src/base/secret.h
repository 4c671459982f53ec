/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for keys: locked, so that it is never swapped out; left out of core dumps and of children;
 * wiped when it goes. No function formats one. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct secret;

/* size zero bytes. NULL with errno: no memory, or none may be locked (RLIMIT_MEMLOCK). */
struct secret *secret_create(size_t size);
/* NULL is allowed. */
void secret_destroy(struct secret *secret);
/* Of size bytes; valid until the destroy. */
void *secret_bytes(struct secret *secret);

/* All of a file, of size_max bytes at most, as a secret of *size bytes. -EFBIG, -ENOMEM, or why it
 * cannot be read. */
struct error;
int secret_read(int fd, size_t size_max, struct secret **out, size_t *size, struct error *error);

/* Whether size bytes are the same, in a time that does not tell where they differ. */
static inline int secret_is_equal(const void *a, const void *b, size_t size)
{
	const volatile uint8_t *left = (const volatile uint8_t *)a;
	const volatile uint8_t *right = (const volatile uint8_t *)b;
	uint8_t difference = 0;

	for (size_t i = 0; i < size; i++)
		difference |= left[i] ^ right[i];
	return difference == 0;
}
