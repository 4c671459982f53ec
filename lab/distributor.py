# SPDX-License-Identifier: BSD-3-Clause
"""A virtual address on hv1, and hosts behind it that serve.

    outside ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100            VIPA 192.0.2.80        ╠══ br0 (namespace link) ══ eth0 ── t1: gre1, VIPA on lo
                           198.51.100.1           ╠══                     ══ eth0 ── t2   198.51.100.11, .12, …
                                                  ╚══ …

The targets are no Bulkheads: GRE is done by lab/gre_endpoint.py, all else by the kernel.
"""

import copy
import ipaddress
import json
import pathlib
import select
import socket
import struct

from lab.appliance import key_file
from lab.netns import veth, wait_until
from lab.siphash import siphash128

VIPA, VIPA6 = "192.0.2.80", "2001:db8:2::80"
OUTSIDE6 = "2001:db8:2::100"
DISTRIBUTOR = "198.51.100.1"
LINK_MTU = 1600
SECURE, PLAIN, CONTROL = range(3)
TO_TARGET, TO_DISTRIBUTOR = range(2)
LAB = pathlib.Path(__file__).parent


def target_address(index):
    return f"198.51.100.{11 + index}"


def packed(address):
    """As struct ip_address: the version, and 16 bytes."""
    address = ipaddress.ip_address(address)
    return bytes([address.version]) + address.packed.ljust(16, b"\0")


def gre_key(secret, kind, direction, target, distributor=DISTRIBUTOR):
    """docs/distributor.md says how it is made."""
    data = b"bulkhead gre key\0" + bytes([kind, direction]) + packed(distributor) + packed(target)
    return struct.unpack("!I", siphash128(secret, data)[:4])[0]


class Target:
    """One host that serves: its namespace, its secret, its GRE."""

    def __init__(self, lab, index, path, kind=PLAIN):
        self.name, self.index, self.kind = f"t{index + 1}", index, kind
        self.address = target_address(index)
        self.secret = bytes([0x10 + index] * 15 + [index])
        self.namespace = lab.namespace(self.name)
        self.key_path = key_file(path / self.name, f"1 {self.secret.hex()}\n")
        self.endpoint = None

    def key(self, direction, kind=None, distributor=DISTRIBUTOR):
        return gre_key(self.secret, self.kind if kind is None else kind, direction, self.address, distributor)

    def ends(self, distributors):
        """What lab/gre_endpoint.py has to know of them."""
        return [part for each in distributors for part in (
            each, self.key(TO_TARGET, distributor=each), self.key(TO_DISTRIBUTOR, distributor=each))]

    def start(self, vipas, mtu, distributors=(DISTRIBUTOR,)):
        """GRE, the VIPAs on lo, and the way back through GRE."""
        own = self.namespace
        own.sysctl("net.ipv4.conf.all.rp_filter", 0)
        own.sysctl("net.ipv4.conf.default.rp_filter", 0)
        own.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
        own.sysctl("net.ipv6.conf.default.disable_ipv6", 0)
        own.sysctl("net.ipv6.conf.lo.disable_ipv6", 0)
        self.endpoint = own.start("/usr/bin/python3", "-B", LAB / "gre_endpoint.py", "gre1", self.address,
                                  *self.ends(distributors), stdout=-1, text=True)
        assert self.endpoint.stdout.readline() == "ready\n"
        own.run("ip", "link", "set", "gre1", "addrgenmode", "none")  # it says nothing by itself
        own.run("ip", "link", "set", "gre1", "up", "mtu", mtu - 28)
        for vipa in vipas:
            own.run("ip", "address", "add", vipa, "dev", "lo", *(["nodad"] if ":" in vipa else []))
        own.run("ip", "route", "add", "192.0.2.0/24", "dev", "gre1", "src", VIPA)
        if VIPA6 in vipas:
            own.run("ip", "-6", "route", "add", "2001:db8:2::/64", "dev", "gre1", "src", VIPA6)

    def echo(self, port=7):
        """A server on the port that says this target's name; returns its process."""
        process = self.namespace.start("/usr/bin/python3", "-B", LAB / "echo_server.py", self.name, port,
                                       stdout=-1, text=True)
        assert process.stdout.readline() == "ready\n"
        return process


def ask_many(namespace, count, address=VIPA, port=7, first=20000):
    """{name of the target: clients that it answered} of so many UDP clients."""
    return json.loads(namespace.run("/usr/bin/python3", "-B", LAB / "many_clients.py", address, port, count, first,
                                    timeout=120))


def discard(handle):
    """Answers that came too late, to a question that was repeated."""
    while select.select([handle], [], [], 0)[0]:
        handle.recv(65535)


class Connection:
    """A TCP client's connection to an echo server, from a namespace."""

    def __init__(self, namespace, address=VIPA, port=7, timeout=5, source=None):
        def make():
            return socket.create_connection((address, port), timeout, source_address=source and (source, 0))
        self.socket = namespace.inside(make)
        self.file = self.socket.makefile("rb")
        self.name = self.file.readline().decode().strip()

    def echo(self, data=b"still there?\n"):
        """Whether what is sent comes back."""
        self.socket.sendall(data)
        return self.file.read(len(data)) == data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()


def connect(lab, count=1, vipas=(VIPA,), mtu=LINK_MTU, kind=PLAIN, distributors=(DISTRIBUTOR,), **options):
    """Puts the link and `count` targets beside hv1, and the section `distributor` into its configuration; the
    targets are returned, running. kind: of the connections that come, by IPsec or in clear, as GRE's key says.
    options: of the section."""
    link = lab.namespace("link")
    link.run("ip", "link", "add", "br0", "mtu", mtu, "type", "bridge")
    link.run("ip", "link", "set", "br0", "up")
    veth(lab.hv1, "xcf0", link, "hv1", mtu)
    link.run("ip", "link", "set", "hv1", "master", "br0")
    lab.config["adapters"]["xcf0"] = {"device": "netdev:xcf0", "kind": "xcf", "mtu": mtu}
    keys = lab.folder / "keys"
    keys.mkdir()
    targets = [Target(lab, index, keys, kind) for index in range(count)]
    services = {"http": {"port": 80}, "echo": {"port": 7}, "udp": {"port": 7, "protocol": "udp"}}
    lab.config["distributor"] = {
        "link": "xcf0", "local": DISTRIBUTOR,
        "vipas": {"web": {"address": f"{VIPA}/24", "vlan": 10, "services": services}},
        "targets": {target.name: {"address": target.address, "key-file": str(target.key_path), "health": "none"}
                    for target in targets},
        **options}
    if VIPA6 in vipas:
        lab.config["distributor"]["vipas"]["web6"] = {"address": f"{VIPA6}/64", "vlan": 10,
                                                          "services": copy.deepcopy(services)}
    for target in targets:
        veth(target.namespace, "eth0", link, target.name, mtu)
        link.run("ip", "link", "set", target.name, "master", "br0")
        target.namespace.address("eth0", f"{target.address}/24")
        target.start(vipas, mtu, distributors)
    return targets


def wait_ready(lab, targets):
    """Until the distributor knows where the targets are: the first packet is not lost then."""
    def has_answered():
        neighbours = [target.namespace.run("ip", "neighbour", "show", DISTRIBUTOR) for target in targets]
        return all("lladdr" in text for text in neighbours)
    wait_until(has_answered, what="the distributor's questions for its targets")
