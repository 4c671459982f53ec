/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A security association, and the table in which workers find inbound ones (SAD, RFC 4301 section
 * 4.4.2). The table is a fixed array of chains: readers take no lock; the control thread links and
 * unlinks with single stores, and frees what it unlinked after a grace period (publish.h).
 * rte_hash would do no more for keys that we draw at random, and needs a defer queue of its own.
 *
 * Fields are grouped by who writes them.
 */
#pragma once

#include "base/secret.h"
#include "packet/engine/publish.h"
#include "packet/ipsec/ipsec.h"
#include "packet/ipsec/replay.h"
#include "packet/ipsec/sa_control.h"
#include "packet/ipsec/sa_crypto.h"
#include "packet/ipsec/sa_record.h"
#include "wire/eth.h"

#include <rte_common.h>
#include <rte_spinlock.h>

#define SA_BUCKETS      16384 /* a power of two */
#define SA_INDEX_NONE   UINT32_MAX
#define SA_OUTER_IP_MAX 40

/* What is put in front of ESP, and how the other end is told from others. Immutable: replaced as a
 * whole when an end moves. */
struct sa_outer {
	struct ip_address source, destination;
	bool has_encapsulation;
	uint16_t source_port, destination_port;
	uint8_t ip_size;                /* of the IP header */
	uint8_t size;                   /* with UDP's */
	uint32_t sum;                   /* IPv4: checksum_add() of its header as it is below */
	uint8_t bytes[SA_OUTER_IP_MAX]; /* lengths, checksum and TOS are filled in */
};

/* What workers count; any of them, by atomic addition, once a burst. */
struct sa_counters {
	uint64_t packets, bytes; /* bytes: as ESP's payload, without padding */
	uint64_t last_used_s;    /* monotonic; 0: never */
	uint64_t replays, forged, refused;
};

/* Told by workers, taken by the control thread: a flag that is set last and cleared first. */
struct sa_mapping {
	bool is_news;
	struct ip_address source;
	uint16_t source_port;
};

struct sa {
	/* Constant while workers can see it. */
	uint32_t spi_wire; /* as in the packet: network order */
	uint32_t index;    /* of sa_at() */
	uint32_t generation;
	uint8_t direction, mode;
	bool has_esn, copies_df, copies_ecn, copies_dscp;
	struct sa_crypto crypto;
	uint64_t iv_key[2]; /* of AES-CBC: IVs nobody can foresee (RFC 3602 section 3) */
	uint64_t iv_base;   /* of counter modes: IV of sequence number 0 */
	struct sa_lifetime lifetime;
	uint32_t request;
	uint32_t peer; /* with whom, as in ipsec.h */
	uint16_t selector_count;
	struct sa_selector *selectors;
	struct sa_record *record; /* what is in it outlives the process */
	/* Written by the control thread, read by workers. */
	struct sa *next;        /* of the bucket; acquire, release */
	struct sa *peer_next;   /* of the bucket of its peer; likewise */
	struct sa_outer *outer; /* publish_read() */
	bool is_over;           /* hard lifetime; relaxed */
	uint64_t sequence_max;  /* outbound: the last one that may be sent; relaxed */
	uint32_t path_mtu;      /* outbound: workers lower it, time raises it; 0: not known */
	/* Written by workers. */
	uint64_t sequence __rte_cache_aligned; /* outbound: the last one sent; atomic */
	struct sa_counters counters;
	rte_spinlock_t lock __rte_cache_aligned; /* of what follows */
	struct replay_window window;
	struct sa_mapping mapping;
	/* The control thread's. */
	struct sa_name name __rte_cache_aligned;
	uint32_t owner; /* workers read it, relaxed */
	uint8_t integrity;
	uint16_t cipher_key_size, integrity_key_size;
	uint8_t *key; /* SA_KEY_SIZE_MAX bytes of the secret of all: cipher's, then integrity's */
	struct sa_record_name record_name;
	uint64_t added_ns; /* monotonic */
	bool is_soft_told, is_hard_told;
	struct ip_address told_source; /* of a mapping that was told, and when */
	uint16_t told_port;
	uint64_t told_ns;
	uint32_t tick_path_mtu; /* as the last tick saw it, and since when */
	uint64_t path_mtu_ns;
	uint64_t bits[]; /* of the window */
};

/* ---- workers ---- */

extern struct sa **sa_buckets; /* [SA_BUCKETS], of all SAs */

static inline uint32_t sa_bucket(uint32_t spi_wire)
{
	/* SPIs are drawn at random, here or by the configuration's author. */
	return (spi_wire * 0x9e3779b1U) >> 18 & (SA_BUCKETS - 1);
}

/* NULL: there is no such SA. Valid until the end of the walk. Outbound ones are looked for when an
 * ICMP message tells of a packet of theirs; policies know theirs. */
static inline struct sa *sa_look_up(
	enum sa_direction direction, uint32_t spi_wire, const struct ip_address *destination)
{
	struct sa *sa = publish_read(&sa_buckets[sa_bucket(spi_wire)]);

	while (sa) {
		const struct sa_outer *outer = publish_read(&sa->outer);

		if (sa->spi_wire == spi_wire && sa->direction == direction
			&& ip_address_is_equal(&outer->destination, destination))
			return sa;
		sa = publish_read(&sa->next);
	}
	return NULL;
}

/* ---- sa_peer.c ---- */

/* Worker: the outbound SA of transport mode, the newest one; NULL: there is none. Valid until the
 * end of the walk. */
struct sa *sa_find_of_peer(uint32_t peer, uint32_t owner, uint32_t request);
/* Worker: whether there is one of any request; not for IPSEC_PEER_BY_ADDRESS. */
bool sa_peer_is_there(uint32_t peer);
/* Control thread: with whom an SA of these parameters will be; it counts as given. */
uint32_t sa_peer_of(const struct sa_parameters *parameters);
/* Before workers see it, and when they are to see it no more. */
void sa_peer_link(struct sa *sa);
void sa_peer_unlink(struct sa *sa);
/* Whether outbound SAs of the request are with more than one. */
bool sa_has_many_peers(uint32_t owner, uint32_t request);

/* ---- control thread ---- */

/* Room for so many SAs and their keys. */
int sa_table_open(uint32_t sas_max, struct error *error);
/* The workers have ended. */
void sa_table_close(void);
bool sa_table_is_open(void);
uint32_t sa_table_count(void);
uint32_t sa_table_max(void);

/* The next used index from `from` on; NULL: none. */
struct sa *sa_next(uint32_t from);
struct sa *sa_at(uint32_t index);
struct sa *sa_find(const struct sa_name *name);
/* The outbound SA that a policy means: by SPI, when there is one, and request; the newest. */
struct sa *sa_find_outbound(uint32_t owner, uint32_t request, uint32_t spi);

/* Whether sa_add() would take the parameters, but for what is there already. */
int sa_check(const struct sa_parameters *parameters, struct error *error);
/* Whether they make the same SA, keys included; owners are not compared. */
bool sa_parameters_are_equal(const struct sa_parameters *a, const struct sa_parameters *b);
/* The least window of inbound SAs that have one, from now on. */
void sa_set_replay_window(uint16_t packets);

/* Packets and bytes of all SAs of a direction that there ever were. */
void sa_totals(enum sa_direction direction, uint64_t *packets, uint64_t *bytes);

/* What sa_add() does, with what was kept of an earlier life. */
struct sa_past {
	uint64_t sequence; /* outbound: never to be sent again */
	uint64_t floor;    /* inbound: never to be accepted again; the record may have more */
	uint64_t iv_base;
	uint64_t packets, bytes;
	uint64_t added_ns;
	bool is_soft_told;
	struct sa_record_name record; /* id 0: none */
};
/* Of an SA that goes on elsewhere, without its record: behind all that its workers may still send.
 */
struct sa_past sa_past_of(const struct sa *sa);
int sa_add_with_past(
	const struct sa_parameters *parameters, const struct sa_past *past, struct error *error);
/*
 * What sa_add() does, but an SA of this name and owner that is there already stays, when it is the
 * same. When it has the same keys it is replaced by one whose numbers, window and IVs go on: no
 * number is sent twice with a key, and none that is beyond the window's edge is accepted again.
 */
int sa_put(const struct sa_parameters *parameters, struct error *error);
/* Of an SA, for the state that is kept; pointers are borrowed. */
void sa_describe(const struct sa *sa, struct sa_parameters *out);

/* Beyond all IVs of counter modes that an association which is gone can have used, if its key may
 * come again (RFC 4106 section 2: never twice with a key). To be kept for the next life. */
uint64_t sa_iv_edge(void);
void sa_raise_iv_edge(uint64_t edge);

/* Lifetimes, reservations and news from workers: what a timer has to do. now_ns: monotonic. */
void sa_tick(uint64_t now_ns);
/* Only the news: workers asked for it. */
void sa_take_news(void *context);

/*
 * What a state that is kept for a next life of this process has to promise (sa_state.c): no worker
 * of this life sends a number above it; inbound it is 0. When the state is kept, sa_promise_kept()
 * lets workers go so far. A new SA may begin at once: a life that ends before any state has it
 * takes it along. RFC 4303 section 3.3.3, and D16.
 */
uint64_t sa_promise(const struct sa *sa);
void sa_promise_kept(uint32_t index, uint32_t generation, uint64_t promise);
uint64_t sa_first_sequence_max(const struct sa *sa);

/* Told, on the control thread, when what is to be kept has changed. */
void sa_set_changed(void (*changed)(void));
void sa_note_changed(void);

/* NULL: nobody wants to know. */
const struct sa_events *sa_events(void);
