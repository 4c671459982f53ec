/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/pcapng.h"

#include <stdlib.h>
#include <string.h>

/* Block types and option codes: draft-ietf-opsawg-pcapng, sections 4.1 to 4.6 and 3.5. */
#define BLOCK_HEADER     0x0a0d0d0aU
#define BLOCK_INTERFACE  1U
#define BLOCK_STATISTICS 5U
#define BLOCK_PACKET     6U
#define BYTE_ORDER_MAGIC 0x1a2b3c4dU

#define OPTION_END        0
#define OPTION_COMMENT    1
#define SHB_USERAPPL      4
#define IF_NAME           2
#define IF_TSRESOL        9
#define EPB_FLAGS         2
#define ISB_IFRECV        4
#define ISB_IFDROP        5
#define TSRESOL_NS        9 /* 10^-9 s */
#define LINKTYPE_ETHERNET 1
#define ROOM_MIN          4096
#define COMMENT_SIZE_MAX  1024

static uint8_t *reserve(struct pcapng_buffer *buffer, size_t size)
{
	if (!buffer->has_failed && buffer->size + size > buffer->room) {
		size_t room = buffer->room ? buffer->room : ROOM_MIN;
		uint8_t *data;

		while (room < buffer->size + size)
			room *= 2;
		data = realloc(buffer->data, room);
		buffer->has_failed = !data;
		if (data) {
			buffer->data = data;
			buffer->room = room;
		}
	}
	if (buffer->has_failed)
		return NULL;
	buffer->size += size;
	return buffer->data + buffer->size - size;
}

static void put(struct pcapng_buffer *buffer, const void *data, size_t size)
{
	/* Blocks are of 32-bit words. */
	uint8_t *at = size > 0 ? reserve(buffer, (size + 3) & ~(size_t)3) : NULL;

	if (!at)
		return;
	memcpy(at, data, size);
	memset(at + size, 0, -size & 3);
}

static void put_u32(struct pcapng_buffer *buffer, uint32_t value)
{
	put(buffer, &value, sizeof(value));
}

static void put_u16_pair(struct pcapng_buffer *buffer, uint16_t first, uint16_t second)
{
	uint16_t pair[2] = {first, second};

	put(buffer, pair, sizeof(pair));
}

static void put_time(struct pcapng_buffer *buffer, uint64_t wall_ns)
{
	put_u32(buffer, (uint32_t)(wall_ns >> 32));
	put_u32(buffer, (uint32_t)wall_ns);
}

static void put_option(struct pcapng_buffer *buffer, uint16_t code, const void *data, size_t size)
{
	put_u16_pair(buffer, code, (uint16_t)size);
	put(buffer, data, size);
}

static void put_text_option(struct pcapng_buffer *buffer, uint16_t code, const char *text)
{
	size_t size = text ? strlen(text) : 0;

	if (size > 0)
		put_option(buffer, code, text, size > COMMENT_SIZE_MAX ? COMMENT_SIZE_MAX : size);
}

static size_t begin(struct pcapng_buffer *buffer, uint32_t type)
{
	size_t at = buffer->size;

	put_u32(buffer, type);
	put_u32(buffer, 0); /* the length, by end() */
	return at;
}

static void end(struct pcapng_buffer *buffer, size_t at)
{
	uint32_t size = (uint32_t)(buffer->size - at + sizeof(size));

	put_u32(buffer, size);
	if (!buffer->has_failed)
		memcpy(buffer->data + at + sizeof(uint32_t), &size, sizeof(size));
}

void pcapng_write_header(struct pcapng_buffer *buffer, const char *application, const char *comment)
{
	size_t at = begin(buffer, BLOCK_HEADER);

	put_u32(buffer, BYTE_ORDER_MAGIC);
	put_u16_pair(buffer, 1, 0);  /* version 1.0 */
	put_u32(buffer, UINT32_MAX); /* length of the section: not known */
	put_u32(buffer, UINT32_MAX);
	put_text_option(buffer, OPTION_COMMENT, comment);
	put_text_option(buffer, SHB_USERAPPL, application);
	put_option(buffer, OPTION_END, NULL, 0);
	end(buffer, at);
}

void pcapng_write_interface(struct pcapng_buffer *buffer, const char *name, uint32_t snap_size)
{
	size_t at = begin(buffer, BLOCK_INTERFACE);
	uint8_t resolution = TSRESOL_NS;

	put_u16_pair(buffer, LINKTYPE_ETHERNET, 0);
	put_u32(buffer, snap_size);
	put_text_option(buffer, IF_NAME, name);
	put_option(buffer, IF_TSRESOL, &resolution, sizeof(resolution));
	put_option(buffer, OPTION_END, NULL, 0);
	end(buffer, at);
}

uint8_t *pcapng_write_packet(struct pcapng_buffer *buffer, const struct pcapng_packet *packet)
{
	size_t at = begin(buffer, BLOCK_PACKET), padded = (packet->captured_size + 3U) & ~3U;
	uint32_t flags = (uint32_t)packet->direction;
	size_t data_at;
	uint8_t *data;

	put_u32(buffer, packet->interface);
	put_time(buffer, packet->wall_ns);
	put_u32(buffer, packet->captured_size);
	put_u32(buffer, packet->original_size);
	data = reserve(buffer, padded);
	if (!data)
		return NULL;
	memset(data + padded - 4, 0, padded ? 4 : 0);
	data_at = (size_t)(data - buffer->data);
	put_option(buffer, EPB_FLAGS, &flags, sizeof(flags));
	put_text_option(buffer, OPTION_COMMENT, packet->comment);
	put_option(buffer, OPTION_END, NULL, 0);
	end(buffer, at);
	return buffer->has_failed ? NULL : buffer->data + data_at;
}

void pcapng_write_statistics(struct pcapng_buffer *buffer, uint32_t interface, uint64_t wall_ns,
	uint64_t received, uint64_t dropped)
{
	size_t at = begin(buffer, BLOCK_STATISTICS);

	put_u32(buffer, interface);
	put_time(buffer, wall_ns);
	put_option(buffer, ISB_IFRECV, &received, sizeof(received));
	put_option(buffer, ISB_IFDROP, &dropped, sizeof(dropped));
	put_option(buffer, OPTION_END, NULL, 0);
	end(buffer, at);
}
