/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Security associations and policies as whoever manages keys sees them: KMP's sessions
 * (kmp_control.c) and the configuration (ipsec_control.c). All parameters are validated here,
 * whoever they come from; nothing is changed when a call fails. Control thread of the packet role.
 *
 * Source: RFC 4301 sections 4.4.1 (policies), 4.4.2 (SAs), 4.4.2.2 (lifetimes).
 */
#pragma once

#include "base/error.h"
#include "base/secret.h"
#include "wire/ip_address.h"

#include <stdbool.h>
#include <stdint.h>

#define SA_OWNER_CONFIGURATION 0 /* of static ones; KMP's sessions have other numbers */
#define SA_REPLAY_WINDOW_MIN   64
#define SA_REPLAY_WINDOW_MAX   4096

enum sa_direction { SA_INBOUND, SA_OUTBOUND };
enum sa_mode { SA_TUNNEL, SA_TRANSPORT };

/* D16. Integrity comes with the first four, or apart. */
enum sa_cipher {
	SA_CIPHER_NULL,
	SA_CIPHER_AES_GCM_16, /* RFC 4106; 128, 192, 256 bits; key is followed by 4 bytes of salt */
	SA_CIPHER_CHACHA20_POLY1305, /* RFC 7634; 256 bits and 4 bytes of salt */
	SA_CIPHER_AES_GMAC,          /* RFC 4543; as AES-GCM, authentication alone */
	SA_CIPHER_AES_CBC,
	SA_CIPHER_AES_CTR, /* RFC 3686; key is followed by 4 bytes of nonce */
	SA_CIPHER_COUNT,
};

enum sa_integrity {
	SA_INTEGRITY_NONE,
	SA_INTEGRITY_HMAC_SHA1_96,
	SA_INTEGRITY_HMAC_SHA2_256_128,
	SA_INTEGRITY_HMAC_SHA2_384_192,
	SA_INTEGRITY_HMAC_SHA2_512_256,
	SA_INTEGRITY_COUNT,
};

/* Of 0: none. Time counts from the addition. */
struct sa_lifetime {
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
	uint32_t soft_s, hard_s;
};

/* One traffic selector: a range of addresses of one version, a protocol (0: any), and ranges of
 * ports, or of ICMP type << 8 | code (0 to 65535: any). */
struct sa_selector {
	struct ip_address source_first, source_last, destination_first, destination_last;
	uint8_t protocol;
	uint16_t source_port_first, source_port_last;
	uint16_t destination_port_first, destination_port_last;
};

/* An SA is named by its SPI and the destination of its outer header (RFC 4301 section 4.1). */
struct sa_name {
	uint32_t spi; /* host order */
	struct ip_address destination;
};

struct sa_parameters {
	struct sa_name name;
	struct ip_address source;
	uint8_t direction;         /* enum sa_direction */
	uint8_t mode;              /* enum sa_mode */
	uint8_t cipher;            /* enum sa_cipher */
	uint8_t integrity;         /* enum sa_integrity */
	const uint8_t *cipher_key; /* with its salt or nonce; borrowed for the call */
	uint16_t cipher_key_size;
	const uint8_t *integrity_key;
	uint16_t integrity_key_size;
	bool has_esn;
	uint16_t replay_window; /* packets; 0: no protection, outbound */
	bool has_encapsulation; /* in UDP (RFC 3948), between these ports: */
	uint16_t source_port, destination_port;
	bool copies_df, copies_ecn, copies_dscp; /* RFC 4301 section 5.1.2 */
	uint32_t request;                        /* reqid: ties SAs to policies */
	struct sa_lifetime lifetime;
	uint32_t owner;
	uint16_t selector_count; /* what an inbound SA may carry; 0: what its policies say */
	const struct sa_selector *selectors;
};

/* -EEXIST, -EINVAL (error says which parameter), -ENOTSUP, -ENOMEM, -ENOSPC. An inbound SA takes
 * the place of the SPI that sa_allocate_spi() gave to the same owner. */
int sa_add(const struct sa_parameters *parameters, struct error *error);

/* New outer addresses or ports (MOBIKE, NAT). -ENOENT. */
struct sa_move {
	struct ip_address source, destination;
	bool has_encapsulation;
	uint16_t source_port, destination_port;
};
int sa_move(const struct sa_name *name, const struct sa_move *move, struct error *error);
int sa_delete(const struct sa_name *name, struct error *error);

struct sa_usage {
	uint64_t bytes, packets;
	uint64_t last_used_s; /* seconds since the last packet; UINT64_MAX: none yet */
};
int sa_query(const struct sa_name *name, struct sa_usage *usage, struct error *error);

/* An SPI for an inbound SA that is being negotiated, unguessable, kept for 165 s at most (as
 * charon's own time-out of a negotiation). */
int sa_allocate_spi(
	uint32_t owner, const struct ip_address *destination, uint32_t *spi, struct error *error);

enum policy_direction { POLICY_INBOUND, POLICY_FORWARD, POLICY_OUTBOUND, POLICY_DIRECTION_COUNT };
enum policy_action { POLICY_DISCARD, POLICY_BYPASS, POLICY_PROTECT };

struct policy_parameters {
	uint8_t direction, action;
	struct sa_selector selector;
	uint32_t priority; /* the least is asked first (RFC 4301: the order of the SPD) */
	/* POLICY_PROTECT: */
	uint8_t mode;
	uint32_t request;
	uint32_t spi; /* of the SA to use; 0: none yet, a packet is told by acquire() */
	struct ip_address source, destination; /* outer, of a tunnel */
	uint32_t owner;
};

/* The same selector, direction and priority again, for another SA, is a rekey: the newest SPI is
 * used, and each policy_delete() takes one of them back. */
int policy_add(const struct policy_parameters *parameters, struct error *error);
int policy_delete(const struct policy_parameters *parameters, struct error *error);

/* All that owner brought: SAs, policies, SPIs. */
void sa_flush_owner(uint32_t owner);
/* Takes all of them over, for a session that comes back. */
void sa_change_owner(uint32_t from, uint32_t to);

/* Told to whoever manages keys. Called on the control thread, never from inside the calls above. */
struct sa_events {
	void (*expire)(uint32_t owner, const struct sa_name *name, bool is_hard);
	/* A packet meets a policy that has no SA. At most once a second each policy. */
	void (*acquire)(uint32_t owner, uint32_t request, const struct sa_selector *packet);
	/* Authentic packets of an inbound SA come from elsewhere now (RFC 3948; NAT-T). */
	void (*mapping)(uint32_t owner, const struct sa_name *name, const struct ip_address *source,
		uint16_t source_port);
};
void sa_set_events(const struct sa_events *events);

/* ---- for sessions that come back, and for whoever looks ---- */

#define SA_OWNER_ANY UINT32_MAX

/* What may be shown of an SA. */
struct sa_view {
	struct sa_name name;
	struct ip_address source;
	uint8_t direction, mode;
	bool has_encapsulation, has_esn;
	uint16_t source_port, destination_port; /* with encapsulation */
	uint32_t request, owner;
};

/* -ENOENT. */
int sa_show(const struct sa_name *name, struct sa_view *out);
/* The next SAs of owner, max at most: *after is 0 for the first, and set for the next call; to 0
 * when that was all. What comes or goes between two calls may be missing or not. */
size_t sa_list(uint32_t owner, uint32_t *after, struct sa_view *out, size_t max);
/* Who has brought anything, but the configuration: for the restart of the packet role, whose SAs
 * come back while nobody's session does. */
size_t sa_owners(uint32_t *out, size_t max);
