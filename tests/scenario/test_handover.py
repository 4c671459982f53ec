# SPDX-License-Identifier: BSD-3-Clause
"""A planned hand-over between two distributors (D15): associations, connections and the address change places while
clients go on.

                                      ┌─eth1── hv1: bulkheadd, has the VIPA ──xcf0══╗
    outside ──eth0══ br0 (lan) ═══════╡                                             ╠══ br0 (link) ══ t1: gre1,
    192.0.2.100 (ESP)                 └─eth1── hv2: bulkheadd, in standby ────xcf0══╝                VIPA on lo

The client's ESP is scapy's, with static keys; on the wires of the lan is seen who sent what.
"""

import os
import signal
import threading

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from lab import strongswan
from lab.appliance import key_file
from lab.distributor import VIPA, Connection, wait_ready
from lab.esp_client import Agreement, EspClient, configure
from lab.handover import (BEGIN, CODE, COMMIT, DESTINATION, DISTRIBUTORS, FORMAT, HELLO, IS_UP, NAME, PROOF, SA,
                          TARGET_ROW, TEXT, VIPA_ROW, VLAN, Giver, Pair, Taker)
from lab.netns import wait_until
from lab.topology import OUTSIDE_ADDRESS, OUTSIDE_MAC
from lab.vpn import INNER, Vpn

OTHER_SECRET = "00" * 32 + "\n"


class Clients:
    """The pair, and a client that has an association with both directions."""

    def __init__(self, lab):
        self.lab, self.pair = lab, Pair(lab)
        self.agreement = Agreement(OUTSIDE_ADDRESS, VIPA)
        self.client = None

    def start(self, change=None):
        configure(self.lab, [self.agreement])
        for target in self.pair.targets:
            target.echo()
        self.pair.start(change)
        wait_ready(self.lab, self.pair.targets)
        mac = self.lab.daemon.cli("distributor")["vipas"][0]["mac"]
        self.client = EspClient(self.lab.outside, self.agreement, OUTSIDE_MAC, mac)
        return self

    def ask(self, number, port=5000):
        """A question to the target; returns what was sent."""
        return self.client.send(IP(src=OUTSIDE_ADDRESS, dst=VIPA) / UDP(sport=port, dport=7) / Raw(b"%d?" % number))

    def is_answered(self, number, timeout=5.0):
        def is_it(packet):
            return UDP in packet and bytes(packet[UDP].payload) == b"t1 %d?" % number
        return self.client.expect(is_it, timeout) is not None

    def answers(self, frames):
        """The numbers of the questions that frames answer."""
        packets = [self.client.open(frame) for frame in frames]
        return [int(bytes(packet[UDP].payload)[3:-1]) for packet in packets if packet is not None and UDP in packet]

    def goes_on(self, number):
        """A client asks again when there is no answer."""
        def answers():
            self.ask(number)
            return self.is_answered(number, 1)
        wait_until(answers, 20, what=f"an answer to question {number}")

    def sas(self, daemon):
        return {row["direction"]: row for row in daemon.cli("ipsec", "sas")["sas"]}


@pytest.fixture
def clients(make_lab):
    made = Clients(make_lab(partitions=()))
    yield made
    if made.pair.second:
        print(f"--- hv2\n{made.pair.second.log()[-6000:]}")
    made.pair.stop()


def esp_of(frames, spi):
    """The ESP headers of frames that have the SPI, in their order."""
    packets = [Ether(frame) for frame in frames]
    return [packet[ESP] for packet in packets if ESP in packet and packet[ESP].spi == spi]


def test_stream_goes_on_and_no_number_is_sent_twice(clients):
    """D15 D16: under traffic; numbers leap, IVs differ, what was accepted before is a replay afterwards; the old one is
    silent for the address."""
    clients.start()
    pair, lab = clients.pair, clients.lab
    wires = {name: pair.lan.wire(name) for name in ("hv1", "hv2")}
    sent = [clients.ask(number) for number in range(1, 21)]
    assert clients.is_answered(20)
    done = threading.Event()

    def talk():
        number = 1000
        while not done.wait(0.01):
            sent.append(clients.ask(number))
            number += 1
    talker = threading.Thread(target=talk)
    talker.start()
    result = pair.hand_over()
    done.set()
    talker.join()
    assert result.returncode == 0, result.stderr
    assert pair.is_standby(lab.daemon) and not pair.is_standby(pair.second)
    assert "standby" in lab.daemon.command("distributor").stdout
    clients.goes_on(5000)
    clients.ask(5001)
    assert clients.is_answered(5001)

    spi = clients.agreement.spi(False)
    frames = {name: wire.drain() for name, wire in wires.items()}
    old, new = esp_of(frames["hv1"], spi), esp_of(frames["hv2"], spi)
    assert old and new
    numbers = [packet.seq for packet in old + new]
    assert len(numbers) == len(set(numbers)) and max(packet.seq for packet in old) < min(packet.seq for packet in new)
    ivs = [packet.data[:8] for packet in old + new]
    assert len(ivs) == len(set(ivs))

    answered = clients.answers(frames["hv1"] + frames["hv2"])
    before = pair.second.drops()["ipsec_replay"]
    for packet in sent:
        clients.client.send_sealed(packet)
    wait_until(lambda: pair.second.drops()["ipsec_replay"] >= before + len([n for n in answered if n < 5000]),
               what="all that either had taken to be replays")
    again = clients.answers(wires["hv2"].drain())
    # What neither had taken, in the moment of silence, may be taken now, once.
    assert not set(again) & set(answered) and len(again) == len(set(again))
    assert not esp_of(wires["hv1"].drain(), spi)


def test_old_one_is_silent_for_the_address(clients):
    """D1 D15: it neither answers for it nor says anything of its own; the new one announces it."""
    clients.start()
    pair = clients.pair
    wires = {name: pair.lan.wire(name) for name in ("hv1", "hv2")}
    question = Ether(src=OUTSIDE_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=OUTSIDE_MAC, psrc=OUTSIDE_ADDRESS, pdst=VIPA)

    def says_it(frame):
        packet = Ether(frame)
        return ARP in packet and packet[ARP].psrc == VIPA
    clients.client.wire.send(question)
    assert wires["hv1"].expect(says_it) and not any(map(says_it, wires["hv2"].drain()))
    result = pair.hand_over()
    assert result.returncode == 0, result.stderr
    assert wires["hv2"].expect(says_it)  # without being asked
    wires["hv1"].drain()
    clients.client.wire.send(question)
    assert wires["hv2"].expect(says_it)
    clients.goes_on(1)
    # The host has the address, too, for its IKE.
    clients.lab.hv1.run("ip", "address", "add", f"{VIPA}/32", "dev", "lo")
    wires["hv1"].drain()
    clients.lab.hv1.run("ping", "-c", "2", "-i", "0.2", "-W", "1", "-I", VIPA, OUTSIDE_ADDRESS, check=False)
    assert not any(IP in Ether(frame) and Ether(frame)[IP].src == VIPA for frame in wires["hv1"].drain())
    assert clients.lab.daemon.drops()["vipa_standby"] >= 2


def test_connections_stay_with_their_targets(clients):
    """D2 D15: what was begun at the old one is known at the new one."""
    clients.start()
    for port in range(6000, 6010):
        clients.ask(port, port)
        assert clients.is_answered(port)
    assert clients.pair.hand_over().returncode == 0
    rows = clients.pair.second.cli("distributor", "connections")["connections"]
    assert {row["client_port"] for row in rows} == set(range(6000, 6010)) and all(row["is_secure"] for row in rows)
    assert clients.lab.daemon.cli("distributor", "connections")["connections"] == []


def test_both_stay_what_they_are_when_their_packet_roles_die(clients):
    """D15 D16: after the hand-over a killed packet role of the old one comes back in standby, that of the new one with
    the address and numbers that go on."""
    clients.start()
    clients.goes_on(1)
    assert clients.pair.hand_over().returncode == 0
    clients.goes_on(2)
    before = clients.sas(clients.pair.second)["out"]["sequence"]
    for daemon in (clients.lab.daemon, clients.pair.second):
        daemon.wait_role("packet", daemon.kill_role("packet"))
    assert clients.pair.is_standby(clients.lab.daemon) and not clients.pair.is_standby(clients.pair.second)
    clients.client.outbound.seq_num += 1000
    clients.goes_on(3)
    assert clients.sas(clients.pair.second)["out"]["sequence"] > before
    assert clients.sas(clients.lab.daemon)["out"]["packets"] == 0


def test_there_and_back(clients):
    """D15: the one that gave can take again."""
    clients.start()
    pair, lab = clients.pair, clients.lab
    assert pair.hand_over().returncode == 0
    clients.goes_on(1)
    high = clients.sas(pair.second)["out"]["sequence"]
    done = pair.second.command("ipsec", "handover", lab.folder / "run/handover.sock")
    assert done.returncode == 0, done.stderr
    clients.goes_on(2)
    assert clients.sas(lab.daemon)["out"]["sequence"] > high


def refused(clients, expected, meanwhile=lambda: None):
    """The hand-over fails for that reason, and the old one goes on."""
    clients.goes_on(1)
    before = clients.sas(clients.lab.daemon)["out"]["sequence"]
    meanwhile()
    done = clients.pair.hand_over()
    assert done.returncode == 1 and expected in done.stderr, done.stderr
    assert not clients.pair.is_standby(clients.lab.daemon)
    clients.goes_on(2)
    assert clients.sas(clients.lab.daemon)["out"]["sequence"] > before
    return done


def other_secret(clients, config):
    config["ipsec"]["handover"]["secret-file"] = str(key_file(clients.lab.folder / "other", OTHER_SECRET))


def no_handover(clients, config):
    del config["ipsec"]["handover"]


def other_vipa(clients, config):
    config["distributor"]["vipas"]["web"]["address"] = "192.0.2.81/24"


def other_target(clients, config):
    config["distributor"]["targets"]["t1"]["address"] = "198.51.100.99"


def other_keys(clients, config):
    agreement = Agreement(OUTSIDE_ADDRESS, VIPA)
    config["ipsec"]["key-file"] = str(key_file(clients.lab.folder / "other-keys", agreement.key_lines()))


@pytest.mark.parametrize("change,expected", [
    (other_secret, "different secrets"), (no_handover, "cannot connect"), (other_vipa, "no VIPA web"),
    (other_target, "no target t1"), (other_keys, "key included")])
def test_refused_hand_over_changes_nothing(clients, change, expected):
    """D15: a receiver that cannot serve what it is given says why, keeps nothing, and the giver goes on."""
    clients.start(lambda config: change(clients, config))
    before = clients.sas(clients.pair.second)
    refused(clients, expected)
    assert clients.pair.is_standby(clients.pair.second)
    assert {row["sequence"] for row in clients.sas(clients.pair.second).values()} == {0} and before
    assert not any(b.hex() in clients.lab.daemon.log() + clients.pair.second.log()
                   for b in (*(keys.cipher for keys in clients.agreement.keys), bytes(32)))


def test_a_receiver_that_has_the_address_refuses(clients):
    """D15: two that both believe that they have the address do not hand it over."""
    clients.start()
    assert clients.pair.hand_over().returncode == 0
    # What was handed over is not handed over again by the one that does not have it any more.
    done = clients.pair.hand_over()
    assert done.returncode == 1 and "in standby" in done.stderr
    giver = Giver(clients.pair.socket)
    giver.greet()
    _, answer = giver.ask(BEGIN, (FORMAT, b"\0\0\0\1"))
    assert b"has the virtual addresses already" in answer[TEXT]
    giver.close()


@pytest.mark.parametrize("dies_at", [HELLO, PROOF, BEGIN, TARGET_ROW, SA, COMMIT])
def test_receiver_that_dies_in_the_middle(clients, dies_at):
    """D15 D16: wherever it stops, the old one has the address, and its numbers go on."""
    clients.start()
    path = clients.pair.folder / "run/fake.sock"
    clients.goes_on(1)
    wire = clients.pair.lan.wire("hv1")
    taker = Taker(path, dies_at)
    done = clients.pair.hand_over(path)
    taker.close()
    assert done.returncode == 1 and "closed the connection" in done.stderr, done.stderr
    assert taker.seen[-1] == dies_at
    clients.goes_on(2)
    numbers = [packet.seq for packet in esp_of(wire.drain(), clients.agreement.spi(False))]
    assert numbers and len(numbers) == len(set(numbers))
    clients.pair.lab.daemon.wait_role("packet", clients.lab.daemon.kill_role("packet"))
    clients.client.outbound.seq_num += 1000
    clients.goes_on(3)  # what is kept for a restart is right again, too


def test_who_does_not_know_the_secret_gets_no_key(clients):
    """D15: a receiver has to prove itself before anything is said, and so has a giver."""
    clients.start()
    path = clients.pair.folder / "run/fake.sock"
    taker = Taker(path, COMMIT, OTHER_SECRET)
    done = clients.pair.hand_over(path)
    taker.close()
    assert done.returncode == 1 and "does not have our secret" in done.stderr
    assert taker.seen == [HELLO, PROOF]
    giver = Giver(clients.pair.socket, OTHER_SECRET)
    _, answer = giver.greet()
    assert b"different secrets" in answer[TEXT]
    giver.close()


def test_giver_that_dies_leaves_nothing(clients):
    """D15: what came before it died is taken back, and another one can hand over."""
    clients.start()
    second = clients.pair.second
    giver = Giver(clients.pair.socket)
    giver.greet()
    for kind, attributes in ((BEGIN, [(FORMAT, b"\0\0\0\1")]),
                             (VIPA_ROW, [(NAME, b"web"), (DESTINATION, bytes([192, 0, 2, 80])), (VLAN, b"\0\n")]),
                             (TARGET_ROW, [(NAME, b"t1"), (IS_UP, b"\1"), (DESTINATION, bytes([198, 51, 100, 11]))])):
        _, answer = giver.ask(kind, *attributes)
        assert answer[CODE] == bytes(2), answer
    giver.close()
    wait_until(lambda: "handover_broken_off" in second.log(), what="the end of it")
    assert clients.pair.is_standby(second)
    assert clients.pair.hand_over().returncode == 0
    clients.goes_on(1)


def test_other_version_is_told(clients):
    """D15: daemons of two formats do not guess."""
    clients.start()
    giver = Giver(clients.pair.socket)
    giver.greet()
    _, answer = giver.ask(BEGIN, (FORMAT, b"\0\0\0\2"))
    assert answer[CODE] != bytes(2) and b"of one version" in answer[TEXT]
    giver.close()


def test_receivers_packet_role_is_killed(clients):
    """D15: one that does not answer any more, and dies, has not got the address."""
    clients.start()
    pair = clients.pair
    pid = pair.second.role_pid("packet")
    os.kill(pid, signal.SIGSTOP)
    refused(clients, "closed the connection", threading.Timer(1.0, os.kill, (pid, signal.SIGKILL)).start)
    pair.second.wait_role("packet", pid)
    assert pair.is_standby(pair.second)
    assert pair.hand_over().returncode == 0
    clients.goes_on(3)


@pytest.fixture
def negotiated(make_lab):
    """A pair whose client has its keys from strongSwan: (vpn, pair)."""
    lab = make_lab(partitions=())
    vpn = Vpn(lab)
    vpn.prepare(b"a page", distributors=DISTRIBUTORS)
    pair = Pair(lab, vpn.targets)

    def change(config):
        config["ipsec"]["kmp"]["socket"] = str(pair.folder / "run/kmp.sock")
    pair.start(change)
    vpn.begin()
    yield vpn, pair
    vpn.stop()
    print(f"--- hv2\n{pair.second.log()[-6000:]}")
    pair.stop()


@pytest.mark.skipif(bool(strongswan.missing()), reason=f"not there: {' '.join(strongswan.missing())}")
def test_what_strongswan_negotiated_goes_along(negotiated):
    """D15: associations and policies that came by KMP: a TCP connection goes on, and the client's keys are the same."""
    vpn, pair = negotiated
    with Connection(vpn.lab.outside, source=INNER) as connection:
        assert connection.echo()
        before = vpn.client.children()
        assert before and pair.hand_over().returncode == 0
        for _ in range(20):
            assert connection.echo()
        assert connection.echo(bytes(100_000))
        assert vpn.client.children() == before
    assert {row["spi"] for row in pair.second.cli("ipsec", "sas")["sas"]} == set(before[0])
    assert vpn.lab.daemon.cli("ipsec", "sas")["sas"] == vpn.lab.daemon.cli("ipsec", "policies")["policies"] == []
    wait_until(lambda: vpn.page() == (0, b"a page"), what="a page from the second one")
    assert pair.second.cli("kmp")["sessions"][0]["grace_left_ms"] > 0
