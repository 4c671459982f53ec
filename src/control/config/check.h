/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of config_check() (load.h), each in a file of its own. */
#pragma once

#include "control/config/load.h"

/* Whether the file has something at path, right or wrong. */
bool check_is_written(const struct load *load, const char *path);

/* check_unique.c: devices, names of ports and MAC addresses that are there twice. */
void check_unique(struct load *load);
/* check_variables.c: references between inspection.variables. */
void check_variables(struct load *load);
