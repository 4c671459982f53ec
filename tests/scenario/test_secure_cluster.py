# SPDX-License-Identifier: BSD-3-Clause
"""IPsec for a cluster whose hosts are all Bulkheads: clients' ESP ends at the distributor, real targets get plain packets
in GRE with the key of secure connections, and what they answer goes the same way back.

    outside: charon, kernel-libipsec
    203.0.113.5, 2001:db8:203::5 ──lan0══ hv1: bulkheadd (distributor), charon, plugin ──xcf0══╗
                                          VIPAs 192.0.2.80, 2001:db8:2::80, IPsec demanded     ║
                                    ══ t1, t2, t3: bulkheadd (target), nginx ──────────xcf0════╝
"""

import hashlib
import json
import os
import signal

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether

from lab import strongswan
from lab.cluster import LAB, LINK_MTU_ESP
from lab.distributor import SECURE, TO_DISTRIBUTOR, TO_TARGET, VIPA, VIPA6, Connection
from lab.netns import wait_until
from lab.peers import certificate, curl, is_listening, nginx, ping
from lab.vpn import INNER, NAT_T, Vpn
from tests.scenario.test_link_security import POSTS, is_esp, is_resolution

pytestmark = pytest.mark.skipif(bool(strongswan.missing()),
                                reason=f"not there: {' '.join(strongswan.missing())}")

INNER6 = "2001:db8:203::5"
TUNNEL_MTU = 1400  # of kernel-libipsec's interface
ENDS = {VIPA: INNER, VIPA6: INNER6}
PAGE = bytes(i * 31 % 251 for i in range(200_000))
SERVICES = {"http": {"port": 80}, "https": {"port": 443}, "echo": {"port": 7}, "post": {"port": 8080}}


@pytest.fixture
def secure(lab, cluster, request):
    """secure(…): a cluster whose VIPAs demand IPsec, a client's charon and the gateway's, SAs for both versions."""
    made = Vpn(lab)
    made.inner, made.outer = f"{INNER}/32, {INNER6}/128", f"{VIPA}/32, {VIPA6}/128"

    def begin(count=3, protects_link=False, **options):
        options.setdefault("mtu", LINK_MTU_ESP if protects_link else 1600)
        both = cluster(count=count, services=SERVICES, **options)
        made.prepare_ike()
        lab.outside.run("ip", "address", "add", f"{INNER6}/128", "dev", "lo", "nodad")
        if protects_link:
            both.protect_link()
        both.start()
        made.begin()
        return both
    yield begin
    made.stop()
    report = getattr(request.node, "report_call", None)
    for charon in made.charons:
        if report is not None and report.failed:
            print(f"--- {charon.log_path}\n{charon.log()[-4000:]}")


def serve(lab, both):
    """Pages, over TLS and plain, and a place to post to; the certificate's path."""
    paths = certificate(lab, (VIPA, VIPA6))
    for target in both.targets:
        nginx(lab, target.name, {"page": PAGE, "who": target.name.encode()}, ipv6=True, tls=paths)
        target.namespace.start("/usr/bin/python3", "-c", POSTS)
        wait_until(lambda: is_listening(target.namespace, 8080), what="the server")
    return paths[0]


def fetch(lab, vipa, path, scheme="http", *options, port=None, timeout=20):
    host = (f"[{vipa}]" if ":" in vipa else vipa) + (f":{port}" if port else "")
    return curl(lab.outside, f"{scheme}://{host}/{path}", "--interface", ENDS[vipa], *options, timeout=timeout)


def ask_many(lab, count, vipa=VIPA):
    """{name: connections} of so many TCP connections by IPsec."""
    return json.loads(lab.outside.run("/usr/bin/python3", "-B", LAB / "many_connections.py", vipa, 7, count, 8, ENDS[vipa],
                                      timeout=120))


def is_inside(frame):
    """ESP in UDP, IKE or address resolution: what may be outside."""
    if frame[12:14] == b"\x08\x00" and frame[23] == 17:
        return NAT_T in (int.from_bytes(frame[34:36], "big"), int.from_bytes(frame[36:38], "big"))
    return frame[12:14] == b"\x08\x00" and int.from_bytes(frame[20:22], "big") & 0x1fff or is_resolution(frame)


@pytest.mark.parametrize("protects_link", [False, True])
def test_pages_through_distributor_and_targets(lab, secure, protects_link):
    """D1 D4 D5 D6 D9 D10: over TLS and plain, IPv4 and IPv6, from each of three targets, byte for byte; outside there
    is ESP alone, on the link GRE with the keys of secure connections (or ESP there, too), and no target answers
    straight."""
    both = secure(protects_link=protects_link, scheduling="wrr")
    trust = serve(lab, both)
    outside, link = lab.outside.wire("eth0"), [lab["link"].wire(end) for end in ("hv1", "t1", "t2", "t3")]
    targets_outside = [lab.outside.wire(f"lan{index + 1}") for index in range(3)]
    for vipa in (VIPA, VIPA6):
        for scheme, options in (("http", ()), ("https", ("--cacert", trust))):
            names = {fetch(lab, vipa, "who", scheme, *options)[1] for _ in range(3)}
            assert names == {b"t1", b"t2", b"t3"}, (vipa, scheme)
            assert fetch(lab, vipa, "page", scheme, *options) == (0, PAGE), (vipa, scheme)
    seen = outside.drain()
    assert sum(map(len, seen)) > 4 * len(PAGE)
    assert not [Ether(frame).summary() for frame in seen if not is_inside(frame)]
    frames = [frame for wire in link for frame in wire.drain(0.01) if not is_resolution(frame)]
    if protects_link:
        assert all(is_esp(frame) for frame in frames)
    else:
        tunnels = [Ether(frame) for frame in frames if frame[36:38] in (b"\x08\x00", b"\x86\xdd")]
        assert {packet[GRE].key for packet in tunnels} == {
            target.key(SECURE, direction) for target in both.targets for direction in (TO_TARGET, TO_DISTRIBUTOR)}
        ends = {(packet[GRE].payload.src, packet[GRE].payload.dst) for packet in tunnels if TCP in packet}
        assert ends == {pair for vipa, inner in ENDS.items() for pair in ((vipa, inner), (inner, vipa))}
    for wire in targets_outside:
        assert not [frame for frame in wire.drain() if IP in Ether(frame) and Ether(frame)[IP].src == VIPA
                    or IPv6 in Ether(frame) and Ether(frame)[IPv6].src == VIPA6]
    for target in both.targets:
        packets = target.daemon.cli("target")["packets"]
        assert packets["secure"] > 10 and packets["to_distributor"] > 10
        assert packets["plain"] == packets["direct"] == packets["decrypted"] == 0
        assert target.daemon.drops()["target_flow"] == 0


def test_sizes_through_distributor_and_targets(lab, secure):
    """D13 D10: two megabytes posted and as many back, over IPv4 and IPv6, through ESP, GRE and ESP again, and pings
    with DF of all that the client's own tunnel takes: nothing stalls, nothing is lost for its size."""
    both = secure(count=1, protects_link=True)
    serve(lab, both)
    body = hashlib.shake_256(b"seed").digest(2 << 20)
    path = lab.write("body", "")
    path.write_bytes(body)
    for vipa in (VIPA, VIPA6):
        code, answer = fetch(lab, vipa, "post", "http", "-H", "Expect:", "--data-binary", f"@{path}", port=8080, timeout=60)
        assert code == 0 and answer == body[::-1], vipa
    assert ping(lab.outside, VIPA, size=TUNNEL_MTU - 28, options=("-M", "do", "-I", INNER))
    assert ping(lab.outside, VIPA6, size=TUNNEL_MTU - 48, options=("-M", "do", "-I", INNER6))
    for daemon in (lab.daemon, both.targets[0].daemon):
        drops = daemon.drops()
        assert drops["tx_too_big"] == drops["gre_too_big"] == drops["vipa_too_big"] == 0


def test_target_killed_under_secure_traffic(lab, secure):
    """D14 D9: connections of the target whose packet role stands still, and dies, are reset, by IPsec; others go on,
    whoever comes is served by the others, and by all when it is back."""
    both = secure(scheduling="wrr", heartbeat="1s")
    both.serve_echo()
    assert set(ask_many(lab, 30)) == {"t1", "t2", "t3"}
    connections = [Connection(lab.outside, vipa, source=ENDS[vipa]) for vipa in (VIPA, VIPA6) for _ in range(6)]
    assert {connection.name for connection in connections} == {"t1", "t2", "t3"}
    victim = both.targets[0].daemon
    pid = both.silence(0)
    for connection in connections:
        if connection.name == "t1":
            with pytest.raises(ConnectionError):
                wait_until(lambda connection=connection: not connection.echo(), what="the reset")
        else:
            assert connection.echo()
    assert set(ask_many(lab, 30)) == {"t2", "t3"}
    os.kill(pid, signal.SIGKILL)
    victim.wait_role("packet", pid)
    wait_until(lambda: both.up() == {"t1", "t2", "t3"}, 20, what="the target's return")
    assert set(ask_many(lab, 30, VIPA6)) == {"t1", "t2", "t3"}
    assert all(connection.echo(bytes(100_000)) for connection in connections if connection.name != "t1")


def test_target_drained_under_secure_traffic(lab, secure):
    """D2 D9: drained, it keeps what it has, and gets nothing new; undone, its share again."""
    both = secure(scheduling="wrr")
    both.serve_echo()
    connections = [Connection(lab.outside, source=INNER) for _ in range(6)]
    assert lab.daemon.command("distributor", "drain", "t2").returncode == 0
    assert set(ask_many(lab, 40)) == {"t1", "t3"} and set(ask_many(lab, 40, VIPA6)) == {"t1", "t3"}
    assert all(connection.echo(bytes(50_000)) for connection in connections)
    assert "t2" in {connection.name for connection in connections}
    assert lab.daemon.command("distributor", "drain", "t2", "--undo").returncode == 0
    wait_until(lambda: set(ask_many(lab, 20)) == {"t1", "t2", "t3"}, what="its share")


def test_nothing_of_secure_connections_in_clear(lab, secure):
    """D3 D7: the same client in clear is refused, and a target's answer to its connection with the key of plain ones
    is refused as well."""
    both = secure(count=1)
    both.serve_echo()
    target = both.targets[0]
    connection = Connection(lab.outside, source=INNER)
    assert connection.echo()
    port = connection.socket.getsockname()[1]
    mac = lab.daemon.cli("ports", "xcf0")["port"]["mac"]
    forged = IP(src=VIPA, dst=INNER) / TCP(sport=7, dport=port, flags="R", seq=1)
    frame = Ether(src="52:54:00:00:99:01", dst=mac) / IP(src=target.address, dst="198.51.100.1")
    before = lab.daemon.drops()["gre_unknown"]
    lab["link"].wire("br0").send(frame / GRE(key_present=1, key=target.key(1, TO_DISTRIBUTOR), proto=0x0800) / forged)
    wait_until(lambda: lab.daemon.drops()["gre_unknown"] == before + 1, what="the refusal")
    assert curl(lab.outside, f"http://{VIPA}/", "--interface", "lan0", timeout=2)[0] != 0
    assert lab.daemon.drops()["vipa_plain"] > 0
    assert connection.echo()
