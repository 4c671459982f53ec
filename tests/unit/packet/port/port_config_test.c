/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ports a configuration asks for. */
#include "packet/port/port_config.h"
#include "packet/port/vhost_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int read_text(const char *text, struct port_configs *out, struct error *error)
{
	json_t *config = json_loads(text, 0, NULL);
	int result;

	assert_non_null(config);
	result = port_configs_read(config, out, error);
	json_decref(config);
	return result;
}

static void names_ports_by_adapter_partition_and_host(void **state)
{
	struct port_configs configs;
	struct error error;

	assert_int_equal(
		read_text("{\"adapters\": {\"uplink\": {\"device\": \"netdev:eth1\", "
			  "\"kind\": \"physical\", \"queues\": 2}},"
			  "\"gateway\": {\"physical\": \"uplink\", \"host\": {\"interface\": "
			  "\"sea0\", \"vlan\": 10, \"addresses\": [\"192.0.2.1/24\"], \"mtu\": "
			  "1500}},"
			  "\"partitions\": {\"web\": {\"adapters\": {\"eth0\": {\"attach\": "
			  "\"vhost-user:/run/x.sock\", \"mtu\": 9000, \"queues\": 4, "
			  "\"mac\": \"52:54:00:00:00:01\"}}}}}",
			&configs, &error),
		0);
	assert_int_equal(configs.count, 3);
	assert_string_equal(configs.items[0].name, "uplink");
	assert_int_equal(configs.items[0].kind, PORT_PHYSICAL);
	assert_int_equal(configs.items[0].queue_count, 2);
	assert_string_equal(configs.items[1].name, "host");
	assert_string_equal(configs.items[1].device, "tap:sea0");
	assert_int_equal(json_array_size(configs.items[1].addresses), 1);
	assert_string_equal(configs.items[2].name, "web.eth0");
	assert_int_equal(configs.items[2].kind, PORT_PARTITION);
	assert_int_equal(configs.items[2].mtu_bytes, 9000);
	assert_int_equal(configs.items[2].queue_count, 4);
	port_configs_release(&configs);
}

static void expect_error(const char *text, const char *part)
{
	struct port_configs configs;
	struct error error;

	assert_true(read_text(text, &configs, &error) < 0);
	assert_non_null(strstr(error.text, part));
	assert_int_equal(configs.count, 0);
}

static void opens_links_to_other_hosts(void **state)
{
	struct port_configs configs;
	struct error error;

	assert_int_equal(read_text("{\"adapters\": {\"xcf0\": {\"device\": \"netdev:eth1\", "
				   "\"kind\": \"xcf\"}}}",
				 &configs, &error),
		0);
	assert_int_equal(configs.count, 1);
	assert_int_equal(configs.items[0].kind, PORT_XCF);
	assert_string_equal(configs.items[0].name, "xcf0");
	port_configs_release(&configs);
}

/* D9 D13 */
static void opens_the_hidden_interface_of_a_target(void **state)
{
	struct port_configs configs;
	struct error error;

	assert_int_equal(read_text("{\"target\": {\"interface\": \"vipa0\", \"vipas\": "
				   "[\"192.0.2.80\", \"2001:db8::80\"]}}",
				 &configs, &error),
		0);
	assert_int_equal(configs.count, 1);
	assert_int_equal(configs.items[0].kind, PORT_VIPA);
	assert_string_equal(configs.items[0].name, PORT_VIPA_NAME);
	assert_string_equal(configs.items[0].device, "tap:vipa0");
	assert_int_equal(configs.items[0].mtu_bytes, 1280);
	assert_string_equal(
		json_string_value(json_array_get(configs.items[0].addresses, 0)), "192.0.2.80/32");
	assert_string_equal(json_string_value(json_array_get(configs.items[0].addresses, 1)),
		"2001:db8::80/128");
	port_configs_release(&configs);
}

static void refuses_a_device_that_two_ports_share(void **state)
{
	expect_error("{\"partitions\": {\"a\": {\"adapters\": {\"e\": {\"attach\": \"netdev:v\"}}},"
		     "\"b\": {\"adapters\": {\"e\": {\"attach\": \"af_xdp:v\"}}}}}",
		"a.e and b.e");
}

static void refuses_a_physical_adapter_that_is_not_there(void **state)
{
	expect_error("{\"adapters\": {}, \"gateway\": {\"physical\": \"up\"}}", "\"up\"");
}

static void sees_what_needs_another_port(void **state)
{
	struct port_config a = {.name = "a", .device = "tap:t", .queue_count = 1}, b = a;

	assert_true(port_config_is_same(&a, &b));
	b.mtu_bytes = 9000;
	assert_false(port_config_is_same(&a, &b));
	b = a;
	b.addresses = json_pack("[s]", "192.0.2.1/24");
	assert_false(port_config_is_same(&a, &b));
	a.addresses = json_pack("[s]", "192.0.2.1/24");
	assert_true(port_config_is_same(&a, &b));
	port_config_release(&a);
	port_config_release(&b);
}

static int read_many(const char *prefix, uint32_t count, struct error *error)
{
	json_t *partitions = json_object();
	json_t *config = json_pack("{s:o}", "partitions", partitions);
	struct port_configs configs;
	int result;

	for (uint32_t i = 0; i < count; i++) {
		char name[16], device[64];

		snprintf(name, sizeof(name), "p%u", i);
		snprintf(device, sizeof(device), "%s%u", prefix, i);
		json_object_set_new(partitions, name,
			json_pack("{s:{s:{s:s}}}", "adapters", "e", "attach", device));
	}
	result = port_configs_read(config, &configs, error);
	port_configs_release(&configs);
	json_decref(config);
	return result;
}

static void knows_how_many_ports_of_a_kind_there_is_room_for(void **state)
{
	struct error error;

	assert_int_equal(read_many("af_xdp:e", RTE_MAX_ETHPORTS, &error), 0);
	assert_true(read_many("af_xdp:e", RTE_MAX_ETHPORTS + 1, &error) < 0);
	assert_non_null(strstr(error.text, "max_ethports"));
	assert_int_equal(read_many("vhost-user:/run/", VHOST_DEVICES_MAX, &error), 0);
	assert_true(read_many("vhost-user:/run/", VHOST_DEVICES_MAX + 1, &error) < 0);
	assert_non_null(strstr(error.text, "500 are possible"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_ports_by_adapter_partition_and_host),
		cmocka_unit_test(opens_links_to_other_hosts),
		cmocka_unit_test(opens_the_hidden_interface_of_a_target),
		cmocka_unit_test(refuses_a_device_that_two_ports_share),
		cmocka_unit_test(refuses_a_physical_adapter_that_is_not_there),
		cmocka_unit_test(sees_what_needs_another_port),
		cmocka_unit_test(knows_how_many_ports_of_a_kind_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
