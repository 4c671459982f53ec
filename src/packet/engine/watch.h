/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What watches the walk: traces and captures. The control thread publishes the list; while it is
 * NULL a walk pays one load. Workers hand each node's packets to it before the node runs; of a
 * source node, what it let in.
 */
#pragma once

#include <rte_graph.h>
#include <stdbool.h>
#include <stdint.h>

#define WATCH_TRACES_MAX   4
#define WATCH_CAPTURES_MAX 4

struct trace;
struct capture;
struct rte_node;

struct watch {                                  /* constant while it is published */
	struct trace *traces[WATCH_TRACES_MAX]; /* NULL: free slot */
	struct capture *captures[WATCH_CAPTURES_MAX];
};
extern struct watch *watch_slot; /* read with publish_read(&watch_slot), once a walk */

/* Worker. */
void watch_node(const struct watch *watch, struct rte_node *node, void **objects, uint16_t count,
	bool is_source) __attribute__((cold, noinline));

/* Control thread: publishes a list with the slot changed to trace or capture (NULL: removed), and
 * waits until no worker sees the old one. */
int watch_set_trace(uint32_t slot, struct trace *trace);
int watch_set_capture(uint32_t slot, struct capture *capture);
