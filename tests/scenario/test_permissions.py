# SPDX-License-Identifier: BSD-3-Clause
"""Who may call what: root and operators, readers, and everybody else, by the socket's credentials.

    uid 0 ─────────┐
    reader uid ────┼── control.sock ── control
    stranger uid ──┘
"""

import subprocess

import pytest

READER_UID = 61001
STRANGER_UID = 61002


def as_user(daemon, uid, *arguments):
    """`bulkhead …` as another user (without any group)."""
    return subprocess.run(
        ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", str(daemon.bulkhead),
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
