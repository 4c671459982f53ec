/* SPDX-License-Identifier: BSD-3-Clause */
/* The failure policies of a configuration, and the names of partitions, as the chain has them.
 * Control thread. */
#pragma once

#include "packet/inspect/inspect.h"

/* A chain without engines, with the document's deadline and policies. NULL: no memory, with an
 * error. To be freed with free(). */
struct inspect_chain *inspect_policy_create(const json_t *document, struct error *error);

/* Fills in what depends on the port table, which the port module has published by now. */
void inspect_policy_bind_ports(struct inspect_chain *chain, const json_t *document);
