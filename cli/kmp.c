/* SPDX-License-Identifier: BSD-3-Clause */
/* kmp: the key managers that there are, by the API; and the protocol itself, as a client of it. */
#include "bulkhead/kmp.h"

#include "cli/command.h"
#include "cli/format.h"
#include "cli/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECRET_FILE "/etc/bulkhead/kmp.secret"
#define NAME        "bulkhead"

/* --- sessions, by the API --- */

static void print_sessions(const json_t *sessions)
{
	static const struct table_column columns[] = {{"KEY MANAGER", false, true},
		{"STATE", false, false}, {"EVENTS", true, false}, {"OWNER", true, false}};
	struct table *table = table_create(columns, 4);
	json_t *session;
	size_t index;

	json_array_foreach (sessions, index, session) {
		const char *name = format_string(session, "name");
		bool is_connected = format_boolean(session, "is_connected");

		table_add(table, *name ? name : "(before the restart)");
		if (is_connected)
			table_add_styled(table, STYLE_GOOD, "connected");
		else
			table_add_format(table, "gone, its SAs stay for %lld s",
				(long long)format_integer(session, "grace_left_ms") / 1000);
		table_add_format(
			table, "%lld", (long long)format_integer(session, "events_waiting"));
		table_add_format(table, "%08llx", (long long)format_integer(session, "owner"));
	}
	format_print_table(table);
	table_destroy(table);
}

int kmp_sessions(struct cli *cli)
{
	json_t *result;

	if (cli_call(cli, "ipsec.sessions", NULL, &result) != 0)
		return CLI_FAILED;
	if (cli->is_json)
		cli_print_json(result);
	else if (!*format_string(result, "socket"))
		puts("There is no socket for key managers: ipsec.kmp is not configured.");
	else
		print_sessions(json_object_get(result, "sessions"));
	json_decref(result);
	return CLI_OK;
}

/* --- as a client --- */

/* What the name has brought stays as it is. */
static struct bulkhead_kmp *open_session(struct cli *cli)
{
	const char *secret = cli_value(cli, "secret"), *name = cli_value(cli, "name");
	const struct bulkhead_kmp_options options = {.socket = cli_value(cli, "kmp-socket"),
		.secret_file = secret ? secret : SECRET_FILE,
		.name = name ? name : NAME,
		.resumes = true};
	struct bulkhead_kmp_error error;
	struct bulkhead_kmp *kmp;

	if (bulkhead_kmp_open(&options, &kmp, &error) == 0)
		return kmp;
	cli_fail("%s", error.message);
	return NULL;
}

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int kmp_ping(struct cli *cli)
{
	struct bulkhead_kmp *kmp = open_session(cli);
	struct bulkhead_kmp_error error;
	double began = now_us(), us;

	if (!kmp)
		return CLI_FAILED;
	if (bulkhead_kmp_ping(kmp, &error) < 0) {
		bulkhead_kmp_close(kmp);
		return cli_fail("%s", error.message);
	}
	us = now_us() - began;
	if (cli->is_json) {
		json_t *result = json_pack("{s:f, s:I}", "round_trip_us", us, "grace_ms",
			(json_int_t)bulkhead_kmp_grace_ms(kmp));

		cli_print_json(result);
		json_decref(result);
	} else {
		printf("Both ends have the secret; an answer takes %.0f us.\n", us);
	}
	bulkhead_kmp_close(kmp);
	return CLI_OK;
}

static const char *address_text(const struct kmp_address *address, char out[INET6_ADDRSTRLEN])
{
	out[0] = '\0';
	if (address->version)
		inet_ntop(address->version == 4 ? AF_INET : AF_INET6, address->bytes, out,
			INET6_ADDRSTRLEN);
	return out;
}

static json_t *entry_json(const struct kmp_sa_entry *entry)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], spi[16];

	snprintf(spi, sizeof(spi), "%08x", entry->name.spi);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:i, s:i, s:I, s:I}", "spi", spi,
		"source", address_text(&entry->source, source), "destination",
		address_text(&entry->name.destination, destination), "direction",
		entry->direction == KMP_INBOUND ? "in" : "out", "mode",
		entry->mode == KMP_TUNNEL ? "tunnel" : "transport", "has_encapsulation",
		(entry->flags & KMP_SA_ENCAPSULATION) != 0, "has_esn",
		(entry->flags & KMP_SA_ESN) != 0, "source_port", entry->source_port,
		"destination_port", entry->destination_port, "reqid", (json_int_t)entry->request,
		"owner", (json_int_t)entry->owner);
}

static void print_sas(const json_t *sas)
{
	static const struct table_column columns[] = {{"SPI", false, false}, {"", false, false},
		{"SOURCE", false, true}, {"DESTINATION", false, true}, {"MODE", false, false},
		{"UDP", false, false}, {"REQID", true, false}, {"OWNER", true, false}};
	struct table *table = table_create(columns, 8);
	json_t *sa;
	size_t index;

	json_array_foreach (sas, index, sa) {
		table_add(table, format_string(sa, "spi"));
		table_add(table, format_string(sa, "direction"));
		table_add(table, format_string(sa, "source"));
		table_add(table, format_string(sa, "destination"));
		table_add(table, format_string(sa, "mode"));
		if (format_boolean(sa, "has_encapsulation"))
			table_add_format(table, "%lld-%lld",
				(long long)format_integer(sa, "source_port"),
				(long long)format_integer(sa, "destination_port"));
		else
			table_add(table, "-");
		table_add_format(table, "%lld", (long long)format_integer(sa, "reqid"));
		table_add_format(table, "%08llx", (long long)format_integer(sa, "owner"));
	}
	format_print_table(table);
	table_destroy(table);
}

static int read_sas(struct bulkhead_kmp *kmp, json_t *sas)
{
	static struct kmp_sa_entry entries[KMP_SAS_MAX];
	struct bulkhead_kmp_error error;
	uint32_t after = 0;
	size_t count;

	do {
		if (bulkhead_kmp_list(kmp, true, &after, entries, &count, &error) < 0)
			return cli_fail("%s", error.message);
		for (size_t i = 0; i < count; i++)
			json_array_append_new(sas, entry_json(&entries[i]));
	} while (after != 0);
	return CLI_OK;
}

int kmp_list(struct cli *cli)
{
	struct bulkhead_kmp *kmp = open_session(cli);
	json_t *sas = json_array(), *result;
	int code = kmp ? read_sas(kmp, sas) : CLI_FAILED;

	bulkhead_kmp_close(kmp);
	if (code == CLI_OK && cli->is_json) {
		result = json_pack("{s:O}", "sas", sas);
		cli_print_json(result);
		json_decref(result);
	} else if (code == CLI_OK) {
		print_sas(sas);
	}
	json_decref(sas);
	return code;
}

int kmp_stats(struct cli *cli)
{
	struct bulkhead_kmp *kmp = open_session(cli);
	struct bulkhead_kmp_error error;
	struct kmp_stats stats;
	json_t *result, *value;
	const char *name;
	int code;

	if (!kmp)
		return CLI_FAILED;
	code = bulkhead_kmp_stats(kmp, &stats, &error);
	bulkhead_kmp_close(kmp);
	if (code < 0)
		return cli_fail("%s", error.message);
	result = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "sessions",
		(json_int_t)stats.sessions, "requests", (json_int_t)stats.requests, "refused",
		(json_int_t)stats.refused, "malformed", (json_int_t)stats.malformed, "denied",
		(json_int_t)stats.denied, "events", (json_int_t)stats.events, "events_repeated",
		(json_int_t)stats.events_repeated, "events_lost", (json_int_t)stats.events_lost,
		"taken_over", (json_int_t)stats.taken_over, "expired", (json_int_t)stats.expired);
	if (cli->is_json)
		cli_print_json(result);
	else
		json_object_foreach (result, name, value)
			printf("%-16s %lld\n", name, (long long)json_integer_value(value));
	json_decref(result);
	return CLI_OK;
}

/* --- events --- */

static json_t *event_json(const struct kmp_event *event)
{
	char first[INET6_ADDRSTRLEN], second[INET6_ADDRSTRLEN], spi[16];

	snprintf(spi, sizeof(spi), "%08x", event->name.spi);
	switch (event->type) {
	case KMP_SA_EXPIRE:
		return json_pack("{s:s, s:s, s:s, s:b}", "event", "SA_EXPIRE", "spi", spi,
			"destination", address_text(&event->name.destination, first), "is_hard",
			event->is_hard);
	case KMP_SA_ACQUIRE:
		return json_pack("{s:s, s:I, s:s, s:s}", "event", "SA_ACQUIRE", "reqid",
			(json_int_t)event->request, "source",
			address_text(&event->selector.source_first, first), "destination",
			address_text(&event->selector.destination_first, second));
	case KMP_MAPPING_CHANGED:
		return json_pack("{s:s, s:s, s:s, s:i}", "event", "MAPPING_CHANGED", "spi", spi,
			"source", address_text(&event->source, first), "source_port",
			event->source_port);
	default:
		return json_pack("{s:s, s:I}", "event", "OVERRUN", "lost", (json_int_t)event->lost);
	}
}

static void print_event(const struct kmp_event *event)
{
	json_t *object = event_json(event);

	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static int follow(struct bulkhead_kmp *kmp, long long count, int64_t timeout_ms)
{
	double end_us = now_us() + (double)timeout_ms * 1e3;
	struct bulkhead_kmp_error error;
	struct kmp_event event;

	stream_catch_signals();
	while (count != 0 && !stream_is_interrupted()) {
		double left_ms = timeout_ms ? (end_us - now_us()) / 1e3 : -1;
		int code;

		if (timeout_ms && left_ms <= 0)
			break;
		code = bulkhead_kmp_next_event(kmp, (int)left_ms, &event, &error);
		if (code == -ETIMEDOUT || code == -EINTR)
			continue;
		if (code == 0) {
			print_event(&event);
			code = bulkhead_kmp_acknowledge(kmp, &event, &error);
		}
		if (code < 0)
			return cli_fail("%s", error.message);
		count -= count > 0;
	}
	return CLI_OK;
}

int kmp_events(struct cli *cli)
{
	const char *count = cli_value(cli, "count");
	int64_t timeout_ms = stream_timeout(cli);
	struct bulkhead_kmp *kmp;
	int code;

	if (timeout_ms < 0)
		return CLI_USAGE;
	if (count && (strspn(count, "0123456789") != strlen(count) || atoll(count) <= 0))
		return cli_usage(cli, "--count %s: must be a whole number above 0", count);
	kmp = open_session(cli);
	if (!kmp)
		return CLI_FAILED;
	code = follow(kmp, count ? atoll(count) : -1, timeout_ms);
	bulkhead_kmp_close(kmp);
	return code;
}
