# SPDX-License-Identifier: BSD-3-Clause
"""A thousand ports: nothing that people wait for grows out of proportion.

    outside ──── uplink [hv1] ──── web
                        └── t0 … t999 (TAPs, VLAN 10)
"""

import socket
import struct
import time

import pytest

from lab.netns import CommandFailed, wait_until
from lab.peers import can_ping
from tests.scenario.test_roles import Pinger

COUNT = 1000


def add_taps(config):
    config["partitions"].update({
        f"p{number:04}": {"adapters": {"eth0": {"attach": f"tap:t{number}", "vlan": 10}}}
        for number in range(COUNT)})


def remove_taps(config):
    for name in [name for name in config["partitions"] if name.startswith("p")]:
        del config["partitions"][name]


def tap_count(lab):
    return lab.hv1.run("ip", "-o", "link").count(": t")


def seconds(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def test_a_thousand_ports_come_and_go_under_traffic(lab):
    """1,000 TAPs are added by one live change, listed page by page, survive the packet role, are removed
    by one live change, and end with the daemon, each within seconds; an echo that was under way before is
    answered throughout (all but while the role was dead). (G12)"""
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    pinger = Pinger(lab.outside, "192.0.2.10")
    assert seconds(lambda: daemon.apply(add_taps)) < 15
    wait_until(lambda: daemon.cli("status")["ports"] == {"total": COUNT + 4, "up": COUNT + 4}, 15,
               what="all ports")
    assert len(daemon.cli("ports")["ports"]) == COUNT + 4
    assert seconds(lambda: daemon.command("config", "apply", daemon.config_path)) < 10
    assert tap_count(lab) == COUNT
    assert seconds(lambda: daemon.apply(remove_taps)) < 10
    wait_until(lambda: tap_count(lab) == 0, 10, what="the end of the TAPs")
    sent, received = pinger.stop()
    assert sent - received <= 1

    daemon.apply(add_taps)
    pid = daemon.kill_role("packet")
    daemon.wait_role("packet", pid)
    wait_until(lambda: can_ping(lab.outside, "192.0.2.10"), 10, what="the partition")
    assert tap_count(lab) == COUNT
    assert "tap_stays" not in daemon.log()
    assert seconds(daemon.stop) < 10
    assert tap_count(lab) == 0


def test_more_devices_than_dpdk_has_room_for_are_one_clear_error(lab):
    """2,044 AF_XDP ports on a DPDK built for 32 devices: refused before anything is touched, with the number
    and the remedy."""
    daemon = lab.start()

    def add(config):
        config["partitions"].update({
            f"m{number}": {"adapters": {"eth0": {"attach": f"af_xdp:none{number}", "vlan": 10}}}
            for number in range(2048 - 4)})
    with pytest.raises(CommandFailed) as refused:
        daemon.apply(add)
    assert "DPDK as it was built for this system has room for" in str(refused.value)
    assert "netdev:, tap:, vhost-user: or memif:" in str(refused.value)
    assert len(daemon.cli("ports")["ports"]) == 4
    assert can_ping(lab.outside, "192.0.2.10")


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def message(request, claimed, payload=b""):
    """Of vhost-user: request, version 1, the size that follows, and what does follow."""
    return struct.pack("<III", request, 1, claimed) + payload


def test_front_ends_up_to_no_good_hold_up_no_other_port(lab):
    """100 vhost-user ports, more than DPDK has devices, are added by one live change. At some of their
    sockets are front ends that stop in the middle of a message, that read no answers, and that send nonsense;
    the ports go by one live change nevertheless, and others' packets pass throughout. (G12)"""
    daemon = lab.start()
    paths = [daemon.run_folder / f"g{number}.sock" for number in range(100)]
    daemon.apply(lambda config: config["partitions"].update({
        f"g{number}": {"adapters": {"eth0": {"attach": f"vhost-user:{path}", "vlan": 10}}}
        for number, path in enumerate(paths)}))
    assert all(path.exists() for path in paths)
    pinger = Pinger(lab.outside, "192.0.2.10")
    stopped, deaf = connect(paths[0]), connect(paths[1])
    stopped.send(message(2, 8))  # SET_FEATURES, without them
    deaf.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            deaf.send(message(1, 0))  # GET_FEATURES
    for number, path in enumerate(paths[2:]):
        nonsense = connect(path)
        nonsense.send(message(number, 40, bytes((number * step) % 256 for step in range(40))))
        nonsense.close()

    def remove(config):
        for number in range(len(paths)):
            del config["partitions"][f"g{number}"]

    assert seconds(lambda: daemon.apply(remove)) < 20
    assert not any(path.exists() for path in paths)
    sent, received = pinger.stop()
    assert sent - received <= 1
    stopped.close()
    deaf.close()
