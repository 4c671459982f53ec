/* SPDX-License-Identifier: BSD-3-Clause */
/* The file for compiled rules, opened by the broker. Control thread. */
#pragma once

/* fd is the callback's; -1: there is none, and if one was asked for the log says why. */
typedef void (*rule_cache_fn)(void *context, int fd);

/* folder is `inspection.cache`; NULL or "none": done is called at once. */
void rule_cache_open(const char *folder, rule_cache_fn done, void *context);
