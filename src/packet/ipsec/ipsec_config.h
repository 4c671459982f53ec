/* SPDX-License-Identifier: BSD-3-Clause */
/* What the section `ipsec` asks for: static SAs and policies, whose keys come from a file. Control
 * thread. */
#pragma once

#include "base/secret.h"
#include "packet/ipsec/sa_control.h"

#include <jansson.h>
#include <stddef.h>

#define IPSEC_NAME_SIZE         32
#define IPSEC_KEY_FILE_SIZE_MAX (4 << 20)

struct ipsec_static_sa {
	char name[IPSEC_NAME_SIZE];
	bool has_keys;
	struct sa_parameters parameters; /* its keys lie in the config's secret */
};

struct ipsec_config {
	uint32_t sas_max;
	bool bypasses;          /* what no policy matches */
	uint16_t replay_window; /* at least, of inbound SAs that have one */
	const char *key_file;   /* of the document; NULL: none */
	const char *physical;   /* of the document; NULL: none */
	size_t sa_count;
	struct ipsec_static_sa *sas;
	struct secret *keys; /* [sa_count][SA_KEY_SIZE_MAX]; NULL: no SAs */
	size_t policy_count;
	struct policy_parameters *policies;
};

/* The whole normalised document, borrowed as long as the result is used; *out is NULL when it has
 * no section `ipsec`. Keys are read apart. */
int ipsec_config_read(const json_t *document, struct ipsec_config **out, struct error *error);
/* NULL is allowed. */
void ipsec_config_destroy(struct ipsec_config *config);

/* Of the open key file: -ESTALE when it was changed later than the clock says it is, so that the
 * clock is wrong, and IVs that begin with it may come again (docs/decisions/0017). */
int ipsec_config_check_clock(int fd, struct error *error);

/* The text of the key file: lines of `NAME CIPHER-KEY [INTEGRITY-KEY]` in hexadecimal digits, with
 * the salt behind the cipher's key; `-` for a cipher without one; # begins a comment. -EINVAL with
 * the line, or the two SAs that have one key; no message has anything of a key. */
int ipsec_config_read_keys(
	struct ipsec_config *config, const char *text, size_t size, struct error *error);
