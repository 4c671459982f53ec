# SPDX-License-Identifier: BSD-3-Clause
"""Trusted links: ESP around GRE where that is demanded, and nothing of a link anywhere else.

    outside: lan0 (bridge) 192.0.2.100
      ├─ hv1: bulkheadd (distributor) ──xcf0══╗ ESP(GRE), static SAs between 198.51.100.1
      ├─ t1: bulkheadd (target) ────────xcf0══╬ and each target's own address
      └─ t2: bulkheadd (target) ────────xcf0══╝ br0 (namespace link)
"""

import hashlib
import os
import signal
import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RS, ICMPv6MLReport2, IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, GRE, Dot1Q, Ether
from scapy.packet import Raw

from lab.cluster import LINK_MTU_ESP
from lab.distributor import (CONTROL, DISTRIBUTOR, PLAIN, TO_DISTRIBUTOR, TO_TARGET, VIPA, VIPA6, Connection,
                             target_address)
from lab.netns import CommandFailed, wait_until
from lab.peers import curl, is_listening, nginx, ping
from lab.topology import HOST_ADDRESS, OUTSIDE_ADDRESS, PARTITIONS
from tests.scenario.test_cluster import PAGE, ask_many, url
from tests.scenario.test_target import POST_SERVER

POSTS = POST_SERVER.replace("(sys.argv[1], 80), Handler)", '("::", 8080), Handler)').replace(
    "import hashlib, http.server, sys",
    "import http.server, socket; http.server.ThreadingHTTPServer.address_family = socket.AF_INET6")
SERVICES = {"http": {"port": 80}, "echo": {"port": 7}, "post": {"port": 8080}}
SUITES = [("aes-gcm-16", "none"), ("aes-cbc", "sha2-512-256")]
STRANGER = "52:54:00:00:99:01"


def is_esp(frame):
    return frame[12:14] == b"\x08\x00" and frame[23] == 50


def is_resolution(frame):
    packet = Ether(frame)
    return ARP in packet or any(layer in packet for layer in (ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RS, ICMPv6MLReport2))


def macs(lab, both):
    """Hardware addresses on the link, by daemon."""
    return {name: daemon.cli("ports", "xcf0")["port"]["mac"]
            for name, daemon in [("hv1", lab.daemon)] + [(target.name, target.daemon) for target in both.targets]}


@pytest.mark.parametrize("cipher,integrity", SUITES)
def test_wire_of_a_protected_link_shows_esp_alone(lab, cluster, cipher, integrity):
    """D10 D6 D14: pages, connections and heartbeats, of IPv4 and IPv6; on the link there is nothing but ESP and
    address resolution."""
    both = cluster(mtu=LINK_MTU_ESP, services=SERVICES)
    both.protect_link(cipher=cipher, integrity=integrity)
    wires = [lab["link"].wire(end) for end in ("hv1", "t1", "t2")]
    both.start()
    for target in both.targets:
        nginx(lab, target.name, {"page": PAGE}, ipv6=True)
    for vipa in (VIPA, VIPA6):
        for _ in range(2):
            assert curl(lab.outside, url("page", vipa)) == (0, PAGE)
    frames = [frame for wire in wires for frame in wire.drain(0.01)]
    assert not [Ether(frame).summary() for frame in frames if not is_esp(frame) and not is_resolution(frame)]
    ends = {frame[26:34] for frame in frames if is_esp(frame)}
    pairs = {(socket.inet_ntoa(pair[:4]), socket.inet_ntoa(pair[4:])) for pair in ends}
    # Of each of four connections SYN, ACK, request and FIN, at either end; how often it acknowledges is its own affair.
    assert sum(map(is_esp, frames)) >= 4 * 4 * 2
    assert pairs == {pair for target in both.targets
                     for pair in ((target.address, DISTRIBUTOR), (DISTRIBUTOR, target.address))}
    for daemon in [lab.daemon] + [target.daemon for target in both.targets]:
        drops = daemon.drops()
        assert not [reason for reason in drops if drops[reason] and reason.startswith(("ipsec", "gre", "tx_too", "link_p"))]


def test_gre_in_clear_is_dropped_on_a_protected_link(lab, cluster):
    """D10 D7: with the right key, sender, link and connection, and in clear: its own reason, at both ends. So is ESP
    that is forged, of nobody's SPI, or has in it what it must not."""
    both = cluster(mtu=LINK_MTU_ESP, services=SERVICES)
    agreement = both.protect_link()[0]
    both.start()
    both.serve_echo()
    target = both.targets[0]
    mac = macs(lab, both)
    wire = lab["link"].wire("br0")
    before = target.daemon.cli("target")["packets"]["plain"]
    inner = IP(src=OUTSIDE_ADDRESS, dst=VIPA) / TCP(sport=4000, dport=7, flags="S")
    plain = Ether(src=mac["hv1"], dst=mac["t1"]) / IP(src=DISTRIBUTOR, dst=target.address) / GRE(
        key_present=1, key=target.key(PLAIN, TO_TARGET), proto=0x0800) / inner
    wire.send(plain)
    wait_until(lambda: target.daemon.drops()["link_plain"] == 1, what="the target's refusal")
    assert target.daemon.cli("target")["packets"]["plain"] == before
    for kind in (PLAIN, CONTROL):
        wire.send(Ether(src=mac["t1"], dst=mac["hv1"]) / IP(src=target.address, dst=DISTRIBUTOR) / GRE(
            key_present=1, key=target.key(kind, TO_DISTRIBUTOR), proto=0x0800) / inner)
    wait_until(lambda: lab.daemon.drops()["link_plain"] == 2, what="the distributor's refusal")
    esp = Ether(src=mac["t1"], dst=mac["hv1"]) / IP(src=target.address, dst=DISTRIBUTOR, proto=50)
    wire.send(esp / ESP(spi=agreement.spi(True), seq=1 << 20, data=bytes(64)))
    wire.send(esp / ESP(spi=0x123456, seq=1, data=bytes(64)))
    wait_until(lambda: lab.daemon.drops()["ipsec_icv"] == 1 and lab.daemon.drops()["ipsec_unknown_spi"] == 1,
               what="the refusal of ESP")
    with Connection(lab.outside) as connection:
        assert connection.echo()


@pytest.mark.parametrize("mtu", [1500, LINK_MTU_ESP])
def test_sizes_on_a_protected_link(lab, cluster, mtu):
    """D10 D13: two megabytes posted and as many back, over IPv4 and IPv6, and pings of 1,500 bytes with DF: nothing
    stalls, nothing is too large for the link, with the largest of all algorithms."""
    both = cluster(count=1, mtu=mtu, services=SERVICES)
    both.protect_link(cipher="aes-cbc", integrity="sha2-512-256")
    both.start()
    target = both.targets[0]
    target.namespace.start("/usr/bin/python3", "-c", POSTS)
    wait_until(lambda: is_listening(target.namespace, 8080), what="the server")
    assert ping(lab.outside, VIPA, size=1472, options=("-M", "do"))
    assert ping(lab.outside, VIPA6, size=1452, options=("-M", "do"))
    body = hashlib.shake_256(b"seed").digest(2 << 20)
    path = lab.write("body", "")
    path.write_bytes(body)
    for vipa in (VIPA, VIPA6):
        host = f"[{vipa}]" if ":" in vipa else vipa
        code, answer = curl(lab.outside, f"http://{host}:8080/post", "-H", "Expect:", "--data-binary", f"@{path}",
                            timeout=30)
        assert code == 0 and answer == body[::-1], vipa
    for daemon in (lab.daemon, target.daemon):
        assert daemon.drops()["tx_too_big"] == daemon.drops()["ipsec_too_big"] == 0


def test_protected_link_over_deaths(lab, cluster):
    """D10 D14 D16: a target's packet role, then the distributor's, is killed: the link's SAs come back behind the
    numbers that they had, reports are believed again, and connections are served."""
    both = cluster(mtu=LINK_MTU_ESP, services=SERVICES, scheduling="wrr", heartbeat="1s")
    both.protect_link()
    both.start()
    both.serve_echo()
    assert set(ask_many(lab, 40)) == {"t1", "t2"}
    victim = both.targets[0].daemon
    pid = both.silence(0)
    os.kill(pid, signal.SIGKILL)
    victim.wait_role("packet", pid)
    wait_until(lambda: both.up() == {"t1", "t2"}, 20, what="the target's return")
    assert set(ask_many(lab, 40)) == {"t1", "t2"}
    lab.daemon.wait_role("packet", lab.daemon.kill_role("packet"))
    wait_until(lambda: both.up() == {"t1", "t2"}, 20, what="the targets' reports")
    assert set(ask_many(lab, 40)) == {"t1", "t2"}
    assert lab.daemon.drops()["link_plain"] == victim.drops()["link_plain"] == 0


def test_protection_without_associations_lets_nothing_out(lab, cluster):
    """D10: where the SAs are missing nothing leaves for the link in clear, whatever ipsec.unmatched says; and a
    configuration without IPsec at all is refused, with the reason."""
    one = cluster(count=1, services=SERVICES)
    target = one.targets[0]
    target.change(ipsec={"unmatched": "bypass"}, target={**target.daemon.config["target"], "link-security": "required"})
    wire = lab["link"].wire("t1")
    target.daemon.start()
    wait_until(lambda: target.daemon.drops()["ipsec_required"] == 0 and wire.expect(lambda frame: ARP in Ether(frame), 1),
               what="the target's question")
    ask = next(Ether(frame) for frame in iter(lambda: wire.receive(5), None) if ARP in Ether(frame))
    wire.send(Ether(src=STRANGER, dst=ask.src) / ARP(op=2, hwsrc=STRANGER, psrc=DISTRIBUTOR, hwdst=ask.src,
                                                   pdst=target.address))
    wait_until(lambda: target.daemon.drops()["ipsec_required"] >= 2, what="the refusal of reports")
    assert not [frame for frame in wire.drain(0.01) if GRE in Ether(frame)]

    def without(config):
        del config["ipsec"]
    with pytest.raises(CommandFailed, match="target.link-security: required needs the section ipsec"):
        target.daemon.apply(without)


def test_links_bridge_nothing(lab, cluster):
    """D10: what comes by a link gets to no partition, to no host and not outside, whomever it is addressed to, and
    what these send does not get to the link: broadcast, group, unknown and known unicast, tagged or not, IPv4, IPv6
    and ARP, in ESP's place or not."""
    one = cluster(count=1, services=SERVICES)
    one.start()
    assert ping(lab["web"], OUTSIDE_ADDRESS) and ping(lab["web"], HOST_ADDRESS)
    link, others = lab["link"].wire("br0"), {name: lab[name].wire("eth0") for name in ("web", "db")}
    others["outside"], others["t1 outside"] = lab.outside.wire("lan0"), lab.outside.wire("lan1")
    host = lab.hv1.wire("sea0")
    web_mac = PARTITIONS["web"][1]
    host_mac = lab.hv1.run("cat", "/sys/class/net/sea0/address").strip()
    mark = b"of the link " * 4
    for destination in ("ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:05", "33:33:00:00:00:05", "52:54:00:00:77:77", web_mac,
                        host_mac, *macs(lab, one).values()):
        ethernet = Ether(src=STRANGER, dst=destination)
        for payload in (IP(src="192.0.2.66", dst=PARTITIONS["web"][2]) / UDP(sport=1, dport=2) / Raw(mark),
                        IP(src="192.0.2.66", dst=VIPA) / UDP(sport=1, dport=7) / Raw(mark),
                        IPv6(src="2001:db8:2::66", dst=VIPA6) / UDP(sport=1, dport=7) / Raw(mark),
                        IP(src=target_address(0), dst=DISTRIBUTOR, proto=50) / Raw(mark),
                        ARP(op=1, hwsrc=STRANGER, psrc="192.0.2.66", pdst=HOST_ADDRESS) / Raw(mark), Raw(mark)):
            link.send(ethernet / payload)
            link.send(ethernet / Dot1Q(vlan=10) / payload)
    wait_until(lambda: lab.daemon.drops()["link_unknown"] > 20, what="the frames to be refused")
    for name, wire in [*others.items(), ("host", host)]:
        seen = wire.drain(0.1)
        assert not [Ether(frame).summary() for frame in seen if mark in frame or bytes.fromhex(STRANGER.replace(":", "")) in frame], name
    for name in ("web", "outside"):
        interface = "eth0" if name == "web" else "lan0"
        own = lab[name].run("cat", f"/sys/class/net/{interface}/address").strip() if name != "outside" else \
            lab.outside.run("cat", "/sys/class/net/lan0/address").strip()
        for destination in ("ff:ff:ff:ff:ff:ff", macs(lab, one)["hv1"], "52:54:00:00:77:77"):
            others[name].send(Ether(src=own, dst=destination) / Raw(b"not for the link " * 4))
    assert ping(lab["web"], OUTSIDE_ADDRESS)
    assert not [frame for frame in link.drain(0.01) if b"not for the link" in frame]
