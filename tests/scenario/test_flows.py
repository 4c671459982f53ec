# SPDX-License-Identifier: BSD-3-Clause
"""Flows: what is told of them, when they are not inspected any more, and the errors that are about them.

    far ──────────── outside, a router ──── uplink [hv1: gateway ── builtin] ── web 192.0.2.10
    198.51.100.0/24  192.0.2.100
"""

import contextlib
import errno
import socket
import struct

import pytest

from lab.netns import veth, wait_until
from lab.peers import can_ping, curl, iperf3, nginx

ADDRESS = "192.0.2.10"
FORBIDDEN = 'drop tcp any any -> any any (msg:"forbidden"; content:"FORBIDDEN"; sid:1; rev:1;)\n'
CLEAN = 'pass tcp any any -> any 80 (msg:"clean"; content:"/clean"; sid:2; rev:1;)\n'
BYPASS = 1 << 20
LARGE = b"x" * (4 * BYPASS) + b"FORBIDDEN\n"
SMALL = b"x" * (BYPASS // 4) + b"FORBIDDEN\n"
FAR = [f"198.51.100.{host}" for host in range(7, 15)]
FAR_MTU = 1200
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14  # linux/in.h


def start(lab, workers=1, rules=FORBIDDEN, **options):
    lab.write("rules/lab.rules", rules)
    lab.config["packet"] = {"workers": workers}
    lab.config["inspection"] = {"engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")],
                                "stream-depth": "none", **options}
    lab.start()
    assert can_ping(lab.outside, ADDRESS)


def details(lab):
    return next(engine["details"] for engine in lab.daemon.cli("inspect")["engines"] if engine["name"] == "builtin")


def flows(lab, **wanted):
    return [flow for flow in lab.daemon.cli("inspect", "flows")["flows"]
            if all(flow.get(key) == value for key, value in wanted.items())]


def leave_engine(lab):
    """Without the engine its flows end."""
    lab.daemon.apply(lambda config: config["inspection"].update(engines=["none"]))


def test_flows_and_statistics_are_told_as_eve(lab):
    """I9: a record for the flow of a page, when the engine goes, and its counters while it runs."""
    nginx(lab, "web", {"index.html": b"a page of web\n"})
    start(lab, events=["flow", "stats"], **{"stats-interval": "1s"})
    assert curl(lab.outside, f"http://{ADDRESS}/index.html") == (0, b"a page of web\n")
    def told():
        return [event["stats"] for event in lab.daemon.events(event_type="stats")]
    wait_until(lambda: told()[-1:] and told()[-1]["decoder"]["tcp"] >= 5, what="statistics with the page's packets")
    seen = len(told())
    # One in which nothing was under way: counters are read one after the other.
    stats = wait_until(lambda: told()[seen:], what="the next statistics")[0]
    assert stats["flow"]["tcp"] >= 1 and stats["detect"]["alert"] == 0
    assert stats["capture"]["kernel_packets"] >= stats["decoder"]["pkts"]
    assert not lab.daemon.events(event_type="flow", dest_port=80)
    leave_engine(lab)
    event, = wait_until(lambda: lab.daemon.events(event_type="flow", dest_port=80), what="the flow's record")
    assert event["src_ip"] == "192.0.2.100" and event["dest_ip"] == ADDRESS and event["proto"] == "TCP"
    assert event["partition"] == "web" and event["origin"] == "physical" and event["vlan"] == [10]
    assert event["in_iface"] == "uplink" and event["app_proto"] == "http"
    flow = event["flow"]
    assert flow["pkts_toserver"] >= 4 and flow["pkts_toclient"] >= 3 and flow["bytes_toclient"] > len("a page of web\n")
    assert (flow["state"], flow["reason"], flow["alerted"]) == ("closed", "shutdown", False)
    assert event["tcp"]["state"] == "closed" and event["tcp"]["syn"] and event["tcp"]["fin"]


def test_only_configured_records_are_written(lab):
    """I9: `inspection.events` says which; alerts alone here."""
    nginx(lab, "web", {"index.html": b"FORBIDDEN\n"})
    start(lab, events=["alert"])
    assert curl(lab.outside, f"http://{ADDRESS}/index.html", timeout=2)[0] != 0
    wait_until(lambda: lab.daemon.events(event_type="alert"), what="the alert")
    applied = len(lab.daemon.events(event_type="config_applied"))
    leave_engine(lab)
    wait_until(lambda: len(lab.daemon.events(event_type="config_applied")) > applied, what="the change")
    assert not any(lab.daemon.events(event_type=kind) for kind in ("drop", "flow", "stats", "anomaly"))


def test_elephant_passes_uninspected_after_its_bytes(lab):
    """I2: what comes in the first bytes is stopped, what comes behind them reaches the client."""
    nginx(lab, "web", {"large": LARGE, "small": SMALL})
    start(lab, **{"bypass-after": "1MiB"})
    code, body = curl(lab.outside, f"http://{ADDRESS}/small", timeout=3)
    assert code != 0 and b"FORBIDDEN" not in body
    assert details(lab)["flows_bypassed"] == 0
    assert curl(lab.outside, f"http://{ADDRESS}/large") == (0, LARGE)
    flow, = flows(lab, why="bypass")
    assert flow["verdict"] == "pass" and flow["app_protocol"] == "http" and not flow["alerted"]
    assert flow["packets_to_server"] > 0 and flow["packets_to_client"] > 0
    assert flow["bytes_to_client"] >= len(LARGE) > BYPASS
    assert details(lab)["flows_bypassed"] == 1
    assert len(lab.daemon.events(event_type="alert")) == 1
    shown = lab.daemon.command("inspect", "flows").stdout
    assert "tcp/http" in shown and "pass: bypass" in shown and "RECEIVED" in shown


def test_flows_tell_the_rule_that_settled_them(lab):
    """I2: verdict, reason and sid of a flow that a pass rule settled, and of one that a drop rule did."""
    nginx(lab, "web", {"clean": b"FORBIDDEN, but passed\n", "other": b"FORBIDDEN\n", "plain": b"a page\n"})
    start(lab, rules=FORBIDDEN + CLEAN)
    assert curl(lab.outside, f"http://{ADDRESS}/clean") == (0, b"FORBIDDEN, but passed\n")
    assert curl(lab.outside, f"http://{ADDRESS}/other", timeout=2)[0] != 0
    assert curl(lab.outside, f"http://{ADDRESS}/plain") == (0, b"a page\n")
    settled = [(flow["verdict"], flow["sid"]) for flow in flows(lab, why="rule", server_port=80)]
    assert sorted(settled) == [("drop", 1), ("pass", 2)]
    plain, = flows(lab, verdict="inspect", server_port=80)
    assert "why" not in plain and "sid" not in plain


def test_elephant_of_an_unknown_protocol_stays_inspected(lab):
    """I2: unless the policy says that it need not."""
    start(lab, **{"bypass-after": "1MiB"})
    iperf3(lab, "web", "outside", ADDRESS, seconds=1)
    assert any(flow["bytes_to_server"] > BYPASS for flow in flows(lab, server_port=5201, verdict="inspect"))
    assert details(lab)["flows_bypassed"] == 0
    lab.daemon.apply(lambda config: config["inspection"].update({"bypass-unknown": True}))
    iperf3(lab, "web", "outside", ADDRESS, seconds=1)
    assert any(flow["bytes_to_server"] > BYPASS for flow in flows(lab, server_port=5201, why="bypass"))


@pytest.fixture
def far(lab):
    """outside is the router to a network with small frames."""
    host = lab.namespace("far")
    veth(lab.outside, "far0", host, "eth0", FAR_MTU)
    host.address("eth0", f"{FAR[0]}/24")
    lab.outside.address("far0", "198.51.100.1/24")
    lab.outside.sysctl("net.ipv4.ip_forward", 1)
    lab.outside.sysctl("net.ipv4.icmp_ratelimit", 0)
    lab.outside.sysctl("net.ipv4.icmp_msgs_per_sec", 100000)
    lab["web"].run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.100")
    return lab


def udp(namespace, address):
    def make():
        handle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        handle.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
        handle.connect((address, 9999))
        handle.settimeout(5)
        return handle
    return contextlib.closing(namespace.inside(make))


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_a_router_reach_those_whose_flows_they_are_about(far, workers):
    """I6: whichever worker has the flow: fragmentation needed, and port unreachable, by real kernels."""
    start(far, workers, **{"unrelated-errors": "drop"})
    before = details(far)["icmp_errors_of_flows"]
    for address in FAR:
        with udp(far["web"], address) as handle:
            handle.send(b"x" * 1400)
            wait_until(lambda: handle.getsockopt(socket.IPPROTO_IP, IP_MTU) == FAR_MTU, 5, what=f"the MTU to {address}")
    with udp(far["web"], "192.0.2.100") as handle:
        handle.send(b"anybody?")
        with pytest.raises(OSError) as refused:
            handle.recv(1)
        assert refused.value.errno == errno.ECONNREFUSED
    assert details(far)["icmp_errors_of_flows"] - before == len(FAR) + 1
    assert details(far)["icmp_errors_of_no_flow"] == 0
    assert far.daemon.drops().get("inspect_unrelated", 0) == 0


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def forged_error(source_port):
    """Fragmentation needed, about a datagram of web's to FAR[0]."""
    about = struct.pack("!BBHHHBBH4s4sHHHH", 0x45, 0, 1428, 1, 0x4000, 64, socket.IPPROTO_UDP, 0,
                        socket.inet_aton(ADDRESS), socket.inet_aton(FAR[0]), source_port, 9999, 1408, 0)
    error = struct.pack("!BBHHH", 3, 4, 0, 0, 600) + about
    return error[:2] + struct.pack("!H", checksum(error)) + error[4:]


def test_error_about_no_flow_is_dropped_by_policy(far):
    """I6: a forged error, about a flow that there is not, does not shrink the path; about one, it would."""
    start(far, **{"unrelated-errors": "drop"})
    with udp(far["web"], FAR[0]) as handle, contextlib.closing(far.outside.inside(
            lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))) as forger:
        port = handle.getsockname()[1]
        forger.sendto(forged_error(port), (ADDRESS, 0))
        wait_until(lambda: far.daemon.drops().get("inspect_unrelated", 0) == 1, what="the drop")
        assert handle.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1500
        handle.send(b"now there is a flow")
        wait_until(lambda: flows(far, server=FAR[0]), what="the flow")
        forger.sendto(forged_error(port), (ADDRESS, 0))
        wait_until(lambda: handle.getsockopt(socket.IPPROTO_IP, IP_MTU) == 600, what="the smaller MTU")
