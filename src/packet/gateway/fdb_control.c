/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/fdb_control.h"

#include "base/clock.h"
#include "packet/engine/publish.h"
#include "packet/gateway/fdb_learn.h"

#include <errno.h>
#include <stdlib.h>

#define AGEING_STEPS 8 /* an address in use is reported so often within the ageing time */
#define TICK_MIN_MS  FDB_TICK_MS
#define TICK_MAX_MS  1000
#define MOVERS_COUNT 4096 /* addresses whose moves are counted at one time; a power of two */
#define DRAIN_BURST  64
#define NS_PER_TICK  (FDB_TICK_MS * CLOCK_NS_PER_MS)

/* An address that moved lately. */
struct mover {
	uint64_t key; /* 0: free */
	uint64_t window_ends_ns;
	uint32_t moves;
	bool is_stopped;
};

struct fdb_counters fdb_counters;

static struct {
	struct fdb_settings settings, prepared_settings;
	struct fdb_table *prepared; /* NULL: the table in force stays */
	uint16_t worker_count;
	fdb_moved_fn moved;
	uint32_t vlan_counts[ETH_VLAN_ID_COUNT]; /* entries of the table in force */
	struct mover movers[MOVERS_COUNT];
	uint64_t stopped_count;
	uint32_t sweep_cursor;
	uint64_t refreshed_at_ns; /* when the epoch was last changed for ageing */
	uint64_t host_key;        /* 0: not known yet */
} control;

static struct switch_port_state *state_of(uint16_t index)
{
	const struct switch_port *port = vlan_table_port(vlan_table, index);

	return port ? port->state : NULL;
}

/* Relaxed; partner is ingress_check_source(). */
static void update_full(struct switch_port_state *state)
{
	bool is_full = state->addresses_max && state->addresses >= state->addresses_max;

	__atomic_store_n(&state->is_full, is_full, __ATOMIC_RELAXED);
}

/* Keeps the counts by VLAN and port right; by is 1 or -1. Static entries do not count for the
 * port's limit. */
static void count_entry(uint64_t key, uint64_t value, int by)
{
	struct switch_port_state *state = state_of(fdb_value_port(value));

	control.vlan_counts[fdb_key_vlan(key)] += (uint32_t)by;
	if (!state || value & FDB_VALUE_IS_STATIC)
		return;
	state->addresses += (uint32_t)by;
	update_full(state);
}

static void remove_entry(uint64_t key, uint64_t value)
{
	if (fdb_remove(fdb_table, key))
		count_entry(key, value, -1);
}

static uint32_t tick_of(uint64_t now_ns)
{
	return (uint32_t)(now_ns / NS_PER_TICK) & FDB_VALUE_SEEN_MASK;
}

static uint32_t refresh_ms(void)
{
	return control.settings.ageing_ms / AGEING_STEPS;
}

static enum fdb_kind kind_of(const struct switch_port *port)
{
	switch (port->kind) {
	case PORT_PARTITION:
		return FDB_INTERNAL;
	case PORT_HOST:
		return FDB_HOST;
	default:
		return FDB_EXTERNAL;
	}
}

/* ---- moves ---- */

static struct mover *find_mover(uint64_t key, uint64_t now_ns)
{
	struct mover *mover =
		&control.movers[key * 0x9e3779b97f4a7c15ULL >> 40 & (MOVERS_COUNT - 1)];

	if (mover->key == key && now_ns < mover->window_ends_ns)
		return mover;
	if (mover->key && mover->is_stopped)
		return NULL; /* another address is being held: this one is not counted */
	*mover = (struct mover){.key = key,
		.window_ends_ns = now_ns + control.settings.move_window_ms * CLOCK_NS_PER_MS};
	return mover;
}

static void release_mover(struct mover *mover)
{
	uint64_t value = fdb_find(fdb_table, mover->key);

	if (value != FDB_VALUE_NONE)
		fdb_insert(fdb_table, mover->key, value & ~FDB_VALUE_IS_PINNED);
	*mover = (struct mover){0};
	control.stopped_count--;
}

/* The address was seen at another port. Returns whether the table changed. */
static bool move(uint64_t key, uint64_t old, uint64_t new, uint64_t now_ns)
{
	struct mover *mover = find_mover(key, now_ns);
	uint8_t mac[6];

	fdb_key_mac(key, mac);
	if (mover && mover->is_stopped)
		return false;
	if (mover && ++mover->moves > control.settings.move_max) {
		mover->is_stopped = true;
		control.stopped_count++;
		fdb_counters.moves_stopped++;
		fdb_insert(fdb_table, key, old | FDB_VALUE_IS_PINNED);
		control.moved(
			fdb_key_vlan(key), mac, fdb_value_port(old), fdb_value_port(new), true);
		return true;
	}
	count_entry(key, old, -1);
	fdb_insert(fdb_table, key, new);
	count_entry(key, new, 1);
	fdb_counters.moved++;
	control.moved(fdb_key_vlan(key), mac, fdb_value_port(old), fdb_value_port(new), false);
	return true;
}

/* ---- learning ---- */

static bool is_refused(const struct switch_port_state *state, uint64_t key, bool *tell_workers)
{
	uint32_t vlan_max = vlan_table->details[fdb_key_vlan(key)].addresses_max;

	if (state->addresses_max && state->addresses >= state->addresses_max) {
		fdb_counters.refused_port++;
		*tell_workers = true; /* they drop its frames from now on */
		return true;
	}
	if (vlan_max && control.vlan_counts[fdb_key_vlan(key)] >= vlan_max) {
		fdb_counters.refused_vlan++;
		return true;
	}
	return false;
}

/* Whether addresses of the VLAN are worth learning behind the port. Outside there are VLANs that
 * nobody here has to do with. */
static bool is_served(const struct switch_port *port, uint16_t vlan)
{
	if (port->kind == PORT_PHYSICAL)
		return vlan_table->vlans[vlan].trunk != TRUNK_NONE
			|| (vlan_table->host_port != PORT_NONE && vlan_table->host_vlan == vlan);
	return switch_port_carries(port, vlan);
}

/* Returns whether workers have to look again at what they cached. */
static bool learn(const struct fdb_report *report, uint64_t now_ns)
{
	const struct switch_port *port = vlan_table_port(vlan_table, report->port);
	uint64_t old = fdb_find(fdb_table, report->key), new;
	uint16_t vlan = fdb_key_vlan(report->key);
	bool tell_workers = false;

	if (!port || port->generation != report->port_generation || !is_served(port, vlan))
		return false;
	new = fdb_value(report->port, vlan, kind_of(port), 0, tick_of(now_ns));
	if (old != FDB_VALUE_NONE && old & FDB_VALUE_IS_STATIC)
		return fdb_value_port(old) != report->port;
	if (old != FDB_VALUE_NONE && fdb_value_port(old) == report->port) {
		fdb_insert(fdb_table, report->key, new | (old & FDB_VALUE_IS_PINNED));
		return false;
	}
	if (old != FDB_VALUE_NONE)
		return is_refused(port->state, report->key, &tell_workers)
			? tell_workers
			: move(report->key, old, new, now_ns);
	if (is_refused(port->state, report->key, &tell_workers))
		return tell_workers;
	if (fdb_insert(fdb_table, report->key, new) < 0) {
		fdb_counters.refused_full++;
		return false;
	}
	count_entry(report->key, new, 1);
	fdb_counters.learned++;
	return false;
}

void fdb_control_drain(uint64_t now_ns)
{
	bool tell_workers = false;

	for (uint16_t i = 0; i < control.worker_count; i++) {
		struct fdb_report reports[DRAIN_BURST];
		unsigned int count;

		while ((count = rte_ring_sc_dequeue_burst_elem(fdb_learners[i].ring, reports,
				sizeof(reports[0]), DRAIN_BURST, NULL))
			> 0)
			for (unsigned int j = 0; j < count; j++)
				tell_workers |= learn(&reports[j], now_ns);
	}
	if (tell_workers)
		fdb_bump_epoch(fdb_table);
}

/* ---- time ---- */

uint32_t fdb_control_interval_ms(void)
{
	uint32_t interval = refresh_ms();

	return interval < TICK_MIN_MS    ? TICK_MIN_MS
		: interval > TICK_MAX_MS ? TICK_MAX_MS
					 : interval;
}

static void age_entry(uint64_t key, uint64_t value, uint32_t now)
{
	uint64_t age_ms = (uint64_t)fdb_value_age(value, now) * FDB_TICK_MS;

	if (value & FDB_VALUE_IS_STATIC || age_ms <= control.settings.ageing_ms)
		return;
	remove_entry(key, value);
	fdb_counters.aged++;
}

/* A part of the table, so that all of it is seen once in a step of the ageing time. */
static void sweep(uint32_t now)
{
	uint32_t slots = fdb_table->bucket_count * FDB_BUCKET_ENTRIES;
	uint64_t part = (uint64_t)slots * fdb_control_interval_ms() / (refresh_ms() + 1) + 1;
	uint32_t end = control.sweep_cursor + (part < slots ? (uint32_t)part : slots);
	uint64_t key, value;

	while (control.sweep_cursor < end) {
		if (!fdb_next(fdb_table, &control.sweep_cursor, &key, &value)) {
			control.sweep_cursor = 0;
			return;
		}
		age_entry(key, value, now);
	}
}

void fdb_control_tick(uint64_t now_ns)
{
	uint32_t now = tick_of(now_ns);

	__atomic_store_n(&fdb_table->now, now, __ATOMIC_RELAXED);
	sweep(now);
	for (int i = 0; control.stopped_count && i < MOVERS_COUNT; i++)
		if (control.movers[i].is_stopped && now_ns >= control.movers[i].window_ends_ns)
			release_mover(&control.movers[i]);
	if (now_ns - control.refreshed_at_ns >= refresh_ms() * CLOCK_NS_PER_MS) {
		control.refreshed_at_ns = now_ns;
		fdb_bump_epoch(fdb_table);
	}
}

/* ---- configuration ---- */

static const struct static_address *find_static(uint64_t key)
{
	uint32_t low = 0, high = vlan_table->static_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (vlan_table->statics[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low < vlan_table->static_count && vlan_table->statics[low].key == key
		? &vlan_table->statics[low]
		: NULL;
}

/* Whether a learned entry is still true under the new table. */
static bool is_valid(const struct vlan_table *old, uint64_t key, uint64_t value)
{
	const struct switch_port *now = vlan_table_port(vlan_table, fdb_value_port(value));
	const struct switch_port *before = old ? vlan_table_port(old, fdb_value_port(value)) : NULL;

	if (value & FDB_VALUE_IS_STATIC)
		return key == control.host_key; /* the others are put in again */
	return now && before && now->generation == before->generation && now->kind == before->kind
		&& is_served(now, fdb_key_vlan(key));
}

static void insert_statics(struct fdb_table *table)
{
	for (uint32_t i = 0; i < vlan_table->static_count; i++) {
		const struct static_address *entry = &vlan_table->statics[i];

		fdb_insert(table, entry->key,
			fdb_value(entry->port, fdb_key_vlan(entry->key), (enum fdb_kind)entry->kind,
				FDB_VALUE_IS_STATIC, table->now));
	}
}

static void recount(void)
{
	uint32_t cursor = 0;
	uint64_t key, value;

	memset(control.vlan_counts, 0, sizeof(control.vlan_counts));
	for (uint16_t i = 0; i < vlan_table->port_count; i++) {
		struct switch_port_state *state = state_of(i);

		if (state) {
			state->addresses = 0;
			update_full(state);
		}
	}
	while (fdb_next(fdb_table, &cursor, &key, &value))
		count_entry(key, value, 1);
}

/* In place where a static entry stays as it is, so that readers do not miss it for a moment. */
static void keep_valid(const struct vlan_table *old, struct fdb_table *to)
{
	uint32_t cursor = 0;
	uint64_t key, value;

	while (fdb_next(fdb_table, &cursor, &key, &value)) {
		bool stays = find_static(key) || is_valid(old, key, value);

		if (!stays && to == fdb_table)
			fdb_remove(fdb_table, key);
		else if (stays && to != fdb_table)
			fdb_insert(to, key, value);
	}
}

void fdb_control_commit(const struct vlan_table *old, uint64_t now_ns)
{
	struct fdb_table *table = control.prepared ? control.prepared : fdb_table;
	bool host_stays = vlan_table->host_port != PORT_NONE
		&& fdb_key_vlan(control.host_key) == vlan_table->host_vlan && old
		&& old->host_port == vlan_table->host_port;

	if (!host_stays)
		control.host_key = 0;
	control.settings = control.prepared_settings;
	table->epoch = fdb_table->epoch;
	table->now = tick_of(now_ns);
	__atomic_store_n(&table->refresh_after, refresh_ms() / FDB_TICK_MS, __ATOMIC_RELAXED);
	keep_valid(old, table);
	insert_statics(table);
	if (table != fdb_table) {
		publish_swap(&fdb_table, table, fdb_table_destroy);
		control.prepared = NULL;
		control.sweep_cursor = 0;
	}
	recount();
	fdb_bump_epoch(fdb_table);
}

int fdb_control_prepare(const struct fdb_settings *settings, struct error *error)
{
	control.prepared_settings = *settings;
	if (settings->entries_max == fdb_table->entries_max)
		return 0;
	control.prepared = fdb_table_create(settings->entries_max);
	return control.prepared ? 0
				: error_set(error, -ENOMEM,
					"gateway.fdb-max: no memory for a table of %u addresses",
					settings->entries_max);
}

void fdb_control_abort(void)
{
	fdb_table_destroy(control.prepared);
	control.prepared = NULL;
}

void fdb_control_set_host(const uint8_t mac[6])
{
	uint8_t padded[8] = {0};
	uint64_t key, value;

	memcpy(padded, mac, 6);
	if (vlan_table->host_port == PORT_NONE)
		return;
	key = fdb_key(vlan_table->host_vlan, padded);
	if (key == control.host_key || find_static(key))
		return;
	if (control.host_key) {
		value = fdb_find(fdb_table, control.host_key);
		if (value != FDB_VALUE_NONE)
			remove_entry(control.host_key, value);
	}
	value = fdb_find(fdb_table, key);
	if (value != FDB_VALUE_NONE)
		count_entry(key, value, -1);
	value = fdb_value(vlan_table->host_port, vlan_table->host_vlan, FDB_HOST,
		FDB_VALUE_IS_STATIC, fdb_table->now);
	if (fdb_insert(fdb_table, key, value) == 0) {
		count_entry(key, value, 1);
		control.host_key = key;
	}
	fdb_bump_epoch(fdb_table);
}

uint32_t fdb_control_flush(uint16_t vlan, uint16_t port)
{
	uint32_t cursor = 0, flushed = 0;
	uint64_t key, value;

	while (fdb_next(fdb_table, &cursor, &key, &value)) {
		if (value & FDB_VALUE_IS_STATIC || (vlan && fdb_key_vlan(key) != vlan)
			|| (port != PORT_NONE && fdb_value_port(value) != port))
			continue;
		remove_entry(key, value);
		flushed++;
	}
	fdb_counters.flushed += flushed;
	fdb_bump_epoch(fdb_table);
	return flushed;
}

uint32_t fdb_control_vlan_count(uint16_t vlan)
{
	return control.vlan_counts[vlan];
}

uint64_t fdb_control_lost_reports(void)
{
	uint64_t lost = 0;

	for (uint16_t i = 0; i < control.worker_count; i++)
		lost += __atomic_load_n(&fdb_learners[i].lost, __ATOMIC_RELAXED);
	return lost;
}

/* ---- start and stop ---- */

int fdb_control_start(uint16_t worker_count, fdb_moved_fn moved, struct error *error)
{
	control.settings = control.prepared_settings = (struct fdb_settings){
		.ageing_ms = 300000, .entries_max = 1024, .move_max = 5, .move_window_ms = 1000};
	control.moved = moved;
	fdb_table = fdb_table_create(control.settings.entries_max);
	if (!fdb_table)
		return error_set(error, -ENOMEM, "no memory for the forwarding table");
	for (uint16_t i = 0; i < worker_count; i++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "fdb-reports-%u", i);
		fdb_learners[i].ring = rte_ring_create_elem(name, sizeof(struct fdb_report),
			FDB_RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (!fdb_learners[i].ring) {
			fdb_control_stop();
			return error_set(
				error, -ENOMEM, "no memory for the learning ring of worker %u", i);
		}
		control.worker_count = (uint16_t)(i + 1);
	}
	return 0;
}

void fdb_control_stop(void)
{
	for (uint16_t i = 0; i < control.worker_count; i++) {
		rte_ring_free(fdb_learners[i].ring);
		fdb_learners[i] = (struct fdb_learner){0};
	}
	fdb_control_abort();
	fdb_table_destroy(fdb_table);
	fdb_table = NULL;
	memset(&control, 0, sizeof(control));
	fdb_counters = (struct fdb_counters){0};
}
