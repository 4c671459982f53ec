/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A whole switch and gateway in the test's thread: the real nodes from rx to tx on a real
 * rte_graph, with real tables. Only the devices are the test's own (struct port_ops): what it sends
 * into a port is received there, what leaves a port is kept for it to look at.
 */
#pragma once

#include "packet/engine/eal.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAB_FRAME_MAX 2048

struct lab_frame {
	size_t size;
	uint8_t bytes[LAB_FRAME_MAX];
};

/* What lab_set_up() starts with: little, without hugepages. */
extern struct eal_config lab_eal;

/* For cmocka_run_group_tests(): EAL, pool, graph; and all of it gone. */
int lab_set_up(void **state);
int lab_tear_down(void **state);

/* The normalised document in JSON with ' for ". Ports that are named in it for the first time are
 * made. Returns 0, or the error with its text in lab_error. */
int lab_configure(const char *config);
extern char lab_error[512];
/* The port, for tests that look at or change it. */
struct port;
struct port *lab_port(const char *name);
/* Lets a port's device be replaced: the same name gets a new generation. */
void lab_replace_port(const char *name);

/* Sends a frame into the port and walks the graph until it is quiet. */
void lab_send(const char *port, const void *frame, size_t size);
/* Queues it only: lab_walk() then takes up to a burst at once. */
void lab_queue(const char *port, const void *frame, size_t size);
void lab_walk(void);
/* One walk of the graph; what it returns. For those with devices of their own (struct port_ops). */
uint64_t lab_step(void);

/* Frames that left the port since the last lab_clear(). */
size_t lab_count(const char *port);
const struct lab_frame *lab_frame_at(const char *port, size_t index);
size_t lab_total(void);
void lab_clear(void);

/* Dropped for this reason since the last lab_clear(). */
uint64_t lab_drops(int reason);

/* Time as the forwarding table sees it. */
void lab_advance_ms(uint64_t ms);
/* Moves since the start. */
extern uint32_t lab_moves, lab_stops;

/* Buffers that are in use: 0 when nothing leaks. */
unsigned int lab_buffers(void);
