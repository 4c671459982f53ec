/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames, and a ruleset of the rules under test, for the tests of detection. */
#pragma once

#include "packet/inspect/builtin/detect.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct frame {
	uint8_t bytes[2048];
	size_t size;
};

struct ends {
	const char *source, *destination; /* IPv4 or IPv6, both of one kind */
	uint16_t source_port, destination_port;
};

static const struct ends client_to_server = {"192.0.2.1", "198.51.100.9", 40000, 80};
static const struct ends server_to_client = {"198.51.100.9", "192.0.2.1", 80, 40000};

static inline void put(struct frame *frame, const void *bytes, size_t size)
{
	assert_true(frame->size + size <= sizeof(frame->bytes));
	memcpy(frame->bytes + frame->size, bytes, size);
	frame->size += size;
}

static inline void put_u16(struct frame *frame, unsigned int value)
{
	put(frame, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static inline void put_u32(struct frame *frame, uint32_t value)
{
	put_u16(frame, value >> 16);
	put_u16(frame, value & 0xffff);
}

/* Ethernet and IP; size is what follows. */
static inline void put_ip(
	struct frame *frame, const struct ends *ends, uint8_t protocol, size_t size)
{
	uint8_t address[16];
	bool is_ipv4 = inet_pton(AF_INET, ends->source, address) == 1;

	frame->size = 0;
	put(frame, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01", 12);
	put_u16(frame, is_ipv4 ? 0x0800 : 0x86dd);
	if (is_ipv4) {
		put_u16(frame, 0x4500);
		put_u16(frame, 20 + (unsigned int)size);
		put_u32(frame, 0x12340000);
		put(frame, (uint8_t[]){64, protocol, 0, 0}, 4);
	} else {
		put_u32(frame, 0x60000000);
		put_u16(frame, (unsigned int)size);
		put(frame, (uint8_t[]){protocol, 64}, 2);
		inet_pton(AF_INET6, ends->source, address);
	}
	put(frame, address, is_ipv4 ? 4 : 16);
	assert_int_equal(inet_pton(is_ipv4 ? AF_INET : AF_INET6, ends->destination, address), 1);
	put(frame, address, is_ipv4 ? 4 : 16);
}

static inline void make_tcp(struct frame *frame, const struct ends *ends, uint8_t flags,
	const void *payload, size_t size)
{
	put_ip(frame, ends, IPPROTO_TCP, 20 + size);
	put_u16(frame, ends->source_port);
	put_u16(frame, ends->destination_port);
	put_u32(frame, 1000);
	put_u32(frame, 2000);
	put(frame, (uint8_t[]){0x50, flags, 0x10, 0x00, 0, 0, 0, 0}, 8);
	put(frame, payload, size);
}

static inline void make_udp(
	struct frame *frame, const struct ends *ends, const void *payload, size_t size)
{
	put_ip(frame, ends, IPPROTO_UDP, 8 + size);
	put_u16(frame, ends->source_port);
	put_u16(frame, ends->destination_port);
	put_u16(frame, 8 + (unsigned int)size);
	put_u16(frame, 0);
	put(frame, payload, size);
}

static inline void make_icmp(struct frame *frame, const struct ends *ends, uint8_t type,
	uint8_t code, const void *payload, size_t size)
{
	bool is_ipv6 = strchr(ends->source, ':') != NULL;

	put_ip(frame, ends, is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, 8 + size);
	put(frame, (uint8_t[]){type, code, 0, 0, 0, 1, 0, 1}, 8);
	put(frame, payload, size);
}

/* ---- rulesets ---- */

static inline json_t *test_variables(void)
{
	return json_pack("{s:[s,s], s:s, s:[i,s], s:s}", "HOME_NET", "192.0.2.0/24",
		"2001:db8::/32", "EXTERNAL_NET", "!$HOME_NET", "HTTP_PORTS", 80, "8000:8080",
		"LOOP", "[$LOOP]");
}

/* Compiles text; NULL when it was refused as invalid. report may be NULL. */
static inline struct ruleset *try_rules(const char *text, json_t **report, struct error *error)
{
	struct ruleset_file file = {"test.rules", text, strlen(text)};
	json_t *variables = test_variables();
	struct ruleset *ruleset;

	(void)ruleset_compile(&file, 1, variables, 1, NULL, &ruleset, report, error);
	json_decref(variables);
	return ruleset;
}

static inline struct ruleset *compile_rules(const char *text)
{
	json_t *report = NULL;
	struct error error;
	struct ruleset *ruleset = try_rules(text, &report, &error);

	if (!ruleset)
		fail_msg("%s", error.text);
	if (json_integer_value(json_object_get(report, "refused")) != 0)
		fail_msg("refused: %s", json_dumps(report, 0));
	json_decref(report);
	return ruleset;
}

/* ---- one packet ---- */

struct look {
	struct detect_flow *flow;
	bool to_server, is_established, is_in_stream;
	uint64_t now_ns;
};

static inline void detect_frame(const struct ruleset *ruleset, const struct frame *frame,
	struct look look, struct detect_result *result)
{
	struct decoded decoded;
	struct detect_context context = {
		.packet = &decoded,
		.flow = look.flow,
		.to_server = look.to_server,
		.is_established = look.is_established,
		.is_in_stream = look.is_in_stream,
		.now_ns = look.now_ns,
	};

	decode_frame(frame->bytes, frame->size, &decoded);
	detect_result_init(result);
	detect_packet(ruleset, 0, &context, result);
	detect_result_finish(result);
}
