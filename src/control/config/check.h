/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of config_check() (load.h), each in a file of its own. */
#pragma once

#include "control/config/load.h"

/* Whether the file has something at path, right or wrong. */
bool check_is_written(const struct load *load, const char *path);

/* Of a trusted link: its adapter is there and of its kind, and an address on it is one host's, of
 * the kind that local (or NULL) has. */
void check_link(struct load *load, const char *path, const char *name);
void check_link_address(
	struct load *load, const char *path, const char *address, const char *local);

/* check_distributor.c: VIPAs, services and targets. */
void check_distributor(struct load *load);
/* check_channels.c: rules, sockets and endpoints of `channels`. */
void check_channels(struct load *load);
/* check_filters.c: the common filters. */
void check_filters(struct load *load);
/* check_target.c: this host as a target. */
void check_target_section(struct load *load);
/* check_unique.c: devices, names of ports and MAC addresses that are there twice. */
void check_unique(struct load *load);
/* check_variables.c: references between inspection.variables. */
void check_variables(struct load *load);
/* check_ipsec.c: static associations and policies. */
void check_ipsec(struct load *load);
