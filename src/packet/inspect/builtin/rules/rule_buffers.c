/* SPDX-License-Identifier: BSD-3-Clause */
/* The digests are called by their old names: they take no memory, which the new ones do. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "packet/inspect/builtin/rules/rule_buffers.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <string.h>

#define LINE                       APP_STAGE_LINE
#define HEADERS                    APP_STAGE_HEADERS
#define BODY                       APP_STAGE_BODY
#define SERVER                     RULE_APP_TO_SERVER
#define CLIENT                     RULE_APP_TO_CLIENT
#define BOTH                       RULE_APP_BOTH
#define ROW(buffer, protocol, ...) [buffer] = {buffer, protocol, __VA_ARGS__}

const struct rule_buffer_info rule_buffer_infos[RULE_BUFFER_COUNT] = {
	ROW(RULE_HTTP_METHOD, APP_HTTP, LINE, SERVER, NULL, "http.method", "http_method", 'M'),
	ROW(RULE_HTTP_URI, APP_HTTP, LINE, SERVER, NULL, "http.uri", "http_uri", 'U'),
	ROW(RULE_HTTP_URI_RAW, APP_HTTP, LINE, SERVER, NULL, "http.uri.raw", "http_raw_uri", 'I'),
	ROW(RULE_HTTP_REQUEST_LINE, APP_HTTP, LINE, SERVER, NULL, "http.request_line",
		"http_request_line", 0),
	ROW(RULE_HTTP_PROTOCOL, APP_HTTP, LINE, BOTH, NULL, "http.protocol", "http_protocol", 0),
	ROW(RULE_HTTP_HOST, APP_HTTP, HEADERS, SERVER, NULL, "http.host", "http_host", 'W'),
	ROW(RULE_HTTP_HOST_RAW, APP_HTTP, HEADERS, SERVER, NULL, "http.host.raw", "http_raw_host",
		'Z'),
	ROW(RULE_HTTP_HEADER, APP_HTTP, HEADERS, BOTH, NULL, "http.header", "http_header", 'H'),
	ROW(RULE_HTTP_HEADER_RAW, APP_HTTP, HEADERS, BOTH, NULL, "http.header.raw",
		"http_raw_header", 'D'),
	ROW(RULE_HTTP_HEADER_NAMES, APP_HTTP, HEADERS, BOTH, NULL, "http.header_names", NULL, 0),
	ROW(RULE_HTTP_START, APP_HTTP, HEADERS, BOTH, NULL, "http.start", NULL, 0),
	ROW(RULE_HTTP_COOKIE, APP_HTTP, HEADERS, BOTH, "cookie", "http.cookie", "http_cookie", 'C'),
	ROW(RULE_HTTP_USER_AGENT, APP_HTTP, HEADERS, SERVER, "user-agent", "http.user_agent",
		"http_user_agent", 'V'),
	ROW(RULE_HTTP_REFERER, APP_HTTP, HEADERS, SERVER, "referer", "http.referer", NULL, 0),
	ROW(RULE_HTTP_ACCEPT, APP_HTTP, HEADERS, SERVER, "accept", "http.accept", NULL, 0),
	ROW(RULE_HTTP_ACCEPT_LANG, APP_HTTP, HEADERS, SERVER, "accept-language", "http.accept_lang",
		NULL, 0),
	ROW(RULE_HTTP_ACCEPT_ENC, APP_HTTP, HEADERS, SERVER, "accept-encoding", "http.accept_enc",
		NULL, 0),
	ROW(RULE_HTTP_CONNECTION, APP_HTTP, HEADERS, BOTH, "connection", "http.connection", NULL,
		0),
	ROW(RULE_HTTP_CONTENT_TYPE, APP_HTTP, HEADERS, BOTH, "content-type", "http.content_type",
		NULL, 0),
	ROW(RULE_HTTP_CONTENT_LEN, APP_HTTP, HEADERS, BOTH, "content-length", "http.content_len",
		NULL, 0),
	ROW(RULE_HTTP_SERVER, APP_HTTP, HEADERS, CLIENT, "server", "http.server", NULL, 0),
	ROW(RULE_HTTP_LOCATION, APP_HTTP, HEADERS, CLIENT, "location", "http.location", NULL, 0),
	ROW(RULE_HTTP_STAT_CODE, APP_HTTP, LINE, CLIENT, NULL, "http.stat_code", "http_stat_code",
		'S'),
	ROW(RULE_HTTP_STAT_MSG, APP_HTTP, LINE, CLIENT, NULL, "http.stat_msg", "http_stat_msg",
		'Y'),
	ROW(RULE_HTTP_RESPONSE_LINE, APP_HTTP, LINE, CLIENT, NULL, "http.response_line",
		"http_response_line", 0),
	ROW(RULE_HTTP_REQUEST_BODY, APP_HTTP, BODY, SERVER, NULL, "http.request_body",
		"http_client_body", 'P'),
	ROW(RULE_HTTP_RESPONSE_BODY, APP_HTTP, BODY, CLIENT, NULL, "http.response_body",
		"http_server_body", 'Q'),
	ROW(RULE_TLS_SNI, APP_TLS, HEADERS, SERVER, NULL, "tls.sni", NULL, 0),
	ROW(RULE_JA3_HASH, APP_TLS, HEADERS, SERVER, NULL, "ja3.hash", NULL, 0),
	ROW(RULE_JA3_STRING, APP_TLS, HEADERS, SERVER, NULL, "ja3.string", NULL, 0),
	ROW(RULE_DNS_QUERY, APP_DNS, HEADERS, SERVER, NULL, "dns.query", NULL, 0),
	ROW(RULE_DNS_OPCODE, APP_DNS, HEADERS, BOTH, NULL, NULL, NULL, 0),
};

int rule_buffers_use(struct rule_buffers *buffers, const struct rule_use *use)
{
	if (buffers->count == 0)
		buffers->count = 1; /* the payload */
	for (int i = 1; i < buffers->count; i++)
		if (memcmp(&buffers->uses[i], use, sizeof(*use)) == 0)
			return i;
	if (buffers->count == RULE_USES_MAX)
		return -ENOSPC;
	buffers->uses[buffers->count] = *use;
	return buffers->count++;
}

/* ---- transforms ---- */

static size_t change_case(const uint8_t *from, size_t size, uint8_t *out, int (*change)(int))
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)change(from[i]);
	return size;
}

/* Without blanks, or with one for each run of them. */
static size_t squeeze(const uint8_t *from, size_t size, uint8_t *out, bool keeps_one)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		if (!isspace(from[i]) || (keeps_one && (i == 0 || !isspace(from[i - 1]))))
			out[count++] = from[i];
	return count;
}

static int digit_of(uint8_t byte)
{
	if (isdigit(byte))
		return byte - '0';
	byte = (uint8_t)tolower(byte);
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static size_t decode(const uint8_t *from, size_t size, uint8_t *out)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++) {
		if (from[i] == '%' && i + 2 < size && digit_of(from[i + 1]) >= 0
			&& digit_of(from[i + 2]) >= 0) {
			out[count++] =
				(uint8_t)(digit_of(from[i + 1]) << 4 | digit_of(from[i + 2]));
			i += 2;
		} else {
			out[count++] = from[i] == '+' ? ' ' : from[i];
		}
	}
	return count;
}

size_t rule_transform(enum rule_transform transform, const uint8_t *from, size_t size, uint8_t *out)
{
	switch (transform) {
	case RULE_TO_LOWERCASE:
		return change_case(from, size, out, tolower);
	case RULE_TO_UPPERCASE:
		return change_case(from, size, out, toupper);
	case RULE_STRIP_WHITESPACE:
		return squeeze(from, size, out, false);
	case RULE_COMPRESS_WHITESPACE:
		return squeeze(from, size, out, true);
	case RULE_URL_DECODE:
		return decode(from, size, out);
	case RULE_DOTPREFIX:
		out[0] = '.';
		memcpy(out + 1, from, size);
		return size + 1;
	case RULE_TO_MD5:
		MD5(from, size, out);
		return MD5_DIGEST_LENGTH;
	case RULE_TO_SHA1:
		SHA1(from, size, out);
		return SHA_DIGEST_LENGTH;
	case RULE_TO_SHA256:
		SHA256(from, size, out);
		return SHA256_DIGEST_LENGTH;
	}
	return 0;
}
