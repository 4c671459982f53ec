/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/api/api_access.h"
#include "ipc/ipc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define READER_UID     61001
#define OPERATOR_GROUP 62000

static const struct api_principals readers = {.users = {READER_UID}, .user_count = 1};
static const struct api_principals operators = {.groups = {OPERATOR_GROUP}, .group_count = 1};

static enum api_grant grant_of(uid_t uid, gid_t group)
{
	struct api_peer peer = {.uid = uid, .groups = {uid, group}, .group_count = 2};

	return api_grant_of(&peer, &readers, &operators);
}

static void credentials_decide_the_grant(void **state)
{
	assert_int_equal(grant_of(0, 0), API_GRANT_OPERATOR);
	assert_int_equal(grant_of(READER_UID, 5), API_GRANT_READER);
	assert_int_equal(grant_of(1234, OPERATOR_GROUP), API_GRANT_OPERATOR);
	assert_int_equal(grant_of(READER_UID, OPERATOR_GROUP), API_GRANT_OPERATOR);
	assert_int_equal(grant_of(1234, 1234), API_GRANT_NONE);
	/* A user's number is no group's. */
	assert_int_equal(grant_of(OPERATOR_GROUP + 1, READER_UID), API_GRANT_NONE);
}

static void nobody_is_granted_anything_by_empty_lists(void **state)
{
	struct api_principals none = {0};
	struct api_peer peer = {.uid = 1, .groups = {0}, .group_count = 1};

	assert_int_equal(api_grant_of(&peer, &none, &none), API_GRANT_NONE);
}

static int admit(enum api_grant grant, const char *method, const char *params, size_t descriptors)
{
	json_t *parsed = params ? json_loads(params, 0, NULL) : NULL;
	const struct api_method *row = NULL;
	struct error error = {""};
	int code = api_admit(grant, method, parsed, descriptors, &row, &error);

	assert_true(code == 0 ? row != NULL : error.text[0] != '\0');
	json_decref(parsed);
	return code;
}

static void matrix_of_grants_and_methods_holds(void **state)
{
	for (const struct api_method *method = api_methods; method->name; method++) {
		bool is_internal = method->access == API_INTERNAL;
		bool is_operators = method->access == API_OPERATOR;
		int none = admit(API_GRANT_NONE, method->name, NULL, 0);
		int reader = admit(API_GRANT_READER, method->name, NULL, 0);
		int full = admit(API_GRANT_OPERATOR, method->name, NULL, 0);

		assert_int_equal(none, IPC_FORBIDDEN);
		assert_int_equal(reader == IPC_FORBIDDEN, is_operators);
		assert_int_equal(reader == IPC_METHOD_NOT_FOUND, is_internal);
		assert_int_equal(full == IPC_METHOD_NOT_FOUND, is_internal);
		assert_int_not_equal(full, IPC_FORBIDDEN);
	}
}

static void stranger_does_not_learn_which_methods_there_are(void **state)
{
	assert_int_equal(admit(API_GRANT_NONE, "no.such", NULL, 0), IPC_FORBIDDEN);
	assert_int_equal(admit(API_GRANT_READER, "no.such", NULL, 0), IPC_METHOD_NOT_FOUND);
}

static void counts_descriptors(void **state)
{
	assert_int_equal(admit(API_GRANT_OPERATOR, "config.apply", "{\"file\": \"x\"}", 1), 0);
	assert_int_equal(admit(API_GRANT_OPERATOR, "config.apply", "{\"file\": \"x\"}", 0),
		IPC_INVALID_PARAMS);
	assert_int_equal(admit(API_GRANT_OPERATOR, "config.apply", "{\"file\": \"x\"}", 2),
		IPC_INVALID_PARAMS);
	assert_int_equal(admit(API_GRANT_READER, "status.get", NULL, 1), IPC_INVALID_PARAMS);
}

static void reads_the_peer_of_a_socket(void **state)
{
	struct api_peer peer;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	assert_int_equal(api_peer_read(ends[0], &peer), 0);
	assert_int_equal(peer.uid, getuid());
	assert_int_equal(peer.pid, getpid());
	assert_int_equal(peer.groups[0], getgid());
	close(ends[0]);
	close(ends[1]);
	assert_true(api_peer_read(-1, &peer) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_decide_the_grant),
		cmocka_unit_test(nobody_is_granted_anything_by_empty_lists),
		cmocka_unit_test(matrix_of_grants_and_methods_holds),
		cmocka_unit_test(stranger_does_not_learn_which_methods_there_are),
		cmocka_unit_test(counts_descriptors),
		cmocka_unit_test(reads_the_peer_of_a_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
