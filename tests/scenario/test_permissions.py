# SPDX-License-Identifier: BSD-3-Clause
"""Who may call what: root and operators, readers, and everybody else, by the socket's credentials.

    uid 0 ─────────┐
    reader uid ────┼── control.sock ── control
    stranger uid ──┘
"""

import subprocess

import pytest

from lab.netns import stop, wait_until

READER_UID = 61001
STRANGER_UID = 61002
OPERATORS_GID = 61010
READERS_GROUP, READERS_GID = "daemon", 1  # of any Debian


def as_user(daemon, uid, *arguments, groups=()):
    """`bulkhead …` as another user, with these supplementary groups alone."""
    membership = ["--groups", ",".join(map(str, groups))] if groups else ["--clear-groups"]
    return subprocess.run(
        ["setpriv", "--reuid", str(uid), "--regid", str(uid), *membership, str(daemon.bulkhead),
         "--socket", str(daemon.socket_path), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


@pytest.fixture
def daemon(lab):
    def permit(config):
        config["control"] = {"readers": [str(READER_UID)]}
    return lab.start(permit)


def test_reader_reads_but_does_not_change(daemon):
    assert as_user(daemon, READER_UID, "ports").returncode == 0
    for command in (("fdb", "--flush"), ("config", "apply", str(daemon.config_path)),
                    ("inspect", "reload"), ("trace", "--count", "1")):
        done = as_user(daemon, READER_UID, *command)
        assert done.returncode == 1, command
        assert "operator" in done.stderr, done.stderr


def test_stranger_gets_nothing(daemon):
    done = as_user(daemon, STRANGER_UID, "status")
    assert done.returncode == 1
    assert not done.stdout
    assert "may not use" in done.stderr and "control.readers" in done.stderr, done.stderr


def test_readers_and_operators_change_while_the_daemon_runs(daemon):
    """A user who is added to control.readers or control.operators by a live change may use the API at once,
    and one who is taken out no longer."""
    def permit(**lists):
        daemon.apply(lambda config: config["control"].update(lists))

    assert as_user(daemon, STRANGER_UID, "status").returncode == 1
    permit(readers=[str(STRANGER_UID)])
    assert as_user(daemon, STRANGER_UID, "status").returncode == 0
    assert as_user(daemon, STRANGER_UID, "fdb", "--flush").returncode == 1
    assert as_user(daemon, READER_UID, "ports").returncode == 1
    permit(operators=[str(STRANGER_UID)])
    assert as_user(daemon, STRANGER_UID, "fdb", "--flush").returncode == 0
    daemon.wait_role("control", daemon.kill_role("control"))
    assert as_user(daemon, STRANGER_UID, "fdb", "--flush").returncode == 0
    permit(operators=[], readers=[])
    assert as_user(daemon, STRANGER_UID, "status").returncode == 1


def test_groups_have_the_rights_that_they_are_given(daemon):
    """`@group`, by number and by name, holds for who has it as a supplementary group, and for nobody else."""
    daemon.apply(lambda config: config["control"].update(
        operators=[f"@{OPERATORS_GID}"], readers=[f"@{READERS_GROUP}"]))
    for groups, reads, changes in (((), 1, 1), ((61011,), 1, 1), ((READERS_GID,), 0, 1),
                                   ((OPERATORS_GID,), 0, 0), ((61011, OPERATORS_GID), 0, 0)):
        assert as_user(daemon, STRANGER_UID, "ports", groups=groups).returncode == reads, groups
        assert as_user(daemon, STRANGER_UID, "fdb", "--flush", groups=groups).returncode == changes, groups
    daemon.apply(lambda config: config["control"].update(operators=[], readers=[]))
    assert as_user(daemon, STRANGER_UID, "ports", groups=(READERS_GID, OPERATORS_GID)).returncode == 1


def test_a_client_that_stays_loses_its_rights_at_once(daemon):
    """`events --follow` of a reader ends when a live change takes the reader out."""
    follower = subprocess.Popen(
        ["setpriv", "--reuid", str(READER_UID), "--regid", str(READER_UID), "--clear-groups",
         str(daemon.bulkhead), "--socket", str(daemon.socket_path), "events", "--follow"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: daemon.cli("status")["events"]["subscribers"] == 1, what="the subscriber")
        daemon.apply(lambda config: config["control"].update(readers=[]))
        assert wait_until(lambda: daemon.cli("status")["events"]["subscribers"] == 0, 5,
                          what="the end of the subscription") is True
    finally:
        stop(follower)
