/* SPDX-License-Identifier: BSD-3-Clause */
/* D2: weights are followed by each way of scheduling; Maglev moves few when a target goes. */
#include "packet/distributor/schedule.h"

#include "packet/distributor/distributor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CONNECTIONS 10000

static struct vipa_table *table;
static struct schedule_round *round_of;

static int set_up(void **state)
{
	(void)state;
	table = calloc(1, sizeof(*table));
	round_of = calloc(1, sizeof(*round_of));
	distributor_workers[0] = calloc(1, sizeof(*distributor_workers[0]));
	distributor_workers[0]->connections = connection_table_create(1024);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(table->services[0].maglev);
	free(table);
	free(round_of);
	connection_table_destroy(distributor_workers[0]->connections);
	free(distributor_workers[0]);
	distributor_workers[0] = NULL;
	return 0;
}

static struct vipa_service *service_of(
	enum vipa_scheduling scheduling, const uint32_t *weights, uint16_t count)
{
	struct vipa_service *service = &table->services[0];

	service->scheduling = (uint8_t)scheduling;
	service->target_count = count;
	for (uint16_t i = 0; i < count; i++) {
		snprintf(table->targets[i].name, VIPA_NAME_SIZE, "t%u", i);
		service->targets[i] = (uint8_t)i;
		service->weights[i] = weights[i];
	}
	free(service->maglev);
	service->maglev = scheduling == VIPA_MAGLEV ? maglev_create(table, service) : NULL;
	return service;
}

static uint16_t pick(const struct vipa_service *service, uint32_t client)
{
	struct connection_key key = {.client_port = (uint16_t)client};
	uint16_t target;

	memcpy(key.client, &client, sizeof(client));
	target = schedule_pick(service, 0, &key, round_of);
	if (target != VIPA_NONE)
		distributor_workers[0]->connections->targets[target]++;
	return target;
}

static void follows_weights(enum vipa_scheduling scheduling)
{
	static const uint32_t weights[] = {50, 0, 30, 20};
	const struct vipa_service *service = service_of(scheduling, weights, 4);
	uint32_t counts[4] = {0};

	for (uint32_t i = 0; i < CONNECTIONS; i++)
		counts[pick(service, i * 2654435761U)]++;
	for (int i = 0; i < 4; i++) {
		double expected = CONNECTIONS * weights[i] / 100.0;

		assert_true(counts[i] >= expected * 0.95 && counts[i] <= expected * 1.05);
	}
}

static void least_connections_follow_weights(void **state)
{
	(void)state;
	follows_weights(VIPA_LEAST_CONNECTIONS);
}

static void round_robin_follows_weights(void **state)
{
	(void)state;
	follows_weights(VIPA_ROUND_ROBIN);
}

static void maglev_follows_weights(void **state)
{
	(void)state;
	follows_weights(VIPA_MAGLEV);
}

static void the_least_loaded_gets_the_next(void **state)
{
	static const uint32_t weights[] = {100, 100};
	const struct vipa_service *service = service_of(VIPA_LEAST_CONNECTIONS, weights, 2);

	(void)state;
	distributor_workers[0]->connections->targets[0] = 10;
	for (int i = 0; i < 10; i++)
		assert_int_equal(pick(service, 1), 1);
}

/* Not all of a heavy target's share in a row. */
static void round_robin_is_smooth(void **state)
{
	static const uint32_t weights[] = {5, 1, 1};
	static const uint16_t expected[] = {0, 0, 1, 0, 2, 0, 0};
	const struct vipa_service *service = service_of(VIPA_ROUND_ROBIN, weights, 3);

	(void)state;
	for (int i = 0; i < 14; i++)
		assert_int_equal(pick(service, 1), expected[i % 7]);
}

static void nobody_takes_connections_without_weight(void **state)
{
	static const uint32_t weights[] = {0, 0};

	(void)state;
	for (int scheduling = VIPA_LEAST_CONNECTIONS; scheduling <= VIPA_MAGLEV; scheduling++)
		assert_int_equal(pick(service_of((enum vipa_scheduling)scheduling, weights, 2), 1),
			VIPA_NONE);
}

static void maglev_moves_few_when_a_target_goes(void **state)
{
	static const uint32_t before[] = {10, 10, 10, 10, 10}, after[] = {10, 10, 0, 10, 10};
	uint16_t chosen[CONNECTIONS];
	uint32_t moved = 0;
	const struct vipa_service *service = service_of(VIPA_MAGLEV, before, 5);

	(void)state;
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		chosen[i] = pick(service, i);
	service = service_of(VIPA_MAGLEV, after, 5);
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		moved += chosen[i] != 2 && pick(service, i) != chosen[i];
	assert_true(moved < CONNECTIONS / 10);
}

static void a_persistent_client_stays_whatever_its_port(void **state)
{
	static const uint32_t weights[] = {10, 10, 10};
	struct vipa_service *service = service_of(VIPA_MAGLEV, weights, 3);
	struct connection_key key = {.client = {192, 0, 2, 1}};
	uint32_t different = 0;
	uint16_t first;

	(void)state;
	service->is_persistent = true;
	first = schedule_pick(service, 0, &key, round_of);
	for (uint16_t port = 1; port < 100; port++) {
		key.client_port = port;
		assert_int_equal(schedule_pick(service, 0, &key, round_of), first);
	}
	service->is_persistent = false;
	for (uint16_t port = 1; port < 100; port++) {
		key.client_port = port;
		different += schedule_pick(service, 0, &key, round_of) != first;
	}
	assert_true(different > 40);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(least_connections_follow_weights),
		TEST(round_robin_follows_weights),
		TEST(maglev_follows_weights),
		TEST(the_least_loaded_gets_the_next),
		TEST(round_robin_is_smooth),
		TEST(nobody_takes_connections_without_weight),
		TEST(maglev_moves_few_when_a_target_goes),
		TEST(a_persistent_client_stays_whatever_its_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
