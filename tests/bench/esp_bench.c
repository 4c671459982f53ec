/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipsec_output and ipsec_input as one worker walks them, AES-128-GCM in IPv4 tunnels: policies,
 *SAs, replay windows and all, without ports.
 *
 *	esp-bench encrypt|decrypt SIZE|imix SAS SECONDS
 *
 * SIZE is that of the inner IP packet. Packets come from a set that does not fit the first caches;
 * what a walk changed of one is put back for the next, within the time that is measured: headers
 * before it is encrypted, all of it before it is decrypted. Prints packets and bits a second.
 */
#include "../unit/packet/ipsec/node_lab.h"

#include <rte_cycles.h>
#include <rte_memcpy.h>

#define SET       3072
#define WALK      128
#define SAS_MAX   4096
#define HEAD_SIZE 42 /* Ethernet, IPv4, UDP */
#define ROOM      (1500 + 128)
#define MEMORY    "640"

struct item {
	struct rte_mbuf *packet;
	uint16_t offset, size; /* as it was offered */
	uint8_t bytes[ROOM];
};
static struct item items[SET];
static uint32_t sas;

static int start_eal(void)
{
	char *arguments[] = {(char *)(uintptr_t) "esp-bench", (char *)(uintptr_t) "--in-memory",
		(char *)(uintptr_t) "-m", (char *)(uintptr_t)MEMORY, (char *)(uintptr_t) "--no-pci",
		(char *)(uintptr_t) "--no-telemetry", (char *)(uintptr_t) "--log-level=3", NULL};
	struct error error;

	worker_index = 0;
	if (rte_eal_init(7, arguments) < 0 || packet_metadata_register() < 0)
		return -1;
	packet_pool = pool_create("packets", 2 * SET);
	if (!packet_pool || sa_table_open(2 * SAS_MAX, &error) < 0)
		return -1;
	return lab_open();
}

/* The SA of one client, whose address is the destination of both directions, so that what one run
 * of the node protects another one opens. */
static void add_client(uint32_t i, enum sa_direction direction)
{
	struct reference reference = make_reference(&suites[0], false);
	struct sa_parameters parameters = make_parameters(&reference, direction);
	struct policy_parameters policy = {
		.direction = direction == SA_OUTBOUND ? POLICY_OUTBOUND : POLICY_INBOUND,
		.action = POLICY_PROTECT,
		.request = i + 1,
		.owner = 7,
		.priority = 1,
		.selector = {.source_first = ipv4(VIPA),
			.source_last = ipv4(VIPA),
			.destination_first = ipv4(CLIENT + i),
			.destination_last = ipv4(CLIENT + i),
			.source_port_last = UINT16_MAX,
			.destination_port_last = UINT16_MAX}};

	parameters.name = (struct sa_name){.spi = BENCH_SPI + i, .destination = ipv4(CLIENT + i)};
	parameters.source = ipv4(VIPA);
	parameters.mode = SA_TUNNEL;
	parameters.request = i + 1;
	if (sa_add(&parameters, NULL) < 0 || policy_add(&policy, NULL) < 0)
		rte_exit(1, "esp-bench: cannot add SA %u\n", i);
	/* Nobody keeps promises here. */
	sa_find(&parameters.name)->sequence_max = UINT32_MAX;
}

/* An inner packet of size bytes, UDP, behind Ethernet. */
static void make_item(struct item *item, uint32_t number, uint32_t size)
{
	uint8_t *ip = item->bytes + 14;

	memset(item->bytes, 0, sizeof(item->bytes));
	network_store16(item->bytes + 12, 0x0800);
	ip[0] = 0x45;
	network_store16(ip + 2, (uint16_t)size);
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	network_store32(ip + 12, VIPA);
	network_store32(ip + 16, CLIENT + number % sas);
	network_store16(ip + 20, 443);
	network_store16(ip + 22, 40000);
	network_store16(ip + 24, (uint16_t)(size - 20));
	item->size = (uint16_t)(14 + size);
	item->packet = rte_pktmbuf_alloc(packet_pool);
	item->offset = item->packet->data_off;
	item->packet->hash.usr = number;
}

/* Puts back what was changed: the first bytes of it, or all. */
static inline void restore(struct item *item, uint32_t bytes)
{
	struct rte_mbuf *packet = item->packet;

	packet->data_off = item->offset;
	packet->data_len = item->size;
	packet->pkt_len = item->size;
	rte_memcpy(rte_pktmbuf_mtod(packet, void *), item->bytes,
		RTE_MIN(bytes, (uint32_t)item->size));
	*packet_metadata(packet) = (struct packet_metadata){.vlan = 10};
}

static uint32_t size_of(const char *text, uint32_t number)
{
	/* The usual mix: seven small, four middle, one large. */
	static const uint16_t imix[] = {64, 570, 64, 64, 570, 64, 1400, 64, 570, 64, 64, 570};

	return strcmp(text, "imix") == 0 ? imix[number % RTE_DIM(imix)]
					 : (uint32_t)strtoul(text, NULL, 10);
}

/* One walk over some of the set; all have to come out of sink. */
static void walk(enum lab_entry entry, enum lab_sink sink, uint32_t first, uint32_t bytes)
{
	for (uint32_t i = first; i < first + WALK; i++) {
		restore(&items[i], bytes);
		lab_offer(items[i].packet);
	}
	lab_walk(entry);
	if (lab.got_count[sink] != WALK)
		rte_exit(1, "esp-bench: of %d packets %u came through, first drop %s\n", WALK,
			lab.got_count[sink], drop_descriptions[lab_dropped()].name);
}

/* The set as it is on the wire, for the other direction. */
static void protect_set(void)
{
	for (uint32_t i = 0; i < sas; i++)
		add_client(i, SA_OUTBOUND);
	for (uint32_t first = 0; first < SET; first += WALK) {
		walk(LAB_OUTPUT, LAB_VIPA_OUTPUT, first, ROOM);
		for (uint16_t i = 0; i < WALK; i++) {
			struct rte_mbuf *packet = lab.got[LAB_VIPA_OUTPUT][i];
			struct item *item = &items[packet->hash.usr];

			item->size = packet->data_len;
			memcpy(item->bytes, rte_pktmbuf_mtod(packet, void *), item->size);
		}
		lab.got_count[LAB_VIPA_OUTPUT] = 0;
	}
	sa_flush_owner(7);
	for (uint32_t i = 0; i < sas; i++)
		add_client(i, SA_INBOUND);
}

/* The same numbers come again in the next round. */
static void reset_windows(void)
{
	for (struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1)) {
		sa->window.highest = 0;
		memset(sa->bits, 0, (sa->window.mask + 1) * sizeof(sa->bits[0]));
	}
}

static void measure(bool is_encrypting, double seconds, const char *size)
{
	enum lab_sink sink = is_encrypting ? LAB_VIPA_OUTPUT : LAB_ORIGIN_TAG;
	uint64_t started = rte_rdtsc(), packets = 0, bytes = 0;
	double hz = (double)rte_get_tsc_hz(), took;

	do {
		for (uint32_t first = 0; first < SET; first += WALK) {
			walk(is_encrypting ? LAB_OUTPUT : LAB_INPUT, sink, first,
				is_encrypting ? HEAD_SIZE : ROOM);
			lab.got_count[sink] = 0;
		}
		if (!is_encrypting)
			reset_windows();
		packets += SET;
		took = (double)(rte_rdtsc() - started) / hz;
	} while (took < seconds);
	for (uint32_t i = 0; i < SET; i++)
		bytes += size_of(size, i);
	printf("%.0f %.0f\n", (double)packets / took,
		(double)packets / SET * (double)bytes * 8 / took);
}

int main(int argc, char **argv)
{
	bool is_encrypting = argc == 5 && strcmp(argv[1], "encrypt") == 0;

	if (argc != 5 || start_eal() < 0) {
		fprintf(stderr, "usage: esp-bench encrypt|decrypt SIZE|imix SAS SECONDS\n");
		return 2;
	}
	sas = (uint32_t)RTE_MIN(strtoul(argv[3], NULL, 10), (unsigned long)SAS_MAX);
	for (uint32_t i = 0; i < SET; i++)
		make_item(&items[i], i, size_of(argv[2], i));
	if (is_encrypting)
		for (uint32_t i = 0; i < sas; i++)
			add_client(i, SA_OUTBOUND);
	else
		protect_set();
	measure(is_encrypting, strtod(argv[4], NULL), argv[2]);
	return 0;
}
