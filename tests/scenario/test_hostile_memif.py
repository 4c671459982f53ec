# SPDX-License-Identifier: BSD-3-Clause
"""An inspector, and a partition, that have turned against the daemon whose memory they share (I10).

    outside ──── uplink [hv1: gateway ── external] ─┬─ trunk-a ── web (VLAN 10)
    frames with a number each            │          └─ trunk-b ── db  (VLAN 20)
                                       memif
                                         └── a program that returns, and writes into the memory, everything wrong
                                             that can be thought of (lab/hostile_memif.py)
"""

import contextlib
import ctypes
import fcntl
import os
import random
import struct
import threading
import time

import pytest

from lab.daemon import Daemon, make_run_folder
from lab.hostile_memif import (
    ACK, BUFFER, BUFFERS, CONNECT, NEXT, REGION, RING_SIZE, SIZE, TO_CLIENT, TO_SERVER, Control, HostileMemif,
    Refused, add_region, add_ring, init, message, region_file)
from lab.netns import wait_until
from lab.peers import can_ping
from tests.scenario.test_hostile_appliance import (
    ETHERTYPE, MARK, ROUNDS, anything_of, exchange, mac_of, make, number_of, packet_memory)
from tests.scenario.test_ports import port
from tests.scenario.test_roles import Pinger

ADDRESSES = {"web": "192.0.2.10", "db": "192.0.2.20"}


def handle(frame):
    return frame[12:18]


def vlan(frame):
    return struct.unpack(">H", frame[20:22])[0] & 0xfff


def inner(frame):
    return frame[:12] + frame[22:]


def wrap(plain, own_handle, network):
    return plain[:12] + own_handle + b"\x81\x00" + struct.pack(">H", network) + plain[12:]


# Each answers one frame; `earlier` are the frames before it, of whatever tenant.
def pass_it(ips, frame, earlier):
    ips.send(frame)


def twice(ips, frame, earlier):
    ips.send(frame, frame)


def never(ips, frame, earlier):
    pass


def wrong_handle(ips, frame, earlier):
    bit = random.randrange(16, 48)
    number = int.from_bytes(handle(frame), "big") ^ 1 << (bit - 16)
    ips.send(wrap(inner(frame), number.to_bytes(6, "big"), vlan(frame)))


def stale_handles(ips, frame, earlier):
    ips.send(*random.sample(earlier, min(4, len(earlier))))


def other_tenants_handle(ips, frame, earlier):
    others = [old for old in earlier[-50:] if vlan(old) != vlan(frame)]
    if others:
        ips.send(wrap(inner(frame), handle(others[-1]), vlan(others[-1])), wrap(inner(others[-1]), handle(frame),
                                                                               vlan(frame)))


def other_network(ips, frame, earlier):
    ips.send(wrap(inner(frame), handle(frame), 30 - vlan(frame)))


def other_destination(ips, frame, earlier):
    ips.send(mac_of("db" if vlan(frame) == 10 else "web") + frame[6:])


def other_source(ips, frame, earlier):
    ips.send(frame[:6] + mac_of("db") + frame[12:])


def broadcast(ips, frame, earlier):
    ips.send(b"\xff" * 6 + frame[6:])


def a_tag_inside(ips, frame, earlier):
    ips.send(frame[:22] + b"\x81\x00\x00\x14" + frame[22:])


def truncated(ips, frame, earlier):
    ips.send(frame[:random.randrange(len(frame))])


def grown(ips, frame, earlier):
    ips.send(frame + bytes(1300))


def larger_than_the_mtu(ips, frame, earlier):
    ips.send(frame + bytes(9000))


def bits_flipped(ips, frame, earlier):
    """Not those of the number, by which frames are told apart: it may change what it inspects."""
    changed = bytearray(frame)
    number = frame.find(MARK) + len(MARK)
    for _ in range(random.randrange(1, 8)):
        at = random.choice([at for at in range(12, len(changed)) if not number <= at < number + 6])
        changed[at] ^= 1 << random.randrange(8)
    ips.send(bytes(changed))


def untagged(ips, frame, earlier):
    ips.send(inner(frame))


def never_sent(ips, frame, earlier):
    ips.send(wrap(make("web", 999999), random.randbytes(6), 10))


def out_of_order(ips, frame, earlier):
    ips.send(*reversed(earlier[-20:]), frame)


def changed_while_it_is_read(ips, frame, earlier):
    """The bytes change under the daemon's hands, from one tenant's to another's."""
    ips.send(frame)
    offset = BUFFERS + (ips.head - 1) % RING_SIZE * BUFFER
    for _ in range(20):
        ips.memory[offset:offset + 6] = mac_of("db")
        ips.memory[offset:offset + 6] = frame[:6]


# The same in terms of the ring: some of them end the link.
def wrong_region(ips, frame, earlier):
    ips.send_descriptors({"region": random.randrange(1, 0x10000), "length": 100, "offset": BUFFERS})


def wrong_offset(ips, frame, earlier):
    ips.send_descriptors({"length": 100, "offset": random.choice([REGION - 50, REGION, 0xffffffff, 0x80000000])})


def wrong_length(ips, frame, earlier):
    ips.send_descriptors({"length": random.choice([0xffffffff, 0x80000000, REGION, 0x10000 + 100]),
                          "offset": BUFFERS})


def the_whole_region(ips, frame, earlier):
    ips.send_descriptors({"length": REGION, "offset": 0})


def ring_as_a_frame(ips, frame, earlier):
    ips.send_descriptors({"length": 1500, "offset": TO_SERVER})


def empty_descriptors(ips, frame, earlier):
    ips.send_descriptors(*[{"flags": NEXT, "offset": BUFFERS}] * 20, {"offset": BUFFERS})


def chain_without_an_end(ips, frame, earlier):
    ips.send_descriptors(*[{"flags": NEXT, "length": BUFFER, "offset": BUFFERS}] * 100)


def all_flags(ips, frame, earlier):
    ips.send_descriptors({"flags": 0xfffe, "length": 60, "offset": BUFFERS, "metadata": 0xffffffff})


def counter_runs_away(ips, frame, earlier):
    ips.set_head(TO_SERVER, ips.head + random.choice([RING_SIZE + 1, 0x7fff, -1]))


def lent_buffers_are_nowhere(ips, frame, earlier):
    for slot in range(RING_SIZE):
        ips.put(TO_CLIENT, slot, region=random.randrange(3), length=random.getrandbits(32),
                offset=random.getrandbits(32))


def lent_counter_runs_away(ips, frame, earlier):
    ips.set_head(TO_CLIENT, ips.tail + RING_SIZE + random.randrange(1, 0x7000))


def scribbles(ips, frame, earlier):
    for ring in (TO_SERVER, TO_CLIENT):
        ips.memory[ring:ring + 128 + 16 * RING_SIZE] = random.randbytes(128 + 16 * RING_SIZE)


FRAMES = [twice, never, wrong_handle, stale_handles, other_tenants_handle, other_network, other_destination,
          other_source, broadcast, a_tag_inside, truncated, grown, larger_than_the_mtu, bits_flipped, untagged,
          never_sent, out_of_order, changed_while_it_is_read]
DESCRIPTORS = [wrong_region, wrong_offset, wrong_length, the_whole_region, ring_as_a_frame, empty_descriptors,
               chain_without_an_end, all_flags, counter_runs_away, lent_buffers_are_nowhere, lent_counter_runs_away,
               scribbles]


def invariant(got):
    """Each frame is at its own addressee, in its own VLAN, at most once, with the addresses it was sent with."""
    for name, frames in got.items():
        numbers = [number_of(frame) for frame in frames if number_of(frame) is not None]
        assert len(numbers) == len(set(numbers)), "delivered twice"
        assert 999999 not in numbers, "never sent"
        for frame in frames:
            assert frame[:14] == mac_of(name) + make(name, 0)[6:12] + ETHERTYPE


def packets_in_use(daemon):
    memory = daemon.cli("api", "call", "engine.status")["memory"]
    return memory["packets_total"] - memory["packets_free"]


@pytest.fixture
def turned(lab):
    """turned(respond): the gateway, and the hostile inspector at its memif."""
    made = []

    def begin(respond, **options):
        path = make_run_folder(lab.folder) / "inspect.sock"
        lab.config["inspection"] = {"engines": ["external"], "on-failure": "drop",
                                    "external": {"socket": str(path), "in-flight": 256}, **options}
        lab.daemon = Daemon(lab.hv1, lab.folder, lab.config).start(wait=False)

        def connect():
            try:
                made.append(HostileMemif(path, respond=respond))
            except (FileNotFoundError, ConnectionRefusedError):  # not there yet, or does not listen yet
                return False
            return True
        wait_until(connect, 20, what="the memif's socket")
        wait_until(lab.daemon.is_ready, 20, what="the inspector to count")
        return made[0]
    yield begin
    for ips in made:
        ips.stop()


def test_turned_inspector_reaches_nobody_else(lab, turned):
    """I10 I4: whatever it returns over its memif, each frame gets to its own addressee in its own VLAN, at most
    once; its addresses are those it was sent with; nothing is left behind in memory."""
    respond, counts = anything_of([pass_it, *FRAMES])
    ips = turned(respond, deadline="300ms")
    wires = {name: lab[name].wire("eth0") for name in ("web", "db")}
    exchange(lab, wires, 20)
    before, in_use = packet_memory(lab.daemon), packets_in_use(lab.daemon)
    got = exchange(lab, wires, ROUNDS)
    assert all(counts[attack.__name__] > 5 for attack in FRAMES), counts
    invariant(got)
    assert all(len(frames) > 50 for frames in got.values()), "what it passes still passes"
    status = lab.daemon.cli("inspect")
    assert status["hold"]["held"] == 0 and status["hold"]["invalid_returns"] > 100
    assert status["engines"][0]["state"] == "running"
    assert packet_memory(lab.daemon) < before + 4096
    wait_until(lambda: packets_in_use(lab.daemon) <= in_use + 64, 5, what="all buffers to be back")
    assert lab.daemon.drops()["inspect_invalid_return"] > 20
    assert len(ips.seen) > 1000


def test_memory_of_a_turned_inspector_is_not_believed(lab, turned):
    """I10: every field of its rings and descriptors is wrong at some time; the packet role reads and writes
    nothing outside of the region, ends the link each time, and lets it in again."""
    random.seed(12)
    attacks = list(DESCRIPTORS)
    done = []

    def respond(ips, frame):
        if len(ips.seen) % 20 == 0 and attacks:
            attack = attacks.pop()
            done.append(attack.__name__)
            for _ in range(80):
                if ips.is_ended():
                    break
                attack(ips, frame, ips.seen[:-1])
                time.sleep(0.001)
        else:
            pass_it(ips, frame, ips.seen[:-1])

    ips = turned(respond, deadline="100ms")
    role = lab.daemon.role_pid("packet")
    wires = {name: lab[name].wire("eth0") for name in ("web", "db")}
    exchange(lab, wires, 5)
    before, in_use = packet_memory(lab.daemon), packets_in_use(lab.daemon)
    end = time.monotonic() + 90
    while attacks and time.monotonic() < end:
        invariant(exchange(lab, wires, 5))
    assert len(done) == len(DESCRIPTORS), f"not all tried: {done}"
    wait_until(lambda: lab.daemon.cli("inspect")["engines"][0]["state"] == "running", 10, what="the last link")
    got = exchange(lab, wires, 10)
    invariant(got)
    assert all(got.values()), "it is let in again, and what it passes passes"
    assert lab.daemon.role_pid("packet") == role, "the role was not killed"
    assert len(ips.refusals) >= 5, ips.refusals
    assert "memif_hostile" in lab.daemon.log()
    assert any("point nowhere" in reason for reason in ips.refusals)
    assert any("beyond the ring" in reason for reason in ips.refusals)
    # Its region, which is shared, may be resident by now.
    assert packet_memory(lab.daemon) < before + 4096 + 2 * REGION // 1024
    wait_until(lambda: packets_in_use(lab.daemon) <= in_use + 64, 5, what="all buffers to be back")


def broken_connections(path, number):
    """Connections that end, or are ended, at every step."""
    good = region_file()
    shrunk = region_file(REGION, 0)
    hollow = region_file()
    fcntl.fcntl(hollow, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
    small = region_file(4096)
    bell = os.eventfd(0)
    first, second = os.pipe()
    with open("/etc/hostname", "rb") as file:
        steps = [
            [(b"",)], [(b"\0",)], [(os.urandom(SIZE // 2),)], [(os.urandom(SIZE),)], [(os.urandom(4 * SIZE),)],
            [(message(ACK),)], [(message(CONNECT),)], [(message(99),)],
            [(init(number, version=0x300),)], [(init(number, mode=1),)], [(init(number + 1000),)],
            [(init(number),), (init(number),)],
            [(init(number),), (add_region(),)],
            [(init(number),), (add_region(), bell)], [(init(number),), (add_region(), first)],
            [(init(number),), (add_region(), file.fileno())], [(init(number),), (add_region(), good, good, bell)],
            [(init(number),), (add_region(), shrunk)], [(init(number),), (add_region(), small)],
            [(init(number),), (add_region(size=0), good)], [(init(number),), (add_region(size=1 << 63), good)],
            [(init(number),), (add_region(index=1), good)], [(init(number),), (add_region(index=65535), good)],
            [(init(number),), *[(add_region(index=i), good) for i in range(40)]],
            [(init(number),), (add_region(), good), (add_ring(1),)],
            [(init(number),), (add_region(), good), (add_ring(1, index=1), bell)],
            [(init(number),), (add_region(), good), (add_ring(1, region=1), bell)],
            [(init(number),), (add_region(), good), (add_ring(1, offset=REGION - 64), bell)],
            [(init(number),), (add_region(), good), (add_ring(1, offset=-16), bell)],
            [(init(number),), (add_region(), good), (add_ring(1, offset=1), bell)],
            [(init(number),), (add_region(), good), (add_ring(0, log2=200), bell)],
            [(init(number),), (add_region(), good), (add_ring(0, private=8), bell)],
            [(init(number),), (add_region(), good), *[(add_ring(1, index=i), bell) for i in range(40)]],
            [(init(number),), (add_region(), good), (add_ring(1), bell), (message(CONNECT),)],
            # Zeros where the rings should be.
            [(init(number),), (add_region(), hollow), (add_ring(1), second), (add_ring(0), second),
             (message(CONNECT),)],
        ]
    for step in steps:
        control = Control(path)
        with pytest.raises(Refused):
            control.hear()
            for data, *descriptors in step:
                control.ask(data, *descriptors)
            control.hear()
        control.close()
        # The same, gone in the middle without a word.
        control = Control(path)
        with contextlib.suppress(Refused):
            for data, *descriptors in step[:-1]:
                control.send(data, *descriptors)
        control.close()
    for fd in (good, shrunk, hollow, small, bell, first, second):
        os.close(fd)


def flood(path, is_over):
    """Messages as fast as they go, answers not read; then connections that say nothing."""
    silent = []
    while not is_over.is_set():
        control = Control(path)
        try:
            for _ in range(1000):
                control.send(init(0))
        except (Refused, TimeoutError):
            pass
        control.close()
        try:
            silent.append(Control(path))
        except OSError:
            pass
        if len(silent) > 100:
            silent.pop(0).close()
        time.sleep(0.001)
    for control in silent:
        control.close()


def test_control_channel_of_a_memif_port_withstands_everything(lab):
    """I10, item 8 of issue 2: a partition's program breaks the protocol at each step, floods its socket and
    scribbles over its rings; the others' traffic loses nothing, descriptors and memory stay bounded, and a client
    that keeps to the rules is served afterwards."""
    path = make_run_folder(lab.folder) / "vnf.sock"
    lab.config["partitions"]["vnf"] = {"adapters": {"eth0": {"attach": f"memif:{path}", "vlan": 10}}}
    daemon = lab.start()
    role = daemon.role_pid("packet")
    assert can_ping(lab.outside, ADDRESSES["web"])

    def descriptors():
        return len(os.listdir(f"/proc/{role}/fd"))

    broken_connections(path, 0)  # so that memory has been touched once
    open_before, before = descriptors(), packet_memory(daemon)
    pinger = Pinger(lab.outside, ADDRESSES["web"])
    for _ in range(5):
        broken_connections(path, 0)
    is_over = threading.Event()
    flooder = threading.Thread(target=flood, args=(path, is_over))
    flooder.start()
    pinger.wait_for_more()
    pinger.wait_for_more()
    is_over.set()
    flooder.join(30)
    sent, received = pinger.stop()
    assert sent > 50 and sent - received <= 1
    assert daemon.role_pid("packet") == role
    assert packet_memory(daemon) < before + 4096
    wait_until(lambda: descriptors() <= open_before, what="the descriptors to be closed")
    vnf = HostileMemif(path)
    try:
        wait_until(lambda: port(daemon, "vnf.eth0")["is_up"], what="the link of one that behaves")
        wire = lab.outside.wire("eth0")
        frame = b"\xff" * 6 + bytes.fromhex("525400001099") + ETHERTYPE + b"from behind the memif".ljust(46)
        vnf.send(frame)
        assert wire.expect(lambda got: got == frame)
        for _ in range(20):
            wrong_region(vnf, frame, [])
        wait_until(lambda: daemon.drops().get("rx_malformed", 0) == 20, what="20 drops")
        counter_runs_away(vnf, frame, [])
        wait_until(lambda: vnf.refusals, what="the end of the link")
        assert can_ping(lab.outside, ADDRESSES["web"])
    finally:
        vnf.stop()
    assert daemon.role_pid("packet") == role


def punch_out(fd):
    """fallocate(2) with FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE; Python has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(REGION)) == 0, os.strerror(ctypes.get_errno())


def test_memory_that_is_taken_away_kills_nobody(lab, turned):
    """I10: the sealed region cannot shrink; its pages can be punched out, and are zeros then: the link ends."""
    tries = []

    def respond(ips, frame):
        if len(ips.seen) % 10:
            pass_it(ips, frame, ips.seen[:-1])
            return
        with pytest.raises(PermissionError):
            os.ftruncate(ips.file, 0)
        punch_out(ips.file)
        tries.append(1)

    ips = turned(respond, deadline="100ms")
    role = lab.daemon.role_pid("packet")
    wires = {name: lab[name].wire("eth0") for name in ("web", "db")}
    end = time.monotonic() + 60
    while len(tries) < 4 and time.monotonic() < end:
        invariant(exchange(lab, wires, 5))
    assert len(tries) >= 4 and len(ips.refusals) >= 3
    assert lab.daemon.role_pid("packet") == role
