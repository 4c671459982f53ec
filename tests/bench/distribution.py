# SPDX-License-Identifier: BSD-3-Clause
"""The whole way of a distributor's packets, and its table of connections.

    ESP ─ SA ─ inspection's place ─ connection table ─ GRE, and back; beside it ESP alone, by DPDK's ipsec-secgw
"""

import pathlib
import subprocess
import tempfile

from lab.daemon import BUILD
from tests.bench import esp, libipsec, secgw

BENCH = BUILD / "tests/bench/distributor-bench"
CONNECTIONS = 1_000_000
WAYS = (("inbound", "decrypt"), ("outbound", "encrypt"))
COLUMNS = ("case", "Mpps", "Gbit/s", "secgw (ESP alone), Mpps", "ratio")


def ask(*arguments):
    """What distributor-bench prints: rows of numbers."""
    done = subprocess.run([BENCH, *map(str, arguments)], check=True, capture_output=True, text=True)
    return [list(map(float, row.split())) for row in done.stdout.splitlines()]


def compare(binary, way, size, sas):
    """(packets, bits, ipsec-secgw's packets) a second, the best of RUNS."""
    best = (0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        esp.ours(way[1], size, sas, folder)  # for the frames
        for _ in range(esp.RUNS):
            packets, bits = ask(way[0], size, sas, esp.SECONDS)[0]
            peer = secgw.measure(binary, way[1] == "encrypt", pathlib.Path(folder), esp.SECONDS)
            best = tuple(map(max, best, (packets, bits, peer)))
    return best


def paths(store):
    """Rows of a table. store: where ipsec-secgw is built."""
    binary = secgw.build(store)
    for way in WAYS:
        for size in esp.SIZES:
            for sas in esp.COUNTS:
                packets, bits, peer = compare(binary, way, size, sas)
                yield (f"{way[0]} {size}, {sas:,} clients", f"{packets / 1e6:.2f}", f"{bits / 1e9:.2f}",
                       f"{peer / 1e6:.2f}", f"{packets / peer:.2f}")


def connections():
    """Rows of a table: the run with the best rate of known connections counts."""
    *tenths, (size, few, many) = max((ask("connections", CONNECTIONS) for _ in range(esp.RUNS)),
                                     key=lambda rows: rows[-1][-1])
    rates = {int(count): rate for count, rate in tenths}
    first, last = min(rates), max(rates)
    yield ("new a second, of the first tenth", f"{rates[first] / 1e6:.2f} million")
    yield (f"new a second, of the last tenth of {last:,}", f"{rates[last] / 1e6:.2f} million")
    yield ("bytes that one takes", f"{size:.1f}")
    yield ("packets a second of 1,000 connections", f"{few / 1e6:.2f} million")
    yield (f"packets a second of all {last:,}, at random", f"{many / 1e6:.2f} million")


def beside_libipsec():
    """Rows of a table: inbound, one client, 1,400 bytes, of a second of CPU time."""
    ours = max(ask("inbound", "1400", 1, esp.SECONDS)[0][1] for _ in range(esp.RUNS))
    measured = [libipsec.measure(esp.SECONDS) for _ in range(esp.RUNS)]
    through, peer = (max(values) for values in zip(*measured))
    yield ("bulkhead, ESP in to GRE out", f"{ours / 1e9:.2f}", "")
    yield ("strongSwan, kernel-libipsec", f"{peer / 1e9:.2f}", f"{ours / peer:.1f}")
    yield ("the same, by the clock", f"{through / 1e9:.2f}", "")
