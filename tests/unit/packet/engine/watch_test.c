/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Trace and capture over a running graph of the test's own nodes:
 *
 *	rx -> switch_input -> origin_tag -> inspect -> origin_forward -+-> tx
 *	                                                               +-> drop (UDP port 2003)
 *
 * Requests go over one channel to the engine's methods, notifications come over the role's.
 */
#include "packet/engine/capture.h"
#include "packet/engine/drop_count.h"
#include "packet/engine/eal.h"
#include "packet/engine/graph.h"
#include "packet/engine/names.h"
#include "packet/engine/node.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish_private.h"
#include "packet/engine/trace_control.h"
#include "packet/engine/worker_control.h"
#include "packet/packet_role.h"

#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <rte_byteorder.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

#define BURST        8
#define FRAME_SIZE   60
#define PORT         7
#define VLAN         10
#define DROPPED_PORT 2003

static uv_loop_t loop;
static struct role_context role = {.loop = &loop, .name = "packet"};
static int broker_fd; /* the other end of the role's channel; nobody answers */
static struct ipc_channel *client, *server, *listener;
static int64_t burst_wanted; /* atomic: bursts that the source still sends */

/* Written by the callbacks of the loop. */
static json_t *answer, *records, *end;

extern struct rte_node_register drop_node;

/* --- the graph --- */

static void make_frame(struct rte_mbuf *packet, uint16_t port)
{
	static const uint8_t head[] = {0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 8, 0, 0x45,
		0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x03, 0xe8};
	uint8_t *frame = (uint8_t *)rte_pktmbuf_append(packet, FRAME_SIZE);

	if (!frame)
		abort();
	memset(frame, 0, FRAME_SIZE);
	memcpy(frame, head, sizeof(head));
	frame[36] = (uint8_t)(port >> 8);
	frame[37] = (uint8_t)port;
	frame[39] = 26;
}

static uint16_t rx_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct rte_mbuf *packets[BURST];

	(void)objects;
	(void)count;
	if (__atomic_load_n(&burst_wanted, __ATOMIC_RELAXED) <= 0
		|| rte_pktmbuf_alloc_bulk(packet_pool, packets, BURST) != 0)
		return 0;
	for (uint16_t i = 0; i < BURST; i++) {
		make_frame(packets[i], (uint16_t)(2000 + i % 4));
		*packet_metadata(packets[i]) = (struct packet_metadata){
			.origin = {.ingress_port = PORT, .ingress_generation = 1}};
		node_forward(graph, node, 0, packets[i]);
	}
	__atomic_fetch_sub(&burst_wanted, 1, __ATOMIC_RELAXED);
	return BURST;
}

static uint16_t input_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		packet_metadata(objects[i])->vlan = VLAN;
		packet_metadata(objects[i])->flags |= PACKET_WAS_TAGGED;
		packet_metadata(objects[i])->tci_bits = 5 << 1;
		node_forward(graph, node, 0, objects[i]);
	}
	return count;
}

static uint16_t origin_tag_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		packet_metadata(objects[i])->origin.kind = ORIGIN_TRUNK;
		packet_metadata(objects[i])->origin.vlan = VLAN;
		trace_step(objects[i], "origin_tag", "trunk, adapter %d", 0);
		node_forward(graph, node, 0, objects[i]);
	}
	return count;
}

static uint16_t inspect_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod((struct rte_mbuf *)objects[i], uint8_t *);

		if ((frame[36] << 8 | frame[37]) == DROPPED_PORT) {
			drop_mark(objects[i], DROP_inspect_rule);
			node_forward(graph, node, 1, objects[i]);
			continue;
		}
		packet_metadata(objects[i])->flags |= PACKET_IS_INSPECTED;
		node_forward(graph, node, 0, objects[i]);
	}
	return count;
}

static uint16_t forward_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	rte_node_next_stream_move(graph, node, 0);
	(void)objects;
	return count;
}

static uint16_t tx_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	(void)graph;
	(void)node;
	rte_pktmbuf_free_bulk((struct rte_mbuf **)objects, count);
	return count;
}

#define NODE(symbol, node_name, node_flags, function, ...)                                         \
	static struct rte_node_register symbol = {.name = (node_name),                             \
		.flags = (node_flags),                                                             \
		.process = (function),                                                             \
		.nb_edges = sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *),          \
		.next_nodes = {__VA_ARGS__}}

NODE(test_rx, "rx", RTE_NODE_SOURCE_F, rx_process, "switch_input");
NODE(test_input, "switch_input", 0, input_process, "origin_tag");
NODE(test_origin_tag, "origin_tag", 0, origin_tag_process, "origin_forward");
NODE(test_inspect, "inspect", 0, inspect_process, "origin_forward", "drop");
NODE(test_origin_forward, "origin_forward", 0, forward_process, "tx");
static struct rte_node_register test_tx = {.name = "tx", .process = tx_process};
static struct rte_node_register *const test_nodes[] = {&test_rx, &test_input, &test_origin_tag,
	&test_inspect, &test_origin_forward, &test_tx, &drop_node, NULL};

static const char *port_name(uint16_t index)
{
	return index == PORT ? "web.eth0" : NULL;
}

static int find_port(const char *name, uint16_t *index, uint16_t *generation)
{
	if (strcmp(name, "web.eth0") != 0)
		return -ENOENT;
	*index = PORT;
	*generation = 1;
	return 0;
}

/* --- the channels --- */

static void on_request(struct ipc_request *request, void *context)
{
	ipc_dispatch(engine_module.methods, request, context);
}

static void on_notification(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);

	(void)context;
	if (strcmp(ipc_request_method(request), "trace.records") == 0)
		json_array_extend(records, json_object_get(params, "records"));
	else
		json_object_update(end, (json_t *)(uintptr_t)params);
}

static void on_close(struct ipc_channel *channel, void *context)
{
	(void)channel;
	(void)context;
}

static const struct ipc_ops request_ops = {.on_request = on_request, .on_close = on_close};
static const struct ipc_ops notification_ops = {
	.on_request = on_notification, .on_close = on_close};

static void on_answer(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	(void)context;
	(void)descriptors;
	(void)descriptor_count;
	answer = json_deep_copy(result ? result : error);
}

static void turn(void)
{
	uv_run(&loop, UV_RUN_NOWAIT);
}

static json_t *call(const char *method, json_t *params, int fd)
{
	answer = NULL;
	assert_int_equal(
		ipc_call(client, method, params, &fd, fd >= 0 ? 1 : 0, 5000, on_answer, NULL), 0);
	assert_becomes((turn(), answer));
	return answer;
}

static void wait_for_end(void)
{
	assert_becomes((turn(), json_object_get(end, "reason")));
}

static void set_composition(bool has_inspection)
{
	struct graph_composition composition = {.has_inspection = has_inspection};
	struct error error;

	assert_int_equal(graph_prepare(&composition, &error), 0);
	graph_commit();
}

static int set_up(void **state)
{
	json_t *config = json_pack(
		"{s:{s:I, s:s}}", "packet", "memory", (json_int_t)(96 << 20), "hugepages", "off");
	struct workers_config workers = {.count = 1, .cores = {WORKER_NO_CORE}, .nap_max_us = 250};
	struct eal_config eal_config;
	struct error error = {""};
	int pair[2];
	void *role_state;

	(void)state;
	uv_loop_init(&loop);
	eal_config_read(config, &eal_config);
	json_decref(config);
	if (eal_start(&eal_config, &error) < 0 || pool_open(eal_config.memory_bytes, &error) < 0
		|| publish_open(&loop) < 0 || drop_open(1) < 0
		|| graph_register(test_nodes, &error) < 0
		|| workers_start(&loop, &workers, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	trace_open(&loop);
	capture_open(&loop);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	ipc_open(&loop, pair[0], &request_ops, NULL, &role.broker);
	broker_fd = pair[1];
	packet_role_ops.start(&role, &role_state, &error);
	engine_names.port = port_name;
	engine_names.find_port = find_port;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	packet_role_ops.peer(role_state, "control", pair[0]);
	ipc_open(&loop, pair[1], &notification_ops, NULL, &listener);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	ipc_open(&loop, pair[0], &request_ops, NULL, &server);
	ipc_open(&loop, pair[1], &request_ops, NULL, &client);
	set_composition(true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	workers_stop();
	capture_close();
	trace_close();
	ipc_close(client);
	ipc_close(server);
	ipc_close(listener);
	ipc_close(role.broker);
	close(broker_fd);
	packet_role_ops.stop(&role);
	graph_close();
	publish_close();
	drop_close();
	pool_close();
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	eal_stop();
	return 0;
}

static int begin_test(void **state)
{
	(void)state;
	records = json_array();
	end = json_object();
	return 0;
}

static int end_test(void **state)
{
	(void)state;
	json_decref(records);
	json_decref(end);
	return 0;
}

static void send_bursts(int64_t count)
{
	__atomic_store_n(&burst_wanted, count, __ATOMIC_RELAXED);
}

/* The nodes of packet number, as "rx switch_input …". */
static const char *walk_of(json_int_t number)
{
	static char walk[512];
	json_t *record;
	size_t i;

	walk[0] = '\0';
	json_array_foreach (records, i, record) {
		if (json_integer_value(json_object_get(record, "packet")) != number)
			continue;
		strcat(walk, walk[0] ? " " : "");
		strcat(walk, json_string_value(json_object_get(record, "node")));
	}
	return walk;
}

static const char *text_of(const char *node, const char *key)
{
	json_t *record;
	size_t i;

	json_array_foreach (records, i, record)
		if (strcmp(json_string_value(json_object_get(record, "node")), node) == 0)
			return json_string_value(json_object_get(record, key));
	return "";
}

/* --- tests --- */

static void trace_shows_each_node_of_a_packets_walk(void **state)
{
	json_t *result = call("trace.start", json_pack("{s:i}", "count", 2), -1);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(result, "trace")), 1);
	json_decref(result);
	send_bursts(1);
	wait_for_end();
	assert_string_equal(json_string_value(json_object_get(end, "reason")), "count");
	assert_string_equal(walk_of(1), "rx switch_input origin_tag inspect origin_forward tx");
	assert_string_equal(walk_of(2), "rx switch_input origin_tag inspect origin_forward tx");
	assert_string_equal(walk_of(3), "");
	assert_string_equal(text_of("origin_tag", "text"), "trunk, adapter 0");
	assert_string_equal(text_of("tx", "origin"), "trunk vlan 10 web.eth0");
	assert_string_equal(text_of("rx", "packet_text"),
		"52:54:00:00:00:01 > 52:54:00:00:00:02 10.0.0.1.1000 > 10.0.0.2.2000 UDP, 60 "
		"bytes");
}

static void trace_follows_the_filter_and_tells_the_drop_reason(void **state)
{
	(void)state;
	json_decref(call("trace.start",
		json_pack("{s:i, s:s, s:s}", "count", 1, "port", "web.eth0", "filter",
			"udp and dst port 2003"),
		-1));
	send_bursts(1);
	wait_for_end();
	assert_string_equal(walk_of(1), "rx switch_input origin_tag inspect drop");
	assert_string_equal(text_of("drop", "text"), "inspect_rule: a rule said drop or reject");
}

static void trace_of_a_vlan_starts_where_the_vlan_is_known(void **state)
{
	(void)state;
	json_decref(call("trace.start", json_pack("{s:i, s:i}", "count", 1, "vlan", VLAN), -1));
	send_bursts(1);
	wait_for_end();
	assert_string_equal(walk_of(1), "rx origin_tag inspect origin_forward tx");
}

static void trace_can_be_stopped(void **state)
{
	json_t *result = call("trace.start", json_pack("{s:i, s:i}", "count", 5, "vlan", 11), -1);
	json_int_t id = json_integer_value(json_object_get(result, "trace"));

	(void)state;
	json_decref(result);
	send_bursts(10);
	json_decref(call("trace.stop", json_pack("{s:I}", "trace", id), -1));
	wait_for_end();
	assert_string_equal(json_string_value(json_object_get(end, "reason")), "stopped");
	assert_int_equal(json_array_size(records), 0);
	result = call("trace.stop", json_pack("{s:I}", "trace", id), -1);
	assert_non_null(json_object_get(result, "message"));
	json_decref(result);
}

static void refuses_names_in_filters(void **state)
{
	static const char *const bad[] = {"host www.example.com", "host 1.example.com", "port http",
		"net cafe", "host 2001d:::8b1", "host 1.2.3.4.5", "gateway 1.2.3.4", "udp and",
		"ether[70000000000] = 1"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		json_t *result = call("trace.start", json_pack("{s:s}", "filter", bad[i]), -1);

		assert_non_null(json_object_get(result, "message"));
		json_decref(result);
	}
}

/* A capture into a file that is gone from the folder; returns its descriptor. */
static int capture_to_file(json_t *params, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	json_t *result;

	assert_true(fd >= 0);
	result = call("capture.start", params, fd);
	assert_non_null(json_object_get(result, "capture"));
	json_decref(result);
	return fd;
}

static void capture_writes_frames_as_they_were_on_the_wire(void **state)
{
	char path[] = "/tmp/engine-capture-XXXXXX", message[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const uint8_t *frame;
	uint32_t count = 0;
	pcap_t *pcap;
	int fd;

	(void)state;
	close(mkstemp(path));
	fd = capture_to_file(json_pack("{s:s, s:i}", "node", "origin_forward", "count", 6), path);
	send_bursts(2);
	wait_for_end();
	close(fd);
	assert_int_equal(json_integer_value(json_object_get(end, "packets")), 6);
	assert_int_equal(json_integer_value(json_object_get(end, "lost")), 0);
	pcap = pcap_open_offline(path, message);
	assert_non_null(pcap);
	while (pcap_next_ex(pcap, &header, &frame) == 1) {
		assert_int_equal(header->caplen, FRAME_SIZE + 4);
		assert_int_equal(frame[12] << 8 | frame[13], 0x8100);
		assert_int_equal(frame[14] << 8 | frame[15], 5 << 13 | VLAN);
		assert_int_equal(frame[16] << 8 | frame[17], 0x0800);
		count++;
	}
	pcap_close(pcap);
	unlink(path);
	assert_int_equal(count, 6);
}

static void capture_of_drops_carries_origin_and_verdict_as_comments(void **state)
{
	char path[] = "/tmp/engine-capture-XXXXXX", command[256], line[512] = "";
	FILE *tshark;
	int fd;

	(void)state;
	if (system("command -v tshark >/dev/null") != 0) {
		print_message("no tshark here\n");
		skip();
	}
	close(mkstemp(path));
	fd = capture_to_file(
		json_pack("{s:s, s:i, s:i}", "node", "drop", "count", 2, "snap_bytes", 40), path);
	send_bursts(1);
	wait_for_end();
	close(fd);
	snprintf(command, sizeof(command),
		"tshark -r %s -T fields -e frame.comment -e frame.interface_name -e frame.len "
		"-e vlan.id -e frame.cap_len 2>/dev/null",
		path);
	tshark = popen(command, "r");
	assert_non_null(tshark);
	assert_non_null(fgets(line, sizeof(line), tshark));
	pclose(tshark);
	unlink(path);
	assert_string_equal(line,
		"node=drop origin=trunk vlan 10 web.eth0 verdict=drop reason=inspect_rule (a rule "
		"said drop or reject)\tweb.eth0\t64\t10\t44\n");
}

static void capture_into_a_pipe_that_nobody_reads_stops_within_its_bound(void **state)
{
	int pipe_fds[2];
	json_t *result;
	json_int_t id;

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	result = call("capture.start", json_pack("{s:s}", "node", "rx"), pipe_fds[1]);
	id = json_integer_value(json_object_get(result, "capture"));
	json_decref(result);
	send_bursts(20000);
	assert_becomes((turn(), __atomic_load_n(&burst_wanted, __ATOMIC_RELAXED) <= 0));
	/* The reader goes away: the capture ends by itself and says why. */
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	wait_for_end();
	assert_int_equal(json_integer_value(json_object_get(end, "capture")), id);
	assert_true(json_integer_value(json_object_get(end, "lost")) > 0);
	assert_string_equal(json_string_value(json_object_get(end, "reason")), "Broken pipe");
	assert_becomes(rte_mempool_in_use_count(packet_pool) == 0);
}

static void capture_refuses_a_terminal_and_an_unknown_node(void **state)
{
	int fd = open("/dev/null", O_WRONLY);
	json_t *result = call("capture.start", json_object(), fd);

	(void)state;
	assert_non_null(json_object_get(result, "message"));
	json_decref(result);
	close(fd);
	fd = memfd_create("capture", MFD_CLOEXEC);
	result = call("capture.start", json_pack("{s:s}", "node", "nowhere"), fd);
	assert_non_null(json_object_get(result, "message"));
	json_decref(result);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)
		TEST(trace_shows_each_node_of_a_packets_walk),
		TEST(trace_follows_the_filter_and_tells_the_drop_reason),
		TEST(trace_of_a_vlan_starts_where_the_vlan_is_known),
		TEST(trace_can_be_stopped),
		TEST(refuses_names_in_filters),
		TEST(capture_writes_frames_as_they_were_on_the_wire),
		TEST(capture_of_drops_carries_origin_and_verdict_as_comments),
		TEST(capture_into_a_pipe_that_nobody_reads_stops_within_its_bound),
		TEST(capture_refuses_a_terminal_and_an_unknown_node),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
