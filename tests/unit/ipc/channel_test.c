/* SPDX-License-Identifier: BSD-3-Clause */
#include "ipc/ipc.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Two ends on one loop; each counts what happens to it. */
struct end {
	struct ipc_channel *channel;
	struct ipc_request *kept; /* answered later */
	bool is_keeping;
	int requests, notifications, closed;
	int replies, error_code;
	int64_t value;
	int fd; /* received */
};

static uv_loop_t loop;
static struct end near_end, far_end;
static int far_fd; /* far end's socket, for tests that write bytes of their own */

static void on_request(struct ipc_request *request, void *context)
{
	struct end *end = context;

	if (ipc_request_is_notification(request)) {
		end->notifications++;
		if (end->is_keeping)
			ipc_reply(request, NULL); /* allowed, and without effect */
		return;
	}
	end->requests++;
	if (end->is_keeping) {
		end->kept = request;
		return;
	}
	if (strcmp(ipc_request_method(request), "add") == 0) {
		json_int_t a =
			json_integer_value(json_object_get(ipc_request_params(request), "a"));

		ipc_reply(request, json_integer(a + 1));
	} else if (strcmp(ipc_request_method(request), "descriptor") == 0) {
		int fd = ipc_request_take_descriptor(request, 0);

		ipc_reply_with_descriptors(request, json_null(), &fd, 1);
		close(fd);
	} else if (strcmp(ipc_request_method(request), "huge") == 0) {
		char *text = calloc(1, IPC_MESSAGE_SIZE + 1);

		memset(text, 'x', IPC_MESSAGE_SIZE);
		ipc_reply(request, json_string(text));
		free(text);
	} else {
		ipc_reply_failed(request, -ENOENT, "no such port");
	}
}

static void on_close(struct ipc_channel *channel, void *context)
{
	struct end *end = context;

	end->closed++;
	ipc_close(channel);
	end->channel = NULL;
}

static const struct ipc_ops ops = {on_request, on_close};

static void on_reply(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct end *end = context;

	end->replies++;
	end->value = json_integer_value(result);
	end->error_code = (int)json_integer_value(json_object_get(error, "code"));
	if (descriptor_count > 0) {
		end->fd = descriptors[0];
		descriptors[0] = -1;
	}
}

static int open_ends(void **state)
{
	int fds[2];

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	near_end = far_end = (struct end){.fd = -1};
	far_fd = fds[1];
	assert_int_equal(ipc_open(&loop, fds[0], &ops, &near_end, &near_end.channel), 0);
	assert_int_equal(ipc_open(&loop, fds[1], &ops, &far_end, &far_end.channel), 0);
	return 0;
}

static int close_ends(void **state)
{
	ipc_close(near_end.channel);
	ipc_close(far_end.channel);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

static void on_bound(uv_timer_t *timer)
{
	fail_msg("nothing happened for five seconds");
}

static void run_until(const int *counter, int value)
{
	uv_timer_t bound;

	uv_timer_init(&loop, &bound);
	uv_timer_start(&bound, on_bound, 5000, 0);
	while (*counter < value)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&bound, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static int call_near(const char *method, json_t *params)
{
	return ipc_call(near_end.channel, method, params, NULL, 0, IPC_CALL_TIMEOUT_MS, on_reply,
		&near_end);
}

/* Between two turns of the loop its clock stands still: rules may be compiled for seconds. */
static void call_after_long_work_has_its_whole_time(void **state)
{
	const uint32_t limit_ms = 1000;

	while (uv_hrtime() / 1000000 <= uv_now(&loop) + limit_ms)
		usleep(1000);
	assert_int_equal(ipc_call(near_end.channel, "add", json_pack("{s:i}", "a", 41), NULL, 0,
				 limit_ms, on_reply, &near_end),
		0);
	run_until(&near_end.replies, 1);
	assert_int_equal(near_end.error_code, 0);
	assert_int_equal(near_end.value, 42);
}

static void call_is_answered(void **state)
{
	assert_int_equal(call_near("add", json_pack("{s:i}", "a", 41)), 0);
	assert_int_equal(near_end.replies, 0); /* never from inside the call */
	run_until(&near_end.replies, 1);
	assert_int_equal(near_end.value, 42);
	assert_int_equal(near_end.error_code, 0);
}

static void failure_is_answered_as_an_error(void **state)
{
	assert_int_equal(call_near("missing", NULL), 0);
	run_until(&near_end.replies, 1);
	assert_int_equal(near_end.error_code, IPC_FAILED);
}

/* The far end's first owner read a call, with its descriptor, and died without an answer. */
static void unanswered_call_is_made_again_for_the_next_owner(void **state)
{
	int fd = memfd_create("sent", MFD_CLOEXEC);
	char text[8] = {0};

	assert_int_equal(write(fd, "hello", 5), 5);
	ipc_keep_calls(near_end.channel);
	far_end.is_keeping = true;
	assert_int_equal(ipc_call(near_end.channel, "descriptor", NULL, &fd, 1, IPC_CALL_TIMEOUT_MS,
				 on_reply, &near_end),
		0);
	close(fd);
	run_until(&far_end.requests, 1);
	far_end.is_keeping = false;
	ipc_resend(near_end.channel);
	run_until(&near_end.replies, 1);
	assert_int_equal(pread(near_end.fd, text, 5, 0), 5);
	assert_string_equal(text, "hello");
	close(near_end.fd);
	/* Both were answered in the end: the second answer goes nowhere. */
	ipc_reply(far_end.kept, NULL);
	assert_int_equal(call_near("add", json_pack("{s:i}", "a", 1)), 0);
	run_until(&near_end.replies, 2);
	assert_int_equal(near_end.value, 2);
	ipc_resend(near_end.channel); /* nothing is left */
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(far_end.requests, 3);
}

static void notification_needs_no_answer(void **state)
{
	assert_int_equal(ipc_notify(near_end.channel, "event", NULL, NULL, 0), 0);
	run_until(&far_end.notifications, 1);
	assert_int_equal(near_end.replies, 0);
}

static void descriptors_travel_both_ways(void **state)
{
	int fd = memfd_create("sent", MFD_CLOEXEC);
	char text[8] = {0};

	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(ipc_call(near_end.channel, "descriptor", NULL, &fd, 1, IPC_CALL_TIMEOUT_MS,
				 on_reply, &near_end),
		0);
	close(fd);
	run_until(&near_end.replies, 1);
	assert_int_equal(pread(near_end.fd, text, 5, 0), 5);
	assert_string_equal(text, "hello");
	close(near_end.fd);
}

static int count_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void descriptors_nobody_takes_are_closed(void **state)
{
	int fds[IPC_DESCRIPTORS_MAX], before = count_descriptors();

	for (int i = 0; i < IPC_DESCRIPTORS_MAX; i++)
		fds[i] = 0;
	assert_int_equal(ipc_notify(near_end.channel, "event", NULL, fds, IPC_DESCRIPTORS_MAX), 0);
	run_until(&far_end.notifications, 1);
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(
		ipc_notify(near_end.channel, "event", NULL, fds, IPC_DESCRIPTORS_MAX + 1), -EINVAL);
}

static void call_times_out(void **state)
{
	far_end.is_keeping = true;
	assert_int_equal(
		ipc_call(near_end.channel, "add", NULL, NULL, 0, 20, on_reply, &near_end), 0);
	run_until(&near_end.replies, 1);
	assert_int_equal(near_end.error_code, IPC_TIMED_OUT);
	ipc_reply(far_end.kept, json_null()); /* too late, and harmless */
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(near_end.replies, 1);
}

static void pending_calls_fail_when_the_peer_goes(void **state)
{
	far_end.is_keeping = true;
	assert_int_equal(call_near("add", NULL), 0);
	run_until(&far_end.requests, 1);
	far_end.is_keeping = false;
	assert_int_equal(call_near("add", NULL), 0);
	ipc_close(far_end.channel);
	far_end.channel = NULL;
	run_until(&near_end.closed, 1);
	assert_int_equal(near_end.replies, 2);
	assert_int_equal(near_end.error_code, IPC_UNAVAILABLE);
	ipc_reply(far_end.kept, NULL); /* of a closed channel: goes nowhere */
	far_end.kept = NULL;
}

static void calls_of_a_closed_channel_are_finished(void **state)
{
	assert_int_equal(call_near("add", NULL), 0);
	ipc_close(near_end.channel);
	near_end.channel = NULL;
	assert_int_equal(near_end.replies, 1);
	assert_int_equal(near_end.error_code, IPC_UNAVAILABLE);
}

static void answer_that_is_too_long_becomes_an_error(void **state)
{
	assert_int_equal(call_near("huge", NULL), 0);
	run_until(&near_end.replies, 1);
	assert_int_equal(near_end.error_code, IPC_INTERNAL_ERROR);
}

static void send_queue_is_bounded(void **state)
{
	char *text = calloc(1, 100001);
	int sent = 0, status;

	memset(text, 'x', 100000);
	do
		status = ipc_notify(
			near_end.channel, "event", json_pack("{s:s}", "t", text), NULL, 0);
	while (status == 0 && ++sent < 1000);
	assert_int_equal(status, -ENOBUFS);
	free(text);
	run_until(&far_end.notifications, sent);
	assert_int_equal(far_end.notifications, sent); /* in order, and none lost */
}

static void garbage_gets_the_standard_error(void **state)
{
	char answer[256] = {0};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_close(far_end.channel);
	ipc_close(near_end.channel);
	near_end.channel = NULL;
	assert_int_equal(ipc_open(&loop, fds[1], &ops, &far_end, &far_end.channel), 0);
	assert_int_equal(send(fds[0], "\x01garbage", 8, 0), 8);
	while (recv(fds[0], answer, sizeof(answer) - 1, MSG_DONTWAIT) < 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_non_null(strstr(answer, "-32700"));
	assert_non_null(strstr(answer, "\"id\":null"));
	/* And the channel goes on. */
	send(fds[0], "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\"}", 39, 0);
	memset(answer, 0, sizeof(answer));
	while (recv(fds[0], answer, sizeof(answer) - 1, MSG_DONTWAIT) < 0)
		uv_run(&loop, UV_RUN_ONCE);
	assert_non_null(strstr(answer, "\"result\":1"));
	close(fds[0]);
}

static void message_that_was_cut_closes_the_channel(void **state)
{
	char *text = calloc(1, IPC_MESSAGE_SIZE + 1);

	assert_int_equal(send(far_fd, text, IPC_MESSAGE_SIZE + 1, 0), IPC_MESSAGE_SIZE + 1);
	free(text);
	run_until(&near_end.closed, 1);
}

static void handle_named(struct ipc_request *request, void *context)
{
	ipc_reply(request, json_integer(7));
}

static void on_dispatch(struct ipc_request *request, void *context)
{
	static const struct ipc_method methods[] = {{"named", handle_named}, {0}};

	ipc_dispatch(methods, request, context);
}

static void dispatch_finds_the_row_or_says_so(void **state)
{
	static const struct ipc_ops dispatching = {on_dispatch, on_close};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_close(far_end.channel);
	ipc_close(near_end.channel);
	assert_int_equal(ipc_open(&loop, fds[0], &ops, &near_end, &near_end.channel), 0);
	assert_int_equal(ipc_open(&loop, fds[1], &dispatching, &far_end, &far_end.channel), 0);
	assert_int_equal(call_near("named", NULL), 0);
	run_until(&near_end.replies, 1);
	assert_int_equal(near_end.value, 7);
	assert_int_equal(call_near("nameless", NULL), 0);
	run_until(&near_end.replies, 2);
	assert_int_equal(near_end.error_code, IPC_METHOD_NOT_FOUND);
}

#define CHANNEL_TEST(name) cmocka_unit_test_setup_teardown(name, open_ends, close_ends)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHANNEL_TEST(call_is_answered),
		CHANNEL_TEST(call_after_long_work_has_its_whole_time),
		CHANNEL_TEST(failure_is_answered_as_an_error),
		CHANNEL_TEST(unanswered_call_is_made_again_for_the_next_owner),
		CHANNEL_TEST(notification_needs_no_answer),
		CHANNEL_TEST(descriptors_travel_both_ways),
		CHANNEL_TEST(descriptors_nobody_takes_are_closed),
		CHANNEL_TEST(call_times_out),
		CHANNEL_TEST(pending_calls_fail_when_the_peer_goes),
		CHANNEL_TEST(calls_of_a_closed_channel_are_finished),
		CHANNEL_TEST(answer_that_is_too_long_becomes_an_error),
		CHANNEL_TEST(send_queue_is_bounded),
		CHANNEL_TEST(garbage_gets_the_standard_error),
		CHANNEL_TEST(message_that_was_cut_closes_the_channel),
		CHANNEL_TEST(dispatch_finds_the_row_or_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
