/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment layer, started once per process from the configuration's packet section. What
 * it was started with cannot change while the process lives: eal_needs_restart() says so.
 * Control thread.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum eal_hugepages { EAL_HUGEPAGES_AUTO, EAL_HUGEPAGES_ON, EAL_HUGEPAGES_OFF };

struct eal_config {
	uint64_t memory_bytes;
	enum eal_hugepages hugepages;
	char prefix[32]; /* tells this daemon's DPDK files from another's */
};

/* From the normalised document: packet.memory, packet.hugepages, control.socket. */
void eal_config_read(const json_t *config, struct eal_config *out);

/* hugepages: auto then means ordinary memory: the process before this one could not get them. */
void eal_avoid_hugepages(void);

/* Starts EAL, the log's route and the mbuf field. Fails for good: the process has to be started
 * again after a failure behind rte_eal_init(). */
int eal_start(const struct eal_config *config, struct error *error);
void eal_stop(void);
bool eal_is_running(void);
/* rte_eal_init() was called: it cannot be called again. */
bool eal_was_tried(void);
bool eal_uses_hugepages(void);
/* EAL did not start for want of hugepages that nobody insists on: a new process may do without. */
bool eal_lacks_hugepages(void);

/* The options whose change needs a new process, appended to keys as strings. */
void eal_needs_restart(const struct eal_config *config, json_t *keys);
