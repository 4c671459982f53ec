/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ipc_message message;
static struct ipc_refusal refusal;

static int parse(const char *text)
{
	return ipc_message_parse(text, strlen(text), &message, &refusal);
}

static int clear(void **state)
{
	ipc_message_clear(&message);
	ipc_refusal_clear(&refusal);
	return 0;
}

static void assert_refused(const char *text, int code, bool is_answerable)
{
	assert_int_equal(parse(text), -EPROTO);
	assert_int_equal(refusal.code, code);
	assert_int_equal(refusal.is_answerable, is_answerable);
	ipc_refusal_clear(&refusal);
}

static void accepts_call_with_params(void **state)
{
	assert_int_equal(
		parse("{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"port.list\",\"params\":{}}"), 0);
	assert_int_equal(message.kind, IPC_MESSAGE_CALL);
	assert_string_equal(message.method, "port.list");
	assert_int_equal(json_integer_value(message.id), 5);
	assert_true(json_is_object(message.params));
}

static void accepts_notification(void **state)
{
	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"method\":\"event\"}"), 0);
	assert_int_equal(message.kind, IPC_MESSAGE_NOTIFICATION);
	assert_null(message.params);
}

static void accepts_result_and_error(void **state)
{
	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":null}"), 0);
	assert_int_equal(message.kind, IPC_MESSAGE_RESULT);
	ipc_message_clear(&message);
	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
			       "\"message\":\"x\"}}"),
		0);
	assert_int_equal(message.kind, IPC_MESSAGE_ERROR);
	assert_null(message.id);
}

static void rejects_what_is_no_json(void **state)
{
	assert_refused("", IPC_PARSE_ERROR, true);
	assert_refused("{", IPC_PARSE_ERROR, true);
	assert_refused("{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", IPC_PARSE_ERROR, true);
	assert_refused(
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"a\"}", IPC_PARSE_ERROR, true);
}

static void rejects_what_is_no_request(void **state)
{
	assert_refused("[]", IPC_INVALID_REQUEST, true);
	assert_refused("1", IPC_INVALID_REQUEST, true);
	assert_refused("{\"id\":1,\"method\":\"a\"}", IPC_INVALID_REQUEST, true);
	assert_refused(
		"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"a\"}", IPC_INVALID_REQUEST, true);
	assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1}", IPC_INVALID_REQUEST, true);
	assert_refused(
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}", IPC_INVALID_REQUEST, true);
	assert_refused(
		"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"a\"}", IPC_INVALID_REQUEST, true);
	assert_refused(
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"A b\"}", IPC_INVALID_REQUEST, true);
	assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"extra\":1}",
		IPC_INVALID_REQUEST, true);
	assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"result\":1}",
		IPC_INVALID_REQUEST, true);
}

static void refusal_of_a_call_carries_its_id(void **state)
{
	assert_int_equal(
		parse("{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"a\",\"params\":[1]}"), -EPROTO);
	assert_int_equal(refusal.code, IPC_INVALID_PARAMS);
	assert_int_equal(json_integer_value(refusal.id), 9);
}

static void malformed_answers_and_notifications_are_not_answered(void **state)
{
	assert_refused(
		"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":1}", IPC_INVALID_REQUEST, false);
	assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":7}", IPC_INVALID_REQUEST, false);
	assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{}}",
		IPC_INVALID_REQUEST, false);
	assert_refused(
		"{\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":3}", IPC_INVALID_PARAMS, false);
}

static void rejects_method_that_is_too_long(void **state)
{
	char text[256], method[IPC_METHOD_SIZE + 1] = {0};

	memset(method, 'm', IPC_METHOD_SIZE);
	snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\"}", method);
	assert_refused(text, IPC_INVALID_REQUEST, true);
}

static void deep_nesting_is_no_valid_message(void **state)
{
	char text[IPC_MESSAGE_SIZE];

	memset(text, '[', sizeof(text));
	assert_int_equal(ipc_message_parse(text, sizeof(text), &message, &refusal), -EPROTO);
	assert_int_equal(refusal.code, IPC_PARSE_ERROR);
}

static void encoded_message_is_bounded(void **state)
{
	static char value[IPC_MESSAGE_SIZE + 1];
	char *text;
	size_t size;

	memset(value, 'x', IPC_MESSAGE_SIZE);
	assert_int_equal(ipc_message_encode(ipc_message_result(json_integer(1), json_string(value)),
				 &text, &size),
		-EMSGSIZE);
}

static void what_is_encoded_is_parsed_again(void **state)
{
	char *text;
	size_t size;

	assert_int_equal(ipc_message_encode(ipc_message_error(json_integer(3), IPC_FAILED,
						    "no such port", json_pack("{s:s}", "a", "b")),
				 &text, &size),
		0);
	assert_int_equal(ipc_message_parse(text, size, &message, &refusal), 0);
	assert_int_equal(message.kind, IPC_MESSAGE_ERROR);
	free(text);
}

#define MESSAGE_TEST(name) cmocka_unit_test_teardown(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MESSAGE_TEST(accepts_call_with_params),
		MESSAGE_TEST(accepts_notification),
		MESSAGE_TEST(accepts_result_and_error),
		MESSAGE_TEST(rejects_what_is_no_json),
		MESSAGE_TEST(rejects_what_is_no_request),
		MESSAGE_TEST(refusal_of_a_call_carries_its_id),
		MESSAGE_TEST(malformed_answers_and_notifications_are_not_answered),
		MESSAGE_TEST(rejects_method_that_is_too_long),
		MESSAGE_TEST(deep_nesting_is_no_valid_message),
		MESSAGE_TEST(encoded_message_is_bounded),
		MESSAGE_TEST(what_is_encoded_is_parsed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
