/* SPDX-License-Identifier: BSD-3-Clause */
/* suricata.yaml as we write it. Pure; any thread. */
#pragma once

#include "packet/inspect/external/external.h"

#include <jansson.h>

struct suricata_settings {
	const json_t *inspection; /* of the normalised configuration */
	const char *folder;       /* with all that it reads, and `run`, which it writes to */
	const char *packets;      /* socket of its devices, see external.h */
	const char *eve;          /* socket that its records go to */
	const char *command;      /* socket of its own, that takes commands */
	enum external_kind kind;
	uint16_t worker_count;
	unsigned int cpu_count;
	bool has_hugepages;
	bool has_classification; /* /etc/suricata has the files that go with rules */
};

#define SURICATA_CLASSIFICATION "/etc/suricata/classification.config"
#define SURICATA_REFERENCE      "/etc/suricata/reference.config"
/* Layer-3 MTU of its devices. */
#define SURICATA_MTU_MEMIF      1500
#define SURICATA_MTU_VHOST_USER 9000
/* Mbufs of one of its workers: both rings, what is on its way, and its own cache. */
#define SURICATA_BUFFERS 8191

/* What it has to be started again for. NULL: no memory. The caller frees both. */
char *suricata_config_main(const struct suricata_settings *settings);
/* What a reload takes over: variables and rule files (names in the folder). */
char *suricata_config_rules(
	const struct suricata_settings *settings, char *const *names, size_t count);
/* Memory of its EAL. */
unsigned int suricata_config_memory_mb(const struct suricata_settings *settings);
