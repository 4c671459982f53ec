# SPDX-License-Identifier: BSD-3-Clause
"""Messages between two processes: channels beside what else one host has.

    sender (partition a) ═ ring ═► channel role ═ ring ═► receiver (partition b)

ZeroMQ uses ipc, queues are POSIX's, `ring` is shared memory without any check: the limit. What is between
hosts is below, and what is between a guest and its host in channel_guests.py.
"""

import json
import os
import pathlib
import subprocess
import tempfile

from lab.daemon import BUILD, Daemon, make_run_folder
from lab.links import Hosts
from lab.netns import Namespace
from lab.topology import Lab
from tests.bench import channel_guests

BENCH = BUILD / "tests/bench/channel-bench"
TRANSPORTS = ("channel", "seqpacket", "mq", "zeromq", "ring")
SIZES = (64, 1024, 65536, 1048576)
COUNTS = (1, 4, 16, 64)
SAMPLES = 50_000
QUEUE_SIZE_MAX = 8192  # of a message, in a queue of an ordinary process
LINKED_SAMPLES = 1000
LINKED_US_MAX = 5_000_000  # of one measurement's pauses
NOT_HERE = 4  # exit code: built without this transport


def measure(command, **environment):
    """The JSON of channel-bench; None: built without this transport."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, **environment})
    if done.returncode == NOT_HERE:
        return None
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr}")
    return json.loads(done.stdout)


class Host:
    """A daemon with two partitions whose sockets are open to all."""

    def __init__(self, folder):
        self.namespace = Namespace(f"bench-channels-{os.getpid()}")
        run_folder = make_run_folder(folder)
        self.sockets = [run_folder / f"{name}.channel" for name in "ab"]
        self.daemon = Daemon(self.namespace, folder, {
            "inspection": {"engines": ["none"]},
            "control": {"metrics": "none"},
            "channels": {
                "partitions": {name: {"socket": str(path), "access": "all", "channels": 128, "endpoints": 128,
                                      "memory": "1GiB"} for name, path in zip("ab", self.sockets)},
                "allow": {"a-b": {"from": "a", "to": "b", "channels": 64, "message-max": "1MiB"}}}})

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, *_):
        self.daemon.stop()
        self.namespace.close()

    def measure(self, transport, mode, what, size, amount, channels=1):
        """The JSON of channel-bench; None: this transport cannot do it."""
        if (transport == "mq" and size > QUEUE_SIZE_MAX) or (transport == "ring" and mode == "sleeping"):
            return None
        return measure([BENCH, transport, mode, what, size, amount, channels, *self.sockets])


class LinkedHosts:
    """Two daemons, each in a namespace, and the same way for a bare TLS stream."""

    def __init__(self, lab):
        def change(host):
            for rule in host.config["channels"]["allow"].values():
                rule["message-max"] = "1MiB"
        self.hosts = Hosts(lab, change=change)
        sender, receiver = self.hosts.hosts
        self.pem = lab.folder / "bench.pem"
        self.pem.write_text(sender.certificate.read_text() + sender.key.read_text())
        self.channel_ends = [*(host.channel_folder / "channel.sock" for host in (sender, receiver)),
                             "hv1/web", "hv2/db"]
        self.tls_ends = [self.pem, f"/run/netns/{sender.namespace.name}", receiver.address]
        self.receiver = receiver.namespace.name

    def measure(self, transport, mode, what, size, amount):
        ends = self.channel_ends if transport == "channel" else self.tls_ends
        return measure(["ip", "netns", "exec", self.receiver, BENCH, transport, mode, what, size, amount, 1, *ends],
                       PAUSE_US=str(self.pause_us(size)))

    @staticmethod
    def pause_us(size):
        """A message has left the network before the next one comes, so that none waits for another."""
        return 200 + size // 32

    def latency(self, transport, mode, size):
        samples = min(LINKED_SAMPLES, LINKED_US_MAX // self.pause_us(size))
        return self.measure(transport, mode, "latency", size, samples)["p50_us"]


def best_rate(host, runs, *arguments):
    found = [result["messages_per_s"] for result in
             (host.measure(*arguments) for _ in range(runs)) if result]
    return max(found) if found else None


def text(value, scale=1.0, digits=2):
    return "-" if value is None else f"{value / scale:.{digits}f}"


def name_of(size):
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


def run_hosts(table, seconds, runs):
    """Between two hosts: channels beside a bare TLS stream over the same network."""
    with Lab(partitions=()) as lab:
        linked = LinkedHosts(lab)
        try:
            for mode in ("polled", "sleeping"):
                rows = []
                for size in SIZES:
                    rates = [best_rate(linked, runs, transport, mode, "rate", size, seconds)
                             for transport in ("channel", "tls")]
                    rows.append((name_of(size), *(text(rate, 1e6, 3) for rate in rates),
                                 text(rates[0] / rates[1])))
                table(f"Between hosts: millions of messages a second, {mode}", ("size", "channel", "tls", "ratio"),
                      rows)
                rows = []
                for size in SIZES:
                    found = [linked.latency(transport, mode, size) for transport in ("channel", "tls")]
                    rows.append((name_of(size), *(text(value) for value in found), text(found[0] / found[1])))
                table(f"Between hosts: µs one way (p50), {mode}", ("size", "channel", "tls", "ratio"), rows)
        finally:
            linked.hosts.stop()


def run(table, seconds, runs):
    """Rates, latencies, and many channels; table(title, columns, rows) prints."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as name:
        os.chmod(name, 0o755)
        with Host(pathlib.Path(name)) as host:
            for mode in ("polled", "sleeping"):
                rows = []
                for size in SIZES:
                    rates = [best_rate(host, runs, transport, mode, "rate", size, seconds)
                             for transport in TRANSPORTS]
                    rows.append((name_of(size), *(text(rate, 1e6, 3) for rate in rates)))
                table(f"Millions of messages a second, {mode}", ("size", *TRANSPORTS), rows)
            for mode in ("polled", "sleeping"):
                rows = []
                for size in SIZES:
                    for transport in TRANSPORTS:
                        result = host.measure(transport, mode, "latency", size, SAMPLES) or {}
                        rows.append((f"{name_of(size)} {transport}", *(
                            text(result.get(part)) for part in ("p50_us", "p99_us", "p999_us"))))
                table(f"µs one way, {mode}", ("size", "p50", "p99", "p99.9"), rows)
            rows = [(count, text(best_rate(host, runs, "channel", "polled", "rate", 64, seconds, count), 1e6))
                    for count in COUNTS]
            table("Millions of messages of 64 B a second, polled", ("channels", "all together"), rows)
    run_hosts(table, seconds, runs)
    rows = [(f"{name_of(size)}, {what}", text(channel, digits=3), text(plain, digits=3), text(ratio))
            for size, what, channel, plain, ratio in channel_guests.measure(SIZES, seconds, runs)]
    table("A guest (TCG) and its host", ("size", "channel", "plain vsock", "ratio"), rows)
