/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Device strings of the configuration: what is behind an adapter. KIND:ARGUMENT[,option[=value]…]
 *
 *	af_xdp:eth1   af_packet:eth1   netdev:veth-db   tap:tap0   pci:0000:03:00.0
 *	vhost-user:/run/bulkhead/web.sock          we listen, QEMU connects
 *	vhost-user:/run/qemu/web.sock,client       QEMU listens, we connect, again and again
 *	memif:/run/bulkhead/m.sock,id=3            we listen; with ,client we connect
 *
 * Pure; any thread.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DEVICE_ARGUMENT_SIZE 108 /* sun_path, unix(7), with its terminating zero */

enum device_kind {
	DEVICE_AF_XDP,
	DEVICE_AF_PACKET,
	DEVICE_NETDEV,
	DEVICE_TAP,
	DEVICE_MEMIF,
	DEVICE_VHOST_USER,
	DEVICE_PCI,
	DEVICE_KIND_COUNT,
};

struct device {
	enum device_kind kind;
	char argument[DEVICE_ARGUMENT_SIZE]; /* interface, path or PCI address */
	bool is_client;                      /* of a socket: we connect */
	uint32_t id;                         /* of a memif interface on its socket */
};

/* -EINVAL with a message for people that says what would be valid. */
int device_parse(const char *text, struct device *out, struct error *error);
const char *device_kind_name(enum device_kind kind); /* "vhost-user" */
