/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this folder share: each worker's own state, and what they do to packets.
 * Nothing here is shared between workers but counters, which the control thread reads relaxed.
 */
#pragma once

#include "packet/distributor/connection_table.h"
#include "packet/distributor/schedule.h"
#include "packet/engine/drop.h"
#include "packet/engine/metadata.h"
#include "packet/engine/pieces.h"
#include "packet/engine/worker.h"
#include "wire/decode.h"

#include <rte_ip_frag.h>

#define WAITING_MAX           64 /* packets of a worker that wait for a neighbour */
#define WAITING_PER_HOP       3  /* of them for one */
#define WAITING_TICKS         (2000 / CONNECTION_TICK_MS)
#define DISTRIBUTE_PAGE_MAX   64  /* connections of an answer's part */
#define DISTRIBUTE_CONTIGUOUS 256 /* bytes in one piece that headers of a packet are within */

/* Each written by its worker, relaxed; read by the control thread. */
struct vipa_counters {
	uint64_t packets, bytes; /* from clients, to targets */
	uint64_t connections;    /* begun */
	uint64_t refused;        /* no target, or no room */
	uint64_t answers;        /* from targets */
};

struct target_counters {
	uint64_t packets, bytes; /* to the target */
	uint64_t connections;    /* begun */
	uint64_t answers;        /* from the target */
	uint64_t refused;        /* GRE in its name that was refused */
	uint64_t heartbeats;     /* believed */
};

/* Packets without a next hop's hardware address. */
struct waiting {
	struct rte_mbuf *packet;
	struct ip_address hop;
	uint32_t since, asked; /* asked: again, on behalf of this one */
};

/* A part of the connection table for the control thread: asked for and taken by it, filled by the
 * worker in between, both told by is_wanted (release, acquire). */
struct distribute_page {
	bool is_wanted;
	uint32_t from;         /* entry */
	uint16_t vipa, target; /* only these; VIPA_NONE: any */
	uint32_t next; /* entry behind the last one looked at; CONNECTION_NONE: that was all */
	uint16_t count;
	uint32_t now;
	struct connection rows[DISTRIBUTE_PAGE_MAX];
};

/* Pieces that came in clear, by IPsec and from targets never make one datagram together: what one
 * of them may say, another may not. */
enum datagram_way {
	DATAGRAM_CLEAR,
	DATAGRAM_DECRYPTED,
	DATAGRAM_OF_TARGET,
	DATAGRAM_WAY_COUNT,
};

struct distributor_worker {
	uint32_t now; /* ticks; by distribute_tick, and by each node that needs it */
	uint32_t ticked_at, expired_at; /* by distribute_tick */
	struct connection_table *connections;
	uint32_t divided_for; /* VIPAs that the shares are made for */
	uint32_t deaths_seen; /* of health_deaths */
	uint32_t sweep_at;    /* entry; CONNECTION_NONE: no sweep */
	struct rte_ip_frag_tbl *fragments[DATAGRAM_WAY_COUNT];
	struct rte_ip_frag_death_row dead;
	uint16_t waiting_count;
	struct waiting waiting[WAITING_MAX];
	struct distribute_page page;
	struct schedule_round round;
	struct vipa_counters vipas[VIPAS_MAX];
	struct target_counters targets[VIPA_TARGETS_MAX];
};
/* Made with the first configuration that has a distributor; never freed while workers run. */
extern struct distributor_worker *distributor_workers[WORKERS_MAX];

/* Control thread; NULL: no memory. Destroy: when the worker has ended. */
struct distributor_worker *distributor_worker_create(uint32_t capacity);
void distributor_worker_destroy(struct distributor_worker *own);

/* VIPAs that worker 0 has to announce, by index; control thread sets, the worker takes. */
extern uint64_t distribute_announce[VIPAS_MAX / 64];

/* Largest packet of a connection that fits everywhere on its way: with GRE around (target), and
 * with ESP around (is_secure), in a packet of IPv6 or IPv4, whatever is inside. 0: a port is not
 * there. Worker. */
uint32_t distribute_path_mtu(
	const struct vipa_table *table, uint16_t target, bool is_secure, bool is_outer_ipv6);
/* Of a port, or 0 when it is not there. */
uint32_t distribute_port_mtu(uint16_t port);

/* What ESP adds at most (D16): tunnel header, UDP, ESP header, IV of CBC, padding, ICV of
 * HMAC-SHA2-512-256. */
#define DISTRIBUTE_ESP_OVERHEAD_IPV4 (20 + 8 + 8 + 16 + 17 + 32)
#define DISTRIBUTE_ESP_OVERHEAD_IPV6 (40 + 8 + 8 + 16 + 17 + 32)

#define DISTRIBUTE_COUNT(counter, value)                                                           \
	__atomic_store_n(&(counter), (counter) + (value), __ATOMIC_RELAXED)

/* The calling worker's own; NULL: there never was a distributor. */
static inline struct distributor_worker *distributor_own(void)
{
	return distributor_workers[worker_index];
}

/* Ticks of CONNECTION_TICK_MS, by the clock. */
uint32_t distribute_clock(void);

/* ---- datagram.c: sizes ---- */

/* Takes a fragment; returns the whole datagram when this was the last one missing (a chain, its
 * headers right), NULL when others are still missing. decoded is of the fragment. */
struct rte_mbuf *datagram_reassemble(
	struct distributor_worker *own, struct rte_mbuf *packet, const struct decoded *decoded);

enum datagram_fit {
	DATAGRAM_FITS,
	DATAGRAM_CUT,     /* into pieces; the packet is gone */
	DATAGRAM_TOO_BIG, /* and may not be cut: its sender is to be told */
	DATAGRAM_FAILED,  /* no memory, or too many pieces */
};

/* Makes a frame's IP packet fit into mtu bytes: what may be cut is, as its sender would have. */
enum datagram_fit datagram_fit(struct rte_mbuf *packet, uint32_t mtu,
	struct rte_mbuf *pieces[PIECES_MAX], uint16_t *piece_count);

/* Whether one that waits may ask again, and has then done so. The neighbour table gives a turn to
 * ask once a second, unless it is full of others. */
static inline bool waiting_may_ask(uint32_t *asked, uint32_t now)
{
	if (now - *asked < 1000 / CONNECTION_TICK_MS)
		return false;
	*asked = now;
	return true;
}

/* ---- vipa_output_node.c ---- */

/* Who has the hardware address that the packet waits for, asked by its VIPA. NULL: no memory, or
 * the VIPA is gone. */
struct rte_mbuf *vipa_output_question(
	const struct vipa_table *table, const struct waiting *waiting);

/* ---- clamp.c ---- */

/* Lowers the MSS that a TCP SYN offers, so that packets of its receiver fit into mtu bytes (D13).
 * The checksum is kept right. */
void clamp_mss(struct rte_mbuf *packet, const struct decoded *decoded, uint32_t mtu);

/* ---- message.c: what the distributor itself says ---- */

/* Turns an echo request into its answer. */
void message_echo(struct rte_mbuf *packet, const struct decoded *decoded);
/* To the sender of a packet that it is larger than mtu (RFC 1191, RFC 8201), as from its addressee.
 * NULL: no memory, or nobody to be told. */
struct rte_mbuf *message_too_big(const struct rte_mbuf *packet, uint32_t mtu);
/* A reset for the client of a TCP connection, as from its VIPA. NULL: no memory. */
struct rte_mbuf *message_reset(const struct vipa *vipa, const struct connection *connection);
