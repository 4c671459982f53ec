/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets through ipsec_output: D5, D13, D16. */
#include "packet/port/offload.h"

#include "node_frames.h"

static int open_group(void **state)
{
	(void)state;
	return lab_start("ipsec_output_test");
}

/* Opens what left by vipa_output with the reference; returns the inner packet. */
static void check_tunnel(const struct reference *reference, uint16_t at, uint8_t outer_version,
	bool is_in_udp, const uint8_t *inner, uint32_t inner_size)
{
	uint32_t size, opened_size;
	const uint8_t *bytes = packet_bytes(LAB_VIPA_OUTPUT, at, &size);
	struct decoded decoded;
	uint8_t esp[FRAME_SIZE_MAX], *opened, next_header;
	uint32_t esp_at;

	assert_int_equal(decode_frame(bytes, size, &decoded), DECODE_OK);
	assert_int_equal(decoded.ip_version, outer_version);
	assert_true(checksum_is_right(&decoded));
	assert_int_equal(decoded.l3_end, size);
	assert_int_equal(decoded.protocol, is_in_udp ? IPPROTO_UDP : 50);
	esp_at = is_in_udp ? decoded.payload_offset : decoded.ip_payload_offset;
	if (is_in_udp) {
		assert_int_equal(decoded.source_port, 4500);
		assert_int_equal(decoded.destination_port, 40000);
	}
	memcpy(esp, bytes + esp_at, size - esp_at);
	assert_true(reference_open(reference, network_load32(esp + 4), esp, size - esp_at, &opened,
		&opened_size, &next_header));
	assert_int_equal(next_header, inner[0] >> 4 == 4 ? 4 : 41);
	assert_int_equal(opened_size, inner_size);
	assert_memory_equal(opened, inner, inner_size);
}

static void protect_one(const struct bytes_of *inner)
{
	lab_offer(to_packet(inner));
	lab_walk(LAB_OUTPUT);
}

/* D5. */
static void protects_in_tunnels_of_both_versions(void **state)
{
	(void)state;
	for (int variant = 0; variant < 8; variant++) {
		uint8_t outer = variant & 1 ? 6 : 4, version = variant & 2 ? 6 : 4;
		struct reference reference = suite_reference(&suites[variant], 1000, variant & 1);
		struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, outer);
		struct bytes_of *inner = make_inner(
			version, version == 4 ? VIPA : 1, version == 4 ? CLIENT : 9, 100, 0, true);

		parameters.has_encapsulation = variant & 4;
		parameters.source_port = 4500;
		parameters.destination_port = 40000;
		add_sa(&parameters);
		add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, version);
		protect_one(inner);
		assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 1);
		check_tunnel(
			&reference, 0, outer, variant & 4, inner->bytes + 14, inner->size - 14);
		forget(NULL);
	}
}

/* What one side protects the other opens: transport mode, bare and in UDP, both versions. */
static void protects_in_transport_mode(void **state)
{
	(void)state;
	for (int variant = 0; variant < 4; variant++) {
		uint8_t version = variant & 1 ? 6 : 4;
		struct reference reference = suite_reference(&suites[6 + variant], 1000, true);
		struct sa_parameters out = tunnel_parameters(&reference, SA_OUTBOUND, version);
		struct sa_parameters in = tunnel_parameters(&reference, SA_INBOUND, version);
		struct bytes_of *inner = make_inner(
			version, version == 4 ? VIPA : 1, version == 4 ? CLIENT : 100, 77, 0, true);
		struct rte_mbuf *sealed;
		struct decoded decoded;

		out.mode = in.mode = SA_TRANSPORT;
		out.has_encapsulation = in.has_encapsulation = variant & 2;
		out.source_port = out.destination_port = 4500;
		in.source_port = in.destination_port = 4500;
		/* The packet's own addresses: the client opens it. */
		in.name.destination = out.name.destination;
		in.name.spi = 1000;
		in.source = out.source;
		add_sa(&out);
		add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TRANSPORT, version);
		protect_one(inner);
		assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 1);
		sealed = lab.got[LAB_VIPA_OUTPUT][0];
		decode_frame(rte_pktmbuf_mtod(sealed, uint8_t *), sealed->pkt_len, &decoded);
		assert_int_equal(decoded.malformed, DECODE_OK);
		assert_true(checksum_is_right(&decoded));
		assert_int_equal(decoded.protocol, variant & 2 ? IPPROTO_UDP : 50);
		lab.got_count[LAB_VIPA_OUTPUT] = 0;
		sa_flush_owner(7);
		add_sa(&in);
		add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TRANSPORT, version);
		lab_offer(sealed);
		lab_walk(LAB_INPUT);
		assert_is_inner(LAB_ORIGIN_TAG, 0, inner);
		forget(NULL);
	}
}

/* ---- peers behind one address ---- */

static struct sa *add_peer(uint32_t spi, uint16_t port)
{
	struct reference reference = suite_reference(&suites[0], spi, false);
	struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);

	parameters.name.spi = spi;
	parameters.mode = SA_TRANSPORT;
	parameters.has_encapsulation = true;
	parameters.source_port = 4500;
	parameters.destination_port = port;
	return add_sa(&parameters);
}

/* By which port and SPI a packet to that peer left; SPI 0: it was dropped for not being his. */
static void send_to_peer(uint32_t peer, uint16_t port, uint32_t spi)
{
	struct rte_mbuf *packet = to_packet(make_inner(4, VIPA, CLIENT, 60, 0, false));
	const uint8_t *bytes;
	uint32_t size;

	packet_metadata(packet)->service.peer = peer;
	packet_metadata(packet)->service.is_secure = true;
	lab_offer(packet);
	lab_walk(LAB_OUTPUT);
	if (spi == 0) {
		assert_int_equal(lab_dropped(), DROP_ipsec_peer);
	} else {
		assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 1);
		bytes = packet_bytes(LAB_VIPA_OUTPUT, 0, &size);
		assert_int_equal(network_load16(bytes + 14 + 20 + 2), port);
		assert_int_equal(network_load32(bytes + 14 + 20 + 8), spi);
	}
	lab_forget();
}

/* D5; RFC 3948 section 5.2: what is for one never leaves by another one's keys. */
static void keeps_peers_behind_one_address_apart(void **state)
{
	struct sa_name name = {.spi = 3000, .destination = ipv4(CLIENT)};
	uint32_t first, second;

	(void)state;
	add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TRANSPORT, 4);
	first = add_peer(3000, 40001)->peer;
	send_to_peer(IPSEC_PEER_UNKNOWN, 40001, 3000); /* there is but one */
	second = add_peer(3001, 40002)->peer;
	assert_int_not_equal(first, second);
	send_to_peer(first, 40001, 3000);
	send_to_peer(second, 40002, 3001);
	send_to_peer(IPSEC_PEER_UNKNOWN, 0, 0);
	send_to_peer(IPSEC_PEER_BY_ADDRESS, 0, 0);
	/* New keys. */
	assert_int_equal(add_peer(3002, 40001)->peer, first);
	assert_int_equal(sa_delete(&name, &error), 0);
	send_to_peer(first, 40001, 3002);
	send_to_peer(second, 40002, 3001);
	/* He is gone; the other one does not get what was his. */
	name.spi = 3001;
	assert_true(ipsec_is_other_peer(second, first));
	assert_int_equal(sa_delete(&name, &error), 0);
	assert_false(ipsec_is_other_peer(second, first));
	send_to_peer(second, 0, 0);
	send_to_peer(first, 40001, 3002);
}

static void treats_packets_as_policy_says(void **state)
{
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 60, 0, false);

	(void)state;
	protect_one(&inner);
	assert_int_equal(lab_dropped(), DROP_ipsec_policy);
	lab_forget();
	lab_configure(true);
	protect_one(&inner);
	assert_is_inner(LAB_VIPA_OUTPUT, 0, &inner);
	lab_forget();
	lab_configure(false);
	add_policy(POLICY_OUTBOUND, POLICY_BYPASS, SA_TUNNEL, 4);
	protect_one(&inner);
	assert_is_inner(LAB_VIPA_OUTPUT, 0, &inner);
	forget(NULL);
	add_policy(POLICY_OUTBOUND, POLICY_DISCARD, SA_TUNNEL, 4);
	protect_one(&inner);
	assert_int_equal(lab_dropped(), DROP_ipsec_policy);
	forget(NULL);
	add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	protect_one(&inner);
	assert_int_equal(lab_dropped(), DROP_ipsec_no_sa);
	forget(NULL);
	ipsec_settings = NULL;
	protect_one(&inner);
	assert_is_inner(LAB_VIPA_OUTPUT, 0, &inner);
}

/* D3: of a later fragment nobody knows whether it is what a policy of a port protects. */
static void keeps_later_fragments_of_what_is_protected_out_of_the_clear(void **state)
{
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 60, 0, false);

	(void)state;
	network_store16(inner.bytes + 20, 10);
	lab_configure(true);
	protect_one(&inner);
	assert_is_inner(LAB_VIPA_OUTPUT, 0, &inner);
	lab_forget();
	add_policy_of_port(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4, 40000);
	protect_one(&inner);
	assert_int_equal(lab_dropped(), DROP_ipsec_fragment);
}

/* D3: not even where policies were taken away while the connection is there. */
static void keeps_answers_of_secure_connections_out_of_the_clear(void **state)
{
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 60, 0, false);

	(void)state;
	for (int is_configured = 0; is_configured <= 1; is_configured++) {
		struct rte_mbuf *packet = to_packet(&inner);

		if (is_configured)
			lab_configure(true);
		else
			ipsec_settings = NULL;
		packet_metadata(packet)->service.is_secure = true;
		lab_offer(packet);
		lab_walk(LAB_OUTPUT);
		assert_int_equal(lab_dropped(), DROP_ipsec_required);
		forget(NULL);
	}
}

/* D16: DF, DSCP and ECN of the outer header (RFC 4301 section 5.1.2). */
static void fills_the_outer_header_in(void **state)
{
	(void)state;
	for (int variant = 0; variant < 16; variant++) {
		struct reference reference = suite_reference(&suites[0], 1000, false);
		struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);
		bool has_df = variant & 8;
		struct bytes_of *inner = make_inner(4, VIPA, CLIENT, 60, 0xb8 | 2, has_df);
		const uint8_t *ip;
		uint32_t size;

		parameters.copies_df = variant & 1;
		parameters.copies_ecn = variant & 2;
		parameters.copies_dscp = variant & 4;
		add_sa(&parameters);
		add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
		protect_one(inner);
		ip = packet_bytes(LAB_VIPA_OUTPUT, 0, &size) + 14;
		assert_int_equal(ip[1], (variant & 2 ? 2 : 0) | (variant & 4 ? 0xb8 : 0));
		assert_int_equal(ip[6] & 0x40, (variant & 1) && has_df ? 0x40 : 0);
		assert_int_equal(ip[8], 64);
		forget(NULL);
	}
}

/* D13: the largest that fits does, one more does not, and the sender is told what would. */
static void tells_senders_of_what_does_not_fit(void **state)
{
	(void)state;
	for (size_t s = 0; s < RTE_DIM(suites); s++) {
		uint8_t version = s & 1 ? 6 : 4;
		uint32_t header = version == 4 ? 28 : 48, told, size;
		struct reference reference = suite_reference(&suites[s], 1000, false);
		struct sa_parameters parameters =
			tunnel_parameters(&reference, SA_OUTBOUND, s & 2 ? 6 : 4);
		const uint8_t *icmp;
		struct decoded decoded;

		add_sa(&parameters);
		add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, version);
		protect_one(make_inner(version, version == 4 ? VIPA : 1, version == 4 ? CLIENT : 9,
			1490 - header, 0, true));
		assert_int_equal(lab_dropped(), DROP_ipsec_too_big);
		assert_int_equal(lab.got_count[LAB_GRE_OUTPUT], 1);
		assert_int_equal(packet_metadata(lab.got[LAB_GRE_OUTPUT][0])->service.target, 5);
		icmp = packet_bytes(LAB_GRE_OUTPUT, 0, &size);
		assert_int_equal(decode_frame(icmp, size, &decoded), DECODE_OK);
		assert_true(checksum_is_right(&decoded));
		assert_int_equal(decoded.icmp_type, version == 4 ? 3 : 2);
		assert_int_equal(decoded.icmp_code, version == 4 ? 4 : 0);
		told = network_load32(icmp + decoded.l4_offset + 4);
		lab_forget();
		protect_one(make_inner(version, version == 4 ? VIPA : 1, version == 4 ? CLIENT : 9,
			told + 1 - header, 0, true));
		assert_int_equal(lab_dropped(), DROP_ipsec_too_big);
		lab_forget();
		protect_one(make_inner(version, version == 4 ? VIPA : 1, version == 4 ? CLIENT : 9,
			told - header, 0, true));
		assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 1);
		packet_bytes(LAB_VIPA_OUTPUT, 0, &size);
		assert_true(size <= 1514 && size > 1514 - 16);
		forget(NULL);
	}
}

static void offer_with(const struct bytes_of *inner, uint16_t flags, bool is_secure)
{
	struct rte_mbuf *packet = to_packet(inner);

	packet_metadata(packet)->flags = flags;
	packet_metadata(packet)->service.is_secure = is_secure;
	lab_offer(packet);
	lab_walk(LAB_OUTPUT);
}

/* D9: what a target's host sends straight out, protected or not, and what it is told. */
static void serves_a_target(void **state)
{
	struct reference reference = suite_reference(&suites[0], 1000, false);
	struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 100, 0, true);

	(void)state;
	add_sa(&parameters);
	add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	offer_with(&inner, PACKET_IS_OF_STATION, false);
	assert_int_equal(lab.got_count[LAB_TARGET_DIRECT], 1);
	assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 0);
	offer_with(make_inner(4, VIPA, CLIENT, 1460, 0, true), PACKET_IS_OF_STATION, false);
	assert_int_equal(lab_dropped(), DROP_ipsec_too_big);
	assert_int_equal(lab.got_count[LAB_TARGET_INPUT], 1);
	assert_int_equal(lab.got_count[LAB_GRE_OUTPUT], 0);
	forget(NULL);
	lab_configure(true);
	offer_with(&inner, PACKET_IS_OF_STATION, false);
	assert_int_equal(lab.got_count[LAB_TARGET_DIRECT], 1);
	offer_with(&inner, PACKET_IS_OF_STATION, true);
	assert_int_equal(lab_dropped(), DROP_ipsec_required);
}

/* D10: protected or not at all, with the MTU of the link; nobody is told of what is too large. */
static void serves_a_link(void **state)
{
	struct reference reference = suite_reference(&suites[0], 1000, false);
	struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 1480, 0, true);
	static struct port link = {.mtu_bytes = 1600};

	(void)state;
	parameters.mode = SA_TRANSPORT;
	port_table->ports[1] = &link;
	port_table->count = 2;
	for (uint16_t mtu = 1600; mtu >= 1500; mtu = (uint16_t)(mtu - 100)) {
		struct rte_mbuf *packet = to_packet(&inner);

		link.mtu_bytes = mtu;
		add_sa(&parameters);
		add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TRANSPORT, 4);
		packet_metadata(packet)->flags = PACKET_IS_OF_LINK;
		packet_metadata(packet)->egress_port = 1;
		lab_offer(packet);
		lab_walk(LAB_OUTPUT);
		assert_int_equal(lab.got_count[LAB_TX], mtu == 1600);
		assert_int_equal(lab_dropped(), mtu == 1600 ? DROP_none : DROP_ipsec_too_big);
		assert_int_equal(lab.got_count[LAB_GRE_OUTPUT], 0);
		lab_forget();
		sa_flush_owner(7);
	}
	lab_configure(true);
	offer_with(&inner, PACKET_IS_OF_LINK, true);
	assert_int_equal(lab_dropped(), DROP_ipsec_required);
}

/* D13: what may be cut is cut before it is protected, and each piece fits; the SA is that of the
 * whole packet, although but one of the pieces has the ports that the policy asks for. */
static void cuts_before_it_protects(void **state)
{
	struct reference reference = suite_reference(&suites[0], 1000, false);
	struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 1472, 0, false);
	uint8_t whole[FRAME_SIZE_MAX];
	uint32_t end = 0;

	(void)state;
	add_sa(&parameters);
	add_policy_of_port(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4, 40000);
	protect_one(&inner);
	assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 2);
	assert_int_equal(lab.got_count[LAB_DROP], 0);
	for (uint16_t i = 0; i < 2; i++) {
		uint32_t size, opened_size = 0, offset;
		const uint8_t *bytes = packet_bytes(LAB_VIPA_OUTPUT, i, &size);
		uint8_t esp[FRAME_SIZE_MAX], *opened = NULL, next_header;

		assert_true(size <= 1514);
		memcpy(esp, bytes + 34, size - 34);
		assert_true(reference_open(
			&reference, i + 1, esp, size - 34, &opened, &opened_size, &next_header));
		assert_int_equal(checksum_finish(checksum_add(0, opened, 20)), 0);
		offset = (network_load16(opened + 6) & 0x1fff) * 8;
		assert_int_equal(offset, end);
		memcpy(whole + offset, opened + 20, opened_size - 20);
		end = offset + opened_size - 20;
	}
	assert_int_equal(end, 8 + 1472);
	assert_memory_equal(whole, inner.bytes + 34, end);
}

/* RFC 4301 section 8.2: who tells of a smaller path has to know the SPI. */
static void learns_the_path_from_messages_about_its_packets(void **state)
{
	struct reference reference = suite_reference(&suites[0], 1000, false);
	struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);
	uint8_t icmp[200] = {3, 4, [6] = 1400 >> 8, [7] = 1400 & 0xff};
	struct datagram datagram = {.version = 4,
		.source = ipv4(0x0a000001),
		.destination = ipv4(VIPA),
		.protocol = IPPROTO_ICMP,
		.payload = icmp,
		.size = 8 + 28};
	const uint8_t *sent;
	uint32_t size;
	struct sa *sa;

	(void)state;
	sa = add_sa(&parameters);
	add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	protect_one(make_inner(4, VIPA, CLIENT, 60, 0, true));
	sent = packet_bytes(LAB_VIPA_OUTPUT, 0, &size);
	memcpy(icmp + 8, sent + 14, 28);
	icmp[8 + 20] ^= 1;
	lab_offer(to_packet(make_frame(&datagram)));
	lab_walk(LAB_INPUT);
	assert_int_equal(sa->path_mtu, 0);
	icmp[8 + 20] ^= 1;
	lab_offer(to_packet(make_frame(&datagram)));
	lab_walk(LAB_INPUT);
	assert_int_equal(sa->path_mtu, 1400);
	lab_forget();
	protect_one(make_inner(4, VIPA, CLIENT, 1372 - 28, 0, true));
	assert_int_equal(lab_dropped(), DROP_ipsec_too_big);
	/* It does not get smaller than any path is. */
	icmp[6] = 0;
	icmp[7] = 1;
	lab_offer(to_packet(make_frame(&datagram)));
	lab_walk(LAB_INPUT);
	assert_int_equal(sa->path_mtu, 576);
}

/* G11: checksums that were left to others are made before nobody can any more. */
static void finishes_checksums_inside(void **state)
{
	struct reference reference = suite_reference(&suites[0], 1000, false);
	struct sa_parameters parameters = tunnel_parameters(&reference, SA_OUTBOUND, 4);
	struct bytes_of inner = *make_inner(4, VIPA, CLIENT, 60, 0, true);
	struct rte_mbuf *packet;

	(void)state;
	add_sa(&parameters);
	add_policy(POLICY_OUTBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	packet = to_packet(&inner);
	rte_pktmbuf_mtod(packet, uint8_t *)[14 + 20 + 6] ^= 0x77;
	packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4;
	assert_int_equal(offload_validate(packet), 0);
	lab_offer(packet);
	lab_walk(LAB_OUTPUT);
	assert_int_equal(lab.got_count[LAB_VIPA_OUTPUT], 1);
	check_tunnel(&reference, 0, 4, false, inner.bytes + 14, inner.size - 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(protects_in_tunnels_of_both_versions, forget),
		cmocka_unit_test_teardown(protects_in_transport_mode, forget),
		cmocka_unit_test_teardown(keeps_peers_behind_one_address_apart, forget),
		cmocka_unit_test_teardown(treats_packets_as_policy_says, forget),
		cmocka_unit_test_teardown(
			keeps_answers_of_secure_connections_out_of_the_clear, forget),
		cmocka_unit_test_teardown(fills_the_outer_header_in, forget),
		cmocka_unit_test_teardown(tells_senders_of_what_does_not_fit, forget),
		cmocka_unit_test_teardown(serves_a_target, forget),
		cmocka_unit_test_teardown(serves_a_link, forget),
		cmocka_unit_test_teardown(cuts_before_it_protects, forget),
		cmocka_unit_test_teardown(
			keeps_later_fragments_of_what_is_protected_out_of_the_clear, forget),
		cmocka_unit_test_teardown(learns_the_path_from_messages_about_its_packets, forget),
		cmocka_unit_test_teardown(finishes_checksums_inside, forget),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
