/* SPDX-License-Identifier: BSD-3-Clause */
/* What a next life of the role knows of SAs when this one is killed (D16). */
#include "packet/ipsec/sa_record.h"

#include "base/clock.h"
#include "packet/ipsec/sa_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipsec_bench.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SAS_MAX 64
#define BURST   8

static struct error error;
static int kept_fd; /* of keep(); -1: nothing is kept */

static int open_group(void **state)
{
	(void)state;
	kept_fd = -1;
	return ipsec_bench_start("sa_record_test", SAS_MAX);
}

static int flush(void **state)
{
	(void)state;
	if (kept_fd >= 0)
		close(kept_fd);
	kept_fd = -1;
	sa_table_close();
	return sa_table_open(SAS_MAX, &error);
}

static struct reference reference_of(uint32_t spi, bool has_esn)
{
	struct reference reference = make_reference(&suites[1], has_esn);

	reference.spi = spi;
	return reference;
}

static struct sa *find(uint32_t spi)
{
	struct sa_name name = {.spi = spi, .destination = ipv4(VIPA)};

	return sa_find(&name);
}

static struct sa *add(uint32_t spi, bool has_esn)
{
	struct reference reference = reference_of(spi, has_esn);
	struct sa_parameters parameters = make_parameters(&reference, SA_INBOUND);

	assert_int_equal(sa_add(&parameters, &error), 0);
	return find(spi);
}

static void drop(uint32_t spi)
{
	struct sa_name name = {.spi = spi, .destination = ipv4(VIPA)};

	assert_int_equal(sa_delete(&name, &error), 0);
	publish_wait();
}

/* To be answered, or not. */
static struct sa_state *write_state(void)
{
	struct sa_state *state;

	if (kept_fd >= 0)
		close(kept_fd);
	assert_int_equal(sa_state_write(&kept_fd, &state, &error), 0);
	return state;
}

static void keep(void)
{
	struct sa_state *state = write_state();

	sa_state_kept(state);
	sa_state_destroy(state);
}

/* The next life, with what the broker has; restored: so many SAs come back. */
static void live_again(int restored)
{
	int records_fd = fcntl(sa_records_descriptor(), F_DUPFD_CLOEXEC, 0);

	sa_table_close();
	assert_int_equal(sa_table_open(SAS_MAX, &error), 0);
	assert_int_equal(sa_records_take(records_fd, &error), 0);
	assert_int_equal(sa_state_restore_from(kept_fd, &error), restored);
}

/* Opens `count` packets from number `first` on, in one burst. */
static void receive(struct sa *sa, uint64_t first, uint16_t count, enum drop_reason *reasons)
{
	struct reference reference = reference_of(sa->name.spi, sa->has_esn);
	uint8_t bytes[BURST][256];
	struct esp_work work[BURST], *works[BURST];

	for (uint16_t i = 0; i < count; i++) {
		uint32_t size = reference_seal(
			&reference, first + i, (const uint8_t *)"payload", 7, 17, bytes[i] + 64);

		work[i] = (struct esp_work){.at = bytes[i] + 64, .size = size};
		works[i] = &work[i];
	}
	esp_open(sa, works, count, 1);
	for (uint16_t i = 0; i < count; i++)
		reasons[i] = (enum drop_reason)work[i].reason;
}

static enum drop_reason receive_one(struct sa *sa, uint64_t sequence)
{
	enum drop_reason reason;

	receive(sa, sequence, 1, &reason);
	return reason;
}

/* ---- killed ---- */

/* A process that tells each packet that it lets through, until it is killed. */
static _Noreturn void run_worker(struct sa *sa, uint64_t first, int fd)
{
	enum drop_reason reasons[BURST];

	for (;; first += BURST) {
		receive(sa, first, BURST, reasons);
		for (uint64_t i = 0; i < BURST; i++) {
			uint64_t sequence = first + i;

			if (reasons[i] != DROP_none
				|| write(fd, &sequence, sizeof(sequence)) != sizeof(sequence))
				_exit(1);
		}
	}
}

/* Lets such a one tell at_least packets, kills it, and returns the last one that it told. */
static uint64_t kill_in_a_burst(struct sa *sa, uint64_t first, uint32_t at_least)
{
	uint64_t last = 0, sequence;
	int ends[2], status;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run_worker(sa, first, ends[1]);
	close(ends[1]);
	for (uint32_t told = 0; read(ends[0], &sequence, sizeof(sequence)) == sizeof(sequence);) {
		last = sequence;
		if (++told == at_least)
			kill(pid, SIGKILL);
	}
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return last;
}

/* Nothing that a life let through comes again, nothing else is lost: also when it is killed before
 * it has kept anything. */
static void a_window_outlives_two_deaths_to_the_packet(void **state)
{
	static const uint64_t firsts[] = {1, (7ULL << 32) - 700};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(firsts); i++) {
		struct sa *sa = add(1000, true);

		/* Of an extended number the upper half is told from the window. */
		sa->window.highest = firsts[i] - 1;
		keep();
		for (uint64_t first = firsts[i], last, next; first < firsts[i] + 2000;
			first = next + 1) {
			last = kill_in_a_burst(sa, first, 1000 + (uint32_t)first % BURST);
			live_again(1);
			sa = find(1000);
			next = sa->window.highest + 1;
			assert_in_range(next, last + 1, last + BURST + 1);
			for (uint64_t old = last - 50; old <= last; old++)
				assert_int_equal(receive_one(sa, old), DROP_ipsec_replay);
			assert_int_equal(receive_one(sa, next), DROP_none);
			assert_int_equal(receive_one(sa, next), DROP_ipsec_replay);
		}
		flush(NULL);
	}
}

static void lifetimes_go_on(void **state)
{
	struct sa *sa = add(1000, false);

	(void)state;
	keep();
	for (uint64_t i = 1; i <= 30; i++)
		assert_int_equal(receive_one(sa, i), DROP_none);
	sa_tick(clock_monotonic_ns());
	live_again(1);
	sa = find(1000);
	assert_int_equal(sa->counters.packets, 30);
	assert_int_equal(sa->counters.bytes, 30 * 7);
}

/* ---- whose a record is ---- */

/* One that is gone comes back, when the role dies before that is kept; with its own window. */
static void a_record_that_is_kept_becomes_nobody_elses(void **state)
{
	const struct sa_record *record = add(1000, false)->record;
	struct sa_state *unanswered;

	(void)state;
	keep();
	assert_int_equal(receive_one(find(1000), 77), DROP_none);
	drop(1000);
	for (uint32_t spi = 2000; spi < 2000 + SAS_MAX; spi++) {
		assert_ptr_not_equal(add(spi, false)->record, record);
		assert_int_equal(receive_one(find(spi), 5000), DROP_none);
	}
	live_again(1);
	record = find(1000)->record;
	assert_int_equal(receive_one(find(1000), 77), DROP_ipsec_replay);
	assert_int_equal(receive_one(find(1000), 78), DROP_none);
	/* Nor in the next life, which has kept nothing yet. */
	drop(1000);
	assert_ptr_not_equal(add(3000, false)->record, record);
	live_again(1);
	assert_int_equal(receive_one(find(1000), 78), DROP_ipsec_replay);
	/* When it is kept that it is gone, its record may be another's; and when that may be kept.
	 */
	record = find(1000)->record;
	drop(1000);
	unanswered = write_state();
	assert_ptr_not_equal(add(4000, false)->record, record);
	sa_state_kept(unanswered);
	sa_state_destroy(unanswered);
	assert_ptr_equal(add(5000, false)->record, record);
	assert_int_equal(receive_one(find(5000), 1), DROP_none);
}

/* An answer may fail to come of a state that the broker has: it counts until another one is kept.
 */
static void a_record_of_a_state_without_an_answer_is_held(void **state)
{
	const struct sa_record *record;

	(void)state;
	keep();
	record = add(1000, false)->record;
	sa_state_destroy(write_state());
	assert_int_equal(receive_one(find(1000), 9), DROP_none);
	drop(1000);
	assert_ptr_not_equal(add(2000, false)->record, record);
	live_again(1);
	assert_int_equal(receive_one(find(1000), 9), DROP_ipsec_replay);
}

static void there_is_an_end_of_records(void **state)
{
	struct sa_record_name name;
	struct sa_record *record = NULL;

	(void)state;
	for (uint32_t i = 0; i < SA_RECORD_COUNT; i++) {
		record = sa_record_create(&name);
		assert_non_null(record);
	}
	assert_null(sa_record_create(&name));
	sa_record_hold(&name);
	sa_record_put(record);
	assert_null(sa_record_create(&name));
	sa_records_forget_held();
	assert_ptr_equal(sa_record_create(&name), record);
}

/* ---- damage ---- */

/* Restores one whose kept highest is 50, out of a record that damage() has been at. */
static struct sa *restore_damaged(void (*damage)(struct sa_record *record))
{
	struct sa *sa = add(1000, false);

	assert_int_equal(receive_one(sa, 50), DROP_none);
	keep();
	assert_int_equal(receive_one(sa, 60), DROP_none);
	damage(sa->record);
	live_again(1);
	return find(1000);
}

static void change_id(struct sa_record *record)
{
	record->id++;
}

static void leave_range(struct sa_record *record)
{
	record->highest = 1ULL << 32;
}

static void fall_back(struct sa_record *record)
{
	record->highest = 49;
}

static void takes_what_was_kept_where_a_record_cannot_be(void **state)
{
	static void (*const damages[])(struct sa_record * record) = {
		change_id, leave_range, fall_back};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(damages); i++) {
		struct sa *sa = restore_damaged(damages[i]);

		assert_int_equal(sa->window.floor, 50);
		assert_int_equal(sa->record->highest, 50);
		/* And goes on from there. */
		keep();
		assert_int_equal(receive_one(sa, 55), DROP_none);
		live_again(1);
		assert_int_equal(find(1000)->window.floor, 55);
		flush(NULL);
	}
}

static void believes_no_place_that_there_is_not(void **state)
{
	static const struct sa_record_name wrong[] = {
		{SA_RECORD_COUNT, 1}, {UINT32_MAX, 1}, {0, 0}, {1, 0}};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		sa_record_hold(&wrong[i]);
		assert_null(sa_record_resume(&wrong[i]));
	}
}

static void takes_no_memory_that_is_not_of_records(void **state)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const size_t size = SA_RECORD_COUNT * sizeof(struct sa_record);
	static const struct {
		int seals, bytes_more;
	} wrong[] = {{seals, 1}, {seals, -64}, {F_SEAL_GROW, 0}, {0, 0}};
	struct sa *sa;

	(void)state;
	for (size_t i = 0; i < RTE_DIM(wrong); i++) {
		int fd = memfd_create("wrong", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		assert_int_equal(ftruncate(fd, (off_t)size + wrong[i].bytes_more), 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, wrong[i].seals), 0);
		assert_int_equal(sa_records_take(fd, &error), -EINVAL);
	}
	assert_int_equal(sa_records_take(open("/dev/null", O_RDWR), &error), -EINVAL);
	sa = add(1000, false);
	assert_int_equal(
		sa_records_take(fcntl(sa_records_descriptor(), F_DUPFD_CLOEXEC, 0), &error),
		-EBUSY);
	assert_int_equal(receive_one(sa, 1), DROP_none);
	assert_int_equal(sa->record->highest, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_window_outlives_two_deaths_to_the_packet, flush),
		cmocka_unit_test_teardown(lifetimes_go_on, flush),
		cmocka_unit_test_teardown(a_record_that_is_kept_becomes_nobody_elses, flush),
		cmocka_unit_test_teardown(a_record_of_a_state_without_an_answer_is_held, flush),
		cmocka_unit_test_teardown(there_is_an_end_of_records, flush),
		cmocka_unit_test_teardown(takes_what_was_kept_where_a_record_cannot_be, flush),
		cmocka_unit_test_teardown(believes_no_place_that_there_is_not, flush),
		cmocka_unit_test_teardown(takes_no_memory_that_is_not_of_records, flush),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
