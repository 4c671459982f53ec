/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a change of ports is prepared: all opens have ended, and the kernel has told the links. A
 * real TAP in a network namespace of this process; the broker, which opens it, is played by the
 * test. Needs root; is skipped without.
 */
#include "packet/packet_module.h"
#include "packet/port/port_control.h"
#include "packet/port/port_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frames.h"
#include "packet/engine/pool.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#define NO_INDEX 12345 /* of an interface that is not there */

static uv_loop_t loop;
static json_t *config;
static bool is_prepared;

/* The call of the broker that waits for its answer. */
static struct {
	ipc_reply_fn done;
	void *context;
} call;

/* --- The role, as far as ports need it --- */

uv_loop_t *packet_loop(void)
{
	return &loop;
}

const json_t *packet_config(void)
{
	return NULL; /* the first configuration */
}

void packet_broker_call(const char *method, json_t *params, const int *descriptors,
	size_t descriptor_count, ipc_reply_fn done, void *context)
{
	if (strcmp(method, "broker.open_tap") == 0) {
		call.done = done;
		call.context = context;
	}
	json_decref(params);
}

void packet_emit_event(json_t *event)
{
	json_decref(event);
}

int packet_notify(const char *method, json_t *params)
{
	json_decref(params);
	return 0;
}

void packet_metric(json_t *samples, const char *name, const char *type, const char *help,
	json_t *labels, double value)
{
	json_decref(labels);
}

/* --- The broker --- */

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static void answer_open(int index, int fd)
{
	json_t *answer = json_pack(
		"{s:i, s:i, s:s}", "index", index, "mtu", 1500, "mac", "52:54:00:00:00:99");

	call.done(call.context, answer, NULL, &fd, 1);
	json_decref(answer);
}

/* --- Tests --- */

static void note_prepared(void *context, const struct error *error)
{
	assert_null(error);
	assert_false(is_prepared);
	is_prepared = true;
}

static void prepare(void)
{
	is_prepared = false;
	port_module.prepare(config, note_prepared, NULL);
	assert_non_null(call.done);
	assert_false(is_prepared);
}

static uint64_t run_until_prepared(void)
{
	uint64_t begin_ms;

	uv_update_time(&loop);
	begin_ms = uv_now(&loop);
	while (!is_prepared)
		uv_run(&loop, UV_RUN_ONCE);
	return uv_now(&loop) - begin_ms;
}

/* G12: nothing that is sent to a port right after the start is lost for want of its link. */
static void is_prepared_when_the_links_are_known(void **state)
{
	int fd = open_tap("sea0");

	assert_int_equal(system("ip link set sea0 up"), 0);
	prepare();
	answer_open((int)if_nametoindex("sea0"), fd);
	assert_false(is_prepared);
	run_until_prepared();
	assert_true(port_table_get(0)->is_up);
	port_module.abort();
}

/* A link that is down is known as well. */
static void is_prepared_when_a_link_is_down(void **state)
{
	int fd = open_tap("sea0");

	prepare();
	answer_open((int)if_nametoindex("sea0"), fd);
	assert_true(run_until_prepared() < 1500);
	assert_false(port_table_get(0)->is_up);
	port_module.abort();
}

static void does_not_wait_for_ever(void **state)
{
	int fd = open_tap("sea0");
	uint64_t begin_ms;

	prepare();
	uv_update_time(&loop);
	begin_ms = uv_now(&loop);
	answer_open(NO_INDEX, fd);
	run_until_prepared();
	assert_in_range(uv_now(&loop) - begin_ms, 1900, 10000);
	port_module.abort();
}

/* An interface that goes while its link is awaited is tried again later, like one that was never
 * there. */
static void does_not_wait_for_what_is_gone(void **state)
{
	int fd = open_tap("sea0"), index;

	assert_int_equal(system("ip link add wire type veth peer name end"), 0);
	index = (int)if_nametoindex("wire");
	prepare();
	answer_open(index, fd);
	/* The question for all links goes unanswered for it, as it is gone; the news of that is
	 * read first. */
	assert_int_equal(system("ip link delete wire"), 0);
	assert_true(run_until_prepared() < 1500);
	assert_int_equal(port_table_get(0)->state->phase, PORT_WAITING);
	port_module.abort();
}

static int set_up(void **state)
{
	struct error error;

	if (unshare(CLONE_NEWNET) < 0 || uv_loop_init(&loop) < 0)
		return -1;
	packet_pool = frames_start("port_links_test");
	config = json_pack("{s:{s:{s:s, s:i}}}", "gateway", "host", "interface", "sea0", "vlan", 1);
	return packet_pool && config ? port_module.start(&error) : -1;
}

static int tear_down(void **state)
{
	port_module.stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	json_decref(config);
	return uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_prepared_when_the_links_are_known),
		cmocka_unit_test(is_prepared_when_a_link_is_down),
		cmocka_unit_test(does_not_wait_for_ever),
		cmocka_unit_test(does_not_wait_for_what_is_gone),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root for a network namespace\n");
		return 77; /* what Meson takes for a skip */
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
