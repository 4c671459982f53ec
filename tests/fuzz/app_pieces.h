/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Feeds a parser of an application protocol (inspect/builtin/app) with both directions of a flow,
 * and asks for the property that where segments are cut does not change what is told.
 */
#pragma once

#include "packet/inspect/builtin/app/app.h"

#include <stdlib.h>
#include <string.h>

#define APP_PIECES_MAX 65536

static struct app_counters fuzz_counters;

struct told {
	uint64_t hash; /* FNV-1a of all heads and bodies */
	unsigned int heads;
};

static inline void told_add(struct told *told, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		told->hash = (told->hash ^ bytes[i]) * 0x100000001b3ULL;
}

static inline void on_told(void *context, const struct app_message *message)
{
	struct told *told = (struct told *)context + (message->to_server ? 0 : 1);

	if (message->stage == APP_STAGE_HEADERS) {
		told->heads++;
		told_add(told, message->head.data, message->head.size);
	} else if (message->stage == APP_STAGE_BODY) {
		if (message->fresh > message->body.size)
			abort();
		told_add(told, message->body.data + message->fresh,
			message->body.size - message->fresh);
	}
}

/* Each record of the input: direction and size of a segment, its bytes. cut: 0: whole segments. */
static inline enum app_outcome feed_flow(struct arena *arena, uint16_t port, const uint8_t *data,
	size_t size, size_t cut, struct told told[2])
{
	const struct app_listener listener = {.message = on_told, .context = told};
	static uint8_t streams[2][APP_PIECES_MAX];
	size_t sizes[2] = {0};
	struct app_flow flow = {0};
	enum app_outcome outcome = APP_OK;

	fuzz_counters = (struct app_counters){0};
	for (size_t at = 0; at + 2 < size && outcome == APP_OK;) {
		unsigned int side = data[at] & 1;
		size_t part = (size_t)(data[at] >> 1) << 8 | data[at + 1], done = 0;
		struct app_input input = {.arena = arena,
			.counters = &fuzz_counters,
			.listener = &listener,
			.to_server = side == 0,
			.wants_body = true,
			.client_port = 40000,
			.server_port = port};

		at += 2;
		part = part < size - at ? part : size - at;
		if (part > APP_PIECES_MAX - sizes[side])
			break;
		memcpy(streams[side] + sizes[side], data + at, part);
		while (done < part && outcome == APP_OK) {
			size_t piece = cut && cut < part - done ? cut : part - done;

			outcome = app_stream(&flow, &input, streams[side],
				sizes[side] + done + piece, sizes[side] + done, 0);
			done += piece;
		}
		sizes[side] += part;
		at += part;
	}
	app_release(&flow, arena, false);
	if (arena_used(arena) > 0)
		abort();
	return outcome;
}

static inline int fuzz_pieces(uint16_t port, const uint8_t *data, size_t size)
{
	static struct arena *arena;
	struct told whole[2] = {0}, pieces[2] = {0};
	enum app_outcome outcome;

	if (!arena)
		arena = arena_create(16 << 20);
	if (size < 1)
		return 0;
	outcome = feed_flow(arena, port, data + 1, size - 1, 0, whole);
	if (feed_flow(arena, port, data + 1, size - 1, 1 + data[0] % 61, pieces) != outcome)
		abort();
	/* Where broken compression ends, zlib tells by what it has at hand. */
	if (outcome == APP_OK && fuzz_counters.http_encoding == 0
		&& memcmp(whole, pieces, sizeof(whole)) != 0)
		abort();
	return 0;
}
