/* SPDX-License-Identifier: BSD-3-Clause */
/* target.status, target.ready, target.load, and metrics. Control thread. */
#include "base/clock.h"
#include "packet/distributor/target_control.h"
#include "packet/packet_module.h"
#include "packet/port/port.h"
#include "wire/ip_protocol.h"

#include <errno.h>

static uint64_t sum(size_t offset)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		const char *totals =
			target_workers[i] ? (const char *)&target_workers[i]->totals : NULL;

		/* Relaxed; pairs with TARGET_COUNT(). */
		if (totals)
			total += __atomic_load_n((const uint64_t *)(const void *)(totals + offset),
				__ATOMIC_RELAXED);
	}
	return total;
}

#define SUM(field) ((json_int_t)sum(offsetof(struct target_totals, field)))

static json_int_t count_flows(void)
{
	uint32_t now_s = (uint32_t)(clock_monotonic_ns() / CLOCK_NS_PER_S), count = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		if (target_workers[i])
			count += target_flows_count(target_workers[i]->flows, now_s);
	return count;
}

static json_t *list_vipas(void)
{
	json_t *list = json_array();

	for (uint16_t i = 0; target_table && i < target_table->vipa_count; i++) {
		char text[IP_ADDRESS_TEXT_SIZE];

		ip_address_text(&target_table->vipas[i], text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *list_services(void)
{
	json_t *list = json_array();

	for (uint16_t i = 0; target_table && i < target_table->service_count; i++) {
		const struct target_service *service = &target_table->services[i];

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:i, s:b}", "name", service->name, "protocol",
				ip_protocol_name(service->protocol), "port", service->port,
				"is_ready", (int)target_is_ready[i]));
	}
	return list;
}

static json_t *list_distributors(void)
{
	const struct link_end *end = link_end_of(link_table, LINK_TARGET);
	json_t *list = json_array();

	for (uint16_t i = 0; target_table && end && i < end->peer_count; i++) {
		const struct target_peer *peer = &target_peers[i];
		char address[IP_ADDRESS_TEXT_SIZE];

		link_peer_text(LINK_TARGET, i, address);
		/* Relaxed; pairs with target_take_answer(). */
		json_array_append_new(list,
			json_pack("{s:s, s:b, s:i, s:i, s:i}", "address", address, "is_up",
				(int)target_peer_is_up(i), "answers",
				(int)__atomic_load_n(&peer->answers, __ATOMIC_RELAXED), "refused",
				(int)__atomic_load_n(&peer->refused, __ATOMIC_RELAXED), "mtu_bytes",
				(int)__atomic_load_n(&peer->mtu_bytes, __ATOMIC_RELAXED)));
	}
	return list;
}

static void answer_status(struct ipc_request *request, void *context)
{
	const struct port *port = target_table ? port_find(PORT_VIPA_NAME) : NULL;
	bool is_by_api;
	json_int_t load = target_load(&is_by_api);
	json_t *packets =
		json_pack("{s:I, s:I, s:I, s:I, s:I}", "secure", SUM(from_distributor[GRE_SECURE]),
			"plain", SUM(from_distributor[GRE_PLAIN]), "to_distributor",
			SUM(to_distributor), "direct", SUM(direct), "decrypted", SUM(decrypted));

	ipc_reply(request,
		json_pack("{s:b, s:s, s:b, s:i, s:o, s:o, s:o, s:I, s:s, s:I, s:o}", "is_target",
			target_table != NULL, "interface",
			target_table ? target_table->interface : "", "is_up", port && port->is_up,
			"mtu_bytes", port ? (int)port->mtu_bytes : 0, "vipas", list_vipas(),
			"services", list_services(), "distributors", list_distributors(), "load",
			load, "load_by", is_by_api ? "api" : "system", "flows", count_flows(),
			"packets", packets));
}

static void set_ready(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	const char *service = json_string_value(json_object_get(params, "service"));
	int status = target_set_ready(service, json_is_true(json_object_get(params, "ready")));

	if (status < 0)
		ipc_reply_failed(request, status, "there is no such service; see target.status");
	else
		ipc_reply(request, json_object());
}

static void set_load(struct ipc_request *request, void *context)
{
	const json_t *load = json_object_get(ipc_request_params(request), "load");

	target_set_load(load ? json_integer_value(load) : -1);
	ipc_reply(request, json_object());
}

const struct ipc_method target_methods[] = {
	{"target.status", answer_status},
	{"target.ready", set_ready},
	{"target.load", set_load},
	{NULL, NULL},
};

void target_metrics(json_t *samples)
{
	static const char help[] = "Packets of virtual addresses, by the way that they took.";

	if (!target_table)
		return;
	packet_metric(samples, "target_packets", "counter", help,
		json_pack("{s:s}", "way", "from_distributor_secure"),
		(double)SUM(from_distributor[GRE_SECURE]));
	packet_metric(samples, "target_packets", "counter", help,
		json_pack("{s:s}", "way", "from_distributor_plain"),
		(double)SUM(from_distributor[GRE_PLAIN]));
	packet_metric(samples, "target_packets", "counter", help,
		json_pack("{s:s}", "way", "to_distributor"), (double)SUM(to_distributor));
	packet_metric(samples, "target_packets", "counter", help,
		json_pack("{s:s}", "way", "direct"), (double)SUM(direct));
	packet_metric(samples, "target_packets", "counter", help,
		json_pack("{s:s}", "way", "decrypted"), (double)SUM(decrypted));
	packet_metric(samples, "target_flows", "gauge",
		"Flows whose way is remembered, so that their answers take it.", NULL,
		(double)count_flows());
	for (uint16_t i = 0; i < target_table->service_count; i++)
		packet_metric(samples, "target_service_ready", "gauge",
			"Whether a service of this target takes new connections.",
			json_pack("{s:s}", "service", target_table->services[i].name),
			target_is_ready[i]);
}
