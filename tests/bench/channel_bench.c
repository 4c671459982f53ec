/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages from one process to another: how many a second, and how long one takes, through channels
 * and what else there is on one host.
 *
 *	channel-bench TRANSPORT MODE rate SIZE SECONDS CHANNELS [SOCKET SOCKET]
 *	channel-bench TRANSPORT MODE latency SIZE COUNT 1 [SOCKET SOCKET]
 *
 *	TRANSPORT  channel (sockets of two partitions, "a" and "b", on a running daemon), seqpacket,
 *	           mq, zeromq, ring (shared memory without any check: the limit)
 *	MODE       polled: both look without end; sleeping: both wait in the kernel at once
 *
 * Latency is one way: the receiver's clock less the sender's, the same one, one message at a time.
 * Prints a line of JSON.
 */
#include "bulkhead/channel.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
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
#define PAUSE_NS     20000 /* between messages of a measurement of latency */
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
static char *sockets[2];

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void check(int status, const char *what)
{
	if (status < 0)
		errx(1, "%s: %s", what, strerror(-status));
}

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
			      endpoint, is_sender ? "b" : "a", endpoint, NULL, 0, &ends[i]),
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

static void send_paced(const struct transport *transport, long count)
{
	for (long i = 0; i < count; i++) {
		uint64_t next_ns = now_ns() + PAUSE_NS + message_size / 4;
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

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void print_latencies(uint64_t *latencies, long count)
{
	if (count == 0)
		errx(1, "nothing was received");
	qsort(latencies, (size_t)count, sizeof(*latencies), compare);
	printf("{\"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f}\n",
		(double)latencies[count / 2] / 1e3, (double)latencies[count * 99 / 100] / 1e3,
		(double)latencies[count * 999 / 1000] / 1e3);
}

static void receive_and_print(const struct transport *transport, bool is_rate, long count)
{
	uint64_t elapsed_ns, *latencies;

	if (is_rate) {
		uint64_t got = receive_all(transport, &elapsed_ns);
		double rate = (double)got * 1e9 / (double)elapsed_ns;

		printf("{\"messages_per_s\": %.0f, \"bytes_per_s\": %.0f}\n", rate,
			rate * (double)message_size);
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
