/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of a capture in the form they have behind the gateway's input nodes: the outer VLAN tag in
 * the metadata, and an ingress port. A capture does not tell where a packet came in; each source
 * address gets a port of its own, as if each host had its adapter.
 */
#include "packet/inspect/replay/replay.h"

#include "base/clock.h"
#include "packet/engine/metadata.h"
#include "packet/engine/pool.h"
#include "packet/inspect/builtin/packet_bytes.h"
#include "packet/port/port.h"
#include "wire/decode.h"
#include "wire/eth.h"
#include "wire/network.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>
#include <unistd.h>

#define VLAN_UNTAGGED    1
#define PROGRESS_PACKETS 65536
#define SLL_HEADER       16 /* LINKTYPE_LINUX_SLL */
#define SLL2_HEADER      20

/* ---- ingress ports ---- */

static struct {
	uint8_t address[16];
} sources[PORTS_MAX];
static uint16_t source_count;

/* Linear: captures have few hosts, and the same ones again and again; the last one is asked first.
 * Hosts beyond the ports there are share the last. */
static uint16_t find_ingress(const uint8_t *frame, size_t size)
{
	static uint16_t last;
	uint8_t key[16] = {0};
	struct decoded decoded;

	decode_frame(frame, size, &decoded);
	if (decoded.ip_version)
		memcpy(key, decoded.source, sizeof(key));
	else
		memcpy(key, frame + ETH_ADDRESS_SIZE, ETH_ADDRESS_SIZE);
	if (last < source_count && memcmp(sources[last].address, key, sizeof(key)) == 0)
		return last + 1;
	for (last = 0; last < source_count; last++)
		if (memcmp(sources[last].address, key, sizeof(key)) == 0)
			return last + 1;
	if (source_count < PORTS_MAX - 1)
		memcpy(sources[source_count++].address, key, sizeof(key));
	last = source_count - 1;
	return source_count;
}

/* ---- link types ---- */

/* Makes an Ethernet frame of what the capture has: 0, or -EPROTONOSUPPORT. frame has room for
 * PACKET_BYTES_MAX bytes. */
static int to_ethernet(
	int link_type, const uint8_t *bytes, uint32_t size, uint8_t *frame, uint32_t *frame_size)
{
	uint32_t header = 0;
	uint16_t type = 0;

	switch (link_type) {
	case DLT_EN10MB:
		if (size < ETH_HEADER_SIZE || size > PACKET_BYTES_MAX)
			return -EPROTONOSUPPORT;
		memcpy(frame, bytes, size);
		*frame_size = size;
		return 0;
	case DLT_LINUX_SLL:
		header = SLL_HEADER;
		type = size >= header ? network_load16(bytes + 14) : 0;
		break;
	case DLT_LINUX_SLL2:
		header = SLL2_HEADER;
		type = size >= header ? network_load16(bytes) : 0;
		break;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		if (size > 0)
			type = bytes[0] >> 4 == 6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4;
		break;
	default:
		break;
	}
	if (!type || size < header || size - header > PACKET_BYTES_MAX - ETH_HEADER_SIZE)
		return -EPROTONOSUPPORT;
	memset(frame, 0, ETH_HEADER_SIZE);
	frame[0] = frame[ETH_ADDRESS_SIZE] = 0x02; /* locally administered */
	frame[2 * ETH_ADDRESS_SIZE - 1] = 1;
	network_store16(frame + ETH_TYPE_OFFSET, type);
	memcpy(frame + ETH_HEADER_SIZE, bytes + header, size - header);
	*frame_size = size - header + ETH_HEADER_SIZE;
	return 0;
}

/* ---- packets ---- */

static struct rte_mbuf *make_packet(const uint8_t *frame, uint32_t size)
{
	struct rte_mbuf *head = rte_pktmbuf_alloc(packet_pool), *last = head;

	if (head && pool_append(head, &last, frame, size) < 0) {
		rte_pktmbuf_free(head);
		return NULL;
	}
	return head;
}

static void take_tag_off(uint8_t *frame, uint32_t *size, struct packet_metadata *metadata)
{
	uint16_t tci;

	if (network_load16(frame + ETH_TYPE_OFFSET) != ETH_TYPE_VLAN
		|| *size < ETH_HEADER_SIZE + ETH_TAG_SIZE)
		return;
	tci = network_load16(frame + ETH_HEADER_SIZE);
	metadata->flags |= PACKET_WAS_TAGGED;
	metadata->tci_bits = (uint8_t)(tci >> 12);
	if (tci & ETH_VLAN_ID_MASK)
		metadata->vlan = tci & ETH_VLAN_ID_MASK;
	memmove(frame + 2 * ETH_ADDRESS_SIZE, frame + 2 * ETH_ADDRESS_SIZE + ETH_TAG_SIZE,
		*size - 2 * ETH_ADDRESS_SIZE - ETH_TAG_SIZE);
	*size -= ETH_TAG_SIZE;
}

static int take_packet(int link_type, const struct pcap_pkthdr *header, const uint8_t *bytes,
	struct replay_output *output, struct error *error)
{
	static uint8_t frame[PACKET_BYTES_MAX];
	struct packet_metadata metadata = {.vlan = VLAN_UNTAGGED, .egress_port = PORT_NONE};
	struct rte_mbuf *packet;
	uint32_t size;

	replay_clock_set((uint64_t)header->ts.tv_sec * CLOCK_NS_PER_S
		+ (uint64_t)header->ts.tv_usec * CLOCK_NS_PER_US);
	if (to_ethernet(link_type, bytes, header->caplen, frame, &size) < 0) {
		output->counts.packets++;
		output->counts.unread++;
		return 0;
	}
	take_tag_off(frame, &size, &metadata);
	metadata.origin = (struct origin){.kind = ORIGIN_PHYSICAL,
		.vlan = metadata.vlan,
		.ingress_port = find_ingress(frame, size)};
	packet = make_packet(frame, size);
	if (!packet)
		return error_set(error, -ENOMEM, "all packet buffers are held");
	*packet_metadata(packet) = metadata;
	replay_burst(&packet, 1, output);
	return 0;
}

static int read_all(
	pcap_t *capture, const char *path, struct replay_output *output, struct error *error)
{
	bool shows_progress = isatty(STDERR_FILENO);
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	int status;

	while ((status = pcap_next_ex(capture, &header, &bytes)) == 1) {
		status = take_packet(pcap_datalink(capture), header, bytes, output, error);
		if (status < 0)
			return status;
		if (shows_progress && output->counts.packets % PROGRESS_PACKETS == 0)
			fprintf(stderr, "\r%llu packets ",
				(unsigned long long)output->counts.packets);
	}
	if (shows_progress && output->counts.packets >= PROGRESS_PACKETS)
		fputc('\n', stderr);
	return status == PCAP_ERROR ? error_set(error, -EIO, "%s: after packet %llu: %s", path,
		       (unsigned long long)output->counts.packets, pcap_geterr(capture))
				    : 0;
}

int replay_file(const char *path, const char *delivered_path, struct replay_output *output,
	struct error *error)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *capture = pcap_open_offline(path, text), *ethernet = NULL;
	int status = 0;

	if (!capture)
		return error_set(error, -EIO, "%s", text);
	if (delivered_path) {
		ethernet = pcap_open_dead(DLT_EN10MB, PACKET_BYTES_MAX);
		output->delivered = ethernet ? pcap_dump_open(ethernet, delivered_path) : NULL;
		if (!output->delivered)
			status = error_set(error, -EIO, "%s: %s", delivered_path,
				ethernet ? pcap_geterr(ethernet) : "no memory");
	}
	if (status == 0)
		status = read_all(capture, path, output, error);
	if (status == 0)
		replay_drain(output);
	if (output->delivered && pcap_dump_flush(output->delivered) < 0 && status == 0)
		status = error_set(error, -EIO, "%s: cannot be written", delivered_path);
	if (output->delivered)
		pcap_dump_close(output->delivered);
	output->delivered = NULL;
	if (ethernet)
		pcap_close(ethernet);
	pcap_close(capture);
	return status;
}
