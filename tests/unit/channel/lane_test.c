/* SPDX-License-Identifier: BSD-3-Clause */
/* Lanes: members get turns while they have something to do, sleep, are woken, and go (C9). */
#include "channel/lane.h"

#include "tests/unit/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

/* A member with work to do: its owner adds some and rings, the lane takes it. Words are read and
 * written relaxed by both. */
struct worker {
	struct lane_member member;
	uint32_t work, done, turns, rest;
	uint32_t result; /* enum lane_result of a turn without work */
	uint32_t armed;
	struct worker *wakes; /* another one, which gets turns with each piece of work */
};

static struct {
	struct lane *lane;
	struct worker first, second;
	uint32_t notified;
} world;

static uint32_t look(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void set(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static enum lane_result move(struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	struct worker *worker = (struct worker *)(void *)member;

	set(&worker->turns, worker->turns + 1);
	if (look(&worker->work) == worker->done)
		return (enum lane_result)look(&worker->result);
	set(&worker->done, worker->done + 1);
	if (worker->wakes)
		lane_activate(&worker->wakes->member);
	return LANE_MOVED;
}

static bool arm(struct lane_member *member)
{
	struct worker *worker = (struct worker *)(void *)member;

	set(&worker->armed, 1);
	/* The exchange of a real member's word: who adds work behind it rings. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return look(&worker->work) == worker->done;
}

static void disarm(struct lane_member *member)
{
	set(&((struct worker *)(void *)member)->armed, 0);
}

static void move_rest(struct lane_member *member, struct stamp *scratch, uint64_t now_ns)
{
	set(&((struct worker *)(void *)member)->rest, 1);
}

static const struct lane_ops ops = {move, arm, disarm, move_rest};

static void on_notify(void *context)
{
	__atomic_fetch_add(&world.notified, 1, __ATOMIC_RELAXED);
}

static void add_work(struct worker *worker, uint32_t amount)
{
	uint64_t one = 1;

	__atomic_fetch_add(&worker->work, amount, __ATOMIC_SEQ_CST);
	assert_int_equal(write(worker->member.bells[1], &one, sizeof(one)), sizeof(one));
}

static void open_worker(struct worker *worker)
{
	*worker = (struct worker){.member = {.ops = &ops, .bell_events = EPOLLIN, .bells = {-1}}};
	worker->member.bells[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static int open_world(void **state)
{
	struct error error;

	memset(&world, 0, sizeof(world));
	open_worker(&world.first);
	open_worker(&world.second);
	assert_int_equal(lane_start(-1, 0, on_notify, NULL, &world.lane, &error), 0);
	return 0;
}

static int close_world(void **state)
{
	lane_stop(world.lane);
	close(world.first.member.bells[1]);
	close(world.second.member.bells[1]);
	return 0;
}

static void a_member_sleeps_and_is_woken_by_its_bell(void **state)
{
	struct lane_counts counts;

	assert_int_equal(lane_add(world.lane, &world.first.member), 0);
	for (uint32_t round = 1; round <= 3; round++) {
		assert_becomes(look(&world.first.armed));
		add_work(&world.first, 5);
		assert_becomes(look(&world.first.done) == 5 * round);
	}
	assert_becomes((lane_count(world.lane, &counts), counts.sleeps >= 3));
	assert_int_equal(counts.members, 1);
	lane_remove(&world.first.member, false);
	assert_int_equal(world.first.rest, 0);
}

static void a_busy_member_does_not_keep_a_bell_from_being_heard(void **state)
{
	assert_int_equal(lane_add(world.lane, &world.first.member), 0);
	assert_int_equal(lane_add(world.lane, &world.second.member), 0);
	assert_becomes(look(&world.second.armed));
	/* More than it ever does here. */
	add_work(&world.first, UINT32_MAX);
	add_work(&world.second, 1);
	assert_becomes(look(&world.second.done) == 1);
	lane_remove(&world.first.member, false);
	lane_remove(&world.second.member, false);
}

static void a_member_gives_another_one_turns(void **state)
{
	uint32_t turns;

	world.first.wakes = &world.second;
	assert_int_equal(lane_add(world.lane, &world.first.member), 0);
	assert_int_equal(lane_add(world.lane, &world.second.member), 0);
	assert_becomes(look(&world.second.armed));
	turns = look(&world.second.turns);
	add_work(&world.first, 1);
	assert_becomes(look(&world.second.turns) > turns);
	lane_remove(&world.first.member, false);
	lane_remove(&world.second.member, false);
}

static void one_that_failed_is_told_and_gets_no_more_turns(void **state)
{
	uint32_t turns;

	set(&world.first.result, LANE_FAILED);
	assert_int_equal(lane_add(world.lane, &world.first.member), 0);
	assert_int_equal(lane_add(world.lane, &world.second.member), 0);
	assert_becomes(look(&world.notified) == 1);
	turns = look(&world.first.turns);
	add_work(&world.first, 1);
	/* The lane has looked at the bells since when another one was woken. */
	add_work(&world.second, 1);
	assert_becomes(look(&world.second.done) == 1 && look(&world.second.armed));
	assert_int_equal(look(&world.first.turns), turns);
	assert_int_equal(look(&world.notified), 1);
	lane_remove(&world.first.member, false);
	lane_remove(&world.second.member, false);
}

static void nothing_moves_while_the_lane_rests(void **state)
{
	uint32_t done;

	assert_int_equal(lane_add(world.lane, &world.first.member), 0);
	add_work(&world.first, UINT32_MAX);
	assert_becomes(look(&world.first.done) > 1000);
	lane_pause(world.lane);
	done = world.first.done;
	for (int i = 0; i < 100; i++)
		sched_yield();
	assert_int_equal(world.first.done, done);
	lane_resume(world.lane);
	assert_becomes(look(&world.first.done) > done);
	lane_remove(&world.first.member, true);
	assert_int_equal(world.first.rest, 1);
	/* It is ours again. */
	done = world.first.done;
	add_work(&world.first, 1);
	assert_int_equal(world.first.done, done);
}

static void members_of_a_stopped_lane_go_to_another_one(void **state)
{
	struct error error;
	struct lane *other;

	assert_int_equal(lane_start(-1, 0, on_notify, NULL, &other, &error), 0);
	assert_int_equal(lane_add(other, &world.first.member), 0);
	add_work(&world.first, 1);
	assert_becomes(look(&world.first.done) == 1);
	lane_stop(other);
	assert_int_equal(lane_add(world.lane, &world.first.member), 0);
	add_work(&world.first, 1);
	assert_becomes(look(&world.first.done) == 2);
	lane_remove(&world.first.member, false);
}

static void a_core_that_is_not_there_is_an_error(void **state)
{
	struct error error;
	struct lane *lane;

	assert_true(lane_start(CPU_SETSIZE - 1, 0, on_notify, NULL, &lane, &error) < 0);
	assert_non_null(strstr(error.text, "channels.cores: "));
	lane_stop(NULL);
}

static void a_bell_that_cannot_be_heard_leaves_nothing_behind(void **state)
{
	struct lane_counts counts;

	world.second.member.bells[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	/* A file is no bell. */
	assert_int_equal(lane_add(world.lane, &world.second.member), -EPERM);
	lane_count(world.lane, &counts);
	assert_int_equal(counts.members, 0);
	close(world.second.member.bells[0]);
}

int main(void)
{
#define LANE_TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
	const struct CMUnitTest tests[] = {
		LANE_TEST(a_member_sleeps_and_is_woken_by_its_bell),
		LANE_TEST(a_busy_member_does_not_keep_a_bell_from_being_heard),
		LANE_TEST(a_member_gives_another_one_turns),
		LANE_TEST(one_that_failed_is_told_and_gets_no_more_turns),
		LANE_TEST(nothing_moves_while_the_lane_rests),
		LANE_TEST(members_of_a_stopped_lane_go_to_another_one),
		LANE_TEST(a_core_that_is_not_there_is_an_error),
		LANE_TEST(a_bell_that_cannot_be_heard_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
