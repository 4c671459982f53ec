/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between a process of a guest and one of its host, through channels and through plain
 * vsock: this program is both of them, and waits in the kernel at once.
 *
 *	guest-bench TRANSPORT WHERE guest|host WHAT SIZE AMOUNT
 *
 *	TRANSPORT  channel (WHERE: SOCKET=PARTITION of the other one), vsock (in the guest; WHERE is
 *	           not used: the port that vsock-relay serves), unix (on the host; WHERE: a socket
 *	           to listen on, to which vsock-relay connects)
 *	WHAT       ask: AMOUNT round trips, one at a time; answer: the other end of them;
 *	           send: for AMOUNT seconds; receive: the other end of it
 *
 * Guest and host have no clock in common, so latency is a round trip's. ask and receive print a
 * line of JSON.
 */
#include "bulkhead/channel.h"
#include "channel/ring_stream.h"
#include "measuring.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX (1 << 20)
#define OPEN_MS     20000
#define WARM_UP     20 /* round trips */
/* Endpoints of either side: of what the guest sends, and of what the host does. */
#define FROM_GUEST 1
#define FROM_HOST  2

struct transport {
	const char *name;
	void (*open)(const char *where, bool is_guest);
	void (*send)(const void *message);
	bool (*receive)(void *message); /* false: the other end is gone */
};

static size_t message_size;
static uint8_t message[MESSAGE_MAX];

/* --- Channels: one each way --- */

static struct bulkhead_channels *channels;
static struct bulkhead_channel *outgoing, *incoming;

static void open_way(bool is_sender, const char *remote, uint32_t endpoint)
{
	struct bulkhead_channel **end = is_sender ? &outgoing : &incoming;

	check(bulkhead_channels_bind(channels, endpoint, NULL), "bind");
	check(bulkhead_channel_open(channels,
		      is_sender ? BULKHEAD_CHANNEL_SEND : BULKHEAD_CHANNEL_RECEIVE, endpoint,
		      remote, endpoint, NULL, 0, end),
		"open");
}

static void channel_open(const char *where, bool is_guest)
{
	char path[108];
	const char *equals = strchr(where, '=');

	if (!equals || equals - where >= (long)sizeof(path))
		errx(2, "%s: not SOCKET=PARTITION", where);
	snprintf(path, sizeof(path), "%.*s", (int)(equals - where), where);
	check(bulkhead_channels_attach(path, OPEN_MS, &channels), "attach");
	bulkhead_channels_set_spin(channels, 0);
	open_way(is_guest, equals + 1, FROM_GUEST);
	open_way(!is_guest, equals + 1, FROM_HOST);
	check(bulkhead_channel_wait(outgoing, OPEN_MS), "wait");
	check(bulkhead_channel_wait(incoming, OPEN_MS), "wait");
}

static void channel_send(const void *bytes)
{
	check(bulkhead_channel_send(outgoing, bytes, message_size, -1), "send");
}

static bool channel_receive(void *bytes)
{
	ssize_t size = bulkhead_channel_receive(incoming, bytes, message_size, -1);

	if (size == -EPIPE)
		return false;
	check((int)size, "receive");
	return true;
}

/* --- Streams --- */

static int stream = -1;

/* A privileged port, as the back end serves no other. */
static void vsock_open(const char *where, bool is_guest)
{
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};
	int status = -1;

	stream = socket(AF_VSOCK, SOCK_STREAM, 0);
	for (uint32_t port = GUEST_PORT_MAX; port > 0 && status < 0; port--) {
		address.svm_port = port;
		status = bind(stream, (struct sockaddr *)&address, sizeof(address));
	}
	address.svm_cid = VMADDR_CID_HOST;
	address.svm_port = GUEST_PORT;
	if (status < 0 || connect(stream, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "vsock");
}

static void unix_open(const char *where, bool is_guest)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", where);
	unlink(where);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		err(1, "%s", where);
	stream = accept(fd, NULL, NULL);
	if (stream < 0)
		err(1, "accept");
}

static void stream_send(const void *bytes)
{
	for (size_t sent = 0; sent < message_size;) {
		ssize_t part = send(stream, (const uint8_t *)bytes + sent, message_size - sent, 0);

		if (part < 0)
			err(1, "send");
		sent += (size_t)part;
	}
}

static bool stream_receive(void *bytes)
{
	for (size_t got = 0; got < message_size;) {
		ssize_t part = recv(stream, (uint8_t *)bytes + got, message_size - got, 0);

		if (part < 0 && errno != ECONNRESET)
			err(1, "recv");
		if (part <= 0)
			return false;
		got += (size_t)part;
	}
	return true;
}

static const struct transport transports[] = {
	{"channel", channel_open, channel_send, channel_receive},
	{"vsock", vsock_open, stream_send, stream_receive},
	{"unix", unix_open, stream_send, stream_receive},
};

/* --- Measuring --- */

static void ask(const struct transport *transport, long count)
{
	uint64_t *latencies_ns = calloc((size_t)count, sizeof(*latencies_ns));

	if (!latencies_ns)
		errx(1, "no memory");
	for (long i = -WARM_UP; i < count; i++) {
		uint64_t start_ns = now_ns();

		transport->send(message);
		if (!transport->receive(message))
			errx(1, "the other end is gone");
		if (i >= 0)
			latencies_ns[i] = now_ns() - start_ns;
	}
	print_latencies(latencies_ns, count);
	free(latencies_ns);
}

static void answer(const struct transport *transport)
{
	while (transport->receive(message))
		transport->send(message);
}

/* The first byte of a message says whether it is the last one. */
static void send_for(const struct transport *transport, double seconds)
{
	uint64_t end_ns = now_ns() + (uint64_t)(seconds * 1e9);

	while (now_ns() < end_ns)
		transport->send(message);
	message[0] = 1;
	transport->send(message);
	/* It goes when it has all: not before it do we. */
	while (transport->receive(message))
		;
}

static void receive_all(const struct transport *transport)
{
	uint64_t count = 0, start_ns = 0;

	do {
		if (!transport->receive(message))
			errx(1, "the other end is gone");
		if (count++ == 0)
			start_ns = now_ns();
	} while (message[0] == 0);
	/* The first one's arrival is where the clock starts. */
	print_rate(count - 1, message_size, now_ns() - start_ns);
}

static const struct transport *find_transport(const char *name)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i].name, name) == 0)
			return &transports[i];
	errx(2, "there is no transport %s", name);
}

int main(int argc, char **argv)
{
	const struct transport *transport;

	if (argc != 7)
		errx(2, "usage: see the source");
	transport = find_transport(argv[1]);
	message_size = strtoul(argv[5], NULL, 10);
	if (message_size == 0 || message_size > MESSAGE_MAX)
		errx(2, "size out of range");
	transport->open(argv[2], strcmp(argv[3], "guest") == 0);
	if (strcmp(argv[4], "ask") == 0)
		ask(transport, atol(argv[6]));
	else if (strcmp(argv[4], "answer") == 0)
		answer(transport);
	else if (strcmp(argv[4], "send") == 0)
		send_for(transport, strtod(argv[6], NULL));
	else
		receive_all(transport);
	return 0;
}
