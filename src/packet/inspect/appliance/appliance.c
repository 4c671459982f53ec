/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's part of the engine appliance: whether somebody is there, and what is shown.
 */
#include "packet/inspect/appliance/appliance.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "packet/inspect/inspect.h"
#include "packet/packet_module.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETURNS_SIZE 4096 /* of a worker's ring; a power of two */
#define DOWN_AFTER   3    /* probes without an answer */
#define UP_AFTER     2    /* answers one after the other */

struct rte_ring *appliance_returns[WORKERS_MAX];
struct appliance *appliance_current;
struct appliance_served appliance_served[WORKERS_MAX][LINK_PEERS_MAX];

/* Outlives the engine until its timer is closed. */
struct appliance_watch {
	uv_timer_t timer;
	struct appliance *owner;
	unsigned int missed, answered; /* one after the other */
	bool answers;                  /* the last probe was answered, */
	char link[PORT_NAME_SIZE], remote[INET6_ADDRSTRLEN + 1];
};

static unsigned int engine_count; /* that use the rings */

/* ---- whether somebody is there ---- */

static const char *problem_of(const struct appliance *appliance)
{
	const struct link_end *end = link_end_of(link_table, LINK_CLIENT);
	const struct port *port = end ? port_find(appliance->watch->link) : NULL;
	uint8_t mac[6];

	if (!port || port->kind != PORT_XCF)
		return "its link is not there";
	if (!__atomic_load_n(&port->is_up, __ATOMIC_RELAXED))
		return "its link is down";
	if (!link_peer_mac(&end->peers[0], mac))
		return "nobody on the link answers for its address";
	if (!appliance->watch->answers)
		return "it does not answer probes: not running, another key, or not one of its "
		       "clients";
	return "it answers, but its own engines give no verdicts";
}

static void tell(const struct appliance *appliance, bool is_down)
{
	const char *type = is_down ? "inspector_down" : "inspector_up";
	const char *reason = is_down ? problem_of(appliance) : "it answers";

	log_warning(type, log_str("engine", "appliance"),
		log_str("remote", appliance->watch->remote), log_str("reason", reason));
	packet_emit_event(json_pack("{s:s, s:s, s:s, s:s}", "type", type, "engine", "appliance",
		"remote", appliance->watch->remote, "reason", reason));
}

/* What became of the last probe. */
static void judge(struct appliance *appliance)
{
	struct appliance_watch *watch = appliance->watch;
	bool is_down = appliance->base.is_down;

	/* Acquire; pairs with take_answer(). */
	watch->answers = appliance->nonce != 0
		&& __atomic_load_n(&appliance->answered_nonce, __ATOMIC_ACQUIRE)
			== appliance->nonce;
	if (watch->answers && __atomic_load_n(&appliance->is_ready, __ATOMIC_RELAXED)) {
		watch->answered++;
		watch->missed = 0;
	} else {
		watch->missed++;
		watch->answered = 0;
	}
	if (is_down ? watch->answered < UP_AFTER : watch->missed < DOWN_AFTER)
		return;
	/* Relaxed: workers act on it when they see it. */
	__atomic_store_n(&appliance->base.is_down, !is_down, __ATOMIC_RELAXED);
	tell(appliance, !is_down);
}

static void on_watch(uv_timer_t *timer)
{
	struct appliance *appliance = ((struct appliance_watch *)timer->data)->owner;

	if (!appliance || appliance != appliance_current)
		return;
	judge(appliance);
	/* Unguessable: an answer tells that somebody with the key is there now. */
	__atomic_store_n(&appliance->nonce, id_random_u64() | 1, __ATOMIC_RELAXED);
	/* Release; pairs with probe_when_due(). */
	__atomic_store_n(&appliance->is_due, true, __ATOMIC_RELEASE);
}

/* ---- life ---- */

static int open_rings(uint16_t worker_count)
{
	char name[RTE_RING_NAMESIZE];

	if (engine_count++ > 0)
		return 0;
	for (uint16_t i = 0; i < worker_count; i++) {
		snprintf(name, sizeof(name), "appliance_returns%u", i);
		appliance_returns[i] =
			rte_ring_create(name, RETURNS_SIZE, SOCKET_ID_ANY, RING_F_SC_DEQ);
		if (!appliance_returns[i])
			return -ENOMEM;
	}
	return 0;
}

static void close_rings(void)
{
	void *frame;

	if (--engine_count > 0)
		return;
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		while (appliance_returns[i] && rte_ring_dequeue(appliance_returns[i], &frame) == 0)
			rte_pktmbuf_free(frame);
		rte_ring_free(appliance_returns[i]);
		appliance_returns[i] = NULL;
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void free_appliance(struct appliance *appliance)
{
	for (uint16_t i = 0; i < appliance->worker_count; i++) {
		struct appliance_worker *own = appliance->workers[i];

		while (own && own->ready_tail != own->ready_head)
			rte_pktmbuf_free(
				own->ready[own->ready_tail++ % APPLIANCE_READY_MAX].packet);
		free(own);
	}
	close_rings();
	free(appliance);
}

static void appliance_destroy(struct inspector *inspector)
{
	struct appliance *appliance = (struct appliance *)inspector;

	if (appliance_current == appliance)
		__atomic_store_n(&appliance_current, NULL, __ATOMIC_RELAXED);
	appliance->watch->owner = NULL;
	uv_close((uv_handle_t *)&appliance->watch->timer, on_timer_closed);
	free_appliance(appliance);
}

static const char *text_of(const json_t *section, const char *key)
{
	const char *text = json_string_value(json_object_get(section, key));

	return text ? text : "";
}

static void appliance_configure(struct inspector *inspector, const json_t *config)
{
	struct appliance *appliance = (struct appliance *)inspector;
	const json_t *section = json_object_get(config, "appliance");
	json_int_t in_flight = json_integer_value(json_object_get(section, "in-flight"));
	json_int_t interval_ms = json_integer_value(json_object_get(section, "health-interval"));

	__atomic_store_n(&appliance->in_flight_max, (uint32_t)in_flight, __ATOMIC_RELAXED);
	snprintf(appliance->watch->link, sizeof(appliance->watch->link), "%s",
		text_of(section, "link"));
	snprintf(appliance->watch->remote, sizeof(appliance->watch->remote), "%s",
		text_of(section, "remote"));
	uv_timer_start(&appliance->watch->timer, on_watch, 0, (uint64_t)interval_ms);
}

static struct appliance *make_appliance(uint16_t worker_count)
{
	size_t size = RTE_ALIGN_CEIL(sizeof(struct appliance), RTE_CACHE_LINE_SIZE);
	struct appliance *appliance = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	bool is_complete;

	if (!appliance)
		return NULL;
	memset(appliance, 0, size);
	appliance->worker_count = worker_count;
	appliance->watch = calloc(1, sizeof(*appliance->watch));
	is_complete = open_rings(worker_count) == 0 && appliance->watch;
	for (uint16_t i = 0; i < worker_count; i++) {
		appliance->workers[i] = calloc(1, sizeof(*appliance->workers[i]));
		is_complete = is_complete && appliance->workers[i];
	}
	if (is_complete)
		return appliance;
	free(appliance->watch);
	free_appliance(appliance);
	return NULL;
}

static int appliance_create(const json_t *config, uint16_t worker_count, void *compiled,
	struct inspector **out, struct error *error)
{
	struct appliance *appliance = make_appliance(worker_count);

	if (!appliance)
		return error_set(error, -ENOMEM, "inspection: no memory for the engine appliance");
	appliance->base.ops = &appliance_inspector;
	appliance->base.is_down = true; /* until it has answered */
	appliance->watch->owner = appliance;
	uv_timer_init(packet_loop(), &appliance->watch->timer);
	appliance->watch->timer.data = appliance->watch;
	appliance_configure(&appliance->base, config);
	__atomic_store_n(&appliance_current, appliance, __ATOMIC_RELAXED);
	*out = &appliance->base;
	return 0;
}

/* ---- what is shown ---- */

static uint64_t sum(const struct appliance *appliance, size_t offset)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < appliance->worker_count; i++) {
		const char *own = (const char *)appliance->workers[i];

		total += __atomic_load_n(
			(const uint64_t *)(const void *)(own + offset), __ATOMIC_RELAXED);
	}
	return total;
}

#define SUM(field) ((json_int_t)sum(appliance, offsetof(struct appliance_worker, field)))

static uint64_t in_flight(const struct appliance *appliance)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < appliance->worker_count; i++)
		total += inspect_workers[i]
			? hold_count_of(inspect_workers[i]->holds, appliance->base.owner)
			: 0;
	return total;
}

static json_t *appliance_status(struct inspector *inspector)
{
	const struct appliance *appliance = (const struct appliance *)inspector;
	bool is_down = __atomic_load_n(&inspector->is_down, __ATOMIC_RELAXED);
	json_t *details = json_pack("{s:s, s:s, s:f, s:I}", "link", appliance->watch->link,
		"remote", appliance->watch->remote, "round_trip_us",
		(double)__atomic_load_n(&appliance->round_trip_ns, __ATOMIC_RELAXED) / 1000,
		"in_flight", (json_int_t)in_flight(appliance));

	json_object_update_new(details,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "sent", SUM(sent), "returned",
			SUM(returned), "refused", SUM(refused), "failed", SUM(failed), "forged",
			SUM(forged), "too_large", SUM(too_large)));
	return is_down
		? json_pack("{s:o, s:s}", "details", details, "problem", problem_of(appliance))
		: json_pack("{s:o}", "details", details);
}

static void appliance_metrics(struct inspector *inspector, json_t *samples)
{
	const struct appliance *appliance = (const struct appliance *)inspector;

	packet_metric(samples, "appliance_round_trip_seconds", "gauge",
		"Time that the last probe of the appliance took, there and back.", NULL,
		(double)__atomic_load_n(&appliance->round_trip_ns, __ATOMIC_RELAXED)
			/ CLOCK_NS_PER_S);
	packet_metric(samples, "appliance_in_flight", "gauge",
		"Packets whose copy is at the appliance.", NULL, (double)in_flight(appliance));
	packet_metric(samples, "appliance_forged_total", "counter",
		"Messages on the link whose code of authentication was wrong.", NULL,
		(double)SUM(forged));
	packet_metric(samples, "appliance_too_large_total", "counter",
		"Packets too large for the link to the appliance.", NULL, (double)SUM(too_large));
}

static json_int_t sum_served(uint16_t client, size_t offset)
{
	uint64_t total = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		const char *own = (const char *)&appliance_served[i][client];

		total += __atomic_load_n(
			(const uint64_t *)(const void *)(own + offset), __ATOMIC_RELAXED);
	}
	return (json_int_t)total;
}

json_t *appliance_clients(void)
{
	const struct link_end *end = link_end_of(link_table, LINK_APPLIANCE);
	json_t *list = end ? json_array() : NULL;

	for (uint16_t i = 0; end && i < end->peer_count; i++) {
		char text[IP_ADDRESS_TEXT_SIZE];

		link_peer_text(LINK_APPLIANCE, i, text);
#define SERVED(field) sum_served(i, offsetof(struct appliance_served, field))
		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "address", text,
				"requests", SERVED(requests), "passed", SERVED(passed), "dropped",
				SERVED(dropped), "failed", SERVED(failed), "forged", SERVED(forged),
				"probes", SERVED(probes)));
	}
	return list;
}

const struct inspector_ops appliance_inspector = {
	.name = "appliance",
	.create = appliance_create,
	.destroy = appliance_destroy,
	.submit = appliance_submit,
	.collect = appliance_collect,
	.configure = appliance_configure,
	.status = appliance_status,
	.metrics = appliance_metrics,
};
