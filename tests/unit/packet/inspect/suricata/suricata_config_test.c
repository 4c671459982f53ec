/* SPDX-License-Identifier: BSD-3-Clause */
/* suricata.yaml, as it is written: by heart where Suricata's own behaviour hangs on it. */
#include "packet/inspect/suricata/suricata_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char inspection[] =
	"{\"variables\": {\"HOME_NET\": [\"192.0.2.0/24\", \"!192.0.2.1\"],"
	" \"SERVERS\": \"$HOME_NET\", \"SIX\": \"2001:db8::/32\", \"ANY\": \"any\","
	" \"WEB\": \"[80,8000:8080]\", \"ALSO\": \"![$WEB]\", \"RANGE\": \"1024:\"},"
	" \"suricata\": {\"events\": [\"anomaly\", \"dns\"], \"cores\": [4, 5],"
	" \"include\": [\"/etc/bulkhead/a \\\"b\\\".yaml\"]}}";

static const char main_text[] =
	"%YAML 1.1\n"
	"---\n"
	"# Written by bulkheadd; inspection.suricata.include names files of yours.\n"
	"logging:\n"
	"  default-log-level: notice\n"
	"  outputs:\n"
	"    - console: {enabled: yes}\n"
	"outputs:\n"
	"  - eve-log:\n"
	"      enabled: yes\n"
	"      filetype: unix_stream\n"
	"      filename: \"/run/b/suricata/eve-1.sock\"\n"
	"      ethernet: yes\n"
	"      types:\n"
	"        - alert: {payload-printable: yes, payload-buffer-size: 4kb, metadata: yes,"
	" tagged-packets: no}\n"
	"        - drop: {alerts: yes, flows: start}\n"
	"        - anomaly: \n"
	"        - dns: \n"
	"unix-command:\n"
	"  enabled: yes\n"
	"  filename: \"/run/b/suricata/run/command.sock\"\n"
	"vlan: {use-for-tracking: true}\n"
	"stream: {inline: auto, midstream: true, midstream-policy: ignore,"
	" checksum-validation: yes}\n"
	"stats: {enabled: yes, interval: 30}\n"
	"threading:\n"
	"  set-cpu-affinity: yes\n"
	"  cpu-affinity:\n"
	"    - management-cpu-set: {cpu: []}\n"
	"    - worker-cpu-set: {cpu: [4, 5], mode: \"exclusive\"}\n"
	"dpdk:\n"
	"  eal-params:\n"
	"    proc-type: primary\n"
	"    no-pci: \"\"\n"
	"    no-telemetry: \"\"\n"
	"    file-prefix: bulkhead-suricata\n"
	"    m: 142\n"
	"    lcores: \"0@(0-7)\"\n"
	"    no-huge: \"\"\n"
	"    no-shconf: \"\"\n"
	"    vdev:\n"
	"      - \"net_memif0,role=client,id=0,socket=/run/b/suricata/packets-1.sock,"
	"socket-abstract=no,rsize=10\"\n"
	"      - \"net_memif1,role=client,id=1,socket=/run/b/suricata/packets-1.sock,"
	"socket-abstract=no,rsize=10\"\n"
	"  interfaces:\n"
	"    - interface: net_memif0\n"
	"      threads: 1\n"
	"      promisc: true\n"
	"      multicast: false\n"
	"      mtu: 1500\n"
	"      mempool-size: 8191\n"
	"      mempool-cache-size: auto\n"
	"      rx-descriptors: 1024\n"
	"      tx-descriptors: 1024\n"
	"      copy-mode: ips\n"
	"      copy-iface: net_memif0\n"
	"    - interface: net_memif1\n"
	"      threads: 1\n"
	"      promisc: true\n"
	"      multicast: false\n"
	"      mtu: 1500\n"
	"      mempool-size: 8191\n"
	"      mempool-cache-size: auto\n"
	"      rx-descriptors: 1024\n"
	"      tx-descriptors: 1024\n"
	"      copy-mode: ips\n"
	"      copy-iface: net_memif1\n"
	"include:\n"
	"  - \"/etc/bulkhead/a \\\"b\\\".yaml\"\n";

static const char rules_text[] = "vars:\n"
				 "  address-groups:\n"
				 "    HOME_NET: \"[192.0.2.0/24,!192.0.2.1]\"\n"
				 "    SERVERS: \"$HOME_NET\"\n"
				 "    SIX: \"2001:db8::/32\"\n"
				 "    ANY: \"any\"\n"
				 "  port-groups:\n"
				 "    WEB: \"[80,8000:8080]\"\n"
				 "    ALSO: \"![$WEB]\"\n"
				 "    RANGE: \"1024:\"\n"
				 "default-rule-path: \"/run/b/suricata\"\n"
				 "classification-file: \"/etc/suricata/classification.config\"\n"
				 "reference-config-file: \"/etc/suricata/reference.config\"\n"
				 "rule-files:\n"
				 "  - \"0000-a.rules\"\n"
				 "  - \"0001-b \\\\ \\x0a.rules\"\n";

static struct suricata_settings settings(json_t *document)
{
	return (struct suricata_settings){.inspection = document,
		.folder = "/run/b/suricata",
		.packets = "/run/b/suricata/packets-1.sock",
		.eve = "/run/b/suricata/eve-1.sock",
		.command = "/run/b/suricata/run/command.sock",
		.kind = EXTERNAL_MEMIF,
		.worker_count = 2,
		.cpu_count = 8,
		.has_classification = true};
}

/* I7 */
static void configuration_is_as_written_down(void **state)
{
	json_t *document = json_loads(inspection, 0, NULL);
	struct suricata_settings given = settings(document);
	char *text = suricata_config_main(&given);

	(void)state;
	assert_string_equal(text, main_text);
	free(text);
	json_decref(document);
}

/* I7 */
static void variables_are_sorted_into_addresses_and_ports(void **state)
{
	json_t *document = json_loads(inspection, 0, NULL);
	struct suricata_settings given = settings(document);
	char *names[] = {"0000-a.rules", "0001-b \\ \n.rules"};
	char *text = suricata_config_rules(&given, names, 2);

	(void)state;
	assert_string_equal(text, rules_text);
	free(text);
	json_decref(document);
}

/* I7: virtio-user kills Suricata in promiscuous mode, and needs its memory in one file. */
static void vhost_user_has_what_it_cannot_do_without(void **state)
{
	json_t *document = json_loads("{}", 0, NULL);
	struct suricata_settings given = settings(document);
	char *text;

	(void)state;
	given.kind = EXTERNAL_VHOST_USER;
	given.has_hugepages = true;
	text = suricata_config_main(&given);
	assert_non_null(strstr(text, "path=/run/b/suricata/packets-1.sock.1\""));
	assert_non_null(strstr(text, "promisc: false"));
	assert_null(strstr(text, "promisc: true"));
	assert_non_null(strstr(text, "multicast: false"));
	assert_non_null(strstr(text, "mtu: 9000"));
	assert_non_null(strstr(text, "single-file-segments: \"\""));
	assert_non_null(strstr(text, "in-memory: \"\""));
	assert_null(strstr(text, "no-huge"));
	assert_non_null(strstr(text, "cpu: [\"0-7\"], mode: \"balanced\""));
	assert_null(strstr(text, "\ninclude:"));
	free(text);
	json_decref(document);
}

/* A variable that names itself ends. */
static void circles_of_variables_end(void **state)
{
	json_t *document =
		json_loads("{\"variables\": {\"A\": \"$B\", \"B\": \"$A\", \"C\": \"\"}}", 0, NULL);
	struct suricata_settings given = settings(document);
	char *text = suricata_config_rules(&given, NULL, 0);

	(void)state;
	assert_non_null(
		strstr(text, "address-groups:\n    A: \"$B\"\n    B: \"$A\"\n    C: \"\"\n"));
	assert_non_null(strstr(text, "rule-files: []\n"));
	free(text);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_is_as_written_down),
		cmocka_unit_test(variables_are_sorted_into_addresses_and_ports),
		cmocka_unit_test(vhost_user_has_what_it_cannot_do_without),
		cmocka_unit_test(circles_of_variables_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
