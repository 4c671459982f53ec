/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine appliance (I8): an IPS on another host, asked and heard over a trusted link
 * (message.h). The packet stays in the hold table; what leaves is a copy under its handle. A copy
 * that comes back passes the packet, a message without frame refuses it, silence is left to the
 * deadline. Whether somebody is there, and gives verdicts, probes tell.
 *
 * What returns is not trusted (I10): first its code of authentication has to be right, then its
 * handle valid and not used yet, and network, addresses and ethertype those of the packet that was
 * given. Other bytes behind these are taken as a replacement (I3).
 */
#pragma once

#include "packet/inspect/appliance/message.h"
#include "packet/inspect/inspector.h"

#include <rte_ring.h>

#define APPLIANCE_READY_MAX 1024 /* returned packets that wait for collect */

/* Of one worker; counters are read relaxed. */
struct appliance_worker {
	struct {
		struct rte_mbuf *packet;
		enum verdict verdict;
	} ready[APPLIANCE_READY_MAX];
	uint32_t ready_head, ready_tail;
	bool was_down;
	uint64_t sent, returned, refused, failed, forged, too_large;
};

struct appliance {
	struct inspector base;
	struct appliance_watch *watch; /* of appliance.c */
	uint32_t in_flight_max;        /* of one worker; relaxed */
	uint16_t worker_count;
	/* The probe under way: the control thread writes nonce and then is_due, worker 0 sends it
	 * and writes the rest (release; pairs with acquire in appliance.c). */
	uint64_t nonce, sent_ns, round_trip_ns, answered_nonce;
	bool is_due;
	bool is_ready; /* what the last answer said of the engines */
	struct appliance_worker *workers[WORKERS_MAX];
};

/* What geneve_input gives to each worker: frames whole, from the Ethernet header on, parsed but not
 * authenticated. There as long as there is an engine. */
extern struct rte_ring *appliance_returns[WORKERS_MAX];
/* The engine they are for; relaxed. */
extern struct appliance *appliance_current;

/* Takes one such frame: true when *packet (maybe another mbuf) and *verdict are to be given on. The
 * frame is taken in any case. Worker. */
bool appliance_take_return(struct appliance *appliance, uint16_t worker, const struct link_end *end,
	struct rte_mbuf *frame, struct rte_mbuf **packet, enum verdict *verdict);

void appliance_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts);
uint16_t appliance_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max);

/* What this host did for others since it began, by client; each worker its own, read relaxed. */
struct appliance_served {
	uint64_t requests, passed, dropped, failed, forged, probes;
} __rte_cache_aligned;
extern struct appliance_served appliance_served[WORKERS_MAX][LINK_PEERS_MAX];
/* New reference: the list for inspect.status; NULL: this host serves nobody. Control thread. */
json_t *appliance_clients(void);
