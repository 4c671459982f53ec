# SPDX-License-Identifier: BSD-3-Clause
"""IPsec of a virtual address, against scapy's own ESP with static keys.

    outside ──eth0══eth1── hv1: bulkheadd ──xcf0══ link ══ t1: gre1, VIPA on lo
    192.0.2.100 (ESP)      VIPA 192.0.2.80          GRE, with the key of secure connections
"""

import copy

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, defragment6,
                                fragment6)
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Raw

from lab.distributor import DISTRIBUTOR, OUTSIDE6, SECURE, VIPA, VIPA6, Target, connect, gre_key, wait_ready
from lab.esp_client import Agreement, EspClient, configure
from lab.netns import wait_until
from lab.peers import ping
from lab.topology import OUTSIDE_ADDRESS, OUTSIDE_MAC

# Cipher, integrity, mode, port of ESP in UDP, extended numbers (scapy has these right with AEAD alone).
SUITES = [("aes-gcm-16", "none", "tunnel", None, False), ("aes-gcm-16", "none", "transport", None, True),
          ("aes-gcm-16", "none", "tunnel", 4500, True), ("chacha20-poly1305", "none", "tunnel", 40000, False),
          ("aes-cbc", "sha2-256-128", "tunnel", None, False), ("aes-cbc", "sha2-512-256", "transport", None, False),
          ("aes-ctr", "sha1-96", "transport", 4500, False), ("null", "sha2-384-192", "tunnel", None, False)]


@pytest.fixture
def secure(lab, monkeypatch):
    """secure(agreement, …): the daemon runs, one target serves; returns a client for each agreement."""
    # What comes by IPsec goes back by IPsec: the target's GRE has the key that it is asked with.
    monkeypatch.setattr(Target, "key", lambda self, direction, kind=SECURE, distributor=DISTRIBUTOR: gre_key(
        self.secret, kind, direction, self.address, distributor))

    def begin(*agreements, vipas=(VIPA,), change=None, **options):
        targets = connect(lab, 1, vipas)
        configure(lab, agreements, **options)
        for target in targets:
            target.echo()
        lab.start(change)
        wait_ready(lab, targets)
        return [client_of(lab, agreement) for agreement in agreements]
    return begin


def client_of(lab, agreement):
    vipas = lab.daemon.cli("distributor")["vipas"]
    mac = next(row["mac"] for row in vipas if row["address"].split("/")[0] == agreement.vipa)
    if ":" in agreement.client:
        lab.outside.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
        lab.outside.run("ip", "address", "add", f"{agreement.client}/64", "dev", "eth0", "nodad")
    return EspClient(lab.outside, agreement, OUTSIDE_MAC, mac)


def echo(client, number=1, size=56, **options):
    own = client.agreement
    if ":" in own.vipa:
        return IPv6(src=own.client, dst=own.vipa) / ICMPv6EchoRequest(id=7, seq=number, data=bytes(size))
    return IP(src=own.client, dst=own.vipa, **options) / ICMP(id=7, seq=number) / Raw(bytes(size))


def is_echoed(client, number=1, timeout=5.0):
    def is_reply(packet):
        if ICMPv6EchoReply in packet:
            return packet[ICMPv6EchoReply].seq == number
        return ICMP in packet and packet[ICMP].type == 0 and packet[ICMP].seq == number
    return client.expect(is_reply, timeout) is not None


def drops(lab, reason):
    return lab.daemon.drops().get(reason, 0)


def wait_dropped(lab, reason, count=1):
    wait_until(lambda: drops(lab, reason) >= count, what=f"{count} drops for {reason}")


@pytest.mark.parametrize("cipher,integrity,mode,port,esn", SUITES)
def test_what_another_implementation_protects_is_answered(lab, secure, cipher, integrity, mode, port, esn):
    """D4 D5 D16: each algorithm; tunnel and transport mode, in UDP, extended numbers."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA, cipher, integrity, mode, esn, port))
    for number in (1, 2, 3):
        client.send(echo(client, number))
        assert is_echoed(client, number)
    rows = {row["direction"]: row for row in lab.daemon.cli("ipsec", "sas")["sas"]}
    assert rows["in"]["packets"] == rows["out"]["packets"] == 3
    assert rows["in"]["sequence"] == 3


def test_ipv6_inside_and_outside(lab, secure):
    """D4 D5: tunnels of IPv6."""
    client, = secure(Agreement(OUTSIDE6, VIPA6), vipas=(VIPA, VIPA6))

    def answers():
        client.send(echo(client))
        return is_echoed(client, timeout=1)
    wait_until(answers, 20, what="an answer, when the client's kernel is known")


def test_segments_fit_into_what_is_outside(lab, secure):
    """D13: IPv4 in a tunnel of IPv6: the MSS of SYNs leaves room for the larger header, in both directions."""
    agreement = Agreement(OUTSIDE6, VIPA6)
    client, = secure(agreement, vipas=(VIPA, VIPA6), policies={
        "inner": agreement.policy(local=VIPA, remote=OUTSIDE_ADDRESS)})
    link = lab["link"].wire("hv1")
    outer, esp = 40 + 8, 8 + 16 + 17 + 32  # at most
    fits = 1500 - outer - esp - 40

    def mss(packet):
        return dict(packet[TCP].options)["MSS"]

    def answer():
        client.send(IP(src=OUTSIDE_ADDRESS, dst=VIPA) / TCP(sport=5000, dport=7, flags="S", options=[("MSS", 1460)]))
        return client.expect(lambda packet: TCP in packet and packet[TCP].flags == "SA", 1)
    assert mss(wait_until(answer, 20, what="an answer, when the client's kernel is known")) <= fits
    asked_with = [Ether(frame) for frame in link.drain()]
    assert {mss(packet) for packet in asked_with if GRE in packet and TCP in packet and packet[TCP].flags == "S"} == {fits}


def test_two_clients_of_transport_mode_behind_one_nat(lab, secure):
    """D3 D5: both have the NAT's address, and the port of their ESP alone tells them apart (RFC 3948, section 5.2). Each
    gets its own answers, by its own keys; a port that one of them has is no port of the other's."""
    both = [Agreement(OUTSIDE_ADDRESS, VIPA, mode="transport", port=40001 + number, number=number, request=1)
            for number in (0, 1)]
    first, second = secure(*both, policies={"both": both[0].policy()})

    def ask_from(client, port, text):
        client.send(IP(src=OUTSIDE_ADDRESS, dst=VIPA) / UDP(sport=port, dport=7) / Raw(text))

    def answer_of(client, text, timeout=5.0):
        return client.expect(lambda packet: UDP in packet and bytes(packet[UDP].payload) == b"t1 " + text, timeout)
    for number in range(3):
        for client, port in ((first, 5001), (second, 5002)):
            text = b"%d of %d" % (number, port)
            ask_from(client, port, text)
            assert answer_of(client, text)
    ask_from(second, 5001, b"on the other's port")
    wait_dropped(lab, "connection_peer")
    ask_from(first, 5001, b"still mine")
    assert answer_of(first, b"still mine")
    for client in (first, second):
        client.send(echo(client))
        assert is_echoed(client)
    rows = {row["spi"]: row["packets"] for row in lab.daemon.cli("ipsec", "sas")["sas"] if row["direction"] == "out"}
    assert rows == {both[0].spi(False): 5, both[1].spi(False): 4}


def test_target_answers_through_esp(lab, secure):
    """D4 D5 D6: what a target says leaves as ESP; on the link there is GRE, and no ESP."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA))
    link = lab["link"].wire("t1")
    client.send(IP(src=OUTSIDE_ADDRESS, dst=VIPA) / UDP(sport=5000, dport=7) / Raw(b"a secret question"))
    answer = client.expect(lambda packet: UDP in packet)
    assert bytes(answer[UDP].payload) == b"t1 a secret question"
    frames = [Ether(frame) for frame in link.drain()]
    assert any(GRE in frame and b"a secret question" in bytes(frame) for frame in frames)
    assert not any(frame.haslayer(ESP) for frame in frames)
    assert lab.daemon.cli("distributor", "connections")["connections"][0]["is_secure"]


def test_wrong_packets_are_dropped_for_their_own_reasons(lab, secure):
    """D3 D4 D16: replayed, forged, unknown, not meant, in the clear, authentic with a wrong end, for an address that is
    without IPsec; and nothing is answered."""
    other = VIPA.replace("80", "81")

    def add_vipa(config):
        vipas = config["distributor"]["vipas"]
        vipas["other"] = {**copy.deepcopy(vipas["web"]), "address": f"{other}/24", "security": "off"}
    own = Agreement(OUTSIDE_ADDRESS, VIPA)
    client, = secure(own, change=add_vipa, policies={"both": own.policy(local=f"{VIPA}/31")})
    sealed = client.send(echo(client, 1))
    assert is_echoed(client, 1)
    client.send_sealed(sealed)
    wait_dropped(lab, "ipsec_replay")
    forged = client.seal(echo(client, 2))
    forged[ESP].data = forged[ESP].data[:-1] + bytes([forged[ESP].data[-1] ^ 1])
    client.send_sealed(forged)
    wait_dropped(lab, "ipsec_icv")
    unknown = client.seal(echo(client, 3))
    unknown[ESP].spi ^= 0x1000000
    client.send_sealed(unknown)
    wait_dropped(lab, "ipsec_unknown_spi")
    client.send(IP(src="192.0.2.77", dst=VIPA) / ICMP(id=7, seq=4))
    wait_dropped(lab, "ipsec_selector")
    client.send_sealed(echo(client, 5))
    wait_dropped(lab, "ipsec_required")
    client.send_sealed(IP(src="192.0.2.77", dst=VIPA) / ICMP(id=7, seq=6))
    wait_dropped(lab, "ipsec_policy")
    client.send_sealed(IP(src=OUTSIDE_ADDRESS, dst=VIPA, proto=50) / Raw(b"short"))
    wait_dropped(lab, "ipsec_malformed")
    for tail, reason in (({"padding": b"\2"}, "ipsec_padding"), ({"padlen": 200}, "ipsec_padding"),
                         ({"nh": 6}, "ipsec_next_header"), ({"nh": 41}, "ipsec_inner"), ({"nh": 59}, "ipsec_dummy")):
        before = drops(lab, reason)
        client.send(echo(client, 8, 57), tail=tail)  # with one byte of padding
        wait_dropped(lab, reason, before + 1)
    client.send(IP(src=OUTSIDE_ADDRESS, dst=other) / ICMP(id=7, seq=9))
    wait_dropped(lab, "vipa_no_ipsec")
    client.send(echo(client, 10, 57))
    assert is_echoed(client, 10) and lab.daemon.cli("ipsec", "sas")["sas"][1]["packets"] == 2
    errors = {row["reason"]: row["packets"] for row in lab.daemon.cli("ipsec")["errors"]}
    assert errors["ipsec_replay"] == errors["ipsec_icv"] == 1


def test_bypass_lets_plain_clients_in(lab, secure):
    """D3: what no policy names passes in the clear, where that is configured."""
    secure(Agreement("192.0.2.77", VIPA), unmatched="bypass")
    assert ping(lab.outside, VIPA)


def test_what_gets_too_large_is_cut_before_it_is_protected(lab, secure):
    """D13: a ping of 1,500 bytes comes in fragments inside of ESP, and so does its answer."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA))
    client.send(echo(client, 1, 1400))
    assert is_echoed(client, 1)
    for piece in fragment(echo(client, 2, 1472), 800):
        client.send(piece)
    first = client.expect(lambda packet: packet.flags.MF)
    last = client.expect(lambda packet: packet.frag)
    assert first and last and len(first.payload) + len(last.payload) == 8 + 1472
    assert drops(lab, "ipsec_too_big") == drops(lab, "vipa_too_big") == 0


def test_large_ping_of_ipv6_is_answered_in_pieces(lab, secure):
    """D13: what came in fragments inside of ESP goes so, too, although routers cut no IPv6."""
    client, = secure(Agreement(OUTSIDE6, VIPA6), vipas=(VIPA, VIPA6))

    def answers():
        client.send(echo(client))
        return is_echoed(client, timeout=1)
    wait_until(answers, 20, what="an answer, when the client's kernel is known")
    pieces = []

    def is_whole(packet):
        if IPv6ExtHdrFragment in packet:
            pieces.append(packet)
        return len(pieces) == 2
    ask = IPv6(src=OUTSIDE6, dst=VIPA6) / IPv6ExtHdrFragment(id=9) / ICMPv6EchoRequest(id=7, seq=2, data=bytes(2000))
    for piece in fragment6(ask, 1280):
        client.send(piece)
    assert client.expect(is_whole)
    answer = defragment6(pieces)
    assert answer[ICMPv6EchoReply].seq == 2 and answer[ICMPv6EchoReply].data == bytes(2000)
    assert pieces[0][IPv6ExtHdrFragment].id == pieces[1][IPv6ExtHdrFragment].id != 0
    assert drops(lab, "ipsec_too_big") == 0


@pytest.mark.parametrize("security", ["required", "allowed"])
def test_piece_in_clear_completes_no_datagram_of_ipsec(lab, secure, security):
    """D3: the second half of a datagram in clear, of the same ends and identification, waits in vain: what the target
    gets is what was protected."""
    def change(config):
        config["distributor"]["vipas"]["web"]["security"] = security
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA), change=change)

    def halves(text):
        return fragment(IP(src=OUTSIDE_ADDRESS, dst=VIPA, id=77) / UDP(sport=5000, dport=7, chksum=0) /
                        Raw(b"begin" + bytes(795) + text), 800)
    client.send_sealed(halves(b"forged")[1])
    true = halves(b"honest")
    for piece in true:
        client.send(piece)
    answer = client.expect(lambda packet: UDP in packet)
    assert bytes(answer[UDP].payload).endswith(b"honest")


def test_ping_of_full_size_that_must_not_be_cut(lab, secure):
    """D13 D4: 1,500 bytes with DF, in ESP that came in fragments: the answer is as large, and may be cut, since with
    ESP around it it would not leave."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA))
    question = echo(client, 1, 1472, flags="DF")
    assert len(question) == 1500
    sealed = client.seal(question)
    sealed.flags = 0
    for piece in fragment(IP(bytes(sealed)), 1200):
        client.send_sealed(piece)
    first = client.expect(lambda packet: packet.flags.MF)
    last = client.expect(lambda packet: packet.frag)
    assert first and last and len(first.payload) + len(last.payload) == 8 + 1472
    assert drops(lab, "ipsec_too_big") == 0


def test_killed_packet_role_uses_no_number_again(lab, secure):
    """D16: SAs come back with SIGKILL; numbers leap forward, and what came before is a replay."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA))
    wire = lab.outside.wire("eth0")
    old = client.send(echo(client, 1))
    assert is_echoed(client, 1)

    def is_answer(frame):
        packet = Ether(frame)
        return ESP in packet and packet[ESP].spi == client.agreement.spi(False)
    first = Ether(wire.expect(is_answer))[ESP]
    lab.daemon.wait_role("packet", lab.daemon.kill_role("packet"))
    wait_until(lambda: "ipsec_restored" in lab.daemon.log(), what="SAs to come back")
    wait_ready(lab, [])
    client.send_sealed(old)
    wait_dropped(lab, "ipsec_replay")

    def answers():
        client.send(echo(client, 2))
        return wire.expect(is_answer, 0.5)
    again = Ether(wait_until(answers, what="an answer after the restart"))[ESP]
    assert again.seq > first.seq + 1000
    assert again.data[:8] != first.data[:8]  # the IV


def test_window_outlives_the_packet_role_to_the_packet(lab, secure):
    """D16: killed in a burst, twice, the second time behind the broker's death: the client's very next packet is
    accepted, and of all the burst, sent once more, nothing comes to the target that it has got already."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA))
    link = lab["link"].wire("hv1")
    ask(client, "first")
    assert client.expect(is_answer_to("first"))
    for life in range(2):
        if life:
            broker = lab.daemon.kill_role("broker")
            wait_until(lambda old=broker: lab.daemon.role_pid("broker") not in (0, old), 30, what="another broker")
        burst = [client.seal(question(client, f"{life} {number}")) for number in range(200)]
        for sealed in burst:
            client.send_sealed(sealed)
        lab.daemon.wait_role("packet", lab.daemon.kill_role("packet"))
        wait_until(lambda: lab.daemon.log().count("ipsec_restored") > life, what="SAs to come back")
        before = asked(link)
        single = ask(client, f"{life} single")
        wait_until(lambda: inbound(lab)["sequence"] == single[ESP].seq, what="the next packet")
        assert drops(lab, "ipsec_replay") == 0

        def answers():
            ask(client, f"{life} again")
            return client.expect(is_answer_to(f"{life} again"), 0.5)
        wait_until(answers, what="an answer after the restart")
        asked(link)
        for sealed in burst:
            client.send_sealed(sealed)
        after = []

        def is_through():
            after.extend(asked(link))
            return drops(lab, "ipsec_replay") + len(after) == len(burst)
        wait_until(is_through, what="all of the burst to be refused, or to come")
        assert before and not set(before) & set(after)


def question(client, text):
    return IP(src=client.agreement.client, dst=client.agreement.vipa) / UDP(sport=5000, dport=7) / Raw(text.encode())


def ask(client, text):
    return client.send(question(client, text))


def is_answer_to(text):
    return lambda packet: UDP in packet and bytes(packet[UDP].payload) == b"t1 " + text.encode()


def asked(link):
    """The questions that the daemon has sent to the target since the last look."""
    packets = [Ether(frame) for frame in link.drain()]
    return [bytes(packet[UDP].payload) for packet in packets if GRE in packet and UDP in packet and packet[UDP].dport == 7]


def inbound(lab):
    return next(row for row in lab.daemon.cli("ipsec", "sas")["sas"] if row["direction"] == "in")


def test_keys_are_never_shown(lab, secure):
    """D16: neither by the API nor in the log."""
    client, = secure(Agreement(OUTSIDE_ADDRESS, VIPA, "aes-cbc", "sha2-256-128"))
    client.send(echo(client))
    assert is_echoed(client)
    shown = lab.daemon.log() + "".join(
        lab.daemon.command(*words).stdout for words in (("ipsec", "sas"), ("ipsec", "policies"), ("ipsec", "sas", "--json")))
    assert not any(key.hex() in shown for keys in client.agreement.keys for key in keys)
