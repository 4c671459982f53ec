/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/health.h"

#include "base/clock.h"
#include "packet/distributor/schedule.h"

#include <stdlib.h>
#include <sys/random.h>

#define CHALLENGE_NS (1 * CLOCK_NS_PER_S) /* a report may answer the one before, too */
#define LOAD_FULL    (HEARTBEAT_LOAD_MAX + 1U)
#define LOAD_STEP    4096U /* so that not each report makes a new table of Maglev's */
/* A weight in force is the weight times this, less its load. */
#define WEIGHT_SCALE 256U

struct health healths[VIPA_TARGETS_MAX];
uint32_t health_deaths;

/* ---- workers ---- */

static bool is_new(const struct health *health, const struct heartbeat *report)
{
	bool is_answer = report->challenge != 0
		&& (report->challenge == health->challenges[0]
			|| report->challenge == health->challenges[1]);

	return is_answer
		&& (report->session != health->session || report->sequence > health->sequence);
}

bool health_take_report(
	uint16_t target, const struct heartbeat *report, uint64_t now_ns, struct heartbeat *answer)
{
	struct health *health = &healths[target];
	bool is_believed;

	rte_spinlock_lock(&health->lock);
	is_believed = is_new(health, report);
	if (is_believed) {
		health->session = report->session;
		health->sequence = report->sequence;
		health->reported_ns = now_ns;
		health->report = *report;
	}
	*answer = (struct heartbeat){.kind = HEARTBEAT_ANSWER,
		.session = report->session,
		.sequence = report->sequence,
		.challenge = health->challenges[0]};
	rte_spinlock_unlock(&health->lock);
	return is_believed;
}

/* ---- control thread ---- */

static void set_up(uint16_t target, bool is_up, uint64_t now_ns)
{
	struct health *health = &healths[target];

	health->since_ns = now_ns;
	__atomic_store_n(&health->is_up, is_up, __ATOMIC_RELAXED);
	/* Release: who sees the count sees the target down; pairs with the workers' look. */
	if (!is_up)
		__atomic_add_fetch(&health_deaths, 1, __ATOMIC_RELEASE);
}

static void draw_challenge(struct health *health, uint64_t now_ns)
{
	uint64_t challenge = 0;

	if (health->challenges[0] && now_ns - health->challenged_ns < CHALLENGE_NS)
		return;
	while (challenge == 0)
		if (getrandom(&challenge, sizeof(challenge), 0) != sizeof(challenge))
			return;
	health->challenged_ns = now_ns;
	rte_spinlock_lock(&health->lock);
	health->challenges[1] = health->challenges[0];
	health->challenges[0] = challenge;
	rte_spinlock_unlock(&health->lock);
}

void health_start(const struct vipa_table *table, uint64_t now_ns)
{
	for (uint16_t i = 0; i < table->target_count; i++) {
		const struct vipa_target *target = &table->targets[i];
		struct health *health = &healths[i];

		/* 1 and up: of an index that was never used it is 0. */
		if (!target->name[0] || health->generation == (uint8_t)(target->generation + 1))
			continue;
		*health = (struct health){.generation = (uint8_t)(target->generation + 1),
			.since_ns = now_ns,
			.weight = -1,
			.is_up = !target->has_heartbeat};
		rte_spinlock_init(&health->lock);
		draw_challenge(health, now_ns);
	}
}

uint32_t health_weight(const struct vipa_table *table, uint16_t target)
{
	const struct health *health = &healths[target];

	if (health->is_drained)
		return 0;
	return health->weight >= 0 ? (uint32_t)health->weight : table->targets[target].weight;
}

/* A local target is there as long as its port is. */
static bool is_alive(const struct vipa_target *target, uint64_t reported_ns, uint64_t now_ns,
	uint64_t interval_ns)
{
	const struct port *port;

	if (target->is_local) {
		port = port_find(target->local_name);
		return port && __atomic_load_n(&port->is_up, __ATOMIC_RELAXED);
	}
	if (!target->has_heartbeat)
		return true;
	return reported_ns
		&& clock_elapsed_ns(now_ns, reported_ns) < HEALTH_MISSED_MAX * interval_ns;
}

/* A target that lists services takes connections for those that it lists as ready. */
static bool is_ready(
	const struct heartbeat *report, const struct vipa *vipa, const struct vipa_service *service)
{
	if (report->service_count == 0)
		return true;
	for (uint8_t i = 0; i < report->service_count; i++) {
		const struct heartbeat_service *each = &report->services[i];

		if (each->protocol == service->protocol && each->port == service->port
			&& ip_address_is_equal(&each->vipa, &vipa->address))
			return each->is_ready;
	}
	return false;
}

static uint32_t weight_in_force(const struct vipa_table *table, const struct vipa_service *service,
	uint16_t target, const struct heartbeat *report)
{
	uint64_t weight = health_weight(table, target);

	if (weight == 0 || !healths[target].is_up)
		return 0;
	if (!table->targets[target].has_heartbeat)
		return (uint32_t)weight * WEIGHT_SCALE;
	if (!is_ready(report, &table->vipas[service->vipa], service))
		return 0;
	weight = weight * WEIGHT_SCALE * (LOAD_FULL - report->load / LOAD_STEP * LOAD_STEP)
		/ LOAD_FULL;
	return weight ? (uint32_t)weight : 1;
}

static void put_in_force(
	struct vipa_table *table, struct vipa_service *service, const struct heartbeat *reports)
{
	bool is_changed = false;

	for (uint16_t i = 0; i < service->target_count; i++) {
		uint16_t target = service->targets[i];
		uint32_t weight = weight_in_force(table, service, target, &reports[target]);

		is_changed |= weight != service->weights[i];
		__atomic_store_n(&service->weights[i], weight, __ATOMIC_RELAXED);
	}
	if (is_changed && service->scheduling == VIPA_MAGLEV)
		publish_swap(&service->maglev, maglev_create(table, service), free);
}

void health_tick(struct vipa_table *table, uint64_t now_ns, uint64_t interval_ns,
	void (*changed)(const struct vipa_target *target, bool is_up))
{
	static struct heartbeat reports[VIPA_TARGETS_MAX];

	for (uint16_t i = 0; i < table->target_count; i++) {
		const struct vipa_target *target = &table->targets[i];
		struct health *health = &healths[i];
		uint64_t reported_ns;
		bool is_up;

		if (!target->name[0])
			continue;
		draw_challenge(health, now_ns);
		rte_spinlock_lock(&health->lock);
		reported_ns = health->reported_ns;
		reports[i] = health->report;
		rte_spinlock_unlock(&health->lock);
		is_up = is_alive(target, reported_ns, now_ns, interval_ns);
		if (is_up == health->is_up)
			continue;
		set_up(i, is_up, now_ns);
		changed(target, is_up);
	}
	for (uint16_t i = 0; i < table->service_count; i++)
		put_in_force(table, &table->services[i], reports);
}
