# SPDX-License-Identifier: BSD-3-Clause
"""Two workers do what one does: every scenario here runs with `packet.workers: 2`, naps on.

    outside ──── uplink [hv1: worker 0 │ worker 1] ──── web, app, …
    192.0.2.100          polls │ handoff │ polls        192.0.2.10, 192.0.2.11

Ports are polled by the workers in turn, so nearly all that is inspected is handed over once. The
scenarios of inspection are those of test_inspection, unchanged.
"""

import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import time

import pytest
from scapy.layers.inet import IP, TCP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.daemon import Daemon, make_run_folder
from lab.guest import GuestUnavailable, kernel
from lab.inspector import Inspector
from lab.netns import veth, wait_until
from lab.peers import can_ping, curl, iperf3, nginx, ping
from tests.scenario.test_inspection import (  # noqa: F401: they run here too, with this file's lab
    ADDRESS, FORBIDDEN, PAGE, PASSWD, alerts, inspection, outside_inspector, start, url,
    test_attack_is_stopped_and_told_as_eve,
    test_attack_split_over_segments_is_stopped,
    test_engines_are_swapped_with_traffic_flowing,
    test_fragments_are_inspected_whole_and_pass,
    test_killed_inspector_leaves_traffic_alone_where_failure_means_pass,
    test_killed_inspector_stops_traffic_where_failure_means_drop,
    test_rejected_connection_is_reset_on_both_sides,
    test_replaced_bytes_arrive_with_right_checksums,
    test_rules_are_reloaded_without_losing_a_packet,
    test_stopped_inspector_is_overruled_by_the_deadline,
    test_traffic_passes_the_inspector_outside,
)
from tests.scenario.test_roles import Pinger

WORKERS = 2
SIZE = 20_000_000
PROBE = ('drop udp any any -> $HOME_NET 7777 (msg:"probe"; content:"evil-payload"; sid:1000010; '
         'rev:1;)\n')
CLIENT, CLIENT_MAC = "192.0.2.150", "52:54:00:00:ff:50"
FLOWS = 8
DATAGRAMS = 2_000  # of each flow
SUM_TIMEOUT = 120


def use_workers(config, count=WORKERS):
    config["packet"] = {**config.get("packet", {}), "workers": count}


@pytest.fixture
def make_wide_lab(make_lab):
    """make_lab with two workers."""
    def make(**arguments):
        lab = make_lab(**arguments)
        use_workers(lab.config)
        return lab
    return make


@pytest.fixture
def lab(make_wide_lab):
    """web is the fourth port, so that another worker polls it than the uplink."""
    return make_wide_lab(partitions=("app", "web"))


def engine_status(daemon):
    return daemon.cli("api", "call", "engine.status")


def queue_workers(daemon, port):
    """The workers that poll a port's queues."""
    return set(daemon.cli("ports", port)["port"]["queue_workers"])


def passed(daemon, node):
    """Packets that went through a node of the graph."""
    return sum(row["packets"] for row in daemon.cli("graph")["nodes"] if row["name"] == node)


def udp(namespace, address=None):
    def make():
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        if address:
            handle.bind(address)
        return handle
    return namespace.inside(make)


def test_gateway_carries_pages_files_and_pings_both_ways(lab):
    """G2 G4 G5 G6 I1: 20 MB arrive unchanged in both directions, both workers have their share, and
    what they share was handed over."""
    page = os.urandom(SIZE)
    nginx(lab, "web", {"file": page})
    nginx(lab, "outside", {"file": page})
    lab.config["inspection"] = inspection(lab, PASSWD)
    daemon = lab.start()
    assert can_ping(lab.outside, ADDRESS) and can_ping(lab.hv1, ADDRESS)
    assert can_ping(lab["web"], "192.0.2.1") and can_ping(lab.outside, "192.0.2.1")
    for client, address in ((lab.outside, ADDRESS), (lab["web"], "192.0.2.100")):
        code, body = curl(client, f"http://{address}/file", timeout=30)
        assert code == 0 and hashlib.sha256(body).digest() == hashlib.sha256(page).digest()
        assert ping(client, address, count=5)
    workers = engine_status(daemon)["workers"]
    assert len(workers) == WORKERS and all(row["packets"] > 100 for row in workers)
    assert all(row["naps"] > 0 for row in workers)
    assert passed(daemon, "handoff_rx") > 100
    assert daemon.drops().get("handoff_full", 0) == 0


def test_bulk_transfer_is_not_reordered(lab):
    """G13: TCP through hand-over, inspected, needs next to no retransmission, in each direction."""
    lab.config["inspection"] = inspection(lab, PASSWD)
    lab.start()
    assert can_ping(lab.outside, ADDRESS)
    for server, client, address in (("web", "outside", ADDRESS), ("outside", "web", "192.0.2.100")):
        end = iperf3(lab, server, client, address, 3)["end"]
        packets = end["sum_sent"]["bytes"] / 1448
        assert end["sum_received"]["bytes"] > 10 << 20
        assert end["sum_sent"]["retransmits"] < packets / 100


@pytest.mark.parametrize("engine", ("none", "builtin"))
def test_order_within_a_flow_is_kept(make_wide_lab, engine):
    """G13: numbered datagrams of several flows to two partitions arrive in their order."""
    lab = make_wide_lab(partitions=("web", "app"))
    if engine == "builtin":
        lab.config["inspection"] = inspection(lab, PASSWD)
    lab.start()
    targets = [ADDRESS, "192.0.2.11"]
    assert all(can_ping(lab.outside, address) for address in targets)
    receivers = [udp(lab[name], ("0.0.0.0", 7777)) for name in ("web", "app")]
    senders = [udp(lab.outside) for _ in range(FLOWS)]
    for number in range(DATAGRAMS):
        for flow, sender in enumerate(senders):
            sender.sendto(struct.pack("!HI", flow, number), (targets[flow % 2], 7777))
        if number % 4 == 0:
            time.sleep(0.001)
    seen = {flow: [] for flow in range(FLOWS)}

    def take():
        for receiver in receivers:
            with contextlib.suppress(BlockingIOError):
                while True:
                    flow, number = struct.unpack("!HI", receiver.recv(64))
                    seen[flow].append(number)
        return all(len(numbers) >= DATAGRAMS for numbers in seen.values())

    for receiver in receivers:
        receiver.setblocking(False)
    wait_until(take, what="the last datagram")
    for handle in receivers + senders:
        handle.close()
    assert all(numbers == list(range(DATAGRAMS)) for numbers in seen.values())


def test_attack_in_fragmented_datagrams_is_stopped(lab):
    """I6: fragments meet in one worker, whatever their flow; the pattern lies across their border."""
    lab.config["inspection"] = inspection(lab, PROBE)
    daemon = lab.start()
    assert can_ping(lab.outside, ADDRESS)
    receiver = udp(lab["web"], ("0.0.0.0", 7777))
    receiver.settimeout(2)
    border = 1472 - 6  # 1,480 bytes of IP payload in the first fragment, with 8 of UDP
    evil = b"x" * border + b"evil-payload" + b"x" * 2500
    good = b"x" * border + b"good-payload" + b"x" * 2500
    for number in range(FLOWS):
        with udp(lab.outside) as sender:
            sender.connect((ADDRESS, 7777))
            sender.send(b"%d first" % number)
            assert receiver.recv(100) == b"%d first" % number
            sender.send(evil)
            sender.send(good)
            assert receiver.recv(10000) == good
    wait_until(lambda: len(alerts(lab, 1000010)) >= FLOWS, what="the alerts")
    receiver.close()
    assert daemon.drops().get("inspect_deadline", 0) == 0


class RawClient:
    """One TCP connection by hand, from an address that no kernel has, with a real server."""

    def __init__(self, lab, port):
        self.wire = lab.outside.wire("eth0")
        lab["web"].run("ip", "neigh", "replace", CLIENT, "lladdr", CLIENT_MAC, "dev", "eth0")
        self.head = (Ether(src=CLIENT_MAC, dst="52:54:00:00:10:01") / IP(src=CLIENT, dst=ADDRESS)
                     / TCP(sport=port, dport=80))
        self.port, self.sequence, self.acknowledgement = port, 1000, 0

    def packet(self, flags, data=b""):
        made = self.head.copy()
        made[TCP].flags, made[TCP].seq, made[TCP].ack = flags, self.sequence, self.acknowledgement
        return made / Raw(data) if data else made

    def answer(self, with_data=False, timeout=5.0):
        def matches(frame):
            got = Ether(frame)
            return TCP in got and got[TCP].dport == self.port and (not with_data or Raw in got)
        frame = self.wire.expect(matches, timeout)
        return Ether(frame) if frame else None

    def connect(self):
        self.wire.send(bytes(self.packet("S")))
        got = self.answer()
        assert got and got[TCP].flags == "SA"
        self.sequence, self.acknowledgement = self.sequence + 1, got[TCP].seq + 1
        self.wire.send(bytes(self.packet("A")))
        return self

    def send_in_fragments(self, data, size):
        """One segment, as IP fragments of size bytes; the last one first."""
        whole = Ether(bytes(self.packet("PA", data)))
        for part in reversed(fragment(whole, fragsize=size)):
            self.wire.send(bytes(part))


def test_attack_in_fragmented_segments_is_stopped(lab, start):
    """I6: a segment of a connection comes as IP fragments; a harmless one is answered, an attack in
    one, over its fragments' border, is not."""
    access = start(PASSWD)
    for port in range(40000, 40000 + FLOWS):
        client = RawClient(lab, port).connect()
        client.send_in_fragments(b"GET /index.html HTTP/1.1\r\nHost: web\r\n\r\n", 32)
        answer = client.answer(with_data=True)
        assert answer and b"200 OK" in bytes(answer[TCP].payload)
        client = RawClient(lab, port + 1000).connect()
        # 20 bytes of TCP and "GET /../../e" in the first fragment.
        client.send_in_fragments(b"GET /../../etc/passwd HTTP/1.1\r\nHost: web\r\n\r\n", 32)
        assert client.answer(with_data=True, timeout=0.3) is None
    assert "passwd" not in access.read_text()
    wait_until(lambda: len(alerts(lab, 1000001)) >= FLOWS, what="the alerts")


def test_inspector_outside_has_to_serve_all_workers(lab):
    """I4: one that is connected to one of two workers counts as down, and the status says why."""
    path = make_run_folder(lab.folder) / "inspect.sock"
    lab.config["inspection"] = {"engines": ["external"], "on-failure": "drop",
                                "external": {"socket": str(path)}}
    lab.daemon = Daemon(lab.hv1, lab.folder, lab.config).start(wait=False)
    wait_until(path.exists, 20, what="the memif's socket")
    inspector = Inspector(lab.folder, path, workers=1).start()
    try:
        wait_until(lambda: "with id 1;" in lab.daemon.command("inspect").stdout, 20, what="id 0 to connect")
        assert lab.daemon.cli("inspect")["engines"][0]["state"] == "down"
        assert not ping(lab.outside, ADDRESS, timeout=1)
    finally:
        inspector.kill()
    inspector = Inspector(lab.folder, path, workers=WORKERS).start()
    try:
        wait_until(lab.daemon.is_ready, 20, what="both to be connected")
        assert can_ping(lab.outside, ADDRESS) and can_ping(lab.outside, "192.0.2.11")
    finally:
        inspector.kill()


def test_ports_come_and_go_under_traffic(lab):
    """G12: while ports with several queues come and go on both workers, others lose nothing."""
    for index in range(3):
        veth(lab.namespace(f"x{index}"), "eth0", lab.hv1, f"veth-x{index}")
    lab.config["inspection"] = inspection(lab, PASSWD)
    daemon = lab.start()
    assert can_ping(lab.outside, ADDRESS)
    pinger = Pinger(lab.outside, ADDRESS)
    for number in range(60):
        def change(config, number=number):
            name = f"extra{number % 3}"
            if config["partitions"].pop(name, None) is None:
                config["partitions"][name] = {"adapters": {"eth0": {
                    "attach": f"netdev:veth-x{number % 3}", "vlan": 10 + number % 2,
                    "queues": 1 + number % 2}}}
        daemon.apply(change)
        time.sleep(0.02)
    sent, received = pinger.stop()
    assert sent > 50 and sent - received <= 1


def test_tap_with_two_queues(make_wide_lab):
    """Item 8: a TAP whose queues are polled by different workers carries a bulk transfer both ways."""
    lab = make_wide_lab(partitions=("web",))
    lab.config["inspection"] = inspection(lab, PASSWD)
    lab.config["partitions"]["vm"] = {"adapters": {"eth0": {
        "attach": "tap:tapvm0", "vlan": 10, "queues": 2}}}
    daemon = lab.start()
    # Its kernel answers for it on it alone, not on the host's own interface in the same VLAN.
    lab.hv1.sysctl("net.ipv4.conf.all.arp_ignore", 1)
    lab.hv1.address("tapvm0", "198.51.100.19/24")
    lab.outside.address("eth0", "198.51.100.100/24")
    assert can_ping(lab.outside, "198.51.100.19")
    assert queue_workers(daemon, "vm.eth0") == {0, 1}
    for server, client, address in (("hv1", "outside", "198.51.100.19"),
                                    ("outside", "hv1", "198.51.100.100")):
        end = iperf3(lab, server, client, address, 2, options=("-P", "4"))["end"]
        assert end["sum_received"]["bytes"] > 10 << 20


def test_worker_count_changes_with_a_restart_of_the_packet_role(lab):
    """G12: the number of workers is fixed at start: applying another says so, starts the packet role
    again, and traffic, addresses and inspection are back by themselves."""
    lab.config["inspection"] = inspection(lab, PASSWD)
    daemon = lab.start()
    nginx(lab, "web", {"index.html": PAGE})
    for count in (1, 2):
        pid, control = daemon.role_pid("packet"), daemon.role_pid("control")
        answer = daemon.apply(lambda config, count=count: use_workers(config, count))
        assert "the packet role is started again" in answer.stdout
        daemon.wait_role("packet", pid)
        assert daemon.role_pid("control") == control
        assert len(engine_status(daemon)["workers"]) == count
        assert can_ping(lab.outside, ADDRESS) and can_ping(lab.hv1, ADDRESS)
        assert curl(lab.outside, url("index.html")) == (0, PAGE)
        assert curl(lab.outside, "--path-as-is", url("../../etc/passwd"), timeout=2)[0] != 0


def test_trace_tells_names_and_both_workers(lab):
    """The walk of a packet over both workers is one walk, in which ports and trunks have their names."""
    lab.config["inspection"] = inspection(lab, PASSWD)
    daemon = lab.start()
    assert can_ping(lab.outside, ADDRESS)
    with subprocess.Popen([daemon.bulkhead, "--socket", daemon.socket_path, "trace", "--count", "6",
                           "--timeout", "20", "--filter", f"icmp and host {ADDRESS}"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as trace:
        def has_ended():
            ping(lab.outside, ADDRESS)
            return trace.poll() is not None
        wait_until(has_ended, 25, what="its packets")
        out, errors = trace.communicate(timeout=30)
    assert trace.returncode == 0, errors
    assert "origin physical -> trunk-a" in out and "origin trunk -> uplink" in out
    assert "trunk trunk-a vlan 10 web.eth0" in out and "handoff" in out and "builtin: pass" in out
    assert "adapter" not in out and "port " not in out


def test_guests_with_two_queues(make_wide_lab):
    """G11: guests whose NICs have two queue pairs, each served by one worker, exchange 20 MB, and so
    do guest and outside."""
    try:
        kernel()
    except GuestUnavailable as reason:
        pytest.skip(str(reason))
    lab = make_wide_lab(partitions=())
    lab.config["inspection"] = inspection(lab, PASSWD)
    lab.guest_row("web", queues=2)
    lab.guest_row("app", queues=2)
    daemon = lab.start()
    web, app = lab.boot_guest("web"), lab.boot_guest("app")
    for guest in (web, app):
        shown = guest.run("ls /sys/class/net/eth0/queues")
        assert "rx-1" in shown and "tx-1" in shown
    assert app.can_ping(ADDRESS)
    web.run(f"mkdir /tmp/www && dd if=/dev/urandom of=/tmp/www/file bs=1000 count={SIZE // 1000}")
    expected = web.run("sha256sum < /tmp/www/file", SUM_TIMEOUT)
    web.run("httpd -p 80 -h /tmp/www")
    assert app.run(f"wget -q -O - http://{ADDRESS}/file | sha256sum", SUM_TIMEOUT) == expected
    code, body = curl(lab.outside, f"http://{ADDRESS}/file", timeout=SUM_TIMEOUT)
    assert code == 0 and hashlib.sha256(body).hexdigest() == expected.split()[0]
    assert queue_workers(daemon, "app.eth0") == {0, 1}
