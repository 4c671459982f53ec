/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/lane.h"

#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LANE_EVENTS 64
/* Rounds between two looks at the clock, and at the bells of routes that sleep. Powers of two. */
#define LANE_CLOCK_ROUNDS 16
#define LANE_BELL_ROUNDS  32
#define LANE_NAP_MAX_MS   100

struct lane {
	pthread_t thread;
	uint64_t poll_ns;
	int epoll, bell;
	void (*failed)(void *context);
	void *context;
	struct secret *scratch; /* of struct stamp */
	/* Written by the lane, and by the control thread while the lane rests. */
	struct route **active;
	uint32_t active_count, route_count, capacity;
	bool is_over;
	uint64_t now_ns;
	/* Written by the control thread: the lane shall rest. */
	uint32_t is_wanted;
	sem_t resting, resumed;
	struct lane_counts counts; /* written by the lane, read by the control thread */
};

static void lane_wait(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0)
		; /* a signal */
}

static inline void lane_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void lane_activate(struct lane *lane, struct route *route)
{
	if (route->is_active || route->failure)
		return;
	route_disarm(route);
	route->is_active = true;
	route->idle_since_ns = 0;
	lane->active[lane->active_count++] = route;
}

static void lane_deactivate(struct lane *lane, uint32_t index)
{
	lane->active[index]->is_active = false;
	lane->active[index] = lane->active[--lane->active_count];
}

/* Looks at the bells, and waits for them up to timeout_ms. */
static void lane_listen(struct lane *lane, int timeout_ms)
{
	struct epoll_event events[LANE_EVENTS];
	int count = epoll_wait(lane->epoll, events, LANE_EVENTS, timeout_ms);
	uint64_t ignored;

	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			lane_activate(lane, events[i].data.ptr);
		else if (read(lane->bell, &ignored, sizeof(ignored)) < 0)
			continue; /* it was rung for what is done already */
	}
	lane->now_ns = clock_monotonic_ns();
}

/* Whether the route was idle for so long that it sleeps now. */
static bool lane_is_asleep(const struct lane *lane, struct route *route)
{
	if (route->idle_since_ns == 0) {
		route->idle_since_ns = lane->now_ns;
		if (lane->poll_ns > 0)
			return false;
	}
	return lane->now_ns - route->idle_since_ns >= lane->poll_ns && route_arm(route);
}

struct lane_round {
	bool has_moved;
	uint32_t throttled;
	uint64_t due_ns; /* the earliest of the throttled */
};

static void lane_round_throttled(struct lane_round *round, const struct route *route)
{
	round->throttled++;
	if (route->due_ns < round->due_ns)
		round->due_ns = route->due_ns;
}

/* One turn of each active route. Backward, since a route that goes is replaced by the last. */
static struct lane_round lane_round(struct lane *lane)
{
	struct lane_round round = {.due_ns = UINT64_MAX};
	struct stamp *scratch = secret_bytes(lane->scratch);

	for (uint32_t i = lane->active_count; i-- > 0;) {
		struct route *route = lane->active[i];

		switch (route_move(route, scratch, lane->now_ns)) {
		case ROUTE_MOVED:
			route->idle_since_ns = 0;
			round.has_moved = true;
			break;
		case ROUTE_THROTTLED:
			lane_round_throttled(&round, route);
			break;
		case ROUTE_FAILED:
			lane_deactivate(lane, i);
			lane->failed(lane->context);
			break;
		case ROUTE_IDLE:
		case ROUTE_BLOCKED:
			if (lane_is_asleep(lane, route))
				lane_deactivate(lane, i);
		}
	}
	return round;
}

static void lane_sleep(struct lane *lane, int timeout_ms)
{
	__atomic_store_n(&lane->counts.sleeps, lane->counts.sleeps + 1, __ATOMIC_RELAXED);
	lane_listen(lane, timeout_ms);
}

static int lane_nap_ms(const struct lane *lane, uint64_t due_ns)
{
	uint64_t left_ns = due_ns - lane->now_ns - ROUTE_BURST_NS;

	return left_ns > LANE_NAP_MAX_MS * CLOCK_NS_PER_MS ? LANE_NAP_MAX_MS
							   : (int)(left_ns / CLOCK_NS_PER_MS) + 1;
}

static void lane_after(struct lane *lane, const struct lane_round *round)
{
	uint64_t rounds = lane->counts.rounds;

	__atomic_store_n(&lane->counts.rounds, rounds + 1, __ATOMIC_RELAXED);
	if (lane->active_count == 0) {
		lane_sleep(lane, -1);
	} else if (round->throttled == lane->active_count) {
		lane_sleep(lane, lane_nap_ms(lane, round->due_ns));
	} else if (lane->active_count < lane->route_count && rounds % LANE_BELL_ROUNDS == 0) {
		lane_listen(lane, 0);
	} else {
		if (rounds % LANE_CLOCK_ROUNDS == 0)
			lane->now_ns = clock_monotonic_ns();
		if (!round->has_moved)
			lane_relax();
	}
}

static void *lane_main(void *argument)
{
	struct lane *lane = argument;

	lane->now_ns = clock_monotonic_ns();
	for (;;) {
		struct lane_round round;

		/* Acquire: of what control wrote before it rang; the semaphores order the rest. */
		if (__atomic_load_n(&lane->is_wanted, __ATOMIC_ACQUIRE)) {
			sem_post(&lane->resting);
			lane_wait(&lane->resumed);
			if (lane->is_over)
				return NULL;
			lane->now_ns = clock_monotonic_ns();
		}
		round = lane_round(lane);
		lane_after(lane, &round);
	}
}

/* --- The control thread --- */

/* Until lane_resume() the lane's state is the caller's. */
static void lane_rest(struct lane *lane)
{
	uint64_t one = 1;

	__atomic_store_n(&lane->is_wanted, 1, __ATOMIC_RELEASE);
	while (write(lane->bell, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	lane_wait(&lane->resting);
}

static void lane_resume(struct lane *lane)
{
	__atomic_store_n(&lane->is_wanted, 0, __ATOMIC_RELEASE);
	sem_post(&lane->resumed);
}

static int lane_pin(pthread_attr_t *attributes, int core, struct error *error)
{
	cpu_set_t set;
	int code;

	if (core < 0)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	code = pthread_attr_setaffinity_np(attributes, sizeof(set), &set);
	return code ? error_set(error, -code, "channels.cores: core %d: %s", core, strerror(code))
		    : 0;
}

/* Signals are the loop's. */
static int lane_create_thread(struct lane *lane, int core, struct error *error)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int status;

	pthread_attr_init(&attributes);
	status = lane_pin(&attributes, core, error);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (status == 0)
		status = -pthread_create(&lane->thread, &attributes, lane_main, lane);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (status < 0 && !error->text[0])
		error_set(error, status, "channels.cores: a thread on core %d: %s", core,
			strerror(-status));
	return status;
}

static void lane_destroy(struct lane *lane)
{
	if (lane->epoll >= 0)
		close(lane->epoll);
	if (lane->bell >= 0)
		close(lane->bell);
	sem_destroy(&lane->resting);
	sem_destroy(&lane->resumed);
	secret_destroy(lane->scratch);
	free(lane->active);
	free(lane);
}

static int lane_open(struct lane *lane)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	lane->epoll = epoll_create1(EPOLL_CLOEXEC);
	lane->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	lane->scratch = secret_create(sizeof(struct stamp));
	if (lane->epoll < 0 || lane->bell < 0 || !lane->scratch
		|| epoll_ctl(lane->epoll, EPOLL_CTL_ADD, lane->bell, &event) < 0)
		return -errno;
	return 0;
}

int lane_start(int core, uint64_t poll_ns, void (*failed)(void *context), void *context,
	struct lane **out, struct error *error)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	int status;

	error->text[0] = '\0';
	if (!lane)
		return error_set(error, -ENOMEM, "channels: no memory left");
	lane->poll_ns = poll_ns;
	lane->failed = failed;
	lane->context = context;
	sem_init(&lane->resting, 0, 0);
	sem_init(&lane->resumed, 0, 0);
	status = lane_open(lane);
	if (status < 0)
		error_set(error, status, "channels: a thread's descriptors: %s", strerror(-status));
	else
		status = lane_create_thread(lane, core, error);
	if (status < 0) {
		lane_destroy(lane);
		return status;
	}
	*out = lane;
	return 0;
}

void lane_stop(struct lane *lane)
{
	if (!lane)
		return;
	lane_rest(lane);
	for (uint32_t i = 0; i < lane->active_count; i++)
		lane->active[i]->is_active = false;
	lane->is_over = true;
	lane_resume(lane);
	pthread_join(lane->thread, NULL);
	lane_destroy(lane);
}

static int lane_grow(struct lane *lane)
{
	uint32_t capacity = lane->capacity ? 2 * lane->capacity : 16;
	struct route **larger;

	if (lane->route_count < lane->capacity)
		return 0;
	larger = realloc(lane->active, capacity * sizeof(struct route *));
	if (!larger)
		return -ENOMEM;
	lane->active = larger;
	lane->capacity = capacity;
	return 0;
}

/* Edge-triggered: a bell is never read, and each ring is an edge. */
static int lane_watch(struct lane *lane, struct route *route)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = route};

	if (epoll_ctl(lane->epoll, EPOLL_CTL_ADD, route->sender.bell, &event) < 0)
		return -errno;
	if (epoll_ctl(lane->epoll, EPOLL_CTL_ADD, route->receiver.bell, &event) < 0) {
		int why = -errno;

		epoll_ctl(lane->epoll, EPOLL_CTL_DEL, route->sender.bell, NULL);
		return why;
	}
	return 0;
}

int lane_add(struct lane *lane, struct route *route)
{
	int status;

	lane_rest(lane);
	status = lane_grow(lane);
	if (status == 0)
		status = lane_watch(lane, route);
	if (status == 0) {
		route->is_active = false;
		lane->route_count++;
		lane_activate(lane, route);
	}
	lane_resume(lane);
	return status;
}

static void lane_forget(struct lane *lane, struct route *route)
{
	for (uint32_t i = 0; i < lane->active_count; i++)
		if (lane->active[i] == route) {
			lane_deactivate(lane, i);
			break;
		}
	epoll_ctl(lane->epoll, EPOLL_CTL_DEL, route->sender.bell, NULL);
	epoll_ctl(lane->epoll, EPOLL_CTL_DEL, route->receiver.bell, NULL);
	lane->route_count--;
}

/* What was published when it began, and no more: the memory may be another process's, too, which
 * would never come to an end. */
static void lane_move_rest(struct lane *lane, struct route *route)
{
	uint64_t end = __atomic_load_n(&route->from.view.shared->tail, __ATOMIC_ACQUIRE);
	uint64_t left = end - route->from.head;

	while (end - route->from.head <= left && end != route->from.head)
		if (route_move(route, secret_bytes(lane->scratch), lane->now_ns) != ROUTE_MOVED)
			break;
}

void lane_remove(struct lane *lane, struct route *route, bool with_rest)
{
	lane_rest(lane);
	if (with_rest)
		lane_move_rest(lane, route);
	lane_forget(lane, route);
	lane_resume(lane);
}

void lane_count(const struct lane *lane, struct lane_counts *out)
{
	out->rounds = __atomic_load_n(&lane->counts.rounds, __ATOMIC_RELAXED);
	out->sleeps = __atomic_load_n(&lane->counts.sleeps, __ATOMIC_RELAXED);
	out->routes = lane->route_count;
}
