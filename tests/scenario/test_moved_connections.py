# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of connections when their target dies, where they are moved; and SCTP, whose peers are lab/sctp_peer.py.

    outside: lan0 (bridge) 192.0.2.100, 2001:db8:2::100
      ├─ hv1: bulkheadd (distributor) ──xcf0══╗
      ├─ t1: bulkheadd (target) ────────xcf0══╬ br0 (namespace link), where t1's wire is cut
      └─ t2: bulkheadd (target) ────────xcf0══╝
"""

import socket

import pytest

from lab.distributor import OUTSIDE6, VIPA, VIPA6, Connection, discard
from lab.netns import wait_until
from lab.sctp_peer import Client
from lab.topology import OUTSIDE_ADDRESS

SERVICES = {"echo": {"port": 7}, "datagrams": {"port": 7, "protocol": "udp"}, "sctp": {"port": 5060, "protocol": "sctp"}}
CLIENTS = {VIPA: OUTSIDE_ADDRESS, VIPA6: OUTSIDE6}


@pytest.fixture
def moving(lab, cluster):
    """Two targets with servers; connections of a dead one are moved."""
    both = cluster(services=SERVICES, scheduling="wrr", heartbeat="1s", **{"on-target-death": "move"}).start()
    for target in both.targets:  # shares by weight, whatever else the machine does
        assert target.daemon.command("target", "load", "0").returncode == 0
    both.serve_echo()
    both.serve_echo("sctp_peer.py", 5060)
    return both


def cut(lab, both):
    """t1 is heard of no more."""
    lab["link"].run("ip", "link", "set", "t1", "down")
    wait_until(lambda: both.up() == {"t2"}, what="the distributor's taking note")


def mend(lab, both):
    lab["link"].run("ip", "link", "set", "t1", "up")
    wait_until(lambda: both.up() == {"t1", "t2"}, what="the target's return")


class Flow:
    """A UDP client with a port of its own."""

    def __init__(self, namespace, vipa):
        def make():
            handle = socket.socket(socket.AF_INET6 if ":" in vipa else socket.AF_INET, socket.SOCK_DGRAM)
            handle.settimeout(1)
            handle.connect((vipa, 7))
            return handle
        self.handle = namespace.inside(make)

    def name(self):
        """Who answers; asked again where a packet was lost."""
        def ask():
            try:
                discard(self.handle)
                self.handle.send(b"who")
                return self.handle.recv(100).split()[0].decode()
            except (TimeoutError, ConnectionError):
                return None
        return wait_until(ask, what="an answer")


@pytest.mark.parametrize("vipa", [VIPA, VIPA6])
def test_udp_flows_move_and_stay(lab, moving, vipa):
    """D14: flows of the dead target go on at the other one with their next packet, and stay there when it is back;
    one that was silent meanwhile is still its own."""
    flows = [Flow(lab.outside, vipa) for _ in range(8)]
    assert all(flow.name() for flow in flows)
    before = [flow.name() for flow in flows]  # with a second datagram they last for longer than opening ones
    assert set(before) == {"t1", "t2"}
    silent = before.index("t1")
    cut(lab, moving)
    for number, flow in enumerate(flows):
        assert number == silent or flow.name() == "t2"
    mend(lab, moving)
    assert [flow.name() for flow in flows] == ["t1" if number == silent else "t2" for number in range(8)]


@pytest.mark.parametrize("vipa", [VIPA, VIPA6])
def test_tcp_connections_are_reset_by_the_new_target(lab, moving, vipa):
    """D14 D9: the next segment of a connection goes to the other target, which knows nothing of it and says so; who
    connects anew is served there; the other target's connections, and one that was silent meanwhile, go on."""
    connections = [Connection(lab.outside, vipa) for _ in range(8)]
    assert {connection.name for connection in connections} == {"t1", "t2"}
    silent = next(connection for connection in connections if connection.name == "t1")
    cut(lab, moving)
    for connection in connections:
        if connection.name == "t2":
            assert connection.echo()
        elif connection is not silent:
            with pytest.raises(ConnectionError):
                connection.echo()
    assert {Connection(lab.outside, vipa).name for _ in range(4)} == {"t2"}
    assert lab.daemon.drops()["connection_unknown"] == 0
    mend(lab, moving)
    assert silent.echo()


@pytest.mark.parametrize("vipa", [VIPA, VIPA6])
def test_sctp_associations_by_port(lab, moving, vipa):
    """D2 D6 D9: associations are distributed by port and weight, all packets of one go to one target, and every
    checksum is right on both sides; what begins no association is refused; of a dead target they are aborted by the
    other."""
    clients = [Client(lab.outside, CLIENTS[vipa], vipa, 5060, 40000 + i) for i in range(6)]
    names = []
    for client in clients:
        assert client.open()
        answers = [client.ask(b"question %d" % number, number) for number in (1, 2, 3)]
        names.append(answers[0].split()[0].decode())
        assert answers == [f"{names[-1]} question {number}".encode() for number in (1, 2, 3)]
    assert names.count("t1") == names.count("t2") == 3
    rows = lab.daemon.cli("distributor", "connections")["connections"]
    assert len([row for row in rows if row["protocol"] == "sctp"]) == 6
    stranger = Client(lab.outside, CLIENTS[vipa], vipa, 5060, 41000)
    stranger.peer_tag = 1
    assert stranger.ask(b"out of nothing") is None
    assert lab.daemon.drops()["connection_unknown"] > 0
    assert clients[0].close()
    assert all(client.wrong == 0 for client in clients)
    cut(lab, moving)
    for name, client in list(zip(names, clients))[1:]:
        assert client.ask(b"still there?", 4) == (b"t2 still there?" if name == "t2" else None)
    late = Client(lab.outside, CLIENTS[vipa], vipa, 5060, 42000)
    assert late.open() and late.ask(b"late") == b"t2 late"
