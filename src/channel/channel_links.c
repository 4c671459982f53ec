/* SPDX-License-Identifier: BSD-3-Clause */
#include "channel/channel_links.h"

#include "base/accept.h"
#include "base/log.h"
#include "channel/channel_private.h"
#include "channel/greeting.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Between two looks at links that are down; also how often a peer is tried. */
#define LINKS_TICK_MS 500

static void state_reset(struct links_state *state)
{
	tls_destroy(state->tls);
	for (int i = 0; i < TLS_FILES; i++)
		if (state->files[i] >= 0)
			close(state->files[i]);
	if (state->listen_fd >= 0)
		close(state->listen_fd);
	*state = (struct links_state){.files = {-1, -1, -1}, .listen_fd = -1};
}

/* --- Asking the broker --- */

/* One question of a change. */
struct links_call {
	struct channel_role *role;
	const char *option;
	int *fds[2]; /* where the answer's descriptors go */
	size_t count;
};

static void on_answer(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct links_call *call = context;
	struct channel_role *role = call->role;
	const char *why = json_string_value(json_object_get(error, "message"));

	for (size_t i = 0; i < call->count && descriptor_count == call->count; i++) {
		*call->fds[i] = descriptors[i];
		descriptors[i] = -1;
	}
	if (descriptor_count != call->count && !role->change.failure.text[0])
		error_set(&role->change.failure, -EIO, "channels.link.%s: %s", call->option,
			why ? why : "there is no such file");
	free(call);
	channel_configure_answered(role);
}

static void ask(struct channel_role *role, const char *method, json_t *params, const char *option,
	int *first, int *second)
{
	struct links_call *call = calloc(1, sizeof(*call));
	int status = -ENOMEM;

	if (call) {
		*call = (struct links_call){role, option, {first, second}, second ? 2 : 1};
		status = ipc_call(role->context->broker, method, params, NULL, 0,
			IPC_CALL_TIMEOUT_MS, on_answer, call);
	}
	if (status < 0) {
		free(call);
		error_set(&role->change.failure, status, "the broker cannot be asked: %s",
			strerror(-status));
		return;
	}
	role->change.answers_due++;
	role->references++;
}

static bool is_same_endpoint(const struct policy_endpoint *a, const struct policy_endpoint *b)
{
	return a->port == b->port && strcmp(a->address, b->address) == 0;
}

void links_ask(struct channel_role *role)
{
	const struct policy_link *link = &role->cmm.next_policy->link;
	struct links_state *next = &role->links.next;

	state_reset(next);
	if (!link->is_configured)
		return;
	ask(role, "broker.open_key", json_pack("{s:s}", "path", link->key), "key",
		&next->files[TLS_KEY], NULL);
	/* Files that others may read, and not write. */
	ask(role, "broker.open_rules",
		json_pack("{s:[s, s]}", "patterns", link->certificate, link->authorities),
		"certificate or authorities", &next->files[TLS_CERTIFICATE],
		&next->files[TLS_AUTHORITIES]);
	next->listen = link->listen;
	if (link->listen.port && !is_same_endpoint(&link->listen, &role->links.now.listen))
		ask(role, "broker.listen_tcp",
			json_pack("{s:s, s:i}", "address", link->listen.address, "port",
				(int)link->listen.port),
			"listen", &next->listen_fd, NULL);
}

int links_prepare(struct channel_role *role, struct error *error)
{
	struct links_state *next = &role->links.next;

	if (!role->cmm.next_policy->link.is_configured)
		return 0;
	return tls_create(next->files, &next->tls, error);
}

/* --- Who comes, and whom we call --- */

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct channel_role *role = poll->data;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} from = {0};
	socklen_t size = sizeof(from);
	char address[INET6_ADDRSTRLEN] = "";
	int fd = accept_connection(role->links.now.listen_fd, &from.any, &size);

	if (fd < 0)
		return;
	if (from.any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &from.v6.sin6_addr, address, sizeof(address));
	else
		inet_ntop(AF_INET, &from.v4.sin_addr, address, sizeof(address));
	greeting_open(role->context->loop, &role->cmm, role->links.now.tls, fd, NULL, address);
}

/* A socket on its way to a peer. */
struct dial_call {
	struct channel_role *role;
	char peer[ATTACH_NAME_SIZE];
	struct policy_endpoint to;
};

static void on_dialled(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	struct dial_call *call = context;
	struct channel_role *role = call->role;
	const char *why = json_string_value(json_object_get(error, "message"));
	struct peer *peer = role->is_stopping ? NULL : cmm_find_peer(&role->cmm, call->peer);

	if (peer) {
		peer->is_called = false;
		if (descriptor_count == 1 && role->links.now.tls) {
			greeting_open(role->context->loop, &role->cmm, role->links.now.tls,
				descriptors[0], call->peer, call->to.address);
			descriptors[0] = -1;
		} else if (why) {
			error_set(&peer->failure, -EIO, "%s", why);
		}
	}
	free(call);
	channel_role_put(role);
}

static void dial(struct channel_role *role, struct peer *peer)
{
	const struct policy_endpoint *to = &peer->settings->address;
	struct dial_call *call = calloc(1, sizeof(*call));

	if (!call)
		return;
	call->role = role;
	call->to = *to;
	strcpy(call->peer, peer->name);
	if (ipc_call(role->context->broker, "broker.connect_tcp",
		    json_pack("{s:s, s:i}", "address", to->address, "port", (int)to->port), NULL, 0,
		    IPC_CALL_TIMEOUT_MS, on_dialled, call)
		< 0) {
		free(call);
		return;
	}
	peer->is_called = true;
	role->references++;
}

static void on_tick(uv_timer_t *timer)
{
	struct channel_role *role = timer->data;

	channel_dial_guests(role);
	greeting_tick();
	if (!role->links.now.tls)
		return;
	cmm_tick(&role->cmm);
	list_foreach (node, &role->cmm.peers) {
		struct peer *peer = list_entry(node, struct peer, node);

		if (peer->settings && peer->settings->address.port && !peer->is_called
			&& !link_is_attached(peer->link) && !greeting_is_under_way(peer->name))
			dial(role, peer);
	}
}

/* --- Life --- */

static void on_listener_closed(uv_handle_t *handle)
{
	free(handle);
}

static void stop_listening(struct links *links)
{
	if (links->listener)
		uv_close((uv_handle_t *)links->listener, on_listener_closed);
	links->listener = NULL;
	if (links->now.listen_fd >= 0)
		close(links->now.listen_fd);
	links->now.listen_fd = -1;
}

static int start_listening(struct channel_role *role, int fd)
{
	struct links *links = &role->links;
	uv_poll_t *listener = calloc(1, sizeof(*listener));
	int status = listener ? uv_poll_init(role->context->loop, listener, fd) : -ENOMEM;

	if (status < 0) {
		free(listener);
		close(fd);
		return status;
	}
	listener->data = role;
	links->listener = listener;
	links->now.listen_fd = fd;
	return uv_poll_start(listener, UV_READABLE, on_connection);
}

static void take_listener(struct channel_role *role)
{
	struct links *links = &role->links;
	int status = 0;

	if (!is_same_endpoint(&links->now.listen, &links->next.listen)) {
		stop_listening(links);
		if (links->next.listen_fd >= 0)
			status = start_listening(role, links->next.listen_fd);
		links->next.listen_fd = -1;
	}
	links->now.listen = links->next.listen;
	if (status < 0)
		log_error("links_not_served", log_errno(status));
}

void links_commit(struct channel_role *role)
{
	struct links *links = &role->links;
	struct tls *old = links->now.tls;

	take_listener(role);
	/* With other certificates everybody has to prove anew who it is; channels go on then. */
	if (!tls_is_same(old, links->next.tls)) {
		greeting_close_all();
		list_foreach (node, &role->cmm.peers)
			cmm_peer_disconnect(
				list_entry(node, struct peer, node), "certificates have changed");
	}
	links->now.tls = links->next.tls;
	links->next.tls = NULL;
	tls_destroy(old);
	state_reset(&links->next);
}

void links_abort(struct channel_role *role)
{
	state_reset(&role->links.next);
}

void links_open(struct channel_role *role)
{
	struct links *links = &role->links;

	links->now.listen_fd = links->next.listen_fd = -1;
	for (int i = 0; i < TLS_FILES; i++)
		links->now.files[i] = links->next.files[i] = -1;
	uv_timer_init(role->context->loop, &links->timer);
	links->timer.data = role;
	uv_timer_start(&links->timer, on_tick, LINKS_TICK_MS, LINKS_TICK_MS);
}

void links_close(struct channel_role *role)
{
	uv_close((uv_handle_t *)&role->links.timer, NULL);
	greeting_close_all();
	stop_listening(&role->links);
	state_reset(&role->links.now);
	state_reset(&role->links.next);
}
