/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The target as a module of the packet role: its table, its workers' memory, the pace of its
 * reports, whether distributors answer, and the MTU of the hidden interface. Control thread.
 */
#include "packet/distributor/target_control.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "packet/packet_module.h"
#include "packet/port/port.h"

#include <errno.h>
#include <rte_common.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#define SILENT_MAX   3 /* heartbeats without an answer; with the third a distributor is down */
#define MTU_MIN_IPV4 576
#define MTU_MIN_IPV6 1280 /* RFC 8200 section 5; below it Linux has no IPv6 on an interface */

struct target_table *target_table;
bool target_is_ready[TARGET_SERVICES_MAX];
struct target_peer target_peers[LINK_PEERS_MAX];
struct target_reports target_reports;
struct target_worker *target_workers[WORKERS_MAX];

static struct {
	struct target_table *table; /* NULL: the document has no target */
	bool is_ready[TARGET_SERVICES_MAX];
	char physical[PORT_NAME_SIZE];
} change;

static uv_timer_t timer;
static bool has_timer;
static bool peer_is_up[LINK_PEERS_MAX];
static struct ip_address peer_addresses[LINK_PEERS_MAX]; /* whose state there is */
static int64_t load_by_api = -1;
static bool is_setting_mtu;

/* ---- load ---- */

/* 65535 is twice as many runnable tasks as CPUs, over the last minute. */
static uint16_t system_load(void)
{
	unsigned int cpus = (unsigned int)get_nprocs();
	struct sysinfo info;
	uint64_t load;

	if (sysinfo(&info) < 0)
		return 0;
	load = info.loads[0] * HEARTBEAT_LOAD_MAX / (2ULL * cpus << SI_LOAD_SHIFT);
	return (uint16_t)RTE_MIN(load, (uint64_t)HEARTBEAT_LOAD_MAX);
}

uint16_t target_load(bool *is_by_api)
{
	*is_by_api = load_by_api >= 0;
	return load_by_api >= 0 ? (uint16_t)load_by_api : system_load();
}

/* ---- the other ends ---- */

static uint64_t silent_ns(uint16_t peer, uint64_t now_ns)
{
	/* Relaxed; pairs with target_take_answer(). */
	uint64_t answered_ns = __atomic_load_n(&target_peers[peer].answered_ns, __ATOMIC_RELAXED);

	return answered_ns ? clock_elapsed_ns(now_ns, answered_ns) : UINT64_MAX;
}

bool target_peer_is_up(uint16_t peer)
{
	return peer_is_up[peer];
}

static void tell(uint16_t peer, bool is_up)
{
	const char *type = is_up ? "distributor_up" : "distributor_down";
	char address[IP_ADDRESS_TEXT_SIZE];

	link_peer_text(LINK_TARGET, peer, address);
	log_info(type, log_str("address", address));
	packet_emit_event(json_pack("{s:s, s:s}", "event_type", type, "address", address));
}

/* Those that are at another index than before, or new, start as nobody has heard of them. */
static void know_peers(void)
{
	const struct link_end *end = link_end_of(link_table, LINK_TARGET);

	for (uint16_t i = 0; i < LINK_PEERS_MAX; i++) {
		struct ip_address address = {.version = 0};

		if (target_table && end && i < end->peer_count)
			address = end->peers[i].address;
		if (ip_address_is_equal(&peer_addresses[i], &address))
			continue;
		peer_addresses[i] = address;
		peer_is_up[i] = false;
		target_peers[i] = (struct target_peer){.challenge = 0};
	}
}

static void judge_peers(uint64_t now_ns)
{
	const struct link_end *end = link_end_of(link_table, LINK_TARGET);
	uint64_t limit_ns = SILENT_MAX * CLOCK_NS_PER_MS * target_table->interval_ms;

	for (uint16_t i = 0; end && i < end->peer_count; i++) {
		bool is_up = silent_ns(i, now_ns) < limit_ns;

		if (is_up == peer_is_up[i])
			continue;
		peer_is_up[i] = is_up;
		tell(i, is_up);
	}
}

/* ---- MTU (D13) ---- */

static uint32_t least_mtu(void)
{
	for (uint16_t i = 0; i < target_table->vipa_count; i++)
		if (target_table->vipas[i].version == 6)
			return MTU_MIN_IPV6;
	return MTU_MIN_IPV4;
}

/* The least that a distributor which is up asks for; 0: none does. */
static uint32_t asked_mtu(void)
{
	uint32_t asked = 0;

	for (uint16_t i = 0; i < LINK_PEERS_MAX; i++) {
		uint32_t mtu = __atomic_load_n(&target_peers[i].mtu_bytes, __ATOMIC_RELAXED);

		if (peer_is_up[i] && mtu && (!asked || mtu < asked))
			asked = mtu;
	}
	return asked;
}

static void on_mtu_set(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	is_setting_mtu = false;
	if (failure)
		log_warning("mtu_not_set", log_str("interface", context),
			log_str("problem", json_string_value(json_object_get(failure, "message"))));
}

/* So that nothing that the host sends is cut, or refused, on its way through GRE and ESP. */
static void follow_mtu(void)
{
	const struct port *port = port_find(PORT_VIPA_NAME);
	uint32_t wanted = asked_mtu();

	if (target_table->mtu_max_bytes && wanted > target_table->mtu_max_bytes)
		wanted = target_table->mtu_max_bytes;
	if (!wanted || !port || is_setting_mtu)
		return;
	wanted = RTE_MAX(wanted, least_mtu());
	if (wanted == __atomic_load_n(&port->mtu_bytes, __ATOMIC_RELAXED))
		return;
	is_setting_mtu = true;
	log_info("mtu_follows", log_str("interface", target_table->interface),
		log_uint("mtu_bytes", wanted));
	packet_broker_call("broker.open_tap",
		json_pack("{s:s, s:i}", "interface", target_table->interface, "mtu", (int)wanted),
		NULL, 0, on_mtu_set, (void *)port->config.name);
}

/* ---- reports ---- */

static void on_timer(uv_timer_t *handle)
{
	bool is_by_api;

	if (!target_table)
		return;
	judge_peers(clock_monotonic_ns());
	follow_mtu();
	target_report_now(target_load(&is_by_api));
}

void target_report_now(uint16_t load)
{
	__atomic_store_n(&target_reports.load, load, __ATOMIC_RELAXED);
	__atomic_store_n(&target_reports.sequence, target_reports.sequence + 1, __ATOMIC_RELAXED);
	/* Release; pairs with target_tick. */
	__atomic_store_n(&target_reports.is_due, true, __ATOMIC_RELEASE);
}

static void pace(void)
{
	if (!has_timer) {
		uv_timer_init(packet_loop(), &timer);
		has_timer = true;
	}
	if (target_table)
		uv_timer_start(&timer, on_timer, 0, target_table->interval_ms);
	else
		uv_timer_stop(&timer);
}

/* ---- services ---- */

static int find_service(const struct target_table *table, const char *name)
{
	for (uint16_t i = 0; table && i < table->service_count; i++)
		if (strcmp(table->services[i].name, name) == 0)
			return i;
	return -1;
}

int target_set_ready(const char *name, bool is_ready)
{
	int at = find_service(target_table, name);
	bool is_by_api;

	if (at < 0)
		return -ENOENT;
	__atomic_store_n(&target_is_ready[at], is_ready, __ATOMIC_RELAXED);
	target_report_now(target_load(&is_by_api));
	return 0;
}

void target_set_load(int64_t load)
{
	bool is_by_api;

	load_by_api = load;
	if (target_table)
		target_report_now(target_load(&is_by_api));
}

/* What was said of a service that stays, stays; others begin as configured. */
static void plan_readiness(const json_t *config)
{
	const json_t *rows = json_object_get(json_object_get(config, "target"), "services");

	for (uint16_t i = 0; i < change.table->service_count; i++) {
		const char *name = change.table->services[i].name;
		int at = find_service(target_table, name);

		change.is_ready[i] = at >= 0
			? target_is_ready[at]
			: json_is_true(json_object_get(json_object_get(rows, name), "ready"));
	}
}

/* ---- the module ---- */

static int make_workers(const struct target_table *table, struct error *error)
{
	for (uint16_t i = 0; i < worker_count(); i++) {
		struct target_worker *own;

		if (target_workers[i])
			continue;
		own = calloc(1, sizeof(*own));
		if (own)
			own->flows = target_flows_create(table->flows_max);
		if (!own || !own->flows) {
			free(own);
			return error_set(
				error, -ENOMEM, "target: no memory for %u flows", table->flows_max);
		}
		target_workers[i] = own;
	}
	return 0;
}

static void target_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	const char *physical =
		json_string_value(json_object_get(json_object_get(config, "gateway"), "physical"));
	struct error error;
	int status;

	memset(&change, 0, sizeof(change));
	snprintf(change.physical, sizeof(change.physical), "%s", physical ? physical : "");
	status = target_table_create(config, &change.table, &error);
	if (status == 0 && change.table)
		status = make_workers(change.table, &error);
	if (status < 0) {
		target_table_destroy(change.table);
		change.table = NULL;
	} else if (change.table) {
		plan_readiness(config);
	}
	done(context, status < 0 ? &error : NULL);
}

static void target_commit(void)
{
	struct target_table *table = change.table;

	if (table && target_table_bind(table, change.physical) < 0)
		log_error("target_keys",
			log_str("problem",
				"the secret in target.key-file makes two keys that are "
				"the same; another one is needed"));
	if (!target_reports.session)
		target_reports.session = id_random_u64();
	for (int i = 0; i < TARGET_SERVICES_MAX; i++)
		__atomic_store_n(&target_is_ready[i], change.is_ready[i], __ATOMIC_RELAXED);
	publish_swap(&target_table, table, target_table_destroy);
	change.table = NULL;
	know_peers();
	pace();
}

static void target_abort(void)
{
	target_table_destroy(change.table);
	change.table = NULL;
}

/* The workers have ended. */
static void target_stop(void)
{
	if (has_timer)
		uv_close((uv_handle_t *)&timer, NULL);
	has_timer = false;
	target_table_destroy(target_table);
	target_table = NULL;
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		if (!target_workers[i])
			continue;
		for (uint16_t j = 0; j < target_workers[i]->waiting_count; j++)
			rte_pktmbuf_free(target_workers[i]->waiting[j].packet);
		target_flows_destroy(target_workers[i]->flows);
		free(target_workers[i]);
		target_workers[i] = NULL;
	}
}

const struct packet_module target_module = {
	.name = "target",
	.stop = target_stop,
	.prepare = target_prepare,
	.commit = target_commit,
	.abort = target_abort,
	.methods = target_methods,
	.metrics = target_metrics,
};
