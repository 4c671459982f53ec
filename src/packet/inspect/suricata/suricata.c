/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's operations. */
#include "packet/inspect/suricata/suricata.h"

#include "packet/inspect/inspect.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Suricata decodes three tags (7.0), and one of them is ours. */
#define VLAN_LAYERS_MAX 2
/* Its buffers hold 2048 bytes, and it forwards nothing in pieces; with our tags. */
#define FRAME_MAX_MEMIF (2048 - 10)
/* Its Ethernet header, and two VLAN tags. */
#define FRAME_MAX_VHOST_USER (SURICATA_MTU_VHOST_USER + 14 + 8)

static const json_t *section(const json_t *config)
{
	return json_object_get(config, "suricata");
}

static enum external_kind kind_of(const json_t *config)
{
	const char *device = json_string_value(json_object_get(section(config), "device"));

	return device && strcmp(device, "vhost-user") == 0 ? EXTERNAL_VHOST_USER : EXTERNAL_MEMIF;
}

static void free_origins(struct suricata *suricata)
{
	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		free(suricata->origins[i]);
}

static int open_all(
	struct suricata *suricata, const json_t *config, uint16_t worker_count, struct error *error)
{
	struct external_setup setup = {.ops = &suricata_inspector,
		.worker_count = worker_count,
		.kind = kind_of(config),
		.option = "inspection.suricata",
		.socket_mode = 0666}; /* its folder says who gets there */

	for (uint16_t i = 0; i < worker_count; i++) {
		suricata->origins[i] = calloc(1, sizeof(*suricata->origins[i]));
		if (!suricata->origins[i])
			return error_set(error, -ENOMEM, "inspection.suricata: no memory");
	}
	suricata->control = suricata_control_open(suricata, config, error);
	if (!suricata->control)
		return -EINVAL;
	setup.path = suricata->control->packets;
	if (external_open(&suricata->external, &setup, error) < 0) {
		suricata_control_close(suricata->control);
		return -EINVAL;
	}
	return 0;
}

static int suricata_create(const json_t *config, uint16_t worker_count, void *compiled,
	struct inspector **out, struct error *error)
{
	size_t size = RTE_ALIGN_CEIL(sizeof(struct suricata), RTE_CACHE_LINE_SIZE);
	struct suricata *suricata = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	struct external *external;
	int status;

	if (!suricata)
		return error_set(error, -ENOMEM, "inspection.suricata: no memory");
	memset(suricata, 0, size);
	external = &suricata->external;
	external->is_ordered = true;
	external->omitted_reason = DROP_suricata_drop;
	external->vlan_layers_max = VLAN_LAYERS_MAX;
	external->frame_max =
		kind_of(config) == EXTERNAL_MEMIF ? FRAME_MAX_MEMIF : FRAME_MAX_VHOST_USER;
	external_set_in_flight(
		external, json_integer_value(json_object_get(section(config), "in-flight")));
	status = open_all(suricata, config, worker_count, error);
	if (status < 0) {
		free_origins(suricata);
		free(suricata);
		return status;
	}
	suricata_refresh(suricata->control, config);
	*out = &external->base;
	return 0;
}

static void suricata_destroy(struct inspector *inspector)
{
	struct suricata *suricata = (struct suricata *)inspector;

	suricata_control_close(suricata->control);
	external_close(&suricata->external);
	free_origins(suricata);
	free(suricata);
}

static void suricata_configure(struct inspector *inspector, const json_t *config)
{
	struct suricata *suricata = (struct suricata *)inspector;

	external_set_in_flight(&suricata->external,
		json_integer_value(json_object_get(section(config), "in-flight")));
	suricata_refresh(suricata->control, config);
}

static void suricata_await(struct inspector *inspector, inspector_settled_fn done, void *context)
{
	suricata_settle(((struct suricata *)inspector)->control, done, context);
}

static void suricata_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts)
{
	struct suricata *suricata = (struct suricata *)inspector;

	for (uint16_t i = 0; i < count; i++) {
		const struct packet_metadata *metadata = packet_metadata(packets[i]);

		if (packets[i]->data_len >= 12)
			origins_note(suricata->origins[worker],
				rte_pktmbuf_mtod(packets[i], const uint8_t *), metadata->vlan,
				&metadata->origin);
	}
	external_submit(inspector, worker, packets, count, verdicts);
}

/* ---- what it shows ---- */

static uint64_t round_trip_ns(const struct external *external)
{
	uint64_t longest = 0;

	for (uint16_t i = 0; i < external->worker_count; i++) {
		uint64_t one = __atomic_load_n(
			&external->workers[i]->fence.round_trip_ns, __ATOMIC_RELAXED);

		longest = one > longest ? one : longest;
	}
	return longest;
}

static json_t *describe_problem(const struct suricata *suricata)
{
	const struct suricata_control *control = suricata->control;
	uint16_t unconnected = external_find_unconnected(&suricata->external);

	if (control->problem[0])
		return json_string(control->problem);
	if (!__atomic_load_n(&suricata->external.base.is_down, __ATOMIC_RELAXED))
		return NULL;
	if (control->pid == 0 && control->reason[0])
		return json_sprintf("Suricata %s; what it said is in %s/run/program.log",
			control->reason, control->folder);
	if (unconnected < suricata->external.worker_count)
		return json_sprintf("Suricata has not connected to device %u at %s yet",
			unconnected, control->packets);
	return json_string("Suricata is connected, but takes no packets");
}

static json_t *suricata_status(struct inspector *inspector)
{
	const struct suricata *suricata = (const struct suricata *)inspector;
	const struct suricata_control *control = suricata->control;
	json_t *details = external_details(&suricata->external);
	json_t *status = json_pack("{s:o, s:I, s:I}", "details", details, "rules_loaded",
		(json_int_t)control->rules_loaded, "rules_refused",
		(json_int_t)control->rules_failed);
	json_t *problem = describe_problem(suricata);
	json_t *more = json_pack("{s:s, s:s, s:I, s:i, s:I, s:I, s:I, s:O}", "version",
		control->version, "folder", control->folder, "pid", (json_int_t)control->pid,
		"restarts", (int)control->restarts, "round_trip_us",
		(json_int_t)(round_trip_ns(&suricata->external) / 1000), "events",
		(json_int_t)control->events, "events_refused",
		(json_int_t)suricata_records_invalid(control), "drop_records", control->drops);

	json_object_update(details, more);
	json_decref(more);
	json_object_set(details, "mode", json_object_get(section(control->inspection), "mode"));
	json_object_set(details, "device", json_object_get(section(control->inspection), "device"));
	if (problem)
		json_object_set_new(status, "problem", problem);
	if (__atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED) && control->pid)
		json_object_set_new(status, "state", json_string("loading"));
	return status;
}

static void suricata_metrics(struct inspector *inspector, json_t *samples)
{
	const struct suricata *suricata = (const struct suricata *)inspector;

	packet_metric(samples, "inspect_in_flight", "gauge",
		"Packets that an inspector outside has at the moment.",
		json_pack("{s:s}", "engine", "suricata"),
		(double)external_in_flight(&suricata->external));
	packet_metric(samples, "inspect_restarts_total", "counter",
		"How often an inspector's program was started again.",
		json_pack("{s:s}", "engine", "suricata"), (double)suricata->control->restarts);
}

const struct inspector_ops suricata_inspector = {
	.name = "suricata",
	.create = suricata_create,
	.destroy = suricata_destroy,
	.submit = suricata_submit,
	.collect = external_collect,
	.configure = suricata_configure,
	.settle = suricata_await,
	.status = suricata_status,
	.metrics = suricata_metrics,
};
