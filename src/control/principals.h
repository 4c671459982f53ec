/* SPDX-License-Identifier: BSD-3-Clause */
/* Users and @groups of the configuration as numbers. Numeric ids are taken as they are. */
#pragma once

#include "control/api/api_access.h"

#include <jansson.h>

/* names: array of "user", "@group", "1000", "@1000". Those that do not exist are logged and left
 * out. */
void principals_resolve(const json_t *names, struct api_principals *out);
