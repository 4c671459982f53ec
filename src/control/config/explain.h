/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts about one option, for explain.c, reference.c and the API. */
#pragma once

#include "control/config/config.h"

/* "a list; each: a VLAN id, 1 to 4094". */
void config_option_valid(const struct config_option *option, char *out, size_t size);
/* The default as written, or what it depends on, "required" or "none". */
void config_option_default(const struct config_option *option, char *out, size_t size);
/* "at once; its port is opened again". */
const char *config_effect_sentence(enum config_effect effect);
/* The row as `config.explain` lists it; new reference. */
json_t *config_option_json(const struct config_option *option);
