/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inspector outside: any inline IPS that takes frames from a memif, and returns those that may
 * pass on the same one (Suricata in IPS mode, dpdk-testpmd to try it). We are the memif's server,
 * so that it can come and go. A worker has a memif of its own on the one socket, with its number as
 * id: of queues beyond those that the client has DPDK's server does not learn, and then writes into
 * the first queue's ring. The inspector counts as there when all are connected. The packet itself
 * stays in the hold table; what leaves is a copy under a handle (G3). What is not returned in time
 * is left to on-failure, and so is all that it holds when it dies (I4).
 *
 * What returns is not trusted (I10): its handle has to be valid and not used yet, addresses and
 * VLAN those of the packet that was given. Other bytes are taken as a replacement (I3), except for
 * them.
 */
#pragma once

#include "packet/inspect/inspector.h"

#define EXTERNAL_READY_MAX 1024 /* returned packets that wait for collect */

struct external_worker {
	struct {
		struct rte_mbuf *packet;
		enum verdict verdict;
	} ready[EXTERNAL_READY_MAX];
	uint32_t ready_head, ready_tail;
	bool was_down;
	uint64_t sent, returned, too_large; /* read relaxed */
};

struct external {
	struct inspector base;
	struct external_device *device; /* of external.c */
	uint16_t ports[WORKERS_MAX];    /* of DPDK */
	uint32_t in_flight_max;         /* of one worker; relaxed */
	uint16_t worker_count;
	struct external_worker *workers[WORKERS_MAX];
};

/* Takes one returned frame: true when *packet (maybe another mbuf) and *verdict are to be given on.
 * The frame is taken in any case. Worker. */
bool external_take_return(struct external *external, uint16_t worker, struct rte_mbuf *frame,
	struct rte_mbuf **packet, enum verdict *verdict);

void external_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts);
uint16_t external_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max);
