/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipsec_output and ipsec_input as one worker walks them, AES-128-GCM in IPv4 tunnels: policies,
 * SAs, replay windows and all.
 *
 *	esp-bench encrypt|decrypt SIZE|imix SAS SECONDS FOLDER
 *
 * SIZE is that of the inner IP packet. FOLDER/esp.pcap has the frames, and FOLDER/secgw.cfg tells
 * DPDK's ipsec-secgw to do the same with them. Prints packets and bits a second of the thread's CPU
 * time.
 */
#include "../unit/packet/ipsec/node_lab.h"

#include "replay_device.h"

#define SET     3072 /* frames: more than the first caches hold */
#define SAS_MAX 1000 /* as many rules as ipsec-secgw takes */
#define ROOM    (1500 + 128)
#define MEMORY  "640"

static struct replay_frame frames[SET];
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
	packet_pool = pool_create("packets", 4 * SET);
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
		.mode = SA_TUNNEL,
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
static void make_frame(struct replay_frame *frame, uint32_t number, uint32_t size)
{
	uint8_t *ip = frame->bytes + ETH_HEADER_SIZE;

	memset(frame->bytes, 0, sizeof(frame->bytes));
	network_store16(frame->bytes + ETH_TYPE_OFFSET, ETH_TYPE_IPV4);
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
	ip_set_traffic_class(ip, 0); /* for the checksum's sake */
	frame->size = (uint16_t)(ETH_HEADER_SIZE + size);
}

static uint32_t size_of(const char *text, uint32_t number)
{
	/* The usual mix: seven small, four middle, one large. */
	static const uint16_t imix[] = {64, 570, 64, 64, 570, 64, 1400, 64, 570, 64, 64, 570};

	return strcmp(text, "imix") == 0 ? imix[number % RTE_DIM(imix)]
					 : (uint32_t)strtoul(text, NULL, 10);
}

/* All of the packets have to come out of sink, which is emptied. */
static void walk(
	enum lab_entry entry, enum lab_sink sink, struct rte_mbuf **packets, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		*packet_metadata(packets[i]) = (struct packet_metadata){.vlan = 10};
		lab_offer(packets[i]);
	}
	lab_walk(entry);
	if (lab.got_count[sink] != count)
		rte_exit(1, "esp-bench: of %u packets %u came through, first drop %s\n", count,
			lab.got_count[sink],
			drop_descriptions[packet_metadata(lab.got[LAB_DROP][0])->drop_reason].name);
	lab.got_count[sink] = 0;
}

/* The frames as they are on the wire, for the other direction. */
static void protect_frames(void)
{
	for (uint32_t i = 0; i < SET; i++) {
		struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);

		memcpy(rte_pktmbuf_append(packet, frames[i].size), frames[i].bytes, frames[i].size);
		walk(LAB_OUTPUT, LAB_VIPA_OUTPUT, &packet, 1);
		packet = lab.got[LAB_VIPA_OUTPUT][0];
		frames[i].size = packet->data_len;
		memcpy(frames[i].bytes, rte_pktmbuf_mtod(packet, uint8_t *), packet->data_len);
		rte_pktmbuf_free(packet);
	}
}

static void write_address(FILE *file, const char *before, uint32_t address)
{
	fprintf(file, "%s%u.%u.%u.%u", before, address >> 24, address >> 16 & 0xff,
		address >> 8 & 0xff, address & 0xff);
}

/* One row of policy and one of an SA. */
static void write_secgw_sa(FILE *file, const char *direction, uint32_t i)
{
	struct reference reference = make_reference(&suites[0], false);

	fprintf(file, "sp ipv4 %s esp protect %u pri 1", direction, BENCH_SPI + i);
	write_address(file, " dst ", CLIENT + i);
	fprintf(file, "/32 sport 0:65535 dport 0:65535\nsa %s %u aead_algo aes-128-gcm aead_key ",
		direction, BENCH_SPI + i);
	for (uint32_t k = 0; k < reference.key_size; k++)
		fprintf(file, "%s%02x", k ? ":" : "", reference.key[k]);
	write_address(file, " mode ipv4-tunnel src ", VIPA);
	write_address(file, " dst ", CLIENT + i);
	fprintf(file, " type cpu-crypto\n");
}

static int write_secgw(const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return -errno;
	/* Both directions: it insists on that. */
	for (uint32_t i = 0; i < sas; i++) {
		write_secgw_sa(file, "out", i);
		write_secgw_sa(file, "in", i);
	}
	fprintf(file,
		"rt ipv4 dst 0.0.0.0/1 port 0\nrt ipv4 dst 128.0.0.0/1 port 0\n"
		"neigh port 0 02:00:00:00:00:09\n");
	return fclose(file) == 0 ? 0 : -errno;
}

/* The same numbers come again in the next round. */
static void reset_windows(void)
{
	for (struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1)) {
		sa->window.highest = 0;
		memset(sa->bits, 0, (sa->window.mask + 1) * sizeof(sa->bits[0]));
	}
}

static void measure(bool is_encrypting, double seconds, const char *size, struct rte_ring *device)
{
	enum lab_entry entry = is_encrypting ? LAB_OUTPUT : LAB_INPUT;
	enum lab_sink sink = is_encrypting ? LAB_VIPA_OUTPUT : LAB_ORIGIN_TAG;
	double started = replay_cpu_seconds(), took;
	struct rte_mbuf *packets[PORT_BURST];
	uint64_t count = 0, bytes = 0;

	do {
		for (uint32_t done = 0; done < SET; done += PORT_BURST) {
			if (replay_rx_burst(device, packets, PORT_BURST) != PORT_BURST)
				rte_exit(1, "esp-bench: no memory\n");
			walk(entry, sink, packets, PORT_BURST);
			replay_tx_burst(lab.got[sink], PORT_BURST);
		}
		if (!is_encrypting)
			reset_windows();
		count += SET;
		took = replay_cpu_seconds() - started;
	} while (took < seconds);
	for (uint32_t i = 0; i < SET; i++)
		bytes += size_of(size, i);
	printf("%.0f %.0f\n", (double)count / took, (double)count / SET * (double)bytes * 8 / took);
}

static void prepare(bool is_encrypting, const char *size)
{
	for (uint32_t i = 0; i < SET; i++)
		make_frame(&frames[i], i, size_of(size, i));
	for (uint32_t i = 0; i < sas; i++)
		add_client(i, SA_OUTBOUND);
	if (is_encrypting)
		return;
	protect_frames();
	sa_flush_owner(7);
	for (uint32_t i = 0; i < sas; i++)
		add_client(i, SA_INBOUND);
}

int main(int argc, char **argv)
{
	bool is_encrypting = argc == 6 && strcmp(argv[1], "encrypt") == 0;
	char pcap[PATH_MAX], configuration[PATH_MAX];
	struct rte_ring *device;

	if (argc != 6 || start_eal() < 0) {
		fprintf(stderr, "usage: esp-bench encrypt|decrypt SIZE|imix SAS SECONDS FOLDER\n");
		return 2;
	}
	sas = (uint32_t)RTE_MIN(strtoul(argv[3], NULL, 10), (unsigned long)SAS_MAX);
	snprintf(pcap, sizeof(pcap), "%s/esp.pcap", argv[5]);
	snprintf(configuration, sizeof(configuration), "%s/secgw.cfg", argv[5]);
	prepare(is_encrypting, argv[2]);
	if (write_secgw(configuration) < 0 || replay_write(pcap, frames, SET) < 0) {
		fprintf(stderr, "esp-bench: cannot write into %s\n", argv[5]);
		return 1;
	}
	device = replay_open(frames, SET);
	if (!device) {
		fprintf(stderr, "esp-bench: no memory for the frames\n");
		return 1;
	}
	measure(is_encrypting, strtod(argv[4], NULL), argv[2], device);
	return 0;
}
