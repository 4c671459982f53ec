/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema/device.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* IFNAMSIZ (linux/if.h) counts the terminating zero. */
#define INTERFACE_LENGTH_MAX 15
/* memif's interface id is 32 bits; DPDK's driver prints it with %u. */
#define MEMIF_ID_MAX UINT32_MAX

enum argument { ARGUMENT_INTERFACE, ARGUMENT_SOCKET, ARGUMENT_PCI };

static const struct {
	const char *name;
	enum argument argument;
	bool takes_client, takes_id;
} kinds[DEVICE_KIND_COUNT] = {
	[DEVICE_AF_XDP] = {"af_xdp", ARGUMENT_INTERFACE, false, false},
	[DEVICE_AF_PACKET] = {"af_packet", ARGUMENT_INTERFACE, false, false},
	[DEVICE_NETDEV] = {"netdev", ARGUMENT_INTERFACE, false, false},
	[DEVICE_TAP] = {"tap", ARGUMENT_INTERFACE, false, false},
	[DEVICE_MEMIF] = {"memif", ARGUMENT_SOCKET, true, true},
	[DEVICE_VHOST_USER] = {"vhost-user", ARGUMENT_SOCKET, true, false},
	[DEVICE_PCI] = {"pci", ARGUMENT_PCI, false, false},
};

const char *device_kind_name(enum device_kind kind)
{
	assert(kind < DEVICE_KIND_COUNT);
	return kinds[kind].name;
}

static int parse_kind(const char *text, size_t size, enum device_kind *out, struct error *error)
{
	for (int i = 0; i < DEVICE_KIND_COUNT; i++) {
		if (strlen(kinds[i].name) == size && memcmp(kinds[i].name, text, size) == 0) {
			*out = (enum device_kind)i;
			return 0;
		}
	}
	return error_set(error, -EINVAL, "unknown kind of device \"%.*s\"", (int)size, text);
}

/* dev_valid_name() of Linux, and no quoting troubles in the driver's arguments. */
static int check_interface(const char *name, struct error *error)
{
	size_t size = strlen(name);

	if (size == 0 || size > INTERFACE_LENGTH_MAX)
		return error_set(error, -EINVAL, "an interface's name has 1 to %d characters",
			INTERFACE_LENGTH_MAX);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(error, -EINVAL, "\"%s\" cannot be an interface's name", name);
	for (const char *at = name; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-_.@", *at))
			return error_set(error, -EINVAL,
				"an interface's name has letters, digits and - _ . @ only");
	return 0;
}

static int check_socket(const char *path, struct error *error)
{
	if (path[0] != '/' || path[1] == '\0')
		return error_set(error, -EINVAL, "the socket needs an absolute path");
	for (const char *at = path; *at; at++)
		if (!isgraph((unsigned char)*at) || strchr("\"'\\=", *at))
			return error_set(error, -EINVAL,
				"the socket's path has a character that the driver cannot take");
	return 0;
}

/* DDDD:BB:DD.F as lspci -D prints it. */
static int check_pci(const char *address, struct error *error)
{
	static const char shape[] = "xxxx:xx:xx.x";
	size_t i = 0;

	for (; shape[i] && address[i]; i++)
		if (shape[i] == 'x' ? !isxdigit((unsigned char)address[i]) : shape[i] != address[i])
			break;
	if (shape[i] || address[i] || address[11] > '7')
		return error_set(
			error, -EINVAL, "a PCI address is written as lspci -D does: 0000:03:00.0");
	return 0;
}

static int parse_option(const char *text, size_t size, struct device *out, struct error *error)
{
	char *end;

	if (kinds[out->kind].takes_client && size == 6 && memcmp(text, "client", 6) == 0) {
		out->is_client = true;
		return 0;
	}
	if (kinds[out->kind].takes_id && size > 3 && memcmp(text, "id=", 3) == 0
		&& isdigit((unsigned char)text[3])) {
		unsigned long long id = strtoull(text + 3, &end, 10);

		if (end == text + size && id <= MEMIF_ID_MAX) {
			out->id = (uint32_t)id;
			return 0;
		}
	}
	return error_set(error, -EINVAL, "unknown option \"%.*s\"; %s: takes %s", (int)size, text,
		kinds[out->kind].name,
		kinds[out->kind].takes_id               ? "client and id=NUMBER"
			: kinds[out->kind].takes_client ? "client"
							: "none");
}

static int check_argument(const struct device *device, struct error *error)
{
	switch (kinds[device->kind].argument) {
	case ARGUMENT_INTERFACE:
		return check_interface(device->argument, error);
	case ARGUMENT_SOCKET:
		return check_socket(device->argument, error);
	case ARGUMENT_PCI:
		return check_pci(device->argument, error);
	}
	return -EINVAL;
}

int device_parse(const char *text, struct device *out, struct error *error)
{
	const char *colon = strchr(text, ':');
	size_t size;
	int r;

	memset(out, 0, sizeof(*out));
	if (!colon)
		return error_set(
			error, -EINVAL, "a device is written KIND:NAME, such as af_xdp:eth1");
	r = parse_kind(text, (size_t)(colon - text), &out->kind, error);
	if (r < 0)
		return r;
	text = colon + 1;
	size = strcspn(text, ",");
	if (size >= sizeof(out->argument))
		return error_set(error, -EINVAL, "what follows \"%s:\" has %zu characters; %zu fit",
			kinds[out->kind].name, size, sizeof(out->argument) - 1);
	memcpy(out->argument, text, size);
	r = check_argument(out, error);
	for (text += size; r == 0 && *text == ','; text += size) {
		text++;
		size = strcspn(text, ",");
		r = parse_option(text, size, out, error);
	}
	return r;
}
