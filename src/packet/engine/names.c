/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/names.h"

#include <stdio.h>

struct engine_names engine_names;

static const char *const kind_names[ORIGIN_KIND_COUNT] = {
	[ORIGIN_NONE] = "untagged",
	[ORIGIN_PHYSICAL] = "physical",
	[ORIGIN_TRUNK] = "trunk",
	[ORIGIN_HOST] = "host",
	[ORIGIN_DECRYPTED] = "decrypted",
	[ORIGIN_REMOTE] = "remote",
	[ORIGIN_TARGET] = "target",
};

void names_format_port(uint16_t index, char *out, size_t size)
{
	const char *name = engine_names.port ? engine_names.port(index) : NULL;

	if (name)
		snprintf(out, size, "%s", name);
	else
		snprintf(out, size, "port %u", index);
}

static void format_kind(const struct origin *origin, char *out, size_t size)
{
	const char *kind = origin->kind < ORIGIN_KIND_COUNT ? kind_names[origin->kind] : "?";
	const char *trunk = NULL;

	if (origin->kind == ORIGIN_TRUNK && engine_names.trunk)
		trunk = engine_names.trunk(origin->adapter);
	snprintf(out, size, "%s%s%s", kind, trunk ? " " : "", trunk ? trunk : "");
}

void names_format_origin(const struct origin *origin, uint16_t vlan, char out[NAMES_ORIGIN_SIZE])
{
	char kind[80], port[72];

	format_kind(origin, kind, sizeof(kind));
	names_format_port(origin->ingress_port, port, sizeof(port));
	if (vlan)
		snprintf(out, NAMES_ORIGIN_SIZE, "%s vlan %u %s", kind, vlan, port);
	else
		snprintf(out, NAMES_ORIGIN_SIZE, "%s %s", kind, port);
}
