# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's example ipsec-secgw (package dpdk-doc) as a peer: how many packets it handles.

It gets the frames that esp-bench writes, by DPDK's pcap driver, which plays them again and again; what it
sends is freed by that driver. Rates are of its CPU time, as esp-bench's are of its own.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from lab.netns import stop, wait_until
from tests.bench.unavailable import Unavailable

SOURCE = pathlib.Path("/usr/share/dpdk/examples/ipsec-secgw")
CORE = 1
RUNTIME = pathlib.Path("/var/run/dpdk")
PREFIX = f"secgw{os.getpid()}"
START_TIMEOUT = 60


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
    return [binary, "--lcores", f"{CORE}@{CORE}", "--in-memory", "-m", "600", "--no-pci",
            "--log-level", "3", "--file-prefix", PREFIX, "--vdev", "crypto_aesni_gcm0",
            "--vdev", f"net_pcap0,rx_pcap={folder}/esp.pcap,infinite_rx=1", "--vdev", "net_null0,no-rx=1",
            "--", "-p", "3", "-P", "-u", "2" if is_encrypting else "1", "-l",
            "-f", f"{folder}/secgw.cfg", "--config", f"(0,0,{CORE}),(1,0,{CORE})"]


def cpu_seconds(pid):
    """Of all of its threads, exact to the nanosecond, which the kernel's other counts are not."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def packets_sent(telemetry):
    """By the device that sends, and frees."""
    telemetry.send(b"/ethdev/stats,0")
    return json.loads(telemetry.recv(65536))["/ethdev/stats"]["opackets"]


def connect(path):
    """DPDK's telemetry, which says hello first; None: it is not there yet."""
    handle = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        handle.connect(str(path))
    except OSError:
        handle.close()
        return None
    handle.recv(65536)
    return handle


def measure(binary, is_encrypting, folder, seconds):
    """Packets a second of CPU time."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([str(part) for part in command_of(binary, is_encrypting, folder)],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        telemetry = None

        def said(what):
            output.seek(0)
            return f"ipsec-secgw {what}:\n{output.read()[-2000:].decode(errors='replace')}"

        def is_sending():
            if process.poll() is not None:
                raise Unavailable(said("ends"))
            return packets_sent(telemetry) > 0

        try:
            telemetry = wait_until(lambda: connect(RUNTIME / PREFIX / "dpdk_telemetry.v2"), START_TIMEOUT,
                                   what="ipsec-secgw's telemetry")
            wait_until(is_sending, START_TIMEOUT, what="ipsec-secgw's first packet")
            sent, used = packets_sent(telemetry), cpu_seconds(process.pid)
            time.sleep(seconds)
            sent, used = packets_sent(telemetry) - sent, cpu_seconds(process.pid) - used
        finally:
            if telemetry:
                telemetry.close()
            stop(process)
    return sent / used
