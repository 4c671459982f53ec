# SPDX-License-Identifier: BSD-3-Clause
"""A host that is known and breaks the rules of links (C3, C5, C6, C9): it has its right certificate, and is
played by hand (lab/cmm_peer.py).

    web: endpoint 5 ── hv1: bulkheadd ══ TLS ══ hv2: no daemon, the test itself
"""

import socket
import struct

import pytest

from lab import channels
from lab.channels import BIND, CONNECT as ASK, DOWN, EXCEPTION, KEY, RECEIVE, REFUSED, REVOKE, SEND, UP
from lab.cmm_peer import (
    ACCEPT, ACK, AUTHORISED, CLOSE, DATA, RESUME, SYNCED, CmmPeer, Stamp, connect, data, frame)
from lab.links import PORT, Hosts
from lab.netns import wait_until
from lab.topology import Lab

KEY_BYTES = bytes(range(32))


@pytest.fixture(scope="module")
def shared():
    with Lab(partitions=()) as lab:
        def change(host):
            if host.index == 1:
                host.config["channels"]["allow"]["to-other"] = {"from": "web", "to": "hv2/other"}
        hosts = Hosts(lab, change=change, start=False)
        hosts[0].daemon.start()
        yield hosts
        hosts.stop()


@pytest.fixture
def one(shared):
    """hv1; `rogue()` is hv2."""
    one = shared[0]
    channels.begin(one.daemon)
    made = []

    def rogue(**options):
        made.append(CmmPeer(shared[1], one.address, PORT, shared.authority.certificate, **options))
        return made[-1]

    one.rogue = rogue
    one.drops_before = one.drops("hv2")
    yield one
    for each in made:
        each.close()
    channels.RawProcess.close_all()
    wait_until(lambda: not channels.rows(one.daemon), 20, what="the end of all channels")
    wait_until(lambda: one.peers()["hv2"]["state"] == "down", 20, what="the end of the link")


def new_drops(one):
    return channels.difference(one.drops("hv2"), one.drops_before)


def receiving_from(one, rogue):
    """web:5 receives from hv2/db:6: (process, row, ring, channel, stamp)."""
    web = one.raw(5, bind=BIND)
    row, ring = web.authorise(5, RECEIVE, "hv2/db", 6)
    assert web.ask(KEY, row=row)["status"] == 0
    web.ask(ASK, row=row)
    channel, stamp = rogue.expect_connect()
    assert (channel, stamp.fields[2:4]) == (row, [6, 5])
    rogue.accept(channel)
    web.notice(UP)
    return web, row, ring, channel, stamp


def sending_to(one, rogue, channel=77):
    """web:5 sends to hv2/db:6, whose request the rogue makes: (process, row, ring, stamp)."""
    web = one.raw(5, bind=BIND)
    row, ring = web.authorise(5, SEND, "hv2/db", 6)
    stamp = Stamp(11, 12, 5, 6, KEY_BYTES)
    rogue.send(connect(channel, stamp, "web", "db"))
    assert struct.unpack(">II", rogue.expect(ACCEPT))[0] == channel
    web.notice(UP)
    return web, row, ring, stamp


def test_forged_replayed_stale_and_misdirected_messages_are_dropped(one):
    """C5, C9: each is counted by its reason; what is right before and behind them is delivered."""
    rogue = one.rogue()
    web, row, ring, channel, stamp = receiving_from(one, rogue)
    key = stamp.fields[4]
    first, second = b"sixteen bytes...", b"and once more..."
    rogue.send(
        data(channel, stamp, 0, first),
        data(channel, stamp.but(4, bytes([key[0] ^ 1]) + key[1:]), 24, b"forged"),
        data(channel, stamp.but(4, bytes(32)), 24, b"without key"),
        data(channel, stamp.but(0, stamp.fields[0] + 1), 24, b"of another partition"),
        data(channel, stamp.but(1, stamp.fields[1] + 1), 24, b"to another partition"),
        data(channel, stamp.but(3, 7), 24, b"to another endpoint"),
        data(channel + 1000, stamp, 24, b"to no channel"),
        data(channel, stamp, 0, first),
        data(channel, stamp, 48, b"too early"),
        data(channel, stamp, 24, b"not from its start", 100, 10),
        data(channel, stamp, 24, bytes(32768), 65537),
        data(channel, stamp, 24, second))
    assert ring.wait_message() == first
    assert ring.wait_message() == second
    assert ring.take() is None
    assert new_drops(one) == {"forged": 5, "stale": 1, "replayed": 1, "gap": 2, "too-large": 1}
    assert channels.stats(one.daemon)["messages"] == 2


def test_a_message_of_one_channel_is_not_another_one_s(one):
    """C5: misdirected: right ids and key, on the other channel of the same peer."""
    rogue = one.rogue()
    web, _, ring, channel, stamp = receiving_from(one, rogue)
    other_row, other_ring = web.authorise(5, RECEIVE, "hv2/db", 7)
    assert web.ask(KEY, row=other_row)["status"] == 0
    web.ask(ASK, row=other_row)
    other, other_stamp = rogue.expect_connect()
    rogue.accept(other)
    web.notice(UP)
    rogue.send(data(other, stamp, 0, b"misdirected"), data(channel, other_stamp, 0, b"misdirected"),
               data(channel, stamp, 0, b"for the one"), data(other, other_stamp, 0, b"for the other"))
    assert ring.wait_message() == b"for the one"
    assert other_ring.wait_message() == b"for the other"
    assert new_drops(one) == {"forged": 2}


def come_again(one, rogue, is_restarted):
    """The connection is lost, and made again; by another mechanism of that host, when it was restarted."""
    rogue.close()
    wait_until(lambda: one.peers()["hv2"]["state"] == "down", 20, what="the end of the link")
    return one.rogue(incarnation=None if is_restarted else rogue.own_incarnation, says_synced=False)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_sender_s_host_goes_at_every_step(one, is_restarted):
    """C9: what hv1 has asked it asks again; a channel goes on where it was, or ends when there is nobody who
    knows of it."""
    for step in ("502", "508", "514", "516"):
        rogue = one.rogue()
        web = one.raw(bind=BIND)
        web.take_over(5)
        row, ring = web.authorise(5, RECEIVE, "hv2/db", 6)
        position = 0
        if step != "502":
            assert web.ask(KEY, row=row)["status"] == 0
            web.ask(ASK, row=row)
            channel, stamp = rogue.expect_connect()
        if step in ("514", "516"):
            rogue.accept(channel)
            web.notice(UP)
        if step == "516":
            rogue.send(data(channel, stamp, 0, b"before"))
            assert ring.wait_message() == b"before"
            position = 16
        rogue = come_again(one, rogue, is_restarted)
        if step in ("514", "516") and is_restarted:
            assert web.notice(DOWN)["reason"] == "peer-restarted"
            wait_until(lambda: ring.end() == "peer-restarted", what="the end in the ring")
        elif step in ("514", "516"):
            assert struct.unpack_from(">IQ", rogue.expect(RESUME)) == (channel, position)
            rogue.accept(channel)
            rogue.send(frame(SYNCED), data(channel, stamp, position, b"behind"))
            assert ring.wait_message() == b"behind"
        else:
            if step == "502":
                assert web.ask(KEY, row=row)["status"] == 0
                web.ask(ASK, row=row)
            channel, stamp = rogue.expect_connect()
            rogue.accept(channel)
            web.notice(UP)
            rogue.send(data(channel, stamp, 0, b"behind"))
            assert ring.wait_message() == b"behind"
        rogue.close()
        web.close()
        wait_until(lambda: not channels.rows(one.daemon), what="the end of the row")
    assert new_drops(one) == {}


@pytest.mark.parametrize("is_restarted", [False, True])
def test_the_receiver_s_host_goes_at_every_step(one, is_restarted):
    """C9: the same; what was not acknowledged is sent again, and what was is not."""
    for step in ("503", "514", "516", "524"):
        rogue = one.rogue()
        web = one.raw(bind=BIND)
        web.take_over(5)
        stamp = Stamp(11, 12, 5, 6, KEY_BYTES)
        row, ring = web.authorise(5, SEND, "hv2/db", 6)
        rogue.expect(AUTHORISED)
        if step != "503":
            rogue.send(connect(77, stamp, "web", "db"))
            rogue.expect(ACCEPT)
            web.notice(UP)
        if step in ("516", "524"):
            ring.put(b"before")
            assert rogue.expect(DATA).endswith(b"before")
        if step == "524":
            rogue.send(frame(ACK, struct.pack(">IQQ", 77, 16, 1 << 18)))
            wait_until(lambda: ring.word(channels.HEAD) == 16, what="the acknowledgement")
        rogue = come_again(one, rogue, is_restarted)
        if step == "503":
            rogue.expect(AUTHORISED)
            rogue.send(connect(77, stamp, "web", "db"), frame(SYNCED))
            rogue.expect(ACCEPT)
            web.notice(UP)
            ring.put(b"behind")
            assert rogue.expect(DATA).endswith(b"behind")
        elif is_restarted:
            assert web.notice(DOWN)["reason"] == "peer-restarted"
        else:
            assert struct.unpack_from(">I", rogue.expect(ACCEPT)) == (77,)
            rogue.send(frame(RESUME, struct.pack(">IQQ", 77, ring.word(channels.HEAD), 1 << 18)), frame(SYNCED))
            ring.put(b"behind")
            expected = [b"before", b"behind"] if step == "516" else [b"behind"]
            assert [rogue.expect(DATA)[-6:] for _ in expected] == expected
        rogue.close()
        web.close()
        wait_until(lambda: not channels.rows(one.daemon), what="the end of the row")
    assert new_drops(one) == {}


def test_who_sends_beyond_its_credit_loses_that(one):
    """C9: a ring that is full stays as it is; the messages before are all there."""
    rogue = one.rogue()
    web, row, ring, channel, stamp = receiving_from(one, rogue)
    size = 32768 - 8
    count = ring.capacity // 32768
    for number in range(count + 3):
        rogue.send(data(channel, stamp, number * 32768, bytes([number]) * size))
    wait_until(lambda: sum(new_drops(one).values()) == 3, what="the drops")
    assert set(new_drops(one)) == {"no-credit", "gap"}
    for number in range(count):
        assert ring.wait_message() == bytes([number]) * size
    assert ring.take() is None


def test_acknowledgements_of_what_was_not_sent_are_dropped(one):
    """C9: the sender's ring stays its process's."""
    rogue = one.rogue()
    web, row, ring, _ = sending_to(one, rogue)
    ring.put(b"sixteen bytes...")
    rogue.expect(9)
    for sequence, limit in ((48, 1 << 20), (7, 1 << 20), (24, 100), (1 << 63, 1 << 63)):
        rogue.send(frame(ACK, struct.pack(">IQQ", 77, sequence, limit)))
    rogue.send(frame(ACK, struct.pack(">IQQ", 78, 24, 1 << 20)))
    wait_until(lambda: new_drops(one) == {"bad-ack": 4, "stale": 1}, what="the drops")
    assert ring.word(channels.HEAD) == 0
    rogue.send(frame(ACK, struct.pack(">IQQ", 77, 24, 1 << 20)))
    wait_until(lambda: ring.word(channels.HEAD) == 24, what="the acknowledgement")


@pytest.mark.parametrize("sender, receiver, endpoints, reason", [
    ("web", "evil", (5, 6), "denied"), ("nobody", "db", (5, 6), "denied"),
    ("web", "db", (5, 8), "wrong-endpoint"), ("web", "other", (5, 6), "wrong-partition")])
def test_ids_that_were_never_authorised_are_refused(one, sender, receiver, endpoints, reason):
    """C3: a known certificate, and ids of no row: refused, counted, audited with both names, nothing stored."""
    rogue = one.rogue()
    web = one.raw(5, bind=BIND)
    row, _ = web.authorise(5, SEND, "hv2/db", 6)
    rogue.send(connect(9, Stamp(1, 2, *endpoints, KEY_BYTES), sender, receiver))
    assert rogue.expect_refusal() == (9, reason)
    event = wait_until(lambda: channels.events(one.daemon, "refused"), what="the event")[0]
    assert (event["reason"], event["by"]) == (reason, f"hv2/{receiver}")
    assert event["sender"] == {"partition": sender, "endpoint": endpoints[0]}
    assert channels.stats(one.daemon)["refused"] == {reason: 1}
    assert [(each["state"], each["key"]) for each in channels.rows(one.daemon)] == [("authorised", "none")]
    if reason.startswith("wrong"):
        told = web.notice(REFUSED)
        assert (told["row"], told["reason"], told["partition"]) == (row, reason, f"hv2/{receiver}")


def test_a_second_key_changes_nothing(one):
    """C6: the row has its key; another request for it is an exception with both names."""
    rogue = one.rogue()
    web, row, ring, stamp = sending_to(one, rogue)
    rogue.send(connect(78, stamp.but(4, bytes(32)), "web", "db"))
    assert rogue.expect_refusal() == (78, "key-set")
    assert web.notice(EXCEPTION)["partition"] == "hv2/db"
    event = wait_until(lambda: channels.events(one.daemon, "exception"), what="the event")[0]
    assert (event["by"], event["set_by"]) == ("hv2/db", "hv2/db")
    ring.put(b"as before")
    body = rogue.expect(9)
    assert struct.unpack_from(">I", body)[0] == 77 and KEY_BYTES in body and body.endswith(b"as before")


def test_a_stranger_s_channel_cannot_be_closed(one):
    """C9: CLOSE, ACCEPT, REFUSE and RESUME of channels that are not the peer's change nothing."""
    rogue = one.rogue()
    web, row, ring, channel, stamp = receiving_from(one, rogue)
    for number in (row + 1, 1 << 31, 77):
        for is_senders in (0, 1):
            rogue.send(frame(CLOSE, struct.pack(">III", number, is_senders, 1)))
        rogue.send(frame(ACCEPT, struct.pack(">II", number, 10)), frame(5, struct.pack(">II", number, 12)),
                   frame(6, struct.pack(">IQQ", number, 0, 10)))
    rogue.send(frame(CLOSE, struct.pack(">III", channel, 0, 1)))  # as if it were the receiver's host
    rogue.send(data(channel, stamp, 0, b"still here"))
    assert ring.wait_message() == b"still here"
    rogue.send(frame(CLOSE, struct.pack(">III", channel, 1, 99999)))
    assert web.notice(DOWN)["reason"] == "revoked"


@pytest.mark.parametrize("bytes_", [b"x" * 64, frame(99), frame(1, bytes(20)), bytes(8),
                                    struct.pack(">IB3x", 1 << 30, 9), frame(9, bytes(10))])
def test_what_is_no_frame_ends_the_connection(one, bytes_):
    """C9: and nothing else: the channel waits, and is resumed when the peer comes again."""
    rogue = one.rogue(incarnation=4711)
    web, row, ring, channel, stamp = receiving_from(one, rogue)
    rogue.send(data(channel, stamp, 0, b"before"))
    assert ring.wait_message() == b"before"
    rogue.send(bytes_)
    with pytest.raises((ConnectionResetError, OSError)):
        while True:
            rogue.receive()
    wait_until(lambda: one.peers()["hv2"]["state"] == "down", what="the end of the link")
    again = one.rogue(incarnation=4711, says_synced=False)
    assert again.incarnation == rogue.incarnation
    again.accept(channel)
    again.send(frame(7))
    again.send(data(channel, stamp, 0, b"before"), data(channel, stamp, 16, b"behind"))
    assert ring.wait_message() == b"behind"
    assert new_drops(one) == {"replayed": 1}
    web.ask(REVOKE, row=row)


def test_who_says_nothing_does_not_stay(one, shared):
    """C9: connections that do not prove who they are are few, and hold nobody up: the oldest makes place."""
    silent = [shared[1].namespace.inside(lambda: socket.create_connection((one.address, PORT), 20))
              for _ in range(40)]
    silent[0].settimeout(20)
    assert silent[0].recv(1) == b""
    rogue = one.rogue()
    for each in silent:
        each.close()
    web, row, ring, channel, stamp = receiving_from(one, rogue)
    rogue.send(data(channel, stamp, 0, b"let in"))
    assert ring.wait_message() == b"let in"
