/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel backend: TAPs and packet sockets, on descriptors that the broker opened, both with
 * virtio-net headers. So the kernel's partial checksums and GSO frames are honoured, IP fragments
 * are left alone, and a VLAN tag that the kernel took off (PACKET_AUXDATA) is put back as it was,
 * whatever its TPID (docs/decisions/0002). Nothing here blocks: all descriptors are non-blocking.
 *
 * Bursts run on workers, one a queue; opening and closing on the control thread.
 */
#include "packet/port/backend.h"

#include "base/log.h"
#include "packet/engine/pool.h"
#include "packet/packet_module.h"
#include "packet/port/kernel.h"
#include "packet/port/offload.h"
#include "packet/port/virtio_header.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define VIPA_TABLE         25192            /* of the kernel's routes, for what VIPAs send: "bh" */
#define FRAME_SIZE_MAX     (65535 + 14 + 8) /* a GSO frame: IP's maximum, Ethernet, two tags */
#define OVERFLOW_SIZE      (68 * 1024)      /* what of a frame does not fit into the first buffer */
#define SEND_VECTORS_MAX   256
#define SOCKET_BUFFER_SIZE (16 * 1024 * 1024) /* some 200 super-frames */

struct kernel_queue {
	int fd;
	uint16_t buffer_count;
	struct rte_mbuf *buffers[PORT_BURST]; /* allocated ahead, for the next receive */
	uint8_t *overflow;                    /* PORT_BURST areas of OVERFLOW_SIZE */
	struct mmsghdr receive[PORT_BURST];
	struct iovec receive_vectors[PORT_BURST][3];
	struct virtio_net_hdr receive_headers[PORT_BURST];
	struct {
		_Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} receive_controls[PORT_BURST];
	struct mmsghdr send[PORT_BURST];
	struct iovec send_vectors[SEND_VECTORS_MAX];
	struct virtio_net_hdr send_headers[PORT_BURST];
} __rte_cache_aligned;

struct kernel {
	uint16_t queue_count;
	struct kernel_queue *queues;
};

/* A question to the broker under way. */
struct kernel_request {
	struct port *port; /* NULL: cancelled */
	backend_opened_fn done;
	void *context;
	bool is_tap;
	char interface[IFNAMSIZ];
};

/* The next frame as it lies in a queue's buffer number index, of size bytes with its virtio header;
 * takes the buffer. NULL when memory for its rest is missing. */
static struct rte_mbuf *finish_frame(struct kernel_queue *queue, uint16_t index, uint32_t size)
{
	struct rte_mbuf *head = queue->buffers[index];
	const uint8_t *rest = queue->overflow + (size_t)index * OVERFLOW_SIZE;
	uint32_t part = RTE_MIN(size, (uint32_t)rte_pktmbuf_tailroom(head));
	struct rte_mbuf *last = head;

	queue->buffers[index] = NULL;
	head->data_len = (uint16_t)part;
	head->pkt_len = size;
	for (size -= part; size > 0; size -= part, rest += part) {
		last->next = rte_pktmbuf_alloc(packet_pool);
		if (!last->next) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		last = last->next;
		part = RTE_MIN(size, (uint32_t)rte_pktmbuf_tailroom(last));
		memcpy(rte_pktmbuf_mtod(last, void *), rest, part);
		last->data_len = (uint16_t)part;
		head->nb_segs++;
	}
	return head;
}

int kernel_insert_tag(
	struct rte_mbuf *packet, struct virtio_net_hdr *header, uint16_t tpid, uint16_t tci)
{
	uint8_t *frame;

	if (packet->data_len < 2 * RTE_ETHER_ADDR_LEN)
		return -EINVAL;
	frame = (uint8_t *)rte_pktmbuf_prepend(packet, 4);
	if (!frame)
		return -ENOMEM;
	memmove(frame, frame + 4, 2 * RTE_ETHER_ADDR_LEN);
	frame[12] = (uint8_t)(tpid >> 8);
	frame[13] = (uint8_t)tpid;
	frame[14] = (uint8_t)(tci >> 8);
	frame[15] = (uint8_t)tci;
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (header->csum_start > UINT16_MAX - 4)
			return -EINVAL;
		header->csum_start += 4; /* the kernel counts without the tag it took off */
	}
	return 0;
}

/* Puts back what the kernel moved out of the frame into its auxiliary data. */
static int restore_tag(struct kernel_queue *queue, uint16_t index, struct rte_mbuf *packet)
{
	struct msghdr *message = &queue->receive[index].msg_hdr;
	struct tpacket_auxdata aux;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
		if (at->cmsg_level != SOL_PACKET || at->cmsg_type != PACKET_AUXDATA)
			continue;
		if (at->cmsg_len < CMSG_LEN(sizeof(aux)))
			return -EINVAL;
		memcpy(&aux, CMSG_DATA(at), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID))
			return 0;
		return kernel_insert_tag(packet, &queue->receive_headers[index],
			aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid
								  : ETHERTYPE_VLAN,
			aux.tp_vlan_tci);
	}
	return 0;
}

/* Makes a packet of a received message; one that cannot be right is marked for rx. */
static struct rte_mbuf *take_frame(
	struct kernel_queue *queue, uint16_t index, uint32_t size, bool is_truncated, bool is_tap)
{
	struct virtio_net_hdr *header = &queue->receive_headers[index];
	struct rte_mbuf *packet;

	if (size < sizeof(*header))
		size = sizeof(*header); /* an empty frame: too short, as rx will see */
	packet = finish_frame(queue, index, size - (uint32_t)sizeof(*header));
	if (!packet)
		return NULL;
	if (is_truncated || (!is_tap && restore_tag(queue, index, packet) < 0)
		|| virtio_header_decode(header, packet) < 0)
		packet->ol_flags |= OFFLOAD_IS_INVALID;
	return packet;
}

/* Moves unused buffers to the front and fills up; returns how many there are. */
static uint16_t refill(struct kernel_queue *queue, uint16_t count)
{
	if (queue->buffer_count < count
		&& rte_pktmbuf_alloc_bulk(packet_pool, queue->buffers + queue->buffer_count,
			   count - queue->buffer_count)
			== 0)
		queue->buffer_count = count;
	return RTE_MIN(count, queue->buffer_count);
}

static void set_receive_vectors(struct kernel_queue *queue, uint16_t index)
{
	struct iovec *vectors = queue->receive_vectors[index];
	struct rte_mbuf *buffer = queue->buffers[index];

	vectors[0] = (struct iovec){&queue->receive_headers[index], sizeof(struct virtio_net_hdr)};
	vectors[1] = (struct iovec){rte_pktmbuf_mtod(buffer, void *), rte_pktmbuf_tailroom(buffer)};
	vectors[2] = (struct iovec){queue->overflow + (size_t)index * OVERFLOW_SIZE, OVERFLOW_SIZE};
}

static uint16_t forget_buffers(struct kernel_queue *queue, uint16_t used)
{
	queue->buffer_count = (uint16_t)(queue->buffer_count - used);
	memmove(queue->buffers, queue->buffers + used,
		queue->buffer_count * sizeof(queue->buffers[0]));
	return used;
}

static uint16_t packet_socket_rx_burst(
	struct port *port, uint16_t queue_id, struct rte_mbuf **packets, uint16_t count)
{
	struct kernel_queue *queue = &((struct kernel *)port->backend)->queues[queue_id];
	uint16_t taken = 0;
	int received;

	count = refill(queue, RTE_MIN(count, PORT_BURST));
	for (uint16_t i = 0; i < count; i++) {
		set_receive_vectors(queue, i);
		queue->receive[i].msg_hdr = (struct msghdr){.msg_iov = queue->receive_vectors[i],
			.msg_iovlen = 3,
			.msg_control = &queue->receive_controls[i],
			.msg_controllen = sizeof(queue->receive_controls[i])};
	}
	received = recvmmsg(queue->fd, queue->receive, count, MSG_DONTWAIT, NULL);
	if (received < 0 && errno == EAGAIN)
		worker_set_drained(queue->fd);
	for (int i = 0; i < received; i++) {
		struct rte_mbuf *packet = take_frame(queue, (uint16_t)i, queue->receive[i].msg_len,
			queue->receive[i].msg_hdr.msg_flags & MSG_TRUNC, false);

		if (packet)
			packets[taken++] = packet;
		else
			port->counters[worker_index].rx_errors++;
	}
	if (received > 0)
		forget_buffers(queue, (uint16_t)received);
	return taken;
}

static uint16_t tap_rx_burst(
	struct port *port, uint16_t queue_id, struct rte_mbuf **packets, uint16_t count)
{
	struct kernel_queue *queue = &((struct kernel *)port->backend)->queues[queue_id];
	uint16_t taken = 0, used = 0;

	count = refill(queue, RTE_MIN(count, PORT_BURST));
	for (; used < count; used++) {
		struct rte_mbuf *packet;
		ssize_t size;

		set_receive_vectors(queue, used);
		size = readv(queue->fd, queue->receive_vectors[used], 3);
		if (size < 0) {
			if (errno == EAGAIN)
				worker_set_drained(queue->fd);
			break;
		}
		packet = take_frame(queue, used, (uint32_t)size, false, true);
		if (packet)
			packets[taken++] = packet;
		else
			port->counters[worker_index].rx_errors++;
	}
	forget_buffers(queue, used);
	return taken;
}

/* Describes packet in vectors; returns how many were used, 0 when it has too many segments. */
static uint16_t describe_packet(struct rte_mbuf *packet, struct virtio_net_hdr *header,
	struct iovec *vectors, uint16_t vector_count)
{
	uint16_t used = 1;

	if (packet->nb_segs >= vector_count)
		return 0;
	virtio_header_encode(packet, header);
	vectors[0] = (struct iovec){header, sizeof(*header)};
	for (struct rte_mbuf *segment = packet; segment; segment = segment->next)
		vectors[used++] =
			(struct iovec){rte_pktmbuf_mtod(segment, void *), segment->data_len};
	return used;
}

/* Whether the kernel may take the packet a little later. */
static bool is_busy(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == ENOMEM || error == EINTR;
}

/* What the kernel refuses for good (too long, interface down) is dropped, and counted here. */
static void refuse_packet(struct port *port, struct rte_mbuf *packet)
{
	port->counters[worker_index].tx_drops++;
	port->counters[worker_index].tx_packets--; /* tx counts what was consumed */
	rte_pktmbuf_free(packet);
}

static uint16_t tap_tx_burst(
	struct port *port, uint16_t queue_id, struct rte_mbuf **packets, uint16_t count)
{
	struct kernel_queue *queue = &((struct kernel *)port->backend)->queues[queue_id];
	uint16_t done;

	for (done = 0; done < count; done++) {
		uint16_t used = describe_packet(
			packets[done], queue->send_headers, queue->send_vectors, SEND_VECTORS_MAX);

		if (used == 0 || writev(queue->fd, queue->send_vectors, used) < 0) {
			if (used && is_busy(errno))
				break;
			refuse_packet(port, packets[done]);
			continue;
		}
		rte_pktmbuf_free(packets[done]);
	}
	return done;
}

/* Describes as many packets as there are vectors for. */
static uint16_t describe_burst(
	struct kernel_queue *queue, struct rte_mbuf **packets, uint16_t count)
{
	uint16_t used = 0, described;

	for (described = 0; described < count; described++) {
		uint16_t added =
			describe_packet(packets[described], &queue->send_headers[described],
				queue->send_vectors + used, (uint16_t)(SEND_VECTORS_MAX - used));

		if (added == 0)
			break;
		queue->send[described].msg_hdr =
			(struct msghdr){.msg_iov = queue->send_vectors + used, .msg_iovlen = added};
		used = (uint16_t)(used + added);
	}
	return described;
}

static uint16_t packet_socket_tx_burst(
	struct port *port, uint16_t queue_id, struct rte_mbuf **packets, uint16_t count)
{
	struct kernel_queue *queue = &((struct kernel *)port->backend)->queues[queue_id];
	uint16_t done = 0;

	while (done < count) {
		uint16_t described = describe_burst(
			queue, packets + done, RTE_MIN((uint16_t)(count - done), PORT_BURST));
		int sent;

		if (described == 0) {
			refuse_packet(port, packets[done++]);
			continue;
		}
		sent = sendmmsg(queue->fd, queue->send, described, MSG_DONTWAIT);
		if (sent > 0) {
			rte_pktmbuf_free_bulk(packets + done, (unsigned int)sent);
			done = (uint16_t)(done + sent);
		} else if (is_busy(errno)) {
			break;
		} else {
			refuse_packet(port, packets[done++]);
		}
	}
	return done;
}

static void close_queue(struct kernel_queue *queue)
{
	if (queue->fd >= 0)
		close(queue->fd);
	if (queue->overflow)
		munmap(queue->overflow, (size_t)PORT_BURST * OVERFLOW_SIZE);
	rte_pktmbuf_free_bulk(queue->buffers, queue->buffer_count);
}

static void kernel_destroy(struct kernel *kernel)
{
	for (uint16_t i = 0; i < kernel->queue_count; i++)
		close_queue(&kernel->queues[i]);
	rte_free(kernel->queues);
	free(kernel);
}

static void kernel_close(struct port *port)
{
	kernel_destroy(port->backend);
	port->backend = NULL;
}

static int kernel_descriptor(struct port *port, uint16_t queue)
{
	return ((struct kernel *)port->backend)->queues[queue].fd;
}

/* What did not fit into the sockets' buffers. */
static uint64_t packet_socket_take_missed(struct port *port)
{
	const struct kernel *kernel = port->backend;
	uint64_t missed = 0;

	for (uint16_t i = 0; i < kernel->queue_count; i++) {
		struct tpacket_stats statistics = {0};
		socklen_t size = sizeof(statistics);

		if (getsockopt(
			    kernel->queues[i].fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size)
			== 0)
			missed += statistics.tp_drops; /* the kernel starts again from zero */
	}
	return missed;
}

static const struct port_ops tap_ops = {
	.rx_burst = tap_rx_burst,
	.tx_burst = tap_tx_burst,
	.descriptor = kernel_descriptor,
	.close = kernel_close,
};

static const struct port_ops packet_socket_ops = {
	.rx_burst = packet_socket_rx_burst,
	.tx_burst = packet_socket_tx_burst,
	.descriptor = kernel_descriptor,
	.take_missed = packet_socket_take_missed,
	.close = kernel_close,
};

/* Tells the TAP's driver what it may leave to us, and how its headers look. */
static int set_up_tap(int fd, struct error *error)
{
	int header_size = sizeof(struct virtio_net_hdr);

	if (ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0)
		return error_set(error, -errno, "TUNSETVNETHDRSZ: %s", strerror(errno));
	if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		return error_set(error, -errno, "TUNSETOFFLOAD: %s", strerror(errno));
	return 0;
}

static int set_up_packet_socket(int fd, int interface_index, struct error *error)
{
	struct packet_mreq promiscuous = {
		.mr_ifindex = interface_index, .mr_type = PACKET_MR_PROMISC};
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = interface_index};
	int on = 1, size = SOCKET_BUFFER_SIZE;

	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		return error_set(error, -errno, "PACKET_VNET_HDR: %s", strerror(errno));
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0)
		return error_set(error, -errno, "PACKET_AUXDATA: %s", strerror(errno));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0)
		return error_set(error, -errno, "PACKET_IGNORE_OUTGOING: %s", strerror(errno));
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous))
		< 0)
		return error_set(error, -errno, "PACKET_MR_PROMISC: %s", strerror(errno));
	/* Beyond the system's limits where the role may; the limits are enough to run. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* Last, since what is received before has another shape. */
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(error, -errno, "bind: %s", strerror(errno));
	return 0;
}

static int open_queue(
	struct kernel_queue *queue, bool is_tap, int interface_index, struct error *error)
{
	int flags = fcntl(queue->fd, F_GETFL);

	if (flags < 0 || fcntl(queue->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(error, -errno, "O_NONBLOCK: %s", strerror(errno));
	/* Pages of it exist only where super-frames were received. */
	queue->overflow = mmap(NULL, (size_t)PORT_BURST * OVERFLOW_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (queue->overflow == MAP_FAILED) {
		queue->overflow = NULL;
		return error_set(error, -ENOMEM, "no memory for a receive queue");
	}
	return is_tap ? set_up_tap(queue->fd, error)
		      : set_up_packet_socket(queue->fd, interface_index, error);
}

static int open_queues(struct kernel *kernel, bool is_tap, int interface_index, struct error *error)
{
	for (uint16_t i = 0; i < kernel->queue_count; i++) {
		int result = open_queue(&kernel->queues[i], is_tap, interface_index, error);

		if (result < 0)
			return result;
	}
	return 0;
}

static struct kernel *kernel_create(int *descriptors, size_t count)
{
	struct kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return NULL;
	kernel->queues =
		rte_zmalloc("kernel_queues", count * sizeof(*kernel->queues), RTE_CACHE_LINE_SIZE);
	if (!kernel->queues) {
		free(kernel);
		return NULL;
	}
	kernel->queue_count = (uint16_t)count;
	for (size_t i = 0; i < count; i++) {
		kernel->queues[i].fd = descriptors[i];
		descriptors[i] = -1; /* taken */
	}
	return kernel;
}

static void fill_in_port(
	struct port *port, struct kernel *kernel, bool is_tap, const json_t *answer)
{
	const char *mac = json_string_value(json_object_get(answer, "mac"));
	struct rte_ether_addr address;

	port->backend = kernel;
	port->ops = is_tap ? &tap_ops : &packet_socket_ops;
	port->queue_count = (uint8_t)kernel->queue_count;
	port->tx_queue_count = kernel->queue_count;
	port->offloads = PORT_OFFLOAD_CHECKSUM | PORT_OFFLOAD_TSO4 | PORT_OFFLOAD_TSO6;
	port->is_wire = false;
	port->mtu_bytes = (uint32_t)json_integer_value(json_object_get(answer, "mtu"));
	port->interface_index = (int)json_integer_value(json_object_get(answer, "index"));
	if (mac && rte_ether_unformat_addr(mac, &address) == 0)
		memcpy(port->mac, address.addr_bytes, sizeof(port->mac));
}

int kernel_adopt(struct port *port, bool is_tap, const json_t *answer, int *descriptors,
	size_t count, struct error *error)
{
	int interface_index = (int)json_integer_value(json_object_get(answer, "index"));
	struct kernel *kernel;
	int result;

	if (count == 0 || count > PORT_QUEUES_MAX)
		return error_set(error, -EPROTO, "the broker sent %zu descriptors", count);
	kernel = kernel_create(descriptors, count);
	if (!kernel)
		return error_set(error, -ENOMEM, "no memory for %zu queues", count);
	result = open_queues(kernel, is_tap, interface_index, error);
	if (result < 0) {
		kernel_destroy(kernel);
		return result;
	}
	fill_in_port(port, kernel, is_tap, answer);
	return 0;
}

/* The broker's answer. Descriptors that are not taken the caller closes. */
static void on_opened(void *context, const json_t *answer, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	struct kernel_request *request = context;
	struct error error = {{0}};
	int result;

	if (!request->port) {
		free(request);
		return;
	}
	request->port->backend = NULL;
	if (failure) {
		result = error_set(
			&error, -EIO, "%s", json_string_value(json_object_get(failure, "message")));
	} else {
		result = kernel_adopt(request->port, request->is_tap, answer, descriptors,
			descriptor_count, &error);
		if (result < 0)
			error_prefix(&error, "%s", request->interface);
	}
	request->done(request->context, result < 0 ? &error : NULL);
	free(request);
}

static json_t *tap_params(const struct port *port, const char *interface)
{
	const uint8_t *mac = port->config.mac;
	char text[RTE_ETHER_ADDR_FMT_SIZE];
	json_t *params =
		json_pack("{s:s, s:i}", "interface", interface, "queues", port->config.queue_count);

	if (port->config.mtu_bytes)
		json_object_set_new(params, "mtu", json_integer(port->config.mtu_bytes));
	if (!rte_is_zero_ether_addr((const struct rte_ether_addr *)mac)) {
		rte_ether_format_addr(text, sizeof(text), (const struct rte_ether_addr *)mac);
		json_object_set_new(params, "mac", json_string(text));
	}
	if (port->config.addresses)
		json_object_set(params, "addresses", port->config.addresses);
	if (port->kind == PORT_VIPA)
		json_object_set_new(params, "source_table", json_integer(VIPA_TABLE));
	return params;
}

/* One queue: a fanout group would need its own care to ignore what the host itself sends, and the
 * kernel's side is the slower one anyway. */
static json_t *socket_params(const struct port *port, const char *interface)
{
	json_t *params = json_pack("{s:s, s:i}", "interface", interface, "queues", 1);

	if (port->config.mtu_bytes)
		json_object_set_new(params, "mtu", json_integer(port->config.mtu_bytes));
	return params;
}

void kernel_open(
	struct port *port, const struct device *device, backend_opened_fn done, void *context)
{
	struct kernel_request *request = calloc(1, sizeof(*request));
	struct error error;

	if (!request) {
		error_set(&error, -ENOMEM, "no memory");
		done(context, &error);
		return;
	}
	request->port = port;
	request->done = done;
	request->context = context;
	request->is_tap = device->kind == DEVICE_TAP;
	snprintf(request->interface, sizeof(request->interface), "%.15s", device->argument);
	port->backend = request;
	packet_broker_call(request->is_tap ? "broker.open_tap" : "broker.open_packet_socket",
		request->is_tap ? tap_params(port, request->interface)
				: socket_params(port, request->interface),
		NULL, 0, on_opened, request);
}

void kernel_cancel(struct port *port)
{
	struct kernel_request *request = port->backend;

	request->port = NULL;
	port->backend = NULL;
}

static void on_forgotten(void *context, const json_t *result, const json_t *failure,
	int *descriptors, size_t descriptor_count)
{
	if (failure)
		log_warning("tap_stays",
			log_str("problem", json_string_value(json_object_get(failure, "message"))));
}

void kernel_forget_tap(const char *interface)
{
	packet_broker_call("broker.close_tap", json_pack("{s:s}", "interface", interface), NULL, 0,
		on_forgotten, NULL);
}
