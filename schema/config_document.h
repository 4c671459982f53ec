/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The normalised document between roles. `packet.configure {generation, phase, config}` carries it
 * inline while it is short; a longer one comes as sealed memory on descriptor 0 and `config` is
 * absent, since a message holds IPC_MESSAGE_SIZE at most. Control threads.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>

#define CONFIG_DOCUMENT_INLINE_SIZE (64 * 1024)

/* Sender: adds `config` to params, or sets *fd (else -1), which the caller closes after sending. */
int config_document_attach(json_t *params, const json_t *document, int *fd, struct error *error);

/* Sender: the document as sealed memory, whatever its length; the caller closes the descriptor. */
int config_document_to_memory(const json_t *document, int *fd, struct error *error);

/* Receiver: the document of params or of fd (-1: none; stays the caller's), as a new reference. */
int config_document_receive(const json_t *params, int fd, json_t **document, struct error *error);
