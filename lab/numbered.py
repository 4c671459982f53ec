# SPDX-License-Identifier: BSD-3-Clause
"""A stream of numbered datagrams to an echo server (lab/echo_server.py), and what of it came back."""

import contextlib
import socket
import struct
import threading
import time

from lab.distributor import VIPA

WINDOW = 16  # numbers that may be under way: no socket's buffer is full by them
PACE = 0.001  # seconds between two
NUMBER = struct.Struct("!I")


class Numbered:
    """One client. What was answered is in `answers`, in the order in which it came: each number once, when nothing was
    lost or came twice on either way. `silences` are the seconds before each of them since the one before."""

    def __init__(self, namespace, source, address=VIPA, port=7, patience=5.0):
        def make():
            handle = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            handle.bind((source, 0))
            handle.connect((address, port))
            return handle
        self.socket, self.patience = namespace.inside(make), patience
        self.sent, self.answers = 0, []
        self.heard_at, self.silences = None, []

    def exchange(self, count, size=0):
        """Sends `count` more, of `size` bytes beside their number, and waits for the answers, for patience at most."""
        for _ in range(count):
            self.socket.send(NUMBER.pack(self.sent) + bytes(size))
            self.sent += 1
            time.sleep(PACE)
            self._hear(WINDOW)
        self._hear(0)
        return self

    def _hear(self, left):
        """Takes answers until no more than `left` numbers are without; what is there is taken in any case."""
        while True:
            self.socket.settimeout(self.patience if self.sent - len(self.answers) > left else 1e-6)
            try:
                data = self.socket.recv(65535)
            except (TimeoutError, BlockingIOError):
                return
            now = time.monotonic()
            self.silences.append(now - (self.heard_at or now))
            self.heard_at = now
            self.answers.append(NUMBER.unpack_from(data[data.index(b" ") + 1:])[0])

    @contextlib.contextmanager
    def flowing(self):
        """The stream goes on, in a thread, as long as the context does."""
        end = threading.Event()

        def flow():
            while not end.is_set():
                self.exchange(WINDOW)
        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield self
        finally:
            end.set()
            thread.join()

    def close(self):
        self.socket.close()
