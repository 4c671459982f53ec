/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control side of the distributor's files share. Control thread. */
#pragma once

#include "packet/packet_module.h"

/* distributor_api.c */
extern const struct ipc_method distributor_methods[];
int distributor_api_start(struct error *error);
void distributor_metrics(json_t *samples);

/* Answers who waits for a look at the connections, when no worker will: the distributor goes. */
void distributor_end_look(void);

/* Weights that the API has changed come into force at once. */
void distributor_judge(void);
