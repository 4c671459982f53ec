# SPDX-License-Identifier: BSD-3-Clause
"""Ports of all kinds under the whole daemon: what kernels leave unfinished, devices that go and come.

    outside ──eth0══eth1── uplink [hv1] ──veth══eth0── web   192.0.2.10
    192.0.2.100                         ──veth══eth0── app   192.0.2.11
"""

import hashlib
import os
import subprocess
import socket

import pytest

from lab.daemon import make_run_folder
from lab.netns import CommandFailed, veth, wait_until
from lab.peers import can_ping, curl, iperf3, nginx, ping

SIZE = 20_000_000
UDP_SEGMENT = 103  # linux/udp.h
SUPER_FRAME = 10_000  # bytes; a mean above this means that frames pass unsegmented


def port(daemon, name):
    return next(row for row in daemon.cli("ports")["ports"] if row["name"] == name)


def test_kernel_peers_super_frames_pass_whole(make_lab):
    """G11: checksums and segments that containers leave to others are not touched between them, and a
    file of 20 MB arrives unchanged."""
    lab = make_lab(partitions=("web", "app"))
    daemon = lab.start()
    page = os.urandom(SIZE)
    nginx(lab, "web", {"file": page})
    assert can_ping(lab["app"], "192.0.2.10")
    for client in (lab["app"], lab.outside):
        code, body = curl(client, "http://192.0.2.10/file", timeout=30)
        assert code == 0 and hashlib.sha256(body).digest() == hashlib.sha256(page).digest()
    before = port(daemon, "app.eth0")
    iperf3(lab, "app", "web", "192.0.2.11", 2)
    after = port(daemon, "app.eth0")
    sent = after["tx_bytes"] - before["tx_bytes"]
    assert sent / (after["tx_packets"] - before["tx_packets"]) > SUPER_FRAME
    assert sorted(after["offloads"]) == ["checksum", "tso4", "tso6"]
    assert daemon.drops().get("rx_malformed", 0) == 0


def test_udp_super_frames_are_cut(make_lab):
    """G11: what UDP_SEGMENT leaves to the device arrives as single datagrams, everywhere."""
    lab = make_lab(partitions=("web", "app"))
    lab.start()
    assert can_ping(lab["web"], "192.0.2.11")
    data = os.urandom(5300)
    for namespace, address in ((lab["app"], "192.0.2.11"), (lab.outside, "192.0.2.100"),
                               (lab.hv1, "192.0.2.1")):
        receiver = namespace.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender = lab["web"].inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with receiver, sender:
            receiver.bind(("0.0.0.0", 7777))
            receiver.settimeout(5)
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
            sender.sendto(data, (address, 7777))
            got = [receiver.recv(70000) for _ in range(6)]
        assert [len(part) for part in got] == [1000] * 5 + [300]
        assert b"".join(got) == data


def test_super_frames_are_finished_for_a_peer_that_takes_none(make_lab):
    """G11: AF_XDP has no offloads: frames leave cut and summed; and it comes back after SIGKILL."""
    lab = make_lab(partitions=("web",), uplink="af_xdp:eth1")
    lab.outside.run("ethtool", "-K", "eth0", "tx", "off")  # AF_XDP could not tell of partial sums
    page = os.urandom(SIZE)
    nginx(lab, "web", {"file": page})
    daemon = lab.start()
    assert port(daemon, "uplink")["offloads"] == []
    for _ in range(2):
        assert can_ping(lab.outside, "192.0.2.10")
        code, body = curl(lab.outside, "http://192.0.2.10/file", timeout=30)
        assert code == 0 and hashlib.sha256(body).digest() == hashlib.sha256(page).digest()
        pid = daemon.kill_role("packet")
        daemon.wait_role("packet", pid)
    assert can_ping(lab.outside, "192.0.2.10")


def test_an_interface_that_goes_is_taken_again_when_it_comes(lab):
    """G12: a container's veth is removed and made again; the port waits meanwhile and says so."""
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    lab.hv1.run("ip", "link", "delete", "veth-web")
    wait_until(lambda: "problem" in port(daemon, "web.eth0"), what="the port to be without device")
    assert not port(daemon, "web.eth0")["is_up"]
    veth(lab["web"], "eth0", lab.hv1, "veth-web")
    lab["web"].address("eth0", "192.0.2.10/24", "52:54:00:00:10:01")
    assert can_ping(lab.outside, "192.0.2.10")
    assert "problem" not in port(daemon, "web.eth0")
    wait_until(lambda: daemon.events(event_type="port_up", port="web.eth0"), what="the event")


def test_a_device_that_is_not_there_refuses_the_change(lab):
    """G12: a live change whose device cannot be opened changes nothing, and says which and why."""
    daemon = lab.start()
    before = daemon.cli("status")["config"]["generation"]
    with pytest.raises(CommandFailed, match="x.eth0: interface no-such-if: cannot be found"):
        daemon.apply(lambda config: config["partitions"].update(
            {"x": {"adapters": {"eth0": {"attach": "netdev:no-such-if", "vlan": 10}}}}))
    with pytest.raises(CommandFailed, match="x.eth0: interface lo is the host's loopback"):
        daemon.apply(lambda config: config["partitions"].update(
            {"x": {"adapters": {"eth0": {"attach": "netdev:lo", "vlan": 10}}}}))
    assert daemon.cli("status")["config"]["generation"] == before
    assert [row["name"] for row in daemon.cli("ports")["ports"] if row["name"].startswith("x.")] == []
    assert ping(lab.outside, "192.0.2.10")


def test_a_socket_that_may_not_be_written_is_told(lab):
    """G12: QEMU's socket belongs to root: the port says so, and is without problem when it may."""
    daemon = lab.start()
    path = lab.folder / "guest.sock"
    daemon.apply(lambda config: config["partitions"].update(
        {"vm": {"adapters": {"eth0": {"attach": f"vhost-user:{path},client", "vlan": 10}}}}))
    assert "problem" not in port(daemon, "vm.eth0")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o755)
        problem = port(daemon, "vm.eth0")["problem"]
        assert "may not write to the socket" in problem and str(path) in problem
        path.chmod(0o777)
        assert "problem" not in port(daemon, "vm.eth0")


def test_a_port_is_opened_again_with_other_properties(lab):
    """G12: the host's interface gets another address while the connection of its old one goes on."""
    daemon = lab.start()
    assert can_ping(lab["web"], "192.0.2.1")

    def more(config):
        config["gateway"]["host"]["addresses"].append("192.0.2.3/24")

    daemon.apply(more)
    assert can_ping(lab["web"], "192.0.2.3")
    assert can_ping(lab["web"], "192.0.2.1")


def test_frames_above_the_mtu_are_counted(make_lab):
    """G11: a frame that the egress port cannot take is dropped with its reason."""
    lab = make_lab(partitions=("web", "app"))
    lab["web"].run("ip", "link", "set", "eth0", "mtu", 9000)
    lab.hv1.run("ip", "link", "set", "veth-web", "mtu", 9000)

    def jumbo(config):
        config["partitions"]["web"]["adapters"]["eth0"]["mtu"] = 9000

    daemon = lab.start(jumbo)
    assert can_ping(lab["web"], "192.0.2.11")
    assert not ping(lab["web"], "192.0.2.11", size=3000, options=("-M", "do"))
    assert daemon.drops()["tx_too_big"] >= 1


def test_partition_behind_a_memif_is_reached(lab):
    """A program with a memif (testpmd, which answers pings) comes, is found up, and answers; it goes, and
    the port is down."""
    path = make_run_folder(lab.folder) / "vnf.sock"
    lab.config["partitions"]["vnf"] = {"adapters": {"eth0": {"attach": f"memif:{path}", "vlan": 10}}}
    daemon = lab.start()
    assert not port(daemon, "vnf.eth0")["is_up"]
    with open(lab.folder / "vnf.log", "wb") as log:
        vnf = subprocess.Popen(
            ["dpdk-testpmd", "--no-huge", "-m", "96", "--no-pci", "--no-telemetry",
             "--file-prefix", f"{lab.folder.name}-vnf", "--vdev",
             f"net_memif0,role=client,id=0,socket={path},socket-abstract=no", "--",
             "--forward-mode=icmpecho", "--port-topology=loop", "--auto-start",
             "--total-num-mbufs=8192", "--stats-period=60"],
            env={**os.environ, "RUNTIME_DIRECTORY": str(lab.folder)},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: port(daemon, "vnf.eth0")["is_up"], 20, what="the memif's link")
        assert can_ping(lab.outside, "192.0.2.50")
        assert ping(lab["web"], "192.0.2.50", count=3)
    finally:
        vnf.kill()
        vnf.wait(10)
    wait_until(lambda: not port(daemon, "vnf.eth0")["is_up"], what="the loss of the link")
