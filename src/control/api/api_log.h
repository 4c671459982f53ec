/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines of the log that clients of the API cause. Each user has a call site's allowance (log.h) of
 * its own: who causes many does not keep what others cause out of the log. The loop's thread.
 */
#pragma once

#include "base/log.h"

#include <stdint.h>
#include <sys/types.h>

#define API_LOG_USERS_MAX 32

/* All zeros is empty. */
struct api_log {
	struct {
		uid_t uid;
		uint64_t used_at; /* in uses of any; 0: never */
		struct log_site site;
	} users[API_LOG_USERS_MAX];
	uint64_t uses;
};

/* The user's site. One more user than there is place for takes that of who was not heard of for the
 * longest time as it is, so that all users together are bounded, too. */
struct log_site *api_log_site(struct api_log *log, uid_t uid);

/* A warning with these fields, after uid. */
#define api_log_warning(log, uid_, event, ...)                                                     \
	log_emit(api_log_site(log, uid_), LOG_LEVEL_WARNING, event,                                \
		(const struct log_field[]){log_uint("uid", uid_), __VA_ARGS__, {.key = NULL}})
