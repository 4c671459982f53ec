/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load generator of the benchmarks: two DPDK ports, traffic both ways between N addresses and flows
 *at one end and as many at the other, one core. It sends what the rings take and counts what
 *arrives, so that the rate it reports is the rate of what stands between its ports.
 *
 *	generator <EAL options with two devices> -- --size 64|imix|N --macs N --flows N --seconds N
 *		--latency SAMPLES
 *
 * Prints one JSON object. Sizes are of frames with their FCS, as in RFC 2544; rates are of both
 * directions together.
 */
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST            32
#define RING_SIZE        1024
#define POOL_SIZE        16383
#define FCS_SIZE         RTE_ETHER_CRC_LEN
#define WARM_UP_BURSTS   4  /* each address is a source this often before counting starts */
#define WARM_UP_PAUSE_US 20 /* between its bursts, so that nobody is overrun while learning */
#define BASE_ADDRESS     0x0a000000 /* 10.0.0.0/8: stays inside the rings of this benchmark */

struct options {
	uint32_t size; /* 0: IMIX */
	uint32_t mac_count, flow_count, seconds;
	uint32_t latency_samples; /* 0: rates are measured, else delays of one packet at a time */
};

/* The simple IMIX: 7 small, 4 middle, 1 large. */
static const uint16_t imix[] = {64, 594, 64, 64, 594, 64, 594, 64, 64, 594, 64, 1518};

struct header {
	struct rte_ether_hdr ethernet;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
};
static_assert(sizeof(struct header) == 42, "as on the wire");

struct side {
	uint16_t port;
	struct header *headers;
	uint32_t header_count;
	uint32_t next; /* running number of its packets; MAC, flow and size follow from it */
	uint64_t sent, received, received_bytes;
};

static struct rte_mempool *rx_pool, *tx_pool;

/* Payload of pseudo-random words, the same in each run. It stays in the buffers: devices only read.
 */
static void fill_buffer(
	struct rte_mempool *mempool, void *context, void *object, unsigned int index)
{
	struct rte_mbuf *packet = object;
	char *payload = (char *)packet->buf_addr + RTE_PKTMBUF_HEADROOM;
	uint32_t state = index;

	(void)mempool;
	(void)context;
	for (unsigned int i = 0; i < RTE_ETHER_MAX_LEN; i++) {
		state = state * 1664525 + 1013904223; /* Numerical Recipes' LCG */
		payload[i] = (state >> 24) % 6 == 0 ? ' ' : (char)('a' + (state >> 16) % 26);
	}
}

static void address_of(struct rte_ether_addr *out, unsigned int side, uint32_t number)
{
	out->addr_bytes[0] = 0x02; /* locally administered */
	out->addr_bytes[1] = (uint8_t)(0xb0 + side);
	out->addr_bytes[2] = (uint8_t)(number >> 24);
	out->addr_bytes[3] = (uint8_t)(number >> 16);
	out->addr_bytes[4] = (uint8_t)(number >> 8);
	out->addr_bytes[5] = (uint8_t)number;
}

static uint32_t size_of(uint32_t number, const struct options *options)
{
	return (options->size ? options->size : imix[number % RTE_DIM(imix)]) - FCS_SIZE;
}

static void set_lengths(struct header *header, uint32_t size)
{
	uint16_t ip_size = (uint16_t)(size - sizeof(header->ethernet));

	header->ip.total_length = rte_cpu_to_be_16(ip_size);
	header->ip.hdr_checksum = 0;
	header->ip.hdr_checksum = rte_ipv4_cksum(&header->ip);
	header->udp.dgram_len = rte_cpu_to_be_16((uint16_t)(ip_size - sizeof(header->ip)));
}

static void make_header(
	struct header *header, unsigned int side, uint32_t number, const struct options *options)
{
	uint32_t host = number % options->mac_count, flow = number % options->flow_count;

	address_of(&header->ethernet.src_addr, side, host);
	address_of(&header->ethernet.dst_addr, !side, host);
	header->ethernet.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	header->ip.version_ihl = RTE_IPV4_VHL_DEF;
	header->ip.time_to_live = 64;
	header->ip.next_proto_id = IPPROTO_UDP;
	header->ip.src_addr = rte_cpu_to_be_32(BASE_ADDRESS + (side << 20) + host);
	header->ip.dst_addr = rte_cpu_to_be_32(BASE_ADDRESS + (!side << 20) + host);
	/* Both ends derive the pair from the flow's number, so both directions are one flow. The
	 * UDP checksum stays 0, not computed (RFC 768). */
	header->udp.src_port =
		rte_cpu_to_be_16((uint16_t)(1024 + (side ? flow >> 8 : flow) % 60000));
	header->udp.dst_port =
		rte_cpu_to_be_16((uint16_t)(1024 + (side ? flow : flow >> 8) % 60000));
	set_lengths(header, size_of(number, options));
}

/* Headers are made once: what is measured should not wait for the generator. */
static int make_headers(struct side *side, unsigned int index, const struct options *options)
{
	side->header_count = RTE_MAX(options->mac_count, options->flow_count);
	side->headers = calloc(side->header_count, sizeof(*side->headers));
	if (!side->headers)
		return -ENOMEM;
	for (uint32_t number = 0; number < side->header_count; number++)
		make_header(&side->headers[number], index, number, options);
	return 0;
}

static void fill(struct rte_mbuf *packet, const struct side *side, uint32_t number,
	const struct options *options)
{
	uint32_t size = size_of(number, options);
	struct header *header = rte_pktmbuf_mtod(packet, struct header *);

	memcpy(header, &side->headers[number % side->header_count], sizeof(*header));
	if (options->size == 0)
		set_lengths(header, size);
	packet->data_len = (uint16_t)size;
	packet->pkt_len = size;
}

static void send_burst(struct side *sides, unsigned int index, const struct options *options)
{
	struct side *side = &sides[index];
	struct rte_mbuf *packets[BURST];
	uint16_t sent;

	if (rte_pktmbuf_alloc_bulk(tx_pool, packets, BURST) != 0)
		return;
	for (unsigned int i = 0; i < BURST; i++)
		fill(packets[i], side, side->next + i, options);
	sent = rte_eth_tx_burst(side->port, 0, packets, BURST);
	side->next += sent;
	side->sent += sent;
	rte_pktmbuf_free_bulk(packets + sent, BURST - sent);
}

static void receive_burst(struct side *side)
{
	struct rte_mbuf *packets[BURST];
	uint16_t count = rte_eth_rx_burst(side->port, 0, packets, BURST);

	side->received += count;
	for (uint16_t i = 0; i < count; i++)
		side->received_bytes += packets[i]->pkt_len + FCS_SIZE;
	rte_pktmbuf_free_bulk(packets, count);
}

/* Lets each address be seen as a source, slowly enough for all of them to be learned. */
static void warm_up(struct side *sides, const struct options *options)
{
	uint64_t bursts = (uint64_t)WARM_UP_BURSTS * (options->mac_count / BURST + 1);

	for (uint64_t i = 0; i < bursts; i++) {
		for (unsigned int index = 0; index < 2; index++) {
			send_burst(sides, index, options);
			receive_burst(&sides[!index]);
		}
		rte_delay_us_block(WARM_UP_PAUSE_US);
	}
}

static void run(struct side *sides, const struct options *options)
{
	uint64_t begin = rte_get_tsc_cycles(), hz = rte_get_tsc_hz(),
		 end = begin + hz * options->seconds;
	uint64_t received, bytes, now;
	double seconds;

	for (unsigned int index = 0; index < 2; index++)
		sides[index].sent = sides[index].received = sides[index].received_bytes = 0;
	while ((now = rte_get_tsc_cycles()) < end) {
		for (unsigned int index = 0; index < 2; index++) {
			send_burst(sides, index, options);
			receive_burst(&sides[0]);
			receive_burst(&sides[1]);
		}
	}
	seconds = (double)(now - begin) / (double)hz;
	received = sides[0].received + sides[1].received;
	bytes = sides[0].received_bytes + sides[1].received_bytes;
	printf("{\"seconds\": %.3f, \"sent\": [%" PRIu64 ", %" PRIu64 "], \"received\": [%" PRIu64
	       ", %" PRIu64 "], \"mpps\": %.4f, \"gbps\": %.4f}\n",
		seconds, sides[0].sent, sides[1].sent, sides[0].received, sides[1].received,
		(double)received / seconds / 1e6, (double)bytes * 8 / seconds / 1e9);
}

static int compare_delays(const void *first, const void *second)
{
	uint64_t a = *(const uint64_t *)first, b = *(const uint64_t *)second;

	return (a > b) - (a < b);
}

/* Sends one packet from side 0 and waits for it at side 1; its delay in cycles, 0: it got lost. */
static uint64_t send_one(struct side *sides, const struct options *options)
{
	uint64_t begin, timeout = rte_get_tsc_hz() / 10, now;
	struct rte_mbuf *packet = rte_pktmbuf_alloc(tx_pool), *received[BURST];
	uint16_t count = 0;

	if (!packet)
		return 0;
	fill(packet, &sides[0], sides[0].next++, options);
	begin = rte_get_tsc_cycles();
	if (rte_eth_tx_burst(sides[0].port, 0, &packet, 1) != 1) {
		rte_pktmbuf_free(packet);
		return 0;
	}
	do {
		count = rte_eth_rx_burst(sides[1].port, 0, received, BURST);
		now = rte_get_tsc_cycles();
	} while (count == 0 && now - begin < timeout);
	rte_pktmbuf_free_bulk(received, count);
	return count ? now - begin : 0;
}

static int measure_latency(struct side *sides, const struct options *options)
{
	uint64_t *delays = calloc(options->latency_samples, sizeof(*delays));
	uint32_t count = 0;
	double us = 1e6 / (double)rte_get_tsc_hz();

	if (!delays)
		return -ENOMEM;
	for (uint32_t i = 0; i < options->latency_samples; i++) {
		uint64_t delay = send_one(sides, options);

		if (delay)
			delays[count++] = delay;
	}
	if (count == 0) {
		free(delays);
		return -EIO;
	}
	qsort(delays, count, sizeof(*delays), compare_delays);
	printf("{\"samples\": %u, \"lost\": %u, \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": "
	       "%.3f}\n",
		count, options->latency_samples - count, (double)delays[count / 2] * us,
		(double)delays[(uint64_t)count * 99 / 100] * us,
		(double)delays[(uint64_t)count * 999 / 1000] * us);
	free(delays);
	return 0;
}

static int start_port(uint16_t port)
{
	struct rte_eth_conf conf = {0};
	int code = rte_eth_dev_configure(port, 1, 1, &conf);

	if (code == 0)
		code = rte_eth_rx_queue_setup(port, 0, RING_SIZE, SOCKET_ID_ANY, NULL, rx_pool);
	if (code == 0)
		code = rte_eth_tx_queue_setup(port, 0, RING_SIZE, SOCKET_ID_ANY, NULL);
	return code == 0 ? rte_eth_dev_start(port) : code;
}

/* Waits until both links are up: the other end may still be starting. */
static bool wait_for_links(void)
{
	for (unsigned int tenths = 0; tenths < 200; tenths++) {
		struct rte_eth_link links[2];

		if (rte_eth_link_get_nowait(0, &links[0]) == 0
			&& rte_eth_link_get_nowait(1, &links[1]) == 0 && links[0].link_status
			&& links[1].link_status)
			return true;
		rte_delay_us_sleep(100000);
	}
	return false;
}

static uint32_t number_of(const char *text, const char *name, uint32_t minimum, uint32_t maximum)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value < minimum || value > maximum) {
		fprintf(stderr, "generator: --%s: found \"%s\", must be %u to %u\n", name, text,
			minimum, maximum);
		exit(2);
	}
	return (uint32_t)value;
}

static struct options parse(int argc, char **argv)
{
	static const struct option table[] = {{"size", 1, NULL, 's'}, {"macs", 1, NULL, 'm'},
		{"flows", 1, NULL, 'f'}, {"seconds", 1, NULL, 't'}, {"latency", 1, NULL, 'l'}, {0}};
	struct options options = {.size = 64, .mac_count = 1, .flow_count = 1, .seconds = 5};
	int letter;

	while ((letter = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (letter == 's')
			options.size = strcmp(optarg, "imix") == 0
				? 0
				: number_of(optarg, "size", RTE_ETHER_MIN_LEN, RTE_ETHER_MAX_LEN);
		else if (letter == 'm')
			options.mac_count = number_of(optarg, "macs", 1, 1000000);
		else if (letter == 'f')
			options.flow_count = number_of(optarg, "flows", 1, 10000000);
		else if (letter == 't')
			options.seconds = number_of(optarg, "seconds", 1, 3600);
		else if (letter == 'l')
			options.latency_samples = number_of(optarg, "latency", 0, 100000000);
		else
			exit(2);
	}
	return options;
}

int main(int argc, char **argv)
{
	struct side sides[2] = {{.port = 0}, {.port = 1}};
	struct options options;
	int used = rte_eal_init(argc, argv);

	if (used < 0)
		rte_exit(EXIT_FAILURE, "generator: EAL did not start\n");
	options = parse(argc - used, argv + used);
	rx_pool = rte_pktmbuf_pool_create(
		"rx", POOL_SIZE, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	tx_pool = rte_pktmbuf_pool_create(
		"tx", POOL_SIZE, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!rx_pool || !tx_pool || make_headers(&sides[0], 0, &options) != 0
		|| make_headers(&sides[1], 1, &options) != 0)
		rte_exit(EXIT_FAILURE, "generator: no memory\n");
	rte_mempool_obj_iter(tx_pool, fill_buffer, NULL);
	if (rte_eth_dev_count_avail() != 2 || start_port(0) != 0 || start_port(1) != 0)
		rte_exit(EXIT_FAILURE, "generator: needs two working devices\n");
	if (!wait_for_links())
		rte_exit(EXIT_FAILURE, "generator: no link within 20 s\n");
	warm_up(sides, &options);
	if (!options.latency_samples)
		run(sides, &options);
	else if (measure_latency(sides, &options) != 0)
		rte_exit(EXIT_FAILURE, "generator: no packet came back\n");
	for (uint16_t port = 0; port < 2; port++) {
		rte_eth_dev_stop(port);
		rte_eth_dev_close(port);
		free(sides[port].headers);
	}
	return rte_eal_cleanup() ? EXIT_FAILURE : EXIT_SUCCESS;
}
