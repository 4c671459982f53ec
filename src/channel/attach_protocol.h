/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What processes and the channel role say to each other on a partition's socket (SOCK_SEQPACKET,
 * one struct a packet, host byte order: both are on one host). Shared by src/channel and
 * libbulkhead; needs nothing but libc.
 *
 * Who a process is follows from the socket it came through (the partition) and from the kernel's
 * credentials of each packet (the process); no field says it.
 *
 *	process → role   struct attach_request, answered by one ATTACH_ANSWER each, in order
 *	role → process   struct attach_notice: answers, and what happens to the process's rows
 */
#pragma once

#include <stdint.h>

#define ATTACH_VERSION       2
#define ATTACH_NAME_SIZE     64   /* of a partition, or PEER/PARTITION, with its NUL */
#define ATTACH_STATIC_MAX    1023 /* endpoint ids up to here are asked for, those beyond given out */
#define ATTACH_ENDPOINT_MAX  0x7fffffff
#define ATTACH_MESSAGE_LIMIT (16 * 1024 * 1024)

enum attach_operation {
	ATTACH_HELLO = 1, /* version in `endpoint`; first of all → partition: the own name */
	ATTACH_BIND,      /* endpoint (0: any) → endpoint */
	ATTACH_UNBIND,    /* endpoint; its rows end */
	/* A row of the state table: endpoint, remote, remote_endpoint, direction, message_max and
	 * capacity (0: as the policy has it) → row, message_max, capacity and three descriptors */
	ATTACH_AUTHORISE,
	ATTACH_KEY,     /* row: has a key made for it */
	ATTACH_CONNECT, /* row: the request to the other end's mechanism, with the key */
	ATTACH_REVOKE,  /* row: it ends, and its channel */
	ATTACH_OPERATION_COUNT,
};

enum attach_direction { ATTACH_SEND = 1, ATTACH_RECEIVE = 2 };

/* Descriptors of an answer to ATTACH_AUTHORISE. */
enum attach_descriptor {
	ATTACH_MEMORY, /* the ring (ring.h) */
	ATTACH_BELL,   /* eventfd: written to wake the role */
	ATTACH_WAKE,   /* pipe: readable when the role wakes the process */
	ATTACH_DESCRIPTORS,
};

struct attach_request {
	uint32_t operation; /* enum attach_operation */
	uint32_t serial;    /* comes back with the answer */
	uint32_t row;
	uint32_t endpoint;
	uint32_t remote_endpoint;
	uint32_t direction; /* enum attach_direction */
	uint32_t message_max;
	uint32_t padding; /* 0 */
	uint64_t capacity;
	char remote[ATTACH_NAME_SIZE]; /* partition; zeros behind its end */
};

enum attach_kind {
	ATTACH_ANSWER = 1, /* serial, status */
	ATTACH_UP,         /* row: the channel stands; message_max */
	ATTACH_DOWN,       /* row: it ended, and is gone; reason */
	ATTACH_REFUSED,   /* row: a request that does not match it came; reason, partition, endpoint
			   */
	ATTACH_EXCEPTION, /* row: somebody tried to set its key a second time */
};

struct attach_notice {
	uint32_t kind; /* enum attach_kind */
	uint32_t serial;
	int32_t status; /* 0 or a negative errno */
	uint32_t row;
	uint32_t endpoint;
	uint32_t reason; /* enum attach_reason */
	uint32_t message_max;
	uint32_t padding;
	uint64_t capacity;
	char partition[ATTACH_NAME_SIZE];
};

/* Why a channel ended, or a request was refused. In `end` of a ring and in notices; the words are
 * those of events, metrics and the API. 0: it has not. */
#define ATTACH_REASONS(X)                                                                          \
	X(REVOKED, "revoked", "one of its ends revoked it")                                        \
	X(OPERATOR, "operator", "an operator revoked it")                                          \
	X(POLICY, "policy", "the configuration does not allow it any more")                        \
	X(PEER_GONE, "peer-gone", "the process at one of its ends is gone")                        \
	X(SENDER_RING, "sender-ring", "the sender wrote to its ring what no ring may have")        \
	X(RECEIVER_RING, "receiver-ring", "the receiver wrote to its ring what no ring may have")  \
	X(TOO_LARGE, "too-large", "the sender sent a message that is larger than agreed")          \
	X(STOPPED, "stopped", "the channel role stopped")                                          \
	X(NO_ROW, "no-row", "the other end has authorised nothing for this endpoint")              \
	X(WRONG_PARTITION, "wrong-partition", "the other end has authorised another partition")    \
	X(WRONG_ENDPOINT, "wrong-endpoint", "the other end has authorised another endpoint")       \
	X(KEY_SET, "key-set", "its key was set by the other side already")                         \
	X(DENIED, "denied", "no rule of the other host allows it")                                 \
	X(LINK_LOST, "link-lost", "the link to the other host was down for too long")              \
	X(PEER_RESTARTED, "peer-restarted", "the channel role of the other host was started anew")

enum attach_reason {
	ATTACH_REASON_NONE,
#define ATTACH_REASON_ROW(name, word, text) ATTACH_REASON_##name,
	ATTACH_REASONS(ATTACH_REASON_ROW)
#undef ATTACH_REASON_ROW
		ATTACH_REASON_COUNT
};
