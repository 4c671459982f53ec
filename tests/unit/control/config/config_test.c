/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole configurations: the document's shape, defaults, differences, YAML and explanations. */
#include "control/config/config.h"

#include "schema/config_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char example[] = "host: hv1\n"
			      "adapters:\n"
			      "  uplink: {device: \"af_xdp:eth1\"}\n"
			      "gateway:\n"
			      "  physical: uplink\n"
			      "  trunks:\n"
			      "    trunk-a: {vlans: [11, 10]}\n"
			      "    trunk-b: {vlans: [20-22, 21-23]}\n"
			      "  host: {interface: sea0, vlan: 10, addresses: [192.0.2.1/24]}\n"
			      "  vlans: {20: {flood: false}}\n"
			      "partitions:\n"
			      "  web:\n"
			      "    on-failure: pass\n"
			      "    adapters:\n"
			      "      eth0: {attach: \"vhost-user:/run/web.sock\", vlan: 10,\n"
			      "             mac: \"52:54:00:00:10:0A\", addresses: [192.0.2.10]}\n"
			      "      eth1: {attach: \"netdev:veth1\", vlan: 20, on-failure: drop}\n"
			      "inspection:\n"
			      "  variables: {HOME_NET: [192.0.2.0/24, \"!192.0.2.1\"], PORTS: 80}\n"
			      "  scope: all\n"
			      "  on-failure: {default: drop, host: pass}\n";

static json_t *load(const char *text)
{
	struct config_report report;
	json_t *document;

	config_report_init(&report);
	if (config_load_text(text, strlen(text), "test", &document, &report) < 0)
		config_report_print(&report, stderr);
	config_report_destroy(&report);
	assert_non_null(document);
	return document;
}

/* The value at a path, as JSON text; "absent". */
static const char *at(const json_t *document, const char *path)
{
	static char out[256];
	char name[64], *dump;

	while (document && *path) {
		size_t size = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)size, path);
		document = json_object_get(document, name);
		path += size + (path[size] == '.');
	}
	dump = document ? json_dumps(document, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	snprintf(out, sizeof(out), "%s", dump ? dump : "absent");
	free(dump);
	return out;
}

#define assert_at(document, path, json) assert_string_equal(at(document, path), json)

static void normalises_as_the_schema_says(void **state)
{
	json_t *document = load(example);

	assert_at(document, "adapters.uplink.kind", "\"physical\"");
	assert_at(document, "adapters.uplink.mtu", "absent");
	assert_at(document, "gateway.trunks.trunk-a.vlans", "[10,11]");
	assert_at(document, "gateway.trunks.trunk-b.vlans", "[20,21,22,23]");
	assert_at(document, "gateway.native-vlan", "1");
	assert_at(document, "gateway.ageing", "300000");
	assert_at(document, "gateway.host.addresses", "[\"192.0.2.1/24\"]");
	assert_at(document, "gateway.vlans.20.flood", "false");
	assert_at(document, "gateway.vlans.20.on-failure", "absent");
	assert_at(document, "partitions.web.adapters.eth0.mac", "\"52:54:00:00:10:0a\"");
	assert_at(document, "partitions.web.adapters.eth0.rate", "{\"in\":0,\"out\":0}");
	assert_at(document, "packet.cores", "[]");
	assert_at(document, "inspection.variables.PORTS", "\"80\"");
	assert_at(document, "inspection.variables.HOME_NET", "\"[192.0.2.0/24,!192.0.2.1]\"");
	json_decref(document);
}

static void fills_in_defaults_that_depend_on_others(void **state)
{
	json_t *document = load(example);

	assert_at(document, "partitions.web.adapters.eth0.guard.mac", "true");
	assert_at(document, "partitions.web.adapters.eth0.guard.arp", "true");
	assert_at(document, "partitions.web.adapters.eth1.guard.mac", "false");
	assert_at(document, "partitions.web.adapters.eth1.guard.nd", "false");
	assert_at(document, "partitions.web.adapters.eth0.on-failure", "\"pass\"");
	assert_at(document, "partitions.web.adapters.eth1.on-failure", "\"drop\"");
	assert_at(document, "gateway.vlans.20.inspect", "\"all\"");
	assert_at(document, "inspection.on-failure",
		"{\"default\":\"drop\",\"host\":\"pass\",\"physical\":\"drop\",\"trunk\":"
		"\"drop\"}");
	assert_at(document, "inspection.variables.EXTERNAL_NET", "\"!$HOME_NET\"");
	assert_at(document, "inspection.variables.HTTP_PORTS", "\"80\"");
	json_decref(document);
}

static void takes_an_empty_file(void **state)
{
	json_t *empty = load(""), *comments = load("# nothing\n"),
	       *nulls = load("gateway:\nadapters:\n");

	assert_true(json_equal(empty, comments));
	assert_true(json_equal(empty, nulls));
	assert_at(empty, "gateway.host", "absent");
	assert_at(empty, "gateway.physical", "absent");
	assert_at(empty, "adapters", "{}");
	assert_at(empty, "inspection.engines", "[\"builtin\"]");
	json_decref(empty);
	json_decref(comments);
	json_decref(nulls);
}

/* What the packaged file says is what holds without any file. */
static void embeds_a_default_that_changes_nothing(void **state)
{
	json_t *packaged = load(config_default_text()), *empty = load("");
	json_t *changes = config_diff(empty, packaged);

	assert_int_equal(json_array_size(changes), 0);
	json_decref(changes);
	json_decref(packaged);
	json_decref(empty);
}

static void shows_yaml_that_loads_as_the_same(void **state)
{
	json_t *document = load(example), *again;
	char *text = config_show(document);

	assert_non_null(strstr(text, "vlans: [20-23]"));
	assert_non_null(strstr(text, "deadline: 50ms"));
	again = load(text);
	assert_true(json_equal(document, again));
	free(text);
	json_decref(document);
	json_decref(again);
}

static void expect_shown(const json_t *document, const char *key, const char *text)
{
	char name[64], *shown;

	for (const char *at = key; *at; at += strcspn(at, "."), at += *at == '.') {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "."), at);
		document = json_object_get(document, name);
	}
	shown = config_show_value(key, document);
	assert_string_equal(shown, text);
	free(shown);
}

static void shows_single_values_as_people_write_them(void **state)
{
	json_t *document = load(example);

	expect_shown(document, "inspection.deadline", "50ms");
	expect_shown(document, "gateway.trunks.trunk-b", "{vlans: [20-23]}");
	expect_shown(document, "partitions.web.adapters.eth0.rate", "{}");
	expect_shown(
		document, "gateway.host", "{interface: sea0, vlan: 10, addresses: [192.0.2.1/24]}");
	assert_null(config_show_value("no.such", document));
	json_decref(document);
}

static const char *change_line(const json_t *changes, size_t index)
{
	static char out[512];
	json_t *change = json_array_get(changes, index);

	snprintf(out, sizeof(out), "%s %s %s", json_string_value(json_object_get(change, "op")),
		json_string_value(json_object_get(change, "key")),
		json_string_value(json_object_get(change, "effect")));
	return out;
}

static void tells_what_differs_in_the_schemas_order(void **state)
{
	json_t *old = load(example);
	json_t *new = load("host: hv1\n"
			   "adapters:\n"
			   "  uplink: {device: \"af_xdp:eth9\"}\n"
			   "gateway:\n"
			   "  physical: uplink\n"
			   "  trunks:\n"
			   "    trunk-a: {vlans: [10, 11, 12]}\n"
			   "    trunk-b: {vlans: [20-23]}\n"
			   "  vlans: {20: {flood: false}}\n"
			   "partitions:\n"
			   "  web:\n"
			   "    on-failure: pass\n"
			   "    adapters:\n"
			   "      eth1: {attach: \"netdev:veth1\", vlan: 20, on-failure: drop}\n"
			   "      eth2: {attach: \"netdev:veth2\", vlan: 20}\n"
			   "inspection:\n"
			   "  variables: {HOME_NET: [192.0.2.0/24, \"!192.0.2.1\"], PORTS: 80}\n"
			   "  scope: all\n"
			   "  on-failure: {default: drop, host: pass}\n"
			   "packet: {workers: 2}\n"
			   "control: {group: adm}\n");
	json_t *changes = config_diff(old, new);

	assert_string_equal(change_line(changes, 0), "change adapters.uplink.device reopen");
	assert_string_equal(change_line(changes, 1), "change gateway.trunks.trunk-a.vlans live");
	assert_string_equal(change_line(changes, 2), "remove gateway.host live");
	assert_string_equal(change_line(changes, 3), "remove partitions.web.adapters.eth0 live");
	assert_string_equal(change_line(changes, 4), "add partitions.web.adapters.eth2 live");
	assert_string_equal(change_line(changes, 5), "change packet.workers restart");
	assert_string_equal(change_line(changes, 6), "change control.group daemon");
	assert_int_equal(json_array_size(changes), 7);
	json_decref(changes);
	json_decref(old);
	json_decref(new);
}

static void explains_options_and_suggests_near_ones(void **state)
{
	char suggestion[128];
	json_t *option = config_explain("gateway.host", suggestion, sizeof(suggestion));

	assert_int_equal(json_array_size(json_object_get(option, "children")), 5);
	json_decref(option);
	option =
		config_explain("partitions.web.adapters.eth0.vlan", suggestion, sizeof(suggestion));
	assert_at(option, "key", "\"partitions.*.adapters.*.vlan\"");
	json_decref(option);
	assert_null(config_explain("inspection.dedline", suggestion, sizeof(suggestion)));
	assert_string_equal(suggestion, "inspection.deadline");
	assert_null(config_explain("xyzzy.deadline", suggestion, sizeof(suggestion)));
	assert_string_equal(suggestion, "");
	option = config_explain("", suggestion, sizeof(suggestion));
	assert_int_equal(json_array_size(json_object_get(option, "children")), 15);
	json_decref(option);
}

static void passes_long_documents_in_sealed_memory(void **state)
{
	json_t *document = load(example), *params = json_object(), *received;
	json_t *filler = json_array();
	struct error error;
	int fd;

	assert_int_equal(config_document_attach(params, document, &fd, &error), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(config_document_receive(params, -1, &received, &error), 0);
	assert_true(json_equal(document, received));
	json_decref(received);
	json_decref(params);

	for (int i = 0; i < 20000; i++)
		json_array_append_new(filler, json_integer(i));
	json_object_set_new(document, "filler", filler);
	params = json_object();
	assert_int_equal(config_document_attach(params, document, &fd, &error), 0);
	assert_true(fd >= 0 && json_object_size(params) == 0);
	assert_int_equal(config_document_receive(params, fd, &received, &error), 0);
	assert_true(json_equal(document, received));
	close(fd);
	json_decref(received);
	assert_true(config_document_receive(params, -1, &received, &error) < 0);
	json_decref(params);
	json_decref(document);
}

static void bounds_what_it_reads(void **state)
{
	struct config_report report;
	json_t *document;
	size_t size = CONFIG_PROBLEMS_MAX * 40;
	char *text = calloc(1, size);

	for (int i = 0; i < CONFIG_PROBLEMS_MAX + 50; i++)
		sprintf(text + strlen(text), "unknown-key-%d: 1\n", i);
	config_report_init(&report);
	assert_true(config_load_text(text, strlen(text), "test", &document, &report) < 0);
	assert_int_equal(report.count, CONFIG_PROBLEMS_MAX);
	assert_int_equal(report.error_count, CONFIG_PROBLEMS_MAX + 50);
	assert_int_equal(report.left_out_count, 50);
	config_report_destroy(&report);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalises_as_the_schema_says),
		cmocka_unit_test(fills_in_defaults_that_depend_on_others),
		cmocka_unit_test(takes_an_empty_file),
		cmocka_unit_test(embeds_a_default_that_changes_nothing),
		cmocka_unit_test(shows_yaml_that_loads_as_the_same),
		cmocka_unit_test(shows_single_values_as_people_write_them),
		cmocka_unit_test(tells_what_differs_in_the_schemas_order),
		cmocka_unit_test(explains_options_and_suggests_near_ones),
		cmocka_unit_test(passes_long_documents_in_sealed_memory),
		cmocka_unit_test(bounds_what_it_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
