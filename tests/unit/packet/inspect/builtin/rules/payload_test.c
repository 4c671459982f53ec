/* SPDX-License-Identifier: BSD-3-Clause */
/* Payload options of rules, each where it matches and where it does not. I6 */
#include "detect_fixture.h"

#include "packet/inspect/builtin/rules/match_payload.h"
#include "packet/inspect/builtin/rules/ruleset.h"

struct sample {
	const char *options, *payload;
	size_t size; /* 0: of the text */
	bool is_match;
};

static bool udp_matches(const char *options, const void *payload, size_t size)
{
	struct detect_result result;
	struct ruleset *ruleset;
	struct frame frame;
	char text[1024];

	snprintf(text, sizeof(text), "alert udp any any -> any any (msg:\"test\"; %s sid:1;)",
		options);
	ruleset = compile_rules(text);
	make_udp(&frame, &client_to_server, payload, size);
	detect_frame(ruleset, &frame, (struct look){.to_server = true}, &result);
	ruleset_destroy(ruleset);
	return result.alert_count > 0;
}

static void check(const struct sample *samples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = samples[i].size ? samples[i].size : strlen(samples[i].payload);

		if (udp_matches(samples[i].options, samples[i].payload, size)
			!= samples[i].is_match)
			fail_msg("%s on \"%s\": expected %s", samples[i].options,
				samples[i].payload, samples[i].is_match ? "a match" : "none");
	}
}

#define CHECK(...)                                                                                 \
	do {                                                                                       \
		static const struct sample samples[] = {__VA_ARGS__};                              \
		check(samples, sizeof(samples) / sizeof(samples[0]));                              \
	} while (0)

static void content_finds_its_bytes_anywhere(void **state)
{
	CHECK({"content:\"abc\";", "abc", 0, true}, {"content:\"abc\";", "xxabcxx", 0, true},
		{"content:\"abc\";", "xxab", 0, false}, {"content:\"abc\";", "ABC", 0, false},
		{"content:\"a|00 62|c\";", "xa\0bcx", 6, true},
		{"content:\"a|0062|c\";", "abc", 0, false},
		{"content:\"a\\;b\\\"c\\:d\\\\\";", "a;b\"c:d\\", 0, true},
		{"content:\"a\"; content:\"b\";", "b a", 0, true},
		{"content:\"a\"; content:\"b\";", "c a", 0, false});
}

static void nocase_folds_letters_alone(void **state)
{
	CHECK({"content:\"aBc1\"; nocase;", "xAbC1", 0, true},
		{"content:\"aBc1\"; nocase;", "xAbC2", 0, false},
		{"content:\"[\"; nocase;", "{", 0, false},
		{"content:\"a\"; content:\"BC\"; nocase; distance:0;", "abc", 0, true});
}

static void negated_content_must_be_absent(void **state)
{
	CHECK({"content:\"a\"; content:!\"b\";", "a c", 0, true},
		{"content:\"a\"; content:!\"b\";", "b a", 0, false},
		{"content:!\"b\";", "a", 0, true}, {"content:!\"b\";", "ab", 0, false},
		{"content:\"a\"; content:!\"b\"; distance:0; within:2;", "axxb", 0, true},
		{"content:\"a\"; content:!\"b\"; distance:0; within:2;", "axb", 0, false},
		{"content:\"a\"; content:!\"b\"; within:1; content:\"c\"; distance:1;", "a-c", 0,
			true},
		/* another "a" without the "b" behind it */
		{"content:\"a\"; content:!\"b\"; within:1;", "abac", 0, true},
		{"content:\"a\"; content:!\"b\"; offset:2;", "ba", 0, true});
}

static void offset_and_depth_bound_the_search(void **state)
{
	CHECK({"content:\"abc\"; offset:2;", "xxabc", 0, true},
		{"content:\"abc\"; offset:3;", "xxabc", 0, false},
		{"content:\"abc\"; depth:3;", "abcx", 0, true},
		{"content:\"abc\"; depth:3;", "xabc", 0, false},
		{"content:\"abc\"; depth:4;", "xabc", 0, true},
		{"content:\"abc\"; offset:1; depth:3;", "xabc", 0, true},
		{"content:\"abc\"; offset:1; depth:3;", "xxabc", 0, false},
		{"content:\"abc\"; offset:100;", "abc", 0, false});
}

static void distance_and_within_count_from_the_last_match(void **state)
{
	CHECK({"content:\"ab\"; content:\"cd\"; distance:2;", "abxxcd", 0, true},
		{"content:\"ab\"; content:\"cd\"; distance:3;", "abxxcd", 0, false},
		{"content:\"ab\"; content:\"cd\"; within:2;", "abcd", 0, true},
		{"content:\"ab\"; content:\"cd\"; within:3;", "abxxcd", 0, false},
		{"content:\"ab\"; content:\"cd\"; distance:1; within:2;", "abxcd", 0, true},
		{"content:\"ab\"; content:\"cd\"; distance:1; within:2;", "abxxcd", 0, false},
		{"content:\"cd\"; content:\"ab\"; distance:-4;", "abcd", 0, true},
		{"content:\"cd\"; content:\"ab\"; distance:-3;", "abcd", 0, false},
		{"content:\"ab\"; distance:2;", "xxab", 0, true});
}

/* The first place of a content need not be the one that leads on. */
static void relative_contents_track_back(void **state)
{
	CHECK({"content:\"a\"; content:\"b\"; within:1;", "a-ab", 0, true},
		{"content:\"a\"; content:\"b\"; distance:0; content:\"c\"; within:1;",
			"a b ab x abc", 0, true},
		{"content:\"a\"; content:\"b\"; distance:1; within:1; content:\"c\"; distance:1; "
		 "within:1;",
			"a-b- a-bc a-b-c", 0, true},
		{"content:\"a\"; content:\"b\"; distance:1; within:1; content:\"c\"; distance:1; "
		 "within:1;",
			"a-b- a-bc ab-c", 0, false},
		{"content:\"a\"; pcre:\"/b+/R\"; content:\"c\"; within:1;", "ab abb- abbc", 0,
			true},
		{"content:\"a\"; content:\"b\"; distance:0; within:3; content:\"z\"; offset:0; "
		 "depth:1;",
			"a--b", 0, false});
}

static void many_decoys_do_not_hide_a_match(void **state)
{
	char payload[1400];

	memset(payload, 'a', sizeof(payload));
	memcpy(payload + sizeof(payload) - 3, "abc", 3);
	assert_true(
		udp_matches("content:\"a\"; content:\"a\"; distance:0; content:\"b\"; within:1; "
			    "content:\"c\"; within:1;",
			payload, sizeof(payload)));
	payload[sizeof(payload) - 1] = 'd';
	assert_false(
		udp_matches("content:\"a\"; content:\"a\"; distance:0; content:\"a\"; distance:0; "
			    "content:\"b\"; within:1; content:\"c\"; within:1;",
			payload, sizeof(payload)));
}

static void startswith_and_endswith_pin_the_ends(void **state)
{
	CHECK({"content:\"ab\"; startswith;", "abc", 0, true},
		{"content:\"ab\"; startswith;", "xab", 0, false},
		{"content:\"bc\"; endswith;", "abc", 0, true},
		{"content:\"bc\"; endswith;", "abcx", 0, false},
		{"content:\"ab\"; endswith;", "abxab", 0, true},
		{"content:\"ab\"; startswith; endswith;", "ab", 0, true},
		{"content:\"ab\"; startswith; endswith;", "abab", 0, false},
		{"content:\"x\"; content:\"ab\"; distance:0; endswith;", "xabab", 0, true},
		{"content:!\"ab\"; endswith;", "abx", 0, true},
		{"content:!\"ab\"; endswith;", "xab", 0, false});
}

static void fast_pattern_changes_nothing_but_speed(void **state)
{
	CHECK({"content:\"a\"; fast_pattern; content:\"bcdef\";", "bcdef a", 0, true},
		{"content:\"a\"; fast_pattern; content:\"bcdef\";", "bcde a", 0, false},
		{"content:\"abcdef\"; fast_pattern:1,3;", "abcdef", 0, true},
		{"content:\"abcdef\"; fast_pattern:1,3;", "xbcdxx", 0, false},
		{"content:\"abcdef\"; fast_pattern:only; nocase;", "ABCDEF", 0, true},
		{"content:\"0123456789012345678901234567890123456789\";",
			"x0123456789012345678901234567890123456789", 0, true},
		{"content:\"0123456789012345678901234567890123456789\";",
			"x012345678901234567890123456789012345678x", 0, false});
}

/* ReDoS: each of 64,000 starts would read the rest of the payload, four thousand million bytes. */
static void pcre_in_a_chain_is_bounded_by_what_it_reads(void **state)
{
	struct ruleset *ruleset = compile_rules(
		"alert udp any any -> any any (pcre:\"/a[^b]*c/\"; content:\"z\"; distance:0; "
		"within:1; sid:1;)");
	static uint8_t bytes[64000];
	struct payload payload = {bytes, sizeof(bytes), 0};
	struct payload_matcher matcher;

	assert_int_equal(payload_matcher_open(&matcher), 0);
	memset(bytes, 'a', sizeof(bytes));
	bytes[sizeof(bytes) - 1] = 'c';
	assert_false(payload_matches(&matcher, ruleset->rules[0], &payload));
	assert_int_equal(matcher.limits_exceeded, 1);
	payload_matcher_close(&matcher);
	ruleset_destroy(ruleset);
}

static void pcre_matches_with_its_options(void **state)
{
	CHECK({"pcre:\"/a.c/\";", "xabc", 0, true}, {"pcre:\"/a.c/\";", "ABC", 0, false},
		{"pcre:\"/a.c/i\";", "ABC", 0, true}, {"pcre:\"/a.c/\";", "a\nc", 0, false},
		{"pcre:\"/a.c/s\";", "a\nc", 0, true}, {"pcre:\"/^b/\";", "a\nb", 0, false},
		{"pcre:\"/^b/m\";", "a\nb", 0, true}, {"pcre:\"/a b/x\";", "ab", 0, true},
		{"pcre:\"/b/A\";", "ab", 0, false}, {"pcre:\"/a$/E\";", "a\n", 0, false},
		{"pcre:\"/a$/\";", "a\n", 0, true}, {"pcre:!\"/a.c/\";", "abd", 0, true},
		{"pcre:!\"/a.c/\";", "abc", 0, false}, {"pcre:\"/a\\x3bb\\;/\";", "a;b;", 0, true},
		{"content:\"a\"; pcre:\"/^b/R\";", "ab", 0, true},
		{"content:\"a\"; pcre:\"/^b/R\";", "a-b", 0, false},
		{"content:\"a\"; pcre:\"/b/R\"; content:\"c\"; distance:0;", "c a b", 0, false},
		{"content:\"a\"; pcre:\"/b/R\"; content:\"c\"; distance:0;", "a b c", 0, true});
}

static void isdataat_asks_for_more_bytes(void **state)
{
	CHECK({"content:\"a\"; isdataat:2;", "abc", 0, true},
		{"content:\"a\"; isdataat:3;", "abc", 0, false},
		{"content:\"a\"; isdataat:!3;", "abc", 0, true},
		{"content:\"a\"; isdataat:2,relative;", "xabc", 0, true},
		{"content:\"a\"; isdataat:3,relative;", "xabc", 0, false},
		{"content:\"a\"; isdataat:!1,relative;", "xxa", 0, true},
		{"content:\"a\"; isdataat:!1,relative;", "axx", 0, false},
		{"content:\"a\"; isdataat:!1,relative;", "axa", 0, true});
}

static void byte_test_compares_numbers(void **state)
{
	CHECK({"byte_test:2,>,300,1;", "\0\x01\x2d", 3, true},
		{"byte_test:2,>,301,1;", "\0\x01\x2d", 3, false},
		{"byte_test:2,=,11521,1,little;", "\0\x01\x2d", 3, true},
		{"content:\"a\"; byte_test:1,!=,5,0,relative;", "a\x05", 2, false},
		{"content:\"a\"; byte_test:1,!=,5,0,relative;", "a\x05 a\x06", 5, true},
		{"byte_test:1,&,0x80,0;", "\x81", 1, true},
		{"byte_test:1,&,0x40,0;", "\x81", 1, false},
		{"byte_test:1,!&,0x40,0;", "\x81", 1, true},
		{"byte_test:1,<=,3,0,bitmask 0xf0;", "\x3f", 1, true},
		{"byte_test:1,<=,3,0,bitmask 0xf0;", "\x4f", 1, false},
		{"byte_test:3,=,123,1,string,dec;", "x123", 0, true},
		{"byte_test:3,=,123,1,string,dec;", "xabc", 0, false},
		{"byte_test:2,=,255,0,string,hex;", "ff", 0, true},
		{"byte_test:4,>,0,0;", "\xff\xff\xff", 3, false},
		{"byte_test:1,>,0,-1,relative;", "\xff", 1, false});
}

static void byte_jump_moves_the_position(void **state)
{
	CHECK({"byte_jump:1,0; content:\"x\"; within:1;", "\x02--x", 4, true},
		{"byte_jump:1,0; content:\"x\"; within:1;", "\x03--x-", 5, false},
		{"byte_jump:1,0,multiplier 2; content:\"x\"; within:1;", "\x01--x", 4, true},
		{"byte_jump:1,0,from_beginning; content:\"x\"; within:1;", "\x02-x", 3, true},
		{"byte_jump:1,0,post_offset -1; content:\"x\"; within:1;", "\x02-x-", 4, true},
		{"byte_jump:1,0,align; content:\"x\"; within:1;", "\x03----x", 6, true},
		{"byte_jump:1,0; content:\"-\"; within:1;", "\x7f-", 2, false},
		{"byte_jump:1,0,post_offset -9; content:\"\\:\"; within:1;", ":\x01", 2, false},
		{"byte_jump:1,1,post_offset -9; content:\"\\:\"; within:1;", ":\x01", 2, true},
		{"content:\"a\"; byte_jump:1,0,relative; content:\"x\"; within:1;", "a\x09 a\x01-x",
			7, true},
		{"byte_jump:1,0,from_end,post_offset -2; content:\"x\"; within:1;", "\x01--x", 4,
			true});
}

static void dsize_counts_the_payload(void **state)
{
	CHECK({"dsize:3;", "abc", 0, true}, {"dsize:3;", "abcd", 0, false},
		{"dsize:!3;", "abcd", 0, true}, {"dsize:>2;", "abc", 0, true},
		{"dsize:>3;", "abc", 0, false}, {"dsize:<4;", "abc", 0, true},
		{"dsize:2<>4;", "abc", 0, true}, {"dsize:3<>5;", "abc", 0, false},
		{"dsize:3; content:\"b\";", "abc", 0, true},
		{"dsize:3; content:\"x\";", "abc", 0, false});
}

static void replace_tells_where_to_write_what(void **state)
{
	struct ruleset *ruleset = compile_rules("alert udp any any -> any any (content:\"evil\"; "
						"nocase; replace:\"good\"; sid:1;)");
	struct detect_result result;
	struct frame frame;

	make_udp(&frame, &client_to_server, "an EviL, evil deed", 18);
	detect_frame(ruleset, &frame, (struct look){.to_server = true}, &result);
	assert_int_equal(result.alert_count, 1);
	assert_int_equal(result.action, RULE_ALERT);
	assert_int_equal(result.replacement_count, 2);
	assert_int_equal(result.replacements[0].offset, 3);
	assert_int_equal(result.replacements[1].offset, 9);
	assert_int_equal(result.replacements[0].size, 4);
	assert_memory_equal(result.replacements[0].bytes, "good", 4);
	ruleset_destroy(ruleset);
}

/* I6 */
static void byte_extract_gives_numbers_to_what_follows(void **state)
{
	CHECK({"byte_extract:1,0,n; content:\"x\"; offset:n;", "\3..x", 0, true},
		{"byte_extract:1,0,n; content:\"x\"; offset:n;", "\4..x", 0, false},
		{"byte_extract:1,0,n; content:\"ab\"; depth:n;", "\3ab.", 0, true},
		{"byte_extract:1,0,n; content:\"ab\"; depth:n;", "\3.ab", 0, false},
		{"byte_extract:1,0,n; content:\"x\"; distance:n;", "\2..x", 0, true},
		{"byte_extract:1,0,n; content:\"x\"; distance:n;", "\3..x", 0, false},
		{"byte_extract:1,0,n; content:\"x\"; within:n;", "\3..x", 0, true},
		{"byte_extract:1,0,n; content:\"x\"; within:n;", "\2..x", 0, false},
		{"byte_extract:1,0,n; isdataat:!n,relative;", "\3abc", 4, false},
		{"byte_extract:1,0,n; isdataat:!n,relative;", "\4abc", 4, true},
		{"byte_extract:1,0,n; byte_test:1,=,n,2;", "\7.\7", 3, true},
		{"byte_extract:1,0,n; byte_test:1,>,n,2;", "\7.\7", 3, false},
		{"byte_extract:1,0,n; byte_test:1,=,97,n;", "\2.a", 3, true},
		{"byte_extract:1,0,n; byte_jump:1,n; content:\"z\"; distance:0; within:1;",
			"\2.\1.z", 0, true},
		{"content:\"a\"; byte_extract:2,1,n,relative,little; byte_test:1,=,n,0;",
			"\5a.\5\0", 5, true},
		{"byte_extract:1,0,n,multiplier 2; content:\"x\"; distance:n; within:1;", "\1..x",
			0, true},
		{"byte_extract:1,0,n,align 4; content:\"x\"; distance:n; within:1;", "\3....x", 0,
			true},
		{"byte_extract:3,0,n,string,dec; content:\"x\"; distance:n; within:1;", "002..x", 0,
			true},
		/* Each place of what is before it is tried, with its own number. */
		{"content:\"len\"; byte_extract:1,0,n,relative; content:\"x\"; offset:n; "
		 "depth:1;",
			"len\1 len\12 x", 0, true},
		{"content:\"len\"; byte_extract:1,0,n,relative; content:\"x\"; offset:n; "
		 "depth:1;",
			"len\1 len\11 x", 0, false});
}

/* I6 */
static void byte_math_calculates(void **state)
{
	CHECK({"byte_math:bytes 1,offset 0,oper +,rvalue 2,result n; byte_test:1,=,n,1;", "\5\7", 0,
		      true},
		{"byte_math:bytes 1,offset 0,oper -,rvalue 2,result n; byte_test:1,=,n,1;", "\7\5",
			0, true},
		{"byte_math:bytes 1,offset 0,oper *,rvalue 3,result n; byte_test:1,=,n,1;", "\2\6",
			0, true},
		{"byte_math:bytes 1,offset 0,oper /,rvalue 0,result n; byte_test:1,>,0,1;", "\6\3",
			0, false},
		{"byte_math:bytes 1,offset 0,oper <<,rvalue 2,result n; byte_test:1,=,n,1;", "\1\4",
			0, true},
		{"byte_math:bytes 1,offset 0,oper >>,rvalue 64,result n; byte_test:1,=,n,1;",
			"\6\0", 2, true},
		{"byte_extract:1,1,k; byte_math:bytes 1,offset 0,oper +,rvalue k,result n; "
		 "byte_test:1,=,n,2;",
			"\3\4\7", 0, true},
		{"byte_math:bytes 2,offset 0,oper +,rvalue 0,result n,endian little,bitmask 0xf0; "
		 "byte_test:1,=,n,2;",
			"\x21\0\2", 3, true},
		{"byte_math:bytes 2,offset 0,oper *,rvalue 2,result n,string dec; "
		 "byte_test:1,=,n,2;",
			"12\x18", 0, true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_finds_its_bytes_anywhere),
		cmocka_unit_test(nocase_folds_letters_alone),
		cmocka_unit_test(negated_content_must_be_absent),
		cmocka_unit_test(offset_and_depth_bound_the_search),
		cmocka_unit_test(distance_and_within_count_from_the_last_match),
		cmocka_unit_test(relative_contents_track_back),
		cmocka_unit_test(many_decoys_do_not_hide_a_match),
		cmocka_unit_test(startswith_and_endswith_pin_the_ends),
		cmocka_unit_test(fast_pattern_changes_nothing_but_speed),
		cmocka_unit_test(pcre_in_a_chain_is_bounded_by_what_it_reads),
		cmocka_unit_test(pcre_matches_with_its_options),
		cmocka_unit_test(isdataat_asks_for_more_bytes),
		cmocka_unit_test(byte_test_compares_numbers),
		cmocka_unit_test(byte_jump_moves_the_position),
		cmocka_unit_test(byte_extract_gives_numbers_to_what_follows),
		cmocka_unit_test(byte_math_calculates),
		cmocka_unit_test(dsize_counts_the_payload),
		cmocka_unit_test(replace_tells_where_to_write_what),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
