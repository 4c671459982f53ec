/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What SAs need from time to time: lifetimes (RFC 4301 section 4.4.2.1), sequence numbers that are
 * promised ahead so that no later life of this process sends one again, and what workers noticed.
 * Control thread.
 */
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"

#include "base/clock.h"

/* Numbers that a promise is ahead of the last one sent: what a worker sends at 20 million packets a
 * second between two ticks, twice. A restart skips so many of 2^32. */
#define PROMISE_AHEAD     (1U << 22)
#define SEQUENCE_LAST     UINT32_MAX /* RFC 4303 section 3.3.3: it must not wrap */
#define SEQUENCE_LAST_ESN (UINT64_MAX - PROMISE_AHEAD)
/* An SA so close to the last number is to be replaced: seven eighths of them are gone. */
#define SEQUENCE_SOFT (UINT32_MAX - (UINT32_MAX >> 3))
#define TOLD_NS       CLOCK_NS_PER_S /* between two events of the same news */

#define PATH_MTU_NS (600 * CLOCK_NS_PER_S)

static struct sa_events events;
static bool has_events;

void sa_set_events(const struct sa_events *given)
{
	has_events = given != NULL;
	if (given)
		events = *given;
}

const struct sa_events *sa_events(void)
{
	return has_events ? &events : NULL;
}

/* ---- promises ---- */

static uint64_t sequence_last(const struct sa *sa)
{
	return sa->has_esn ? SEQUENCE_LAST_ESN : SEQUENCE_LAST;
}

uint64_t sa_first_sequence_max(const struct sa *sa)
{
	return RTE_MIN((uint64_t)PROMISE_AHEAD, sequence_last(sa));
}

uint64_t sa_promise(const struct sa *sa)
{
	/* Relaxed: it only grows; a promise that is a little old is short, not wrong. */
	uint64_t sent = __atomic_load_n(&sa->sequence, __ATOMIC_RELAXED);
	uint64_t ahead = RTE_MIN(sent + PROMISE_AHEAD, sequence_last(sa));

	return sa->direction == SA_OUTBOUND ? RTE_MAX(sa->sequence_max, ahead) : 0;
}

void sa_promise_kept(uint32_t index, uint32_t generation, uint64_t promise)
{
	struct sa *sa = sa_at(index);

	if (sa && sa->generation == generation && promise > sa->sequence_max)
		/* Relaxed: nothing hangs on it but the number. */
		__atomic_store_n(&sa->sequence_max, promise, __ATOMIC_RELAXED);
}

static bool wants_promise(const struct sa *sa)
{
	return sa->direction == SA_OUTBOUND && sa->sequence_max < sequence_last(sa)
		&& sa->sequence_max - __atomic_load_n(&sa->sequence, __ATOMIC_RELAXED)
		< PROMISE_AHEAD / 2;
}

/* ---- records ---- */

/* Lifetimes go on after a restart: these are not kept for each packet. */
static void note_counters(const struct sa *sa)
{
	/* Relaxed: statistics of workers. */
	uint64_t packets = __atomic_load_n(&sa->counters.packets, __ATOMIC_RELAXED);

	if (packets == sa->record->packets)
		return;
	sa->record->packets = packets;
	sa->record->bytes = __atomic_load_n(&sa->counters.bytes, __ATOMIC_RELAXED);
}

/* ---- lifetimes ---- */

static bool is_reached(uint64_t value, uint64_t limit)
{
	return limit && value >= limit;
}

static bool is_past(const struct sa *sa, uint64_t now_ns, bool is_hard)
{
	const struct sa_lifetime *life = &sa->lifetime;
	uint64_t packets = __atomic_load_n(&sa->counters.packets, __ATOMIC_RELAXED);
	uint64_t bytes = __atomic_load_n(&sa->counters.bytes, __ATOMIC_RELAXED);
	uint64_t sent = __atomic_load_n(&sa->sequence, __ATOMIC_RELAXED);
	uint64_t age_s = clock_elapsed_ns(now_ns, sa->added_ns) / CLOCK_NS_PER_S;

	if (is_hard)
		return is_reached(packets, life->hard_packets)
			|| is_reached(bytes, life->hard_bytes) || is_reached(age_s, life->hard_s)
			|| sent >= sequence_last(sa);
	return is_reached(packets, life->soft_packets) || is_reached(bytes, life->soft_bytes)
		|| is_reached(age_s, life->soft_s) || (!sa->has_esn && sent >= SEQUENCE_SOFT);
}

static void tell_expire(const struct sa *sa, bool is_hard)
{
	struct sa_name name = sa->name;

	if (has_events && events.expire)
		events.expire(sa->owner, &name, is_hard);
}

static void check_lifetime(struct sa *sa, uint64_t now_ns)
{
	if (!sa->is_hard_told && is_past(sa, now_ns, true)) {
		sa->is_hard_told = sa->is_soft_told = true;
		/* Relaxed: a walk under way may still use it. */
		__atomic_store_n(&sa->is_over, true, __ATOMIC_RELAXED);
		sa_note_changed();
		tell_expire(sa, true);
	} else if (!sa->is_soft_told && is_past(sa, now_ns, false)) {
		sa->is_soft_told = true;
		sa_note_changed();
		tell_expire(sa, false);
	}
}

/* RFC 1191 section 6.3: after ten minutes the path is tried again. */
static void age_path_mtu(struct sa *sa, uint64_t now_ns)
{
	uint32_t path_mtu = __atomic_load_n(&sa->path_mtu, __ATOMIC_RELAXED);

	if (path_mtu != sa->tick_path_mtu) {
		sa->tick_path_mtu = path_mtu;
		sa->path_mtu_ns = now_ns;
	} else if (path_mtu && now_ns - sa->path_mtu_ns > PATH_MTU_NS) {
		__atomic_store_n(&sa->path_mtu, 0, __ATOMIC_RELAXED);
	}
}

/* ---- news ---- */

static bool is_told(const struct sa *sa, const struct sa_mapping *mapping, uint64_t now_ns)
{
	return sa->told_ns && now_ns - sa->told_ns < TOLD_NS
		&& sa->told_port == mapping->source_port
		&& ip_address_is_equal(&sa->told_source, &mapping->source);
}

static void take_mapping(struct sa *sa, uint64_t now_ns)
{
	struct sa_mapping *mapping = &sa->mapping;
	struct sa_name name = sa->name;

	/* Acquire: pairs with the worker that noticed; it writes no more until it is taken. */
	if (!__atomic_load_n(&mapping->is_news, __ATOMIC_ACQUIRE) || is_told(sa, mapping, now_ns))
		return;
	sa->told_source = mapping->source;
	sa->told_port = mapping->source_port;
	sa->told_ns = now_ns;
	__atomic_store_n(&mapping->is_news, false, __ATOMIC_RELEASE);
	if (has_events && events.mapping)
		events.mapping(sa->owner, &name, &sa->told_source, sa->told_port);
}

static void take_news(uint64_t now_ns)
{
	/* By index: who is told may delete SAs. */
	for (struct sa *sa = sa_next(0); sa;) {
		uint32_t index = sa->index;

		take_mapping(sa, now_ns);
		sa = sa_next(index + 1);
	}
	policy_take_news(now_ns);
}

void sa_take_news(void *context)
{
	take_news(clock_monotonic_ns());
}

void sa_tick(uint64_t now_ns)
{
	bool wants = false;

	for (struct sa *sa = sa_next(0); sa;) {
		uint32_t index = sa->index;

		wants |= wants_promise(sa);
		note_counters(sa);
		age_path_mtu(sa, now_ns);
		check_lifetime(sa, now_ns);
		sa = sa_next(index + 1);
	}
	if (wants)
		sa_note_changed();
	take_news(now_ns);
}
