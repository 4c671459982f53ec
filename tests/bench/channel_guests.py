# SPDX-License-Identifier: BSD-3-Clause
"""Messages between a process of a guest and one of its host: a channel beside plain vsock.

    guest: process ═ ring ═ agent ═ vsock ═╗                    guest: process ═ vsock ═╗
                            channel role ═ ring ═ process                   vsock-relay ═ Unix socket ═ process

The guests are alike: Debian's kernel and its vsock driver, one processor, in QEMU without acceleration, so the
ratio says something, and the times do not. There is no plain vsock of others to be had: a host's kernel may lack
vhost_vsock (it was not there where this was written), QEMU brings no back end, and Debian packages none. So the peer is
vsock-relay, which passes a guest's stream on to a Unix socket, as rust-vmm's vhost-device-vsock does, from the same
device that the channel role has. Both go the same path; the ratio is what agent, mirrored rings, checks and keys
cost, and how good that device is it does not say.
"""

import contextlib
import json
import subprocess

from lab import channels
from lab.channel_guest import AGENT, SOCKET, ChannelGuest, partition
from lab.daemon import BUILD
from lab.guest import Guest, GuestUnavailable, initramfs_with
from lab.netns import run, stop, wait_until
from lab.topology import Lab
from tests.bench.unavailable import Unavailable

BENCH = BUILD / "tests/bench/guest-bench"
RELAY = BUILD / "tests/bench/vsock-relay"
ROUND_TRIPS = 2000
TIMEOUT = 180  # seconds of one measurement
OTHER_VERB = {"ask": "answer", "send": "receive", "receive": "send"}


class Pair:
    """A guest with a way to its host; measure() runs guest-bench at both ends."""

    def __init__(self, guest, guest_end, host_end):
        self.guest = guest
        self.guest_end = guest_end  # TRANSPORT WHERE of guest-bench
        self.host_end = host_end

    def measure(self, verb, size, amount):
        """verb is the guest's. The JSON of the end that measures."""
        process = subprocess.Popen([str(part) for part in (
            BENCH, *self.host_end, "host", OTHER_VERB[verb], size, amount)], stdout=subprocess.PIPE, text=True)
        try:
            self.wait_host_end()
            said = self.guest.run(f"guest-bench {' '.join(self.guest_end)} guest {verb} {size} {amount}", TIMEOUT)
            if verb == "send":
                said = process.communicate(timeout=TIMEOUT)[0]
        finally:
            stop(process)
        self.wait_end()
        return json.loads(said.splitlines()[-1])

    def wait_host_end(self):
        """Until the guest may come."""

    def wait_end(self):
        """Until nothing is left of what was measured."""


class ChannelPair(Pair):
    """Partitions `guest` and `host` of a daemon, and bulkhead-agent in the guest."""

    def __init__(self, lab):
        folder = channels.configure(lab, ["host"], {
            f"{sender}-{receiver}": {"from": sender, "to": receiver, "message-max": "1MiB"}
            for sender, receiver in (("guest", "host"), ("host", "guest"))})["host"]
        vsock = partition(lab, "guest", 3)
        self.daemon = lab.start()
        lab.guests["guest"] = ChannelGuest(lab.folder, "guest", vsock, lab.archive)
        super().__init__(lab.guests["guest"].start().start_agent(), ("channel", f"{SOCKET}=host"),
                         ("channel", f"{folder / 'channel.sock'}=guest"))

    def wait_end(self):
        wait_until(lambda: not channels.rows(self.daemon), what="the end of the channels")


class PlainPair(Pair):
    """vsock-relay and a guest of its own."""

    def __init__(self, lab):
        device, self.path = lab.folder / "relay.vsock", lab.folder / "relay.process"
        self.relay = subprocess.Popen([str(part) for part in (RELAY, 4, device, self.path)])
        wait_until(device.exists, what="vsock-relay")
        lab.guests["plain"] = Guest(lab.folder, "plain", vsock=device, archive=lab.archive)
        super().__init__(lab.guests["plain"].start(), ("vsock", "-"), ("unix", str(self.path)))

    def wait_host_end(self):
        wait_until(lambda: str(self.path) in run("ss", "-Hlx"), what="guest-bench of the host")

    def wait_end(self):
        self.path.unlink()

    def stop(self):
        stop(self.relay)


def best(pair, runs, verb, size, seconds):
    return max(pair.measure(verb, size, seconds)["messages_per_s"] for _ in range(runs))


def measure(sizes, seconds, runs):
    """Yields (size, what, of the channel, of plain vsock, ratio): rates in thousands of messages a second, of both
    directions; round trips in ms."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(partitions=()))
        try:
            lab.archive = initramfs_with(lab.folder, (AGENT, BENCH))
        except GuestUnavailable as reason:
            raise Unavailable(str(reason)) from reason
        pairs = [ChannelPair(lab), PlainPair(lab)]
        stack.callback(pairs[1].stop)
        for size in sizes:
            found = [pair.measure("ask", size, ROUND_TRIPS if size < 65536 else ROUND_TRIPS // 10) for pair in pairs]
            for part in ("p50", "p99"):
                channel, plain = (times[f"{part}_us"] / 1e3 for times in found)
                yield size, f"ms there and back ({part})", channel, plain, channel / plain
            for verb, way in (("send", "to the host"), ("receive", "to the guest")):
                channel, plain = (best(pair, runs, verb, size, seconds) / 1e3 for pair in pairs)
                yield size, f"thousands a second {way}", channel, plain, channel / plain
