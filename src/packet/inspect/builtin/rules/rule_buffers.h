/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Buffers of messages that rules look into: by their keyword, and, with transforms, as the rules of
 * a ruleset use them. Written by the parser, read-only afterwards.
 */
#pragma once

#include "packet/inspect/builtin/app/app.h"

enum rule_buffer {
	RULE_PAYLOAD, /* no message: packet or stream */
	RULE_HTTP_METHOD,
	RULE_HTTP_URI,
	RULE_HTTP_URI_RAW,
	RULE_HTTP_REQUEST_LINE,
	RULE_HTTP_PROTOCOL,
	RULE_HTTP_HOST,
	RULE_HTTP_HOST_RAW,
	RULE_HTTP_HEADER,
	RULE_HTTP_HEADER_RAW,
	RULE_HTTP_HEADER_NAMES,
	RULE_HTTP_START,
	RULE_HTTP_COOKIE,
	RULE_HTTP_USER_AGENT,
	RULE_HTTP_REFERER,
	RULE_HTTP_ACCEPT,
	RULE_HTTP_ACCEPT_LANG,
	RULE_HTTP_ACCEPT_ENC,
	RULE_HTTP_CONNECTION,
	RULE_HTTP_CONTENT_TYPE,
	RULE_HTTP_CONTENT_LEN,
	RULE_HTTP_SERVER,
	RULE_HTTP_LOCATION,
	RULE_HTTP_STAT_CODE,
	RULE_HTTP_STAT_MSG,
	RULE_HTTP_RESPONSE_LINE,
	RULE_HTTP_REQUEST_BODY,
	RULE_HTTP_RESPONSE_BODY,
	RULE_TLS_SNI,
	RULE_JA3_HASH,
	RULE_JA3_STRING,
	RULE_DNS_QUERY,
	RULE_DNS_OPCODE,
	RULE_BUFFER_COUNT,
};

enum rule_app_direction {
	RULE_APP_TO_SERVER = 1 << 0,
	RULE_APP_TO_CLIENT = 1 << 1,
	RULE_APP_BOTH = RULE_APP_TO_SERVER | RULE_APP_TO_CLIENT,
};

struct rule_buffer_info {
	enum rule_buffer buffer;
	enum app_protocol protocol;
	enum app_stage stage;
	unsigned int directions;
	const char *header;   /* HTTP: the field whose value it is; NULL: something else */
	const char *name;     /* sticky: for the contents behind it; NULL: has none */
	const char *modifier; /* of the content before it; NULL: has none */
	char letter;          /* of pcre; 0: has none */
};

/* By rule_buffer. */
extern const struct rule_buffer_info rule_buffer_infos[RULE_BUFFER_COUNT];

enum rule_transform {
	RULE_TO_LOWERCASE,
	RULE_TO_UPPERCASE,
	RULE_STRIP_WHITESPACE,
	RULE_COMPRESS_WHITESPACE,
	RULE_URL_DECODE,
	RULE_DOTPREFIX,
	RULE_TO_MD5,
	RULE_TO_SHA1,
	RULE_TO_SHA256,
};

#define RULE_TRANSFORMS_MAX 4
#define RULE_USES_MAX       64

struct rule_use {
	uint8_t buffer; /* enum rule_buffer */
	uint8_t transform_count;
	uint8_t transforms[RULE_TRANSFORMS_MAX]; /* enum rule_transform, in order */
};

struct rule_buffers {
	struct rule_use uses[RULE_USES_MAX]; /* the first is the payload */
	uint8_t count;
};

/* The number of the use, which is added when it is new; -ENOSPC. */
int rule_buffers_use(struct rule_buffers *buffers, const struct rule_use *use);

static inline const struct rule_buffer_info *rule_use_info(
	const struct rule_buffers *buffers, uint8_t use)
{
	return &rule_buffer_infos[buffers->uses[use].buffer];
}

/* Applies it to size bytes of from, into out, which has room for size + 64; returns how many. */
size_t rule_transform(
	enum rule_transform transform, const uint8_t *from, size_t size, uint8_t *out);
