/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Client hellos out of TLS records (RFC 8446 section 5.1), which may be cut anywhere. A second one,
 * that the server asks for, is read as well; with anything else of the client, reading ends.
 */
#include "packet/inspect/builtin/app/app_parsers.h"
#include "packet/inspect/builtin/app/tls_hello.h"

#define RECORD_HEADER 5
#define HELLO_MAX     65536
#define HELLO_TYPE    1
#define JA3_MAX       4096

enum tls_record { TLS_CHANGE_CIPHER = 20, TLS_ALERT = 21, TLS_HANDSHAKE = 22 };

static void summarise(struct app_summary *summary, const struct tls_hello *hello)
{
	char ja3[JA3_MAX];

	*summary = (struct app_summary){.protocol = APP_TLS};
	app_text(summary->host, sizeof(summary->host), hello->server_name.data,
		hello->server_name.size);
	tls_ja3_hash(ja3, tls_ja3(hello, ja3, sizeof(ja3)), (uint8_t *)summary->ja3);
	summary->ja3[JA3_HASH_SIZE] = '\0';
}

static void finish(struct tls_side *side, const struct app_input *input)
{
	app_store_free(&side->hello, input->arena);
	side->is_done = true;
}

static void tell(struct tls_side *side, struct app_summary *summary, const struct app_input *input,
	size_t size)
{
	struct app_message message = {.protocol = APP_TLS,
		.to_server = true,
		.stage = APP_STAGE_HEADERS,
		.head = {side->hello.data, size}};
	struct tls_hello hello;

	if (!tls_hello_read(&hello, message.head)) {
		app_count(&input->counters->tls_malformed);
		return;
	}
	app_count(&input->counters->tls_hellos);
	summarise(summary, &hello);
	input->listener->message(input->listener->context, &message);
}

/* Handshake messages that are whole. */
static void read_handshake(
	struct tls_side *side, struct app_summary *summary, const struct app_input *input)
{
	struct app_store *store = &side->hello;

	while (store->size >= 4 && !side->is_done) {
		size_t size = 4
			+ ((size_t)store->data[1] << 16 | (size_t)store->data[2] << 8
				| store->data[3]);

		if (store->data[0] != HELLO_TYPE) {
			finish(side, input);
			return;
		}
		if (store->size < size)
			return;
		tell(side, summary, input, size);
		store->size -= (uint32_t)size;
		memmove(store->data, store->data + size, store->size);
	}
}

/* A record's header is whole. */
static void begin_record(struct tls_side *side, const struct app_input *input)
{
	side->left = (uint16_t)(side->header[3] << 8 | side->header[4]);
	if (side->header[0] == TLS_HANDSHAKE && side->header[1] == 3)
		return;
	if (side->header[0] != TLS_CHANGE_CIPHER && side->header[0] != TLS_ALERT)
		finish(side, input);
}

static enum app_outcome read_some(struct tls_side *side, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size, size_t *taken)
{
	enum app_outcome outcome;

	*taken = 1;
	if (side->header_size < RECORD_HEADER) {
		side->header[side->header_size++] = bytes[0];
		if (side->header_size == RECORD_HEADER)
			begin_record(side, input);
		if (side->header_size == RECORD_HEADER && side->left == 0)
			side->header_size = 0;
		return APP_OK;
	}
	*taken = size < side->left ? size : side->left;
	side->left -= (uint16_t)*taken;
	if (side->left == 0)
		side->header_size = 0;
	if (side->header[0] != TLS_HANDSHAKE)
		return APP_OK;
	outcome = app_store_add(&side->hello, input->arena, bytes, *taken, HELLO_MAX);
	if (outcome == APP_OK)
		read_handshake(side, summary, input);
	return outcome;
}

enum app_outcome tls_feed(struct tls *tls, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size)
{
	struct tls_side *side = &tls->sides[input->to_server ? 0 : 1];
	enum app_outcome outcome = APP_OK;

	/* Of the server nothing is looked at. */
	if (!input->to_server)
		side->is_done = true;
	while (size > 0 && outcome == APP_OK && !side->is_done) {
		size_t taken;

		outcome = read_some(side, summary, input, bytes, size, &taken);
		bytes += taken;
		size -= taken;
	}
	return outcome;
}

void tls_close(struct tls *tls, struct arena *arena)
{
	app_store_free(&tls->sides[0].hello, arena);
	app_store_free(&tls->sides[1].hello, arena);
}
