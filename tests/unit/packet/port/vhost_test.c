/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports of guests, with the other end (virtio_user devices of DPDK, or just a socket) in the same
 * process. The test is the worker.
 */
#include "packet/engine/pool.h"
#include "packet/engine/publish_private.h"
#include "packet/engine/worker.h"
#include "packet/port/backend.h"
#include "packet/port/offload.h"
#include "packet/port/vhost_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_vhost.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

#define WAIT_MS 25000
#define GUEST   "net_virtio_user7"

static struct frame frame, result;
static struct port *port;
static uv_loop_t loop;
static char folder[] = "/tmp/vhost_test.XXXXXX";
static char path[64], other_path[sizeof(path) + 8];
static bool is_client;
static uint32_t changes;

static void on_news(void)
{
	changes++;
}

static int open_port(struct port *at, const char *socket_path, uint16_t queues, struct error *error)
{
	struct device device = {.kind = DEVICE_VHOST_USER, .is_client = is_client};

	memset(at, 0, sizeof(*at));
	at->config.queue_count = queues;
	snprintf(device.argument, sizeof(device.argument), "%s", socket_path);
	return vhost_open(at, &device, error);
}

static bool refresh(struct port *at)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	return at->ops->refresh(at);
}

static bool wait_for_link(struct port *at)
{
	for (int i = 0; i < WAIT_MS; i++) {
		if (refresh(at))
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
static uint16_t open_guest_at(const char *socket_path, const char *options, uint16_t queues)
{
	char arguments[256];
	struct rte_eth_conf conf = {0};
	uint16_t id;

	snprintf(arguments, sizeof(arguments), "path=%s,queues=%u%s", socket_path, queues, options);
	assert_int_equal(rte_eal_hotplug_add("vdev", GUEST, arguments), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(GUEST, &id), 0);
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

static uint16_t open_guest(const char *options, uint16_t queues)
{
	return open_guest_at(path, options, queues);
}

static void close_guest(uint16_t id)
{
	(void)rte_eth_dev_stop(id);
	(void)rte_eth_dev_close(id);
	(void)rte_eal_hotplug_remove("vdev", GUEST);
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

	assert_int_equal(open_port(port, path, 1, &error), 0);
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

	assert_int_equal(open_port(port, path, 1, &error), 0);
	for (int i = 0; i < 3; i++) {
		uint16_t guest = open_guest("", 1);

		assert_true(wait_for_link(port));
		close_guest(guest);
		for (int j = 0; j < WAIT_MS && refresh(port); j++)
			usleep(1000);
		assert_false(refresh(port));
	}
	port->ops->close(port);
}

static uint32_t wait_for_queues(uint32_t count)
{
	for (int i = 0; i < WAIT_MS && port->tx_queue_count != count; i++) {
		usleep(1000);
		(void)refresh(port);
	}
	return port->tx_queue_count;
}

static void sends_to_the_queues_that_a_guest_uses(void **state)
{
	struct error error;
	uint16_t guest;

	assert_int_equal(open_port(port, path, 4, &error), 0);
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
	uint16_t guest;

	assert_int_equal(open_port(port, path, 1, &error), 0);
	port->ops->close(port);
	is_client = true;
	assert_int_equal(open_port(port, path, 1, &error), 0);
	is_client = false;
	assert_false(refresh(port));
	guest = open_guest(",server=1", 1);
	assert_true(wait_for_link(port));
	close_guest(guest);
	assert_becomes(!refresh(port));
	(void)unlink(path);
	guest = open_guest(",server=1", 1);
	assert_true(wait_for_link(port));
	/* With its guest still there: docs/decisions/0008 has what librte_vhost does else. */
	port->ops->close(port);
	close_guest(guest);
	(void)unlink(path);
}

/* The listener may know its socket by another name than we do. */
static void connects_to_a_socket_by_another_name(void **state)
{
	struct error error;
	uint16_t guest;

	assert_int_equal(symlink(path, other_path), 0);
	is_client = true;
	assert_int_equal(open_port(port, other_path, 1, &error), 0);
	is_client = false;
	guest = open_guest(",server=1", 1); /* waits for us */
	assert_true(wait_for_link(port));
	port->ops->close(port);
	close_guest(guest);
	(void)unlink(path);
	(void)unlink(other_path);
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
	assert_int_equal(open_port(port, path, 1, &error), 0);
	port->ops->close(port);
	make_socket(true);
	assert_true(open_port(port, path, 1, &error) < 0);
	assert_non_null(strstr(error.text, "another process listens"));
	assert_int_equal(unlink(path), 0);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_true(open_port(port, path, 1, &error) < 0);
	assert_non_null(strstr(error.text, "no socket"));
	assert_int_equal(unlink(path), 0);
	assert_true(open_port(port, "/no/such/folder/x.sock", 1, &error) < 0);
	assert_non_null(strstr(error.text, "/no/such/folder"));
}

static void *close_guest_of(void *id)
{
	close_guest(*(uint16_t *)id);
	return NULL;
}

/* Librte_vhost has a guest's device for as long as a worker may be using it. */
static void keeps_what_a_walk_uses_until_it_has_ended(void **state)
{
	struct rte_rcu_qsbr *rcu;
	struct error error;
	pthread_t thread;
	char name[64];
	uint16_t guest;

	assert_int_equal(publish_open(NULL), 0);
	rcu = publish_rcu;
	assert_int_equal(open_port(port, path, 1, &error), 0);
	guest = open_guest("", 1);
	assert_true(wait_for_link(port));
	assert_int_equal(rte_rcu_qsbr_thread_register(rcu, 0), 0);
	rte_rcu_qsbr_thread_online(rcu, 0);
	assert_int_equal(rte_vhost_get_ifname(0, name, sizeof(name)), 0);
	assert_int_equal(pthread_create(&thread, NULL, close_guest_of, &guest), 0);
	assert_becomes(!refresh(port));
	assert_int_equal(rte_vhost_get_ifname(0, name, sizeof(name)), 0);
	rte_rcu_qsbr_thread_offline(rcu, 0);
	pthread_join(thread, NULL);
	assert_becomes(rte_vhost_get_ifname(0, name, sizeof(name)) < 0);
	port->ops->close(port);
	rte_rcu_qsbr_thread_unregister(rcu, 0);
	publish_close();
}

static struct {
	bool must_end;
	uint64_t received;
} walker;

/* A worker that receives and sends back for as long as it is let. */
static void *walk(void *unused)
{
	struct rte_mbuf *packets[PORT_BURST];

	worker_index = 0;
	(void)rte_rcu_qsbr_thread_register(publish_rcu, 0);
	rte_rcu_qsbr_thread_online(publish_rcu, 0);
	while (!__atomic_load_n(&walker.must_end, __ATOMIC_RELAXED)) {
		uint16_t count = port->ops->rx_burst(port, 0, packets, PORT_BURST);
		uint16_t sent = port->ops->tx_burst(port, 0, packets, count);

		rte_pktmbuf_free_bulk(packets + sent, count - sent);
		__atomic_fetch_add(&walker.received, count, __ATOMIC_RELAXED);
		rte_rcu_qsbr_quiescent(publish_rcu, 0);
	}
	rte_rcu_qsbr_thread_offline(publish_rcu, 0);
	rte_rcu_qsbr_thread_unregister(publish_rcu, 0);
	return NULL;
}

/* Keeps the guest's rings full until the worker has had some of it. */
static void send_until_received(uint16_t guest)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 100};
	uint64_t before = __atomic_load_n(&walker.received, __ATOMIC_RELAXED);

	frame_make(&frame, &spec);
	for (int i = 0; i < WAIT_MS; i++) {
		struct rte_mbuf *packet = frame_to_mbuf(&frame, packet_pool, 0);

		if (rte_eth_tx_burst(guest, 0, &packet, 1) == 0) {
			rte_pktmbuf_free(packet);
			usleep(1000);
		}
		if (rte_eth_rx_burst(guest, 0, &packet, 1) == 1)
			rte_pktmbuf_free(packet);
		if (__atomic_load_n(&walker.received, __ATOMIC_RELAXED) > before + 300)
			return;
	}
	fail_msg("the worker receives nothing");
}

/* G12: rings are full when it goes. */
static void guest_may_go_and_come_under_traffic(void **state)
{
	struct error error;
	pthread_t thread;

	assert_int_equal(publish_open(NULL), 0);
	assert_int_equal(open_port(port, path, 1, &error), 0);
	walker.must_end = false;
	assert_int_equal(pthread_create(&thread, NULL, walk, NULL), 0);
	for (int i = 0; i < 10; i++) {
		uint16_t guest = open_guest("", 1);

		assert_true(wait_for_link(port));
		send_until_received(guest);
		close_guest(guest);
		assert_becomes(!refresh(port));
	}
	__atomic_store_n(&walker.must_end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	port->ops->close(port);
	publish_close();
}

#define MANY (2 * RTE_MAX_ETHPORTS)

static void has_room_for_more_guests_than_dpdk_has_devices(void **state)
{
	static struct port many[MANY];
	char paths[MANY][sizeof(path) + 8];
	struct error error;
	uint16_t guest;

	for (int i = 0; i < MANY; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s.%d", path, i);
		assert_int_equal(open_port(&many[i], paths[i], 1, &error), 0);
	}
	guest = open_guest_at(paths[MANY - 1], "", 1);
	assert_true(wait_for_link(&many[MANY - 1]));
	assert_false(refresh(&many[0]));
	close_guest(guest);
	for (int i = 0; i < MANY; i++) {
		many[i].ops->close(&many[i]);
		assert_int_equal(access(paths[i], F_OK), -1);
	}
}

/* --- Front ends that are up to no good --- */

/* As QEMU's docs/interop/vhost-user.rst has them. */
#define GET_FEATURES    1
#define SET_FEATURES    2
#define REQUESTS        50 /* some beyond the last */
#define VERSION         1
#define NEEDS_REPLY     8
#define PAYLOAD_MAX     400
#define DESCRIPTORS_MAX 8

static int connect_to(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Size is what the header says; what follows it is sent bytes of payload. */
static ssize_t send_message(int fd, uint32_t request, uint32_t flags, uint32_t size,
	const uint8_t *payload, size_t sent)
{
	uint32_t header[3] = {request, flags, size};
	struct iovec vectors[2] = {{header, sizeof(header)}, {(void *)(uintptr_t)payload, sent}};
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};

	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Another guest connects and forwards. */
static void assert_others_are_served(const char *socket_path)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 100};
	static struct port other;
	struct rte_mbuf *packet;
	struct error error;
	uint16_t guest;

	assert_int_equal(open_port(&other, socket_path, 1, &error), 0);
	guest = open_guest_at(socket_path, "", 1);
	assert_true(wait_for_link(&other));
	frame_make(&frame, &spec);
	packet = frame_to_mbuf(&frame, packet_pool, 0);
	assert_int_equal(rte_eth_tx_burst(guest, 0, &packet, 1), 1);
	packet = receive(&other);
	assert_non_null(packet);
	assert_int_equal(packet->pkt_len, frame.size);
	rte_pktmbuf_free(packet);
	close_guest(guest);
	other.ops->close(&other);
}

static void front_end_that_stops_in_a_message_holds_up_nobody(void **state)
{
	struct error error;
	int fd;

	assert_int_equal(open_port(port, path, 1, &error), 0);
	fd = connect_to(path);
	assert_true(send_message(fd, SET_FEATURES, VERSION, 8, NULL, 0) > 0);
	assert_others_are_served(other_path);
	port->ops->close(port);
	close(fd);
}

/* Librte_vhost has room for 1,024 connections in all. */
static void front_end_with_many_connections_has_but_a_few(void **state)
{
	struct error error;
	int fds[20], open = 0;
	char byte;

	assert_int_equal(open_port(port, path, 1, &error), 0);
	for (size_t i = 0; i < RTE_DIM(fds); i++)
		fds[i] = connect_to(path);
	/* They are taken in turn: when the last one is refused all are settled. */
	assert_becomes(recv(fds[RTE_DIM(fds) - 1], &byte, 1, MSG_DONTWAIT) == 0);
	for (size_t i = 0; i < RTE_DIM(fds); i++) {
		open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0;
		close(fds[i]);
	}
	assert_in_range(open, 1, 4);
	assert_others_are_served(other_path);
	port->ops->close(port);
}

static void front_end_that_reads_no_answers_holds_up_nobody(void **state)
{
	struct error error;
	int fd;

	assert_int_equal(open_port(port, path, 1, &error), 0);
	fd = connect_to(path);
	/* Until librte_vhost's answers fill the one way and these the other. */
	for (int idle = 0; idle < 3;) {
		if (send_message(fd, GET_FEATURES, VERSION, 0, NULL, 0) < 0) {
			idle++;
			usleep(50000);
		}
	}
	assert_others_are_served(other_path);
	port->ops->close(port);
	close(fd);
}

/* A generator of its own, so that a run can be repeated (xorshift, Marsaglia). */
static uint32_t next_random(void)
{
	static uint32_t state = 2463534242;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static ssize_t send_nonsense(int fd, int memory)
{
	uint8_t payload[PAYLOAD_MAX];
	uint32_t size = next_random() % (PAYLOAD_MAX + 1);
	uint32_t header[3] = {
		next_random() % REQUESTS, VERSION | (next_random() % 2 ? NEEDS_REPLY : 0), size};
	int descriptor_count = (int)(next_random() % (DESCRIPTORS_MAX + 1));
	uint8_t control[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))] = {0};
	struct iovec vectors[2] = {{header, sizeof(header)}, {payload, size}};
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};
	struct cmsghdr *rights = (struct cmsghdr *)(void *)control;

	/* Numbers that are small as often as not: indices, counts, sizes. */
	for (uint32_t i = 0; i < size; i++)
		payload[i] = (uint8_t)(next_random() % 2 ? 0 : next_random());
	if (descriptor_count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE((size_t)descriptor_count * sizeof(int));
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN((size_t)descriptor_count * sizeof(int));
		for (int i = 0; i < descriptor_count; i++)
			memcpy(CMSG_DATA(rights) + (size_t)i * sizeof(int), &memory,
				sizeof(memory));
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static void front_end_that_sends_nonsense_harms_nobody(void **state)
{
	int memory = memfd_create("nonsense", 0);
	struct error error;

	assert_int_equal(ftruncate(memory, 4096), 0);
	assert_int_equal(open_port(port, path, 1, &error), 0);
	for (int i = 0; i < 300; i++) {
		int fd = connect_to(path);

		while (send_nonsense(fd, memory) > 0)
			; /* until it has had enough of us */
		close(fd);
	}
	assert_others_are_served(other_path);
	port->ops->close(port);
	close(memory);
	assert_others_are_served(path);
}

static int set_up(void **state)
{
	worker_index = 0;
	signal(SIGPIPE, SIG_IGN); /* a guest that tells us of its end when we are gone */
	packet_pool = frames_start("vhost_test");
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	if (!packet_pool || !port || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(other_path, sizeof(other_path), "%s.other", path);
	uv_loop_init(&loop);
	return vhost_start(&loop, on_news);
}

static int tear_down(void **state)
{
	vhost_stop();
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
		cmocka_unit_test(connects_to_a_socket_by_another_name),
		cmocka_unit_test(replaces_a_stale_socket_but_no_other_file),
		cmocka_unit_test(keeps_what_a_walk_uses_until_it_has_ended),
		cmocka_unit_test(guest_may_go_and_come_under_traffic),
		cmocka_unit_test(has_room_for_more_guests_than_dpdk_has_devices),
		cmocka_unit_test(front_end_that_stops_in_a_message_holds_up_nobody),
		cmocka_unit_test(front_end_with_many_connections_has_but_a_few),
		cmocka_unit_test(front_end_that_reads_no_answers_holds_up_nobody),
		cmocka_unit_test(front_end_that_sends_nonsense_harms_nobody),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
