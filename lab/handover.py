# SPDX-License-Identifier: BSD-3-Clause
"""Two distributors on one network of clients, with the same virtual address, of which one has it.

                                      ┌─eth1── hv1: bulkheadd, has the VIPA ──xcf0══╗
    outside ──eth0══ br0 (lan) ═══════╡        192.0.2.1, 198.51.100.1              ╠══ br0 (link) ══ t1: gre1,
    192.0.2.100                       └─eth1── hv2: bulkheadd, in standby ────xcf0══╝                VIPA on lo
                                               192.0.2.2, 198.51.100.2

Fake ends of a hand-over speak KMP by themselves: Giver and Taker, which may stop where they like.
"""

import copy
import hashlib
import hmac
import os
import socket
import struct
import threading

from lab.appliance import key_file
from lab.daemon import Daemon
from lab.distributor import DISTRIBUTOR, LINK_MTU, SECURE, connect
from lab.netns import veth
from lab.topology import OUTSIDE_ADDRESS, OUTSIDE_MAC

SECOND = "198.51.100.2"
DISTRIBUTORS = (DISTRIBUTOR, SECOND)
SECRET = "71a5c0ffee5b7e92644ad0c1b2e3f405" * 2 + "\n"
HELLO, PROOF, CHALLENGE, WELCOME, RESULT = 1, 2, 0x101, 0x102, 0x103
BEGIN, VIPA_ROW, TARGET_ROW, SA, POLICY, CONNECTIONS, COMMIT = range(48, 55)
NAME, NONCE, PROOF_VALUE, RESUMES, SESSION, GRACE, EVENT, CODE, TEXT = range(1, 10)
DESTINATION, FORMAT, VLAN, IS_UP = 12, 40, 42, 43
HEADER = struct.Struct("!4sBBHIIII")


class Pair:
    """start() brings both up; second is the daemon on hv2."""

    def __init__(self, lab, targets=None):
        """targets: that know of both DISTRIBUTORS, if somebody else has made them."""
        self.lab = lab
        self.second = None
        self.hv2, self.lan = lab.namespace("hv2"), lab.namespace("lan")
        self.secret = key_file(lab.folder / "handover.secret", SECRET)
        self.folder = lab.folder / "hv2"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._cable()
        self.targets = targets or connect(lab, 1, kind=SECURE, distributors=DISTRIBUTORS)
        veth(self.hv2, "xcf0", lab["link"], "hv2", LINK_MTU)
        lab["link"].run("ip", "link", "set", "hv2", "master", "br0")

    def _cable(self):
        """One wire becomes a network of three."""
        lab, lan = self.lab, self.lan
        lab.hv1.run("ip", "link", "delete", "eth1")
        lan.run("ip", "link", "add", "br0", "type", "bridge")
        lan.run("ip", "link", "set", "br0", "up")
        for namespace, interface, port in ((lab.hv1, "eth1", "hv1"), (self.hv2, "eth1", "hv2"),
                                           (lab.outside, "eth0", "outside")):
            veth(namespace, interface, lan, port)
            lan.run("ip", "link", "set", port, "master", "br0")
        lab.outside.address("eth0", f"{OUTSIDE_ADDRESS}/24", OUTSIDE_MAC)

    def start(self, change=None):
        """change(config) may alter the second one's configuration, which is the first one's but for addresses."""
        lab = self.lab
        lab.config.setdefault("ipsec", {})["handover"] = {"secret-file": str(self.secret),
                                                          "socket": str(lab.folder / "run/handover.sock")}
        config = copy.deepcopy(lab.config)
        config["host"] = "hv2"
        config["gateway"]["host"]["addresses"] = ["192.0.2.2/24"]
        config["distributor"] |= {"local": SECOND, "standby": True}
        self.second = Daemon(self.hv2, self.folder, {})
        config["ipsec"]["handover"]["socket"] = str(self.socket)
        for key in ("control", "events", "packet"):
            config[key] = self.second.config[key]
        config["inspection"]["cache"] = str(self.folder / "run")
        if change:
            change(config)
        self.second.write_config(config)
        lab.start()
        self.second.start()
        return self

    @property
    def socket(self):
        return self.folder / "run/handover.sock"

    def hand_over(self, to=None):
        return self.lab.daemon.command("ipsec", "handover", to or self.socket, "--json")

    def is_standby(self, daemon):
        return daemon.cli("distributor")["vipas"][0]["is_standby"]

    def stop(self):
        if self.second:
            self.second.stop()


# --- KMP, as much as a hand-over needs ---

def pack(kind, attributes, sequence=0, acknowledgement=0):
    body = b"".join(struct.pack("!HH", number, len(value)) + value for number, value in attributes)
    return HEADER.pack(b"BKMP", 1, 0, kind, HEADER.size + len(body), sequence, acknowledgement, 0) + body


def unpack(message):
    """(type, sequence, {attribute: value})."""
    _, _, _, kind, _, sequence, _, _ = HEADER.unpack_from(message)
    attributes, at = {}, HEADER.size
    while at < len(message):
        number, size = struct.unpack_from("!HH", message, at)
        attributes[number] = message[at + 4:at + 4 + size]
        at += 4 + size
    return kind, sequence, attributes


def proof(secret, label, client_nonce, server_nonce, name=b"bulkhead handover"):
    data = label.encode() + b"\0" + client_nonce + server_nonce + name
    return hmac.new(bytes.fromhex(secret.strip()), data, hashlib.sha256).digest()


class Taker:
    """A taker that answers every request with OK, and goes when it gets one of the type `dies_at`. Who does not know the
    secret answers all the same."""

    def __init__(self, path, dies_at, secret=SECRET):
        self.path, self.dies_at, self.secret = path, dies_at, secret
        self.seen = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        os.chmod(path, 0o777)
        self.listener.listen(1)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        peer, _ = self.listener.accept()
        with peer:
            nonce, client_nonce = os.urandom(32), b""
            while message := peer.recv(20000):
                kind, sequence, attributes = unpack(message)
                self.seen.append(kind)
                if kind == self.dies_at:
                    return
                if kind == HELLO:
                    client_nonce = attributes[NONCE]
                    peer.send(pack(CHALLENGE, [(NONCE, nonce)], 0, sequence))
                elif kind == PROOF:
                    own = proof(self.secret, "bulkhead KMP 1 server", client_nonce, nonce)
                    peer.send(pack(WELCOME, [(PROOF_VALUE, own), (SESSION, bytes(4)), (GRACE, bytes(4)),
                                             (EVENT, bytes(4)), (RESUMES, b"\0")], 0, sequence))
                else:
                    peer.send(pack(RESULT, [(CODE, bytes(2)), (TEXT, b"")], 0, sequence))

    def close(self):
        self.thread.join(10)
        self.listener.close()


class Giver:
    """A giver, as a client of a daemon's socket."""

    def __init__(self, path, secret=SECRET):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(path))
        self.secret, self.sequence = secret, 0

    def ask(self, kind, *attributes):
        """(type of the answer, its attributes)."""
        self.sequence += 1
        self.socket.send(pack(kind, attributes, self.sequence))
        kind, _, got = unpack(self.socket.recv(20000))
        return kind, got

    def greet(self):
        """The handshake; the answer to the proof."""
        nonce = os.urandom(32)
        _, challenge = self.ask(HELLO, (NAME, b"bulkhead handover"), (NONCE, nonce), (RESUMES, b"\0"))
        return self.ask(PROOF, (PROOF_VALUE, proof(self.secret, "bulkhead KMP 1 client", nonce, challenge[NONCE])))

    def close(self):
        self.socket.close()
