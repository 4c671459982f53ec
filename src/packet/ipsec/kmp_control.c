/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KMP as a module of the packet role: `ipsec.kmp` of the configuration, its secret and its socket
 * from the broker, and what SAs tell. Control thread.
 */
#include "base/clock.h"
#include "base/log.h"
#include "packet/ipsec/ipsec_control.h"
#include "packet/ipsec/kmp_unix.h"
#include "packet/packet_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_FILE_SIZE_MAX 4096

static struct kmp_server *server; /* NULL: ipsec.kmp is not configured */
static struct kmp_unix *listener;
static struct secret *secret; /* of the server's settings */
static char *socket_path;     /* of the listener */

static struct {
	json_t *section; /* NULL: there is none */
	struct secret *secret;
	size_t secret_size;
	int fd; /* of a new socket; -1: the one there is stays */
	packet_prepared_fn done;
	void *context;
} change = {.fd = -1};

static const char *setting(const char *key)
{
	return json_string_value(json_object_get(change.section, key));
}

static void forget_change(void)
{
	json_decref(change.section);
	secret_destroy(change.secret);
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

static int take_descriptor(
	const json_t *failure, int *descriptors, size_t count, const char *key, struct error *error)
{
	const char *message = json_string_value(json_object_get(failure, "message"));
	int fd;

	if (failure || count == 0)
		return error_set(
			error, -EACCES, "ipsec.kmp.%s: %s", key, message ? message : "not opened");
	fd = descriptors[0];
	descriptors[0] = -1;
	return fd;
}

static void on_socket(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	struct error error;

	change.fd = take_descriptor(failure, descriptors, descriptor_count, "socket", &error);
	end_prepare(change.fd < 0 ? &error : NULL);
}

/* Another session of the broker's would find a socket of ours in use: it is asked for once. */
static void prepare_socket(void)
{
	const char *path = setting("socket");

	if (socket_path && strcmp(socket_path, path) == 0) {
		end_prepare(NULL);
		return;
	}
	packet_broker_call(
		"broker.listen_unix", json_pack("{s:s}", "path", path), NULL, 0, on_socket, NULL);
}

int kmp_secret_read(int fd, const char *key, const char *path, struct secret **out, size_t *size,
	struct error *error)
{
	struct secret *text, *secret_made;
	size_t text_size;
	int status = secret_read(fd, SECRET_FILE_SIZE_MAX, &text, &text_size, error);

	if (status < 0) {
		error_prefix(error, "%s: %s", key, path);
		return status;
	}
	secret_made = secret_create(KMP_SECRET_MAX);
	if (!secret_made)
		status = error_set(error, -errno, "%s: %s", key, strerror(errno));
	else if (kmp_secret_parse(secret_bytes(text), text_size, secret_bytes(secret_made), size)
		< 0)
		status = error_set(error, -EINVAL,
			"%s: %s: no secret; it is one line of %d to %d hexadecimal digits", key,
			path, 2 * KMP_SECRET_MIN, 2 * KMP_SECRET_MAX);
	secret_destroy(text);
	if (status < 0)
		secret_destroy(secret_made);
	else
		*out = secret_made;
	return status;
}

static void on_secret(void *context, const json_t *result, const json_t *failure, int *descriptors,
	size_t descriptor_count)
{
	struct error error;
	int fd = take_descriptor(failure, descriptors, descriptor_count, "secret-file", &error);
	int status = fd < 0 ? fd
			    : kmp_secret_read(fd, "ipsec.kmp.secret-file", setting("secret-file"),
				    &change.secret, &change.secret_size, &error);

	if (fd >= 0)
		close(fd);
	if (status < 0)
		end_prepare(&error);
	else
		prepare_socket();
}

static void kmp_prepare(const json_t *config, packet_prepared_fn done, void *context)
{
	json_t *section = json_object_get(json_object_get(config, "ipsec"), "kmp");

	change.done = done;
	change.context = context;
	change.section = json_incref(section);
	if (!section) {
		end_prepare(NULL);
		return;
	}
	packet_broker_call("broker.open_key", json_pack("{s:s}", "path", setting("secret-file")),
		NULL, 0, on_secret, NULL);
}

/* ---- what SAs tell ---- */

static void on_expire(uint32_t owner, const struct sa_name *name, bool is_hard)
{
	kmp_server_expire(server, owner, name, is_hard, clock_monotonic_ns());
	kmp_unix_attend(listener);
}

static void on_acquire(uint32_t owner, uint32_t request, const struct sa_selector *packet)
{
	kmp_server_acquire(server, owner, request, packet, clock_monotonic_ns());
	kmp_unix_attend(listener);
}

static void on_mapping(uint32_t owner, const struct sa_name *name, const struct ip_address *source,
	uint16_t source_port)
{
	kmp_server_mapping(server, owner, name, source, source_port, clock_monotonic_ns());
	kmp_unix_attend(listener);
}

void kmp_adopt(void)
{
	if (!server)
		return;
	kmp_server_adopt(server, clock_monotonic_ns());
	kmp_unix_attend(listener);
}

/* ---- putting it in force ---- */

/* is_final: SAs and policies of the sessions go, too. */
static void shut(bool is_final)
{
	static const struct sa_events none = {.expire = NULL};

	if (!server)
		return;
	sa_set_events(&none);
	kmp_unix_close(listener);
	kmp_server_destroy(server, is_final);
	secret_destroy(secret);
	free(socket_path);
	listener = NULL;
	server = NULL;
	secret = NULL;
	socket_path = NULL;
}

static int open_listener(void)
{
	int status = kmp_unix_open(packet_loop(), change.fd, server, &listener);

	change.fd = -1;
	free(socket_path);
	socket_path = status < 0 ? NULL : strdup(setting("socket"));
	if (status < 0)
		log_error("kmp_socket_failed", log_str("socket", setting("socket")),
			log_errno(status));
	return status;
}

static void put_in_force(void)
{
	static const struct sa_events events = {
		.expire = on_expire, .acquire = on_acquire, .mapping = on_mapping};
	const struct kmp_settings settings = {.secret = secret_bytes(change.secret),
		.secret_size = change.secret_size,
		.grace_ms = (uint32_t)json_integer_value(json_object_get(change.section, "grace"))};

	if (change.fd >= 0)
		kmp_unix_close(listener);
	if (server)
		kmp_server_set(server, &settings);
	else if (kmp_server_create(&settings, clock_monotonic_ns(), &server) < 0)
		abort(); /* a role without memory cannot go on */
	secret_destroy(secret);
	secret = change.secret;
	change.secret = NULL;
	if (change.fd >= 0 && open_listener() < 0) {
		shut(false);
		return;
	}
	sa_set_events(&events);
}

static void kmp_commit(void)
{
	if (change.section)
		put_in_force();
	else
		shut(true);
	forget_change();
}

/* What sessions brought is kept for the next life of this role. */
static void kmp_stop(void)
{
	shut(false);
}

/* ---- who asks ---- */

static json_t *session_json(const struct kmp_session_view *view)
{
	return json_pack("{s:s, s:b, s:I, s:i, s:I}", "name", view->name, "is_connected",
		view->is_connected, "owner", (json_int_t)view->owner, "events_waiting",
		(int)view->events_waiting, "grace_left_ms", (json_int_t)view->grace_left_ms);
}

static void handle_sessions(struct ipc_request *request, void *context)
{
	struct kmp_session_view views[KMP_OWNERS_MAX];
	size_t count =
		server ? kmp_server_list(server, clock_monotonic_ns(), views, KMP_OWNERS_MAX) : 0;
	json_t *sessions = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(sessions, session_json(&views[i]));
	ipc_reply(request,
		json_pack("{s:s, s:o}", "socket", socket_path ? socket_path : "", "sessions",
			sessions));
}

static const struct ipc_method methods[] = {
	{"ipsec.sessions", handle_sessions},
	{NULL, NULL},
};

static void kmp_metrics(json_t *samples)
{
	struct kmp_stats stats;

	if (!server)
		return;
	stats = kmp_server_stats(server);
	packet_metric(samples, "kmp_sessions", "gauge", "key managers that are connected", NULL,
		(double)stats.sessions);
	packet_metric(samples, "kmp_requests", "counter", "requests of key managers", NULL,
		(double)stats.requests);
	packet_metric(samples, "kmp_refused", "counter", "requests that could not be done", NULL,
		(double)stats.refused);
	packet_metric(samples, "kmp_malformed", "counter", "messages that are no KMP", NULL,
		(double)stats.malformed);
	packet_metric(samples, "kmp_denied", "counter", "proofs that were wrong", NULL,
		(double)stats.denied);
	packet_metric(samples, "kmp_events_lost", "counter",
		"events that there was no room for; the key manager was told", NULL,
		(double)stats.events_lost);
}

const struct packet_module kmp_module = {
	.name = "kmp",
	.stop = kmp_stop,
	.prepare = kmp_prepare,
	.commit = kmp_commit,
	.abort = forget_change,
	.methods = methods,
	.metrics = kmp_metrics,
};
