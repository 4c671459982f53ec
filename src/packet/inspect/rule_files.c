/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/rule_files.h"

#include "packet/inspect/siphash.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SIZE_MAX (256 * 1024 * 1024)

struct reading {
	json_t *patterns;
	struct rule_files *files;
	rule_files_fn done;
	void *context;
};

void rule_files_destroy(struct rule_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < files->count; i++) {
		free((char *)files->files[i].name);
		free((char *)files->files[i].text);
	}
	free(files->files);
	json_decref(files->missing);
	free(files);
}

static void finish(struct reading *reading, const struct error *error)
{
	struct rule_files *files = reading->files;

	if (error) {
		rule_files_destroy(files);
		files = NULL;
	}
	reading->done(reading->context, files, error);
	json_decref(reading->patterns);
	free(reading);
}

/* Chained over all names and texts; the key need not be secret, the digest only tells changes. */
static void add_digest(struct rule_files *files, const void *data, size_t size)
{
	const struct siphash_key key = {.words = {size, files->digest}};
	uint64_t words[512];
	size_t count = size / sizeof(words[0]);
	const uint8_t *at = data;

	for (size_t part; count > 0; count -= part, at += part * sizeof(words[0])) {
		part = count < 512 ? count : 512;
		memcpy(words, at, part * sizeof(words[0]));
		files->digest = siphash_words(&key, words, part) ^ siphash_rotate(files->digest, 1);
	}
	memset(words, 0, sizeof(words[0]));
	memcpy(words, at, size % sizeof(words[0]));
	files->digest = siphash_words(&key, words, 1) ^ siphash_rotate(files->digest, 1);
}

static int read_all(int fd, char *text, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = read(fd, text + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO; /* it has become shorter */
		done += (size_t)got;
	}
	return 0;
}

static int add_file(struct rule_files *files, const char *name, int fd, struct error *error)
{
	struct inspector_file *grown, *file;
	struct stat info;
	char *text;
	int status;

	if (fstat(fd, &info) < 0)
		return error_set(error, -errno, "%s: %s", name, strerror(errno));
	if (info.st_size > FILE_SIZE_MAX)
		return error_set(error, -EFBIG, "%s: larger than %d MiB; split the file", name,
			FILE_SIZE_MAX / 1024 / 1024);
	grown = realloc(files->files, (files->count + 1) * sizeof(*grown));
	if (!grown)
		return error_set(error, -ENOMEM, "%s: no memory", name);
	files->files = grown;
	text = malloc((size_t)info.st_size + 1);
	if (!text)
		return error_set(error, -ENOMEM, "%s: no memory for %lld bytes", name,
			(long long)info.st_size);
	status = read_all(fd, text, (size_t)info.st_size);
	if (status < 0) {
		free(text);
		return error_set(error, status, "%s: %s", name, strerror(-status));
	}
	text[info.st_size] = '\0';
	file = &files->files[files->count];
	file->name = strdup(name);
	file->text = text;
	file->size = (size_t)info.st_size;
	if (!file->name) {
		free(text);
		return error_set(error, -ENOMEM, "%s: no memory", name);
	}
	files->count++;
	add_digest(files, name, strlen(name));
	add_digest(files, text, file->size);
	return 0;
}

static void ask(struct reading *reading, json_t *after);

static void on_files(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	struct reading *reading = context;
	const json_t *files = json_object_get(result, "files");
	json_t *next = json_object_get(result, "next"), *missing;
	struct error error;

	if (failure) {
		const char *message = json_string_value(json_object_get(failure, "message"));

		error_set(&error, -EIO, "inspection.rules: %s", message ? message : "not readable");
		finish(reading, &error);
		return;
	}
	for (size_t i = 0; i < json_array_size(files) && i < descriptor_count; i++) {
		const char *path =
			json_string_value(json_object_get(json_array_get(files, i), "path"));

		if (add_file(reading->files, path ? path : "?", descriptors[i], &error) < 0) {
			finish(reading, &error);
			return;
		}
	}
	missing = json_object_get(result, "missing");
	if (json_is_array(missing))
		json_array_extend(reading->files->missing, missing);
	if (json_is_integer(next))
		ask(reading, next);
	else
		finish(reading, NULL);
}

static void ask(struct reading *reading, json_t *after)
{
	packet_broker_call("broker.open_rules",
		json_pack("{s:O, s:o}", "patterns", reading->patterns, "after",
			after ? json_incref(after) : json_integer(0)),
		NULL, 0, on_files, reading);
}

void rule_files_read(const json_t *patterns, rule_files_fn done, void *context)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	struct error error;

	if (reading) {
		reading->done = done;
		reading->context = context;
		reading->files = calloc(1, sizeof(*reading->files));
	}
	if (!reading || !reading->files) {
		free(reading);
		error_set(&error, -ENOMEM, "inspection.rules: no memory");
		done(context, NULL, &error);
		return;
	}
	reading->files->missing = json_array();
	reading->patterns = json_deep_copy(patterns);
	if (json_array_size(patterns) == 0)
		finish(reading, NULL);
	else
		ask(reading, NULL);
}
