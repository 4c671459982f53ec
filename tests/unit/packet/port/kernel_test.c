/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel backend on a real veth pair and a real TAP, in a network namespace of this process:
 *
 *	test's packet socket -- peer =veth= port0 -- kernel backend
 *	test's packet socket -- tap0 ---------------- kernel backend
 *
 * Needs root; is skipped without.
 */
#include "packet/engine/pool.h"
#include "packet/engine/worker.h"
#include "packet/port/kernel.h"
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
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#define WAIT_MS 20000

static struct frame frame, result;
static struct port *port;

static int open_tap(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

/* The other end of the wire. */
static int open_peer(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(name)};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	int on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void send_frame(int fd, const struct virtio_net_hdr *header)
{
	struct iovec vectors[2] = {
		{(void *)(uintptr_t)header, sizeof(*header)}, {frame.bytes, frame.size}};
	struct msghdr message = {.msg_iov = vectors, .msg_iovlen = 2};

	assert_int_equal(sendmsg(fd, &message, 0), sizeof(*header) + frame.size);
}

/* The next packet of our MAC addresses; the kernel sends its own (MLD, ND) in between. */
static struct rte_mbuf *receive_ours(void)
{
	for (int i = 0; i < WAIT_MS; i++) {
		struct rte_mbuf *packet;

		if (port->ops->rx_burst(port, 0, &packet, 1) == 0) {
			usleep(1000);
			continue;
		}
		if (memcmp(rte_pktmbuf_mtod(packet, uint8_t *), frame.bytes, 12) == 0)
			return packet;
		rte_pktmbuf_free(packet);
	}
	return NULL;
}

static void transmit(struct rte_mbuf *packet)
{
	assert_int_equal(port->ops->tx_burst(port, 0, &packet, 1), 1);
}

/* What the other end sees, with the tag that its kernel took off. */
static void receive_at_peer(int fd, struct virtio_net_hdr *header)
{
	uint8_t control[128];

	for (;;) {
		struct iovec vectors[2] = {
			{header, sizeof(*header)}, {result.bytes, sizeof(result.bytes)}};
		struct msghdr message = {.msg_iov = vectors,
			.msg_iovlen = 2,
			.msg_control = control,
			.msg_controllen = sizeof(control)};
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		struct tpacket_auxdata aux;
		ssize_t size;

		assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
		size = recvmsg(fd, &message, 0);
		assert_true(size > (ssize_t)sizeof(*header));
		result.size = (uint32_t)size - (uint32_t)sizeof(*header);
		if (memcmp(result.bytes, frame.bytes, 12) != 0)
			continue;
		memcpy(&aux, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID) {
			memmove(result.bytes + 16, result.bytes + 12, result.size - 12);
			put16(result.bytes + 12, aux.tp_vlan_tpid);
			put16(result.bytes + 14, aux.tp_vlan_tci);
			result.size += 4;
		}
		return;
	}
}

/* The broker is played by the test. */
static void open_port(const char *name)
{
	bool is_tap = strcmp(name, "tap0") == 0;
	int fd = is_tap ? open_tap(name) : socket(AF_PACKET, SOCK_RAW, 0);
	struct error error;
	json_t *answer;

	if (is_tap)
		run("ip link set tap0 up");
	answer = json_pack("{s:i, s:i, s:s}", "index", (int)if_nametoindex(name), "mtu", 1500,
		"mac", "52:54:00:00:00:99");
	memset(port, 0, sizeof(*port));
	assert_int_equal(kernel_adopt(port, is_tap, answer, &fd, 1, &error), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(port->mtu_bytes, 1500);
	json_decref(answer);
}

static void expect_same(const struct frame *a, const struct frame *b)
{
	assert_int_equal(a->size, b->size);
	assert_memory_equal(a->bytes, b->bytes, a->size);
}

/* G13: odd frames of all kinds, both ways, byte by byte. */
static void make_odd_frame(int kind)
{
	static const struct frame_spec spec = {
		.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 200};
	static const uint16_t outer[] = {0, 0x8100, 0x88a8, 0x8100, 0x88a8};

	frame_make(&frame, &spec);
	if (outer[kind % 5]) {
		uint32_t tags = kind % 5 > 2 ? 2 : 1;

		memmove(frame.bytes + 12 + 4 * tags, frame.bytes + 12, frame.size - 12);
		put16(frame.bytes + 12, outer[kind % 5]);
		put16(frame.bytes + 14, 0xb064); /* priority 5, DEI, VLAN 100 */
		if (tags == 2) {
			put16(frame.bytes + 16, 0x8100);
			put16(frame.bytes + 18, 7);
		}
		frame.size += 4 * tags;
		frame.l3 += 4 * tags;
	}
	if (kind >= 5) /* a fragment, which must not be put together */
		put16(frame.bytes + frame.l3 + 6, 0x2000);
	if (kind >= 10) /* an ethertype that nobody knows */
		put16(frame.bytes + frame.l3 - 2, 0x88b5);
}

static void passes_odd_frames_byte_exact(void **state)
{
	struct virtio_net_hdr header = {0};
	int peer = open_peer("peer");

	open_port("port0");
	for (int kind = 0; kind < 15; kind++) {
		struct rte_mbuf *packet;

		make_odd_frame(kind);
		memset(&header, 0, sizeof(header));
		send_frame(peer, &header);
		packet = receive_ours();
		assert_non_null(packet);
		frame_from_mbuf(&result, packet);
		expect_same(&result, &frame);
		transmit(packet);
		receive_at_peer(peer, &header);
		expect_same(&result, &frame);
	}
	port->ops->close(port);
	close(peer);
}

/* G11: a super-frame with a partial checksum goes through in both directions, and tagged. */
static void check_super_frame(const char *device, const char *peer_name, uint32_t tags)
{
	struct frame_spec spec = {.ip_version = 4,
		.protocol = IPPROTO_TCP,
		.payload = 40000,
		.tags = (int)tags,
		.tcp_flags = 0x18};
	struct virtio_net_hdr sent, seen;
	struct rte_mbuf *packet;
	int peer;

	open_port(device);
	peer = open_peer(peer_name);
	frame_make(&frame, &spec);
	frame_leave_checksum(&frame);
	sent = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 1448,
		.hdr_len = (uint16_t)frame.payload,
		.csum_start = (uint16_t)frame.l4,
		.csum_offset = 16};
	send_frame(peer, &sent);
	packet = receive_ours();
	assert_non_null(packet);
	assert_false(packet->ol_flags & OFFLOAD_IS_INVALID);
	assert_int_equal(offload_validate(packet), 0);
	assert_true(offload_is_super_frame(packet));
	assert_int_equal(packet->tso_segsz, 1448);
	frame_from_mbuf(&result, packet);
	expect_same(&result, &frame);
	assert_int_equal(offload_prepare(&packet, packet_pool), 0);
	transmit(packet);
	receive_at_peer(peer, &seen);
	assert_int_equal(seen.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(seen.gso_size, 1448);
	assert_true(seen.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
	expect_same(&result, &frame);
	port->ops->close(port);
	close(peer);
}

static void passes_super_frames_whole_through_a_veth(void **state)
{
	check_super_frame("port0", "peer", 0);
	check_super_frame("port0", "peer", 1);
}

/* What the host sends into a TAP arrives as the host left it, and the reverse. */
static void passes_super_frames_whole_through_a_tap(void **state)
{
	check_super_frame("tap0", "tap0", 0);
}

static void drops_for_an_interface_that_is_down(void **state)
{
	struct rte_mbuf *packets[3];

	open_port("port0");
	run("ip link set port0 down");
	make_odd_frame(0);
	for (int i = 0; i < 3; i++)
		packets[i] = frame_to_mbuf(&frame, packet_pool, 0);
	assert_int_equal(port->ops->tx_burst(port, 0, packets, 3), 3);
	assert_int_equal(port->counters[worker_index].tx_drops, 3);
	assert_int_equal(port->ops->rx_burst(port, 0, packets, 1), 0);
	run("ip link set port0 up");
	port->ops->close(port);
}

static void drops_one_that_is_too_long_and_sends_the_others(void **state)
{
	struct frame_spec spec = {.ip_version = 4, .protocol = IPPROTO_UDP, .payload = 3000};
	struct rte_mbuf *packets[3];
	struct virtio_net_hdr header;
	int peer = open_peer("peer");

	open_port("port0");
	frame_make(&frame, &spec);
	packets[1] = frame_to_mbuf(&frame, packet_pool, 0);
	spec.payload = 30;
	frame_make(&frame, &spec);
	packets[0] = frame_to_mbuf(&frame, packet_pool, 0);
	packets[2] = frame_to_mbuf(&frame, packet_pool, 0);
	assert_int_equal(port->ops->tx_burst(port, 0, packets, 3), 3);
	assert_int_equal(port->counters[worker_index].tx_drops, 1);
	receive_at_peer(peer, &header);
	expect_same(&result, &frame);
	receive_at_peer(peer, &header);
	expect_same(&result, &frame);
	port->ops->close(port);
	close(peer);
}

static void gives_all_buffers_back(void **state)
{
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
}

static int set_up(void **state)
{
	worker_index = 0;
	if (unshare(CLONE_NEWNET) < 0)
		return -1;
	run("ip link add port0 type veth peer name peer && ip link set port0 up && "
	    "ip link set peer up");
	packet_pool = frames_start("kernel_test");
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));
	return packet_pool && port ? 0 : -1;
}

static int tear_down(void **state)
{
	free(port);
	return rte_eal_cleanup();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_odd_frames_byte_exact),
		cmocka_unit_test(passes_super_frames_whole_through_a_veth),
		cmocka_unit_test(passes_super_frames_whole_through_a_tap),
		cmocka_unit_test(drops_for_an_interface_that_is_down),
		cmocka_unit_test(drops_one_that_is_too_long_and_sends_the_others),
		cmocka_unit_test(gives_all_buffers_back),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root for a network namespace\n");
		return 77; /* what Meson takes for a skip */
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
