/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers' loop. A walk that received nothing is followed by others for SPIN_NS, since the next
 * packet of a conversation is often near; then by naps that double up to nap-max. A nap waits on
 * descriptors too (worker_watch()), so that traffic of kernel devices ends it at once; a worker
 * that does not nap asks for them all, with one system call, every LOOK_US. While it naps a worker
 * is offline for publication.
 */
#include "packet/engine/worker.h"

#include "base/clock.h"
#include "packet/engine/graph.h"
#include "packet/engine/publish_private.h"
#include "packet/engine/worker_control.h"

#include <errno.h>
#include <pthread.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS        (20 * CLOCK_NS_PER_US)
#define NAP_MIN_NS     (5 * CLOCK_NS_PER_US)
#define REST_AFTER_NS  (500 * CLOCK_NS_PER_MS)
#define REST_FACTOR    8
#define TIMER_SLACK_NS 1000 /* the kernel's default of 50 us would be most of a nap */
#define HANDLERS_MAX   16
#define EVENTS_MAX     64 /* of one look; the rest comes with the next */
/* How long arrivals at a kernel device may go unnoticed by a busy worker. A system call costs about
 * 300 ns. */
#define LOOK_NS (10 * CLOCK_NS_PER_US)
/* Those above are asked without being ready: a port needs one, and there are PORTS_MAX. */
#define DESCRIPTORS_MAX 65536

struct worker {
	/* The worker's own. */
	struct worker_statistics statistics; /* read by the control thread, relaxed */
	bool is_napping;                     /* read by other workers */
	bool wants_control;
	uint32_t wants_awake;              /* bit set of workers */
	bool has_news __rte_cache_aligned; /* set by other workers, taken by the worker */
	/* Written by the control thread, read by the worker. */
	struct graph *graph __rte_cache_aligned; /* NULL: stand by */
	bool should_stop;
	uint64_t nap_max_ns;
	/* Constant while the thread runs. */
	uint16_t index;
	int core;
	int epoll_fd, wake_fd;
	pthread_t thread;
	/* The thread's report on its start: under start_lock. */
	int start_status; /* 1: not yet */
};

__thread uint16_t worker_index = WORKERS_MAX;

__thread struct worker_readiness worker_readiness;

static struct worker workers[WORKERS_MAX];
static uint16_t count; /* control thread; workers while they run */

static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t start_changed = PTHREAD_COND_INITIALIZER;

/* Control thread. */
static struct {
	void (*handle)(void *context);
	void *context;
} handlers[HANDLERS_MAX];
static uint32_t handler_count;
static uv_async_t control_async;
static bool has_async;

uint16_t worker_count(void)
{
	return count;
}

void worker_notify_control(void)
{
	workers[worker_index].wants_control = true;
}

void worker_wake(uint16_t index)
{
	workers[worker_index].wants_awake |= 1U << index;
}

int worker_add_control_handler(void (*handle)(void *context), void *context)
{
	if (handler_count == HANDLERS_MAX)
		return -ENOSPC;
	handlers[handler_count].handle = handle;
	handlers[handler_count].context = context;
	handler_count++;
	return 0;
}

static void on_control_wanted(uv_async_t *async)
{
	for (uint32_t i = 0; i < handler_count; i++)
		handlers[i].handle(handlers[i].context);
}

int worker_watch(uint16_t index, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	if (index >= count)
		return -ENOENT;
	return epoll_ctl(workers[index].epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void worker_unwatch(uint16_t index, int fd)
{
	if (index < count)
		epoll_ctl(workers[index].epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* An event of a descriptor that is closed by now makes one that has its number be asked once. */
static void take_events(struct worker *worker, const struct epoll_event *events, int event_count)
{
	uint64_t wakes;

	for (int i = 0; i < event_count; i++) {
		int fd = events[i].data.fd;

		if (fd == worker->wake_fd) {
			if (read(fd, &wakes, sizeof(wakes)) < 0)
				continue; /* taken already; edge-triggered, so harmless */
		} else if (fd < worker_readiness.count) {
			worker_readiness.drained[fd / 64] &= ~(1ULL << (fd % 64));
		}
	}
}

/* What arrived, without waiting. */
static void look(struct worker *worker)
{
	struct epoll_event events[EVENTS_MAX];

	take_events(worker, events, epoll_wait(worker->epoll_fd, events, EVENTS_MAX, 0));
}

static void wake(struct worker *worker)
{
	uint64_t one = 1;

	if (write(worker->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

/* Relaxed: statistics of the worker's own, read by worker_read_statistics(). */
#define COUNT(field, value) __atomic_store_n(&(field), (field) + (value), __ATOMIC_RELAXED)

static void nap(struct worker *worker, uint64_t nap_ns)
{
	struct timespec timeout = {.tv_sec = (time_t)(nap_ns / CLOCK_NS_PER_S),
		.tv_nsec = (long)(nap_ns % CLOCK_NS_PER_S)};
	struct epoll_event events[EVENTS_MAX];
	uint64_t started_ns = clock_monotonic_ns();
	int ready;

	/* In one order with those of tell_others(): either the other sees the nap, or its news are
	 * seen here. */
	__atomic_store_n(&worker->is_napping, true, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&worker->has_news, false, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&worker->is_napping, false, __ATOMIC_RELAXED);
		return;
	}
	rte_rcu_qsbr_thread_offline(publish_rcu, worker->index);
	ready = epoll_pwait2(worker->epoll_fd, events, EVENTS_MAX, &timeout, NULL);
	if (unlikely(ready < 0 && errno == ENOSYS)) {
		nanosleep(&timeout, NULL); /* Linux before 5.11: no wake-up by descriptors */
		ready = epoll_wait(worker->epoll_fd, events, EVENTS_MAX, 0);
	}
	rte_rcu_qsbr_thread_online(publish_rcu, worker->index);
	__atomic_store_n(&worker->is_napping, false, __ATOMIC_RELAXED);
	take_events(worker, events, ready);
	COUNT(worker->statistics.naps, 1);
	COUNT(worker->statistics.nap_ns, clock_monotonic_ns() - started_ns);
}

/* The system calls that nodes asked for: between two walks. */
static void tell_others(struct worker *worker)
{
	if (worker->wants_control) {
		worker->wants_control = false;
		uv_async_send(&control_async);
	}
	for (; worker->wants_awake; worker->wants_awake &= worker->wants_awake - 1) {
		struct worker *other = &workers[__builtin_ctz(worker->wants_awake)];

		/* Pairs with nap(). */
		__atomic_store_n(&other->has_news, true, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&other->is_napping, __ATOMIC_SEQ_CST))
			wake(other);
	}
}

/* Idleness, of the worker's own. */
struct idleness {
	uint64_t since; /* TSC of the first walk without packets; 0: there was none yet */
	uint64_t nap_ns;
	uint64_t looked; /* TSC when descriptors were asked for */
	uint64_t spin_cycles, rest_cycles, look_cycles;
};

/* What follows a walk without packets. */
static void idle(struct worker *worker, struct idleness *idleness)
{
	/* Relaxed: any value of the recent past will do. */
	uint64_t nap_max_ns = __atomic_load_n(&worker->nap_max_ns, __ATOMIC_RELAXED);
	uint64_t now = rte_rdtsc();

	if (idleness->since == 0) {
		idleness->since = now;
		idleness->nap_ns = NAP_MIN_NS;
	}
	if (now - idleness->since < idleness->spin_cycles || nap_max_ns == 0) {
		rte_pause();
		return;
	}
	if (now - idleness->since > idleness->rest_cycles)
		nap_max_ns *= REST_FACTOR;
	if (idleness->nap_ns > nap_max_ns)
		idleness->nap_ns = nap_max_ns;
	nap(worker, idleness->nap_ns);
	idleness->nap_ns *= 2;
	idleness->looked = rte_rdtsc();
}

static void run(struct worker *worker)
{
	struct idleness idleness = {
		.spin_cycles = rte_get_tsc_hz() / (CLOCK_NS_PER_S / SPIN_NS),
		.rest_cycles = rte_get_tsc_hz() / (CLOCK_NS_PER_S / REST_AFTER_NS),
		.look_cycles = rte_get_tsc_hz() / (CLOCK_NS_PER_S / LOOK_NS),
	};

	/* Acquire; pairs with the release in workers_stop(). */
	while (!__atomic_load_n(&worker->should_stop, __ATOMIC_ACQUIRE)) {
		/* Acquire; pairs with the exchange in worker_swap_graph(). */
		struct graph *graph = __atomic_load_n(&worker->graph, __ATOMIC_ACQUIRE);
		uint64_t started = rte_rdtsc();
		uint32_t packets;

		if (started - idleness.looked > idleness.look_cycles) {
			look(worker);
			idleness.looked = started;
		}
		packets = graph ? graph_walk(graph) : 0;

		rte_rcu_qsbr_quiescent(publish_rcu, worker->index);
		COUNT(worker->statistics.walks, 1);
		if (unlikely(worker->wants_control || worker->wants_awake))
			tell_others(worker);
		if (packets == 0) {
			idle(worker, &idleness);
			continue;
		}
		idleness.since = 0;
		COUNT(worker->statistics.packets, packets);
		COUNT(worker->statistics.busy_cycles, rte_rdtsc() - started);
	}
}

static void report_start(struct worker *worker, int status)
{
	pthread_mutex_lock(&start_lock);
	worker->start_status = status;
	pthread_cond_signal(&start_changed);
	pthread_mutex_unlock(&start_lock);
}

/* Without memory, and above the bound, descriptors count as ready. */
static void open_readiness(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	worker_readiness.count = (int)RTE_MIN(limit.rlim_cur, (rlim_t)DESCRIPTORS_MAX);
	worker_readiness.drained =
		calloc((size_t)worker_readiness.count / 64 + 1, sizeof(*worker_readiness.drained));
	if (!worker_readiness.drained)
		worker_readiness.count = 0;
}

static void *worker_main(void *argument)
{
	struct worker *worker = argument;
	char name[16]; /* pthread_setname_np(3) */

	worker_index = worker->index;
	snprintf(name, sizeof(name), "worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	if (rte_thread_register() < 0) {
		report_start(worker, -rte_errno);
		return NULL;
	}
	rte_rcu_qsbr_thread_register(publish_rcu, worker->index);
	rte_rcu_qsbr_thread_online(publish_rcu, worker->index);
	open_readiness();
	report_start(worker, 0);
	run(worker);
	free(worker_readiness.drained);
	rte_rcu_qsbr_thread_offline(publish_rcu, worker->index);
	rte_rcu_qsbr_thread_unregister(publish_rcu, worker->index);
	rte_thread_unregister();
	return NULL;
}

static int open_descriptors(struct worker *worker)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	worker->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event.data.fd = worker->wake_fd;
	if (worker->epoll_fd < 0 || worker->wake_fd < 0
		|| epoll_ctl(worker->epoll_fd, EPOLL_CTL_ADD, worker->wake_fd, &event) < 0)
		return -errno;
	return 0;
}

static void close_descriptors(struct worker *worker)
{
	if (worker->epoll_fd >= 0)
		close(worker->epoll_fd);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	worker->epoll_fd = worker->wake_fd = -1;
}

static int create_thread(struct worker *worker)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	cpu_set_t set;
	int status;

	pthread_attr_init(&attributes);
	if (worker->core != WORKER_NO_CORE) {
		CPU_ZERO(&set);
		CPU_SET(worker->core, &set);
		pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
	}
	/* Signals are the control thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	status = -pthread_create(&worker->thread, &attributes, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return status;
}

static int start_one(struct worker *worker, struct error *error)
{
	int status = open_descriptors(worker);

	if (status == 0)
		status = create_thread(worker);
	if (status < 0) {
		close_descriptors(worker);
		return error_set(error, status, "cannot start worker %u%s: %s", worker->index,
			worker->core == WORKER_NO_CORE ? "" : " on its core (packet.cores)",
			strerror(-status));
	}
	pthread_mutex_lock(&start_lock);
	while (worker->start_status == 1)
		pthread_cond_wait(&start_changed, &start_lock);
	status = worker->start_status;
	pthread_mutex_unlock(&start_lock);
	if (status < 0) {
		pthread_join(worker->thread, NULL);
		close_descriptors(worker);
		return error_set(error, status, "worker %u: DPDK takes no more threads: %s",
			worker->index, strerror(-status));
	}
	return 0;
}

static void stop_one(struct worker *worker)
{
	/* Release; pairs with the acquire in run(). */
	__atomic_store_n(&worker->should_stop, true, __ATOMIC_RELEASE);
	wake(worker);
	pthread_join(worker->thread, NULL);
	close_descriptors(worker);
}

int workers_start(uv_loop_t *loop, const struct workers_config *config, struct error *error)
{
	int status = uv_async_init(loop, &control_async, on_control_wanted);

	if (status < 0)
		return error_set(
			error, status, "cannot wake the control thread: %s", uv_strerror(status));
	has_async = true;
	for (count = 0; count < config->count; count++) {
		struct worker *worker = &workers[count];

		*worker = (struct worker){
			.index = count,
			.core = config->cores[count],
			.nap_max_ns = config->nap_max_us * CLOCK_NS_PER_US,
			.epoll_fd = -1,
			.wake_fd = -1,
			.start_status = 1,
		};
		worker->statistics.core = worker->core;
		status = start_one(worker, error);
		if (status < 0) {
			workers_stop();
			return status;
		}
	}
	return 0;
}

void workers_stop(void)
{
	while (count > 0)
		stop_one(&workers[--count]);
	if (has_async)
		uv_close((uv_handle_t *)&control_async, NULL);
	has_async = false;
	handler_count = 0;
}

void workers_set_nap_max(uint32_t nap_max_us)
{
	for (uint16_t i = 0; i < count; i++)
		/* Relaxed; pairs with idle(). */
		__atomic_store_n(
			&workers[i].nap_max_ns, nap_max_us * CLOCK_NS_PER_US, __ATOMIC_RELAXED);
}

struct graph *worker_swap_graph(uint16_t index, struct graph *graph)
{
	/* Release of the new graph's contents; pairs with the acquire in run(). */
	return __atomic_exchange_n(&workers[index].graph, graph, __ATOMIC_ACQ_REL);
}

void worker_read_statistics(uint16_t index, struct worker_statistics *out)
{
	const struct worker_statistics *from = &workers[index].statistics;

	out->core = from->core;
	/* Relaxed; pairs with COUNT(). */
	out->walks = __atomic_load_n(&from->walks, __ATOMIC_RELAXED);
	out->packets = __atomic_load_n(&from->packets, __ATOMIC_RELAXED);
	out->busy_cycles = __atomic_load_n(&from->busy_cycles, __ATOMIC_RELAXED);
	out->naps = __atomic_load_n(&from->naps, __ATOMIC_RELAXED);
	out->nap_ns = __atomic_load_n(&from->nap_ns, __ATOMIC_RELAXED);
}
