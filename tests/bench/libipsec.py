# SPDX-License-Identifier: BSD-3-Clause
"""A gateway of strongSwan alone, which does ESP in user space (kernel-libipsec): what one has without us.

    client: charon, kernel-libipsec ──veth── gateway: charon, kernel-libipsec, iperf3 -s
    10.0.1.1, behind it 10.1.0.1             10.0.1.2, behind it 10.2.0.1
"""

import json
import os
import pathlib
import tempfile

from lab.netns import Namespace, veth, wait_until
from lab.strongswan import Charon, missing
from lab.vpn import connections
from tests.bench.secgw import cpu_seconds
from tests.bench.unavailable import Unavailable

OUTER, INNER = ("10.0.1.1", "10.0.1.2"), ("10.1.0.1", "10.2.0.1")


def namespaces():
    """Client and gateway, with a cable between them."""
    made = [Namespace(f"bench-{name}-{os.getpid()}") for name in ("client", "gateway")]
    veth(made[0], "eth0", made[1], "eth0")
    for own, outer, inner, other in zip(made, OUTER, INNER, reversed(INNER)):
        own.run("ip", "link", "set", "lo", "up")
        own.run("ip", "link", "set", "eth0", "up")
        own.run("ip", "address", "add", f"{outer}/24", "dev", "eth0")
        own.run("ip", "address", "add", f"{inner}/32", "dev", "lo")
        own.sysctl("net.ipv4.conf.all.rp_filter", 0)
    return made


def charon(namespace, folder, index):
    """That of the client (0), or of the gateway (1)."""
    names = ("client", "gateway")
    made = Charon(namespace, folder / names[index], connections(
        local=OUTER[index], remote_addrs=f"remote_addrs = {OUTER[1 - index]}", local_id=names[index],
        remote_id=names[1 - index], local_ts=f"{INNER[index]}/32", remote_ts=f"{INNER[1 - index]}/32",
        proposals="aes128gcm16"))
    return made.start()


def transfer(client, gateway, charons, seconds):
    """(bits, the gateway's seconds of CPU) of what came through the tunnel."""
    server = gateway.start("iperf3", "-s", "-1", "-B", INNER[1], stdout=-3)
    wait_until(lambda: "LISTEN" in gateway.run("ss", "-Hltn", "sport", "=", ":5201"), what="iperf3's server")
    before = cpu_seconds(charons[1].process.pid)
    text = client.run("iperf3", "-c", INNER[1], "-B", INNER[0], "-t", seconds, "-J", timeout=seconds + 30)
    used = cpu_seconds(charons[1].process.pid) - before
    server.wait(10)
    return json.loads(text)["end"]["sum_received"]["bytes"] * 8, used


def measure(seconds):
    """(bits a second through the tunnel, bits a second of the gateway's CPU time): it receives."""
    if missing():
        raise Unavailable(f"strongSwan: {', '.join(missing())}: run tools/setup.sh test")
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        made, charons = namespaces(), []
        try:
            for index in (1, 0):
                charons.insert(0, charon(made[index], pathlib.Path(folder), index))
            charons[0].initiate("net")
            for own, inner in zip(made, reversed(INNER)):
                own.run("ip", "route", "add", f"{inner}/32", "dev", "ipsec0", "src", INNER[1 - INNER.index(inner)])
            bits, used = transfer(*made, charons, seconds)
        finally:
            for one in charons:
                one.stop()
            for own in made:
                own.close()
    return bits / seconds, bits / used
