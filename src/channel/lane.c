/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/lane.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LANE_EVENTS 64
/* Rounds between two looks at the clock, and at the bells of members that sleep. Powers of two. */
#define LANE_CLOCK_ROUNDS 16
#define LANE_BELL_ROUNDS  32
#define LANE_NAP_MAX_MS   100

struct lane {
	pthread_t thread;
	uint64_t poll_ns;
	int epoll, bell;
	void (*notify)(void *context);
	void *context;
	struct secret *scratch; /* of struct stamp */
	/* Written by the lane, and by the control thread while the lane rests. */
	struct lane_member **active;
	uint32_t active_count, member_count, capacity;
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

void lane_activate(struct lane_member *member)
{
	struct lane *lane = member->lane;

	if (member->is_active || member->has_failed)
		return;
	member->ops->disarm(member);
	member->is_active = true;
	member->idle_since_ns = 0;
	lane->active[lane->active_count++] = member;
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
			lane_activate(events[i].data.ptr);
		else if (read(lane->bell, &ignored, sizeof(ignored)) < 0)
			continue; /* it was rung for what is done already */
	}
	lane->now_ns = clock_monotonic_ns();
}

/* Whether the member was idle for so long that it sleeps now. */
static bool lane_is_asleep(const struct lane *lane, struct lane_member *member)
{
	if (member->idle_since_ns == 0) {
		member->idle_since_ns = lane->now_ns;
		if (lane->poll_ns > 0)
			return false;
	}
	return lane->now_ns - member->idle_since_ns >= lane->poll_ns && member->ops->arm(member);
}

struct lane_round {
	bool has_moved;
	uint32_t throttled;
	uint64_t due_ns; /* the earliest of the throttled */
};

static void lane_round_throttled(struct lane_round *round, const struct lane_member *member)
{
	round->throttled++;
	if (member->due_ns < round->due_ns)
		round->due_ns = member->due_ns;
}

/* One turn of each active member. Backward, since a member that goes is replaced by the last; those
 * that members activate are behind, and get their turn in the next round. */
static struct lane_round lane_round(struct lane *lane)
{
	struct lane_round round = {.due_ns = UINT64_MAX};
	struct stamp *scratch = secret_bytes(lane->scratch);

	for (uint32_t i = lane->active_count; i-- > 0;) {
		struct lane_member *member = lane->active[i];

		switch (member->ops->move(member, scratch, lane->now_ns)) {
		case LANE_MOVED:
			member->idle_since_ns = 0;
			round.has_moved = true;
			break;
		case LANE_THROTTLED:
			lane_round_throttled(&round, member);
			break;
		case LANE_FAILED:
			member->has_failed = true;
			lane_deactivate(lane, i);
			lane->notify(lane->context);
			break;
		case LANE_IDLE:
		case LANE_BLOCKED:
			if (lane_is_asleep(lane, member))
				lane_deactivate(lane, i);
		}
	}
	return round;
}

void lane_notify(const struct lane *lane)
{
	lane->notify(lane->context);
}

static void lane_sleep(struct lane *lane, int timeout_ms)
{
	__atomic_store_n(&lane->counts.sleeps, lane->counts.sleeps + 1, __ATOMIC_RELAXED);
	lane_listen(lane, timeout_ms);
}

static int lane_nap_ms(const struct lane *lane, uint64_t due_ns)
{
	uint64_t left_ns = due_ns - lane->now_ns - LANE_BURST_NS;

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
	} else if (lane->active_count < lane->member_count && rounds % LANE_BELL_ROUNDS == 0) {
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

void lane_pause(struct lane *lane)
{
	uint64_t one = 1;

	__atomic_store_n(&lane->is_wanted, 1, __ATOMIC_RELEASE);
	while (write(lane->bell, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	lane_wait(&lane->resting);
}

void lane_resume(struct lane *lane)
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

int lane_start(int core, uint64_t poll_ns, void (*notify)(void *context), void *context,
	struct lane **out, struct error *error)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	int status;

	error->text[0] = '\0';
	if (!lane)
		return error_set(error, -ENOMEM, "channels: no memory left");
	lane->poll_ns = poll_ns;
	lane->notify = notify;
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
	lane_pause(lane);
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
	struct lane_member **larger;

	if (lane->member_count < lane->capacity)
		return 0;
	larger = realloc(lane->active, capacity * sizeof(struct lane_member *));
	if (!larger)
		return -ENOMEM;
	lane->active = larger;
	lane->capacity = capacity;
	return 0;
}

static void lane_unwatch(struct lane *lane, const struct lane_member *member)
{
	for (int i = 0; i < LANE_BELLS_MAX; i++)
		if (member->bells[i] >= 0)
			epoll_ctl(lane->epoll, EPOLL_CTL_DEL, member->bells[i], NULL);
}

/* Edge-triggered: a bell is never read, and each ring is an edge. */
static int lane_watch(struct lane *lane, struct lane_member *member)
{
	struct epoll_event event = {.events = member->bell_events | EPOLLET, .data.ptr = member};

	for (int i = 0; i < LANE_BELLS_MAX; i++)
		if (member->bells[i] >= 0
			&& epoll_ctl(lane->epoll, EPOLL_CTL_ADD, member->bells[i], &event) < 0) {
			int why = -errno;

			lane_unwatch(lane, member);
			return why;
		}
	return 0;
}

int lane_add(struct lane *lane, struct lane_member *member)
{
	int status;

	lane_pause(lane);
	status = lane_grow(lane);
	if (status == 0)
		status = lane_watch(lane, member);
	if (status == 0) {
		member->lane = lane;
		member->is_active = false;
		lane->member_count++;
		lane_activate(member);
	}
	lane_resume(lane);
	return status;
}

static void lane_forget(struct lane *lane, struct lane_member *member)
{
	for (uint32_t i = 0; i < lane->active_count; i++)
		if (lane->active[i] == member) {
			lane_deactivate(lane, i);
			break;
		}
	lane_unwatch(lane, member);
	lane->member_count--;
}

void lane_remove(struct lane_member *member, bool with_rest)
{
	struct lane *lane = member->lane;

	lane_pause(lane);
	if (with_rest && member->ops->move_rest)
		member->ops->move_rest(member, secret_bytes(lane->scratch), lane->now_ns);
	/* Its key was there. */
	explicit_bzero(secret_bytes(lane->scratch), sizeof(struct stamp));
	lane_forget(lane, member);
	lane_resume(lane);
}

void lane_count(const struct lane *lane, struct lane_counts *out)
{
	out->rounds = __atomic_load_n(&lane->counts.rounds, __ATOMIC_RELAXED);
	out->sleeps = __atomic_load_n(&lane->counts.sleeps, __ATOMIC_RELAXED);
	out->members = lane->member_count;
}
