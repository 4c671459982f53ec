/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bulkhead-replay: what `bulkhead inspect replay` becomes. Settings (`inspection` of a normalised
 * configuration) come on descriptor 3, events go to standard output.
 *
 *	bulkhead-replay [--delivered FILE] [--json] CAPTURE
 *
 * The summary goes to stderr, or with --json as one more line of JSON.
 */
#include "packet/inspect/replay/replay.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define SETTINGS_FD 3

static int fail(const struct error *error)
{
	fprintf(stderr, "bulkhead: %s\n", error->text);
	return 1;
}

static json_t *summarise(const struct replay_counts *counts)
{
	json_t *status = replay_status(), *drops = json_object();
	json_t *summary = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O?, s:O?}", "packets",
		(json_int_t)counts->packets, "bytes", (json_int_t)counts->bytes, "passed",
		(json_int_t)counts->passed, "changed",
		json_integer_value(json_object_get(status, "replaced")), "dropped",
		(json_int_t)counts->dropped, "unread", (json_int_t)counts->unread, "alerts",
		(json_int_t)counts->alerts, "rules_loaded", json_object_get(status, "rules_loaded"),
		"rules_refused", json_object_get(status, "rules_refused"));

	for (int i = 0; i < DROP_REASON_COUNT; i++)
		if (counts->drops[i])
			json_object_set_new(drops, drop_descriptions[i].name,
				json_integer((json_int_t)counts->drops[i]));
	json_object_set_new(summary, "drops", drops);
	json_decref(status);
	return summary;
}

static void print_summary(const json_t *summary)
{
	static const char *const keys[] = {"packets", "passed", "changed", "dropped", "unread",
		"alerts", "rules_loaded", "rules_refused"};
	static const char *const words[] = {
		"packets", "passed", "changed", "dropped", "unread", "alerts", "rules", "refused"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		fprintf(stderr, "%s%s %lld", i ? ", " : "", words[i],
			(long long)json_integer_value(json_object_get(summary, keys[i])));
	fputc('\n', stderr);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"delivered", required_argument, NULL, 'd'},
		{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	struct replay_output output = {.eve = stdout};
	const char *delivered = NULL;
	struct error error = {0};
	json_error_t parse_error;
	bool is_json = false;
	json_t *settings, *summary;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'd')
			delivered = optarg;
		else if (option == 'j')
			is_json = true;
		else
			return 2;
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: bulkhead inspect replay CAPTURE\n");
		return 2;
	}
	/* A capture is a file from anywhere. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	settings = json_loadfd(SETTINGS_FD, 0, &parse_error);
	if (!settings) {
		fprintf(stderr, "bulkhead: start this by `bulkhead inspect replay`\n");
		return 2;
	}
	if (replay_open(settings, &error) < 0)
		return fail(&error);
	json_decref(settings);
	if (replay_file(argv[optind], delivered, &output, &error) < 0)
		return fail(&error);
	summary = summarise(&output.counts);
	if (is_json) {
		json_dumpf(summary, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print_summary(summary);
	}
	json_decref(summary);
	replay_close();
	return fflush(stdout) == 0 ? 0 : 1;
}
