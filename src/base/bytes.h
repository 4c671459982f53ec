/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bounded reading and writing of bytes from outside. A reader that ran past its end stays failed
 * and yields zeros, so a parser may check once, after the last field, with bytes_is_ok(). Network
 * order. No allocation; the bytes are borrowed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t size;   /* bytes in all */
	size_t offset; /* bytes read so far */
	bool has_failed;
};

static inline struct bytes bytes_from(const void *data, size_t size)
{
	return (struct bytes){.data = data, .size = size};
}

static inline bool bytes_is_ok(const struct bytes *bytes)
{
	return !bytes->has_failed;
}

static inline size_t bytes_left(const struct bytes *bytes)
{
	return bytes->size - bytes->offset;
}

/* Borrowed pointer to the next size bytes, which are consumed; NULL, and failed, when fewer are
 * left. */
static inline const uint8_t *bytes_take(struct bytes *bytes, size_t size)
{
	const uint8_t *at = bytes->data + bytes->offset;

	if (bytes->has_failed || size > bytes_left(bytes)) {
		bytes->has_failed = true;
		return NULL;
	}
	bytes->offset += size;
	return at;
}

static inline void bytes_skip(struct bytes *bytes, size_t size)
{
	(void)bytes_take(bytes, size);
}

static inline uint8_t bytes_read_u8(struct bytes *bytes)
{
	const uint8_t *at = bytes_take(bytes, 1);

	return at ? at[0] : 0;
}

static inline uint16_t bytes_read_u16(struct bytes *bytes)
{
	const uint8_t *at = bytes_take(bytes, 2);

	return at ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

static inline uint32_t bytes_read_u24(struct bytes *bytes)
{
	const uint8_t *at = bytes_take(bytes, 3);

	return at ? (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2] : 0;
}

static inline uint32_t bytes_read_u32(struct bytes *bytes)
{
	const uint8_t *at = bytes_take(bytes, 4);

	return at ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
		  : 0;
}

static inline uint64_t bytes_read_u64(struct bytes *bytes)
{
	uint64_t high = bytes_read_u32(bytes);

	return high << 32 | bytes_read_u32(bytes);
}

/* The next size bytes as a reader of their own (for a length-prefixed part). */
static inline struct bytes bytes_sub(struct bytes *bytes, size_t size)
{
	const uint8_t *at = bytes_take(bytes, size);

	return (struct bytes){.data = at, .size = at ? size : 0, .has_failed = !at};
}
