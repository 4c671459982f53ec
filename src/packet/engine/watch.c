/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/watch.h"

#include "packet/engine/capture.h"
#include "packet/engine/publish.h"
#include "packet/engine/trace_control.h"

#include <errno.h>
#include <rte_graph_worker.h>
#include <stdlib.h>

struct watch *watch_slot;

void watch_node(const struct watch *watch, struct rte_node *node, void **objects, uint16_t count,
	bool is_source)
{
	struct rte_mbuf **packets = (struct rte_mbuf **)objects;

	trace_watch(watch, node, packets, count, is_source);
	for (uint32_t i = 0; i < WATCH_CAPTURES_MAX; i++)
		if (watch->captures[i])
			capture_watch(watch->captures[i], node, packets, count);
}

static bool is_empty(const struct watch *watch)
{
	for (uint32_t i = 0; i < WATCH_TRACES_MAX; i++)
		if (watch->traces[i])
			return false;
	for (uint32_t i = 0; i < WATCH_CAPTURES_MAX; i++)
		if (watch->captures[i])
			return false;
	return true;
}

static struct watch *copy(void)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch && watch_slot)
		*watch = *watch_slot;
	return watch;
}

/* Waits, so that the caller may free what it removed. */
static void publish(struct watch *watch)
{
	struct watch *old;

	if (is_empty(watch)) {
		free(watch);
		watch = NULL;
	}
	/* Pairs with publish_read() in graph_walk(). */
	old = __atomic_exchange_n(&watch_slot, watch, __ATOMIC_ACQ_REL);
	publish_wait();
	free(old);
}

int watch_set_trace(uint32_t slot, struct trace *trace)
{
	struct watch *watch = copy();

	if (!watch)
		return -ENOMEM;
	watch->traces[slot] = trace;
	publish(watch);
	return 0;
}

int watch_set_capture(uint32_t slot, struct capture *capture)
{
	struct watch *watch = copy();

	if (!watch)
		return -ENOMEM;
	watch->captures[slot] = capture;
	publish(watch);
	return 0;
}
