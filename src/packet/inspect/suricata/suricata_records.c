/* SPDX-License-Identifier: BSD-3-Clause */
/* What Suricata tells: its EVE records, over a socket that we listen on. */
#include "base/log.h"
#include "packet/inspect/eve.h"
#include "packet/inspect/inspect_names.h"
#include "packet/inspect/suricata/suricata.h"
#include "packet/inspect/suricata/suricata_eve.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 4

static bool find_origin(
	const struct suricata *suricata, const struct suricata_key *key, struct origin *out)
{
	for (uint16_t i = 0; key->has_macs && i < suricata->external.worker_count; i++)
		if (origins_find(suricata->origins[i], key->macs, key->vlan, out))
			return true;
	return false;
}

/* Of the packet, or when that was long ago, of whom it was for. */
static void complete(
	const struct suricata *suricata, const struct suricata_key *key, json_t *record)
{
	struct origin origin = {.ingress_port = UINT16_MAX};
	struct inspect_names names;
	bool is_known = find_origin(suricata, key, &origin);

	inspect_find_names(&origin, key->macs, key->vlan, &names);
	suricata_eve_complete(record,
		&(struct suricata_names){.in_interface = names.port,
			.partition = names.partition,
			.origin = is_known ? eve_origin_name(&origin) : NULL});
}

static void on_record(void *context, json_t *record)
{
	struct suricata_control *control = context;
	struct suricata_key key;
	const char *type;

	if (!control->owner)
		return;
	if (!suricata_eve_read(record, &key)) {
		control->events_refused++;
		return;
	}
	control->events++;
	type = json_string_value(json_object_get(record, "event_type"));
	/* Workers do not count alerts of this engine: the first one's counter is ours. */
	if (strcmp(type, "alert") == 0)
		__atomic_fetch_add(
			&control->owner->external.base.counters[0].alerts, 1, __ATOMIC_RELAXED);
	if (strcmp(type, "drop") == 0)
		suricata_eve_count_drop(record, control->drops);
	complete(control->owner, &key, record);
	packet_emit_event(json_incref(record));
}

/* ---- connections ---- */

static void on_client_closed(uv_handle_t *handle)
{
	struct suricata_client *client = handle->data;

	client->is_open = false;
	suricata_control_put(client->control);
	free(client);
}

static void close_client(struct suricata_client *client)
{
	struct suricata_control *control = client->control;

	for (size_t i = 0; i < SURICATA_CLIENTS; i++)
		if (control->clients[i] == client)
			control->clients[i] = NULL;
	control->events_refused += client->lines.invalid;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct suricata_client *client = handle->data;

	*out = uv_buf_init(client->read_buffer, sizeof(client->read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct suricata_client *client = stream->data;

	if (size < 0)
		close_client(client);
	else
		json_lines_feed(
			&client->lines, buffer->base, (size_t)size, on_record, client->control);
}

/* One more than it can have: the oldest is the one that is gone. */
static size_t make_place(struct suricata_control *control)
{
	for (size_t i = 0; i < SURICATA_CLIENTS; i++)
		if (!control->clients[i])
			return i;
	close_client(control->clients[0]);
	return 0;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct suricata_control *control = listener->data;
	struct suricata_client *client = calloc(1, sizeof(*client));

	if (status < 0 || !client) {
		free(client);
		return;
	}
	client->control = control;
	control->references++;
	uv_pipe_init(packet_loop(), &client->pipe, 0);
	client->pipe.data = client;
	client->is_open = true;
	control->clients[make_place(control)] = client;
	if (uv_accept(listener, (uv_stream_t *)&client->pipe) < 0
		|| uv_read_start((uv_stream_t *)&client->pipe, on_allocate, on_read) < 0)
		close_client(client);
}

static void on_listener_closed(uv_handle_t *handle)
{
	suricata_control_put(handle->data);
}

int suricata_records_open(struct suricata_control *control, struct error *error)
{
	int status;

	(void)unlink(control->eve);
	uv_pipe_init(packet_loop(), &control->listener, 0);
	control->listener.data = control;
	control->references++;
	status = uv_pipe_bind(&control->listener, control->eve);
	/* Its folder says who gets there. */
	if (status == 0 && chmod(control->eve, 0666) < 0)
		status = -errno;
	if (status == 0)
		status = uv_listen((uv_stream_t *)&control->listener, BACKLOG, on_connection);
	if (status == 0)
		return 0;
	uv_close((uv_handle_t *)&control->listener, on_listener_closed);
	return error_set(error, status, "inspection.suricata: cannot listen on %s: %s",
		control->eve, uv_strerror(status));
}

void suricata_records_close(struct suricata_control *control)
{
	for (size_t i = 0; i < SURICATA_CLIENTS; i++)
		if (control->clients[i])
			close_client(control->clients[i]);
	uv_close((uv_handle_t *)&control->listener, on_listener_closed);
}

uint64_t suricata_records_invalid(const struct suricata_control *control)
{
	uint64_t total = control->events_refused;

	for (size_t i = 0; i < SURICATA_CLIENTS; i++)
		if (control->clients[i])
			total += control->clients[i]->lines.invalid;
	return total;
}
