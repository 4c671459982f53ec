/* SPDX-License-Identifier: BSD-3-Clause */
/* distributor.vipas, .targets, .connections, .weight, .drain, and metrics. Control thread. */
#include "base/clock.h"
#include "packet/distributor/distributor.h"
#include "packet/distributor/distributor_control.h"
#include "packet/distributor/health.h"
#include "packet/distributor/standby.h"
#include "schema/api_schema.h"
#include "wire/ip_protocol.h"

#include <errno.h>
#include <stdlib.h>

#define PAGE_SIZE_MAX (32 * 1024)

static uint16_t find_target(const char *name)
{
	for (uint16_t i = 0; name && i < vipa_table->target_count; i++)
		if (strcmp(vipa_table->targets[i].name, name) == 0)
			return i;
	return VIPA_NONE;
}

static uint16_t find_vipa(const char *name)
{
	for (uint16_t i = 0; name && i < vipa_table->vipa_count; i++)
		if (strcmp(vipa_table->vipas[i].name, name) == 0)
			return i;
	return VIPA_NONE;
}

/* Where a page starts: the index of the row. */
static uint64_t page_start(const json_t *params)
{
	const char *after = api_page_after(params);

	return after ? strtoull(after, NULL, 10) : 0;
}

static void set_next(json_t *result, uint64_t next)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)next);
	json_object_set_new(result, "next", json_string(text));
}

/* ---- sums over workers ---- */

static struct vipa_counters sum_vipa(uint16_t index)
{
	struct vipa_counters sum = {0};

	for (uint16_t i = 0; i < worker_count(); i++) {
		const struct vipa_counters *part = &distributor_workers[i]->vipas[index];

		/* Relaxed; partner is DISTRIBUTE_COUNT(). */
		sum.packets += __atomic_load_n(&part->packets, __ATOMIC_RELAXED);
		sum.bytes += __atomic_load_n(&part->bytes, __ATOMIC_RELAXED);
		sum.connections += __atomic_load_n(&part->connections, __ATOMIC_RELAXED);
		sum.refused += __atomic_load_n(&part->refused, __ATOMIC_RELAXED);
		sum.answers += __atomic_load_n(&part->answers, __ATOMIC_RELAXED);
	}
	return sum;
}

static struct target_counters sum_target(uint16_t index)
{
	struct target_counters sum = {0};

	for (uint16_t i = 0; i < worker_count(); i++) {
		const struct target_counters *part = &distributor_workers[i]->targets[index];

		sum.packets += __atomic_load_n(&part->packets, __ATOMIC_RELAXED);
		sum.bytes += __atomic_load_n(&part->bytes, __ATOMIC_RELAXED);
		sum.connections += __atomic_load_n(&part->connections, __ATOMIC_RELAXED);
		sum.answers += __atomic_load_n(&part->answers, __ATOMIC_RELAXED);
		sum.refused += __atomic_load_n(&part->refused, __ATOMIC_RELAXED);
		sum.heartbeats += __atomic_load_n(&part->heartbeats, __ATOMIC_RELAXED);
	}
	return sum;
}

static uint32_t count_open(uint16_t vipa)
{
	uint32_t sum = 0;

	for (uint16_t i = 0; i < worker_count(); i++)
		sum += __atomic_load_n(
			&distributor_workers[i]->connections->shares[vipa].count, __ATOMIC_RELAXED);
	return sum;
}

/* ---- distributor.vipas ---- */

static json_t *service_json(const struct vipa_service *service)
{
	static const char *const schedulings[] = {[VIPA_LEAST_CONNECTIONS] = "wlc",
		[VIPA_ROUND_ROBIN] = "wrr",
		[VIPA_MAGLEV] = "maglev"};
	json_t *targets = json_array();
	uint32_t ready = 0;

	for (uint16_t i = 0; i < service->target_count; i++) {
		json_array_append_new(
			targets, json_string(vipa_table->targets[service->targets[i]].name));
		ready += service->weights[i] > 0;
	}
	return json_pack("{s:s, s:s, s:i, s:s, s:b, s:I, s:o}", "name", service->name, "protocol",
		ip_protocol_name(service->protocol), "port", service->port, "scheduling",
		schedulings[service->scheduling], "is_persistent", service->is_persistent, "ready",
		(json_int_t)ready, "targets", targets);
}

static json_t *vipa_json(uint16_t index)
{
	static const char *const securities[] = {[VIPA_SECURITY_ALLOWED] = "allowed",
		[VIPA_SECURITY_REQUIRED] = "required",
		[VIPA_SECURITY_OFF] = "off"};
	const struct vipa *vipa = &vipa_table->vipas[index];
	struct vipa_counters sum = sum_vipa(index);
	char address[IP_ADDRESS_TEXT_SIZE], mac[18];
	json_t *services = json_array();

	ip_address_text(&vipa->address, address);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", vipa->mac[0], vipa->mac[1],
		vipa->mac[2], vipa->mac[3], vipa->mac[4], vipa->mac[5]);
	for (uint16_t i = 0; i < vipa->service_count; i++)
		json_array_append_new(
			services, service_json(&vipa_table->services[vipa->first_service + i]));
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
		"name", vipa->name, "address", address, "vlan", vipa->vlan, "mac", mac, "security",
		securities[vipa->security], "is_standby", standby_is_silent(), "connections",
		(json_int_t)count_open(index), "begun", (json_int_t)sum.connections, "refused",
		(json_int_t)sum.refused, "packets", (json_int_t)sum.packets, "bytes",
		(json_int_t)sum.bytes, "answers", (json_int_t)sum.answers, "services", services);
}

static size_t json_size(const json_t *value)
{
	return json_dumpb(value, NULL, 0, JSON_COMPACT);
}

static void handle_vipas(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	size_t limit = api_page_limit(params), size = 0;
	json_t *rows = json_array(), *result = json_pack("{s:o}", "vipas", rows);
	uint64_t at = page_start(params), end = vipa_table ? vipa_table->vipa_count : 0;

	for (; at < end && json_array_size(rows) < limit && size < PAGE_SIZE_MAX; at++) {
		json_t *row;

		if (!vipa_table->vipas[at].name[0])
			continue;
		row = vipa_json((uint16_t)at);
		size += json_size(row);
		json_array_append_new(rows, row);
	}
	if (at < end)
		set_next(result, at);
	ipc_reply(request, result);
}

/* ---- distributor.targets ---- */

static json_t *target_json(uint16_t index)
{
	const struct vipa_target *target = &vipa_table->targets[index];
	const struct health *health = &healths[index];
	struct target_counters sum = sum_target(index);
	char address[IP_ADDRESS_TEXT_SIZE] = "";
	json_t *row;

	if (!target->is_local)
		ip_address_text(&target->address, address);
	row = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"name", target->name, "address", target->is_local ? target->local_name : address,
		"kind", target->is_local ? "partition" : "link", "state",
		health->is_up ? "up" : "down", "weight",
		(json_int_t)health_weight(vipa_table, index), "weight_configured",
		(json_int_t)target->weight, "is_drained", health->is_drained, "connections",
		(json_int_t)schedule_connections(index), "begun", (json_int_t)sum.connections,
		"packets", (json_int_t)sum.packets, "bytes", (json_int_t)sum.bytes, "answers",
		(json_int_t)sum.answers, "refused", (json_int_t)sum.refused, "since_s",
		(json_int_t)((clock_monotonic_ns() - health->since_ns) / CLOCK_NS_PER_S));
	if (target->has_heartbeat) {
		json_object_set_new(row, "heartbeats", json_integer((json_int_t)sum.heartbeats));
		json_object_set_new(row, "load_percent",
			json_integer(health->report.load * 100 / HEARTBEAT_LOAD_MAX));
	}
	return row;
}

static void handle_targets(struct ipc_request *request, void *context)
{
	const json_t *params = ipc_request_params(request);
	size_t limit = api_page_limit(params);
	json_t *rows = json_array(), *result = json_pack("{s:o}", "targets", rows);
	uint64_t at = page_start(params), end = vipa_table ? vipa_table->target_count : 0;

	for (; at < end && json_array_size(rows) < limit; at++)
		if (vipa_table->targets[at].name[0])
			json_array_append_new(rows, target_json((uint16_t)at));
	if (at < end)
		set_next(result, at);
	ipc_reply(request, result);
}

/* ---- distributor.connections ---- */

/* One look at a time: the worker fills its page, and the answer goes out then. The cursor is the
 * worker's index and its entry. */
static struct {
	struct ipc_request *request; /* NULL: nobody looks */
	uint16_t worker;
} look;

static json_t *connection_json(const struct connection *connection, uint32_t now, uint16_t worker)
{
	static const char *const states[CONNECTION_STATE_COUNT] = {
		[CONNECTION_EMBRYONIC] = "opening",
		[CONNECTION_ESTABLISHED] = "established",
		[CONNECTION_CLOSING] = "closing",
		[CONNECTION_DATAGRAM] = "datagram"};
	const struct vipa *vipa = &vipa_table->vipas[connection->key.vipa];
	struct ip_address client = {.version = vipa->address.version ? vipa->address.version : 4};
	char address[IP_ADDRESS_TEXT_SIZE];

	memcpy(client.bytes, connection->key.client, sizeof(client.bytes));
	ip_address_text(&client, address);
	return json_pack("{s:s, s:s, s:i, s:s, s:i, s:s, s:s, s:b, s:I, s:I, s:i}", "protocol",
		ip_protocol_name(connection->key.protocol), "client", address, "client_port",
		connection->key.client_port, "vipa", vipa->name, "port", connection->key.port,
		"target", vipa_table->targets[connection->target].name, "state",
		states[connection->state], "is_secure",
		(connection->flags & CONNECTION_IS_SECURE) != 0, "packets",
		(json_int_t)connection->packets, "idle_ms",
		(json_int_t)(now - connection->seen) * CONNECTION_TICK_MS, "worker", worker);
}

static void answer_look(const struct distribute_page *page)
{
	json_t *rows = json_array(), *result = json_object();
	uint32_t total = 0;

	for (uint16_t i = 0; i < page->count; i++)
		json_array_append_new(
			rows, connection_json(&page->rows[i], page->now, look.worker));
	for (uint16_t i = 0; i < VIPAS_MAX; i++)
		total += count_open(i);
	json_object_set_new(result, "total", json_integer(total));
	json_object_set_new(result, "connections", rows);
	if (page->next != CONNECTION_NONE)
		set_next(result, (uint64_t)look.worker << 32 | page->next);
	else if (look.worker + 1 < worker_count())
		set_next(result, (uint64_t)(look.worker + 1) << 32);
	ipc_reply(look.request, result);
}

static void answer_nothing(struct ipc_request *request)
{
	ipc_reply(request, json_pack("{s:i, s:[]}", "total", 0, "connections"));
}

/* Some time after a worker has told. */
static void on_told(void *context)
{
	const struct distribute_page *page;

	if (!look.request)
		return;
	page = &distributor_workers[look.worker]->page;
	/* Acquire; pairs with distribute_tick. */
	if (__atomic_load_n(&page->is_wanted, __ATOMIC_ACQUIRE))
		return;
	if (vipa_table)
		answer_look(page);
	else
		answer_nothing(look.request);
	look.request = NULL;
}

void distributor_end_look(void)
{
	if (!look.request)
		return;
	__atomic_store_n(
		&distributor_workers[look.worker]->page.is_wanted, false, __ATOMIC_RELEASE);
	answer_nothing(look.request);
	look.request = NULL;
}

static bool read_filter(struct ipc_request *request, const char *key,
	uint16_t (*find)(const char *name), uint16_t *out)
{
	const char *name = json_string_value(json_object_get(ipc_request_params(request), key));

	*out = VIPA_NONE;
	if (!name)
		return true;
	*out = find(name);
	if (*out != VIPA_NONE)
		return true;
	ipc_reply_failed(request, -ENOENT, "there is no virtual address, or target, of that name");
	return false;
}

static void handle_connections(struct ipc_request *request, void *context)
{
	uint64_t start = page_start(ipc_request_params(request));
	uint16_t worker = (uint16_t)(start >> 32), vipa, target;
	struct distribute_page *page;

	if (!vipa_table) {
		answer_nothing(request);
		return;
	}
	if (!read_filter(request, "vipa", find_vipa, &vipa)
		|| !read_filter(request, "target", find_target, &target))
		return;
	if (look.request) {
		ipc_reply_failed(request, -EBUSY,
			"somebody else looks at the connections; try again in a moment");
		return;
	}
	if (worker >= worker_count()) {
		ipc_reply_failed(request, -EINVAL, "after is none of our cursors");
		return;
	}
	look.request = request;
	look.worker = worker;
	page = &distributor_workers[worker]->page;
	page->from = (uint32_t)start;
	page->vipa = vipa;
	page->target = target;
	/* Release; pairs with distribute_tick. */
	__atomic_store_n(&page->is_wanted, true, __ATOMIC_RELEASE);
	worker_wake(worker);
}

/* ---- distributor.weight, distributor.drain ---- */

static bool find_named(struct ipc_request *request, uint16_t *out)
{
	*out = !vipa_table ? VIPA_NONE
			   : find_target(json_string_value(
				   json_object_get(ipc_request_params(request), "target")));
	if (*out != VIPA_NONE)
		return true;
	ipc_reply_failed(request, -ENOENT, "there is no such target; see distributor.targets");
	return false;
}

static void reply_target(struct ipc_request *request, uint16_t target)
{
	distributor_judge();
	ipc_reply(request,
		json_pack("{s:I, s:I}", "weight", (json_int_t)health_weight(vipa_table, target),
			"connections", (json_int_t)schedule_connections(target)));
}

static void handle_weight(struct ipc_request *request, void *context)
{
	const json_t *weight = json_object_get(ipc_request_params(request), "weight");
	uint16_t target;

	if (!find_named(request, &target))
		return;
	healths[target].weight = weight ? json_integer_value(weight) : -1;
	reply_target(request, target);
}

static void handle_drain(struct ipc_request *request, void *context)
{
	const json_t *undo = json_object_get(ipc_request_params(request), "undo");
	uint16_t target;

	if (!find_named(request, &target))
		return;
	healths[target].is_drained = !json_is_true(undo);
	reply_target(request, target);
}

const struct ipc_method distributor_methods[] = {
	{"distributor.vipas", handle_vipas},
	{"distributor.targets", handle_targets},
	{"distributor.connections", handle_connections},
	{"distributor.weight", handle_weight},
	{"distributor.drain", handle_drain},
	{NULL, NULL},
};

int distributor_api_start(struct error *error)
{
	int status = worker_add_control_handler(on_told, NULL);

	return status < 0 ? error_set(error, status, "too many handlers of worker reports") : 0;
}

/* ---- metrics ---- */

static void vipa_metric(json_t *samples, uint16_t vipa, const char *name, const char *type,
	const char *help, double value)
{
	packet_metric(samples, name, type, help,
		json_pack("{s:s}", "vipa", vipa_table->vipas[vipa].name), value);
}

static void target_metric(json_t *samples, uint16_t target, const char *name, const char *type,
	const char *help, double value)
{
	packet_metric(samples, name, type, help,
		json_pack("{s:s}", "target", vipa_table->targets[target].name), value);
}

static void vipa_metrics(json_t *samples, uint16_t index)
{
	struct vipa_counters sum = sum_vipa(index);

	vipa_metric(samples, index, "vipa_connections", "gauge",
		"Connections of a virtual address.", count_open(index));
	vipa_metric(samples, index, "vipa_connections_begun", "counter", "Connections that began.",
		(double)sum.connections);
	vipa_metric(samples, index, "vipa_connections_refused", "counter",
		"Connections refused: no target, or no room.", (double)sum.refused);
	vipa_metric(samples, index, "vipa_packets", "counter", "Packets from clients to targets.",
		(double)sum.packets);
	vipa_metric(samples, index, "vipa_bytes", "counter", "Bytes from clients to targets.",
		(double)sum.bytes);
	vipa_metric(samples, index, "vipa_answers", "counter",
		"Packets of targets that went back through the distributor.", (double)sum.answers);
}

static void target_metrics(json_t *samples, uint16_t index)
{
	struct target_counters sum = sum_target(index);

	target_metric(samples, index, "target_up", "gauge", "Whether a target is up.",
		healths[index].is_up);
	target_metric(samples, index, "target_weight", "gauge", "Weight of a target in force.",
		health_weight(vipa_table, index));
	target_metric(samples, index, "target_connections", "gauge", "Connections of a target.",
		schedule_connections(index));
	target_metric(samples, index, "target_packets", "counter", "Packets to a target.",
		(double)sum.packets);
	target_metric(samples, index, "target_answers", "counter", "Packets from a target.",
		(double)sum.answers);
	target_metric(samples, index, "target_refused", "counter",
		"GRE in a target's name that was refused.", (double)sum.refused);
}

void distributor_metrics(json_t *samples)
{
	if (vipa_table)
		packet_metric(samples, "distributor_standby", "gauge",
			"Whether another distributor has the virtual addresses.", NULL,
			standby_is_silent());
	for (uint16_t i = 0; vipa_table && i < vipa_table->vipa_count; i++)
		if (vipa_table->vipas[i].name[0])
			vipa_metrics(samples, i);
	for (uint16_t i = 0; vipa_table && i < vipa_table->target_count; i++)
		if (vipa_table->targets[i].name[0])
			target_metrics(samples, i);
}
