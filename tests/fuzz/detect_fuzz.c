/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Detection on arbitrary frames and streams. Besides not failing: what a rule finds in a stream as
 * a whole, it finds too when the stream comes in pieces.
 */
#include "packet/inspect/builtin/detect.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULES 13
#define HEAD  4 /* bytes of the input that steer */

/* Each holds once its bytes are there, whatever follows: the property above asks for it. */
static const char stream_rules[] =
	"alert tcp any any -> any any (content:\"ab\"; sid:1;)\n"
	"alert tcp any any -> any any (content:\"ab\"; content:\"cd\"; distance:1; sid:2;)\n"
	"alert tcp any any -> any any (content:\"ab\"; content:\"cd\"; within:4; content:\"a\"; "
	"distance:-3; sid:3;)\n"
	"alert tcp any any -> any any (content:\"AB\"; nocase; content:\"c\"; offset:2; depth:8; "
	"sid:4;)\n"
	"alert tcp any any -> any any (content:\"a\"; pcre:\"/b[cd]+a/R\"; sid:5;)\n"
	"alert tcp any any -> any any (pcre:\"/c.{0,3}d/s\"; sid:6;)\n"
	"alert tcp any any -> any any (content:\"d\"; byte_test:1,>,96,1,relative; content:\"b\"; "
	"distance:2; within:3; sid:7;)\n"
	"alert tcp any any -> any any (content:\"c\"; byte_jump:1,0,relative,post_offset -95; "
	"content:\"d\"; within:2; sid:8;)\n"
	"alert tcp any any -> any any (content:\"ab\"; startswith; content:\"bb\"; distance:0; "
	"sid:9;)\n"
	"alert tcp any any -> any any (content:\"abcdabcdabcdabcdabcdabcdabcdabcdab\"; sid:10;)\n"
	"alert tcp any any -> any any (content:\"b\"; isdataat:3,relative; content:\"dd\"; "
	"sid:11;)\n"
	"alert tcp any any -> any any (content:\"cc\"; content:\"bb\"; content:\"aa\"; sid:12;)\n";

static const char packet_rules[] =
	"drop ip any any -> any any (content:\"ab\"; content:!\"cd\"; distance:0; sid:1;)\n"
	"alert udp any [1:1024,!53] <> 192.0.2.0/24 any (dsize:>4; content:\"a\"; endswith; "
	"sid:2;)\n"
	"reject tcp any any -> any any (flags:S+,12; ttl:<65; window:>1; sid:3;)\n"
	"alert icmp any any -> any any (itype:>3; icode:<9; sid:4;)\n"
	"alert tcp any any -> any any (flow:established,to_server; content:\"b\"; flowbits:set,x; "
	"sid:5;)\n"
	"alert tcp any any -> any any (flowbits:isset,x; content:\"c\"; replace:\"d\"; sid:6;)\n"
	"alert ip any any -> any any (threshold:type both,track by_src,count 2,seconds 9; sid:7;)\n"
	"alert ip6 any any -> any any (ip_proto:!17; id:1; tos:!0; sid:8;)\n"
	"alert ip any any -> any any (isdataat:!9; pcre:\"/^(a+)+$/\"; "
	"byte_test:4,<,9,-4,relative; sid:9;)\n"
	"pass udp any any -> any 53 (content:\"|00|\"; offset:3; depth:9; sid:10;)\n"
	"alert ip any any -> any any (content:\"a\"; byte_extract:1,0,n,relative; "
	"byte_math:bytes 2,offset n,oper -,rvalue n,result m,relative; content:\"b\"; distance:n; "
	"within:m; byte_jump:1,m; isdataat:n; sid:11;)\n"
	"alert ip any any -> any any (fragbits:!M; ipopts:any; sid:12;)\n"
	"alert icmp any any -> any any (icmp_id:>1; icmp_seq:<9; sid:13;)\n"
	"alert tcp any any -> any any (tcp.mss:>1; sid:14;)\n"
	"rate_filter gen_id 1, sig_id 4, track by_src, count 1, seconds 9, new_action drop, "
	"timeout "
	"9\nsuppress gen_id 1, sig_id 8, track by_either, ip 192.0.2.0/24\n";

static struct ruleset *compile(const char *text)
{
	struct ruleset_file file = {"fuzz.rules", text, strlen(text)};
	struct ruleset *ruleset;
	struct error error;

	if (ruleset_compile(&file, 1, NULL, 1, NULL, &ruleset, NULL, &error) < 0)
		abort();
	return ruleset;
}

static void look_at_packet(
	const struct ruleset *ruleset, const uint8_t *head, const uint8_t *frame, size_t size)
{
	static struct detect_flow flow;
	struct detect_result result;
	struct decoded decoded;
	struct detect_context context = {.packet = &decoded,
		.flow = head[0] & 1 ? &flow : NULL,
		.to_server = head[0] & 2,
		.is_established = head[0] & 4,
		.is_in_stream = head[0] & 8,
		.now_ns = (uint64_t)head[1] << 30};

	decode_frame(frame, size, &decoded);
	detect_result_init(&result);
	detect_packet(ruleset, 0, &context, &result);
	detect_result_finish(&result);
	for (size_t i = 0; i < result.replacement_count; i++)
		if (result.replacements[i].offset + result.replacements[i].size
			> decoded.payload_size)
			abort();
}

/* Notes in found which rules the piece [fresh, size) made match. */
static void feed(const struct ruleset *ruleset, struct detect_stream *stream, const uint8_t *bytes,
	size_t size, size_t fresh, bool *found)
{
	struct decoded decoded = {.ip_version = 4, .protocol = 6, .l4_offset = 34};
	struct detect_context context = {.packet = &decoded, .to_server = true};
	struct detect_result result;

	detect_result_init(&result);
	detect_stream(ruleset, 0, &context, stream, bytes, size, fresh, 0, SIZE_MAX, &result);
	detect_result_finish(&result);
	for (size_t i = 0; i < result.alert_count; i++)
		found[result.alerts[i].rule->sid] = true;
}

static void look_at_stream(
	const struct ruleset *ruleset, const uint8_t *head, const uint8_t *bytes, size_t size)
{
	bool whole[RULES] = {0}, pieces[RULES] = {0};
	struct detect_stream stream = {0};
	size_t fresh = 0, turn = 0;

	if (size > DETECT_WINDOW_BYTES)
		return;
	feed(ruleset, &stream, bytes, size, 0, whole);
	stream = (struct detect_stream){0};
	while (fresh < size) {
		size_t piece = 1 + head[turn++ % HEAD] % 64, end = fresh + piece;

		end = end < size ? end : size;
		feed(ruleset, &stream, bytes, end, fresh, pieces);
		fresh = end;
	}
	for (size_t i = 0; i < RULES; i++)
		if (whole[i] && !pieces[i])
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ruleset *for_packets, *for_streams;

	if (!for_packets) {
		for_packets = compile(packet_rules);
		for_streams = compile(stream_rules);
	}
	if (size < HEAD)
		return 0;
	look_at_packet(for_packets, data, data + HEAD, size - HEAD);
	look_at_stream(for_streams, data, data + HEAD, size - HEAD);
	return 0;
}
