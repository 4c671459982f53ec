/* SPDX-License-Identifier: BSD-3-Clause */
/* Patterns in streams of TCP, however they are cut into segments. I6 */
#include "detect_fixture.h"

/* A stream as the inspector keeps it, fed piece by piece. */
struct feed {
	const struct ruleset *ruleset;
	struct detect_stream stream;
	struct detect_flow flow;
	uint8_t bytes[65536];
	size_t size, window_from;
	struct detect_result result;
};

static void feed_open(struct feed *feed, const struct ruleset *ruleset)
{
	memset(feed, 0, sizeof(*feed));
	feed->ruleset = ruleset;
}

/* How many alerts the piece gave. */
static size_t feed_bytes(struct feed *feed, const void *bytes, size_t size)
{
	struct decoded decoded;
	struct frame frame;
	struct detect_context context = {.packet = &decoded,
		.flow = &feed->flow,
		.to_server = true,
		.is_established = true,
		.is_in_stream = true};
	size_t fresh = feed->size;

	make_tcp(&frame, &client_to_server, 0x18, bytes, size < 1400 ? size : 0);
	decode_frame(frame.bytes, frame.size, &decoded);
	memcpy(feed->bytes + feed->size, bytes, size);
	feed->size += size;
	feed->window_from = fresh > DETECT_WINDOW_BYTES ? fresh - DETECT_WINDOW_BYTES : 0;
	detect_result_init(&feed->result);
	detect_stream(feed->ruleset, 0, &context, &feed->stream, feed->bytes + feed->window_from,
		feed->size - feed->window_from, fresh - feed->window_from, feed->window_from,
		fresh - feed->window_from, &feed->result);
	detect_packet(feed->ruleset, 0, &context, &feed->result);
	detect_result_finish(&feed->result);
	return feed->result.alert_count;
}

static size_t feed_text(struct feed *feed, const char *text)
{
	return feed_bytes(feed, text, strlen(text));
}

/* Alerts over all pieces of the text, each of piece bytes. */
static size_t feed_pieces(const char *options, const char *text, size_t piece)
{
	char rule[1024];
	struct ruleset *ruleset;
	struct feed *feed = calloc(1, sizeof(*feed));
	size_t size = strlen(text), alerts = 0;

	snprintf(rule, sizeof(rule), "alert tcp any any -> any any (%s sid:1;)", options);
	ruleset = compile_rules(rule);
	feed_open(feed, ruleset);
	for (size_t at = 0; at < size; at += piece)
		alerts += feed_bytes(feed, text + at, at + piece < size ? piece : size - at);
	ruleset_destroy(ruleset);
	free(feed);
	return alerts;
}

static void finds_a_pattern_however_it_is_cut(void **state)
{
	static const char *const options[] = {
		"content:\"GET /evil\";",
		"content:\"get /EVIL\"; nocase;",
		"content:\"GET\"; content:\"evil\"; distance:2; within:4;",
		"content:\"Host\"; content:\"evil\";",
		"pcre:\"/\\/ev.l HTTP/\";",
		"content:\"GET\"; pcre:\"/^ \\/evil/R\";",
		"content:\"GET \"; startswith;",
		"content:\"/evil HTTP/1.1|0d 0a|Host: server.example.org|0d 0a|User\";",
		"content:\"evil\"; fast_pattern:1,2;",
		"flow:established,to_server; content:\"evil\"; content:\"HTTP\"; distance:1; "
		"content:\"GET\"; "
		"distance:-14;",
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		for (size_t piece = 1; piece < 80; piece++) {
			size_t alerts = feed_pieces(options[i],
				"GET /evil HTTP/1.1\r\nHost: server.example.org\r\nUser-Agent: "
				"x\r\n\r\n",
				piece);

			if (alerts != 1)
				fail_msg("%s in pieces of %zu: %zu alerts", options[i], piece,
					alerts);
		}
	}
}

static void tells_each_match_once(void **state)
{
	assert_int_equal(feed_pieces("content:\"evil\";", "evil--evil--evil", 6), 3);
	assert_int_equal(feed_pieces("content:\"evil\"; content:\"x\"; distance:0;",
				 "evil x evil -- y y y y y x", 7),
		2);
	assert_int_equal(feed_pieces("pcre:\"/e.il/\";", "evil------------------------", 2), 1);
	assert_int_equal(
		feed_pieces("pcre:\"/e.il/\"; content:\"-\";", "evil------------------------", 2),
		1);
}

static void an_offset_counts_from_the_start_of_the_stream(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert tcp any any -> any any (content:\"evil\"; offset:20; depth:4; sid:1;)");
	struct feed *feed = calloc(1, sizeof(*feed));

	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "0123456789"), 0);
	assert_int_equal(feed_text(feed, "0123456789"), 0);
	assert_int_equal(feed_text(feed, "evil"), 1);
	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "0123456789"), 0);
	assert_int_equal(feed_text(feed, "012345678-9"), 0);
	assert_int_equal(feed_text(feed, "evil"), 0);
	ruleset_destroy(ruleset);
	free(feed);
}

static void finds_parts_that_are_a_window_apart_at_most(void **state)
{
	struct ruleset *ruleset = compile_rules("alert tcp any any -> any any (content:\"first\"; "
						"content:\"second\"; distance:0; sid:1;)");
	struct feed *feed = calloc(1, sizeof(*feed));
	char filler[1000];

	memset(filler, '-', sizeof(filler));
	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "first"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(feed_bytes(feed, filler, sizeof(filler)), 0);
	assert_int_equal(feed_text(feed, "second"), 1);
	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "first"), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(feed_bytes(feed, filler, sizeof(filler)), 0);
	assert_int_equal(feed->stream.candidate_count, 0);
	assert_int_equal(feed_text(feed, "second"), 0);
	ruleset_destroy(ruleset);
	free(feed);
}

/* More rules wait for their second half than the stream can remember. */
static void many_waiting_rules_are_not_lost(void **state)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	struct ruleset *ruleset;
	char text[4096] = "";

	for (int i = 0; i < 12; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"alert tcp any any -> any any (content:\"first%d-\"; content:\"second\"; "
			"sid:%d;)\n",
			i, i + 1);
	ruleset = compile_rules(text);
	feed_open(feed, ruleset);
	for (int i = 0; i < 12; i++) {
		char part[32];

		snprintf(part, sizeof(part), "first%d-", i);
		assert_int_equal(feed_text(feed, part), 0);
	}
	assert_int_equal(feed_text(feed, "seco"), 0);
	assert_int_equal(feed_text(feed, "nd"), 12);
	ruleset_destroy(ruleset);
	free(feed);
}

/* I5 */
static void a_new_ruleset_looks_back_upon_the_window(void **state)
{
	struct ruleset *old = compile_rules("alert tcp any any -> any any (content:\"x\"; sid:1;)");
	struct ruleset *new = compile_rules("alert tcp any any -> any any (content:\"y\"; sid:1;)\n"
					    "alert tcp any any -> any any (content:\"first\"; "
					    "content:\"second\"; distance:0; sid:2;)");
	struct feed *feed = calloc(1, sizeof(*feed));

	feed_open(feed, old);
	assert_int_equal(feed_text(feed, "first and a long text behind it, x"), 1);
	feed->ruleset = new;
	assert_int_equal(feed_text(feed, "second"), 1);
	assert_int_equal(feed->result.alerts[0].rule->sid, 2);
	ruleset_destroy(old);
	ruleset_destroy(new);
	free(feed);
}

static void a_match_in_the_stream_acts_on_the_flow(void **state)
{
	struct ruleset *ruleset =
		compile_rules("drop tcp any any -> any any (content:\"evil\"; sid:1;)");
	struct feed *feed = calloc(1, sizeof(*feed));

	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "ev"), 0);
	assert_int_equal(feed->result.action, RULE_ALERT);
	assert_int_equal(feed_text(feed, "il"), 1);
	assert_int_equal(feed->result.action, RULE_DROP);
	assert_true(feed->result.applies_to_flow);
	assert_true(feed->result.alerts[0].in_stream);
	ruleset_destroy(ruleset);
	free(feed);
}

/* Options on packets, and rules for packets, see segments. */
static void packet_rules_see_segments_alone(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert tcp any any -> any any (content:\"evil\"; dsize:4; sid:1;)\n"
		"alert tcp-pkt any any -> any any (content:\"evil\"; sid:2;)\n"
		"alert tcp any any -> any any (flow:no_stream; content:\"evil\"; sid:3;)\n"
		"alert tcp any any -> any any (content:\"vil\"; offset:1; depth:3; sid:4;)\n"
		"alert tcp any any -> any any (flow:only_stream; content:\"vil\"; offset:1; "
		"sid:5;)");
	struct feed *feed = calloc(1, sizeof(*feed));

	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "ev"), 0);
	assert_int_equal(feed_text(feed, "il"), 2); /* the stream's 4 and 5 */
	assert_int_equal(feed->result.alerts[0].rule->sid, 4);
	assert_int_equal(feed_text(feed, "evil"), 5);
	ruleset_destroy(ruleset);
	free(feed);
}

/* I3 */
static void replaces_bytes_of_this_packet_and_drops_for_those_that_have_gone(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert tcp any any -> any any (content:\"evil\"; replace:\"good\"; sid:1;)");
	struct feed *feed = calloc(1, sizeof(*feed));

	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "an "), 0);
	assert_int_equal(feed_text(feed, "evil, evil day"), 1);
	assert_int_equal(feed->result.action, RULE_ALERT);
	assert_int_equal(feed->result.replacement_count, 2);
	assert_int_equal(feed->result.replacements[0].offset, 0);
	assert_int_equal(feed->result.replacements[1].offset, 6);
	assert_int_equal(feed_text(feed, "ev"), 0);
	assert_int_equal(feed_text(feed, "il"), 1);
	assert_int_equal(feed->result.replacement_count, 0);
	assert_int_equal(feed->result.action, RULE_DROP);
	assert_true(feed->result.applies_to_flow);
	ruleset_destroy(ruleset);
	free(feed);
}

/* The caller judged a segment and dropped it for another reason: it comes again. */
static void a_segment_that_did_not_go_on_is_judged_again(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert tcp any any -> any any (content:\"first\"; content:\"second\"; sid:1;)");
	struct feed *feed = calloc(1, sizeof(*feed));

	feed_open(feed, ruleset);
	assert_int_equal(feed_text(feed, "first "), 0);
	assert_int_equal(feed_text(feed, "second"), 1);
	feed->size -= 6;
	assert_int_equal(feed_text(feed, "second"), 1);
	assert_int_equal(feed_text(feed, "second"), 0);
	ruleset_destroy(ruleset);
	free(feed);
}

/* Offsets in streams are 64 bits; what is remembered has 32 of them. */
static void goes_on_behind_four_gigabytes(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert tcp any any -> any any (content:\"first\"; content:\"second\"; sid:1;)");
	struct decoded decoded = {.ip_version = 4, .protocol = 6, .l4_offset = 34};
	struct detect_context context = {.packet = &decoded, .to_server = true};
	struct detect_stream stream = {0};
	struct detect_result result;

	detect_result_init(&result);
	detect_stream(ruleset, 0, &context, &stream, (const uint8_t *)"-first", 6, 0, 0xfffffffcULL,
		0, &result);
	assert_int_equal(result.alert_count, 0);
	detect_stream(ruleset, 0, &context, &stream, (const uint8_t *)"-firstsecond", 12, 6,
		0xfffffffcULL, 6, &result);
	assert_int_equal(result.alert_count, 1);
	detect_stream(ruleset, 0, &context, &stream, (const uint8_t *)"-firstsecond-", 13, 12,
		0xfffffffcULL, 12, &result);
	assert_int_equal(result.alert_count, 1);
	ruleset_destroy(ruleset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_pattern_however_it_is_cut),
		cmocka_unit_test(tells_each_match_once),
		cmocka_unit_test(an_offset_counts_from_the_start_of_the_stream),
		cmocka_unit_test(finds_parts_that_are_a_window_apart_at_most),
		cmocka_unit_test(many_waiting_rules_are_not_lost),
		cmocka_unit_test(a_new_ruleset_looks_back_upon_the_window),
		cmocka_unit_test(a_match_in_the_stream_acts_on_the_flow),
		cmocka_unit_test(packet_rules_see_segments_alone),
		cmocka_unit_test(replaces_bytes_of_this_packet_and_drops_for_those_that_have_gone),
		cmocka_unit_test(a_segment_that_did_not_go_on_is_judged_again),
		cmocka_unit_test(goes_on_behind_four_gigabytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
