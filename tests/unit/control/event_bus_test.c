/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "control/events/eve_writer.h"
#include "control/events/event_bus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct event_bus *bus;
static int delivered;
static char last_line[4096];

static int setup(void **state)
{
	bus = event_bus_create();
	delivered = 0;
	last_line[0] = '\0';
	return bus ? 0 : -1;
}

static int teardown(void **state)
{
	event_bus_destroy(bus);
	return 0;
}

static void publish(const char *text)
{
	json_t *event = json_loads(text, 0, NULL);

	assert_non_null(event);
	event_bus_publish(bus, event);
}

static void count_delivery(void *context, int64_t id, const json_t *event)
{
	delivered++;
}

static void keep_line(void *context, enum event_weight weight, const char *line, size_t size)
{
	snprintf(last_line, sizeof(last_line), "%.*s", (int)size, line);
}

static json_t *recent(const char *params)
{
	json_t *parsed = json_loads(params, 0, NULL), *result = event_bus_recent(bus, parsed);

	json_decref(parsed);
	return result;
}

/* I9 */
static void completes_events_with_host_partition_and_time(void **state)
{
	json_t *config = json_pack("{s:s, s:{s:{}}}", "host", "hv1", "partitions", "web");
	json_t *event;

	event_bus_set_config(bus, config);
	event_bus_set_sink(bus, keep_line, NULL);
	publish("{\"event_type\": \"alert\", \"port\": \"web.eth0\", \"alert\": {\"gid\": 1}}");
	event = json_loads(last_line, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(event, "host")), "hv1");
	assert_string_equal(json_string_value(json_object_get(event, "partition")), "web");
	assert_int_equal(json_integer_value(json_object_get(event, "seq")), 1);
	assert_non_null(json_object_get(event, "alert"));
	assert_memory_equal(last_line, "{\"timestamp\":\"2", strlen("{\"timestamp\":\"2"));
	json_decref(event);
	publish("{\"type\": \"port_up\", \"port\": \"uplink\"}");
	event = json_loads(last_line, 0, NULL);
	assert_null(json_object_get(event, "partition"));
	assert_null(json_object_get(event, "type"));
	assert_string_equal(json_string_value(json_object_get(event, "event_type")), "port_up");
	json_decref(event);
	event_bus_set_config(bus, NULL);
	json_decref(config);
}

static void refuses_events_without_a_type_or_too_large(void **state)
{
	struct event_bus_counts counts;
	char *huge = calloc(1, EVENT_SIZE_MAX + 1);

	memset(huge, 'x', EVENT_SIZE_MAX);
	publish("{\"port\": \"a\"}");
	publish("[]");
	event_bus_publish(bus, json_pack("{s:s, s:s}", "event_type", "a", "b", huge));
	free(huge);
	event_bus_count(bus, &counts);
	assert_int_equal(counts.invalid, 3);
	assert_int_equal(counts.total, 0);
}

static void delivers_what_passes_the_filter(void **state)
{
	json_t *filter = json_loads("{\"types\": [\"alert\", \"port*\"]}", 0, NULL);
	int64_t id;

	assert_int_equal(event_bus_subscribe(bus, filter, count_delivery, &delivered, &id), 0);
	json_decref(filter);
	publish("{\"event_type\": \"alert\"}");
	publish("{\"event_type\": \"alerts\"}");
	publish("{\"event_type\": \"port_up\"}");
	publish("{\"event_type\": \"port\"}");
	publish("{\"event_type\": \"drop\"}");
	assert_int_equal(delivered, 3);
	assert_int_equal(event_bus_unsubscribe(bus, id, &bus), -ENOENT);
	assert_int_equal(event_bus_unsubscribe(bus, id, &delivered), 0);
	publish("{\"event_type\": \"alert\"}");
	assert_int_equal(delivered, 3);
}

static void filters_by_partition(void **state)
{
	json_t *filter = json_loads("{\"partition\": \"web\"}", 0, NULL);
	int64_t id;

	event_bus_subscribe(bus, filter, count_delivery, NULL, &id);
	json_decref(filter);
	publish("{\"event_type\": \"a\", \"partition\": \"web\"}");
	publish("{\"event_type\": \"a\", \"partition\": \"db\"}");
	publish("{\"event_type\": \"a\"}");
	assert_int_equal(delivered, 1);
}

static void limits_subscriptions_and_forgets_those_of_a_client(void **state)
{
	struct event_bus_counts counts;
	int64_t id;

	for (int i = 0; i < EVENT_BUS_SUBSCRIPTION_MAX; i++)
		assert_int_equal(event_bus_subscribe(bus, NULL, count_delivery,
					 i % 2 ? (void *)&bus : (void *)state, &id),
			0);
	assert_int_equal(event_bus_subscribe(bus, NULL, count_delivery, state, &id), -ENOSPC);
	event_bus_forget(bus, state);
	event_bus_count(bus, &counts);
	assert_int_equal(counts.subscriptions, EVENT_BUS_SUBSCRIPTION_MAX / 2);
}

static void pages_through_recent_events(void **state)
{
	json_t *page;

	for (int i = 0; i < 5; i++)
		publish(i % 2 ? "{\"event_type\": \"odd\"}" : "{\"event_type\": \"even\"}");
	page = recent("{\"limit\": 2}");
	assert_int_equal(json_array_size(json_object_get(page, "events")), 2);
	assert_string_equal(json_string_value(json_object_get(page, "next")), "2");
	json_decref(page);
	page = recent("{\"limit\": 3, \"after\": \"2\"}");
	assert_int_equal(json_array_size(json_object_get(page, "events")), 3);
	assert_null(json_object_get(page, "next"));
	json_decref(page);
	page = recent("{\"types\": [\"odd\"]}");
	assert_int_equal(json_array_size(json_object_get(page, "events")), 2);
	json_decref(page);
	/* Nonsense is no cursor, and hurts nobody. */
	page = recent("{\"after\": \"99999999999999999999999\"}");
	json_decref(page);
	page = recent("{\"after\": \"-3\"}");
	json_decref(page);
}

static void keeps_only_the_last_events(void **state)
{
	struct event_bus_counts counts;
	json_t *page, *first;

	for (int i = 0; i < EVENT_BUS_RECENT_MAX + 10; i++)
		publish("{\"event_type\": \"a\"}");
	page = recent("{\"limit\": 1}");
	first = json_array_get(json_object_get(page, "events"), 0);
	assert_int_equal(json_integer_value(json_object_get(first, "seq")), 11);
	json_decref(page);
	event_bus_count(bus, &counts);
	assert_int_equal(counts.total, EVENT_BUS_RECENT_MAX + 10);
}

static void keeps_recent_events_within_their_bytes(void **state)
{
	size_t size = EVENT_SIZE_MAX - 1000, pages = 0, count = 0;
	char *text = calloc(1, size + 1), after[32] = "0";

	memset(text, 'x', size);
	for (int i = 0; i < 400; i++)
		event_bus_publish(bus, json_pack("{s:s, s:s}", "event_type", "a", "b", text));
	free(text);
	for (;;) {
		json_t *params = json_pack("{s:s}", "after", after);
		json_t *page = event_bus_recent(bus, params);
		const char *next = json_string_value(json_object_get(page, "next"));

		count += json_array_size(json_object_get(page, "events"));
		pages++;
		snprintf(after, sizeof(after), "%s", next ? next : "");
		json_decref(params);
		json_decref(page);
		if (!*after)
			break;
	}
	assert_true(count > 100 && count * size <= EVENT_BUS_RECENT_SIZE_MAX);
	assert_true(pages > count / 2);
}

/* --- The EVE writer --- */

static int losses;

static void note_loss(void *context)
{
	losses++;
}

/* I9: a flood of connections does not wash alerts away; both are told in their order. */
static void keeps_alerts_beside_a_flood_of_records(void **state)
{
	json_t *page, *events;

	publish("{\"event_type\": \"alert\"}");
	for (int i = 0; i < 2 * EVENT_BUS_RECENT_MAX; i++)
		publish("{\"event_type\": \"flow\"}");
	publish("{\"event_type\": \"alert\"}");
	page = recent("{\"types\": [\"alert\"]}");
	assert_int_equal(json_array_size(json_object_get(page, "events")), 2);
	json_decref(page);
	page = recent("{\"limit\": 2}");
	events = json_object_get(page, "events");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(events, 0), "seq")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(events, 1), "seq")),
		2 + EVENT_BUS_RECENT_MAX);
	json_decref(page);
}

static void writes_whole_lines_to_a_file(void **state)
{
	uv_loop_t loop;
	struct eve_writer *writer;
	struct eve_counts counts;
	FILE *file = tmpfile();
	char text[64] = "";

	uv_loop_init(&loop);
	writer = eve_writer_create(&loop, note_loss, NULL);
	eve_writer_write(writer, EVENT_NEWS, "lost", 4); /* no file yet */
	eve_writer_set(writer, dup(fileno(file)));
	eve_writer_write(writer, EVENT_NEWS, "{\"a\":1}", 7);
	eve_writer_write(writer, EVENT_NEWS, "{\"b\":2}", 7);
	eve_writer_flush(writer);
	assert_int_equal(pread(fileno(file), text, sizeof(text), 0), 16);
	assert_memory_equal(text, "{\"a\":1}\n{\"b\":2}\n", 16);
	eve_writer_count(writer, &counts);
	assert_int_equal(counts.written, 2);
	assert_int_equal(counts.errors, 0);
	eve_writer_destroy(writer);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	fclose(file);
}

static void counts_what_a_full_disk_does_not_take(void **state)
{
	uv_loop_t loop;
	struct eve_writer *writer;
	struct eve_counts counts;
	FILE *full = fopen("/dev/full", "a");
	char line[1000];

	memset(line, 'x', sizeof(line));
	uv_loop_init(&loop);
	writer = eve_writer_create(&loop, note_loss, NULL);
	eve_writer_set(writer, dup(fileno(full)));
	for (int i = 0; i < 1100; i++)
		eve_writer_write(writer, EVENT_NEWS, line, sizeof(line));
	eve_writer_count(writer, &counts);
	assert_int_equal(counts.written, 0);
	assert_true(counts.errors >= 50 && counts.errors < 100);
	eve_writer_destroy(writer);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	fclose(full);
}

/* I9: records of traffic take half of what may wait, so that alerts find room. */
static void leaves_alerts_room_beside_records_of_traffic(void **state)
{
	uv_loop_t loop;
	struct eve_writer *writer;
	struct eve_counts counts, after;
	FILE *full = fopen("/dev/full", "a");
	char line[1000];

	memset(line, 'x', sizeof(line));
	uv_loop_init(&loop);
	writer = eve_writer_create(&loop, note_loss, NULL);
	eve_writer_set(writer, dup(fileno(full)));
	for (int i = 0; i < 1100; i++)
		eve_writer_write(writer, EVENT_BULK, line, sizeof(line));
	eve_writer_count(writer, &counts);
	assert_true(counts.errors > 550);
	for (int i = 0; i < 500; i++)
		eve_writer_write(writer, EVENT_NEWS, line, sizeof(line));
	eve_writer_count(writer, &after);
	assert_int_equal(after.errors, counts.errors);
	eve_writer_destroy(writer);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	fclose(full);
}

static void writes_each_line_as_a_message_of_syslog(void **state)
{
	uv_loop_t loop;
	struct eve_writer *writer;
	char text[64];
	int ends[2];

	uv_loop_init(&loop);
	writer = eve_writer_create(&loop, note_loss, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	eve_writer_set(writer, ends[0]);
	eve_writer_write(writer, EVENT_NEWS, "{\"a\":1}", 7);
	eve_writer_write(writer, EVENT_NEWS, "{}", 2);
	eve_writer_flush(writer);
	assert_int_equal(recv(ends[1], text, sizeof(text), MSG_DONTWAIT), 22);
	assert_memory_equal(text, "<174>bulkhead: {\"a\":1}", 22);
	assert_int_equal(recv(ends[1], text, sizeof(text), MSG_DONTWAIT), 17);
	eve_writer_destroy(writer);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	close(ends[1]);
}

static void tells_when_the_reader_of_the_socket_has_gone(void **state)
{
	uv_loop_t loop;
	struct eve_writer *writer;
	int ends[2];

	losses = 0;
	uv_loop_init(&loop);
	writer = eve_writer_create(&loop, note_loss, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	eve_writer_set(writer, ends[0]);
	close(ends[1]);
	eve_writer_write(writer, EVENT_NEWS, "{}", 2);
	eve_writer_flush(writer);
	eve_writer_flush(writer);
	assert_int_equal(losses, 1);
	eve_writer_destroy(writer);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			completes_events_with_host_partition_and_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refuses_events_without_a_type_or_too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(delivers_what_passes_the_filter, setup, teardown),
		cmocka_unit_test_setup_teardown(filters_by_partition, setup, teardown),
		cmocka_unit_test_setup_teardown(
			limits_subscriptions_and_forgets_those_of_a_client, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_through_recent_events, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_only_the_last_events, setup, teardown),
		cmocka_unit_test_setup_teardown(
			keeps_recent_events_within_their_bytes, setup, teardown),
		cmocka_unit_test(writes_whole_lines_to_a_file),
		cmocka_unit_test(counts_what_a_full_disk_does_not_take),
		cmocka_unit_test(leaves_alerts_room_beside_records_of_traffic),
		cmocka_unit_test_setup_teardown(
			keeps_alerts_beside_a_flood_of_records, setup, teardown),
		cmocka_unit_test(writes_each_line_as_a_message_of_syslog),
		cmocka_unit_test(tells_when_the_reader_of_the_socket_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
