/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The engine suricata (I7): Suricata, unmodified, as an inspector outside (../external) that we
 * configure, and that the broker starts and watches (or, attached, somebody else). README.md has
 * the whole of it. suricata.c: the engine's operations; suricata_control.c: what it is told (rules,
 * configuration) and what its process does; suricata_records.c: what it tells.
 */
#pragma once

#include "packet/inspect/external/external.h"
#include "packet/inspect/suricata/json_lines.h"
#include "packet/inspect/suricata/origins.h"
#include "packet/inspect/suricata/suricata_ask.h"
#include "packet/inspect/suricata/suricata_config.h"

#include <sys/un.h>
#include <uv.h>

#define SURICATA_PATH_SIZE   sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define SURICATA_CLIENTS     4 /* connections of its EVE output at a time: old and new at a restart */
#define SURICATA_TEXT_SIZE   256
#define SURICATA_WAITING_MAX 8

struct suricata_control;

/* One connection of its EVE output. */
struct suricata_client {
	struct suricata_control *control;
	uv_pipe_t pipe;
	bool is_open;
	struct json_lines lines;
	char read_buffer[JSON_LINE_MAX];
};

/* All of the control thread. Outlives the engine until its handles are closed and the broker has
 * answered. */
struct suricata_control {
	struct suricata *owner; /* NULL: it is gone */
	unsigned int references;
	json_t *inspection; /* the configuration's section */
	char folder[SURICATA_PATH_SIZE], packets[SURICATA_PATH_SIZE], eve[SURICATA_PATH_SIZE],
		command[SURICATA_PATH_SIZE];
	uv_pipe_t listener;
	uv_timer_t timer;
	struct suricata_client *clients[SURICATA_CLIENTS];
	struct suricata_ask *ask; /* under way */

	/* What it was told last. */
	char *main_text, *rules_text;
	uint64_t rules_digest;
	size_t rule_file_count;
	bool is_told; /* it was started, or its folder given, with these */
	bool is_refreshing, is_again;
	struct {
		inspector_settled_fn done;
		void *context;
	} waiting[SURICATA_WAITING_MAX];
	size_t waiting_count;

	/* What is known of it. */
	bool was_up, is_asked; /* asked since it came up */
	int64_t pid;
	unsigned int restarts;
	char process[32], reason[SURICATA_TEXT_SIZE], version[64], problem[ERROR_TEXT_SIZE];
	int64_t rules_loaded, rules_failed;
	uint64_t events, events_refused;
	json_t *drops; /* {reason: number} of its drop records */
};

struct suricata {
	struct external external;
	struct suricata_control *control;
	struct origins *origins[WORKERS_MAX];
};

/* suricata_control.c */
struct suricata_control *suricata_control_open(
	struct suricata *suricata, const json_t *config, struct error *error);
void suricata_control_close(struct suricata_control *control);
void suricata_control_put(struct suricata_control *control);
/* Reads rules and configuration, and tells it what has changed. */
void suricata_refresh(struct suricata_control *control, const json_t *config);
void suricata_settle(struct suricata_control *control, inspector_settled_fn done, void *context);

/* suricata_records.c */
int suricata_records_open(struct suricata_control *control, struct error *error);
void suricata_records_close(struct suricata_control *control);
uint64_t suricata_records_invalid(const struct suricata_control *control);
