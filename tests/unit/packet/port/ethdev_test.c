/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The backend for DPDK's drivers, with the other end of vhost-user (a virtio_user device) in the
 * same process.
 */
#include "packet/engine/pool.h"
#include "packet/engine/worker.h"
#include "packet/packet_module.h"
#include "packet/port/backend.h"
#include "packet/port/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

#define WAIT_MS 25000

static struct frame frame, result;
static struct port *port;
static uv_loop_t loop;
static char folder[] = "/tmp/ethdev_test.XXXXXX";
static char path[64];
static bool is_client;
static uint32_t changes;

static void on_change(uint16_t ethdev_id)
{
	changes++;
}

static int open_port(struct port *at, const char *options, uint16_t queues, struct error *error)
{
	struct device device;

	memset(at, 0, sizeof(*at));
	at->config.queue_count = queues;
	snprintf(at->config.device, sizeof(at->config.device), "%s%s%s", options, path,
		is_client ? ",client" : "");
	assert_int_equal(device_parse(at->config.device, &device, NULL), 0);
	return ethdev_open(at, &device, error);
}

static bool wait_for_link(struct port *at)
{
	for (int i = 0; i < WAIT_MS; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		if (at->ops->refresh(at))
			return true;
		usleep(1000);
	}
	return false;
}

static struct rte_mbuf *receive(struct port *at)
{
	for (int i = 0; i < WAIT_MS; i++) {
		struct rte_mbuf *packet;

		if (at->ops->rx_burst(at, 0, &packet, 1) == 1)
			return packet;
		usleep(1000);
	}
	return NULL;
}

/* The guest. */
static uint16_t open_guest(const char *options, uint16_t queues)
{
	char arguments[256];
	struct rte_eth_conf conf = {0};
	uint16_t id;

	snprintf(arguments, sizeof(arguments), "path=%s,queues=%u%s", path, queues, options);
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_virtio_user7", arguments), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_virtio_user7", &id), 0);
	conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO
		| RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	conf.rxmode.offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO
		| RTE_ETH_RX_OFFLOAD_SCATTER;
	conf.rxmode.mtu = 9500;
	assert_int_equal(rte_eth_dev_configure(id, queues, queues, &conf), 0);
	for (uint16_t i = 0; i < queues; i++) {
		assert_int_equal(
			rte_eth_rx_queue_setup(id, i, 256, SOCKET_ID_ANY, NULL, packet_pool), 0);
		assert_int_equal(rte_eth_tx_queue_setup(id, i, 256, SOCKET_ID_ANY, NULL), 0);
	}
	assert_int_equal(rte_eth_dev_start(id), 0);
	return id;
}

static void close_guest(uint16_t id)
{
	(void)rte_eth_dev_stop(id);
	(void)rte_eth_dev_close(id);
	(void)rte_eal_hotplug_remove("vdev", "net_virtio_user7");
}

static struct rte_mbuf *make_super_frame(void)
{
	struct frame_spec spec = {
		.ip_version = 4, .protocol = IPPROTO_TCP, .payload = 9000, .tcp_flags = 0x18};
	struct rte_mbuf *packet;

	frame_make(&frame, &spec);
	frame_leave_checksum(&frame);
	packet = frame_to_mbuf(&frame, packet_pool, 0);
	packet->ol_flags |= RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM;
	packet->tso_segsz = 1448;
	assert_int_equal(offload_validate(packet), 0);
	return packet;
}

/* G11: the guest's super-frame arrives whole, with its wishes; and one goes to it likewise. */
static void passes_super_frames_from_and_to_a_guest(void **state)
{
	struct rte_mbuf *packet;
	struct error error;
	uint16_t guest;

	assert_int_equal(open_port(port, "vhost-user:", 1, &error), 0);
	guest = open_guest(",mrg_rxbuf=1", 1);
	assert_true(wait_for_link(port));
	/* Told by another thread, after the link has come up. */
	assert_becomes((uv_run(&loop, UV_RUN_NOWAIT), changes > 0));
	assert_int_equal(port->tx_queue_count, 1);
	packet = make_super_frame();
	assert_int_equal(rte_eth_tx_burst(guest, 0, &packet, 1), 1);
	packet = receive(port);
	assert_non_null(packet);
	assert_int_equal(offload_validate(packet), 0);
	assert_true(offload_is_super_frame(packet));
	assert_int_equal(packet->tso_segsz, 1448);
	frame_from_mbuf(&result, packet);
	assert_int_equal(result.size, frame.size);
	assert_memory_equal(result.bytes + frame.payload, frame.bytes + frame.payload, 9000);
	assert_true(port->offloads & PORT_OFFLOAD_TSO4);
	assert_int_equal(port->ops->tx_burst(port, 0, &packet, 1), 1);
	for (int i = 0; i < WAIT_MS && rte_eth_rx_burst(guest, 0, &packet, 1) == 0; i++)
		usleep(1000);
	frame_from_mbuf(&result, packet);
	assert_int_equal(result.size, frame.size);
	assert_true(packet->ol_flags & RTE_MBUF_F_RX_LRO);
	rte_pktmbuf_free(packet);
	close_guest(guest);
	port->ops->close(port);
	assert_int_equal(access(path, F_OK), -1);
}

static void takes_a_guest_that_comes_again(void **state)
{
	struct error error;

	assert_int_equal(open_port(port, "vhost-user:", 1, &error), 0);
	for (int i = 0; i < 3; i++) {
		uint16_t guest = open_guest("", 1);

		assert_true(wait_for_link(port));
		close_guest(guest);
		for (int j = 0; j < WAIT_MS && port->ops->refresh(port); j++)
			usleep(1000);
		assert_false(port->ops->refresh(port));
	}
	port->ops->close(port);
}

static uint32_t wait_for_queues(uint32_t count)
{
	for (int i = 0; i < WAIT_MS && port->tx_queue_count != count; i++) {
		usleep(1000);
		(void)port->ops->refresh(port);
	}
	return port->tx_queue_count;
}

static void sends_to_the_queues_that_a_guest_uses(void **state)
{
	struct error error;
	uint16_t guest;

	assert_int_equal(open_port(port, "vhost-user:", 4, &error), 0);
	assert_int_equal(port->queue_count, 4);
	guest = open_guest(",cq=1", 2);
	assert_true(wait_for_link(port));
	assert_int_equal(wait_for_queues(2), 2);
	close_guest(guest);
	port->ops->close(port);
}

/* The guest's process listens and may come later than we do, and again. */
static void connects_to_a_guest_that_listens_later(void **state)
{
	struct error error;

	assert_int_equal(open_port(port, "vhost-user:", 1, &error), 0);
	port->ops->close(port);
	is_client = true;
	assert_int_equal(open_port(port, "vhost-user:", 1, &error), 0);
	is_client = false;
	assert_false(port->ops->refresh(port));
	for (int i = 0; i < 2; i++) {
		uint16_t guest = open_guest(",server=1", 1);

		assert_true(wait_for_link(port));
		close_guest(guest);
		for (int j = 0; j < WAIT_MS && port->ops->refresh(port); j++)
			usleep(1000);
		assert_false(port->ops->refresh(port));
		(void)unlink(path);
	}
	port->ops->close(port);
}

static void make_socket(bool is_served)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (is_served)
		assert_int_equal(listen(fd, 1), 0);
	else
		close(fd);
}

static void replaces_a_stale_socket_but_no_other_file(void **state)
{
	struct error error;
	int fd;

	make_socket(false);
	assert_int_equal(open_port(port, "vhost-user:", 1, &error), 0);
	port->ops->close(port);
	make_socket(true);
	assert_true(open_port(port, "vhost-user:", 1, &error) < 0);
	assert_non_null(strstr(error.text, "another process listens"));
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_true(open_port(port, "vhost-user:", 1, &error) < 0);
	assert_non_null(strstr(error.text, "no socket"));
	assert_int_equal(unlink(path), 0);
}

static void says_what_is_wrong_with_a_folder_or_an_interface(void **state)
{
	struct device device = {.kind = DEVICE_AF_XDP, .argument = "no-such-if"};
	struct error error;

	memset(port, 0, sizeof(*port));
	port->config.queue_count = 1;
	assert_true(ethdev_open(port, &device, &error) < 0);
	assert_non_null(strstr(error.text, "no-such-if"));
	device = (struct device){.kind = DEVICE_VHOST_USER, .argument = "/no/such/folder/x.sock"};
	assert_true(ethdev_open(port, &device, &error) < 0);
	assert_non_null(strstr(error.text, "/no/such/folder"));
}

static int set_up(void **state)
{
	worker_index = 0;
	packet_pool = frames_start("ethdev_test");
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	if (!packet_pool || !port || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	uv_loop_init(&loop);
	return ethdev_start(&loop, on_change);
}

static int tear_down(void **state)
{
	ethdev_stop();
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(port);
	(void)rmdir(folder);
	/* No rte_eal_cleanup(): in DPDK 22.11 it unmaps what its interrupt thread still reads. */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_super_frames_from_and_to_a_guest),
		cmocka_unit_test(takes_a_guest_that_comes_again),
		cmocka_unit_test(sends_to_the_queues_that_a_guest_uses),
		cmocka_unit_test(connects_to_a_guest_that_listens_later),
		cmocka_unit_test(replaces_a_stale_socket_but_no_other_file),
		cmocka_unit_test(says_what_is_wrong_with_a_folder_or_an_interface),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
