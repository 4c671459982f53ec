/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the target's control side share. Control thread. */
#pragma once

#include "ipc/ipc.h"
#include "packet/distributor/target.h"

/* Whether the distributor of that index answers. */
bool target_peer_is_up(uint16_t peer);
/* 0 to HEARTBEAT_LOAD_MAX; *is_by_api tells who says so. */
uint16_t target_load(bool *is_by_api);
/* -1: as the system has it. */
void target_set_load(int64_t load);
/* -ENOENT. Distributors are told at once. */
int target_set_ready(const char *service, bool is_ready);
/* Has worker 0 send a report to each distributor. */
void target_report_now(uint16_t load);

/* target_api.c */
extern const struct ipc_method target_methods[];
void target_metrics(json_t *samples);
