# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user frontend of our own in place of a guest's QEMU, with two empty rings in memory that it may
take back. Messages and their numbers are those of QEMU's docs/interop/vhost-user.rst."""

import os
import socket
import struct

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL = 8, 9, 10, 12, 13
VERSION = 1
FEATURE_VERSION_1 = 1 << 32
MEMORY_SIZE = 2 << 20
USER_ADDRESS = 0x7F0000000000
RING_ENTRIES = 256
RING_SPACE = 0x8000  # descriptors, available (at 0x2000) and used (at 0x4000) ring


class Frontend:
    """One device whose rings are started, with nothing in them. Its memory is not sealed."""

    def __init__(self, path):
        self.memory = os.memfd_create("guest")
        os.ftruncate(self.memory, MEMORY_SIZE)
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self._send(SET_OWNER)
        self._send(GET_FEATURES)
        assert struct.unpack("<Q", self._receive())[0] & FEATURE_VERSION_1
        self._send(SET_FEATURES, struct.pack("<Q", FEATURE_VERSION_1))
        self._send(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, 0, MEMORY_SIZE, USER_ADDRESS, 0), [self.memory])
        for index in range(2):
            self._start_ring(index)

    def _start_ring(self, index):
        base = USER_ADDRESS + index * RING_SPACE
        self._send(SET_VRING_NUM, struct.pack("<II", index, RING_ENTRIES))
        self._send(SET_VRING_BASE, struct.pack("<II", index, 0))
        self._send(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, 0, base, base + 0x4000, base + 0x2000, 0))
        for message in (SET_VRING_CALL, SET_VRING_KICK):
            self.events.append(os.eventfd(0))
            self._send(message, struct.pack("<Q", index), self.events[-1:])

    def _send(self, number, payload=b"", descriptors=()):
        socket.send_fds(self.socket, [struct.pack("<III", number, VERSION, len(payload)) + payload], descriptors)

    def _receive(self):
        _, _, size = struct.unpack("<III", self.socket.recv(12, socket.MSG_WAITALL))
        return self.socket.recv(size, socket.MSG_WAITALL)

    def take_memory_back(self):
        """The file behind the memory becomes empty: who reads there gets SIGBUS."""
        os.ftruncate(self.memory, 0)

    def close(self):
        self.socket.close()
        for descriptor in (self.memory, *self.events):
            os.close(descriptor)
