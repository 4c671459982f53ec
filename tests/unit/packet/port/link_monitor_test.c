/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel's news of links, in a network namespace of this process. Needs root; is skipped
 * without.
 */
#include "packet/port/link_monitor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <sched.h>

#include <cmocka.h>

#define PAIRS       400
#define INDEXES_MAX 4096
#define WAIT_MS     20000

static uv_loop_t loop;
static struct link_news last[INDEXES_MAX]; /* of each interface */

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static void on_news(const struct link_news *news)
{
	assert_in_range(news->index, 1, INDEXES_MAX - 1);
	last[news->index] = *news;
}

static void note_time(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Runs the loop until condition() holds; false: it took too long. */
static bool wait_until(bool (*condition)(void))
{
	bool is_late = false;
	uv_timer_t timer = {.data = &is_late};

	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, note_time, WAIT_MS, 0);
	while (!condition() && !is_late)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	return !is_late;
}

static const struct link_news *news_of(const char *name)
{
	unsigned int index = if_nametoindex(name);

	assert_in_range(index, 1, INDEXES_MAX - 1);
	return &last[index];
}

static bool is_wire_up(void)
{
	return news_of("wire")->is_up;
}

static bool is_wire_down(void)
{
	return news_of("wire")->index && !news_of("wire")->is_up;
}

static void tells_of_carriers_and_mtus(void **state)
{
	run("ip link add wire mtu 1400 type veth peer name end && ip link set wire up");
	assert_true(wait_until(is_wire_down));
	assert_true(news_of("wire")->is_settled);
	assert_int_equal(news_of("wire")->mtu_bytes, 1400);
	run("ip link set end up");
	assert_true(wait_until(is_wire_up));
	assert_true(news_of("wire")->is_settled);
	run("ip link set end down");
	assert_true(wait_until(is_wire_down));
}

static bool are_all_up(void)
{
	char name[16];

	for (int i = 0; i < 2 * PAIRS; i++) {
		snprintf(name, sizeof(name), "%c%d", i % 2 ? 'x' : 'y', i / 2);
		if (!news_of(name)->is_up)
			return false;
	}
	return true;
}

/* While the loop did not run more happened than the socket holds: all of it is heard of in the end,
 * and what happens afterwards, too. */
static void tells_all_after_an_overrun(void **state)
{
	FILE *batch = popen("ip -batch -", "w");

	assert_non_null(batch);
	for (int i = 0; i < PAIRS; i++)
		fprintf(batch,
			"link add x%d type veth peer name y%d\n"
			"link set x%d up\nlink set y%d up\n",
			i, i, i, i);
	assert_int_equal(pclose(batch), 0);
	assert_true(wait_until(are_all_up));
	run("ip link set end up");
	assert_true(wait_until(is_wire_up));
	run("ip link set end down");
	assert_true(wait_until(is_wire_down));
}

static bool is_wire_gone(void)
{
	for (int i = 0; i < INDEXES_MAX; i++)
		if (last[i].is_gone)
			return true;
	return false;
}

static void tells_of_interfaces_that_go(void **state)
{
	run("ip link delete wire");
	assert_true(wait_until(is_wire_gone));
}

static int set_up(void **state)
{
	struct error error;

	if (unshare(CLONE_NEWNET) < 0 || uv_loop_init(&loop) < 0)
		return -1;
	return link_monitor_start(&loop, on_news, &error);
}

static int tear_down(void **state)
{
	link_monitor_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_of_carriers_and_mtus),
		cmocka_unit_test(tells_all_after_an_overrun),
		cmocka_unit_test(tells_of_interfaces_that_go),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root for a network namespace\n");
		return 77; /* what Meson takes for a skip */
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
