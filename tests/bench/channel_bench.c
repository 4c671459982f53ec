/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages from one process to another: how many a second, and how long one takes, through channels
 * and what else there is on one host.
 *
 *	channel-bench TRANSPORT MODE rate SIZE SECONDS CHANNELS [SOCKET SOCKET [NAME NAME]]
 *	channel-bench TRANSPORT MODE latency SIZE COUNT 1 [SOCKET SOCKET [NAME NAME]]
 *
 *	TRANSPORT  channel (sockets of two partitions, "a" and "b" or as they are named for each
 *	           other, on running daemons), seqpacket, mq, zeromq, ring (shared memory without
 *	           any check: the limit), tls (TLS 1.3 over TCP, nothing else: instead of sockets a
 *	           file with certificate and key, the sender's network namespace, and our address)
 *	MODE       polled: both look without end; sleeping: both wait in the kernel at once
 *
 * Latency is one way: the receiver's clock less the sender's, the same one, one message at a time,
 * with PAUSE_US microseconds (environment; 20) between, and some more after large ones.
 * Prints a line of JSON.
 */
#include "bulkhead/channel.h"
#include "measuring.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef HAVE_ZEROMQ
#include <zmq.h>
#endif

#define CHANNELS_MAX 64
#define SIZE_MAX_    (1 << 20)
#define LAST         UINT64_MAX
#define BUFFER_SIZE  (8 << 20)
#define QUEUE_LENGTH 10 /* what a queue may have without privileges */

struct header {
	uint64_t sent_ns; /* LAST: the end */
};

struct transport {
	const char *name;
	void (*prepare)(void); /* before the fork */
	void (*open)(bool is_sender);
	/* false: try again (polled). */
	bool (*send)(int channel, const void *message, size_t size);
	/* Size, or -1: nothing yet (polled). */
	ssize_t (*receive)(int channel, void *buffer);
	void (*close)(void); /* of the receiver, at the end */
};

static bool is_polled;
static size_t message_size;
static int channel_count = 1;
static char *sockets[2], *names[2] = {"a", "b"};

/* --- Channels --- */

static struct bulkhead_channels *channels;
static struct bulkhead_channel *ends[CHANNELS_MAX];
static int wait_ms;

static void channel_open(bool is_sender)
{
	wait_ms = is_polled ? 0 : -1;
	check(bulkhead_channels_attach(sockets[!is_sender], 5000, &channels), "attach");
	bulkhead_channels_set_spin(channels, 0);
	for (int i = 0; i < channel_count; i++) {
		uint32_t endpoint = (uint32_t)i + 1;

		check(bulkhead_channels_bind(channels, endpoint, NULL), "bind");
		check(bulkhead_channel_open(channels,
			      is_sender ? BULKHEAD_CHANNEL_SEND : BULKHEAD_CHANNEL_RECEIVE,
			      endpoint, names[is_sender], endpoint, NULL, 0, &ends[i]),
			"open");
	}
	for (int i = 0; i < channel_count; i++)
		check(bulkhead_channel_wait(ends[i], 20000), "wait");
}

static bool channel_send(int channel, const void *message, size_t size)
{
	int status = bulkhead_channel_send(ends[channel], message, size, wait_ms);

	if (status == -EAGAIN)
		return false;
	check(status, "send");
	return true;
}

static ssize_t channel_receive(int channel, void *buffer)
{
	ssize_t size = bulkhead_channel_receive(ends[channel], buffer, SIZE_MAX_, wait_ms);

	if (size == -EAGAIN)
		return -1;
	check((int)size, "receive");
	return size;
}

/* --- Unix sockets --- */

static int pair[2], end_fd;

static void seqpacket_prepare(void)
{
	int size = BUFFER_SIZE;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
		err(1, "socketpair");
	for (int i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
			err(1, "SO_SNDBUFFORCE");
}

static void seqpacket_open(bool is_sender)
{
	end_fd = pair[!is_sender];
	close(pair[is_sender]);
}

static bool seqpacket_send(int channel, const void *message, size_t size)
{
	if (send(end_fd, message, size, is_polled ? MSG_DONTWAIT : 0) >= 0)
		return true;
	if (errno != EAGAIN)
		err(1, "send");
	return false;
}

static ssize_t seqpacket_receive(int channel, void *buffer)
{
	ssize_t size = recv(end_fd, buffer, SIZE_MAX_, is_polled ? MSG_DONTWAIT : 0);

	if (size < 0 && errno != EAGAIN)
		err(1, "recv");
	return size;
}

/* --- POSIX message queues --- */

static mqd_t queue;

static void mq_prepare(void)
{
	struct mq_attr attributes = {.mq_maxmsg = QUEUE_LENGTH, .mq_msgsize = (long)message_size};
	char name[32];

	snprintf(name, sizeof(name), "/channel-bench-%d", getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | (is_polled ? O_NONBLOCK : 0), 0600, &attributes);
	if (queue < 0)
		err(1, "mq_open");
	mq_unlink(name);
}

static void mq_begin(bool is_sender)
{
}

static bool mq_put(int channel, const void *message, size_t size)
{
	if (mq_send(queue, message, size, 0) == 0)
		return true;
	if (errno != EAGAIN)
		err(1, "mq_send");
	return false;
}

static ssize_t mq_take(int channel, void *buffer)
{
	ssize_t size = mq_receive(queue, buffer, SIZE_MAX_, NULL);

	if (size < 0 && errno != EAGAIN)
		err(1, "mq_receive");
	return size;
}

/* --- ZeroMQ --- */

#ifdef HAVE_ZEROMQ
static char zmq_address[64];
static void *zmq_end;

static void zeromq_prepare(void)
{
	snprintf(zmq_address, sizeof(zmq_address), "ipc:///tmp/channel-bench-%d.ipc", getpid());
}

static void zeromq_open(bool is_sender)
{
	void *context = zmq_ctx_new();

	zmq_end = zmq_socket(context, is_sender ? ZMQ_PUSH : ZMQ_PULL);
	if ((is_sender ? zmq_connect(zmq_end, zmq_address) : zmq_bind(zmq_end, zmq_address)) < 0)
		errx(1, "%s: %s", zmq_address, zmq_strerror(errno));
}

static void zeromq_close(void)
{
	unlink(zmq_address + strlen("ipc://"));
}

static bool zeromq_send(int channel, const void *message, size_t size)
{
	if (zmq_send(zmq_end, message, size, is_polled ? ZMQ_DONTWAIT : 0) >= 0)
		return true;
	if (errno != EAGAIN)
		errx(1, "zmq_send: %s", zmq_strerror(errno));
	return false;
}

static ssize_t zeromq_receive(int channel, void *buffer)
{
	int size = zmq_recv(zmq_end, buffer, SIZE_MAX_, is_polled ? ZMQ_DONTWAIT : 0);

	if (size < 0 && errno != EAGAIN)
		errx(1, "zmq_recv: %s", zmq_strerror(errno));
	return size;
}
#endif

/* --- Shared memory without checks --- */

struct slots {
	_Alignas(128) uint64_t tail;
	_Alignas(128) uint64_t head;
	_Alignas(128) uint8_t bytes[];
};

static struct slots *slots;
static uint64_t slot_count;

static void ring_prepare(void)
{
	slot_count = BUFFER_SIZE / (message_size + sizeof(uint64_t));
	slots = mmap(NULL, sizeof(*slots) + BUFFER_SIZE, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		err(1, "mmap");
}

static uint8_t *slot_at(uint64_t position)
{
	return slots->bytes + position % slot_count * (message_size + sizeof(uint64_t));
}

static bool ring_send(int channel, const void *message, size_t size)
{
	uint64_t tail = slots->tail;

	if (tail - __atomic_load_n(&slots->head, __ATOMIC_ACQUIRE) == slot_count)
		return false;
	memcpy(slot_at(tail), &size, sizeof(uint64_t));
	memcpy(slot_at(tail) + sizeof(uint64_t), message, size);
	__atomic_store_n(&slots->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

static ssize_t ring_receive(int channel, void *buffer)
{
	uint64_t head = slots->head, size;

	if (__atomic_load_n(&slots->tail, __ATOMIC_ACQUIRE) == head)
		return -1;
	memcpy(&size, slot_at(head), sizeof(size));
	memcpy(buffer, slot_at(head) + sizeof(uint64_t), size);
	__atomic_store_n(&slots->head, head + 1, __ATOMIC_RELEASE);
	return (ssize_t)size;
}

/* --- TLS over TCP between two network namespaces --- */

static int tls_socket = -1;
static struct sockaddr_in tls_address = {.sin_family = AF_INET};
static SSL *tls;
static size_t tls_sent, tls_got;

static void tls_check(bool is_fine, const char *what)
{
	if (!is_fine)
		errx(1, "%s: %s", what, ERR_reason_error_string(ERR_get_error()));
}

static void tls_prepare(void)
{
	socklen_t size = sizeof(tls_address);

	tls_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (inet_pton(AF_INET, names[0], &tls_address.sin_addr) != 1
		|| bind(tls_socket, (struct sockaddr *)&tls_address, size) < 0
		|| listen(tls_socket, 1) < 0
		|| getsockname(tls_socket, (struct sockaddr *)&tls_address, &size) < 0)
		err(1, "listen on %s", names[0]);
}

static int tls_connect(void)
{
	int namespace = open(sockets[1], O_RDONLY | O_CLOEXEC), fd;

	if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0)
		err(1, "%s", sockets[1]);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&tls_address, sizeof(tls_address)) < 0)
		err(1, "connect");
	return fd;
}

/* Keys of the same kind, and records as large, as the links of channels have them. */
static void tls_open(bool is_sender)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	int fd = is_sender ? tls_connect() : accept(tls_socket, NULL, NULL), yes = 1;

	SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
	SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_num_tickets(context, 0);
	tls_check(SSL_CTX_use_certificate_file(context, sockets[0], SSL_FILETYPE_PEM) == 1
			&& SSL_CTX_use_PrivateKey_file(context, sockets[0], SSL_FILETYPE_PEM) == 1,
		"certificate");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	tls = SSL_new(context);
	tls_check(SSL_set_fd(tls, fd) == 1, "socket");
	tls_check((is_sender ? SSL_connect(tls) : SSL_accept(tls)) == 1, "handshake");
	if (is_polled)
		fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* Whether there is nothing more to do now; otherwise it is over. */
static void tls_wait(int result)
{
	int why = SSL_get_error(tls, result);

	tls_check(why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE, "stream");
}

static bool tls_send(int channel, const void *message, size_t size)
{
	while (tls_sent < size) {
		size_t part = 0;
		int result = SSL_write_ex(
			tls, (const uint8_t *)message + tls_sent, size - tls_sent, &part);

		if (result != 1) {
			tls_wait(result);
			return false;
		}
		tls_sent += part;
	}
	tls_sent = 0;
	return true;
}

static ssize_t tls_receive(int channel, void *out)
{
	while (tls_got < message_size) {
		size_t part = 0;
		int result =
			SSL_read_ex(tls, (uint8_t *)out + tls_got, message_size - tls_got, &part);

		if (result != 1) {
			tls_wait(result);
			return -1;
		}
		tls_got += part;
	}
	tls_got = 0;
	return (ssize_t)message_size;
}

static void nothing(void)
{
}

static const struct transport transports[] = {
	{"channel", nothing, channel_open, channel_send, channel_receive, nothing},
	{"seqpacket", seqpacket_prepare, seqpacket_open, seqpacket_send, seqpacket_receive,
		nothing},
	{"mq", mq_prepare, mq_begin, mq_put, mq_take, nothing},
#ifdef HAVE_ZEROMQ
	{"zeromq", zeromq_prepare, zeromq_open, zeromq_send, zeromq_receive, zeromq_close},
#endif
	{"ring", ring_prepare, mq_begin, ring_send, ring_receive, nothing},
	{"tls", tls_prepare, tls_open, tls_send, tls_receive, nothing},
};

/* --- Measuring --- */

static uint8_t buffer[SIZE_MAX_];

/* A look that finds nothing gives the other end its turn where they share a processor. */
static void look_again(unsigned int *looks)
{
	if (++*looks % 1024 == 0)
		sched_yield();
}

static void send_until_taken(const struct transport *transport, int channel, uint64_t sent_ns)
{
	struct header header = {sent_ns};
	unsigned int looks = 0;

	memcpy(buffer, &header, sizeof(header));
	while (!transport->send(channel, buffer, message_size))
		look_again(&looks);
}

static void send_for(const struct transport *transport, double seconds)
{
	uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9), number = 0;

	while (number % 64 != 0 || now_ns() < end_ns) {
		send_until_taken(transport, (int)(number % (uint64_t)channel_count), 1);
		number++;
	}
	for (int i = 0; i < channel_count; i++)
		send_until_taken(transport, i, LAST);
}

/* A sleeping receiver of several channels would need a descriptor each: it looks at all in turn. */
static uint64_t receive_all(const struct transport *transport, uint64_t *elapsed_ns)
{
	uint64_t count = 0, start_ns = 0;
	int open_count = channel_count;
	unsigned int looks = 0;
	bool is_over[CHANNELS_MAX] = {false};

	for (int i = 0; open_count > 0; i = (i + 1) % channel_count) {
		struct header header;

		if (is_over[i])
			continue;
		if (transport->receive(i, buffer) < 0) {
			look_again(&looks);
			continue;
		}
		if (count++ == 0)
			start_ns = now_ns();
		memcpy(&header, buffer, sizeof(header));
		is_over[i] = header.sent_ns == LAST;
		open_count -= is_over[i];
	}
	*elapsed_ns = now_ns() - start_ns;
	return count;
}

static uint64_t pause_ns(void)
{
	const char *text = getenv("PAUSE_US");

	return (text ? strtoul(text, NULL, 10) : 20) * 1000 + message_size / 4;
}

static void send_paced(const struct transport *transport, long count)
{
	uint64_t between_ns = pause_ns();

	for (long i = 0; i < count; i++) {
		uint64_t next_ns = now_ns() + between_ns;
		struct timespec next = {
			(time_t)(next_ns / 1000000000ULL), (long)(next_ns % 1000000000ULL)};

		if (is_polled)
			while (now_ns() < next_ns)
				;
		else
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		send_until_taken(transport, 0, now_ns());
	}
	send_until_taken(transport, 0, LAST);
}

static long receive_latencies(const struct transport *transport, uint64_t *latencies, long count)
{
	struct header header = {0};
	unsigned int looks = 0;
	long got = 0;

	while (header.sent_ns != LAST) {
		if (transport->receive(0, buffer) < 0) {
			look_again(&looks);
			continue;
		}
		memcpy(&header, buffer, sizeof(header));
		if (header.sent_ns != LAST && got < count)
			latencies[got++] = now_ns() - header.sent_ns;
	}
	return got;
}

static void receive_and_print(const struct transport *transport, bool is_rate, long count)
{
	uint64_t elapsed_ns, *latencies;

	if (is_rate) {
		uint64_t got = receive_all(transport, &elapsed_ns);

		print_rate(got, message_size, elapsed_ns);
		return;
	}
	latencies = calloc((size_t)count, sizeof(*latencies));
	if (!latencies)
		errx(1, "no memory");
	print_latencies(latencies, receive_latencies(transport, latencies, count));
	free(latencies);
}

static const struct transport *find_transport(const char *name)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i].name, name) == 0)
			return &transports[i];
	errx(4, "there is no transport %s here", name);
}

int main(int argc, char **argv)
{
	const struct transport *transport;
	bool is_rate;
	pid_t child;

	if (argc < 7)
		errx(2, "usage: see the source");
	transport = find_transport(argv[1]);
	is_polled = strcmp(argv[2], "polled") == 0;
	is_rate = strcmp(argv[3], "rate") == 0;
	message_size = strtoul(argv[4], NULL, 10);
	channel_count = atoi(argv[6]);
	sockets[0] = argc > 7 ? argv[7] : NULL;
	sockets[1] = argc > 8 ? argv[8] : NULL;
	names[0] = argc > 9 ? argv[9] : names[0];
	names[1] = argc > 10 ? argv[10] : names[1];
	if (message_size < sizeof(struct header) || message_size > SIZE_MAX_ || channel_count < 1
		|| channel_count > CHANNELS_MAX)
		errx(2, "size or channels out of range");
	transport->prepare();
	child = fork();
	if (child == 0) {
		transport->open(true);
		if (is_rate)
			send_for(transport, strtod(argv[5], NULL));
		else
			send_paced(transport, atol(argv[5]));
		pause(); /* what was sent last must still be taken */
	}
	transport->open(false);
	receive_and_print(transport, is_rate, atol(argv[5]));
	transport->close();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return 0;
}
