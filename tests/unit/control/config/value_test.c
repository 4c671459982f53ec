/* SPDX-License-Identifier: BSD-3-Clause */
/* Single values: units, ranges, canonical forms, and that what is written reads back. */
#include "control/config/value.h"

#include "schema/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The value of text for the option as JSON text; "!" and why it was refused. */
static const char *parse(const char *key, const char *text)
{
	static char out[1024];
	const struct config_option *option = config_option_find(key);
	struct error why;
	json_t *value;
	char *dump;

	assert_non_null(option);
	if (value_parse(option, text, &value, &why) < 0) {
		snprintf(out, sizeof(out), "!%s", why.text);
		return out;
	}
	dump = json_dumps(value, JSON_ENCODE_ANY);
	snprintf(out, sizeof(out), "%s", dump ? dump : "absent");
	free(dump);
	json_decref(value);
	return out;
}

#define assert_parses(key, text, json) assert_string_equal(parse(key, text), json)
#define assert_refuses(key, text, why) assert_non_null(strstr(parse(key, text), why))

static void reads_durations_in_the_unit_of_the_row(void **state)
{
	assert_parses("inspection.deadline", "50ms", "50");
	assert_parses("inspection.deadline", "1.5s", "1500");
	assert_parses("inspection.deadline", "2 s", "2000");
	assert_parses("inspection.deadline", "5000us", "5");
	assert_parses("gateway.ageing", "5min", "300000");
	assert_parses("gateway.ageing", "1d", "86400000");
	assert_parses("packet.nap-max", "1ms", "1000");
	assert_parses("packet.nap-max", "0us", "0");
	assert_refuses("inspection.deadline", "50", "the unit is missing");
	assert_refuses("inspection.deadline", "1500us", "not a whole number of ms");
	assert_refuses("inspection.deadline", "50 parsec", "unknown unit");
	assert_refuses("inspection.deadline", "-5ms", "does not start with a number");
	assert_refuses("inspection.deadline", "1.s", "does not start with a number");
	assert_refuses("inspection.deadline", "0.0001s", "more than three decimals");
	assert_refuses("inspection.deadline", "9999999999999999d", "too large");
}

/* D8 */
static void reads_ports_and_their_ranges(void **state)
{
	const char *key = "filters.rules.r.destination-ports";

	assert_parses(key, "80", "\"80\"");
	assert_parses(key, "080", "\"80\"");
	assert_parses(key, "8000-8099", "\"8000-8099\"");
	assert_parses(key, "0-65535", "\"0-65535\"");
	assert_parses(key, "80-80", "\"80\"");
	assert_refuses(key, "80-", "not a port or range of ports");
	assert_refuses(key, "http", "not a port or range of ports");
	assert_refuses(key, "65536", "ports are 0 to 65535");
	assert_refuses(key, "90-80", "the range goes backwards");
}

static void reads_rates_sizes_and_limits(void **state)
{
	assert_parses("partitions.p.adapters.a.rate.in", "10Gbit/s", "10000000000");
	assert_parses("partitions.p.adapters.a.rate.in", "2.5Mbit/s", "2500000");
	assert_parses("partitions.p.adapters.a.rate.in", "none", "0");
	assert_parses("partitions.p.adapters.a.storm.broadcast", "1000/s", "1000");
	assert_parses("partitions.p.adapters.a.storm.broadcast", "10k/s", "10000");
	assert_parses("packet.memory", "64MiB", "67108864");
	assert_parses("packet.memory", "1GB", "1000000000");
	assert_parses("partitions.p.adapters.a.mac-limit", "none", "0");
	assert_refuses("partitions.p.adapters.a.mac-limit", "0", "below 1");
	assert_refuses("packet.memory", "none", "does not start with a number");
	assert_refuses("packet.memory", "1MiB", "below 64MiB");
	assert_refuses("packet.memory", "0.0015MiB", "more than three decimals");
}

static void reads_vlan_ids_and_ranges(void **state)
{
	unsigned int first, last;
	struct error why;

	assert_int_equal(value_parse_vlans("10", &first, &last, &why), 0);
	assert_true(first == 10 && last == 10);
	assert_int_equal(value_parse_vlans("1-4094", &first, &last, &why), 0);
	assert_true(first == 1 && last == 4094);
	for (const char **bad = (const char *[]){"", "0", "4095", "10-", "-10", "20-10", "10-20-30",
		     "1 0", "0x10", "99999999999999999999", NULL};
		*bad; bad++)
		assert_true(value_parse_vlans(*bad, &first, &last, &why) < 0);
}

static void makes_addresses_canonical(void **state)
{
	const char *addresses = "partitions.p.adapters.a.addresses";

	assert_parses(addresses, "192.0.2.10", "\"192.0.2.10\"");
	assert_parses(addresses, "192.0.2.0/24", "\"192.0.2.0/24\"");
	assert_parses(addresses, "192.0.2.10/32", "\"192.0.2.10\"");
	assert_parses(addresses, "2001:DB8:0:0::1", "\"2001:db8::1\"");
	assert_parses(addresses, "2001:db8::/32", "\"2001:db8::/32\"");
	assert_refuses(addresses, "192.0.2.10/24", "bits are set behind the prefix");
	assert_refuses(addresses, "192.0.2", "not an IP address");
	assert_refuses(addresses, "192.0.2.0/", "the prefix length");
	assert_parses("gateway.host.addresses", "192.0.2.1/24", "\"192.0.2.1/24\"");
	assert_parses("gateway.host.addresses", "192.0.2.1/32", "\"192.0.2.1/32\"");
	assert_parses("gateway.host.mac", "52-54-00-AB-cd-EF", "\"52:54:00:ab:cd:ef\"");
	assert_refuses("gateway.host.mac", "ff:ff:ff:ff:ff:ff", "group address");
}

static void reads_words_paths_and_endpoints(void **state)
{
	assert_parses("inspection.scope", "all", "\"all\"");
	assert_refuses("inspection.scope", "gateway|all", "unknown word");
	assert_refuses("inspection.scope", "", "unknown word");
	assert_parses("events.eve", "syslog", "\"syslog\"");
	assert_parses("events.eve", "unix:/run/eve.sock", "\"unix:/run/eve.sock\"");
	assert_refuses("events.eve", "unix:eve.sock", "not an absolute path");
	assert_refuses("events.eve", "unix:SOCKET", "not an absolute path");
	assert_refuses("log.sink", "unix:/run/log", "not an absolute path");
	assert_refuses("control.socket", "/run//x", "//");
	assert_parses("control.metrics", "127.0.0.1:9580", "\"127.0.0.1:9580\"");
	assert_parses("control.metrics", "[::1]:9580", "\"[::1]:9580\"");
	assert_parses("control.metrics", "none", "absent");
	assert_refuses("control.metrics", "::1:9580", "not an IP address");
	assert_refuses("control.metrics", "127.0.0.1:0", "1 to 65535");
	assert_refuses("control.socket", "/run/../etc/x", "..");
	assert_refuses("control.socket", "/run/..", "..");
	assert_refuses("control.socket", "/run/./x", "..");
	assert_refuses("control.socket", "/", "a folder");
	assert_parses("control.socket", "/run/..x/.y", "\"/run/..x/.y\"");
}

static const char *format(const char *key, json_int_t number)
{
	static char out[VALUE_TEXT_SIZE];
	json_t *value = json_integer(number);

	value_format(config_option_find(key), value, out);
	json_decref(value);
	return out;
}

static void writes_the_largest_unit_without_fraction(void **state)
{
	assert_string_equal(format("inspection.deadline", 50), "50ms");
	assert_string_equal(format("inspection.deadline", 1500), "1500ms");
	assert_string_equal(format("gateway.ageing", 300000), "5min");
	assert_string_equal(format("packet.nap-max", 0), "0us");
	assert_string_equal(format("packet.nap-max", 2000), "2ms");
	assert_string_equal(format("packet.memory", 1000000000), "1000000000B");
	assert_string_equal(format("packet.memory", 67108864), "64MiB");
	assert_string_equal(format("partitions.p.adapters.a.rate.in", 0), "none");
	assert_string_equal(format("partitions.p.adapters.a.rate.in", 2500000), "2500kbit/s");
	assert_string_equal(format("partitions.p.adapters.a.storm.broadcast", 1500), "1500/s");
}

static void parses_device_strings(void **state)
{
	struct device device;

	assert_int_equal(device_parse("vhost-user:/run/a.sock,client", &device, NULL), 0);
	assert_int_equal(device.kind, DEVICE_VHOST_USER);
	assert_string_equal(device.argument, "/run/a.sock");
	assert_true(device.is_client);
	assert_int_equal(device_parse("memif:/run/m.sock,id=4294967295", &device, NULL), 0);
	assert_int_equal(device.id, UINT32_MAX);
	assert_int_equal(device_parse("pci:0000:03:00.1", &device, NULL), 0);
	assert_string_equal(device.argument, "0000:03:00.1");
	assert_string_equal(device_kind_name(device.kind), "pci");
	for (const char **bad = (const char *[]){"", ":", "tap", "tap:", "tap:a/b", "tap:a,",
		     "xx:a", "memif:/a,id=", "memif:/a,id=4294967296", "memif:/a,id=1x",
		     "pci:0000:03:00.8", "vhost-user:/a b", "vhost-user:/a=b", "af_xdp:..", NULL};
		*bad; bad++)
		assert_true(device_parse(*bad, &device, NULL) < 0);
}

static void finds_options_by_pattern_and_by_path(void **state)
{
	const struct config_option *option = config_option_find("partitions.*.adapters.*.vlan");

	assert_non_null(option);
	assert_ptr_equal(config_option_find("partitions.web.adapters.eth0.vlan"), option);
	assert_non_null(config_option_find("partitions.web.adapters.eth0.addresses[3]"));
	assert_null(config_option_find("partitions.web.vlan"));
	assert_null(config_option_find("partitions..adapters.a.vlan"));
	assert_null(config_option_find("gateway.vlans.10.name.x"));
	assert_null(config_option_find(""));
}

/* Each row is complete, and its default and example are valid for itself. */
static void has_rows_that_are_valid(void **state)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		bool is_leaf = option->type != CONFIG_SECTION && option->type != CONFIG_MAP;
		json_t *value;
		struct error why;

		assert_non_null(option->help);
		assert_ptr_equal(config_option_find(option->key), option);
		assert_true((option->type == CONFIG_MAP) == (option->key_type != NULL));
		if (option->type == CONFIG_DURATION || option->type == CONFIG_SIZE)
			assert_non_null(option->unit);
		if (!is_leaf || !option->default_text || option->default_text[0] == '['
			|| option->default_text[0] == '"')
			continue;
		if (value_parse(option, option->default_text, &value, &why) < 0)
			fail_msg("%s: default: %s", option->key, why.text);
		json_decref(value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_durations_in_the_unit_of_the_row),
		cmocka_unit_test(reads_ports_and_their_ranges),
		cmocka_unit_test(reads_rates_sizes_and_limits),
		cmocka_unit_test(reads_vlan_ids_and_ranges),
		cmocka_unit_test(makes_addresses_canonical),
		cmocka_unit_test(reads_words_paths_and_endpoints),
		cmocka_unit_test(writes_the_largest_unit_without_fraction),
		cmocka_unit_test(parses_device_strings),
		cmocka_unit_test(finds_options_by_pattern_and_by_path),
		cmocka_unit_test(has_rows_that_are_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
