/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/params.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct error error;

static void rejects_unknown_parameters(void **state)
{
	static const char *const names[] = {"path", NULL};
	json_t *params = json_pack("{s:s, s:i}", "path", "/a", "extra", 1);

	assert_int_equal(params_only(params, names, &error), -EINVAL);
	json_object_del(params, "extra");
	assert_int_equal(params_only(params, names, &error), 0);
	assert_int_equal(params_only(NULL, names, &error), 0);
	json_decref(params);
}

static void rejects_paths_that_lead_elsewhere(void **state)
{
	assert_true(path_is_clean("/run/bulkhead/control.sock"));
	assert_true(path_is_clean("/etc/bulkhead/rules/*.rules"));
	assert_true(path_is_clean("/a/..b/...")); /* strange names, but names */
	assert_false(path_is_clean(""));
	assert_false(path_is_clean("/"));
	assert_false(path_is_clean("relative"));
	assert_false(path_is_clean("/a/../b"));
	assert_false(path_is_clean("/a/.."));
	assert_false(path_is_clean("/./a"));
	assert_false(path_is_clean("/a//b"));
	assert_false(path_is_clean("/a/"));
	assert_false(path_is_clean("/a\nb"));
}

static void rejects_paths_that_are_too_long(void **state)
{
	char path[20] = {0}, text[64];
	json_t *params;

	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[20] = '\0';
	params = json_pack("{s:s}", "path", text);
	assert_int_equal(params_path(params, "path", sizeof(path), path, &error), -EINVAL);
	json_decref(params);
	text[19] = '\0';
	params = json_pack("{s:s}", "path", text);
	assert_int_equal(params_path(params, "path", sizeof(path), path, &error), 0);
	assert_string_equal(path, text);
	json_decref(params);
}

static int read_interface(json_t *value)
{
	json_t *params = json_pack("{s:o}", "interface", value);
	char name[IFNAMSIZ];
	int status = params_interface(params, "interface", name, &error);

	json_decref(params);
	return status;
}

static void rejects_names_that_are_no_interface(void **state)
{
	assert_int_equal(read_interface(json_string("sea0")), 0);
	assert_int_equal(read_interface(json_string("abcdefghijklmno")), 0);
	assert_int_equal(read_interface(json_string("abcdefghijklmnop")), -EINVAL);
	assert_int_equal(read_interface(json_string("")), -EINVAL);
	assert_int_equal(read_interface(json_string("a/b")), -EINVAL);
	assert_int_equal(read_interface(json_string("tap%d")), -EINVAL);
	assert_int_equal(read_interface(json_string("..")), -EINVAL);
	assert_int_equal(read_interface(json_string("-a")), -EINVAL);
	assert_int_equal(read_interface(json_integer(7)), -EINVAL);
	assert_int_equal(read_interface(json_stringn("a\0b", 3)), -EINVAL);
}

static void integers_have_bounds(void **state)
{
	json_t *params = json_pack("{s:i, s:s}", "queues", 17, "text", "1");
	int64_t value = 1;

	assert_int_equal(params_integer(params, "queues", false, 1, 16, &value, &error), -EINVAL);
	assert_int_equal(params_integer(params, "queues", false, 1, 17, &value, &error), 0);
	assert_int_equal(value, 17);
	assert_int_equal(params_integer(params, "text", false, 1, 16, &value, &error), -EINVAL);
	assert_int_equal(params_integer(params, "absent", false, 1, 16, &value, &error), 0);
	assert_int_equal(value, 17);
	assert_int_equal(params_integer(params, "absent", true, 1, 16, &value, &error), -EINVAL);
	json_decref(params);
}

static int read_mac(const char *text, struct mac_param *mac)
{
	json_t *params = json_pack("{s:s}", "mac", text);
	int status = params_mac(params, "mac", mac, &error);

	json_decref(params);
	return status;
}

static void rejects_what_is_no_unicast_mac(void **state)
{
	const uint8_t wanted[] = {0x52, 0x54, 0, 0x12, 0x34, 0xaf};
	struct mac_param mac = {0};

	assert_int_equal(read_mac("52:54:00:12:34:AF", &mac), 0);
	assert_memory_equal(mac.bytes, wanted, 6);
	assert_int_equal(read_mac("52:54:00:12:34", &mac), -EINVAL);
	assert_int_equal(read_mac("52:54:00:12:34:5", &mac), -EINVAL);
	assert_int_equal(read_mac("525:4:00:12:34:56", &mac), -EINVAL);
	assert_int_equal(read_mac("01:00:5e:00:00:01", &mac), -EINVAL);
	assert_int_equal(read_mac("ff:ff:ff:ff:ff:ff", &mac), -EINVAL);
}

static void reads_addresses_with_prefixes(void **state)
{
	struct address_param address;

	assert_int_equal(address_parse("192.0.2.1/24", &address), 0);
	assert_int_equal(address.family, AF_INET);
	assert_int_equal(address.prefix, 24);
	assert_int_equal(address_parse("2001:db8::1/64", &address), 0);
	assert_int_equal(address.family, AF_INET6);
	assert_int_equal(address_parse("::1", &address), 0);
	assert_int_equal(address.prefix, 128);
}

static void rejects_malformed_addresses(void **state)
{
	static const char *const texts[] = {"", "/24", "192.0.2.1/33", "192.0.2.1/", "192.0.2.1/2x",
		"192.0.2.1/-1", "192.0.2/24", "::1/129", "192.0.2.1/0024", "localhost",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"};
	struct address_param address;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(address_parse(texts[i], &address), -EINVAL);
}

static void address_list_names_the_wrong_element(void **state)
{
	struct address_param list[PARAMS_ADDRESSES_MAX];
	json_t *params = json_pack("{s:[s, s]}", "addresses", "192.0.2.1/24", "192.0.2.2");
	size_t count;

	assert_int_equal(params_addresses(params, "addresses", list, &count, &error), -EINVAL);
	assert_non_null(strstr(error.text, "element 1"));
	json_decref(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rejects_unknown_parameters),
		cmocka_unit_test(rejects_paths_that_lead_elsewhere),
		cmocka_unit_test(rejects_paths_that_are_too_long),
		cmocka_unit_test(rejects_names_that_are_no_interface),
		cmocka_unit_test(integers_have_bounds),
		cmocka_unit_test(rejects_what_is_no_unicast_mac),
		cmocka_unit_test(reads_addresses_with_prefixes),
		cmocka_unit_test(rejects_malformed_addresses),
		cmocka_unit_test(address_list_names_the_wrong_element),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
