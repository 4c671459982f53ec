# SPDX-License-Identifier: BSD-3-Clause
"""TCP streams in line: what is lost, late, doubled or forged on the way to us, and what the receiver
gets of it, on its wire and in its socket.

    far ── (lossy wire) outside ── uplink [hv1: gateway ── inspect] trunk-a (VLAN 10) ── web
    192.0.2.110                                   builtin                           192.0.2.10
"""

import collections
import hashlib
import os
import socket
import subprocess
import threading

import pytest

from lab.lossy import far_host
from lab.netns import wait_until
from lab.peers import can_ping, counters

FAR = "192.0.2.110"
ADDRESS = "192.0.2.10"
SO_RCVBUFFORCE = 33
RULES = ('drop tcp any any -> $HOME_NET any (msg:"evil"; content:"EVIL word"; sid:1000011;)\n'
         'alert tcp any any -> $HOME_NET any (msg:"none"; content:"nobody sends this"; '
         'replace:"NOBODY sends this"; sid:1000012;)\n')


@pytest.fixture
def far(lab):
    """far(loss=…): a host behind a lossy wire, and the daemon with the builtin engine."""
    wires = []

    def begin(**wire):
        lab.write("rules/lab.rules", RULES)
        lab.config["inspection"] = {
            "engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")],
            "stream-depth": "none", "stream-gap-timeout": "20s", "variables": {"HOME_NET": ["192.0.2.0/24"]}}
        namespace, line = far_host(lab, FAR, **wire)
        wires.append(line)
        lab.start()
        assert can_ping(namespace, ADDRESS)
        return namespace, line
    yield begin
    for wire in wires:
        wire.close()


class Capture:
    """tcpdump at a host's interface."""

    END = b"the end of the capture"

    def __init__(self, lab, namespace):
        self.namespace = namespace
        self.path = lab.folder / f"{namespace.name}.pcap"
        self.process = namespace.start("tcpdump", "-i", "eth0", "-B", 65536, "-s", 128, "-U", "-w",
                                       self.path, "tcp or udp port 9", stderr=subprocess.PIPE, text=True)
        assert "listening" in self.process.stderr.readline()

    def end(self):
        """All that came before is in the file: it has what is sent here."""
        with self.namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as handle:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            handle.sendto(self.END, ("192.0.2.255", 9))
        wait_until(lambda: self.END in self.path.read_bytes()[-65536:], what="the end of the capture")
        self.process.terminate()
        text = self.process.stderr.read()
        self.process.wait()
        assert "0 packets dropped by kernel" in text, text

    def count(self, wanted):
        """Frames that tshark's display filter finds."""
        done = subprocess.run(["tshark", "-r", str(self.path), "-Y", wanted], text=True,
                              capture_output=True, timeout=120, check=True)
        return len(done.stdout.splitlines())

    def segments(self, wanted="tcp"):
        """(stream, source port, destination port, sequence number, end, acknowledged), numbers relative."""
        done = subprocess.run(
            ["tshark", "-r", str(self.path), "-o", "tcp.relative_sequence_numbers:TRUE", "-Y", wanted, "-T", "fields",
             "-e", "tcp.stream", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "tcp.seq", "-e", "tcp.nxtseq",
             "-e", "tcp.ack"], text=True, capture_output=True, timeout=120, check=True)
        for line in done.stdout.splitlines():
            yield tuple(int(field) for field in line.split("\t"))

    def count_gaps(self, wanted):
        """Segments with data beyond what was on the wire before. Tshark's own (tcp.analysis.lost_segment) takes an
        acknowledgement for one that bears the number of what is sent next, and forgives what is lost before it."""
        ends, count = collections.defaultdict(lambda: 1), 0
        for stream, source, _, first, end, _ in self.segments(f"({wanted}) && tcp.len > 0"):
            count += first > ends[stream, source]
            ends[stream, source] = max(ends[stream, source], end)
        return count

    def count_unseen(self):
        """Acknowledgements of what was not on the wire before. Tshark's own (tcp.analysis.ack_lost_segment) takes a
        segment for none that begins within what was there."""
        seen, count = collections.defaultdict(lambda: 1), 0
        for stream, source, destination, _, end, acknowledged in self.segments("tcp.flags.ack == 1"):
            seen[stream, source] = max(seen[stream, source], end)
            count += acknowledged > seen[stream, destination]
        return count

    def acknowledgements(self, port=9000):
        """What the server sent: its number, and the blocks that are acknowledged selectively."""
        done = subprocess.run(
            ["tshark", "-r", str(self.path), "-o", "tcp.relative_sequence_numbers:FALSE",
             "-Y", f"tcp.srcport == {port} && tcp.flags.ack == 1", "-T", "fields",
             "-e", "tcp.ack", "-e", "tcp.options.sack_le", "-e", "tcp.options.sack_re"],
            text=True, capture_output=True, timeout=120, check=True)
        for line in done.stdout.splitlines():
            number, left, right = line.split("\t")
            yield int(number), [(int(a), int(b)) for a, b in zip(left.split(","), right.split(","))
                                if a and b]


def partial_acknowledgements(acknowledgements):
    """How many end within a block that was acknowledged selectively before."""
    told, count = set(), 0
    for number, blocks in acknowledgements:
        told = {(left, right) for left, right in told if right > number}
        count += any(left <= number for left, right in told)
        told |= set(blocks)
    return count


class Sink:
    """A TCP server that reads all of one connection."""

    def __init__(self, namespace, port=9000):
        self.data = bytearray()
        self.listener = namespace.inside(lambda: socket.create_server((ADDRESS, port)))
        # Its kernel always has room: what it discards of a burst would be lost once more.
        self.listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        handle, _ = self.listener.accept()
        handle.settimeout(60)
        try:
            while piece := handle.recv(1 << 16):
                self.data += piece
        except OSError:
            pass
        handle.close()
        self.listener.close()

    def wait(self, timeout=60):
        self.thread.join(timeout)
        return bytes(self.data)


def send(namespace, data, port=9000):
    handle = namespace.inside(lambda: socket.create_connection((ADDRESS, port), 10))
    handle.settimeout(60)
    handle.sendall(data)
    handle.shutdown(socket.SHUT_WR)
    handle.recv(1)  # the server closes when it has all
    handle.close()


def engine_details(lab):
    return lab.daemon.cli("inspect")["engines"][0]["details"]


@pytest.mark.parametrize("loss, late", [(0.01, 0.0), (0.03, 0.03)])
def test_receiver_never_sees_a_byte_beyond_a_gap(lab, far, loss, late):
    """I6: under loss and reordering all arrives, in order on the receiver's wire, and what was lost is
    repeated at once, not by timers; nor does the sender think that what is held was given up."""
    namespace, wire = far(loss=loss, late=late)
    data = os.urandom(8 << 20)
    capture, sink = Capture(lab, lab["web"]), Sink(lab["web"])
    answers = Capture(lab, namespace)
    send(namespace, data)
    assert hashlib.sha256(sink.wait()).digest() == hashlib.sha256(data).digest()
    capture.end()
    answers.end()
    assert wire.lost > 10
    details = engine_details(lab)
    timeouts, reneging = counters(namespace, "TcpExtTCPTimeouts", "TcpExtTCPSACKReneging")
    partial = partial_acknowledgements(answers.acknowledgements())
    print(f"lost {wire.lost}, late {wire.delayed}, held {details['segments_held']}, "
          f"gaps given up {details['gaps_given_up']}, timeouts {timeouts}, reneging {reneging}, "
          f"partial acknowledgements {partial}")
    assert details["segments_held"] > wire.lost
    assert capture.count("tcp.dstport == 9000 && tcp.len > 0") > 5000
    assert capture.count_gaps("tcp.dstport == 9000") == 0
    # What is repeated may be lost, too, and then it is a timer that helps.
    assert timeouts < wire.lost / 8
    assert reneging <= 2 and partial < details["segments_held"] / 8


def test_word_in_reordered_segments_is_stopped(lab, far):
    """I6: nothing of an attack, nor what is behind it, is seen on the receiver's wire."""
    namespace, _ = far(late=0.3)
    capture, sink = Capture(lab, lab["web"]), Sink(lab["web"])
    with pytest.raises((TimeoutError, OSError)):
        handle = namespace.inside(lambda: socket.create_connection((ADDRESS, 9000), 10))
        handle.settimeout(5)
        handle.sendall(b"a" * 200000 + b"EVIL word" + b"b" * 200000)
        handle.recv(1)
    wait_until(lambda: lab.daemon.events(event_type="alert"), what="the alert")
    handle.close()
    capture.end()
    assert capture.count_gaps("tcp.dstport == 9000") == 0
    assert capture.count('tcp.dstport == 9000 && tcp.payload contains "bbbb"') == 0
    lab["web"].run("ss", "-K", "sport = :9000", check=False)
    sink.listener.close()
    assert b"EVIL" not in sink.data and len(sink.data) <= 200000
