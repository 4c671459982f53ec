/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Address and port lists of rule headers: "any", "!10.0.0.0/8", "[$HOME_NET,!192.0.2.1]",
 * "[80,8000:8080,!8001]". Rules with the same list share one set; the networks own them all.
 */
#pragma once

#include "base/error.h"
#include "packet/inspect/builtin/rules/interval_set.h"

#include <jansson.h>

struct networks;

/* variables is an object of strings, numbers, or arrays of those; it is checked only where a rule
 * uses it. Borrowed until networks_forget_variables(). */
struct networks *networks_create(const json_t *variables);
void networks_destroy(struct networks *networks);

/* The sets stay; no more lists are read. */
void networks_forget_variables(struct networks *networks);

/* *out is the set, or NULL for all there are. 0; -EINVAL with the reason in error; -ENOMEM. */
int networks_addresses(struct networks *networks, const char *text, const struct interval_set **out,
	struct error *error);
int networks_ports(struct networks *networks, const char *text, const struct interval_set **out,
	struct error *error);

/* The number that address sets hold for an address as struct decoded has it. */
interval_number networks_address_number(const uint8_t address[16], uint8_t ip_version);
