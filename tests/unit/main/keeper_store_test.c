/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct keeper_store store;
static char taken[1024]; /* "key=data/number of descriptors;" */
static int taken_fd;

static int new_fd(void)
{
	return memfd_create("item", MFD_CLOEXEC);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int change(enum keeper_operation operation, const char *key, const char *data,
	const int *descriptors, size_t count)
{
	struct keeper_message message = {.operation = operation};

	strcpy(message.key, key);
	memcpy(message.data, data, strlen(data));
	return keeper_store_change(&store, &message,
		offsetof(struct keeper_message, data) + strlen(data), descriptors, count);
}

static void take(void *context, const char *key, const void *data, size_t size, int *descriptors,
	size_t descriptor_count)
{
	size_t used = strlen(taken);

	snprintf(taken + used, sizeof(taken) - used, "%s=%.*s/%zu;", key, (int)size,
		(const char *)data, descriptor_count);
	if (descriptor_count > 0)
		taken_fd = descriptors[0];
}

/* What a broker would be handed over, in taken. */
static struct handover_header hand_over(void)
{
	struct handover_header header = {.ready_fd = -1, .restarts = 3}, read = {0};
	int fd = new_fd();

	taken[0] = '\0';
	assert_int_equal(keeper_store_write(&store, &header, fd), 0);
	assert_int_equal(handover_read(fd, &read, take, NULL), 0);
	close(fd);
	return read;
}

static int set_up(void **state)
{
	keeper_store_init(&store);
	return 0;
}

static int tear_down(void **state)
{
	keeper_store_clear(&store);
	assert_int_equal(store.count, 0);
	return 0;
}

static void hands_over_what_was_put_last_in_the_order_of_coming(void **state)
{
	struct handover_header header;

	assert_int_equal(hand_over().item_count, 0);
	assert_string_equal(taken, "");
	assert_int_equal(change(KEEPER_PUT, "broker:", "b", NULL, 0), 0);
	assert_int_equal(change(KEEPER_PUT, "role:packet", "old", NULL, 0), 0);
	assert_int_equal(change(KEEPER_PUT, "tap:sea0", "", NULL, 0), 0);
	assert_int_equal(change(KEEPER_PUT, "tap:sea1", "x", NULL, 0), 0);
	assert_int_equal(change(KEEPER_PUT, "role:packet", "newer", NULL, 0), 0);
	assert_int_equal(change(KEEPER_DROP, "tap:sea0", "", NULL, 0), 0);
	assert_int_equal(change(KEEPER_DROP, "tap:none", "", NULL, 0), 0);
	header = hand_over();
	assert_int_equal(header.item_count, 3);
	assert_int_equal(header.restarts, 3);
	assert_int_equal(header.ready_fd, -1);
	assert_string_equal(taken, "broker:=b/0;role:packet=newer/0;tap:sea1=x/0;");
}

static void descriptors_are_closed_with_their_item(void **state)
{
	int first = new_fd(), second = new_fd();

	assert_int_equal(change(KEEPER_PUT, "tap:a", "", &first, 1), 0);
	assert_true(is_open(first));
	assert_int_equal(change(KEEPER_PUT, "tap:a", "", &second, 1), 0);
	assert_false(is_open(first));
	assert_true(is_open(second));
	assert_int_equal(change(KEEPER_DROP, "tap:a", "", NULL, 0), 0);
	assert_false(is_open(second));
}

static void descriptors_are_inherited_once_and_no_further(void **state)
{
	int fd = new_fd();

	assert_int_equal(change(KEEPER_PUT, "tap:a", "", &fd, 1), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	keeper_store_share(&store);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	hand_over();
	assert_int_equal(taken_fd, fd);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void refuses_what_no_broker_sends_and_closes_its_descriptors(void **state)
{
	struct keeper_message message = {.operation = KEEPER_PUT};
	int fd = new_fd();

	assert_int_equal(keeper_store_change(&store, &message, 3, &fd, 1), -EINVAL);
	assert_false(is_open(fd));
	memset(message.key, 'k', sizeof(message.key));
	assert_int_equal(keeper_store_change(&store, &message, sizeof(message), NULL, 0), -EINVAL);
	assert_int_equal(change((enum keeper_operation)77, "tap:a", "", NULL, 0), -EINVAL);
	assert_int_equal(store.count, 0);
}

static void is_bounded(void **state)
{
	char key[32];

	for (int i = 0; i < KEEPER_ITEMS_MAX; i++) {
		snprintf(key, sizeof(key), "tap:%d", i);
		assert_int_equal(change(KEEPER_PUT, key, "", NULL, 0), 0);
	}
	assert_int_equal(change(KEEPER_PUT, "tap:more", "", NULL, 0), -ENOSPC);
	assert_int_equal(change(KEEPER_PUT, "tap:7", "again", NULL, 0), 0);
}

static void refuses_a_handover_that_was_cut(void **state)
{
	struct handover_header header = {0}, read;
	int fd = new_fd();

	assert_int_equal(change(KEEPER_PUT, "tap:a", "data", NULL, 0), 0);
	assert_int_equal(keeper_store_write(&store, &header, fd), 0);
	for (off_t size = lseek(fd, 0, SEEK_END) - 1; size >= 0; size--) {
		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(handover_read(fd, &read, take, NULL), -EINVAL);
	}
	close(fd);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(hands_over_what_was_put_last_in_the_order_of_coming),
		STORE_TEST(descriptors_are_closed_with_their_item),
		STORE_TEST(descriptors_are_inherited_once_and_no_further),
		STORE_TEST(refuses_what_no_broker_sends_and_closes_its_descriptors),
		STORE_TEST(is_bounded),
		STORE_TEST(refuses_a_handover_that_was_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
