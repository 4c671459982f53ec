/* SPDX-License-Identifier: BSD-3-Clause */
/* What app.c and the parsers of each protocol share. */
#pragma once

#include "packet/inspect/builtin/app/app.h"

#include <string.h>

/* A message that is being put together, in a block of the arena. */
struct app_store {
	uint8_t *data;
	uint32_t size, capacity;
};

/* Appends; APP_LIMIT above max bytes. */
enum app_outcome app_store_add(struct app_store *store, struct arena *arena, const uint8_t *bytes,
	size_t size, size_t max);
void app_store_free(struct app_store *store, struct arena *arena);

static inline void app_count(uint64_t *counter)
{
	/* Relaxed: a statistic that this worker alone writes; partner is builtin_show.c. */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* Bytes as text for events: cut, and with dots for what cannot be printed. */
void app_text(char *out, size_t out_size, const uint8_t *bytes, size_t size);

/* ---- HTTP ---- */

struct inflater;

enum http_state {
	HTTP_HEAD,
	HTTP_BODY_SIZED,
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_DATA,
	HTTP_TRAILER,
	HTTP_BODY_UNTIL_CLOSE,
	HTTP_OPAQUE, /* behind CONNECT or Upgrade: another protocol */
};

enum http_kind { HTTP_KIND_OTHER, HTTP_KIND_HEAD, HTTP_KIND_CONNECT };

#define HTTP_PENDING_MAX 64 /* requests without response that are kept in mind */

struct http_side {
	uint8_t state; /* enum http_state */
	uint8_t told;  /* enum app_stage, of this message */
	bool has_line, in_extension, has_digits, skips_body;
	uint32_t line_size; /* of the line that is being read, without CR */
	uint64_t left;      /* of the body or the chunk */
	struct app_store head;
	struct inflater *inflater;
	uint8_t *body; /* window of the body */
	uint32_t body_size;
	uint64_t body_position; /* of body[0] */
	struct detect_stream detect;
};

struct http {
	struct http_side sides[2]; /* to server, to client */
	uint8_t pending[HTTP_PENDING_MAX];
	uint8_t pending_head, pending_count;
	bool is_lost; /* more requests than fit: which response is whose is not known */
};

enum app_outcome http_feed(struct http *http, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size);
void http_close(struct http *http, struct arena *arena);

/* ---- TLS ---- */

struct tls_side {
	bool is_done;
	uint8_t header[5], header_size; /* of a record */
	uint16_t left;                  /* of the record */
	struct app_store hello;
};

struct tls {
	struct tls_side sides[2];
};

enum app_outcome tls_feed(struct tls *tls, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size);
void tls_close(struct tls *tls, struct arena *arena);

/* ---- DNS ---- */

struct dns_side {
	uint8_t prefix[2], prefix_size;
	uint16_t left;
	struct app_store message;
};

struct dns {
	struct dns_side sides[2];
};

/* RFC 1035 section 4.2.2: over TCP, with a length before each message. */
enum app_outcome dns_feed(struct dns *dns, struct app_summary *summary,
	const struct app_input *input, const uint8_t *bytes, size_t size);
void dns_close(struct dns *dns, struct arena *arena);
enum app_outcome dns_datagram(struct app_summary *summary, const struct app_input *input,
	const uint8_t *bytes, size_t size);
bool dns_is_plausible(const uint8_t *bytes, size_t size);
