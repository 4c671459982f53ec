/* SPDX-License-Identifier: BSD-3-Clause */
/* What both nodes of IPsec do with packets. Workers. */
#pragma once

#include "packet/engine/node.h"
#include "packet/ipsec/esp.h"
#include "packet/ipsec/outer.h"
#include "packet/ipsec/policy.h"
#include "packet/port/port.h"
#include "wire/decode.h"

/* What the configuration says; published. NULL: IPsec is off. */
struct ipsec_settings {
	uint16_t physical_port; /* index, or PORT_NONE */
	bool bypasses;          /* what no policy matches; else it is discarded */
};
extern struct ipsec_settings *ipsec_settings;

/* Larger packets than this are not protected: a jumbo frame of MTU 9216. */
#define IPSEC_SIZE_MAX 9300

/* Control thread: the pool for what does not fit into one ordinary buffer. */
int ipsec_pool_open(struct error *error);
void ipsec_pool_close(void);

/* The packet in one segment that is nobody else's, with so much room around; maybe in another
 * buffer. NULL: reason tells why, and the packet is still the caller's. */
struct rte_mbuf *ipsec_make_room(
	struct rte_mbuf *packet, uint32_t before, uint32_t behind, enum drop_reason *reason);

/* Calls run() for each group of works that have one SA, in the order of their first ones; within a
 * group order is kept. sas[i] NULL: works[i] is left out. */
void ipsec_by_sa(struct sa *const *sas, struct esp_work *works, uint16_t count, uint64_t now_s,
	void (*run)(struct sa *, struct esp_work *const *, uint16_t, uint64_t));

/* An ICMP error about what an SA sent: when it tells that a packet did not fit its path, that is
 * noted (RFC 4301 section 8.2). False: the packet is no such error. */
bool ipsec_take_error(const struct decoded *error);
