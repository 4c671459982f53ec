/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the builtin engine tells beside alerts (I9): a record at the end of each flow, what is odd
 * about packets and streams, and its counters; and that none of it displaces alerts.
 */
#include "base/clock.h"
#include "packet/inspect/builtin/statistics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../bench.h"

#define RULES                                                                                      \
	"alert udp any any -> any 53 (msg:\"query\"; content:\"query\"; sid:2;)\n"                 \
	"drop tcp any any -> any 80 (msg:\"passwd\"; content:\"/etc/passwd\"; sid:1;)\n"
#define ALL_EVENTS   "{\"events\": [\"alert\", \"drop\", \"flow\", \"anomaly\"]}"
#define CLIENT_START 1000
#define SERVER_START 5000

static int open_group(void **state)
{
	(void)state;
	return bench_start("events_test");
}

static int open_bench(void **state)
{
	(void)state;
	return bench_open(RULES, ALL_EVENTS);
}

static int close_bench(void **state)
{
	(void)state;
	bench_close();
	return 0;
}

static struct builtin_worker *worker(void)
{
	return bench_builtin()->workers[0];
}

/* The next event of a lane; NULL: none. */
static json_t *next_event(enum event_lane_kind kind)
{
	const struct eve_names names = {.partition = "web"};
	struct event_ring *ring = worker()->lanes[kind].ring;
	const struct eve_record *record = event_ring_peek(ring);
	json_t *event;

	if (!record)
		return NULL;
	event = eve_to_json(record, &names);
	eve_release(record);
	event_ring_release(ring);
	return event;
}

static int count_lane(enum event_lane_kind kind)
{
	json_t *event;
	int count = 0;

	for (; (event = next_event(kind)); count++)
		json_decref(event);
	return count;
}

static void check_text(const json_t *object, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_string_equal(text ? text : "(none)", expected);
}

static void check_number(const json_t *object, const char *key, json_int_t expected)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	assert_int_equal(json_integer_value(json_object_get(object, key)), expected);
}

static void end_all_flows(void)
{
	uint64_t later_ns = clock_monotonic_ns() + 3600 * CLOCK_NS_PER_S;

	while (flow_table_count(worker()->flows) > 0)
		flow_table_age(worker()->flows, later_ns);
}

static void shake_hands(void)
{
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START, SERVER_START, NULL);
}

static enum outcome client_sends(uint32_t offset, const char *text)
{
	return send_tcp(FROM_CLIENT, TCP_ACK | TCP_PSH, CLIENT_START + offset, SERVER_START, text);
}

/* I9 */
static void connection_that_ended_is_told_as_suricata_does(void **state)
{
	const char *request = "GET / HTTP/1.1\r\n\r\n";
	uint32_t behind = CLIENT_START + (uint32_t)strlen(request);
	json_t *event, *flow, *tcp;

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, request), PASSED);
	send_tcp(FROM_SERVER, TCP_ACK | TCP_FIN, SERVER_START, behind, NULL);
	send_tcp(FROM_CLIENT, TCP_ACK | TCP_FIN, behind, SERVER_START + 1, NULL);
	send_tcp(FROM_SERVER, TCP_ACK, SERVER_START + 1, behind + 1, NULL);
	assert_null(next_event(EVENT_LANE_FLOWS));
	end_all_flows();
	event = next_event(EVENT_LANE_FLOWS);
	assert_non_null(event);
	check_text(event, "event_type", "flow");
	check_text(event, "src_ip", "192.0.2.100");
	check_text(event, "dest_ip", "192.0.2.10");
	check_number(event, "src_port", 40000);
	check_number(event, "dest_port", 80);
	check_text(event, "proto", "TCP");
	check_text(event, "app_proto", "http");
	check_text(event, "partition", "web");
	check_text(event, "origin", "physical");
	assert_null(json_object_get(event, "pkt_src"));
	flow = json_object_get(event, "flow");
	check_number(flow, "pkts_toserver", 4);
	check_number(flow, "pkts_toclient", 3);
	check_number(flow, "bytes_toserver", 4 * 54 + (json_int_t)strlen(request));
	check_number(flow, "bytes_toclient", 3 * 54);
	/* Seconds of the clock on the wall, which may have turned meanwhile. */
	assert_in_range(json_integer_value(json_object_get(flow, "age")), 0, 1);
	check_text(flow, "state", "closed");
	check_text(flow, "reason", "timeout");
	assert_true(json_is_false(json_object_get(flow, "alerted")));
	tcp = json_object_get(event, "tcp");
	check_text(tcp, "tcp_flags", "1b");
	check_text(tcp, "tcp_flags_ts", "1b");
	check_text(tcp, "tcp_flags_tc", "13");
	check_text(tcp, "state", "closed");
	assert_true(json_is_true(json_object_get(tcp, "syn")));
	assert_null(json_object_get(tcp, "rst"));
	json_decref(event);
	assert_null(next_event(EVENT_LANE_FLOWS));
}

/* The flow's one record, when it ends now. */
static void check_end(const char *state, const char *tcp_state)
{
	json_t *event;

	end_all_flows();
	event = next_event(EVENT_LANE_FLOWS);
	assert_non_null(event);
	check_text(json_object_get(event, "flow"), "state", state);
	check_text(json_object_get(event, "tcp"), "state", tcp_state);
	json_decref(event);
}

/* I9 */
static void state_of_a_connection_is_that_of_its_last_packet(void **state)
{
	(void)state;
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL);
	check_end("new", "syn_sent");
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START - 1, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START - 1, CLIENT_START, NULL);
	check_end("new", "syn_recv");
	shake_hands();
	check_end("established", "established");
	shake_hands();
	send_tcp(FROM_CLIENT, TCP_ACK | TCP_FIN, CLIENT_START, SERVER_START, NULL);
	check_end("established", "close_wait");
	shake_hands();
	send_tcp(FROM_SERVER, TCP_ACK | TCP_FIN, SERVER_START, CLIENT_START, NULL);
	check_end("established", "fin_wait1");
	shake_hands();
	send_tcp(FROM_SERVER, TCP_RST | TCP_ACK, SERVER_START, CLIENT_START, NULL);
	check_end("closed", "closed");
}

/* I9: an alert, and what a rule did to the flow, are in its record. */
static void flow_tells_of_alerts_and_of_its_verdict(void **state)
{
	json_t *event, *flow;

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
	end_all_flows();
	event = next_event(EVENT_LANE_FLOWS);
	flow = json_object_get(event, "flow");
	assert_true(json_is_true(json_object_get(flow, "alerted")));
	check_text(flow, "action", "drop");
	json_decref(event);
}

/* I9: one record for each flow that has to go, however it ends. */
static void evicted_and_reused_flows_are_told(void **state)
{
	uint32_t capacity = flow_table_capacity(worker()->flows);
	json_t *event;

	(void)state;
	shake_hands();
	send_tcp(FROM_CLIENT, TCP_SYN, 70000, 0, NULL);
	send_tcp(FROM_SERVER, TCP_SYN | TCP_ACK, SERVER_START + 99, 70001, NULL);
	event = next_event(EVENT_LANE_FLOWS);
	check_text(json_object_get(event, "flow"), "reason", "tcp_reuse");
	json_decref(event);
	for (uint32_t i = 0; i < capacity; i++)
		submit(make_udp(FROM_CLIENT, (uint16_t)(1024 + i), "hello"));
	event = next_event(EVENT_LANE_FLOWS);
	check_text(json_object_get(event, "flow"), "reason", "forced");
	json_decref(event);
	assert_null(next_event(EVENT_LANE_FLOWS));
}

static void check_anomaly(const char *type, const char *name)
{
	json_t *event = next_event(EVENT_LANE_ANOMALIES);

	assert_non_null(event);
	check_text(event, "event_type", "anomaly");
	check_text(event, "src_ip", "192.0.2.100");
	check_text(json_object_get(event, "anomaly"), "type", type);
	check_text(json_object_get(event, "anomaly"), "event", name);
	json_decref(event);
	assert_null(next_event(EVENT_LANE_ANOMALIES));
}

/* I9 */
static void oddities_of_streams_are_told(void **state)
{
	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /index.html"), PASSED);
	assert_null(next_event(EVENT_LANE_ANOMALIES));
	client_sends(0, "GET /etc/hosts!");
	check_anomaly("stream", "stream.reassembly_overlap_different_data");
	client_sends(10000000, "far beyond");
	check_anomaly("stream", "stream.est_packet_out_of_window");
	send_tcp(FROM_CLIENT, TCP_ACK, CLIENT_START + 15, SERVER_START + 5000, NULL);
	check_anomaly("stream", "stream.pkt_invalid_ack");
	send_tcp(FROM_CLIENT, TCP_RST, CLIENT_START + 5000000, 0, NULL);
	check_anomaly("stream", "stream.suspected_rst_inject");
	send_tcp(FROM_CLIENT, TCP_SYN, CLIENT_START + 77, 0, NULL);
	check_anomaly("stream", "stream.est_syn_resend_diff_seq");
	send_segment((struct segment){.from_client = true,
		.flags = TCP_ACK,
		.sequence = CLIENT_START + 15,
		.acknowledgement = SERVER_START,
		.payload = "more",
		.has_bad_checksum = true});
	check_anomaly("stream", "stream.pkt_invalid_checksum");
}

/* I9 */
static void malformed_headers_are_told(void **state)
{
	(void)state;
	send_segment((struct segment){.from_client = true,
		.flags = TCP_SYN,
		.sequence = CLIENT_START - 1,
		.has_broken_options = true});
	check_anomaly("decode", "decoder.tcp.opt_invalid_len");
	assert_int_equal(bench_builtin()->workers[0]->counters.malformed_by[DECODE_TCP_OPTIONS], 1);
}

/* I9 */
static void only_wanted_types_are_recorded(void **state)
{
	(void)state;
	bench_builtin()->settings->event_types = 1u << EVE_DROP;
	shake_hands();
	client_sends(10000000, "far beyond");
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
	end_all_flows();
	assert_int_equal(count_lane(EVENT_LANE_FLOWS), 0);
	assert_int_equal(count_lane(EVENT_LANE_ANOMALIES), 0);
	assert_int_equal(count_events(EVE_DROP, 1), 1);
	assert_int_equal(count_events(EVE_ALERT, 0), 0);
	assert_int_equal(bench_builtin()->base.counters[0].alerts, 1); /* counted all the same */
}

/* I9: flows and anomalies without number, unread: bounded, the losses counted, and each alert is
 * there. */
static void floods_displace_no_alert(void **state)
{
	const int flows = 20000;

	(void)state;
	for (int i = 0; i < flows; i++) {
		send_segment((struct segment){.from_client = true,
			.flags = TCP_ACK,
			.client_port = (uint16_t)(1024 + i),
			.payload = "x",
			.has_bad_checksum = true});
		submit(make_udp(FROM_CLIENT, (uint16_t)(1024 + i), "hello"));
		if (i % 1000 == 0)
			submit(make_udp(FROM_CLIENT, (uint16_t)(1024 + i), "query"));
	}
	end_all_flows();
	assert_int_equal(count_events(EVE_ALERT, 2), flows / 1000);
	assert_int_equal(event_lane_lost(&worker()->lanes[EVENT_LANE_ALERTS]), 0);
	assert_int_equal(count_lane(EVENT_LANE_FLOWS)
			+ (int)event_lane_lost(&worker()->lanes[EVENT_LANE_FLOWS]),
		flows);
	assert_true(event_lane_lost(&worker()->lanes[EVENT_LANE_FLOWS]) > 0);
	assert_int_equal(count_lane(EVENT_LANE_ANOMALIES)
			+ (int)event_lane_lost(&worker()->lanes[EVENT_LANE_ANOMALIES]),
		flows);
}

/* I9 */
static void statistics_have_suricatas_names(void **state)
{
	json_t *event, *stats, *group;

	(void)state;
	shake_hands();
	assert_int_equal(client_sends(0, "GET /etc/passwd"), DROPPED);
	submit(make_udp(FROM_CLIENT, 4000, "query"));
	end_all_flows();
	event = statistics_event(bench_builtin());
	check_text(event, "event_type", "stats");
	stats = json_object_get(event, "stats");
	group = json_object_get(stats, "decoder");
	check_number(group, "pkts", 5);
	check_number(group, "ipv4", 5);
	check_number(group, "tcp", 4);
	check_number(group, "udp", 1);
	check_number(group, "max_pkt_size", 69);
	group = json_object_get(stats, "tcp");
	check_number(group, "syn", 1);
	check_number(group, "synack", 1);
	group = json_object_get(stats, "flow");
	check_number(group, "total", 2);
	check_number(group, "active", 0);
	group = json_object_get(json_object_get(group, "end"), "state");
	check_number(group, "established", 1);
	check_number(group, "new", 1);
	check_number(json_object_get(stats, "detect"), "alert", 2);
	check_number(json_object_get(stats, "ips"), "blocked", 1);
	check_number(json_object_get(stats, "ips"), "accepted", 4);
	assert_non_null(json_object_get(json_object_get(stats, "capture"), "kernel_packets"));
	json_decref(event);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)
	const struct CMUnitTest tests[] = {
		TEST(connection_that_ended_is_told_as_suricata_does),
		TEST(state_of_a_connection_is_that_of_its_last_packet),
		TEST(flow_tells_of_alerts_and_of_its_verdict),
		TEST(evicted_and_reused_flows_are_told),
		TEST(oddities_of_streams_are_told),
		TEST(malformed_headers_are_told),
		TEST(only_wanted_types_are_recorded),
		TEST(floods_displace_no_alert),
		TEST(statistics_have_suricatas_names),
	};

	return cmocka_run_group_tests(tests, open_group, NULL);
}
