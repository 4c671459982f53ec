/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Channels: messages between processes of partitions, which only the right process can send.
 *
 * A process attaches to its partition's socket, takes an endpoint, and opens channels: each goes
 * one way, from one endpoint of one partition to one of another (or of the same), and stands when
 * both ends have authorised exactly each other. Whose message it is follows from the channel:
 * nobody else can put one into it. Two channels make a dialogue (examples/channel-request.c).
 *
 *	struct bulkhead_channels *channels;
 *	struct bulkhead_channel *channel;
 *	char text[BUFSIZ];
 *
 *	bulkhead_channels_attach("/run/bulkhead/channel.sock", 5000, &channels);
 *	bulkhead_channels_bind(channels, 7, NULL);
 *	bulkhead_channel_open(channels, BULKHEAD_CHANNEL_RECEIVE, 7, "web", 5, NULL, -1, &channel);
 *	while ((size = bulkhead_channel_receive(channel, text, sizeof(text), -1)) >= 0)
 *		handle(text, size);
 *
 * Functions return 0 or a count, or a negative errno; each says below which, and what for. Three
 * are common to all: -ECONNRESET: the channel role is gone (it was restarted, or the daemon
 * stopped): close all, attach again; -ENOMEM; -EINVAL: an argument is none.
 *
 * Timeouts are milliseconds: 0 looks once, -1 waits for ever. A wait looks for a moment
 * (bulkhead_channels_set_spin()) and then sleeps in poll(2); a signal ends it with -EINTR.
 *
 * Threads: of one struct bulkhead_channels and all its channels, one thread at a time; but the
 * functions marked (data) of different channels may run at the same time, and beside the others, as
 * long as nobody closes that channel. A process needs no other library. Children: a fork's child
 * has neither rings nor sockets (it attaches itself).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of a partition's name, with its NUL; of another host's partition: HOST/PARTITION. */
#define BULKHEAD_CHANNEL_NAME_SIZE 64

/* A process's attachment to its partition's socket. */
struct bulkhead_channels;
/* One end of one channel. */
struct bulkhead_channel;

enum bulkhead_channel_direction { BULKHEAD_CHANNEL_SEND = 1, BULKHEAD_CHANNEL_RECEIVE = 2 };

/* Zeros are defaults. */
struct bulkhead_channel_options {
	uint32_t message_max;   /* bytes; 0: as the policy allows. The lesser of both ends holds */
	uint64_t ring_capacity; /* bytes, a power of two from 64 KiB on; 0: 256 KiB, or more when
				   four of the greatest messages need it */
};

struct bulkhead_channel_stats {
	uint64_t messages; /* sent or received by this end */
	uint64_t bytes;
	uint64_t waiting;     /* bytes in the ring, with 8 of each message and padding */
	uint64_t capacity;    /* of the ring */
	uint32_t message_max; /* in force; 0: the channel does not stand yet */
	uint64_t wakes;       /* times that this end has woken the channel role */
	uint64_t sleeps;      /* times that this end has slept */
};

/* --- Attaching --- */

/*
 * Attaches to the socket at path, waiting up to timeout_ms for it to be there (a daemon that
 * starts, a channel role that is started again). *out is to be closed with
 * bulkhead_channels_detach(). -ENOENT, -ECONNREFUSED: nobody listens there; -EACCES: the user may
 * not use it; -EDQUOT: the partition has its limit of processes; -EPROTONOSUPPORT: the daemon
 * speaks another version; -ENAMETOOLONG.
 */
int bulkhead_channels_attach(const char *path, int timeout_ms, struct bulkhead_channels **out);

/* Closes all channels (as bulkhead_channel_close()) and frees all. NULL is allowed. */
void bulkhead_channels_detach(struct bulkhead_channels *channels);

/* Name of the partition that this process is in, as the daemon knows it. Borrowed. */
const char *bulkhead_channels_partition(const struct bulkhead_channels *channels);

/* How long waits look for a message before they sleep, in microseconds; 20 unless set, 0: they
 * sleep at once. Longer is quicker, and takes processor time. */
void bulkhead_channels_set_spin(struct bulkhead_channels *channels, unsigned int spin_us);

/*
 * Takes an endpoint: 1 to 1023 by its number, or, with 0, any beyond; its number goes to *out
 * (NULL is allowed). It is this process's until it is given back or the process ends. -EDQUOT: the
 * partition has its limit of endpoints; -EADDRINUSE: another process has it; -EACCES: the
 * configuration keeps it for another user; -EINVAL: above 1023.
 */
int bulkhead_channels_bind(struct bulkhead_channels *channels, uint32_t endpoint, uint32_t *out);

/* Gives it back; its channels end, and have to be closed all the same. -EACCES: it is not ours. */
int bulkhead_channels_unbind(struct bulkhead_channels *channels, uint32_t endpoint);

/* --- Opening --- */

/*
 * Authorises one end of a channel between our endpoint and remote_endpoint of partition remote, and
 * waits up to timeout_ms until it stands, that is, until the other end has authorised exactly us.
 * With timeout 0 it comes back at once; bulkhead_channel_wait() then waits. options may be NULL.
 * *out is to be closed, also when the channel has ended.
 *
 * -EPERM: no rule of the configuration allows it; -EACCES: the endpoint is not ours, or the other
 * end has authorised another partition or endpoint and stayed with it until the timeout;
 * -ETIMEDOUT: the other end did not authorise it in time (from bulkhead_channel_wait(); with
 * timeout 0 that is no error here); -EEXIST: we have this end already; -EDQUOT: limit of channels;
 * -ENOBUFS: limit of memory for rings; -EMSGSIZE: message_max is more than the rule allows;
 * -EKEYREJECTED: the key was set by the other side (an exception, told to the operators).
 */
int bulkhead_channel_open(struct bulkhead_channels *channels,
	enum bulkhead_channel_direction direction, uint32_t endpoint, const char *remote,
	uint32_t remote_endpoint, const struct bulkhead_channel_options *options, int timeout_ms,
	struct bulkhead_channel **out);

/* Waits until the channel stands. -ETIMEDOUT, -EACCES as above; -EPIPE: it has ended. */
int bulkhead_channel_wait(struct bulkhead_channel *channel, int timeout_ms);

/*
 * Revokes the channel for both ends and frees this one; unread messages are lost, and so is what
 * the other end had not been given yet: see bulkhead_channel_flush(). NULL is allowed.
 */
void bulkhead_channel_close(struct bulkhead_channel *channel);

/* Why the channel ended: a word ("revoked", "peer-gone", …); NULL: it has not. Constant text. */
const char *bulkhead_channel_reason(const struct bulkhead_channel *channel);

/* --- Sending (data) --- */

/*
 * Sends a copy of size bytes, waiting up to timeout_ms for room. -EAGAIN: no room (timeout 0);
 * -ETIMEDOUT: none in time; -EMSGSIZE: more than message_max; -EPIPE: the channel has ended;
 * -ENOTCONN: it does not stand yet; -EOPNOTSUPP: it is for receiving.
 */
int bulkhead_channel_send(
	struct bulkhead_channel *channel, const void *message, size_t size, int timeout_ms);

/*
 * Without a copy: *out is room for a message of up to size bytes in the ring, aligned to 8, until
 * the commit with the size that it came to have (or 0 as keep, which gives it back). One at a
 * time. Errors as of bulkhead_channel_send(); -EBUSY: one is reserved.
 */
int bulkhead_channel_reserve(
	struct bulkhead_channel *channel, size_t size, void **out, int timeout_ms);
/* keep 0: nothing is sent. -EINVAL: nothing is reserved, or less. */
int bulkhead_channel_commit(struct bulkhead_channel *channel, size_t size, int keep);

/* Waits until the channel role has taken all that was sent. After it, a close loses nothing.
 * -ETIMEDOUT, -EPIPE. */
int bulkhead_channel_flush(struct bulkhead_channel *channel, int timeout_ms);

/* --- Receiving (data) --- */

/*
 * Copies the next message into buffer and returns its size. -EAGAIN: none (timeout 0); -ETIMEDOUT:
 * none in time; -EMSGSIZE: it is larger than buffer, and stays (bulkhead_channel_peek() says its
 * size); -EPIPE: the channel has ended, and all messages were received; -ENOTCONN: it does not
 * stand yet; -EOPNOTSUPP: it is for sending.
 */
ssize_t bulkhead_channel_receive(
	struct bulkhead_channel *channel, void *buffer, size_t size, int timeout_ms);

/* Without a copy: the next message where it lies, until the release. Peeked again it is the same
 * one. Errors as of bulkhead_channel_receive(). */
int bulkhead_channel_peek(
	struct bulkhead_channel *channel, const void **message, size_t *size, int timeout_ms);
/* Gives the place of the message that was peeked back. -EINVAL: none was. */
int bulkhead_channel_release(struct bulkhead_channel *channel);

/* --- In an event loop --- */

/*
 * A descriptor for poll(2), the channel's until it is closed: readable when there may be something
 * to do, after bulkhead_channel_arm() has said that there is nothing now. Then receive (or send)
 * until -EAGAIN, and arm again.
 */
int bulkhead_channel_descriptor(const struct bulkhead_channel *channel);
/* (data) 1: there is something at once (a message, room, the channel's state), 0: the descriptor
 * will tell. */
int bulkhead_channel_arm(struct bulkhead_channel *channel);

/* (data) */
void bulkhead_channel_get_stats(
	const struct bulkhead_channel *channel, struct bulkhead_channel_stats *out);

#ifdef __cplusplus
}
#endif
