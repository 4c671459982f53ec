/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper: the first process of bulkheadd, which survives its broker. It starts the broker,
 * passes signals on to it, and keeps what the next one needs: for each thing that must outlive a
 * broker (a role, a TAP, ...) an item of opaque bytes with descriptors. When the broker dies by a
 * signal the keeper starts another, which inherits them (decision 0007). It reads nothing but the
 * fixed messages below, of the broker, and never what they carry. One thread.
 *
 * Roles are children of the keeper, too: the broker makes them with CLONE_PARENT. So the keeper
 * reaps them, whichever broker made them, and tells the one that runs.
 */
#pragma once

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the broker is started with. */
#define KEEPER_FD   3 /* its socket to the keeper */
#define HANDOVER_FD 4 /* memory with what was kept: handover_header and its items */

#define KEEPER_KEY_SIZE        128
#define KEEPER_DATA_MAX        12288
#define KEEPER_DESCRIPTORS_MAX 16
#define KEEPER_ITEMS_MAX       8192

/* Broker to keeper, one packet each, with the item's descriptors attached. */
enum keeper_operation {
	KEEPER_PUT,   /* the item is new, or instead of the one of its key */
	KEEPER_DROP,  /* forget the item and close its descriptors */
	KEEPER_NOTIFY /* data is text for sd_notify(3), which only hears the first process */
};

struct keeper_message {
	uint32_t operation;
	char key[KEEPER_KEY_SIZE];
	uint8_t data[KEEPER_DATA_MAX]; /* as much as the packet holds */
};

/* Keeper to broker: a child ended; status is that of waitpid(2). */
struct keeper_ended {
	pid_t pid;
	int status;
};

struct handover_header {
	int ready_fd; /* of struct broker_options */
	uint32_t restarts;
	bool is_asked_to_stop; /* SIGTERM or SIGINT came; the broker before may not have seen it */
	struct keeper_ended last; /* restarts > 0: the broker before */
	uint32_t item_count;
};

struct handover_item {
	char key[KEEPER_KEY_SIZE];
	uint32_t size; /* of the data behind it */
	uint32_t descriptor_count;
	int descriptors[KEEPER_DESCRIPTORS_MAX];
};

/* keeper_store.c: the items; the store owns their descriptors. */
struct keeper_store {
	struct list items;
	size_t count;
};

void keeper_store_init(struct keeper_store *store);
void keeper_store_clear(struct keeper_store *store);
/* One packet of size bytes; takes the descriptors, also on error. PUT and DROP only. -EINVAL for
 * what no broker sends, -ENOSPC, -ENOMEM. */
int keeper_store_change(struct keeper_store *store, const struct keeper_message *message,
	size_t size, const int *descriptors, size_t descriptor_count);
/* Writes header (item_count is filled in) and items to fd. */
int keeper_store_write(const struct keeper_store *store, struct handover_header *header, int fd);
/* Lets an exec'ed program inherit the descriptors. */
void keeper_store_share(const struct keeper_store *store);

/* The broker's side of the same: reads header and calls take for each item, in the order in which
 * they were first put. take owns the descriptors. */
typedef void (*handover_take_fn)(void *context, const char *key, const void *data, size_t size,
	int *descriptors, size_t descriptor_count);
int handover_read(int fd, struct handover_header *header, handover_take_fn take, void *context);

struct broker_options;

/* Runs the daemon to its end; returns the exit code of the process. */
int keeper_run(const struct broker_options *options);
