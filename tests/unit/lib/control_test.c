/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library against a daemon of a few lines in another thread. */
#include "bulkhead/control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static struct bulkhead_control *client;
static struct bulkhead_control_error error;

/* What the daemon answers, call by call; NULL: it closes the connection. */
static const char *const *answers;

static void *serve(void *argument)
{
	int listening = *(int *)argument, fd = accept(listening, NULL, NULL);
	static char buffer[200000];

	for (; recv(fd, buffer, sizeof(buffer), 0) > 0 && *answers; answers++) {
		char copy[4096];

		/* Several messages of one answer are separated by line feeds. */
		snprintf(copy, sizeof(copy), "%s", *answers);
		for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
			send(fd, line, strlen(line), MSG_NOSIGNAL);
	}
	close(fd);
	return NULL;
}

/* Runs body while a daemon gives these answers. */
static void with_daemon(const char *const *texts, void (*body)(void))
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listening = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	pthread_t thread;

	snprintf(path, sizeof(path), "/tmp/control-lib-test-%d.sock", getpid());
	strcpy(address.sun_path, path);
	unlink(path);
	assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listening, 1), 0);
	answers = texts;
	assert_int_equal(pthread_create(&thread, NULL, serve, &listening), 0);
	assert_int_equal(bulkhead_control_open(path, &client, &error), 0);
	body();
	bulkhead_control_close(client);
	pthread_join(thread, NULL);
	close(listening);
	unlink(path);
}

static void says_that_the_daemon_is_not_running(void **state)
{
	assert_int_equal(bulkhead_control_open("/nonexistent/x.sock", &client, &error), -ENOENT);
	assert_non_null(strstr(error.message, "the daemon is not running"));
	assert_non_null(strstr(error.message, "start it with"));
}

static void refuses_a_path_that_is_too_long(void **state)
{
	char longer[300];

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(bulkhead_control_open(longer, &client, &error), -ENAMETOOLONG);
}

static void call_once(void)
{
	json_t *result = NULL, *notification = NULL;

	assert_int_equal(bulkhead_control_call(client, "a.b", NULL, -1, &result, &error), 0);
	assert_int_equal(json_integer_value(json_object_get(result, "x")), 1);
	json_decref(result);
	assert_int_equal(bulkhead_control_next(client, 0, &notification, &error), 0);
	assert_string_equal(json_string_value(json_object_get(notification, "method")), "event");
	json_decref(notification);
	assert_int_equal(bulkhead_control_next(client, 10, &notification, &error), -ETIMEDOUT);
}

static void keeps_notifications_that_come_before_the_answer(void **state)
{
	static const char *const texts[] = {
		"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{}}\n"
		"{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":1}}",
		NULL};

	with_daemon(texts, call_once);
}

static void call_refused(void)
{
	json_t *result = NULL;

	assert_int_equal(
		bulkhead_control_call(client, "a.b", NULL, -1, &result, &error), -EREMOTEIO);
	assert_int_equal(error.code, -32001);
	assert_string_equal(error.message, "no");
}

static void tells_the_refusal_of_the_daemon(void **state)
{
	static const char *const texts[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,\"message\":\"no\"}}",
		NULL};

	with_daemon(texts, call_refused);
}

static void call_paged(void)
{
	json_t *result = NULL;

	assert_int_equal(bulkhead_control_call_paged(client, "a.b", NULL, &result, &error), 0);
	assert_int_equal(json_array_size(json_object_get(result, "list")), 3);
	assert_int_equal(json_integer_value(json_object_get(result, "total")), 3);
	assert_null(json_object_get(result, "next"));
	json_decref(result);
}

static void puts_pages_together(void **state)
{
	static const char *const texts[] = {"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"total\":3,"
					    "\"list\":[1,2],\"next\":\"2\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"total\":4,\"list\":[3]}}", NULL};

	with_daemon(texts, call_paged);
}

static void asks_for_less_when_a_page_is_too_long(void **state)
{
	static const char *const texts[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"long\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"total\":3,\"list\":[1,2],\"next\":"
		"\"2\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"total\":3,\"list\":[3]}}", NULL};

	with_daemon(texts, call_paged);
}

static void call_gone(void)
{
	json_t *result = NULL;

	assert_true(bulkhead_control_call(client, "a.b", NULL, -1, &result, &error) < 0);
	assert_non_null(strstr(error.message, "closed the connection"));
	assert_int_equal(error.code, 0);
}

static void says_when_the_connection_is_gone(void **state)
{
	static const char *const texts[] = {NULL};

	with_daemon(texts, call_gone);
}

static void gives_text_as_memory_that_cannot_change(void **state)
{
	int fd = bulkhead_control_memory("host: a\n", 8);
	char text[16];

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 8);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_that_the_daemon_is_not_running),
		cmocka_unit_test(refuses_a_path_that_is_too_long),
		cmocka_unit_test(keeps_notifications_that_come_before_the_answer),
		cmocka_unit_test(tells_the_refusal_of_the_daemon),
		cmocka_unit_test(puts_pages_together),
		cmocka_unit_test(asks_for_less_when_a_page_is_too_long),
		cmocka_unit_test(says_when_the_connection_is_gone),
		cmocka_unit_test(gives_text_as_memory_that_cannot_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
