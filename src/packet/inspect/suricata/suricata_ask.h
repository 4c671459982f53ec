/* SPDX-License-Identifier: BSD-3-Clause */
/* One command to Suricata's Unix socket, and its answer (protocol 0.2). Control thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct suricata_ask;

/* message is borrowed; NULL: there was no answer, or it was no success. Once, from the loop. */
typedef void (*suricata_answer_fn)(void *context, const json_t *message);

/* path is the socket's. NULL: nobody listens there, done is not called. */
struct suricata_ask *suricata_ask(
	const char *path, const char *command, suricata_answer_fn done, void *context);
/* Nobody waits for the answer any more. NULL is allowed. */
void suricata_ask_cancel(struct suricata_ask *ask);
