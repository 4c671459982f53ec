/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/suricata/suricata_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE_DEPTH_MAX 16
#define MEMORY_BASE_MB     64 /* of EAL and drivers */

/* ---- YAML ---- */

/* A double-quoted scalar. */
static void put_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte < 0x20 || byte == 0x7f)
			fprintf(out, "\\x%02x", byte);
		else
			putc(byte, out);
	}
	putc('"', out);
}

static void put_pair(FILE *out, const char *indent, const char *key, const char *value)
{
	fprintf(out, "%s%s: ", indent, key);
	put_text(out, value);
	putc('\n', out);
}

static const json_t *own(const struct suricata_settings *settings, const char *key)
{
	return json_object_get(json_object_get(settings->inspection, "suricata"), key);
}

/* ---- variables ---- */

static bool is_port_text(const json_t *variables, const char *text, unsigned int depth);

static bool is_port_value(const json_t *variables, const json_t *value, unsigned int depth)
{
	if (json_is_array(value))
		value = json_array_get(value, 0);
	return is_port_text(variables, json_string_value(value), depth);
}

/* By its first member: ports are numbers and ranges, addresses are not. */
static bool is_port_text(const json_t *variables, const char *text, unsigned int depth)
{
	char name[64];
	size_t length;

	if (!text || depth > VARIABLE_DEPTH_MAX)
		return false;
	text += strspn(text, "![ ");
	length = strcspn(text, ",] ");
	if (length == 0 || length >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)length, text);
	if (name[0] == '$')
		return is_port_value(variables, json_object_get(variables, name + 1), depth + 1);
	return isdigit((unsigned char)name[0]) && strspn(name, "0123456789:") == length
		&& strchr(name, ':') == strrchr(name, ':');
}

static void put_variable(FILE *out, const char *name, const json_t *value)
{
	const json_t *member;
	size_t i;
	char *text = NULL;
	size_t size = 0;
	FILE *list;

	if (json_is_string(value)) {
		put_pair(out, "    ", name, json_string_value(value));
		return;
	}
	list = open_memstream(&text, &size);
	if (!list)
		return;
	json_array_foreach (value, i, member)
		fprintf(list, "%s%s", i ? "," : "[", json_string_value(member));
	fputs("]", list);
	fclose(list);
	put_pair(out, "    ", name, text);
	free(text);
}

static void put_variables(FILE *out, const json_t *variables)
{
	json_t *value;
	const char *name;

	for (int ports = 0; ports <= 1; ports++) {
		fputs(ports ? "  port-groups:\n" : "vars:\n  address-groups:\n", out);
		json_object_foreach ((json_t *)(uintptr_t)variables, name, value)
			if (is_port_value(variables, value, 0) == ports)
				put_variable(out, name, value);
	}
}

/* ---- what a reload takes over ---- */

char *suricata_config_rules(
	const struct suricata_settings *settings, char *const *names, size_t count)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_variables(out, json_object_get(settings->inspection, "variables"));
	put_pair(out, "", "default-rule-path", settings->folder);
	if (settings->has_classification) {
		put_pair(out, "", "classification-file", SURICATA_CLASSIFICATION);
		put_pair(out, "", "reference-config-file", SURICATA_REFERENCE);
	}
	fputs(count ? "rule-files:\n" : "rule-files: []\n", out);
	for (size_t i = 0; i < count; i++) {
		fputs("  - ", out);
		put_text(out, names[i]);
		putc('\n', out);
	}
	fclose(out);
	return text;
}

/* ---- what it has to be started again for ---- */

static void put_eve(FILE *out, const struct suricata_settings *settings)
{
	const json_t *event;
	size_t i;

	/* The addresses of the packet tell us where it came from. */
	fputs("outputs:\n  - eve-log:\n      enabled: yes\n      filetype: unix_stream\n", out);
	put_pair(out, "      ", "filename", settings->eve);
	fputs("      ethernet: yes\n      types:\n"
	      "        - alert: {payload-printable: yes, payload-buffer-size: 4kb, metadata: yes,"
	      " tagged-packets: no}\n"
	      "        - drop: {alerts: yes, flows: start}\n",
		out);
	json_array_foreach (own(settings, "events"), i, event)
		fprintf(out, "        - %s: \n", json_string_value(event));
}

static void put_cpus(FILE *out, const struct suricata_settings *settings)
{
	const json_t *cores = own(settings, "cores"), *core;
	size_t i;

	/* Without a CPU for its management that is where the kernel puts it; by default it is
	 * everywhere, and Suricata leaves none of these to workers. */
	fputs("threading:\n  set-cpu-affinity: yes\n  cpu-affinity:\n"
	      "    - management-cpu-set: {cpu: []}\n"
	      "    - worker-cpu-set: {cpu: [",
		out);
	if (json_array_size(cores) == 0)
		fprintf(out, "\"0-%u\"", settings->cpu_count - 1);
	json_array_foreach (cores, i, core)
		fprintf(out, "%s%lld", i ? ", " : "", json_integer_value(core));
	/* One that has a CPU of its own stays there. */
	fprintf(out, "], mode: \"%s\"}\n", json_array_size(cores) ? "exclusive" : "balanced");
}

static void put_device_name(
	FILE *out, const struct suricata_settings *settings, unsigned int number)
{
	fprintf(out, "net_%s%u", settings->kind == EXTERNAL_MEMIF ? "memif" : "virtio_user",
		number);
}

static void put_devices(FILE *out, const struct suricata_settings *settings)
{
	fputs("    vdev:\n", out);
	for (unsigned int i = 0; i < settings->worker_count; i++) {
		char *text = NULL;
		int status;

		if (settings->kind == EXTERNAL_MEMIF)
			status = asprintf(&text,
				"net_memif%u,role=client,id=%u,socket=%s,socket-abstract=no,rsize="
				"10",
				i, i, settings->packets);
		else
			status = asprintf(&text,
				"net_virtio_user%u,queues=1,queue_size=1024,path=%s.%u", i,
				settings->packets, i);
		if (status < 0)
			continue;
		fputs("      - ", out);
		put_text(out, text);
		putc('\n', out);
		free(text);
	}
}

unsigned int suricata_config_memory_mb(const struct suricata_settings *settings)
{
	unsigned int mtu =
		settings->kind == EXTERNAL_MEMIF ? SURICATA_MTU_MEMIF : SURICATA_MTU_VHOST_USER;
	/* Suricata rounds its buffers up to a KiB; an mbuf has some more around them. */
	unsigned int buffer = (mtu / 1024 + 2) * 1024;

	return MEMORY_BASE_MB
		+ settings->worker_count * (SURICATA_BUFFERS * buffer / (1024 * 1024) + 16);
}

static void put_eal(FILE *out, const struct suricata_settings *settings)
{
	fprintf(out,
		"dpdk:\n"
		"  eal-params:\n"
		"    proc-type: primary\n"
		"    no-pci: \"\"\n"
		"    no-telemetry: \"\"\n"

		"    file-prefix: bulkhead-suricata\n"
		"    m: %u\n"
		"    lcores: \"0@(0-%u)\"\n",
		suricata_config_memory_mb(settings), settings->cpu_count - 1);
	/* EAL has either of them. */
	fputs(settings->has_hugepages ? "    in-memory: \"\"\n"
				      : "    no-huge: \"\"\n    no-shconf: \"\"\n",
		out);
	/* virtio-user cannot hand over memory that is in many pieces. */
	if (settings->has_hugepages && settings->kind == EXTERNAL_VHOST_USER)
		fputs("    single-file-segments: \"\"\n", out);
	put_devices(out, settings);
}

/* What comes in on a device goes out on it again. virtio-user has neither promiscuous mode nor
 * multicast, and Suricata dies when it asks. */
static void put_interface(FILE *out, const struct suricata_settings *settings, unsigned int number)
{
	bool is_memif = settings->kind == EXTERNAL_MEMIF;

	fputs("    - interface: ", out);
	put_device_name(out, settings, number);
	fprintf(out,
		"\n"
		"      threads: 1\n"
		"      promisc: %s\n"
		"      multicast: false\n"
		"      mtu: %d\n"
		"      mempool-size: %d\n"
		"      mempool-cache-size: auto\n"
		"      rx-descriptors: 1024\n"
		"      tx-descriptors: 1024\n"
		"      copy-mode: ips\n"
		"      copy-iface: ",
		is_memif ? "true" : "false",
		is_memif ? SURICATA_MTU_MEMIF : SURICATA_MTU_VHOST_USER, SURICATA_BUFFERS);
	put_device_name(out, settings, number);
	putc('\n', out);
}

static void put_includes(FILE *out, const struct suricata_settings *settings)
{
	const json_t *includes = own(settings, "include"), *path;
	size_t i;

	if (json_array_size(includes) == 0)
		return;
	fputs("include:\n", out);
	json_array_foreach (includes, i, path) {
		fputs("  - ", out);
		put_text(out, json_string_value(path));
		putc('\n', out);
	}
}

char *suricata_config_main(const struct suricata_settings *settings)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs("%YAML 1.1\n---\n"
	      "# Written by bulkheadd; inspection.suricata.include names files of yours.\n",
		out);
	fputs("logging:\n  default-log-level: notice\n"
	      "  outputs:\n    - console: {enabled: yes}\n",
		out);
	put_eve(out, settings);
	fputs("unix-command:\n  enabled: yes\n", out);
	put_pair(out, "  ", "filename", settings->command);
	/* The network's id is a VLAN tag in front of the frame, the same in both directions. */
	fputs("vlan: {use-for-tracking: true}\n"
	      /* Connections go on over a restart; by default they would be dropped. */
	      "stream: {inline: auto, midstream: true, midstream-policy: ignore,"
	      " checksum-validation: yes}\n"
	      "stats: {enabled: yes, interval: 30}\n",
		out);
	put_cpus(out, settings);
	put_eal(out, settings);
	fputs("  interfaces:\n", out);
	for (unsigned int i = 0; i < settings->worker_count; i++)
		put_interface(out, settings, i);
	put_includes(out, settings);
	fclose(out);
	return text;
}
