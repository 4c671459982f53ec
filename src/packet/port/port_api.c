/* SPDX-License-Identifier: BSD-3-Clause */
/* port.list, port.show and the ports' metrics. Control thread. */
#include "packet/port/port_control.h"
#include "packet/port/port_table.h"
#include "schema/api_schema.h"

#include <errno.h>
#include <rte_ether.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_LIMIT 64 /* ports in one answer, where the caller names no limit or a larger one */

static void (*describer)(const struct port *port, json_t *out, bool is_detailed);

void port_set_describer(void (*describe)(const struct port *port, json_t *out, bool is_detailed))
{
	describer = describe;
}

static json_t *offload_names(const struct port *port)
{
	json_t *names = json_array();

	if (port->offloads & PORT_OFFLOAD_CHECKSUM)
		json_array_append_new(names, json_string("checksum"));
	if (port->offloads & PORT_OFFLOAD_TSO4)
		json_array_append_new(names, json_string("tso4"));
	if (port->offloads & PORT_OFFLOAD_TSO6)
		json_array_append_new(names, json_string("tso6"));
	return names;
}

static void add_counters(const struct port *port, json_t *out)
{
	struct port_counters sum = port_sum_counters(port);

	json_object_set_new(out, "rx_packets", json_integer((json_int_t)sum.rx_packets));
	json_object_set_new(out, "rx_bytes", json_integer((json_int_t)sum.rx_bytes));
	json_object_set_new(out, "tx_packets", json_integer((json_int_t)sum.tx_packets));
	json_object_set_new(out, "tx_bytes", json_integer((json_int_t)sum.tx_bytes));
	json_object_set_new(out, "rx_errors", json_integer((json_int_t)sum.rx_errors));
	json_object_set_new(out, "tx_drops", json_integer((json_int_t)sum.tx_drops));
}

static json_t *describe_port(const struct port *port, bool is_detailed)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE];
	struct error error;
	json_t *out;

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", port->mac[0], port->mac[1],
		port->mac[2], port->mac[3], port->mac[4], port->mac[5]);
	out = json_pack("{s:s, s:i, s:s, s:s, s:b, s:i, s:s, s:i, s:o}", "name", port->config.name,
		"index", port->index, "kind", port_kind_name(port->kind), "device",
		port->config.device, "is_up", port->is_up, "mtu_bytes", (int)port->mtu_bytes, "mac",
		mac, "queues", port->queue_count ? port->queue_count : port->config.queue_count,
		"offloads", offload_names(port));
	if (port->state->problem[0])
		json_object_set_new(out, "problem", json_string(port->state->problem));
	else if (port->state->phase == PORT_OPEN && !port->is_up && port->ops->find_problem
		&& port->ops->find_problem(port, &error))
		json_object_set_new(out, "problem", json_string(error.text));
	json_object_set_new(out, "mode", json_string("none"));
	if (describer)
		describer(port, out, is_detailed);
	add_counters(port, out);
	return out;
}

static bool is_of_kind(const struct port *port, const char *kind)
{
	return !kind || strcmp(port_kind_name(port->kind), kind) == 0;
}

static void list_ports(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *kind = json_string_value(json_object_get(params, "kind"));
	const char *after = api_page_after(params);
	size_t limit = RTE_MIN(api_page_limit(params), (size_t)PAGE_LIMIT);
	json_t *ports = json_array(), *answer = json_pack("{s:o}", "ports", ports);
	struct port *port = port_next(after ? atoi(after) : -1);
	char next[16];

	for (; port; port = port_next(port->index)) {
		if (!is_of_kind(port, kind))
			continue;
		if (json_array_size(ports) == limit) {
			json_object_set_new(answer, "next", json_string(next));
			break;
		}
		json_array_append_new(ports, describe_port(port, false));
		snprintf(next, sizeof(next), "%u", port->index);
	}
	ipc_reply(request, answer);
}

static json_t *describe_details(const struct port *port)
{
	json_t *details = json_pack("{s:i, s:i, s:b, s:b}", "tx_queues", (int)port->tx_queue_count,
		"generation", port->generation, "pads_runts", port->is_wire, "linear_only",
		port->is_linear);

	if (port->interface_index)
		json_object_set_new(
			details, "interface_index", json_integer(port->interface_index));
	return details;
}

static void show_port(struct ipc_request *request, void *context)
{
	const char *name = json_string_value(json_object_get(ipc_request_params(request), "name"));
	struct port *port = name ? port_find(name) : NULL;
	char message[PORT_NAME_SIZE + 64];
	json_t *out, *workers;

	if (!port) {
		snprintf(message, sizeof(message), "there is no port \"%.*s\"; see port.list",
			PORT_NAME_SIZE, name ? name : "");
		ipc_reply_failed(request, -ENOENT, message);
		return;
	}
	out = describe_port(port, true);
	workers = json_array();
	for (uint16_t queue = 0; queue < port->queue_count; queue++)
		json_array_append_new(workers, json_integer(port_queue_worker(port, queue)));
	json_object_set_new(out, "queue_workers", workers);
	json_object_set_new(out, "details", describe_details(port));
	ipc_reply(request, json_pack("{s:o}", "port", out));
}

const struct ipc_method port_methods[] = {
	{"port.list", list_ports},
	{"port.show", show_port},
	{NULL, NULL},
};

static void add_metric(json_t *samples, const struct port *port, const char *name, const char *type,
	const char *help, double value)
{
	packet_metric(samples, name, type, help,
		json_pack("{s:s, s:s}", "port", port->config.name, "kind",
			port_kind_name(port->kind)),
		value);
}

void port_metrics(json_t *samples)
{
	for (struct port *port = port_next(-1); port; port = port_next(port->index)) {
		struct port_counters sum = port_sum_counters(port);

		add_metric(samples, port, "port_up", "gauge", "1 while the port's link is up.",
			port->is_up);
		add_metric(samples, port, "port_rx_packets", "counter",
			"Packets received from the peer.", (double)sum.rx_packets);
		add_metric(samples, port, "port_rx_bytes", "counter",
			"Bytes received from the peer.", (double)sum.rx_bytes);
		add_metric(samples, port, "port_tx_packets", "counter", "Packets sent to the peer.",
			(double)sum.tx_packets);
		add_metric(samples, port, "port_tx_bytes", "counter", "Bytes sent to the peer.",
			(double)sum.tx_bytes);
		add_metric(samples, port, "port_rx_errors", "counter",
			"Frames that the device could not deliver.", (double)sum.rx_errors);
		add_metric(samples, port, "port_tx_drops", "counter",
			"Packets that could not be sent.", (double)sum.tx_drops);
	}
}
