# SPDX-License-Identifier: BSD-3-Clause
"""A configuration's life in a running daemon: file, signal, confirmation, roles that die.

    outside ──── uplink [hv1] ──── web
                   ▲ SIGHUP, bulkhead config …
"""

import copy
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from lab.daemon import BUILD
from lab.netns import wait_until
from lab.peers import can_ping
from tests.scenario.test_roles import Pinger


@pytest.fixture
def daemon(lab):
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    return daemon


def deadline(daemon):
    return daemon.command("config", "show", "inspection.deadline").stdout.strip()


def write(daemon, change):
    """The daemon's own file with a change to what runs, not applied."""
    config = copy.deepcopy(daemon.config)
    change(config)
    daemon.config_path.write_text(yaml.safe_dump(config, sort_keys=False))


def set_deadline(text):
    def change(config):
        config.setdefault("inspection", {})["deadline"] = text
    return change


def test_check_names_all_that_is_wrong_without_a_daemon(lab, daemon):
    """config check needs no daemon, and says each error with line and column at once."""
    daemon.stop()
    path = lab.write("wrong.yaml", "gatewy: {}\ninspection: {deadline: 50}\nlog: {level: loud}\n")
    done = daemon.command("config", "check", path)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert [line.split(": ")[0].rsplit("/", 1)[-1] for line in lines[:3]] == [
        "wrong.yaml:1:1", "wrong.yaml:2:24", "wrong.yaml:3:14"], done.stderr
    assert "did you mean gateway?" in lines[0] and "the unit is missing" in lines[1]


def test_start_with_a_wrong_file_tells_all_that_is_wrong(lab, daemon):
    """A daemon that cannot start for its file names each error in its log, none of them cut, and the
    command that lists them."""
    daemon.stop()
    path = lab.write("wrong.yaml", "".join(f"wrong-{number}: {{}}\n" for number in range(12)))
    done = lab.hv1.run(BUILD / "src/main/bulkheadd", "--foreground", "--config", path, check=False)
    assert done.returncode == 1
    logged = [line for line in done.stderr.splitlines() if " config_error " in line]
    assert [f"wrong-{number}: unknown key" in line for number, line in enumerate(logged)] == [True] * 12
    last_words = done.stderr[done.stderr.index("bulkheadd: the role"):].splitlines()
    assert f"12 errors; all of them: bulkhead config check {path}" in last_words[0]
    told = [line for line in last_words if line.startswith(f"{path}:")]
    assert told and all("log, control" in line for line in told)


def test_sighup_applies_the_file_and_refuses_a_wrong_one(daemon):
    """SIGHUP reads the file again; one with errors changes nothing and is named in the log."""
    write(daemon, set_deadline("70ms"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: deadline(daemon) == "70ms", 5, what="the file to be applied")
    write(daemon, set_deadline("fast"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "inspection.deadline" in daemon.log(), 5, what="the error in the log")
    assert deadline(daemon) == "70ms"


def test_confirmed_change_stays_and_can_be_rolled_back(daemon):
    """apply --confirm with a confirmation stays; rollback goes one step back."""
    before = deadline(daemon)
    write(daemon, set_deadline("80ms"))
    done = daemon.command("config", "apply", daemon.config_path, "--confirm", "5s")
    assert done.returncode == 0 and f"inspection.deadline: {before} -> 80ms" in done.stdout
    assert "confirm_left_ms" in daemon.cli("status")["config"]
    refused = daemon.command("config", "apply", daemon.config_path)
    assert refused.returncode == 1 and "not confirmed yet" in refused.stderr
    assert daemon.command("config", "confirm").returncode == 0
    with pytest.raises(TimeoutError):
        wait_until(lambda: deadline(daemon) != "80ms", 6, what="a rollback that must not be")
    assert daemon.command("config", "rollback").returncode == 0
    assert deadline(daemon) == before


@pytest.mark.parametrize("role", ["control", "packet"])
def test_what_was_applied_survives_a_role_that_dies(lab, daemon, role):
    """A change that was applied live is in force again after a role was killed, though the file that the
    daemon was started with says otherwise."""
    daemon.apply(set_deadline("90ms"))
    write(daemon, set_deadline("10ms"))
    pid = daemon.role_pid(role)
    daemon.kill_role(role)
    daemon.wait_role(role, pid)
    wait_until(lambda: deadline(daemon) == "90ms", 10, what="the applied configuration")
    wait_until(lambda: can_ping(lab.outside, "192.0.2.10"), 10, what="the partition")


def test_diff_and_show_speak_the_files_language(lab, daemon):
    """diff says what a file would change with units, and changes nothing; show loads as it is."""
    before = deadline(daemon)
    write(daemon, set_deadline("75ms"))
    done = daemon.command("config", "diff", daemon.config_path)
    assert done.stdout == f"~ inspection.deadline: {before} -> 75ms\n"
    assert deadline(daemon) == before
    shown = lab.write("shown.yaml", daemon.command("config", "show").stdout)
    assert daemon.command("config", "diff", shown).stdout == "no difference\n"


def test_other_workers_restart_the_packet_role_and_go_back_when_they_fail(lab, daemon):
    """A change of packet.* starts the packet role again; one that it refuses is undone, with traffic
    flowing again afterwards."""
    pid = daemon.role_pid("packet")
    daemon.apply(lambda config: config.setdefault("packet", {}).update(workers=2))
    assert daemon.role_pid("packet") != pid
    wait_until(lambda: can_ping(lab.outside, "192.0.2.10"), 15, what="the partition")

    def impossible(config):
        config["packet"] = {"workers": 1}
        config["partitions"]["late"] = {"adapters": {"eth0": {"attach": "netdev:nowhere0",
                                                              "vlan": 10}}}
    write(daemon, impossible)
    done = daemon.command("config", "apply", daemon.config_path)
    assert done.returncode == 1 and "nowhere0" in done.stderr
    wait_until(lambda: can_ping(lab.outside, "192.0.2.10"), 15, what="the partition")
    assert daemon.command("config", "show", "packet.workers").stdout.strip() == "2"


def test_changes_at_the_same_time_wait_for_their_turn(lab, daemon):
    """Ten clients apply at once: all are done, one after the other, and no echo is lost."""
    pinger = Pinger(lab.outside, "192.0.2.10")
    paths = []
    for number in range(10):
        write(daemon, set_deadline(f"{100 + number}ms"))
        paths.append(lab.write(f"c{number}.yaml", daemon.config_path.read_text()))
    generation = daemon.cli("status")["config"]["generation"]
    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(lambda path: daemon.command("config", "apply", path), paths))
    assert [done.returncode for done in results] == [0] * 10, [done.stderr for done in results]
    assert daemon.cli("status")["config"]["generation"] == generation + 10
    sent, received = pinger.stop()
    assert sent == received


def test_what_is_too_long_for_a_message_is_counted(lab, daemon):
    """A file of 2,000 partitions: diff and check answer with what fits, and say how much does not."""
    rows = {f"p{n}": {"adapters": {"eth0": {"attach": f"netdev:none{n}", "vlan": 10,
                                            "addresses": [f"10.0.{n // 250}.{n % 250}"]}}}
            for n in range(2000)}
    write(daemon, lambda config: config["partitions"].update(rows))
    answer = daemon.cli("config", "diff", daemon.config_path)
    assert len(answer["changes"]) + answer["changes_left_out"] == 2000
    write(daemon, lambda config: config["partitions"].update(
        {f"q{n}": {"adapters": {"eth0": {}}} for n in range(2000)}))
    answer = json.loads(daemon.command("config", "diff", daemon.config_path, "--json").stdout)
    assert not answer["is_valid"]
    assert len(answer["errors"]) + answer["errors_left_out"] == 4000  # no attach, no VLAN


@pytest.mark.parametrize("roles", [("control",), ("control", "packet")])
def test_a_change_that_nobody_confirms_goes_back_though_roles_die(lab, daemon, roles):
    """apply --confirm 10s, then SIGKILL of control, or of control and packet: what ran before is back in
    time, is said to come from its file, and traffic goes on."""
    before = daemon.cli("status")["config"]
    old = deadline(daemon)
    write(daemon, set_deadline("85ms"))
    path = lab.write("tried.yaml", daemon.config_path.read_text())
    end = time.monotonic() + 10
    assert daemon.command("config", "apply", path, "--confirm", "10s").returncode == 0
    assert daemon.cli("status")["config"]["file"] == str(path)
    pids = {role: daemon.role_pid(role) for role in roles}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    for role, pid in pids.items():
        daemon.wait_role(role, pid)
    if time.monotonic() < end - 5:
        assert "confirm_left_ms" in daemon.cli("status")["config"]
        assert deadline(daemon) == "85ms"
    wait_until(lambda: deadline(daemon) == old, end - time.monotonic() + 10, what="the rollback")
    after = daemon.cli("status")["config"]
    assert after["file"] == before["file"] and "confirm_left_ms" not in after
    wait_until(lambda: can_ping(lab.outside, "192.0.2.10"), 10, what="the partition")


def test_a_change_can_be_confirmed_after_control_was_started_again(lab, daemon):
    """config confirm reaches the control role that took over from the one that applied the change; status
    says which file runs since when, also after another restart."""
    write(daemon, set_deadline("95ms"))
    path = lab.write("tried.yaml", daemon.config_path.read_text())
    assert daemon.command("config", "apply", path, "--confirm", "20s").returncode == 0
    applied = daemon.cli("status")["config"]
    daemon.wait_role("control", daemon.kill_role("control"))
    taken = daemon.cli("status")["config"]
    assert 0 < taken.pop("confirm_left_ms") < applied.pop("confirm_left_ms")
    assert taken == applied and taken["file"] == str(path)
    assert daemon.command("config", "confirm").returncode == 0
    daemon.wait_role("control", daemon.kill_role("control"))
    assert daemon.cli("status")["config"] == applied
    assert daemon.command("config", "rollback").returncode == 0
    assert deadline(daemon) != "95ms"
    assert daemon.cli("status")["config"]["file"] == str(daemon.config_path)
