/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends of ports, as port_control.c uses them. An open fills in ops, backend, the queue counts,
 * is_wire, is_linear, offloads, mtu_bytes, mac and interface_index; it leaves is_up alone. Control
 * thread.
 */
#pragma once

#include "packet/port/port.h"
#include "schema/device.h"

#include <uv.h>

/* Ends an open: exactly once, from inside it or later. error is NULL on success. */
typedef void (*backend_opened_fn)(void *context, const struct error *error);

/* TAPs and packet sockets: asks the broker for the descriptors. */
void kernel_open(
	struct port *port, const struct device *device, backend_opened_fn done, void *context);
/* Drops the answer of the broker that is awaited: done will not be called. */
void kernel_cancel(struct port *port);
/* Tells the broker that the TAP is no longer wanted; without, it stays for the next open. */
void kernel_forget_tap(const char *interface);

/* Memif, ours. Calls on_change on the control thread when the link came or went. */
int memif_port_open(struct port *port, const struct device *device, uv_loop_t *loop,
	void (*on_change)(struct port *port), struct error *error);

/* vhost.c: guests. The socket is served, or connected to, from here on. */
int vhost_open(struct port *port, const struct device *device, struct error *error);

/* DPDK's drivers. */
int ethdev_open(struct port *port, const struct device *device, struct error *error);

/* Calls on_change on the control thread when a device's link changed. */
int ethdev_start(uv_loop_t *loop, void (*on_change)(uint16_t ethdev_id));
void ethdev_stop(void);
