# SPDX-License-Identifier: BSD-3-Clause
"""Channels between processes of partitions (C1 to C10), on one host.

    web (namespace)                hv1                               db (namespace)
    ┌──────────────┐    ┌──────────────────────────┐    ┌──────────────┐
    │ process      │    │ bulkheadd                │    │      process │
    │ endpoint 5   │════│═ ring ═► channel ═ ring ═│════│►  endpoint 6 │
    └──── channel.sock ─┤          role            ├─ channel.sock ────┘
                        └──────────────────────────┘
    Each namespace sees its own partition's socket alone, mounted at the lab's folder `inside`.
"""

import copy
import os
import pathlib
import re
import signal
import struct
import subprocess
import time

import pytest

from lab import channels
from lab.channels import BIND, CONNECT, DOWN, EXCEPTION, KEY, PEER, RECEIVE, REFUSED, REVOKE, SEND, UNBIND
from lab.netns import stop, wait_until
from lab.topology import Lab

BOTH_WAYS = {"web-db": {"from": "web", "to": "db"}, "db-web": {"from": "db", "to": "web"}}
MESSAGES = int(os.environ.get("CHANNEL_MESSAGES", "1000000"))  # of the long run, in all
EXAMPLES = channels.BUILD / "examples"
EPERM, ENOENT, EACCES, EXDEV, EMSGSIZE = -1, -2, -13, -18, -90
EADDRINUSE, EADDRNOTAVAIL, ENOBUFS, EDQUOT, EKEYREJECTED = -98, -99, -105, -122, -129
EPIPE, ECONNRESET = -32, -104


@pytest.fixture
def alone(lab):
    """A host whose partitions web and db may send each other messages, for one test alone: it kills roles."""
    lab.channel_folders = channels.configure(lab, allow=BOTH_WAYS)
    lab.start()
    return lab


@pytest.fixture(scope="module")
def shared():
    """The same for many tests, one after the other."""
    with Lab() as lab:
        lab.channel_folders = channels.configure(lab, allow=BOTH_WAYS)
        lab.start()
        yield lab


@pytest.fixture
def host(shared):
    """The shared host: counters and events are those of the test."""
    channels.begin(shared.daemon)
    config = copy.deepcopy(shared.daemon.config)
    yield shared
    channels.RawProcess.close_all()
    for name in ("web", "db"):
        while shared[name].processes:
            stop(shared[name].processes.pop())
    if shared.daemon.config != config:
        shared.daemon.apply(lambda changed: (changed.clear(), changed.update(config)))
    wait_until(lambda: not channels.rows(shared.daemon), 20, what="the end of all channels")


def peer(lab, partition, *arguments, **options):
    """channel-peer in a partition; arguments: send|receive, endpoint, partition, endpoint, count, seed…"""
    verb, *rest = arguments
    return channels.start_inside(lab, partition, lab.channel_folders[partition], PEER, verb,
                                 channels.inside_socket(lab), *rest, **options)


def command(lab, partition, *arguments, **options):
    """`bulkhead channel …` in a partition."""
    verb, *rest = arguments
    return channels.start_inside(lab, partition, lab.channel_folders[partition], channels.BULKHEAD, "channel",
                                 verb, *rest, "--attach", channels.inside_socket(lab), **options)


def raw(lab, partition, *endpoints):
    """A process that speaks by hand, with these endpoints."""
    process = channels.RawProcess(lab.channel_folders[partition] / "channel.sock")
    for endpoint in endpoints:
        assert process.ask(BIND, endpoint=endpoint)["status"] == 0
    return process


def wait_up(daemon, count=2):
    wait_until(lambda: len(channels.rows(daemon, state="up")) == count, 20, what="the channels")


def flow(lab, endpoints=(5, 6), count=0, seed=1, size_max=512, **options):
    """A channel from web to db, with messages that the receiver checks: (sender, receiver)."""
    first, second = endpoints
    receiver = peer(lab, "db", "receive", second, "web", first, count, seed, size_max, **options)
    sender = peer(lab, "web", "send", first, "db", second, count, seed, size_max, **options)
    return sender, receiver


def delivered(daemon):
    return channels.stats(daemon)["messages"]


def wait_flowing(daemon, more=2000):
    start = delivered(daemon)
    wait_until(lambda: delivered(daemon) > start + more, 20, what="messages")


# --- How a channel comes to stand ---


def test_lines_of_a_shell_go_to_another_partition(host):
    """C1, C8: `channel send` in web, `channel recv` in db; nothing of it needs a network."""
    receiver = command(host, "db", "recv", "web:5", "--endpoint", "6")
    sender = command(host, "web", "send", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    out, err = sender.communicate("one\ntwo\n\nfour\n", timeout=30)
    assert (sender.returncode, out, err) == (0, "", "")
    assert channels.finish(receiver) == (0, "one\ntwo\n\nfour\n", "")
    assert channels.stats(host.daemon)["messages"] == 4


def test_figure_5_step_by_step(host):
    """C1 to C5: rows of both sides (502, 503), a key at the receiver's (504, 506), the request that is
    verified and only then stored (508 to 514), a message (516 to 524)."""
    daemon = host.daemon
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    assert (web.name, db.name) == ("web", "db")
    receiver, receiving = db.authorise(6, RECEIVE, "web", 5)
    sender, sending = web.authorise(5, SEND, "db", 6)

    def states():
        return [(row["channel"], row["partition"], row["state"], row["key"])
                for row in channels.rows(daemon)]

    assert states() == [(receiver, "db", "authorised", "none"), (sender, "web", "authorised", "none")]
    assert db.ask(KEY, row=receiver)["status"] == 0
    assert states() == [(receiver, "db", "authorised", "local"), (sender, "web", "authorised", "none")]
    assert db.ask(CONNECT, row=receiver)["status"] == 0
    assert states() == [(receiver, "db", "up", "local"), (sender, "web", "up", "remote")]
    assert web.notice(channels.UP)["row"] == sender
    sending.put(b"a message")
    assert receiving.wait_message() == b"a message"
    shown = daemon.cli("channel", "show", str(sender))["channel"]
    assert (shown["other"], shown["messages"], shown["bytes"]) == (receiver, 1, 9)
    up = wait_until(lambda: channels.events(daemon, "up"), what="the event")[0]
    assert up["sender"] == {"partition": "web", "endpoint": 5}
    assert up["receiver"] == {"partition": "db", "endpoint": 6}


def test_within_one_partition(lab):
    """C8: two processes of web, each an endpoint."""
    lab.channel_folders = channels.configure(lab, ["web"], {"inside": {"from": "web", "to": "web"}})
    lab.start()
    receiver = peer(lab, "web", "receive", 6, "web", 5, 1000, 7)
    sender = peer(lab, "web", "send", 5, "web", 6, 1000, 7)
    assert channels.peer_result(receiver)["messages"] == 1000
    assert channels.peer_result(sender)["status"] == 0


def test_a_request_before_its_row_waits_for_it(host):
    """C3: no row: refused and counted, nothing stored; made again when the row comes."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    receiver, receiving = db.authorise(6, RECEIVE, "web", 5)
    db.ask(KEY, row=receiver)
    assert db.ask(CONNECT, row=receiver)["status"] == ENOENT
    assert channels.stats(host.daemon)["refused"] == {"no-row": 1}
    assert [row["state"] for row in channels.rows(host.daemon)] == ["waiting"]
    sender, sending = web.authorise(5, SEND, "db", 6)
    assert web.notice(channels.UP)["row"] == sender
    sending.put(b"after all")
    assert receiving.wait_message() == b"after all"


def refused(host, expected, reason, by, receiver, receiver_row):
    """The request of receiver_row is refused for reason, and both sides hear of it."""
    daemon = host.daemon
    assert receiver.ask(CONNECT, row=receiver_row)["status"] == expected
    assert channels.stats(daemon)["refused"] == {reason: 1}
    event = wait_until(lambda: channels.events(daemon, "refused"), what="the event")[0]
    assert (event["reason"], event["by"], event["pid"]) == (reason, by, os.getpid())
    assert event["sender"] == {"partition": "web", "endpoint": 5}
    assert [(row["state"], row["key"]) for row in channels.rows(daemon, direction="send")] == [
        ("authorised", "none")]
    return event


def test_a_request_from_another_partition_is_refused(lab):
    """C3: web:5 has authorised db:6; app:6 wants what it sends."""
    lab.channel_folders = channels.configure(lab, ["web", "db", "app"], {
        **BOTH_WAYS, "web-app": {"from": "web", "to": "app"}})
    lab.start()
    web, app = raw(lab, "web", 5), raw(lab, "app", 6)
    sender, _ = web.authorise(5, SEND, "db", 6)
    receiver, receiving = app.authorise(6, RECEIVE, "web", 5)
    app.ask(KEY, row=receiver)
    event = refused(lab, EXDEV, "wrong-partition", "app", app, receiver)
    assert event["receiver"] == {"partition": "app", "endpoint": 6}
    told = web.notice(REFUSED)
    assert (told["row"], told["reason"], told["partition"], told["endpoint"]) == (
        sender, "wrong-partition", "app", 6)
    assert receiving.take() is None


def test_a_request_from_another_endpoint_is_refused(host):
    """C3: web:5 has authorised db:6; db:8 wants what it sends."""
    web, db = raw(host, "web", 5), raw(host, "db", 8)
    sender, _ = web.authorise(5, SEND, "db", 6)
    receiver, _ = db.authorise(8, RECEIVE, "web", 5)
    db.ask(KEY, row=receiver)
    event = refused(host, EADDRNOTAVAIL, "wrong-endpoint", "db", db, receiver)
    assert event["receiver"] == {"partition": "db", "endpoint": 8}
    assert web.notice(REFUSED)["row"] == sender


def test_a_second_key_by_the_local_side_is_an_exception(host):
    """C6: db's mechanism has set the key of web's row; web's own agent cannot any more."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (sender, sending), (_, receiving) = channels.stand_up(web, db)
    assert web.ask(KEY, row=sender)["status"] == EKEYREJECTED
    event = wait_until(lambda: channels.events(host.daemon, "exception"), what="the event")[0]
    assert (event["by"], event["set_by"], event["reason"]) == ("web", "db", "key-set")
    assert db.notice(EXCEPTION)["partition"] == "web"
    assert channels.stats(host.daemon)["exceptions"] == 1
    sending.put(b"as before")
    assert receiving.wait_message() == b"as before"


def test_a_second_key_by_the_remote_side_is_an_exception(host):
    """C6: web's agent has set the key of web's row; db's request cannot any more."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    sender, _ = web.authorise(5, SEND, "db", 6)
    receiver, _ = db.authorise(6, RECEIVE, "web", 5)
    assert web.ask(KEY, row=sender)["status"] == 0
    assert db.ask(KEY, row=receiver)["status"] == 0
    assert db.ask(CONNECT, row=receiver)["status"] == EKEYREJECTED
    event = wait_until(lambda: channels.events(host.daemon, "exception"), what="the event")[0]
    assert (event["by"], event["set_by"]) == ("db", "web")
    assert web.notice(EXCEPTION)["row"] == sender
    assert [row["key"] for row in channels.rows(host.daemon)] == ["local", "local"]
    assert not channels.rows(host.daemon, state="up")


def test_what_no_rule_allows_is_denied(lab):
    """C10: from db to web there is no rule."""
    lab.channel_folders = channels.configure(lab, allow={"web-db": BOTH_WAYS["web-db"]})
    lab.start()
    code, _, err = channels.finish(command(lab, "db", "send", "web:5", "--endpoint", "6"))
    assert code == 1 and "no rule of channels.allow" in err
    code, _, err = channels.finish(command(lab, "web", "recv", "db:6", "--endpoint", "5"))
    assert code == 1 and "no rule of channels.allow" in err
    denied = wait_until(lambda: len(found := channels.events(lab.daemon, "denied")) == 2 and found,
                        what="the events")
    assert [(event["by"], event["sender"]["partition"]) for event in denied] == [("db", "db"), ("web", "db")]
    assert channels.stats(lab.daemon)["denied"] == 2
    assert "channel_event role=channel action=denied" in lab.daemon.log()


# --- Whose process it is ---


def test_a_process_is_of_the_partition_whose_socket_it_has(host):
    """A container has no way to another partition's socket, and nothing to say who it is with."""
    process = channels.start_inside(host, "web", host.channel_folders["web"], "sh", "-c",
                                    f"ls {host.folder}/inside {host.folder}/run")
    code, out, _ = channels.finish(process)
    assert code == 0 and out.split() == [f"{host.folder}/inside:", "channel.sock", f"{host.folder}/run:"]


def test_who_inherits_a_socket_is_not_its_process(host):
    """C9: a child that uses its parent's socket ends both, and their channels."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    channels.stand_up(web, db)
    request = channels.REQUEST.pack(BIND, 99, 0, 7, 0, 0, 0, 0, 0, b"")
    pid = os.fork()
    if pid == 0:
        web.send_bytes(request)
        os._exit(0)
    os.waitpid(pid, 0)
    with pytest.raises(channels.Gone):
        web.notice(DOWN)
    assert db.notice(DOWN)["reason"] == "peer-gone"
    wait_until(lambda: "another process used its socket" in host.daemon.log(), what="the log")
    assert not channels.rows(host.daemon)


def test_an_endpoint_is_one_process_s(lab):
    """Static ids by number, kept for a user by the configuration; others given out."""
    lab.channel_folders = channels.configure(lab, allow=BOTH_WAYS)
    lab.config["channels"]["partitions"]["web"]["static"] = {"log": {"id": 9, "uid": 61001}}
    lab.start()
    first, second = raw(lab, "web", 5), raw(lab, "web")
    assert second.ask(BIND, endpoint=5)["status"] == EADDRINUSE
    assert second.ask(BIND, endpoint=9)["status"] == EACCES
    assert second.ask(UNBIND, endpoint=5)["status"] == EACCES
    assert second.authorise(5, SEND, "db", 6) == (EACCES, None)
    row, _ = first.authorise(5, SEND, "db", 6)
    assert second.ask(REVOKE, row=row)["status"] < 0
    given = second.ask(BIND)["endpoint"]
    assert given > 1023
    first.close()
    wait_until(lambda: second.ask(BIND, endpoint=5)["status"] == 0, what="the endpoint")


@pytest.mark.parametrize("packet", [b"x", bytes(200), channels.REQUEST.pack(99, *[0] * 8, b""),
                                    channels.REQUEST.pack(BIND, *[0] * 8, b"x" * 32),
                                    channels.REQUEST.pack(BIND, *[0] * 8, b"\xff"),
                                    channels.REQUEST.pack(BIND, *[0] * 6, 1, 0, b"")])
def test_what_is_no_request_ends_the_connection(host, packet):
    web = raw(host, "web", 5)
    web.send_bytes(packet)
    with pytest.raises(channels.Gone):
        web.receive()
    silent = channels.RawProcess(host.channel_folders["web"] / "channel.sock", hello=False)
    silent.send_bytes(channels.REQUEST.pack(BIND, *[0] * 8, b""))
    with pytest.raises(channels.Gone):
        silent.receive()
    assert raw(host, "web", 5).name == "web"


# --- Ends ---


def test_revocation_while_messages_flow(host):
    """C4: an operator revokes; what the receiver has is what was delivered before the command returned."""
    daemon = host.daemon
    sender, receiver = flow(host)
    wait_up(daemon)
    wait_flowing(daemon)
    channel = channels.rows(daemon, direction="send")[0]["channel"]
    done = daemon.command("channel", "revoke", channel)
    assert done.returncode == 0, done.stderr
    count = delivered(daemon)
    got, sent = channels.peer_result(receiver), channels.peer_result(sender)
    assert (got["status"], got["reason"]) == (sent["status"], sent["reason"]) == (EPIPE, "operator")
    assert got["messages"] == count == delivered(daemon) > 2000
    assert not channels.rows(daemon)
    again = daemon.command("channel", "revoke", channel)
    assert again.returncode == 1 and "no channel of this number" in again.stderr


@pytest.mark.parametrize("ending", ["sender", "receiver"])
def test_revocation_by_one_end(host, ending):
    """C4: either end may."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (sender, sending), (receiver, receiving) = channels.stand_up(web, db)
    sending.put(b"before")
    assert receiving.wait_message() == b"before"
    if ending == "sender":
        assert web.ask(REVOKE, row=sender)["status"] == 0
        assert db.notice(DOWN)["reason"] == "revoked"
    else:
        assert db.ask(REVOKE, row=receiver)["status"] == 0
        assert web.notice(DOWN)["reason"] == "revoked"
    sending.put(b"after")
    assert sending.end() == receiving.end() == "revoked"
    # The role has answered a later request: whatever it would have moved, it has.
    raw(host, "web", 7)
    assert receiving.take() is None
    assert channels.stats(host.daemon)["keys"] == 0


@pytest.mark.parametrize("dies", ["sender", "receiver"])
def test_death_of_a_process_while_messages_flow(host, dies):
    """C9: the other end hears of it; what it got is in order and whole; the endpoints are free again."""
    daemon = host.daemon
    processes = dict(zip(("sender", "receiver"), flow(host)))
    wait_up(daemon)
    wait_flowing(daemon)
    pids = {row["direction"]: row["pid"] for row in channels.rows(daemon)}
    os.kill(pids["send" if dies == "sender" else "receive"], signal.SIGKILL)
    other = processes["receiver" if dies == "sender" else "sender"]
    result = channels.peer_result(other)
    assert (result["status"], result["reason"]) == (EPIPE, "peer-gone")
    assert result["messages"] > 0
    if dies == "sender":
        assert result["messages"] == delivered(daemon)
    wait_until(lambda: not channels.rows(daemon), what="the end of all rows")
    sender, receiver = flow(host, count=100)
    assert channels.peer_result(receiver)["messages"] == 100
    assert channels.peer_result(sender)["status"] == 0


def test_death_of_the_role(alone):
    """C9: SIGKILL of the channel role while messages flow. Each process hears of it, attaches again and goes
    on; nothing comes twice or out of order; the other roles have not moved."""
    daemon = alone.daemon
    others = [daemon.role_pid(role) for role in ("packet", "control")]
    environment = {**os.environ, "CHANNEL_PEER_RECONNECT": "1"}
    count = 400_000
    sender, receiver = flow(alone, count=count, env=environment)
    wait_up(daemon)
    wait_flowing(daemon)
    pid = daemon.kill_role("channel")
    daemon.wait_role("channel", pid)
    got, sent = channels.peer_result(receiver), channels.peer_result(sender)
    assert (got["status"], got["messages"]) == (sent["status"], sent["messages"]) == (0, count)
    assert got["reconnections"] == sent["reconnections"] == 1
    # What was in the sender's ring at the end of the role, and in nobody's after it: 512 KiB at most.
    assert got["missing"] < 512 * 1024 / 40
    assert [daemon.role_pid(role) for role in ("packet", "control")] == others


def test_channels_outlive_control_and_broker(alone):
    """Messages go on while control and the broker are started again; not one is lost."""
    daemon = alone.daemon
    sender, receiver = flow(alone)
    wait_up(daemon)
    control = daemon.kill_role("control")
    daemon.wait_role("control", control)
    broker = daemon.kill_role("broker")
    wait_until(lambda: daemon.role_pid("broker") not in (0, broker), 30, what="another broker")
    wait_flowing(daemon)
    os.kill(channels.rows(daemon, direction="send")[0]["pid"], signal.SIGKILL)
    stop(sender)
    result = channels.peer_result(receiver)
    assert result["messages"] == delivered(daemon) > 2000


# --- Who breaks the rules ---

def lie_about_tail(value):
    return lambda ring: ring.set_word(channels.TAIL, value)


def lie_about_size(value):
    def act(ring):
        ring.set_word(channels.DATA_AT + ring.position, value)
        ring.set_word(channels.TAIL, ring.position + 64)
    return act


def scribble_all(ring):
    ring.memory[0:channels.DATA_AT + ring.capacity] = os.urandom(channels.DATA_AT + ring.capacity)


SENDER_LIES = {
    "tail beyond the ring": lie_about_tail(1 << 40),
    "tail before what was read": lie_about_tail(8),
    "tail that wraps": lie_about_tail(-8),
    "tail between records": lie_about_tail(35),
    "size of four gigabytes": lie_about_size(0xffffffff),
    "size beyond what is there": lie_about_size(64),
    "size that wraps": lie_about_size(-1),
    "all of it": scribble_all,
}


@pytest.mark.parametrize("lie", SENDER_LIES)
def test_a_sender_that_breaks_its_ring_loses_its_channel(host, lie):
    """C9: its own channel is closed with a reason; a channel beside it loses nothing."""
    beside = flow(host, (15, 16), count=20_000)
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    sending.put(b"sixteen bytes...")
    assert receiving.wait_message() == b"sixteen bytes..."
    SENDER_LIES[lie](sending)
    sending.ring_bell()
    assert web.notice(DOWN)["reason"] == db.notice(DOWN)["reason"] == "sender-ring"
    assert receiving.take() is None and receiving.end() == "sender-ring"
    assert channels.stats(host.daemon)["ended"]["sender-ring"] == 1
    assert channels.peer_result(beside[1])["messages"] == 20_000


RECEIVER_LIES = {
    "head beyond the tail": lambda ring: ring.set_word(channels.HEAD, ring.word(channels.TAIL) + 8),
    "head that wraps": lambda ring: ring.set_word(channels.HEAD, -8),
    "all of it": scribble_all,
}


def fill(sending):
    """Sends until both rings are full: the role takes nothing any more."""
    message = bytes(32768 - 8)
    while True:
        taken = sending.word(channels.HEAD)
        if sending.position - taken < sending.capacity:
            sending.put(message)
        elif taken == sending.capacity:  # all that the receiver's ring holds, which is as large
            return


@pytest.mark.parametrize("lie", RECEIVER_LIES)
def test_a_receiver_that_breaks_its_ring_loses_its_channel(host, lie):
    """C9: it is found out when the role looks for room, and the sender is told whose fault it was."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    fill(sending)
    RECEIVER_LIES[lie](receiving)
    receiving.ring_bell()
    assert web.notice(DOWN)["reason"] == db.notice(DOWN)["reason"] == "receiver-ring"


def test_a_message_that_is_too_large_ends_the_channel(lab):
    """C9, C10: the sender's library would not have sent it."""
    lab.channel_folders = channels.configure(lab, allow={"web-db": {**BOTH_WAYS["web-db"], "message-max": "1KiB"}})
    lab.start()
    web, db = raw(lab, "web", 5), raw(lab, "db", 6)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    sending.put(bytes(1024))
    assert receiving.wait_message() == bytes(1024)
    sending.put(bytes(1025))
    assert db.notice(DOWN)["reason"] == "too-large"
    assert receiving.take() is None


def test_an_old_ring_is_not_replayed(host):
    """C9: a process that keeps the memory of a channel that has ended reaches nobody with it, also when the
    same ends have a new channel."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (sender, old), _ = channels.stand_up(web, db)
    web.ask(REVOKE, row=sender)
    db.notice(DOWN)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    old.put(b"replayed")
    sending.put(b"new")
    assert receiving.wait_message() == b"new"
    old.put(b"replayed again")
    sending.put(b"newer")
    assert receiving.wait_message() == b"newer"


# --- Limits ---


def test_limits_of_a_partition(lab):
    """C9, C10: endpoints, channels, memory and processes end in errors, and are free again afterwards."""
    lab.channel_folders = channels.configure(lab, allow={
        "web-db": {**BOTH_WAYS["web-db"], "channels": 2, "message-max": "4KiB"}})
    lab.config["channels"]["partitions"]["web"].update(
        endpoints=3, channels=4, memory="1MiB", processes=2)
    lab.start()
    web = raw(lab, "web", 1, 2, 3)
    assert web.ask(BIND)["status"] == EDQUOT
    assert web.ask(UNBIND, endpoint=3)["status"] == 0
    assert web.ask(BIND)["status"] == 0
    first, _ = web.authorise(1, SEND, "db", 1)
    assert web.authorise(1, SEND, "db", 2, message_max=4097) == (EMSGSIZE, None)
    assert web.authorise(1, SEND, "db", 2, capacity=1 << 20) == (ENOBUFS, None)
    web.authorise(1, SEND, "db", 2)
    assert web.authorise(1, SEND, "db", 3) == (EDQUOT, None)
    assert web.ask(REVOKE, row=first)["status"] == 0
    assert web.authorise(1, SEND, "db", 3)[0] > 0
    second = raw(lab, "web")
    third = channels.RawProcess(lab.channel_folders["web"] / "channel.sock", hello=False)
    assert third.receive()["status"] == EDQUOT
    second.close()
    wait_until(lambda: lab.daemon.cli("channel", "policy")["partitions"][0]["processes"] == 1, what="its end")
    assert raw(lab, "web").name == "web"


def test_a_receiver_that_does_not_read_stops_its_own_channel_alone(host):
    """C9: back-pressure reaches its sender, and nobody else; when it reads, all is there."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    count = 2 * (sending.capacity // 1024) - 2  # 1,016 bytes and 8: both rings full, and no more
    for number in range(count):
        wait_until(lambda: sending.position - sending.word(channels.HEAD) <= sending.capacity - 1024,
                   20, 0.001, "room")
        sending.put(struct.pack("=Q", number) + bytes(1008))
    sender, receiver = flow(host, (15, 16), count=50_000)
    assert channels.peer_result(receiver)["messages"] == 50_000
    assert channels.peer_result(sender)["status"] == 0
    for number in range(count):
        assert struct.unpack_from("=Q", receiving.wait_message())[0] == number


def test_the_rate_of_a_rule_is_kept(lab):
    """C10: at 2,000 messages a second 1,000 of them, but for the burst of 10 ms, take half a second at least,
    however slow the machine is."""
    lab.channel_folders = channels.configure(lab, allow={"web-db": {**BOTH_WAYS["web-db"], "rate": "2k/s"}})
    lab.start()
    web, db = raw(lab, "web", 5), raw(lab, "db", 6)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    start = time.monotonic()
    for number in range(1000):
        sending.put(struct.pack("=Q", number))
    for _ in range(1000):
        receiving.wait_message()
    assert time.monotonic() - start > (1000 - 21) / 2000
    # A live change lifts it.
    lab.daemon.apply(lambda config: config["channels"]["allow"]["web-db"].pop("rate"))
    sending.put(b"free")
    assert receiving.wait_message() == b"free"


def test_live_changes(host):
    """C10: a rule that goes closes its channels, with the reason, and nobody else's; partitions come and go
    while others' messages flow."""
    daemon = host.daemon
    sender, receiver = flow(host, (15, 16))
    wait_up(daemon)
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    web_row, _ = web.authorise(5, RECEIVE, "db", 6)
    db_row, sending = db.authorise(6, SEND, "web", 5)
    web.ask(KEY, row=web_row)
    assert web.ask(CONNECT, row=web_row)["status"] == 0

    def forbid(config):
        del config["channels"]["allow"]["db-web"]
    daemon.apply(forbid)
    assert web.notice(DOWN)["reason"] == db.notice(DOWN)["reason"] == "policy"
    assert db.authorise(6, SEND, "web", 5) == (EPERM, None)
    app = channels.make_folder(host, "app")

    def add(config):
        config["channels"]["partitions"]["app"] = {"socket": str(app / "channel.sock"), "access": "all"}
        config["channels"]["allow"]["app-db"] = {"from": "app", "to": "db"}
        config["channels"]["threads"] = 2
    daemon.apply(add)
    host.channel_folders["app"] = app
    newcomer = raw(host, "app", 7)
    (_, sending), (_, receiving) = channels.stand_up(newcomer, db, 7, 6)
    sending.put(b"new here")
    assert receiving.wait_message() == b"new here"

    def remove(config):
        del config["channels"]["partitions"]["app"], config["channels"]["allow"]["app-db"]
    daemon.apply(remove)
    assert db.notice(DOWN)["reason"] == newcomer.notice(DOWN)["reason"] == "policy"
    with pytest.raises(channels.Gone):
        newcomer.receive()
    wait_flowing(daemon)
    os.kill(channels.rows(daemon, direction="send")[0]["pid"], signal.SIGKILL)
    stop(sender)
    assert channels.peer_result(receiver)["reason"] == "peer-gone"


def test_a_socket_that_cannot_be_made_refuses_the_change(host):
    """C10: all or nothing: the rules before stay in force."""
    host.daemon.config["channels"]["partitions"]["new"] = {"socket": "/nowhere/channel.sock"}
    host.daemon.write_config()
    done = host.daemon.command("config", "apply", host.daemon.config_path)
    assert done.returncode == 1
    assert "channels.partitions.new.socket: /nowhere/channel.sock" in done.stderr
    assert {row["partition"] for row in host.daemon.cli("channel", "policy")["partitions"]} == {"web", "db"}
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    sending.put(b"as before")
    assert receiving.wait_message() == b"as before"


# --- Many messages, and keys ---


def test_many_messages_between_four_processes(host):
    """C5, C9: CHANNEL_MESSAGES in all, both ways at once, with the content and place of each one checked by
    its receiver."""
    count = MESSAGES // 2
    receivers = [peer(host, "db", "receive", 6, "web", 5, count, 11, 256),
                 peer(host, "web", "receive", 8, "db", 7, count, 12, 256)]
    senders = [peer(host, "web", "send", 5, "db", 6, count, 11, 256),
               peer(host, "db", "send", 7, "web", 8, count, 12, 256)]
    for receiver in receivers:
        result = channels.peer_result(receiver, timeout=60 + MESSAGES // 20_000)
        assert (result["status"], result["messages"], result["missing"]) == (0, count, 0)
    for sender in senders:
        assert channels.peer_result(sender)["status"] == 0
    assert delivered(host.daemon) == 2 * count
    assert channels.stats(host.daemon)["forged"] == 0


KEY_ROW = struct.Struct("=4I32s2I")
SECRET_HEADER = 16


def mappings(pid):
    """(start, end, flags) of each readable mapping, as smaps has them."""
    for part in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{pid}/smaps").read_text())[1:]:
        head = part.split(None, 2)
        start, end = (int(text, 16) for text in head[0].split("-"))
        flags = re.search(r"VmFlags: (.*)", part).group(1).split()
        if "r" in head[1]:
            yield start, end, flags


def read_memory(pid, start, end):
    """What is there, in pieces; what cannot be read (devices, guards) is left out."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for at in range(start, end, 1 << 20):
            try:
                memory.seek(at)
                yield memory.read(min(end - at, 1 << 20))
            except (OSError, ValueError, OverflowError):
                return


def keys_of(pid):
    """The keys in the role's key table: the locked, undumped, uninherited mapping that holds its rows."""
    found = set()
    for start, end, flags in mappings(pid):
        if not {"lo", "dd", "dc"} <= set(flags):
            continue
        content = b"".join(read_memory(pid, start, end))[SECRET_HEADER:]
        for at in range(0, len(content) - KEY_ROW.size, KEY_ROW.size):
            *_, key, setter, is_used = KEY_ROW.unpack_from(content, at)
            if is_used == 1 and setter in (1, 2):
                found.add(key)
    return found


def has_key(pid, keys):
    """Whether a part of a key is anywhere in a process's memory: what a core dump of it would hold."""
    parts = [key[:16] for key in keys] + [key[16:] for key in keys]
    pattern = re.compile(b"|".join(map(re.escape, parts)))
    rest = b""
    for start, end, _ in mappings(pid):
        for piece in read_memory(pid, start, end):
            if pattern.search(rest + piece):
                return True
            rest = piece[-16:]
    return False


def test_keys_are_nowhere_but_in_the_role(alone):
    """C7: not in the memory of processes that have the channels, of other roles, in answers or events; and
    the role leaves no core dump. Its death is an error to processes that do not attach again."""
    daemon = alone.daemon
    flows = [flow(alone, (5, 6)), flow(alone, (15, 16))]
    wait_up(daemon, 4)
    wait_flowing(daemon)
    role = daemon.role_pid("channel")
    keys = keys_of(role)
    assert len(keys) == 2
    assert has_key(role, keys)  # so the search finds what is there
    processes = {row["pid"] for row in channels.rows(daemon)}
    others = {daemon.role_pid(name) for name in ("control", "packet", "broker")}
    assert len(processes) == 4 and len(others) == 3
    for pid in (processes | others | {daemon.process.pid}):
        assert not has_key(pid, keys), pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    told = daemon.eve_path.read_text() + daemon.log() + "".join(
        daemon.command(*words, "--json").stdout for words in
        (["channels"], ["channel", "show", "3"], ["channel", "stats"], ["channel", "policy"]))
    for key in keys:
        assert key.hex() not in told
    status = pathlib.Path(f"/proc/{role}/status").read_text()
    assert int(re.search(r"VmLck:\s+(\d+)", status).group(1)) > 0
    limits = pathlib.Path(f"/proc/{role}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0", limits)
    os.kill(role, signal.SIGABRT)
    daemon.wait_role("channel", role)
    assert "core dumped" not in daemon.log()
    for sender, receiver in flows:
        assert channels.peer_result(sender)["status"] == ECONNRESET
        assert channels.peer_result(receiver)["status"] == ECONNRESET


def test_the_role_may_not_be_looked_into(host):
    """C7: not dumpable: its files in /proc are root's, also for processes of the roles' own user."""
    role = host.daemon.role_pid("channel")
    assert os.stat(f"/proc/{role}/mem").st_uid == 0
    user = str(os.stat(host.folder / "run").st_uid)
    done = subprocess.run(["setpriv", "--reuid", user, "--clear-groups", "cat", f"/proc/{role}/environ"],
                          capture_output=True, check=False, timeout=30)
    assert done.returncode != 0 and not done.stdout


# --- Programs, metrics ---


def test_a_dialogue_of_shells(host):
    """`channel open` in both partitions: lines go both ways."""
    web = command(host, "web", "open", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    db = command(host, "db", "open", "web:5", "--endpoint", "6", stdin=subprocess.PIPE)
    web.stdin.write("how are you?\n")
    web.stdin.flush()
    assert db.stdout.readline() == "how are you?\n"
    db.stdin.write("well\n")
    db.stdin.flush()
    assert web.stdout.readline() == "well\n"
    for process in (db, web):
        process.stdin.close()
        process.stdin = None
    assert channels.finish(web)[0] == channels.finish(db)[0] == 0


def test_the_examples(host):
    """An echo, a request/response service, and a log collector with two sources."""
    inside = channels.inside_socket(host)

    def start(partition, *arguments, **options):
        return channels.start_inside(host, partition, host.channel_folders[partition], *arguments, **options)

    echo = start("db", EXAMPLES / "channel-echo", inside, 6, "web", 5)
    shell = command(host, "web", "open", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    shell.stdin.write("hello\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == "hello\n"
    shell.stdin.close()
    shell.stdin = None
    assert channels.finish(shell)[0] == channels.finish(echo)[0] == 0
    service = start("db", EXAMPLES / "channel-request", "serve", inside, 6, "web", 5)
    client = start("web", EXAMPLES / "channel-request", "call", inside, 5, "db", 6, "set a 17", "get a", "get b")
    assert channels.finish(client) == (0, "ok\n17\nerror\n", "")
    assert channels.finish(service)[0] == 0
    collector = start("db", EXAMPLES / "channel-log", "collect", inside, 6, "web:5", "web:7")
    for endpoint, text in ((5, "first\nsecond\n"), (7, "third\n")):
        shipper = start("web", EXAMPLES / "channel-log", "ship", inside, endpoint, "db", 6, stdin=subprocess.PIPE)
        shipper.communicate(text, timeout=30)
        assert shipper.returncode == 0
    code, out, _ = channels.finish(collector)
    assert code == 0 and out == "web: first\nweb: second\nweb: third\n"


def test_tables_fit_80_columns(host):
    """Also with names as long as they may be shown next to each other."""
    channels.stand_up(raw(host, "web", 5), raw(host, "db", 6))
    for words in (["channels"], ["channel", "show", str(channels.rows(host.daemon)[0]["channel"])],
                  ["channel", "policy"], ["channel", "stats"], ["channel", "list", "--partition", "web"]):
        done = host.daemon.command(*words)
        assert done.returncode == 0, done.stderr
        assert max(len(line) for line in done.stdout.splitlines()) <= 80, done.stdout


def test_metrics_and_status(lab):
    lab.channel_folders = channels.configure(lab, allow=BOTH_WAYS)
    lab.config["control"] = {"metrics": "127.0.0.1:9580"}
    lab.start()
    sender, receiver = flow(lab, count=100)
    assert channels.peer_result(receiver)["messages"] == 100
    channels.peer_result(sender)
    text = lab.hv1.run("curl", "-s", "http://127.0.0.1:9580/metrics")
    assert "bulkhead_channel_messages_total 100" in text
    assert 'bulkhead_channel_processes{partition="web"}' in text
    assert "bulkhead_channel_role_up 1" in text
    assert 'bulkhead_channel_ended_total{reason="revoked"} 1' in text
    assert [row["state"] for row in lab.daemon.cli("status")["roles"] if row["name"] == "channel"] == ["running"]
