/* SPDX-License-Identifier: BSD-3-Clause */
/* The variables that published rule sets take for granted, with Suricata's defaults (suricata.yaml
 * of 6.0 and 7.0), except HOME_NET, which is `any` here: private ranges would be a guess. */
#pragma once

#include <stddef.h>

/* NULL: there is no default. */
const char *variables_default(const char *name);
/* The names, ended by NULL. */
const char *variables_name(size_t index);
