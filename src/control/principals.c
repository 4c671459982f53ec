/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/principals.h"

#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BUFFER_SIZE (64 * 1024) /* a group's entry has all its members */

static bool read_number(const char *text, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *out < UINT32_MAX;
}

static bool find_group(const char *name, char *buffer, gid_t *out)
{
	struct group entry, *found = NULL;
	unsigned long number;

	if (read_number(name, &number)) {
		*out = (gid_t)number;
		return true;
	}
	if (getgrnam_r(name, &entry, buffer, NAME_BUFFER_SIZE, &found) != 0 || !found)
		return false;
	*out = found->gr_gid;
	return true;
}

static bool find_user(const char *name, char *buffer, uid_t *out)
{
	struct passwd entry, *found = NULL;
	unsigned long number;

	if (read_number(name, &number)) {
		*out = (uid_t)number;
		return true;
	}
	if (getpwnam_r(name, &entry, buffer, NAME_BUFFER_SIZE, &found) != 0 || !found)
		return false;
	*out = found->pw_uid;
	return true;
}

static bool resolve_one(const char *name, char *buffer, struct api_principals *out)
{
	bool is_found;

	if (name[0] == '@') {
		is_found = out->group_count < API_PRINCIPALS_MAX
			&& find_group(name + 1, buffer, &out->groups[out->group_count]);
		out->group_count += is_found;
		return is_found;
	}
	is_found = out->user_count < API_PRINCIPALS_MAX
		&& find_user(name, buffer, &out->users[out->user_count]);
	out->user_count += is_found;
	return is_found;
}

void principals_resolve(const json_t *names, bool is_new, struct api_principals *out)
{
	char *buffer = malloc(NAME_BUFFER_SIZE);
	size_t index;
	json_t *name;

	memset(out, 0, sizeof(*out));
	json_array_foreach (names, index, name) {
		const char *text = json_string_value(name);

		if (buffer && text && !resolve_one(text, buffer, out) && is_new)
			log_warning("principal_unknown", log_str("name", text));
	}
	free(buffer);
}
