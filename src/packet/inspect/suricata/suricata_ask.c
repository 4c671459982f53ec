/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/inspect/suricata/suricata_ask.h"

#include "packet/inspect/suricata/json_lines.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define ASK_TIMEOUT_MS 60000 /* rules may take long to compile */

struct suricata_ask {
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_connect_t connect;
	unsigned int open_handles;
	bool is_greeted, is_ended;
	suricata_answer_fn done; /* NULL: cancelled, or called */
	void *context;
	char command[64];
	char read_buffer[16384];
	struct json_lines lines;
};

struct writing {
	uv_write_t request;
	char text[128];
};

static void on_closed(uv_handle_t *handle)
{
	struct suricata_ask *ask = handle->data;

	if (--ask->open_handles == 0)
		free(ask);
}

static void end(struct suricata_ask *ask, const json_t *message)
{
	suricata_answer_fn done = ask->done;

	if (ask->is_ended)
		return;
	ask->is_ended = true;
	ask->done = NULL;
	uv_close((uv_handle_t *)&ask->pipe, on_closed);
	uv_close((uv_handle_t *)&ask->timer, on_closed);
	if (done)
		done(ask->context, message);
}

static void on_timeout(uv_timer_t *timer)
{
	end(timer->data, NULL);
}

static void on_written(uv_write_t *request, int status)
{
	free(request);
}

static void say(struct suricata_ask *ask, const char *key, const char *value)
{
	struct writing *writing = calloc(1, sizeof(*writing));
	uv_buf_t buffer;

	if (!writing)
		return; /* the timer ends it */
	snprintf(writing->text, sizeof(writing->text), "{\"%s\": \"%s\"}\n", key, value);
	buffer = uv_buf_init(writing->text, (unsigned)strlen(writing->text));
	if (uv_write(&writing->request, (uv_stream_t *)&ask->pipe, &buffer, 1, on_written) < 0)
		free(writing);
}

static void on_object(void *context, json_t *object)
{
	struct suricata_ask *ask = context;
	const char *result = json_string_value(json_object_get(object, "return"));
	bool is_good = result && strcmp(result, "OK") == 0;

	if (ask->is_ended)
		return;
	if (!is_good || ask->is_greeted) {
		end(ask, is_good ? json_object_get(object, "message") : NULL);
		return;
	}
	ask->is_greeted = true;
	say(ask, "command", ask->command);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct suricata_ask *ask = handle->data;

	*out = uv_buf_init(ask->read_buffer, sizeof(ask->read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct suricata_ask *ask = stream->data;

	if (size < 0)
		end(ask, NULL);
	else if (!ask->is_ended)
		json_lines_feed(&ask->lines, buffer->base, (size_t)size, on_object, ask);
}

static void on_connected(uv_connect_t *request, int status)
{
	struct suricata_ask *ask = request->data;

	if (status == UV_ECANCELED)
		return;
	if (status < 0 || uv_read_start((uv_stream_t *)&ask->pipe, on_allocate, on_read) < 0)
		end(ask, NULL);
	else
		say(ask, "version", "0.2");
}

/* The folder is Suricata's: what is behind a link in it is not asked. */
static int open_socket(const char *path, char name[64])
{
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &info) < 0 || !S_ISSOCK(info.st_mode)) {
		close(fd);
		return -ENOTSOCK;
	}
	snprintf(name, 64, "/proc/self/fd/%d", fd);
	return fd;
}

struct suricata_ask *suricata_ask(
	const char *path, const char *command, suricata_answer_fn done, void *context)
{
	struct suricata_ask *ask;
	char name[64];
	int fd = open_socket(path, name);

	if (fd < 0)
		return NULL;
	ask = calloc(1, sizeof(*ask));
	if (!ask) {
		close(fd);
		return NULL;
	}
	snprintf(ask->command, sizeof(ask->command), "%s", command);
	ask->done = done;
	ask->context = context;
	uv_pipe_init(packet_loop(), &ask->pipe, 0);
	uv_timer_init(packet_loop(), &ask->timer);
	ask->pipe.data = ask->timer.data = ask->connect.data = ask;
	ask->open_handles = 2;
	uv_timer_start(&ask->timer, on_timeout, ASK_TIMEOUT_MS, 0);
	/* Tells of errors through on_connected(), too. */
	uv_pipe_connect(&ask->connect, &ask->pipe, name, on_connected);
	close(fd);
	return ask;
}

void suricata_ask_cancel(struct suricata_ask *ask)
{
	if (!ask)
		return;
	ask->done = NULL;
	end(ask, NULL);
}
