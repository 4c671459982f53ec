# SPDX-License-Identifier: BSD-3-Clause
"""Suricata as an engine of the daemon: whether it is there, its section of the configuration, its state."""

import json
import pathlib
import shutil

from lab.netns import run, wait_until

BINARY = "/usr/bin/suricata"
START_TIMEOUT = 60  # it compiles its rules, and shares the machine
PATIENCE = "1s"     # its threads are not always given time at once


def is_installed():
    return shutil.which(BINARY) is not None


def inspection(lab, rules, engines=("suricata",), on_failure="drop", suricata=None, **options):
    """The section `inspection` with these rules."""
    lab.write("rules/lab.rules", rules)
    return {"engines": list(engines), "rules": [str(lab.folder / "rules/*.rules")],
            "variables": {"HOME_NET": ["192.0.2.0/24"]}, "on-failure": on_failure,
            "deadline": PATIENCE, "suricata": suricata or {}, **options}


def row(daemon):
    """The engine's row of `bulkhead inspect`."""
    return next(engine for engine in daemon.cli("inspect")["engines"] if engine["name"] == "suricata")


def wait_running(daemon, timeout=START_TIMEOUT):
    """Waits until Suricata answers, and has told of its rules."""
    def is_running():
        state = row(daemon)
        return state["state"] == "running" and state["details"]["version"] and state["rules_loaded"]
    wait_until(is_running, timeout, what="Suricata")
    return row(daemon)


def ask(daemon, command):
    """Suricata's own answer to a command of its socket."""
    path = daemon.run_folder / "suricata/run/command.sock"
    return json.loads(run("suricatasc", "-c", command, path))["message"]


def program_log(lab):
    path = pathlib.Path(lab.daemon.run_folder) / "suricata/run/program.log"
    return path.read_text(errors="replace") if path.exists() else ""
