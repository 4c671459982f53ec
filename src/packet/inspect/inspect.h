/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this folder share: the chain of inspectors with its failure policy, published
 * as one table, and each worker's own state. Writer of the chain: inspect_control.c. Readers: the
 * nodes. A worker's state belongs to its worker, except for the counters (read relaxed).
 */
#pragma once

#include "packet/engine/drop.h"
#include "packet/engine/metadata.h"
#include "packet/inspect/hold_table.h"
#include "packet/inspect/inspector.h"
#include "packet/port/port.h"

#define INSPECT_CHAIN_MAX    4
#define INSPECT_RETIRING_MAX 16
#define INSPECT_INJECT_MAX   1024 /* of one burst, with what super-frames are cut into */
#define INSPECT_VLANS        4096
#define INSPECT_BYPASS_NEVER UINT64_MAX
#define INSPECT_BURST        64 /* packets that go through the chain together */

enum failure_policy { FAILURE_UNSET, FAILURE_DROP, FAILURE_PASS };

/* A partition's adapter with a configured address: decides for packets *to* it. */
struct inspect_party {
	uint8_t mac[6];
	uint16_t vlan; /* 0: member of several */
	uint8_t on_failure;
	uint64_t bypass_after; /* as in the chain */
};

struct inspect_chain {
	uint16_t count;
	struct inspector *engines[INSPECT_CHAIN_MAX];
	/* Replaced ones, that still have packets held: only collected from. */
	uint16_t retiring_count;
	struct inspector *retiring[INSPECT_RETIRING_MAX];
	uint64_t retiring_until_ns[INSPECT_RETIRING_MAX]; /* control thread */
	uint64_t deadline_ns, gap_timeout_ns;
	uint8_t kind_policy[ORIGIN_KIND_COUNT];
	uint8_t vlan_policy[INSPECT_VLANS];
	uint8_t port_policy[PORTS_MAX]; /* by ingress port */
	/* Bytes of a clean flow after which it is not inspected any more; 0: as the next wider
	 * says, INSPECT_BYPASS_NEVER: never. The least of all (0: there is none), so that most
	 * packets need not ask. */
	uint64_t bypass_after, bypass_least;
	uint64_t vlan_bypass[INSPECT_VLANS];
	uint64_t port_bypass[PORTS_MAX];
	size_t party_count;
	struct inspect_party parties[]; /* sorted by mac */
};
extern struct inspect_chain *inspect_chain; /* publish_read(); NULL: everything passes */

/* Where a packet that an inspector made goes to. */
enum inspect_injection {
	INSPECT_INJECT_FORWARD, /* on, by its origin tag */
	INSPECT_INJECT_TX,      /* out of metadata's egress_port */
};

struct inspect_worker {
	struct hold_table *holds;
	struct {
		struct rte_mbuf *packet;
		enum inspect_injection where;
	} injections[INSPECT_INJECT_MAX];
	uint16_t injection_count;
	uint64_t injections_lost;
	uint64_t failures_passed, failures_dropped;
};
extern struct inspect_worker *inspect_workers[WORKERS_MAX];

/* Queues a packet that an inspector made, taken; it leaves at the end of this burst. Metadata is
 * set: origin and vlan, or egress_port and vlan. */
void inspect_inject(uint16_t worker, struct rte_mbuf *packet, enum inspect_injection where);

/* Holds packet for owner until the chain's deadline: hold_insert() with what the worker has. */
int inspect_hold(uint16_t worker, struct inspector *owner, struct rte_mbuf *packet, uint64_t now_ns,
	uint64_t *handle);

/* First found: the ingress adapter's policy (or, for what goes to a partition, the addressee's),
 * the VLAN's, that of the origin kind. */
enum failure_policy inspect_failure_policy(
	const struct inspect_chain *chain, struct rte_mbuf *packet);

/* In the same order: bytes of a flow after which it may be bypassed; INSPECT_BYPASS_NEVER. */
uint64_t inspect_bypass_after(const struct inspect_chain *chain, struct rte_mbuf *packet);

/* What comes out of the chain. packets has the packets that go on or are dropped, those held are
 * gone from it. */
struct inspect_output {
	uint16_t pass_count, drop_count;
	struct rte_mbuf *pass[INSPECT_BURST], *drop[INSPECT_BURST];
};

/* The number that the next inspector holds packets under: after last, round and round, without
 * those that inspectors of chain (or NULL) have. Control thread. */
uint16_t inspect_chain_next_owner(const struct inspect_chain *chain, uint16_t last);
/* Runs count (at most INSPECT_BURST) packets through the chain from engine first on. */
void inspect_chain_run(struct inspect_chain *chain, uint16_t worker, uint16_t first,
	struct rte_mbuf **packets, uint16_t count, struct inspect_output *output);
/* Lets the engines that were replaced say what they must. Then there may be injections. */
void inspect_chain_retire(struct inspect_chain *chain, uint16_t worker);
/* Collects from engines and deadlines. Returns how many packets output got. */
uint16_t inspect_chain_collect(struct inspect_chain *chain, uint16_t worker, uint64_t now_ns,
	struct inspect_output *output);

/* The document of the change that is under way, else of the running configuration: for engines that
 * are created. Control thread. */
const json_t *inspect_document(void);

/* Bytes of a chain with its parties. */
size_t inspect_chain_size(const struct inspect_chain *chain);
