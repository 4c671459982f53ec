# SPDX-License-Identifier: BSD-3-Clause
"""Channels of virtual machines: stock vsock drivers, bulkhead-agent in the guests, the same library (C1 to C9).

    vm1 (QEMU)                         hv1                           db (namespace)
    ┌───────────────────────┐   ┌──────────────────────┐   ┌──────────────┐
    │ process ═ ring ═ agent│═══│═ vsock ═ channel ════│═══│═ ring ═ process
    └───────────────────────┘   │              role    │   └─ channel.sock ┘
    ┌───────────────────────┐   │                ║     │
    │ process ═ ring ═ agent│═══│═ vsock ════════╝     │
    └── vm2 (QEMU) ─────────┘   └──────────────────────┘
    vm1's QEMU connects to the role, the role to vm2's.
"""

import concurrent.futures
import os

import pytest

from lab import channels
from lab.channel_guest import ChannelGuest, partition
from lab.channels import CONNECT, EXCEPTION, KEY, RECEIVE, REFUSED, SEND
from lab.guest import GuestUnavailable, kernel
from lab.netns import stop, wait_until
from lab.topology import Lab
from tests.scenario.channel_hosts import *  # noqa: F403  errors, and processes of the host
from tests.scenario.test_hostile_channels import has_key, keys_of

ALLOW = {f"{sender}-{receiver}": {"from": sender, "to": receiver}
         for sender in ("vm1", "vm2", "db") for receiver in ("vm1", "vm2", "db") if sender != receiver}
del ALLOW["vm2-db"]


@pytest.fixture(scope="module")
def machines():
    """hv1 with db and two guests with their agents."""
    try:
        kernel()
    except GuestUnavailable as reason:
        pytest.skip(str(reason))
    with Lab(partitions=("db",)) as lab:
        lab.channel_folders = channels.configure(lab, ["db"], ALLOW)
        sockets = {"vm1": partition(lab, "vm1", 3), "vm2": partition(lab, "vm2", 4, client=True)}
        lab.start()
        archive = ChannelGuest.archive(lab.folder)
        for name, path in sockets.items():
            lab.guests[name] = ChannelGuest(lab.folder, name, path, archive, listens=name == "vm2")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda guest: guest.start().start_agent(), lab.guests.values()))
        yield lab


@pytest.fixture
def host(machines, request):
    """The same for many tests; counters and events are those of the test."""
    channels.begin(machines.daemon)
    yield machines
    channels.RawProcess.close_all()
    while machines["db"].processes:
        stop(machines["db"].processes.pop())
    for guest in machines.guests.values():
        guest.run("killall -9 channel-peer bulkhead guest-hostile sleep 2>/dev/null", check=False)
    wait_until(lambda: not channels.rows(machines.daemon), 20, what="the end of all channels")


@pytest.fixture
def vm1(host):
    return host.guests["vm1"]


@pytest.fixture
def vm2(host):
    return host.guests["vm2"]


def authorised(daemon, **wanted):
    return wait_until(lambda: channels.rows(daemon, **wanted), 20, what=f"a row {wanted}")[0]


# --- How a channel comes to stand ---


def test_a_guest_and_the_host_exchange_messages(host, vm1):
    """C5, C8: both ways at the same time, contents and order checked; messages of up to 60,000 bytes."""
    receiver = peer(host, "db", "receive", 6, "vm1", 5, 300, 1, 60000)
    vm1.peer("sender", "send", 5, "db", 6, 300, 1, 60000)
    vm1.peer("receiver", "receive", 7, "db", 8, 5000, 2)
    sender = peer(host, "db", "send", 8, "vm1", 7, 5000, 2)
    assert channels.peer_result(receiver)["messages"] == 300
    assert vm1.peer_result("sender")["status"] == 0
    assert vm1.peer_result("receiver")["messages"] == 5000
    assert channels.peer_result(sender)["status"] == 0


def test_two_guests_exchange_messages(host, vm1, vm2):
    """C8: from guest to guest, through the role alone."""
    vm2.peer("receiver", "receive", 6, "vm1", 5, 2000, 3)
    vm1.peer("sender", "send", 5, "vm2", 6, 2000, 3)
    assert vm2.peer_result("receiver")["messages"] == 2000
    assert vm1.peer_result("sender")["status"] == 0


def test_lines_of_a_shell_in_a_guest(host, vm1):
    """C8: `bulkhead channel` in a guest, unchanged."""
    receiver = command(host, "db", "recv", "vm1:5", "--endpoint", "6")
    vm1.background("lines", f"printf 'one\\ntwo\\n' | bulkhead channel send db:6 --endpoint 5 --attach "
                            f"/run/bulkhead/channel.sock")
    assert channels.finish(receiver) == (0, "one\ntwo\n", "")
    assert vm1.finish("lines") == (0, "", "")


def test_figure_5_with_a_guest_that_sends(host, vm1):
    """C1 to C5: the guest's row (503), the host's (502), a key at the receiver's (504, 506), the request that is
    verified and only then stored (508 to 514), a message (516 to 524)."""
    daemon = host.daemon
    vm1.background("lines", "( echo a message; sleep 1000 ) | bulkhead channel send db:6 --endpoint 5 --attach "
                            "/run/bulkhead/channel.sock")
    sender = authorised(daemon, partition="vm1", direction="send")
    assert (sender["state"], sender["key"], sender["remote"]) == ("authorised", "none", "db")
    db = raw(host, "db", 6)
    receiver, receiving = db.authorise(6, RECEIVE, "vm1", 5)
    assert db.ask(KEY, row=receiver)["status"] == 0
    assert [row["key"] for row in channels.rows(daemon)] == ["none", "local"]
    assert db.ask(CONNECT, row=receiver)["status"] == 0
    assert [(row["state"], row["key"]) for row in channels.rows(daemon)] == [("up", "remote"), ("up", "local")]
    assert receiving.wait_message() == b"a message"
    up = wait_until(lambda: channels.events(daemon, "up"), what="the event")[0]
    assert up["sender"] == {"partition": "vm1", "endpoint": 5}


def test_figure_5_with_a_guest_that_receives(host, vm1):
    """C1 to C5: the request is the guest's; a message comes after it, and none before."""
    daemon = host.daemon
    db = raw(host, "db", 6)
    sender, sending = db.authorise(6, SEND, "vm1", 5)
    vm1.channel("receiver", "recv", "db:6", "--endpoint", 5, "--count", 1)
    assert db.notice(channels.UP)["row"] == sender
    assert [(row["partition"], row["state"], row["key"]) for row in channels.rows(daemon)] == [
        ("db", "up", "remote"), ("vm1", "up", "local")]
    sending.put(b"a message")
    assert vm1.finish("receiver") == (0, "a message", "")


# --- Refusals ---


def test_a_request_of_a_guest_before_its_row_waits_for_it(host, vm1):
    """C3: no row: refused and counted, nothing stored; made again when the row comes."""
    vm1.channel("receiver", "recv", "db:6", "--endpoint", 5, "--count", 1)
    authorised(host.daemon, partition="vm1", state="waiting")
    assert channels.stats(host.daemon)["refused"] == {"no-row": 1}
    db = raw(host, "db", 6)
    _, sending = db.authorise(6, SEND, "vm1", 5)
    sending.put(b"after all")
    assert vm1.finish("receiver") == (0, "after all", "")


@pytest.mark.parametrize("reason, guest, endpoint", [("wrong-partition", "vm2", 5), ("wrong-endpoint", "vm1", 9)])
def test_a_request_of_a_guest_that_is_meant_for_nobody_like_it(host, reason, guest, endpoint):
    """C3: db:6 has authorised vm1:5; vm2:5, or vm1:9, wants what it sends. Nothing is stored, both hear of it."""
    db = raw(host, "db", 6)
    sender, _ = db.authorise(6, SEND, "vm1", 5)
    machine = host.guests[guest]
    machine.channel("receiver", "recv", "db:6", "--endpoint", endpoint, "--timeout", "1s")
    told = db.notice(REFUSED)
    assert (told["row"], told["reason"], told["partition"], told["endpoint"]) == (sender, reason, guest, endpoint)
    event = wait_until(lambda: channels.events(host.daemon, "refused"), what="the event")[0]
    assert (event["reason"], event["by"]) == (reason, guest)
    assert [(row["state"], row["key"]) for row in channels.rows(host.daemon, direction="send")] == [
        ("authorised", "none")]
    code, _, err = machine.finish("receiver")
    assert code == 1 and "has authorised somebody else" in err


def test_a_request_of_a_guest_for_a_key_that_is_set_is_an_exception(host, vm1):
    """C6: db's agent has set the key of db's row; vm1's request cannot any more. Both identities are told."""
    db = raw(host, "db", 6)
    sender, _ = db.authorise(6, SEND, "vm1", 5)
    assert db.ask(KEY, row=sender)["status"] == 0
    vm1.channel("receiver", "recv", "db:6", "--endpoint", 5)
    event = wait_until(lambda: channels.events(host.daemon, "exception"), what="the event")[0]
    assert (event["by"], event["set_by"]) == ("vm1", "db")
    assert db.notice(EXCEPTION)["partition"] == "vm1"
    assert vm1.finish("receiver")[0] == 1


def test_what_no_rule_allows_a_guest_is_denied(host, vm2):
    """C10: from vm2 to db there is no rule, whatever the process is in the guest."""
    vm2.background("sender", "echo x | bulkhead channel send db:6 --endpoint 5 --attach /run/bulkhead/channel.sock")
    code, _, err = vm2.finish("sender")
    assert code == 1 and "no rule of channels.allow" in err
    event = wait_until(lambda: channels.events(host.daemon, "denied"), what="the event")[0]
    assert (event["by"], event["sender"]["partition"]) == ("vm2", "vm2")


# --- Hostile guests ---


def test_only_the_agent_speaks_for_a_guest(host, vm1):
    """C3: no unprivileged port reaches the role, and no other port of the host is there."""
    assert vm1.run("guest-hostile connect 0 9590") == "refused"
    assert vm1.run("guest-hostile connect 1001 9591") == "refused"
    assert vm1.run("guest-hostile connect 1001 22") == "refused"
    assert not channels.rows(host.daemon)


def test_garbage_on_a_stream_ends_that_stream_alone(host, vm1):
    """C9: beside it a channel of the same guest goes on, and the role has not been started anew."""
    daemon = host.daemon
    pid = daemon.role_pid("channel")
    vm1.peer("receiver", "receive", 6, "db", 5, 3000, 4)
    sender = peer(host, "db", "send", 5, "vm1", 6, 3000, 4)
    for seed in range(3):
        assert vm1.run(f"guest-hostile say {seed}") == "ended"
        assert vm1.run(f"guest-hostile claim {seed}") == "ended"
    assert vm1.peer_result("receiver")["messages"] == 3000
    assert channels.peer_result(sender)["status"] == 0
    assert daemon.role_pid("channel") == pid
    assert "process_turned_out" in daemon.log()


def test_a_guest_has_its_limit_of_processes(host, vm1, vm2):
    """C9: who holds all that a partition may have holds nothing of another one's."""
    vm1.background("many", "guest-hostile many; sleep 1000")
    held = wait_until(lambda: vm1.run("cat /tmp/many.out", check=False), 20, what="the connections")
    assert 64 <= int(held) < 100
    vm2.peer("receiver", "receive", 6, "db", 5, 10, 5)
    sender = peer(host, "db", "send", 5, "vm2", 6, 10, 5)
    assert vm2.peer_result("receiver")["messages"] == 10
    assert channels.peer_result(sender)["status"] == 0


# --- Ends ---


def flow_from(host, guest):
    """Messages without an end from a guest to db: its receiver."""
    receiver = peer(host, "db", "receive", 6, guest.name, 5, 0, 6)
    guest.peer("sender", "send", 5, "db", 6, 0, 6)
    wait_up(host.daemon)
    wait_flowing(host.daemon, 200)
    return receiver


def flow_to(host, guest):
    """The same the other way: the sender."""
    guest.peer("receiver", "receive", 6, "db", 5, 0, 7)
    sender = peer(host, "db", "send", 5, guest.name, 6, 0, 7)
    wait_up(host.daemon)
    wait_flowing(host.daemon, 200)
    return sender


@pytest.mark.parametrize("dies", ["channel-peer", "bulkhead-agent"])
def test_death_in_a_guest_that_sends(host, vm1, dies):
    """C9: of the process, or the agent: the receiver hears of it; what it got is whole and in order. The same
    endpoints are free again."""
    receiver = flow_from(host, vm1)
    vm1.kill(dies)
    result = channels.peer_result(receiver)
    assert (result["status"], result["reason"]) == (EPIPE, "peer-gone")
    assert result["messages"] == delivered(host.daemon) > 200
    if dies == "bulkhead-agent":
        assert vm1.peer_result("sender")["status"] == ECONNRESET
        vm1.start_agent()
    again = peer(host, "db", "receive", 6, "vm1", 5, 10, 6)
    vm1.peer("sender", "send", 5, "db", 6, 10, 6)
    assert channels.peer_result(again)["messages"] == 10


@pytest.mark.parametrize("dies", ["channel-peer", "bulkhead-agent"])
def test_death_in_a_guest_that_receives(host, vm1, dies):
    """C9: the same at the other end."""
    sender = flow_to(host, vm1)
    vm1.kill(dies)
    result = channels.peer_result(sender)
    assert (result["status"], result["reason"]) == (EPIPE, "peer-gone")
    if dies == "bulkhead-agent":
        assert vm1.peer_result("receiver")["status"] == ECONNRESET
        vm1.start_agent()


def test_no_key_is_in_a_guest(host, vm1):
    """C7: not in the guest's memory, while it sends and receives."""
    flow_from(host, vm1)
    vm1.peer("receiver", "receive", 16, "db", 15, 0, 6)
    peer(host, "db", "send", 15, "vm1", 16, 0, 6)
    wait_up(host.daemon, 4)
    keys = keys_of(host.daemon.role_pid("channel"))
    assert len(keys) == 2
    mark = os.urandom(16).hex()
    vm1.run(f"echo {mark} > /tmp/mark")
    assert has_key(vm1.process.pid, {mark.encode()}, "memfd:")  # so the search finds what is there
    assert not has_key(vm1.process.pid, keys, "memfd:")


def test_revocation_reaches_a_guest(host, vm1):
    """C4: an operator revokes: both ends hear why, and the guest's process has what was delivered."""
    sender = flow_to(host, vm1)
    channel = channels.rows(host.daemon, direction="send")[0]["channel"]
    assert host.daemon.command("channel", "revoke", channel).returncode == 0
    got, sent = vm1.peer_result("receiver"), channels.peer_result(sender)
    assert (got["status"], got["reason"]) == (sent["status"], sent["reason"]) == (EPIPE, "operator")
    assert got["messages"] == delivered(host.daemon)


def test_death_of_a_guest(host, vm2):
    """C9: QEMU is killed: the sender hears of it. A machine that is started in its place is the partition."""
    sender = flow_to(host, vm2)
    vm2.stop()
    result = channels.peer_result(sender)
    assert (result["status"], result["reason"]) == (EPIPE, "peer-gone")
    vm2.buffer = b""
    vm2.start().start_agent()
    vm2.peer("receiver", "receive", 6, "db", 5, 100, 8)
    sender = peer(host, "db", "send", 5, "vm2", 6, 100, 8)
    assert vm2.peer_result("receiver")["messages"] == 100
    assert channels.peer_result(sender)["status"] == 0


def test_death_of_the_role(host, vm1, vm2):
    """C9: SIGKILL of the channel role: the guests' kernels are told nothing, and the agents find out. QEMU of vm2
    listens itself, so the role is there again when the driver takes its device anew."""
    vm1.peer("receiver", "receive", 6, "vm2", 5, 0, 9)
    vm2.peer("sender", "send", 5, "vm1", 6, 0, 9)
    wait_up(host.daemon)

    def arrivals():
        return sum("guest_there" in line and "vm2" in line for line in host.daemon.log().splitlines())
    before = arrivals()
    pid = host.daemon.kill_role("channel")
    host.daemon.wait_role("channel", pid)
    assert vm1.peer_result("receiver")["status"] == vm2.peer_result("sender")["status"] == ECONNRESET
    wait_until(lambda: arrivals() > before, 20, what="vm2's QEMU to be called again")
    vm2.reset_device()
    vm2.peer("receiver", "receive", 6, "db", 5, 100, 9)
    sender = peer(host, "db", "send", 5, "vm2", 6, 100, 9)
    assert vm2.peer_result("receiver")["messages"] == 100
    assert channels.peer_result(sender)["status"] == 0
