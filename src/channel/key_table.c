/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/key_table.h"

#include "base/id.h"

#include <errno.h>
#include <string.h>

const char *key_setter_name(enum key_setter setter)
{
	static const char *const names[] = {"none", "local", "remote"};

	return names[setter];
}

int key_table_open(struct key_table *table, uint32_t capacity)
{
	*table = (struct key_table){.capacity = capacity};
	table->memory = secret_create(capacity * sizeof(struct key_row));
	if (!table->memory)
		return -errno;
	table->rows = secret_bytes(table->memory);
	return 0;
}

void key_table_close(struct key_table *table)
{
	secret_destroy(table->memory);
	*table = (struct key_table){0};
}

int key_table_claim(struct key_table *table, const struct channel_ids *ids, uint32_t *slot)
{
	if (table->used == table->capacity)
		return -ENOSPC;
	while (table->rows[table->hint].is_used)
		table->hint = (table->hint + 1) % table->capacity;
	*slot = table->hint;
	table->rows[*slot].stamp.ids = *ids;
	table->rows[*slot].is_used = 1;
	table->used++;
	return 0;
}

void key_table_release(struct key_table *table, uint32_t slot)
{
	explicit_bzero(&table->rows[slot], sizeof(table->rows[slot]));
	table->hint = slot;
	table->used--;
}

/* 0, when nobody has set it yet. */
static int key_table_may_set(const struct key_row *row, enum key_setter setter)
{
	if (row->setter == KEY_UNSET)
		return 0;
	return row->setter == setter ? -EALREADY : -EKEYREJECTED;
}

int key_table_set_local(struct key_table *table, uint32_t slot)
{
	struct key_row *row = &table->rows[slot];
	int status = key_table_may_set(row, KEY_SET_LOCAL);

	if (status < 0)
		return status;
	id_random_bytes(row->stamp.key, KEY_SIZE);
	row->setter = KEY_SET_LOCAL;
	return 0;
}

int key_table_set_remote(struct key_table *table, uint32_t slot, uint32_t from_slot)
{
	struct key_row *row = &table->rows[slot];
	int status = key_table_may_set(row, KEY_SET_REMOTE);

	if (status < 0)
		return status;
	memcpy(row->stamp.key, table->rows[from_slot].stamp.key, KEY_SIZE);
	row->setter = KEY_SET_REMOTE;
	return 0;
}

int key_table_set_far(struct key_table *table, uint32_t slot, const struct channel_ids *ids,
	const uint8_t key[KEY_SIZE])
{
	struct key_row *row = &table->rows[slot];
	int status = key_table_may_set(row, KEY_SET_REMOTE);

	if (status < 0)
		return status;
	row->stamp.ids = *ids;
	memcpy(row->stamp.key, key, KEY_SIZE);
	row->setter = KEY_SET_REMOTE;
	return 0;
}

void key_table_unset(struct key_table *table, uint32_t slot)
{
	struct key_row *row = &table->rows[slot];

	explicit_bzero(row->stamp.key, KEY_SIZE);
	row->setter = KEY_UNSET;
}

enum key_setter key_table_setter(const struct key_table *table, uint32_t slot)
{
	return (enum key_setter)table->rows[slot].setter;
}
