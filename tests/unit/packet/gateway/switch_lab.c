/* SPDX-License-Identifier: BSD-3-Clause */
#include "switch_lab.h"

#include "base/clock.h"
#include "packet/engine/drop_count.h"
#include "packet/engine/graph.h"
#include "packet/engine/nodes.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/engine/publish_private.h"
#include "packet/gateway/fdb_control.h"
#include "packet/gateway/vlan_table.h"
#include "packet/port/port_control.h"
#include "packet/port/port_table.h"

#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS  64
#define QUEUED 4096

struct device {
	char name[PORT_NAME_SIZE];
	struct port *port;
	struct lab_frame *waiting, *sent;
	size_t waiting_count, waiting_at, sent_count;
};

struct eal_config lab_eal = {
	.memory_bytes = 64 << 20, .hugepages = EAL_HUGEPAGES_OFF, .prefix = "switch-lab"};
char lab_error[512];
uint32_t lab_moves, lab_stops;

static struct device devices[PORTS];
static size_t device_count;
static struct graph *graph;
static uint64_t now_ns = 1000000 * CLOCK_NS_PER_S;
static uint64_t drops_before[DROP_REASON_COUNT];
static struct port_table *table;
static struct rx_plan *plan;

static struct device *find_device(const char *name)
{
	for (size_t i = 0; i < device_count; i++)
		if (strcmp(devices[i].name, name) == 0)
			return &devices[i];
	fprintf(stderr, "no device %s\n", name);
	abort();
}

static struct device *device_of(const struct port *port)
{
	return port->backend;
}

static uint16_t rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	struct device *device = device_of(port);
	uint16_t done = 0;

	for (; done < count && device->waiting_at < device->waiting_count; done++) {
		const struct lab_frame *frame = &device->waiting[device->waiting_at++];
		struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);

		memcpy(rte_pktmbuf_append(packet, (uint16_t)frame->size), frame->bytes,
			frame->size);
		packets[done] = packet;
	}
	return done;
}

static uint16_t tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	struct device *device = device_of(port);

	for (uint16_t i = 0; i < count; i++) {
		struct lab_frame *frame = &device->sent[device->sent_count++];

		frame->size = rte_pktmbuf_pkt_len(packets[i]);
		memcpy(frame->bytes,
			rte_pktmbuf_read(packets[i], 0, (uint32_t)frame->size, frame->bytes),
			frame->size);
		rte_pktmbuf_free(packets[i]);
	}
	return count;
}

static const struct port_ops ops = {.rx_burst = rx_burst, .tx_burst = tx_burst};

static void make_port(struct device *device, enum port_kind kind)
{
	struct port *port = rte_zmalloc(NULL, sizeof(*port), RTE_CACHE_LINE_SIZE);

	port->state = calloc(1, sizeof(*port->state));
	port->ops = &ops;
	port->kind = (uint8_t)kind;
	port->queue_count = 1;
	port->mtu_bytes = 1500;
	port->is_up = true;
	port->backend = device;
	snprintf(port->config.name, sizeof(port->config.name), "%.*s",
		(int)sizeof(port->config.name) - 1, device->name);
	port_table_reserve(port);
	device->port = port;
}

static void free_port(struct device *device)
{
	port_table_release(device->port);
	free(device->port->state);
	rte_free(device->port);
}

static void add_device(const char *name, enum port_kind kind)
{
	struct device *device = &devices[device_count];

	for (size_t i = 0; i < device_count; i++)
		if (strcmp(devices[i].name, name) == 0)
			return;
	snprintf(device->name, sizeof(device->name), "%s", name);
	device->waiting = calloc(QUEUED, sizeof(*device->waiting));
	device->sent = calloc(QUEUED, sizeof(*device->sent));
	make_port(device, kind);
	device_count++;
}

static void add_devices(const json_t *config)
{
	const json_t *gateway = json_object_get(config, "gateway");
	json_t *partitions = json_object_get(config, "partitions"), *partition, *adapter;
	const char *name, *adapter_name, *kind;

	json_object_foreach (json_object_get(config, "adapters"), name, adapter) {
		kind = json_string_value(json_object_get(adapter, "kind"));
		if (kind && strcmp(kind, "xcf") == 0)
			add_device(name, PORT_XCF);
	}

	if (json_object_get(gateway, "physical"))
		add_device(json_string_value(json_object_get(gateway, "physical")), PORT_PHYSICAL);
	if (json_object_get(gateway, "host"))
		add_device("host", PORT_HOST);
	json_object_foreach (partitions, name, partition) {
		json_object_foreach (
			json_object_get(partition, "adapters"), adapter_name, adapter) {
			char port_name[PORT_NAME_SIZE];

			snprintf(port_name, sizeof(port_name), "%s.%s", name, adapter_name);
			add_device(port_name, PORT_PARTITION);
		}
	}
}

/* Nobody walks now, so the tables are simply replaced. */
static void publish_ports(void)
{
	free(table);
	free(plan);
	table = calloc(1, sizeof(*table));
	plan = calloc(1, sizeof(*plan) + PORTS * sizeof(plan->polls[0]));
	for (size_t i = 0; i < device_count; i++) {
		struct port *port = devices[i].port;

		table->ports[port->index] = port;
		if (port->index >= table->count)
			table->count = (uint16_t)(port->index + 1);
		plan->polls[plan->count++] = (struct rx_poll){.port = port, .fd = -1};
	}
	port_table = table;
	rx_plans[0] = plan;
}

static uint32_t number(const json_t *object, const char *key, uint32_t absent)
{
	const json_t *value = json_object_get(object, key);

	return value ? (uint32_t)json_integer_value(value) : absent;
}

static int apply(const json_t *config)
{
	const json_t *gateway = json_object_get(config, "gateway");
	const json_t *move = json_object_get(gateway, "mac-move");
	struct fdb_settings settings = {
		.ageing_ms = number(gateway, "ageing", 300000),
		.entries_max = number(gateway, "fdb-max", 131072),
		.move_max = number(move, "max", 5),
		.move_window_ms = number(move, "window", 1000),
	};
	struct vlan_table *old = vlan_table, *next;
	struct error error;
	int status = vlan_table_create(config, old, &next, &error);

	if (!status) {
		status = fdb_control_prepare(&settings, &error);
		if (status < 0)
			vlan_table_destroy(next);
	}
	if (status < 0) {
		snprintf(lab_error, sizeof(lab_error), "%s", error.text);
		return status;
	}
	vlan_table_apply(next);
	vlan_table = next;
	fdb_control_commit(old, now_ns);
	publish_retire(old, (void (*)(void *))vlan_table_destroy);
	publish_wait();
	return 0;
}

int lab_configure(const char *text)
{
	char *copy = strdup(text);
	json_error_t error;
	json_t *config;
	int status;

	for (char *at = copy; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	config = json_loads(copy, 0, &error);
	if (!config) {
		fprintf(stderr, "%s:%d: %s\n", copy, error.column, error.text);
		abort();
	}
	if (!json_object_get(json_object_get(config, "gateway"), "fdb-max"))
		json_object_set_new(
			json_object_get(config, "gateway"), "fdb-max", json_integer(131072));
	add_devices(config);
	publish_ports();
	status = apply(config);
	json_decref(config);
	free(copy);
	return status;
}

struct port *lab_port(const char *name)
{
	return find_device(name)->port;
}

void lab_replace_port(const char *name)
{
	struct device *device = find_device(name);
	enum port_kind kind = (enum port_kind)device->port->kind;

	free_port(device);
	make_port(device, kind);
	publish_ports();
}

void lab_queue(const char *port, const void *frame, size_t size)
{
	struct device *device = find_device(port);
	struct lab_frame *next = &device->waiting[device->waiting_count++];

	next->size = size;
	memcpy(next->bytes, frame, size);
}

void lab_walk(void)
{
	while (graph_walk(graph) > 0)
		;
	for (size_t i = 0; i < device_count; i++)
		devices[i].waiting_count = devices[i].waiting_at = 0;
	fdb_control_drain(now_ns);
}

uint64_t lab_step(void)
{
	return graph_walk(graph);
}

void lab_send(const char *port, const void *frame, size_t size)
{
	lab_queue(port, frame, size);
	lab_walk();
}

size_t lab_count(const char *port)
{
	return find_device(port)->sent_count;
}

const struct lab_frame *lab_frame_at(const char *port, size_t index)
{
	struct device *device = find_device(port);

	return index < device->sent_count ? &device->sent[index] : NULL;
}

size_t lab_total(void)
{
	size_t total = 0;

	for (size_t i = 0; i < device_count; i++)
		total += devices[i].sent_count;
	return total;
}

void lab_clear(void)
{
	for (size_t i = 0; i < device_count; i++)
		devices[i].sent_count = 0;
	for (int i = 0; i < DROP_REASON_COUNT; i++)
		drops_before[i] = drop_count((enum drop_reason)i);
}

uint64_t lab_drops(int reason)
{
	return drop_count((enum drop_reason)reason) - drops_before[reason];
}

void lab_advance_ms(uint64_t ms)
{
	for (uint64_t done = 0; done < ms; done += fdb_control_interval_ms()) {
		now_ns += fdb_control_interval_ms() * CLOCK_NS_PER_MS;
		fdb_control_tick(now_ns);
	}
}

unsigned int lab_buffers(void)
{
	return rte_mempool_in_use_count(packet_pool);
}

static void on_moved(
	uint16_t vlan, const uint8_t mac[6], uint16_t from, uint16_t to, bool is_stopped)
{
	lab_moves += !is_stopped;
	lab_stops += is_stopped;
}

static int make_graph(struct error *error)
{
	static const char *sources[] = {"rx", "distribute_tick"};
	struct rte_graph_param param = {
		.socket_id = SOCKET_ID_ANY, .node_patterns = sources, .nb_node_patterns = 2};
	int status = graph_register(nodes, error);

	if (status < 0)
		return status;
	graph = rte_zmalloc(NULL, sizeof(*graph), RTE_CACHE_LINE_SIZE);
	if (rte_graph_create("lab", &param) == RTE_GRAPH_ID_INVALID)
		return -1;
	graph->rte = rte_graph_lookup("lab");
	return 0;
}

int lab_set_up(void **state)
{
	struct error error = {""};
	int status = eal_start(&lab_eal, &error);

	worker_index = 0;
	if (!status)
		status = pool_open(lab_eal.memory_bytes, &error);
	if (!status)
		status = publish_open(NULL);
	if (!status)
		status = drop_open(1);
	if (!status)
		status = make_graph(&error);
	vlan_table = vlan_table_create_empty();
	if (!status)
		status = fdb_control_start(1, on_moved, &error);
	if (status)
		fprintf(stderr, "lab: %s\n", error.text);
	return status;
}

int lab_tear_down(void **state)
{
	rte_graph_destroy(graph->rte->id);
	rte_free(graph);
	fdb_control_stop();
	publish_wait();
	vlan_table_destroy(vlan_table);
	for (size_t i = 0; i < device_count; i++) {
		free_port(&devices[i]);
		free(devices[i].waiting);
		free(devices[i].sent);
	}
	free(table);
	free(plan);
	graph_close();
	publish_close();
	drop_close();
	pool_close();
	eal_stop();
	return 0;
}
