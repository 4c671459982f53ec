/* SPDX-License-Identifier: BSD-3-Clause */
/* The user that roles run as, and acting with that user's rights on files. Broker's thread. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

#define IDENTITY_USER     "bulkhead"
#define IDENTITY_FALLBACK "nobody"

struct identity {
	const char *user;
	uid_t uid;
	gid_t gid;
	bool is_fallback;
};

int identity_find(struct identity *out, struct error *error);

/* Between these, files are opened and made, and sockets connected, as the roles' user: the kernel
 * checks each path with that user's rights, capabilities of root do not count, and servers are told
 * that user as their peer (SO_PEERCRED). Real and saved user stay root's, so that the roles cannot
 * signal or trace the broker. They do not nest. group, when not (gid_t)-1, becomes the group of
 * what is made. */
void identity_assume(const struct identity *identity, gid_t group);
void identity_resume(void);
