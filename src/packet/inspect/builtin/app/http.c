/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where messages of HTTP/1.x begin and end (RFC 9112), as lenient endpoints see it: bare LF, empty
 * lines before a message, chunk extensions, both lengths at once. What the two ends may understand
 * differently is counted as smuggling.
 */
#include "base/hex.h"
#include "packet/inspect/builtin/app/app_parsers.h"
#include "packet/inspect/builtin/app/http_head.h"
#include "packet/inspect/builtin/app/inflater.h"

#include <ctype.h>
#include <stdlib.h>

#define HEAD_MAX      65536
#define BODY_CAPACITY 16384u /* of the window: old bytes and new ones */
#define CHUNK_MAX     ((uint64_t)1 << 48)

struct reader {
	struct http *http;
	struct http_side *side;
	struct app_summary *summary;
	const struct app_input *input;
};

static bool is_word(struct app_bytes text, const char *word)
{
	return text.size == strlen(word)
		&& strncasecmp((const char *)text.data, word, text.size) == 0;
}

/* Whether the list has the word, at its end or anywhere. */
static bool has_token(struct app_bytes list, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; i + size <= list.size; i++)
		if (strncasecmp((const char *)list.data + i, word, size) == 0)
			return true;
	return false;
}

/* ---- telling ---- */

static void tell_head(struct reader *reader, enum app_stage stage)
{
	struct http_side *side = reader->side;
	struct app_message message = {.protocol = APP_HTTP,
		.to_server = reader->input->to_server,
		.after = side->told,
		.stage = stage,
		.head = {side->head.data, side->head.size}};

	side->told = (uint8_t)stage;
	reader->input->listener->message(reader->input->listener->context, &message);
}

static void tell_body(struct reader *reader, uint32_t fresh)
{
	struct http_side *side = reader->side;
	struct app_message message = {.protocol = APP_HTTP,
		.to_server = reader->input->to_server,
		.after = APP_STAGE_HEADERS,
		.stage = APP_STAGE_BODY,
		.head = {side->head.data, side->head.size},
		.body = {side->body, side->body_size},
		.fresh = fresh,
		.position = side->body_position,
		.body_state = &side->detect};

	if (side->body_size == fresh)
		return;
	reader->input->listener->message(reader->input->listener->context, &message);
	if (side->body_size > BODY_CAPACITY / 2) {
		uint32_t gone = side->body_size - DETECT_WINDOW_BYTES;

		memmove(side->body, side->body + gone, DETECT_WINDOW_BYTES);
		side->body_size = DETECT_WINDOW_BYTES;
		side->body_position += gone;
	}
}

static void summarise_request(struct app_summary *summary, const struct http_head *head)
{
	const struct http_header *agent;
	uint8_t host[APP_TEXT_SIZE];
	size_t at = 0;

	*summary = (struct app_summary){.protocol = APP_HTTP};
	app_text(summary->method, sizeof(summary->method), head->words[HTTP_METHOD].data,
		head->words[HTTP_METHOD].size);
	app_text(summary->url, sizeof(summary->url), head->words[HTTP_TARGET].data,
		head->words[HTTP_TARGET].size);
	app_text(summary->version, sizeof(summary->version), head->words[HTTP_VERSION].data,
		head->words[HTTP_VERSION].size);
	app_text(summary->host, sizeof(summary->host), host,
		http_host(head, false, host, sizeof(host)));
	agent = http_head_find(head, "user-agent", &at);
	if (agent)
		app_text(summary->agent, sizeof(summary->agent), agent->value.data,
			agent->value.size);
}

/* ---- bodies ---- */

static void end_message(struct reader *reader)
{
	struct http_side *side = reader->side;

	side->state = HTTP_HEAD;
	side->told = APP_STAGE_NONE;
	side->has_line = false;
	side->line_size = 0;
	side->head.size = 0;
	side->body_size = 0;
	side->body_position = 0;
	side->skips_body = false;
	side->detect = (struct detect_stream){0};
	inflater_destroy(side->inflater, reader->input->arena);
	side->inflater = NULL;
}

static bool open_body(struct reader *reader)
{
	size_t actual;

	if (!reader->side->body)
		reader->side->body = arena_take(reader->input->arena, BODY_CAPACITY, &actual);
	return reader->side->body != NULL;
}

static enum app_outcome add_inflated(struct reader *reader, struct app_bytes in)
{
	struct http_side *side = reader->side;
	enum app_outcome outcome = APP_OK;
	size_t produced = 1;

	while (outcome == APP_OK && (in.size > 0 || produced > 0)) {
		uint32_t fresh = side->body_size;
		bool is_bad;

		outcome = inflater_run(side->inflater, &in, side->body + fresh,
			BODY_CAPACITY - fresh, &produced, &is_bad);
		if (is_bad)
			app_count(&reader->input->counters->http_encoding);
		side->body_size += (uint32_t)produced;
		tell_body(reader, fresh);
		if (produced == 0)
			break;
	}
	return outcome;
}

static enum app_outcome add_body(struct reader *reader, const uint8_t *bytes, size_t size)
{
	struct http_side *side = reader->side;

	if (side->skips_body || size == 0)
		return APP_OK;
	if (!open_body(reader))
		return APP_NO_MEMORY;
	if (side->inflater)
		return add_inflated(reader, (struct app_bytes){bytes, size});
	while (size > 0) {
		uint32_t fresh = side->body_size;
		size_t part = size < BODY_CAPACITY - fresh ? size : BODY_CAPACITY - fresh;

		memcpy(side->body + fresh, bytes, part);
		side->body_size += (uint32_t)part;
		bytes += part;
		size -= part;
		tell_body(reader, fresh);
	}
	return APP_OK;
}

/* ---- what the head says of the body ---- */

/* RFC 9112 section 6.3: false: no valid length. */
static bool read_length(const struct reader *reader, const struct http_head *head, uint64_t *out)
{
	const struct http_header *header;
	bool has_length = false;
	size_t at = 0;

	while ((header = http_head_find(head, "content-length", &at))) {
		uint64_t value = 0;
		size_t i = 0;

		for (; i < header->value.size && isdigit(header->value.data[i]); i++)
			value = value < CHUNK_MAX
				? value * 10 + (uint64_t)(header->value.data[i] - '0')
				: CHUNK_MAX;
		if (i == 0 || i < header->value.size || (has_length && value != *out))
			app_count(&reader->input->counters->http_smuggling);
		if (i > 0 && !has_length) {
			*out = value;
			has_length = true;
		}
	}
	return has_length;
}

static bool is_chunked(const struct http_head *head, bool *has_coding)
{
	const struct http_header *header;
	size_t at = 0;

	*has_coding = false;
	while ((header = http_head_find(head, "transfer-encoding", &at))) {
		*has_coding = true;
		if (has_token(header->value, "chunked"))
			return true;
	}
	return false;
}

static void begin_body(struct reader *reader, const struct http_head *head, bool until_close)
{
	struct http_side *side = reader->side;
	bool has_coding, chunked = is_chunked(head, &has_coding), has_length;
	uint64_t length = 0;

	has_length = read_length(reader, head, &length);
	if (has_coding && (has_length || !chunked))
		app_count(&reader->input->counters->http_smuggling);
	side->has_digits = side->in_extension = false;
	side->left = 0;
	if (chunked) {
		side->state = HTTP_CHUNK_SIZE;
	} else if (has_length && length > 0) {
		side->state = HTTP_BODY_SIZED;
		side->left = length;
	} else if (!has_length && until_close) {
		side->state = HTTP_BODY_UNTIL_CLOSE;
	} else {
		end_message(reader);
	}
}

static enum app_outcome begin_encoding(struct reader *reader, const struct http_head *head)
{
	enum inflater_format format = INFLATER_NONE;
	const struct http_header *header;
	size_t at = 0;

	if (reader->side->skips_body)
		return APP_OK;
	while ((header = http_head_find(head, "content-encoding", &at))) {
		if (has_token(header->value, "gzip"))
			format = INFLATER_GZIP;
		else if (has_token(header->value, "deflate"))
			format = INFLATER_DEFLATE;
		else if (!is_word(header->value, "identity"))
			app_count(&reader->input->counters->http_encoding);
		/* Twice compressed: one layer is taken off, and the rest looked at as it is. */
		if (memchr(header->value.data, ',', header->value.size))
			app_count(&reader->input->counters->http_encoding);
	}
	if (format == INFLATER_NONE)
		return APP_OK;
	reader->side->inflater = inflater_create(reader->input->arena, format);
	return reader->side->inflater ? APP_OK : APP_NO_MEMORY;
}

/* ---- heads ---- */

static void note_request(struct http *http, const struct http_head *head)
{
	enum http_kind kind = HTTP_KIND_OTHER;

	if (is_word(head->words[HTTP_METHOD], "HEAD"))
		kind = HTTP_KIND_HEAD;
	else if (is_word(head->words[HTTP_METHOD], "CONNECT"))
		kind = HTTP_KIND_CONNECT;
	if (http->pending_count == HTTP_PENDING_MAX) {
		http->is_lost = true;
		return;
	}
	http->pending[(http->pending_head + http->pending_count++) % HTTP_PENDING_MAX] =
		(uint8_t)kind;
}

static enum http_kind take_request(struct http *http)
{
	enum http_kind kind;

	if (http->pending_count == 0)
		return HTTP_KIND_OTHER;
	kind = http->pending[http->pending_head];
	http->pending_head = (uint8_t)((http->pending_head + 1) % HTTP_PENDING_MAX);
	http->pending_count--;
	return kind;
}

static void finish_request(struct reader *reader, const struct http_head *head)
{
	app_count(&reader->input->counters->http_requests);
	note_request(reader->http, head);
	summarise_request(reader->summary, head);
	tell_head(reader, APP_STAGE_HEADERS);
	begin_body(reader, head, false);
}

static unsigned int status_of(const struct http_head *head)
{
	unsigned int status = 0;
	struct app_bytes code = head->words[HTTP_STATUS_CODE];

	for (size_t i = 0; i < code.size && i < 3 && isdigit(code.data[i]); i++)
		status = status * 10 + code.data[i] - '0';
	return status;
}

static void go_opaque(struct http *http)
{
	http->sides[0].state = HTTP_OPAQUE;
	http->sides[1].state = HTTP_OPAQUE;
}

static enum app_outcome finish_response(struct reader *reader, const struct http_head *head)
{
	unsigned int status = status_of(head);
	enum app_outcome outcome;
	enum http_kind kind;

	app_count(&reader->input->counters->http_responses);
	reader->summary->protocol = APP_HTTP;
	reader->summary->status = (uint16_t)status;
	reader->summary->has_status = true;
	tell_head(reader, APP_STAGE_HEADERS);
	if (status == 101) {
		go_opaque(reader->http);
		return APP_OK;
	}
	if (status >= 100 && status < 200) {
		end_message(reader);
		return APP_OK;
	}
	kind = take_request(reader->http);
	if (kind == HTTP_KIND_CONNECT && status >= 200 && status < 300) {
		go_opaque(reader->http);
		return APP_OK;
	}
	if (status == 204 || status == 304 || kind == HTTP_KIND_HEAD) {
		end_message(reader);
		return APP_OK;
	}
	outcome = begin_encoding(reader, head);
	if (outcome == APP_OK)
		begin_body(reader, head, true);
	return outcome;
}

static enum app_outcome finish_head(struct reader *reader)
{
	struct http_side *side = reader->side;
	struct http_head head;

	http_head_read(&head, (struct app_bytes){side->head.data, side->head.size});
	side->skips_body = !reader->input->wants_body;
	if (head.header_count == HTTP_HEADERS_MAX)
		app_count(&reader->input->counters->http_malformed);
	if (!reader->input->to_server)
		return finish_response(reader, &head);
	finish_request(reader, &head);
	return APP_OK;
}

/* What a response of HTTP/0.9 is: no head at all. */
static bool has_no_head(const struct reader *reader)
{
	const struct app_store *head = &reader->side->head;
	size_t size = head->size < 5 ? head->size : 5;

	return !reader->input->to_server && size > 0
		&& strncasecmp((const char *)head->data, "HTTP/", size) != 0;
}

/* A line of the head is there; true: the last one. */
static bool finish_line(struct http_side *side)
{
	bool is_empty = side->line_size == 0;

	side->line_size = 0;
	if (!is_empty) {
		side->has_line = true;
		return false;
	}
	if (side->has_line)
		return true;
	side->head.size = 0; /* empty lines before a message */
	return false;
}

/* Takes bytes of the head; *taken of them. */
static enum app_outcome read_head(
	struct reader *reader, const uint8_t *bytes, size_t size, size_t *taken)
{
	struct http_side *side = reader->side;
	enum app_outcome outcome = APP_OK;

	*taken = 0;
	while (*taken < size) {
		const uint8_t *at = bytes + *taken, *end = memchr(at, '\n', size - *taken);
		size_t part = end ? (size_t)(end - at) + 1 : size - *taken;

		outcome = app_store_add(&side->head, reader->input->arena, at, part, HEAD_MAX);
		if (outcome != APP_OK)
			return outcome;
		*taken += part;
		for (size_t i = 0; i < part; i++)
			side->line_size += at[i] != '\r' && at[i] != '\n';
		if (has_no_head(reader)) {
			side->state = HTTP_BODY_UNTIL_CLOSE;
			side->skips_body = !reader->input->wants_body;
			outcome = add_body(reader, side->head.data, side->head.size);
			side->head.size = 0;
			return outcome;
		}
		if (end && finish_line(side))
			return finish_head(reader);
	}
	if (side->has_line && side->told == APP_STAGE_NONE)
		tell_head(reader, APP_STAGE_LINE);
	return outcome;
}

/* ---- chunks (RFC 9112 section 7.1) ---- */

/* One byte of the line with a chunk's size. */
static void read_chunk_size(struct reader *reader, uint8_t byte)
{
	struct http_side *side = reader->side;
	int digit = side->in_extension ? -1 : hex_value((char)byte);

	if (byte == '\n') {
		if (!side->has_digits)
			return; /* an empty line more, as some servers take it */
		side->state = side->left > 0 ? HTTP_CHUNK_DATA : HTTP_TRAILER;
		side->has_digits = side->in_extension = false;
		side->line_size = 0;
	} else if (digit >= 0) {
		side->has_digits = true;
		side->left = side->left < CHUNK_MAX ? side->left << 4 | (uint64_t)digit : CHUNK_MAX;
	} else if (side->has_digits) {
		side->in_extension = true;
	} else if (!isspace(byte)) {
		/* No size: what comes is looked at as it is. */
		app_count(&reader->input->counters->http_malformed);
		side->state = HTTP_BODY_UNTIL_CLOSE;
	}
}

static void read_trailer(struct reader *reader, uint8_t byte)
{
	struct http_side *side = reader->side;

	if (byte == '\n' && side->line_size == 0)
		end_message(reader);
	else if (byte == '\n')
		side->line_size = 0;
	else
		side->line_size += byte != '\r';
}

/* ---- the stream ---- */

static enum app_outcome read_sized(
	struct reader *reader, const uint8_t *bytes, size_t size, size_t *taken)
{
	struct http_side *side = reader->side;
	enum app_outcome outcome;

	*taken = size < side->left ? size : (size_t)side->left;
	outcome = add_body(reader, bytes, *taken);
	side->left -= *taken;
	if (side->left > 0)
		return outcome;
	if (side->state == HTTP_CHUNK_DATA)
		side->state = HTTP_CHUNK_SIZE;
	else
		end_message(reader);
	return outcome;
}

static enum app_outcome read_some(
	struct reader *reader, const uint8_t *bytes, size_t size, size_t *taken)
{
	*taken = 1;
	switch ((enum http_state)reader->side->state) {
	case HTTP_HEAD:
		return read_head(reader, bytes, size, taken);
	case HTTP_BODY_SIZED:
	case HTTP_CHUNK_DATA:
		return read_sized(reader, bytes, size, taken);
	case HTTP_CHUNK_SIZE:
		read_chunk_size(reader, bytes[0]);
		/* The byte that was no size belongs to the body. */
		*taken = reader->side->state != HTTP_BODY_UNTIL_CLOSE;
		return APP_OK;
	case HTTP_TRAILER:
		read_trailer(reader, bytes[0]);
		return APP_OK;
	case HTTP_BODY_UNTIL_CLOSE:
		*taken = size;
		return add_body(reader, bytes, size);
	case HTTP_OPAQUE:
		break;
	}
	*taken = size;
	return APP_OK;
}

enum app_outcome http_feed(struct http *http, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size)
{
	struct reader reader = {.http = http,
		.side = &http->sides[input->to_server ? 0 : 1],
		.summary = summary,
		.input = input};
	enum app_outcome outcome = APP_OK;

	if (http->is_lost)
		return APP_LIMIT;
	while (size > 0 && outcome == APP_OK) {
		size_t taken;

		outcome = read_some(&reader, bytes, size, &taken);
		bytes += taken;
		size -= taken;
	}
	return http->is_lost ? APP_LIMIT : outcome;
}

void http_close(struct http *http, struct arena *arena)
{
	for (int i = 0; i < 2; i++) {
		app_store_free(&http->sides[i].head, arena);
		arena_put(arena, http->sides[i].body);
		inflater_destroy(http->sides[i].inflater, arena);
	}
}
