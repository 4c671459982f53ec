/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_access.h"

#include "ipc/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int api_peer_read(int fd, struct api_peer *out)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);
	gid_t groups[API_PEER_GROUPS_MAX - 1];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	memset(out, 0, sizeof(*out));
	out->uid = credentials.uid;
	out->pid = credentials.pid;
	out->groups[out->group_count++] = credentials.gid;
	size = sizeof(groups);
	/* ERANGE: in more groups than anybody is; the primary one alone then counts. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return errno == ERANGE ? 0 : -errno;
	memcpy(out->groups + 1, groups, size);
	out->group_count += size / sizeof(gid_t);
	return 0;
}

static bool is_among(const struct api_peer *peer, const struct api_principals *principals)
{
	for (size_t i = 0; i < principals->user_count; i++) {
		if (principals->users[i] == peer->uid)
			return true;
	}
	for (size_t i = 0; i < principals->group_count; i++) {
		for (size_t j = 0; j < peer->group_count; j++) {
			if (principals->groups[i] == peer->groups[j])
				return true;
		}
	}
	return false;
}

enum api_grant api_grant_of(const struct api_peer *peer, const struct api_principals *readers,
	const struct api_principals *operators)
{
	if (peer->uid == 0 || is_among(peer, operators))
		return API_GRANT_OPERATOR;
	return is_among(peer, readers) ? API_GRANT_READER : API_GRANT_NONE;
}

static bool is_allowed(enum api_grant grant, enum api_access access)
{
	switch (access) {
	case API_READER:
		return grant >= API_GRANT_READER;
	case API_OPERATOR:
		return grant >= API_GRANT_OPERATOR;
	case API_INTERNAL:
		break;
	}
	return false;
}

int api_admit(enum api_grant grant, const char *method_name, const json_t *params,
	size_t descriptor_count, const struct api_method **out, struct error *error)
{
	const struct api_method *method = api_method_find(method_name);
	size_t wanted;

	/* Who may do nothing learns nothing, not even which methods there are. */
	if (grant == API_GRANT_NONE)
		return error_set(error, IPC_FORBIDDEN,
			"permission denied: you may not use this daemon; ask to be named in "
			"control.readers or "
			"control.operators (see bulkhead.yaml(5))");
	if (!method || method->access == API_INTERNAL)
		return error_set(error, IPC_METHOD_NOT_FOUND,
			"there is no method \"%.64s\"; `bulkhead api` lists them", method_name);
	if (!is_allowed(grant, method->access))
		return error_set(error, IPC_FORBIDDEN,
			"%s is for operators only, and you are a reader: ask to become one of "
			"control.operators (see bulkhead.yaml(5))",
			method->name);
	if (api_check_params(method, params, error) < 0)
		return IPC_INVALID_PARAMS;
	wanted = method->takes_descriptor ? 1 : 0;
	if (descriptor_count != wanted)
		return error_set(error, IPC_INVALID_PARAMS,
			"%s: %zu descriptors came with the call, it takes %zu", method->name,
			descriptor_count, wanted);
	*out = method;
	return 0;
}
