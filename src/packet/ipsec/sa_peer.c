/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers of transport mode behind one NAT have one address, so the policies that fit their packets
 * are the same, and only the port of ESP in UDP tells who is who (RFC 3948 section 5.2).
 * Associations with the same outer ends are one peer's: both directions of a pair, and what takes
 * their place when keys are new. A peer keeps its number when its ends move.
 */
#include "packet/ipsec/sa.h"

#define BUCKETS 4096 /* a power of two */

/* Outbound ones of transport mode, by peer, and by request where the address is the peer; each
 * newest first. */
static struct sa *buckets[BUCKETS];
static uint32_t last_peer; /* control thread */

static struct sa **bucket_of(uint32_t peer, uint32_t request)
{
	return &buckets[((peer ? peer : request) * 0x9e3779b1U) >> 20];
}

static_assert(BUCKETS == 1 << 12, "bucket_of() yields so many");

/* The other end and ours, whatever the direction. */
static bool has_ends(const struct sa *sa, const struct sa_parameters *parameters)
{
	const struct sa_outer *outer = sa->outer;

	if (sa->direction == parameters->direction)
		return outer->source_port == parameters->source_port
			&& outer->destination_port == parameters->destination_port
			&& ip_address_is_equal(&outer->source, &parameters->source)
			&& ip_address_is_equal(&outer->destination, &parameters->name.destination);
	return outer->source_port == parameters->destination_port
		&& outer->destination_port == parameters->source_port
		&& ip_address_is_equal(&outer->source, &parameters->name.destination)
		&& ip_address_is_equal(&outer->destination, &parameters->source);
}

uint32_t sa_peer_of(const struct sa_parameters *parameters)
{
	if (parameters->mode != SA_TRANSPORT || !parameters->has_encapsulation)
		return IPSEC_PEER_BY_ADDRESS;
	for (const struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1))
		if (sa->peer != IPSEC_PEER_BY_ADDRESS && has_ends(sa, parameters))
			return sa->peer;
	return ++last_peer;
}

void sa_peer_link(struct sa *sa)
{
	struct sa **bucket = bucket_of(sa->peer, sa->request);

	if (sa->direction != SA_OUTBOUND || sa->mode != SA_TRANSPORT)
		return;
	sa->peer_next = *bucket;
	/* Release: the SA is whole; pairs with sa_find_of_peer(). */
	__atomic_store_n(bucket, sa, __ATOMIC_RELEASE);
}

void sa_peer_unlink(struct sa *sa)
{
	struct sa **at = bucket_of(sa->peer, sa->request);

	while (*at && *at != sa)
		at = &(*at)->peer_next;
	if (*at)
		__atomic_store_n(at, sa->peer_next, __ATOMIC_RELEASE);
}

bool sa_has_many_peers(uint32_t owner, uint32_t request)
{
	const struct sa *first = NULL;

	/* No NAT so far: spare every policy's binding the walk. */
	if (last_peer == 0)
		return false;
	for (const struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1)) {
		if (sa->direction != SA_OUTBOUND || sa->mode != SA_TRANSPORT || sa->owner != owner
			|| sa->request != request)
			continue;
		if (first && first->peer != sa->peer)
			return true;
		first = sa;
	}
	return false;
}

struct sa *sa_find_of_peer(uint32_t peer, uint32_t owner, uint32_t request)
{
	struct sa *sa = publish_read(bucket_of(peer, request));

	while (sa
		&& !(sa->peer == peer && sa->request == request
			&& __atomic_load_n(&sa->owner, __ATOMIC_RELAXED) == owner))
		sa = publish_read(&sa->peer_next);
	return sa;
}

bool sa_peer_is_there(uint32_t peer)
{
	const struct sa *sa = publish_read(bucket_of(peer, 0));

	while (sa && sa->peer != peer)
		sa = publish_read(&sa->peer_next);
	return sa;
}
