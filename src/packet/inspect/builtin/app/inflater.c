/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/app/inflater.h"

#include <string.h>
#include <zlib.h>

/* zlib's state (7 KiB) and window (32 KiB), with this struct. */
#define BLOCK_SIZE ((size_t)64 << 10)
/* Deflate yields at most 1032 for 1; text yields 3 to 20. Beyond this much a body may not yield
 * more than so many times what it is: nobody serves that, but to keep an inspector busy. */
#define BOMB_SIZE  ((uint64_t)16 << 20)
#define BOMB_RATIO 200

/* zlib says that a header (RFC 1950, RFC 1952) is none within so many bytes. */
#define LEAD_MAX 16

struct inflater {
	z_stream stream;
	size_t used; /* of the block */
	uint64_t in, out;
	enum inflater_format format;
	bool is_open, is_raw;
	uint8_t lead[LEAD_MAX]; /* the first bytes: what they are if they are no header */
	uint8_t lead_size;
};

static voidpf take(voidpf opaque, uInt count, uInt size)
{
	struct inflater *inflater = opaque;
	size_t bytes = ((size_t)count * size + 15) & ~(size_t)15;
	void *at = (uint8_t *)inflater + inflater->used;

	if (bytes > BLOCK_SIZE - inflater->used)
		return Z_NULL;
	inflater->used += bytes;
	return at;
}

static void put(voidpf opaque, voidpf address)
{
}

struct inflater *inflater_create(struct arena *arena, enum inflater_format format)
{
	size_t actual;
	struct inflater *inflater = arena_take(arena, BLOCK_SIZE, &actual);

	if (!inflater)
		return NULL;
	memset(inflater, 0, sizeof(*inflater));
	inflater->used = (sizeof(*inflater) + 15) & ~(size_t)15;
	inflater->format = format;
	return inflater;
}

void inflater_destroy(struct inflater *inflater, struct arena *arena)
{
	arena_put(arena, inflater); /* all that zlib took lies in it */
}

/* What browsers do with "deflate": with zlib's header (RFC 1950) or without (RFC 1951). */
static int window_bits(const struct inflater *inflater)
{
	if (inflater->format == INFLATER_GZIP)
		return 15 + 32; /* gzip or zlib, by the header */
	if ((inflater->lead[0] & 0x0f) == 8
		&& (inflater->lead[0] << 8 | inflater->lead[1]) % 31 == 0)
		return 15;
	return -15;
}

/* Collects the bytes that tell the format; false: more are needed. */
static bool open_stream(struct inflater *inflater, struct app_bytes *in)
{
	while (inflater->lead_size < 2 && in->size > 0) {
		inflater->lead[inflater->lead_size++] = in->data[0];
		in->data++;
		in->size--;
	}
	if (inflater->lead_size < 2)
		return false;
	inflater->stream.zalloc = take;
	inflater->stream.zfree = put;
	inflater->stream.opaque = inflater;
	inflater->is_raw = inflateInit2(&inflater->stream, window_bits(inflater)) != Z_OK;
	inflater->is_open = true;
	return true;
}

static void pass_on(struct app_bytes *in, uint8_t *out, size_t out_size, size_t *produced)
{
	size_t part = in->size < out_size - *produced ? in->size : out_size - *produced;

	memcpy(out + *produced, in->data, part);
	in->data += part;
	in->size -= part;
	*produced += part;
}

static int step(struct inflater *inflater, struct app_bytes *in, uint8_t *out, size_t out_size,
	size_t *produced)
{
	z_stream *stream = &inflater->stream;
	int result;

	stream->next_in = (z_const Bytef *)in->data;
	stream->avail_in = (uInt)in->size;
	stream->next_out = out + *produced;
	stream->avail_out = (uInt)(out_size - *produced);
	result = inflate(stream, Z_NO_FLUSH);
	inflater->in += in->size - stream->avail_in;
	in->data += in->size - stream->avail_in;
	in->size = stream->avail_in;
	*produced = out_size - stream->avail_out;
	return result;
}

static void keep_lead(struct inflater *inflater, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size && inflater->lead_size < LEAD_MAX; i++)
		inflater->lead[inflater->lead_size++] = bytes[i];
}

static int inflate_some(struct inflater *inflater, struct app_bytes *in, uint8_t *out,
	size_t out_size, size_t *produced)
{
	int result = Z_OK;

	/* Also without more to take in: zlib may have more to put out. */
	while (result == Z_OK && *produced < out_size) {
		const uint8_t *before = in->data;

		result = step(inflater, in, out, out_size, produced);
		keep_lead(inflater, before, (size_t)(in->data - before));
		if (result == Z_STREAM_END && in->size > 0) /* RFC 1952: members in a row */
			result = inflateReset(&inflater->stream);
	}
	return result;
}

/* It is not what it said: all of it goes out, if nothing was made of its beginning yet. */
static void turn_raw(struct inflater *inflater, uint8_t *out, size_t *produced)
{
	inflater->is_raw = true;
	if (inflater->out > 0 || *produced > 0)
		return;
	memcpy(out, inflater->lead, inflater->lead_size);
	*produced = inflater->lead_size;
}

enum app_outcome inflater_run(struct inflater *inflater, struct app_bytes *in, uint8_t *out,
	size_t out_size, size_t *produced, bool *is_bad)
{
	int result = Z_OK;

	*produced = 0;
	*is_bad = false;
	if (!inflater->is_open) {
		struct app_bytes lead = {inflater->lead, 2};

		if (!open_stream(inflater, in))
			return APP_OK;
		if (!inflater->is_raw)
			result = step(inflater, &lead, out, out_size, produced);
		if (result == Z_STREAM_END && in->size > 0)
			result = inflateReset(&inflater->stream);
	}
	if (result == Z_OK && !inflater->is_raw)
		result = inflate_some(inflater, in, out, out_size, produced);
	if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
		turn_raw(inflater, out, produced);
		*is_bad = true;
	}
	inflater->out += *produced;
	if (inflater->is_raw)
		pass_on(in, out, out_size, produced);
	else if (inflater->out > BOMB_SIZE && inflater->out / BOMB_RATIO > inflater->in)
		return APP_LIMIT;
	return APP_OK;
}
