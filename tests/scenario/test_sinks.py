# SPDX-License-Identifier: BSD-3-Clause
"""Where events and the log go: sockets whose reader goes away and comes back, and files that are rotated.

    outside ── hv1: bulkheadd ──┬── EVE: unix:eve.sock, syslog
                                └── log: file, journald
"""

import json
import os
import pathlib
import signal
import socket
import threading

import pytest

from lab.daemon import Daemon, make_run_folder
from lab.netns import wait_until
from lab.peers import can_ping


def listen(path, kind=socket.SOCK_STREAM):
    """A Unix socket that the roles' user can connect to."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(path))
    os.chmod(path, 0o777)
    listener.settimeout(10)
    if kind == socket.SOCK_STREAM:
        listener.listen(4)
    return listener


def generate_event(daemon, deadline):
    """A change of the configuration is an event that the EVE sink gets."""
    daemon.apply(lambda config: config.setdefault("inspection", {}).update(deadline=deadline))


def generations(lines):
    return [json.loads(line)["generation"] for line in lines
            if json.loads(line).get("event_type") == "config_applied"]


class Reader:
    """The other end of a stream: whole lines, as they come."""

    def __init__(self, listener):
        self.connection, _ = listener.accept()
        self.connection.settimeout(10)
        self.data = b""

    def generations_until(self, wanted):
        def is_there():
            self.data += self.connection.recv(65536)
            lines = self.data.decode().split("\n")[:-1]
            return wanted in generations(lines) and generations(lines)
        return wait_until(is_there, 10, what=f"generation {wanted} in EVE")


def generation(daemon):
    return daemon.cli("status")["config"]["generation"]


def test_eve_over_a_socket_survives_the_reader(lab):
    """EVE to unix:SOCKET: each event comes, as a line; while the reader is away status says so; what
    happened meanwhile is delivered when it is back. (I9)"""
    path = lab.folder / "eve.sock"
    listener = listen(path)
    daemon = lab.start(lambda config: config.update(events={"eve": f"unix:{path}"}))
    reader = Reader(listener)
    generate_event(daemon, "60ms")
    reader.generations_until(generation(daemon))

    reader.connection.close()
    listener.close()
    path.unlink()
    generate_event(daemon, "61ms")
    wait_until(lambda: daemon.cli("status")["state"] == "degraded", 5, what="the problem in status")
    assert any("EVE cannot be written" in line and str(path) in line
               for line in daemon.cli("status")["problems"])
    generate_event(daemon, "62ms")
    assert can_ping(lab.outside, "192.0.2.10")

    listener = listen(path)
    reader = Reader(listener)
    seen = reader.generations_until(generation(daemon))
    assert seen[-1] - seen[0] + 1 == len(seen), f"a hole in {seen}"
    wait_until(lambda: daemon.cli("status")["state"] == "running", 5, what="the end of the problem")
    daemon.wait_role("control", daemon.kill_role("control"))
    reader = Reader(listener)
    generate_event(daemon, "63ms")
    reader.generations_until(generation(daemon))


def test_the_log_is_a_file_that_can_be_rotated(lab):
    """log.sink FILE: all roles write there from behind their sandboxes; after a rename SIGHUP opens it
    again, and nothing is lost in between."""
    path = make_run_folder(lab.folder) / "bulkhead.log"
    daemon = lab.start(lambda config: config.update(log={"sink": str(path)}))
    wait_until(lambda: "role=control" in path.read_text(), what="control's lines")
    generate_event(daemon, "60ms")
    assert "role=packet" in path.read_text()

    old = path.with_suffix(".log.1")
    path.rename(old)
    generate_event(daemon, "61ms")
    assert f"configured role=packet generation={generation(daemon)}" in old.read_text()
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(path.exists, 5, what="the new file")
    generate_event(daemon, "62ms")
    now = generation(daemon)
    for line in (f"config_applied role=control generation={now}", f"configured role=packet generation={now}"):
        wait_until(lambda line=line: line in path.read_text(), what=line)
    daemon.wait_role("packet", daemon.kill_role("packet"))
    assert "role_ended role=broker" in path.read_text()
    daemon.apply(lambda config: config.update(log={"sink": "stderr"}))
    size = path.stat().st_size
    generate_event(daemon, "63ms")
    assert path.stat().st_size == size


# In a mount namespace of the daemon's own (`ip netns exec` makes one): sockets of the test at the places of
# syslog and journald.
HIDE = """#!/bin/sh
set -e
mount --make-rprivate /
mkdir {folder}/dev
mount -t tmpfs -o mode=0755 none {folder}/dev
cp -a /dev/null /dev/zero /dev/random /dev/urandom /dev/net {folder}/dev
ln -s {folder}/syslog.sock {folder}/dev/log
mount --rbind {folder}/dev /dev
mount -t tmpfs -o mode=0755 none /run/systemd
mkdir /run/systemd/journal
mount --bind {folder}/journal /run/systemd/journal
exec "$@"
"""


class Hidden:
    """Starts programs of a namespace behind HIDE."""

    def __init__(self, lab):
        self.namespace = lab.hv1
        self.script = lab.write("hide", HIDE.format(folder=lab.folder))
        self.script.chmod(0o755)

    def start(self, *command, **options):
        return self.namespace.start(self.script, *command, **options)


def messages(listener, wanted):
    """What came, up to the first datagram in which wanted() is true."""
    seen = []
    while not seen or not wanted(seen[-1]):
        seen.append(listener.recv(1 << 20).decode())
    return seen


def read_always(listener, seen):
    """Takes what comes into a list, as the journal does: a socket that nobody reads holds up who logs."""
    while True:
        try:
            seen.append(listener.recv(1 << 20).decode())
        except TimeoutError:
            continue
        except OSError:
            return  # closed


@pytest.mark.skipif(not pathlib.Path("/run/systemd").is_dir(), reason="no /run/systemd to cover")
def test_syslog_takes_events_and_the_journal_the_log(lab):
    """events.eve: syslog sends each event as a message to /dev/log, also after syslogd was started again;
    log.sink: journald has all roles' lines, with their fields, from behind their sandboxes. (I9)"""
    (lab.folder / "journal").mkdir()
    journal = listen(lab.folder / "journal" / "socket", socket.SOCK_DGRAM)
    syslog = listen(lab.folder / "syslog.sock", socket.SOCK_DGRAM)
    lab.config.update(events={"eve": "syslog"}, log={"sink": "journald"})
    fields = []
    threading.Thread(target=read_always, args=(journal, fields), daemon=True).start()
    lab.daemon = daemon = Daemon(Hidden(lab), lab.folder, lab.config).start()
    for event in ("config_applied", "daemon_ready"):
        wait_until(lambda name=event: any(f"BULKHEAD_EVENT={name}\n" in text for text in fields), 20, what=event)
    for role in ("broker", "packet", "channel", "control"):
        assert any(f"BULKHEAD_ROLE={role}\n" in text for text in fields), fields
    assert all("SYSLOG_IDENTIFIER=bulkheadd" in text and "MESSAGE=" in text for text in fields)

    generate_event(daemon, "60ms")
    line = messages(syslog, lambda text: f'"generation":{generation(daemon)}' in text.replace(" ", ""))[-1]
    assert line.startswith("<174>bulkhead: {") and json.loads(line.removeprefix("<174>bulkhead: "))
    syslog.close()
    generate_event(daemon, "61ms")
    wait_until(lambda: daemon.cli("status")["state"] == "degraded", 5, what="the problem in status")
    syslog = listen(lab.folder / "syslog.sock", socket.SOCK_DGRAM)
    messages(syslog, lambda text: f'"generation":{generation(daemon)}' in text.replace(" ", ""))
    wait_until(lambda: daemon.cli("status")["state"] == "running", 5, what="the end of the problem")


def test_metrics_are_served_on_an_address_that_comes_later(lab):
    """control.metrics beyond loopback works when it is configured so, with a warning of config check and in
    the log; the address may be of an interface that the daemon itself makes, or comes later still."""
    daemon = lab.start(lambda config: config.update(control={"metrics": "192.0.2.1:9580"}))
    assert "bulkhead_" in lab.outside.run("curl", "-sf", "-m", "5", "http://192.0.2.1:9580/metrics")
    assert "metrics_not_on_loopback" in daemon.log()
    checked = daemon.command("config", "check", daemon.config_path)
    assert checked.returncode == 0 and "not a loopback address" in checked.stdout + checked.stderr
    daemon.apply(lambda config: config["control"].update(metrics="192.0.2.77:9580"))
    wait_until(lambda: any("metrics are not served" in line for line in daemon.cli("status")["problems"]),
               5, what="the problem in status")
    lab.hv1.run("ip", "address", "add", "192.0.2.77/24", "dev", "sea0")
    wait_until(lambda: daemon.cli("status")["state"] == "running", 10, what="the end of the problem")
    assert "bulkhead_" in lab.outside.run("curl", "-sf", "-m", "5", "http://192.0.2.77:9580/metrics")
