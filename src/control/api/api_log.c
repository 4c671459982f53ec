/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_log.h"

struct log_site *api_log_site(struct api_log *log, uid_t uid)
{
	size_t chosen = 0;

	for (size_t i = 0; i < API_LOG_USERS_MAX; i++) {
		if (log->users[i].used_at && log->users[i].uid == uid) {
			chosen = i;
			break;
		}
		if (log->users[i].used_at < log->users[chosen].used_at)
			chosen = i;
	}
	log->users[chosen].uid = uid;
	log->users[chosen].used_at = ++log->uses;
	return &log->users[chosen].site;
}
