/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk of a virtual address's packets: D1, D2, D3, D6, D7, D11, D13, D14. */
#include "distributor_lab.h"
#include "tests/unit/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SYN 0x02
#define ACK 0x10
#define RST 0x04

static uint16_t next_port = 20000;

static int fresh(void **state)
{
	struct connection_table *connections = distributor_workers[0]->connections;

	(void)state;
	next_port++;
	for (uint32_t i = 0; i < connections->fresh; i++)
		if (connections->entries[i].flags & CONNECTION_IS_USED)
			connection_remove(connections, &connections->entries[i]);
	neighbour_clear();
	neighbour_learn(10, &(struct ip_address){4, {192, 0, 2, 100}}, lab_client_mac,
		distribute_clock(), true);
	lab_clear();
	return 0;
}

static int nothing_leaks(void **state)
{
	(void)state;
	assert_int_equal(lab_buffers(), 0);
	return 0;
}

/* What a frame on the link carries, as a frame. */
static void unwrap(const struct lab_frame *frame, struct gre *gre, struct lab_frame *inner)
{
	assert_non_null(frame);
	assert_int_equal(gre_parse(frame->bytes, frame->size, frame->size, gre), GRE_FINE);
	memset(inner, 0, sizeof(*inner));
	network_store16(inner->bytes + 12, gre->protocol);
	inner->size = gre->payload_end - gre->payload_offset + 14;
	memcpy(inner->bytes + 14, frame->bytes + gre->payload_offset, inner->size - 14);
}

static void decode(const struct lab_frame *frame, struct decoded *decoded)
{
	assert_int_equal(decode_frame(frame->bytes, frame->size, decoded), DECODE_OK);
	assert_true(checksum_is_right(decoded));
}

/* A client's SYN on its way, and its ACK: a connection that is established. */
static void establish(const char *client, const char *vipa)
{
	struct lab_frame frame;

	lab_make_tcp(&frame, true, client, vipa, next_port, 80, SYN, 0);
	lab_send("uplink", frame.bytes, frame.size);
	lab_make_tcp(&frame, true, client, vipa, next_port, 80, ACK, 0x12345678);
	lab_send("uplink", frame.bytes, frame.size);
}

static void a_connection_goes_to_the_target_and_back(void **state)
{
	struct lab_frame frame, inner, outer;
	struct decoded decoded;
	struct gre gre;

	(void)state;
	establish(CLIENT, VIPA);
	assert_int_equal(lab_count("xcf0"), 2);
	unwrap(lab_frame_at("xcf0", 0), &gre, &inner);
	assert_int_equal(gre.key, vipa_secret(vipa_table, 0)->to_target.keys[GRE_PLAIN]);
	decode(&inner, &decoded);
	assert_int_equal(decoded.tcp_flags, SYN);
	/* D13: clamped to what fits into GRE on the link. */
	assert_int_equal(network_load16(inner.bytes + decoded.l4_offset + 22), LINK_MTU - 28 - 40);
	lab_make_tcp(&frame, false, CLIENT, VIPA, next_port, 80, SYN | ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	lab_send("xcf0", outer.bytes, outer.size);
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
	assert_memory_equal(lab_frame_at("uplink", 0)->bytes, lab_client_mac, 6);
	assert_memory_equal(lab_frame_at("uplink", 0)->bytes + 6, lab_vipa_mac, 6);
	assert_int_equal(network_load16(lab_frame_at("uplink", 0)->bytes + decoded.l4_offset + 22),
		LINK_MTU - 28 - 40);
}

static void ipv6_goes_the_same_way(void **state)
{
	struct lab_frame frame, inner, outer;
	struct decoded decoded;
	struct gre gre;

	(void)state;
	neighbour_learn(10, &(struct ip_address){6, {0x20, 1, 0xd, 0xb8, 0, 2, [14] = 1}},
		lab_client_mac, distribute_clock(), true);
	establish(CLIENT6, VIPA6);
	unwrap(lab_frame_at("xcf0", 0), &gre, &inner);
	decode(&inner, &decoded);
	assert_int_equal(network_load16(inner.bytes + decoded.l4_offset + 22), LINK_MTU - 28 - 60);
	lab_make_tcp(&frame, false, CLIENT6, VIPA6, next_port, 80, SYN | ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	lab_send("xcf0", outer.bytes, outer.size);
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
}

static void refused(const char *port, const struct lab_frame *frame, enum drop_reason reason)
{
	lab_clear();
	lab_send(port, frame->bytes, frame->size);
	assert_int_equal(lab_total(), 0);
	assert_int_equal(lab_drops(reason), 1);
}

/* D7 */
static void gre_needs_key_sender_link_and_connection(void **state)
{
	struct lab_frame frame, outer;

	(void)state;
	establish(CLIENT, VIPA);
	lab_make_tcp(&frame, false, CLIENT, VIPA, next_port, 80, ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN) ^ 0x80000000);
	refused("xcf0", &outer, DROP_gre_key);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_SECURE));
	refused("xcf0", &outer, DROP_gre_unknown);
	lab_wrap(&outer, &frame, "198.51.100.12", DISTRIBUTOR, lab_key(GRE_PLAIN));
	refused("xcf0", &outer, DROP_gre_sender);
	lab_wrap(&outer, &frame, TARGET, "198.51.100.2", lab_key(GRE_PLAIN));
	refused("xcf0", &outer, DROP_gre_link);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	refused("xcf1", &outer, DROP_gre_link);
	outer.bytes[34] |= 0x10; /* a sequence number */
	refused("xcf0", &outer, DROP_gre_malformed);
	lab_make_tcp(&frame, false, CLIENT, VIPA, (uint16_t)(next_port + 1), 80, ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	refused("xcf0", &outer, DROP_gre_unknown);
	lab_make_tcp(&frame, false, CLIENT, "192.0.2.7", next_port, 80, ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	refused("xcf0", &outer, DROP_gre_unknown);
}

static void what_begins_no_connection_is_refused(void **state)
{
	struct lab_frame frame;

	(void)state;
	lab_make_tcp(&frame, true, CLIENT, VIPA, next_port, 80, ACK, 1);
	refused("uplink", &frame, DROP_connection_unknown);
	lab_make_tcp(&frame, true, CLIENT, VIPA, next_port, 8080, SYN, 1);
	refused("uplink", &frame, DROP_vipa_no_service);
	lab_make_tcp(&frame, true, CLIENT, "192.0.2.90", next_port, 80, SYN, 1);
	refused("uplink", &frame, DROP_vipa_unknown);
}

/* D2 */
static void echo_is_answered(void **state)
{
	struct lab_frame frame;
	uint8_t *icmp =
		lab_write_ip(&frame, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_ICMP, 64);
	struct decoded decoded;

	(void)state;
	icmp[0] = 8;
	memset(icmp + 8, 0x77, 56);
	frame.bytes[22] = 3; /* hops that the question had left */
	lab_finish(&frame);
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
	assert_int_equal(decoded.icmp_type, 0);
	assert_memory_equal(decoded.destination, "\xc0\x00\x02\x64", 4);
	assert_memory_equal(decoded.source, "\xc0\x00\x02\x50", 4);
	assert_true(checksum_is_right(&decoded));
	assert_int_equal(decoded.frame[22], 64);
	assert_int_equal(decoded.frame[20] & 0x40, 0); /* it may be cut */
}

/* D2: an error of a router about an answer follows the connection to its target. */
static void icmp_errors_follow_their_connection(void **state)
{
	struct lab_frame frame, about, inner;
	struct decoded decoded;
	struct gre gre;
	uint8_t *icmp;

	(void)state;
	establish(CLIENT, VIPA);
	lab_make_tcp(&about, false, CLIENT, VIPA, next_port, 80, ACK, 1001);
	icmp = lab_write_ip(&frame, lab_vipa_mac, lab_client_mac, "192.0.2.254", VIPA, IPPROTO_ICMP,
		8 + about.size - 14);
	icmp[0] = 3;
	icmp[1] = 4;
	memcpy(icmp + 8, about.bytes + 14, about.size - 14);
	lab_finish(&frame);
	lab_clear();
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("xcf0"), 1);
	unwrap(lab_frame_at("xcf0", 0), &gre, &inner);
	decode(&inner, &decoded);
	assert_int_equal(decoded.icmp_type, 3);
	network_store16(icmp + 8 + 22, (uint16_t)(next_port + 1)); /* about nobody's */
	lab_finish(&frame);
	refused("uplink", &frame, DROP_connection_unknown);
}

/* D1 */
static void questions_for_a_vipa_are_answered(void **state)
{
	static const uint8_t question[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0,
		0xff, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0, 0xff, 2, 192, 0, 2, 102, 0,
		0, 0, 0, 0, 0, 192, 0, 2, 80};
	struct lab_frame other;
	uint8_t mac[6];

	(void)state;
	lab_send("uplink", question, sizeof(question));
	assert_int_equal(lab_count("uplink"), 1);
	assert_int_equal(lab_count("web.eth0"), 0);
	assert_memory_equal(lab_frame_at("uplink", 0)->bytes + 22, lab_vipa_mac, 6);
	/* The asker need not be asked. */
	assert_int_equal(neighbour_find(10, &(struct ip_address){4, {192, 0, 2, 102}},
				 distribute_clock(), mac),
		NEIGHBOUR_KNOWN);
	assert_memory_equal(mac, question + 6, 6);
	memcpy(other.bytes, question, sizeof(question));
	other.bytes[41] = 10; /* somebody else is asked for: to the partitions, as ever */
	lab_clear();
	lab_send("uplink", other.bytes, sizeof(question));
	assert_int_equal(lab_count("uplink"), 0);
	assert_true(lab_count("web.eth0") == 1);
}

static void solicitations_are_answered(void **state)
{
	struct lab_frame frame;
	struct decoded decoded;
	uint8_t *nd;

	(void)state;
	nd = lab_write_ip(&frame, (const uint8_t[6]){0x33, 0x33, 0xff, 0, 0, 0x80}, lab_client_mac,
		CLIENT6, "ff02::1:ff00:80", IPPROTO_ICMPV6, 32);
	frame.bytes[21] = 255;
	nd[0] = 135;
	memcpy(nd + 8, lab_address(VIPA6).bytes, 16);
	nd[24] = nd[25] = 1;
	memcpy(nd + 26, lab_client_mac, 6);
	lab_finish(&frame);
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
	assert_int_equal(decoded.icmp_type, 136);
	assert_memory_equal(
		lab_frame_at("uplink", 0)->bytes + decoded.l4_offset + 26, lab_vipa6_mac, 6);
}

/* D1: the packet waits for the answer, and goes on with it. */
static void packets_wait_for_a_neighbour(void **state)
{
	struct lab_frame frame, outer;
	static const uint8_t answer[42] = {2, 0, 0, 0, 0, 0x80, 0x52, 0x54, 0, 0, 0xff, 3, 8, 6, 0,
		1, 8, 0, 6, 4, 0, 2, 0x52, 0x54, 0, 0, 0xff, 3, 192, 0, 2, 103, 2, 0, 0, 0, 0, 0x80,
		192, 0, 2, 80};

	(void)state;
	establish("192.0.2.103", VIPA);
	lab_clear();
	lab_make_tcp(&frame, false, "192.0.2.103", VIPA, next_port, 80, SYN | ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	for (int i = 0; i < 5; i++)
		lab_send("xcf0", outer.bytes, outer.size);
	assert_int_equal(lab_count("uplink"), 1); /* one question */
	assert_int_equal(network_load16(lab_frame_at("uplink", 0)->bytes + 12), 0x0806);
	assert_int_equal(lab_drops(DROP_vipa_unreachable), 2);
	lab_send("uplink", answer, sizeof(answer));
	assert_int_equal(lab_count("uplink"), 4);
	assert_memory_equal(lab_frame_at("uplink", 3)->bytes, answer + 6, 6);
}

/* D1: the answer to the first question is lost, and no further packet comes. */
static void who_is_waited_for_is_asked_again(void **state)
{
	struct lab_frame frame, outer;
	static const uint8_t answer[42] = {2, 0, 0, 0, 0, 0x80, 0x52, 0x54, 0, 0, 0xff, 4, 8, 6, 0,
		1, 8, 0, 6, 4, 0, 2, 0x52, 0x54, 0, 0, 0xff, 4, 192, 0, 2, 104, 2, 0, 0, 0, 0, 0x80,
		192, 0, 2, 80};

	(void)state;
	establish("192.0.2.104", VIPA);
	lab_clear();
	lab_make_tcp(&frame, false, "192.0.2.104", VIPA, next_port, 80, SYN | ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	lab_send("xcf0", outer.bytes, outer.size);
	assert_int_equal(lab_count("uplink"), 1);
	assert_becomes((lab_walk(), lab_count("uplink") > 1));
	assert_memory_equal(lab_frame_at("uplink", 1)->bytes, lab_frame_at("uplink", 0)->bytes,
		lab_frame_at("uplink", 0)->size);
	lab_send("uplink", answer, sizeof(answer));
	/* It goes on, unless this machine was so slow that its time was over. */
	assert_true(lab_count("uplink") > 2 || lab_drops(DROP_vipa_unreachable) == 1);
}

/* D1: others have taken its place in the table, each time. */
static void who_waits_does_not_flood(void **state)
{
	struct lab_frame frame, outer;

	(void)state;
	establish("192.0.2.105", VIPA);
	lab_clear();
	lab_make_tcp(&frame, false, "192.0.2.105", VIPA, next_port, 80, SYN | ACK, 1001);
	lab_wrap(&outer, &frame, TARGET, DISTRIBUTOR, lab_key(GRE_PLAIN));
	lab_send("xcf0", outer.bytes, outer.size);
	for (int i = 0; i < 100; i++) {
		neighbour_clear();
		lab_walk();
	}
	assert_in_range(lab_count("uplink"), 2, 10);
	neighbour_learn(10, &(struct ip_address){4, {192, 0, 2, 105}}, lab_client_mac,
		distribute_clock(), true);
	lab_walk();
}

static void others_claims_of_a_vipa_teach_nothing(void **state)
{
	static const uint8_t claim[42] = {2, 0, 0, 0, 0, 0x80, 0x52, 0x54, 0, 0, 0xff, 9, 8, 6, 0,
		1, 8, 0, 6, 4, 0, 1, 0x52, 0x54, 0, 0, 0xff, 9, 192, 0, 2, 80, 0, 0, 0, 0, 0, 0,
		192, 0, 2, 80};
	uint8_t mac[6];

	(void)state;
	lab_send("uplink", claim, sizeof(claim));
	assert_int_equal(neighbour_find(10, &(struct ip_address){4, {192, 0, 2, 80}},
				 distribute_clock(), mac),
		NEIGHBOUR_UNKNOWN);
}

/* D3, D4: what is IPsec's does not go to targets, and IKE goes to the host. */
static void ipsec_is_told_from_plain(void **state)
{
	struct lab_frame frame;
	uint8_t *payload;

	(void)state;
	lab_write_ip(&frame, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_ESP, 64);
	lab_finish(&frame);
	refused("uplink", &frame, DROP_ipsec_off);
	payload = lab_write_ip(&frame, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_UDP, 64);
	network_store16(payload, 4500);
	network_store16(payload + 2, 4500);
	network_store16(payload + 4, 64);
	network_store32(payload + 8, 0x1234);
	lab_finish(&frame);
	refused("uplink", &frame, DROP_ipsec_off);
	network_store32(payload + 8, 0);
	lab_finish(&frame);
	lab_clear();
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("host"), 1);
	assert_memory_equal(lab_frame_at("host", 0)->bytes, lab_port("host")->mac, 6);
	lab_distribute("required", "none");
	lab_make_tcp(&frame, true, CLIENT, VIPA, next_port, 80, SYN, 0);
	refused("uplink", &frame, DROP_vipa_plain);
	lab_distribute("off", "none");
	lab_write_ip(&frame, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_ESP, 64);
	lab_finish(&frame);
	refused("uplink", &frame, DROP_vipa_no_ipsec);
	lab_distribute("allowed", "none");
}

/* D13 */
static void too_big_is_told(void **state)
{
	struct lab_frame frame;
	struct decoded decoded;
	uint8_t *udp;

	(void)state;
	udp = lab_write_ip(&frame, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_UDP, 1480);
	network_store16(udp, next_port);
	network_store16(udp + 2, 53);
	network_store16(udp + 4, 1480);
	lab_finish(&frame);
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("xcf0"), 0);
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
	assert_int_equal(decoded.icmp_type, 3);
	assert_int_equal(network_load16(lab_frame_at("uplink", 0)->bytes + decoded.l4_offset + 6),
		LINK_MTU - 28);
	frame.bytes[20] = 0; /* it may be cut */
	lab_finish(&frame);
	lab_clear();
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("xcf0"), 2);
	assert_true(lab_frame_at("xcf0", 0)->size <= LINK_MTU + 14);
}

/* D13: in whatever order, and cut anew for the link. */
static void fragments_are_reassembled(void **state)
{
	struct lab_frame frame;
	uint8_t *udp;

	(void)state;
	for (int i = 1; i >= 0; i--) {
		udp = lab_write_ip(
			&frame, lab_vipa_mac, lab_client_mac, CLIENT, VIPA, IPPROTO_UDP, 1000);
		network_store16(frame.bytes + 18, 77); /* identification */
		network_store16(frame.bytes + 20, i ? 125 : 0x2000);
		if (i == 0) {
			network_store16(udp, next_port);
			network_store16(udp + 2, 53);
			network_store16(udp + 4, 2000);
		}
		lab_finish(&frame);
		lab_send("uplink", frame.bytes, frame.size);
		assert_int_equal(lab_count("xcf0"), i ? 0 : 2);
	}
	rte_ip_frag_free_death_row(&distributor_workers[0]->dead, 0);
}

/* D14: the client is told, with the number that it expects. */
static void connections_of_a_dead_target_are_reset(void **state)
{
	struct decoded decoded;

	(void)state;
	establish(CLIENT, VIPA);
	lab_clear();
	lab_distribute("allowed", "heartbeat"); /* and none comes */
	lab_walk();
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
	assert_int_equal(decoded.tcp_flags, RST);
	assert_int_equal(decoded.tcp_sequence, 0x12345678);
	assert_int_equal(decoded.destination_port, next_port);
	assert_int_equal(distributor_workers[0]->connections->count, 0);
	lab_distribute("allowed", "none");
}

/* D14: nobody resets it; what the client sends next, which begins no connection, goes to another
 * target. */
static void connections_of_a_dead_target_are_moved(void **state)
{
	struct vipa_service *service;
	struct lab_frame frame;
	struct decoded decoded;
	uint16_t port = next_port;

	(void)state;
	establish(CLIENT, VIPA);
	port = next_port;
	lab_clear();
	lab_distribute("allowed", "heartbeat"); /* and none comes */
	vipa_table->moves = true;
	lab_walk();
	assert_int_equal(lab_count("uplink"), 0);
	service = vipa_find_service(vipa_table, &vipa_table->vipas[0], IPPROTO_TCP, 80);
	service->targets[0] = 1; /* the partition */
	service->weights[0] = 100;
	lab_make_tcp(&frame, true, CLIENT, VIPA, port, 80, ACK, 0x12345678);
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("web.eth0"), 1);
	decode(lab_frame_at("web.eth0", 0), &decoded);
	assert_int_equal(decoded.source_port, port);
	lab_distribute("allowed", "none");
}

/* D11 */
static void a_partition_serves(void **state)
{
	struct lab_frame frame;
	struct decoded decoded;
	static const uint8_t partition_mac[6] = {0x52, 0x54, 0, 0, 0x10, 1};

	(void)state;
	lab_make_tcp(&frame, true, CLIENT, VIPA, next_port, 81, SYN, 0);
	lab_send("uplink", frame.bytes, frame.size);
	assert_int_equal(lab_count("web.eth0"), 1);
	assert_memory_equal(lab_frame_at("web.eth0", 0)->bytes, partition_mac, 6);
	assert_memory_equal(lab_frame_at("web.eth0", 0)->bytes + 6, lab_vipa_mac, 6);
	lab_make_tcp(&frame, false, CLIENT, VIPA, next_port, 81, SYN | ACK, 1001);
	memcpy(frame.bytes, lab_client_mac, 6);
	memcpy(frame.bytes + 6, partition_mac, 6);
	lab_send("web.eth0", frame.bytes, frame.size);
	assert_int_equal(lab_count("uplink"), 1);
	decode(lab_frame_at("uplink", 0), &decoded);
	assert_memory_equal(lab_frame_at("uplink", 0)->bytes + 6, lab_vipa_mac, 6);
	lab_make_tcp(&frame, false, CLIENT, VIPA, (uint16_t)(next_port + 1), 81, ACK, 1001);
	memcpy(frame.bytes + 6, partition_mac, 6);
	refused("web.eth0", &frame, DROP_gre_unknown);
}

static size_t make_report(struct lab_frame *frame, uint64_t sequence, uint64_t challenge)
{
	const struct heartbeat report = {.kind = HEARTBEAT_REPORT,
		.session = 7,
		.sequence = sequence,
		.challenge = challenge,
		.load = 1000};
	const struct ip_address target = lab_address(TARGET), own = lab_address(DISTRIBUTOR);
	const struct gre_headers headers = {.source_mac = lab_target_mac,
		.destination_mac = lab_link_mac,
		.source = &target,
		.destination = &own,
		.key = lab_key(GRE_CONTROL),
		.protocol = GRE_HEARTBEAT};
	size_t size = heartbeat_seal(frame->bytes + 14 + gre_overhead(4), &report,
		vipa_secret(vipa_table, 0)->bytes, &target, &own);

	gre_write(frame->bytes, &headers, (uint32_t)size);
	frame->size = 14 + gre_overhead(4) + size;
	return size;
}

/* D14: a report is answered; one that answers the challenge is believed, once. */
static void heartbeats_are_answered_and_believed_once(void **state)
{
	const struct ip_address target = lab_address(TARGET), own = lab_address(DISTRIBUTOR);
	struct lab_frame frame;
	struct heartbeat answer;
	struct gre gre;

	(void)state;
	lab_distribute("allowed", "heartbeat");
	make_report(&frame, 1, 0);
	lab_send("xcf0", frame.bytes, frame.size);
	assert_int_equal(lab_count("xcf0"), 1);
	assert_int_equal(gre_parse(lab_frame_at("xcf0", 0)->bytes, lab_frame_at("xcf0", 0)->size,
				 lab_frame_at("xcf0", 0)->size, &gre),
		GRE_FINE);
	assert_int_equal(heartbeat_open(lab_frame_at("xcf0", 0)->bytes + gre.payload_offset,
				 gre.payload_end - gre.payload_offset,
				 vipa_secret(vipa_table, 0)->bytes, &own, &target, &answer),
		HEARTBEAT_FINE);
	assert_int_equal(answer.kind, HEARTBEAT_ANSWER);
	assert_int_equal(answer.sequence, 1);
	/* D13: ESP to the VIPA of IPv6 takes more, whatever is inside. */
	assert_int_equal(answer.mtu_bytes,
		distribute_port_mtu(vipa_table->physical_port) - DISTRIBUTE_ESP_OVERHEAD_IPV6);
	assert_int_equal(distributor_workers[0]->targets[0].heartbeats, 0);
	make_report(&frame, 2, answer.challenge);
	lab_send("xcf0", frame.bytes, frame.size);
	lab_send("xcf0", frame.bytes, frame.size); /* replayed */
	assert_int_equal(distributor_workers[0]->targets[0].heartbeats, 1);
	frame.bytes[frame.size - 1] ^= 1;
	refused("xcf0", &frame, DROP_gre_heartbeat);
	lab_distribute("allowed", "none");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, nothing_leaks)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connection_goes_to_the_target_and_back),
		TEST(ipv6_goes_the_same_way),
		TEST(gre_needs_key_sender_link_and_connection),
		TEST(what_begins_no_connection_is_refused),
		TEST(echo_is_answered),
		TEST(icmp_errors_follow_their_connection),
		TEST(questions_for_a_vipa_are_answered),
		TEST(solicitations_are_answered),
		TEST(packets_wait_for_a_neighbour),
		TEST(who_is_waited_for_is_asked_again),
		TEST(who_waits_does_not_flood),
		TEST(others_claims_of_a_vipa_teach_nothing),
		TEST(ipsec_is_told_from_plain),
		TEST(too_big_is_told),
		TEST(fragments_are_reassembled),
		TEST(a_partition_serves),
		TEST(heartbeats_are_answered_and_believed_once),
		TEST(connections_of_a_dead_target_are_reset),
		TEST(connections_of_a_dead_target_are_moved),
	};

	return cmocka_run_group_tests(tests, distributor_lab_open, distributor_lab_close);
}
