/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/message_view.h"

#include "packet/inspect/builtin/app/dns_message.h"
#include "packet/inspect/builtin/app/http_head.h"
#include "packet/inspect/builtin/app/tls_hello.h"

#include <stdlib.h>
#include <string.h>

/* A head is at most 64 KiB, and what is made of it at most three times that; for a few of them. */
#define ROOM_SIZE     ((size_t)1 << 20)
#define ROOM_SPARE    64 /* what a transform may add */
#define QUESTIONS_MAX 64

struct entry {
	bool is_known, is_there;
	unsigned int index;
	struct app_bytes bytes;
};

struct message_view {
	const struct rule_buffers *buffers;
	const struct app_message *message;
	bool has_head, has_hello;
	struct http_head head;
	struct tls_hello hello;
	struct entry entries[RULE_USES_MAX];
	uint8_t *room;
	size_t used;
};

struct message_view *message_view_create(void)
{
	struct message_view *view = calloc(1, sizeof(*view));

	if (!view)
		return NULL;
	view->room = malloc(ROOM_SIZE);
	if (view->room)
		return view;
	free(view);
	return NULL;
}

void message_view_destroy(struct message_view *view)
{
	if (!view)
		return;
	free(view->room);
	free(view);
}

void message_view_open(struct message_view *view, const struct rule_buffers *buffers,
	const struct app_message *message)
{
	view->buffers = buffers;
	view->message = message;
	view->has_head = view->has_hello = false;
	view->used = 0;
	memset(view->entries, 0, buffers->count * sizeof(view->entries[0]));
}

/* Room for size bytes; what is made there is kept by take_made(). */
static uint8_t *room_for(struct message_view *view, size_t size)
{
	return size + ROOM_SPARE <= ROOM_SIZE - view->used ? view->room + view->used : NULL;
}

static bool take_made(struct message_view *view, size_t size, struct app_bytes *out)
{
	*out = (struct app_bytes){view->room + view->used, size};
	view->used += size;
	return true;
}

/* ---- HTTP ---- */

static const struct http_head *head_of(struct message_view *view)
{
	if (!view->has_head)
		http_head_read(&view->head, view->message->head);
	view->has_head = true;
	return &view->head;
}

static bool take_word(const struct http_head *head, int word, struct app_bytes *out)
{
	*out = head->words[word];
	return out->size > 0;
}

/* "GET / HTTP/1.1\r\nHost: a\r\nCookie: b\r\n\r\n" */
static bool make_start(struct message_view *view, const struct http_head *head, uint8_t *room,
	struct app_bytes *out)
{
	size_t size = head->line.size;

	memcpy(room, head->line.data, size);
	memcpy(room + size, "\r\n", 2);
	size += 2;
	if (head->header_count > 0) {
		size += http_header_block(head, true, room + size);
		memcpy(room + size, "\r\n", 2);
		size += 2;
	}
	return take_made(view, size, out);
}

static bool make_values(struct message_view *view, const struct http_head *head, const char *name,
	struct app_bytes *out)
{
	uint8_t *room = room_for(view, head->block.size);
	size_t at = 0;

	/* Servers' cookies are told by the same keyword. */
	if (strcmp(name, "cookie") == 0 && !view->message->to_server)
		name = "set-cookie";
	if (!room || !http_head_find(head, name, &at))
		return false;
	return take_made(view, http_values(head, name, room), out);
}

static bool make_http(struct message_view *view, enum rule_buffer buffer, struct app_bytes *out)
{
	const struct http_head *head = head_of(view);
	bool to_server = view->message->to_server;
	uint8_t *room = room_for(view, 3 * (head->block.size + head->line.size) + 8);
	size_t size;

	if (rule_buffer_infos[buffer].header)
		return make_values(view, head, rule_buffer_infos[buffer].header, out);
	if (!room)
		return false;
	switch (buffer) {
	case RULE_HTTP_METHOD:
		return take_word(head, HTTP_METHOD, out);
	case RULE_HTTP_URI_RAW:
		return take_word(head, HTTP_TARGET, out);
	case RULE_HTTP_PROTOCOL:
		return take_word(head, to_server ? HTTP_VERSION : HTTP_STATUS_VERSION, out);
	case RULE_HTTP_STAT_CODE:
		return take_word(head, HTTP_STATUS_CODE, out);
	case RULE_HTTP_STAT_MSG:
		return take_word(head, HTTP_STATUS_MESSAGE, out);
	case RULE_HTTP_REQUEST_LINE:
	case RULE_HTTP_RESPONSE_LINE:
		*out = head->line;
		return true;
	case RULE_HTTP_HEADER_RAW:
		*out = head->block;
		return true;
	case RULE_HTTP_URI:
		return take_made(view, http_normalise_target(head->words[HTTP_TARGET], room), out);
	case RULE_HTTP_HOST:
	case RULE_HTTP_HOST_RAW:
		size = http_host(head, buffer == RULE_HTTP_HOST_RAW, room,
			head->block.size + head->line.size);
		return take_made(view, size, out) && size > 0;
	case RULE_HTTP_HEADER:
		return head->header_count > 0
			&& take_made(view, http_header_block(head, false, room), out);
	case RULE_HTTP_HEADER_NAMES:
		return head->header_count > 0
			&& take_made(view, http_header_names(head, room), out);
	case RULE_HTTP_START:
		return make_start(view, head, room, out);
	default:
		return false;
	}
}

/* ---- TLS, DNS ---- */

static bool make_tls(struct message_view *view, enum rule_buffer buffer, struct app_bytes *out)
{
	char ja3[4096];
	uint8_t *room = room_for(view, sizeof(ja3));
	size_t size;

	if (!view->has_hello)
		view->has_hello = tls_hello_read(&view->hello, view->message->head);
	if (!view->has_hello || !room)
		return false;
	if (buffer == RULE_TLS_SNI) {
		*out = view->hello.server_name;
		return out->size > 0;
	}
	size = tls_ja3(&view->hello, ja3, sizeof(ja3));
	if (buffer == RULE_JA3_STRING) {
		memcpy(room, ja3, size);
		return take_made(view, size, out);
	}
	tls_ja3_hash(ja3, size, room);
	return take_made(view, JA3_HASH_SIZE, out);
}

static bool make_dns(struct message_view *view, enum rule_buffer buffer, unsigned int index,
	struct app_bytes *out)
{
	uint8_t *room = room_for(view, DNS_NAME_MAX);
	struct dns_header header;
	uint16_t type;
	size_t size;

	if (!room || !dns_header_read(&header, view->message->head))
		return false;
	if (buffer == RULE_DNS_OPCODE) {
		room[0] = header.opcode;
		return index == 0 && take_made(view, 1, out);
	}
	return index < QUESTIONS_MAX && dns_question(view->message->head, index, room, &size, &type)
		&& take_made(view, size, out);
}

/* ---- all ---- */

static bool make_buffer(struct message_view *view, enum rule_buffer buffer, unsigned int index,
	struct app_bytes *out)
{
	enum app_protocol protocol = rule_buffer_infos[buffer].protocol;

	if (protocol != view->message->protocol)
		return false;
	if (protocol == APP_DNS)
		return make_dns(view, buffer, index, out);
	if (index > 0)
		return false;
	return protocol == APP_HTTP ? make_http(view, buffer, out) : make_tls(view, buffer, out);
}

static bool apply_transforms(
	struct message_view *view, const struct rule_use *use, struct app_bytes *bytes)
{
	for (int i = 0; i < use->transform_count; i++) {
		uint8_t *room = room_for(view, bytes->size);

		if (!room)
			return false;
		take_made(view,
			rule_transform((enum rule_transform)use->transforms[i], bytes->data,
				bytes->size, room),
			bytes);
	}
	return true;
}

bool message_view_get(
	struct message_view *view, uint8_t use, unsigned int index, struct payload *out)
{
	struct entry *entry = &view->entries[use];
	const struct rule_use *wanted = &view->buffers->uses[use];

	if (!entry->is_known || entry->index != index) {
		entry->is_known = true;
		entry->index = index;
		entry->is_there =
			make_buffer(view, (enum rule_buffer)wanted->buffer, index, &entry->bytes)
			&& apply_transforms(view, wanted, &entry->bytes);
	}
	*out = (struct payload){entry->bytes.data, entry->bytes.size, 0};
	return entry->is_there;
}
