/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the packets of a capture past rule files, each packet on its own, and writes "packet sid"
 * for each alert (test_rule_parity.py). usage: detect-pcap CAPTURE RULES... */
#include "packet/inspect/builtin/detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GLOBAL_HEADER 24 /* of the pcap format, as tcpdump writes it in host order */
#define PACKET_HEADER 16

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;

	if (!file || fseek(file, 0, SEEK_END) < 0) {
		perror(path);
		exit(1);
	}
	*size = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(*size + 1);
	if (!bytes || fread(bytes, 1, *size, file) != *size) {
		fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	return bytes;
}

static void look_at(
	const struct ruleset *ruleset, unsigned int number, const uint8_t *frame, size_t size)
{
	struct detect_flow flow = {0};
	struct detect_result result;
	struct decoded decoded;
	struct detect_context context = {.packet = &decoded, .flow = &flow, .to_server = true};

	decode_frame(frame, size, &decoded);
	detect_result_init(&result);
	detect_packet(ruleset, 0, &context, &result);
	detect_result_finish(&result);
	for (size_t i = 0; i < result.alert_count; i++)
		printf("%u %u\n", number, result.alerts[i].rule->sid);
}

static void look_at_all(const struct ruleset *ruleset, const uint8_t *capture, size_t size)
{
	size_t at = GLOBAL_HEADER;

	for (unsigned int number = 1; at + PACKET_HEADER <= size; number++) {
		uint32_t captured;

		memcpy(&captured, capture + at + 8, sizeof(captured));
		at += PACKET_HEADER;
		if (captured > size - at)
			break;
		look_at(ruleset, number, capture + at, captured);
		at += captured;
	}
}

int main(int count, char **arguments)
{
	size_t size;
	uint8_t *capture;

	if (count < 3) {
		fprintf(stderr, "usage: detect-pcap CAPTURE RULES...\n");
		return 2;
	}
	capture = read_file(arguments[1], &size);
	for (int i = 2; i < count; i++) {
		struct ruleset_file file = {.name = arguments[i]};
		uint8_t *text = read_file(arguments[i], &file.size);
		struct ruleset *ruleset;
		struct error error;

		file.text = (const char *)text;
		if (ruleset_compile(&file, 1, NULL, 1, NULL, &ruleset, NULL, &error) < 0) {
			fprintf(stderr, "%s\n", error.text);
			return 1;
		}
		look_at_all(ruleset, capture, size);
		ruleset_destroy(ruleset);
		free(text);
	}
	free(capture);
	return 0;
}
