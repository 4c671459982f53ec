/* SPDX-License-Identifier: BSD-3-Clause */
/* News of the kernel's interfaces, from a route netlink socket. Control thread. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct link_news {
	int index;
	uint32_t mtu_bytes;
	bool is_up;      /* administratively, and with a carrier */
	bool is_settled; /* and will not be up in a moment: the kernel tells of a carrier later */
	bool is_gone;
};

/* on_news is called on the loop, for each interface that changes or was asked for. */
int link_monitor_start(
	uv_loop_t *loop, void (*on_news)(const struct link_news *news), struct error *error);
void link_monitor_stop(void);
/* Asks the kernel how all interfaces are: once more afterwards when it is asked while it tells, so
 * that a thousand questions cost two answers and none is lost in a full socket. */
void link_monitor_ask(void);
