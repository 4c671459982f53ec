/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Publication of tables: the control thread swaps a pointer, workers read it once a burst, and the
 * old table is freed after a grace period (rte_rcu_qsbr): when each worker has ended the walk it
 * was in.
 */
#pragma once

/* Reader, worker thread: valid until the end of this walk. Acquire; pairs with publish_swap(). */
#define publish_read(slot) __atomic_load_n((slot), __ATOMIC_ACQUIRE)

/* Writer, control thread: stores table into *slot; calls destroy(old) (both may be NULL) after the
 * grace period, without blocking. */
#define publish_swap(slot, table, destroy)                                                         \
	publish_retire(__atomic_exchange_n((slot), (table), __ATOMIC_ACQ_REL),                     \
		(void (*)(void *))(destroy))

/* Calls destroy(object) after a grace period. Control thread. */
void publish_retire(void *object, void (*destroy)(void *object));

/* Blocks the control thread until each worker has ended the walk it was in. */
void publish_wait(void);

/* The same for any other thread that is no worker's (librte_vhost's); frees nothing that is
 * retired. */
void publish_synchronize(void);
