# SPDX-License-Identifier: BSD-3-Clause
"""An appliance that has turned: it knows the key, sees all frames, and answers with whatever it likes.

It speaks to the wire itself, with messages of its own making (docs/decisions/0013), so nothing of ours is
between it and the gateway."""

import socket
import struct
import threading

from lab.netns import Wire
from lab.siphash import siphash128

OPTION_CLASS, OPTION_TYPE = 0xfff8, 0x81
REQUEST, PASS, DROP, FAILED, PROBE, ANSWER = range(1, 7)


class Message:
    """One of the gateway's, taken apart."""

    def __init__(self, frame):
        self.source_mac, self.gateway_mac = frame[:6], frame[6:12]
        geneve = frame[14 + 20 + 8:]
        self.options = geneve[0] * 4
        self.network = int.from_bytes(geneve[4:7], "big")
        body = geneve[12:44]
        self.kind, self.key, self.worker, self.flags, self.handle = struct.unpack(">BBBBQ", body[:12])
        end = 14 + struct.unpack(">H", frame[16:18])[0]
        self.inner = frame[14 + 20 + 8 + 8 + 36:end]


class HostileAppliance:
    """Answers probes as it should and requests by respond(self, message), in a thread of its own."""

    def __init__(self, namespace, interface, address, gateway, key, respond):
        self.wire = Wire(namespace, interface)
        self.mac = bytes.fromhex(namespace.run("cat", f"/sys/class/net/{interface}/address").strip().replace(":", ""))
        self.address, self.gateway = socket.inet_aton(address), socket.inet_aton(gateway)
        self.key, self.respond = key, respond
        self.seen, self.gateway_mac = [], None
        self.errors = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.is_over.is_set():
            frame = self.wire.receive(0.1)
            try:
                if frame:
                    self._take(frame)
            except OSError as error:
                self.errors.append(error)

    def _take(self, frame):
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x01" and frame[38:42] == self.address:
            self.wire.send(frame[6:12] + self.mac + frame[12:20] + b"\x00\x02" + self.mac + self.address
                           + frame[22:32])
        elif frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[30:34] == self.address:
            message = Message(frame)
            self.gateway_mac = message.gateway_mac
            if message.kind == PROBE:
                self.wire.send(self.seal(ANSWER, message, b"", flags=1))
            elif message.kind == REQUEST:
                self.seen.append(message)
                self.respond(self, message)

    def seal(self, kind, message, inner, *, handle=None, network=None, flags=0, worker=None, mac=None,
             options=None):
        """A message as the gateway believes it, but for what is asked to be wrong; options(option) returns the
        bytes of all options."""
        network = message.network if network is None else network
        body = struct.pack(">BBBBQHH", kind, message.key, message.worker if worker is None else worker, flags,
                           message.handle if handle is None else handle, 0, 0)
        code = mac or siphash128(self.key, body + struct.pack(">II", network, len(inner)) + inner)
        option = struct.pack(">HBB", OPTION_CLASS, OPTION_TYPE, 8) + body + code
        if options is not None:
            option = options(option)
        geneve = struct.pack(">BBHI", len(option) // 4, 0x40, 0x6558, network << 8) + option + inner
        udp = struct.pack(">HHHH", 50000, 6081, 8 + len(geneve), 0) + geneve
        ip = bytearray(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, self.address,
                                   self.gateway))
        total = sum(struct.unpack(">10H", ip))
        total = (total & 0xffff) + (total >> 16)
        ip[10:12] = struct.pack(">H", ~((total & 0xffff) + (total >> 16)) & 0xffff)
        return self.gateway_mac + self.mac + b"\x08\x00" + bytes(ip) + udp

    def send(self, *arguments, **options):
        self.wire.send(self.seal(*arguments, **options))

    def stop(self):
        self.is_over.set()
        self.thread.join(5)
        self.wire.close()
        assert not self.errors, self.errors

