# SPDX-License-Identifier: BSD-3-Clause
"""The API and the command line as people and monitoring see them.

    bulkhead, curl ──── hv1: control ──── packet
                        ▲ SIGHUP, SIGKILL
"""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from lab.netns import wait_until
from lab.peers import can_ping

OPEN_METRICS_LINE = re.compile(
    r'^bulkhead_[a-z0-9_]+(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? '
    r"-?[0-9.e+]+$")


def children(fields, prefix):
    """{name: field} of the fields directly below prefix ("", "ports[].", "config.")."""
    found = {}
    for field in fields:
        rest = field["path"][len(prefix):]
        if field["path"].startswith(prefix) and not re.search(r"[.\[]", rest):
            found[rest] = field
    return found


def check_documented(fields, prefix, value, where):
    """value has what fields say, and nothing that they do not."""
    known = children(fields, prefix)
    for name, field in known.items():
        assert field["is_optional"] or name in value, f"{where}: no {prefix}{name}"
    for name, content in value.items():
        assert name in known, f"{where}: {prefix}{name} is not documented"
        if known[name]["type"] == "object" and children(fields, f"{prefix}{name}."):
            check_documented(fields, f"{prefix}{name}.", content, where)
        if known[name]["type"] == "list of objects":
            for element in content:
                check_documented(fields, f"{prefix}{name}[].", element, where)


@pytest.fixture
def daemon(lab):
    def choose(config):
        config["inspection"] = {"engines": ["builtin"], "rules": []}
        config["control"] = {"metrics": "127.0.0.1:9580"}
    daemon = lab.start(choose)
    assert can_ping(lab.outside, "192.0.2.10")
    return daemon


def test_answers_are_what_the_api_documents(daemon):
    """Each method that only looks, called without parameters: field by field as `bulkhead api` says."""
    called = 0
    for method in daemon.cli("api")["methods"]:
        required = [row for row in method["params"] if row["is_required"]]
        if method["access"] != "reader" or method["takes_descriptor"] or required:
            continue
        done = daemon.command("api", "call", method["name"])
        assert done.returncode == 0, f"{method['name']}: {done.stderr}"
        check_documented(method["result"], "", json.loads(done.stdout), method["name"])
        called += 1
    assert called >= 15


def test_paged_lists_come_whole(daemon):
    """Page by page there is the same as at once."""
    whole = daemon.cli("ports")["ports"]
    first = json.loads(daemon.command("api", "call", "port.list", '{"limit": 1}').stdout)
    assert len(first["ports"]) == 1 and first["next"]
    rest = json.loads(daemon.command(
        "api", "call", "port.list", json.dumps({"after": first["next"]})).stdout)
    assert [row["name"] for row in first["ports"] + rest["ports"]] == [row["name"] for row in whole]


def test_tables_fit_80_columns(daemon):
    for command in ("status", "ports", "vlans", "fdb", "drops --all", "graph", "inspect",
                    "inspect rules", "inspect flows", "top --once", "api", "events"):
        done = daemon.command(*command.split())
        assert done.returncode == 0, done.stderr
        assert "\033" not in done.stdout
        if command != "events":
            assert max(len(line) for line in done.stdout.splitlines()) <= 80, done.stdout


def test_metrics_are_open_metrics(daemon):
    def fetch(path, *options):
        return daemon.namespace.run("curl", "-si", *options, f"http://127.0.0.1:9580/{path}")

    head, body = fetch("metrics").replace("\r\n", "\n").split("\n\n", 1)
    assert "200 OK" in head
    assert "application/openmetrics-text; version=1.0.0; charset=utf-8" in head
    assert body.endswith("# EOF\n")
    families = set()
    for line in body.splitlines()[:-1]:
        if line.startswith("# TYPE "):
            assert line.split()[2] not in families, f"family twice: {line}"
            families.add(line.split()[2])
        elif not line.startswith("# "):
            assert OPEN_METRICS_LINE.match(line), line
    assert {"bulkhead_build_info", "bulkhead_drops", "bulkhead_events"} <= families
    name = "bulkhead_packet_start_time_seconds"  # counters of this role begin there
    started = [float(line.split()[1]) for line in body.splitlines() if line.startswith(name)]
    assert len(started) == 1 and 0 < time.time() - started[0] < 3600
    assert "404" in fetch("")
    assert "405" in fetch("metrics", "-d", "x")


def test_eve_file_is_opened_again_after_its_rotation(daemon):
    """I9: a renamed file gets nothing more after SIGHUP, the new one all that comes."""
    old = daemon.eve_path.with_suffix(".old")
    os.rename(daemon.eve_path, old)
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(daemon.eve_path.exists, 5, 0.1, "a new EVE file")
    size = old.stat().st_size
    generation = daemon.cli("status")["config"]["generation"]
    daemon.apply(lambda config: config["gateway"].update(ageing="77s"))
    wait_until(lambda: any(event["event_type"] == "config_applied" and
                           event["generation"] > generation for event in daemon.events()),
               5, 0.1, "the event in the new file")
    assert old.stat().st_size == size


def test_capture_and_trace_show_the_walk(lab, daemon):
    """The origin tag and the verdict of a ping, in a trace and in a pcapng file."""
    path = daemon.folder / "walk.pcapng"
    capture = subprocess.Popen(
        [str(daemon.bulkhead), "--socket", str(daemon.socket_path), "capture", str(path),
         "--node", "origin_forward", "--protocol", "icmp", "--count", "2", "--timeout", "20"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    trace = subprocess.Popen(
        [str(daemon.bulkhead), "--socket", str(daemon.socket_path), "trace", "--protocol", "icmp",
         "--count", "2", "--timeout", "20"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: can_ping(lab.outside, "192.0.2.10") and capture.poll() is not None
               and trace.poll() is not None, 25, 0.2, "capture and trace to see a ping")
    walk, problem = trace.communicate()
    assert trace.returncode == 0 and capture.returncode == 0, problem
    for word in ("origin_tag", "inspect", "origin_forward", "origin: physical", "origin: trunk"):
        assert word in walk, walk
    comments = subprocess.run(["tshark", "-r", str(path), "-T", "fields", "-e", "frame.comment"],
                              capture_output=True, text=True, check=True).stdout
    assert "physical" in comments and "trunk" in comments


def test_nonsense_is_refused_and_hurts_nobody(daemon):
    """Bytes that are no JSON-RPC, on the real socket: an error answer or the end, and control lives."""
    pid = daemon.role_pid("control")
    for message in (b"", b"\0", b"{}", b"[]", b"null", b"x" * 100000, b'{"jsonrpc": "2.0"}',
                    b'{"jsonrpc":"2.0","method":"status.get","id":[]}', b"[" * 50000,
                    b'{"jsonrpc":"2.0","method":"' + b"a" * 60000 + b'","id":1}'):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(5)
        client.connect(str(daemon.socket_path))
        client.send(message)
        answer = client.recv(200000)
        assert not answer or "error" in json.loads(answer), (message[:40], answer[:200])
        client.close()
    assert daemon.role_pid("control") == pid


def test_says_when_the_daemon_is_not_there(lab, daemon):
    daemon.stop()
    done = daemon.command("status")
    assert done.returncode == 1
    assert "not running" in done.stderr and "start it" in done.stderr
    assert daemon.command("nonsense").returncode == 2
    assert daemon.command("fdb", "--vlan", "x").returncode == 2
