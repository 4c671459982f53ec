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

import os
import signal
import struct
import subprocess
import time

import pytest

from lab import channels
from lab.channels import BIND, CONNECT, DOWN, EXCEPTION, KEY, RECEIVE, REFUSED, REVOKE, SEND, UNBIND
from lab.netns import stop, wait_until
from tests.scenario.channel_hosts import *  # noqa: F403  its fixtures, and what they are used with

MESSAGES = int(os.environ.get("CHANNEL_MESSAGES", "1000000"))  # of the long run, in all
EXAMPLES = channels.BUILD / "examples"


# --- How a channel comes to stand ---


def test_lines_of_a_shell_go_to_another_partition(host):
    """C1, C8: `channel send` in web, `channel recv` in db; nothing of it needs a network."""
    receiver = command(host, "db", "recv", "web:5", "--endpoint", "6")
    sender = command(host, "web", "send", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    out, err = sender.communicate("one\ntwo\n\nfour\n", timeout=30)
    assert (sender.returncode, out, err) == (0, "", "")
    assert channels.finish(receiver) == (0, "one\ntwo\n\nfour\n", "")
    assert channels.stats(host.daemon)["messages"] == 4


def test_a_line_is_one_message_whatever_it_is(host):
    """C8: a line with a NUL in it, one as long as a message may be; and one that is longer, which is not cut."""
    longest = "x" * 65536
    receiver = command(host, "db", "recv", "web:5", "--endpoint", "6")
    sender = command(host, "web", "send", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    out, err = sender.communicate(f"one\0and its rest\n{longest}\nx{longest}\nbehind", timeout=30)
    assert (sender.returncode, out) == (1, "")
    assert "a line of 65537 bytes" in err
    assert channels.finish(receiver) == (0, f"one\0and its rest\n{longest}\n", "")
    assert channels.stats(host.daemon)["messages"] == 2


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


# The seed's figure 5, as far as one comes: rows of the receiver's and of both sides, a key, a request that is
# made before the sender's row, a channel that stands, a message on its way.
STEPS = ("502", "503", "504", "508 before 503", "514", "516")


def take_steps(web, db, last):
    """Up to this step; returns the rings of sender and receiver, as far as there are such."""
    receiver, receiving = db.authorise(6, RECEIVE, "web", 5)
    sending = None
    if last != "502" and last != "508 before 503":
        _, sending = web.authorise(5, SEND, "db", 6)
    if last not in ("502", "503"):
        assert db.ask(KEY, row=receiver)["status"] == 0
    if last not in ("502", "503", "504"):
        assert db.ask(CONNECT, row=receiver)["status"] == (0 if sending else ENOENT)
    if last == "516":
        sending.put(b"last words")
    return sending, receiving


@pytest.mark.parametrize("dies", ["sender", "receiver"])
def test_death_of_a_process_at_every_step(host, dies):
    """C9: the other end's row stays while nothing stands, and ends with the channel; what was said is heard;
    and another process takes the dead one's place."""
    for step in STEPS:
        web, db = heir(host, "web", 5), heir(host, "db", 6)
        _, receiving = take_steps(web, db, step)
        dead, other = (web, db) if dies == "sender" else (db, web)
        dead.close()
        if step in ("514", "516"):
            assert other.notice(DOWN)["reason"] == "peer-gone"
        if step == "516" and dies == "sender":
            assert receiving.wait_message() == b"last words"
        wait_until(lambda: {row["partition"] for row in channels.rows(host.daemon)} <= {other.name}, what="its end")
        for row in channels.rows(host.daemon):
            assert other.ask(REVOKE, row=row["channel"])["status"] == 0
        other.notices.clear()  # of the channel that was
        new = heir(host, dead.name, 5 if dies == "sender" else 6)
        meet(*((new, other) if dies == "sender" else (other, new)), step.encode())


def meet(web, db, message):
    """A channel stands between the two, and has a message; then both go."""
    (_, sending), (_, receiving) = channels.stand_up(web, db)
    sending.put(message)
    assert receiving.wait_message() == message
    web.close()
    db.close()


def test_death_of_the_role_at_every_step(alone):
    """C9: SIGKILL of the mechanism: both ends hear of it, attach again, and come to a channel."""
    for step in STEPS:
        web, db = heir(alone, "web", 5), heir(alone, "db", 6)
        take_steps(web, db, step)
        pid = alone.daemon.kill_role("channel")
        for process in (web, db):
            with pytest.raises(channels.Gone):
                while True:
                    process.receive()
        alone.daemon.wait_role("channel", pid)
        meet(heir(alone, "web", 5), heir(alone, "db", 6), step.encode())


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
    # Before the channel is made: the lane's clock, which may be behind ours, is not behind that.
    start = time.monotonic()
    (_, sending), (_, receiving) = channels.stand_up(web, db)
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
    app = host.folder / "run" / "new" / "app"  # which the broker makes

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


# --- Many messages ---


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


def test_a_dialogue_does_not_cut_lines(host):
    """Also a line that comes in several parts through a pipe is one message, and the last needs no newline."""
    web = command(host, "web", "open", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    db = command(host, "db", "open", "web:5", "--endpoint", "6", stdin=subprocess.PIPE)
    wait_up(host.daemon, 4)
    text = "".join(f"{letter * 50000}\n" for letter in "abc") + "the last"
    web.stdin.write(text)
    web.stdin.close()
    web.stdin = None
    # It ends when web does, whose own end comes with that.
    assert db.stdout.read() == text + "\n"
    assert channels.finish(db)[0] == channels.finish(web)[0] == 0


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
