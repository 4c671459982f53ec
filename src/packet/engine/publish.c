/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One rte_rcu_qsbr variable for all workers. What is retired waits in a queue with the token of its
 * grace period; a timer of the role's loop, which runs only while something waits, frees what no
 * walk can see any more. A napping worker is offline and delays nobody.
 */
#include "packet/engine/publish.h"

#include "packet/engine/publish_private.h"
#include "packet/engine/worker.h"

#include <errno.h>
#include <rte_malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define PUBLISH_POLL_MS 2  /* about a walk; the queue is short */
#define PUBLISH_WAIT_US 20 /* between two looks while blocking */

struct retired {
	struct retired *next;
	void *object;
	void (*destroy)(void *object);
	uint64_t token;
};

struct rte_rcu_qsbr *publish_rcu;

/* All of it belongs to the control thread. */
static struct retired *retired_first, **retired_end = &retired_first;
static uv_timer_t reclaim_timer;
static uv_loop_t *reclaim_loop; /* NULL: nobody polls; publish_wait() reclaims */

int publish_open(uv_loop_t *loop)
{
	publish_rcu =
		rte_zmalloc("publish", rte_rcu_qsbr_get_memsize(WORKERS_MAX), RTE_CACHE_LINE_SIZE);
	if (!publish_rcu || rte_rcu_qsbr_init(publish_rcu, WORKERS_MAX) != 0)
		return -ENOMEM;
	reclaim_loop = loop;
	if (loop)
		uv_timer_init(loop, &reclaim_timer);
	return 0;
}

void publish_close(void)
{
	if (!publish_rcu)
		return;
	publish_wait();
	if (reclaim_loop)
		uv_close((uv_handle_t *)&reclaim_timer, NULL);
	reclaim_loop = NULL;
	rte_free(publish_rcu);
	publish_rcu = NULL;
}

/* In order; an object whose token has not been seen by all stops the round. */
static void publish_reclaim(void)
{
	while (retired_first && rte_rcu_qsbr_check(publish_rcu, retired_first->token, false) == 1) {
		struct retired *retired = retired_first;

		retired_first = retired->next;
		if (!retired_first)
			retired_end = &retired_first;
		retired->destroy(retired->object);
		free(retired);
	}
}

static void on_reclaim_timer(uv_timer_t *timer)
{
	publish_reclaim();
	if (!retired_first)
		uv_timer_stop(timer);
}

void publish_retire(void *object, void (*destroy)(void *object))
{
	struct retired *retired;

	if (!object || !destroy)
		return;
	retired = publish_rcu ? malloc(sizeof(*retired)) : NULL;
	if (!retired) {
		/* No workers yet, or no memory to queue it: wait instead, which is always right. */
		publish_wait();
		destroy(object);
		return;
	}
	*retired = (struct retired){
		.object = object, .destroy = destroy, .token = rte_rcu_qsbr_start(publish_rcu)};
	*retired_end = retired;
	retired_end = &retired->next;
	if (reclaim_loop && !uv_is_active((uv_handle_t *)&reclaim_timer))
		uv_timer_start(&reclaim_timer, on_reclaim_timer, PUBLISH_POLL_MS, PUBLISH_POLL_MS);
}

void publish_synchronize(void)
{
	uint64_t token;

	if (!publish_rcu)
		return;
	token = rte_rcu_qsbr_start(publish_rcu);
	/* Sleeping instead of rte_rcu_qsbr_synchronize(), whose spinning would keep a worker that
	 * shares this core from ending its walk. */
	while (rte_rcu_qsbr_check(publish_rcu, token, false) == 0)
		usleep(PUBLISH_WAIT_US);
}

void publish_wait(void)
{
	if (!publish_rcu)
		return;
	publish_synchronize();
	publish_reclaim();
}
