/* SPDX-License-Identifier: BSD-3-Clause */
/* A process with channels, played by the test: what the mechanism has told it, and its end of one
 * ring. The mechanism's thread. */
#pragma once

#include "channel/cmm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOTICES_MAX 64

struct process {
	struct session *session;
	struct attach_notice notices[NOTICES_MAX];
	uint32_t notice_count;
	int descriptors[ATTACH_DESCRIPTORS]; /* of the last row */
	struct ring_view view;
	struct ring_producer producer;
	struct ring_consumer consumer;
	bool is_forgotten;
	uint32_t end_when_told; /* of the last row: what its ring said when ATTACH_DOWN came */
};

/* cmm_ops.send. */
static inline void process_send(struct session *session, const struct attach_notice *notice,
	const int *descriptors, size_t count)
{
	struct process *process = session->context;

	if (notice->kind == ATTACH_DOWN && process->view.shared)
		process->end_when_told =
			__atomic_load_n(&process->view.shared->end, __ATOMIC_ACQUIRE);
	if (process->notice_count < NOTICES_MAX)
		process->notices[process->notice_count++] = *notice;
	for (size_t i = 0; i < count; i++)
		process->descriptors[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 0);
}

static inline void process_attach(
	struct cmm *cmm, struct process *process, const char *partition, uid_t uid)
{
	struct partition *found = cmm_find_partition(cmm, partition);

	process->session = NULL;
	for (int i = 0; i < ATTACH_DESCRIPTORS; i++)
		process->descriptors[i] = -1;
	assert_int_equal(cmm_session_open(found, 100, uid, process, &process->session), 0);
}

static inline const struct attach_notice *ask(
	struct process *process, struct attach_request request)
{
	static uint32_t serial;

	process->notice_count = 0;
	request.serial = ++serial;
	assert_int_equal(cmm_handle(process->session, &request, sizeof(request)), 0);
	for (uint32_t i = 0; i < process->notice_count; i++)
		if (process->notices[i].kind == ATTACH_ANSWER
			&& process->notices[i].serial == serial)
			return &process->notices[i];
	fail_msg("no answer");
	return NULL;
}

static inline const struct attach_notice *find_notice(const struct process *process, uint32_t kind)
{
	for (uint32_t i = 0; i < process->notice_count; i++)
		if (process->notices[i].kind == kind)
			return &process->notices[i];
	return NULL;
}

static inline int hello(struct process *process)
{
	return ask(process,
		(struct attach_request){.operation = ATTACH_HELLO, .endpoint = ATTACH_VERSION})
		->status;
}

static inline int bind_endpoint(struct process *process, uint32_t id)
{
	return ask(process, (struct attach_request){.operation = ATTACH_BIND, .endpoint = id})
		->status;
}

static inline int act(struct process *process, uint32_t operation, uint32_t row)
{
	return ask(process, (struct attach_request){.operation = operation, .row = row})->status;
}

static inline const struct attach_notice *authorise(struct process *process, uint32_t endpoint,
	uint32_t direction, const char *remote, uint32_t remote_endpoint)
{
	struct attach_request request = {.operation = ATTACH_AUTHORISE,
		.endpoint = endpoint,
		.direction = direction,
		.remote_endpoint = remote_endpoint};

	strcpy(request.remote, remote);
	return ask(process, request);
}

static inline void drop_ring(struct process *process)
{
	ring_memory_unmap(&process->view);
	for (int i = 0; i < ATTACH_DESCRIPTORS; i++)
		if (process->descriptors[i] >= 0)
			close(process->descriptors[i]);
}

/* A row that is allowed, with its ring mapped as the process would. */
static inline uint32_t open_row(struct process *process, uint32_t endpoint, uint32_t direction,
	const char *remote, uint32_t remote_endpoint)
{
	struct attach_notice answer;

	drop_ring(process);
	answer = *authorise(process, endpoint, direction, remote, remote_endpoint);
	assert_int_equal(answer.status, 0);
	assert_int_not_equal(answer.row, 0);
	assert_int_equal(ring_memory_map(process->descriptors[ATTACH_MEMORY], answer.capacity,
				 &process->view),
		0);
	process->producer = (struct ring_producer){.view = process->view};
	process->consumer = (struct ring_consumer){.view = process->view};
	return answer.row;
}

static inline void say(struct process *process, const char *text)
{
	uint32_t size = (uint32_t)strlen(text);
	uint64_t one = 1;

	assert_int_equal(ring_producer_has_room(&process->producer, size), 1);
	memcpy(ring_producer_place(&process->producer), text, size);
	ring_producer_append(&process->producer, size);
	ring_producer_publish(&process->producer);
	if (ring_must_wake(&process->view.shared->consumer_sleeps))
		assert_int_equal(
			write(process->descriptors[ATTACH_BELL], &one, sizeof(one)), sizeof(one));
}

static inline bool hears(struct process *process, const char *text)
{
	const uint8_t *message;
	uint32_t size;

	if (ring_consumer_next(&process->consumer, &message, &size) != 1)
		return false;
	assert_int_equal(size, strlen(text));
	assert_memory_equal(message, text, size);
	ring_consumer_advance(&process->consumer, size);
	ring_consumer_publish(&process->consumer);
	return true;
}
