/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules on buffers of HTTP, TLS and DNS, through the builtin inspector (I6): what an attacker does
 * to slip past, and that the packet which completes a match does not go on.
 */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <zlib.h>

#include <cmocka.h>

#include "../../bench.h"

#define RULES                                                                                      \
	"drop http any any -> any any (http.uri; content:\"/etc/passwd\"; sid:1;)\n"               \
	"drop http any any -> any any (http.method; content:\"POST\"; http.uri; "                  \
	"content:\"/upload\"; http.request_body; content:\"evil body\"; sid:2;)\n"                 \
	"drop http any any -> any any (file.data; content:\"bad word\"; sid:3;)\n"                 \
	"drop http any any -> any any (http.host; content:\"blocked.example\"; bsize:15; "         \
	"sid:4;)\n"                                                                                \
	"drop tcp any any -> any any (content:\"wicked\"; nocase; http_user_agent; sid:5;)\n"      \
	"drop tls any any -> any any (tls.sni; content:\"blocked.example\"; endswith; sid:6;)\n"   \
	"drop dns any any -> any any (dns.query; dotprefix; content:\".blocked.example\"; "        \
	"endswith; nocase; sid:7;)\n"                                                              \
	"drop http any any -> any any (http.stat_code; content:\"418\"; sid:8;)\n"                 \
	"drop http any any -> any any (http.header; content:\"X-Evil|3a 20|one, two\"; sid:9;)\n"  \
	"drop http any any -> any any (urilen:>60; http.method; content:\"GET\"; sid:10;)\n"       \
	"alert http any any -> any any (http.uri; pcre:\"/^\\/seen\\d+$/\"; sid:11;)\n"            \
	"drop dns any any -> any any (dns.opcode:5; sid:12;)\n"                                    \
	"drop tls any any -> any any (ja3.hash; content:\"" JA3 "\"; sid:13;)\n"                   \
	"drop http any any -> any any (http.header_names; content:!\"|0d 0a|Host|0d 0a|\"; "       \
	"http.method; content:\"PUT\"; sid:14;)\n"

/* MD5 of the JA3 string of the hello that make_hello() makes. */
#define JA3 "b2946bdf35f7b0feb4835c4a62a40e2d"

#define CLIENT_START 1000
#define SERVER_START 5000

static uint32_t sent[2]; /* by the client, by the server */

static int open_group(void **state)
{
	(void)state;
	return bench_start("app_test");
}

static int open_bench(void **state)
{
	(void)state;
	if (bench_open(RULES, NULL) < 0)
		return -1;
	sent[0] = sent[1] = 0;
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL);
	return 0;
}

static int close_bench(void **state)
{
	(void)state;
	bench_close();
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
	return 0;
}

static enum outcome say_bytes(bool from_client, const void *bytes, size_t size)
{
	enum outcome outcome = send_segment((struct segment){.from_client = from_client,
		.flags = TCP_ACK | TCP_PSH,
		.sequence = from_client ? CLIENT_START + sent[0] : SERVER_START + sent[1],
		.acknowledgement = from_client ? SERVER_START + sent[1] : CLIENT_START + sent[0],
		.payload = bytes,
		.size = (uint32_t)size});

	if (outcome == PASSED)
		sent[from_client ? 0 : 1] += (uint32_t)size;
	return outcome;
}

static enum outcome client_says(const char *text)
{
	return say_bytes(FROM_CLIENT, text, strlen(text));
}

static enum outcome server_says(const char *text)
{
	return say_bytes(FROM_SERVER, text, strlen(text));
}

/* In pieces; DROPPED as soon as one is. */
static enum outcome say_in_pieces(bool from_client, const void *bytes, size_t size, size_t piece)
{
	enum outcome outcome = PASSED;

	for (size_t at = 0; at < size && outcome == PASSED; at += piece)
		outcome = say_bytes(from_client, (const uint8_t *)bytes + at,
			size - at < piece ? size - at : piece);
	return outcome;
}

static struct app_counters *counters(void)
{
	return &bench_builtin()->workers[0]->app_counters;
}

#define GET(target)     "GET " target " HTTP/1.1\r\nHost: good.example\r\n\r\n"
#define RESPONSE(extra) "HTTP/1.1 200 OK\r\n" extra "\r\n"

/* ---- requests ---- */

static void harmless_exchange_passes(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(client_says(GET("/etc/passages?x=y")), PASSED);
		assert_int_equal(server_says(RESPONSE("Content-Length: 4\r\n") "good"), PASSED);
	}
	assert_int_equal(counters()->http_requests, 3);
	assert_int_equal(counters()->http_responses, 3);
	assert_int_equal(count_events(EVE_ALERT, 0), 0);
}

static void encoded_target_is_found(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/a/..//%65tc\\%70asswd")), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_rule);
	assert_int_equal(count_events(EVE_ALERT, 1), 1);
	/* I2: the flow is dropped with it. */
	assert_int_equal(client_says(GET("/")), DROPPED);
	assert_int_equal(dropped_for(), DROP_inspect_flow);
}

static void request_in_single_bytes_is_dropped_before_it_is_complete(void **state)
{
	const char text[] = GET("/%65tc/passwd");
	size_t line = strlen("GET /%65tc/passwd HTTP/1.1\r\n");

	(void)state;
	assert_int_equal(say_in_pieces(FROM_CLIENT, text, strlen(text), 1), DROPPED);
	assert_int_equal(sent[0], line - 1);
}

static void unknown_method_and_leading_lines_are_no_hiding_place(void **state)
{
	(void)state;
	assert_int_equal(
		client_says("\r\n\r\nFROB /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), DROPPED);
}

static void old_request_without_version_is_found(void **state)
{
	(void)state;
	assert_int_equal(client_says("GET /etc/passwd\n"), DROPPED);
}

static void pipelined_request_is_found(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/a") GET("/b") GET("/etc/passwd")), DROPPED);
}

static void request_behind_a_body_is_found(void **state)
{
	(void)state;
	assert_int_equal(client_says("POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"
				     "GET /etc/passwd HTTP/1.1\r\n\r\n"),
		DROPPED);
}

static void request_behind_chunks_is_found(void **state)
{
	(void)state;
	assert_int_equal(client_says("POST /a HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n"
				     "Transfer-Encoding: chunked\r\nContent-Length: 500\r\n\r\n"
				     "5;ext=1\r\nabcde\r\n0\r\nTrailer: x\r\n\r\n"
				     "GET /etc/passwd HTTP/1.1\r\n\r\n"),
		DROPPED);
	assert_int_equal(counters()->http_smuggling, 1);
}

static void refused_connect_hides_nothing(void **state)
{
	(void)state;
	assert_int_equal(client_says("CONNECT x:1 HTTP/1.1\r\n\r\n"), PASSED);
	assert_int_equal(server_says("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), PASSED);
	assert_int_equal(client_says(GET("/etc/passwd")), DROPPED);
}

static void tunnel_is_not_read_as_http(void **state)
{
	(void)state;
	assert_int_equal(client_says("CONNECT x:1 HTTP/1.1\r\n\r\n"), PASSED);
	assert_int_equal(server_says("HTTP/1.1 200 Connected\r\n\r\n"), PASSED);
	assert_int_equal(client_says(GET("/etc/passwd")), PASSED);
}

static void rule_on_several_buffers_wants_them_of_one_request(void **state)
{
	(void)state;
	assert_int_equal(
		client_says("POST /other HTTP/1.1\r\nContent-Length: 9\r\n\r\nevil body"), PASSED);
	assert_int_equal(
		client_says("POST /upload HTTP/1.1\r\nContent-Length: 9\r\n\r\ngood body"), PASSED);
	assert_int_equal(
		client_says("POST /upload HTTP/1.1\r\nContent-Length: 12\r\n\r\nan evil"), PASSED);
	assert_int_equal(client_says(" body"), DROPPED);
}

static void host_is_compared_in_lower_case_without_port(void **state)
{
	(void)state;
	assert_int_equal(
		client_says("GET / HTTP/1.1\r\nHost: Blocked.EXAMPLE:8080\r\n\r\n"), DROPPED);
}

static void folded_header_is_found(void **state)
{
	(void)state;
	assert_int_equal(
		client_says("GET / HTTP/1.1\r\nUser-Agent: a\r\n\t WiCked\r\n\r\n"), DROPPED);
}

static void duplicate_headers_are_one(void **state)
{
	(void)state;
	assert_int_equal(
		client_says("GET / HTTP/1.1\r\nX-Evil: one\r\nA: b\r\nx-evil: two\r\n\r\n"),
		DROPPED);
}

static void absence_is_judged_by_the_whole_head(void **state)
{
	(void)state;
	assert_int_equal(client_says("PUT / HTTP/1.1\r\n"), PASSED);
	assert_int_equal(client_says("Host: x\r\n\r\n"), PASSED);
	assert_int_equal(client_says("PUT / HTTP/1.1\r\nA: b\r\n\r\n"), DROPPED);
}

static void length_of_the_target_counts(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/0123456789012345678901234567890123456789012345678901234"
					 "567890123456789")),
		DROPPED);
}

static void expression_looks_at_its_buffer_alone(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/seen7x") GET("/seen42")), PASSED);
	assert_int_equal(count_events(EVE_ALERT, 11), 1);
}

static void endless_head_is_left_to_the_policy(void **state)
{
	static char block[8000];
	enum outcome outcome = client_says("GET / HTTP/1.1\r\n");

	(void)state;
	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 20 && outcome == PASSED; i++)
		outcome = say_bytes(FROM_CLIENT, block, 1400);
	for (int i = 0; i < 60 && outcome == PASSED; i++)
		outcome = say_bytes(FROM_CLIENT, block, 1400);
	assert_int_equal(outcome, DROPPED);
	assert_int_equal(dropped_for(), DROP_app_limit);
	assert_int_equal(counters()->limits, 1);
}

/* ---- responses ---- */

static void status_is_judged(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/")), PASSED);
	assert_int_equal(server_says("HTTP/1.1 418 No\r\n\r\n"), DROPPED);
}

static void word_in_a_chunked_body_is_found(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/")), PASSED);
	assert_int_equal(
		server_says(RESPONSE("Transfer-Encoding: chunked\r\n") "3\r\nbad\r\n"), PASSED);
	assert_int_equal(server_says("000001;x\r\n \r\n4\r\nwor"), PASSED);
	assert_int_equal(server_says("d\r\n0\r\n\r\n"), DROPPED);
}

static void body_of_head_is_none(void **state)
{
	(void)state;
	assert_int_equal(client_says("HEAD / HTTP/1.1\r\n\r\n"), PASSED);
	assert_int_equal(client_says(GET("/")), PASSED);
	assert_int_equal(server_says(RESPONSE("Content-Length: 100\r\n")), PASSED);
	assert_int_equal(server_says(RESPONSE("Content-Length: 8\r\n") "bad word"), DROPPED);
}

static size_t compress_text(const char *text, size_t size, int window, uint8_t *out, size_t room)
{
	z_stream stream = {0};

	assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = (z_const Bytef *)text;
	stream.avail_in = (uInt)size;
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	room -= stream.avail_out;
	deflateEnd(&stream);
	return room;
}

static void assert_compressed_is_found(const char *encoding, int window, size_t piece)
{
	static const char text[] = "some text, then a bad word, and more";
	uint8_t bytes[256];
	char head[128];
	size_t size = compress_text(text, strlen(text), window, bytes, sizeof(bytes));

	assert_int_equal(client_says(GET("/")), PASSED);
	snprintf(head, sizeof(head), RESPONSE("Content-Encoding: %s\r\nContent-Length: %zu\r\n"),
		encoding, size);
	assert_int_equal(server_says(head), PASSED);
	assert_int_equal(say_in_pieces(FROM_SERVER, bytes, size, piece), DROPPED);
}

static void word_in_a_gzip_body_is_found(void **state)
{
	(void)state;
	assert_compressed_is_found("gzip", 15 + 16, 7);
}

static void word_in_a_deflate_body_is_found(void **state)
{
	(void)state;
	assert_compressed_is_found("deflate", 15, 1);
}

static void word_in_a_bare_deflate_body_is_found(void **state)
{
	(void)state;
	assert_compressed_is_found("deflate", -15, 1);
}

static void body_that_is_not_compressed_as_it_says_is_looked_at(void **state)
{
	(void)state;
	assert_int_equal(client_says(GET("/")), PASSED);
	assert_int_equal(
		server_says(RESPONSE("Content-Encoding: gzip\r\nContent-Length: 8\r\n") "bad word"),
		DROPPED);
	assert_int_equal(counters()->http_encoding, 1);
}

static void bomb_is_left_to_the_policy(void **state)
{
	static char zeros[32 << 20];
	static uint8_t bytes[64 << 10];
	size_t size = compress_text(zeros, sizeof(zeros), 15 + 16, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(client_says(GET("/")), PASSED);
	assert_int_equal(server_says(RESPONSE("Content-Encoding: gzip\r\n")), PASSED);
	assert_int_equal(say_in_pieces(FROM_SERVER, bytes, size, 1400), DROPPED);
	assert_int_equal(counters()->limits, 1);
}

static void parser_goes_on_after_a_reload(void **state)
{
	(void)state;
	assert_int_equal(client_says("GET /%65tc/pas"), PASSED);
	builtin_inspector.reload(
		inspect_chain->engines[0], bench_compile(RULES, inspect_chain->engines[0]));
	assert_int_equal(client_says("swd HTTP/1.1\r\n\r\n"), DROPPED);
}

/* ---- TLS ---- */

static size_t make_hello(uint8_t *out, const char *name)
{
	static const uint8_t ciphers[] = {0x00, 0x06, 0x13, 0x01, 0x1a, 0x1a, 0xc0, 0x2f};
	size_t size = strlen(name), at = 9;

	memset(out, 0, 9 + 2 + 32 + 1);
	out[at++] = 3;
	out[at++] = 3;
	at += 32 + 1; /* random, no session */
	memcpy(out + at, ciphers, sizeof(ciphers));
	at += sizeof(ciphers);
	out[at++] = 1; /* compression: none */
	out[at++] = 0;
	put16(out + at, (uint32_t)(9 + size + 8));
	put16(out + at + 2, 0); /* server_name */
	put16(out + at + 4, (uint32_t)(5 + size));
	put16(out + at + 6, (uint32_t)(3 + size));
	out[at + 8] = 0;
	put16(out + at + 9, (uint32_t)size);
	memcpy(out + at + 11, name, size);
	at += 11 + size;
	put16(out + at, 10); /* supported_groups */
	put16(out + at + 2, 4);
	put16(out + at + 4, 2);
	put16(out + at + 6, 29);
	at += 8;
	out[5] = 1;
	put16(out + 7, (uint32_t)(at - 9));
	out[0] = 22;
	out[1] = 3;
	out[2] = 1;
	put16(out + 3, (uint32_t)(at - 5));
	return at;
}

static void server_name_is_judged(void **state)
{
	uint8_t hello[256];
	size_t size = make_hello(hello, "www.blocked.example");

	(void)state;
	assert_int_equal(say_bytes(FROM_CLIENT, hello, size), DROPPED);
	assert_int_equal(count_events(EVE_ALERT, 6), 1);
}

static void server_name_over_records_and_segments_is_judged(void **state)
{
	uint8_t hello[256], records[512];
	size_t size = make_hello(hello, "www.blocked.example"), out = 0;

	(void)state;
	for (size_t at = 5; at < size; at += 20) {
		size_t part = size - at < 20 ? size - at : 20;

		memcpy(records + out, "\x16\x03\x01\x00", 4);
		records[out + 4] = (uint8_t)part;
		memcpy(records + out + 5, hello + at, part);
		out += 5 + part;
	}
	assert_int_equal(say_in_pieces(FROM_CLIENT, records, out, 3), DROPPED);
}

static void fingerprint_is_judged(void **state)
{
	uint8_t hello[256];

	(void)state;
	assert_int_equal(say_bytes(FROM_CLIENT, hello, make_hello(hello, "good.example")), DROPPED);
	assert_int_equal(count_events(EVE_ALERT, 13), 1);
}

/* ---- DNS ---- */

static enum outcome ask(const char *query, size_t size)
{
	static struct frame frame;
	uint8_t *udp =
		frame.bytes + put_ipv4(&frame, FROM_CLIENT, IPPROTO_UDP, (uint32_t)(8 + size));

	put16(udp, 40001);
	put16(udp + 2, 53);
	put16(udp + 4, (uint32_t)(8 + size));
	put16(udp + 6, 1);
	memcpy(udp + 8, query, size);
	finish_frame(&frame);
	return submit(to_packet(&frame, FROM_CLIENT, 0));
}

#define ASK(query) ask(query, sizeof(query) - 1)
#define HEADER     "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"

static void query_is_judged(void **state)
{
	(void)state;
	assert_int_equal(ASK(HEADER "\x04good\x07"
				    "example\x00\x00\x01\x00\x01"),
		PASSED);
	assert_int_equal(ASK(HEADER "\x0anotblocked\x07"
				    "example\x00\x00\x01\x00\x01"),
		PASSED);
	assert_int_equal(ASK(HEADER "\x03www\x07"
				    "BlockeD\x07"
				    "example\x00\x00\x01\x00\x01"),
		DROPPED);
	assert_int_equal(counters()->dns_messages, 3);
}

static void opcode_is_judged(void **state)
{
	(void)state;
	assert_int_equal(
		ASK("\x12\x34\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x\x00\x00\x01\x00\x01"),
		DROPPED);
}

static void compression_loop_ends(void **state)
{
	(void)state;
	assert_int_equal(ASK(HEADER "\xc0\x0c\x00\x01\x00\x01"), PASSED);
	assert_int_equal(ASK(HEADER "\x01x\xc0\x0c\x00\x01\x00\x01"), PASSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(harmless_exchange_passes),
		TEST(encoded_target_is_found),
		TEST(request_in_single_bytes_is_dropped_before_it_is_complete),
		TEST(unknown_method_and_leading_lines_are_no_hiding_place),
		TEST(old_request_without_version_is_found),
		TEST(pipelined_request_is_found),
		TEST(request_behind_a_body_is_found),
		TEST(request_behind_chunks_is_found),
		TEST(refused_connect_hides_nothing),
		TEST(tunnel_is_not_read_as_http),
		TEST(rule_on_several_buffers_wants_them_of_one_request),
		TEST(host_is_compared_in_lower_case_without_port),
		TEST(folded_header_is_found),
		TEST(duplicate_headers_are_one),
		TEST(absence_is_judged_by_the_whole_head),
		TEST(length_of_the_target_counts),
		TEST(expression_looks_at_its_buffer_alone),
		TEST(endless_head_is_left_to_the_policy),
		TEST(status_is_judged),
		TEST(word_in_a_chunked_body_is_found),
		TEST(body_of_head_is_none),
		TEST(word_in_a_gzip_body_is_found),
		TEST(word_in_a_deflate_body_is_found),
		TEST(word_in_a_bare_deflate_body_is_found),
		TEST(body_that_is_not_compressed_as_it_says_is_looked_at),
		TEST(bomb_is_left_to_the_policy),
		TEST(parser_goes_on_after_a_reload),
		TEST(server_name_is_judged),
		TEST(server_name_over_records_and_segments_is_judged),
		TEST(fingerprint_is_judged),
		TEST(query_is_judged),
		TEST(opcode_is_judged),
		TEST(compression_loop_ends),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
