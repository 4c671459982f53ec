/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/identity.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

int identity_find(struct identity *out, struct error *error)
{
	const struct passwd *entry = getpwnam(IDENTITY_USER);

	out->is_fallback = !entry;
	out->user = entry ? IDENTITY_USER : IDENTITY_FALLBACK;
	if (!entry)
		entry = getpwnam(IDENTITY_FALLBACK);
	if (!entry || entry->pw_uid == 0)
		return error_set(error, -ENOENT,
			"there is neither a user %s nor a user %s for the roles to run as",
			IDENTITY_USER, IDENTITY_FALLBACK);
	out->uid = entry->pw_uid;
	out->gid = entry->pw_gid;
	return 0;
}

/* Root's rights are not used by mistake: what cannot be switched ends the process. */
static void identity_check(int status)
{
	if (status < 0)
		abort();
}

void identity_assume(const struct identity *identity, gid_t group)
{
	if (geteuid() != 0)
		return; /* not root (unit tests): nothing to step down from */
	identity_check(setresgid((gid_t)-1, group == (gid_t)-1 ? identity->gid : group, (gid_t)-1));
	identity_check(setresuid((uid_t)-1, identity->uid, (uid_t)-1));
}

void identity_resume(void)
{
	if (getuid() != 0)
		return;
	identity_check(setresuid((uid_t)-1, 0, (uid_t)-1));
	identity_check(setresgid((gid_t)-1, getgid(), (gid_t)-1));
}
