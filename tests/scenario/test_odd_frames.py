# SPDX-License-Identifier: BSD-3-Clause
"""Odd frames pass byte-exact from each origin to each destination.

                 uplink              VLAN 10 (native on the uplink)
    outside ─────────── hv1 ───────── web   partition
                         │ └───────── app   partition
                        sea0 (host)

Each origin sends all frames once; what the others' wires saw is compared, byte for byte and in order.
"""

import pytest

from tests.scenario import odd_frames

# Of a datagram that never gets whole: no engine that reads it lets it go.
INCOMPLETE = {"ipv4_tiny_fragment"}
SENDERS = {"web": "0e0000000001", "app": "0e0000000002", "outside": "0e0000000003",
           "host": "0e0000000004"}


def unguarded(config):
    for partition in config["partitions"].values():
        for adapter in partition["adapters"].values():
            del adapter["mac"], adapter["addresses"]
            adapter["guard"] = {"dhcp": False, "ra": False, "eapol": False}


def wires(lab):
    return {"web": lab["web"].wire("eth0"), "app": lab["app"].wire("eth0"),
            "outside": lab.outside.wire("eth0"), "host": lab.hv1.wire("sea0")}


def compare(sent, received, way, in_order=True):
    """Each frame is there once, unchanged, in its place among those of its sender."""
    mine = [frame for frame in received if frame[6:12] == sent[0][1][6:12]]
    if not in_order:
        sent = sorted(sent, key=lambda row: row[1])
        mine.sort()
    at = 0
    for name, frame in sent:
        assert at < len(mine), f"{way}: {name} is missing: {odd_frames.as_ether(frame)}"
        assert odd_frames.is_same(frame, mine[at]), (
            f"{way}: {name} was sent as\n{frame.hex()}\nand came as\n{mine[at].hex()}")
        at += 1
    assert at == len(mine), f"{way}: frames that nobody sent: {mine[at].hex()}"


@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("engines", ["none", "builtin"])
def test_odd_frames_pass_unchanged(make_lab, engines, mtu):
    """G13 G1 G4 G5 G6 G11 I6: more than 60 kinds of frames, from each origin to each destination; the
    builtin engine keeps the fragment whose datagram never comes, and nothing else."""
    lab = make_lab(partitions=("web", "app"), mtu=mtu)
    # The builtin engine holds fragments until it has them all, or until the deadline.
    lab.config["inspection"].update({"engines": [engines], "on-failure": "pass"})
    lab.start(unguarded)
    ends = wires(lab)
    frames = odd_frames.make(mtu)
    assert len(frames) >= 60
    for origin, wire in ends.items():
        source = bytes.fromhex(SENDERS[origin])
        sent = [(name, odd_frames.destination(name) + source + rest)
                for name, rest in frames.items()]
        for other in ends.values():
            other.drain(0.05)
        for _, frame in sent:
            wire.send(frame)
        for name, other in ends.items():
            if name != origin:
                # Between partitions of a VLAN nothing is inspected, unless configured.
                is_inspected = engines == "builtin" and {origin, name} != {"web", "app"}
                passing = [row for row in sent if not is_inspected or row[0] not in INCOMPLETE]
                compare(passing, other.drain(0.5), f"{origin} -> {name}", engines == "none")
        assert not [frame for frame in wire.drain(0.05) if frame[6:12] == source], origin


def test_unicast_odd_frames_reach_their_station_only(make_lab):
    """G13 G4 G5 G6: the same frames to learned stations: each arrives there and nowhere else."""
    lab = make_lab(partitions=("web", "app"))
    lab.start(unguarded)
    ends = wires(lab)
    sources = {name: bytes.fromhex(text) for name, text in SENDERS.items()}
    for name, wire in ends.items():  # everybody is heard once
        wire.send(b"\xff" * 6 + sources[name] + b"\x88\xb5" + bytes(46))
    for wire in ends.values():
        wire.drain(0.3)
    for origin, wire in ends.items():
        for target, other in ends.items():
            if target == origin:
                continue
            sent = [(name, sources[target] + sources[origin] + rest)
                    for name, rest in odd_frames.make().items()]
            for _, frame in sent:
                wire.send(frame)
            compare(sent, other.drain(0.4), f"{origin} -> {target}")
            for name, third in ends.items():
                if name not in (origin, target):
                    heard = [frame for frame in third.drain(0.02)
                             if frame[6:12] == sources[origin]]
                    assert not heard, f"{origin} -> {target} was heard by {name}"


def test_tagged_frames_lose_and_gain_only_their_tag(make_lab):
    """G13 G1 G5: VLAN 20 is tagged on the uplink: priority and inner tags stay as they are."""
    lab = make_lab(partitions=("db", "cache"))
    lab.start(unguarded)
    outside, db = lab.outside.wire("eth0"), lab["db"].wire("eth0")
    source = bytes.fromhex("0e0000000005")
    for priority in range(8):
        for name, rest in odd_frames.make(1496).items():
            if name == "header_only":
                continue  # Linux itself discards a tag with nothing behind it
            inside = odd_frames.destination(name) + source + rest
            tag = bytes.fromhex("8100") + (priority << 13 | 20).to_bytes(2, "big")
            outside.send(inside[:12] + tag + inside[12:])
            got = db.expect(lambda frame: frame[6:12] == source, 2)
            assert got is not None and odd_frames.is_same(inside, got), name
        if priority:
            continue
        for name, rest in odd_frames.make(1496).items():
            inside = odd_frames.destination(name) + source[:5] + b"\x06" + rest
            db.send(inside)
            got = outside.expect(lambda frame: frame[6:12] == inside[6:12], 2)
            wanted = inside[:12] + bytes.fromhex("81000014") + inside[12:]
            assert got is not None and odd_frames.is_same(wanted, got), name


def test_pause_frames_and_policy_drop(make_lab):
    """G13: pause frames end at the link; with reserved-addresses: drop, others do, too."""
    lab = make_lab(partitions=("web",))
    daemon = lab.start(unguarded)
    outside, web = lab.outside.wire("eth0"), lab["web"].wire("eth0")
    source = bytes.fromhex("0e0000000007")
    pause = bytes.fromhex("0180c2000001") + source + bytes.fromhex("8808000100ff") + bytes(42)
    lldp = bytes.fromhex("0180c200000e") + source + odd_frames.make()["lldp"]
    outside.send(pause)
    outside.send(lldp)
    got = web.expect(lambda frame: frame[6:12] == source)
    assert odd_frames.is_same(lldp, got)
    daemon.apply(lambda config: config["gateway"].update({"reserved-addresses": "drop"}))
    outside.send(lldp)
    assert web.expect(lambda frame: frame[6:12] == source, 0.5) is None
    assert daemon.drops()["reserved_address"] >= 2
