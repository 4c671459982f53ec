# SPDX-License-Identifier: BSD-3-Clause
"""ESP beside its limit: our nodes as one worker walks them, and what the crypto driver does by itself."""

import os
import re
import statistics
import subprocess

from lab.daemon import BUILD

SECONDS = os.environ.get("SECONDS", "3")
RUNS = int(os.environ.get("RUNS", "3"))
SIZES = ("64", "imix", "1400")
COUNTS = (1, 1000)


def ours(direction, size, sas):
    """(packets, bits) a second, the best of RUNS."""
    command = [BUILD / "tests/bench/esp-bench", direction, size, str(sas), SECONDS]
    return max(tuple(map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()))
               for _ in range(RUNS))


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


def measure():
    """Rows of a table."""
    limits = {}
    for direction in ("encrypt", "decrypt"):
        for size in SIZES:
            for sas in COUNTS:
                packets, bits = ours(direction, size, sas)
                if (direction, size) not in limits:
                    limits[direction, size] = driver(direction, size)
                limit = limits[direction, size]
                yield (f"{direction} {size}, {sas:,} SAs", f"{packets / 1e6:.2f}", f"{bits / 1e9:.2f}",
                       f"{limit / 1e6:.2f}", f"{packets / limit:.2f}")
