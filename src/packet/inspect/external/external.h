/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inspector outside: any inline IPS that takes frames from a memif (or virtio-user), and
 * returns those that may pass on the same one: Suricata in IPS mode (../suricata), dpdk-testpmd to
 * try it. We are the server, so that it can come and go. A worker has a device of its own, and so
 * the inspector has one for each of its threads. It counts as there when all are connected. The
 * packet itself stays in the hold table; what leaves is a copy under a handle (G3). What is not
 * returned in time is left to on-failure, and so is all that it holds when it dies (I4).
 *
 * What returns is not trusted (I10): its handle has to be valid and not used yet, addresses,
 * VLAN and ethertype those of the packet that was given. Other bytes are taken as a replacement
 * (I3), except for them. Nor is its memory: docs/decisions/0016.
 *
 * An inspector that works in order (`is_ordered`) says "drop" by what it returns next: all that was
 * sent before that and did not come back is dropped, whatever on-failure says. When nothing follows
 * by itself a frame of our own does, the fence; it also tells that the inspector is alive.
 */
#pragma once

#include "packet/engine/drop.h"
#include "packet/inspect/inspector.h"
#include "packet/port/vhost_device.h"

#define EXTERNAL_IN_FLIGHT_MAX 4096 /* of one worker; as many indices as a handle can carry */
#define EXTERNAL_READY_MAX     8192 /* returned packets that wait for collect */
#define EXTERNAL_ORDER_MAX     8192 /* handles whose order is known */
#define EXTERNAL_BURST         32

enum external_kind { EXTERNAL_MEMIF, EXTERNAL_VHOST_USER };

/* The fence: one frame at most is out. */
struct external_fence {
	uint64_t sent_ns; /* 0: none is out */
	uint32_t handle;
	uint32_t order;         /* head when it was sent: it is behind all of these */
	uint64_t round_trip_ns; /* of the last one; read relaxed by the control thread */
};

struct external_worker {
	struct {
		struct rte_mbuf *packet;
		enum verdict verdict;
	} ready[EXTERNAL_READY_MAX];
	uint32_t ready_head, ready_tail;
	/* Copies that go out together, each with the handle of its packet. */
	struct rte_mbuf *batch[EXTERNAL_BURST];
	uint64_t batch_handles[EXTERNAL_BURST];
	uint16_t batch_count;
	/* With is_ordered: short handles in the order of sending, from tail to head. */
	uint32_t order[EXTERNAL_ORDER_MAX];
	uint32_t order_head, order_tail;
	uint64_t progress_ns; /* when order moved last */
	struct external_fence fence;
	bool is_answering; /* its fences come back; written by the worker, read relaxed */
	bool was_down;
	uint64_t sent, returned, unseen, omitted; /* read relaxed */
};

struct memif;

struct external {
	struct inspector base;
	struct external_device *device; /* of external_device.c */
	/* Of each worker; by the kind of device, the other is NULL. */
	struct memif *memifs[WORKERS_MAX];
	struct vhost_device *vhosts[WORKERS_MAX];
	bool is_connected;      /* written by the control thread; relaxed */
	uint32_t in_flight_max; /* of one worker; relaxed */
	/* Constant while workers run. */
	bool is_ordered;
	enum drop_reason omitted_reason; /* is_ordered: of what it kept */
	uint32_t frame_max;              /* larger ones it is not given: VERDICT_FAILED */
	uint8_t vlan_layers_max;         /* likewise; 0: no limit */
	uint16_t worker_count;
	struct external_worker *workers[WORKERS_MAX];
};

struct external_setup {
	const struct inspector_ops *ops;
	uint16_t worker_count;
	enum external_kind kind;
	const char *path;   /* memif: of the one socket; vhost-user: with ".N" of each worker */
	const char *option; /* for errors */
	mode_t socket_mode; /* 0: as the umask makes it */
};

/* Fills what *external starts with (zeroed, cache-aligned), with devices that wait for a client.
 * Control thread, as the rest. */
int external_open(
	struct external *external, const struct external_setup *setup, struct error *error);
/* Closes and frees all of it but *external itself. */
void external_close(struct external *external);
/* New reference: `details` of the engine. */
json_t *external_details(const struct external *external);
/* The first device that nobody is connected to; worker_count: there is none. */
uint16_t external_find_unconnected(const struct external *external);
void external_set_in_flight(struct external *external, json_int_t packets);
uint32_t external_in_flight(const struct external *external);

/* Bursts of a worker's device, as rte_eth_rx_burst() and rte_eth_tx_burst(). Worker. */
uint16_t external_receive(
	struct external *external, uint16_t worker, struct rte_mbuf **frames, uint16_t count);
uint16_t external_send(
	struct external *external, uint16_t worker, struct rte_mbuf **frames, uint16_t count);

/* Takes one returned frame: true when *packet (maybe another mbuf) and *verdict are to be given on.
 * The frame is taken in any case. Worker. */
bool external_take_return(struct external *external, uint16_t worker, struct rte_mbuf *frame,
	struct rte_mbuf **packet, enum verdict *verdict);

void external_submit(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	uint16_t count, enum verdict *verdicts);
uint16_t external_collect(struct inspector *inspector, uint16_t worker, struct rte_mbuf **packets,
	enum verdict *verdicts, uint16_t max);
