/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * EAL, workers, graph and publication, really running in this process with ordinary memory. The
 * nodes are the test's own, under the names that the engine knows:
 *
 *	source -> origin_tag -+-> inspect -> origin_forward -> sink
 *	                      +--------------^
 */
#include "packet/engine/drop_count.h"
#include "packet/engine/eal.h"
#include "packet/engine/graph.h"
#include "packet/engine/handoff.h"
#include "packet/engine/node.h"
#include "packet/engine/pool.h"
#include "packet/engine/publish.h"
#include "packet/engine/publish_private.h"
#include "packet/engine/worker_control.h"

#include "base/clock.h"

#include <rte_memory.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/wait.h"

#define WORKERS      2
#define BURST        32
#define REBUILDS     1000
#define REBUILDS_NS  (10 * CLOCK_NS_PER_S) /* fewer rebuilds on a machine that is that slow */
#define WAKES        50
#define NAP_MAX_US   250
#define LONG_NAP_US  50000                 /* times eight for those who rest: 400 ms */
#define WAKES_MAX_NS (10 * CLOCK_NS_PER_S) /* half of what so many such naps last */

/* Atomic; per worker, written by it. */
static uint64_t produced[WORKERS_MAX], consumed[WORKERS_MAX];
static bool source_is_on;
static uv_loop_t loop;

extern struct rte_node_register drop_node, handoff_node, handoff_rx_node;
static uint64_t
	misplaced; /* atomic: packets inspected by a worker that does not own their pair of hosts */

/* What worker 0 says of a descriptor; all atomic. */
static int asked_fd = -1;
static int answer; /* worker_is_ready() of it, or -1: not asked yet */
static bool should_drain;

static void answer_of_descriptor(void)
{
	int fd = __atomic_load_n(&asked_fd, __ATOMIC_ACQUIRE);

	if (worker_index != 0 || fd < 0)
		return;
	if (__atomic_exchange_n(&should_drain, false, __ATOMIC_ACQ_REL))
		worker_set_drained(fd);
	__atomic_store_n(&answer, worker_is_ready(fd), __ATOMIC_RELEASE);
}

static uint16_t source_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	struct rte_mbuf *packets[BURST];

	(void)objects;
	(void)count;
	answer_of_descriptor();
	if (!__atomic_load_n(&source_is_on, __ATOMIC_RELAXED)
		|| rte_pktmbuf_alloc_bulk(packet_pool, packets, BURST) != 0)
		return 0;
	for (int i = 0; i < BURST; i++) {
		*packet_metadata(packets[i]) =
			(struct packet_metadata){.vlan = 1, .pair_hash = (uint32_t)i};
		node_forward(graph, node, 0, packets[i]);
	}
	__atomic_fetch_add(&produced[worker_index], BURST, __ATOMIC_RELAXED);
	return BURST;
}

static uint16_t forward_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		node_forward(graph, node, 0, objects[i]);
	return count;
}

static uint16_t inspect_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		if (packet_metadata(objects[i])->pair_hash % WORKERS != worker_index)
			__atomic_fetch_add(&misplaced, 1, __ATOMIC_RELAXED);
	return forward_process(graph, node, objects, count);
}

static uint16_t sink_process(
	struct rte_graph *graph, struct rte_node *node, void **objects, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		if (i % 2) {
			drop_mark(objects[i], DROP_tx_full);
			node_forward(graph, node, 1, objects[i]);
		} else {
			rte_pktmbuf_free(objects[i]);
		}
	}
	node_count_edge(node, 1, count / 2);
	__atomic_fetch_add(&consumed[worker_index], count, __ATOMIC_RELAXED);
	return count;
}

static struct rte_node_register source_node = {
	.name = "source",
	.flags = RTE_NODE_SOURCE_F,
	.process = source_process,
	.nb_edges = 1,
	.next_nodes = {"origin_tag"},
};
static struct rte_node_register test_origin_tag_node = {
	.name = "origin_tag",
	.process = forward_process,
	.nb_edges = 2,
	.next_nodes = {"origin_forward", "drop"},
};
static struct rte_node_register test_inspect_node = {
	.name = "inspect",
	.process = inspect_process,
	.nb_edges = 1,
	.next_nodes = {"origin_forward"},
};
static struct rte_node_register test_origin_forward_node = {
	.name = "origin_forward",
	.process = forward_process,
	.nb_edges = 1,
	.next_nodes = {"sink"},
};
static struct rte_node_register sink_node = {
	.name = "sink",
	.process = sink_process,
	.nb_edges = 2,
	.next_nodes = {"drop", "drop"},
};
static struct rte_node_register *const test_nodes[] = {&source_node, &test_origin_tag_node,
	&test_inspect_node, &test_origin_forward_node, &sink_node, &handoff_node, &handoff_rx_node,
	&drop_node, NULL};

static int set_up(void **state)
{
	json_t *config = json_pack("{s:{s:I, s:s}, s:{s:s}}", "packet", "memory",
		(json_int_t)(64 << 20), "hugepages", "off", "control", "socket", "/run/test.sock");
	struct workers_config workers = {.count = WORKERS,
		.cores = {WORKER_NO_CORE, WORKER_NO_CORE},
		.nap_max_us = NAP_MAX_US};
	struct eal_config eal_config;
	struct error error = {""};
	int status;

	(void)state;
	uv_loop_init(&loop);
	eal_config_read(config, &eal_config);
	json_decref(config);
	status = eal_start(&eal_config, &error);
	if (status == 0)
		status = pool_open(eal_config.memory_bytes, &error);
	if (status == 0)
		status = publish_open(&loop);
	if (status == 0)
		status = drop_open(WORKERS);
	if (status == 0)
		status = handoff_open(WORKERS);
	if (status == 0)
		status = graph_register(test_nodes, &error);
	if (status == 0)
		status = workers_start(&loop, &workers, &error);
	if (status < 0)
		fprintf(stderr, "%s\n", error.text);
	return status;
}

static int tear_down(void **state)
{
	(void)state;
	workers_stop();
	graph_close();
	handoff_close();
	publish_close();
	drop_close();
	pool_close();
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	eal_stop();
	return 0;
}

static void set_composition(bool has_inspection)
{
	struct graph_composition composition = {.has_inspection = has_inspection};
	struct error error;

	assert_int_equal(graph_prepare(&composition, &error), 0);
	graph_commit();
}

static void set_handoff(bool has_handoff)
{
	struct graph_composition composition = {
		.has_inspection = has_handoff, .has_handoff = has_handoff};
	struct error error;

	assert_int_equal(graph_prepare(&composition, &error), 0);
	graph_commit();
}

static uint64_t sum(const uint64_t *counters)
{
	uint64_t total = 0;

	for (int i = 0; i < WORKERS; i++)
		total += __atomic_load_n(&counters[i], __ATOMIC_RELAXED);
	return total;
}

static const struct graph_node_counters *counters_of(const char *name)
{
	static struct graph_node_counters rows[GRAPH_NODES_MAX];
	uint32_t count = graph_read(rows, GRAPH_NODES_MAX);

	for (uint32_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	fail_msg("no node %s", name);
	return NULL;
}

/* Also ends the walks that saw it on: then all they produced is consumed, or in a ring. */
static void stop_source(void)
{
	__atomic_store_n(&source_is_on, false, __ATOMIC_RELAXED);
	publish_wait();
}

/* G12 */
static void loses_no_packet_when_the_graph_is_rebuilt_under_load(void **state)
{
	uint64_t end_ns = clock_monotonic_ns() + REBUILDS_NS, inspected;

	(void)state;
	set_composition(false);
	__atomic_store_n(&source_is_on, true, __ATOMIC_RELAXED);
	for (int i = 0; i < REBUILDS && clock_monotonic_ns() < end_ns; i++)
		set_composition(i % 2 == 0);
	set_composition(true);
	assert_becomes(counters_of("inspect")->packets > 0);
	set_composition(false);
	assert_becomes(counters_of("inspect")->packets < sum(produced));
	stop_source();
	inspected = counters_of("inspect")->packets;
	assert_true(inspected > 0 && inspected < sum(produced));
	assert_int_equal(sum(produced), sum(consumed));
	assert_int_equal(counters_of("source")->packets, sum(produced));
	assert_int_equal(counters_of("origin_forward")->packets, sum(produced));
	assert_int_equal(counters_of("source")->edge_packets[0], sum(produced));
	assert_int_equal(rte_mempool_in_use_count(packet_pool), 0);
}

static void counts_edges_that_share_a_target_by_the_nodes_own_word(void **state)
{
	const struct graph_node_counters *sink = counters_of("sink");

	(void)state;
	assert_int_equal(sink->edge_packets[0], 0);
	assert_int_equal(sink->edge_packets[1], sum(produced) / 2);
}

static void counts_drops_by_reason_and_by_ingress_port(void **state)
{
	uint64_t dropped = drop_count(DROP_tx_full);

	(void)state;
	assert_int_equal(dropped, sum(produced) / 2);
	assert_int_equal(drop_count_of_port(0, DROP_tx_full), dropped);
	drop_forget_port(0);
	assert_int_equal(drop_count_of_port(0, DROP_tx_full), 0);
	assert_int_equal(drop_count(DROP_tx_full), dropped);
}

static void aborted_graph_leaves_the_running_one(void **state)
{
	struct graph_composition composition = {.has_inspection = true};
	uint32_t generation;
	struct error error;

	(void)state;
	set_composition(false);
	generation = graph_generation();
	assert_int_equal(graph_prepare(&composition, &error), 0);
	assert_true(graph_is_prepared());
	graph_abort();
	assert_int_equal(graph_generation(), generation);
	composition.has_inspection = false;
	assert_int_equal(graph_prepare(&composition, &error), 0);
	assert_false(graph_is_prepared());
}

/* Also packets that are under way between workers when the graph changes arrive. */
static void each_flow_is_inspected_by_the_worker_that_owns_it(void **state)
{
	(void)state;
	assert_int_equal(sum(produced), sum(consumed));
	__atomic_store_n(&misplaced, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&source_is_on, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 200; i++) {
		set_handoff(i % 2 == 0);
		usleep(i % 20 == 0 ? 2000 : 0);
	}
	set_handoff(true);
	assert_becomes(counters_of("handoff_rx")->packets > 0);
	set_handoff(false);
	stop_source();
	assert_becomes(rte_mempool_in_use_count(packet_pool) == 0);
	publish_wait(); /* the walk that freed the last one has counted it */
	assert_int_equal(__atomic_load_n(&misplaced, __ATOMIC_RELAXED), 0);
	assert_int_equal(sum(produced), sum(consumed) + drop_count(DROP_handoff_full));
}

static uint32_t destroyed;

static void count_destroyed(void *object)
{
	free(object);
	destroyed++;
}

static void frees_retired_objects_after_a_grace_period(void **state)
{
	(void)state;
	destroyed = 0;
	for (int i = 0; i < 100; i++)
		publish_retire(malloc(16), count_destroyed);
	assert_becomes((uv_run(&loop, UV_RUN_NOWAIT), destroyed == 100));
}

/* The numbers of one moment: they are counted one by one, also while they are read. */
static struct worker_statistics statistics_at_once(void)
{
	struct worker_statistics first, second;

	do {
		worker_read_statistics(0, &first);
		worker_read_statistics(0, &second);
	} while (first.walks != second.walks || first.naps != second.naps
		|| first.nap_ns != second.nap_ns);
	return second;
}

static void idle_workers_nap(void **state)
{
	struct worker_statistics before, after;

	(void)state;
	after = statistics_at_once();
	/* From 5 us doubled up to the longest. */
	assert_becomes((before = statistics_at_once(), before.naps > after.naps + 10));
	assert_becomes((after = statistics_at_once(), after.naps > before.naps + 100));
	/* A nap after each walk, and as long as it should be; one may be counted in part. */
	assert_true(after.walks - before.walks <= after.naps - before.naps + 2);
	assert_true(after.nap_ns - before.nap_ns
		>= (after.naps - before.naps - 2) * NAP_MAX_US * CLOCK_NS_PER_US);
}

static uint64_t walks_of_first(void)
{
	struct worker_statistics statistics;

	worker_read_statistics(0, &statistics);
	return statistics.walks;
}

/* Each byte is followed by a walk; were it the end of the nap that brings the walk, so many would
 * take twice as long as they may. */
static void descriptor_ends_a_nap_at_once(void **state)
{
	uint64_t started_ns;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	workers_set_nap_max(LONG_NAP_US);
	assert_int_equal(worker_watch(0, pipe_fds[0]), 0);
	usleep(2 * 8 * LONG_NAP_US); /* naps double up to there; shorter ones make it no stricter */
	started_ns = clock_monotonic_ns();
	for (int i = 0; i < WAKES; i++) {
		uint64_t before = walks_of_first();

		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		assert_becomes(walks_of_first() > before);
	}
	assert_true(clock_monotonic_ns() - started_ns < WAKES_MAX_NS);
	worker_unwatch(0, pipe_fds[0]);
	workers_set_nap_max(NAP_MAX_US);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static int answer_now(void)
{
	uint64_t walks = walks_of_first();

	assert_becomes(walks_of_first() > walks + 1);
	return __atomic_load_n(&answer, __ATOMIC_ACQUIRE);
}

static void drain_asked(void)
{
	__atomic_store_n(&should_drain, true, __ATOMIC_RELEASE);
	assert_becomes(!__atomic_load_n(&should_drain, __ATOMIC_ACQUIRE));
}

/* Whether the worker naps or is busy with packets. */
static void drained_descriptor_is_ready_when_something_arrives(void **state)
{
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(worker_watch(0, pipe_fds[0]), 0);
	__atomic_store_n(&asked_fd, pipe_fds[0], __ATOMIC_RELEASE);
	assert_true(answer_now());
	for (int is_busy = 0; is_busy <= 1; is_busy++) {
		__atomic_store_n(&source_is_on, is_busy, __ATOMIC_RELAXED);
		drain_asked();
		assert_false(answer_now());
		assert_int_equal(write(pipe_fds[1], "x", 1), 1);
		assert_becomes(answer_now());
	}
	__atomic_store_n(&source_is_on, false, __ATOMIC_RELAXED);
	__atomic_store_n(&asked_fd, -1, __ATOMIC_RELEASE);
	worker_unwatch(0, pipe_fds[0]);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static int count_absent(const struct rte_memseg_list *list, void *context)
{
	size_t pages = list->len / (size_t)sysconf(_SC_PAGESIZE), *absent = context;
	unsigned char *is_there = test_calloc(pages, 1);

	if (pages > 0)
		assert_int_equal(mincore(list->base_va, list->len, is_there), 0);
	for (size_t i = 0; i < pages; i++)
		*absent += !(is_there[i] & 1);
	test_free(is_there);
	return 0;
}

/* A packet must not wait for a page, nor a worker be killed where there is none. */
static void all_memory_is_there_from_the_start(void **state)
{
	size_t absent = 0;

	(void)state;
	rte_memseg_list_walk(count_absent, &absent);
	assert_int_equal(absent, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_memory_is_there_from_the_start),
		cmocka_unit_test(loses_no_packet_when_the_graph_is_rebuilt_under_load),
		cmocka_unit_test(counts_edges_that_share_a_target_by_the_nodes_own_word),
		cmocka_unit_test(counts_drops_by_reason_and_by_ingress_port),
		cmocka_unit_test(aborted_graph_leaves_the_running_one),
		cmocka_unit_test(each_flow_is_inspected_by_the_worker_that_owns_it),
		cmocka_unit_test(frees_retired_objects_after_a_grace_period),
		cmocka_unit_test(idle_workers_nap),
		cmocka_unit_test(descriptor_ends_a_nap_at_once),
		cmocka_unit_test(drained_descriptor_is_ready_when_something_arrives),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
