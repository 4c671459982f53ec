/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/distributor/schedule.h"

#include "packet/distributor/connection_table.h"
#include "packet/distributor/distributor.h"

#include <stdlib.h>

static uint32_t weight_of(const struct vipa_service *service, uint16_t at)
{
	/* Relaxed: the control thread changes one at a time; each value stands for itself. */
	return __atomic_load_n(&service->weights[at], __ATOMIC_RELAXED);
}

uint32_t schedule_connections(uint16_t target)
{
	uint32_t sum = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		if (distributor_workers[i])
			/* Relaxed; partner is count_target(). */
			sum += __atomic_load_n(
				&distributor_workers[i]->connections->targets[target],
				__ATOMIC_RELAXED);
	return sum;
}

static uint16_t pick_least(const struct vipa_service *service)
{
	uint64_t best_load = 0, best_weight = 0;
	uint16_t best = VIPA_NONE;

	for (uint16_t i = 0; i < service->target_count; i++) {
		uint64_t weight = weight_of(service, i), load;

		if (weight == 0)
			continue;
		load = schedule_connections(service->targets[i]) + 1ULL;
		if (best == VIPA_NONE || load * best_weight < best_load * weight) {
			best = service->targets[i];
			best_load = load;
			best_weight = weight;
		}
	}
	return best;
}

/* Each gains its weight, the richest is chosen and pays all: as nginx does, so that a heavy target
 * is not given all of its share in a row. */
static uint16_t pick_round_robin(const struct vipa_service *service, int64_t *current)
{
	uint16_t best = VIPA_NONE;
	int64_t total = 0;

	for (uint16_t i = 0; i < service->target_count; i++) {
		int64_t weight = weight_of(service, i);

		if (weight == 0) {
			current[i] = 0;
			continue;
		}
		total += weight;
		current[i] += weight;
		if (best == VIPA_NONE || current[i] > current[best])
			best = i;
	}
	if (best == VIPA_NONE)
		return VIPA_NONE;
	current[best] -= total;
	return service->targets[best];
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdULL;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53ULL;
	return value ^ value >> 33;
}

/* The same in each process: who knows it can aim at one target, as who is refused by none can. */
static uint64_t client_hash(const struct connection_key *key, bool with_port)
{
	uint64_t words[2];

	memcpy(words, key->client, sizeof(words));
	return mix(mix(mix(words[0]) ^ words[1]) ^ (with_port ? key->client_port : 0));
}

static uint16_t pick_maglev(const struct vipa_service *service, const struct connection_key *key)
{
	const uint8_t *table = publish_read(&service->maglev);

	if (!table)
		return VIPA_NONE;
	return table[client_hash(key, !service->is_persistent) % MAGLEV_SIZE];
}

uint16_t schedule_pick(const struct vipa_service *service, uint16_t service_index,
	const struct connection_key *key, struct schedule_round *round)
{
	switch (service->scheduling) {
	case VIPA_MAGLEV:
		return pick_maglev(service, key);
	case VIPA_ROUND_ROBIN:
		return pick_round_robin(service, round->current[service_index]);
	default:
		return pick_least(service);
	}
}

/* ---- Maglev's table ---- */

/* A target's order of preference: all places, by steps from a start, both of its name. */
struct preference {
	uint32_t at, step;
	uint64_t credit;
};

static uint64_t name_hash(const char *name, uint64_t seed)
{
	uint64_t hash = seed;

	for (; *name; name++)
		hash = mix(hash ^ (uint8_t)*name);
	return mix(hash);
}

static void start_preferences(const struct vipa_table *table, const struct vipa_service *service,
	struct preference *preferences)
{
	for (uint16_t i = 0; i < service->target_count; i++) {
		const char *name = table->targets[service->targets[i]].name;

		preferences[i].at = (uint32_t)(name_hash(name, 1) % MAGLEV_SIZE);
		preferences[i].step = (uint32_t)(name_hash(name, 2) % (MAGLEV_SIZE - 1)) + 1;
		preferences[i].credit = 0;
	}
}

static void take_place(uint8_t *places, struct preference *preference, uint8_t target)
{
	while (places[preference->at] != MAGLEV_NONE)
		preference->at = (preference->at + preference->step) % MAGLEV_SIZE;
	places[preference->at] = target;
}

uint8_t *maglev_create(const struct vipa_table *table, const struct vipa_service *service)
{
	struct preference preferences[VIPA_TARGETS_MAX];
	uint8_t *places;
	uint64_t most = 0;
	uint32_t taken = 0;

	for (uint16_t i = 0; i < service->target_count; i++)
		most = RTE_MAX(most, (uint64_t)weight_of(service, i));
	places = most ? malloc(MAGLEV_SIZE) : NULL;
	if (!places)
		return NULL;
	memset(places, MAGLEV_NONE, MAGLEV_SIZE);
	start_preferences(table, service, preferences);
	while (taken < MAGLEV_SIZE) {
		for (uint16_t i = 0; i < service->target_count && taken < MAGLEV_SIZE; i++) {
			preferences[i].credit += weight_of(service, i);
			if (preferences[i].credit < most)
				continue;
			preferences[i].credit -= most;
			take_place(places, &preferences[i], service->targets[i]);
			taken++;
		}
	}
	return places;
}
