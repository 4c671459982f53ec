# SPDX-License-Identifier: BSD-3-Clause
"""Messages between two processes: channels beside what else one host has.

    sender (partition a) ═ ring ═► channel role ═ ring ═► receiver (partition b)

ZeroMQ uses ipc, queues are POSIX's, `ring` is shared memory without any check: the limit.
"""

import json
import os
import pathlib
import subprocess
import tempfile

from lab.daemon import BUILD, Daemon, make_run_folder
from lab.netns import Namespace

BENCH = BUILD / "tests/bench/channel-bench"
TRANSPORTS = ("channel", "seqpacket", "mq", "zeromq", "ring")
SIZES = (64, 1024, 65536, 1048576)
COUNTS = (1, 4, 16, 64)
SAMPLES = 50_000
QUEUE_SIZE_MAX = 8192  # of a message, in a queue of an ordinary process
NOT_HERE = 4  # exit code: built without this transport


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
        command = [BENCH, transport, mode, what, size, amount, channels, *self.sockets]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120,
                              check=False)
        if done.returncode == NOT_HERE:
            return None
        if done.returncode != 0:
            raise RuntimeError(f"channel-bench {transport} {mode} {size}: {done.stderr}")
        return json.loads(done.stdout)


def best_rate(host, runs, *arguments):
    found = [result["messages_per_s"] for result in
             (host.measure(*arguments) for _ in range(runs)) if result]
    return max(found) if found else None


def text(value, scale=1.0, digits=2):
    return "-" if value is None else f"{value / scale:.{digits}f}"


def name_of(size):
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


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
