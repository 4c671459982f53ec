# SPDX-License-Identifier: BSD-3-Clause
"""Channels between hosts (C1, C3 to C6, C8, C9): daemons of their own, linked over a network.

    web (namespace)      hv1                       hv2                     db (namespace)
    ┌───────────┐  ┌──────────────┐  TLS 1.3 ┌──────────────┐  ┌───────────┐
    │ process   │══│ channel role │══════════│ channel role │══│   process │
    │ endpoint 5│  │  198.51.100.1│   br0    │198.51.100.2  │  │ endpoint 6│
    └───────────┘  └──────────────┘          └──────────────┘  └───────────┘
    and in the story of three nodes app on hv3 likewise
"""

import copy
import os
import struct
import subprocess

import pytest

from lab import channels
from lab.channels import BIND, CONNECT, DOWN, EXCEPTION, KEY, PEER, RECEIVE, REFUSED, REVOKE, SEND, UP
from lab.links import Authority, Hosts
from lab.netns import wait_until
from tests.scenario.channel_hosts import EKEYREJECTED, EPERM, EPIPE
from tests.scenario.test_hostile_channels import has_key, keys_of

EINPROGRESS = -115


@pytest.fixture
def make_hosts(make_lab, request):
    """make_hosts(**arguments of Hosts)"""
    made = []

    def make(**arguments):
        made.append(Hosts(make_lab(partitions=()), **arguments))
        return made[-1]

    yield make
    report = getattr(request.node, "report_call", None)
    for hosts in made:
        hosts.stop()
        if report is not None and report.failed:
            for each in hosts.hosts:
                print(f"--- {each.daemon.log_path}\n{each.daemon.log()[-6000:]}")


@pytest.fixture(scope="module")
def shared():
    """Two hosts for many tests, one after the other."""
    from lab.topology import Lab
    with Lab(partitions=()) as lab:
        hosts = Hosts(lab)
        yield hosts
        hosts.stop()


@pytest.fixture
def two(shared):
    """The shared hosts: counters and events are those of the test."""
    for each in shared.hosts:
        channels.begin(each.daemon)
    shared.wait_up()
    yield shared
    channels.RawProcess.close_all()
    for each in shared.hosts:
        wait_until(lambda: not channels.rows(each.daemon), 20, what="the end of all channels")


def raw(host, *endpoints):
    return host.raw(*endpoints, bind=BIND)


def peer(host, *arguments, **options):
    """channel-peer in the host's partition: send|receive, endpoint, partition, endpoint, count, seed…"""
    verb, *rest = arguments
    return host.inside(PEER, verb, channels.inside_socket(host.lab), *rest, **options)


def flow(hosts, endpoints=(5, 6), count=0, seed=1, size_max=512, **options):
    """A channel from hv1's web to hv2's db, with messages that the receiver checks: (sender, receiver)."""
    first, second = endpoints
    receiver = peer(hosts[1], "receive", second, "hv1/web", first, count, seed, size_max, **options)
    sender = peer(hosts[0], "send", first, "hv2/db", second, count, seed, size_max, **options)
    return sender, receiver


def stand_up(web, db, first=5, second=6):
    """A channel between two raw processes on two hosts: (row, ring) of each."""
    sending = web.authorise(first, SEND, "hv2/db", second)
    receiving = db.authorise(second, RECEIVE, "hv1/web", first)
    assert db.ask(KEY, row=receiving[0])["status"] == 0
    assert db.ask(CONNECT, row=receiving[0])["status"] == EINPROGRESS
    assert web.notice(UP)["row"] == sending[0]
    assert db.notice(UP)["row"] == receiving[0]
    return sending, receiving


def received(host):
    return sum(row["messages"] for row in channels.rows(host.daemon, direction="receive"))


def wait_flowing(host, more=2000):
    start = received(host)
    wait_until(lambda: received(host) > start + more, 30, what="messages")


def states(host):
    return [(row["partition"], row["remote"], row["state"], row["key"]) for row in channels.rows(host.daemon)]


# --- How a channel comes to stand ---


def test_figure_5_between_two_hosts(two):
    """C1 to C5, C8: rows on both hosts (502, 503), a key on the receiver's (504, 506), the request over the
    link (508, 510), verified and only then stored (512, 514), a message (516 to 524)."""
    one, other = two[0], two[1]
    web, db = raw(one, 5), raw(other, 6)
    receiver, receiving = db.authorise(6, RECEIVE, "hv1/web", 5)
    sender, sending = web.authorise(5, SEND, "hv2/db", 6)
    assert states(one) == [("web", "hv2/db", "authorised", "none")]
    assert db.ask(KEY, row=receiver)["status"] == 0
    assert states(other) == [("db", "hv1/web", "authorised", "local")]
    assert states(one) == [("web", "hv2/db", "authorised", "none")]
    assert db.ask(CONNECT, row=receiver)["status"] == EINPROGRESS
    assert web.notice(UP)["row"] == sender
    assert db.notice(UP)["row"] == receiver
    assert states(one) == [("web", "hv2/db", "up", "remote")]
    assert states(other) == [("db", "hv1/web", "up", "local")]
    sending.put(b"a message")
    assert receiving.wait_message() == b"a message"
    for host, names in ((one, ("web", "hv2/db")), (other, ("hv1/web", "db"))):
        up = wait_until(lambda: channels.events(host.daemon, "up"), what="the event")[0]
        assert (up["sender"], up["receiver"]) == (
            {"partition": names[0], "endpoint": 5}, {"partition": names[1], "endpoint": 6})
    assert [row["channels"] for host in (one, other) for row in host.peers().values()] == [1, 1]


def test_a_request_before_its_row_waits_for_it(two):
    """C3: no row on the other host: refused and counted there, nothing stored; made again when it comes."""
    web, db = raw(two[0], 5), raw(two[1], 6)
    receiver, receiving = db.authorise(6, RECEIVE, "hv1/web", 5)
    db.ask(KEY, row=receiver)
    assert db.ask(CONNECT, row=receiver)["status"] == EINPROGRESS
    for host in two.hosts:
        wait_until(lambda: channels.stats(host.daemon)["refused"] == {"no-row": 1}, what="the refusal")
    assert states(two[1]) == [("db", "hv1/web", "waiting", "local")]
    _, sending = web.authorise(5, SEND, "hv2/db", 6)
    web.notice(UP)
    db.notice(UP)
    sending.put(b"after all")
    assert receiving.wait_message() == b"after all"


def test_another_endpoint_is_refused(two):
    """C3: web:5 has authorised db:6; db:8 wants what it sends: both agents and both hosts hear of it."""
    web, db = raw(two[0], 5), raw(two[1], 8)
    sender, _ = web.authorise(5, SEND, "hv2/db", 6)
    receiver, receiving = db.authorise(8, RECEIVE, "hv1/web", 5)
    db.ask(KEY, row=receiver)
    db.ask(CONNECT, row=receiver)
    told = web.notice(REFUSED)
    assert (told["row"], told["reason"], told["partition"], told["endpoint"]) == (
        sender, "wrong-endpoint", "hv2/db", 8)
    told = db.notice(REFUSED)
    assert (told["row"], told["reason"], told["partition"]) == (receiver, "wrong-endpoint", "hv1/web")
    for host, by in ((two[0], "hv2/db"), (two[1], "db")):
        event = wait_until(lambda: channels.events(host.daemon, "refused"), what="the event")[0]
        assert (event["reason"], event["by"], event["sender"]["endpoint"]) == ("wrong-endpoint", by, 5)
        assert channels.stats(host.daemon)["refused"] == {"wrong-endpoint": 1}
    assert states(two[0]) == [("web", "hv2/db", "authorised", "none")]


def test_remote_after_local_is_an_exception(two):
    """C6: web's agent has set the key of its row; the request from hv2 cannot any more, and both hosts tell
    of both."""
    web, db = raw(two[0], 5), raw(two[1], 6)
    sender, _ = web.authorise(5, SEND, "hv2/db", 6)
    receiver, _ = db.authorise(6, RECEIVE, "hv1/web", 5)
    assert web.ask(KEY, row=sender)["status"] == 0
    assert db.ask(KEY, row=receiver)["status"] == 0
    assert db.ask(CONNECT, row=receiver)["status"] == EINPROGRESS
    assert web.notice(EXCEPTION)["partition"] == "hv2/db"
    assert db.notice(EXCEPTION)["row"] == receiver
    for host, names in ((two[0], ("hv2/db", "web")), (two[1], ("db", "hv1/web"))):
        event = wait_until(lambda: channels.events(host.daemon, "exception"), what="the event")[0]
        assert (event["by"], event["set_by"]) == names
        assert channels.stats(host.daemon)["exceptions"] == 1
        assert not channels.rows(host.daemon, state="up")


def test_local_after_remote_is_an_exception(two):
    """C6: hv2 has set the key of web's row; web's own agent cannot any more, and hv2 hears of it."""
    web, db = raw(two[0], 5), raw(two[1], 6)
    (sender, sending), (_, receiving) = stand_up(web, db)
    assert web.ask(KEY, row=sender)["status"] == EKEYREJECTED
    assert db.notice(EXCEPTION)["partition"] == "hv1/web"
    for host, names in ((two[0], ("web", "hv2/db")), (two[1], ("hv1/web", "db"))):
        event = wait_until(lambda: channels.events(host.daemon, "exception"), what="the event")[0]
        assert (event["by"], event["set_by"]) == names
    sending.put(b"as before")
    assert receiving.wait_message() == b"as before"


def test_lines_of_a_shell_go_to_another_host(two):
    """C8: `channel send` on hv1, `channel recv` on hv2."""
    def command(host, verb, *rest, **options):
        return host.inside(channels.BULKHEAD, "channel", verb, *rest, "--attach",
                           channels.inside_socket(host.lab), **options)
    receiver = command(two[1], "recv", "hv1/web:5", "--endpoint", "6")
    sender = command(two[0], "send", "hv2/db:6", "--endpoint", "5", stdin=subprocess.PIPE)
    out, err = sender.communicate("one\ntwo\n\nfour\n", timeout=30)
    assert (sender.returncode, out, err) == (0, "", "")
    assert channels.finish(receiver) == (0, "one\ntwo\n\nfour\n", "")


# --- Messages ---


def test_many_messages_both_ways(two):
    """C5, C9: of 32 B to 4 KiB, the content and place of each one checked by its receiver."""
    count = 100_000
    receivers = [peer(two[1], "receive", 6, "hv1/web", 5, count, 11, 4096),
                 peer(two[0], "receive", 8, "hv2/db", 7, count, 12, 256)]
    senders = [peer(two[0], "send", 5, "hv2/db", 6, count, 11, 4096),
               peer(two[1], "send", 7, "hv1/web", 8, count, 12, 256)]
    for receiver in receivers:
        result = channels.peer_result(receiver)
        assert (result["status"], result["messages"], result["missing"]) == (0, count, 0)
    for sender in senders:
        assert channels.peer_result(sender)["status"] == 0
    for host, name in ((two[0], "hv2"), (two[1], "hv1")):  # what tells of room may come behind the sender's end
        drops = host.drops(name)
        assert drops.keys() <= {"stale"} and drops.get("stale", 0) <= 8


def test_messages_larger_than_a_piece(make_hosts):
    """A message of up to 2 MiB goes in pieces, beside small ones."""
    def change(host):
        for rule in host.config["channels"]["allow"].values():
            rule["message-max"] = "2MiB"
    two = make_hosts(change=change)
    small = flow(two, (15, 16), count=20_000)
    large = flow(two, count=40, size_max=2 << 20)
    for sender, receiver in (small, large):
        assert channels.peer_result(receiver)["status"] == 0
        assert channels.peer_result(sender)["status"] == 0


def test_a_slow_reader_stops_its_own_channel_alone(two):
    """C9: credit: when the reader's ring is full its sender waits, and a channel beside it does not; when it
    reads, all is there."""
    web, db = raw(two[0], 5), raw(two[1], 6)
    (_, sending), (_, receiving) = stand_up(web, db)
    count = 2 * (sending.capacity // 1024) - 2  # 1,016 bytes and 8: both rings full, and no more
    for number in range(count):
        wait_until(lambda: sending.position - sending.word(channels.HEAD) <= sending.capacity - 1024,
                   20, 0.001, "room")
        sending.put(struct.pack("=Q", number) + bytes(1008))
    sender, receiver = flow(two, (15, 16), count=50_000)
    assert channels.peer_result(receiver)["messages"] == 50_000
    assert channels.peer_result(sender)["status"] == 0
    assert receiving.word(channels.TAIL) <= receiving.capacity
    for number in range(count):
        assert struct.unpack_from("=Q", receiving.wait_message())[0] == number


def test_three_nodes(make_hosts):
    """C8: each of three hosts sends to both others. What the third one wants of a channel between the first
    and the second is refused (C3), and one that is stopped says so (C9)."""
    def change(host):
        host.config["control"]["metrics"] = "127.0.0.1:9580"
    three = make_hosts(count=3, change=change)
    count, flows = 20_000, []
    for each in three.hosts:
        for other in three.hosts:
            if other is each:
                continue
            first, second = 10 + other.index, 20 + each.index
            flows.append(peer(other, "receive", second, f"{each.name}/{each.partition}", first, count, first))
            flows.append(peer(each, "send", first, f"{other.name}/{other.partition}", second, count, first))
    for process in flows:
        result = channels.peer_result(process)
        assert (result["status"], result["messages"], result["missing"]) == (0, count, 0)
    text = three[0].namespace.run("curl", "-s", "http://127.0.0.1:9580/metrics")
    for name in ("hv2", "hv3"):
        assert f'bulkhead_channel_link_up{{peer="{name}"}} 1' in text
        assert f'bulkhead_channel_link_drops_total{{peer="{name}",reason="forged"}} 0' in text
    table = three[2].daemon.command("channel", "peers").stdout
    assert "198.51.100.1:9590" in table and max(len(line) for line in table.splitlines()) <= 80
    web, app = raw(three[0], 5), raw(three[2], 6)
    sender, _ = web.authorise(5, SEND, "hv2/db", 6)
    receiver, _ = app.authorise(6, RECEIVE, "hv1/web", 5)
    app.ask(KEY, row=receiver)
    app.ask(CONNECT, row=receiver)
    told = web.notice(REFUSED)
    assert (told["row"], told["reason"], told["partition"]) == (sender, "wrong-partition", "hv3/app")
    assert app.notice(REFUSED)["reason"] == "wrong-partition"
    sender, sending = web.authorise(5, SEND, "hv3/app", 6)
    web.notice(UP)
    three[2].daemon.stop()
    assert web.notice(DOWN)["reason"] == "stopped"
    wait_until(lambda: sending.end() == "stopped", what="the end in the ring")


# --- Ends ---


@pytest.mark.parametrize("where", [0, 1])
def test_revocation_while_messages_flow(two, where):
    """C4: an operator on either host revokes; what the receiver has is what was delivered."""
    sender, receiver = flow(two)
    wait_flowing(two[1])
    host = two[where]
    done = host.daemon.command("channel", "revoke", channels.rows(host.daemon)[0]["channel"])
    assert done.returncode == 0, done.stderr
    got, sent = channels.peer_result(receiver), channels.peer_result(sender)
    assert (got["status"], got["reason"]) == (sent["status"], sent["reason"]) == (EPIPE, "operator")
    assert got["messages"] == channels.stats(two[1].daemon)["messages"] > 2000


@pytest.mark.parametrize("dies", [0, 1])
def test_death_of_a_process(two, dies):
    """C9: the other end hears of it; what a sender had said before is still heard."""
    ends = flow(two)
    wait_flowing(two[1])
    os.kill(channels.rows(two[dies].daemon)[0]["pid"], 9)
    result = channels.peer_result(ends[1 - dies])
    assert (result["status"], result["reason"]) == (EPIPE, "peer-gone")
    assert result["messages"] > 2000
    wait_until(lambda: not any(channels.rows(host.daemon) for host in two.hosts), what="the end of all rows")


@pytest.mark.parametrize("dies", [0, 1])
def test_death_of_a_role(make_hosts, dies):
    """C9: SIGKILL of the channel role on either host while messages flow: both processes attach or open anew
    and go on; nothing comes twice or out of order."""
    two = make_hosts()
    count = 200_000
    sender, receiver = flow(two, count=count, env={**os.environ, "CHANNEL_PEER_RECONNECT": "1"})
    wait_flowing(two[1])
    pid = two[dies].daemon.kill_role("channel")
    two[dies].daemon.wait_role("channel", pid)
    got, sent = channels.peer_result(receiver), channels.peer_result(sender)
    assert (got["status"], got["messages"]) == (sent["status"], sent["messages"]) == (0, count)
    # What was in the rings when it died: 512 KiB at most.
    assert got["missing"] < 512 * 1024 / 40
    two.wait_up()


def test_live_changes(two):
    """C10: a rule that goes closes its channels on both hosts, with the reason, and nobody else's; a peer goes
    and comes."""
    beside = flow(two, (15, 16))
    web, db = raw(two[0], 5), raw(two[1], 6)
    row, sending = db.authorise(6, SEND, "hv1/web", 5)
    row, receiving = web.authorise(5, RECEIVE, "hv2/db", 6)
    assert web.ask(KEY, row=row)["status"] == 0
    assert web.ask(CONNECT, row=row)["status"] == EINPROGRESS
    web.notice(UP)
    db.notice(UP)
    before = copy.deepcopy(two[0].daemon.config)

    def forbid(config):
        del config["channels"]["allow"]["from-hv2"]
    two[0].daemon.apply(forbid)
    assert web.notice(DOWN)["reason"] == db.notice(DOWN)["reason"] == "policy"
    assert web.authorise(5, RECEIVE, "hv2/db", 6) == (EPERM, None)
    wait_flowing(two[1])

    two[0].daemon.apply(lambda config: config["channels"].update(allow={}))
    for process in beside:
        assert channels.peer_result(process)["reason"] == "policy"
    two[0].daemon.apply(lambda config: config["channels"].update(peers={}))
    wait_until(lambda: two[1].peers()["hv1"]["state"] == "down", 20, what="the end of the link")
    two[0].daemon.apply(lambda config: config.update(before))
    two.wait_up()
    (_, sending), (_, receiving) = stand_up(web, db)
    sending.put(b"again")
    assert receiving.wait_message() == b"again"


# --- The link ---


def test_a_link_that_is_cut_loses_and_repeats_nothing(make_hosts):
    """C9: the cable is out until both hosts have given the connection up, and in again: the messages go on
    where they were, each with its content and place."""
    two = make_hosts()
    sender, receiver = flow(two)
    back_sender = peer(two[1], "send", 7, "hv1/web", 8, 0, 12, 256)
    back_receiver = peer(two[0], "receive", 8, "hv2/db", 7, 0, 12, 256)
    for _ in range(2):
        wait_flowing(two[1])
        wait_flowing(two[0])
        two[1].cut()
        for host, name in ((two[0], "hv2"), (two[1], "hv1")):
            wait_until(lambda: host.peers()[name]["state"] == "down", 60, what="the end of the link")
        two[1].restore()
        two.wait_up()
    wait_flowing(two[1])
    wait_flowing(two[0])
    for host, name in ((two[0], "hv2"), (two[1], "hv1")):  # what is on its way when an end dies may be dropped
        assert host.drops(name) == {}
    for host in two.hosts:
        for row in channels.rows(host.daemon, direction="send"):
            os.kill(row["pid"], 9)
    for process, host in ((receiver, two[1]), (back_receiver, two[0])):
        result = channels.peer_result(process)
        assert (result["reason"], result["missing"]) == ("peer-gone", 0)
        assert result["messages"] > 6000
    for host, name in ((two[0], "hv2"), (two[1], "hv1")):
        assert host.peers()[name]["connections"] >= 3
    sender.wait(20)
    back_sender.wait(20)


def test_a_link_that_stays_down_ends_its_channels(make_hosts):
    """C9: after `link.timeout`, with the reason, on both hosts."""
    def change(host):
        host.config["channels"]["link"]["timeout"] = "2s"
    two = make_hosts(change=change)
    sender, receiver = flow(two)
    wait_flowing(two[1])
    two[1].cut()
    got, sent = channels.peer_result(receiver), channels.peer_result(sender)
    assert got["reason"] == sent["reason"] == "link-lost"
    down = wait_until(lambda: channels.events(two[0].daemon, "peer-down"), what="the event")[0]
    assert down["peer"] == "hv2"


def test_what_ended_while_the_link_was_down_ends_behind_it(make_hosts):
    """C4, C9: a receiver that revokes meanwhile is found gone when the hosts meet again; another channel goes
    on."""
    two = make_hosts()
    web, db = raw(two[0], 5, 7), raw(two[1], 6, 8)
    (_, sending), (receiver, _) = stand_up(web, db)
    (_, other_sending), (_, other_receiving) = stand_up(web, db, 7, 8)
    two[1].cut()
    wait_until(lambda: two[1].peers()["hv1"]["state"] == "down", 60, what="the end of the link")
    assert db.ask(REVOKE, row=receiver)["status"] == 0
    other_sending.put(b"meanwhile")
    two[1].restore()
    assert web.notice(DOWN)["reason"] == "revoked"
    assert other_receiving.wait_message() == b"meanwhile"
    wait_until(lambda: sending.end() == "revoked", what="the end in the ring")


def test_certificates_are_changed_while_messages_flow(make_hosts):
    """Other certificates by `config apply`: the link is made anew with them, and loses nothing."""
    two = make_hosts()
    sender, receiver = flow(two)
    wait_flowing(two[1])
    certificate, key = two.authority.sign("hv1-new", "hv1")

    def renew(config):
        config["channels"]["link"].update(certificate=str(certificate), key=str(key))
    two[0].daemon.apply(renew)
    wait_until(lambda: two[1].peers()["hv1"]["connections"] == 2, 30, what="another connection")
    wait_flowing(two[1])
    os.kill(channels.rows(two[0].daemon)[0]["pid"], 9)
    assert channels.peer_result(receiver)["missing"] == 0
    sender.wait(20)


def test_keys_of_links_are_nowhere_else(two):
    """C7: with channels to another host, keys are not in the memory of processes and other roles, nor in what
    the daemons tell, nor in the clear on the network."""
    sender, receiver = flow(two)
    wait_flowing(two[1])
    for host in two.hosts:
        role = host.daemon.role_pid("channel")
        keys = keys_of(role)
        assert len(keys) == 1 and has_key(role, keys)
        pids = {row["pid"] for row in channels.rows(host.daemon)}
        pids |= {host.daemon.role_pid(name) for name in ("control", "packet", "broker")}
        for pid in pids:
            assert not has_key(pid, keys)
        told = host.daemon.eve_path.read_text() + host.daemon.log() + host.daemon.command(
            "channel", "peers", "--json").stdout
        assert not any(key.hex() in told for key in keys)
    wire = two[1].net.wire("hv1")
    try:
        for _ in range(200):
            frame = wire.receive(20)
            assert frame and not any(key[:16] in frame or key[16:] in frame for key in keys)
    finally:
        wire.close()
    os.kill(channels.rows(two[0].daemon)[0]["pid"], 9)
    assert channels.peer_result(receiver)["reason"] == "peer-gone"
    sender.wait(20)
    # With the channel its key goes, from the roles, too.
    for host in two.hosts:
        wait_until(lambda: not channels.rows(host.daemon), what="the end of the row")
        assert not has_key(host.daemon.role_pid("channel"), keys)


# --- Who is not let in ---


def test_a_stranger_s_certificate_is_refused(make_hosts):
    """A certificate of another authority: no link, and both say why."""
    two = make_hosts(start=False)
    stranger = Authority(two[1].lab.folder / "stranger")
    certificate, key = stranger.sign("hv2")
    two[1].daemon.config["channels"]["link"].update(certificate=str(certificate), key=str(key))
    two[1].daemon.write_config()
    for host in two.hosts:
        host.daemon.start()
    event = wait_until(lambda: channels.events(two[0].daemon, "peer-refused"), 30, what="the event")[0]
    assert event["address"] == "198.51.100.2" and "certificate" in event["reason"]
    assert two[0].peers()["hv2"]["state"] == "down"
    wait_until(lambda: "reason" in two[1].peers()["hv1"], what="the reason")
    assert two[1].peers()["hv1"]["state"] == "down"


def test_another_certificate_of_the_same_name_is_refused(make_hosts):
    """fingerprint: the authority signed it, and it is not the one."""
    two = make_hosts(start=False)
    two[0].daemon.config["channels"]["peers"]["hv2"]["fingerprint"] = two.authority.fingerprint(two[1].certificate)
    two[0].daemon.write_config()
    for host in two.hosts:
        host.daemon.start()
    two.wait_up()
    certificate, key = two.authority.sign("hv2-other", "hv2")

    def renew(config):
        config["channels"]["link"].update(certificate=str(certificate), key=str(key))
    two[1].daemon.apply(renew)
    event = wait_until(lambda: channels.events(two[0].daemon, "peer-refused"), 30, what="the event")[0]
    assert "no peer's" in event["reason"] and "CN=hv2" in event["reason"]
    assert two[0].peers()["hv2"]["state"] == "down"
