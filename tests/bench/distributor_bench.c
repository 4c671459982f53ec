/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The distributor as one worker walks it, all nodes from reception to transmission, on devices that
 * cost what DPDK's pcap driver does (replay_device.h).
 *
 *	distributor-bench inbound|outbound SIZE|imix SAS SECONDS
 *	distributor-bench connections COUNT
 *
 * inbound: ESP of clients, to a target in GRE; outbound: its answers, to the clients in ESP; each
 * client has a tunnel with AES-128-GCM and a connection. SIZE is that of the inner IP packet.
 *Prints packets and bits of the inner packets a second of the thread's CPU time.
 *
 * connections: so many connections begin, one packet each, all in clear; then each of them has
 * packets, in a random order. Prints a line for each tenth: connections a second; at the end bytes
 * that one of them takes, packets a second of few connections, and of all.
 */
#include "../unit/packet/distributor/distributor_lab.h"

#include "packet/ipsec/ipsec_packet.h"
#include "packet/ipsec/policy.h"
#include "packet/ipsec/sa.h"

/* Keys, addresses and suites of tests of IPsec have other meanings there. */
#include "../unit/packet/ipsec/reference.h"

#include "replay_device.h"

#define SET         3072 /* frames: more than the first caches hold */
#define SAS_MAX     1000
#define SPI_IN      0x10000000u
#define SPI_OUT     0x20000000u
#define CLIENTS     0x0a000001u /* 10.0.0.1, behind the one address that all tunnels come from */
#define PORT_UDP    53
#define PORT_TCP    80
#define CLIENT_PORT 4000
#define TENTHS      10
#define FEW         1000
#define LOOK_UPS    3000000
/* Of the entries one VIPA of two may have three quarters. */
#define CAPACITY(count) ((count) + (count) / 2)

static struct replay_frame frames[SET];
static uint32_t sas;
static struct rte_ring *ring;
static uint64_t sent;
static const struct reference keys = {
	.cipher = SA_CIPHER_AES_GCM_16, .key_size = 20, .key = "sixteen bytes, and salt"};

/* ---- devices ---- */

static uint16_t no_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return 0;
}

static uint16_t ring_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	return replay_rx_burst(ring, packets, count);
}

static uint16_t count_tx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	sent += count;
	replay_tx_burst(packets, count);
	return count;
}

static const struct port_ops idle_ops = {.rx_burst = no_rx_burst, .tx_burst = count_tx_burst};
static const struct port_ops ring_ops = {.rx_burst = ring_rx_burst, .tx_burst = count_tx_burst};

static void play(const char *port, uint32_t count)
{
	ring = replay_open(frames, count);
	if (!ring)
		rte_exit(1, "distributor-bench: no memory for the frames\n");
	lab_port("uplink")->ops = &idle_ops;
	lab_port("xcf0")->ops = &idle_ops;
	lab_port(port)->ops = &ring_ops;
}

/* All of a number of packets have to be sent. */
static void walk(uint64_t packets)
{
	uint64_t before = sent;

	for (uint64_t done = 0; done < packets; done += PORT_BURST)
		lab_step();
	if (sent - before == packets)
		return;
	fprintf(stderr, "distributor-bench: of %lu packets %lu were sent\n", (unsigned long)packets,
		(unsigned long)(sent - before));
	for (int i = 0; i < DROP_REASON_COUNT; i++)
		if (lab_drops(i))
			fprintf(stderr, "%s: %lu\n", drop_descriptions[i].name,
				(unsigned long)lab_drops(i));
	exit(1);
}

/* ---- IPsec ---- */

static struct ip_address inner_address(uint32_t i)
{
	struct ip_address address = {.version = 4};

	network_store32(address.bytes, CLIENTS + i);
	return address;
}

static void add_policy(uint32_t i, bool is_out)
{
	struct ip_address client = inner_address(i), vipa = lab_address(VIPA);
	struct policy_parameters policy = {.direction = is_out ? POLICY_OUTBOUND : POLICY_INBOUND,
		.action = POLICY_PROTECT,
		.mode = SA_TUNNEL,
		.request = i + 1,
		.owner = 7,
		.priority = 1,
		.selector = {.source_first = is_out ? vipa : client,
			.source_last = is_out ? vipa : client,
			.destination_first = is_out ? client : vipa,
			.destination_last = is_out ? client : vipa,
			.source_port_last = UINT16_MAX,
			.destination_port_last = UINT16_MAX}};

	if (policy_add(&policy, NULL) < 0)
		rte_exit(1, "distributor-bench: cannot add policy %u\n", i);
}

static void add_sa(uint32_t i, bool is_out)
{
	struct sa_parameters parameters = {
		.name = {.spi = (is_out ? SPI_OUT : SPI_IN) + i,
			.destination = lab_address(is_out ? CLIENT : VIPA)},
		.source = lab_address(is_out ? VIPA : CLIENT),
		.direction = is_out ? SA_OUTBOUND : SA_INBOUND,
		.mode = SA_TUNNEL,
		.cipher = keys.cipher,
		.cipher_key = keys.key,
		.cipher_key_size = keys.key_size,
		.replay_window = is_out ? 0 : 64,
		.owner = 7,
		.request = i + 1};

	if (sa_add(&parameters, NULL) < 0)
		rte_exit(1, "distributor-bench: cannot add SA %u\n", i);
	/* Nobody keeps promises here. */
	sa_find(&parameters.name)->sequence_max = UINT32_MAX;
}

static void start_ipsec(void)
{
	static struct ipsec_settings settings;
	struct error error;

	if (sa_table_open(2 * SAS_MAX, &error) < 0 || ipsec_pool_open(&error) < 0)
		rte_exit(1, "distributor-bench: %s\n", error.text);
	settings.physical_port = lab_port("uplink")->index;
	ipsec_settings = &settings;
	for (uint32_t i = 0; i < sas; i++)
		for (int is_out = 0; is_out < 2; is_out++) {
			add_policy(i, is_out);
			add_sa(i, is_out);
		}
}

/* The same numbers come again in the next round. */
static void reset_windows(void)
{
	for (struct sa *sa = sa_next(0); sa; sa = sa_next(sa->index + 1)) {
		sa->window.highest = 0;
		memset(sa->bits, 0, (sa->window.mask + 1) * sizeof(sa->bits[0]));
	}
}

/* ---- frames ---- */

static uint32_t size_of(const char *text, uint32_t number)
{
	/* The usual mix: seven small, four middle, one large. */
	static const uint16_t imix[] = {64, 570, 64, 64, 570, 64, 1400, 64, 570, 64, 64, 570};

	return strcmp(text, "imix") == 0 ? imix[number % RTE_DIM(imix)]
					 : (uint32_t)strtoul(text, NULL, 10);
}

/* A client's datagram of size bytes to the VIPA, or the answer. */
static void make_datagram(struct lab_frame *frame, uint32_t i, uint32_t size, bool is_answer)
{
	struct ip_address client = inner_address(i);
	uint8_t *ip = frame->bytes + ETH_HEADER_SIZE;
	uint8_t *udp = lab_write_ip(
		frame, lab_vipa_mac, lab_client_mac, VIPA, VIPA, IPPROTO_UDP, size - 20);

	memcpy(ip + (is_answer ? 16 : 12), client.bytes, 4);
	network_store16(udp, is_answer ? PORT_UDP : CLIENT_PORT);
	network_store16(udp + 2, is_answer ? CLIENT_PORT : PORT_UDP);
	network_store16(udp + 4, (uint16_t)(size - 20));
	network_store16(ip + 10, checksum_finish(checksum_add(0, ip, 20)));
}

static void store_frame(uint32_t number, const struct lab_frame *frame)
{
	frames[number].size = (uint16_t)frame->size;
	memcpy(frames[number].bytes, frame->bytes, frame->size);
}

static void make_inbound(uint32_t number, uint32_t size)
{
	struct reference seal = keys;
	struct lab_frame inner, outer;
	uint8_t esp[LAB_FRAME_MAX], *at;
	uint32_t esp_size;

	make_datagram(&inner, number % sas, size, false);
	seal.spi = SPI_IN + number % sas;
	esp_size = reference_seal(
		&seal, number / sas + 1, inner.bytes + ETH_HEADER_SIZE, size, IPPROTO_IPIP, esp);
	at = lab_write_ip(
		&outer, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_ESP, esp_size);
	memcpy(at, esp, esp_size);
	lab_finish(&outer);
	store_frame(number, &outer);
}

static void make_outbound(uint32_t number, uint32_t size)
{
	struct lab_frame inner, outer;

	make_datagram(&inner, number % sas, size, true);
	lab_wrap(&outer, &inner, TARGET, DISTRIBUTOR, lab_key(GRE_SECURE));
	store_frame(number, &outer);
}

/* ---- the path ---- */

static void learn_client(void)
{
	const struct ip_address client = lab_address(CLIENT);

	neighbour_clear();
	neighbour_learn(10, &client, lab_client_mac, distribute_clock(), true);
}

static void prepare(bool is_inbound, const char *size)
{
	lab_distribute("required", "none");
	start_ipsec();
	learn_client();
	for (uint32_t i = 0; i < SET; i++)
		make_inbound(i, size_of(size, i));
	play("uplink", SET);
	if (is_inbound)
		return;
	walk(SET); /* the connections begin */
	for (uint32_t i = 0; i < SET; i++)
		make_outbound(i, size_of(size, i));
	rte_ring_free(ring);
	play("xcf0", SET);
}

static int measure_path(const char *direction, const char *size, double seconds)
{
	bool is_inbound = strcmp(direction, "inbound") == 0;
	uint64_t count = 0, bytes = 0;
	double started, took;

	prepare(is_inbound, size);
	started = replay_cpu_seconds();
	do {
		walk(SET);
		if (is_inbound)
			reset_windows();
		count += SET;
		took = replay_cpu_seconds() - started;
	} while (took < seconds);
	for (uint32_t i = 0; i < SET; i++)
		bytes += size_of(size, i);
	printf("%.0f %.0f\n", (double)count / took, (double)count / SET * (double)bytes * 8 / took);
	return 0;
}

/* ---- connections ---- */

static struct {
	struct lab_frame frame;
	uint32_t next, count; /* connections */
	bool is_random;
	uint64_t state;
} clients;

/* Connection i is of a client address and a port of its own. */
static void address_frame(struct rte_mbuf *packet, uint32_t i)
{
	uint8_t *ip = rte_pktmbuf_mtod_offset(packet, uint8_t *, ETH_HEADER_SIZE);

	network_store32(ip + 12, CLIENTS + i / 1024);
	network_store16(ip + 20, (uint16_t)(CLIENT_PORT + i % 1024));
}

static uint32_t next_client(void)
{
	if (!clients.is_random)
		return clients.next++ % clients.count;
	/* Knuth's multiplier for 64 bits. */
	clients.state = clients.state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((clients.state >> 32) * clients.count >> 32);
}

static uint16_t clients_rx_burst(
	struct port *port, uint16_t queue, struct rte_mbuf **packets, uint16_t count)
{
	if (rte_pktmbuf_alloc_bulk(packet_pool, packets, count) != 0)
		return 0;
	for (uint16_t i = 0; i < count; i++) {
		memcpy(rte_pktmbuf_append(packets[i], (uint16_t)clients.frame.size),
			clients.frame.bytes, clients.frame.size);
		address_frame(packets[i], next_client());
	}
	return count;
}

static const struct port_ops clients_ops = {
	.rx_burst = clients_rx_burst, .tx_burst = count_tx_burst};

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		rte_exit(1, "distributor-bench: no /proc/self/statm\n");
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Packets a second of count connections that are there. */
static double rate_of_known(uint32_t count)
{
	double started;

	clients.count = count;
	clients.next = 0;
	clients.is_random = false;
	lab_make_tcp(&clients.frame, true, CLIENT, VIPA, CLIENT_PORT, PORT_TCP, 0x10, 1);
	walk(count / PORT_BURST * PORT_BURST); /* all are established then */
	clients.is_random = true;
	started = replay_cpu_seconds();
	walk(LOOK_UPS / PORT_BURST * PORT_BURST);
	return LOOK_UPS / (replay_cpu_seconds() - started);
}

static int measure_connections(uint32_t count)
{
	uint32_t tenth = count / TENTHS / PORT_BURST * PORT_BURST;
	uint64_t before = resident_bytes(), bytes;
	double started;

	distributor_worker_destroy(distributor_workers[0]);
	distributor_workers[0] = distributor_worker_create(CAPACITY(count));
	if (!distributor_workers[0])
		rte_exit(1, "distributor-bench: no memory for %u connections\n", count);
	for (int i = 0; i < CONNECTION_STATE_COUNT; i++)
		distributor_workers[0]->connections->timeouts[i] = UINT32_MAX / 2;
	lab_port("xcf0")->ops = &idle_ops;
	lab_port("uplink")->ops = &clients_ops;
	lab_make_tcp(&clients.frame, true, CLIENT, VIPA, CLIENT_PORT, PORT_TCP, 0x02, 0);
	clients.count = UINT32_MAX;
	for (uint32_t i = 0; i < TENTHS; i++) {
		started = replay_cpu_seconds();
		walk(tenth);
		printf("%u %.0f\n", (i + 1) * tenth, tenth / (replay_cpu_seconds() - started));
	}
	if (distributor_workers[0]->connections->count != TENTHS * tenth)
		rte_exit(1, "distributor-bench: %u connections are there, not %u\n",
			distributor_workers[0]->connections->count, TENTHS * tenth);
	bytes = resident_bytes() - before;
	printf("%.1f %.0f", (double)bytes / (TENTHS * tenth), rate_of_known(FEW));
	printf(" %.0f\n", rate_of_known(TENTHS * tenth));
	return 0;
}

int main(int argc, char **argv)
{
	bool is_path =
		argc == 5 && (strcmp(argv[1], "inbound") == 0 || strcmp(argv[1], "outbound") == 0);

	if (!is_path && !(argc == 3 && strcmp(argv[1], "connections") == 0)) {
		fprintf(stderr,
			"usage: distributor-bench inbound|outbound SIZE|imix SAS SECONDS\n"
			"       distributor-bench connections COUNT\n");
		return 2;
	}
	lab_eal.memory_bytes = 512 << 20;
	lab_eal.hugepages = EAL_HUGEPAGES_AUTO;
	if (distributor_lab_open(NULL) < 0)
		return 1;
	learn_client();
	if (!is_path)
		return measure_connections((uint32_t)strtoul(argv[2], NULL, 10));
	sas = (uint32_t)RTE_MIN(strtoul(argv[3], NULL, 10), (unsigned long)SAS_MAX);
	return measure_path(argv[1], argv[2], strtod(argv[4], NULL));
}
