/* SPDX-License-Identifier: BSD-3-Clause */
/* The process of one role: `bulkheadd --role NAME`, started by the broker. */
#pragma once

#include <stdbool.h>

/* Returns the exit code of the process. */
int role_run(const char *name, bool is_foreground, bool is_second_try);
