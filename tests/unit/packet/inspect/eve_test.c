/* SPDX-License-Identifier: BSD-3-Clause */
/* EVE JSON as SIEMs read it (I9): Suricata's names and types. */
#include "packet/inspect/eve.h"
#include "packet/inspect/event_ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct eve_record make_record(enum eve_type type)
{
	static const uint8_t frame[] = "\x52\x54\x00\x00\x10\x01\x52\x54\x00\x00\xff\x01\x08\x00"
				       "GET \x01 \"quoted\"";
	const struct decoded decoded = {.frame = frame,
		.frame_size = sizeof(frame) - 1,
		.ip_version = 4,
		.protocol = 6,
		.source = {192, 0, 2, 100},
		.destination = {192, 0, 2, 10},
		.source_port = 40000,
		.destination_port = 80,
		.payload_offset = 14,
		.payload_size = sizeof(frame) - 15};
	const struct packet_metadata metadata = {.vlan = 10, .origin = {.kind = ORIGIN_PHYSICAL}};
	struct eve_record record;

	eve_fill(&record, type, &decoded, &metadata);
	record.has_signature = true;
	record.gid = 1;
	record.sid = 1000001;
	record.rev = 2;
	record.severity = 1;
	record.is_blocked = true;
	record.has_flow = true;
	record.flow_id = 1234567890123;
	record.to_server = true;
	eve_copy_text(record.message, "path traversal");
	eve_copy_text(record.category, "Web Application Attack");
	return record;
}

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_int_t number_at(const json_t *object, const char *key)
{
	assert_true(json_is_integer(json_object_get(object, key)));
	return json_integer_value(json_object_get(object, key));
}

static const struct eve_names names = {
	.in_interface = "uplink", .partition = "web", .drop_reason = "inspect_rule"};

/* I9 */
static void alert_has_the_fields_of_suricata(void **state)
{
	struct eve_record record = make_record(EVE_ALERT);
	json_t *event = eve_to_json(&record, &names), *alert = json_object_get(event, "alert");

	(void)state;
	assert_string_equal(text_at(event, "event_type"), "alert");
	assert_int_equal(strlen(text_at(event, "timestamp")), 31);
	assert_int_equal(number_at(event, "flow_id"), 1234567890123);
	assert_string_equal(text_at(event, "in_iface"), "uplink");
	assert_int_equal(json_integer_value(json_array_get(json_object_get(event, "vlan"), 0)), 10);
	assert_string_equal(text_at(event, "src_ip"), "192.0.2.100");
	assert_int_equal(number_at(event, "src_port"), 40000);
	assert_string_equal(text_at(event, "dest_ip"), "192.0.2.10");
	assert_int_equal(number_at(event, "dest_port"), 80);
	assert_string_equal(text_at(event, "proto"), "TCP");
	assert_string_equal(text_at(event, "pkt_src"), "wire/pcap");
	assert_string_equal(text_at(event, "direction"), "to_server");
	assert_string_equal(text_at(alert, "action"), "blocked");
	assert_int_equal(number_at(alert, "gid"), 1);
	assert_int_equal(number_at(alert, "signature_id"), 1000001);
	assert_int_equal(number_at(alert, "rev"), 2);
	assert_string_equal(text_at(alert, "signature"), "path traversal");
	assert_string_equal(text_at(alert, "category"), "Web Application Attack");
	assert_int_equal(number_at(alert, "severity"), 1);
	assert_string_equal(text_at(event, "partition"), "web");
	assert_string_equal(text_at(event, "origin"), "physical");
	json_decref(event);
}

/* I9 */
static void payload_is_printable_and_bounded(void **state)
{
	struct eve_record record = make_record(EVE_ALERT);
	json_t *event = eve_to_json(&record, &names);

	(void)state;
	assert_string_equal(text_at(event, "payload_printable"), "GET . \"quoted\"");
	json_decref(event);
	memset(record.payload, 0xff, sizeof(record.payload));
	record.payload_size = EVE_PAYLOAD_SIZE;
	event = eve_to_json(&record, &names);
	assert_int_equal(strlen(text_at(event, "payload_printable")), EVE_PAYLOAD_SIZE);
	json_decref(event);
}

/* I9 */
static void drop_tells_why(void **state)
{
	struct eve_record record = make_record(EVE_DROP);
	json_t *event = eve_to_json(&record, &names);

	(void)state;
	assert_string_equal(text_at(event, "event_type"), "drop");
	assert_string_equal(text_at(json_object_get(event, "drop"), "reason"), "inspect_rule");
	assert_non_null(json_object_get(event, "alert"));
	json_decref(event);
}

/* I9 */
static void alert_tells_the_metadata_of_its_rule(void **state)
{
	json_t *metadata = json_pack("{s:[s,s], s:[s]}", "mitre_tactic_id", "TA0001", "TA0002",
		"signature_severity", "Major");
	json_t *expected = json_deep_copy(metadata), *event;
	struct eve_record record = make_record(EVE_ALERT);

	(void)state;
	eve_hold_metadata(&record, metadata);
	json_decref(metadata); /* the ruleset is gone before the record is read */
	event = eve_to_json(&record, &names);
	assert_true(
		json_equal(json_object_get(json_object_get(event, "alert"), "metadata"), expected));
	json_decref(event);
	record.type = EVE_DROP;
	event = eve_to_json(&record, &names);
	assert_null(json_object_get(json_object_get(event, "alert"), "metadata"));
	json_decref(event);
	eve_release(&record);
	json_decref(expected);
	record = make_record(EVE_ALERT);
	eve_hold_metadata(&record, NULL);
	event = eve_to_json(&record, &names);
	assert_null(json_object_get(json_object_get(event, "alert"), "metadata"));
	json_decref(event);
}

static void frame_without_ip_has_no_addresses(void **state)
{
	struct eve_record record = make_record(EVE_ALERT);
	const struct eve_names none = {0};
	json_t *event;

	(void)state;
	record.ip_version = 0;
	record.has_flow = false;
	event = eve_to_json(&record, &none);
	assert_null(json_object_get(event, "src_ip"));
	assert_null(json_object_get(event, "proto"));
	assert_null(json_object_get(event, "flow_id"));
	assert_null(json_object_get(event, "partition"));
	json_decref(event);
}

static void ring_gives_records_in_order_and_counts_what_is_lost(void **state)
{
	struct event_ring *ring = event_ring_create(4, sizeof(int));
	const int *record;

	(void)state;
	assert_null(event_ring_peek(ring));
	for (int i = 0; i < 6; i++) {
		int *slot = event_ring_reserve(ring);

		assert_int_equal(slot != NULL, i < 4);
		if (!slot)
			continue;
		*slot = i;
		event_ring_commit(ring);
	}
	assert_int_equal(event_ring_lost(ring), 2);
	for (int i = 0; i < 4; i++) {
		record = event_ring_peek(ring);
		assert_int_equal(*record, i);
		event_ring_release(ring);
	}
	assert_null(event_ring_peek(ring));
	event_ring_destroy(ring);
}

/* I9: Suricata's `len` is the IP header's, not the frame's. */
static void drop_has_the_headers_of_suricata(void **state)
{
	static const uint8_t ipv4[] =
		"\x52\x54\x00\x00\x10\x01\x52\x54\x00\x00\xff\x01\x08\x00"
		"\x45\x08\x00\x1d\x12\x34\x00\x00\x3f\x11\x00\x00\xc0\x00\x02\x64\xc0\x00\x02\x0a"
		"\x00\x35\x27\x0f\x00\x09\x00\x00x padding of the frame";
	static const uint8_t ipv6[] =
		"\x52\x54\x00\x00\x10\x01\x52\x54\x00\x00\xff\x01\x86\xdd"
		"\x60\x1a\xbc\xde\x00\x08\x3b\x40"
		"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"
		"12345678";
	const struct packet_metadata metadata = {.vlan = 10, .origin = {.kind = ORIGIN_PHYSICAL}};
	struct decoded decoded;
	struct eve_record record;
	json_t *event, *drop;

	(void)state;
	decode_frame(ipv4, sizeof(ipv4) - 1, &decoded);
	eve_fill(&record, EVE_DROP, &decoded, &metadata);
	event = eve_to_json(&record, &names);
	drop = json_object_get(event, "drop");
	assert_int_equal(number_at(drop, "len"), 29);
	assert_int_equal(number_at(drop, "tos"), 8);
	assert_int_equal(number_at(drop, "ttl"), 63);
	assert_int_equal(number_at(drop, "ipid"), 0x1234);
	assert_int_equal(number_at(drop, "udplen"), 9);
	json_decref(event);

	decode_frame(ipv6, sizeof(ipv6) - 1, &decoded);
	eve_fill(&record, EVE_DROP, &decoded, &metadata);
	event = eve_to_json(&record, &names);
	drop = json_object_get(event, "drop");
	assert_int_equal(number_at(drop, "len"), 8);
	assert_int_equal(number_at(drop, "tc"), 1);
	assert_int_equal(number_at(drop, "hoplimit"), 64);
	assert_int_equal(number_at(drop, "flowlbl"), 0xabcde);
	json_decref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alert_has_the_fields_of_suricata),
		cmocka_unit_test(payload_is_printable_and_bounded),
		cmocka_unit_test(drop_tells_why),
		cmocka_unit_test(alert_tells_the_metadata_of_its_rule),
		cmocka_unit_test(frame_without_ip_has_no_addresses),
		cmocka_unit_test(ring_gives_records_in_order_and_counts_what_is_lost),
		cmocka_unit_test(drop_has_the_headers_of_suricata),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
