# SPDX-License-Identifier: BSD-3-Clause
"""An appliance that has turned against its gateway, with the right key in its hands (I10).

    outside ──── uplink [hv1: gateway ── appliance] ─┬─ trunk-a ── web (VLAN 10)
    frames with a number each       │                └─ trunk-b ── db  (VLAN 20)
                             xcf0 ══╪══ xcf1
                                    └── ips: a program that answers with everything wrong that can be thought of
"""

import collections
import os
import random
import re
import struct

import pytest

from lab.appliance import APPLIANCE, CLIENT, KEY, connect
from lab.hostile import DROP, FAILED, PASS, PROBE, REQUEST, HostileAppliance
from lab.netns import wait_until
from lab.topology import OUTSIDE_MAC, PARTITIONS

SECRET = bytes.fromhex(KEY.split()[1])
ETHERTYPE = b"\x88\xb5"  # for local experiments, IEEE 802
MARK = b"number:"
# More of them, from another seed: a longer attack than each run has time for.
ROUNDS, SEED = int(os.environ.get("HOSTILE_ROUNDS", "200")), int(os.environ.get("HOSTILE_SEED", "10"))


def mac_of(name):
    return bytes.fromhex(PARTITIONS[name][1].replace(":", ""))


def make(name, number, size=100):
    """A frame for the partition, on the uplink's wire: VLAN 10 is untagged there, 20 is tagged."""
    tag = b"" if PARTITIONS[name][0] == 10 else b"\x81\x00" + struct.pack(">H", PARTITIONS[name][0])
    return (mac_of(name) + bytes.fromhex(OUTSIDE_MAC.replace(":", "")) + tag + ETHERTYPE + name.encode().ljust(8)
            + MARK + b"%06d" % number).ljust(size, b".")


def number_of(frame):
    found = re.search(MARK + rb"(\d{6})", frame)
    return int(found[1]) if found else None


# Each answers one request; `earlier` are the messages before it, of whatever tenant.
def pass_it(ips, message, earlier):
    ips.send(PASS, message, message.inner)


def twice(ips, message, earlier):
    pass_it(ips, message, earlier)
    pass_it(ips, message, earlier)


def never(ips, message, earlier):
    pass


def wrong_handle(ips, message, earlier):
    ips.send(PASS, message, message.inner, handle=message.handle ^ 1 << random.randrange(64))


def stale_handles(ips, message, earlier):
    for old in random.sample(earlier, min(4, len(earlier))):
        ips.send(PASS, old, old.inner)


def other_tenants_handle(ips, message, earlier):
    others = [old for old in earlier[-50:] if old.network != message.network]
    if others:
        ips.send(PASS, message, message.inner, handle=others[-1].handle, network=others[-1].network)
        ips.send(PASS, others[-1], message.inner)


def other_network(ips, message, earlier):
    ips.send(PASS, message, message.inner, network=30 - message.network)


def other_destination(ips, message, earlier):
    other = "db" if message.network == 10 else "web"
    ips.send(PASS, message, mac_of(other) + message.inner[6:])


def other_source(ips, message, earlier):
    ips.send(PASS, message, message.inner[:6] + mac_of("db") + message.inner[12:])


def a_tag_inside(ips, message, earlier):
    ips.send(PASS, message, message.inner[:12] + b"\x81\x00\x00\x14" + message.inner[12:])


def broadcast(ips, message, earlier):
    ips.send(PASS, message, b"\xff" * 6 + message.inner[6:])


def truncated(ips, message, earlier):
    ips.send(PASS, message, message.inner[:random.randrange(len(message.inner))])


def grown(ips, message, earlier):
    ips.send(PASS, message, message.inner + bytes(1300))


def larger_than_the_mtu(ips, message, earlier):
    ips.send(PASS, message, message.inner + bytes(1514))


def bits_flipped(ips, message, earlier):
    frame = bytearray(ips.seal(PASS, message, message.inner))
    for _ in range(random.randrange(1, 8)):  # of the sealed message: none of them is believed
        frame[random.randrange(12, len(frame))] ^= 1 << random.randrange(8)
    ips.wire.send(frame)


def cut_on_the_wire(ips, message, earlier):
    frame = ips.seal(PASS, message, message.inner)
    ips.wire.send(frame[:random.randrange(14, len(frame))])


def wrong_code(ips, message, earlier):
    ips.send(PASS, message, message.inner, mac=random.randbytes(16))


def reflected(ips, message, earlier):
    ips.send(REQUEST, message, message.inner)
    ips.send(PROBE, message, b"")
    ips.send(random.randrange(7, 256), message, message.inner)


def never_sent(ips, message, earlier):
    ips.send(PASS, message, make("web", 999999), handle=random.getrandbits(64))


def other_worker(ips, message, earlier):
    ips.send(PASS, message, message.inner, worker=random.randrange(1, 256))


def bad_options(ips, message, earlier):
    ips.send(PASS, message, message.inner, options=lambda option: option[:3] + b"\x09" + option[4:])
    ips.send(PASS, message, message.inner, options=lambda option: option + option)
    ips.send(PASS, message, message.inner, options=lambda option: b"\xff\xff\x81\x00" + option)
    ips.send(PASS, message, message.inner, options=lambda option: b"\x12\x34" + option[2:])
    ips.send(PASS, message, message.inner, options=lambda option: option[:-4])


def both_verdicts(ips, message, earlier):
    ips.send(random.choice([DROP, FAILED]), message, b"")
    pass_it(ips, message, earlier)


def verdict_with_a_frame(ips, message, earlier):
    ips.send(DROP, message, make("db", 999998))


def out_of_order(ips, message, earlier):
    for old in reversed(earlier[-20:]):
        ips.send(PASS, old, old.inner)
    pass_it(ips, message, earlier)


ATTACKS = [twice, never, wrong_handle, stale_handles, other_tenants_handle, other_network, other_destination,
           other_source, a_tag_inside, broadcast, truncated, grown, larger_than_the_mtu, bits_flipped,
           cut_on_the_wire, wrong_code, reflected, never_sent, other_worker, bad_options, both_verdicts,
           verdict_with_a_frame, out_of_order]


def packet_memory(daemon):
    """Resident kilobytes of the role that holds packets."""
    status = open(f"/proc/{daemon.role_pid('packet')}/status").read()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.fixture
def turned(lab):
    """turned(respond): the gateway, with the hostile appliance answering its probes."""
    made = []

    def begin(respond, **options):
        config = connect(lab, **{"in-flight": 256})
        del config  # there is no daemon at the other end
        lab.config["inspection"].update(options)
        lab["ips"].run("ip", "link", "set", "xcf1", "up")
        made.append(HostileAppliance(lab["ips"], "xcf1", APPLIANCE, CLIENT, SECRET, respond))
        lab.start()
        wait_until(lambda: lab.daemon.cli("inspect")["engines"][0]["state"] == "running", 10,
                   what="the appliance's answers")
        return made[0]
    yield begin
    for ips in made:
        ips.stop()


def exchange(lab, wires, rounds):
    """Sends numbered frames to both partitions; returns what each got of them."""
    got = {name: [] for name in wires}
    sender = lab.outside.wire("eth0")
    number = 0
    for _ in range(rounds):
        for _ in range(4):
            for name in wires:
                number += 1
                sender.send(make(name, number))
        for name, wire in wires.items():
            got[name] += [frame for frame in wire.drain(0.02) if MARK in frame or ETHERTYPE in frame]
    for name, wire in wires.items():
        got[name] += [frame for frame in wire.drain(0.5) if MARK in frame or ETHERTYPE in frame]
    return got


def anything_of(attacks):
    """(the answer to one request or frame: one of the attacks, by SEED; how often each was tried)"""
    random.seed(SEED)
    counts = collections.Counter()

    def respond(ips, message):
        attack = random.choice(attacks)
        counts[attack.__name__] += 1
        attack(ips, message, ips.seen[:-1])
    return respond, counts


def test_turned_appliance_reaches_nobody_else(lab, turned):
    """I10 I8 G3: whatever it returns, each frame gets to its own addressee in its own VLAN, at most once; its
    addresses are those it was sent with; nothing is left behind in memory."""
    respond, counts = anything_of([pass_it, *ATTACKS])
    ips = turned(respond, deadline="300ms")
    wires = {name: lab[name].wire("eth0") for name in ("web", "db")}
    exchange(lab, wires, 20)  # so that memory has been touched once
    before = packet_memory(lab.daemon)
    got = exchange(lab, wires, ROUNDS)
    assert all(counts[attack.__name__] > 5 for attack in ATTACKS), counts
    for name, frames in got.items():
        numbers = [number_of(frame) for frame in frames if number_of(frame) is not None]
        assert len(numbers) == len(set(numbers)), "delivered twice"
        assert 999999 not in numbers and 999998 not in numbers, "never sent"
        assert len(numbers) > 50, "what it passes still passes"
        for frame in frames:
            assert frame[:14] == mac_of(name) + make(name, 0)[6:12] + ETHERTYPE
    status = lab.daemon.cli("inspect")
    assert status["hold"]["held"] == 0 and status["hold"]["invalid_returns"] > 100
    assert status["engines"][0]["details"]["forged"] > 10
    assert status["engines"][0]["state"] == "running"
    assert packet_memory(lab.daemon) < before + 4096
    drops = lab.daemon.drops()
    assert drops["inspect_invalid_return"] > 20 and drops["link_malformed"] > 20
    assert len(ips.seen) > 1000


def test_silent_flooding_appliance_holds_nothing_up(lab, turned):
    """I10 I4: it never answers, and floods the link with messages of its own: what it may hold is bounded, and
    each packet is decided at its deadline."""
    def respond(ips, message):
        for _ in range(20):
            ips.send(PASS, message, message.inner, handle=random.getrandbits(64))

    turned(respond, deadline="50ms", **{"on-failure": "pass"})
    web = lab["web"].wire("eth0")
    sender = lab.outside.wire("eth0")
    for number in range(300):
        sender.send(make("web", number))
    numbers = [number_of(frame) for frame in web.drain(1) if number_of(frame) is not None]
    assert sorted(numbers) == list(range(300))
    status = lab.daemon.cli("inspect")
    assert status["hold"]["held"] == 0 and status["hold"]["invalid_returns"] > 300
