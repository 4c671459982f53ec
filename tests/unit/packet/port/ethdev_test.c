/* SPDX-License-Identifier: BSD-3-Clause */
/* The backend for DPDK's drivers: what it refuses. That it works takes a device (test_ports.py). */
#include "packet/engine/pool.h"
#include "packet/engine/worker.h"
#include "packet/packet_module.h"
#include "packet/port/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include "frames.h"

#include <cmocka.h>

static struct port *port;
static uv_loop_t loop;

static void on_change(uint16_t ethdev_id)
{
}

static int open_port(enum device_kind kind, const char *argument, struct error *error)
{
	struct device device = {.kind = kind};

	memset(port, 0, sizeof(*port));
	port->config.queue_count = 1;
	snprintf(port->config.device, sizeof(port->config.device), "%s", argument);
	snprintf(device.argument, sizeof(device.argument), "%s", argument);
	return ethdev_open(port, &device, error);
}

static void says_which_interface_is_missing(void **state)
{
	struct error error;

	assert_true(open_port(DEVICE_AF_XDP, "no-such-if", &error) < 0);
	assert_non_null(strstr(error.text, "no-such-if"));
	assert_null(port->ops);
}

static void says_which_device_the_driver_refuses(void **state)
{
	struct error error;

	assert_true(open_port(DEVICE_PCI, "ffff:ff:1f.7", &error) < 0);
	assert_non_null(strstr(error.text, "ffff:ff:1f.7"));
	assert_null(port->ops);
}

static void refuses_what_is_no_device_of_dpdk(void **state)
{
	struct error error;

	assert_int_equal(open_port(DEVICE_TAP, "tap0", &error), -EINVAL);
	assert_null(port->ops);
}

static int set_up(void **state)
{
	worker_index = 0;
	packet_pool = frames_start("ethdev_test");
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	if (!packet_pool || !port)
		return -1;
	uv_loop_init(&loop);
	return ethdev_start(&loop, on_change);
}

static int tear_down(void **state)
{
	ethdev_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(port);
	/* No rte_eal_cleanup(): in DPDK 22.11 it unmaps what its interrupt thread still reads. */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_which_interface_is_missing),
		cmocka_unit_test(says_which_device_the_driver_refuses),
		cmocka_unit_test(refuses_what_is_no_device_of_dpdk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
