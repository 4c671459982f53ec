# SPDX-License-Identifier: BSD-3-Clause
"""Processes that break the rules of channels, and what they get (C5, C7, C9): the host of test_channels.py.

    web: endpoint 5 ═ ring ═► channel role ═ ring ═► db: endpoint 6
         endpoint 15 ════════════ beside it ═══════════► endpoint 16
"""

import os
import pathlib
import re
import resource
import signal
import struct
import subprocess

import pytest

from lab import channels
from lab.channels import BIND, DOWN, REVOKE, SEND, UNBIND
from lab.netns import wait_until
from tests.scenario.channel_hosts import *  # noqa: F403  its fixtures, and what they are used with


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
                                    channels.REQUEST.pack(BIND, *[0] * 8, b"x" * 64),
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


# --- Keys ---


KEY_ROW = struct.Struct("=4I32s2I")
SECRET_HEADER = 16


def mappings(pid, name=""):
    """(start, end, flags) of each readable mapping, as smaps has them; of those alone that have this in their name."""
    for part in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{pid}/smaps").read_text())[1:]:
        head = part.split(None, 2)
        start, end = (int(text, 16) for text in head[0].split("-"))
        flags = re.search(r"VmFlags: (.*)", part).group(1).split()
        if "r" in head[1] and name in part.splitlines()[0]:
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


def pattern_of(keys):
    """Finds a half of any of them."""
    return re.compile(b"|".join(re.escape(part) for key in keys for part in (key[:16], key[16:])))


def has_key(pid, keys, name=""):
    """Whether a part of a key is anywhere in a process's memory: what a core dump of it would hold. name: of
    mappings, as above."""
    pattern = pattern_of(keys)
    rest = b""
    for start, end, _ in mappings(pid, name):
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


def core_limit():
    """The highest that a process of ours may have: sudo leaves none, and in a container it may stay so."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:
        return before[1]
    resource.setrlimit(resource.RLIMIT_CORE, before)
    return resource.RLIM_INFINITY


def test_keys_are_in_no_core_dump(alone):
    """C7: a process that has a channel leaves a core dump without its key, and the role leaves none. (Where the
    system sends core dumps elsewhere, or allows none, there is none to be found here.)"""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    daemon, folder = alone.daemon, alone.folder / "cores"
    folder.mkdir(mode=0o777)
    limit = core_limit()

    def allow():
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))

    sender, receiver = flow(alone, cwd=folder, preexec_fn=allow)
    wait_up(daemon)
    wait_flowing(daemon)
    role = daemon.role_pid("channel")
    keys = keys_of(role)
    os.kill(channels.rows(daemon, direction="send")[0]["pid"], signal.SIGABRT)
    assert channels.peer_result(receiver)["reason"] == "peer-gone"
    sender.wait(20)
    os.kill(role, signal.SIGABRT)
    daemon.wait_role("channel", role)
    assert "killed by SIGABRT" in daemon.log() and "core dumped" not in daemon.log()
    if limit == 0:
        pytest.skip("no core dumps are allowed here")
    if not pattern.startswith(("|", "/")):
        cores = list(folder.iterdir())
        assert len(cores) == 1
        content = cores[0].read_bytes()
        assert content.startswith(b"\x7fELF") and not pattern_of(keys).search(content)


def test_keys_go_with_their_channels(host):
    """C7: when a channel has ended, the role itself has its key no more."""
    web, db = raw(host, "web", 5), raw(host, "db", 6)
    (sender, sending), (_, receiving) = channels.stand_up(web, db)
    sending.put(b"a message")
    assert receiving.wait_message() == b"a message"
    role = host.daemon.role_pid("channel")
    keys = keys_of(role)
    assert len(keys) == 1 and has_key(role, keys)
    assert web.ask(REVOKE, row=sender)["status"] == 0
    assert not keys_of(role) and not has_key(role, keys)


def test_the_role_may_not_be_looked_into(host):
    """C7: not dumpable: its files in /proc are root's, also for processes of the roles' own user."""
    role = host.daemon.role_pid("channel")
    assert os.stat(f"/proc/{role}/mem").st_uid == 0
    user = str(os.stat(host.folder / "run").st_uid)
    done = subprocess.run(["setpriv", "--reuid", user, "--clear-groups", "cat", f"/proc/{role}/environ"],
                          capture_output=True, check=False, timeout=30)
    assert done.returncode != 0 and not done.stdout
