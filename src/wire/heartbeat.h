/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a target and a distributor tell each other, each message the payload of one GRE packet of
 * kind GRE_CONTROL (D14). A target reports every heartbeat-interval; the distributor answers each
 * report that is authentic. Network order:
 *
 *	version, kind, count of services, zero   8 bits each
 *	session                                  64 bits: drawn by the target at its start
 *	sequence                                 64 bits: of the report, larger than the one before
 *	challenge                                64 bits: drawn by the distributor, again and again
 *	load, MTU                                16 bits each
 *	services of a report, 24 bytes each:
 *	  IP version, protocol, is ready, zero   8 bits each
 *	  port, zero                             16 bits each
 *	  virtual address                        16 bytes
 *	code of authentication                   128 bits: SipHash-2-4
 *
 * The code covers all in front of it and the two link addresses. That a message is not an old one
 *is known so: an answer has the session and sequence of its report; a report has the challenge of
 *the last answer (0 before the first one), and is believed only with a challenge that is still
 *young, and a sequence above the session's last. A report with another challenge is answered, so
 *that the next one can be right, and says nothing else. Pure; any thread.
 */
#pragma once

#include "base/siphash.h"
#include "wire/ip_address.h"

#include <stdbool.h>
#include <stddef.h>

#define HEARTBEAT_VERSION      1
#define HEARTBEAT_HEAD_SIZE    32
#define HEARTBEAT_SERVICE_SIZE 24
#define HEARTBEAT_SERVICES_MAX 48 /* so that a message fits the least MTU of IPv6, 1280 */
#define HEARTBEAT_SIZE_MAX                                                                         \
	(HEARTBEAT_HEAD_SIZE + HEARTBEAT_SERVICES_MAX * HEARTBEAT_SERVICE_SIZE + SIPHASH_MAC_SIZE)

#define HEARTBEAT_LOAD_MAX 65535 /* as busy as it may become; 0: idle */

enum heartbeat_kind {
	HEARTBEAT_NONE,
	HEARTBEAT_REPORT, /* target to distributor */
	HEARTBEAT_ANSWER, /* distributor to target */
	HEARTBEAT_KIND_COUNT,
};

struct heartbeat_service {
	struct ip_address vipa;
	uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	uint16_t port;
	bool is_ready; /* takes new connections */
};

struct heartbeat {
	uint8_t kind;
	uint64_t session, sequence, challenge;
	uint16_t load;      /* of a report */
	uint16_t mtu_bytes; /* of an answer: largest packet that a target may send so that it fits
			     * into GRE and then ESP; 0: the distributor sets no bound */
	uint8_t service_count;
	struct heartbeat_service services[HEARTBEAT_SERVICES_MAX];
};

enum heartbeat_fault {
	HEARTBEAT_FINE,
	HEARTBEAT_SHORT, /* or longer than it says */
	HEARTBEAT_OTHER_VERSION,
	HEARTBEAT_MALFORMED, /* a kind, a value, or what has to be zero */
	HEARTBEAT_FORGED,    /* the secret, or one of the addresses, is another one */
	HEARTBEAT_FAULT_COUNT,
};

/* Of size bytes from the start of a GRE payload, source and destination of its outer header. out is
 * written only when all is fine. */
enum heartbeat_fault heartbeat_open(const uint8_t *body, size_t size,
	const uint8_t secret[SIPHASH_KEY_SIZE], const struct ip_address *source,
	const struct ip_address *destination, struct heartbeat *out);

/* Writes the message; returns its size. service_count is at most HEARTBEAT_SERVICES_MAX. */
size_t heartbeat_seal(uint8_t out[HEARTBEAT_SIZE_MAX], const struct heartbeat *message,
	const uint8_t secret[SIPHASH_KEY_SIZE], const struct ip_address *source,
	const struct ip_address *destination);

const char *heartbeat_fault_name(enum heartbeat_fault fault);
