/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/drop.h"

#include "packet/engine/drop_count.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

const struct drop_description drop_descriptions[DROP_REASON_COUNT] = {
#define DROP(name, owner, text) [DROP_##name] = {#name, #owner, text},
#include "packet/engine/drop_reasons.def"
#undef DROP
};

struct drop_counters *drop_counters[WORKERS_MAX];

/* What a port's index had counted when its present port was opened. Control thread. */
static uint64_t (*port_baseline)[DROP_REASON_COUNT];

/* Zero pages of the kernel: only the ports that drop cost memory. */
static void *map_zeroed(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

int drop_open(uint16_t worker_count)
{
	port_baseline = map_zeroed(sizeof(*port_baseline) * DROP_PORTS_MAX);
	if (!port_baseline)
		return -ENOMEM;
	for (uint16_t i = 0; i < worker_count; i++) {
		drop_counters[i] = map_zeroed(sizeof(**drop_counters));
		if (!drop_counters[i])
			return -ENOMEM;
	}
	return 0;
}

void drop_close(void)
{
	for (uint16_t i = 0; i < WORKERS_MAX; i++) {
		if (drop_counters[i])
			munmap(drop_counters[i], sizeof(**drop_counters));
		drop_counters[i] = NULL;
	}
	if (port_baseline)
		munmap(port_baseline, sizeof(*port_baseline) * DROP_PORTS_MAX);
	port_baseline = NULL;
}

uint64_t drop_count(enum drop_reason reason)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		if (drop_counters[i])
			/* Relaxed: a statistic; pairs with the worker's store in drop_note(). */
			sum += __atomic_load_n(
				&drop_counters[i]->by_reason[reason], __ATOMIC_RELAXED);
	return sum;
}

static uint64_t port_sum(uint16_t port, enum drop_reason reason)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < WORKERS_MAX; i++)
		if (drop_counters[i])
			/* Relaxed: as above. */
			sum += __atomic_load_n(
				&drop_counters[i]->by_port[port][reason], __ATOMIC_RELAXED);
	return sum;
}

uint64_t drop_count_of_port(uint16_t port, enum drop_reason reason)
{
	if (port >= DROP_PORTS_MAX || !port_baseline)
		return 0;
	return port_sum(port, reason) - port_baseline[port][reason];
}

void drop_forget_port(uint16_t port)
{
	if (port >= DROP_PORTS_MAX || !port_baseline)
		return;
	for (int reason = 0; reason < DROP_REASON_COUNT; reason++)
		port_baseline[port][reason] = port_sum(port, (enum drop_reason)reason);
}
