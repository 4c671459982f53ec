/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/gateway/fdb_learn.h"

struct fdb_learner fdb_learners[WORKERS_MAX];

enum fdb_source fdb_check_source(struct fdb_learner *learner, const struct fdb_table *table,
	uint64_t key, uint16_t port, uint16_t port_generation, uint32_t epoch, bool is_port_full)
{
	uint64_t value = fdb_find(table, key);
	uint32_t now, refresh_after;

	if (value == FDB_VALUE_NONE)
		return is_port_full ? FDB_SOURCE_LIMIT : FDB_SOURCE_NEWS;
	if (fdb_value_port(value) != port) {
		if (value & FDB_VALUE_IS_STATIC)
			return FDB_SOURCE_STATIC;
		if (value & FDB_VALUE_IS_PINNED)
			return FDB_SOURCE_PINNED;
		return is_port_full ? FDB_SOURCE_LIMIT : FDB_SOURCE_NEWS;
	}
	now = __atomic_load_n(&table->now, __ATOMIC_RELAXED);
	refresh_after = __atomic_load_n(&table->refresh_after, __ATOMIC_RELAXED);
	if (!(value & FDB_VALUE_IS_STATIC) && fdb_value_age(value, now) >= refresh_after)
		return FDB_SOURCE_NEWS;
	fdb_cache(learner, key, port, port_generation, epoch);
	return FDB_SOURCE_KNOWN;
}

void fdb_report(struct fdb_learner *learner, uint64_t key, uint16_t port, uint16_t port_generation,
	uint32_t epoch)
{
	struct fdb_report report = {.key = key, .port = port, .port_generation = port_generation};

	if (fdb_is_cached(learner, key, port, port_generation, epoch))
		return; /* twice in one burst */
	if (rte_ring_sp_enqueue_elem(learner->ring, &report, sizeof(report))) {
		__atomic_store_n(&learner->lost, learner->lost + 1, __ATOMIC_RELAXED);
		return;
	}
	fdb_cache(learner, key, port, port_generation, epoch);
	worker_notify_control();
}
