/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/replay/replay.h"

#include "base/clock.h"
#include "packet/engine/pool.h"
#include "packet/inspect/builtin/builtin.h"
#include "packet/inspect/builtin/flow_events.h"
#include "packet/inspect/builtin/statistics.h"
#include "packet/inspect/inspect.h"
#include "wire/eth.h"
#include "wire/network.h"

#include <errno.h>
#include <glob.h>
#include <pcap/pcap.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_COUNT    32768 /* packets that may be held, in pieces of POOL_DATA_SIZE */
#define DRAIN_STEP_NS   (100 * CLOCK_NS_PER_MS)
#define DRAIN_STEPS_MAX 1200 /* two minutes: longer than any packet is held */
#define OWNER           1

static struct inspector_file *files;
static size_t file_count;

/* ---- rules ---- */

static int read_text(const char *path, struct inspector_file *out, struct error *error)
{
	FILE *file = fopen(path, "re");
	size_t size = 0, room = 0, got;
	char *text = NULL;

	if (!file)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	do {
		char *grown = realloc(text, room += 1 << 20);

		if (!grown) {
			free(text);
			fclose(file);
			return error_set(error, -ENOMEM, "%s: no memory", path);
		}
		text = grown;
		got = fread(text + size, 1, room - size, file);
		size += got;
	} while (size == room);
	if (ferror(file)) {
		free(text);
		fclose(file);
		return error_set(error, -EIO, "%s: cannot be read", path);
	}
	fclose(file);
	*out = (struct inspector_file){.name = strdup(path), .text = text, .size = size};
	return out->name ? 0 : error_set(error, -ENOMEM, "%s: no memory", path);
}

static int read_pattern(const char *pattern, struct error *error)
{
	struct inspector_file *grown;
	glob_t found;
	int status = glob(pattern, GLOB_ERR, NULL, &found);

	if (status != 0)
		return error_set(error, -ENOENT, "%s: %s", pattern,
			status == GLOB_NOMATCH ? "there is no such file" : "cannot be read");
	grown = realloc(files, (file_count + found.gl_pathc) * sizeof(*files));
	status = grown ? 0 : error_set(error, -ENOMEM, "%s: no memory", pattern);
	if (grown)
		files = grown;
	for (size_t i = 0; status == 0 && i < found.gl_pathc; i++) {
		status = read_text(found.gl_pathv[i], &files[file_count], error);
		file_count += status == 0;
	}
	globfree(&found);
	return status;
}

static void free_files(void)
{
	for (size_t i = 0; i < file_count; i++) {
		free((char *)files[i].name);
		free((char *)files[i].text);
	}
	free(files);
	files = NULL;
	file_count = 0;
}

static void print_refusals(const json_t *report)
{
	const char *file, *kind, *keyword, *reason;
	json_t *refusal;
	int line;
	size_t i;

	json_array_foreach (json_object_get(report, "refusals"), i, refusal)
		if (json_unpack(refusal, "{s:s, s:i, s:s, s:s, s:s}", "file", &file, "line", &line,
			    "kind", &kind, "keyword", &keyword, "reason", &reason)
			== 0)
			fprintf(stderr, "%s:%d: %s: %s%s%s\n", file, line, kind, keyword,
				*keyword ? ": " : "", reason);
}

static int compile(const json_t *settings, void **out, struct error *error)
{
	struct inspector_rules rules = {
		.variables = json_object_get(settings, "variables"), .worker_count = 1};
	json_t *report = NULL, *pattern;
	int status = 0;
	size_t i;

	json_array_foreach (json_object_get(settings, "rules"), i, pattern) {
		status = read_pattern(json_string_value(pattern), error);
		if (status < 0)
			goto free_all;
	}
	rules.files = files;
	rules.file_count = file_count;
	status = builtin_inspector.compile(&rules, out, &report, error);
	print_refusals(report);
	json_decref(report);
free_all:
	free_files();
	return status;
}

/* ---- set-up ---- */

static int start_eal(struct error *error)
{
	char *arguments[] = {"bulkhead-replay", "--no-huge", "-m", "256", "--no-pci", "--no-shconf",
		"--no-telemetry", "--log-level=4", NULL};

	if (rte_eal_init((int)(sizeof(arguments) / sizeof(arguments[0])) - 1, arguments) < 0)
		return error_set(
			error, -rte_errno, "DPDK does not start: %s", rte_strerror(rte_errno));
	if (packet_metadata_register() < 0)
		return error_set(error, -EINVAL, "packets have no room for their metadata");
	packet_pool = pool_create("packets", BUFFER_COUNT);
	return packet_pool ? 0
			   : error_set(error, -rte_errno, "cannot make packet buffers: %s",
				   rte_strerror(rte_errno));
}

static int make_chain(const json_t *settings, struct error *error)
{
	const json_t *policy = json_object_get(settings, "on-failure");
	const char *word = json_string_value(json_object_get(policy, "default"));
	json_int_t limit = json_integer_value(json_object_get(settings, "hold-max"));

	inspect_chain = calloc(1, sizeof(*inspect_chain));
	inspect_workers[0] = calloc(1, sizeof(*inspect_workers[0]));
	if (!inspect_chain || !inspect_workers[0])
		return error_set(error, -ENOMEM, "no memory");
	inspect_workers[0]->holds = hold_table_create((uint32_t)RTE_MAX(limit, 64));
	if (!inspect_workers[0]->holds)
		return error_set(error, -ENOMEM, "no memory for %lld held packets", limit);
	inspect_chain->deadline_ns =
		(uint64_t)json_integer_value(json_object_get(settings, "deadline"))
		* CLOCK_NS_PER_MS;
	inspect_chain->gap_timeout_ns =
		(uint64_t)json_integer_value(json_object_get(settings, "stream-gap-timeout"))
		* CLOCK_NS_PER_MS;
	inspect_chain->kind_policy[ORIGIN_PHYSICAL] =
		word && strcmp(word, "pass") == 0 ? FAILURE_PASS : FAILURE_DROP;
	return 0;
}

int replay_open(const json_t *settings, struct error *error)
{
	void *compiled = NULL;
	int status = start_eal(error);

	if (status == 0)
		status = make_chain(settings, error);
	if (status == 0)
		status = compile(settings, &compiled, error);
	if (status == 0)
		status = builtin_inspector.create(
			settings, 1, compiled, &inspect_chain->engines[0], error);
	if (status < 0)
		return status;
	inspect_chain->engines[0]->owner = OWNER;
	inspect_chain->count = 1;
	return 0;
}

void replay_close(void)
{
	if (inspect_chain && inspect_chain->count)
		builtin_inspector.destroy(inspect_chain->engines[0]);
	if (inspect_workers[0])
		hold_table_destroy(inspect_workers[0]->holds);
	free(inspect_workers[0]);
	free(inspect_chain);
	inspect_workers[0] = NULL;
	inspect_chain = NULL;
	rte_mempool_free(packet_pool);
	packet_pool = NULL;
	rte_eal_cleanup();
}

/* ---- events ---- */

static struct builtin *engine(void)
{
	return (struct builtin *)inspect_chain->engines[0];
}

/* The limit of events is for a daemon whose control role must keep up; here nobody hurries. */
static void lift_event_limit(void)
{
	for (int kind = 0; kind < EVENT_LANE_COUNT; kind++)
		event_lane_refill(&engine()->workers[0]->lanes[kind]);
}

static void write_event(json_t *event, struct replay_output *output)
{
	json_dumpf(event, output->eve, JSON_COMPACT);
	fputc('\n', output->eve);
	json_decref(event);
}

static void write_record(const struct eve_record *record, struct replay_output *output)
{
	struct eve_names names = {.drop_reason = drop_descriptions[record->drop_reason].name};
	json_t *event = eve_to_json(record, &names);

	output->counts.alerts += record->type == EVE_ALERT;
	if (record->type != EVE_FLOW)
		json_object_set_new(
			event, "pcap_cnt", json_integer((json_int_t)output->counts.packets));
	write_event(event, output);
	eve_release(record);
}

static void write_events(struct replay_output *output)
{
	const struct eve_record *record;

	for (int kind = 0; kind < EVENT_LANE_COUNT; kind++) {
		struct event_ring *ring = engine()->workers[0]->lanes[kind].ring;

		while ((record = event_ring_peek(ring))) {
			write_record(record, output);
			event_ring_release(ring);
		}
	}
}

/* Flows that go on where the capture ends, and what there was in all. */
static void write_end(struct replay_output *output)
{
	static struct eve_record record;
	uint32_t types = engine()->settings->event_types, index = 0;
	const struct flow *flow;

	while (types & 1u << EVE_FLOW
		&& (flow = flow_table_next(engine()->workers[0]->flows, &index))) {
		flow_events_fill(&record, flow, "shutdown");
		write_record(&record, output);
	}
	if (types & 1u << EVE_STATS)
		write_event(statistics_event(engine()), output);
}

/* ---- packets ---- */

/* As it would have left: with the tag that was taken off when it came in. */
static void write_packet(struct rte_mbuf *packet, struct replay_output *output)
{
	static uint8_t frame[PACKET_BYTES_MAX + ETH_TAG_SIZE];
	const struct packet_metadata *metadata = packet_metadata(packet);
	uint32_t tag = metadata->flags & PACKET_WAS_TAGGED ? ETH_TAG_SIZE : 0;
	uint32_t size = RTE_MIN(rte_pktmbuf_pkt_len(packet), (uint32_t)PACKET_BYTES_MAX);
	struct pcap_pkthdr header = {.caplen = size + tag, .len = size + tag};
	uint64_t now_ns = clock_wall_ns();
	const uint8_t *bytes;

	header.ts.tv_sec = (time_t)(now_ns / CLOCK_NS_PER_S);
	header.ts.tv_usec = (suseconds_t)(now_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_US);
	bytes = rte_pktmbuf_read(packet, 0, size, frame + tag);
	if (bytes != frame + tag)
		memcpy(frame + tag, bytes, size);
	if (tag) {
		memmove(frame, frame + tag, 2 * ETH_ADDRESS_SIZE);
		network_store16(frame + ETH_TYPE_OFFSET, ETH_TYPE_VLAN);
		network_store16(frame + ETH_HEADER_SIZE,
			(uint16_t)(metadata->tci_bits << 12 | metadata->vlan));
	}
	pcap_dump((u_char *)output->delivered, &header, frame);
}

static void take_output(const struct inspect_output *from, struct replay_output *output)
{
	output->counts.passed += from->pass_count;
	output->counts.dropped += from->drop_count;
	for (uint16_t i = 0; i < from->drop_count; i++)
		output->counts
			.drops[packet_metadata(from->drop[i])->drop_reason % DROP_REASON_COUNT]++;
	for (uint16_t i = 0; output->delivered && i < from->pass_count; i++)
		write_packet(from->pass[i], output);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)(uintptr_t)from->pass, from->pass_count);
	rte_pktmbuf_free_bulk((struct rte_mbuf **)(uintptr_t)from->drop, from->drop_count);
}

/* Answers of `reject` and the like: made by the engine, and no part of the capture. */
static void drop_injections(void)
{
	struct inspect_worker *own = inspect_workers[0];

	for (uint16_t i = 0; i < own->injection_count; i++)
		rte_pktmbuf_free(own->injections[i].packet);
	own->injection_count = 0;
}

static uint16_t collect(struct replay_output *output)
{
	struct inspect_output out = {.pass_count = 0, .drop_count = 0};
	uint16_t count = inspect_chain_collect(inspect_chain, 0, clock_monotonic_ns(), &out);

	take_output(&out, output);
	drop_injections();
	write_events(output);
	return count;
}

void replay_burst(struct rte_mbuf **packets, uint16_t count, struct replay_output *output)
{
	struct inspect_output out = {.pass_count = 0, .drop_count = 0};

	output->counts.packets += count;
	for (uint16_t i = 0; i < count; i++)
		output->counts.bytes += rte_pktmbuf_pkt_len(packets[i]);
	lift_event_limit();
	/* What was due before these packets came. */
	while (collect(output) > 0)
		lift_event_limit();
	inspect_chain_run(inspect_chain, 0, 0, packets, count, &out);
	take_output(&out, output);
	drop_injections();
	write_events(output);
	while (collect(output) > 0)
		lift_event_limit();
}

void replay_drain(struct replay_output *output)
{
	for (int i = 0; i < DRAIN_STEPS_MAX; i++) {
		replay_clock_set(clock_wall_ns() + DRAIN_STEP_NS);
		lift_event_limit();
		while (collect(output) > 0)
			lift_event_limit();
	}
	write_end(output);
}

json_t *replay_status(void)
{
	struct inspector *inspector = inspect_chain->engines[0];
	json_t *status = builtin_inspector.status(inspector);

	json_object_set_new(status, "replaced",
		json_integer((json_int_t)inspector->counters[0].verdicts[VERDICT_REPLACE]));
	return status;
}
