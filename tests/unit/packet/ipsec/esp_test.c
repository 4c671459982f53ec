/* SPDX-License-Identifier: BSD-3-Clause */
/* ESP of an SA against a second implementation, and its replay window (D16, D18). */
#include "packet/ipsec/esp.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ipsec_bench.h"

#define ROOM 128 /* in front of a payload, and behind it */

static struct error error;

static int open_group(void **state)
{
	(void)state;
	return ipsec_bench_start("esp_test", 64);
}

static struct sa *add(const struct reference *reference, enum sa_direction direction)
{
	struct sa_parameters parameters = make_parameters(reference, direction);

	if (sa_add(&parameters, &error) < 0)
		fail_msg("%s", error.text);
	return sa_find(&parameters.name);
}

static void drop(struct sa *sa)
{
	struct sa_name name = sa->name;

	assert_int_equal(sa_delete(&name, &error), 0);
}

static void fill(uint8_t *payload, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		payload[i] = (uint8_t)(i * 5 + size);
}

static enum drop_reason open_one(struct sa *sa, struct esp_work *work, uint8_t *esp, uint32_t size)
{
	struct esp_work *works[] = {work};

	*work = (struct esp_work){.at = esp, .size = size};
	esp_open(sa, works, 1, 1);
	return (enum drop_reason)work->reason;
}

static void check_opens(const struct suite *suite, bool has_esn)
{
	struct reference reference = make_reference(suite, has_esn);
	struct sa *sa = add(&reference, SA_INBOUND);
	uint8_t payload[1500], bytes[2000];

	for (uint32_t size = 0; size < sizeof(payload); size += 1 + size / 3) {
		uint64_t sequence = size + 1;
		uint32_t esp_size;
		struct esp_work work;

		fill(payload, size);
		esp_size = reference_seal(
			&reference, sequence, payload, size, IPPROTO_UDP, bytes + ROOM);
		assert_int_equal(open_one(sa, &work, bytes + ROOM, esp_size), DROP_none);
		assert_int_equal(work.size, size);
		assert_int_equal(work.next_header, IPPROTO_UDP);
		assert_int_equal(work.sequence, sequence);
		assert_memory_equal(work.at, payload, size);
	}
	assert_int_equal(sa->counters.forged, 0);
	drop(sa);
}

static void check_seals(const struct suite *suite, bool has_esn)
{
	struct reference reference = make_reference(suite, has_esn);
	struct sa *sa = add(&reference, SA_OUTBOUND);
	uint8_t payload[1500], bytes[2000];

	if (has_esn)
		sa->sequence = (5ULL << 32) - 3, sa->sequence_max = 6ULL << 32;
	for (uint32_t size = 0; size < sizeof(payload); size += 1 + size / 3) {
		struct esp_work work = {.at = bytes + ROOM, .size = size, .next_header = 4};
		struct esp_work *works[] = {&work};
		uint8_t *opened, next_header;
		uint32_t opened_size;

		fill(payload, size);
		memset(bytes, 0xee, sizeof(bytes));
		memcpy(bytes + ROOM, payload, size);
		esp_seal(sa, works, 1, 1);
		assert_int_equal(work.reason, DROP_none);
		assert_int_equal(work.sequence, sa->sequence);
		assert_int_equal(work.size, esp_size_of(sa, size));
		assert_ptr_equal(work.at, bytes + ROOM - esp_room_before(sa));
		/* Nothing else was touched. */
		assert_int_equal(work.at[-1], 0xee);
		assert_int_equal(work.at[-4], 0xee);
		assert_int_equal(work.at[work.size], 0xee);
		assert_int_equal(network_load32(work.at), BENCH_SPI);
		assert_int_equal(network_load32(work.at + 4), (uint32_t)work.sequence);
		assert_true(reference_open(&reference, work.sequence, work.at, work.size, &opened,
			&opened_size, &next_header));
		assert_int_equal(opened_size, size);
		assert_int_equal(next_header, 4);
		assert_memory_equal(opened, payload, size);
	}
	drop(sa);
}

/* D16: each algorithm, with and without extended sequence numbers. */
static void opens_what_another_implementation_seals(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(suites); i++) {
		check_opens(&suites[i], false);
		check_opens(&suites[i], true);
	}
}

static void seals_what_another_implementation_opens(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(suites); i++) {
		check_seals(&suites[i], false);
		check_seals(&suites[i], true);
	}
}

/* A burst is one call: each packet has its own number, IV and result. */
static void works_on_bursts(void **state)
{
	static uint8_t bytes[ESP_BURST][512];

	(void)state;
	for (size_t s = 0; s < RTE_DIM(suites); s++) {
		struct reference reference = make_reference(&suites[s], true);
		struct sa *out = add(&reference, SA_OUTBOUND), *in = add(&reference, SA_INBOUND);
		struct esp_work work[ESP_BURST], *works[ESP_BURST];

		for (uint16_t i = 0; i < ESP_BURST; i++) {
			fill(bytes[i] + ROOM, 100 + i);
			work[i] = (struct esp_work){
				.at = bytes[i] + ROOM, .size = 100 + i, .next_header = 17};
			works[i] = &work[i];
		}
		esp_seal(out, works, ESP_BURST, 1);
		work[7].at[20] ^= 1;
		for (uint16_t i = 0; i < ESP_BURST; i++)
			assert_int_equal(work[i].reason, DROP_none);
		esp_open(in, works, ESP_BURST, 1);
		for (uint16_t i = 0; i < ESP_BURST; i++) {
			uint8_t expected[200];

			assert_int_equal(work[i].sequence, i + 1);
			assert_int_equal(work[i].reason, i == 7 ? DROP_ipsec_icv : DROP_none);
			fill(expected, 100 + i);
			if (i == 7)
				continue;
			assert_int_equal(work[i].size, 100 + i);
			assert_memory_equal(work[i].at, expected, 100 + i);
		}
		assert_int_equal(in->counters.packets, ESP_BURST - 1);
		assert_int_equal(in->counters.forged, 1);
		drop(in);
		drop(out);
	}
}

/* IVs of one key never repeat, not even when the SA is made again; AES-CBC's cannot be foreseen. */
static void never_uses_an_iv_twice(void **state)
{
	static const uint8_t chosen[] = {0, 9, 6};

	(void)state;
	for (size_t c = 0; c < RTE_DIM(chosen); c++) {
		struct reference reference = make_reference(&suites[chosen[c]], false);
		uint8_t ivs[40][16] = {{0}};

		for (int i = 0; i < 40; i++) {
			struct sa *sa = add(&reference, SA_OUTBOUND);
			uint8_t bytes[256] = {0};
			struct esp_work work = {.at = bytes + 64, .size = 20}, *works[] = {&work};

			esp_seal(sa, works, 1, 1);
			memcpy(ivs[i], work.at + 8, sa->crypto.iv_size);
			for (int k = 0; k < i; k++)
				assert_memory_not_equal(ivs[i], ivs[k], 16);
			drop(sa);
		}
	}
}

struct sealed {
	uint8_t bytes[128];
	uint32_t size;
};

static struct sealed seal(const struct reference *reference, uint64_t sequence)
{
	struct sealed sealed;

	sealed.size = reference_seal(
		reference, sequence, (const uint8_t *)"payload", 7, 17, sealed.bytes + 8);
	return sealed;
}

static enum drop_reason offer(struct sa *sa, const struct reference *reference, uint64_t sequence)
{
	struct sealed sealed = seal(reference, sequence);
	struct esp_work work;

	return open_one(sa, &work, sealed.bytes + 8, sealed.size);
}

static void window_of(uint16_t size, bool has_esn, struct sa **sa, struct reference *reference)
{
	struct sa_parameters parameters;

	*reference = make_reference(&suites[0], has_esn);
	parameters = make_parameters(reference, SA_INBOUND);
	parameters.replay_window = size;
	assert_int_equal(sa_add(&parameters, &error), 0);
	*sa = sa_find(&parameters.name);
}

/* RFC 4303 section 3.4.3. */
static void rejects_replays_and_what_is_left_of_the_window(void **state)
{
	static const uint16_t sizes[] = {64, 128, 1000, 4096};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		uint64_t window = (sizes[i] + 63) / 64 * 64;
		struct reference reference;
		struct sa *sa;

		window_of(sizes[i], false, &sa, &reference);
		assert_int_equal(offer(sa, &reference, 0), DROP_ipsec_replay);
		assert_int_equal(offer(sa, &reference, 1), DROP_none);
		assert_int_equal(offer(sa, &reference, 1), DROP_ipsec_replay);
		assert_int_equal(offer(sa, &reference, window + 10), DROP_none);
		assert_int_equal(offer(sa, &reference, 10), DROP_ipsec_replay);
		assert_int_equal(offer(sa, &reference, 11), DROP_none);
		assert_int_equal(offer(sa, &reference, 11), DROP_ipsec_replay);
		for (uint64_t s = 12; s < window + 10; s++)
			assert_int_equal(offer(sa, &reference, s), DROP_none);
		for (uint64_t s = 11; s <= window + 10; s++)
			assert_int_equal(offer(sa, &reference, s), DROP_ipsec_replay);
		/* A leap leaves nothing behind. */
		assert_int_equal(offer(sa, &reference, 1000000), DROP_none);
		assert_int_equal(offer(sa, &reference, 1000000 - window + 1), DROP_none);
		assert_int_equal(offer(sa, &reference, 1000000 - window), DROP_ipsec_replay);
		drop(sa);
	}
}

/* A forged packet far ahead must not move the window, or it would shut out the true ones. */
static void moves_the_window_for_authentic_packets_alone(void **state)
{
	struct reference reference, wrong;
	struct sa *sa;

	(void)state;
	window_of(64, false, &sa, &reference);
	wrong = reference;
	wrong.key[3] ^= 1;
	assert_int_equal(offer(sa, &reference, 5), DROP_none);
	assert_int_equal(offer(sa, &wrong, 100000), DROP_ipsec_icv);
	assert_int_equal(offer(sa, &wrong, 6), DROP_ipsec_icv);
	assert_int_equal(offer(sa, &reference, 6), DROP_none);
	assert_int_equal(sa->window.highest, 6);
	drop(sa);
}

/* RFC 4303 appendix A2: the upper half is found, over the edge of 2^32 and back. */
static void finds_the_upper_half_of_extended_numbers(void **state)
{
	struct reference reference;
	struct sa *sa;

	(void)state;
	window_of(128, true, &sa, &reference);
	/* At the beginning nothing may come from before it. */
	assert_int_equal(offer(sa, &reference, 0xffffffff), DROP_ipsec_replay);
	assert_int_equal(offer(sa, &reference, 1), DROP_none);
	assert_int_equal(offer(sa, &reference, 0x7fffffff), DROP_none);
	assert_int_equal(offer(sa, &reference, 0xfffffff0), DROP_none);
	assert_int_equal(offer(sa, &reference, 0x100000010), DROP_none);
	assert_int_equal(sa->window.highest, 0x100000010);
	assert_int_equal(offer(sa, &reference, 0xfffffff1), DROP_none);
	assert_int_equal(offer(sa, &reference, 0xfffffff1), DROP_ipsec_replay);
	assert_int_equal(offer(sa, &reference, 0x100000001), DROP_none);
	/* A window too old is taken for one span ahead, and is not authentic there. */
	assert_int_equal(offer(sa, &reference, 0x80000000), DROP_ipsec_icv);
	assert_int_equal(sa->window.highest, 0x100000010);
	drop(sa);
}

static void rejects_wrong_lengths_and_padding(void **state)
{
	struct reference reference = make_reference(&suites[11], false);
	struct sa *sa = add(&reference, SA_INBOUND);
	uint8_t bytes[256], mac[64];
	struct esp_work work;

	(void)state;
	for (uint32_t size = 0; size < 8 + 4 + 12; size++) {
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(open_one(sa, &work, bytes + 8, size), DROP_ipsec_malformed);
	}
	assert_int_equal(open_one(sa, &work, bytes + 8, 8 + 5 + 12), DROP_ipsec_malformed);
	/* Authentic, but its padding is longer than it is, or is not 1, 2, 3. */
	for (int wrong = 0; wrong < 2; wrong++) {
		uint32_t size = reference_seal(&reference, (uint64_t)wrong + 1,
			(const uint8_t *)"12345", 5, 17, bytes + 8);
		uint8_t *tail = bytes + 8 + size - 12 - 2;

		if (wrong == 0)
			tail[0] = 200;
		else
			tail[-1] = 9;
		reference_hmac(&reference, 0, bytes + 8, size - 12, mac);
		memcpy(bytes + 8 + size - 12, mac, 12);
		assert_int_equal(open_one(sa, &work, bytes + 8, size), DROP_ipsec_padding);
	}
	drop(sa);
}

/* RFC 4303 section 3.3.3: the number must not wrap. */
static void stops_at_the_last_sequence_number(void **state)
{
	struct reference reference = make_reference(&suites[0], false);
	struct sa *sa = add(&reference, SA_OUTBOUND);
	uint8_t bytes[4][256];
	struct esp_work work[4], *works[4];

	(void)state;
	sa->sequence = UINT32_MAX - 2ULL;
	sa->sequence_max = UINT32_MAX;
	for (int i = 0; i < 4; i++) {
		work[i] = (struct esp_work){.at = bytes[i] + 64, .size = 20};
		works[i] = &work[i];
	}
	esp_seal(sa, works, 4, 1);
	assert_int_equal(work[0].sequence, UINT32_MAX - 1ULL);
	assert_int_equal(work[1].sequence, UINT32_MAX);
	assert_int_equal(work[2].reason, DROP_ipsec_sequence);
	assert_int_equal(work[3].reason, DROP_ipsec_sequence);
	sa_tick(clock_monotonic_ns());
	assert_true(sa->is_over);
	drop(sa);
}

static void refuses_packets_over_the_hard_lifetime(void **state)
{
	struct reference reference = make_reference(&suites[0], false);
	struct sa_parameters parameters = make_parameters(&reference, SA_INBOUND);
	struct sa *sa;

	(void)state;
	parameters.lifetime.hard_packets = 3;
	assert_int_equal(sa_add(&parameters, &error), 0);
	sa = sa_find(&parameters.name);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(offer(sa, &reference, i), DROP_none);
	assert_int_equal(offer(sa, &reference, 4), DROP_ipsec_lifetime);
	assert_int_equal(sa->counters.refused, 1);
	drop(sa);
}

/* ---- several workers (D18) ---- */

#define THREADS 3
#define ROUNDS  2000

struct thread_work {
	struct sa *out, *in;
	uint64_t opened, replayed;
	uint64_t sequences[ROUNDS * 4];
};

static void *work_in_thread(void *memory)
{
	struct thread_work *own = memory;

	for (int round = 0; round < ROUNDS; round++) {
		uint8_t bytes[4][256];
		struct esp_work work[4], *works[4];

		for (int i = 0; i < 4; i++) {
			fill(bytes[i] + 64, 30);
			work[i] = (struct esp_work){.at = bytes[i] + 64, .size = 30};
			works[i] = &work[i];
		}
		esp_seal(own->out, works, 4, 1);
		for (int i = 0; i < 4; i++)
			own->sequences[round * 4 + i] = work[i].sequence;
		esp_open(own->in, works, 4, 1);
		for (int i = 0; i < 4; i++) {
			own->opened += work[i].reason == DROP_none;
			own->replayed += work[i].reason == DROP_ipsec_replay;
		}
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* D18: one SA on several workers: each number once, and each packet accepted once. A thread that
 * was kept waiting for long finds its packets left of the window. */
static void shares_one_sa_between_workers(void **state)
{
	struct reference reference = make_reference(&suites[0], false);
	struct sa_parameters parameters = make_parameters(&reference, SA_INBOUND);
	static struct thread_work work[THREADS];
	static uint64_t all[THREADS * ROUNDS * 4];
	uint64_t opened = 0, replayed = 0;
	pthread_t threads[THREADS];
	struct sa *out = add(&reference, SA_OUTBOUND), *in;

	(void)state;
	parameters.replay_window = 4096;
	assert_int_equal(sa_add(&parameters, &error), 0);
	in = sa_find(&parameters.name);
	for (int i = 0; i < THREADS; i++) {
		work[i] = (struct thread_work){.out = out, .in = in};
		assert_int_equal(pthread_create(&threads[i], NULL, work_in_thread, &work[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		opened += work[i].opened;
		replayed += work[i].replayed;
		memcpy(all + i * ROUNDS * 4, work[i].sequences, sizeof(work[i].sequences));
	}
	qsort(all, RTE_DIM(all), sizeof(all[0]), compare);
	for (size_t i = 0; i < RTE_DIM(all); i++)
		assert_int_equal(all[i], i + 1);
	assert_int_equal(opened + replayed, RTE_DIM(all));
	assert_int_equal(in->counters.packets, opened);
	assert_int_equal(in->counters.replays, replayed);
	assert_int_equal(in->counters.forged, 0);
	drop(in);
	drop(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_what_another_implementation_seals),
		cmocka_unit_test(seals_what_another_implementation_opens),
		cmocka_unit_test(works_on_bursts),
		cmocka_unit_test(never_uses_an_iv_twice),
		cmocka_unit_test(rejects_replays_and_what_is_left_of_the_window),
		cmocka_unit_test(moves_the_window_for_authentic_packets_alone),
		cmocka_unit_test(finds_the_upper_half_of_extended_numbers),
		cmocka_unit_test(rejects_wrong_lengths_and_padding),
		cmocka_unit_test(stops_at_the_last_sequence_number),
		cmocka_unit_test(refuses_packets_over_the_hard_lifetime),
		cmocka_unit_test(shares_one_sa_between_workers),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
