/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/ip_address.h"

#include "wire/ip_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>

static void reads_and_writes_both_versions(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "::"};
	char text[IP_ADDRESS_TEXT_SIZE];
	struct ip_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(ip_address_parse(texts[i], &address));
		assert_int_equal(address.version, i == 0 ? 4 : 6);
		ip_address_text(&address, text);
		assert_string_equal(text, texts[i]);
	}
	assert_false(ip_address_parse("192.0.2", &address));
	assert_false(ip_address_parse("192.0.2.1/24", &address));
	assert_false(ip_address_parse(NULL, &address));
	assert_int_equal(address.version, 0);
	ip_address_text(&address, text);
	assert_string_equal(text, "");
}

static void reads_prefixes_within_bounds(void **state)
{
	static const char *const wrong[] = {"192.0.2.0/33", "2001:db8::/129",
		"192.0.2.0/4294967320", "/24", "", "host/24",
		"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0000:0001/64"};
	struct ip_address address;
	uint8_t length;

	(void)state;
	assert_true(ip_address_parse_prefix("192.0.2.0/24", &address, &length));
	assert_int_equal(length, 24);
	assert_true(ip_address_parse_prefix("2001:db8::/128", &address, &length));
	assert_int_equal(length, 128);
	assert_true(ip_address_parse_prefix("192.0.2.9", &address, &length));
	assert_int_equal(length, 32);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(ip_address_parse_prefix(wrong[i], &address, &length));
		assert_int_equal(address.version, 0);
	}
	assert_false(ip_address_parse_prefix(NULL, &address, &length));
}

static bool is_within(const char *text, const char *network_text)
{
	struct ip_address address, network;
	uint8_t length;

	assert_true(ip_address_parse(text, &address));
	assert_true(ip_address_parse_prefix(network_text, &network, &length));
	return ip_address_is_within(&address, &network, length);
}

static void tells_what_is_within_a_network(void **state)
{
	(void)state;
	assert_true(is_within("192.0.2.200", "192.0.2.80/24"));
	assert_false(is_within("192.0.3.200", "192.0.2.80/24"));
	assert_true(is_within("192.0.2.127", "192.0.2.64/26"));
	assert_false(is_within("192.0.2.128", "192.0.2.64/26"));
	assert_true(is_within("203.0.113.1", "192.0.2.80/0"));
	assert_true(is_within("192.0.2.80", "192.0.2.80/32"));
	assert_false(is_within("192.0.2.81", "192.0.2.80/32"));
	assert_true(is_within("2001:db8::1:ff", "2001:db8::1:80/121"));
	assert_false(is_within("2001:db8::1:81", "2001:db8::1:1/121"));
	assert_false(is_within("2001:db8::1", "2001:db8::2/128"));
}

static void names_protocols(void **state)
{
	(void)state;
	assert_int_equal(ip_protocol_of("sctp"), IPPROTO_SCTP);
	assert_int_equal(ip_protocol_of("icmpv6"), IPPROTO_ICMPV6);
	assert_int_equal(ip_protocol_of("any"), 0);
	assert_int_equal(ip_protocol_of(NULL), 0);
	assert_string_equal(ip_protocol_name(IPPROTO_UDP), "udp");
	assert_string_equal(ip_protocol_name(0), "any");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_both_versions),
		cmocka_unit_test(reads_prefixes_within_bounds),
		cmocka_unit_test(tells_what_is_within_a_network),
		cmocka_unit_test(names_protocols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
