# SPDX-License-Identifier: BSD-3-Clause
"""A memif client of our own, which keeps to the rules, or does not: an inspector or a partition that has turned.

It has the same rights as any client: the socket's control messages, and memory that it shares with the daemon
(layout: src/packet/port/memif_message.h and memif_ring.h). Nothing of the daemon's code is in it."""

import array
import contextlib
import fcntl
import mmap
import os
import select
import socket
import struct
import threading
import time

SIZE = 128  # of a control message
ACK, HELLO, INIT, ADD_REGION, ADD_RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)
COOKIE, NEXT = 0x3E31F20, 1
RING_LOG2, RING_SIZE, BUFFER = 8, 256, 2048
TO_SERVER, TO_CLIENT, BUFFERS = 0, 0x2000, 0x4000  # where the rings and the buffers are
REGION = BUFFERS + 2 * RING_SIZE * BUFFER


class Refused(Exception):
    """The daemon has ended the connection; why, if it said so."""


def message(kind, fields=b""):
    return struct.pack("<H", kind) + fields.ljust(SIZE - 2, b"\0")


def init(number, version=0x200, mode=0):
    return message(INIT, struct.pack("<HIB24s32s", version, number, mode, b"", b"a hostile one"))


def add_region(index=0, size=REGION):
    return message(ADD_REGION, struct.pack("<HQ", index, size))


def add_ring(is_to_server, index=0, region=0, offset=None, log2=RING_LOG2, private=0):
    offset = (TO_SERVER if is_to_server else TO_CLIENT) if offset is None else offset
    return message(ADD_RING, struct.pack("<HHHIBH", is_to_server, index, region, offset & 0xffffffff, log2, private))


def region_file(size=REGION, seals=fcntl.F_SEAL_SHRINK):
    fd = os.memfd_create("region", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Control:
    """The control channel alone."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(path))

    def send(self, data, *descriptors):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.socket.sendmsg([data], rights)
        except OSError as error:
            raise Refused(str(error)) from error

    def hear(self):
        """(type, bytes) of the next message; Refused when it is the last one."""
        try:
            data = self.socket.recv(SIZE)
        except ConnectionError as error:
            raise Refused(str(error)) from error
        if not data:
            raise Refused("closed")
        kind = struct.unpack_from("<H", data)[0]
        if kind == DISCONNECT:
            raise Refused(data[6:102].rstrip(b"\0").decode())
        return kind, data

    def ask(self, data, *descriptors):
        self.send(data, *descriptors)
        return self.hear()[0]

    def close(self):
        self.socket.close()


class HostileMemif:
    """Connected with one queue; respond(self, frame) is called for each frame, in a thread of its own."""

    def __init__(self, path, number=0, respond=None):
        self.path, self.number, self.respond = path, number, respond
        self.seen, self.errors, self.control = [], [], None
        self.refusals = []
        self.is_over = threading.Event()
        self._connect()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _connect(self):
        if self.control:
            self.control.close()
            os.close(self.file)
        self.file = region_file()
        self.control = Control(self.path)
        self.memory = mmap.mmap(self.file, REGION)
        self.counters = memoryview(self.memory).cast("H")  # stored at once; struct.pack_into() writes a zero first
        self.bells = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
        self.head = self.tail = 0  # of what we send; of what we receive
        for ring, first in ((TO_SERVER, 0), (TO_CLIENT, RING_SIZE)):
            struct.pack_into("<IHH", self.memory, ring, COOKIE, 1, 0)
            for slot in range(RING_SIZE):
                self.put(ring, slot, length=BUFFER, offset=BUFFERS + (first + slot) * BUFFER)
        try:
            self.control.hear()
            self.control.ask(init(self.number))
            self.control.ask(add_region(), self.file)
            self.control.ask(add_ring(1), self.bells[0])
            self.control.ask(add_ring(0), self.bells[1])
            self.control.ask(message(CONNECT))
        finally:
            for bell in self.bells:
                os.close(bell)
        self.set_head(TO_CLIENT, RING_SIZE)

    def put(self, ring, slot, flags=0, region=0, length=0, offset=0, metadata=0):
        """A descriptor."""
        struct.pack_into("<HHIII", self.memory, ring + 128 + slot % RING_SIZE * 16, flags & 0xffff, region & 0xffff,
                         length & 0xffffffff, offset & 0xffffffff, metadata)

    def set_head(self, ring, value):
        self.counters[(ring + 6) // 2] = value & 0xffff

    def tail_of(self, ring):
        return self.counters[(ring + 64) // 2]

    def send(self, *frames, publish=True):
        """Each frame in one descriptor, or chained ones if it is longer than a buffer."""
        for frame in frames:
            parts = [frame[at:at + BUFFER] for at in range(0, len(frame), BUFFER)] or [b""]
            end = time.monotonic() + 2
            while (self.head - self.tail_of(TO_SERVER) & 0xffff) + len(parts) > RING_SIZE:
                if time.monotonic() > end or self.is_ended():
                    return  # it no longer reads
                time.sleep(0.001)
            for part in parts:
                offset = BUFFERS + self.head % RING_SIZE * BUFFER
                self.memory[offset:offset + len(part)] = part
                self.put(TO_SERVER, self.head, NEXT if part is not parts[-1] else 0, 0, len(part), offset)
                self.head = self.head + 1 & 0xffff
        if publish:
            self.set_head(TO_SERVER, self.head)

    def send_descriptors(self, *descriptors):
        """Raw ones, each a dict of the fields of put()."""
        for fields in descriptors:
            self.put(TO_SERVER, self.head, **fields)
            self.head = self.head + 1 & 0xffff
        self.set_head(TO_SERVER, self.head)

    def receive(self):
        """The next frame, or None."""
        frame = b""
        at = self.tail
        while at != self.tail_of(TO_CLIENT):
            flags, _, length, offset, _ = struct.unpack_from("<HHIII", self.memory,
                                                             TO_CLIENT + 128 + at % RING_SIZE * 16)
            frame += self.memory[offset:offset + length]
            self.put(TO_CLIENT, at, length=BUFFER, offset=BUFFERS + (RING_SIZE + at % RING_SIZE) * BUFFER)
            at = at + 1 & 0xffff
            if not flags & NEXT:
                self.tail = at
                self.set_head(TO_CLIENT, at + RING_SIZE)
                return frame
        return None

    def is_ended(self):
        """Whether the daemon has closed the connection."""
        if not select.select([self.control.socket], [], [], 0)[0]:
            return False
        try:
            return self.control.socket.recv(SIZE, socket.MSG_PEEK)[:2] in (b"", b"\x08\0")
        except OSError:
            return True

    def reconnect(self):
        """Until it is let in again."""
        while not self.is_over.is_set():
            try:
                self.control.hear()
            except Refused as reason:
                self.refusals.append(str(reason))
            except TimeoutError:
                pass
            try:
                self._connect()
                return
            except Refused as reason:
                self.refusals.append(str(reason))
                time.sleep(0.1)

    def _run(self):
        while not self.is_over.is_set():
            try:
                if self.is_ended():
                    self.reconnect()
                    continue
                frame = self.receive()
                if frame is None:
                    time.sleep(0.0005)
                    continue
                self.seen.append(frame)
                if self.respond:
                    self.respond(self, frame)
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(repr(error))
                return

    def stop(self):
        self.is_over.set()
        self.thread.join(10)
        with contextlib.suppress(OSError):
            self.control.close()
            os.close(self.file)
        assert not self.errors, self.errors
