# SPDX-License-Identifier: BSD-3-Clause
"""ESP beside DPDK's ipsec-secgw, and the limit of both: what the crypto driver does by itself.

Ours and ipsec-secgw have the same frames, keys and driver, and count CPU time. They take turns, RUNS times, and
of each the best counts, since what else the machine does can only take away.
"""

import os
import pathlib
import re
import statistics
import subprocess
import tempfile

from lab.daemon import BUILD
from tests.bench import secgw

SECONDS = int(os.environ.get("SECONDS", "3"))
RUNS = int(os.environ.get("RUNS", "3"))
SIZES = ("64", "imix", "1400")
COUNTS = (1, 1000)


def ours(direction, size, sas, folder):
    """(packets, bits) a second. Leaves the frames and ipsec-secgw's configuration in the folder."""
    command = [BUILD / "tests/bench/esp-bench", direction, size, str(sas), str(SECONDS), folder]
    return tuple(map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()))


def driver(direction, size):
    """Packets a second of AES-128-GCM alone, of dpdk-test-crypto-perf; of the mix: the sizes' mean."""
    if size == "imix":
        rates = [driver(direction, part) for part in ("64",) * 7 + ("570",) * 4 + ("1400",)]
        return statistics.harmonic_mean(rates)
    command = ["dpdk-test-crypto-perf", "-l", "0-1", "--in-memory", "-m", "256", "--no-pci", "--log-level=3",
               "--vdev=crypto_aesni_gcm0", "--", "--devtype", "crypto_aesni_gcm", "--ptest", "throughput",
               "--optype", "aead", "--aead-algo", "aes-gcm", "--aead-op", direction, "--aead-key-sz", "16",
               "--aead-iv-sz", "12", "--aead-aad-sz", "8", "--digest-sz", "16", "--buffer-sz", size,
               "--total-ops", "4000000", "--burst-sz", "32", "--silent"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return max(float(row.split()[7]) for row in text.splitlines() if re.match(r"\s+1\s+\d+\s+32\s", row)) * 1e6


def compare(binary, direction, size, sas):
    """(packets, bits, ipsec-secgw's packets) a second, the best of RUNS."""
    best = (0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        for _ in range(RUNS):
            packets, bits = ours(direction, size, sas, folder)
            peer = secgw.measure(binary, direction == "encrypt", folder, SECONDS)
            best = tuple(map(max, best, (packets, bits, peer)))
    return best


def measure(store):
    """Rows of a table. store: where ipsec-secgw is built."""
    binary = secgw.build(store)
    limits = {(direction, size): driver(direction, size) for direction in ("encrypt", "decrypt") for size in SIZES}
    for (direction, size), limit in limits.items():
        for sas in COUNTS:
            packets, bits, peer = compare(binary, direction, size, sas)
            yield (f"{direction} {size}, {sas:,} SAs", f"{packets / 1e6:.2f}", f"{bits / 1e9:.2f}",
                   f"{peer / 1e6:.2f}", f"{packets / peer:.2f}", f"{limit / 1e6:.2f}", f"{packets / limit:.2f}")


COLUMNS = ("case", "Mpps", "Gbit/s", "secgw, Mpps", "ratio", "driver, Mpps", "of driver")
