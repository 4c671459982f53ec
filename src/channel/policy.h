/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The section `channels` of the configuration, as the role uses it (C10): partitions with their
 * limits, and rules that say who may open channels to whom. What no rule allows is denied. Made
 * once from the normalised document, then constant. Control thread.
 */
#pragma once

#include "base/error.h"
#include "channel/attach_protocol.h"
#include "channel/endpoint.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/un.h>

#define POLICY_LANES_MAX 16

struct policy_partition {
	char name[ATTACH_NAME_SIZE];
	char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];       /* "": none */
	char guest_socket[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": no virtual machine */
	bool is_guest_client;                                           /* QEMU listens there */
	uint32_t cid;                                                   /* its vsock address */
	char group[ATTACH_NAME_SIZE];
	bool is_open_to_all; /* of who can reach its sockets; else the group's */
	uint32_t endpoint_max, row_max, process_max;
	uint64_t memory_max; /* bytes of all rings */
	struct endpoint_reservation *reservations;
	uint32_t reservation_count;
};

struct policy_rule {
	char name[ATTACH_NAME_SIZE];
	char from[ATTACH_NAME_SIZE], to[ATTACH_NAME_SIZE];
	uint32_t channel_max;
	uint32_t message_max; /* bytes */
	uint64_t rate;        /* messages a second; 0: no limit */
};

/* An address and a port, as the broker wants them; "" and 0: none. */
struct policy_endpoint {
	char address[INET6_ADDRSTRLEN];
	uint16_t port;
};

#define POLICY_IDENTITY_SIZE    256
#define POLICY_FINGERPRINT_SIZE 32 /* SHA-256 */

/* Another host. */
struct policy_peer {
	char name[ATTACH_NAME_SIZE];
	struct policy_endpoint address; /* none: it connects to us */
	char identity[POLICY_IDENTITY_SIZE];
	bool has_fingerprint;
	uint8_t fingerprint[POLICY_FINGERPRINT_SIZE];
};

struct policy_link {
	bool is_configured;
	struct policy_endpoint listen;
	char *certificate, *key, *authorities; /* paths */
	uint64_t timeout_ns; /* after which a link that is down ends its channels */
};

struct policy {
	struct policy_partition *partitions;
	uint32_t partition_count;
	struct policy_rule *rules;
	uint32_t rule_count;
	struct policy_link link;
	struct policy_peer *peers;
	uint32_t peer_count;
	uint32_t lane_count;
	int cores[POLICY_LANES_MAX]; /* -1: where the kernel puts it */
	uint64_t poll_ns;            /* a lane looks so long before it sleeps */
};

/* From the whole document, whose values the schema has checked. */
int policy_create(const json_t *document, struct policy **out, struct error *error);
/* NULL is allowed. */
void policy_destroy(struct policy *policy);
/* NULL: denied. Borrowed. */
const struct policy_rule *policy_find_rule(
	const struct policy *policy, const char *from, const char *to);
/* NULL: not configured. Borrowed. */
const struct policy_peer *policy_find_peer(const struct policy *policy, const char *name);
/* NULL: not configured. Borrowed. */
const struct policy_partition *policy_find_partition(const struct policy *policy, const char *name);
