/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/state_table.h"

void state_table_init(struct state_table *table)
{
	*table = (struct state_table){0};
	list_init(&table->rows);
}

void state_table_add(struct state_table *table, struct state_row *row)
{
	list_append(&table->rows, &row->node);
	table->count++;
	table->memory += row->view.capacity;
}

void state_table_remove(struct state_table *table, struct state_row *row)
{
	list_remove(&row->node);
	table->count--;
	table->memory -= row->view.capacity;
}

struct state_row *state_table_verify(const struct state_table *table, uint32_t direction,
	uint32_t endpoint, const struct partition *remote, uint32_t remote_endpoint,
	enum attach_reason *why)
{
	*why = ATTACH_REASON_NO_ROW;
	list_foreach (node, &table->rows) {
		struct state_row *row = list_entry(node, struct state_row, node);

		if (row->direction != direction || row->endpoint != endpoint)
			continue;
		if (row->remote == remote && row->remote_endpoint == remote_endpoint)
			return row;
		if (row->remote == remote)
			*why = ATTACH_REASON_WRONG_ENDPOINT;
		else if (*why == ATTACH_REASON_NO_ROW)
			*why = ATTACH_REASON_WRONG_PARTITION;
	}
	return NULL;
}
