/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/identity.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/fsuid.h>
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

/* setfsuid tells no error; what it set is read back, and root's rights are not used by mistake. */
static void identity_switch(uid_t uid, gid_t gid)
{
	setfsgid(gid);
	setfsuid(uid);
	if ((uid_t)setfsuid((uid_t)-1) != uid || (gid_t)setfsgid((gid_t)-1) != gid)
		abort();
}

void identity_assume(const struct identity *identity, gid_t group)
{
	if (geteuid() != 0)
		return; /* not root (unit tests): nothing to step down from */
	identity_switch(identity->uid, group == (gid_t)-1 ? identity->gid : group);
}

void identity_resume(void)
{
	if (geteuid() == 0)
		identity_switch(0, getegid());
}
