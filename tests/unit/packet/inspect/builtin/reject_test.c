/* SPDX-License-Identifier: BSD-3-Clause */
/* What `reject` answers with (I3): frames that the other side's kernel accepts. */
#include "packet/inspect/builtin/reject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../bench.h"

static struct frame frame, answer;
static struct decoded decoded, answered;

static void make_tcp(uint8_t flags)
{
	uint8_t *tcp = frame.bytes + put_ipv4(&frame, FROM_CLIENT, IPPROTO_TCP, 25);

	memset(tcp, 0, 25);
	put16(tcp, 40000);
	put16(tcp + 2, 80);
	network_store32(tcp + 4, 1000);
	network_store32(tcp + 8, 5000);
	tcp[12] = 0x50;
	tcp[13] = flags;
	finish_frame(&frame);
	decode_frame(frame.bytes, frame.size, &decoded);
}

static void make_datagram(void)
{
	uint8_t *udp = frame.bytes + put_ipv4(&frame, FROM_CLIENT, IPPROTO_UDP, 30);

	memset(udp, 0, 30);
	put16(udp, 2000);
	put16(udp + 2, 53);
	put16(udp + 4, 30);
	finish_frame(&frame);
	decode_frame(frame.bytes, frame.size, &decoded);
}

static void read_answer(uint32_t size)
{
	answer.size = size;
	assert_int_equal(decode_frame(answer.bytes, answer.size, &answered), DECODE_OK);
	assert_true(checksum_is_right(&answered));
}

static void rst_to_the_sender_is_what_it_expects(void **state)
{
	(void)state;
	make_tcp(TCP_ACK | TCP_PSH);
	read_answer(reject_build_rst(&decoded, ANSWER_TO_SOURCE, answer.bytes));
	assert_memory_equal(answer.bytes, frame.bytes + 6, 6);
	assert_memory_equal(answer.bytes + 6, frame.bytes, 6);
	assert_memory_equal(answered.source, decoded.destination, 16);
	assert_memory_equal(answered.destination, decoded.source, 16);
	assert_int_equal(answered.source_port, 80);
	assert_int_equal(answered.tcp_sequence, 5000);
	assert_int_equal(answered.tcp_acknowledgement, 1005);
	assert_int_equal(answered.tcp_flags, TCP_RST | TCP_ACK);
}

static void rst_to_the_receiver_comes_from_the_sender(void **state)
{
	(void)state;
	make_tcp(TCP_ACK | TCP_PSH);
	read_answer(reject_build_rst(&decoded, ANSWER_TO_DESTINATION, answer.bytes));
	assert_memory_equal(answer.bytes, frame.bytes, 12);
	assert_memory_equal(answered.source, decoded.source, 16);
	assert_int_equal(answered.destination_port, 80);
	assert_int_equal(answered.tcp_sequence, 1000);
	assert_int_equal(answered.tcp_acknowledgement, 5000);
}

/* RFC 9293 section 3.5.2 */
static void syn_is_answered_with_its_number(void **state)
{
	(void)state;
	make_tcp(TCP_SYN);
	read_answer(reject_build_rst(&decoded, ANSWER_TO_SOURCE, answer.bytes));
	assert_int_equal(answered.tcp_sequence, 0);
	assert_int_equal(answered.tcp_acknowledgement, 1000 + 1 + 5);
}

static void rst_is_never_answered(void **state)
{
	(void)state;
	make_tcp(TCP_RST);
	assert_int_equal(reject_build_rst(&decoded, ANSWER_TO_SOURCE, answer.bytes), 0);
}

static void datagram_is_answered_with_a_quote_of_it(void **state)
{
	(void)state;
	make_datagram();
	read_answer(reject_build_icmp(&decoded, answer.bytes));
	assert_int_equal(answered.protocol, IPPROTO_ICMP);
	assert_int_equal(answered.icmp_type, 3);
	assert_int_equal(answered.icmp_code, 13);
	assert_memory_equal(answer.bytes + 14 + 20 + 8, frame.bytes + 14, frame.size - 14);
}

static void datagram_over_ipv6_is_answered(void **state)
{
	const struct frame_spec spec = {.ip_version = 6, .protocol = IPPROTO_UDP, .payload = 900};

	(void)state;
	frame_make(&frame, &spec);
	decode_frame(frame.bytes, frame.size, &decoded);
	read_answer(reject_build_icmp(&decoded, answer.bytes));
	assert_int_equal(answered.protocol, IPPROTO_ICMPV6);
	assert_int_equal(answered.icmp_type, 1);
	assert_int_equal(answered.icmp_code, 1);
	assert_true(answer.size <= REJECT_FRAME_SIZE);
}

/* RFC 1122 section 3.2.2 */
static void errors_and_groups_are_never_answered(void **state)
{
	(void)state;
	make_datagram();
	frame.bytes[0] |= 1;
	assert_int_equal(reject_build_icmp(&decoded, answer.bytes), 0);
	frame.bytes[0] &= 0xfe;
	decoded.destination[0] = 224;
	assert_int_equal(reject_build_icmp(&decoded, answer.bytes), 0);
	make_datagram();
	decoded.protocol = IPPROTO_ICMP;
	decoded.icmp_type = 3;
	assert_int_equal(reject_build_icmp(&decoded, answer.bytes), 0);
	decoded.icmp_type = 8;
	assert_int_not_equal(reject_build_icmp(&decoded, answer.bytes), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rst_to_the_sender_is_what_it_expects),
		cmocka_unit_test(rst_to_the_receiver_comes_from_the_sender),
		cmocka_unit_test(syn_is_answered_with_its_number),
		cmocka_unit_test(rst_is_never_answered),
		cmocka_unit_test(datagram_is_answered_with_a_quote_of_it),
		cmocka_unit_test(datagram_over_ipv6_is_answered),
		cmocka_unit_test(errors_and_groups_are_never_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
