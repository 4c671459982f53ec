/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/app/dns_message.h"

#include <string.h>

#define HEADER_SIZE  12
#define POINTER_BITS 0xc0
#define JUMPS_MAX    16 /* of compression (RFC 1035 section 4.1.4), each to an earlier place */
#define TYPE_CLASS   4

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

bool dns_header_read(struct dns_header *header, struct app_bytes message)
{
	if (message.size < HEADER_SIZE)
		return false;
	header->id = read16(message.data);
	header->is_response = message.data[2] >> 7;
	header->opcode = message.data[2] >> 3 & 15;
	header->questions = read16(message.data + 4);
	return true;
}

/* Where a pointer leads, or 0: not to an earlier place. */
static size_t follow(struct app_bytes message, size_t at)
{
	size_t target;

	if (at + 1 >= message.size)
		return 0;
	target = read16(message.data + at) & 0x3fffu;
	return target >= HEADER_SIZE && target < at ? target : 0;
}

/* Reads a name at *at, which is moved behind it. */
static bool read_name(
	struct app_bytes message, size_t *at, uint8_t out[DNS_NAME_MAX], size_t *out_size)
{
	size_t from = *at, size = 0, jumps = 0;

	for (;;) {
		uint8_t length;

		if (from >= message.size)
			return false;
		length = message.data[from];
		if ((length & POINTER_BITS) == POINTER_BITS) {
			if (jumps == 0)
				*at = from + 2;
			from = follow(message, from);
			if (from == 0 || ++jumps > JUMPS_MAX)
				return false;
			continue;
		}
		from++;
		if (length == 0)
			break;
		if (length & POINTER_BITS || length > message.size - from
			|| size + length + 1 > DNS_NAME_MAX)
			return false;
		if (size > 0)
			out[size++] = '.';
		memcpy(out + size, message.data + from, length);
		size += length;
		from += length;
	}
	if (jumps == 0)
		*at = from;
	*out_size = size;
	return true;
}

bool dns_question(struct app_bytes message, size_t index, uint8_t out[DNS_NAME_MAX], size_t *size,
	uint16_t *type)
{
	struct dns_header header;
	size_t at = HEADER_SIZE;

	if (!dns_header_read(&header, message) || index >= header.questions)
		return false;
	for (size_t i = 0; i <= index; i++) {
		if (!read_name(message, &at, out, size) || at > message.size
			|| message.size - at < TYPE_CLASS)
			return false;
		*type = read16(message.data + at);
		at += TYPE_CLASS;
	}
	return true;
}
