# SPDX-License-Identifier: BSD-3-Clause
"""A distributor and its targets, each a Bulkhead of its own.

    outside: lan0 (bridge) 192.0.2.100, 2001:db8:2::100
      ├─eth0══eth1── hv1: bulkheadd (distributor) ──xcf0══╗
      │              VIPAs 192.0.2.80, 2001:db8:2::80      ║
      ├─lan1══eth1── t1: bulkheadd (target) ──────xcf0════╬══ br0 (namespace link)
      │              vipa0 (hidden): both VIPAs            ║   198.51.100.1, .11, .12, …
      └─lan2══eth1── t2: …                                ══╝
"""

import os
import pathlib
import signal

from lab.appliance import host, key_file
from lab.distributor import DISTRIBUTOR, OUTSIDE6, VIPA, VIPA6, gre_key, target_address
from lab.esp_client import Agreement, section
from lab.netns import veth, wait_until

LINK_MTU = 1600
LINK_MTU_ESP = 1700  # with ESP around GRE
FIRST_LINK = 100     # number of the first target's agreement about the link
LAB = pathlib.Path(__file__).parent


class Target:
    """One host that serves, with its daemon."""

    def __init__(self, lab, index, mtu, services):
        self.lab, self.name, self.address = lab, f"t{index + 1}", target_address(index)
        self.secret = bytes([0x20 + index] * 16)
        self.namespace = lab.namespace(self.name)
        for key in ("all", "default"):
            self.namespace.sysctl(f"net.ipv6.conf.{key}.disable_ipv6", 0)
            self.namespace.sysctl(f"net.ipv6.conf.{key}.accept_dad", 0)
        lan = f"lan{index + 1}"
        veth(lab.outside, lan, self.namespace, "eth1", lab.mtu)
        lab.outside.run("ip", "link", "set", lan, "master", "lan0")
        veth(self.namespace, "xcf0", lab["link"], self.name, mtu)
        lab["link"].run("ip", "link", "set", self.name, "master", "br0")
        self.key_path = key_file(lab.folder / f"{self.name}.key", f"1 {self.secret.hex()}\n")
        self.daemon = host(self.namespace, lab.folder / self.name, {
            "host": self.name,
            "adapters": {"uplink": {"device": "netdev:eth1", "mtu": lab.mtu},
                         "xcf0": {"device": "netdev:xcf0", "kind": "xcf", "mtu": mtu}},
            "gateway": {"physical": "uplink", "native-vlan": 10},
            "inspection": {"engines": ["none"]},
            "target": {"link": "xcf0", "local": self.address, "distributors": [DISTRIBUTOR],
                       "key-file": str(self.key_path), "vipas": [VIPA, VIPA6], "services": services,
                       "direct": {"vlan": 10, "addresses": [f"192.0.2.{21 + index}/24", f"2001:db8:2::{21 + index}/64"]}}})

    def key(self, kind, direction):
        return gre_key(self.secret, kind, direction, self.address)

    def change(self, **sections):
        """Of its configuration, before it is started."""
        self.daemon.config.update(sections)
        self.daemon.write_config()

    def run_server(self, program, *arguments):
        """A server of the lab's, which says when it is ready."""
        process = self.namespace.start("/usr/bin/python3", "-B", LAB / program, self.name, *arguments, stdout=-1, text=True)
        assert process.stdout.readline() == "ready\n"
        return process


class Cluster:
    """Started, and all targets are up at the distributor. Where none is to die a report that is late on a busy machine
    is no death: heartbeat is the distributor's."""

    def __init__(self, lab, count=2, mtu=LINK_MTU, services=None, heartbeat="2s", **options):
        self.lab = lab
        services = services or {"http": {"port": 80}}
        link = lab.namespace("link")
        link.run("ip", "link", "add", "br0", "mtu", mtu, "type", "bridge")
        link.run("ip", "link", "set", "br0", "up")
        veth(lab.hv1, "xcf0", link, "hv1", mtu)
        link.run("ip", "link", "set", "hv1", "master", "br0")
        self._build_lan()
        self.targets = [Target(lab, index, mtu, services) for index in range(count)]
        lab.config["adapters"]["xcf0"] = {"device": "netdev:xcf0", "kind": "xcf", "mtu": mtu}
        lab.config["distributor"] = {
            "link": "xcf0", "local": DISTRIBUTOR, "heartbeat-interval": heartbeat,
            "vipas": {name: {"address": address, "vlan": 10, "services": {key: dict(row) for key, row in services.items()}}
                      for name, address in (("web", f"{VIPA}/24"), ("web6", f"{VIPA6}/64"))},
            "targets": {target.name: {"address": target.address, "key-file": str(target.key_path)}
                        for target in self.targets},
            **options}

    def _build_lan(self):
        outside = self.lab.outside
        for key in ("all", "default"):
            outside.sysctl(f"net.ipv6.conf.{key}.disable_ipv6", 0)
            outside.sysctl(f"net.ipv6.conf.{key}.accept_dad", 0)
        outside.run("ip", "address", "flush", "dev", "eth0")
        outside.run("ip", "link", "add", "lan0", "type", "bridge")
        outside.run("ip", "link", "set", "eth0", "master", "lan0")
        outside.run("ip", "address", "add", "192.0.2.100/24", "dev", "lan0")
        outside.run("ip", "link", "set", "lan0", "up")
        outside.run("ip", "address", "add", f"{OUTSIDE6}/64", "dev", "lan0", "nodad")

    def protect_link(self, **options):
        """GRE in ESP (D10), with a pair of static SAs for each target; options: of the SAs. The agreements."""
        agreements = []
        for index, target in enumerate(self.targets):
            made = Agreement(target.address, DISTRIBUTOR, mode="transport", number=FIRST_LINK + index, **options)
            own = section(self.lab.folder / f"{target.name}.esp", [made], at_client=True, unmatched="bypass")
            target.change(ipsec=own, target={**target.daemon.config["target"], "link-security": "required"})
            agreements.append(made)
        # Clients in clear are nobody's business there, unless somebody has said so.
        ipsec = {"unmatched": "bypass", **self.lab.config.get("ipsec", {})}
        self.lab.config["ipsec"] = {**ipsec, **section(self.lab.folder / "link.esp", agreements)}
        self.lab.config["distributor"]["link-security"] = "required"
        return agreements

    def serve_echo(self, program="echo_server.py", port=7):
        for target in self.targets:
            target.run_server(program, port, VIPA, VIPA6)  # answers to datagrams come from there, too

    def start(self, change=None):
        for target in self.targets:
            target.daemon.start()
        self.lab.start(change)
        wait_until(lambda: self.up() == {target.name for target in self.targets}, what="the targets' reports")
        return self

    def up(self):
        """Names of the targets that the distributor has as up."""
        rows = self.lab.daemon.cli("api", "call", "distributor.targets")["targets"]
        return {row["name"] for row in rows if row["state"] == "up"}

    def silence(self, index):
        """A target's packet role stands still, and the distributor has noticed. Returns its id, to be killed."""
        target = self.targets[index]
        pid = target.daemon.role_pid("packet")
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: target.name not in self.up(), what="the distributor's taking note")
        return pid

    def stop(self):
        for target in self.targets:
            target.daemon.stop()
