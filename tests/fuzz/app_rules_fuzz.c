/* SPDX-License-Identifier: BSD-3-Clause */
/* Heads, hellos and queries, whole, past rules that look into each of their buffers. */
#include "packet/inspect/builtin/app/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const buffers[] = {"http.method", "http.uri", "http.uri.raw",
	"http.request_line", "http.protocol", "http.host", "http.host.raw", "http.header",
	"http.header.raw", "http.header_names", "http.start", "http.cookie", "http.user_agent",
	"http.content_type", "http.stat_code", "http.stat_msg", "http.response_line", "tls.sni",
	"ja3.hash", "ja3.string", "dns.query", "http.uri; url_decode", "http.header; dotprefix",
	"http.header.raw; strip_whitespace; to_sha256", "dns.query; to_lowercase; dotprefix"};

static struct ruleset *compile(void)
{
	static char text[16384];
	struct ruleset_file file = {"fuzz.rules", text, 0};
	struct ruleset *ruleset;
	struct error error;

	for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
		file.size += (size_t)snprintf(text + file.size, sizeof(text) - file.size,
			"alert ip any any -> any any (%s; content:\"a\"; pcre:\"/b.c/R\"; "
			"sid:%zu;)\n"
			"alert ip any any -> any any (%s; content:!\"a\"; bsize:>3; sid:%zu;)\n",
			buffers[i], 2 * i + 1, buffers[i], 2 * i + 2);
	if (ruleset_compile(&file, 1, NULL, 1, NULL, &ruleset, NULL, &error) < 0)
		abort();
	return ruleset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum app_protocol protocols[] = {APP_HTTP, APP_TLS, APP_DNS};
	static struct ruleset *ruleset;
	struct decoded decoded = {.ip_version = 4, .protocol = 6, .l4_offset = 34};
	struct detect_context context = {.packet = &decoded, .to_server = true};
	struct app_message message = {.stage = APP_STAGE_HEADERS};
	struct detect_result result;

	if (!ruleset)
		ruleset = compile();
	if (size < 2 || size > 65536)
		return 0;
	message.protocol = protocols[data[0] % 3];
	message.to_server = context.to_server = data[0] & 64;
	context.app_protocol = (uint8_t)message.protocol;
	message.head = (struct app_bytes){data + 1, size - 1};
	detect_result_init(&result);
	detect_message(ruleset, 0, &context, &message, &result);
	detect_result_finish(&result);
	return 0;
}
