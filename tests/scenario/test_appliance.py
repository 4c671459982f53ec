# SPDX-License-Identifier: BSD-3-Clause
"""The IPS on another host: two daemons, one asks, the other inspects.

    outside ──── uplink [hv1: gateway ── appliance] trunk-a (VLAN 10) ── web 192.0.2.10 (nginx)
    192.0.2.100                             │
                                     xcf0 ══╪══ xcf1   Geneve, the frame and its handle both ways
                                            │
                                     [ips: builtin, with the rules]
"""

import json
import time

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from lab.appliance import CLIENT, KEY, connect, host, key_file
from lab.netns import run, wait_until
from lab.peers import PingFlood, can_ping, curl, iperf3, is_listening, nginx, ping
from tests.scenario import odd_frames
from tests.scenario.test_odd_frames import SENDERS, compare, unguarded

ADDRESS = "192.0.2.10"
PAGE = b"a page of web\n" * 300
RULES = ('drop tcp any any -> $HOME_NET 80 (msg:"passwd"; flow:to_server,established; '
         'content:"/etc/passwd"; sid:1000001; rev:3;)\n'
         'alert tcp $HOME_NET 80 -> any any (msg:"secret"; flow:to_client,established; '
         'content:"secret"; replace:"XXXXXX"; sid:1000003; rev:1;)\n')


def url(path):
    return f"http://{ADDRESS}/{path}"


def engine(daemon):
    return daemon.cli("inspect")["engines"][0]


@pytest.fixture
def pair(lab):
    """pair(): both daemons, web behind them; returns the appliance's daemon."""
    others = []

    def begin(rules=RULES, wait=True, change=None, **options):
        config = connect(lab, **options)
        lab.config["inspection"]["deadline"] = "1s"  # a round trip takes what two busy daemons need for it
        rules_path = lab.write("rules/lab.rules", rules)
        config["inspection"].update(rules=[str(rules_path)], variables={"HOME_NET": ["192.0.2.0/24"]})
        if change:
            change(lab.config, config)
        nginx(lab, "web", {"index.html": PAGE, "secret.html": b"the secret word\n"})
        ips = host(lab["ips"], lab.folder / "ips", config)
        others.append(ips)
        ips.start()
        lab.start()
        if wait:
            wait_until(lambda: engine(lab.daemon)["state"] == "running", 10, what="the appliance's answers")
            assert can_ping(lab.outside, ADDRESS)
        return ips
    yield begin
    for daemon in others:
        daemon.stop()


def test_traffic_passes_the_appliance(lab, pair):
    """I8 I1: all goes to the other host and comes back unchanged."""
    ips = pair()
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    details = engine(lab.daemon)["details"]
    assert details["returned"] > 10 and details["round_trip_us"] > 0
    client = ips.cli("inspect")["clients"][0]
    assert client["requests"] > 10 and client["forged"] == 0


def test_attack_is_stopped_by_the_appliance(lab, pair):
    """I8 I9: the other host's engine refuses it and tells the event, with the host and the port it came from;
    the gateway accounts it at once, not after the deadline."""
    ips = pair()
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    code, body = curl(lab.outside, "--path-as-is", url("../../etc/passwd"), timeout=3)
    assert code != 0 and not body
    drops = lab.daemon.drops()
    assert drops["inspect_remote"] >= 1 and drops["inspect_deadline"] == 0
    assert engine(lab.daemon)["details"]["refused"] >= 1

    def alerts():
        return [event for event in ips.events(event_type="alert") if event["alert"]["signature_id"] == 1000001]
    event = wait_until(alerts, 5, what="the event")[0]
    ports = {row["index"]: row["name"] for row in lab.daemon.cli("ports")["ports"]}
    assert event["origin"] == "remote" and event["remote_host"] == CLIENT
    assert event["remote_origin"] == "physical" and ports[event["remote_port"]] == "uplink"
    assert event["vlan"] == [10] and event["dest_ip"] == ADDRESS


def test_two_workers_on_both_ends(lab, pair):
    """I8 I1: what one worker holds comes back through another; no page is changed, nothing is late, and every
    attack is stopped."""
    def widen(*configs):
        for config in configs:
            config["packet"] = {**config.get("packet", {}), "workers": 2}
    ips = pair(change=widen)
    for _ in range(20):
        assert curl(lab.outside, url("index.html")) == (0, PAGE)
    for _ in range(3):
        code, body = curl(lab.outside, "--path-as-is", url("../../etc/passwd"), timeout=1)
        assert code != 0 and not body
    polled = {port: lab.daemon.cli("ports", port)["port"]["queue_workers"] for port in ("uplink", "xcf0")}
    assert polled["uplink"] != polled["xcf0"]
    assert all(daemon.drops().get("handoff_full", 0) == 0 for daemon in (lab.daemon, ips))
    drops = lab.daemon.drops()
    assert drops["inspect_remote"] >= 3 and drops["inspect_deadline"] == 0 and drops["inspect_invalid_return"] == 0


def test_appliance_changes_what_passes(lab, pair):
    """I8 I3: what it rewrites is what arrives, with right checksums."""
    pair()
    assert curl(lab.outside, url("secret.html")) == (0, b"the XXXXXX word\n")


def test_bulk_traffic_over_the_appliance(lab, pair):
    """I8 G11: super-frames are cut, nothing is lost in a queue that has an end."""
    pair()
    report = iperf3(lab, "web", "outside", ADDRESS, 3)
    assert report["end"]["sum_received"]["bytes"] > 10 << 20
    assert engine(lab.daemon)["details"]["too_large"] == 0


def test_link_over_ipv6(lab, pair):
    """I8: neighbours are discovered, and the outer checksum that IPv6 wants is there and right."""
    pair(ipv6=True)
    assert curl(lab.outside, url("index.html")) == (0, PAGE)


def test_killed_appliance_stops_traffic_where_failure_means_drop(lab, pair):
    """I8 I4: noticed by its silence; its restart brings the traffic back."""
    ips = pair()
    ips.kill_role("packet")
    ips.stop()
    wait_until(lambda: engine(lab.daemon)["state"] == "down", 5, what="the loss to be noticed")
    assert "does not answer" in engine(lab.daemon)["problem"]
    assert not ping(lab.outside, ADDRESS, count=3, timeout=1)
    assert lab.daemon.drops()["inspect_down"] >= 1
    down = wait_until(lambda: [line for line in lab.daemon.log().splitlines() if "inspector_down" in line])
    assert "engine=appliance" in down[-1]
    ips.start()
    wait_until(lambda: engine(lab.daemon)["state"] == "running", 10, what="the appliance to be back")
    assert curl(lab.outside, url("index.html")) == (0, PAGE)


def test_killed_appliance_leaves_traffic_alone_where_failure_means_pass(lab, pair):
    """I8 I4 I5: a connection goes on over the appliance's death under traffic and over its return."""
    def fail_open(config, _):
        config["inspection"]["on-failure"] = "pass"
    ips = pair(change=fail_open)
    process = lab["web"].start("iperf3", "-s", "-1", "-p", 5201, stdout=-3, stderr=-3)
    wait_until(lambda: is_listening(lab["web"], 5201), what="the iperf3 server")
    before = lab["web"].received()
    client = lab.outside.start("iperf3", "-J", "-c", ADDRESS, "-p", 5201, "-t", 6, stdout=-1, text=True)
    wait_until(lambda: lab["web"].received() - before > 1 << 20, what="traffic over the appliance")
    pid = ips.kill_role("packet")
    ips.wait_role("packet", pid)
    report = json.loads(client.communicate(timeout=30)[0])
    process.wait(10)
    intervals = [interval["sum"]["bytes"] for interval in report["intervals"]]
    assert intervals[-1] > 0 and report["end"]["sum_received"]["bytes"] > 1 << 20
    assert lab.daemon.cli("inspect")["failures"]["passed"] > 0
    wait_until(lambda: engine(lab.daemon)["state"] == "running", 10, what="the appliance to be back")


def test_appliance_without_engines_says_so(lab, pair):
    """I8 I4: a verdict of an appliance whose own inspector is gone would be worth nothing."""
    ips = pair()
    def external(config):
        config["inspection"] = {"engines": ["external"],
                                "external": {"socket": str(ips.run_folder / "inspect.sock")}}
    ips.apply(external)
    wait_until(lambda: engine(lab.daemon)["state"] == "down", 5, what="the appliance's own loss to be noticed")
    assert "engines give no verdicts" in engine(lab.daemon)["problem"]
    assert not ping(lab.outside, ADDRESS, timeout=1)


def test_other_key_is_refused_and_a_key_is_replaced_in_traffic(lab, pair):
    """I8 I10: neither side believes a message of another key; two keys at a time make the change silent."""
    ips = pair()
    keys = lab.folder / "keys"
    second = "2 ffeeddccbbaa99887766554433221100\n"
    flood = PingFlood(lab.outside, ADDRESS, 150, 0.02)
    for daemon, name, text in [(ips, "ips", KEY + second), (lab.daemon, "hv1", second + KEY),
                               (lab.daemon, "hv1", second), (ips, "ips", second)]:
        key_file(keys / name, text)
        daemon.apply(lambda config: None)
    assert flood.lost() == 0
    key_file(keys / "ips", "2 00000000000000000000000000000000\n")
    ips.apply(lambda config: None)
    wait_until(lambda: engine(lab.daemon)["state"] == "down", 5, what="the other key to be noticed")
    assert ips.cli("inspect")["clients"][0]["forged"] > 0 and ips.drops()["link_forged"] > 0


def test_key_that_others_can_read_is_refused(lab, pair):
    """I8: said with file and remedy, and the old configuration stays."""
    pair()
    (lab.folder / "keys" / "hv1").chmod(0o644)
    lab.daemon.write_config()
    done = lab.daemon.command("config", "apply", lab.daemon.config_path)
    assert done.returncode != 0 and "chmod 0640" in done.stderr + done.stdout
    assert ping(lab.outside, ADDRESS)


@pytest.mark.parametrize("mtu, link_mtu", [(1500, 1586), (9000, 9086)])
def test_odd_frames_pass_the_appliance_unchanged(make_lab, mtu, link_mtu):
    """I8 G13 G11: more than 60 kinds of frames there and back, byte-exact, on a link with not a byte to spare."""
    lab = make_lab(partitions=("web",), mtu=mtu)
    config = connect(lab, mtu=link_mtu)
    config["inspection"] = {"engines": ["none"]}
    ips = host(lab["ips"], lab.folder / "ips", config).start()
    try:
        lab.start(unguarded)
        wait_until(lambda: engine(lab.daemon)["state"] == "running", 10, what="the appliance's answers")
        ends = {"web": lab["web"].wire("eth0"), "outside": lab.outside.wire("eth0")}
        frames = odd_frames.make(mtu)
        for origin, other in (("web", "outside"), ("outside", "web")):
            source = bytes.fromhex(SENDERS[origin])
            sent = [(name, odd_frames.destination(name) + source + rest)
                    for name, rest in frames.items()]
            for start in range(0, len(sent), 16):
                for _, frame in sent[start:start + 16]:
                    ends[origin].send(frame)
                time.sleep(0.05)
            compare(sent, ends[other].drain(1), f"{origin} -> {other}")
        assert engine(lab.daemon)["details"]["too_large"] == 0
        assert ips.cli("inspect")["clients"][0]["passed"] >= 2 * len(frames)
    finally:
        ips.stop()


def test_frames_larger_than_the_link_are_left_to_the_policy(lab, pair):
    """I8 I4: nothing is fragmented; what does not fit is counted, and on-failure decides."""
    pair(mtu=1500)
    assert ping(lab.outside, ADDRESS, size=1300)
    assert not ping(lab.outside, ADDRESS, size=1472, timeout=1)
    assert lab.daemon.drops()["inspect_too_large"] >= 1
    assert engine(lab.daemon)["details"]["too_large"] >= 1

    def fail_open(config):
        config["inspection"]["on-failure"] = "pass"
    lab.daemon.apply(fail_open)
    assert ping(lab.outside, ADDRESS, size=1472)


@pytest.mark.parametrize("ipv6", [False, True])
def test_tshark_reads_what_is_on_the_link(lab, pair, ipv6):
    """I8: Geneve, its option and the frame inside, as somebody else's decoder sees them; right checksums."""
    pair(ipv6=ipv6)
    wire = lab["ips"].wire("xcf1")
    assert ping(lab.outside, ADDRESS, count=3)
    path = lab.folder / "link.pcap"
    wrpcap(str(path), [Ether(frame) for frame in wire.drain()])
    done = run("tshark", "-r", path, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
               "-Y", "geneve && icmp", "-T", "fields", "-E", "occurrence=a", "-E", "separator=;",
               "-e", "geneve.vni", "-e", "geneve.option.class", "-e", "geneve.option.type.critical", "-e", "icmp.type",
               "-e", "udp.checksum.status", "-e", "_ws.malformed", "-e", "udp.dstport")
    rows = [line.split(";") for line in done.splitlines()]
    assert len(rows) >= 6
    for vni, option_class, critical, icmp, checksum, malformed, port in rows:
        assert int(vni, 0) == 10 and option_class == "0xfff8" and icmp in ("0", "8") and port == "6081"
        assert critical in ("1", "True") and not malformed
        assert checksum == ("1" if ipv6 else "3"), checksum  # good; not present
