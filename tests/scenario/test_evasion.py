# SPDX-License-Identifier: BSD-3-Clause
"""What an attacker tries so that an inspector reads other bytes than the receiver does: scapy makes each
segment, a kernel's TCP receives. Either the inspector stops the word, or the receiver never gets it.

    attacker ── uplink [hv1: gateway ── inspect] trunk-a (VLAN 10) ── web   192.0.2.10, fd00::10
    192.0.2.120, fd00::120        builtin        trunk-b (VLAN 20) ── db    192.0.2.20, behind a second tag
"""

import random
import socket
import threading

import pytest

scapy = pytest.importorskip("scapy.all", reason="scapy is not installed")

from lab.netns import wait_until  # noqa: E402
from lab.topology import PARTITIONS, Lab  # noqa: E402

WORD = b"EVIL word"
CLEAN = b"GOOD word"
BEFORE, BEHIND = b"some text before it ", b" and some behind it"
AT = len(BEFORE)
END = AT + len(WORD)
ATTACKER_MAC = "52:54:00:00:ff:20"
PORT = 9000
RULES = 'drop tcp any any -> any 9000 (msg:"evil"; content:"EVIL word"; sid:1000021;)\n'

# Where the attacker's frames go: what is below TCP.
BELOW = {
    "ipv4": (scapy.Ether(src=ATTACKER_MAC, dst=PARTITIONS["web"][1])
             / scapy.IP(src="192.0.2.120", dst="192.0.2.10")),
    "ipv6": (scapy.Ether(src=ATTACKER_MAC, dst=PARTITIONS["web"][1])
             / scapy.IPv6(src="fd00::120", dst="fd00::10")),
    "vlan_stack": (scapy.Ether(src=ATTACKER_MAC, dst=PARTITIONS["db"][1]) / scapy.Dot1Q(vlan=20)
                   / scapy.Dot1Q(vlan=0, prio=5) / scapy.IP(src="192.0.2.121", dst="192.0.2.20")),
}


class Receiver:
    """A TCP server of a kernel: what each connection's socket gave, by the client's port."""

    def __init__(self, namespace, address, family=socket.AF_INET):
        self.data = {}
        self.listener = namespace.inside(lambda: socket.create_server((address, PORT), family=family))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                handle, peer = self.listener.accept()
            except OSError:
                return
            self.data[peer[1]] = bytearray()
            threading.Thread(target=self._read, args=(handle, peer[1]), daemon=True).start()

    def _read(self, handle, port):
        try:
            while piece := handle.recv(1 << 16):
                self.data[port] += piece
        except OSError:
            pass
        handle.close()

    def close(self):
        self.listener.close()


class Attack:
    """One connection, from its handshake on; offsets are those of its bytes."""

    ports = iter(range(30000, 40000))

    def __init__(self, wire, below):
        self.wire, self.below = wire, below
        self.port = next(self.ports)
        self.start = random.Random(self.port).randrange(1 << 32)
        self.acknowledge = 0
        self.stamp, self.echo = 1000000, 0
        self._shake_hands()

    def _is_answer(self, frame):
        packet = scapy.Ether(frame)
        return (packet.haslayer(scapy.TCP) and packet[scapy.TCP].dport == self.port
                and packet[scapy.TCP].flags & 0x12 == 0x12)

    def _shake_hands(self):
        self.send(scapy.TCP(flags="S", seq=self.start - 1 & 0xffffffff, window=65535, sport=self.port,
                            dport=PORT, options=[("MSS", 1400), ("Timestamp", (self.stamp, 0))]))
        frame = self.wire.expect(self._is_answer)
        assert frame is not None, "no answer to the SYN"
        answer = scapy.Ether(frame)[scapy.TCP]
        self.acknowledge = answer.seq + 1 & 0xffffffff
        self.echo = dict(option for option in answer.options if len(option) == 2)["Timestamp"][0]
        self.send(self.tcp(0, b""))

    def tcp(self, offset, data, flags="A", age=0, **fields):
        """A segment; one of age > 0 has an older timestamp than those before."""
        self.stamp += 1
        return scapy.TCP(sport=self.port, dport=PORT, flags=flags, window=65535,
                         seq=(self.start + offset) & 0xffffffff, ack=self.acknowledge,
                         options=[("NOP", None), ("NOP", None),
                                  ("Timestamp", (self.stamp - age, self.echo))], **fields) / data

    def packet(self, tcp, **ip):
        packet = self.below.copy()
        for name, value in ip.items():
            setattr(packet[scapy.IP], name, value)
        return packet / tcp

    def send(self, tcp, **ip):
        self.wire.send(bytes(self.packet(tcp, **ip)))

    def bytes(self, offset, data, **fields):
        self.send(self.tcp(offset, data, **fields))

    def fragments(self, tcp, size):
        """The packet in IP fragments of so many bytes; below is IPv4."""
        packet = scapy.Ether(bytes(self.packet(tcp, id=self.stamp & 0xffff)))
        pieces = scapy.fragment(packet[scapy.IP], fragsize=size)
        return [bytes(scapy.Ether(bytes(packet)[:14]) / piece) for piece in pieces]


@pytest.fixture(scope="module")
def net():
    """One daemon for all attacks, with an attacker at its wire and receivers behind it."""
    with Lab() as lab:
        lab.write("rules/lab.rules", RULES)
        lab.config["inspection"] = {"engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")]}
        lab.config["partitions"]["web"]["adapters"]["eth0"]["addresses"].append("fd00::10")
        web, db = lab["web"], lab["db"]
        for key in ("all", "eth0"):
            web.sysctl(f"net.ipv6.conf.{key}.disable_ipv6", 0)
        web.run("ip", "address", "add", "fd00::10/64", "dev", "eth0", "nodad")
        web.run("ip", "neighbour", "add", "192.0.2.120", "lladdr", ATTACKER_MAC, "dev", "eth0")
        web.run("ip", "neighbour", "add", "fd00::120", "lladdr", ATTACKER_MAC, "dev", "eth0")
        db.run("ip", "neighbour", "add", "192.0.2.121", "lladdr", ATTACKER_MAC, "dev", "eth0")
        receivers = {"ipv4": Receiver(web, "192.0.2.10"),
                     "ipv6": Receiver(web, "fd00::10", socket.AF_INET6),
                     "vlan_stack": Receiver(db, "192.0.2.20")}
        wire = lab.outside.wire("eth0")
        lab.start()
        yield lab, wire, receivers
        for receiver in receivers.values():
            receiver.close()


class Field:
    """What the attacks of one test are made with, and what came of them."""

    def __init__(self, net, below):
        self.net, self.below = net, below
        self.lab, self.wire, receivers = net
        self.receiver = receivers[below]
        self.attack = Attack(self.wire, BELOW[below])
        wait_until(lambda: self.attack.port in self.receiver.data, what="the connection")

    def received(self):
        return bytes(self.receiver.data[self.attack.port])

    def reads(self, text):
        """The receiver's socket gives this, and no more."""
        wait_until(lambda: len(self.received()) >= len(text), what=f"{text} in place of {self.received()}")
        assert self.received() == text

    def is_stopped(self, text=BEFORE):
        """A rule stopped the connection, and this is all that the receiver's socket gives."""
        wait_until(lambda: self.lab.daemon.events(event_type="alert", src_port=self.attack.port),
                   what="the alert")
        self.attack.bytes(END, BEHIND)
        self.attack.bytes(len(self.received()), b"x")
        other = Field(self.net, self.below)
        other.attack.bytes(0, b"behind all of it")
        other.reads(b"behind all of it")
        assert self.received() == text


@pytest.fixture
def field(net):
    return lambda below="ipv4": Field(net, below)


@pytest.mark.parametrize("below", BELOW)
def test_plain_word_is_stopped_and_plain_text_is_not(field, below):
    """I6: what all others are measured by."""
    plain, evil = field(below), field(below)
    plain.attack.bytes(0, BEFORE + CLEAN + BEHIND)
    plain.reads(BEFORE + CLEAN + BEHIND)
    evil.attack.bytes(0, BEFORE)
    evil.attack.bytes(AT, WORD + BEHIND)
    evil.is_stopped()


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("seed", range(3))
def test_single_bytes_in_any_order(field, below, seed):
    """I6: the word in single bytes, behind gaps."""
    made = field(below)
    text = BEFORE + WORD
    order = list(range(len(text)))
    random.Random(seed).shuffle(order)
    for at in order:
        made.attack.bytes(at, text[at:at + 1])
    made.is_stopped(text[:-1])


@pytest.mark.parametrize("first, then", [(CLEAN, WORD), (WORD, CLEAN)], ids=["clean_first", "word_first"])
def test_overlap_ahead_of_a_gap(field, first, then):
    """I6: both versions wait behind a gap; receivers differ in which one they keep."""
    made = field()
    made.attack.bytes(AT, first)
    made.attack.bytes(AT - 1, BEFORE[-1:] + then + BEHIND)
    made.attack.bytes(0, BEFORE)
    if first == CLEAN:
        made.reads(BEFORE + CLEAN + BEHIND)
    else:
        made.is_stopped()


@pytest.mark.parametrize("size", [2, 4, 8])
def test_overlap_of_what_went_before(field, size):
    """I6: the word's beginning again, with more behind it each time."""
    made = field()
    made.attack.bytes(0, BEFORE + CLEAN[:size])
    made.attack.bytes(AT, WORD + BEHIND)
    made.reads(BEFORE + CLEAN[:size] + WORD[size:] + BEHIND)


@pytest.mark.parametrize("age", [0, 100000], ids=["same_time", "old_timestamp"])
def test_short_lived_or_outdated_segment(field, age):
    """I6: a segment that the receiver may never see (TTL) or that it discards (RFC 7323 PAWS); then the
    word in its place."""
    made = field()
    made.attack.bytes(0, BEFORE)
    made.attack.send(made.attack.tcp(AT, CLEAN, age=age), ttl=1)
    made.attack.bytes(AT, WORD)
    made.attack.bytes(END, BEHIND)
    made.reads(BEFORE + CLEAN + BEHIND)


@pytest.mark.parametrize("change", [
    {"chksum": 0xbad}, {"flags": ""}, {"flags": "P"}, {"flags": "F"}], ids=[
        "bad_checksum", "no_flags", "push_alone", "fin_alone"])
def test_segment_that_no_receiver_takes(field, change):
    """I6: it must not count as what was there first."""
    made = field()
    made.attack.bytes(0, BEFORE)
    made.attack.bytes(AT, CLEAN, **change)
    made.attack.bytes(AT, WORD)
    made.is_stopped()


@pytest.mark.parametrize("offset", [1 << 20, 1 << 30, -(1 << 20)])
def test_segment_out_of_the_window(field, offset):
    """I6: nothing is known of what lies there, and nothing comes of it."""
    made = field()
    made.attack.bytes(0, BEFORE)
    made.attack.bytes(AT + offset, CLEAN)
    made.attack.bytes(AT, WORD)
    made.is_stopped()


@pytest.mark.parametrize("flags", ["R", "RA", "S", "FA"])
def test_forged_end_or_beginning(field, flags):
    """I6: where the receiver would not take it, it ends and begins nothing for us."""
    made = field()
    made.attack.bytes(0, BEFORE)
    made.attack.bytes(AT + 5000, b"", flags=flags)
    made.attack.bytes(AT, WORD[:4])
    made.attack.bytes(AT + 4, WORD[4:])
    made.is_stopped(BEFORE + WORD[:4])


def test_repetition_with_other_content(field):
    """I6: before and after the receiver has acknowledged what was there first."""
    made = field()
    made.attack.bytes(0, BEFORE + CLEAN)
    made.attack.bytes(0, BEFORE + WORD)
    made.reads(BEFORE + CLEAN)
    made.attack.bytes(0, BEFORE + WORD + BEHIND)
    made.reads(BEFORE + CLEAN + BEHIND)


def test_urgent_byte(field):
    """I6: a receiver takes it out of the stream, and would read the word without it."""
    made = field()
    made.attack.bytes(0, BEFORE)
    made.attack.bytes(AT, WORD[:4] + b"x" + WORD[4:], flags="AU", urgptr=5)
    made.attack.bytes(END + 1, BEHIND)
    made.reads(BEFORE + WORD[:4] + b"x" + WORD[4:] + BEHIND)


@pytest.mark.parametrize("size", [8, 16, 24, 40])
@pytest.mark.parametrize("backwards", [False, True])
def test_segment_in_fragments(field, size, backwards):
    """I6: also the TCP header is in pieces."""
    made, plain = field(), field()
    for each, text in ((made, WORD), (plain, CLEAN)):
        each.attack.bytes(0, BEFORE)
        pieces = each.attack.fragments(each.attack.tcp(AT, text + BEHIND), size)
        for piece in reversed(pieces) if backwards else pieces:
            each.wire.send(piece)
    plain.reads(BEFORE + CLEAN + BEHIND)
    made.is_stopped()


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_overlapping_fragments(field, order):
    """I6: receivers differ in what they make of them, so none of the datagram arrives; then the same text
    in order does."""
    made = field()
    made.attack.bytes(0, BEFORE)
    clean = made.attack.fragments(made.attack.tcp(AT, CLEAN + BEHIND), 32)
    evil = made.attack.fragments(made.attack.tcp(AT, WORD + BEHIND), 32)
    identity = scapy.Ether(clean[0])[scapy.IP].id
    other = scapy.Ether(evil[1])
    other[scapy.IP].id = identity
    del other[scapy.IP].chksum
    frames = [clean[0], clean[1], bytes(other)]
    for at in order:
        made.wire.send(frames[at])
    made.attack.bytes(AT, CLEAN + BEHIND)
    made.reads(BEFORE + CLEAN + BEHIND)


@pytest.mark.parametrize("headers", [
    [scapy.IPv6ExtHdrDestOpt(options=[scapy.PadN(optdata=b"\0" * 4)])],
    [scapy.IPv6ExtHdrHopByHop(options=[scapy.PadN(optdata=b"\0" * 4)]), scapy.IPv6ExtHdrDestOpt()],
    [scapy.IPv6ExtHdrFragment(id=7)],
    [scapy.IPv6ExtHdrDestOpt(), scapy.IPv6ExtHdrFragment(id=8), scapy.IPv6ExtHdrDestOpt()],
], ids=["options", "hop_by_hop", "atomic_fragment", "options_around_a_fragment"])
def test_extension_headers(field, headers):
    """I6: what follows them is read all the same."""
    made, plain = field("ipv6"), field("ipv6")
    for each, text in ((made, WORD), (plain, CLEAN)):
        each.attack.bytes(0, BEFORE)
        packet = each.attack.below.copy()
        for header in headers:
            packet = packet / header.copy()
        each.wire.send(bytes(packet / each.attack.tcp(AT, text + BEHIND)))
    plain.reads(BEFORE + CLEAN + BEHIND)
    made.is_stopped()


@pytest.mark.parametrize("backwards", [False, True])
def test_ipv6_fragments(field, backwards):
    """I6: whole, behind a header of options."""
    made, plain = field("ipv6"), field("ipv6")
    for each, text in ((made, WORD), (plain, CLEAN)):
        each.attack.bytes(0, BEFORE)
        packet = (each.attack.below.copy() / scapy.IPv6ExtHdrFragment(id=each.attack.port)
                  / each.attack.tcp(AT, text + BEHIND))
        packet = scapy.Ether(bytes(packet))
        pieces = scapy.fragment6(packet[scapy.IPv6], 40 + 8 + 24)
        assert len(pieces) > 2
        for piece in reversed(pieces) if backwards else pieces:
            each.wire.send(bytes(scapy.Ether(bytes(packet)[:14]) / piece))
    plain.reads(BEFORE + CLEAN + BEHIND)
    made.is_stopped()
