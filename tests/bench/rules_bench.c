/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Detection alone: time to compile a rule file, and segments of 1,448 bytes of text a second, each
 * with new bytes of one stream. usage: bench-rules FILE [CACHE] (see generate_rules.py)
 */
#include "packet/inspect/builtin/detect.h"

#include "base/clock.h"
#include "packet/inspect/compile_progress.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SEGMENT  1448
#define SEGMENTS 64
#define SECONDS  2

static char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "r");
	char *text;

	if (!file || fseek(file, 0, SEEK_END) < 0) {
		perror(path);
		exit(1);
	}
	*size = (size_t)ftell(file);
	rewind(file);
	text = malloc(*size + 1);
	if (!text || fread(text, 1, *size, file) != *size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	return text;
}

/* Words and numbers, as in a page: deterministic. */
static void fill(uint8_t *bytes, size_t size)
{
	static const char *const words[] = {"the ", "server ", "index", "cookie=", "value", "\r\n",
		"Content-", "update ", "/login", "?id=", "system.", "report ", "window ", "42"};
	uint32_t state = 1;
	size_t at = 0;

	while (at < size) {
		const char *word = words[(state >> 16) % (sizeof(words) / sizeof(words[0]))];
		size_t length = strlen(word) < size - at ? strlen(word) : size - at;

		memcpy(bytes + at, word, length);
		at += length;
		state = state * 1103515245U + 12345U;
	}
}

static struct ruleset *compile(const char *path, const char *cache_path)
{
	struct ruleset_file file = {.name = path};
	char *text = read_file(path, &file.size);
	uint64_t started_ns = clock_monotonic_ns();
	int cache_fd = cache_path ? open(cache_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	struct compile_progress progress = {0};
	const struct ruleset_source source = {.files = &file,
		.file_count = 1,
		.worker_count = 1,
		.progress = &progress,
		.cache_fd = cache_path ? &cache_fd : NULL};
	struct ruleset *ruleset;
	struct rusage usage;
	struct error error;
	json_t *status;
	char *line;

	file.text = text;
	if (ruleset_build(&source, &ruleset, NULL, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	status = ruleset_status(ruleset);
	line = json_dumps(status, JSON_PRESERVE_ORDER);
	getrusage(RUSAGE_SELF, &usage);
	printf("compiled in %.2f s%s, at most %ld MiB of memory: %s\n",
		(double)(clock_monotonic_ns() - started_ns) / (double)CLOCK_NS_PER_S,
		progress.has_used_cache ? ", patterns from the cache" : "", usage.ru_maxrss / 1024,
		line);
	if (cache_fd >= 0)
		close(cache_fd);
	free(line);
	json_decref(status);
	free(text);
	return ruleset;
}

int main(int count, char **arguments)
{
	static uint8_t bytes[DETECT_WINDOW_BYTES + SEGMENT * SEGMENTS];
	struct decoded decoded = {.ip_version = 4,
		.protocol = 6,
		.l4_offset = 34,
		.source_port = 40000,
		.destination_port = 80};
	struct detect_flow flow = {0};
	struct detect_context context = {.packet = &decoded,
		.flow = &flow,
		.to_server = true,
		.is_established = true,
		.is_in_stream = true};
	struct detect_stream stream = {0};
	uint64_t started_ns, elapsed_ns, segments = 0, alerts = 0;
	struct ruleset *ruleset;

	if (count != 2 && count != 3) {
		fprintf(stderr, "usage: bench-rules FILE [CACHE]\n");
		return 2;
	}
	ruleset = compile(arguments[1], arguments[2]);
	fill(bytes, sizeof(bytes));
	started_ns = clock_monotonic_ns();
	do {
		size_t at = segments % SEGMENTS * SEGMENT;
		struct detect_result result;

		detect_result_init(&result);
		detect_stream(ruleset, 0, &context, &stream, bytes + at,
			DETECT_WINDOW_BYTES + SEGMENT, DETECT_WINDOW_BYTES, segments * SEGMENT,
			DETECT_WINDOW_BYTES, &result);
		detect_packet(ruleset, 0, &context, &result);
		detect_result_finish(&result);
		alerts += result.alert_count;
		segments++;
		elapsed_ns = clock_monotonic_ns() - started_ns;
	} while (elapsed_ns < SECONDS * CLOCK_NS_PER_S);
	printf("%.3f million segments/s, %.2f Gbit/s, %llu alerts\n",
		(double)segments * 1e3 / (double)elapsed_ns,
		(double)segments * SEGMENT * 8 / (double)elapsed_ns, (unsigned long long)alerts);
	ruleset_destroy(ruleset);
	return 0;
}
