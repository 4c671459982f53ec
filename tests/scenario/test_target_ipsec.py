# SPDX-License-Identifier: BSD-3-Clause
"""A target's own IPsec, against scapy's ESP: what did not come by IPsec to the distributor goes straight out, as the
target's policies have it; what comes by ESP to the target's own address gets to the host.

    outside: lan0 (bridge) 192.0.2.100 (ESP)
      ├─ hv1: bulkheadd (distributor), VIPAs 192.0.2.80, 2001:db8:2::80, in clear ──xcf0══╗ GRE
      └─ t1: bulkheadd (target), ESP as 192.0.2.21 or as the VIPA ────────────────xcf0════╝
"""

import socket

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab.distributor import OUTSIDE6, VIPA, VIPA6
from lab.esp_client import Agreement, EspClient, section
from lab.netns import wait_until
from lab.topology import OUTSIDE_ADDRESS

STATION, STATION6 = "192.0.2.21", "2001:db8:2::21"
ECHO = {"udp": {"port": 7, "protocol": "udp"}, "late": {"port": 9, "protocol": "udp"}}
LATE = """
import socket, sys
handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
handle.bind((sys.argv[1], 9))
print("ready", flush=True)
data, client = handle.recvfrom(2000)
print("got", flush=True)
sys.stdin.readline()
handle.sendto(b"late " + data, client)
"""


@pytest.fixture
def protecting(cluster):
    """protecting(agreement, …): a cluster of one target, which protects what the VIPA, or another selector, says."""
    def begin(agreement, **selector):
        one = cluster(count=1, services=ECHO)
        target = one.targets[0]
        policy = agreement.policy(**{"local": VIPA, **selector})
        target.change(ipsec=section(one.lab.folder / "t1.esp", [agreement], policies={"client": policy}))
        one.start()
        one.serve_echo()
        return one
    return begin


def mac_of(namespace, address):
    """The hardware address that neighbours learn of it."""
    def find():
        namespace.run("ping", "-n", "-c", "1", "-W", "1", address, check=False)
        words = namespace.run("ip", "neighbour", "show", address).split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else None
    return wait_until(find, what=f"the hardware address of {address}")


def client_of(lab, agreement, address):
    own = lab.outside.run("cat", "/sys/class/net/lan0/address").strip()
    return EspClient(lab.outside, agreement, own, mac_of(lab.outside, address), "lan0")


def ask(client, vipa, data, port=7, sport=5000):
    ip = IPv6 if ":" in vipa else IP
    return ip(src=client, dst=vipa) / UDP(sport=sport, dport=port) / Raw(data)


def packets(target):
    return target.daemon.cli("target")["packets"]


@pytest.mark.parametrize("vipa,client,own,mode", [
    (VIPA, OUTSIDE_ADDRESS, STATION, "tunnel"), (VIPA, OUTSIDE_ADDRESS, VIPA, "transport"),
    (VIPA6, OUTSIDE6, STATION6, "tunnel"), (VIPA6, OUTSIDE6, VIPA6, "transport"),
    (VIPA6, OUTSIDE_ADDRESS, STATION, "tunnel")])
def test_what_came_in_clear_is_answered_by_the_targets_own_ipsec(lab, protecting, vipa, client, own, mode):
    """D9: the client's question comes in clear to the distributor, and by GRE to the target; its answer leaves the
    target itself, in ESP, and nothing of it is in clear or on the link."""
    agreement = Agreement(client, own, mode=mode)
    inner = OUTSIDE6 if ":" in vipa else client
    one = protecting(agreement, local=vipa, remote=inner)
    peer = client_of(lab, agreement, own if own in (STATION, STATION6) else vipa)
    plain, link = lab.outside.wire("lan0"), lab["link"].wire("t1")
    distributor = mac_of(lab.outside, vipa)

    def answered():
        plain.send(Ether(src=peer.ethernet.src, dst=distributor) / ask(inner, vipa, b"a question"))
        return peer.expect(lambda packet: UDP in packet, 1)
    answer = wait_until(answered, what="the answer in ESP")
    assert bytes(answer[UDP].payload) == b"t1 a question" and answer[UDP].sport == 7
    seen = [Ether(frame) for frame in plain.drain()]
    assert {frame.src for frame in seen if ESP in frame} == {mac_of(lab.outside, STATION)}
    assert not any(b"t1 a question" in bytes(frame) for frame in seen)
    assert not any(b"t1 a question" in frame for frame in link.drain(0.01))
    assert packets(one.targets[0])["direct"] > 0 and packets(one.targets[0])["to_distributor"] == 0
    sas = {row["direction"]: row["packets"] for row in one.targets[0].daemon.cli("ipsec", "sas")["sas"]}
    assert sas["out"] > 0 and sas["in"] == 0


def test_esp_to_the_target_itself(lab, protecting):
    """D9 D3: what comes by ESP to the target's own address is decrypted and given to the host; its answers go
    back so. When policies are gone, they do not leave in clear."""
    agreement = Agreement(OUTSIDE_ADDRESS, STATION)
    one = protecting(agreement)
    target = one.targets[0]
    peer = client_of(lab, agreement, STATION)
    peer.send(ask(OUTSIDE_ADDRESS, VIPA, b"a question"))
    assert bytes(peer.expect(lambda packet: UDP in packet)[UDP].payload) == b"t1 a question"
    assert packets(target)["decrypted"] == packets(target)["direct"] == 1
    assert packets(target)["plain"] == packets(target)["secure"] == 0
    late = target.namespace.start("/usr/bin/python3", "-c", LATE, VIPA, stdin=-1, stdout=-1, text=True)
    assert late.stdout.readline() == "ready\n"
    peer.send(ask(OUTSIDE_ADDRESS, VIPA, b"and another", 9))
    assert late.stdout.readline() == "got\n"

    def bypass(config):
        config["ipsec"]["policies"] = {}
        config["ipsec"]["unmatched"] = "bypass"
    target.daemon.apply(bypass)
    plain = lab.outside.wire("lan0")
    late.stdin.write("go\n")
    late.stdin.flush()
    wait_until(lambda: target.daemon.drops()["ipsec_required"] == 1, what="the refusal")
    assert not any(b"late" in frame for frame in plain.drain())


def test_wrong_packets_to_the_target_itself(lab, protecting):
    """D9 D8 D16: each is dropped under its own reason, and the host hears of none."""
    agreement = Agreement(OUTSIDE_ADDRESS, STATION)
    one = protecting(agreement)
    target = one.targets[0]
    peer = client_of(lab, agreement, STATION)

    def dropped(reason, count=1):
        wait_until(lambda: target.daemon.drops()[reason] >= count, what=f"{reason}")
    sealed = peer.send(ask(OUTSIDE_ADDRESS, VIPA, b"right"))
    assert peer.expect(lambda packet: UDP in packet)
    peer.send_sealed(sealed)
    dropped("ipsec_replay")
    forged = peer.seal(ask(OUTSIDE_ADDRESS, VIPA, b"forged"))
    forged[ESP].data = forged[ESP].data[:-1] + bytes([forged[ESP].data[-1] ^ 1])
    peer.send_sealed(forged)
    dropped("ipsec_icv")
    unknown = peer.seal(ask(OUTSIDE_ADDRESS, VIPA, b"unknown"))
    unknown[ESP].spi ^= 0x100000
    peer.send_sealed(unknown)
    dropped("ipsec_unknown_spi")
    peer.send(ask("192.0.2.77", VIPA, b"somebody else"))
    dropped("ipsec_selector")
    before = target.daemon.drops()["target_station"]
    peer.send_sealed(ask(OUTSIDE_ADDRESS, STATION, b"in clear"))
    dropped("target_station", before + 1)
    peer.send_sealed(ask(OUTSIDE_ADDRESS, VIPA, b"in clear"))
    dropped("target_station", before + 2)

    def filter_all(config):
        config["filters"] = {"default": "accept", "rules": {
            "no": {"order": 1, "action": "drop", "protocol": "udp", "destination-ports": [7]}}}
    target.daemon.apply(filter_all)
    peer.send(ask(OUTSIDE_ADDRESS, VIPA, b"filtered"))
    dropped("filter_rule")
    target.daemon.apply(lambda config: config.pop("filters", None))
    peer.send(ask(OUTSIDE_ADDRESS, VIPA, b"last"))
    assert bytes(peer.expect(lambda packet: UDP in packet)[UDP].payload) == b"t1 last"
    assert packets(target)["decrypted"] == 2


def test_what_no_policy_names_is_discarded_or_passes(lab, protecting):
    """D9: as everywhere, by ipsec.unmatched."""
    one = protecting(Agreement("192.0.2.77", STATION))
    target = one.targets[0]
    plain = lab.outside.wire("lan0")
    distributor = mac_of(lab.outside, VIPA)
    own = lab.outside.run("cat", "/sys/class/net/lan0/address").strip()
    plain.send(Ether(src=own, dst=distributor) / ask(OUTSIDE_ADDRESS, VIPA, b"first"))
    wait_until(lambda: target.daemon.drops()["ipsec_policy"] == 1, what="the refusal")

    def bypass(config):
        config["ipsec"]["unmatched"] = "bypass"
    target.daemon.apply(bypass)

    def answered():
        plain.send(Ether(src=own, dst=distributor) / ask(OUTSIDE_ADDRESS, VIPA, b"second"))
        return plain.expect(lambda frame: b"t1 second" in frame, 1)
    assert wait_until(answered, what="the answer in clear")


def test_ike_of_the_target_is_the_hosts(lab, cluster):
    """D9: a manager of keys on the target speaks as its own address: the host has it on lo, and gets the IKE that is
    sent there; its answers leave by gateway.host."""
    one = cluster(count=1, services=ECHO)
    target = one.targets[0]
    for key, value in (("arp_ignore", 1), ("arp_announce", 2)):
        target.namespace.sysctl(f"net.ipv4.conf.all.{key}", value)
    target.namespace.run("ip", "address", "add", f"{STATION}/32", "dev", "lo")
    gateway = {**target.daemon.config["gateway"],
               "host": {"interface": "sea0", "vlan": 10, "addresses": ["192.0.2.31/24"]}}
    target.change(gateway=gateway)
    one.start()

    def listen():
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        handle.bind((STATION, 500))
        handle.settimeout(5)
        return handle
    ike = target.namespace.inside(listen)

    def make():
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        handle.settimeout(5)
        handle.connect((STATION, 500))
        return handle
    client = lab.outside.inside(make)
    client.send(b"an offer")
    data, sender = ike.recvfrom(100)
    assert data == b"an offer"
    ike.sendto(b"taken", sender)
    assert client.recv(100) == b"taken"
    assert lab.outside.run("ip", "neighbour", "show", STATION).count(mac_of(lab.outside, STATION)) == 1
