/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The broker's requests as a role makes them: through a channel, in folders and a network namespace
 * of the test's own. Needs root, as the broker does.
 */
#include "main/broker_state.h"
#include "main/interface.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ALL_REQUESTS                                                                               \
	"broker.open_config", "broker.open_rules", "broker.open_cache", "broker.open_key",         \
		"broker.open_append", "broker.listen_unix", "broker.connect_unix",                 \
		"broker.listen_tcp", "broker.connect_tcp", "broker.open_tap", "broker.close_tap",  \
		"broker.open_packet_socket", "broker.roles", "broker.restart_role", "broker.keep", \
		"broker.kept", "broker.start_program", "broker.stop_program"

static const char *const requests[] = {ALL_REQUESTS, NULL};
static const struct role role = {.name = "tester", .requests = requests};
static struct broker_options options;
static struct broker broker;
static struct supervised supervised;
static struct ipc_channel *client;
static char folder[64];
static bool is_root;

static struct {
	int count, error_code, fds[IPC_DESCRIPTORS_MAX];
	size_t fd_count;
	json_t *result;
	char message[512];
} answer;

static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *out = path[next++ % 4];

	snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
	return out;
}

static void make_file(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(at(name), "w");

	fputs(text, file);
	fclose(file);
	chmod(at(name), mode);
}

static void on_request(struct ipc_request *request, void *context)
{
	broker_handle_request(request, context);
}

static void on_close(struct ipc_channel *channel, void *context)
{
	ipc_close(channel);
}

static const struct ipc_ops ops = {on_request, on_close};

static int set_up(void **state)
{
	struct error error = {0};
	int fds[2];

	is_root = geteuid() == 0;
	if (!is_root)
		return 0;
	/* Interfaces of the test are nobody else's. */
	if (unshare(CLONE_NEWNET) < 0)
		is_root = false;
	if (is_root)
		assert_int_equal(interface_set_up("lo", &error), 0);
	strcpy(folder, "/tmp/bulkhead-broker-XXXXXX");
	assert_non_null(mkdtemp(folder));
	options.config_path = strdup(at("bulkhead.yaml"));
	broker.options = &options;
	broker.keeper_fd = -1;
	uv_loop_init(&broker.loop);
	broker_start_taps(&broker);
	list_init(&broker.listening);
	list_init(&broker.programs);
	assert_int_equal(identity_find(&broker.identity, NULL), 0);
	assert_int_equal(chown(folder, broker.identity.uid, broker.identity.gid), 0);
	chmod(folder, 0755);
	broker.supervised = &supervised;
	broker.role_count = 1;
	supervised.broker = &broker;
	supervised.role = &role;
	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds);
	ipc_open(&broker.loop, fds[0], &ops, &supervised, &supervised.channel);
	ipc_open(&broker.loop, fds[1], &ops, &supervised, &client);
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	if (!folder[0])
		return 0;
	ipc_close(client);
	ipc_close(supervised.channel);
	broker_close_taps(&broker);
	broker_unlink_sockets(&broker);
	uv_run(&broker.loop, UV_RUN_DEFAULT);
	uv_loop_close(&broker.loop);
	free((char *)options.config_path);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void close_answer(void)
{
	for (size_t i = 0; i < answer.fd_count; i++)
		close(answer.fds[i]);
	answer.fd_count = 0;
	json_decref(answer.result);
	answer.result = NULL;
}

static int forget_answer(void **state)
{
	close_answer();
	return 0;
}

static void on_answer(void *context, const json_t *result, const json_t *error, int *descriptors,
	size_t descriptor_count)
{
	answer.count++;
	answer.result = json_deep_copy(result);
	answer.error_code = (int)json_integer_value(json_object_get(error, "code"));
	snprintf(answer.message, sizeof(answer.message), "%s",
		json_string_value(json_object_get(error, "message")) ?: "");
	for (size_t i = 0; i < descriptor_count; i++) {
		answer.fds[answer.fd_count++] = descriptors[i];
		descriptors[i] = -1;
	}
}

/* Makes the request with descriptors; returns the error's code, 0 on success. */
static int ask_with_all(const char *method, json_t *params, const int *fds, size_t count)
{
	int before = answer.count;

	close_answer();
	assert_int_equal(ipc_call(client, method, params, fds, count, 5000, on_answer, NULL), 0);
	while (answer.count == before)
		uv_run(&broker.loop, UV_RUN_ONCE);
	return answer.error_code;
}

/* As that, with one unless it is -1. */
static int ask_with(const char *method, json_t *params, int fd)
{
	return ask_with_all(method, params, &fd, fd >= 0 ? 1 : 0);
}

static int ask(const char *method, json_t *params)
{
	return ask_with(method, params, -1);
}

#define NEEDS_ROOT()                                                                               \
	if (!is_root)                                                                              \
	skip()

static void refuses_what_the_row_does_not_list(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(ask("broker.set_role_log", NULL), IPC_FORBIDDEN);
	assert_int_equal(ask("broker.format_disk", NULL), IPC_FORBIDDEN);
}

static void opens_the_configuration_and_nothing_else(void **state)
{
	char text[8] = {0};

	NEEDS_ROOT();
	assert_int_equal(ask("broker.open_config", NULL), IPC_FAILED);
	assert_non_null(strstr(answer.message, "No such file"));
	make_file("bulkhead.yaml", "host: a", 0600); /* root's: only this one is opened by root */
	assert_int_equal(ask("broker.open_config", NULL), 0);
	assert_int_equal(read(answer.fds[0], text, 7), 7);
	assert_string_equal(text, "host: a");
	assert_int_equal(
		ask("broker.open_config", json_pack("{s:s}", "path", "/etc/shadow")), IPC_FAILED);
}

static void opens_rules_in_pages(void **state)
{
	char name[32];
	size_t count = 0, after = 0;

	NEEDS_ROOT();
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%02d.rules", i);
		make_file(name, "#", 0644);
	}
	do {
		assert_int_equal(ask("broker.open_rules",
					 json_pack("{s:[s, s], s:I}", "patterns", at("*.rules"),
						 at("none*"), "after", (json_int_t)after)),
			0);
		assert_int_equal(
			json_array_size(json_object_get(answer.result, "files")), answer.fd_count);
		count += answer.fd_count;
		after = (size_t)json_integer_value(json_object_get(answer.result, "next"));
	} while (after > 0);
	assert_int_equal(count, 20);
	assert_int_equal(json_array_size(json_object_get(answer.result, "missing")), 1);
}

static int ask_rules(const char *pattern)
{
	return ask("broker.open_rules", json_pack("{s:[s]}", "patterns", pattern));
}

static void patterns_that_walk_the_whole_machine_are_refused(void **state)
{
	time_t start = time(NULL);

	NEEDS_ROOT();
	assert_int_equal(
		ask("broker.open_rules", json_pack("{s:[s]}", "patterns", "/*/*/*/*/*/*/*.rules")),
		IPC_FAILED);
	assert_true(time(NULL) - start < 5);
}

static void rule_files_are_read_with_the_roles_rights(void **state)
{
	NEEDS_ROOT();
	make_file("secret", "root only", 0600);
	assert_int_equal(ask_rules(at("secret")), IPC_FAILED);
	assert_int_equal(ask_rules("/etc/shadow"), IPC_FAILED);
	make_file("writable", "#", 0666);
	assert_int_equal(ask_rules(at("writable")), IPC_FAILED);
	assert_non_null(strstr(answer.message, "chmod o-w"));
	assert_int_equal(ask_rules(folder), IPC_FAILED);
	mkfifo(at("fifo"), 0644);
	assert_int_equal(ask_rules(at("fifo")), IPC_FAILED);
	assert_int_equal(ask_rules("relative/*.rules"), IPC_FAILED);
	assert_int_equal(ask_rules("/etc/../etc/passwd"), IPC_FAILED);
}

static int ask_path(const char *method, const char *path)
{
	return ask(method, json_pack("{s:s}", "path", path));
}

static void appends_as_the_roles_user_and_through_no_link(void **state)
{
	struct stat info;

	NEEDS_ROOT();
	assert_int_equal(ask_path("broker.open_append", at("eve.json")), 0);
	assert_int_equal(fstat(answer.fds[0], &info), 0);
	assert_int_equal(info.st_uid, broker.identity.uid);
	assert_int_equal(info.st_mode & 0777, 0640);
	assert_int_equal(fcntl(answer.fds[0], F_GETFL) & O_APPEND, O_APPEND);
	assert_int_equal(symlink("/etc/passwd", at("link")), 0);
	assert_int_equal(ask_path("broker.open_append", at("link")), IPC_FAILED);
	assert_int_equal(ask_path("broker.open_append", "/etc/cron.d/role"), IPC_FAILED);
	assert_int_equal(access("/etc/cron.d/role", F_OK), -1);
	assert_int_equal(ask_path("broker.open_append", "/etc/passwd"), IPC_FAILED);
	mkfifo(at("fifo2"), 0666);
	chmod(at("fifo2"), 0666);
	assert_int_equal(ask_path("broker.open_append", at("fifo2")), IPC_FAILED);
}

static int ask_cache(const char *path)
{
	return ask("broker.open_cache", json_pack("{s:s}", "folder", path));
}

static void opens_a_cache_that_nobody_else_has_a_hand_in(void **state)
{
	char place[300], file[320], elsewhere[320];
	struct stat info;

	NEEDS_ROOT();
	snprintf(place, sizeof(place), "%s", at("cache"));
	snprintf(file, sizeof(file), "%s/rules.cache", place);
	snprintf(elsewhere, sizeof(elsewhere), "%s", at("elsewhere"));
	assert_int_equal(ask_cache(place), IPC_FAILED);
	assert_int_equal(mkdir(place, 0777), 0);
	assert_int_equal(chown(place, broker.identity.uid, broker.identity.gid), 0);
	assert_int_equal(chmod(place, 0777), 0);
	assert_int_equal(ask_cache(place), IPC_FAILED);
	assert_non_null(strstr(answer.message, "nobody else may write"));
	assert_int_equal(chmod(place, 0700), 0);
	assert_int_equal(ask_cache(place), 0);
	assert_int_equal(fstat(answer.fds[0], &info), 0);
	assert_int_equal(info.st_uid, broker.identity.uid);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_int_equal(write(answer.fds[0], "kept", 4), 4);
	assert_int_equal(ask_cache(place), 0);
	assert_int_equal(fstat(answer.fds[0], &info), 0);
	assert_int_equal(info.st_size, 4);
	/* One that others may write is replaced; a link is, not what it leads to. */
	assert_int_equal(chmod(file, 0666), 0);
	assert_int_equal(ask_cache(place), 0);
	assert_int_equal(fstat(answer.fds[0], &info), 0);
	assert_int_equal(info.st_size, 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	make_file("elsewhere", "x", 0600);
	assert_int_equal(chown(elsewhere, broker.identity.uid, broker.identity.gid), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(symlink(elsewhere, file), 0);
	assert_int_equal(ask_cache(place), 0);
	assert_int_equal(fstat(answer.fds[0], &info), 0);
	assert_int_equal(info.st_size, 0);
	assert_int_equal(ask_cache("relative"), IPC_FAILED);
}

static int open_key_with(mode_t mode, uid_t owner)
{
	int fd = open(at("keys"), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(fchown(fd, owner, broker.identity.gid), 0);
	close(fd);
	return ask_path("broker.open_key", at("keys"));
}

/* I8 */
static void opens_keys_that_others_cannot_read(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(open_key_with(0640, 0), 0);
	assert_int_equal(answer.fd_count, 1);
	assert_int_equal(fcntl(answer.fds[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(open_key_with(0400, broker.identity.uid), 0);
	assert_int_equal(open_key_with(0644, 0), IPC_FAILED);
	assert_int_equal(open_key_with(0660, 0), IPC_FAILED);
	assert_int_equal(open_key_with(0640, broker.identity.uid + 1), IPC_FAILED);
	assert_int_equal(open_key_with(0600, 0), IPC_FAILED); /* the roles' user cannot */
	assert_int_equal(open_key_with(0640, 0), 0);
	assert_int_equal(symlink(at("keys"), at("keys-link")), 0);
	assert_int_equal(ask_path("broker.open_key", at("keys-link")), IPC_FAILED);
	assert_int_equal(ask_path("broker.open_key", "/etc/shadow"), IPC_FAILED);
	mkfifo(at("keys-fifo"), 0600);
	assert_int_equal(ask_path("broker.open_key", at("keys-fifo")), IPC_FAILED);
}

static void listens_with_mode_and_replaces_only_stale_sockets(void **state)
{
	struct stat info;

	NEEDS_ROOT();
	assert_int_equal(ask("broker.listen_unix",
				 json_pack("{s:s, s:i}", "path", at("control.sock"), "mode", 0600)),
		0);
	assert_int_equal(stat(at("control.sock"), &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_uid, broker.identity.uid);
	answer.fd_count = 0; /* keeps listening */
	assert_int_equal(ask_path("broker.listen_unix", at("control.sock")), IPC_FAILED);
	assert_non_null(strstr(answer.message, "another process listens"));
	close(answer.fds[0]);
	assert_int_equal(ask_path("broker.listen_unix", at("control.sock")), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ask("broker.listen_unix",
					 json_pack("{s:s, s:s}", "path", at("vsock.sock"), "type",
						 i ? "dgram" : "stream")),
			i ? IPC_FAILED : 0);
	make_file("file", "x", 0644);
	assert_int_equal(ask_path("broker.listen_unix", at("file")), IPC_FAILED);
	assert_int_equal(access(at("file"), F_OK), 0);
	assert_int_equal(ask_path("broker.listen_unix", "/etc/role.sock"), IPC_FAILED);
	assert_int_equal(
		ask("broker.listen_unix",
			json_pack("{s:s, s:s}", "path", at("g.sock"), "group", "no-such-group")),
		IPC_FAILED);
	broker_unlink_sockets(&broker);
	assert_int_equal(access(at("control.sock"), F_OK), -1);
}

static void makes_folders_of_a_socket_when_asked(void **state)
{
	struct stat info;

	NEEDS_ROOT();
	assert_int_equal(ask_path("broker.listen_unix", at("a/b/channel.sock")), IPC_FAILED);
	assert_int_equal(access(at("a"), F_OK), -1);
	assert_int_equal(ask("broker.listen_unix",
				 json_pack("{s:s, s:s}", "path", at("c.sock"), "folders", "yes")),
		IPC_FAILED);
	assert_int_equal(
		ask("broker.listen_unix",
			json_pack("{s:s, s:b}", "path", at("a/b/channel.sock"), "folders", true)),
		0);
	assert_int_equal(stat(at("a/b"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0755);
	assert_int_equal(info.st_uid, broker.identity.uid);
	/* Where the roles' user may not, it may not with folders either. */
	assert_int_equal(ask("broker.listen_unix",
				 json_pack("{s:s, s:b}", "path", "/etc/channels/web/channel.sock",
					 "folders", true)),
		IPC_FAILED);
	assert_int_equal(access("/etc/channels", F_OK), -1);
	broker_unlink_sockets(&broker);
	assert_int_equal(rmdir(at("a/b")), 0);
	assert_int_equal(rmdir(at("a")), 0);
}

static void connects_where_the_roles_user_may(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(ask_path("broker.listen_unix", at("peer.sock")), 0);
	answer.fd_count = 0;
	assert_int_equal(
		ask("broker.connect_unix",
			json_pack("{s:s, s:s}", "path", at("peer.sock"), "type", "seqpacket")),
		0);
	close_answer();
	assert_int_equal(ask_path("broker.connect_unix", at("nobody.sock")), IPC_FAILED);
	assert_int_equal(ask("broker.connect_unix",
				 json_pack("{s:s, s:s}", "path", at("peer.sock"), "type", "raw")),
		IPC_FAILED);
}

/* A server that trusts root (the system bus) must not take the role for it. */
static void connections_speak_for_the_roles_user(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted;

	NEEDS_ROOT();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", at("trusting.sock"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(chmod(address.sun_path, 0666), 0);
	assert_int_equal(ask_path("broker.connect_unix", address.sun_path), 0);
	accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(getsockopt(accepted, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
	assert_int_equal(peer.uid, broker.identity.uid);
	assert_int_equal(peer.gid, broker.identity.gid);
	assert_int_equal(geteuid(), 0);
	close(accepted);
	close(fd);
}

static void tap_outlives_the_role(void **state)
{
	json_t *params = json_pack("{s:s, s:i, s:i, s:s, s:[s, s]}", "interface", "bulk0", "queues",
		2, "mtu", 9000, "mac", "52:54:00:00:00:01", "addresses", "192.0.2.1/24",
		"2001:db8::1/64");
	unsigned index;

	NEEDS_ROOT();
	if (access("/dev/net/tun", R_OK) < 0)
		skip();
	assert_int_equal(ask("broker.open_tap", json_incref(params)), 0);
	assert_int_equal(answer.fd_count, 2);
	assert_true(json_is_true(json_object_get(answer.result, "is_new")));
	assert_int_equal(json_integer_value(json_object_get(answer.result, "mtu")), 9000);
	assert_string_equal(
		json_string_value(json_object_get(answer.result, "mac")), "52:54:00:00:00:01");
	index = if_nametoindex("bulk0");
	assert_int_equal(index, json_integer_value(json_object_get(answer.result, "index")));
	close_answer(); /* the role is gone */
	assert_int_equal(if_nametoindex("bulk0"), index);
	json_object_set_new(params, "addresses", json_pack("[s]", "192.0.2.9/24"));
	assert_int_equal(ask("broker.open_tap", params), 0);
	assert_true(json_is_false(json_object_get(answer.result, "is_new")));
	assert_int_equal(if_nametoindex("bulk0"), index);
	assert_int_equal(ask("broker.close_tap", json_pack("{s:s}", "interface", "bulk0")), 0);
	for (int i = 0; i < 100 && if_nametoindex("bulk0"); i++)
		uv_run(&broker.loop, UV_RUN_ONCE);
	assert_int_equal(if_nametoindex("bulk0"), 0);
	assert_int_equal(
		ask("broker.close_tap", json_pack("{s:s}", "interface", "bulk0")), IPC_FAILED);
}

/* What `ip` says of rules, routes or the interface; borrowed until the next call. */
static const char *ip_says(const char *command)
{
	static char text[4096];
	FILE *pipe = popen(command, "r");
	size_t size;

	assert_non_null(pipe);
	size = fread(text, 1, sizeof(text) - 1, pipe);
	text[size] = '\0';
	assert_int_equal(pclose(pipe), 0);
	return text;
}

/* D9 */
static void hidden_tap_takes_what_its_addresses_send(void **state)
{
	json_t *params = json_pack("{s:s, s:i, s:[s, s]}", "interface", "vipa0", "source_table",
		7783, "addresses", "192.0.2.80/32", "2001:db8::80/128");

	NEEDS_ROOT();
	if (access("/dev/net/tun", R_OK) < 0)
		skip();
	assert_int_equal(ask("broker.open_tap", json_incref(params)), 0);
	assert_non_null(strstr(ip_says("ip link show vipa0"), "NOARP"));
	assert_non_null(strstr(ip_says("ip rule"), "from 192.0.2.80 lookup 7783"));
	assert_non_null(strstr(ip_says("ip -6 rule"), "from 2001:db8::80 lookup 7783"));
	assert_non_null(strstr(ip_says("ip route get 203.0.113.1 from 192.0.2.80"), "dev vipa0"));
	assert_non_null(
		strstr(ip_says("ip route get 2001:db8:1::1 from 2001:db8::80"), "dev vipa0"));
	assert_string_equal(ip_says("cat /proc/sys/net/ipv4/conf/all/arp_ignore"), "1\n");
	assert_string_equal(ip_says("cat /proc/sys/net/ipv4/conf/all/arp_announce"), "2\n");
	/* Again, with one address less. */
	json_object_set_new(params, "addresses", json_pack("[s]", "192.0.2.80/32"));
	assert_int_equal(ask("broker.open_tap", params), 0);
	assert_null(strstr(ip_says("ip -6 rule"), "7783"));
	assert_non_null(strstr(ip_says("ip rule"), "from 192.0.2.80 lookup 7783"));
	assert_int_equal(ask("broker.close_tap", json_pack("{s:s}", "interface", "vipa0")), 0);
	assert_null(strstr(ip_says("ip rule"), "7783"));
}

static void takes_over_no_interface_of_others(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(ask("broker.open_tap", json_pack("{s:s}", "interface", "lo")), IPC_FAILED);
	assert_int_equal(ask("broker.open_tap",
				 json_pack("{s:s, s:s}", "interface", "bulk1", "owner", "root")),
		IPC_FAILED);
	assert_int_equal(
		ask("broker.open_tap", json_pack("{s:s, s:i}", "interface", "bulk1", "queues", 17)),
		IPC_FAILED);
}

static void opens_packet_sockets_on_an_interface(void **state)
{
	NEEDS_ROOT();
	if (access("/dev/net/tun", R_OK) < 0)
		skip();
	assert_int_equal(ask("broker.open_tap", json_pack("{s:s}", "interface", "bulk2")), 0);
	assert_int_equal(ask("broker.open_packet_socket",
				 json_pack("{s:s, s:i}", "interface", "bulk2", "queues", 2)),
		0);
	assert_int_equal(answer.fd_count, 2);
	assert_int_equal(
		ask("broker.open_packet_socket", json_pack("{s:s}", "interface", "nosuch0")),
		IPC_FAILED);
	assert_non_null(strstr(answer.message, "nosuch0"));
}

static void refuses_the_loopback_as_an_adapter(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(ask("broker.open_packet_socket", json_pack("{s:s}", "interface", "lo")),
		IPC_FAILED);
	assert_int_equal(answer.fd_count, 0);
	assert_non_null(strstr(answer.message, "interface lo is the host's loopback"));
}

static int ask_tcp(const char *address, int port)
{
	return ask("broker.listen_tcp", json_pack("{s:s, s:i}", "address", address, "port", port));
}

static void listens_on_unprivileged_ports_only(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(ask_tcp("127.0.0.1", 19581), 0);
	assert_int_equal(ask_tcp("127.0.0.1", 22), IPC_FAILED);
	assert_int_equal(ask_tcp("localhost", 19581), IPC_FAILED);
	assert_int_equal(ask_tcp("127.0.0.1", 65536), IPC_FAILED);
}

static void tells_the_roles(void **state)
{
	const json_t *rows;

	NEEDS_ROOT();
	assert_int_equal(ask("broker.roles", NULL), 0);
	rows = json_object_get(answer.result, "roles");
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(rows, 0), "name")), "broker");
	assert_int_equal(
		ask("broker.restart_role", json_pack("{s:s}", "role", "tester")), IPC_FAILED);
}

static int memory_with(const char *text, int seals)
{
	int fd = memfd_create("kept", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	fcntl(fd, F_ADD_SEALS, seals);
	return fd;
}

static int keep(const char *text, int seals)
{
	int fd = memory_with(text, seals), code = ask_with("broker.keep", NULL, fd);

	close(fd);
	return code;
}

static void gives_back_what_it_kept_last_if_it_was_sealed(void **state)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	char text[8] = {0};

	NEEDS_ROOT();
	assert_int_equal(ask("broker.kept", NULL), 0);
	assert_int_equal(answer.fd_count, 0);
	assert_int_equal(keep("old", all), 0);
	assert_int_equal(keep("new", all), 0);
	assert_int_equal(keep("bad", F_SEAL_WRITE), IPC_FAILED);
	assert_int_equal(ask("broker.keep", NULL), IPC_FAILED);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask("broker.kept", NULL), 0);
		assert_int_equal(answer.fd_count, 1);
		assert_int_equal(pread(answer.fds[0], text, 7, 0), 3);
		assert_string_equal(text, "new");
	}
}

/* D16: what the role writes to the second one goes on, also behind the last request. */
static void gives_back_memory_that_was_written_to_since(void **state)
{
	const int resize = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int sealed = memory_with("sealed", resize | F_SEAL_WRITE),
	    live = memory_with("old", resize);
	int loose = memory_with("loose", F_SEAL_SHRINK | F_SEAL_SEAL);
	char text[8] = {0};

	NEEDS_ROOT();
	assert_int_equal(ask_with_all("broker.keep", NULL, (int[]){sealed, live}, 2), 0);
	assert_int_equal(pwrite(live, "new", 3, 0), 3);
	assert_int_equal(ask_with_all("broker.keep", NULL, (int[]){sealed, loose}, 2), IPC_FAILED);
	assert_non_null(strstr(answer.message, "second"));
	assert_int_equal(ask_with_all("broker.keep", NULL, (int[]){live, live}, 2), IPC_FAILED);
	assert_int_equal(
		ask_with_all("broker.keep", NULL, (int[]){sealed, live, live}, 3), IPC_FAILED);
	assert_int_equal(ask("broker.kept", NULL), 0);
	assert_int_equal(answer.fd_count, 2);
	assert_int_equal(pread(answer.fds[0], text, 7, 0), 6);
	assert_string_equal(text, "sealed");
	assert_int_equal(pwrite(answer.fds[1], "N", 1, 0), 1);
	assert_int_equal(pread(live, text, 7, 0), 3);
	assert_memory_equal(text, "New", 3);
	close(sealed);
	close(live);
	close(loose);
}

static int ask_program(const char *binary, const char *path)
{
	return ask("broker.start_program",
		json_pack("{s:s, s:s, s:s}", "program", "suricata", "binary", binary, "folder",
			path));
}

/* I7: nobody else than root decides what root starts. */
static void starts_programs_of_root_alone(void **state)
{
	NEEDS_ROOT();
	assert_int_equal(mkdir(at("own"), 0755), 0);
	assert_int_equal(chown(at("own"), broker.identity.uid, broker.identity.gid), 0);
	make_file("suricata", "#!/bin/sh\n", 0755);
	assert_int_equal(ask_program(at("suricata"), at("own")), IPC_FAILED);
	assert_non_null(strstr(answer.message, "written by others than root"));
	assert_int_equal(ask_program("/bin/sh", at("own")), IPC_FAILED);
	assert_non_null(strstr(answer.message, "name must be suricata"));
	assert_int_equal(symlink("/bin/sh", at("own/suricata")), 0);
	assert_int_equal(ask_program(at("own/suricata"), at("own")), IPC_FAILED);
	assert_int_equal(ask_program("/nowhere/suricata", at("own")), IPC_FAILED);
	assert_int_equal(ask("broker.start_program",
				 json_pack("{s:s, s:s, s:s}", "program", "shell", "binary",
					 "/bin/sh", "folder", at("own"))),
		IPC_FAILED);
	assert_int_equal(ask("broker.start_program",
				 json_pack("{s:s, s:s, s:s, s:s}", "program", "suricata", "binary",
					 "/bin/sh", "folder", at("own"), "arguments", "-c")),
		IPC_FAILED);
	assert_int_equal(ask("broker.stop_program", json_pack("{s:s}", "program", "suricata")), 0);
	assert_true(list_is_empty(&broker.programs));
}

static int ask_attached(const char *path)
{
	return ask("broker.start_program",
		json_pack("{s:s, s:s, s:b}", "program", "suricata", "folder", path, "is_attached",
			1));
}

/* I7: what root changes the rights of is the role's own, and reached through no link. */
static void gives_programs_the_roles_own_folder_alone(void **state)
{
	struct stat info;

	NEEDS_ROOT();
	assert_int_equal(mkdir(at("roots"), 0755), 0);
	assert_int_equal(ask_attached(at("roots")), IPC_FAILED);
	assert_int_equal(symlink("/etc", at("etc")), 0);
	assert_int_equal(ask_attached(at("etc")), IPC_FAILED);
	assert_int_equal(mkdir(at("given"), 0755), 0);
	assert_int_equal(chown(at("given"), broker.identity.uid, broker.identity.gid), 0);
	assert_int_equal(ask_attached(at("given")), 0);
	assert_int_equal(mkdir(at("given/packets"), 0700), 0);
	assert_int_equal(chown(at("given/packets"), broker.identity.uid, broker.identity.gid), 0);
	assert_int_equal(ask_attached(at("given")), 0);
	assert_int_equal(stat(at("given/packets"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0770);
	assert_int_equal(info.st_uid, broker.identity.uid);
	assert_int_equal(stat(at("given"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 0750);
	assert_int_equal(stat(at("given/run"), &info), 0);
	assert_int_equal(info.st_mode & 07777, 02750);
	assert_int_equal(info.st_gid, broker.identity.gid);
	assert_int_equal(rmdir(at("given/run")), 0);
	assert_int_equal(symlink("/etc", at("given/run")), 0);
	assert_int_equal(ask_attached(at("given")), IPC_FAILED);
	assert_int_equal(stat("/etc", &info), 0);
	assert_int_equal(info.st_uid, 0);
}

#define REQUEST_TEST(name) cmocka_unit_test_teardown(name, forget_answer)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REQUEST_TEST(refuses_what_the_row_does_not_list),
		REQUEST_TEST(opens_the_configuration_and_nothing_else),
		REQUEST_TEST(opens_rules_in_pages),
		REQUEST_TEST(patterns_that_walk_the_whole_machine_are_refused),
		REQUEST_TEST(rule_files_are_read_with_the_roles_rights),
		REQUEST_TEST(opens_a_cache_that_nobody_else_has_a_hand_in),
		REQUEST_TEST(appends_as_the_roles_user_and_through_no_link),
		REQUEST_TEST(opens_keys_that_others_cannot_read),
		REQUEST_TEST(listens_with_mode_and_replaces_only_stale_sockets),
		REQUEST_TEST(makes_folders_of_a_socket_when_asked),
		REQUEST_TEST(connects_where_the_roles_user_may),
		REQUEST_TEST(connections_speak_for_the_roles_user),
		REQUEST_TEST(tap_outlives_the_role),
		REQUEST_TEST(hidden_tap_takes_what_its_addresses_send),
		REQUEST_TEST(takes_over_no_interface_of_others),
		REQUEST_TEST(opens_packet_sockets_on_an_interface),
		REQUEST_TEST(refuses_the_loopback_as_an_adapter),
		REQUEST_TEST(listens_on_unprivileged_ports_only),
		REQUEST_TEST(tells_the_roles),
		REQUEST_TEST(gives_back_what_it_kept_last_if_it_was_sealed),
		REQUEST_TEST(gives_back_memory_that_was_written_to_since),
		REQUEST_TEST(starts_programs_of_root_alone),
		REQUEST_TEST(gives_programs_the_roles_own_folder_alone),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
