/* SPDX-License-Identifier: BSD-3-Clause */
#include "schema/config_document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a configuration of 4 MiB of YAML can become, with defaults, has room in this. */
#define DOCUMENT_SIZE_MAX (64 * 1024 * 1024)

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		text += written;
		size -= (size_t)written;
	}
	return 0;
}

static int text_to_memory(const char *text, size_t size, int *out)
{
	int fd, r;

	if (size > DOCUMENT_SIZE_MAX)
		return -E2BIG;
	fd = memfd_create("configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, size);
	if (r == 0
		&& fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
			< 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	*out = fd;
	return 0;
}

int config_document_attach(json_t *params, const json_t *document, int *fd, struct error *error)
{
	char *text = json_dumps(document, JSON_COMPACT);
	size_t size;
	int r = 0;

	*fd = -1;
	if (!text)
		return error_set(error, -ENOMEM, "no memory for the configuration document");
	size = strlen(text);
	if (size <= CONFIG_DOCUMENT_INLINE_SIZE) {
		/* A copy: the receiver's side of an in-process test may not share it. */
		if (json_object_set_new(params, "config", json_deep_copy(document)) < 0)
			r = error_set(error, -ENOMEM, "no memory for the configuration document");
	} else {
		r = text_to_memory(text, size, fd);
		if (r < 0)
			error_set(error, r, "cannot pass the configuration in memory: %s",
				strerror(-r));
	}
	free(text);
	return r;
}

int config_document_to_memory(const json_t *document, int *fd, struct error *error)
{
	char *text = json_dumps(document, JSON_COMPACT);
	int r = text ? text_to_memory(text, strlen(text), fd) : -ENOMEM;

	free(text);
	if (r < 0)
		error_set(error, r, "cannot put the configuration into memory: %s", strerror(-r));
	return r;
}

/* The sender may be another role: the size is bounded, and what is parsed is a private mapping. */
static int document_from_memory(int fd, json_t **document, struct error *error)
{
	struct stat status;
	json_error_t json_error;
	void *text;

	if (fstat(fd, &status) < 0)
		return error_set(error, -errno, "cannot read the configuration document: %s",
			strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size <= 0 || status.st_size > DOCUMENT_SIZE_MAX
		|| (fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_WRITE))
			!= (F_SEAL_SHRINK | F_SEAL_WRITE))
		return error_set(error, -EINVAL, "the configuration document is not sealed memory");
	text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return error_set(error, -errno, "cannot map the configuration document: %s",
			strerror(errno));
	*document = json_loadb(text, (size_t)status.st_size, JSON_REJECT_DUPLICATES, &json_error);
	munmap(text, (size_t)status.st_size);
	if (!*document)
		return error_set(error, -EINVAL, "the configuration document is no JSON: %s",
			json_error.text);
	return 0;
}

int config_document_receive(const json_t *params, int fd, json_t **document, struct error *error)
{
	json_t *config = json_object_get(params, "config");

	*document = NULL;
	if (json_is_object(config)) {
		*document = json_incref(config);
		return 0;
	}
	if (fd < 0)
		return error_set(
			error, -EINVAL, "there is neither `config` nor a descriptor with it");
	return document_from_memory(fd, document, error);
}
