# SPDX-License-Identifier: BSD-3-Clause
"""Rule sets of the size that people have (I6): how they load, and what is known of it.

    outside ── uplink ┐
                      ├ gateway + inspection
    web (VLAN 10) ────┘
"""
import os
import re
import signal
import subprocess
import sys

import pytest

from lab.daemon import Daemon
from lab.netns import wait_until

GENERATE = "tests/bench/generate_rules.py"


@pytest.fixture
def many_rules(lab):
    """many_rules(count): a rule file of so many rules, for the builtin engine."""
    def write(count):
        text = subprocess.run([sys.executable, GENERATE, str(count)], check=True,
                              capture_output=True, text=True).stdout
        lab.write("rules/many.rules", text)
        lab.config["inspection"] = {"engines": ["builtin"],
                                    "rules": [str(lab.folder / "rules/*.rules"),
                                              str(lab.folder / "rules/*.config")]}
    return write


def compiled(lab):
    """What the log says of each compilation that ended: (rules, from the cache)."""
    return [(int(rules), cached == "true") for rules, cached in
            re.findall(r"rules_compiled .*?rules=(\d+).*?from_cache=(\w+)", lab.daemon.log())]


def test_compiled_rules_are_used_again_after_a_restart(lab, many_rules):
    """I6: patterns that did not change are not compiled again; a damaged cache is not trusted."""
    many_rules(3000)
    lab.start()
    cache = lab.folder / "run/rules.cache"
    assert cache.stat().st_mode & 0o777 == 0o600 and cache.stat().st_size > 100_000
    assert lab.daemon.stop() == 0
    lab.daemon.start()
    assert compiled(lab) == [(3000, False), (3000, True)]
    assert lab.daemon.stop() == 0
    with open(cache, "r+b") as file:
        file.seek(50_000)
        file.write(b"x" * 1000)
    lab.daemon.start()
    assert compiled(lab)[2] == (3000, False)
    assert lab.daemon.cli("inspect")["engines"][0]["rules_loaded"] == 3000


def test_reload_of_many_rules_shows_progress_and_leaves_control_free(lab, many_rules):
    """I5, I6: while rules compile the old ones are in force, questions are answered, percent is told."""
    many_rules(10)
    lab.start()
    many_rules(20000)
    reload = lab.hv1.start(lab.daemon.bulkhead, "--socket", lab.daemon.socket_path, "inspect", "reload",
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen = set()
    while reload.poll() is None:
        engine = lab.daemon.cli("inspect")["engines"][0]
        if engine["state"] == "loading":
            assert engine["rules_loaded"] == 10
            seen.add(engine["compiling"]["percent"])
    assert "20000 rules in force" in reload.communicate()[0]
    assert len(seen) > 2 and max(seen) <= 100
    assert lab.daemon.cli("inspect")["engines"][0]["state"] == "running"


def test_daemon_stops_at_once_while_rules_compile(lab, many_rules):
    """I6: nobody waits for 40,000 rules that are not wanted any more."""
    many_rules(40000)
    lab.daemon = Daemon(lab.hv1, lab.folder, lab.config)
    lab.daemon.start(wait=False)
    wait_until(lambda: "rules_compiling" in lab.daemon.log(), 30, what="the start of compiling")
    os.kill(lab.daemon.process.pid, signal.SIGTERM)
    assert lab.daemon.process.wait(30) == 0
    assert "rules_compiled" not in lab.daemon.log() and "killed" not in lab.daemon.log()


def test_coverage_names_what_is_refused_and_why(lab, many_rules):
    """I6: how many rules are in force, and by which keyword others are not."""
    many_rules(10)
    lab.write("rules/other.rules",
              'alert tcp any any -> any any (content:"a"; geoip:src,DE; sid:1;)\n'
              'alert tcp any any -> any any (content:"a"; geoip:src,FR; sid:2;)\n'
              '# alert tcp any any -> any any (content:"a"; sid:3;)\n'
              'alert tcp any any -> any any (content:"a"; lua:x.lua; sid:4;)\n')
    lab.write("rules/threshold.config", "suppress gen_id 1, sig_id 99\n")
    lab.start()
    coverage = lab.daemon.cli("inspect", "rules", "--coverage")
    assert (coverage["loaded"], coverage["refused"], coverage["disabled"]) == (10, 3, 1)
    assert coverage["refused_by_keyword"] == [{"keyword": "geoip", "rules": 2},
                                              {"keyword": "lua", "rules": 1},
                                              {"keyword": "suppress", "rules": 1}]
    text = lab.daemon.command("inspect", "rules", "--coverage").stdout
    assert "geoip" in text and "76.9%" in text
    refused = lab.daemon.command("inspect", "rules", "--refused").stdout
    assert "other.rules:1: sid 1: geoip: addresses are not looked up by country" in refused
    assert "threshold.config:1: sid 99: suppress: there is no such rule" in refused
