/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The distributor in the test's thread: the real nodes on the real graph of switch_lab, one VIPA of
 * each version, a target on a link, and a partition as target.
 *
 *	client 192.0.2.100 ── uplink [VIPA 192.0.2.80] xcf0 ── t1 198.51.100.11
 *	                                               web.eth0 ── partition
 */
#pragma once

#include "base/clock.h"
#include "packet/distributor/distributor.h"
#include "packet/distributor/health.h"
#include "packet/distributor/neighbour.h"
#include "packet/packet_module.h"
#include "packet/port/port.h"
#include "wire/checksum.h"

#include "../gateway/switch_lab.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#define CLIENT      "192.0.2.100"
#define CLIENT6     "2001:db8:2::100"
#define VIPA        "192.0.2.80"
#define VIPA6       "2001:db8:2::80"
#define DISTRIBUTOR "198.51.100.1"
#define TARGET      "198.51.100.11"
#define LINK_MTU    1500

#define DISTRIBUTOR_LAB_CONFIG                                                                     \
	"{'adapters': {'uplink': {'device': 'netdev:a'},"                                          \
	" 'xcf0': {'device': 'netdev:b', 'kind': 'xcf'}, 'xcf1': {'kind': 'xcf'}},"                \
	" 'gateway': {'physical': 'uplink', 'native-vlan': 10,"                                    \
	"  'trunks': {'a': {'vlans': [10]}}, 'host': {'vlan': 10}},"                               \
	" 'partitions': {'web': {'adapters': {'eth0': {'attach': 'netdev:c', 'mode': 'access',"    \
	"  'vlan': 10, 'mac': '52:54:00:00:10:01', 'mac-limit': 256}}}},"                          \
	" 'distributor': {'link': 'xcf0', 'local': '" DISTRIBUTOR "',"                             \
	"  'vipas': {'web': {'address': '" VIPA "/24', 'vlan': 10, 'mac': '02:00:00:00:00:80',"    \
	"    'security': '%s', 'services': {'tcp': {'protocol': 'tcp', 'port': 80, 'targets': "    \
	"['t1']},"                                                                                 \
	"    'udp': {'protocol': 'udp', 'port': 53, 'targets': ['t1']},"                           \
	"    'local': {'protocol': 'tcp', 'port': 81, 'targets': ['web']}}},"                      \
	"   'web6': {'address': '" VIPA6 "/64', 'vlan': 10, 'mac': '02:00:00:00:00:86',"           \
	"    'services': {'tcp': {'protocol': 'tcp', 'port': 80, 'targets': ['t1']}}}},"           \
	"  'targets': {'t1': {'address': '" TARGET "', 'mac': '02:00:00:00:00:11', 'weight': 100," \
	"    'health': '%s'}, 'web': {'partition': 'web.eth0', 'weight': 100}}}}"

static const uint8_t lab_client_mac[6] = {0x52, 0x54, 0, 0, 0xff, 1};
static const uint8_t lab_vipa_mac[6] = {2, 0, 0, 0, 0, 0x80};
static const uint8_t lab_vipa6_mac[6] = {2, 0, 0, 0, 0, 0x86};
static const uint8_t lab_link_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t lab_target_mac[6] = {2, 0, 0, 0, 0, 0x11};

static inline struct ip_address lab_address(const char *text)
{
	struct ip_address address;

	ip_address_parse(text, &address);
	return address;
}

static inline void lab_prepared(void *context, const struct error *error)
{
	if (error) {
		fprintf(stderr, "%s\n", error->text);
		abort();
	}
}

static inline void lab_set_keys(struct vipa_table *table)
{
	const struct ip_address distributor = lab_address(DISTRIBUTOR),
				target = lab_address(TARGET);
	struct vipa_secret *secret = secret_bytes(table->secrets);

	for (uint16_t i = 0; i < table->target_count; i++) {
		memset(secret[i].bytes, 0x5a + i, sizeof(secret[i].bytes));
		gre_keys_derive(secret[i].bytes, GRE_TO_TARGET, &distributor, &target,
			&secret[i].to_target);
		gre_keys_derive(secret[i].bytes, GRE_TO_DISTRIBUTOR, &distributor, &target,
			&secret[i].from_target);
	}
}

static inline void lab_judge(const struct vipa_target *target, bool is_up)
{
}

/* Configures all; health is "none" or "heartbeat". */
static inline void lab_distribute(const char *security, const char *health)
{
	char text[4096];
	struct error error;
	struct vipa_table *table, *old = vipa_table;
	json_t *config;

	snprintf(text, sizeof(text), DISTRIBUTOR_LAB_CONFIG, security, health);
	if (lab_configure(text) < 0)
		abort();
	for (char *at = text; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	config = json_loads(text, 0, NULL);
	memcpy(lab_port("xcf0")->mac, lab_link_mac, 6);
	memcpy(lab_port("host")->mac, "\x02\x00\x00\x00\x00\x02", 6);
	lab_port("xcf0")->mtu_bytes = LINK_MTU;
	link_module.prepare(config, lab_prepared, NULL);
	link_module.commit();
	if (vipa_table_create(config, old, &table, &error) < 0)
		lab_prepared(NULL, &error);
	lab_set_keys(table);
	vipa_table_bind(table);
	health_start(table, clock_monotonic_ns());
	/* A second later: what was reported before is old. */
	health_tick(table, clock_monotonic_ns() + CLOCK_NS_PER_S, 250 * CLOCK_NS_PER_MS, lab_judge);
	vipa_table = table;
	publish_retire(old, (void (*)(void *))vipa_table_destroy);
	publish_wait();
	json_decref(config);
}

static inline int distributor_lab_open(void **state)
{
	if (lab_set_up(state) < 0)
		return -1;
	distributor_workers[0] = distributor_worker_create(4096);
	for (int i = 0; i < CONNECTION_STATE_COUNT; i++)
		distributor_workers[0]->connections->timeouts[i] = UINT32_MAX / 2;
	lab_distribute("allowed", "none");
	return 0;
}

static inline int distributor_lab_close(void **state)
{
	vipa_table_destroy(vipa_table);
	vipa_table = NULL;
	distributor_worker_destroy(distributor_workers[0]);
	distributor_workers[0] = NULL;
	link_module.stop();
	return lab_tear_down(state);
}

/* ---- frames ---- */

/* Ethernet and IP in front of payload_size bytes, which follow the returned place. */
static inline uint8_t *lab_write_ip(struct lab_frame *frame, const uint8_t *destination_mac,
	const uint8_t *source_mac, const char *source, const char *destination, uint8_t protocol,
	size_t payload_size)
{
	struct ip_address from = lab_address(source), to = lab_address(destination);
	uint8_t *ip = frame->bytes + 14;

	memset(frame->bytes, 0, sizeof(frame->bytes));
	memcpy(frame->bytes, destination_mac, 6);
	memcpy(frame->bytes + 6, source_mac, 6);
	if (from.version == 4) {
		network_store16(ip - 2, 0x0800);
		ip[0] = 0x45;
		network_store16(ip + 2, (uint16_t)(20 + payload_size));
		ip[6] = 0x40;
		ip[8] = 64;
		ip[9] = protocol;
		memcpy(ip + 12, from.bytes, 4);
		memcpy(ip + 16, to.bytes, 4);
		frame->size = 34 + payload_size;
		return ip + 20;
	}
	network_store16(ip - 2, 0x86dd);
	ip[0] = 0x60;
	network_store16(ip + 4, (uint16_t)payload_size);
	ip[6] = protocol;
	ip[7] = 64;
	memcpy(ip + 8, from.bytes, 16);
	memcpy(ip + 24, to.bytes, 16);
	frame->size = 54 + payload_size;
	return ip + 40;
}

static inline void lab_finish(struct lab_frame *frame)
{
	struct decoded decoded;

	decode_frame(frame->bytes, frame->size, &decoded);
	checksum_repair(frame->bytes, &decoded);
}

/* TCP, with an MSS of 1460 in a SYN. */
static inline void lab_make_tcp(struct lab_frame *frame, bool from_client, const char *client,
	const char *vipa, uint16_t client_port, uint16_t port, uint8_t flags,
	uint32_t acknowledgement)
{
	size_t size = flags & 0x02 ? 24 : 20;
	bool is_ipv6 = strchr(vipa, ':') != NULL;
	uint8_t *tcp = lab_write_ip(frame, is_ipv6 ? lab_vipa6_mac : lab_vipa_mac, lab_client_mac,
		from_client ? client : vipa, from_client ? vipa : client, IPPROTO_TCP, size);

	network_store16(tcp, from_client ? client_port : port);
	network_store16(tcp + 2, from_client ? port : client_port);
	network_store32(tcp + 4, 1000);
	network_store32(tcp + 8, acknowledgement);
	tcp[12] = (uint8_t)(size / 4 << 4);
	tcp[13] = flags;
	if (flags & 0x02)
		memcpy(tcp + 20, "\x02\x04\x05\xb4", 4);
	lab_finish(frame);
}

/* The IP packet of a frame, in GRE as from source to destination. */
static inline void lab_wrap(struct lab_frame *out, const struct lab_frame *inner,
	const char *source, const char *destination, uint32_t key)
{
	const struct ip_address from = lab_address(source), to = lab_address(destination);
	const struct gre_headers headers = {.source_mac = lab_target_mac,
		.destination_mac = lab_link_mac,
		.source = &from,
		.destination = &to,
		.key = key,
		.protocol = network_load16(inner->bytes + 12)};
	size_t size = ETH_HEADER_SIZE + gre_overhead(from.version);

	gre_write(out->bytes, &headers, (uint32_t)inner->size - 14);
	memcpy(out->bytes + size, inner->bytes + 14, inner->size - 14);
	out->size = size + inner->size - 14;
}

static inline uint32_t lab_key(enum gre_kind kind)
{
	return vipa_secret(vipa_table, 0)->from_target.keys[kind];
}
