/* SPDX-License-Identifier: BSD-3-Clause */
/* Publication as the engine alone sees it: the QSBR variable, and when it exists. */
#pragma once

#include <rte_rcu_qsbr.h>
#include <uv.h>

/* Workers report to it; NULL before publish_open(). */
extern struct rte_rcu_qsbr *publish_rcu;

/* Control thread, when EAL runs and before the first worker. Without loop, objects are freed by
 * publish_wait() only (tests). */
int publish_open(uv_loop_t *loop);
/* After the last worker. Frees what still waits. */
void publish_close(void);
