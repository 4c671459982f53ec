# SPDX-License-Identifier: BSD-3-Clause
"""A target with its distributor. The distributor is a Python program (lab/target.py), so that the
target is held against something that was not written with it:

    outside ──eth0══eth1(uplink)── hv1: bulkheadd ── vipa0 (hidden): 192.0.2.80, 2001:db8::80 ── nginx
    192.0.2.100                          │ xcf1 198.51.100.11
        │eth2                            ║ GRE
        ╚══════eth9── peer ──xcf0════════╝
                      198.51.100.1   (forwards what comes by eth9 into GRE)

The client's route to the virtual address leads to the peer, as it would to a distributor; answers in clear come
straight from hv1.
"""

import hashlib
import json

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.packet import Raw

from lab.appliance import key_file
from lab.distributor import CONTROL, PLAIN, SECURE, TO_DISTRIBUTOR, TO_TARGET
from lab.netns import veth, wait_until
from lab.peers import curl, is_listening, nginx
from lab.target import Distributor, Relay

SECRET = bytes(range(16))
KEY = "1 000102030405060708090a0b0c0d0e0f\n"
VIPA, VIPA6 = "192.0.2.80", "2001:db8::80"
CLIENT, CLIENT6 = "192.0.2.100", "2001:db8::100"
STATION, STATION6 = "192.0.2.21", "2001:db8::21"
ENDS = {4: ("198.51.100.1", "198.51.100.11"), 6: ("2001:db8:51::1", "2001:db8:51::11")}
PAGE = b"".join(b"line %06d of a page\n" % i for i in range(20000))
LINK_MTU = 1600


def url(path, address=VIPA):
    return f"http://[{address}]/{path}" if ":" in address else f"http://{address}/{path}"


@pytest.fixture
def target(lab):
    """target(outer version): the lab with hv1 as a target; the daemon is not started."""
    def begin(outer=4, mtu=LINK_MTU, **section):
        distributor, local = ENDS[outer]
        peer = lab.namespace("peer")
        for namespace in (lab.hv1, lab.outside, peer):
            namespace.sysctl("net.ipv6.conf.all.disable_ipv6", 0)
            namespace.sysctl("net.ipv6.conf.default.disable_ipv6", 0)
            namespace.sysctl("net.ipv6.conf.default.accept_dad", 0)
            namespace.sysctl("net.ipv6.conf.all.accept_dad", 0)
        veth(peer, "xcf0", lab.hv1, "xcf1", mtu)
        veth(lab.outside, "eth2", peer, "eth9")
        lab.outside.run("ip", "address", "add", f"{CLIENT6}/64", "dev", "eth0", "nodad")
        lab.config["adapters"]["xcf1"] = {"device": "netdev:xcf1", "kind": "xcf", "mtu": mtu}
        lab.config["target"] = {
            "link": "xcf1", "local": local, "distributors": [distributor],
            "key-file": str(key_file(lab.folder / "target.keys", KEY)), "vipas": [VIPA, VIPA6],
            "services": {"web": {"port": 80}},
            "direct": {"vlan": 10, "addresses": [f"{STATION}/24", f"{STATION6}/64"]}, **section}
        return peer
    return begin


@pytest.fixture
def forward(lab):
    """forward(peer, kind): has a Relay (of forward.relays) take the client's packets to the VIPAs; returns the keys by
    direction."""
    relays = []

    def begin(peer, kind, outer=4, client=CLIENT):
        lab.outside.run("ethtool", "-K", "eth2", "tx", "off", "tso", "off", "gso", "off")
        mac = peer.run("cat", "/sys/class/net/eth9/address").strip()
        for vipa, source in ((VIPA, client), (VIPA6, CLIENT6)):
            lab.outside.run("ip", "neigh", "add", vipa, "lladdr", mac, "dev", "eth2", "nud", "permanent")
            lab.outside.run("ip", "route", "add", vipa, "dev", "eth2", "src", source)
        relay = Relay(peer.wire("xcf0"), SECRET, *ENDS[outer], peer.wire("eth9"),
                      lab.outside.run("cat", "/sys/class/net/eth2/address").strip(), kind).start()
        relays.append(relay)
        wait_until(lambda: relay.target_mac, what="the target's first report")
        return {direction: relay.key(kind, direction) for direction in (TO_TARGET, TO_DISTRIBUTOR)}
    begin.relays = relays
    yield begin
    for relay in relays:
        relay.stop()


def serve(lab):
    """nginx on all addresses of hv1."""
    nginx(lab, "hv1", {"page": PAGE}, ipv6=True)


def status(daemon):
    return daemon.cli("target")


def drain(wire, match, quiet=0.3):
    """The frames for which match(frame) is true, until none came for `quiet` seconds."""
    frames = []
    while (frame := wire.expect(lambda frame: match(Ether(frame)), quiet)) is not None:
        frames.append(Ether(frame))
    return frames


def is_gre(frame):
    """GRE with IP inside: no heartbeat."""
    return GRE in frame and frame[GRE].proto in (0x0800, 0x86dd)


def is_from(vipa):
    layer = IPv6 if ":" in vipa else IP
    return lambda frame: layer in frame and GRE not in frame and frame[layer].src == vipa


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("vipa", [VIPA, VIPA6])
def test_what_came_by_ipsec_is_answered_in_gre(lab, target, forward, outer, vipa):
    """D9 D6: the page comes back byte for byte through GRE with the key of secure connections, of all packets, and
    not one leaves through the physical adapter."""
    peer = target(outer)
    lab.start()
    serve(lab)
    keys = forward(peer, SECURE, outer)
    link, outside = peer.wire("xcf0"), lab.outside.wire("eth0")
    assert curl(lab.outside, url("page", vipa)) == (0, PAGE)
    answers = drain(link, is_gre)
    assert len(answers) > 100
    assert {frame[GRE].key for frame in answers} == {keys[TO_DISTRIBUTOR]}
    assert {(frame[GRE].chksum_present, frame[GRE].seqnum_present, frame[GRE].version) for frame in answers} == {(0, 0, 0)}
    inner = IPv6 if ":" in vipa else IP
    assert {frame[GRE].payload[inner].src for frame in answers} == {vipa}
    assert drain(outside, is_from(vipa)) == []
    packets = status(lab.daemon)["packets"]
    # SYN, acknowledgement, request and end at least; how often the client acknowledges is its own affair.
    assert packets["secure"] == forward.relays[0].forwarded > 3 and packets["to_distributor"] >= len(answers)
    assert packets["plain"] == packets["direct"] == 0


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("vipa", [VIPA, VIPA6])
def test_what_came_in_clear_is_answered_straight(lab, target, forward, outer, vipa):
    """D9: the page comes straight from the target, byte for byte, from the station's hardware address and the
    VIPA's IP address; no answer goes over the link."""
    peer = target(outer)
    lab.start()
    serve(lab)
    forward(peer, PLAIN, outer)
    link, outside = peer.wire("xcf0"), lab.outside.wire("eth0")
    assert curl(lab.outside, url("page", vipa)) == (0, PAGE)
    assert drain(link, is_gre) == []
    frames = drain(outside, is_from(vipa))
    assert len(frames) > 10
    senders = {frame.src for frame in frames}
    assert len(senders) == 1 and int(senders.pop()[:2], 16) & 2, "locally administered"
    packets = status(lab.daemon)["packets"]
    assert packets["plain"] > 10 and packets["direct"] > 10
    assert packets["secure"] == packets["to_distributor"] == 0


def test_client_behind_a_router_is_answered_through_it(lab, target, forward):
    """D9: straight out means to the next hop of target.direct, not to everybody."""
    peer = target()
    lab.config["target"]["direct"]["routers"] = [CLIENT]
    lab.start()
    serve(lab)
    lab.outside.run("ip", "address", "add", "198.18.0.1/32", "dev", "lo")
    forward(peer, PLAIN, client="198.18.0.1")
    assert curl(lab.outside, url("page")) == (0, PAGE)


def test_nobody_is_told_where_the_virtual_address_is(lab, target):
    """D9: it is hidden: no question for it is answered, on the physical network or on the link, by ARP or neighbour
    discovery, and the host's own interface keeps silent, too."""
    target()
    lab.start()
    asker = "52:54:00:00:aa:01"
    for wire, ours in ((lab.outside.wire("eth0"), STATION), (lab["peer"].wire("xcf0"), ENDS[4][1])):
        # The second question shows that the first one was there to be answered.
        for asked in (VIPA, ours):
            wire.send(Ether(src=asker, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=asker, psrc="192.0.2.99", pdst=asked))
        answers = drain(wire, lambda frame: ARP in frame and frame[ARP].op == 2)
        assert [answer[ARP].psrc for answer in answers] == [ours]
    assert "NOARP" in lab.hv1.run("ip", "link", "show", "vipa0")


@pytest.fixture
def python_peer(lab, target):
    """python_peer(**section): the daemon runs, and a Python program is its distributor."""
    def begin(outer=4, **section):
        peer = target(outer, **section)
        lab.start()
        return Distributor(peer.wire("xcf0"), SECRET, *ENDS[outer])
    return begin


def udp(port=53, size=100, vipa=VIPA, client=CLIENT):
    ip = IPv6 if ":" in vipa else IP
    return ip(src=client, dst=vipa) / UDP(sport=5353, dport=port) / (b"x" * size)


def test_only_gre_of_the_distributor_gets_in(lab, python_peer):
    """D7 D6: each way to be wrong is refused under its own reason, and the host sees nothing of it."""
    distributor = python_peer()
    assert wait_until(lambda: distributor.receive(0.5) or distributor.target_mac, 5)
    hidden = lab.hv1.wire("vipa0")
    seen = []

    def marker(number, packet, kind=SECURE, **wrong):
        distributor.send(packet / Raw(b"marker-%02d" % number), kind, **wrong)
        seen.append(number)

    def delivered():
        frames = b"".join(hidden.drain(0.3))
        return [number for number in seen if b"marker-%02d" % number in frames]

    marker(0, udp())
    assert hidden.expect(lambda frame: b"marker-00" in frame)
    before = lab.daemon.drops()
    key = distributor.key(SECURE)
    for number, (wrong, reason) in enumerate([
            ({"key": key ^ 1}, "gre_key"),
            ({"key": distributor.key(SECURE, TO_DISTRIBUTOR)}, "gre_key"),
            ({"gre": {"key_present": 0}}, "gre_key"),
            ({"gre": {"seqnum_present": 1}}, "gre_malformed"),
            ({"gre": {"chksum_present": 1}}, "gre_malformed"),
            ({"gre": {"routing_present": 1}}, "gre_malformed"),
            ({"gre": {"version": 1}}, "gre_malformed"),
            ({"proto": 0x86dd}, "gre_malformed"),
            ({"proto": 0x6558}, "gre_malformed"),
            ({"source": "198.51.100.2"}, "gre_sender"),
            ({"target": "198.51.100.12"}, "gre_link"),
            ({"kind": CONTROL}, "gre_heartbeat"),
    ], start=1):
        if "gre" in wrong and "key_present" in wrong["gre"]:
            frame = Ether(src=distributor.MAC, dst=distributor.target_mac) / distributor.outer() / GRE(proto=0x0800) / udp()
            distributor.wire.send(frame / Raw(b"marker-%02d" % number))
            seen.append(number)
        else:
            marker(number, udp(), **wrong)
        after = lab.daemon.drops()
        assert delivered() == [], wrong
        after = lab.daemon.drops()
        assert after[reason] == before[reason] + 1, wrong
        before = after
    for number, packet in enumerate([udp(vipa="192.0.2.81"), udp(client=VIPA), udp(client="127.0.0.1"),
                                     udp(client="224.0.0.1"), udp(vipa=VIPA6, client="::1")], start=20):
        marker(number, packet)
        assert delivered() == [], packet
    assert lab.daemon.drops()["target_address"] == before["target_address"] + 5
    assert status(lab.daemon)["distributors"][0]["refused"] == 2


def test_gre_is_taken_from_its_link_alone(lab, python_peer):
    """D7: the same frame, with the right key, through the physical adapter or from a partition, is no GRE of the
    distributor's."""
    distributor = python_peer()
    wait_until(lambda: distributor.receive(0.5) or distributor.target_mac, 5)
    hidden = lab.hv1.wire("vipa0")
    frame = distributor.wrap(udp() / Raw(b"from-elsewhere"), SECURE)
    for wire in (lab.outside.wire("eth0"), lab["web"].wire("eth0")):
        for destination in (distributor.target_mac, lab.hv1.run("cat", "/sys/class/net/sea0/address").strip()):
            frame[Ether].dst = destination
            wire.send(frame)
    assert b"from-elsewhere" not in b"".join(hidden.drain(0.5))
    distributor.wire.send(distributor.wrap(udp() / Raw(b"from-the-link"), SECURE))
    assert hidden.expect(lambda frame: b"from-the-link" in frame)


def test_reports_tell_load_and_readiness(lab, python_peer):
    """D14 D2: each report is authentic, newer than the one before, echoes the challenge of the last answer, and
    tells at once what was said by API."""
    distributor = python_peer(services={"web": {"port": 80}, "dns": {"port": 53, "protocol": "udp", "ready": False}})
    wait_until(lambda: distributor.receive(0.3) or len(distributor.reports) >= 5, 10)
    first, last = distributor.reports[0], distributor.reports[-1]
    assert first["challenge"] == 0 and last["challenge"] == distributor.challenge
    assert last["session"] == first["session"] != 0
    sequences = [report["sequence"] for report in distributor.reports]
    assert sequences == sorted(set(sequences))
    assert last["services"] == [(VIPA, 6, 80, True), (VIPA, 17, 53, False),
                                (VIPA6, 6, 80, True), (VIPA6, 17, 53, False)]
    assert status(lab.daemon)["distributors"][0]["is_up"]

    def reported(condition):
        def found():
            distributor.receive(0.05)
            return condition(distributor.reports[-1])
        wait_until(found, 3, 0, what="the report")
    assert lab.daemon.command("target", "ready", "dns").returncode == 0
    reported(lambda report: (VIPA, 17, 53, True) in report["services"])
    assert lab.daemon.command("target", "ready", "web", "false").returncode == 0
    reported(lambda report: (VIPA, 6, 80, False) in report["services"])
    assert lab.daemon.command("target", "load", "54321").returncode == 0
    reported(lambda report: report["load"] == 54321)
    assert lab.daemon.command("target", "load", "system").returncode == 0
    reported(lambda report: report["load"] != 54321)
    assert lab.daemon.command("target", "ready", "nonsense").returncode == 1


def test_silent_distributor_is_noticed(lab, python_peer):
    """D14: the other way round: a target says when nobody answers it, and when somebody does again."""
    distributor = python_peer()
    wait_until(lambda: distributor.receive(0.3) or status(lab.daemon)["distributors"][0]["is_up"], 5)
    wait_until(lambda: distributor.receive(0.3, answers=False)
               or not status(lab.daemon)["distributors"][0]["is_up"], 5)
    wait_until(lambda: distributor.receive(0.3) or status(lab.daemon)["distributors"][0]["is_up"], 5)
    lines = lab.daemon.command("events", "--type", "distributor*", "--json").stdout.splitlines()
    told = [json.loads(line)["event_type"] for line in lines]
    assert told[:3] == ["distributor_up", "distributor_down", "distributor_up"]
    lab.daemon.apply(lambda config: config["target"]["services"].update(more={"port": 81}))
    wait_until(lambda: distributor.receive(0.3) or (VIPA, 6, 81, True) in distributor.reports[-1]["services"], 5)
    wait_until(lambda: distributor.receive(0.3) or status(lab.daemon)["distributors"][0]["is_up"], 5)


def test_old_answers_are_refused(lab, python_peer):
    """D14: what somebody recorded on the link and sends again is not an answer of now."""
    distributor = python_peer()
    wait_until(lambda: distributor.receive(0.3) or len(distributor.reports) >= 3, 5)
    answers = status(lab.daemon)["distributors"][0]["answers"]
    before = lab.daemon.drops()["gre_heartbeat"]
    for report in distributor.reports[:2]:
        distributor.answer(report)
    wait_until(lambda: lab.daemon.drops()["gre_heartbeat"] == before + 2, 5)
    assert status(lab.daemon)["distributors"][0]["answers"] == answers


def test_mtu_follows_what_the_distributor_says(lab, python_peer):
    """D13: the hidden interface gets the MTU that fits into GRE and ESP, and so TCP's MSS fits from the start."""
    distributor = python_peer()
    distributor.mtu = 1399

    def mtu():
        distributor.receive(0.05)
        return int(lab.hv1.run("cat", "/sys/class/net/vipa0/mtu"))
    assert mtu() in (1280, 1399)
    wait_until(lambda: mtu() == 1399, 5, 0)
    serve(lab)
    distributor.send(IP(src=CLIENT, dst=VIPA) / TCP(sport=4000, dport=80, flags="S", options=[("MSS", 1460)]), SECURE)
    key, packet = distributor.receive(3)
    assert key == distributor.key(SECURE, TO_DISTRIBUTOR)
    assert packet[TCP].flags == "SA" and dict(packet[TCP].options)["MSS"] == 1359
    distributor.mtu = 1300
    wait_until(lambda: mtu() == 1300, 5, 0)


def test_answer_of_unknown_connection_goes_nowhere(lab, python_peer):
    """D9 D3: which way it came is not known, so it goes by none: not in clear what may have come by IPsec."""
    distributor = python_peer(services={"dns": {"port": 53, "protocol": "udp"}})
    outside = lab.outside.wire("eth0")
    wait_until(lambda: distributor.receive(0.3) or distributor.target_mac, 5)
    send = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((sys.argv[1],"
            f"int(sys.argv[2]))); s.sendto(sys.argv[3].encode(),('{CLIENT}',5353))")
    lab.hv1.run("python3", "-c", send, VIPA, 53, "lost-answer")
    wait_until(lambda: lab.daemon.drops()["target_flow"] == 1, 5)
    distributor.send(udp(), SECURE)
    key, packet = distributor.receive(3)
    assert key == distributor.key(SECURE, TO_DISTRIBUTOR)
    assert packet[ICMP].type == 3 and packet[ICMP].code == 3, "nobody listens; what is said of it goes the same way"
    lab.hv1.run("python3", "-c", send, VIPA, 53, "known-answer")
    key, packet = distributor.receive(3)
    assert key == distributor.key(SECURE, TO_DISTRIBUTOR) and bytes(packet[UDP].payload) == b"known-answer"
    # From another port it is the host's own.
    lab.hv1.run("python3", "-c", send, VIPA, 5000, "of-its-own")
    assert outside.expect(lambda frame: b"of-its-own" in frame)
    assert not [frame for frame in outside.drain() if b"lost-answer" in frame or b"known-answer" in frame]


def test_without_services_no_datagram_is_the_hosts_own(lab, python_peer):
    """D9 D3: nobody has said from which ports clients are answered, so none leaves in clear without a question."""
    distributor = python_peer(services={})
    outside = lab.outside.wire("eth0")
    wait_until(lambda: distributor.receive(0.3) or distributor.target_mac, 5)
    send = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((sys.argv[1],53));"
            f"s.sendto(sys.argv[2].encode(),('{CLIENT}',5353))")
    lab.hv1.run("python3", "-c", send, VIPA, "lost-answer")
    wait_until(lambda: lab.daemon.drops()["target_flow"] == 1, 5)
    distributor.send(udp(), PLAIN)
    assert outside.expect(lambda frame: ICMP in Ether(frame)), "nobody listens, and the client is told"
    lab.hv1.run("python3", "-c", send, VIPA, "known-answer")
    assert outside.expect(lambda frame: b"known-answer" in frame)
    assert lab.daemon.drops()["target_flow"] == 1


ANSWER = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((sys.argv[1],53)); "
          "s.sendto(b'answer to '+sys.argv[2].encode(),(sys.argv[2],5353))")


def test_who_is_waited_for_is_asked_again(lab, python_peer):
    """D9: nobody answers the question for the client's hardware address: while the one answer waits it is asked once
    more."""
    distributor = python_peer(services={"dns": {"port": 53, "protocol": "udp"}})
    wait_until(lambda: distributor.receive(0.3) or distributor.target_mac, 5)
    hidden, outside = lab.hv1.wire("vipa0"), lab.outside.wire("eth0")
    absent = "192.0.2.150"
    distributor.send(udp(client=absent), PLAIN)
    assert hidden.expect(lambda frame: IP in Ether(frame) and Ether(frame)[IP].src == absent)
    lab.hv1.run("python3", "-c", ANSWER, VIPA, absent)

    def asks(frame):
        return ARP in Ether(frame) and Ether(frame)[ARP].pdst == absent
    assert outside.expect(asks), "the question"
    assert outside.expect(asks), "the second one"
    wait_until(lambda: lab.daemon.drops()["target_unreachable"] == 1, what="the end of its patience")


def test_filters_are_asked_once(lab, python_peer):
    """D8: a rule that drops is not asked for what comes by GRE, since the distributor has asked; it is for what
    goes straight out."""
    distributor = python_peer(services={"dns": {"port": 53, "protocol": "udp"}})
    lab.daemon.apply(lambda config: config.update(filters={"rules": {
        "no-client": {"order": 10, "action": "drop", "source": [CLIENT, "192.0.2.101"]},
        "no-answer": {"order": 20, "action": "drop", "protocol": "udp", "source-ports": [53],
                      "destination": ["192.0.2.101"]}}}))
    wait_until(lambda: distributor.receive(0.3) or distributor.target_mac, 5)
    hidden, outside = lab.hv1.wire("vipa0"), lab.outside.wire("eth0")
    lab.outside.run("ip", "address", "add", "192.0.2.101/24", "dev", "eth0")
    for client in (CLIENT, "192.0.2.101"):
        mark = b"from " + client.encode()
        distributor.send(udp(client=client) / Raw(mark), PLAIN)
        assert hidden.expect(lambda frame, mark=mark: mark in frame)
    for client in ("192.0.2.101", CLIENT):
        lab.hv1.run("python3", "-c", ANSWER, VIPA, client)
    assert outside.expect(lambda frame: b"answer to " + CLIENT.encode() in frame)
    assert not [frame for frame in outside.drain() if b"answer to 192.0.2.101" in frame]
    assert lab.daemon.drops()["filter_rule"] == 1
    hits = {rule["name"]: rule["hits"] for rule in lab.daemon.cli("filters")["rules"]}
    assert hits == {"no-client": 0, "no-answer": 1}


def test_fragments_of_the_host_go_as_their_first_one(lab, python_peer):
    """D9 D13: a datagram larger than the MTU arrives whole at the distributor."""
    distributor = python_peer(services={"dns": {"port": 53, "protocol": "udp"}})
    wait_until(lambda: distributor.receive(0.3) or distributor.target_mac, 5)
    distributor.send(udp(), SECURE)
    wait_until(lambda: status(lab.daemon)["packets"]["secure"] == 1, 5)
    lab.hv1.run("python3", "-c", "import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); "
                f"s.bind(('{VIPA}',53)); s.sendto(bytes(range(256))*16,('{CLIENT}',5353))")
    pieces = {}
    while sum(map(len, pieces.values())) < 4096 + 8:
        key, packet = distributor.receive(3)
        assert key == distributor.key(SECURE, TO_DISTRIBUTOR)
        pieces[packet[IP].frag * 8] = bytes(packet[IP].payload)
    whole = b"".join(pieces[at] for at in sorted(pieces))
    assert whole[8:] == bytes(range(256)) * 16


def test_killed_packet_role_comes_back_as_the_same_target(lab, target, forward):
    """D9 D14: the interface and its addresses stay; connections that were there go on when the client speaks."""
    peer = target()
    lab.start()
    serve(lab)
    forward(peer, SECURE)
    assert curl(lab.outside, url("page")) == (0, PAGE)
    index = lab.hv1.run("cat", "/sys/class/net/vipa0/ifindex")
    pid = lab.daemon.kill_role("packet")
    lab.daemon.wait_role("packet", pid)
    assert lab.hv1.run("cat", "/sys/class/net/vipa0/ifindex") == index
    assert curl(lab.outside, url("page")) == (0, PAGE)


def test_target_that_is_taken_out_leaves_nothing_behind(lab, target):
    """D9 G12: interface, rules and routes go with the section; the rest of the host goes on."""
    target()
    lab.start()
    assert f"from {VIPA} lookup" in lab.hv1.run("ip", "rule")
    lab.daemon.apply(lambda config: config.pop("target"))
    wait_until(lambda: "vipa0" not in lab.hv1.run("ip", "link"), 5)
    assert VIPA not in lab.hv1.run("ip", "rule") and VIPA6 not in lab.hv1.run("ip", "-6", "rule")
    assert not status(lab.daemon)["is_target"]


POST_SERVER = """
import hashlib, http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body[::-1])
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((sys.argv[1], 80), Handler).serve_forever()
"""


@pytest.mark.parametrize("kind", [SECURE, PLAIN])
def test_large_posts_both_ways(lab, target, forward, kind):
    """D13: five megabytes there, and as many back, on a link that is no larger than a frame and GRE."""
    peer = target(mtu=1528)
    lab.start()
    lab.hv1.start("python3", "-c", POST_SERVER, VIPA)
    wait_until(lambda: is_listening(lab.hv1, 80), what="the server")
    forward(peer, kind)
    body = hashlib.shake_256(b"seed").digest(5 << 20)
    path = lab.folder / "body"
    path.write_bytes(body)
    code, answer = curl(lab.outside, url("post"), "-H", "Expect:", "--data-binary", f"@{path}", timeout=30)
    assert code == 0 and answer == body[::-1]
    drops = lab.daemon.drops()
    assert drops["tx_too_big"] == drops["gre_malformed"] == drops["target_flow"] == 0
