/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/builtin/rules/pattern_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX  4096
#define DATABASE_MAX ((uint64_t)1 << 30)

static const char magic[8] = "BHPATT01";

/* A file: head, databases, entries. Numbers as the machine has them, as Hyperscan's own. */
struct head {
	char magic[8];
	uint64_t count, entries_at;
	uint8_t digest[SHA256_SIZE]; /* of the entries */
};

struct entry {
	struct pattern_key key;
	uint8_t digest[SHA256_SIZE]; /* of the bytes */
	uint64_t offset, size;
};

struct pattern_cache {
	int fd;
	struct entry *entries;
	size_t count, capacity;
	uint64_t end; /* where the next database goes */
};

/* ---- keys ---- */

void pattern_key_make(struct pattern_key *key, const char *const *patterns,
	const unsigned int *flags, const size_t *sizes, size_t count)
{
	hs_platform_info_t platform = {0};
	struct sha256 hash;

	sha256_begin(&hash);
	sha256_add(&hash, hs_version(), strlen(hs_version()) + 1);
	hs_populate_platform(&platform);
	sha256_add(&hash, &platform.tune, sizeof(platform.tune));
	sha256_add(&hash, &platform.cpu_features, sizeof(platform.cpu_features));
	for (size_t i = 0; i < count; i++) {
		const uint64_t size = sizes[i], flag = flags[i];

		sha256_add(&hash, &flag, sizeof(flag));
		sha256_add(&hash, &size, sizeof(size));
		sha256_add(&hash, patterns[i], sizes[i]);
	}
	sha256_end(&hash, key->digest);
}

static void digest_of(const void *bytes, size_t size, uint8_t out[SHA256_SIZE])
{
	struct sha256 hash;

	sha256_begin(&hash);
	sha256_add(&hash, bytes, size);
	sha256_end(&hash, out);
}

/* ---- the file ---- */

static bool read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static int write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t put =
			pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? -errno : -EIO;
		done += (size_t)put;
	}
	return 0;
}

/* Why the file may not be trusted, NULL: it may. Who can write it can make this process do
 * anything, so that is nobody but its user, or root. */
static const char *distrust(const struct stat *info)
{
	if (!S_ISREG(info->st_mode))
		return "it is not a regular file";
	if (info->st_uid != 0 && info->st_uid != geteuid())
		return "it belongs to another user";
	if (info->st_mode & (S_IWGRP | S_IWOTH))
		return "others may write it";
	if (info->st_nlink > 1)
		return "it has other names";
	return NULL;
}

static bool entries_fit(const struct pattern_cache *cache, uint64_t file_size)
{
	for (size_t i = 0; i < cache->count; i++) {
		const struct entry *entry = &cache->entries[i];

		if (entry->size > DATABASE_MAX || entry->offset > file_size
			|| entry->size > file_size - entry->offset)
			return false;
	}
	return true;
}

/* Fills the list of entries. NULL, or what is wrong with the file. */
static const char *read_entries(struct pattern_cache *cache, uint64_t file_size)
{
	uint8_t digest[SHA256_SIZE];
	struct head head;

	if (!read_at(cache->fd, &head, sizeof(head), 0)
		|| memcmp(head.magic, magic, sizeof(magic)) != 0 || head.count > ENTRIES_MAX)
		return "it is no cache of this version";
	cache->entries = calloc(head.count + 1, sizeof(*cache->entries));
	if (!cache->entries)
		return "no memory for it";
	if (!read_at(cache->fd, cache->entries, head.count * sizeof(*cache->entries),
		    head.entries_at))
		return "it is cut off";
	digest_of(cache->entries, head.count * sizeof(*cache->entries), digest);
	if (memcmp(digest, head.digest, sizeof(digest)) != 0)
		return "it is damaged";
	cache->count = head.count;
	return entries_fit(cache, file_size) ? NULL : "it is cut off";
}

struct pattern_cache *pattern_cache_open(int fd, struct error *problem)
{
	struct pattern_cache *cache = calloc(1, sizeof(*cache));
	const char *why = NULL;
	struct stat info;

	problem->text[0] = '\0';
	if (!cache)
		return NULL;
	cache->fd = fd;
	if (fstat(fd, &info) < 0)
		why = strerror(errno);
	else if (info.st_size > 0 || distrust(&info))
		why = distrust(&info);
	if (!why && info.st_size > 0)
		why = read_entries(cache, (uint64_t)info.st_size);
	if (why) {
		error_set(problem, 0, "%s", why);
		cache->count = 0;
	}
	return cache;
}

void pattern_cache_close(struct pattern_cache *cache)
{
	if (!cache)
		return;
	free(cache->entries);
	free(cache);
}

/* ---- databases ---- */

static const struct entry *find(const struct pattern_cache *cache, const struct pattern_key *key)
{
	for (size_t i = 0; i < cache->count; i++)
		if (memcmp(&cache->entries[i].key, key, sizeof(*key)) == 0)
			return &cache->entries[i];
	return NULL;
}

static hs_database_t *read_database(const struct pattern_cache *cache, const struct entry *entry)
{
	char *bytes = malloc(entry->size ? entry->size : 1);
	hs_database_t *database = NULL;
	uint8_t digest[SHA256_SIZE];

	if (bytes && read_at(cache->fd, bytes, entry->size, entry->offset)) {
		digest_of(bytes, entry->size, digest);
		if (memcmp(digest, entry->digest, sizeof(digest)) != 0
			|| hs_deserialize_database(bytes, entry->size, &database) != HS_SUCCESS)
			database = NULL;
	}
	free(bytes);
	return database;
}

hs_database_t *pattern_cache_find(struct pattern_cache *cache, const struct pattern_key *key)
{
	const struct entry *entry = find(cache, key);

	return entry ? read_database(cache, entry) : NULL;
}

static int fail(struct pattern_cache *cache, int status, struct error *error)
{
	(void)ftruncate(cache->fd, 0);
	return error_set(error, -EIO, "%s", strerror(-status));
}

int pattern_cache_begin(struct pattern_cache *cache, size_t count, struct error *error)
{
	struct stat info;

	free(cache->entries);
	cache->entries = calloc(count + 1, sizeof(*cache->entries));
	cache->count = 0;
	cache->capacity = count < ENTRIES_MAX ? count : ENTRIES_MAX;
	cache->end = sizeof(struct head);
	/* What nobody could trust is not written either. */
	if (fstat(cache->fd, &info) == 0 && distrust(&info))
		return error_set(error, -EIO, "%s", distrust(&info));
	if (!cache->entries)
		return fail(cache, -ENOMEM, error);
	/* Without its head it is no cache, should this end midway. */
	return ftruncate(cache->fd, 0) == 0 ? 0 : fail(cache, -errno, error);
}

int pattern_cache_add(struct pattern_cache *cache, const struct pattern_key *key,
	const hs_database_t *database, struct error *error)
{
	struct entry *entry = &cache->entries[cache->count];
	char *bytes;
	size_t size;
	int status;

	/* Groups may have the same patterns. */
	if (cache->count == cache->capacity || find(cache, key))
		return 0;
	if (hs_serialize_database(database, &bytes, &size) != HS_SUCCESS)
		return fail(cache, -ENOMEM, error);
	*entry = (struct entry){.key = *key, .offset = cache->end, .size = size};
	digest_of(bytes, size, entry->digest);
	status = write_at(cache->fd, bytes, size, cache->end);
	free(bytes);
	if (status < 0)
		return fail(cache, status, error);
	cache->end += size;
	cache->count++;
	return 0;
}

int pattern_cache_end(struct pattern_cache *cache, struct error *error)
{
	struct head head = {.count = cache->count, .entries_at = cache->end};
	int status;

	memcpy(head.magic, magic, sizeof(magic));
	digest_of(cache->entries, cache->count * sizeof(*cache->entries), head.digest);
	status = write_at(
		cache->fd, cache->entries, cache->count * sizeof(*cache->entries), cache->end);
	if (status == 0)
		status = write_at(cache->fd, &head, sizeof(head), 0);
	return status < 0 ? fail(cache, status, error) : 0;
}
