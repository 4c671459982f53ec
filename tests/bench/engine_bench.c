/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The builtin engine as a worker runs it, in bursts, fed from a capture: what the engine takes,
 * without ports. Reading the capture is part of the time, as it is of `suricata -r`'s.
 *
 *	engine-bench CAPTURE [RULES]
 *
 * Events go to standard output, one a line. Without rules the capture is read and nothing else:
 *that part of the time which both engines have.
 */
#include "control/config/config.h"
#include "packet/engine/metadata.h"
#include "packet/engine/pool.h"
#include "packet/inspect/inspect.h"
#include "packet/inspect/replay/replay.h"
#include "packet/port/port.h"

#include "base/clock.h"

#include <pcap/pcap.h>
#include <string.h>

#define SOURCE_LAST_BYTE 29 /* of IPv4's source in a frame without tags */

static int fail(const char *text)
{
	fprintf(stderr, "engine-bench: %s\n", text);
	return 1;
}

/* `inspection` of the default configuration, with this file of rules. NULL: a message is printed.
 */
static json_t *make_settings(const char *rules)
{
	const char *text = config_default_text();
	struct config_report report;
	json_t *document = NULL, *settings;

	config_report_init(&report);
	config_load_text(text, strlen(text), "the default", &document, &report);
	if (!document)
		config_report_print(&report, stderr);
	config_report_destroy(&report);
	settings = json_incref(json_object_get(document, "inspection"));
	json_object_set_new(settings, "rules", json_pack("[s]", rules));
	json_decref(document);
	return settings;
}

/* Clients have odd addresses, servers even ones, in captures made by captures.py. */
static struct rte_mbuf *make_packet(const struct pcap_pkthdr *header, const uint8_t *bytes)
{
	struct rte_mbuf *packet = rte_pktmbuf_alloc(packet_pool);
	char *frame = packet ? rte_pktmbuf_append(packet, (uint16_t)header->caplen) : NULL;

	if (!frame || header->caplen <= SOURCE_LAST_BYTE)
		rte_exit(1, "engine-bench: no buffer for a packet of %u bytes\n", header->caplen);
	memcpy(frame, bytes, header->caplen);
	*packet_metadata(packet) = (struct packet_metadata){.vlan = 1,
		.egress_port = PORT_NONE,
		.origin = {.kind = ORIGIN_PHYSICAL,
			.vlan = 1,
			.ingress_port = (uint16_t)(1 + (bytes[SOURCE_LAST_BYTE] & 1))}};
	return packet;
}

static void run(pcap_t *capture, struct replay_output *output)
{
	struct rte_mbuf *packets[INSPECT_BURST];
	struct pcap_pkthdr *header;
	const uint8_t *bytes;
	uint16_t count = 0;

	while (pcap_next_ex(capture, &header, &bytes) == 1) {
		packets[count++] = make_packet(header, bytes);
		if (count < INSPECT_BURST)
			continue;
		replay_clock_set((uint64_t)header->ts.tv_sec * CLOCK_NS_PER_S
			+ (uint64_t)header->ts.tv_usec * CLOCK_NS_PER_US);
		replay_burst(packets, count, output);
		count = 0;
	}
	replay_burst(packets, count, output);
}

static void read_only(pcap_t *capture)
{
	struct pcap_pkthdr *header;
	const uint8_t *bytes;

	while (pcap_next_ex(capture, &header, &bytes) == 1)
		continue;
}

int main(int argc, char **argv)
{
	struct replay_output output = {.eve = stdout};
	char text[PCAP_ERRBUF_SIZE];
	struct error error = {0};
	pcap_t *capture;
	json_t *settings;

	if (argc != 2 && argc != 3)
		return fail("usage: engine-bench CAPTURE [RULES]");
	capture = pcap_open_offline(argv[1], text);
	if (!capture)
		return fail(text);
	if (argc == 2) {
		read_only(capture);
		pcap_close(capture);
		return 0;
	}
	settings = make_settings(argv[2]);
	if (!settings)
		return 1;
	if (replay_open(settings, &error) < 0)
		return fail(error.text);
	json_decref(settings);
	run(capture, &output);
	replay_drain(&output);
	pcap_close(capture);
	replay_close();
	return 0;
}
