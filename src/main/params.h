/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Strict reading of a request's parameters. The broker is root, so it takes only what is listed,
 * of the right type, length and characters. Each function returns 0 or -EINVAL with a message;
 * what is absent and has a default leaves *out as the caller set it.
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARAMS_PATH_SIZE 4096 /* PATH_MAX, with its NUL */

/* Refuses members that are not in names (NULL-terminated). params may be NULL. */
int params_only(const json_t *params, const char *const *names, struct error *error);

int params_string(const json_t *params, const char *name, bool is_required, size_t size,
	const char *characters, char *out, struct error *error);
int params_integer(const json_t *params, const char *name, bool is_required, int64_t minimum,
	int64_t maximum, int64_t *out, struct error *error);

/* Absolute, no empty, "." or ".." component, no control characters, shorter than size. */
int params_path(
	const json_t *params, const char *name, size_t size, char *out, struct error *error);
bool path_is_clean(const char *path);

/* A name the kernel takes for an interface, and which is one word for every tool. */
int params_interface(
	const json_t *params, const char *name, char out[IFNAMSIZ], struct error *error);

struct mac_param {
	uint8_t bytes[6];
	bool is_set;
};
int params_mac(const json_t *params, const char *name, struct mac_param *out, struct error *error);

/* An address with the length of its prefix, or (text without "/") none: prefix 32 or 128. */
struct address_param {
	int family; /* AF_INET, AF_INET6 */
	uint8_t prefix;
	union {
		struct in_addr v4;
		struct in6_addr v6;
		uint8_t bytes[16];
	};
};
int address_parse(const char *text, struct address_param *out);

#define PARAMS_ADDRESSES_MAX 64
int params_addresses(const json_t *params, const char *name, struct address_param *out,
	size_t *count, struct error *error);
