# SPDX-License-Identifier: BSD-3-Clause
"""Hosts whose channel roles are linked, each a Bulkhead of its own with one partition.

    web ── hv1: bulkheadd ──┐
    db  ── hv2: bulkheadd ──┼── br0 (namespace net)    198.51.100.1, .2, .3
    app ── hv3: bulkheadd ──┘

One authority has signed all certificates. The first host listens; each other one connects to those
before it.
"""

import subprocess

from lab.appliance import host, key_file
from lab.channels import RawProcess, make_folder, start_inside
from lab.daemon import make_run_folder
from lab.netns import stop, veth, wait_until

PORT = 9590
PARTITIONS = {"hv1": "web", "hv2": "db", "hv3": "app"}


def openssl(*arguments, text=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=text, text=True, check=True,
                          capture_output=True).stdout


class Authority:
    """Signs certificates; files in a folder."""

    def __init__(self, folder, name="authority"):
        folder.mkdir(exist_ok=True)
        self.folder, self.name = folder, name
        self.certificate = folder / f"{name}.crt"
        self.key = folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

    def sign(self, name, identity=None):
        """(certificate, key) of this identity, its key as the roles may read it."""
        certificate, request = self.folder / f"{name}.crt", self.folder / f"{name}.csr"
        key, extensions = self.folder / f"{name}.key", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{identity or name}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                f"/CN={identity or name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", "30",
                "-extfile", extensions, "-out", certificate)
        key_file(key, key.read_text())
        return certificate, key

    def fingerprint(self, certificate):
        line = openssl("x509", "-in", certificate, "-noout", "-fingerprint", "-sha256")
        return line.strip().split("=")[1].replace(":", "").lower()


class Host:
    """One host; `partition` is the name of its partition, and of the namespace of its processes."""

    def __init__(self, lab, net, index, authority):
        self.lab, self.index = lab, index
        self.name = f"hv{index}"
        self.partition = PARTITIONS[self.name]
        self.address = f"198.51.100.{index}"
        self.namespace = lab[self.name] if self.name in lab.namespaces else lab.namespace(self.name)
        if self.partition not in lab.namespaces:
            lab.namespace(self.partition)
        veth(self.namespace, "net0", net, self.name)
        net.run("ip", "link", "set", self.name, "master", "br0")
        self.namespace.run("ip", "address", "add", f"{self.address}/24", "dev", "net0")
        self.net = net
        self.certificate, self.key = authority.sign(self.name)
        self.folder = lab.folder / self.name
        self.daemon = None
        self.config = {
            "host": self.name, "inspection": {"engines": ["none"]}, "control": {"metrics": "none"},
            "channels": {
                "partitions": {}, "allow": {}, "peers": {},
                "link": {"listen": f"{self.address}:{PORT}", "certificate": str(self.certificate),
                         "key": str(self.key), "authorities": str(authority.certificate)}}}

    def make(self):
        """Its daemon, not started; then its partition's folder."""
        self.daemon = host(self.namespace, self.folder, self.config)
        self.channel_folder = make_folder(self, self.partition)
        self.daemon.config["channels"]["partitions"][self.partition] = {
            "socket": str(self.channel_folder / "channel.sock"), "access": "all"}
        self.daemon.write_config()

    def inside(self, *command, **options):
        """Starts a program in its partition; the socket is at inside_socket(lab)."""
        return start_inside(self.lab, self.partition, self.channel_folder, *command, **options)

    def raw(self, *endpoints, bind):
        process = RawProcess(self.channel_folder / "channel.sock")
        for endpoint in endpoints:
            assert process.ask(bind, endpoint=endpoint)["status"] == 0
        return process

    def peers(self):
        return {row["peer"]: row for row in self.daemon.cli("channel", "peers")["peers"]}

    def drops(self, peer):
        return {row["reason"]: row["count"] for row in self.peers()[peer]["drops"]}

    def cut(self):
        """Takes its cable out."""
        self.net.run("ip", "link", "set", self.name, "down")

    def restore(self):
        self.net.run("ip", "link", "set", self.name, "up")


class Hosts:
    """count hosts, each with rules for all ways between its partition and the others'; change(host) may alter
    a host's configuration before the start."""

    def __init__(self, lab, count=2, change=None, start=True):
        (lab.folder / "inside").mkdir(exist_ok=True)
        make_run_folder(lab.folder)  # over which start_inside() mounts
        net = lab.namespace("net")
        net.run("ip", "link", "add", "br0", "type", "bridge")
        net.run("ip", "link", "set", "br0", "up")
        self.authority = Authority(lab.folder / "certificates")
        self.hosts = [Host(lab, net, index + 1, self.authority) for index in range(count)]
        for each in self.hosts:
            for other in self.hosts:
                if other is not each:
                    self._introduce(each, other)
            if change:
                change(each)
            each.make()
        if start:
            self.start()

    @staticmethod
    def _introduce(each, other):
        section = each.config["channels"]
        section["peers"][other.name] = (
            {"address": f"{other.address}:{PORT}"} if other.index < each.index else {})
        far = f"{other.name}/{other.partition}"
        section["allow"][f"to-{other.name}"] = {"from": each.partition, "to": far}
        section["allow"][f"from-{other.name}"] = {"from": far, "to": each.partition}

    def start(self):
        for each in self.hosts:
            each.daemon.start()
        self.wait_up()

    def wait_up(self):
        wait_until(lambda: all(row["state"] == "up" for each in self.hosts for row in each.peers().values()),
                   30, what="the links")

    def stop(self):
        RawProcess.close_all()
        for each in self.hosts:
            processes = each.lab[each.partition].processes
            while processes:
                stop(processes.pop())
            if each.daemon:
                each.daemon.stop()

    def __getitem__(self, index):
        return self.hosts[index]
