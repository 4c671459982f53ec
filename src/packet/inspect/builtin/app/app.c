/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/app/app_parsers.h"

#include <assert.h>
#include <ctype.h>

#define DNS_PORT      53  /* where Suricata looks for it, too */
#define DNS_PROBE_MAX 512 /* a header and a question of the longest name are shorter */
/* An unknown method is told from something else by the end of its line. */
#define PROBE_MAX 2048

struct app {
	struct app_summary summary;
	union {
		struct http http;
		struct tls tls;
		struct dns dns;
	};
};

static_assert(sizeof(struct app) <= ARENA_BLOCK_MIN, "one of the smallest blocks a flow");

/* ---- stores ---- */

void app_store_free(struct app_store *store, struct arena *arena)
{
	arena_put(arena, store->data);
	*store = (struct app_store){0};
}

enum app_outcome app_store_add(
	struct app_store *store, struct arena *arena, const uint8_t *bytes, size_t size, size_t max)
{
	if (size > max - store->size)
		return APP_LIMIT;
	if (size > store->capacity - store->size) {
		size_t actual;
		uint8_t *data = arena_take(arena, store->size + size, &actual);

		if (!data)
			return APP_NO_MEMORY;
		if (store->size > 0)
			memcpy(data, store->data, store->size);
		arena_put(arena, store->data);
		store->data = data;
		store->capacity = (uint32_t)actual;
	}
	memcpy(store->data + store->size, bytes, size);
	store->size += (uint32_t)size;
	return APP_OK;
}

void app_text(char *out, size_t out_size, const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size && i < out_size - 1; i++)
		out[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '.';
	out[i] = '\0';
}

/* ---- which protocol ---- */

enum probe { PROBE_NO, PROBE_MAYBE, PROBE_YES };

/* Methods that servers know (RFC 9110, RFC 4918, RFC 3253), as Suricata's list. */
static const char *const methods[] = {"GET", "PUT", "POST", "HEAD", "TRACE", "OPTIONS", "CONNECT",
	"DELETE", "PATCH", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK",
	"CHECKOUT", "UNCHECKOUT", "CHECKIN", "UPDATE", "LABEL", "REPORT", "MKWORKSPACE",
	"MKACTIVITY", "MERGE", "VERSION-CONTROL", "BASELINE-CONTROL", "SEARCH"};

static bool is_method(const char *method, const uint8_t *bytes, size_t size, bool *is_prefix)
{
	size_t length = strlen(method), i = 0;

	while (i < length && i < size && toupper(bytes[i]) == method[i])
		i++;
	*is_prefix |= i == size;
	return i == length && i < size && (bytes[i] == ' ' || bytes[i] == '\t');
}

static bool ends_with_version(const uint8_t *line, size_t size)
{
	while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == ' '))
		size--;
	return size > 8 && strncasecmp((const char *)line + size - 8, "HTTP/", 5) == 0;
}

static bool is_dns_port(const struct app_input *input)
{
	return input->server_port == DNS_PORT || input->client_port == DNS_PORT;
}

static enum probe probe_request(const uint8_t *bytes, size_t size, bool is_dns_port)
{
	const uint8_t *end;
	bool is_prefix = false;

	/* Servers pass over empty lines and blanks before a request. */
	while (size > 0 && isspace(*bytes)) {
		bytes++;
		size--;
	}
	if (size == 0)
		return PROBE_MAYBE;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (is_method(methods[i], bytes, size, &is_prefix))
			return PROBE_YES;
	/* What may be DNS, too, is told from it by its first bytes. */
	if (!isalpha(*bytes) || (is_dns_port && !is_prefix))
		return PROBE_NO;
	end = is_dns_port ? NULL : memchr(bytes, '\n', size);
	if (end)
		return ends_with_version(bytes, (size_t)(end - bytes)) ? PROBE_YES : PROBE_NO;
	return is_prefix || size < PROBE_MAX ? PROBE_MAYBE : PROBE_NO;
}

static enum probe probe_response(const uint8_t *bytes, size_t size)
{
	size_t compared = size < 5 ? size : 5;

	if (strncasecmp((const char *)bytes, "HTTP/", compared) != 0)
		return PROBE_NO;
	return size < 5 ? PROBE_MAYBE : PROBE_YES;
}

/* RFC 8446 section 5.1: a handshake record, of SSL 3.0 to TLS 1.3, with a hello. */
static enum probe probe_tls(const uint8_t *bytes, size_t size, bool to_server)
{
	uint8_t hello = to_server ? 1 : 2;

	if (bytes[0] != 22 || (size > 1 && bytes[1] != 3) || (size > 2 && bytes[2] > 4))
		return PROBE_NO;
	if (size > 5)
		return bytes[5] == hello ? PROBE_YES : PROBE_NO;
	return PROBE_MAYBE;
}

/* Over TCP: with a length before the message. */
static enum probe probe_dns(const struct app_input *input, const uint8_t *bytes, size_t size)
{
	size_t message;

	if (!is_dns_port(input))
		return PROBE_NO;
	if (size < 2)
		return PROBE_MAYBE;
	message = (size_t)(bytes[0] << 8 | bytes[1]);
	if (dns_is_plausible(bytes + 2, size - 2 < message ? size - 2 : message))
		return PROBE_YES;
	/* Its question may not have come as a whole. */
	return size - 2 < message && size < DNS_PROBE_MAX ? PROBE_MAYBE : PROBE_NO;
}

static enum app_protocol probe_stream(
	const struct app_input *input, const uint8_t *bytes, size_t size)
{
	enum probe http, tls, dns;

	if (size == 0)
		return APP_UNKNOWN;
	http = input->to_server ? probe_request(bytes, size, is_dns_port(input))
				: probe_response(bytes, size);
	tls = probe_tls(bytes, size, input->to_server);
	dns = probe_dns(input, bytes, size);
	/* Those first that take fewer bytes to tell. */
	if (http == PROBE_YES)
		return APP_HTTP;
	if (tls == PROBE_YES)
		return APP_TLS;
	if (dns == PROBE_YES)
		return APP_DNS;
	return http == PROBE_NO && tls == PROBE_NO && dns == PROBE_NO ? APP_OTHER : APP_UNKNOWN;
}

enum app_protocol app_peek(const struct app_flow *flow, const struct app_input *input,
	const uint8_t *window, size_t size, size_t fresh, uint64_t position)
{
	unsigned int side = input->to_server ? 0 : 1;
	uint64_t from = flow->is_started[side] ? flow->from[side] : position + fresh;

	if (flow->protocol != APP_UNKNOWN || flow->is_given_up[side])
		return flow->protocol;
	if (from < position || from - position > size)
		return APP_OTHER; /* its start has left the window */
	return probe_stream(input, window + (from - position), size - (size_t)(from - position));
}

/* ---- feeding ---- */

static struct app *open_app(struct app_flow *flow, const struct app_input *input)
{
	size_t actual;

	if (!flow->app) {
		flow->app = arena_take(input->arena, sizeof(*flow->app), &actual);
		if (flow->app)
			memset(flow->app, 0, sizeof(*flow->app));
	}
	if (flow->app)
		flow->app->summary.protocol = flow->protocol;
	return flow->app;
}

void app_release(struct app_flow *flow, struct arena *arena, bool is_done)
{
	uint8_t protocol = flow->protocol;

	if (flow->app) {
		switch (flow->protocol) {
		case APP_HTTP:
			http_close(&flow->app->http, arena);
			break;
		case APP_TLS:
			tls_close(&flow->app->tls, arena);
			break;
		case APP_DNS:
			dns_close(&flow->app->dns, arena);
			break;
		}
		arena_put(arena, flow->app);
	}
	*flow = (struct app_flow){.protocol = is_done ? protocol : APP_UNKNOWN, .is_done = is_done};
}

const struct app_summary *app_summary(const struct app_flow *flow)
{
	return flow->app ? &flow->app->summary : NULL;
}

static enum app_outcome feed(
	struct app_flow *flow, const struct app_input *input, const uint8_t *bytes, size_t size)
{
	struct app *app = open_app(flow, input);

	if (!app)
		return APP_NO_MEMORY;
	switch (flow->protocol) {
	case APP_HTTP:
		return http_feed(&app->http, &app->summary, input, bytes, size);
	case APP_TLS:
		return tls_feed(&app->tls, &app->summary, input, bytes, size);
	case APP_DNS:
		return dns_feed(&app->dns, &app->summary, input, bytes, size);
	default:
		return APP_OK;
	}
}

/* Tries to tell the protocol; *from: where in the window the parser begins. */
static bool settle_protocol(struct app_flow *flow, const struct app_input *input,
	const uint8_t *window, size_t size, size_t fresh, uint64_t position, size_t *from)
{
	unsigned int side = input->to_server ? 0 : 1;
	enum app_protocol protocol = app_peek(flow, input, window, size, fresh, position);

	*from = fresh;
	if (flow->is_given_up[side] || protocol == APP_UNKNOWN)
		return false;
	if (protocol == APP_OTHER) {
		flow->is_given_up[side] = true;
		if (flow->is_given_up[1 - side])
			flow->protocol = APP_OTHER;
		return false;
	}
	flow->protocol = (uint8_t)protocol;
	*from = (size_t)(flow->from[side] - position);
	return true;
}

static void note_start(struct app_flow *flow, unsigned int side, uint64_t from)
{
	if (flow->is_started[side])
		return;
	flow->is_started[side] = true;
	flow->from[side] = from;
}

void app_note_stream(struct app_flow *flow, const struct app_input *input, const uint8_t *window,
	size_t size, size_t fresh, uint64_t position)
{
	size_t from;

	if (flow->protocol != APP_UNKNOWN || flow->is_done)
		return;
	note_start(flow, input->to_server ? 0 : 1, position + fresh);
	settle_protocol(flow, input, window, size, fresh, position, &from);
}

enum app_outcome app_stream(struct app_flow *flow, const struct app_input *input,
	const uint8_t *window, size_t size, size_t fresh, uint64_t position)
{
	unsigned int side = input->to_server ? 0 : 1;
	size_t from = fresh;
	enum app_outcome outcome;

	if (flow->is_done || flow->protocol == APP_OTHER)
		return APP_OK;
	if (flow->is_started[side] && flow->next[side] != position + fresh) {
		/* A beginning behind bytes that the policy let through, or an earlier one. */
		app_count(&input->counters->gaps);
		app_release(flow, input->arena, false);
	}
	note_start(flow, side, position + fresh);
	flow->next[side] = position + size;
	if (flow->protocol == APP_UNKNOWN
		&& !settle_protocol(flow, input, window, size, fresh, position, &from))
		return APP_OK;
	outcome = feed(flow, input, window + from, size - from);
	if (outcome == APP_LIMIT)
		app_count(&input->counters->limits);
	if (outcome == APP_OK && flow->protocol == APP_TLS && flow->app->tls.sides[0].is_done
		&& flow->app->tls.sides[1].is_done)
		flow->is_done = true;
	return outcome;
}

enum app_protocol app_peek_datagram(const struct app_flow *flow, const struct app_input *input,
	const uint8_t *payload, size_t size)
{
	if (flow->protocol != APP_UNKNOWN)
		return (enum app_protocol)flow->protocol;
	return is_dns_port(input) && dns_is_plausible(payload, size) ? APP_DNS : APP_UNKNOWN;
}

enum app_outcome app_datagram(
	struct app_flow *flow, const struct app_input *input, const uint8_t *payload, size_t size)
{
	struct app *app;

	if (!is_dns_port(input) || !dns_is_plausible(payload, size))
		return APP_OK;
	flow->protocol = APP_DNS;
	app = open_app(flow, input);
	if (!app)
		return APP_NO_MEMORY;
	return dns_datagram(&app->summary, input, payload, size);
}
