/* SPDX-License-Identifier: BSD-3-Clause */
/* What rules see of a head of HTTP (I6): as a server would take it, however it is written. */
#include "packet/inspect/builtin/app/http_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint8_t out[4096];

static struct app_bytes text_bytes(const char *text)
{
	return (struct app_bytes){(const uint8_t *)text, strlen(text)};
}

static void assert_target(const char *target, const char *expected)
{
	size_t size = http_normalise_target(text_bytes(target), out);

	out[size] = '\0';
	assert_string_equal((const char *)out, expected);
	assert_true(size <= strlen(target));
}

/* The expectations were taken from Suricata 7.0.10 with libhtp's IDS personality. */
static void normalises_targets(void **state)
{
	(void)state;
	assert_target("/AbC/../d/./e//f\\g", "/d/e/f/g");
	assert_target("/a%2fb%5cc", "/a/b/c");
	assert_target("/%61%u0062%2561", "/ab%61");
	assert_target("/a?q=%41+b%u0063%2541", "/a?q=A+b%u0063%41");
	assert_target("http://Hst:81/p?x#frag", "/p?x#frag");
	assert_target("/a%zz", "/a%zz");
	assert_target("/..%2f../etc/passwd", "/etc/passwd");
	assert_target("/%c0%af/", "/");
	assert_target("/a;p=1/x", "/a;p=1/x");
	assert_target("/\xc3\xa9/%C3%A9", "/\xe9/\xe9");
	assert_target("/x/%2e%2e/y", "/y");
	assert_target("/a//b?c//d/../e", "/a/b?c//d/../e");
	assert_target("%", "%");
	assert_target("", "");
	assert_target("*", "*");
	assert_target("/%uff0e%uff0e/x", "/x");
}

static struct http_head *head_of(const char *text)
{
	static struct http_head head;

	http_head_read(&head, text_bytes(text));
	return &head;
}

static void reads_lines_and_headers(void **state)
{
	const struct http_head *head =
		head_of("GET \t /x HTTP/1.1\r\nHost:  Example.COM:8080 \r\nX-A: 1\nx-a: 2\r\n"
			"X-F: one\r\n  two\r\nCookie: a=b\r\n\r\n");

	(void)state;
	assert_memory_equal(head->words[HTTP_METHOD].data, "GET", 3);
	assert_int_equal(head->words[HTTP_TARGET].size, 2);
	assert_int_equal(head->words[HTTP_VERSION].size, 8);
	assert_int_equal(head->header_count, 5);
	assert_int_equal(http_host(head, false, out, sizeof(out)), 11);
	assert_memory_equal(out, "example.com", 11);
	assert_int_equal(http_host(head, true, out, sizeof(out)), 16);
	assert_int_equal(http_values(head, "x-a", out), 4);
	assert_memory_equal(out, "1, 2", 4);
	assert_int_equal(http_values(head, "X-F", out), 8);
	assert_memory_equal(out, "one  two", 8);
}

static void makes_buffers_of_headers(void **state)
{
	static const char block[] = "Host: h\r\nX-A: 1, 2\r\n";
	static const char names[] = "\r\nHost\r\nX-A\r\nCookie\r\n\r\n";
	const struct http_head *head =
		head_of("GET / HTTP/1.1\r\nHost:h\r\nX-A: 1\r\nCookie: c\r\nX-A: 2\r\n\r\n");

	(void)state;
	assert_int_equal(http_header_block(head, false, out), sizeof(block) - 1);
	assert_memory_equal(out, block, sizeof(block) - 1);
	assert_int_equal(http_header_names(head, out), sizeof(names) - 1);
	assert_memory_equal(out, names, sizeof(names) - 1);
}

static void lines_without_name_stay_within_the_room_that_is_told(void **state)
{
	const char *text = "G / HTTP/1.1\na\nb\nc\nd\ne\nf\ng\nh\n\n";
	const struct http_head *head = head_of(text);

	(void)state;
	assert_int_equal(head->header_count, 8);
	assert_int_equal(http_header_block(head, true, out), 8 * 5);
	assert_true(8 * 5 <= 3 * head->block.size);
}

static void takes_the_host_of_an_absolute_target(void **state)
{
	const struct http_head *head =
		head_of("GET http://user@[2001:DB8::1]:80/x HTTP/1.1\r\nHost: other\r\n\r\n");

	(void)state;
	assert_int_equal(http_host(head, false, out, sizeof(out)), 13);
	assert_memory_equal(out, "[2001:db8::1]", 13);
	assert_int_equal(http_host(head, true, out, sizeof(out)), 13);
	assert_memory_equal(out, "[2001:DB8::1]", 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalises_targets),
		cmocka_unit_test(reads_lines_and_headers),
		cmocka_unit_test(makes_buffers_of_headers),
		cmocka_unit_test(lines_without_name_stay_within_the_room_that_is_told),
		cmocka_unit_test(takes_the_host_of_an_absolute_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
