/* SPDX-License-Identifier: BSD-3-Clause */
/* D14: who is up, who is believed, and what weights come of it. */
#include "packet/distributor/health.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <netinet/in.h>

#define INTERVAL (250 * CLOCK_NS_PER_MS)

static struct vipa_table *table;
static uint64_t now_ns;
static uint32_t ups, downs;

static void on_changed(const struct vipa_target *target, bool is_up)
{
	(void)target;
	ups += is_up;
	downs += !is_up;
}

static int set_up(void **state)
{
	struct vipa_service *service;

	(void)state;
	table = calloc(1, sizeof(*table));
	snprintf(table->vipas[0].name, VIPA_NAME_SIZE, "web");
	table->vipas[0].address = (struct ip_address){4, {192, 0, 2, 80}};
	snprintf(table->targets[0].name, VIPA_NAME_SIZE, "t1");
	table->targets[0].has_heartbeat = true;
	table->targets[0].weight = 100;
	table->targets[0].generation = (uint8_t)(healths[0].generation + 7); /* another one */
	table->target_count = table->service_count = table->vipa_count = 1;
	service = &table->services[0];
	service->protocol = IPPROTO_TCP;
	service->port = 80;
	service->target_count = 1;
	now_ns = 1000 * CLOCK_NS_PER_S;
	health_start(table, now_ns);
	ups = downs = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(table);
	return 0;
}

static uint32_t tick(uint64_t ms)
{
	now_ns += ms * CLOCK_NS_PER_MS;
	health_tick(table, now_ns, INTERVAL, on_changed);
	return table->services[0].weights[0];
}

static struct heartbeat report_of(uint64_t session, uint64_t sequence)
{
	return (struct heartbeat){.kind = HEARTBEAT_REPORT,
		.session = session,
		.sequence = sequence,
		.challenge = healths[0].challenges[0]};
}

static bool report(uint64_t session, uint64_t sequence)
{
	struct heartbeat message = report_of(session, sequence), answer;

	return health_take_report(0, &message, now_ns, &answer);
}

static void is_down_until_it_reports_and_when_it_is_silent(void **state)
{
	(void)state;
	assert_int_equal(tick(50), 0);
	assert_true(report(1, 1));
	assert_true(tick(50) > 0);
	assert_int_equal(ups, 1);
	assert_true(tick(600) > 0); /* two are missing */
	assert_int_equal(tick(150), 0);
	assert_int_equal(downs, 1);
	assert_false(health_is_up(0));
}

/* A worker has read its clock after the control thread that is about to judge. */
static void a_report_of_this_very_moment_is_no_silence(void **state)
{
	struct heartbeat message, answer;

	(void)state;
	tick(50);
	assert_true(report(1, 1));
	assert_true(tick(50) > 0);
	message = report_of(1, 2);
	assert_true(health_take_report(0, &message, now_ns + 1, &answer));
	assert_true(tick(0) > 0);
	assert_int_equal(downs, 0);
}

static void believes_no_old_report(void **state)
{
	struct heartbeat message, answer;

	(void)state;
	tick(50);
	message = report_of(1, 5);
	message.challenge = 0;
	assert_false(health_take_report(0, &message, now_ns, &answer));
	assert_int_equal(answer.challenge, healths[0].challenges[0]);
	assert_int_equal(answer.sequence, 5);
	assert_true(report(1, 5));
	assert_false(report(1, 5));
	assert_false(report(1, 4));
	assert_true(report(2, 1)); /* it was started again */
	message = report_of(2, 2);
	tick(1100); /* the challenge before is good still, */
	assert_true(health_take_report(0, &message, now_ns, &answer));
	message.sequence++;
	tick(1100); /* and then no more */
	assert_false(health_take_report(0, &message, now_ns, &answer));
}

static void load_lowers_the_weight(void **state)
{
	struct heartbeat message, answer;
	uint32_t idle, busy;

	(void)state;
	tick(50);
	report(1, 1);
	idle = tick(50);
	message = report_of(1, 2);
	message.load = HEARTBEAT_LOAD_MAX / 2 + 1;
	health_take_report(0, &message, now_ns, &answer);
	busy = tick(50);
	assert_in_range(busy, idle * 45 / 100, idle * 55 / 100);
	message = report_of(1, 3);
	message.load = HEARTBEAT_LOAD_MAX;
	health_take_report(0, &message, now_ns, &answer);
	assert_true(tick(50) > 0); /* a little, so that connections find somebody */
}

static void services_that_are_not_ready_get_nothing(void **state)
{
	struct heartbeat message, answer;

	(void)state;
	tick(50);
	message = report_of(1, 1);
	message.service_count = 1;
	message.services[0] = (struct heartbeat_service){
		.vipa = table->vipas[0].address, .protocol = IPPROTO_TCP, .port = 80};
	health_take_report(0, &message, now_ns, &answer);
	assert_int_equal(tick(50), 0);
	message.sequence = 2;
	message.services[0].is_ready = true;
	health_take_report(0, &message, now_ns, &answer);
	assert_true(tick(50) > 0);
	message.sequence = 3;
	message.services[0].port = 81; /* ours is not among them */
	health_take_report(0, &message, now_ns, &answer);
	assert_int_equal(tick(50), 0);
	assert_true(health_is_up(0));
}

static void drain_and_weights_by_api_come_first(void **state)
{
	uint32_t configured;

	(void)state;
	tick(50);
	report(1, 1);
	configured = tick(50);
	healths[0].weight = 50;
	assert_int_equal(tick(0), configured / 2);
	healths[0].is_drained = true;
	assert_int_equal(tick(0), 0);
	healths[0].is_drained = false;
	healths[0].weight = -1;
	assert_int_equal(tick(0), configured);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_down_until_it_reports_and_when_it_is_silent),
		TEST(a_report_of_this_very_moment_is_no_silence),
		TEST(believes_no_old_report),
		TEST(load_lowers_the_weight),
		TEST(services_that_are_not_ready_get_nothing),
		TEST(drain_and_weights_by_api_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
