/* SPDX-License-Identifier: BSD-3-Clause */
/* One value of the configuration: text with unit to the document's JSON and back. Pure. */
#pragma once

#include "control/config/config.h"

#define VALUE_TEXT_SIZE 512

/* 0 with a new reference, or -EINVAL with why in a few words ("above 4094"). */
int value_parse(
	const struct config_option *option, const char *text, json_t **out, struct error *why);

/* A VLAN id or range ("20-29") as its first and last id. */
int value_parse_vlans(const char *text, unsigned int *first, unsigned int *last, struct error *why);

/* The document's value as people write it ("50ms", "none"), without YAML's quotes. */
void value_format(
	const struct config_option *option, const json_t *value, char out[VALUE_TEXT_SIZE]);

/* What is valid for one value of the option: "drop or pass", "a VLAN id, 1 to 4094". */
void value_describe(const struct config_option *option, char out[VALUE_TEXT_SIZE]);
