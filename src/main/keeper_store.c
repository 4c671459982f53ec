/* SPDX-License-Identifier: BSD-3-Clause */
#include "main/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct keeper_item {
	struct list node;
	struct handover_item head;
	uint8_t data[];
};

void keeper_store_init(struct keeper_store *store)
{
	list_init(&store->items);
	store->count = 0;
}

static struct keeper_item *store_find(const struct keeper_store *store, const char *key)
{
	list_foreach (node, &store->items) {
		struct keeper_item *item = list_entry(node, struct keeper_item, node);

		if (strcmp(item->head.key, key) == 0)
			return item;
	}
	return NULL;
}

static void close_all(const int *descriptors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(descriptors[i]);
}

static void store_remove(struct keeper_store *store, struct keeper_item *item)
{
	list_remove(&item->node);
	store->count--;
	close_all(item->head.descriptors, item->head.descriptor_count);
	free(item);
}

void keeper_store_clear(struct keeper_store *store)
{
	list_foreach_safe (node, &store->items)
		store_remove(store, list_entry(node, struct keeper_item, node));
}

/* Replaces an item in its place: the order of items is that of their first coming. */
static int store_put(struct keeper_store *store, const struct keeper_message *message, size_t size,
	const int *descriptors, size_t descriptor_count)
{
	struct keeper_item *old = store_find(store, message->key);
	struct keeper_item *item;

	if (!old && store->count >= KEEPER_ITEMS_MAX)
		return -ENOSPC;
	item = calloc(1, sizeof(*item) + size);
	if (!item)
		return -ENOMEM;
	strcpy(item->head.key, message->key); /* its end was checked */
	item->head.size = (uint32_t)size;
	item->head.descriptor_count = (uint32_t)descriptor_count;
	if (descriptor_count > 0) /* else there may be no array */
		memcpy(item->head.descriptors, descriptors,
			descriptor_count * sizeof(*descriptors));
	memcpy(item->data, message->data, size);
	list_insert_before(old ? &old->node : &store->items, &item->node);
	store->count++;
	if (old)
		store_remove(store, old);
	return 0;
}

static int store_drop(struct keeper_store *store, const char *key)
{
	struct keeper_item *item = store_find(store, key);

	if (item)
		store_remove(store, item);
	return 0;
}

int keeper_store_change(struct keeper_store *store, const struct keeper_message *message,
	size_t size, const int *descriptors, size_t descriptor_count)
{
	const size_t head = offsetof(struct keeper_message, data);
	bool is_whole = size >= head && size <= sizeof(*message)
		&& descriptor_count <= KEEPER_DESCRIPTORS_MAX
		&& memchr(message->key, '\0', KEEPER_KEY_SIZE);
	int status = -EINVAL;

	if (is_whole && message->operation == KEEPER_PUT) {
		status = store_put(store, message, size - head, descriptors, descriptor_count);
		if (status == 0)
			return 0;
	} else if (is_whole && message->operation == KEEPER_DROP) {
		status = store_drop(store, message->key);
	}
	close_all(descriptors, descriptor_count);
	return status;
}

static int write_all(int fd, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t written = write(fd, at, size);

		if (written < 0)
			return -errno;
		at += written;
		size -= (size_t)written;
	}
	return 0;
}

int keeper_store_write(const struct keeper_store *store, struct handover_header *header, int fd)
{
	int status;

	header->item_count = (uint32_t)store->count;
	status = write_all(fd, header, sizeof(*header));
	list_foreach (node, &store->items) {
		struct keeper_item *item = list_entry(node, struct keeper_item, node);

		if (status == 0)
			status = write_all(fd, &item->head, sizeof(item->head));
		if (status == 0)
			status = write_all(fd, item->data, item->head.size);
	}
	return status;
}

void keeper_store_share(const struct keeper_store *store)
{
	list_foreach (node, &store->items) {
		struct keeper_item *item = list_entry(node, struct keeper_item, node);

		for (size_t i = 0; i < item->head.descriptor_count; i++)
			fcntl(item->head.descriptors[i], F_SETFD, 0);
	}
}

static int handover_read_items(
	const uint8_t *at, const uint8_t *end, uint32_t count, handover_take_fn take, void *context)
{
	struct handover_item item;

	for (; count > 0; count--) {
		if ((size_t)(end - at) < sizeof(item))
			return -EINVAL;
		memcpy(&item, at, sizeof(item));
		at += sizeof(item);
		if ((size_t)(end - at) < item.size || !memchr(item.key, '\0', sizeof(item.key))
			|| item.descriptor_count > KEEPER_DESCRIPTORS_MAX)
			return -EINVAL;
		for (size_t i = 0; i < item.descriptor_count; i++)
			fcntl(item.descriptors[i], F_SETFD, FD_CLOEXEC);
		take(context, item.key, at, item.size, item.descriptors, item.descriptor_count);
		at += item.size;
	}
	return 0;
}

int handover_read(int fd, struct handover_header *header, handover_take_fn take, void *context)
{
	struct stat info;
	const uint8_t *data;
	size_t size;
	int status;

	if (fstat(fd, &info) < 0)
		return -errno;
	size = (size_t)info.st_size;
	if (size < sizeof(*header))
		return -EINVAL;
	data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	memcpy(header, data, sizeof(*header));
	status = handover_read_items(
		data + sizeof(*header), data + size, header->item_count, take, context);
	munmap((void *)data, size);
	return status;
}
