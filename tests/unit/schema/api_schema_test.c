/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema/api_schema.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int check(const char *method, const char *params, struct error *error)
{
	json_t *parsed = params ? json_loads(params, 0, NULL) : NULL;
	int code = api_check_params(api_method_find(method), parsed, error);

	json_decref(parsed);
	return code;
}

static int check_result(const char *method, const char *result, struct error *error)
{
	json_t *parsed = json_loads(result, 0, NULL);
	int code;

	assert_non_null(parsed);
	code = api_check_result(api_method_find(method), parsed, error);
	json_decref(parsed);
	return code;
}

static void each_method_is_complete_and_unique(void **state)
{
	for (const struct api_method *method = api_methods; method->name; method++) {
		assert_ptr_equal(api_method_find(method->name), method);
		assert_non_null(strchr(method->name, '.'));
		assert_non_null(method->help);
		assert_true(method->help[strlen(method->help) - 1] == '.');
		assert_true(strcmp(method->owner, "control") == 0
			|| strcmp(method->owner, "packet") == 0
			|| strcmp(method->owner, "channel") == 0);
		for (const struct api_param *param = method->params; param && param->name; param++)
			assert_non_null(param->help);
		for (const struct api_field *field = method->result; field && field->path; field++)
			assert_non_null(field->help);
	}
	assert_null(api_method_find("no.such"));
	assert_null(api_method_find(""));
}

static void whatever_changes_is_for_operators(void **state)
{
	static const char *const changing[] = {"config.apply", "config.confirm", "config.rollback",
		"config.reload", "fdb.flush", "inspect.reload", "trace.start", "trace.stop",
		"capture.start", "capture.stop", NULL};

	for (size_t i = 0; changing[i]; i++)
		assert_int_equal(api_method_find(changing[i])->access, API_OPERATOR);
	assert_int_equal(api_method_find("packet.configure")->access, API_INTERNAL);
	assert_int_equal(api_method_find("packet.metrics")->access, API_INTERNAL);
}

static void takes_params_that_fit(void **state)
{
	assert_int_equal(check("status.get", NULL, NULL), 0);
	assert_int_equal(check("status.get", "{}", NULL), 0);
	assert_int_equal(check("fdb.list",
				 "{\"vlan\": 4094, \"mac\": \"52:54:00:00:10:AB\", \"port\": "
				 "\"web.eth0\", \"limit\": 250, \"after\": \"x\"}",
				 NULL),
		0);
	assert_int_equal(check("port.list", "{\"kind\": \"host\"}", NULL), 0);
	assert_int_equal(check("events.subscribe", "{\"types\": [\"alert\", \"drop\"]}", NULL), 0);
	assert_int_equal(check("events.subscribe", "{\"types\": []}", NULL), 0);
}

static void rejects_params_that_do_not_fit(void **state)
{
	static const char *const wrong[][2] = {
		{"fdb.list", "[1]"},
		{"fdb.list", "{\"vlan\": 0}"},
		{"fdb.list", "{\"vlan\": 4095}"},
		{"fdb.list", "{\"vlan\": \"10\"}"},
		{"fdb.list", "{\"vlan\": 10.0}"},
		{"fdb.list", "{\"mac\": \"52:54:00:00:10\"}"},
		{"fdb.list", "{\"mac\": \"52-54-00-00-10-01\"}"},
		{"fdb.list", "{\"mac\": \"52:54:00:00:10:0g\"}"},
		{"fdb.list", "{\"limit\": 0}"},
		{"fdb.list", "{\"limit\": 251}"},
		{"fdb.list", "{\"after\": 7}"},
		{"fdb.list", "{\"vlan\": null}"},
		{"port.list", "{\"kind\": \"hos\"}"},
		{"port.list", "{\"kind\": \"host|xcf\"}"},
		{"port.list", "{\"kind\": \"\"}"},
		{"port.show", "{}"},
		{"port.show", "{\"name\": \"\"}"},
		{"port.show", "{\"name\": \"a b\"}"},
		{"port.show", "{\"name\": \"a\\u001b\"}"},
		{"events.subscribe", "{\"types\": \"alert\"}"},
		{"events.subscribe", "{\"types\": [1]}"},
		{"trace.stop", "{\"trace\": -1}"},
		{"config.apply", "{\"file\": \"x\", \"confirm_ms\": 999}"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct error error = {""};

		assert_int_equal(check(wrong[i][0], wrong[i][1], &error), -EINVAL);
		assert_true(error.text[0] != '\0');
	}
}

static void says_what_would_be_valid(void **state)
{
	struct error error;

	assert_int_equal(check("port.list", "{\"kind\": \"vlan\"}", &error), -EINVAL);
	assert_string_equal(error.text,
		"port.list: parameter kind: found \"vlan\", must be one of: "
		"physical|partition|host|xcf|vipa");
	assert_int_equal(check("fdb.list", "{\"vlna\": 3}", &error), -EINVAL);
	assert_string_equal(error.text,
		"fdb.list: there is no parameter \"vlna\"; valid are: vlan, "
		"port, mac, after, limit");
	assert_int_equal(check("port.show", "{}", &error), -EINVAL);
	assert_string_equal(error.text, "port.show: parameter name is missing: the port");
}

static void checks_each_field_of_a_result(void **state)
{
	struct error error;

	assert_int_equal(
		check_result("fdb.list",
			"{\"total\": 1, \"entries\": [{\"vlan\": 10, \"mac\": "
			"\"52:54:00:00:10:01\", \"port\": \"web.eth0\", \"kind\": "
			"\"internal\", \"is_static\": false, \"age_s\": 3}], \"next\": \"1\"}",
			&error),
		0);
	assert_int_equal(check_result("fdb.list", "{\"total\": 1}", &error), -EINVAL);
	assert_string_equal(error.text, "fdb.list: result has no entries");
	assert_int_equal(
		check_result("fdb.list", "{\"total\": 1, \"entries\": [{\"vlan\": 10}]}", &error),
		-EINVAL);
	assert_string_equal(error.text, "fdb.list: result has no entries[].mac");
	assert_int_equal(
		check_result("fdb.flush", "{\"flushed\": 1, \"more\": 2}", &error), -EINVAL);
	assert_int_equal(check_result("trace.stop", "{}", &error), 0);
}

static void pages_have_a_limit_and_a_cursor(void **state)
{
	json_t *params = json_pack("{s:i, s:s}", "limit", 7, "after", "abc");

	assert_int_equal(api_page_limit(NULL), API_PAGE_LIMIT_DEFAULT);
	assert_null(api_page_after(NULL));
	assert_int_equal(api_page_limit(params), 7);
	assert_string_equal(api_page_after(params), "abc");
	json_decref(params);
}

static void lists_itself_in_its_own_shape(void **state)
{
	json_t *schema = api_schema_json();
	struct error error = {""};
	int code = api_check_result(api_method_find("api.list"), schema, &error);

	assert_string_equal(error.text, "");
	assert_int_equal(code, 0);
	json_decref(schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_method_is_complete_and_unique),
		cmocka_unit_test(whatever_changes_is_for_operators),
		cmocka_unit_test(takes_params_that_fit),
		cmocka_unit_test(rejects_params_that_do_not_fit),
		cmocka_unit_test(says_what_would_be_valid),
		cmocka_unit_test(checks_each_field_of_a_result),
		cmocka_unit_test(pages_have_a_limit_and_a_cursor),
		cmocka_unit_test(lists_itself_in_its_own_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
