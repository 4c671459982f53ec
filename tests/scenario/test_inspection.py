# SPDX-License-Identifier: BSD-3-Clause
"""Inspection of what crosses the gateway, with real rules, attacks and inspectors that die.

    outside ──── uplink [hv1: gateway ── inspect] trunk-a (VLAN 10) ── web 192.0.2.10 (nginx)
    192.0.2.100                            │
                                   builtin, or a memif ── dpdk-testpmd (the inspector outside)
"""

import contextlib
import pathlib
import signal
import socket
import threading
import time

import pytest

from lab.daemon import Daemon, make_run_folder
from lab.inspector import Inspector
from lab.netns import wait_until
from lab.peers import PingFlood, can_ping, curl, iperf3, nginx, ping

PASSWD = ('drop tcp any any -> $HOME_NET 80 (msg:"passwd"; flow:to_server,established; '
          'content:"/etc/passwd"; classtype:web-application-attack; '
          'metadata:created_at 2020_01_02, signature_severity Major; sid:1000001; rev:3;)\n')
FORBIDDEN = ('drop tcp any any -> $HOME_NET 80 (msg:"forbidden"; flow:to_server,established; '
             'content:"/forbidden"; sid:1000002; rev:1;)\n')
SECRET = ('alert tcp $HOME_NET 80 -> any any (msg:"secret"; flow:to_client,established; '
          'content:"secret"; replace:"XXXXXX"; sid:1000003; rev:1;)\n')
REJECT = ('reject tcp any any -> $HOME_NET 80 (msg:"reject"; flow:to_server,established; '
          'content:"/rejected"; sid:1000004; rev:1;)\n')
PAGE = b"a page of web\n" * 300
ADDRESS = "192.0.2.10"


def url(path):
    return f"http://{ADDRESS}/{path}"


def inspection(lab, rules, **options):
    """The configuration's section for the builtin engine with these rules."""
    lab.write("rules/lab.rules", rules)
    return {"engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")],
            "variables": {"HOME_NET": ["192.0.2.0/24"]}, **options}


@pytest.fixture
def start(lab):
    """start(rules): web with nginx behind the builtin engine; returns the server's access log."""
    def begin(rules, **options):
        access = nginx(lab, "web", {"index.html": PAGE, "forbidden.html": PAGE,
                                    "secret.html": b"the secret word\n"})
        lab.config["inspection"] = inspection(lab, rules, **options)
        lab.start()
        assert can_ping(lab.outside, ADDRESS)
        return access
    return begin


def alerts(lab, sid):
    return [event for event in lab.daemon.events(event_type="alert")
            if event["alert"]["signature_id"] == sid]


def await_flood(lab):
    """Until some more of a ping flood has gone through."""
    def sent():
        return next(row["tx_packets"] for row in lab.daemon.cli("ports")["ports"] if row["name"] == "web.eth0")
    begin = sent()
    wait_until(lambda: sent() >= begin + 30, what="the flood to go on")


def connect(lab):
    def make():
        handle = socket.create_connection((ADDRESS, 80), 5)
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return handle
    return contextlib.closing(lab.outside.inside(make))


def test_attack_is_stopped_and_told_as_eve(lab, start):
    """I1 I9: the request never reaches the server, and a SIEM finds the event it knows."""
    access = start(PASSWD)
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    code, body = curl(lab.outside, "--path-as-is", url("../../etc/passwd"), timeout=3)
    assert code != 0 and not body
    assert "passwd" not in access.read_text()
    event = wait_until(lambda: alerts(lab, 1000001), what="the alert")[0]
    assert event["src_ip"] == "192.0.2.100" and event["dest_ip"] == ADDRESS
    assert event["dest_port"] == 80 and event["proto"] == "TCP" and event["vlan"] == [10]
    assert event["partition"] == "web" and event["origin"] == "physical"
    assert event["in_iface"] == "uplink"
    assert event["alert"]["action"] == "blocked" and event["alert"]["rev"] == 3
    assert event["alert"]["metadata"] == {"created_at": ["2020_01_02"],
                                          "signature_severity": ["Major"]}
    assert "/etc/passwd" in event["payload_printable"]
    drop = wait_until(lambda: lab.daemon.events(event_type="drop"), what="the drop event")[0]
    assert drop["flow_id"] == event["flow_id"] and drop["drop"]["reason"] == "inspect_rule"
    assert lab.daemon.drops()["inspect_rule"] >= 1


def test_attack_split_over_segments_is_stopped(lab, start):
    """I1 I6: what is inspected is the stream that the server would read."""
    access = start(PASSWD)
    with connect(lab) as connection:
        for piece in (b"GET /../../e", b"tc/pas", b"swd HTTP/1.1\r\nHost: web\r\n\r\n"):
            connection.sendall(piece)
            time.sleep(0.1)  # so that the kernel sends a segment for each
        connection.settimeout(2)
        try:
            answer = connection.recv(100)
        except (TimeoutError, ConnectionResetError):
            answer = b""
    assert not answer
    assert "passwd" not in access.read_text()
    wait_until(lambda: alerts(lab, 1000001), what="the alert")


def test_replaced_bytes_arrive_with_right_checksums(lab, start):
    """I3: the client reads the changed page; its kernel takes only segments with right checksums."""
    start(SECRET)
    assert curl(lab.outside, url("secret.html")) == (0, b"the XXXXXX word\n")
    assert wait_until(lambda: alerts(lab, 1000003), what="the alert")[0]["alert"]["action"] == "allowed"


def test_rejected_connection_is_reset_on_both_sides(lab, start):
    """I3: both ends are told at once, instead of running into time-outs."""
    start(REJECT)
    with connect(lab) as connection:
        connection.sendall(b"GET /rejected HTTP/1.1\r\nHost: web\r\n\r\n")
        connection.settimeout(3)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    wait_until(lambda: "ESTAB" not in lab["web"].run("ss", "-Htn", "sport = :80"), 3,
               what="the server's end of the connection to go")


def test_rules_are_reloaded_without_losing_a_packet(lab, start):
    """I5: a rule added live works at once; a ping flood and an open connection notice nothing."""
    start(PASSWD)
    with connect(lab) as connection:
        connection.sendall(b"GET /forb")
        flood = PingFlood(lab.outside, ADDRESS)
        await_flood(lab)
        lab.write("rules/lab.rules", PASSWD + FORBIDDEN)
        answer = lab.daemon.cli("inspect", "reload")
        assert answer["loaded"] == 2 and answer["refused"] == 0
        # The pattern began under the old rules and ends under the new ones.
        connection.sendall(b"idden.html HTTP/1.1\r\nHost: web\r\n\r\n")
        wait_until(lambda: alerts(lab, 1000002), what="the alert of the new rule")
        for _ in range(5):
            assert lab.daemon.command("inspect", "reload").returncode == 0
        assert flood.lost() == 0
    assert curl(lab.outside, url("index.html")) == (0, PAGE)


def test_wrong_rules_are_refused_and_the_old_ones_stay(lab, start):
    """I5 I6: the error names file and line; nothing has changed."""
    start(PASSWD)
    lab.write("rules/lab.rules", FORBIDDEN + "drop tcp any any -> any 80 (content:\"x; sid:7;)\n"
              + PASSWD.replace("drop", "drip"))
    done = lab.daemon.command("inspect", "reload")
    assert done.returncode == 1 and "lab.rules:2" in done.stderr and "lab.rules:3" in done.stderr
    assert curl(lab.outside, url("forbidden.html")) == (0, PAGE)
    assert curl(lab.outside, "--path-as-is", url("../../etc/passwd"), timeout=2)[0] != 0


def test_engines_are_swapped_with_traffic_flowing(lab, start):
    """I5: none and builtin in turn, under a ping flood."""
    start(PASSWD)
    flood = PingFlood(lab.outside, ADDRESS, 4000)
    for engine in ("none", "builtin", "none", "builtin"):
        def change(config, engine=engine):
            config["inspection"]["engines"] = [engine]
        lab.daemon.apply(change)
        await_flood(lab)
    assert flood.lost(is_over=True) == 0
    assert curl(lab.outside, "--path-as-is", url("../../etc/passwd"), timeout=2)[0] != 0


def test_engines_swapped_in_quick_succession_leave_nothing(lab, start):
    """I5: changes that come faster than the deadline: each engine that was replaced ends all the same."""
    start(PASSWD)

    def mapped():
        status = (pathlib.Path("/proc") / str(lab.daemon.role_pid("packet")) / "status").read_text()
        return int(status.split("VmSize:")[1].split()[0])

    before = mapped()
    for _ in range(12):
        for engine in ("none", "builtin"):
            def change(config, engine=engine):
                config["inspection"]["engines"] = [engine]
            lab.daemon.apply(change)
    # An engine maps some 95 MB, the allocator's arenas of the threads that compile rules 64 MB each.
    wait_until(lambda: mapped() < before + 4 * 65_536 + 90_000, 5, what="the replaced engines to be gone")


def test_fragments_are_inspected_whole_and_pass(lab, start):
    """I6 G13: large pings are fragmented on the wire and arrive."""
    start(PASSWD)
    assert ping(lab.outside, ADDRESS, count=5, size=9000)
    assert ping(lab["web"], "192.0.2.100", count=5, size=4000)


# ---- an inspector outside, that dies ----

@pytest.fixture
def outside_inspector(lab):
    """begin(on_failure): web behind an inspector outside, which runs."""
    inspectors = []

    def begin(on_failure, **options):
        path = make_run_folder(lab.folder) / "inspect.sock"
        nginx(lab, "web", {"index.html": PAGE})
        lab.config["inspection"] = {"engines": ["external"], "on-failure": on_failure,
                                    "external": {"socket": str(path)}, **options}
        # Not ready, but degraded, until somebody inspects.
        lab.daemon = Daemon(lab.hv1, lab.folder, lab.config).start(wait=False)
        wait_until(path.exists, 20, what="the memif's socket")
        workers = lab.config.get("packet", {}).get("workers", 1)
        inspectors.append(Inspector(lab.folder, path, workers).start())
        wait_until(lab.daemon.is_ready, 20, what="daemon and inspector")
        wait_until(lambda: ping(lab.outside, ADDRESS) and engine(lab)["details"]["returned"] > 1, 20,
                   what="packets to come back from the inspector")
        return inspectors[0]
    yield begin
    for inspector in inspectors:
        inspector.kill()


def engine(lab):
    return lab.daemon.cli("inspect")["engines"][0]


def state(lab):
    return engine(lab)["state"]


def test_traffic_passes_the_inspector_outside(lab, outside_inspector):
    """I1 I4: all goes out and comes back, unchanged; held packets are returned later."""
    outside_inspector("drop")
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    assert iperf3(lab, "web", "outside", ADDRESS, 2)["end"]["sum_received"]["bytes"] > 1 << 20
    assert engine(lab)["held"] > 100 and engine(lab)["details"]["returned"] > 100


def test_killed_inspector_stops_traffic_where_failure_means_drop(lab, outside_inspector):
    """I4: nothing passes unseen; its restart brings the traffic back."""
    inspector = outside_inspector("drop")
    inspector.kill()
    wait_until(lambda: state(lab) == "down", 5, what="the loss to be noticed")
    assert not ping(lab.outside, ADDRESS, count=3, timeout=1)
    assert lab.daemon.drops()["inspect_down"] >= 1
    wait_until(lambda: "inspector_down" in lab.daemon.log(), what="the log line")
    inspector.start()
    wait_until(lambda: state(lab) == "running", 15, what="the inspector to be back")
    assert can_ping(lab.outside, ADDRESS)
    assert curl(lab.outside, url("index.html")) == (0, PAGE)


def test_killed_inspector_leaves_traffic_alone_where_failure_means_pass(lab, outside_inspector):
    """I4: a connection goes on over the inspector's death, told by an event."""
    inspector = outside_inspector("pass")
    killer = threading.Timer(1, inspector.kill)
    killer.start()
    report = iperf3(lab, "web", "outside", ADDRESS, 3)
    killer.join()
    intervals = [interval["sum"]["bytes"] for interval in report["intervals"]]
    assert intervals[-1] > 0
    assert state(lab) == "down"
    assert ping(lab.outside, ADDRESS, count=5)
    assert lab.daemon.cli("inspect")["failures"]["passed"] > 0


def test_stopped_inspector_is_overruled_by_the_deadline(lab, outside_inspector):
    """I4: it is there but says nothing; each packet waits for its deadline and no longer."""
    inspector = outside_inspector("pass", deadline="30ms")
    inspector.signal(signal.SIGSTOP)
    try:
        assert ping(lab.outside, ADDRESS, count=5, timeout=2)
        status = lab.daemon.cli("inspect")
        assert status["hold"]["expired"] >= 5 and status["failures"]["passed"] >= 5
    finally:
        inspector.signal(signal.SIGCONT)
    wait_until(lambda: ping(lab.outside, ADDRESS), 10, what="the inspector to go on")
