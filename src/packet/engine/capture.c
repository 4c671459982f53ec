/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of a capture: RUNNING (workers see it) -> FLUSHING (they no longer do; what was taken is
 * being written) -> gone. The client's descriptor may be a pipe that nobody reads: writes never
 * block, and a bounded buffer stands between. Control thread, but for capture_watch().
 */
#include "packet/engine/capture.h"

#include "base/clock.h"
#include "packet/engine/drop.h"
#include "packet/engine/filter.h"
#include "packet/engine/graph.h"
#include "packet/engine/names.h"
#include "packet/engine/pcapng.h"
#include "packet/engine/pool.h"
#include "packet/engine/worker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <rte_errno.h>
#include <rte_ether.h>
#include <rte_graph_worker.h>
#include <rte_ring_elem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_COUNT         1024
#define POOL_COUNT         4095 /* 2^n - 1 (rte_mempool) */
#define DRAIN_COUNT        64
#define BUFFER_SIZE_MAX    (4U << 20)
#define INTERFACES_MAX     256
#define POLL_MS            10
#define FLUSH_NS           (5 * CLOCK_NS_PER_S) /* for a reader that stopped reading */
#define SNAP_BYTES_DEFAULT 65535
#define COMMENT_SIZE       512
#define TAG_SIZE           4

struct item {
	struct rte_mbuf *packet;
	uint64_t wall_ns;
};

struct interface {
	uint16_t port, generation;
};

struct capture {
	/* Constant while it is published. */
	rte_node_t node_id;
	uint32_t slot, snap_size;
	uint64_t count; /* packets wanted; 0: no bound */
	struct filter filter;
	struct rte_mempool *pool;
	struct rte_ring *rings[WORKERS_MAX];
	/* Atomic, by workers. */
	uint64_t taken, lost;
	/* Control thread. */
	json_int_t id;
	int fd;
	bool is_pipe, is_socket, is_flushing;
	char node[RTE_NODE_NAMESIZE];
	struct pcapng_buffer buffer;
	size_t sent; /* of buffer */
	uint64_t written, flush_until_ns;
	struct interface interfaces[INTERFACES_MAX];
	uint32_t interface_count;
	const char *reason;               /* why it ends */
	struct ipc_request *stop_request; /* answered when all is written; NULL: none */
};

static struct {
	uv_timer_t timer;
	struct capture *captures[WATCH_CAPTURES_MAX];
	json_int_t next_id;
	uint32_t pools_made;
	bool is_open;
} all = {.next_id = 1};

/* --- worker --- */

static void take(struct capture *capture, const struct rte_mbuf *packet)
{
	struct item item = {.wall_ns = clock_wall_ns()};

	item.packet = rte_pktmbuf_copy(packet, capture->pool, 0, capture->snap_size);
	if (item.packet) {
		/* A field that the copy does not need carries the size before the cut. */
		item.packet->hash.usr = packet->pkt_len;
		if (rte_ring_sp_enqueue_elem(capture->rings[worker_index], &item, sizeof(item))
			== 0)
			return;
		rte_pktmbuf_free(item.packet);
	}
	__atomic_fetch_add(&capture->lost, 1, __ATOMIC_RELAXED);
}

void capture_watch(struct capture *capture, const struct rte_node *node, struct rte_mbuf **packets,
	uint16_t count)
{
	if (node->id != capture->node_id)
		return;
	for (uint16_t i = 0; i < count; i++) {
		if (!filter_matches(&capture->filter, packets[i]))
			continue;
		if (capture->count
			&& __atomic_fetch_add(&capture->taken, 1, __ATOMIC_RELAXED)
				>= capture->count)
			return;
		take(capture, packets[i]);
	}
	worker_notify_control();
}

/* --- control thread --- */

static bool is_egress(const struct capture *capture)
{
	return strcmp(capture->node, "tx") == 0;
}

/* The interface of the file for the port; described there on first use. */
static uint32_t interface_of(struct capture *capture, uint16_t port, uint16_t generation)
{
	uint32_t i = 0;
	char name[80];

	while (i < capture->interface_count
		&& (capture->interfaces[i].port != port
			|| capture->interfaces[i].generation != generation))
		i++;
	if (i < capture->interface_count)
		return i;
	if (i == INTERFACES_MAX)
		return 0; /* so many ports in one capture: the comment names the port too */
	capture->interfaces[i] = (struct interface){.port = port, .generation = generation};
	capture->interface_count++;
	names_format_port(port, name, sizeof(name));
	pcapng_write_interface(&capture->buffer, name, capture->snap_size);
	return i;
}

static void format_comment(
	const struct capture *capture, const struct packet_metadata *metadata, char *out)
{
	char origin[NAMES_ORIGIN_SIZE];
	int length;

	names_format_origin(&metadata->origin, metadata->vlan, origin);
	length = snprintf(out, COMMENT_SIZE, "node=%s origin=%s", capture->node, origin);
	if (metadata->drop_reason != DROP_none && metadata->drop_reason < DROP_REASON_COUNT)
		snprintf(out + length, COMMENT_SIZE - (size_t)length,
			" verdict=drop reason=%s (%s)",
			drop_descriptions[metadata->drop_reason].name,
			drop_descriptions[metadata->drop_reason].text);
	else if (metadata->flags & PACKET_IS_INSPECTED)
		snprintf(out + length, COMMENT_SIZE - (size_t)length, " verdict=pass");
}

/* The frame as it is on the wire: the tag that the engine keeps in the metadata is put back. */
static void copy_frame(const struct rte_mbuf *packet, const struct packet_metadata *metadata,
	bool has_tag, uint8_t *out, uint32_t size)
{
	uint8_t tag[TAG_SIZE] = {RTE_ETHER_TYPE_VLAN >> 8, RTE_ETHER_TYPE_VLAN & 0xff,
		(uint8_t)(metadata->tci_bits << 4 | metadata->vlan >> 8), (uint8_t)metadata->vlan};
	uint32_t head = has_tag ? 2 * RTE_ETHER_ADDR_LEN : 0;
	uint32_t rest = size - head - (has_tag ? TAG_SIZE : 0);
	const void *at;

	if (has_tag) {
		at = rte_pktmbuf_read(packet, 0, head, out);
		if (at != out)
			memcpy(out, at, head);
		memcpy(out + head, tag, TAG_SIZE);
	}
	at = rte_pktmbuf_read(packet, head, rest, out + size - rest);
	if (at && at != out + size - rest)
		memcpy(out + size - rest, at, rest);
}

static void write_item(struct capture *capture, const struct item *item)
{
	const struct packet_metadata *metadata = packet_metadata(item->packet);
	bool has_tag =
		(metadata->flags & PACKET_WAS_TAGGED) && item->packet->pkt_len >= RTE_ETHER_HDR_LEN;
	char comment[COMMENT_SIZE];
	struct pcapng_packet packet = {
		.wall_ns = item->wall_ns,
		.captured_size = item->packet->pkt_len + (has_tag ? TAG_SIZE : 0),
		.original_size = item->packet->hash.usr + (has_tag ? TAG_SIZE : 0),
		.direction = is_egress(capture) ? PCAPNG_OUTBOUND : PCAPNG_INBOUND,
		.comment = comment,
	};
	uint8_t *data;

	format_comment(capture, metadata, comment);
	packet.interface = is_egress(capture) ? interface_of(capture, metadata->egress_port, 0)
					      : interface_of(capture, metadata->origin.ingress_port,
						      metadata->origin.ingress_generation);
	data = pcapng_write_packet(&capture->buffer, &packet);
	if (!data)
		return;
	copy_frame(item->packet, metadata, has_tag, data, packet.captured_size);
	capture->written++;
}

/* As much as the buffer's bound allows; the rest waits in the rings, and overflows there. */
static void drain(struct capture *capture)
{
	struct item items[DRAIN_COUNT];

	for (uint16_t worker = 0; worker < worker_count(); worker++) {
		uint32_t count = DRAIN_COUNT;

		while (count == DRAIN_COUNT && capture->buffer.size < BUFFER_SIZE_MAX) {
			count = rte_ring_sc_dequeue_burst_elem(
				capture->rings[worker], items, sizeof(*items), DRAIN_COUNT, NULL);
			for (uint32_t i = 0; i < count; i++) {
				write_item(capture, &items[i]);
				rte_pktmbuf_free(items[i].packet);
			}
		}
	}
}

/* One piece that the descriptor takes without blocking; 0: none at present. */
static ssize_t send_piece(const struct capture *capture, const uint8_t *data, size_t size)
{
	struct pollfd pollfd = {.fd = capture->fd, .events = POLLOUT};
	ssize_t sent;

	if (capture->is_socket) {
		sent = send(capture->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		/* POLLOUT promises a pipe's room for PIPE_BUF bytes (pipe(7)); a file takes all. */
		if (capture->is_pipe && poll(&pollfd, 1, 0) <= 0)
			return 0;
		if (capture->is_pipe && pollfd.revents & POLLERR)
			return -EPIPE; /* without the signal */
		if (capture->is_pipe && size > PIPE_BUF)
			size = PIPE_BUF;
		sent = write(capture->fd, data, size);
	}
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return sent;
}

static int flush(struct capture *capture)
{
	struct pcapng_buffer *buffer = &capture->buffer;

	while (capture->sent < buffer->size) {
		ssize_t sent = send_piece(
			capture, buffer->data + capture->sent, buffer->size - capture->sent);

		if (sent < 0)
			return (int)sent;
		if (sent == 0)
			break;
		capture->sent += (size_t)sent;
	}
	memmove(buffer->data, buffer->data + capture->sent, buffer->size - capture->sent);
	buffer->size -= capture->sent;
	capture->sent = 0;
	return 0;
}

static void destroy(struct capture *capture)
{
	struct item item;

	if (!capture)
		return;
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		while (capture->rings[i]
			&& rte_ring_sc_dequeue_elem(capture->rings[i], &item, sizeof(item)) == 0)
			rte_pktmbuf_free(item.packet);
		rte_ring_free(capture->rings[i]);
	}
	rte_mempool_free(capture->pool);
	filter_close(&capture->filter);
	free(capture->buffer.data);
	if (capture->fd >= 0)
		close(capture->fd);
	free(capture);
}

static void begin_flushing(struct capture *capture, const char *reason)
{
	if (capture->is_flushing || watch_set_capture(capture->slot, NULL) < 0)
		return; /* no memory: the next tick tries again */
	capture->is_flushing = true;
	capture->reason = reason;
	capture->flush_until_ns = clock_monotonic_ns() + FLUSH_NS;
	drain(capture);
	for (uint32_t i = 0; i < capture->interface_count; i++)
		pcapng_write_statistics(&capture->buffer, i, clock_wall_ns(), UINT64_MAX,
			i == 0 ? __atomic_load_n(&capture->lost, __ATOMIC_RELAXED) : 0);
}

static void finish(struct capture *capture)
{
	json_int_t lost = (json_int_t)__atomic_load_n(&capture->lost, __ATOMIC_RELAXED);
	json_int_t written = (json_int_t)capture->written;

	all.captures[capture->slot] = NULL;
	packet_notify("capture.end",
		json_pack("{s:I, s:I, s:I, s:s}", "capture", capture->id, "packets", written,
			"lost", lost, "reason", capture->reason));
	if (capture->stop_request)
		ipc_reply(capture->stop_request,
			json_pack("{s:I, s:I}", "packets", written, "lost", lost));
	destroy(capture);
}

static void step(struct capture *capture)
{
	int status;

	if (!capture->is_flushing) {
		drain(capture);
		if (capture->count && capture->written >= capture->count)
			begin_flushing(capture, "count");
	}
	status = capture->buffer.has_failed ? -ENOMEM : flush(capture);
	if (status < 0) {
		begin_flushing(capture, strerror(-status));
		if (capture->is_flushing) {
			capture->reason = strerror(-status);
			finish(capture);
		}
		return;
	}
	if (capture->is_flushing
		&& (capture->buffer.size == 0 || clock_monotonic_ns() > capture->flush_until_ns))
		finish(capture);
}

static void on_poll(uv_timer_t *timer)
{
	bool is_idle = true;

	for (uint32_t i = 0; i < WATCH_CAPTURES_MAX; i++)
		if (all.captures[i]) {
			is_idle = false;
			step(all.captures[i]);
		}
	if (is_idle)
		uv_timer_stop(timer);
}

static void on_workers(void *context)
{
	if (uv_is_active((uv_handle_t *)&all.timer))
		on_poll(&all.timer);
}

int capture_open(uv_loop_t *loop)
{
	int status = worker_add_control_handler(on_workers, NULL);

	if (status < 0)
		return status;
	uv_timer_init(loop, &all.timer);
	all.is_open = true;
	return 0;
}

void capture_stop_all(void)
{
	for (uint32_t i = 0; i < WATCH_CAPTURES_MAX; i++)
		if (all.captures[i])
			begin_flushing(all.captures[i], "stopped");
}

void capture_close(void)
{
	if (!all.is_open)
		return;
	for (uint32_t i = 0; i < WATCH_CAPTURES_MAX; i++) {
		if (!all.captures[i])
			continue;
		begin_flushing(all.captures[i], "stopped");
		flush(all.captures[i]);
		finish(all.captures[i]);
	}
	uv_close((uv_handle_t *)&all.timer, NULL);
	all.is_open = false;
}

static int take_descriptor(
	struct capture *capture, struct ipc_request *request, struct error *error)
{
	struct stat stat;

	capture->fd = ipc_request_take_descriptor(request, 0);
	if (capture->fd < 0 || fstat(capture->fd, &stat) < 0)
		return error_set(error, -EBADF,
			"capture.start takes the descriptor to write to with the request");
	capture->is_pipe = S_ISFIFO(stat.st_mode);
	capture->is_socket = S_ISSOCK(stat.st_mode);
	if (!capture->is_pipe && !capture->is_socket && !S_ISREG(stat.st_mode))
		return error_set(error, -EINVAL,
			"a capture is written to a file, a pipe or a socket; not to a terminal or "
			"another device");
	return 0;
}

static int find_node(struct capture *capture, const char *name, struct error *error)
{
	rte_node_t id = rte_node_from_name(name);

	if (id == RTE_NODE_ID_INVALID)
		return error_set(error, -ENOENT,
			"node: the graph has no node %s; `bulkhead graph` shows them", name);
	capture->node_id = id;
	snprintf(capture->node, sizeof(capture->node), "%s", name);
	return 0;
}

static int create_rings(struct capture *capture, struct error *error)
{
	char name[32];

	snprintf(name, sizeof(name), "capture-%u", all.pools_made++);
	capture->pool = pool_create(name, POOL_COUNT);
	for (uint16_t i = 0; capture->pool && i < worker_count(); i++) {
		snprintf(name, sizeof(name), "capture-%u-%u", capture->slot, i);
		capture->rings[i] = rte_ring_create_elem(name, sizeof(struct item), RING_COUNT,
			SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!capture->rings[i])
			break;
	}
	if (!capture->pool || !capture->rings[worker_count() - 1])
		return error_set(error, -ENOMEM,
			"no memory for a capture's buffers (packet.memory): %s",
			rte_strerror(rte_errno));
	return 0;
}

static int create(
	struct ipc_request *request, uint32_t slot, struct capture **out, struct error *error)
{
	const json_t *params = ipc_request_params(request);
	const char *node = json_string_value(json_object_get(params, "node"));
	json_int_t snap = json_integer_value(json_object_get(params, "snap_bytes"));
	struct capture *capture = calloc(1, sizeof(*capture));
	int status;

	if (!capture)
		return error_set(error, -ENOMEM, "no memory for a capture");
	capture->slot = slot;
	capture->count = (uint64_t)json_integer_value(json_object_get(params, "count"));
	capture->snap_size = snap > 0 ? (uint32_t)snap : SNAP_BYTES_DEFAULT;
	status = take_descriptor(capture, request, error);
	if (status == 0)
		status = find_node(capture, node ? node : "rx", error);
	if (status == 0)
		status = filter_open(&capture->filter, params, error);
	if (status == 0)
		status = create_rings(capture, error);
	if (status < 0) {
		destroy(capture);
		return status;
	}
	pcapng_write_header(&capture->buffer, "bulkhead " BULKHEAD_VERSION,
		is_egress(capture) ? "interfaces are egress ports"
				   : "interfaces are ingress ports");
	*out = capture;
	return 0;
}

void capture_handle_start(struct ipc_request *request, void *context)
{
	struct capture *capture = NULL;
	struct error error;
	uint32_t slot = 0;
	int status;

	while (slot < WATCH_CAPTURES_MAX && all.captures[slot])
		slot++;
	if (slot == WATCH_CAPTURES_MAX) {
		ipc_reply_failed(request, -EBUSY, "four captures run already; stop one of them");
		return;
	}
	status = create(request, slot, &capture, &error);
	if (status == 0) {
		capture->id = all.next_id++;
		status = watch_set_capture(slot, capture);
		if (status < 0) {
			destroy(capture);
			error_set(&error, status, "no memory for a capture");
		}
	}
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	all.captures[slot] = capture;
	uv_timer_start(&all.timer, on_poll, POLL_MS, POLL_MS);
	ipc_reply(request, json_pack("{s:I}", "capture", capture->id));
}

void capture_handle_stop(struct ipc_request *request, void *context)
{
	json_int_t id = json_integer_value(json_object_get(ipc_request_params(request), "capture"));

	for (uint32_t i = 0; i < WATCH_CAPTURES_MAX; i++) {
		struct capture *capture = all.captures[i];

		if (!capture || capture->id != id || capture->stop_request)
			continue;
		capture->stop_request = request;
		begin_flushing(capture, "stopped");
		step(capture);
		return;
	}
	ipc_reply_failed(request, -ENOENT, "there is no such capture; it may have ended");
}
