/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's log into ours. Control thread. */
#pragma once

/* Before rte_eal_init(); close after rte_eal_cleanup(). */
int eal_log_open(void);
void eal_log_close(void);

/* Writes the lines that other threads left. By a timer of the engine. */
void eal_log_drain(void);
