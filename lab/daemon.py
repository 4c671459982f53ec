# SPDX-License-Identifier: BSD-3-Clause
"""The daemon under a configuration, and the command line as its users type it."""

import copy
import json
import os
import pathlib
import pwd
import signal
import subprocess

import yaml

from lab.netns import CommandFailed, run, stop, wait_until

TREE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TREE / "build"))
START_TIMEOUT = 30  # seconds; a cold start on a busy machine of two cores takes about three
STOP_TIMEOUT = 15


def make_run_folder(folder):
    """The folder for sockets and logs: the roles' user must be able to write there, as to
    /run/bulkhead on an installed system."""
    path = pathlib.Path(folder) / "run"
    if not path.exists():
        path.mkdir()
        try:
            user = pwd.getpwnam("bulkhead")
        except KeyError:
            user = pwd.getpwnam("nobody")
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


class Daemon:
    """bulkheadd in a namespace, with all its files below one folder."""

    def __init__(self, namespace, folder, config):
        self.namespace = namespace
        self.folder = pathlib.Path(folder)
        self.config_path = self.folder / "bulkhead.yaml"
        self.run_folder = make_run_folder(self.folder)
        self.socket_path = self.run_folder / "control.sock"
        self.eve_path = self.run_folder / "eve.json"
        self.log_path = self.folder / "bulkheadd.log"
        self.bulkhead = BUILD / "cli/bulkhead"
        self.process = None
        self.config = copy.deepcopy(config)
        self.config.setdefault("control", {}).setdefault("socket", str(self.socket_path))
        self.config.setdefault("events", {}).setdefault("eve", str(self.eve_path))
        self.config.setdefault("inspection", {}).setdefault("cache", str(self.folder / "run"))
        packet = self.config.setdefault("packet", {})
        packet.setdefault("memory", "256MiB")
        packet.setdefault("hugepages", "off")  # so that labs do not depend on what others have reserved
        self.write_config()

    def write_config(self, config=None):
        if config is not None:
            self.config = config
        self.config_path.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = self.namespace.start(
            BUILD / "src/main/bulkheadd", "--foreground", "--config", self.config_path,
            stdout=log, stderr=log)
        log.close()
        if wait:
            wait_until(self.is_ready, START_TIMEOUT, 0.1, "the daemon's start")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise CommandFailed(f"bulkheadd ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.cli("status").get("state") == "running"
        except (CommandFailed, ValueError):
            return False

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def command(self, *arguments, **options):
        """`bulkhead …` as a user types it; returns the completed process."""
        return run(self.bulkhead, "--socket", self.socket_path, *arguments,
                   check=False, **options)

    def cli(self, *arguments):
        """`bulkhead … --json`, decoded."""
        done = self.command(*arguments, "--json")
        if done.returncode != 0:
            raise CommandFailed(f"bulkhead {' '.join(map(str, arguments))}: exit "
                                f"{done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def apply(self, change):
        """Changes the configuration (change gets the dictionary) and applies it to the running daemon."""
        config = copy.deepcopy(self.config)
        change(config)
        self.write_config(config)
        done = self.command("config", "apply", self.config_path)
        if done.returncode != 0:
            raise CommandFailed(f"config apply: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def role_pid(self, role):
        for row in self.cli("status")["roles"]:
            if row["name"] == role:
                return row["pid"]
        raise LookupError(f"no role {role}")

    def kill_role(self, role):
        """SIGKILLs a role; returns the dead process's id."""
        pid = self.role_pid(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_role(self, role, old_pid, timeout=START_TIMEOUT):
        """Waits until the role runs again under another process id."""
        def is_back():
            try:
                return self.role_pid(role) not in (old_pid, None, 0) and self.is_ready()
            except (CommandFailed, ValueError, LookupError):
                return False
        wait_until(is_back, timeout, 0.1, f"the restart of {role}")

    def drops(self):
        """{reason: packets}"""
        return {row["reason"]: row["packets"] for row in self.cli("drops")["drops"]}

    def events(self, **wanted):
        """The events of the EVE file that have these top-level values."""
        events = []
        if self.eve_path.exists():
            text = self.eve_path.read_text()
            for line in text[:text.rfind("\n") + 1].splitlines():  # the last one may be under way
                event = json.loads(line)
                if all(event.get(key) == value for key, value in wanted.items()):
                    events.append(event)
        return events

    def stop(self):
        """Ends the daemon as an init system would; returns its exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            stop(self.process)
            raise TimeoutError(f"bulkheadd did not stop within {STOP_TIMEOUT} s:\n{self.log()}")
        return self.process.returncode
