/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gateway as a module of the packet role: builds the switch's tables from each configuration
 * beside those in force and publishes them, so that traffic of what did not change goes on (G12).
 * Control thread.
 */
#include "packet/gateway/gateway_control.h"

#include "base/clock.h"
#include "base/log.h"
#include "packet/engine/names.h"
#include "packet/engine/node.h"
#include "packet/engine/nodes.h"
#include "packet/engine/publish.h"
#include "packet/gateway/fdb_control.h"
#include "packet/gateway/forward_edges.h"
#include "packet/gateway/trunk_counters.h"

#include <errno.h>
#include <rte_ether.h>

#define EVENTS_PER_S 20 /* moves that are told one by one */

struct trunk_counters trunk_counters[WORKERS_MAX][TRUNKS_MAX];

static uv_timer_t timer;
static bool is_started;
static struct vlan_table *prepared;
static struct {
	uint64_t second;
	uint32_t told, suppressed;
} move_events;

struct trunk_counters trunk_counters_sum(uint8_t trunk)
{
	struct trunk_counters sum = {0};

	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		const struct trunk_counters *part = &trunk_counters[i][trunk];

		sum.from_packets += __atomic_load_n(&part->from_packets, __ATOMIC_RELAXED);
		sum.from_bytes += __atomic_load_n(&part->from_bytes, __ATOMIC_RELAXED);
		sum.to_packets += __atomic_load_n(&part->to_packets, __ATOMIC_RELAXED);
		sum.to_bytes += __atomic_load_n(&part->to_bytes, __ATOMIC_RELAXED);
	}
	return sum;
}

static const char *port_name(uint16_t index)
{
	const struct switch_port *port = vlan_table_port(vlan_table, index);

	return port ? port->state->name : "";
}

/* An event each, but not more than people can read: an attacker chooses how many there are. */
static void on_moved(
	uint16_t vlan, const uint8_t mac[6], uint16_t from, uint16_t to, bool is_stopped)
{
	uint64_t second = clock_monotonic_ns() / CLOCK_NS_PER_S;
	char text[RTE_ETHER_ADDR_FMT_SIZE];
	json_t *event;

	if (second != move_events.second) {
		move_events.second = second;
		move_events.told = 0;
	}
	if (++move_events.told > EVENTS_PER_S) {
		move_events.suppressed++;
		return;
	}
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	event = json_pack("{s:s, s:i, s:s, s:s, s:s, s:b}", "type", "mac_moved", "vlan", vlan,
		"mac", text, "from", port_name(from), "to", port_name(to), "stopped", is_stopped);
	if (move_events.suppressed)
		json_object_set_new(event, "suppressed", json_integer(move_events.suppressed));
	move_events.suppressed = 0;
	log_warning("mac_moved", log_uint("vlan", vlan), log_str("mac", text),
		log_str("from", port_name(from)), log_str("to", port_name(to)),
		log_bool("stopped", is_stopped));
	packet_emit_event(event);
}

static void on_reports(void *context)
{
	fdb_control_drain(clock_monotonic_ns());
}

static void update_host_address(void)
{
	const struct port *host = vlan_table->host_port == PORT_NONE
		? NULL
		: port_find(port_name(vlan_table->host_port));

	if (host && !eth_address_is_zero(host->mac))
		fdb_control_set_host(host->mac);
}

static void on_timer(uv_timer_t *handle)
{
	fdb_control_tick(clock_monotonic_ns());
	update_host_address();
}

static const char *trunk_name(uint8_t adapter)
{
	return adapter != TRUNK_NONE && vlan_table->trunk_names[adapter][0]
		? vlan_table->trunk_names[adapter]
		: NULL;
}

static int gateway_start(struct error *error)
{
	int status;

	vlan_table = vlan_table_create_empty();
	if (!vlan_table)
		return error_set(error, -ENOMEM, "no memory for the switch's tables");
	status = fdb_control_start(worker_count(), on_moved, error);
	if (!status) {
		status = worker_add_control_handler(on_reports, NULL);
		if (status < 0) {
			error_set(error, status, "too many handlers of worker reports");
			fdb_control_stop();
		}
	}
	if (status < 0) {
		vlan_table_destroy(vlan_table);
		vlan_table = NULL;
		return status;
	}
	graph_label_edges(&switch_forward_node, switch_forward_labels);
	graph_label_edges(&origin_forward_node, origin_forward_labels);
	port_set_describer(gateway_describe_port);
	engine_names.trunk = trunk_name;
	uv_timer_init(packet_loop(), &timer);
	is_started = true;
	return 0;
}

/* The workers have ended. */
static void gateway_stop(void)
{
	if (!is_started)
		return;
	is_started = false;
	engine_names.trunk = NULL;
	uv_close((uv_handle_t *)&timer, NULL);
	vlan_table_destroy(prepared);
	prepared = NULL;
	fdb_control_stop();
	vlan_table_destroy(vlan_table);
	vlan_table = NULL;
}

static uint32_t read_number(const json_t *object, const char *key, uint32_t absent)
{
	const json_t *value = json_object_get(object, key);

	return value ? (uint32_t)json_integer_value(value) : absent;
}

static struct fdb_settings read_settings(const json_t *config)
{
	const json_t *gateway = json_object_get(config, "gateway");
	const json_t *move = json_object_get(gateway, "mac-move");

	return (struct fdb_settings){
		.ageing_ms = read_number(gateway, "ageing", 300000),
		.entries_max = read_number(gateway, "fdb-max", 131072),
		.move_max = read_number(move, "max", 5),
		.move_window_ms = read_number(move, "window", 1000),
	};
}

static void gateway_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	struct fdb_settings settings = read_settings(config);
	struct error error;
	int status = vlan_table_create(config, vlan_table, &prepared, &error);

	if (!status) {
		status = fdb_control_prepare(&settings, &error);
		if (status < 0) {
			vlan_table_destroy(prepared);
			prepared = NULL;
		}
	}
	done(context, status < 0 ? &error : NULL);
}

static void gateway_abort(void)
{
	vlan_table_destroy(prepared);
	prepared = NULL;
	fdb_control_abort();
}

static void reset_new_trunks(const struct vlan_table *old)
{
	for (int i = 0; i < TRUNKS_MAX; i++) {
		if (strcmp(old->trunk_names[i], vlan_table->trunk_names[i]) == 0)
			continue;
		for (uint16_t worker = 0; worker < WORKERS_MAX; worker++)
			trunk_counters[worker][i] = (struct trunk_counters){0};
	}
}

static void gateway_commit(void)
{
	struct vlan_table *old = vlan_table;

	vlan_table_apply(prepared);
	/* Release; pairs with publish_read(). */
	__atomic_store_n(&vlan_table, prepared, __ATOMIC_RELEASE);
	prepared = NULL;
	reset_new_trunks(old);
	fdb_control_commit(old, clock_monotonic_ns());
	publish_retire(old, (void (*)(void *))vlan_table_destroy);
	uv_timer_start(&timer, on_timer, 0, fdb_control_interval_ms());
}

const struct packet_module gateway_module = {
	.name = "gateway",
	.start = gateway_start,
	.stop = gateway_stop,
	.prepare = gateway_prepare,
	.commit = gateway_commit,
	.finish = update_host_address,
	.abort = gateway_abort,
	.methods = gateway_methods,
	.metrics = gateway_metrics,
};
