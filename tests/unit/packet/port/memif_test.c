/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports on memifs, with DPDK's net_memif at the other end, or ourselves, in the same process; and
 * connections that break the rules.
 */
#include "packet/engine/pool.h"
#include "packet/engine/worker.h"
#include "packet/port/backend.h"
#include "packet/port/memif_message.h"
#include "packet/port/memif_ring.h"
#include "packet/port/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "frames.h"

#include <dirent.h>
#include <fcntl.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

static struct frame frame, result;
static struct port *port, *other;
static uv_loop_t loop;
static char folder[] = "/tmp/memif_test.XXXXXX";
static char path[64];
static uint32_t changes;

static void on_change(struct port *at)
{
	changes++;
}

static void open_port(struct port *at, const char *options, uint16_t queues)
{
	struct device device;
	struct error error;

	memset(at, 0, sizeof(*at));
	at->config.queue_count = queues;
	snprintf(at->config.device, sizeof(at->config.device), "memif:%s%s", path, options);
	assert_int_equal(device_parse(at->config.device, &device, NULL), 0);
	assert_int_equal(memif_port_open(at, &device, &loop, on_change, &error), 0);
}

static bool is_up(struct port *at)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	return at->ops->refresh(at);
}

/* DPDK's driver. */
static uint16_t open_driver(const char *arguments, uint16_t queues)
{
	struct rte_eth_conf conf = {0};
	char text[256];
	uint16_t id;

	snprintf(text, sizeof(text), "socket=%s,socket-abstract=no,rsize=8,%s", path, arguments);
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_memif7", text), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_memif7", &id), 0);
	assert_int_equal(rte_eth_dev_configure(id, queues, queues, &conf), 0);
	for (uint16_t i = 0; i < queues; i++) {
		assert_int_equal(
			rte_eth_rx_queue_setup(id, i, 256, SOCKET_ID_ANY, NULL, packet_pool), 0);
		assert_int_equal(rte_eth_tx_queue_setup(id, i, 256, SOCKET_ID_ANY, NULL), 0);
	}
	assert_int_equal(rte_eth_dev_start(id), 0);
	return id;
}

static bool is_driver_up(uint16_t id)
{
	struct rte_eth_link link;

	uv_run(&loop, UV_RUN_NOWAIT);
	return rte_eth_link_get_nowait(id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

static void close_driver(uint16_t id)
{
	(void)rte_eth_dev_stop(id);
	(void)rte_eth_dev_close(id);
	(void)rte_eal_hotplug_remove("vdev", "net_memif7");
}

static struct rte_mbuf *make(uint32_t payload)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = payload};

	frame_make(&frame, &spec);
	return frame_to_mbuf(&frame, packet_pool, 0);
}

static void assert_same(struct rte_mbuf *packet)
{
	frame_from_mbuf(&result, packet);
	assert_int_equal(result.size, frame.size);
	assert_memory_equal(result.bytes, frame.bytes, frame.size);
	rte_pktmbuf_free(packet);
}

/* There and back: sizes of one buffer and of several. */
static void exchange_with_driver(uint16_t id, uint16_t queue)
{
	static const uint32_t sizes[] = {20, 1400, 2006, 2007, 9000};
	struct rte_mbuf *packet;

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		packet = make(sizes[i]);
		assert_int_equal(rte_eth_tx_burst(id, queue, &packet, 1), 1);
		assert_becomes(port->ops->rx_burst(port, queue, &packet, 1) == 1);
		assert_same(packet);
		/* A client that has just come lends its buffers when it receives first. */
		assert_int_equal(rte_eth_rx_burst(id, queue, &packet, 1), 0);
		packet = make(sizes[i]);
		assert_int_equal(port->ops->tx_burst(port, queue, &packet, 1), 1);
		assert_becomes(rte_eth_rx_burst(id, queue, &packet, 1) == 1);
		assert_same(packet);
	}
}

static void serves_dpdks_client_again_and_again(void **state)
{
	open_port(port, "", 1);
	assert_false(is_up(port));
	for (int i = 0; i < 3; i++) {
		uint32_t before = changes;
		uint16_t id = open_driver("role=client,id=0", 1);

		assert_becomes(is_up(port) && is_driver_up(id));
		assert_true(changes > before);
		exchange_with_driver(id, 0);
		close_driver(id);
		assert_becomes(!is_up(port));
		assert_true(changes > before + 1);
	}
	port->ops->close(port);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
}

static void connects_to_dpdks_server(void **state)
{
	uint16_t id;

	open_port(port, ",client", 1);
	assert_false(is_up(port)); /* nobody listens yet */
	id = open_driver("role=server,id=0", 1);
	assert_becomes(is_up(port) && is_driver_up(id));
	/* The server marks its descriptors when it has received first. */
	exchange_with_driver(id, 0);
	port->ops->close(port);
	close_driver(id);
}

static void serves_a_client_with_fewer_queues(void **state)
{
	uint16_t id;

	open_port(port, "", 4);
	id = open_driver("role=client,id=0", 2);
	assert_becomes(is_up(port) && is_driver_up(id));
	assert_int_equal(port->queue_count, 4);
	assert_int_equal(port->tx_queue_count, 2);
	exchange_with_driver(id, 0);
	exchange_with_driver(id, 1);
	close_driver(id);
	port->ops->close(port);
}

/* Ring by ring to its end and around, and the sender learns that it is full. */
static void passes_bursts_between_two_of_ours(void **state)
{
	struct rte_mbuf *packets[PORT_BURST];
	uint32_t sent = 0, received = 0;

	open_port(port, ",id=3", 2);
	open_port(other, ",id=3,client", 2);
	assert_becomes(is_up(port) + is_up(other) == 2);
	assert_int_equal(other->tx_queue_count, 2);
	for (int round = 0; round < 200; round++) {
		struct port *from = round % 2 ? port : other, *to = round % 2 ? other : port;
		uint16_t count;

		for (int i = 0; i < PORT_BURST; i++)
			packets[i] = make((uint32_t)(round * 17 % 3000));
		count = from->ops->tx_burst(from, 1, packets, PORT_BURST);
		assert_int_equal(count, PORT_BURST);
		sent += count;
		while ((count = to->ops->rx_burst(to, 1, packets, PORT_BURST)) > 0) {
			received += count;
			for (uint16_t i = 0; i < count; i++)
				assert_same(packets[i]);
		}
	}
	assert_int_equal(received, sent);
	for (int i = 0; i < 1024; i++) {
		packets[0] = make(100);
		assert_int_equal(port->ops->tx_burst(port, 0, packets, 1), 1);
	}
	packets[0] = make(100);
	assert_int_equal(port->ops->tx_burst(port, 0, packets, 1), 0);
	rte_pktmbuf_free(packets[0]);
	other->ops->close(other);
	assert_becomes(!is_up(port));
	port->ops->close(port);
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
}

static void gives_a_listening_socket_to_several_ids(void **state)
{
	struct device device;
	struct stat status;
	struct error error;

	open_port(port, ",id=1", 1);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0660);
	open_port(other, ",id=2", 1);
	port->ops->close(port);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(device_parse(other->config.device, &device, NULL), 0);
	port->config.queue_count = 1;
	assert_true(memif_port_open(port, &device, &loop, on_change, &error) < 0);
	assert_non_null(strstr(error.text, "id 2 already"));
	other->ops->close(other);
	assert_int_equal(access(path, F_OK), -1);
}

/* --- A peer made by hand --- */

#define PEER_SIZE (64 * 1024)

static uint8_t *peer_memory;

static int connect_peer(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void tell(int fd, const void *bytes, size_t size, int descriptor)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec vector = {(void *)(uintptr_t)bytes, size};
	struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
	struct cmsghdr *rights = (struct cmsghdr *)(void *)control;

	if (descriptor >= 0) {
		header.msg_control = control;
		header.msg_controllen = sizeof(control);
		*rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(rights), &descriptor, sizeof(descriptor));
	}
	assert_int_equal(sendmsg(fd, &header, MSG_NOSIGNAL), (ssize_t)size);
}

/* The next message; false: the connection has ended. */
static bool hear(int fd, struct memif_message *message)
{
	uint8_t bytes[MEMIF_MESSAGE_SIZE];
	ssize_t size;

	assert_becomes((uv_run(&loop, UV_RUN_NOWAIT),
		size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), size >= 0));
	if (size == 0)
		return false;
	assert_int_equal(memif_message_decode(bytes, (size_t)size, message), 0);
	return true;
}

static struct memif_message ask(int fd, const struct memif_message *question, int descriptor)
{
	uint8_t bytes[MEMIF_MESSAGE_SIZE];
	struct memif_message answer;

	memif_message_encode(question, bytes);
	tell(fd, bytes, sizeof(bytes), descriptor);
	assert_true(hear(fd, &answer));
	return answer;
}

static struct memif_message init(int fd, uint32_t id)
{
	struct memif_message question = {.type = MEMIF_INIT,
		.init = {.version = MEMIF_VERSION, .id = id, .name = "by hand"}};
	struct memif_message hello;

	assert_true(hear(fd, &hello));
	assert_int_equal(hello.type, MEMIF_HELLO);
	return ask(fd, &question, -1);
}

static int make_region(uint64_t size, unsigned int seals)
{
	int fd = memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static struct memif_message add_region(int fd, uint64_t size, int descriptor)
{
	struct memif_message question = {.type = MEMIF_ADD_REGION, .add_region = {.size = size}};

	return ask(fd, &question, descriptor);
}

static struct memif_message add_ring(
	int fd, bool is_to_server, uint32_t offset, uint8_t log2_size, int descriptor)
{
	struct memif_message question = {.type = MEMIF_ADD_RING,
		.add_ring = {.flags = is_to_server ? MEMIF_RING_TO_SERVER : 0,
			.offset = offset,
			.log2_size = log2_size}};

	return ask(fd, &question, descriptor);
}

/* Rings of 16 descriptors at 0 and at 1024; *ring is the eventfd of what we send. */
static int connect_by_hand(int *bell)
{
	struct memif_message question = {.type = MEMIF_CONNECT};
	int fd = connect_peer(), region = make_region(PEER_SIZE, F_SEAL_SHRINK);

	*bell = eventfd(0, EFD_NONBLOCK);
	peer_memory = mmap(NULL, PEER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0);
	((struct memif_shared *)(void *)peer_memory)->cookie = MEMIF_COOKIE;
	((struct memif_shared *)(void *)(peer_memory + 1024))->cookie = MEMIF_COOKIE;
	assert_int_equal(init(fd, 0).type, MEMIF_ACK);
	assert_int_equal(add_region(fd, PEER_SIZE, region).type, MEMIF_ACK);
	assert_int_equal(add_ring(fd, true, 0, 4, *bell).type, MEMIF_ACK);
	assert_int_equal(add_ring(fd, false, 1024, 4, *bell).type, MEMIF_ACK);
	assert_int_equal(ask(fd, &question, -1).type, MEMIF_CONNECTED);
	close(region);
	return fd;
}

static void assert_refused(struct memif_message answer, const char *why)
{
	assert_int_equal(answer.type, MEMIF_DISCONNECT);
	assert_non_null(strstr(answer.disconnect.text, why));
}

static void end_peer(int fd)
{
	struct memif_message message;

	while (hear(fd, &message))
		;
	close(fd);
}

static void refuses_memory_that_may_shrink_or_is_not_there(void **state)
{
	static const struct {
		uint64_t size, file_size;
		unsigned int seals;
		const char *why;
	} cases[] = {
		{4096, 4096, 0, "F_SEAL_SHRINK"},
		{4096, 4096, F_SEAL_GROW, "F_SEAL_SHRINK"},
		{8192, 4096, F_SEAL_SHRINK, "larger than its file"},
		{4097, 4096, F_SEAL_SHRINK, "larger than its file"},
		{0, 4096, F_SEAL_SHRINK, "no size"},
		{MEMIF_MEMORY_MAX + 1, MEMIF_MEMORY_MAX + 1, F_SEAL_SHRINK, "MiB"},
		{UINT64_MAX, 4096, F_SEAL_SHRINK, "MiB"},
		{4096, 4096, F_SEAL_SHRINK | F_SEAL_WRITE, "cannot map"},
	};

	open_port(port, "", 1);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		int fd = connect_peer(), region = make_region(cases[i].file_size, cases[i].seals);

		assert_int_equal(init(fd, 0).type, MEMIF_ACK);
		assert_refused(add_region(fd, cases[i].size, region), cases[i].why);
		close(region);
		end_peer(fd);
	}
	for (int i = 0; i < 2; i++) {
		int fd = connect_peer(), pipes[2];

		assert_int_equal(pipe(pipes), 0);
		assert_int_equal(init(fd, 0).type, MEMIF_ACK);
		assert_refused(add_region(fd, 4096, i ? pipes[0] : -1), i ? "seal" : "descriptor");
		close(pipes[0]);
		close(pipes[1]);
		end_peer(fd);
	}
	port->ops->close(port);
}

static void refuses_rings_outside_of_their_region(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t log2_size;
	} cases[] = {{0, 8}, {4096, 0}, {4096 - 128, 1}, {UINT32_MAX - 15, 4}, {8, 4}, {0, 15},
		{0, 255}};

	open_port(port, "", 1);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		int fd = connect_peer(), region = make_region(4096, F_SEAL_SHRINK);

		assert_int_equal(init(fd, 0).type, MEMIF_ACK);
		assert_int_equal(add_region(fd, 4096, region).type, MEMIF_ACK);
		assert_refused(
			add_ring(fd, i % 2, cases[i].offset, cases[i].log2_size, region), "ring");
		close(region);
		end_peer(fd);
	}
	port->ops->close(port);
}

static void refuses_what_breaks_the_order_of_messages(void **state)
{
	struct memif_message connect_message = {.type = MEMIF_CONNECT}, message;
	uint8_t bytes[MEMIF_MESSAGE_SIZE * 2] = {0};
	int fd, bell;

	open_port(port, "", 1);
	fd = connect_peer();
	assert_true(hear(fd, &message));
	assert_refused(ask(fd, &connect_message, -1), "unexpected");
	end_peer(fd);
	fd = connect_peer();
	assert_refused(init(fd, 17), "ID not found");
	end_peer(fd);
	fd = connect_peer();
	assert_int_equal(init(fd, 0).type, MEMIF_ACK);
	assert_refused(ask(fd, &connect_message, -1), "no ring");
	end_peer(fd);
	for (size_t size = 1; size <= sizeof(bytes); size += 85) {
		fd = connect_peer();
		assert_true(hear(fd, &message));
		tell(fd, bytes, size, -1);
		assert_true(hear(fd, &message));
		assert_refused(message, "another size");
		end_peer(fd);
	}
	fd = connect_by_hand(&bell);
	assert_true(is_up(port));
	assert_refused(ask(fd, &connect_message, -1), "unexpected");
	end_peer(fd);
	assert_false(is_up(port));
	fd = connect_peer();
	assert_refused(init(fd, 0), "closed for a second");
	end_peer(fd);
	close(bell);
	port->ops->close(port);
}

static struct memif_shared *ring_at(uint32_t offset)
{
	return (struct memif_shared *)(void *)(peer_memory + offset);
}

/* What it wrote into the ring's memory is what the worker looks at, and for which the link goes. */
static void closes_the_link_of_a_hostile_peer(void **state)
{
	struct rte_mbuf *packets[PORT_BURST];
	struct memif_message message;
	int fd, bell, invalid = 0;
	uint16_t count;

	open_port(port, "", 1);
	fd = connect_by_hand(&bell);
	for (int i = 0; i < 16; i++)
		ring_at(0)->descriptors[i] = (struct memif_descriptor){
			.region = (uint16_t)(i % 3), .length = UINT32_MAX, .offset = 4096};
	for (uint16_t head = 8; is_up(port) && head < 2000; head = (uint16_t)(head + 8)) {
		ring_at(0)->head = head;
		count = port->ops->rx_burst(port, 0, packets, PORT_BURST);
		for (uint16_t i = 0; i < count; i++) {
			assert_true(packets[i]->ol_flags & OFFLOAD_IS_INVALID);
			assert_int_equal(packets[i]->pkt_len, 0);
			invalid++;
		}
		rte_pktmbuf_free_bulk(packets, count);
	}
	assert_false(is_up(port));
	assert_in_range(invalid, MEMIF_BAD_MAX, MEMIF_BAD_MAX + 16);
	assert_true(hear(fd, &message));
	assert_refused(message, "point nowhere");
	end_peer(fd);
	close(bell);
	munmap(peer_memory, PEER_SIZE);
	port->ops->close(port);
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
}

/* The eventfd is at its end, and a write to it would block for ever. */
static void rings_a_peer_that_sleeps_without_waiting_for_it(void **state)
{
	struct rte_mbuf *packet;
	uint64_t value = UINT64_MAX - 1;
	int fd, bell;

	open_port(port, "", 1);
	fd = connect_by_hand(&bell);
	assert_true(is_up(port));
	ring_at(1024)->descriptors[0] = (struct memif_descriptor){.length = 2048, .offset = 4096};
	ring_at(1024)->descriptors[1] = ring_at(1024)->descriptors[0];
	ring_at(1024)->head = 2;
	packet = make(64);
	assert_int_equal(port->ops->tx_burst(port, 0, &packet, 1), 1);
	assert_int_equal(read(bell, &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 1);
	assert_memory_equal(peer_memory + 4096, frame.bytes, frame.size);
	value = UINT64_MAX - 1;
	assert_int_equal(write(bell, &value, sizeof(value)), sizeof(value));
	assert_int_equal(fcntl(bell, F_SETFL, 0), 0);
	packet = make(64);
	assert_int_equal(port->ops->tx_burst(port, 0, &packet, 1), 1);
	close(fd);
	assert_becomes(!is_up(port));
	close(bell);
	munmap(peer_memory, PEER_SIZE);
	port->ops->close(port);
}

/* Sixteen at most are heard out, and whoever says nothing makes way. */
static void bounds_those_that_say_nothing(void **state)
{
	int fds[40], open = 0, bell, fd;
	struct memif_message message;
	char byte;

	open_port(port, "", 1);
	for (size_t i = 0; i < RTE_DIM(fds); i++) {
		fds[i] = connect_peer();
		assert_true(hear(fds[i], &message));
	}
	fd = connect_by_hand(&bell);
	assert_true(is_up(port));
	for (size_t i = 0; i < RTE_DIM(fds); i++) {
		open += recv(fds[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
		close(fds[i]);
	}
	assert_in_range(open, 1, 16);
	close(fd);
	close(bell);
	munmap(peer_memory, PEER_SIZE);
	port->ops->close(port);
}

static uint32_t count_descriptors(void)
{
	DIR *folder_of_all = opendir("/proc/self/fd");
	uint32_t count = 0;

	assert_non_null(folder_of_all);
	while (readdir(folder_of_all))
		count++;
	closedir(folder_of_all);
	return count;
}

/* What comes with a message of no bytes has arrived, though it reads like the end. */
static void keeps_no_descriptor_of_an_empty_message(void **state)
{
	struct memif_message message;
	uint32_t before;

	open_port(port, "", 1);
	before = count_descriptors();
	for (int i = 0; i < 5; i++) {
		int fd = connect_peer();

		assert_true(hear(fd, &message));
		tell(fd, "", 0, STDERR_FILENO);
		while (hear(fd, &message))
			;
		close(fd);
	}
	assert_becomes((uv_run(&loop, UV_RUN_NOWAIT), count_descriptors() == before));
	port->ops->close(port);
}

static int set_up(void **state)
{
	worker_index = 0;
	packet_pool = frames_start("memif_test");
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	other = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*other));
	if (!packet_pool || !port || !other || !mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", folder);
	return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	free(port);
	free(other);
	(void)rmdir(folder);
	/* No rte_eal_cleanup(): in DPDK 22.11 it unmaps what its interrupt thread still reads. */
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_dpdks_client_again_and_again),
		cmocka_unit_test(connects_to_dpdks_server),
		cmocka_unit_test(serves_a_client_with_fewer_queues),
		cmocka_unit_test(passes_bursts_between_two_of_ours),
		cmocka_unit_test(gives_a_listening_socket_to_several_ids),
		cmocka_unit_test(refuses_memory_that_may_shrink_or_is_not_there),
		cmocka_unit_test(refuses_rings_outside_of_their_region),
		cmocka_unit_test(refuses_what_breaks_the_order_of_messages),
		cmocka_unit_test(closes_the_link_of_a_hostile_peer),
		cmocka_unit_test(rings_a_peer_that_sleeps_without_waiting_for_it),
		cmocka_unit_test(bounds_those_that_say_nothing),
		cmocka_unit_test(keeps_no_descriptor_of_an_empty_message),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
