/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs of others that the broker starts for a role, and watches as it watches roles: a closed
 * list. Each runs as a user of its own, without a capability, in an empty network namespace, with
 * arguments that are written down here. A role chooses where the binary is (which has to be root's)
 * and the folder, which has to be the role's own and holds what the program is told.
 */
#pragma once

#include "base/error.h"
#include "main/identity.h"

#define PROGRAM_ARGUMENTS_MAX 16
#define PROGRAM_FOLDER        "@FOLDER@" /* in arguments: replaced by the folder */

struct program {
	const char *name; /* as in broker.start_program, and the binary's own */
	const char *user; /* the roles' fallback, where it does not exist */
	const char *arguments[PROGRAM_ARGUMENTS_MAX]; /* behind the binary's name */
};

/* NULL: there is none of this name. */
const struct program *program_find(const char *name);
int program_identity(const struct program *program, struct identity *out, struct error *error);

/* In the process that becomes it, started by the broker as `bulkheadd --program NAME BINARY
 * FOLDER`. Does not return but on errors: the exit code. */
int program_exec(const char *name, const char *binary, const char *folder);
