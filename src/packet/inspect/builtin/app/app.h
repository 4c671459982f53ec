/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Application protocols of a flow (I6): found by what its first bytes are, parsed as they come in
 * order, and told to a listener message by message, before the bytes that complete them go on.
 * State is of the flow, from the worker's arena, and bounded; what is beyond the bounds is told as
 * a failure, for the failure policy to decide. Worker thread; no allocation but from the arena.
 */
#pragma once

#include "packet/inspect/app_summary.h"
#include "packet/inspect/builtin/arena.h"
#include "packet/inspect/builtin/detect.h"

/* How far a message has been read; rules are asked at the stage that has all they look at. */
enum app_stage {
	APP_STAGE_NONE,
	APP_STAGE_LINE,    /* HTTP: request or status line */
	APP_STAGE_HEADERS, /* HTTP: all headers; TLS and DNS: the message */
	APP_STAGE_BODY,    /* HTTP: each piece of the body */
};

enum app_outcome {
	APP_OK,
	APP_NO_MEMORY,
	APP_LIMIT, /* beyond what is inspected: a head too long, a compressed body too large */
};

struct app_counters { /* written by the worker, read relaxed */
	uint64_t http_requests, http_responses, tls_hellos, dns_messages;
	uint64_t gaps, limits, http_smuggling, http_malformed, http_encoding, tls_malformed,
		dns_malformed;
};

struct app_bytes {
	const uint8_t *data;
	size_t size;
};

/* A message, or a piece of its body, as it is told. */
struct app_message {
	enum app_protocol protocol;
	bool to_server;
	enum app_stage after, stage; /* rules of stages beyond `after`, up to stage */
	struct app_bytes head;       /* HTTP: line and headers; TLS: hello; DNS: message */
	/* With APP_STAGE_BODY: what is new begins at fresh; data[0] is at position of the body. */
	struct app_bytes body;
	size_t fresh;
	uint64_t position;
	struct detect_stream *body_state;
};

struct app_listener {
	void (*message)(void *context, const struct app_message *message);
	void *context;
};

struct app; /* state of a flow: two parsers */

struct app_input {
	struct arena *arena;
	struct app_counters *counters;
	const struct app_listener *listener;
	bool to_server;
	bool wants_body; /* rules look at bodies of this direction */
	uint16_t client_port, server_port;
};

/* What a flow keeps. Zeroed when the flow is created. */
struct app_flow {
	struct app *app;
	uint8_t protocol; /* enum app_protocol */
	bool is_started[2], is_given_up[2], is_done;
	uint64_t from[2], next[2]; /* stream positions: of the first byte that was seen, and behind
				    * the last one; to server, to client */
};

/*
 * Bytes of a stream, in order: window[0, size), of which [fresh, size) are new and window[0] is at
 * position. What was told before by a call whose bytes did not go on is not told again.
 */
enum app_outcome app_stream(struct app_flow *flow, const struct app_input *input,
	const uint8_t *window, size_t size, size_t fresh, uint64_t position);

/* The payload of a datagram. */
enum app_outcome app_datagram(
	struct app_flow *flow, const struct app_input *input, const uint8_t *payload, size_t size);

/* The protocol that the flow would have with these bytes; changes nothing. */
enum app_protocol app_peek(const struct app_flow *flow, const struct app_input *input,
	const uint8_t *window, size_t size, size_t fresh, uint64_t position);

enum app_protocol app_peek_datagram(const struct app_flow *flow, const struct app_input *input,
	const uint8_t *payload, size_t size);

/* For a flow whose messages nobody reads: notes its protocol alone. */
void app_note_stream(struct app_flow *flow, const struct app_input *input, const uint8_t *window,
	size_t size, size_t fresh, uint64_t position);

/* Gives all memory back and forgets the flow; with is_done, what protocol it has is kept. */
void app_release(struct app_flow *flow, struct arena *arena, bool is_done);

const struct app_summary *app_summary(const struct app_flow *flow); /* NULL: nothing to tell */
