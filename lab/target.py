# SPDX-License-Identifier: BSD-3-Clause
"""What distributor and target say to each other (wire/gre.h, wire/heartbeat.h), once more and by itself: so a
Python program can be the other end of either, and what is on the wire is held against this.

    distributor ──xcf0══xcf1── target: bulkheadd ── vipa0 (hidden) ── nginx
    198.51.100.1                198.51.100.11          192.0.2.80, 2001:db8::80
"""

import ipaddress
import select
import struct
import threading
import time

from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, GRE, Ether

from lab.distributor import CONTROL, TO_DISTRIBUTOR, TO_TARGET, gre_key, packed
from lab.siphash import siphash128

HEARTBEAT = 0x88b5
REPORT, ANSWER = 1, 2


def seal(secret, source, destination, kind, session, sequence, challenge, load=0, mtu=0, services=()):
    """A heartbeat; services are (address, protocol, port, is ready)."""
    body = struct.pack("!BBBBQQQHH", 1, kind, len(services), 0, session, sequence, challenge, load, mtu)
    for address, protocol, port, ready in services:
        raw = packed(address)
        body += struct.pack("!BBBBHH", raw[0], protocol, ready, 0, port, 0) + raw[1:]
    return body + siphash128(secret, b"bulkhead heartbeat\0" + packed(source) + packed(destination)
                             + body)


def unseal(secret, source, destination, message):
    """The heartbeat as a dictionary; None when its code is wrong."""
    body, mac = message[:-16], message[-16:]
    if mac != siphash128(secret, b"bulkhead heartbeat\0" + packed(source) + packed(destination) + body):
        return None
    names = ("version", "kind", "count", "zero", "session", "sequence", "challenge", "load", "mtu")
    out = dict(zip(names, struct.unpack("!BBBBQQQHH", body[:32])))
    out["services"] = []
    for at in range(32, len(body), 24):
        version, protocol, ready, _, port, _ = struct.unpack("!BBBBHH", body[at:at + 8])
        address = ipaddress.ip_address(body[at + 8:at + 8 + (4 if version == 4 else 16)])
        out["services"].append((str(address), protocol, port, bool(ready)))
    return out


class Distributor:
    """The other end of a target's link, in Python: answers ARP and heartbeats, sends and receives GRE."""

    MAC = "52:54:00:00:51:01"

    def __init__(self, wire, secret, address, target):
        self.wire, self.secret, self.address, self.target = wire, secret, address, target
        self.target_mac = None
        self.challenge = 0x1122334455667788
        self.reports = []
        self.mtu = 0

    def key(self, kind, direction=TO_TARGET):
        return gre_key(self.secret, kind, direction, self.target, self.address)

    def outer(self, source=None, target=None):
        ip = IPv6 if ":" in self.address else IP
        return ip(src=source or self.address, dst=target or self.target)

    def wrap(self, packet, kind, **wrong):
        """A frame to the target with packet inside, or with what is wrong in it."""
        gre = GRE(key_present=1, key=wrong.get("key", self.key(kind)), **wrong.get("gre", {}))
        gre.proto = wrong.get("proto", 0x86dd if isinstance(packet, IPv6) else 0x0800)
        return Ether(src=self.MAC, dst=self.target_mac or "ff:ff:ff:ff:ff:ff") / self.outer(
            wrong.get("source"), wrong.get("target")) / gre / packet

    def send(self, packet, kind, **wrong):
        self.wire.send(self.wrap(packet, kind, **wrong))

    def answer(self, report):
        body = seal(self.secret, self.address, self.target, ANSWER, report["session"], report["sequence"],
                    self.challenge, mtu=self.mtu)
        frame = self.wrap(b"", CONTROL, proto=HEARTBEAT)
        self.wire.send(bytes(frame) if not body else frame / body)

    def receive(self, timeout=2.0, answers=True):
        """The next packet of GRE that is no heartbeat, as (key, packet), or None; heartbeats are answered
        meanwhile, as long as answers is set, and kept in reports."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            frame = self.wire.receive(left)
            if frame is None:
                continue
            taken = self.take(Ether(frame), answers)
            if taken:
                return taken
        return None

    def take(self, frame, answers=True):
        if ARP in frame and frame[ARP].op == 1 and frame[ARP].pdst == self.address:
            self.wire.send(Ether(src=self.MAC, dst=frame.src) / ARP(
                op=2, hwsrc=self.MAC, psrc=self.address, hwdst=frame.src, pdst=frame[ARP].psrc))
        if ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == self.address:
            self.wire.send(Ether(src=self.MAC, dst=frame.src) / IPv6(src=self.address, dst=frame[IPv6].src)
                           / ICMPv6ND_NA(tgt=self.address, R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=self.MAC))
        if GRE not in frame:
            return None
        self.target_mac = frame.src
        if frame[GRE].proto != HEARTBEAT:
            return frame[GRE].key, frame[GRE].payload
        report = unseal(self.secret, self.target, self.address, self.payload(frame))
        assert report and report["kind"] == REPORT and frame[GRE].key == self.key(CONTROL, TO_DISTRIBUTOR)
        self.reports.append(report)
        if answers:
            self.answer(report)
        return None

    @staticmethod
    def payload(frame):
        """Of GRE, without the padding of a short frame."""
        ip = frame[IPv6] if IPv6 in frame else frame[IP]
        size = ip.plen - 8 if IPv6 in frame else ip.len - 20 - 8
        return bytes(frame[GRE])[8:8 + size]


class Relay(Distributor):
    """A distributor for one client, in a thread: what it gets from the client goes into GRE of one kind, what the
    target sends back in GRE goes to the client. (A kernel's GRE would do, where it has any.)"""

    def __init__(self, link, secret, address, target, client, client_mac, kind):
        super().__init__(link, secret, address, target)
        self.client, self.kind = client, kind
        self.client_mac = bytes.fromhex(client_mac.replace(":", ""))
        self.is_ended = False
        self.forwarded = 0  # packets of the client, without what it says to all
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.is_ended = True
        self.thread.join()

    def run(self):
        while not self.is_ended:
            ready, _, _ = select.select([self.wire.socket, self.client.socket], [], [], 0.1)
            if self.client.socket in ready:
                self.from_client(self.client.receive(0))
            if self.wire.socket in ready:
                self.from_target(self.wire.receive(0))

    def from_client(self, frame):
        if frame is None or self.target_mac is None or frame[12:14] not in (b"\x08\x00", b"\x86\xdd"):
            return
        packet = frame[14:14 + struct.unpack("!H", frame[16:18])[0]] if frame[12] == 8 else frame[14:]
        gre = struct.pack("!HHI", 0x2000, int.from_bytes(frame[12:14], "big"), self.key(self.kind))
        ethernet = bytes.fromhex((self.target_mac + self.MAC).replace(":", ""))
        self.wire.send(ethernet + self.outer_bytes(len(gre) + len(packet)) + gre + packet)
        self.forwarded += not frame[0] & 1

    def outer_bytes(self, size):
        """The ethertype and the outer IP header."""
        source, destination = (ipaddress.ip_address(text).packed for text in (self.address, self.target))
        if len(source) == 16:
            return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, size, 47, 64) + source + destination
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0x4000, 64, 47, 0) + source + destination
        total = sum(struct.unpack("!10H", header))
        total = (total & 0xffff) + (total >> 16)
        total = (total & 0xffff) + (total >> 16)
        return b"\x08\x00" + header[:10] + struct.pack("!H", ~total & 0xffff) + header[12:]

    def from_target(self, frame):
        if frame is None:
            return
        is_ipv6 = frame[12:14] == b"\x86\xdd"
        protocol, ip_size = (frame[20], 40) if is_ipv6 else (frame[23], 20)
        at = 14 + ip_size
        if protocol != 47 or frame[12:14] not in (b"\x08\x00", b"\x86\xdd") or frame[at + 2:at + 4] == b"\x88\xb5":
            self.take(Ether(frame))
            return
        end = 54 + struct.unpack("!H", frame[18:20])[0] if is_ipv6 else 14 + struct.unpack("!H", frame[16:18])[0]
        self.client.send(self.client_mac + bytes(6) + frame[at + 2:at + 4] + frame[at + 8:end])
