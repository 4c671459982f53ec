/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the hand-off costs: Suricata behind one memif, fed in turns by plain bursts of frames that
 * already have their tags ("alone"), and by the engine as workers run it: held, tagged, sent,
 * compared, in order ("ours"). The same window of packets on their way for both, so that none is
 * lost. Then one packet at a time, for what is added to a packet's delay.
 *
 *	handoff-bench <EAL options> -- FOLDER RULE-FILE-NAME SECONDS SIZE...
 *
 * Writes FOLDER/suricata.yaml, says READY, and waits for Suricata; prints one JSON object.
 */
#include "base/clock.h"
#include "packet/engine/pool.h"
#include "packet/inspect/external/external.h"
#include "packet/inspect/external/vn_tag.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/suricata/suricata_config.h"
#include "packet/port/memif.h"

#include <rte_eal.h>
#include <rte_random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST        32
#define WINDOW       512
#define FLOWS        1000
#define TEMPLATE_MAX 2048
#define SAMPLES      20000
#define VLAN         10
#define TURNS        3
#define WAIT_NS      (60 * CLOCK_NS_PER_S)
#define MEMORY_BYTES (256u * 1024 * 1024)
#define DEADLINE_NS  (2 * CLOCK_NS_PER_S)
#define HEADERS      42

static uv_loop_t loop;
static struct external *external;
static struct inspect_chain *chain;
static uint8_t template[TEMPLATE_MAX];
static uint32_t next_flow;
static uint64_t lost;

static struct rte_mbuf *make_packet(uint16_t size)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);
	uint8_t *bytes;

	if (!packet)
		abort();
	bytes = (uint8_t *)rte_pktmbuf_append(packet, size);
	memcpy(bytes, template, size);
	network_store16(bytes + 34, (uint16_t)(10000 + next_flow++ % FLOWS));
	*packet_metadata(packet) = (struct packet_metadata){
		.vlan = VLAN, .origin = {.kind = ORIGIN_PHYSICAL, .vlan = VLAN}};
	return packet;
}

static void make_template(uint16_t size)
{
	uint32_t sum = 0;

	memset(template, 0, sizeof(template));
	memcpy(template, "\x52\x54\x00\x00\x10\x01\x52\x54\x00\x00\xff\x01\x08\x00", 14);
	template[14] = 0x45;
	network_store16(template + 16, (uint16_t)(size - 14));
	template[22] = 64;
	template[23] = 17;
	memcpy(template + 26, "\xc0\x00\x02\x64\xc0\x00\x02\x0a", 8);
	for (int i = 14; i < 34; i += 2)
		sum += network_load16(template + i);
	sum = (sum & 0xffff) + (sum >> 16);
	network_store16(template + 24, (uint16_t)~sum);
	network_store16(template + 36, 9);
	network_store16(template + 38, (uint16_t)(size - 34));
	for (uint16_t i = HEADERS; i < size; i++)
		template[i] = (uint8_t)rte_rand();
}

/* ---- ours ---- */

static uint64_t take_output(struct inspect_output *output)
{
	rte_pktmbuf_free_bulk(output->pass, output->pass_count);
	rte_pktmbuf_free_bulk(output->drop, output->drop_count);
	lost += output->drop_count;
	return output->pass_count;
}

static void submit(uint16_t count, uint16_t size)
{
	struct inspect_output output = {.pass_count = 0, .drop_count = 0};
	struct rte_mbuf *packets[BURST];

	for (uint16_t i = 0; i < count; i++)
		packets[i] = make_packet(size);
	inspect_chain_run(chain, 0, 0, packets, count, &output);
	take_output(&output);
}

static uint64_t collect(void)
{
	struct inspect_output output = {.pass_count = 0, .drop_count = 0};

	inspect_chain_collect(chain, 0, clock_monotonic_ns(), &output);
	return take_output(&output);
}

static uint32_t held(void)
{
	return hold_count(inspect_workers[0]->holds);
}

static uint64_t run_ours(uint16_t size, uint64_t until_ns)
{
	uint64_t passed = 0;

	while (clock_monotonic_ns() < until_ns) {
		if (held() + BURST <= WINDOW)
			submit(BURST, size);
		passed += collect();
	}
	while (held() > 0 && clock_monotonic_ns() < until_ns + CLOCK_NS_PER_S)
		collect();
	return passed;
}

/* ---- alone ---- */

static void send_plain(uint16_t count, uint16_t size)
{
	struct rte_mbuf *packets[BURST];
	uint16_t sent;

	for (uint16_t i = 0; i < count; i++) {
		uint8_t *bytes;

		packets[i] = make_packet(size);
		bytes = (uint8_t *)rte_pktmbuf_prepend(packets[i], VN_TAG_SIZE);
		if (!bytes)
			abort();
		memmove(bytes, bytes + VN_TAG_SIZE, VN_TAG_MACS);
		vn_tag_write(bytes, template, 1, VLAN);
	}
	sent = external_send(external, 0, packets, count);
	lost += count - sent;
	rte_pktmbuf_free_bulk(packets + sent, count - sent);
}

static uint16_t receive_plain(void)
{
	struct rte_mbuf *packets[BURST];
	uint16_t count = external_receive(external, 0, packets, BURST);

	rte_pktmbuf_free_bulk(packets, count);
	return count;
}

static uint64_t run_alone(uint16_t size, uint64_t until_ns)
{
	uint64_t returned = 0, now_ns;
	int32_t under_way = 0; /* below 0: some of the turn before were late */

	while ((now_ns = clock_monotonic_ns()) < until_ns) {
		uint16_t count;

		if (under_way + BURST <= WINDOW) {
			send_plain(BURST, size);
			under_way += BURST;
		}
		count = receive_plain();
		under_way -= count;
		returned += count;
	}
	while (under_way > 0 && clock_monotonic_ns() < until_ns + CLOCK_NS_PER_S)
		under_way -= receive_plain();
	lost += (uint64_t)RTE_MAX(under_way, 0);
	return returned;
}

/* ---- measurements ---- */

static int compare(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return first < second ? -1 : first > second;
}

static json_t *measure_delay(bool is_ours, uint16_t size)
{
	static uint64_t samples[SAMPLES];

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t start_ns = clock_monotonic_ns();

		if (is_ours)
			submit(1, size);
		else
			send_plain(1, size);
		while ((is_ours ? collect() : receive_plain()) == 0)
			if (clock_monotonic_ns() > start_ns + CLOCK_NS_PER_S)
				abort(); /* it was lost: nothing of this could be believed */
		samples[i] = clock_monotonic_ns() - start_ns;
	}
	qsort(samples, SAMPLES, sizeof(samples[0]), compare);
	return json_pack("{s:f, s:f}", "p50_us", (double)samples[SAMPLES / 2] / 1000, "p99_us",
		(double)samples[SAMPLES * 99 / 100] / 1000);
}

static json_t *measure(uint16_t size, uint64_t seconds)
{
	double best[2] = {0};
	json_t *row;

	make_template(size);
	lost = 0;
	for (int turn = 0; turn < 2 * TURNS; turn++) {
		uint64_t until_ns = clock_monotonic_ns() + seconds * CLOCK_NS_PER_S;
		uint64_t count = turn % 2 ? run_ours(size, until_ns) : run_alone(size, until_ns);

		best[turn % 2] = RTE_MAX(best[turn % 2], (double)count / (double)seconds / 1e6);
	}
	row = json_pack("{s:i, s:f, s:f, s:I}", "size", size, "alone_mpps", best[0], "ours_mpps",
		best[1], "lost", (json_int_t)lost);
	json_object_set_new(row, "alone", measure_delay(false, size));
	json_object_set_new(row, "ours", measure_delay(true, size));
	return row;
}

/* ---- set-up ---- */

static void fail(const char *what)
{
	fprintf(stderr, "handoff-bench: %s\n", what);
	exit(1);
}

static void open_engine(const char *path)
{
	const struct memif_setup setup = {.loop = &loop, .path = path, .queue_count = 1};
	struct error error;

	external = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*external), RTE_CACHE_LINE_SIZE));
	memset(external, 0, sizeof(*external));
	external->base.ops = &suricata_inspector;
	external->base.owner = 1;
	uv_loop_init(&loop);
	if (memif_open(&setup, &external->memifs[0], &error) < 0)
		fail(error.text);
	external->worker_count = 1;
	external->is_ordered = true;
	external->omitted_reason = DROP_suricata_drop;
	external->is_connected = true;
	external->frame_max = TEMPLATE_MAX;
	external->vlan_layers_max = 2;
	external->in_flight_max = WINDOW;
	external->workers[0] = calloc(1, sizeof(*external->workers[0]));
	inspect_workers[0] = calloc(1, sizeof(*inspect_workers[0]));
	inspect_workers[0]->holds = hold_table_create(8192);
}

/* The engine's own operations need the role around them; these are what workers call. */
static const struct inspector_ops ops = {
	.name = "suricata",
	.submit = external_submit,
	.collect = external_collect,
};

static void open_chain(void)
{
	external->base.ops = &ops;
	chain = calloc(1, sizeof(*chain));
	chain->count = 1;
	chain->engines[0] = &external->base;
	chain->deadline_ns = DEADLINE_NS;
	inspect_chain = chain;
}

static void write_configuration(const char *folder, char *rules)
{
	char packets[256], eve[256], command[256], path[256];
	json_t *inspection =
		json_pack("{s:{s:s, s:s}, s:{s:[], s:[i], s:[]}}", "variables", "HOME_NET", "any",
			"EXTERNAL_NET", "any", "suricata", "events", "cores", 1, "include");
	const struct suricata_settings settings = {.inspection = inspection,
		.folder = folder,
		.packets = packets,
		.eve = eve,
		.command = command,
		.kind = EXTERNAL_MEMIF,
		.worker_count = 1,
		.cpu_count = 2,
		.has_hugepages = true};
	FILE *out;

	snprintf(packets, sizeof(packets), "%s/packets.sock", folder);
	snprintf(eve, sizeof(eve), "%s/eve.sock", folder);
	snprintf(command, sizeof(command), "%s/command.sock", folder);
	snprintf(path, sizeof(path), "%s/suricata.yaml", folder);
	open_engine(packets);
	out = fopen(path, "w");
	if (!out)
		fail("no suricata.yaml");
	fputs(suricata_config_main(&settings), out);
	fputs(suricata_config_rules(&settings, &rules, 1), out);
	fclose(out);
}

/* Until a first frame has come back. */
static void wait_for_suricata(void)
{
	uint64_t start_ns = clock_monotonic_ns();

	puts("READY");
	fflush(stdout);
	make_template(64);
	while (receive_plain() == 0) {
		uv_run(&loop, UV_RUN_NOWAIT);
		if (clock_monotonic_ns() > start_ns + WAIT_NS)
			fail("Suricata did not come");
		send_plain(1, 64);
		rte_delay_us_sleep(50000);
	}
	rte_delay_us_sleep(1000000);
	while (receive_plain() > 0)
		;
	external->workers[0]->is_answering = true;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	json_t *rows = json_array();
	struct error error;

	if (used < 0 || argc - used < 5)
		fail("usage: handoff-bench <EAL options> -- FOLDER RULES SECONDS SIZE...");
	argv += used;
	if (packet_metadata_register() < 0 || pool_open(MEMORY_BYTES, &error) < 0)
		fail("no memory");
	write_configuration(argv[1], argv[2]);
	open_chain();
	wait_for_suricata();
	for (char **size = argv + 4; *size; size++)
		json_array_append_new(
			rows, measure((uint16_t)atoi(*size), strtoul(argv[3], NULL, 10)));
	puts(json_dumps(rows, JSON_COMPACT));
	return 0;
}
