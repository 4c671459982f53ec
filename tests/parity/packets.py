# SPDX-License-Identifier: BSD-3-Clause
"""Packets of the cases: a client at 192.0.2.100 (EXTERNAL_NET is the other half), a server at 192.0.2.10."""

from scapy.all import ICMP, IP, TCP, UDP, Ether, IPv6, Raw, fragment  # noqa: F401

CLIENT, SERVER = "198.51.100.7", "192.0.2.10"
CLIENT6, SERVER6 = "2001:db8:2::7", "2001:db8:1::10"
MACS = {CLIENT: "02:00:00:00:00:01", CLIENT6: "02:00:00:00:00:01",
        SERVER: "02:00:00:00:00:02", SERVER6: "02:00:00:00:00:02"}


def ether(source, destination):
    return Ether(src=MACS.get(source, "02:00:00:00:00:03"), dst=MACS.get(destination, "02:00:00:00:00:04"))


def ip(source=CLIENT, destination=SERVER, **fields):
    header = IPv6 if ":" in source else IP
    return ether(source, destination) / header(src=source, dst=destination, **fields)


def udp(data=b"", sport=5000, dport=4000, source=CLIENT, destination=SERVER, **fields):
    return ip(source, destination, **fields) / UDP(sport=sport, dport=dport) / Raw(data)


def icmp(kind=8, code=0, data=b"", **fields):
    return ip() / ICMP(type=kind, code=code, **fields) / Raw(data)


class Tcp:
    """A TCP connection; each call adds a packet and returns it, for changes."""

    def __init__(self, sport=40000, dport=80, client=CLIENT, server=SERVER, handshake=True, **fields):
        self.ports = {"c": (sport, dport), "s": (dport, sport)}
        self.ends = {"c": (client, server), "s": (server, client)}
        self.fields = fields
        self.next = {"c": 1000, "s": 9000}
        self.packets = []
        if handshake:
            self.next = {"c": 999, "s": 8999}
            self.add("c", "S", ack=0)
            self.next["c"] += 1
            self.add("s", "SA")
            self.next["s"] += 1
            self.add("c", "A")

    def add(self, side, flags="A", data=b"", seq=None, ack=None, ip_fields=None, **fields):
        other = "s" if side == "c" else "c"
        source, destination = self.ends[side]
        sport, dport = self.ports[side]
        packet = ip(source, destination, **{**self.fields, **(ip_fields or {})}) / TCP(
            sport=sport, dport=dport, flags=flags, seq=self.next[side] if seq is None else seq,
            ack=self.next[other] if ack is None else ack, **{"window": 64240, **fields})
        if data:
            packet = packet / Raw(data)
        self.packets.append(packet)
        return packet

    def send(self, side, data, flags="PA", **fields):
        """Data in order, and the other side's acknowledgement."""
        self.add(side, flags, data, **fields)
        self.next[side] += len(data)
        self.add("s" if side == "c" else "c")
        return self

    def client(self, data, **fields):
        return self.send("c", data, **fields)

    def server(self, data, **fields):
        return self.send("s", data, **fields)

    def at(self, offset, data, side="c", **fields):
        """Data at an offset of the stream, wherever that is."""
        start = 1000 if side == "c" else 9000
        self.add(side, fields.pop("flags", "PA"), data, seq=start + offset, **fields)
        return self

    def acknowledge(self, offset, side="s"):
        """The receiver has all before offset."""
        other = "s" if side == "c" else "c"
        self.next[other] = (1000 if other == "c" else 9000) + offset
        self.add(side)
        return self

    def close(self):
        self.add("c", "FA")
        self.next["c"] += 1
        self.add("s", "FA")
        self.next["s"] += 1
        self.add("c")
        return self


def checked(packet):
    """With its checksums worked out, so that a field can then be spoilt."""
    return packet.__class__(bytes(packet))
