/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A head of HTTP/1.x, read the way lenient servers and browsers do, and the buffers of rules that
 * are made of it. Pure: bytes in, spans or bytes out.
 */
#pragma once

#include "packet/inspect/builtin/app/app.h"

#define HTTP_HEADERS_MAX 512 /* those beyond are not looked at by name; they are in header.raw */

struct http_header {
	struct app_bytes name, value; /* value: trimmed, folds as they came */
};

struct http_head {
	struct app_bytes line; /* without its end */
	/* Request: method, target, version. Response: version, code, message. */
	struct app_bytes words[3];
	struct app_bytes block; /* headers, with the empty line */
	size_t header_count;
	struct http_header headers[HTTP_HEADERS_MAX];
};

enum http_word { HTTP_METHOD = 0, HTTP_TARGET = 1, HTTP_VERSION = 2 };
enum http_status_word { HTTP_STATUS_VERSION = 0, HTTP_STATUS_CODE = 1, HTTP_STATUS_MESSAGE = 2 };

/* The line, and what follows of it. */
void http_head_read(struct http_head *head, struct app_bytes bytes);

/* The next header of that name, from *at on, which is moved behind it; NULL: none. Any case. */
const struct http_header *http_head_find(
	const struct http_head *head, const char *name, size_t *at);

/* Each writes at most as many bytes as out has room for, and returns how many. The room that
 * suffices is given. */

/* "/path?query" as a server would look it up: percent, %u and UTF-8 decoded, slashes and dots
 * resolved; not longer than the target. */
size_t http_normalise_target(struct app_bytes target, uint8_t *out);
/* Host in lower case, without port, of the target where it has one; cut at room. */
size_t http_host(const struct http_head *head, bool is_raw, uint8_t *out, size_t room);
/* The values of all headers of that name, unfolded, with ", " between; not longer than block. */
size_t http_values(const struct http_head *head, const char *name, uint8_t *out);
/* "Name: value\r\n" of all, or of all but cookies; not longer than three times the block,
 * as a line without name "v\n" becomes ": v\r\n". */
size_t http_header_block(const struct http_head *head, bool has_cookies, uint8_t *out);
/* "\r\nName\r\nName\r\n\r\n"; not longer than block and 4. */
size_t http_header_names(const struct http_head *head, uint8_t *out);

/* The authority of an absolute target ("http://host:80/path"); empty when there is none. *path is
 * what follows it. */
struct app_bytes http_authority(struct app_bytes target, struct app_bytes *path);
