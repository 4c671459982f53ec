# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's example ipsec-secgw (package dpdk-doc) as a peer: how many packets it handles.

It gets the frames that esp-bench writes, by DPDK's pcap driver, which plays them again and again; what it
sends is freed by that driver. Rates are of its CPU time, as esp-bench's are of its own.
"""

import os
import pathlib
import re
import shutil
import subprocess

from lab.netns import stop
from tests.bench.unavailable import Unavailable

SOURCE = pathlib.Path("/usr/share/dpdk/examples/ipsec-secgw")
CORE = 1
SENT = re.compile(rb"Total packets sent:\s+(\d+)")
DROPPED = re.compile(rb"Total packets dropped:\s+(\d+)")


def build(folder):
    """Its binary, built below `folder` when it is not there. It insists on a device that checks the checksums
    of IP and UDP, which the pcap driver does not: that is taken out."""
    binary = folder / "ipsec-secgw/build/ipsec-secgw"
    if binary.exists():
        return binary
    if not SOURCE.exists():
        raise Unavailable(f"{SOURCE} is not there: run tools/setup.sh bench")
    shutil.copytree(SOURCE, folder / "ipsec-secgw", dirs_exist_ok=True)
    main = folder / "ipsec-secgw/ipsec-secgw.c"
    text = main.read_text()
    wanted = ".offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM,"
    if text.count(wanted) != 1:
        raise Unavailable(f"{main} is not the version that this was written for")
    main.write_text(text.replace(wanted, ".offloads = 0,"))
    done = subprocess.run(["make", "-C", folder / "ipsec-secgw", "shared"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"ipsec-secgw does not build:\n{done.stderr[-2000:]}")
    return binary


def command_of(binary, is_encrypting, folder):
    # It polls both ports, or has no crypto device for one of the directions.
    return ["stdbuf", "-oL", binary, "--lcores", f"{CORE}@{CORE}", "--in-memory", "-m", "600", "--no-pci",
            "--log-level", "3", "--file-prefix", f"secgw{os.getpid()}", "--vdev", "crypto_aesni_gcm0",
            "--vdev", f"net_pcap0,rx_pcap={folder}/esp.pcap,infinite_rx=1", "--vdev", "net_null0,no-rx=1",
            "--", "-p", "3", "-P", "-u", "2" if is_encrypting else "1", "-l", "-t", "1",
            "-f", f"{folder}/secgw.cfg", "--config", f"(0,0,{CORE}),(1,0,{CORE})"]


def cpu_seconds(pid):
    """Of all of its threads, exact to the nanosecond, which the kernel's other counts are not."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def measure(binary, is_encrypting, folder, seconds):
    """Packets a second of CPU time."""
    process = subprocess.Popen([str(part) for part in command_of(binary, is_encrypting, folder)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, points = b"", []
    try:
        # Statistics come each second; the first ones are of the start, too.
        for line in process.stdout:
            output += line
            if sent := SENT.search(line):
                points.append((int(sent[1]), cpu_seconds(process.pid)))
            if (dropped := DROPPED.search(line)) and int(dropped[1]) > 0:
                raise Unavailable(f"ipsec-secgw drops packets:\n{output[-2000:].decode(errors='replace')}")
            if len(points) > 1 + seconds:
                break
    finally:
        stop(process)
    if len(points) <= 1 + seconds or points[-1][0] == points[1][0]:
        raise Unavailable(f"ipsec-secgw sends nothing:\n{output[-2000:].decode(errors='replace')}")
    return (points[-1][0] - points[1][0]) / (points[-1][1] - points[1][1])
