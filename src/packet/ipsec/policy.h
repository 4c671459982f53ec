/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The security policy database (RFC 4301 section 4.4.1) as workers look it up: the first policy, by
 * priority and then by age, whose selector a packet matches.
 *
 * A table of tuples, as packet classifiers have it: each pair of prefix lengths that occurs makes a
 * tuple; its policies are in hash chains by the addresses, masked to these lengths. A lookup asks
 * each tuple once (there are few: clients are hosts, or subnets of few sizes), whatever the number
 * of policies. rte_acl would have to be compiled anew with each client that comes, in a time that
 * grows with their number.
 *
 * Writer: control thread, by single stores and grace periods. Readers: workers.
 */
#pragma once

#include "packet/engine/publish.h"
#include "packet/ipsec/sa.h"
#include "packet/ipsec/sa_control.h"
#include "wire/decode.h"

/* What of a packet policies look at. */
struct policy_packet {
	struct ip_address source, destination;
	uint8_t protocol;
	bool has_ports; /* false: a later fragment; matches selectors of any port alone */
	uint16_t source_port, destination_port; /* of ICMP: both type << 8 | code */
};

/* Asked for by a worker whose packet found no SA; one at a time a policy. */
enum acquire_state { ACQUIRE_IDLE, ACQUIRE_WRITING, ACQUIRE_READY };

struct policy_reference;

struct policy {
	/* Constant. */
	struct sa_selector selector;
	uint32_t priority;
	uint64_t order; /* of addition */
	uint8_t direction, action, mode;
	uint8_t version; /* of the addresses */
	uint8_t source_length, destination_length;
	/* Written by the control thread, read by workers. */
	struct policy *next; /* of the bucket: acquire, release */
	struct sa *sa;       /* publish_read(): what to protect with; NULL: none yet */
	uint64_t request;    /* policy_request() of the newest reference; relaxed */
	bool has_many_peers; /* sa_has_many_peers() of it; relaxed */
	/* Written by workers, relaxed or as said. */
	uint64_t packets;
	uint8_t acquire; /* enum acquire_state: compare and swap, then release */
	struct policy_packet acquire_packet;
	/* The control thread's. */
	struct policy *list_next;
	struct policy_reference *references; /* newest first */
	uint64_t acquired_ns;                /* when it was told last */
};

/* Fills in from the headers of a frame. */
void policy_packet_of(const struct decoded *decoded, struct policy_packet *out);

/* What policies and the SAs made for them have in common: each owner has requests of its own. */
static inline uint64_t policy_request(uint32_t owner, uint32_t request)
{
	return (uint64_t)owner << 32 | request;
}

/* Worker; NULL: no policy matches. */
struct policy *policy_find(enum policy_direction direction, const struct policy_packet *packet);

/* Worker: whether the first policy that matches but for ports protects or discards; of a later
 * fragment, whose ports are not known. */
bool policy_may_protect(enum policy_direction direction, const struct policy_packet *packet);

/* Pure. */
bool selector_matches(const struct sa_selector *selector, const struct policy_packet *packet);
bool selector_is_equal(const struct sa_selector *a, const struct sa_selector *b);
/* -EINVAL: versions that differ, or ranges that are empty. */
int selector_check(const struct sa_selector *selector, struct error *error);

/* Worker: notes that the policy's packet has no SA; the control thread calls acquire(). */
void policy_ask(struct policy *policy, const struct policy_packet *packet);

/* ---- control thread ---- */

int policy_table_open(void);
void policy_table_close(void);
/* An outbound SA came, or is gone: policies of its request are pointed at what there is now. */
void policy_rebind(const struct sa *changed, bool is_gone);
/* Tells acquire() for policies that workers asked for. */
void policy_take_news(uint64_t now_ns);
void policy_flush_owner(uint32_t owner);
void policy_change_owner(uint32_t from, uint32_t to);

/* One row a reference, for those who list or keep them. */
struct policy_reference {
	struct policy_reference *next;
	uint32_t request, spi, owner;
	struct ip_address source, destination;
};
/* Copies of all that owner brought, to be freed with free(); 0 and NULL: nothing, or no memory. */
size_t policy_copy_owner(uint32_t owner, struct policy_parameters **out);
const char *policy_action_name(enum policy_action action);          /* "protect" */
const char *policy_direction_name(enum policy_direction direction); /* "in" */
struct policy *policy_first(void);
uint32_t policy_count(void);
/* As policy_add() took it. */
void policy_describe(const struct policy *policy, const struct policy_reference *reference,
	struct policy_parameters *out);
