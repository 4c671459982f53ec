# SPDX-License-Identifier: BSD-3-Clause
"""Replacements of another size in TCP streams (I3): what real peers read, over a wire that loses and
reorders before us and behind us.

    far ── (lossy wire) outside ── uplink [hv1: gateway ── inspect] trunk-a (VLAN 10) ── web
    192.0.2.110                                   builtin                           192.0.2.10
"""

import fcntl
import hashlib
import random
import socket
import struct
import termios
import threading
import time

import pytest

from lab.lossy import far_host
from lab.peers import can_ping
from tests.scenario.test_streams import ADDRESS, FAR, SO_RCVBUFFORCE, Capture, engine_details

TO_SERVER = {b"a word that grows": b"a word that has become very much longer than it was",
             b"a word that is to be cut": b"cut", b"same": b"SAME"}
TO_CLIENT = {b"small": b"enormous, and more than that", b"rather long-winded": b"brief"}
BLOCK = 1000  # bytes of one segment: what is replaced may not lie in two


def rule(sid, direction, old, new):
    return (f'alert tcp any any {direction} any any (msg:"replaced"; flow:established; content:"{old.decode()}"; '
            f'replace:"{new.decode()}"; sid:{sid};)\n')


RULES = "".join(
    rule(sid, direction, old, new).replace("flow:established", f"flow:established,{word}")
    for sid, (direction, word, old, new) in enumerate(
        [("->", "to_server", *pair) for pair in TO_SERVER.items()]
        + [("->", "to_client", *pair) for pair in TO_CLIENT.items()], 1000021))


@pytest.fixture
def far(lab):
    """far(loss=…): a host behind a lossy wire, and the daemon with the builtin engine."""
    wires = []

    def begin(**wire):
        lab.write("rules/lab.rules", RULES)
        lab.config["inspection"] = {"engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")],
                                    "stream-depth": "none", "stream-gap-timeout": "20s"}
        namespace, line = far_host(lab, FAR, **wire)
        wires.append(line)
        lab.start()
        assert can_ping(namespace, ADDRESS)
        return namespace, line
    yield begin
    for wire in wires:
        wire.close()


def blocks(count, words, seed):
    """Each has one of the words, somewhere."""
    chance = random.Random(seed)
    out = bytearray()
    for _ in range(count):
        block = bytearray(chance.choices(b"0123456789ABCDEF\n", k=BLOCK))
        word = chance.choice(list(words))
        at = chance.randrange(BLOCK - len(word))
        block[at:at + len(word)] = word
        out += block
    return bytes(out)


def replaced(data, words):
    for old, new in words.items():
        data = data.replace(old, new)
    return data


def digest(data):
    return hashlib.sha256(data).hexdigest()


def with_small_segments(handle):
    """BLOCK bytes of payload, with timestamps; what the other end has not read yet makes the window no smaller."""
    handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, BLOCK + 12)
    handle.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    return handle


def listen(namespace, port):
    def create():
        listener = with_small_segments(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((ADDRESS, port))
        listener.listen()
        return listener
    return namespace.inside(create)


def connect(namespace, port):
    def create():
        handle = with_small_segments(socket.socket())
        handle.settimeout(60)
        handle.connect((ADDRESS, port))
        return handle
    return namespace.inside(create)


def send_blocks(handle, data):
    """So that no segment ends within a block: never more on the way than the smallest window takes, since
    the kernel cuts at a window's end."""
    for at in range(0, len(data), 16 * BLOCK):
        while struct.unpack("i", fcntl.ioctl(handle, termios.TIOCOUTQ, b"\0" * 4))[0] > 24 * BLOCK:
            time.sleep(0.0005)
        handle.sendall(data[at:at + 16 * BLOCK])


class End(threading.Thread):
    """Sends all of its data while it reads all of the other's; accept() gives the connection."""

    def __init__(self, accept, data):
        super().__init__(daemon=True)
        self.accept, self.data, self.received = accept, data, bytearray()

    def run(self):
        handle = self.accept()
        handle.settimeout(60)
        sender = threading.Thread(target=self._send, args=(handle,), daemon=True)
        sender.start()
        while piece := handle.recv(1 << 16):
            self.received += piece
        sender.join()
        handle.close()

    def _send(self, handle):
        send_blocks(handle, self.data)
        handle.shutdown(socket.SHUT_WR)


def exchange(lab, namespace, pairs):
    """Of each connection, what server and client send; returns what all servers and all clients read."""
    listeners, ends = [], []
    for port, (to_server, to_client) in enumerate(pairs, 9000):
        listeners.append(listen(lab["web"], port))
        ends += [End(lambda listener=listeners[-1]: listener.accept()[0], to_client),
                 End(lambda port=port: connect(namespace, port), to_server)]
    for end in ends:
        end.start()
    for end in ends:
        end.join(120)
    for listener in listeners:
        listener.close()
    return b"".join(end.received for end in ends[::2]), b"".join(end.received for end in ends[1::2])


@pytest.mark.parametrize("sack", [0, 1])
def test_both_directions_change_size_under_loss_and_reordering(lab, far, sack):
    """I3: longer and shorter both ways at once; each end reads the other's stream with all replaced, and
    each wire has numbers alone that its end knows."""
    namespace, wire = far(loss=0.01, late=0.01, loss_left=0.01)
    lab["web"].run("sysctl", "-qw", f"net.ipv4.tcp_sack={sack}")
    to_server, to_client = blocks(4000, TO_SERVER, 1), blocks(4000, TO_CLIENT, 2)
    captures = [Capture(lab, lab["web"]), Capture(lab, namespace)]
    # With selective acknowledgements in data the segments would get shorter, and cut words.
    at_server, at_client = exchange(lab, namespace, [(to_server, b""), (b"", to_client)] if sack
                                    else [(to_server, to_client)])
    for capture in captures:
        capture.end()
    details = engine_details(lab)
    print(f"lost {wire.lost} and {wire.lost_left}, late {wire.delayed}, resized {details['segments_resized']}, "
          f"replacements {details['replacements']}, held {details['segments_held']}")
    assert digest(at_server) == digest(replaced(to_server, TO_SERVER))
    assert digest(at_client) == digest(replaced(to_client, TO_CLIENT))
    assert wire.lost > 10 and wire.lost_left > 10
    assert details["replacements"] == 8000
    assert details["translations_lost"] == 0
    assert captures[0].count_gaps("ip.dst == 192.0.2.10") == 0
    for capture in captures:
        assert capture.count("tcp.len > 0") > 5000
        assert capture.count_unseen() == 0


def test_curl_reads_a_page_of_another_size(lab, far):
    """I3: a request and a response of several MB, both changed in size."""
    namespace, wire = far(loss=0.01, loss_left=0.01)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nX-Pad: "
    head += b"-" * (BLOCK - len(head) - 4) + b"\r\n\r\n"
    body = blocks(3000, TO_CLIENT, 3)
    listener = listen(lab["web"], 80)
    requests = []

    def serve():
        handle, _ = listener.accept()
        request = b""
        while b"\r\n\r\n" not in request:
            request += handle.recv(4096)
        requests.append(request)
        send_blocks(handle, head + body)
        handle.close()
    server = threading.Thread(target=serve, daemon=True)
    server.start()
    path = lab.folder / "page"
    namespace.run("curl", "-sS", "-m", 60, "-H", "X-Note: a word that grows", "-o", path, f"http://{ADDRESS}/", timeout=65)
    server.join(10)
    listener.close()
    assert digest(path.read_bytes()) == digest(replaced(body, TO_CLIENT))
    assert b"X-Note: " + TO_SERVER[b"a word that grows"] + b"\r\n" in requests[0]
    assert wire.lost_left > 10


def test_rules_are_read_again_and_the_numbers_stay(lab, far):
    """I3 I5: a translation belongs to the flow, not to the rules."""
    namespace, _ = far()
    listener = listen(lab["web"], 9000)
    client = connect(namespace, 9000)
    server, _ = listener.accept()
    server.settimeout(10)
    client.sendall(b"here is a word that grows.")
    assert server.recv(100) == replaced(b"here is a word that grows.", TO_SERVER)
    server.sendall(b"small")
    assert client.recv(100) == TO_CLIENT[b"small"]
    lab.write("rules/lab.rules", 'alert tcp any any -> any any (content:"nobody"; sid:1000099;)\n')
    lab.daemon.cli("inspect", "reload")
    client.sendall(b"and on")
    assert server.recv(100) == b"and on"
    server.sendall(b"and on, too")
    assert client.recv(100) == b"and on, too"
    for handle in (client, server):
        handle.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b"" and server.recv(100) == b""
    for handle in (client, server, listener):
        handle.close()
