/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The channel key table (C2, C6, C7): one row for each row of the state tables, with the ids that
 * it is for, its key, and who set it. All of it is in secret memory; no function gives a key to
 * anybody but the stamp of a message, which is in secret memory, too.
 *
 * Who set a row is the exclusion of the seed's page 12 (its "valid flag"): once set by one side,
 * an attempt of the other is an exception, and changes nothing.
 *
 * Writer: the control thread, while no lane has a route with the row. Readers: lanes.
 */
#pragma once

#include "base/secret.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define KEY_SIZE 32 /* bytes: 256 bits; C2 asks for 128 at least */

/* Both ends of a channel. Partitions by the number that the role gave them. */
struct channel_ids {
	uint32_t sender_partition, sender_endpoint;
	uint32_t receiver_partition, receiver_endpoint;
};

/* What every message carries from the sender's half of the mechanism to the receiver's (C5). */
struct stamp {
	struct channel_ids ids;
	uint8_t key[KEY_SIZE];
};

enum key_setter { KEY_UNSET, KEY_SET_LOCAL, KEY_SET_REMOTE };

/* enum key_setter as people read it: "none", "local", "remote". */
const char *key_setter_name(enum key_setter setter);

struct key_row {
	struct stamp stamp; /* ids of the row, and the key */
	uint32_t setter;    /* enum key_setter */
	uint32_t is_used;
};

struct key_table {
	struct secret *memory;
	struct key_row *rows; /* in memory */
	uint32_t capacity, used;
	uint32_t hint; /* where a free row may be */
};

/* -ENOMEM, or what mlock(2) says. */
int key_table_open(struct key_table *table, uint32_t capacity);
/* Wipes all of it. */
void key_table_close(struct key_table *table);

/* A row without key for these ids; -ENOSPC. */
int key_table_claim(struct key_table *table, const struct channel_ids *ids, uint32_t *slot);
/* Wipes the row. */
void key_table_release(struct key_table *table, uint32_t slot);

/* Makes a new key for the row, by the local agent. -EALREADY: it has set one; -EKEYREJECTED: the
 * remote side has: an exception. */
int key_table_set_local(struct key_table *table, uint32_t slot);
/* Stores the key of another row, by the remote side. -EALREADY, -EKEYREJECTED likewise. */
int key_table_set_remote(struct key_table *table, uint32_t slot, uint32_t from_slot);
/* Stores what another host's mechanism has sent: its ids, which are those of its own row, and key.
 * -EALREADY, -EKEYREJECTED likewise. */
int key_table_set_far(struct key_table *table, uint32_t slot, const struct channel_ids *ids,
	const uint8_t key[KEY_SIZE]);
/* Wipes the key of a row and leaves its ids. */
void key_table_unset(struct key_table *table, uint32_t slot);
enum key_setter key_table_setter(const struct key_table *table, uint32_t slot);

/* Attaches ids and key of the sender's row to a message. stamp has to be in secret memory. */
static inline void key_table_stamp(
	const struct key_table *table, uint32_t slot, struct stamp *stamp)
{
	*stamp = table->rows[slot].stamp;
}

/* Whether ids and key are those of the receiver's row; in constant time. */
static inline bool key_table_verify(
	const struct key_table *table, uint32_t slot, const struct stamp *stamp)
{
	const uint8_t *ours = (const uint8_t *)&table->rows[slot].stamp;
	uint64_t difference = table->rows[slot].setter == KEY_UNSET, words[2];

	_Static_assert(sizeof(struct stamp) % sizeof(uint64_t) == 0, "compared by words");
	for (unsigned int at = 0; at < sizeof(*stamp); at += sizeof(uint64_t)) {
		memcpy(&words[0], ours + at, sizeof(uint64_t));
		memcpy(&words[1], (const uint8_t *)stamp + at, sizeof(uint64_t));
		difference |= words[0] ^ words[1];
	}
	return difference == 0;
}
