/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/params.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int params_only(const json_t *params, const char *const *names, struct error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)params, key, value) {
		bool is_known = false;

		for (const char *const *name = names; *name; name++)
			is_known |= strcmp(key, *name) == 0;
		if (!is_known)
			return error_set(error, -EINVAL, "unknown parameter `%.64s`", key);
	}
	return 0;
}

static int params_missing(const char *name, bool is_required, struct error *error)
{
	return is_required ? error_set(error, -EINVAL, "parameter `%s` is missing", name) : 0;
}

int params_string(const json_t *params, const char *name, bool is_required, size_t size,
	const char *characters, char *out, struct error *error)
{
	const json_t *value = json_object_get(params, name);
	const char *text = json_string_value(value);
	size_t length;

	if (!value)
		return params_missing(name, is_required, error);
	if (!text)
		return error_set(error, -EINVAL, "parameter `%s` must be a string", name);
	length = json_string_length(value);
	if (length == 0 || length >= size || strlen(text) != length)
		return error_set(
			error, -EINVAL, "parameter `%s` must have 1 to %zu bytes", name, size - 1);
	if (characters && strspn(text, characters) != length)
		return error_set(
			error, -EINVAL, "parameter `%s` has a character that is not allowed", name);
	memcpy(out, text, length + 1);
	return 0;
}

int params_integer(const json_t *params, const char *name, bool is_required, int64_t minimum,
	int64_t maximum, int64_t *out, struct error *error)
{
	const json_t *value = json_object_get(params, name);

	if (!value)
		return params_missing(name, is_required, error);
	if (!json_is_integer(value) || json_integer_value(value) < minimum
		|| json_integer_value(value) > maximum)
		return error_set(error, -EINVAL,
			"parameter `%s` must be an integer from %lld to %lld", name,
			(long long)minimum, (long long)maximum);
	*out = json_integer_value(value);
	return 0;
}

static bool path_component_is_clean(const char *at, size_t size)
{
	return size > 0 && !(size == 1 && at[0] == '.')
		&& !(size == 2 && at[0] == '.' && at[1] == '.');
}

bool path_is_clean(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *at = path; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return false;
	while (*path) {
		size_t size = strcspn(++path, "/");

		if (!path_component_is_clean(path, size))
			return false;
		path += size;
	}
	return true;
}

int params_path(const json_t *params, const char *name, size_t size, char *out, struct error *error)
{
	int status = params_string(params, name, true, size, NULL, out, error);

	if (status < 0)
		return status;
	if (!path_is_clean(out))
		return error_set(error, -EINVAL,
			"parameter `%s` must be an absolute path without `..` and `//`", name);
	return 0;
}

int params_interface(
	const json_t *params, const char *name, char out[IFNAMSIZ], struct error *error)
{
	int status = params_string(params, name, true, IFNAMSIZ,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", out, error);

	if (status < 0)
		return status;
	if (out[0] == '.' || out[0] == '-')
		return error_set(error, -EINVAL, "parameter `%s` is no interface's name", name);
	return 0;
}

int params_mac(const json_t *params, const char *name, struct mac_param *out, struct error *error)
{
	char text[18], rest;
	unsigned octets[6];
	int status;

	if (!json_object_get(params, name))
		return 0;
	status = params_string(
		params, name, true, sizeof(text), "0123456789abcdefABCDEF:", text, error);
	if (status < 0)
		return status;
	if (strlen(text) != 17
		|| sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &octets[0], &octets[1], &octets[2],
			   &octets[3], &octets[4], &octets[5], &rest)
			!= 6)
		return error_set(error, -EINVAL, "parameter `%s` is no MAC address", name);
	for (int i = 0; i < 6; i++)
		out->bytes[i] = (uint8_t)octets[i];
	if (out->bytes[0] & 1)
		return error_set(error, -EINVAL, "parameter `%s` must be a unicast address", name);
	out->is_set = true;
	return 0;
}

int address_parse(const char *text, struct address_param *out)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	int bits;

	if (size == 0 || size >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, size);
	host[size] = '\0';
	memset(out, 0, sizeof(*out)); /* also the padding: they are compared as bytes */
	out->family = strchr(host, ':') ? AF_INET6 : AF_INET;
	bits = out->family == AF_INET6 ? 128 : 32;
	if (inet_pton(out->family, host, out->bytes) != 1)
		return -EINVAL;
	out->prefix = (uint8_t)bits;
	if (slash) {
		size_t digits = strspn(slash + 1, "0123456789");
		long prefix = strtol(slash + 1, NULL, 10);

		if (digits == 0 || digits > 3 || slash[1 + digits] != '\0' || prefix > bits)
			return -EINVAL;
		out->prefix = (uint8_t)prefix;
	}
	return 0;
}

int params_addresses(const json_t *params, const char *name, struct address_param *out,
	size_t *count, struct error *error)
{
	const json_t *list = json_object_get(params, name);
	const json_t *value;
	size_t index;

	*count = 0;
	if (!list)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > PARAMS_ADDRESSES_MAX)
		return error_set(error, -EINVAL, "parameter `%s` must be a list of up to %d", name,
			PARAMS_ADDRESSES_MAX);
	json_array_foreach (list, index, value) {
		const char *text = json_string_value(value);

		if (!text || !strchr(text, '/') || address_parse(text, &out[index]) < 0)
			return error_set(error, -EINVAL,
				"parameter `%s`: element %zu is no address with prefix such as "
				"192.0.2.1/24",
				name, index);
	}
	*count = json_array_size(list);
	return 0;
}
