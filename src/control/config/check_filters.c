/* SPDX-License-Identifier: BSD-3-Clause */
/* What the options of `filters` say together. */
#include "control/config/check.h"

#include <string.h>

static bool has_ports(const json_t *rule)
{
	return json_array_size(json_object_get(rule, "source-ports")) > 0
		|| json_array_size(json_object_get(rule, "destination-ports")) > 0;
}

void check_filters(struct load *load)
{
	json_t *rules = json_object_get(json_object_get(load->document, "filters"), "rules"), *rule;
	char path[CONFIG_PATH_SIZE];
	const char *name, *protocol;

	json_object_foreach (rules, name, rule) {
		protocol = json_string_value(json_object_get(rule, "protocol"));
		if (!protocol || !has_ports(rule) || strcmp(protocol, "tcp") == 0
			|| strcmp(protocol, "udp") == 0 || strcmp(protocol, "sctp") == 0)
			continue;
		snprintf(path, sizeof(path), "filters.rules.%s", name);
		load_error(load, path, "protocol: tcp, udp or sctp",
			"it is about ports, and packets of protocol %s have none", protocol);
	}
}
