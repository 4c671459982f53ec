/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks across the options of `ipsec`. As in check.c, what misses says nothing. */
#include "control/config/check.h"

#include "schema/json.h"

#include <stdio.h>
#include <string.h>

static void check_sa_address(struct load *load, const json_t *sa, const char *base, const char *key)
{
	const char *address = text_of(sa, key), *other = text_of(sa, "source");
	char path[CONFIG_PATH_SIZE];

	if (!address)
		return;
	snprintf(path, sizeof(path), "%.490s.%s", base, key);
	if (strchr(address, '/'))
		load_error(load, path, "the address of one host", "it is a prefix");
	else if (other && !strchr(address, ':') != !strchr(other, ':'))
		load_error(load, path, "addresses that are both IPv4 or both IPv6",
			"%s and source, %s, are of two kinds", address, other);
}

static bool has_own_integrity(const char *cipher)
{
	return strcmp(cipher, "null") != 0 && strcmp(cipher, "aes-cbc") != 0
		&& strcmp(cipher, "aes-ctr") != 0;
}

static void check_sa(struct load *load, const char *name, const json_t *sa)
{
	const char *cipher = text_of(sa, "cipher"), *integrity = text_of(sa, "integrity");
	const json_t *window = json_object_get(sa, "replay-window");
	bool has_integrity = integrity && strcmp(integrity, "none") != 0;
	char base[CONFIG_PATH_SIZE], path[CONFIG_PATH_SIZE];

	snprintf(base, sizeof(base), "ipsec.sas.%s", name);
	check_sa_address(load, sa, base, "source");
	check_sa_address(load, sa, base, "destination");
	snprintf(path, sizeof(path), "%.490s.integrity", base);
	if (cipher && integrity && has_own_integrity(cipher) == has_integrity)
		load_error(load, check_is_written(load, path) ? path : base,
			has_integrity ? "none" : "integrity: sha2-256-128",
			has_integrity ? "%s brings its own" : "%s protects nothing by itself",
			cipher);
	if (!json_object_get(sa, "source-port") != !json_object_get(sa, "destination-port"))
		load_error(load, base, "source-port and destination-port, or neither",
			"ESP in UDP needs both ports");
	snprintf(path, sizeof(path), "%.490s.replay-window", base);
	if (window && json_integer_value(window) == 0 && json_is_true(json_object_get(sa, "esn")))
		load_error(
			load, path, "a window of 64 to 4096", "extended sequence numbers need one");
}

static bool has_request(const json_t *sas, json_int_t request, const char *direction)
{
	const char *name;
	json_t *sa;

	json_object_foreach ((json_t *)sas, name, sa) {
		const char *own = text_of(sa, "direction");

		if (own && strcmp(own, direction) == 0
			&& json_integer_value(json_object_get(sa, "request")) == request)
			return true;
	}
	return false;
}

static void check_policy(
	struct load *load, const char *name, const json_t *policy, const json_t *sas)
{
	const char *local = text_of(policy, "local"), *remote = text_of(policy, "remote");
	const char *action = text_of(policy, "action");
	json_int_t request = json_integer_value(json_object_get(policy, "request"));
	char base[CONFIG_PATH_SIZE];

	snprintf(base, sizeof(base), "ipsec.policies.%s", name);
	if (local && remote && !strchr(local, ':') != !strchr(remote, ':'))
		load_error(load, base, "addresses that are both IPv4 or both IPv6",
			"%s and %s are of two kinds", local, remote);
	if (action && strcmp(action, "protect") == 0
		&& (!has_request(sas, request, "in") || !has_request(sas, request, "out")))
		load_warning(load, base, NULL,
			"ipsec.sas has no association of request %" JSON_INTEGER_FORMAT
			" in each direction: what the policy matches is dropped",
			request);
}

void check_ipsec(struct load *load)
{
	const json_t *ipsec = json_object_get(load->document, "ipsec");
	json_t *sas = json_object_get(ipsec, "sas"), *row;
	const char *name;

	json_object_foreach (sas, name, row)
		check_sa(load, name, row);
	json_object_foreach (json_object_get(ipsec, "policies"), name, row)
		check_policy(load, name, row, sas);
	if (json_object_size(sas) && !text_of(ipsec, "key-file")
		&& !check_is_written(load, "ipsec.key-file"))
		load_error(load, "ipsec.sas", "ipsec.key-file: /etc/bulkhead/ipsec.keys",
			"static associations need their keys from a file");
}
