/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/endpoint.h"

#include "channel/attach_protocol.h"

#include <errno.h>
#include <stdlib.h>

void endpoint_table_init(struct endpoint_table *table)
{
	*table = (struct endpoint_table){.next = ATTACH_STATIC_MAX + 1};
	list_init(&table->endpoints);
}

struct endpoint *endpoint_find(const struct endpoint_table *table, uint32_t id)
{
	list_foreach (node, &table->endpoints) {
		struct endpoint *endpoint = list_entry(node, struct endpoint, node);

		if (endpoint->id == id)
			return endpoint;
	}
	return NULL;
}

/* 0: the process may have this static id. */
static int endpoint_may_choose(const struct endpoint_table *table, uid_t uid, uint32_t id)
{
	if (id > ATTACH_STATIC_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < table->reservation_count; i++)
		if (table->reservations[i].id == id && table->reservations[i].uid != uid)
			return -EACCES;
	return endpoint_find(table, id) ? -EADDRINUSE : 0;
}

static uint32_t endpoint_next(struct endpoint_table *table)
{
	uint32_t id;

	/* Ends: there are far fewer than ids. */
	do {
		id = table->next;
		table->next = id == ATTACH_ENDPOINT_MAX ? ATTACH_STATIC_MAX + 1 : id + 1;
	} while (endpoint_find(table, id));
	return id;
}

int endpoint_bind(struct endpoint_table *table, struct list *session_list, struct session *owner,
	uid_t uid, uint32_t id, struct endpoint **out)
{
	int status = id ? endpoint_may_choose(table, uid, id) : 0;
	struct endpoint *endpoint;

	if (status < 0)
		return status;
	if (table->count >= table->limit)
		return -EDQUOT;
	endpoint = calloc(1, sizeof(*endpoint));
	if (!endpoint)
		return -ENOMEM;
	endpoint->id = id ? id : endpoint_next(table);
	endpoint->owner = owner;
	list_append(&table->endpoints, &endpoint->node);
	list_append(session_list, &endpoint->session_node);
	table->count++;
	*out = endpoint;
	return 0;
}

void endpoint_unbind(struct endpoint_table *table, struct endpoint *endpoint)
{
	list_remove(&endpoint->node);
	list_remove(&endpoint->session_node);
	table->count--;
	free(endpoint);
}
