/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/descriptors.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SENT 3

static struct {
	int ends[2];
	int pipes[SENT][2];
} world;

static int open_world(void **state)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, world.ends), 0);
	for (int i = 0; i < SENT; i++)
		assert_int_equal(pipe2(world.pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
	return 0;
}

static int close_world(void **state)
{
	for (int i = 0; i < SENT; i++)
		close(world.pipes[i][0]);
	close(world.ends[0]);
	close(world.ends[1]);
	return 0;
}

/* Sends the writing ends of so many pipes, and keeps none. */
static void send_pipes(size_t count)
{
	struct iovec part = {"x", 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	DESCRIPTORS_ROOM(SENT) room;
	int descriptors[SENT];

	for (int i = 0; i < SENT; i++)
		descriptors[i] = world.pipes[i][1];
	descriptors_attach(&message, &room, descriptors, count);
	assert_int_equal(sendmsg(world.ends[0], &message, 0), 1);
	for (int i = 0; i < SENT; i++)
		close(world.pipes[i][1]);
}

static size_t receive(int *out, size_t max)
{
	char byte;
	struct iovec part = {&byte, 1};
	DESCRIPTORS_ROOM(SENT) room;
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room)};

	assert_int_equal(recvmsg(world.ends[1], &message, MSG_CMSG_CLOEXEC), 1);
	assert_int_equal(message.msg_flags & MSG_CTRUNC, 0);
	return descriptors_take(&message, out, max);
}

/* Whether nobody has the pipe's writing end any more. */
static int is_closed(int index)
{
	char byte;

	return read(world.pipes[index][0], &byte, 1) == 0;
}

static void they_come_in_order(void **state)
{
	int out[SENT];
	char byte;

	send_pipes(SENT);
	assert_int_equal(receive(out, SENT), SENT);
	for (int i = 0; i < SENT; i++) {
		char sent = (char)('a' + i);

		assert_int_equal(write(out[i], &sent, 1), 1);
		assert_int_equal(read(world.pipes[i][0], &byte, 1), 1);
		assert_int_equal(byte, sent);
		close(out[i]);
	}
}

static void those_that_nobody_takes_are_closed(void **state)
{
	int out = -1;

	send_pipes(SENT);
	assert_int_equal(receive(&out, 1), 1);
	assert_false(is_closed(0));
	assert_true(is_closed(1));
	assert_true(is_closed(2));
	close(out);
	assert_true(is_closed(0));
}

static void a_message_may_have_none(void **state)
{
	int out = -1;

	send_pipes(0);
	assert_int_equal(receive(&out, 1), 0);
	assert_int_equal(out, -1);
}

int main(void)
{
#define DESCRIPTORS_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		DESCRIPTORS_TEST(they_come_in_order),
		DESCRIPTORS_TEST(those_that_nobody_takes_are_closed),
		DESCRIPTORS_TEST(a_message_may_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
