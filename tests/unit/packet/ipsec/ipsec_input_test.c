/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets through ipsec_input: D3, D4, D12, D16, D18. */
#include "packet/ipsec/ipsec.h"

#include "node_frames.h"
#include "packet/port/offload.h"

static int open_group(void **state)
{
	(void)state;
	return lab_start("ipsec_input_test");
}

/* D4, D12: tunnels of either version in either version, bare and in UDP, and what goes on. */
static void opens_tunnels_of_both_versions(void **state)
{
	(void)state;
	for (int variant = 0; variant < 8; variant++) {
		uint8_t outer = variant & 1 ? 6 : 4, version = variant & 2 ? 6 : 4;
		struct reference reference = suite_reference(&suites[variant], 1000, variant & 1);
		struct sa_parameters parameters = tunnel_parameters(&reference, SA_INBOUND, outer);
		struct bytes_of *inner = make_inner(
			version, version == 4 ? CLIENT : 9, version == 4 ? VIPA : 1, 100, 0, false);
		struct sealing sealing = {.reference = &reference,
			.sequence = 1,
			.payload = inner->bytes + 14,
			.size = inner->size - 14,
			.next_header = version == 4 ? 4 : 41,
			.outer_version = outer,
			.source_port = variant & 4 ? 40000 : 0};
		const struct packet_metadata *metadata;
		struct sa *sa;

		parameters.has_encapsulation = variant & 4;
		parameters.source_port = 40000;
		parameters.destination_port = 4500;
		sa = add_sa(&parameters);
		add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, version);
		lab_offer(make_esp(&sealing));
		lab_walk(LAB_INPUT);
		assert_int_equal(lab.got_count[LAB_ORIGIN_TAG], 1);
		assert_is_inner(LAB_ORIGIN_TAG, 0, inner);
		metadata = packet_metadata(lab.got[LAB_ORIGIN_TAG][0]);
		assert_int_equal(metadata->origin.kind, ORIGIN_DECRYPTED);
		assert_true(metadata->flags & PACKET_IS_FOR_VIPA);
		assert_int_equal(metadata->service.peer, sa->peer);
		assert_int_equal(metadata->service.is_outer_ipv6, outer == 6);
		assert_int_equal(metadata->vlan, 10);
		forget(NULL);
	}
}

/* One SA, one good packet; what a test makes wrong is refused for its own reason. */
struct wrong {
	struct reference reference;
	struct sa_parameters parameters;
	struct sealing sealing;
	struct bytes_of inner;
	struct sa_selector selector;
	enum policy_action action;
};

static void set_up(struct wrong *wrong)
{
	memset(wrong, 0, sizeof(*wrong));
	wrong->reference = suite_reference(&suites[0], 1000, false);
	wrong->parameters = tunnel_parameters(&wrong->reference, SA_INBOUND, 4);
	wrong->inner = *make_inner(4, CLIENT, VIPA, 60, 0, false);
	wrong->sealing = (struct sealing){.reference = &wrong->reference,
		.sequence = 1,
		.payload = wrong->inner.bytes + 14,
		.size = wrong->inner.size - 14,
		.next_header = 4,
		.outer_version = 4};
	wrong->action = POLICY_PROTECT;
}

/* A virtual link hands UDP over with its checksum unfinished: that was the outer packet's. */
static void wishes_for_the_outer_packet_end_with_it(void **state)
{
	struct wrong right;
	struct rte_mbuf *packet;

	(void)state;
	set_up(&right);
	right.parameters.has_encapsulation = true;
	right.parameters.source_port = right.sealing.source_port = 40000;
	right.parameters.destination_port = 4500;
	add_sa(&right.parameters);
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	packet = make_esp(&right.sealing);
	packet->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4;
	packet->l2_len = ETH_HEADER_SIZE;
	packet->l3_len = 20;
	packet->l4_len = 8;
	lab_offer(packet);
	lab_walk(LAB_INPUT);
	assert_int_equal(lab.got_count[LAB_ORIGIN_TAG], 1);
	assert_is_inner(LAB_ORIGIN_TAG, 0, &right.inner);
	assert_int_equal(lab.got[LAB_ORIGIN_TAG][0]->ol_flags & OFFLOAD_FLAGS, 0);
	assert_int_equal(lab.got[LAB_ORIGIN_TAG][0]->tx_offload, 0);
	forget(NULL);
}

/* D4: transport mode; in UDP the inner checksum was made for addresses before a NAT. */
static void opens_transport_mode(void **state)
{
	(void)state;
	for (int variant = 0; variant < 4; variant++) {
		uint8_t version = variant & 1 ? 6 : 4;
		bool is_in_udp = variant & 2;
		struct reference reference = suite_reference(&suites[variant], 1000, false);
		struct sa_parameters parameters =
			tunnel_parameters(&reference, SA_INBOUND, version);
		struct bytes_of *inner = make_inner(version, version == 4 ? CLIENT : 100,
			version == 4 ? VIPA : 1, 33, 0, false);
		uint32_t header = version == 4 ? 20 : 40;
		struct bytes_of sent = *inner;
		struct sealing sealing = {.reference = &reference,
			.sequence = 1,
			.payload = sent.bytes + 14 + header,
			.size = inner->size - 14 - header,
			.next_header = IPPROTO_UDP,
			.outer_version = version,
			.source_port = is_in_udp ? 40000 : 0};

		if (is_in_udp)
			sent.bytes[14 + header + 6] ^= 0x55;
		parameters.mode = SA_TRANSPORT;
		parameters.has_encapsulation = is_in_udp;
		parameters.source_port = 40000;
		parameters.destination_port = 4500;
		add_sa(&parameters);
		add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TRANSPORT, version);
		lab_offer(make_esp(&sealing));
		lab_walk(LAB_INPUT);
		assert_int_equal(lab.got_count[LAB_ORIGIN_TAG], 1);
		assert_is_inner(LAB_ORIGIN_TAG, 0, inner);
		forget(NULL);
	}
}

/* D9, D10: whose ESP it is decides where what was in it goes. */
static void gives_a_target_and_a_link_their_own(void **state)
{
	static const struct {
		uint16_t flag;
		enum lab_sink sink;
	} variants[] = {{PACKET_IS_OF_STATION, LAB_TARGET_INPUT},
		{PACKET_IS_OF_LINK, LAB_LINK_INPUT}, {PACKET_IS_FOR_VIPA, LAB_ORIGIN_TAG}};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(variants); i++) {
		struct rte_mbuf *packet;
		struct wrong right;
		uint16_t flags;

		set_up(&right);
		add_sa(&right.parameters);
		add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
		packet = make_esp(&right.sealing);
		packet_metadata(packet)->flags = variants[i].flag;
		lab_offer(packet);
		lab_walk(LAB_INPUT);
		assert_int_equal(lab.got_count[variants[i].sink], 1);
		assert_is_inner(variants[i].sink, 0, &right.inner);
		flags = packet_metadata(lab.got[variants[i].sink][0])->flags;
		assert_int_equal(flags, variants[i].flag);
		forget(NULL);
	}
}

static enum drop_reason outcome_of(const struct wrong *wrong)
{
	enum drop_reason reason;

	add_sa(&wrong->parameters);
	add_policy(POLICY_INBOUND, wrong->action, SA_TUNNEL, 4);
	lab_offer(make_esp(&wrong->sealing));
	lab_walk(LAB_INPUT);
	assert_int_equal(lab.got_count[LAB_DROP] + lab.got_count[LAB_ORIGIN_TAG], 1);
	reason = lab_dropped();
	sa_flush_owner(wrong->parameters.owner);
	forget(NULL);
	return reason;
}

static void refuses_each_wrong_packet_for_its_own_reason(void **state)
{
	struct sa_selector elsewhere = {.source_first = ipv4(CLIENT + 1),
		.source_last = ipv4(CLIENT + 1),
		.destination_last = ipv4(UINT32_MAX),
		.destination_first = ipv4(0),
		.source_port_last = UINT16_MAX,
		.destination_port_last = UINT16_MAX};
	struct wrong wrong;

	(void)state;
#define OUTCOME(reason, change)                                                                    \
	set_up(&wrong);                                                                            \
	change;                                                                                    \
	assert_int_equal(outcome_of(&wrong), reason)
	OUTCOME(DROP_none, (void)0);
	OUTCOME(DROP_ipsec_unknown_spi, wrong.parameters.name.spi = 1001);
	OUTCOME(DROP_ipsec_unknown_spi, wrong.parameters.name.destination = ipv4(VIPA + 1));
	OUTCOME(DROP_ipsec_icv, wrong.parameters.cipher_key = wrong.inner.bytes);
	OUTCOME(DROP_ipsec_encapsulation, wrong.sealing.source_port = 4500);
	OUTCOME(DROP_ipsec_encapsulation,
		(wrong.parameters.has_encapsulation = true, wrong.parameters.source_port = 1,
			wrong.parameters.destination_port = 1));
	OUTCOME(DROP_ipsec_dummy, wrong.sealing.next_header = 59);
	OUTCOME(DROP_ipsec_next_header, wrong.sealing.next_header = IPPROTO_TCP);
	OUTCOME(DROP_ipsec_inner, wrong.sealing.next_header = 41);
	OUTCOME(DROP_ipsec_inner, wrong.sealing.size = 10);
	OUTCOME(DROP_ipsec_selector,
		(wrong.parameters.selectors = &elsewhere, wrong.parameters.selector_count = 1));
	OUTCOME(DROP_ipsec_selector, wrong.parameters.request = 2);
	OUTCOME(DROP_ipsec_selector, wrong.parameters.owner = 8);
	OUTCOME(DROP_ipsec_selector, wrong.parameters.mode = SA_TRANSPORT);
	OUTCOME(DROP_ipsec_selector, wrong.action = POLICY_BYPASS);
	OUTCOME(DROP_ipsec_selector, wrong.action = POLICY_DISCARD);
	OUTCOME(DROP_ipsec_congestion,
		(wrong.sealing.outer_class = 3, wrong.parameters.copies_ecn = true));
	OUTCOME(DROP_none, wrong.sealing.outer_class = 3);
#undef OUTCOME
}

static void refuses_replays_and_says_when_it_is_off(void **state)
{
	struct wrong wrong;

	(void)state;
	set_up(&wrong);
	add_sa(&wrong.parameters);
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	lab_offer(make_esp(&wrong.sealing));
	lab_offer(make_esp(&wrong.sealing));
	lab_walk(LAB_INPUT);
	assert_int_equal(lab.got_count[LAB_ORIGIN_TAG], 1);
	assert_int_equal(lab_dropped(), DROP_ipsec_replay);
	lab_forget();
	ipsec_settings = NULL;
	lab_offer(make_esp(&wrong.sealing));
	lab_walk(LAB_INPUT);
	assert_int_equal(lab_dropped(), DROP_ipsec_off);
}

/* RFC 4303 section 2.7: behind the inner packet may be padding that hides its size. */
static void cuts_padding_off_that_hides_sizes(void **state)
{
	struct wrong wrong;
	uint8_t payload[500];

	(void)state;
	set_up(&wrong);
	memset(payload, 0xaa, sizeof(payload));
	memcpy(payload, wrong.sealing.payload, wrong.sealing.size);
	wrong.sealing.payload = payload;
	wrong.sealing.size = sizeof(payload);
	add_sa(&wrong.parameters);
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	lab_offer(make_esp(&wrong.sealing));
	lab_walk(LAB_INPUT);
	assert_is_inner(LAB_ORIGIN_TAG, 0, &wrong.inner);
}

/* D16: RFC 6040 and RFC 4301 section 5.1.2: what of the outer traffic class comes inside. */
static void merges_traffic_classes(void **state)
{
	static const struct {
		uint8_t inner, outer;
		bool copies_ecn, copies_dscp;
		uint8_t expected;
	} cases[] = {
		{0xb8, 0x00, true, false, 0xb8},
		{0xb8 | 2, 0x28 | 3, true, false, 0xb8 | 3},
		{0xb8 | 2, 0x28 | 1, true, false, 0xb8 | 1},
		{0xb8 | 1, 0x28 | 2, true, false, 0xb8 | 1},
		{0xb8 | 2, 0x28 | 3, false, false, 0xb8 | 2},
		{0xb8 | 2, 0x28 | 3, true, true, 0x28 | 3},
	};

	(void)state;
	for (size_t i = 0; i < 2 * RTE_DIM(cases); i++) {
		uint8_t version = i % 2 ? 6 : 4;
		struct wrong wrong;
		struct bytes_of *expected;

		set_up(&wrong);
		wrong.inner = *make_inner(version, version == 4 ? CLIENT : 9,
			version == 4 ? VIPA : 1, 50, cases[i / 2].inner, false);
		wrong.sealing.size = wrong.inner.size - 14;
		wrong.sealing.next_header = version == 4 ? 4 : 41;
		wrong.sealing.outer_class = cases[i / 2].outer;
		wrong.parameters.copies_ecn = cases[i / 2].copies_ecn;
		wrong.parameters.copies_dscp = cases[i / 2].copies_dscp;
		add_sa(&wrong.parameters);
		add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, version);
		lab_offer(make_esp(&wrong.sealing));
		lab_walk(LAB_INPUT);
		expected = make_inner(version, version == 4 ? CLIENT : 9, version == 4 ? VIPA : 1,
			50, cases[i / 2].expected, false);
		assert_is_inner(LAB_ORIGIN_TAG, 0, expected);
		forget(NULL);
	}
}

static struct {
	int count;
	struct ip_address source;
	uint16_t port;
} mapped;

static void on_mapping(uint32_t owner, const struct sa_name *name, const struct ip_address *source,
	uint16_t source_port)
{
	mapped.count++;
	mapped.source = *source;
	mapped.port = source_port;
}

/* D4: a NAT's new mapping is believed of the newest authentic packet alone. */
static void tells_of_new_mappings_when_they_are_authentic(void **state)
{
	static const struct sa_events events = {.mapping = on_mapping};
	struct wrong wrong;

	(void)state;
	memset(&mapped, 0, sizeof(mapped));
	sa_set_events(&events);
	set_up(&wrong);
	wrong.parameters.has_encapsulation = true;
	wrong.parameters.source_port = 40000;
	wrong.parameters.destination_port = 4500;
	add_sa(&wrong.parameters);
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	wrong.sealing.source_port = 40000;
	wrong.sealing.sequence = 5;
	lab_offer(make_esp(&wrong.sealing));
	lab_walk(LAB_INPUT);
	sa_take_news(NULL);
	assert_int_equal(mapped.count, 0);
	/* Forged, and an old one. */
	wrong.sealing.source_port = 40001;
	wrong.sealing.sequence = 6;
	wrong.reference.key[0] ^= 1;
	lab_offer(make_esp(&wrong.sealing));
	wrong.reference.key[0] ^= 1;
	wrong.sealing.sequence = 3;
	lab_offer(make_esp(&wrong.sealing));
	lab_walk(LAB_INPUT);
	sa_take_news(NULL);
	assert_int_equal(mapped.count, 0);
	wrong.sealing.sequence = 7;
	wrong.sealing.source = CLIENT + 3;
	lab_offer(make_esp(&wrong.sealing));
	lab_walk(LAB_INPUT);
	sa_take_news(NULL);
	assert_int_equal(mapped.count, 1);
	assert_int_equal(mapped.port, 40001);
	assert_int_equal(network_load32(mapped.source.bytes), CLIENT + 3);
	sa_set_events(NULL);
}

/* Chains, and packets that others have, too, are opened in a buffer of their own. */
static void opens_what_lies_in_several_buffers(void **state)
{
	struct wrong wrong;
	struct rte_mbuf *packet, *rest;

	(void)state;
	set_up(&wrong);
	wrong.inner = *make_inner(4, CLIENT, VIPA, 1300, 0, false);
	wrong.sealing.size = wrong.inner.size - 14;
	add_sa(&wrong.parameters);
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	packet = make_esp(&wrong.sealing);
	rest = rte_pktmbuf_copy(packet, packet_pool, 700, UINT32_MAX);
	rte_pktmbuf_trim(packet, (uint16_t)(packet->data_len - 700));
	rte_pktmbuf_chain(packet, rest);
	lab_offer(packet);
	lab_walk(LAB_INPUT);
	assert_is_inner(LAB_ORIGIN_TAG, 0, &wrong.inner);
}

/* D3: what may come in the clear. */
static void takes_plain_packets_as_policy_says(void **state)
{
	struct bytes_of *inner = make_inner(4, CLIENT, VIPA, 60, 0, false);
	struct decoded decoded;

	(void)state;
	decode_frame(inner->bytes, inner->size, &decoded);
	assert_int_equal(ipsec_check_plain(&decoded), DROP_ipsec_policy);
	lab_configure(true);
	assert_int_equal(ipsec_check_plain(&decoded), DROP_none);
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	assert_int_equal(ipsec_check_plain(&decoded), DROP_ipsec_required);
	sa_flush_owner(7);
	add_policy(POLICY_INBOUND, POLICY_DISCARD, SA_TUNNEL, 4);
	assert_int_equal(ipsec_check_plain(&decoded), DROP_ipsec_policy);
	sa_flush_owner(7);
	lab_configure(false);
	add_policy(POLICY_INBOUND, POLICY_BYPASS, SA_TUNNEL, 4);
	assert_int_equal(ipsec_check_plain(&decoded), DROP_none);
	ipsec_settings = NULL;
	sa_flush_owner(7);
	assert_int_equal(ipsec_check_plain(&decoded), DROP_none);
}

/* D18: a burst of many SAs' packets, each with its own. */
static void sorts_a_burst_by_association(void **state)
{
	enum { SAS = 20, EACH = 5 };
	struct reference references[SAS];

	(void)state;
	for (uint32_t i = 0; i < SAS; i++) {
		struct sa_parameters parameters;

		references[i] = suite_reference(&suites[i % RTE_DIM(suites)], 1000 + i, false);
		parameters = tunnel_parameters(&references[i], SA_INBOUND, 4);
		add_sa(&parameters);
	}
	add_policy(POLICY_INBOUND, POLICY_PROTECT, SA_TUNNEL, 4);
	for (uint32_t k = 0; k < EACH; k++)
		for (uint32_t i = 0; i < SAS; i++) {
			struct bytes_of *inner = make_inner(4, CLIENT + i, VIPA, 60 + k, 0, false);
			struct sealing sealing = {.reference = &references[i],
				.sequence = k + 1,
				.payload = inner->bytes + 14,
				.size = inner->size - 14,
				.next_header = 4,
				.outer_version = 4};

			lab_offer(make_esp(&sealing));
		}
	lab_walk(LAB_INPUT);
	assert_int_equal(lab.got_count[LAB_DROP], 0);
	assert_int_equal(lab.got_count[LAB_ORIGIN_TAG], SAS * EACH);
	for (uint16_t n = 0; n < SAS * EACH; n++)
		assert_is_inner(LAB_ORIGIN_TAG, n,
			make_inner(4, CLIENT + n % SAS, VIPA, 60 + n / SAS, 0, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(opens_tunnels_of_both_versions, forget),
		cmocka_unit_test_teardown(wishes_for_the_outer_packet_end_with_it, forget),
		cmocka_unit_test_teardown(opens_transport_mode, forget),
		cmocka_unit_test_teardown(gives_a_target_and_a_link_their_own, forget),
		cmocka_unit_test_teardown(refuses_each_wrong_packet_for_its_own_reason, forget),
		cmocka_unit_test_teardown(refuses_replays_and_says_when_it_is_off, forget),
		cmocka_unit_test_teardown(cuts_padding_off_that_hides_sizes, forget),
		cmocka_unit_test_teardown(merges_traffic_classes, forget),
		cmocka_unit_test_teardown(tells_of_new_mappings_when_they_are_authentic, forget),
		cmocka_unit_test_teardown(opens_what_lies_in_several_buffers, forget),
		cmocka_unit_test_teardown(takes_plain_packets_as_policy_says, forget),
		cmocka_unit_test_teardown(sorts_a_burst_by_association, forget),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
