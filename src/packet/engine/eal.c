/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/eal.h"

#include "base/log.h"
#include "packet/engine/eal_log.h"
#include "packet/engine/metadata.h"

#include <dirent.h>
#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARGUMENTS_MAX        24
#define MEMORY_BYTES_DEFAULT (256ULL << 20)
#define HUGEPAGES_FOLDER     "/sys/kernel/mm/hugepages"
#define PCI_FOLDER           "/sys/bus/pci/devices"
/* An address that no PCI bus has: allowing it alone lets EAL scan the bus and probe nothing, until
 * a port asks for a device. */
#define PCI_NOTHING "ffff:ff:1f.7"

static struct {
	bool was_tried; /* rte_eal_init() works once a process */
	bool is_running;
	bool uses_hugepages;
	bool avoids_hugepages;
	bool lacks_hugepages;
	struct eal_config config; /* as started */
} eal;

static const char *const hugepages_names[] = {
	[EAL_HUGEPAGES_AUTO] = "auto", [EAL_HUGEPAGES_ON] = "on", [EAL_HUGEPAGES_OFF] = "off"};

/* FNV-1a (Fowler, Noll, Vo): only has to tell two paths apart. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
	return hash;
}

void eal_config_read(const json_t *config, struct eal_config *out)
{
	const json_t *packet = json_object_get(config, "packet");
	const char *hugepages = json_string_value(json_object_get(packet, "hugepages"));
	const char *socket =
		json_string_value(json_object_get(json_object_get(config, "control"), "socket"));
	json_int_t memory = json_integer_value(json_object_get(packet, "memory"));

	*out = (struct eal_config){.hugepages = EAL_HUGEPAGES_AUTO};
	out->memory_bytes = memory > 0 ? (uint64_t)memory : MEMORY_BYTES_DEFAULT;
	if (hugepages)
		for (int i = EAL_HUGEPAGES_AUTO; i <= EAL_HUGEPAGES_OFF; i++)
			if (strcmp(hugepages, hugepages_names[i]) == 0)
				out->hugepages = (enum eal_hugepages)i;
	snprintf(out->prefix, sizeof(out->prefix), "bulkhead-%016llx",
		(unsigned long long)hash_text(socket ? socket : ""));
}

static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long number = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

/* Bytes of free hugepages, of all sizes: not a promise. Others may take them meanwhile, or have
 * reserved them already, or a control group forbids them. */
static uint64_t hugepages_free_bytes(void)
{
	DIR *folder = opendir(HUGEPAGES_FOLDER);
	uint64_t bytes = 0;

	if (!folder)
		return 0;
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
		unsigned long long page_kib;
		char path[512];

		if (sscanf(entry->d_name, "hugepages-%llukB", &page_kib) != 1)
			continue;
		snprintf(path, sizeof(path), HUGEPAGES_FOLDER "/%s/free_hugepages", entry->d_name);
		bytes += read_number(path) * (page_kib << 10);
	}
	closedir(folder);
	return bytes;
}

static int choose_hugepages(const struct eal_config *config, struct error *error)
{
	uint64_t free_bytes = hugepages_free_bytes();

	if (config->hugepages == EAL_HUGEPAGES_ON && free_bytes < config->memory_bytes)
		return error_set(error, -ENOMEM,
			"packet.hugepages: on, but of %llu MiB (packet.memory) only %llu MiB are "
			"free; reserve more in /proc/sys/vm/nr_hugepages or set it to auto",
			(unsigned long long)(config->memory_bytes >> 20),
			(unsigned long long)(free_bytes >> 20));
	eal.uses_hugepages = config->hugepages == EAL_HUGEPAGES_ON
		|| (config->hugepages == EAL_HUGEPAGES_AUTO && !eal.avoids_hugepages
			&& free_bytes >= config->memory_bytes);
	return 0;
}

/* The main lcore may run on any CPU that the process may: EAL pins it otherwise. */
static void format_lcores(char *out, size_t size)
{
	size_t length = (size_t)snprintf(out, size, "0@(");
	const char *comma = "";
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && length + 8 < size; cpu++)
		if (CPU_ISSET(cpu, &set)) {
			length += (size_t)snprintf(out + length, size - length, "%s%d", comma, cpu);
			comma = ",";
		}
	snprintf(out + length, size - length, ")");
}

struct arguments {
	int count;
	char *values[ARGUMENTS_MAX + 1];
};

static void add(struct arguments *arguments, const char *value)
{
	if (arguments->count < ARGUMENTS_MAX)
		arguments->values[arguments->count++] = strdup(value);
}

static void build_arguments(const struct eal_config *config, struct arguments *arguments)
{
	char lcores[1024], memory[24];

	format_lcores(lcores, sizeof(lcores));
	snprintf(memory, sizeof(memory), "%llu", (unsigned long long)(config->memory_bytes >> 20));
	add(arguments, "bulkheadd");
	add(arguments, "--lcores");
	add(arguments, lcores);
	add(arguments, "-m");
	add(arguments, memory);
	add(arguments, "--no-telemetry");
	if (eal.uses_hugepages) {
		/* vhost-user hands memory over as descriptors: one a segment list, not one a page.
		 */
		add(arguments, "--in-memory");
		add(arguments, "--single-file-segments");
	} else {
		add(arguments, "--no-huge");
		add(arguments, "--no-shconf");
		add(arguments, "--iova-mode=va");
		add(arguments, "--file-prefix");
		add(arguments, config->prefix);
	}
	if (access(PCI_FOLDER, R_OK) == 0) {
		add(arguments, "-a");
		add(arguments, PCI_NOTHING);
	} else {
		add(arguments, "--no-pci");
	}
}

static void log_arguments(const struct arguments *arguments)
{
	char line[2048] = "";
	size_t length = 0;

	for (int i = 0; i < arguments->count && length < sizeof(line); i++)
		length += (size_t)snprintf(line + length, sizeof(line) - length, "%s%s",
			i ? " " : "", arguments->values[i]);
	log_debug("eal_start", log_str("argv", line));
}

/* EAL makes a folder for files that it shares with other processes, and never takes it away. As it
 * shares none, the folder is empty: one would be left behind by each start. */
static void remove_runtime_folder(void)
{
	const char *path = rte_eal_get_runtime_dir();

	if (path && path[0] && rmdir(path) < 0 && errno != ENOENT)
		log_debug("eal_folder_stays", log_str("path", path));
}

static int populate(const struct rte_memseg_list *list, void *context)
{
	int *status = context;

	if (list->external || list->len == 0)
		return 0;
	if (madvise(list->base_va, list->len, MADV_POPULATE_WRITE) == 0)
		return 0;
	*status = -errno;
	return 1;
}

/* Ordinary memory would come page by page, with a fault each: at start that takes far longer than
 * all at once, later it would be on a packet's way, and where there is none left, a signal. A
 * kernel before 5.14 cannot, and goes on as that. */
static int populate_memory(void)
{
	int status = 0;

	rte_memseg_list_walk(populate, &status);
	return status == -EINVAL ? 0 : status;
}

int eal_start(const struct eal_config *config, struct error *error)
{
	struct arguments arguments = {0};
	char *values[ARGUMENTS_MAX + 1];
	int status = choose_hugepages(config, error);

	if (status < 0)
		return status;
	status = eal_log_open();
	if (status < 0)
		return error_set(error, status, "cannot route DPDK's log: %s", strerror(-status));
	build_arguments(config, &arguments);
	log_arguments(&arguments);
	/* EAL permutes the array; the strings are freed through our own. */
	memcpy(values, arguments.values, sizeof(values));
	eal.was_tried = true;
	status = rte_eal_init(arguments.count, values);
	for (int i = 0; i < arguments.count; i++)
		free(arguments.values[i]);
	if (status < 0) {
		eal.lacks_hugepages = eal.uses_hugepages && config->hugepages == EAL_HUGEPAGES_AUTO;
		eal_log_close();
		return error_set(error, -rte_errno,
			"DPDK cannot start with %llu MiB (packet.memory) and %s: %s; the log has "
			"its own lines (event dpdk)",
			(unsigned long long)(config->memory_bytes >> 20),
			eal.uses_hugepages ? "hugepages" : "ordinary memory",
			rte_strerror(rte_errno));
	}
	eal.is_running = true;
	eal.config = *config;
	remove_runtime_folder();
	status = eal.uses_hugepages ? 0 : populate_memory();
	if (status < 0)
		return error_set(error, status,
			"%llu MiB of memory (packet.memory) are not to be had: %s; give it less",
			(unsigned long long)(config->memory_bytes >> 20), strerror(-status));
	status = packet_metadata_register();
	if (status < 0)
		return error_set(error, status, "no room in the mbuf for our metadata: %s",
			strerror(-status));
	return 0;
}

void eal_stop(void)
{
	if (!eal.is_running)
		return;
	/* No rte_eal_cleanup(): DPDK 22.11 unmaps what its interrupt thread may still be reading,
	 * which ends an orderly stop with SIGSEGV now and then. The process ends soon anyway. */
	eal_log_close();
	eal.is_running = false;
}

bool eal_is_running(void)
{
	return eal.is_running;
}

bool eal_was_tried(void)
{
	return eal.was_tried;
}

void eal_avoid_hugepages(void)
{
	eal.avoids_hugepages = true;
}

bool eal_lacks_hugepages(void)
{
	return eal.lacks_hugepages;
}

bool eal_uses_hugepages(void)
{
	return eal.uses_hugepages;
}

void eal_needs_restart(const struct eal_config *config, json_t *keys)
{
	if (!eal.is_running)
		return;
	if (config->memory_bytes != eal.config.memory_bytes)
		json_array_append_new(keys, json_string("packet.memory"));
	if (config->hugepages != eal.config.hugepages)
		json_array_append_new(keys, json_string("packet.hugepages"));
}
