/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TAP interfaces, packet sockets and TCP listeners for the roles. The broker keeps the queues of
 * the TAPs it made, so that interface, addresses and routes outlive a restart of the packet role.
 */
#include "base/log.h"
#include "main/broker_state.h"
#include "main/interface.h"
#include "main/keeper.h"
#include "main/params.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUES_MAX    16
#define MTU_MIN       68    /* RFC 791 */
#define MTU_MAX       65535 /* of the kernel's TAP driver */
#define TCP_BACKLOG   64
#define TAP_REMOVE_MS 20   /* others of the same change follow */
#define TABLE_MIN     1000 /* of routes: below are the kernel's own, and those that people number */
#define TABLE_MAX     INT32_MAX

static_assert(QUEUES_MAX <= IPC_DESCRIPTORS_MAX && QUEUES_MAX <= KEEPER_DESCRIPTORS_MAX,
	"all queues travel in one message");

/* What we have set, and what the keeper gets of it. */
struct tap_settings {
	uint32_t source_table; /* of routes, for what its addresses send; 0: it is not hidden */
	struct address_param addresses[PARAMS_ADDRESSES_MAX]; /* as many as there are */
};
static_assert(sizeof(struct tap_settings) <= KEEPER_DATA_MAX, "and so do all addresses");

struct broker_tap {
	struct list node;
	char name[IFNAMSIZ];
	int fds[QUEUES_MAX];
	size_t queue_count;
	struct tap_settings settings;
	size_t address_count;
};

struct interface_request {
	char name[IFNAMSIZ];
	int64_t queues;
	int64_t mtu_bytes; /* 0: as it is */
	struct mac_param mac;
	struct address_param addresses[PARAMS_ADDRESSES_MAX];
	size_t address_count;
	bool has_addresses;
	int64_t source_table; /* 0: none */
};

static int interface_request_read(const json_t *params, const char *const *names,
	struct interface_request *out, struct error *error)
{
	int status = params_only(params, names, error);

	*out = (struct interface_request){.queues = 1};
	if (status == 0)
		status = params_interface(params, "interface", out->name, error);
	if (status == 0)
		status =
			params_integer(params, "queues", false, 1, QUEUES_MAX, &out->queues, error);
	if (status == 0)
		status = params_integer(
			params, "mtu", false, MTU_MIN, MTU_MAX, &out->mtu_bytes, error);
	if (status == 0)
		status = params_mac(params, "mac", &out->mac, error);
	if (status == 0)
		status = params_addresses(
			params, "addresses", out->addresses, &out->address_count, error);
	if (status == 0)
		status = params_integer(params, "source_table", false, TABLE_MIN, TABLE_MAX,
			&out->source_table, error);
	out->has_addresses = json_object_get(params, "addresses") != NULL;
	return status;
}

static json_t *interface_result(const char *name, size_t queues, const struct interface_info *info)
{
	char mac[18];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", info->mac[0], info->mac[1],
		info->mac[2], info->mac[3], info->mac[4], info->mac[5]);
	return json_pack("{s:s, s:i, s:i, s:s, s:i}", "interface", name, "queues", (int)queues,
		"index", info->index, "mac", mac, "mtu", info->mtu_bytes);
}

static struct broker_tap *tap_find(struct broker *broker, const char *name)
{
	list_foreach (node, &broker->taps) {
		struct broker_tap *tap = list_entry(node, struct broker_tap, node);

		if (strcmp(tap->name, name) == 0)
			return tap;
	}
	return NULL;
}

static void tap_destroy(struct broker_tap *tap)
{
	for (size_t i = 0; i < tap->queue_count; i++)
		close(tap->fds[i]);
	list_remove(&tap->node);
	free(tap);
}

static bool tap_set_group(const struct broker_tap *tap, uint32_t group)
{
	struct ifreq request = {0};

	/* Its name of now; an interface that somebody removed has none, and its name may be
	 * another's. */
	return tap->queue_count > 0 && ioctl(tap->fds[0], TUNGETIFF, &request) == 0
		&& interface_set_group(request.ifr_name, group) == 0;
}

/*
 * Removes all that are dead. The kernel waits some 20 ms for each TAP that is closed, and as long
 * for a whole group of interfaces. The group's number is of this process, and far above what people
 * use.
 */
static void remove_dead_taps(struct broker *broker)
{
	uint32_t group = 0x62680000u ^ (uint32_t)getpid();
	bool has_group = false;

	list_foreach (node, &broker->dead_taps)
		has_group |= tap_set_group(list_entry(node, struct broker_tap, node), group);
	/* What is left of them goes when its descriptors are closed. */
	if (has_group)
		(void)interface_remove_group(group);
	list_foreach_safe (node, &broker->dead_taps)
		tap_destroy(list_entry(node, struct broker_tap, node));
}

static int tap_open_queue(const char *name, bool has_many, struct error *error)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_set(error, -errno, "/dev/net/tun: %s (is the module `tun` loaded?)",
			strerror(errno));
	if (has_many)
		request.ifr_flags |= IFF_MULTI_QUEUE;
	strcpy(request.ifr_name, name);
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int status = -errno;

		close(fd);
		return error_set(error, status, "interface %s: cannot be made as a TAP: %s%s", name,
			strerror(-status),
			status == -EINVAL || status == -EBUSY
				? " (an interface of this name is in use by something else)"
				: "");
	}
	return fd;
}

static int tap_create(struct broker *broker, const struct interface_request *wanted,
	struct broker_tap **out, struct error *error)
{
	struct broker_tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return error_set(error, -ENOMEM, "no memory");
	strcpy(tap->name, wanted->name);
	list_append(&broker->taps, &tap->node);
	while (tap->queue_count < (size_t)wanted->queues) {
		int fd = tap_open_queue(tap->name, wanted->queues > 1, error);

		if (fd < 0) {
			tap_destroy(tap);
			return fd;
		}
		tap->fds[tap->queue_count++] = fd;
	}
	*out = tap;
	return 0;
}

static bool address_is_listed(
	const struct address_param *address, const struct address_param *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(address, &list[i], sizeof(*address)) == 0)
			return true;
	return false;
}

/* Host addresses only: a rule for a network would take what others of it send. */
static bool needs_rule(const struct address_param *address)
{
	return address->prefix == (address->family == AF_INET6 ? 128 : 32);
}

static int tap_remove_address(const struct broker_tap *tap, int index,
	const struct address_param *address, struct error *error)
{
	int status = 0;

	if (tap->settings.source_table && needs_rule(address))
		status = interface_remove_source_rule(address, tap->settings.source_table, error);
	return status < 0 ? status : interface_remove_address(index, address, error);
}

/* Rules outlive the interface; addresses and routes do not. */
static void tap_remove_rules(const struct broker_tap *tap)
{
	struct error error;

	for (size_t i = 0; tap->settings.source_table && i < tap->address_count; i++)
		if (needs_rule(&tap->settings.addresses[i])
			&& interface_remove_source_rule(
				   &tap->settings.addresses[i], tap->settings.source_table, &error)
				< 0)
			log_warning("rule_stays", log_str("interface", tap->name),
				log_str("problem", error.text));
}

static int tap_add_address(
	int index, const struct address_param *address, uint32_t source_table, struct error *error)
{
	int status = interface_add_address(index, address, error);

	if (status == 0 && source_table)
		status = interface_add_default_route(index, address->family, source_table, error);
	if (status == 0 && source_table && needs_rule(address))
		status = interface_add_source_rule(address, source_table, error);
	return status;
}

/* Touches only addresses that are new or were ours and are no longer wanted. */
static int tap_set_addresses(struct broker_tap *tap, int index,
	const struct interface_request *wanted, struct error *error)
{
	int status;

	if (tap->settings.source_table != (uint32_t)wanted->source_table)
		tap_remove_rules(tap);
	for (size_t i = 0; i < tap->address_count; i++) {
		if (address_is_listed(
			    &tap->settings.addresses[i], wanted->addresses, wanted->address_count))
			continue;
		status = tap_remove_address(tap, index, &tap->settings.addresses[i], error);
		if (status < 0)
			return status;
	}
	for (size_t i = 0; i < wanted->address_count; i++) {
		status = tap_add_address(
			index, &wanted->addresses[i], (uint32_t)wanted->source_table, error);
		if (status < 0)
			return status;
	}
	tap->settings.source_table = (uint32_t)wanted->source_table;
	memcpy(tap->settings.addresses, wanted->addresses, sizeof(tap->settings.addresses));
	tap->address_count = wanted->address_count;
	return 0;
}

/* Before it is up: not one question for its addresses gets an answer. */
static int tap_hide(const struct broker_tap *tap, struct error *error)
{
	int status = interface_set_no_arp(tap->name, error);

	return status < 0 ? status : interface_hide_addresses(error);
}

static int tap_configure(struct broker_tap *tap, const struct interface_request *wanted,
	struct interface_info *info, struct error *error)
{
	int status = interface_find(tap->name, info, error);

	if (status == 0 && wanted->mac.is_set
		&& memcmp(info->mac, wanted->mac.bytes, sizeof(info->mac)) != 0)
		status = interface_set_mac(tap->name, wanted->mac.bytes, error);
	if (status == 0 && wanted->mtu_bytes && wanted->mtu_bytes != info->mtu_bytes)
		status = interface_set_mtu(tap->name, (int)wanted->mtu_bytes, error);
	if (status == 0 && wanted->source_table)
		status = tap_hide(tap, error);
	if (status == 0)
		status = interface_set_up(tap->name, error);
	if (status == 0 && wanted->has_addresses)
		status = tap_set_addresses(tap, info->index, wanted, error);
	if (status == 0)
		status = interface_find(tap->name, info, error);
	return status;
}

static void tap_put(struct broker *broker, const struct broker_tap *tap)
{
	broker_put(broker, "tap", tap->name, &tap->settings,
		offsetof(struct tap_settings, addresses)
			+ tap->address_count * sizeof(tap->settings.addresses[0]),
		tap->fds, tap->queue_count);
}

void broker_put_taps(struct broker *broker)
{
	list_foreach (node, &broker->taps)
		tap_put(broker, list_entry(node, struct broker_tap, node));
}

void broker_take_tap(struct broker *broker, const char *name, const void *settings, size_t size,
	int *descriptors, size_t descriptor_count)
{
	struct broker_tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		abort(); /* the keeper tries again */
	snprintf(tap->name, sizeof(tap->name), "%s", name);
	memcpy(tap->fds, descriptors, descriptor_count * sizeof(*descriptors));
	tap->queue_count = descriptor_count;
	memcpy(&tap->settings, settings, size);
	tap->address_count = (size - offsetof(struct tap_settings, addresses))
		/ sizeof(tap->settings.addresses[0]);
	list_append(&broker->taps, &tap->node);
}

/* Nobody wants it any more: it goes with the next that do. */
static void tap_retire(struct broker *broker, struct broker_tap *tap)
{
	broker_drop(broker, "tap", tap->name);
	tap_remove_rules(tap);
	list_remove(&tap->node);
	list_append(&broker->dead_taps, &tap->node);
}

void broker_open_tap(struct ipc_request *request, void *context)
{
	static const char *const names[] = {
		"interface", "queues", "mtu", "mac", "addresses", "source_table", NULL};
	struct broker *broker = ((struct supervised *)context)->broker;
	struct interface_request wanted;
	struct interface_info info = {0};
	struct broker_tap *tap = NULL;
	struct error error = {0};
	bool is_new = false;
	json_t *result;
	int status;

	status = interface_request_read(ipc_request_params(request), names, &wanted, &error);
	if (status == 0) {
		tap = tap_find(broker, wanted.name);
		if (tap && tap->queue_count != (size_t)wanted.queues) {
			tap_retire(broker, tap);
			tap = NULL;
		}
		/* The one of before may be among them. */
		if (!list_is_empty(&broker->dead_taps))
			remove_dead_taps(broker);
		is_new = !tap;
		if (is_new)
			status = tap_create(broker, &wanted, &tap, &error);
	}
	if (status == 0)
		status = tap_configure(tap, &wanted, &info, &error);
	if (status < 0) {
		if (tap && is_new)
			tap_destroy(tap);
		ipc_reply_failed(request, status, error.text);
		return;
	}
	tap_put(broker, tap); /* before the role has it */
	result = interface_result(tap->name, tap->queue_count, &info);
	json_object_set_new(result, "is_new", json_boolean(is_new));
	ipc_reply_with_descriptors(request, result, tap->fds, tap->queue_count);
}

static void on_tap_timer(uv_timer_t *timer)
{
	remove_dead_taps(timer->data);
}

void broker_start_taps(struct broker *broker)
{
	list_init(&broker->taps);
	list_init(&broker->dead_taps);
	uv_timer_init(&broker->loop, &broker->tap_timer);
	broker->tap_timer.data = broker;
}

void broker_close_tap(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"interface", NULL};
	struct broker *broker = ((struct supervised *)context)->broker;
	struct interface_request wanted;
	struct broker_tap *tap = NULL;
	struct error error = {0};
	int status;

	status = interface_request_read(ipc_request_params(request), names, &wanted, &error);
	if (status == 0) {
		tap = tap_find(broker, wanted.name);
		if (!tap)
			status = error_set(&error, -ENOENT,
				"interface %s was not made by this daemon", wanted.name);
	}
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	tap_retire(broker, tap);
	if (!uv_is_active((uv_handle_t *)&broker->tap_timer))
		uv_timer_start(&broker->tap_timer, on_tap_timer, TAP_REMOVE_MS, 0);
	ipc_reply(request, json_object());
}

void broker_close_taps(struct broker *broker)
{
	list_foreach_safe (node, &broker->taps)
		tap_retire(broker, list_entry(node, struct broker_tap, node));
	remove_dead_taps(broker);
	uv_close((uv_handle_t *)&broker->tap_timer, NULL);
}

static int packet_socket_set(int fd, int option, int value, const char *what, struct error *error)
{
	if (setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) < 0)
		return error_set(error, -errno, "packet socket: %s: %s", what, strerror(errno));
	return 0;
}

/* group: of a fan-out over several queues; 0 for one queue. Nothing is received before bind, since
 * the socket is made without a protocol. */
static int packet_socket_open(int index, uint16_t group, struct error *error)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
	struct packet_mreq membership = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int status;

	if (fd < 0)
		return error_set(error, -errno, "packet socket: %s", strerror(errno));
	status = packet_socket_set(fd, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR", error);
	if (status == 0)
		status = packet_socket_set(fd, PACKET_AUXDATA, 1, "PACKET_AUXDATA", error);
	if (status == 0)
		status = packet_socket_set(
			fd, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING", error);
	if (status == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		status = error_set(error, -errno, "packet socket: bind: %s", strerror(errno));
	if (status == 0
		&& setsockopt(
			   fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership))
			< 0)
		status = error_set(
			error, -errno, "packet socket: promiscuous mode: %s", strerror(errno));
	if (status == 0 && group)
		status = packet_socket_set(fd, PACKET_FANOUT, group | PACKET_FANOUT_HASH << 16,
			"PACKET_FANOUT", error);
	if (status == 0)
		return fd;
	close(fd);
	return status;
}

static int packet_sockets_open(const struct interface_request *wanted, int *fds, size_t *count,
	struct interface_info *info, struct error *error)
{
	uint16_t group = 0;
	int status = interface_find(wanted->name, info, error);

	/* The kernel would deliver frames for it to the host's own sockets, past every policy. */
	if (status == 0 && info->is_loopback)
		status = error_set(error, -EINVAL,
			"interface %s is the host's loopback and cannot be an adapter; use one end "
			"of a veth pair, or a TAP",
			wanted->name);
	if (status == 0 && wanted->mtu_bytes && wanted->mtu_bytes != info->mtu_bytes)
		status = interface_set_mtu(wanted->name, (int)wanted->mtu_bytes, error);
	if (status == 0)
		status = interface_set_up(wanted->name, error);
	if (status == 0)
		status = interface_find(wanted->name, info, error);
	if (status < 0)
		return status;
	/* Fan-out groups are per network namespace: the index makes ours differ by interface, and
	 * the process those of several daemons. */
	if (wanted->queues > 1)
		group = (uint16_t)((info->index * 31 + getpid()) % 65535 + 1);
	while (*count < (size_t)wanted->queues) {
		int fd = packet_socket_open(info->index, group, error);

		if (fd < 0)
			return fd;
		fds[(*count)++] = fd;
	}
	return 0;
}

void broker_open_packet_socket(struct ipc_request *request, void *context)
{
	static const char *const names[] = {"interface", "queues", "mtu", NULL};
	struct interface_request wanted;
	struct interface_info info = {0};
	struct error error = {0};
	int fds[QUEUES_MAX];
	size_t count = 0;
	int status;

	status = interface_request_read(ipc_request_params(request), names, &wanted, &error);
	if (status == 0)
		status = packet_sockets_open(&wanted, fds, &count, &info, &error);
	if (status < 0)
		ipc_reply_failed(request, status, error.text);
	else
		ipc_reply_with_descriptors(
			request, interface_result(wanted.name, count, &info), fds, count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static bool address_is_loopback(const struct address_param *address)
{
	return address->family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&address->v6)
					   : address->bytes[0] == IN_LOOPBACKNET;
}

union socket_name {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* A TCP socket, and the name of address and port. */
static int tcp_socket(const struct address_param *address, uint16_t port, union socket_name *name,
	socklen_t *size, struct error *error)
{
	int fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_set(error, -errno, "socket: %s", strerror(errno));
	*size = address->family == AF_INET6 ? sizeof(name->v6) : sizeof(name->v4);
	if (address->family == AF_INET6)
		name->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
			.sin6_port = htons(port),
			.sin6_addr = address->v6};
	else
		name->v4 = (struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address->v4};
	return fd;
}

/* Whether it is connected shows later: the broker waits for nobody. */
static int tcp_connect(const struct address_param *address, uint16_t port, struct error *error)
{
	union socket_name name = {0};
	socklen_t size = 0;
	int fd = tcp_socket(address, port, &name, &size, error), status;

	if (fd < 0 || connect(fd, &name.any, size) == 0 || errno == EINPROGRESS)
		return fd;
	status = error_set(error, -errno, "port %u: cannot connect: %s", port, strerror(errno));
	close(fd);
	return status;
}

static int tcp_listen(const struct address_param *address, uint16_t port, struct error *error)
{
	union socket_name name = {0};
	socklen_t size = 0;
	int on = 1, status = 0, fd = tcp_socket(address, port, &name, &size, error);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &name.any, size) < 0 || listen(fd, TCP_BACKLOG) < 0)
		status = error_set(
			error, -errno, "port %u: cannot listen: %s", port, strerror(errno));
	if (status == 0)
		return fd;
	close(fd);
	return status;
}

/* A request with an address and a port, answered with what open_socket makes of them. */
static void answer_tcp(struct ipc_request *request, const char *warning,
	int (*open_socket)(const struct address_param *, uint16_t, struct error *))
{
	static const char *const names[] = {"address", "port", NULL};
	const json_t *params = ipc_request_params(request);
	struct address_param address;
	char text[INET6_ADDRSTRLEN];
	struct error error = {0};
	int64_t port = 0;
	int fd = -1, status = params_only(params, names, &error);

	if (status == 0)
		status = params_string(params, "address", true, sizeof(text),
			"0123456789abcdefABCDEF.:", text, &error);
	/* Privileged ports would let a role speak in the place of a system service, or to one. */
	if (status == 0)
		status = params_integer(params, "port", true, 1024, 65535, &port, &error);
	if (status == 0 && address_parse(text, &address) < 0)
		status = error_set(&error, -EINVAL, "parameter `address` is no IP address");
	if (status == 0)
		status = fd = open_socket(&address, (uint16_t)port, &error);
	if (status < 0) {
		ipc_reply_failed(request, status, error.text);
		return;
	}
	if (warning && !address_is_loopback(&address))
		log_warning(warning, log_str("address", text), log_int("port", port));
	ipc_reply_with_descriptors(request,
		json_pack("{s:s, s:I}", "address", text, "port", (json_int_t)port), &fd, 1);
	close(fd);
}

void broker_listen_tcp(struct ipc_request *request, void *context)
{
	const struct supervised *from = context;

	/* Metrics go over plain HTTP; links of channels prove who they are. */
	answer_tcp(request,
		strcmp(from->role->name, "control") == 0 ? "metrics_not_on_loopback" : NULL,
		tcp_listen);
}

void broker_connect_tcp(struct ipc_request *request, void *context)
{
	answer_tcp(request, NULL, tcp_connect);
}
