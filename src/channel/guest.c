/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/guest.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Connections beyond a partition's processes, to tell those that come then why they may not. */
#define GUEST_SPARE 8

struct guest_process {
	struct ring_stream stream; /* first: the stream's owner is found by it */
	struct vsock_connection *connection;
	struct session *session; /* NULL: it was not said yet who it is */
	int failure;             /* negative errno: it ends when the device comes to it */
};

static struct guest_process *process_of(struct ring_stream *stream)
{
	return (struct guest_process *)(void *)stream;
}
_Static_assert(offsetof(struct guest_process, stream) == 0, "process_of()");

static struct guest_owner *owner_of(const struct guest_process *process)
{
	return process->connection->device->context;
}

static void wake_owner(const struct guest_process *process)
{
	owner_of(process)->wake(owner_of(process)->context);
}

/* --- To the guest --- */

static int queue_notice(
	struct guest_process *process, const struct attach_notice *notice, uint32_t direction)
{
	const struct stream_head head = {.size = sizeof(head) + sizeof(*notice),
		.kind = STREAM_NOTICE,
		.row = notice->row,
		.value = direction};

	return ring_stream_queue(&process->stream, &head, notice);
}

static const struct state_row *find_row(const struct session *session, uint32_t id)
{
	list_foreach (node, &session->rows) {
		const struct state_row *row = list_entry(node, struct state_row, session_node);

		if (row->id == id)
			return row;
	}
	return NULL;
}

/* What a process would have been given: we are its end of the ring. A guest that reads nothing has
 * rings that are about to end, and cannot have ever more of them. */
static int open_mirror(struct guest_process *process, const struct state_row *row,
	const struct attach_notice *notice, const int *descriptors)
{
	const struct stream_head what = {.row = row->id, .value = row->direction == ATTACH_RECEIVE};
	const struct policy_partition *settings = process->session->partition->settings;
	int bell, wake, status;
	struct ring_mirror *mirror;

	if (process->stream.mirror_count >= 2 * settings->row_max)
		return -ENOBUFS;
	bell = fcntl(descriptors[ATTACH_BELL], F_DUPFD_CLOEXEC, 0);
	wake = fcntl(descriptors[ATTACH_WAKE], F_DUPFD_CLOEXEC, 0);
	status = ring_mirror_open(&process->stream, &what, descriptors[ATTACH_MEMORY],
		notice->capacity, bell, wake, &mirror);
	if (status == 0 && (bell < 0 || wake < 0))
		status = -EMFILE;
	return status < 0 ? status : owner_of(process)->watch(owner_of(process)->context, wake);
}

static int send_notice(struct guest_process *process, const struct attach_notice *notice,
	const int *descriptors, size_t count)
{
	struct ring_mirror *mirror = ring_mirror_find(&process->stream, notice->row);
	const struct stream_head last = {
		.size = sizeof(last) + sizeof(*notice), .kind = STREAM_NOTICE, .row = notice->row};
	const struct state_row *row = NULL;
	int status;

	if (notice->kind == ATTACH_DOWN && mirror) {
		ring_mirror_end(mirror, &last, notice);
		return 0;
	}
	if (count == ATTACH_DESCRIPTORS)
		row = find_row(process->session, notice->row);
	status = row ? open_mirror(process, row, notice, descriptors) : 0;
	return status < 0 ? status : queue_notice(process, notice, row ? row->direction : 0);
}

void guest_send(struct session *session, const struct attach_notice *notice, const int *descriptors,
	size_t count)
{
	struct guest_process *process = session->context;
	int status = send_notice(process, notice, descriptors, count);

	if (status < 0 && process->failure == 0)
		process->failure = status;
	wake_owner(process);
}

void guest_row_gone(struct session *session, uint32_t row)
{
	struct guest_process *process = session->context;
	struct ring_mirror *mirror = ring_mirror_find(&process->stream, row);
	const struct stream_head last = {.size = sizeof(last), .kind = STREAM_GONE, .row = row};

	if (mirror)
		ring_mirror_end(mirror, &last, NULL);
}

static void free_process(struct guest_process *process)
{
	ring_stream_close(&process->stream);
	free(process);
}

void guest_forget(struct session *session)
{
	struct guest_process *process = session->context;

	wake_owner(process);
	vsock_connection_end(process->connection, true);
	free_process(process);
}

/* --- From the guest --- */

static int refuse(struct guest_process *process, int why)
{
	const struct attach_notice notice = {.kind = ATTACH_ANSWER, .status = why};
	int status = queue_notice(process, &notice, 0);

	log_warning("process_refused", log_str("partition", owner_of(process)->partition),
		log_errno(why));
	vsock_connection_end(process->connection, false);
	return status;
}

/* The first frame. */
static int take_identity(
	struct guest_process *process, const struct stream_head *head, const void *body)
{
	struct partition *partition =
		cmm_find_partition(owner_of(process)->cmm, owner_of(process)->partition);
	struct stream_process who;
	int status = partition ? 0 : -ENOENT;

	if (head->kind != STREAM_PROCESS || head->size != sizeof(*head) + sizeof(who))
		return -EPROTO;
	memcpy(&who, body, sizeof(who));
	if (who.version != GUEST_VERSION)
		return refuse(process, -EPROTONOSUPPORT);
	if (who.pid == 0 || who.pid > INT32_MAX || who.padding != 0)
		return -EPROTO;
	if (status == 0)
		status = cmm_session_open(
			partition, (pid_t)who.pid, who.uid, process, &process->session);
	if (status < 0)
		return refuse(process, status);
	process->session->is_guest = true;
	return 0;
}

static int answer_alive(struct guest_process *process)
{
	const struct stream_head head = {.size = sizeof(head), .kind = STREAM_ALIVE};

	return ring_stream_queue(&process->stream, &head, NULL);
}

static int on_frame(struct ring_stream *stream, const struct stream_head *head, const void *body)
{
	struct guest_process *process = process_of(stream);

	if (head->kind == STREAM_ALIVE)
		return answer_alive(process);
	if (!process->session)
		return take_identity(process, head, body);
	if (head->kind != STREAM_REQUEST || head->value != 0)
		return -EPROTO;
	return cmm_handle(process->session, body, head->size - sizeof(*head));
}

/* --- The device's --- */

static int open_process(struct vsock_connection *connection)
{
	static const struct ring_stream_ops ops = {.frame = on_frame};
	const struct guest_owner *owner = connection->device->context;
	const struct partition *partition = cmm_find_partition(owner->cmm, owner->partition);
	struct guest_process *process;

	if (!partition
		|| connection->device->connection_count
			>= partition->settings->process_max + GUEST_SPARE)
		return -EDQUOT;
	process = malloc(sizeof(*process));
	if (!process)
		return -ENOMEM;
	process->connection = connection;
	process->session = NULL;
	process->failure = 0;
	ring_stream_open(&process->stream, &ops);
	connection->process = process;
	connection->stream = &process->stream;
	return 0;
}

static void close_process(struct vsock_connection *connection)
{
	struct guest_process *process = connection->process;

	/* Nothing of the rings is told to the guest any more; the session's end is to others. */
	ring_stream_close(&process->stream);
	if (process->session)
		cmm_session_close(process->session);
	free_process(process);
}

static int take(struct vsock_connection *connection, const uint8_t *bytes, size_t size)
{
	struct guest_process *process = connection->process;
	int status = ring_stream_take(&process->stream, bytes, size);

	if (status < 0)
		log_warning("process_turned_out",
			log_str("partition", owner_of(process)->partition),
			log_int("pid", process->session ? process->session->pid : 0),
			log_str("why", "its agent sent what is no request"));
	return status;
}

static int fill(struct vsock_connection *connection)
{
	struct guest_process *process = connection->process;

	return process->failure ? process->failure : ring_stream_fill(&process->stream);
}

const struct vsock_ops guest_vsock_ops = {
	.open = open_process, .close = close_process, .take = take, .fill = fill};

/* Fills the stream when there is something after all: it is then the guest that is waited for. */
static bool arm_process(struct guest_process *process)
{
	if (process->failure || ring_stream_waiting(&process->stream) > 0
		|| ring_stream_arm(&process->stream))
		return true;
	process->failure = ring_stream_fill(&process->stream);
	return false;
}

bool guest_arm(const struct vsock_device *device)
{
	bool is_armed = true;

	list_foreach (node, &device->order) {
		const struct vsock_connection *connection =
			list_entry(node, struct vsock_connection, node);

		if (connection->process)
			is_armed &= arm_process(connection->process);
	}
	return is_armed;
}
