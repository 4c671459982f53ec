/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the control side of ports share. Control thread. */
#pragma once

#include "packet/packet_module.h"
#include "packet/port/port.h"

enum port_phase {
	PORT_WAITING, /* for its device, or for the port that has it; tried again by the timer */
	PORT_OPENING,
	PORT_OPEN,
};

struct port_state {
	enum port_phase phase;
	bool is_prepared;       /* of the change under way: not in force yet */
	bool is_leaving;        /* removed by the change under way */
	bool is_deferred;       /* its device is still another port's: opened when that is closed */
	bool awaits_link;       /* prepared and open, and the kernel has not told its link */
	bool is_announced;      /* whether port_up was the last event, */
	bool is_link_up;        /* and the link as the device tells */
	uint64_t changed_at_ns; /* of is_link_up, for the debounce */
	uint64_t retry_at_ns;   /* WAITING */
	char problem[ERROR_TEXT_SIZE]; /* why the last open failed; empty: it did not */
};

/* The link of a port is told by its backend, through one of these. */
void port_set_link(struct port *port, bool is_up);
/* The device is gone: the port waits until it can be opened again. */
void port_device_gone(struct port *port, const char *why);

/* All ports in force, in the order of their index; NULL: none behind that index. */
struct port *port_next(int after_index);

/* Sums of all workers' counters. */
struct port_counters port_sum_counters(const struct port *port);

/* port_api.c */
extern const struct ipc_method port_methods[];
void port_metrics(json_t *samples);
