# SPDX-License-Identifier: BSD-3-Clause
"""A network address translator of UDP ports, where the kernel has none: frames are copied between two interfaces of a
namespace by a thread, and the client's port changes on the way. Like a real one that was started anew, it may take
another port for the same client at any time, and knows nothing of the one before."""

import select
import struct
import threading

IPV4, UDP = b"\x08\x00", 17


class Nat:
    """Between `inside` and `outside` of the namespace: the client's `port` is `mapped` outside."""

    def __init__(self, namespace, inside, outside, port, mapped):
        self.inside, self.outside = namespace.wire(inside), namespace.wire(outside)
        self.port, self.mapped = port, mapped
        self.is_open = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        ends = {self.inside.socket: self._go_out, self.outside.socket: self._come_in}
        while self.is_open:
            for end in select.select(list(ends), [], [], 0.1)[0]:
                ends[end](bytearray(end.recv(70000)))

    @staticmethod
    def _udp(frame):
        """Where UDP's ports are; None: it is something else, or a later fragment."""
        if frame[12:14] != IPV4 or frame[23] != UDP or struct.unpack_from("!H", frame, 20)[0] & 0x1fff:
            return None
        return 14 + (frame[14] & 15) * 4

    def _go_out(self, frame):
        at = self._udp(frame)
        if at:
            if struct.unpack_from("!H", frame, at)[0] == self.port:
                struct.pack_into("!H", frame, at, self.mapped)
            frame[at + 6:at + 8] = bytes(2)  # no checksum: the sender may have left it to the wire, too
        self.outside.send(frame)

    def _come_in(self, frame):
        at = self._udp(frame)
        if at:
            port = struct.unpack_from("!H", frame, at + 2)[0]
            if port == self.mapped:
                struct.pack_into("!H", frame, at + 2, self.port)
            elif port > 1024:
                return  # mapped to nobody
            frame[at + 6:at + 8] = bytes(2)
        self.inside.send(frame)

    def close(self):
        self.is_open = False
        self.thread.join()
