/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/engine/filter.h"

#include "packet/engine/metadata.h"
#include "packet/engine/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <string.h>

#define FILTER_TEXT_MAX 1024

/*
 * Words that pcap-filter(7) knows by itself. Others are names of hosts, networks, protocols or
 * services, which libpcap would look up: a question to a name server from the packet role.
 */
static const char *const words[] = {"ah", "and", "arp", "broadcast", "decnet", "dst", "esp",
	"ether", "geneve", "greater", "host", "icmp", "icmp6", "icmpcode", "icmptype", "icmp6code",
	"icmp6type", "igmp", "inbound", "ip", "ip6", "len", "less", "llc", "mask", "mpls",
	"multicast", "net", "not", "or", "outbound", "pim", "port", "portrange", "pppoed", "pppoes",
	"proto", "protochain", "rarp", "sctp", "src", "stp", "tcp", "tcpflags", "udp", "vlan",
	"vrrp", "tcp-fin", "tcp-syn", "tcp-rst", "tcp-push", "tcp-ack", "tcp-urg", "icmp-echoreply",
	"icmp-echo", "icmp-unreach"};

static bool is_word(const char *token, size_t size)
{
	for (size_t i = 0; i < RTE_DIM(words); i++)
		if (strlen(words[i]) == size && strncmp(words[i], token, size) == 0)
			return true;
	return false;
}

static bool is_address(const char *token, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	struct rte_ether_addr mac;
	struct in6_addr address;

	if (size >= sizeof(text))
		return false;
	memcpy(text, token, size);
	text[size] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1 || rte_ether_unformat_addr(text, &mac) == 0;
}

/* "10", "10.1", "192.0.2.10": digits, and up to three dots between them. A dash instead of dots is
 * for portrange alone; elsewhere "0-1" would be a host's name. */
static bool is_decimal(const char *token, size_t size, bool is_range)
{
	uint32_t marks = 0;

	for (size_t i = 0; i < size; i++) {
		if (isdigit((unsigned char)token[i]))
			continue;
		if (token[i] != (is_range ? '-' : '.') || i == 0 || i + 1 == size
			|| !isdigit((unsigned char)token[i - 1]))
			return false;
		marks++;
	}
	return marks <= (is_range ? 1 : 3);
}

/* Nothing that libpcap could take for the name of a host. */
static bool is_number(const char *token, size_t size, bool is_range)
{
	if (size > 2 && token[0] == '0' && (token[1] == 'x' || token[1] == 'X'))
		return strspn(token + 2, "0123456789abcdefABCDEF") >= size - 2;
	if (memchr(token, ':', size))
		return is_address(token, size);
	return is_decimal(token, size, is_range);
}

static int check_words(const char *text, struct error *error)
{
	bool is_range = false; /* the word before was portrange */

	while (*text) {
		size_t size = strcspn(text, " \t\r\n()[]=<>!&|+*/%^,");

		if (size == 0) {
			text++;
			continue;
		}
		if (!is_word(text, size) && !is_number(text, size, is_range))
			return error_set(error, -EINVAL,
				"filter: \"%.*s\" is no word of pcap-filter(7); names are not "
				"looked up here, write addresses and numbers",
				(int)(size > 64 ? 64 : size), text);
		is_range = size == strlen("portrange") && strncmp(text, "portrange", size) == 0;
		text += size;
	}
	return 0;
}

static int compile(struct filter *filter, const char *text, struct error *error)
{
	int status = check_words(text, error);
	pcap_t *pcap;

	if (status < 0)
		return status;
	if (strlen(text) > FILTER_TEXT_MAX)
		return error_set(error, -E2BIG, "filter: longer than %d bytes", FILTER_TEXT_MAX);
	pcap = pcap_open_dead(DLT_EN10MB, UINT16_MAX);
	if (!pcap)
		return -ENOMEM;
	if (pcap_compile(pcap, &filter->program, text, 1, PCAP_NETMASK_UNKNOWN) == 0)
		filter->has_program = true;
	else
		status = error_set(
			error, -EINVAL, "filter: %s; see pcap-filter(7)", pcap_geterr(pcap));
	pcap_close(pcap);
	return status;
}

int filter_open(struct filter *filter, const json_t *params, struct error *error)
{
	const char *port = json_string_value(json_object_get(params, "port"));
	const char *text = json_string_value(json_object_get(params, "filter"));

	*filter = (struct filter){
		.vlan = (uint16_t)json_integer_value(json_object_get(params, "vlan"))};
	if (port) {
		if (!engine_names.find_port
			|| engine_names.find_port(port, &filter->port, &filter->port_generation)
				< 0)
			return error_set(error, -ENOENT,
				"port: there is no port %s; `bulkhead ports` lists them", port);
		filter->has_port = true;
	}
	return text ? compile(filter, text, error) : 0;
}

void filter_close(struct filter *filter)
{
	if (filter->has_program)
		pcap_freecode(&filter->program);
	filter->has_program = false;
}

const uint8_t *filter_view(
	const struct rte_mbuf *packet, uint8_t scratch[FILTER_SCRATCH_SIZE], uint32_t *size)
{
	const struct packet_metadata *metadata = packet_metadata_const(packet);
	const uint8_t *frame = rte_pktmbuf_mtod(packet, const uint8_t *);
	struct rte_vlan_hdr tag;
	uint32_t left = packet->data_len;

	*size = left;
	if (!(metadata->flags & PACKET_WAS_TAGGED) || left < RTE_ETHER_HDR_LEN)
		return frame;
	if (left > FILTER_SCRATCH_SIZE - sizeof(tag))
		left = FILTER_SCRATCH_SIZE - sizeof(tag);
	memcpy(scratch, frame, 2 * RTE_ETHER_ADDR_LEN);
	scratch[12] = RTE_ETHER_TYPE_VLAN >> 8;
	scratch[13] = RTE_ETHER_TYPE_VLAN & 0xff;
	scratch[14] = (uint8_t)(metadata->tci_bits << 4 | metadata->vlan >> 8);
	scratch[15] = (uint8_t)metadata->vlan;
	memcpy(scratch + 16, frame + 12, left - 12);
	*size = left + (uint32_t)sizeof(tag);
	return scratch;
}

bool filter_matches(const struct filter *filter, const struct rte_mbuf *packet)
{
	const struct packet_metadata *metadata = packet_metadata_const(packet);
	uint8_t scratch[FILTER_SCRATCH_SIZE];
	const uint8_t *frame;
	uint32_t size;

	if (filter->has_port
		&& (metadata->origin.ingress_port != filter->port
			|| metadata->origin.ingress_generation != filter->port_generation))
		return false;
	if (filter->vlan && metadata->vlan != filter->vlan)
		return false;
	if (!filter->has_program)
		return true;
	frame = filter_view(packet, scratch, &size);
	return bpf_filter(filter->program.bf_insns, frame,
		       packet->pkt_len + (frame == scratch ? 4 : 0), size)
		!= 0;
}
