/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library and the daemon's sessions, over a real socket in one loop: the client is a
 * thread, as it blocks. And over a transport that is no socket. */
#include "bulkhead/kmp.h"

#include "base/clock.h"
#include "fake_sa.h"
#include "packet/ipsec/kmp_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET_TEXT "000102030405060708090a0b0c0d0e0f"

static const uint8_t secret[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const struct kmp_address here = {4, {192, 0, 2, 1}}, there = {4, {198, 51, 100, 7}};
static char folder[] = "/tmp/kmp_test.XXXXXX", socket_path[64], secret_path[64];

/* The daemon's end; only its thread touches it while it runs. */
static struct {
	uv_loop_t loop;
	uv_async_t stop, tell;
	uv_thread_t thread;
	struct kmp_server *server;
	struct kmp_unix *listener;
	unsigned int expires; /* how many events `tell` makes */
} daemon_end;

static void on_stop(uv_async_t *async)
{
	kmp_unix_close(daemon_end.listener);
	uv_close((uv_handle_t *)&daemon_end.stop, NULL);
	uv_close((uv_handle_t *)&daemon_end.tell, NULL);
}

static void on_tell(uv_async_t *async)
{
	for (unsigned int i = 0; i < daemon_end.expires; i++)
		kmp_server_expire(daemon_end.server, fake_sa.sas[0].view.owner,
			&fake_sa.sas[0].view.name, true, clock_monotonic_ns());
	kmp_unix_attend(daemon_end.listener);
}

static void run_loop(void *context)
{
	uv_run(&daemon_end.loop, UV_RUN_DEFAULT);
}

static void write_secret(const char *text, mode_t mode)
{
	int fd = open(secret_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int set_up(void **state)
{
	const struct kmp_settings settings = {
		.secret = secret, .secret_size = sizeof(secret), .grace_ms = 60000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	fake_sa_reset();
	write_secret("# of the test\n" SECRET_TEXT "\n", 0600);
	strcpy(address.sun_path, socket_path);
	unlink(socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 8), 0);
	uv_loop_init(&daemon_end.loop);
	uv_async_init(&daemon_end.loop, &daemon_end.stop, on_stop);
	uv_async_init(&daemon_end.loop, &daemon_end.tell, on_tell);
	assert_int_equal(kmp_server_create(&settings, clock_monotonic_ns(), &daemon_end.server), 0);
	assert_int_equal(
		kmp_unix_open(&daemon_end.loop, fd, daemon_end.server, &daemon_end.listener), 0);
	return uv_thread_create(&daemon_end.thread, run_loop, NULL);
}

static void stop_daemon(void)
{
	if (!daemon_end.server)
		return;
	uv_async_send(&daemon_end.stop);
	uv_thread_join(&daemon_end.thread);
	uv_loop_close(&daemon_end.loop);
	kmp_server_destroy(daemon_end.server, true);
	daemon_end.server = NULL;
}

static int tear_down(void **state)
{
	stop_daemon();
	return 0;
}

static int try_open(
	const char *name, bool resumes, struct bulkhead_kmp **out, struct bulkhead_kmp_error *error)
{
	const struct bulkhead_kmp_options options = {.socket = socket_path,
		.secret_file = secret_path,
		.name = name,
		.resumes = resumes,
		.timeout_ms = 20000};

	return bulkhead_kmp_open(&options, out, error);
}

static struct bulkhead_kmp *open_as(const char *name)
{
	struct bulkhead_kmp *kmp;
	struct bulkhead_kmp_error error;

	if (try_open(name, true, &kmp, &error) < 0)
		fail_msg("%s", error.message);
	return kmp;
}

static int add_sa(struct bulkhead_kmp *kmp, uint32_t spi, struct bulkhead_kmp_error *error)
{
	static const uint8_t key[20];
	const struct kmp_sa sa = {.name = {.spi = spi, .destination = here},
		.source = there,
		.cipher = KMP_CIPHER_AES_GCM_16,
		.cipher_key = key,
		.cipher_key_size = sizeof(key),
		.replay_window = 64};

	return bulkhead_kmp_sa_add(kmp, &sa, error);
}

/* E14: whatever makes keys may use it. */
static void a_client_does_all_that_there_is(void **state)
{
	struct bulkhead_kmp *kmp = open_as("client");
	struct bulkhead_kmp_error error;
	struct kmp_sa_name name = {.destination = here};
	struct kmp_policy policy = {.direction = KMP_POLICY_INBOUND,
		.action = KMP_DISCARD,
		.selector = {.source_first = there,
			.source_last = there,
			.destination_first = here,
			.destination_last = here}};
	struct kmp_sa_entry entries[KMP_SAS_MAX];
	struct kmp_usage usage;
	struct kmp_stats stats;
	uint32_t after = 0;
	size_t count;

	assert_int_equal(bulkhead_kmp_grace_ms(kmp), 60000);
	assert_int_equal(bulkhead_kmp_ping(kmp, &error), 0);
	assert_int_equal(bulkhead_kmp_get_spi(kmp, &here, &name.spi, &error), 0);
	assert_int_equal(add_sa(kmp, name.spi, &error), 0);
	assert_int_equal(add_sa(kmp, name.spi, &error), -EREMOTEIO);
	assert_int_equal(error.code, KMP_EXISTS);
	assert_non_null(strstr(error.message, "this SA is there"));
	assert_int_equal(bulkhead_kmp_sa_query(kmp, &name, &usage, &error), 0);
	assert_int_equal(usage.packets, 42);
	assert_int_equal(bulkhead_kmp_list(kmp, false, &after, entries, &count, &error), 0);
	assert_int_equal(count, 1);
	assert_int_equal(entries[0].name.spi, name.spi);
	assert_int_equal(bulkhead_kmp_policy_add(kmp, &policy, &error), 0);
	assert_int_equal(bulkhead_kmp_policy_delete(kmp, &policy, &error), 0);
	assert_int_equal(bulkhead_kmp_sa_delete(kmp, &name, &error), 0);
	assert_int_equal(bulkhead_kmp_stats(kmp, &stats, &error), 0);
	assert_int_equal(stats.sessions, 1);
	assert_int_equal(stats.refused, 1);
	assert_int_equal(bulkhead_kmp_bye(kmp, &error), 0);
	assert_int_equal(bulkhead_kmp_ping(kmp, &error), -ECONNRESET);
	bulkhead_kmp_close(kmp);
}

static void events_come_between_answers(void **state)
{
	struct bulkhead_kmp *kmp = open_as("client");
	struct bulkhead_kmp_error error;
	struct kmp_event event;

	assert_int_equal(add_sa(kmp, 300, &error), 0);
	daemon_end.expires = KMP_EVENT_WINDOW + 3;
	uv_async_send(&daemon_end.tell);
	for (uint32_t i = 1; i <= daemon_end.expires; i++) {
		assert_int_equal(bulkhead_kmp_ping(kmp, &error), 0);
		assert_int_equal(bulkhead_kmp_next_event(kmp, 20000, &event, &error), 0);
		assert_int_equal(event.sequence, i);
		assert_int_equal(event.type, KMP_SA_EXPIRE);
		assert_int_equal(event.name.spi, 300);
		assert_true(event.is_hard);
		assert_int_equal(bulkhead_kmp_acknowledge(kmp, &event, &error), 0);
	}
	assert_int_equal(bulkhead_kmp_ping(kmp, &error), 0);
	assert_false(bulkhead_kmp_has_event(kmp));
	assert_int_equal(bulkhead_kmp_next_event(kmp, 0, &event, &error), -ETIMEDOUT);
	bulkhead_kmp_close(kmp);
}

static void a_second_client_of_the_name_ends_the_first(void **state)
{
	struct bulkhead_kmp *first = open_as("client"), *second;
	struct bulkhead_kmp_error error;

	assert_int_equal(add_sa(first, 300, &error), 0);
	second = open_as("client");
	assert_int_equal(bulkhead_kmp_ping(first, &error), -ECONNRESET);
	assert_int_equal(bulkhead_kmp_sa_delete(second,
				 &(struct kmp_sa_name){.spi = 300, .destination = here}, &error),
		0);
	bulkhead_kmp_close(first);
	bulkhead_kmp_close(second);
}

static void expect_refused(int code, const char *why)
{
	struct bulkhead_kmp *kmp;
	struct bulkhead_kmp_error error;

	assert_int_equal(try_open("client", false, &kmp, &error), code);
	if (!strstr(error.message, why))
		fail_msg("%s", error.message);
}

static void says_why_there_is_no_connection(void **state)
{
	write_secret(SECRET_TEXT, 0644);
	expect_refused(-EACCES, "chmod 0640");
	write_secret("no secret", 0600);
	expect_refused(-EINVAL, "one line of hexadecimal digits");
	write_secret("ff" SECRET_TEXT, 0600);
	expect_refused(-EACCES, "denied");
	unlink(secret_path);
	expect_refused(-ENOENT, "No such file");
	write_secret(SECRET_TEXT, 0600);
	stop_daemon();
	expect_refused(-ECONNREFUSED, "is the daemon running");
}

/* A peer that sends what is no KMP, or more than a message may have, is answered and stays. */
static void raw_bytes_are_answered(void **state)
{
	static uint8_t bytes[KMP_MESSAGE_MAX + 100];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct kmp_message message;
	ssize_t size;

	strcpy(address.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	for (size_t i = 1; i < sizeof(bytes); i += 4120) {
		assert_int_equal(send(fd, bytes, i, 0), i);
		size = recv(fd, bytes, sizeof(bytes), 0);
		assert_true(size > 0);
		assert_int_equal(kmp_decode(bytes, (size_t)size, &message), KMP_OK);
		assert_int_equal(kmp_get_number(&message, KMP_ATTRIBUTE_CODE), KMP_MALFORMED);
		memset(bytes, 0, sizeof(bytes));
	}
	close(fd);
}

/* How many requests were heard but those for this; each turn of the daemon's loop hears some of
 * whoever may be heard. */
static uint64_t heard(struct bulkhead_kmp *kmp, uint64_t *own)
{
	struct bulkhead_kmp_error error;
	struct kmp_stats stats;

	assert_int_equal(bulkhead_kmp_stats(kmp, &stats, &error), 0);
	return stats.requests - ++*own;
}

static bool send_ping(int fd, uint32_t sequence)
{
	uint8_t bytes[KMP_HEADER_SIZE];
	struct kmp_writer writer;

	kmp_begin(&writer, bytes, sizeof(bytes), KMP_PING, sequence, 0);
	return send(fd, bytes, kmp_end(&writer), MSG_DONTWAIT) > 0;
}

/* A flood of requests whose answers nobody reads stops at the socket, and hurts nobody else. */
static void a_flood_is_held_back(void **state)
{
	struct bulkhead_kmp *flood = open_as("flood"), *other = open_as("other");
	int fd = bulkhead_kmp_descriptor(flood);
	uint32_t sent = 0;
	uint64_t own = 0, before;
	bool is_held = false;

	while (!is_held && sent < 100000) {
		if (send_ping(fd, 10 + sent)) {
			sent++;
			continue;
		}
		/* Held back, not only behind: nothing more is heard, and still there is no room. */
		before = heard(other, &own);
		is_held = heard(other, &own) == before && !send_ping(fd, 10 + sent);
	}
	assert_true(is_held);
	assert_true(heard(other, &own) < sent);
	bulkhead_kmp_close(other);
	bulkhead_kmp_close(flood);
}

/* ---- a transport that is no socket: messages are handed over in memory ---- */

static struct {
	struct kmp_server *server;
	struct kmp_session *session;
	size_t count, read;
	struct {
		size_t size;
		uint8_t bytes[KMP_MESSAGE_MAX];
	} inbox[8];
	bool is_closed;
} memory;

static int memory_take(void *context, const uint8_t *message, size_t size)
{
	memcpy(memory.inbox[memory.count % 8].bytes, message, size);
	memory.inbox[memory.count++ % 8].size = size;
	return 0;
}

static void memory_end(void *context)
{
}

static int memory_send(void *context, const void *message, size_t size)
{
	uint8_t copy[KMP_MESSAGE_MAX];

	memcpy(copy, message, size);
	kmp_session_receive(memory.session, copy, size, 1);
	return 0;
}

static int memory_receive(void *context, void *message, size_t room, int timeout_ms, size_t *size)
{
	if (memory.read == memory.count)
		return -ETIMEDOUT;
	*size = memory.inbox[memory.read % 8].size;
	memcpy(message, memory.inbox[memory.read++ % 8].bytes, *size);
	return 0;
}

static int memory_descriptor(void *context)
{
	return -1;
}

static void memory_close(void *context)
{
	memory.is_closed = true;
}

static void a_transport_is_four_functions(void **state)
{
	static const struct kmp_connection_ops ops = {.send = memory_take, .end = memory_end};
	static const struct kmp_transport transport = {
		memory_send, memory_receive, memory_descriptor, memory_close};
	const struct kmp_settings settings = {.secret = secret, .secret_size = sizeof(secret)};
	const struct bulkhead_kmp_options options = {
		.secret_file = secret_path, .name = "vm", .transport = &transport};
	struct bulkhead_kmp_error error;
	struct bulkhead_kmp *kmp;

	assert_int_equal(kmp_server_create(&settings, 1, &memory.server), 0);
	assert_int_equal(kmp_session_open(memory.server, 7, &ops, NULL, 1, &memory.session), 0);
	assert_int_equal(bulkhead_kmp_open(&options, &kmp, &error), 0);
	assert_int_equal(add_sa(kmp, 300, &error), 0);
	assert_int_equal(fake_sa.sa_count, 1);
	bulkhead_kmp_close(kmp);
	assert_true(memory.is_closed);
	kmp_session_close(memory.session, 1);
	kmp_server_destroy(memory.server, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_does_all_that_there_is),
		TEST(events_come_between_answers),
		TEST(a_second_client_of_the_name_ends_the_first),
		TEST(says_why_there_is_no_connection),
		TEST(raw_bytes_are_answered),
		TEST(a_flood_is_held_back),
		TEST(a_transport_is_four_functions),
	};
	int status;

	if (!mkdtemp(folder))
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/kmp.sock", folder);
	snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(socket_path);
	unlink(secret_path);
	rmdir(folder);
	return status;
}
