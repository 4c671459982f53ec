/* SPDX-License-Identifier: BSD-3-Clause */
/* Defaults that depend on other options. */
#include "control/config/load.h"
#include "control/config/variables.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *value;
} variable_defaults[] = {
	{"HOME_NET", "any"},
	{"EXTERNAL_NET", "any"},
	{"HTTP_SERVERS", "$HOME_NET"},
	{"SMTP_SERVERS", "$HOME_NET"},
	{"SQL_SERVERS", "$HOME_NET"},
	{"DNS_SERVERS", "$HOME_NET"},
	{"TELNET_SERVERS", "$HOME_NET"},
	{"AIM_SERVERS", "$EXTERNAL_NET"},
	{"DC_SERVERS", "$HOME_NET"},
	{"DNP3_SERVER", "$HOME_NET"},
	{"DNP3_CLIENT", "$HOME_NET"},
	{"MODBUS_SERVER", "$HOME_NET"},
	{"MODBUS_CLIENT", "$HOME_NET"},
	{"ENIP_SERVER", "$HOME_NET"},
	{"ENIP_CLIENT", "$HOME_NET"},
	{"HTTP_PORTS", "80"},
	{"SHELLCODE_PORTS", "!80"},
	{"ORACLE_PORTS", "1521"},
	{"SSH_PORTS", "22"},
	{"DNP3_PORTS", "20000"},
	{"MODBUS_PORTS", "502"},
	{"FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"},
	{"FTP_PORTS", "21"},
	{"GENEVE_PORTS", "6081"},
	{"VXLAN_PORTS", "4789"},
	{"TEREDO_PORTS", "3544"},
};

const char *variables_name(size_t index)
{
	return index < sizeof(variable_defaults) / sizeof(variable_defaults[0])
		? variable_defaults[index].name
		: NULL;
}

const char *variables_default(const char *name)
{
	for (size_t i = 0; variables_name(i); i++)
		if (strcmp(variable_defaults[i].name, name) == 0)
			return variable_defaults[i].value;
	return NULL;
}

/* Sets key where it is absent; value is consumed. */
static int fill(json_t *object, const char *key, json_t *value)
{
	if (json_object_get(object, key)) {
		json_decref(value);
		return 0;
	}
	return json_object_set_new(object, key, value);
}

static int finish_host_name(json_t *document)
{
	char name[64] = "";

	/* The first label: a name without dots is what the option takes. */
	if (gethostname(name, sizeof(name)) < 0)
		name[0] = '\0';
	name[sizeof(name) - 1] = '\0';
	name[strcspn(name, ".")] = '\0';
	return fill(document, "host",
		json_string(isalnum((unsigned char)name[0]) ? name : "localhost"));
}

static int finish_vlans(json_t *document)
{
	const char *scope = json_string_value(
		json_object_get(json_object_get(document, "inspection"), "scope"));
	const char *id;
	json_t *vlan;
	int r = 0;

	json_object_foreach (
		json_object_get(json_object_get(document, "gateway"), "vlans"), id, vlan)
		r |= fill(vlan, "inspect", json_string(scope));
	return r;
}

static int finish_guard(json_t *adapter)
{
	json_t *guard = json_object_get(adapter, "guard");
	bool has_mac = json_object_get(adapter, "mac") != NULL;
	bool has_addresses = json_array_size(json_object_get(adapter, "addresses")) > 0;

	return fill(guard, "mac", json_boolean(has_mac))
		| fill(guard, "ip", json_boolean(has_addresses))
		| fill(guard, "arp", json_boolean(has_addresses))
		| fill(guard, "nd", json_boolean(has_addresses));
}

static int finish_partitions(json_t *document)
{
	const char *partition_name, *name;
	json_t *partition, *adapter;
	int r = 0;

	json_object_foreach (json_object_get(document, "partitions"), partition_name, partition) {
		const char *policy = json_string_value(json_object_get(partition, "on-failure"));

		json_object_foreach (json_object_get(partition, "adapters"), name, adapter) {
			r |= finish_guard(adapter);
			if (policy)
				r |= fill(adapter, "on-failure", json_string(policy));
		}
	}
	return r;
}

/* What is not at home is outside, once home is said: rules that look at one direction then work. */
static int finish_external(json_t *variables)
{
	const char *home = json_string_value(json_object_get(variables, "HOME_NET"));
	bool is_said = home && strcmp(home, "any") != 0 && !strchr(home, '$');

	return fill(variables, "EXTERNAL_NET", json_string(is_said ? "!$HOME_NET" : "any"));
}

static int finish_inspection(json_t *document)
{
	json_t *inspection = json_object_get(document, "inspection");
	json_t *policies = json_object_get(inspection, "on-failure");
	json_t *variables = json_object_get(inspection, "variables");
	const char *policy = json_string_value(json_object_get(policies, "default"));
	int r = fill(policies, "physical", json_string(policy))
		| fill(policies, "trunk", json_string(policy))
		| fill(policies, "host", json_string(policy)) | finish_external(variables);

	for (size_t i = 0; variables_name(i); i++)
		r |= fill(variables, variable_defaults[i].name,
			json_string(variable_defaults[i].value));
	return r;
}

int config_finish(json_t *document)
{
	int r = finish_host_name(document) | finish_vlans(document) | finish_partitions(document)
		| finish_inspection(document);

	return r < 0 ? -ENOMEM : 0;
}
