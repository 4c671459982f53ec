/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture file through the builtin inspector, without a daemon: the code of the packet path, fed
 * from a file instead of ports (`bulkhead inspect replay`). One thread, no rights.
 */
#pragma once

#include "base/error.h"
#include "packet/engine/drop.h"

#include <jansson.h>
#include <rte_mbuf.h>
#include <stdint.h>
#include <stdio.h>

struct replay_counts {
	uint64_t packets, bytes;
	uint64_t passed, changed; /* changed ones have passed, too */
	uint64_t dropped;
	uint64_t unread; /* of a kind of link that is not understood */
	uint64_t alerts;
	uint64_t drops[DROP_REASON_COUNT]; /* by enum drop_reason */
};

/* ---- replay.c: the engine ---- */

/* Starts EAL with ordinary memory and makes the engine. settings is `inspection` of a normalised
 * document; its `rules` are patterns of files. Messages on what is wrong with single rules go to
 * stderr. Once a process. */
int replay_open(const json_t *settings, struct error *error);
void replay_close(void);

/* Events are written to eve (borrowed), a line each; packets that would have been delivered, as
 * they would have been, to delivered (borrowed; NULL: nowhere). */
struct replay_output {
	FILE *eve;
	struct pcap_dumper *delivered;
	struct replay_counts counts;
};

/* Takes count packets (at most INSPECT_BURST), seen together at the clock's time. */
void replay_burst(struct rte_mbuf **packets, uint16_t count, struct replay_output *output);
/* Lets all deadlines pass, so that nothing is held any more. */
void replay_drain(struct replay_output *output);
/* {rules_loaded, rules_refused, ...}: what the engine says of itself. New reference. */
json_t *replay_status(void);

/* ---- replay_input.c: capture -> packets ---- */

/* Reads the whole file ("-": standard input). */
int replay_file(const char *path, const char *delivered_path, struct replay_output *output,
	struct error *error);

/* ---- replay_clock.c ---- */
void replay_clock_set(uint64_t wall_ns);
