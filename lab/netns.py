# SPDX-License-Identifier: BSD-3-Clause
"""Hosts as network namespaces, wires as veth pairs, frames as bytes."""

import ctypes
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_MR_PROMISC = 1
PACKET_AUXDATA = 8
PACKET_IGNORE_OUTGOING = 23
TP_STATUS_VLAN_VALID = 1 << 4
TP_STATUS_VLAN_TPID_VALID = 1 << 6
AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata

_libc = ctypes.CDLL(None, use_errno=True)


class CommandFailed(Exception):
    """A command ended with another exit code than 0; the message has all it printed."""


def run(*command, check=True, timeout=30, **options):
    """Runs a command and returns what it printed to stdout (both streams are in the exception)."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    done = subprocess.run([str(part) for part in command], text=True, timeout=timeout, capture_output=True, **options)
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(map(str, command))}: exit {done.returncode}\n"
                            f"{done.stdout}{done.stderr}")
    return done.stdout if check else done


def wait_until(condition, timeout=10.0, interval=0.05, what="the condition"):
    """Waits, with a bound, until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout} s")
        time.sleep(interval)


class Namespace:
    """One host of the lab."""

    def __init__(self, name):
        self.name = name
        self.processes = []
        self.sockets = []
        run("ip", "netns", "add", name)
        self.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
        self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        self.ip("link set lo up")

    def sysctl(self, key, value):
        """Sets one network sysctl of this namespace; what this kernel lacks is left."""
        path = pathlib.Path("/proc/sys", key.replace(".", "/"))
        self.inside(lambda: path.exists() and path.write_text(f"{value}\n"))

    def run(self, *command, **options):
        entry = ("ip", "-n", self.name) if command[0] == "ip" else ("ip", "netns", "exec", self.name, command[0])
        return run(*entry, *command[1:], **options)

    def ip(self, *commands):
        """Several of ip(8) in one process: new ones are dear where many labs are built and removed."""
        run("ip", "-n", self.name, "-batch", "-", input="".join(f"{command}\n" for command in commands))

    def start(self, *command, **options):
        """Starts a program that lives until close(); its output goes to a pipe unless redirected."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(["ip", "netns", "exec", self.name, *map(str, command)], **options)
        self.processes.append(process)
        return process

    def address(self, interface, address, mac=None):
        """Gives the interface an address and takes it up."""
        own = [f"link set {interface} address {mac}"] if mac else []
        self.ip(*own, f"address add {address} dev {interface}", f"link set {interface} up")

    def inside(self, function):
        """Runs function in a thread that is in this namespace; a socket it makes stays there."""
        result = {}

        def body():
            with open(f"/run/netns/{self.name}", "rb") as handle:
                if _libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
                    result["error"] = OSError(ctypes.get_errno(), "setns")
                    return
            try:
                result["value"] = function()
            except OSError as error:
                result["error"] = error

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def received(self, interface="eth0"):
        """Bytes that came in at the interface, as its kernel counts."""
        return int(self.run("cat", f"/sys/class/net/{interface}/statistics/rx_bytes"))

    def wire(self, interface):
        """The interface as a place to send and receive whole frames."""
        wire = Wire(self, interface)
        self.sockets.append(wire)
        return wire

    def close(self):
        for wire in self.sockets:
            wire.close()
        for process in self.processes:
            stop(process)
        run("ip", "netns", "delete", self.name, check=False)


def stop(process, timeout=5):
    """Ends a process by its id: SIGTERM, and SIGKILL when it does not hear that."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdout, process.stderr, process.stdin):
        if stream:
            stream.close()
    return process.returncode


class Wire:
    """Whole frames, as bytes, on one interface; what the interface itself sends is not seen."""

    def __init__(self, namespace, interface):
        def make():
            handle = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            handle.bind((interface, ETH_P_ALL))
            index = socket.if_nametoindex(interface)
            handle.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                              struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b""))
            handle.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            handle.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            return handle
        self.socket = namespace.inside(make)

    def send(self, frame):
        self.socket.send(bytes(frame))

    def receive(self, timeout=2.0):
        """The next frame with its VLAN tag put back (the kernel hands it over apart), or None."""
        self.socket.settimeout(max(timeout, 0.0001))
        try:
            frame, ancillary, _, _ = self.socket.recvmsg(70000, 256)
        except (TimeoutError, BlockingIOError):
            return None
        for level, kind, data in ancillary:
            if level != SOL_PACKET or kind != PACKET_AUXDATA or len(data) < AUXDATA.size:
                continue
            status, _, _, _, _, tci, tpid = AUXDATA.unpack(data[:AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID:
                tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                frame = frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
        return frame

    def expect(self, match, timeout=5.0):
        """The first frame for which match(frame) is true; others are passed over. None: too late."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame is not None and match(frame):
                return frame
        return None

    def drain(self, quiet=0.2):
        """All frames that are there, until none came for `quiet` seconds."""
        frames = []
        while (frame := self.receive(quiet)) is not None:
            frames.append(frame)
        return frames

    def close(self):
        self.socket.close()


def veth(first, first_interface, second, second_interface, mtu=1500):
    """A wire between two namespaces; both ends up."""
    run("ip", "link", "add", first_interface, "netns", first.name, "mtu", mtu, "type", "veth",
        "peer", "name", second_interface, "netns", second.name, "mtu", mtu)
    for namespace, interface in ((first, first_interface), (second, second_interface)):
        namespace.ip(f"link set {interface} up")
