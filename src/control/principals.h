/* SPDX-License-Identifier: BSD-3-Clause */
/* Users and @groups of the configuration as numbers. Numeric ids are taken as they are. */
#pragma once

#include "control/api/api_access.h"

#include <jansson.h>
#include <stdbool.h>

/* names: array of "user", "@group", "1000", "@1000". Those that do not exist are left out, and
 * logged when is_new. */
void principals_resolve(const json_t *names, bool is_new, struct api_principals *out);
