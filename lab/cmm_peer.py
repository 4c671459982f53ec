# SPDX-License-Identifier: BSD-3-Clause
"""Another host's channel mechanism, by hand: it has that host's certificate and says on the link what it
likes (src/wire/cmm_frame.h)."""

import os
import socket
import ssl
import struct

HELLO, AUTHORISED, CONNECT, ACCEPT, REFUSE, RESUME, SYNCED, CLOSE, DATA, ACK = range(1, 11)
MAGIC = 0x42484c4b434d4d31
HEADER = struct.Struct(">IB3x")
HELLO_BODY = struct.Struct(">QIQ")
STAMP = struct.Struct(">IIII32s")
REASONS = ("none revoked operator policy peer-gone sender-ring receiver-ring too-large stopped no-row "
           "wrong-partition wrong-endpoint key-set denied").split()


def frame(kind, body=b""):
    return HEADER.pack(HEADER.size + len(body), kind) + body


def name(text):
    return text.encode().ljust(32, b"\0")


class Stamp:
    """Ids of both ends, and the key."""

    def __init__(self, sender_partition, receiver_partition, sender_endpoint, receiver_endpoint, key):
        self.fields = [sender_partition, receiver_partition, sender_endpoint, receiver_endpoint, key]

    def pack(self):
        return STAMP.pack(*self.fields)

    def but(self, index, value):
        return Stamp(*self.fields[:index], value, *self.fields[index + 1:])


def data(channel, stamp, sequence, message, size=None, offset=0):
    size = len(message) if size is None else size
    return frame(DATA, struct.pack(">I", channel) + stamp.pack() + struct.pack(">QII", sequence, size, offset)
                 + message)


def connect(channel, stamp, sender, receiver, limit=262144, size=65536):
    return frame(CONNECT, struct.pack(">I", channel) + stamp.pack() + struct.pack(">QI", limit, size)
                 + name(sender) + name(receiver))


class CmmPeer:
    """Connected from the host's namespace to another host's address, with the first frames said."""

    def __init__(self, host, address, port, authorities, incarnation=None, says_synced=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(authorities)
        context.load_cert_chain(host.certificate, host.key)
        plain = host.namespace.inside(lambda: socket.create_connection((address, port), 20))
        self.stream = context.wrap_socket(plain)
        self.stream.settimeout(20)
        self.buffer = b""
        self.others = []
        self.own_incarnation = incarnation or int.from_bytes(os.urandom(8), "big") | 1
        self.send(frame(HELLO, HELLO_BODY.pack(MAGIC, 1, self.own_incarnation)))
        self.incarnation = HELLO_BODY.unpack(self.receive()[1])[2]
        if says_synced:
            self.send(frame(SYNCED))
        self.expect(SYNCED)

    def send(self, *frames):
        self.stream.sendall(b"".join(frames))

    def _read(self, size):
        while len(self.buffer) < size:
            part = self.stream.recv(65536)
            if not part:
                raise ConnectionResetError
            self.buffer += part
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def receive(self):
        """(kind, body) of the next frame."""
        length, kind = HEADER.unpack(self._read(HEADER.size))
        return kind, self._read(length - HEADER.size)

    def expect(self, wanted):
        """The body of the next frame of this kind; others are kept until they are expected."""
        for index, (kind, body) in enumerate(self.others):
            if kind == wanted:
                del self.others[index]
                return body
        while True:
            kind, body = self.receive()
            if kind == wanted:
                return body
            self.others.append((kind, body))

    def expect_connect(self):
        """(channel, stamp) of the next request."""
        body = self.expect(CONNECT)
        return struct.unpack_from(">I", body)[0], Stamp(*STAMP.unpack_from(body, 4))

    def expect_refusal(self):
        channel, reason = struct.unpack(">II", self.expect(REFUSE))
        return channel, REASONS[reason]

    def accept(self, channel, size=65536):
        self.send(frame(ACCEPT, struct.pack(">II", channel, size)))

    def close(self):
        self.stream.close()
