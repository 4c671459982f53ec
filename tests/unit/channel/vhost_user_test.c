/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user back end of a guest's vsock device (C9): what QEMU says, and what nobody may. */
#include "channel/vsock/vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MEMORY    (1024 * 1024)
#define HUGE_PAGE (2 * 1024 * 1024)
#define USER_BASE 0x7f0000000000ULL

static struct vsock_device device;
static struct vhost_user vhost;
static uint8_t reply[VHOST_HEAD_SIZE + VHOST_BODY_MAX];
static const struct vsock_ops ops = {0};

static int set_up(void **state)
{
	vsock_device_open(&device, 0x1234, &ops, NULL);
	vhost_user_open(&vhost, &device);
	return 0;
}

static int tear_down(void **state)
{
	vhost_user_close(&vhost);
	return 0;
}

/* words: of 32 bits. fd (-1: none) is taken. */
static int say(uint32_t request, const uint32_t *words, size_t count, int fd)
{
	struct vhost_message message = {
		.request = request, .flags = 1, .size = (uint32_t)(4 * count)};
	int status;

	if (count > 0)
		memcpy(message.body, words, 4 * count);
	if (fd >= 0)
		message.descriptors[message.descriptor_count++] = fd;
	status = vhost_user_handle(&vhost, &message, reply);
	if (fd >= 0 && message.descriptors[0] >= 0)
		close(fd);
	return status;
}

static int say2(uint32_t request, uint32_t first, uint32_t second, int fd)
{
	const uint32_t words[] = {first, second};

	return say(request, words, 2, fd);
}

static int make_memory_of(unsigned int flags, off_t size, int seals)
{
	int fd = memfd_create("guest", MFD_ALLOW_SEALING | MFD_CLOEXEC | flags);

	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int make_memory(int seals)
{
	return make_memory_of(0, MEMORY, seals);
}

static int set_memory(int fd, uint64_t size, uint64_t offset)
{
	uint64_t region[5] = {1, 0, size, USER_BASE, offset};

	return say(5, (const uint32_t *)region, 10, fd);
}

static int set_addresses(uint32_t queue, uint64_t at)
{
	uint64_t words[5] = {
		queue, USER_BASE + at, USER_BASE + at + 0x2000, USER_BASE + at + 0x1000};

	return say(9, (const uint32_t *)words, 10, -1);
}

static int start_queue(uint32_t queue)
{
	int status = say2(8, queue, 128, -1);

	if (status == 0)
		status = say2(10, queue, 5, -1);
	if (status == 0)
		status = set_addresses(queue, queue * 0x8000);
	return status < 0 ? status : say2(12, queue, 0, eventfd(0, EFD_NONBLOCK));
}

static uint64_t reply64(size_t at)
{
	uint64_t value;

	memcpy(&value, reply + VHOST_HEAD_SIZE + at, sizeof(value));
	return value;
}

static void says_what_it_can(void **state)
{
	const uint32_t config[5] = {0, 8, 0};

	assert_int_equal(say(1, NULL, 0, -1), VHOST_HEAD_SIZE + 8);
	assert_int_equal(reply64(0), 1ULL << 32 | 1ULL << 30);
	assert_int_equal(say2(2, 0, 1, -1), 0);
	assert_int_equal(say2(2, 1u << 29, 1, -1), -EPROTO); /* EVENT_IDX */
	assert_int_equal(say(15, NULL, 0, -1), VHOST_HEAD_SIZE + 8);
	assert_int_equal(reply64(0), 1ULL << 9);
	assert_int_equal(say2(16, 1u << 9, 0, -1), 0);
	assert_int_equal(say2(16, 1u << 16, 0, -1), -EPROTO);
	assert_int_equal(say(24, config, 5, -1), VHOST_HEAD_SIZE + 20);
	assert_int_equal(reply64(12), 0x1234);
	assert_int_equal(say(24, config, 3, -1), -EPROTO);
}

static void starts_and_stops_queues(void **state)
{
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, 0), 0);
	assert_int_equal(start_queue(VSOCK_RX), 0);
	assert_false(vsock_device_is_running(&device));
	assert_int_equal(start_queue(VSOCK_TX), 0);
	assert_true(vsock_device_is_running(&device));
	assert_int_equal(device.queues[VSOCK_TX].next, 5);
	device.queues[VSOCK_TX].next = 9;
	assert_int_equal(say2(18, VSOCK_TX, 0, -1), 0);
	assert_false(vsock_device_is_running(&device));
	assert_int_equal(say2(18, VSOCK_TX, 1, -1), 0);
	assert_true(vsock_device_is_running(&device));
	assert_int_equal(say2(11, VSOCK_TX, 0, -1), VHOST_HEAD_SIZE + 8);
	assert_int_equal(reply64(0), 9ULL << 32 | VSOCK_TX);
	assert_false(vsock_device_is_running(&device));
}

static void takes_only_memory_that_stays(void **state)
{
	assert_int_equal(set_memory(make_memory(0), MEMORY, 0), -EACCES);
	assert_int_equal(set_memory(eventfd(0, 0), MEMORY, 0), -EACCES);
	/* A huge page that was punched out may have no successor. */
	assert_int_equal(
		set_memory(make_memory_of(MFD_HUGETLB | MFD_HUGE_2MB, HUGE_PAGE, F_SEAL_SHRINK),
			MEMORY, 0),
		-EACCES);
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY + 1, 0), -EINVAL);
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, 4096), -EINVAL);
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, UINT64_MAX - 10), -EINVAL);
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), 0, 0), -EINVAL);
	assert_int_equal(set_memory(-1, MEMORY, 0), -EPROTO);
}

static void moves_running_queues_to_other_memory(void **state)
{
	const uint8_t *before;

	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, 0), 0);
	assert_int_equal(start_queue(VSOCK_RX), 0);
	before = device.queues[VSOCK_RX].used;
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, 0), 0);
	assert_ptr_equal(device.queues[VSOCK_RX].used - device.memory.regions[0].base, 0x2000);
	assert_non_null(before);
	/* Where the queue would not be. */
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), 4096, 0), -EPROTO);
}

static void refuses_queues_that_cannot_be(void **state)
{
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, 0), 0);
	assert_int_equal(say2(8, VSOCK_QUEUES, 128, -1), -EPROTO);
	assert_int_equal(say2(8, 0, 100, -1), -EPROTO);
	assert_int_equal(say2(8, 0, 0, -1), -EPROTO);
	assert_int_equal(say2(8, 0, 2048, -1), -EPROTO);
	assert_int_equal(say2(11, VSOCK_QUEUES, 0, -1), -EPROTO);
	assert_int_equal(say2(12, VSOCK_QUEUES, 0, eventfd(0, 0)), -EPROTO);
	assert_int_equal(say2(12, 0, 0, -1), -EPROTO);
	assert_int_equal(say2(12, 0x100, 0, -1), -EPROTO);
	assert_int_equal(say2(13, 0x100, 0, -1), 0);
	assert_int_equal(say2(8, 0, 128, -1), 0);
	assert_int_equal(say2(12, 0, 0, eventfd(0, 0)), 0);
	assert_int_equal(set_addresses(0, 4), -EPROTO); /* not aligned */
	assert_int_equal(set_addresses(0, MEMORY - 0x2000), -EPROTO);
}

static void refuses_changes_of_a_queue_that_runs(void **state)
{
	assert_int_equal(set_memory(make_memory(F_SEAL_SHRINK), MEMORY, 0), 0);
	assert_int_equal(start_queue(VSOCK_TX), 0);
	assert_int_equal(say2(8, VSOCK_TX, 256, -1), -EPROTO);
	assert_int_equal(say2(10, VSOCK_TX, 0, -1), -EPROTO);
	assert_int_equal(set_addresses(VSOCK_TX, 0), -EPROTO);
}

static void reads_heads_strictly(void **state)
{
	struct vhost_message message;
	uint32_t head[3] = {1, 1, 0};

	assert_int_equal(vhost_message_read_head((const uint8_t *)head, &message), 0);
	head[1] = 2;
	assert_int_equal(vhost_message_read_head((const uint8_t *)head, &message), -EPROTO);
	head[1] = 1;
	head[2] = VHOST_BODY_MAX + 1;
	assert_int_equal(vhost_message_read_head((const uint8_t *)head, &message), -EPROTO);
	head[2] = 0;
	head[0] = 0;
	assert_int_equal(vhost_message_read_head((const uint8_t *)head, &message), -EPROTO);
	head[0] = 100;
	assert_int_equal(vhost_message_read_head((const uint8_t *)head, &message), -EPROTO);
	/* Known to the protocol, and not agreed. */
	assert_int_equal(say2(6, 0, 0, -1), -EPROTO);
	assert_int_equal(say2(2, 0, 0, eventfd(0, 0)), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(says_what_it_can),
		TEST(starts_and_stops_queues),
		TEST(takes_only_memory_that_stays),
		TEST(moves_running_queues_to_other_memory),
		TEST(refuses_queues_that_cannot_be),
		TEST(refuses_changes_of_a_queue_that_runs),
		TEST(reads_heads_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
