/* SPDX-License-Identifier: BSD-3-Clause */
/* Hand-overs as a module of the packet role: `ipsec.handover` of the configuration, its secret and
 * its socket from the broker. No change of the configuration while one is under way. */
#include "base/log.h"
#include "packet/handover/handover.h"
#include "packet/ipsec/ipsec_control.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct handover_secret running; /* secret NULL: not configured */
static char *socket_path;              /* of the socket that is open */

static struct {
	json_t *section; /* NULL: there is none */
	struct handover_secret secret;
	int fd; /* of a new socket; -1: the one there is stays */
	packet_prepared_fn done;
	void *context;
} change = {.fd = -1};

const struct handover_secret *handover_secret(void)
{
	return running.secret ? &running : NULL;
}

static const char *setting(const char *key)
{
	return json_string_value(json_object_get(change.section, key));
}

static void forget_change(void)
{
	json_decref(change.section);
	secret_destroy(change.secret.secret);
	if (change.fd >= 0)
		close(change.fd);
	memset(&change, 0, sizeof(change));
	change.fd = -1;
}

static void end_prepare(const struct error *error)
{
	packet_prepared_fn done = change.done;
	void *context = change.context;

	if (error)
		forget_change();
	done(context, error);
}

static void on_socket(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct error error;

	if (failure || descriptor_count == 0) {
		error_set(&error, -EACCES, "ipsec.handover.socket: %s",
			message ? message : "not opened");
		end_prepare(&error);
		return;
	}
	change.fd = descriptors[0];
	descriptors[0] = -1;
	end_prepare(NULL);
}

/* Another session of the broker's would find a socket of ours in use: it is asked for once. */
static void prepare_socket(void)
{
	const char *path = setting("socket");

	if (socket_path && strcmp(socket_path, path) == 0)
		end_prepare(NULL);
	else
		packet_broker_call("broker.listen_unix", json_pack("{s:s}", "path", path), NULL, 0,
			on_socket, NULL);
}

static void on_secret(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	const char *message = json_string_value(json_object_get(failure, "message"));
	struct error error;
	int status;

	if (failure || descriptor_count == 0)
		status = error_set(&error, -EACCES, "ipsec.handover.secret-file: %s",
			message ? message : "not opened");
	else
		status = kmp_secret_read(descriptors[0], "ipsec.handover.secret-file",
			setting("secret-file"), &change.secret.secret, &change.secret.size, &error);
	if (status < 0)
		end_prepare(&error);
	else
		prepare_socket();
}

static void handover_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	json_t *section = json_object_get(json_object_get(config, "ipsec"), "handover");
	struct error error;

	change.done = done;
	change.context = context;
	if (handover_is_giving() || handover_is_taking()) {
		error_set(&error, -EBUSY, "a hand-over is under way; try again when it is over");
		end_prepare(&error);
		return;
	}
	change.section = json_incref(section);
	if (section)
		packet_broker_call("broker.open_key",
			json_pack("{s:s}", "path", setting("secret-file")), NULL, 0, on_secret,
			NULL);
	else
		end_prepare(NULL);
}

static void close_socket(void)
{
	handover_receive_close();
	free(socket_path);
	socket_path = NULL;
}

static void open_socket(void)
{
	int status;

	close_socket();
	status = handover_receive_open(change.fd);
	change.fd = -1;
	if (status < 0)
		log_error("handover_socket_failed", log_str("socket", setting("socket")),
			log_errno(status));
	else
		socket_path = strdup(setting("socket"));
}

static void handover_commit_change(void)
{
	secret_destroy(running.secret);
	running = change.secret;
	change.secret.secret = NULL;
	if (!change.section)
		close_socket();
	else if (change.fd >= 0)
		open_socket();
	forget_change();
}

static void handover_stop(void)
{
	handover_give_stop();
	close_socket();
	secret_destroy(running.secret);
	running.secret = NULL;
}

static const struct ipc_method methods[] = {
	{"ipsec.handover", handover_give},
	{NULL, NULL},
};

const struct packet_module handover_module = {
	.name = "handover",
	.stop = handover_stop,
	.prepare = handover_prepare,
	.commit = handover_commit_change,
	.abort = forget_change,
	.methods = methods,
};
