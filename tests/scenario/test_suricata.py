# SPDX-License-Identifier: BSD-3-Clause
"""Suricata, unmodified, in line: the real program, started and watched by the daemon.

    outside ──── uplink [hv1: gateway ── inspect] trunk-a (VLAN 10) ── web 192.0.2.10
    192.0.2.100                            │      trunk-b (VLAN 20) ── db  192.0.2.10, too
                                   memif or vhost-user ── Suricata (IPS mode)
"""

import contextlib
import os
import signal
import socket
import subprocess

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from lab import suricata
from lab.daemon import Daemon
from lab.netns import CommandFailed, run, wait_until
from lab.peers import PingFlood, can_ping, curl, iperf3, nginx, ping
from tests.scenario import odd_frames
from tests.scenario.test_odd_frames import SENDERS, compare, unguarded, wires
from tests.scenario.test_roles import Pinger

pytestmark = pytest.mark.skipif(not suricata.is_installed(),
                                reason="Suricata is not installed: run tools/setup.sh test on Debian 12")

PASSWD = ('drop tcp any any -> $HOME_NET 80 (msg:"passwd"; flow:to_server,established; '
          'content:"/etc/passwd"; sid:1000001; rev:3;)\n')
FORBIDDEN = ('drop tcp any any -> $HOME_NET 80 (msg:"forbidden"; flow:to_server,established; '
             'content:"/forbidden"; sid:1000002; rev:1;)\n')
EVIL = 'drop udp any any -> $HOME_NET 7777 (msg:"evil"; content:"evil-payload"; sid:1000010; rev:1;)\n'
BULK = ('drop tcp any any -> $HOME_NET 5201 (msg:"bulk"; flow:to_server; content:"evil-in-the-bulk"; '
        'sid:1000011; rev:1;)\n')
SECRET = ('alert tcp $HOME_NET 80 -> any any (msg:"secret"; flow:to_client,established; content:"secret"; '
          'replace:"XXXXXX"; sid:1000003; rev:1;)\n')
REJECT = ('reject tcp any any -> $HOME_NET 80 (msg:"reject"; flow:to_server,established; '
          'content:"/rejected"; sid:1000004; rev:1;)\n')
CURL_TIMED_OUT = 28
DEVICES = ("memif", "vhost-user")
# What Suricata itself keeps back (stream.drop-invalid), as its records say.
INVALID = {"tcp_syn_fin"}
PAGE = b"a page of web\n" * 300
ADDRESS = "192.0.2.10"
ATTACK = f"http://{ADDRESS}/../../etc/passwd"


def url(path):
    return f"http://{ADDRESS}/{path}"


def start(lab, rules=PASSWD, change=None, **options):
    """The daemon behind Suricata, both ready."""
    lab.config["inspection"] = suricata.inspection(lab, rules, **options)
    if change:
        change(lab.config)
    lab.daemon = Daemon(lab.hv1, lab.folder, lab.config).start(wait=False)
    wait_until(lab.daemon.is_ready, suricata.START_TIMEOUT, what="daemon and Suricata")
    return suricata.wait_running(lab.daemon)


def details(lab):
    return suricata.row(lab.daemon)["details"]


def pid_of(lab):
    return details(lab)["pid"]


def alerts(lab, sid):
    return [event for event in lab.daemon.events(event_type="alert", engine="suricata")
            if event["alert"]["signature_id"] == sid]


@pytest.mark.parametrize("device", DEVICES)
def test_attack_is_stopped_and_told_with_partition_and_origin(lab, device):
    """I7 I9: Suricata keeps the request back; its records are events of ours; both are accounted."""
    access = nginx(lab, "web", {"index.html": PAGE})
    row = start(lab, suricata={"device": device})
    assert row["details"]["device"] == device
    assert row["rules_loaded"] == 1 and row["rules_refused"] == 0
    assert row["details"]["version"].startswith("7.") and row["details"]["pid"] > 0
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    code, body = curl(lab.outside, "--path-as-is", ATTACK, timeout=3)
    assert code != 0 and not body
    assert "passwd" not in access.read_text()
    event = wait_until(lambda: alerts(lab, 1000001), what="the alert")[0]
    assert event["src_ip"] == "192.0.2.100" and event["dest_port"] == 80 and event["vlan"] == [10]
    assert event["partition"] == "web" and event["origin"] == "physical"
    assert event["in_iface"] == "uplink" and event["alert"]["action"] == "blocked"
    drop = wait_until(lambda: lab.daemon.events(event_type="drop", engine="suricata"), what="the drop")[0]
    assert drop["drop"]["reason"] == "rules" and drop["alert"]["signature_id"] == 1000001
    # What it kept back is a verdict, not a deadline that passed.
    assert lab.daemon.drops()["suricata_drop"] >= 1 and lab.daemon.drops()["inspect_deadline"] == 0
    assert details(lab)["drop_records"] == {"rules": 1}
    shown = lab.daemon.command("inspect").stdout
    assert "suricata: version 7." in shown and "running" in shown


def test_attack_in_a_jumbo_frame_is_stopped(make_lab):
    """I7 G11: over vhost-user it looks into frames of 9,000 bytes to their end."""
    lab = make_lab(partitions=("web",), mtu=9000)
    start(lab, EVIL, suricata={"device": "vhost-user"})
    outside, web = lab.outside.wire("eth0"), lab["web"].wire("eth0")
    for payload, arrives in ((b"x" * 8_900 + b"good-payload", True), (b"x" * 8_900 + b"evil-payload", False)):
        outside.send(Ether(dst="52:54:00:00:10:01", src="52:54:00:00:ff:77")
                     / IP(src="192.0.2.150", dst=ADDRESS) / UDP(sport=4444, dport=7777) / Raw(payload))
        seen = web.expect(lambda frame, payload=payload: payload in frame, 2)
        assert (seen is not None) == arrives, payload[-12:]
    wait_until(lambda: alerts(lab, 1000010), what="the alert")
    assert details(lab)["unseen"] == 0 and lab.daemon.drops()["suricata_drop"] == 1


def test_replace_rule_alerts_alone(lab):
    """I7: Suricata replaces under NFQUEUE and IPFW alone, not over DPDK, and says so; the page arrives as it is."""
    nginx(lab, "web", {"secret.html": b"the secret word\n"})
    start(lab, SECRET)
    assert curl(lab.outside, url("secret.html")) == (0, b"the secret word\n")
    assert "replace" in suricata.program_log(lab)
    event = wait_until(lambda: alerts(lab, 1000003), what="the alert")[0]
    assert event["alert"]["action"] == "allowed"


def test_rejected_request_is_dropped_without_a_reset(lab):
    """I7: its process has no network to send resets to: the client runs into its time-out."""
    access = nginx(lab, "web", {"rejected": PAGE})
    start(lab, REJECT)
    assert curl(lab.outside, url("rejected"), timeout=3) == (CURL_TIMED_OUT, b"")
    event = wait_until(lambda: alerts(lab, 1000004), what="the alert")[0]
    assert event["alert"]["action"] == "blocked" and lab.daemon.drops()["suricata_drop"] >= 1
    assert "rejected" not in access.read_text()


def test_what_it_keeps_back_stays_back_where_failure_means_pass(lab):
    """I7 I4: nothing follows the dropped request, and on-failure is pass: still it is not passed."""
    access = nginx(lab, "web", {"index.html": PAGE})
    start(lab, on_failure="pass")
    for _ in range(3):
        code, body = curl(lab.outside, "--path-as-is", ATTACK, timeout=2)
        assert code != 0 and not body
    assert "passwd" not in access.read_text()
    status = lab.daemon.cli("inspect")
    assert status["hold"]["expired"] == 0 and status["failures"]["passed"] == 0


def test_tenants_with_the_same_five_tuple_are_apart(make_lab):
    """I7 G3: two VLANs, the same addresses and ports: the attack is blocked for one alone."""
    lab = make_lab(partitions=("web",))
    lab.partition("twin", vlan=20, mac="52:54:00:00:20:09", address=ADDRESS)
    lab.write("rules/lab.rules", EVIL)
    start(lab, EVIL)
    ends = {10: lab["web"].wire("eth0"), 20: lab["twin"].wire("eth0")}
    macs = {10: "52:54:00:00:10:01", 20: "52:54:00:00:20:09"}
    outside = lab.outside.wire("eth0")

    def send(vlan, payload):
        frame = Ether(dst=macs[vlan], src="52:54:00:00:ff:77")
        if vlan == 20:
            frame /= Dot1Q(vlan=20)
        outside.send(frame / IP(src="192.0.2.150", dst=ADDRESS) / UDP(sport=4444, dport=7777) / Raw(payload))

    def arrived(vlan, payload):
        return ends[vlan].expect(lambda frame: payload in frame, 2)

    for vlan in (10, 20):
        send(vlan, b"first")
        assert arrived(vlan, b"first"), vlan
    send(10, b"evil-payload")
    assert not arrived(10, b"evil-payload")
    for number in range(20):  # the same 5-tuple, none of it lost
        payload = b"number %d" % number
        send(20, payload)
        assert arrived(20, payload), number
    event = wait_until(lambda: alerts(lab, 1000010), what="the alert")[0]
    assert event["partition"] == "web" and event["vlan"] == [10]
    send(20, b"evil-payload")
    assert not arrived(20, b"evil-payload")
    second = wait_until(lambda: alerts(lab, 1000010)[1:], what="the other's alert")[0]
    assert second["partition"] == "twin" and second["vlan"] == [20]
    assert second["flow_id"] != event["flow_id"]


@pytest.mark.parametrize("device, mtu", [("memif", 1500), ("vhost-user", 9000)])
def test_odd_frames_pass_it_byte_exact(make_lab, device, mtu):
    """I7 G13 G11: more than 60 kinds of frames, jumbo ones too, as many VLAN tags as it decodes."""
    lab = make_lab(partitions=("web", "app"), mtu=mtu)
    start(lab, change=unguarded, suricata={"device": device})
    ends = wires(lab)
    # What it looks into to the bottom; what has more tags is another test's.
    frames = {name: rest for name, rest in odd_frames.make(mtu).items()
              if layers(rest) <= 2 and name not in INVALID}
    assert len(frames) >= 55
    for origin, wire in ends.items():
        source = bytes.fromhex(SENDERS[origin])
        sent = [(name, odd_frames.destination(name) + source + rest) for name, rest in frames.items()]
        for other in ends.values():
            other.drain(0.05)
        for _, frame in sent:
            wire.send(frame)
        for name, other in ends.items():
            if name != origin:
                compare(sent, other.drain(0.8), f"{origin} -> {name}")


def layers(rest):
    """VLAN tags behind the addresses."""
    count = 0
    while rest[4 * count:4 * count + 2] in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"):
        count += 1
    return count


@pytest.mark.parametrize("on_failure", ["drop", "pass"])
def test_more_tags_than_it_decodes_are_left_to_the_policy(make_lab, on_failure):
    """I7 I4: Suricata passes them without a look; so they are not given to it."""
    lab = make_lab(partitions=("web", "app"))
    start(lab, change=unguarded, on_failure=on_failure)
    outside, web = lab.outside.wire("eth0"), lab["web"].wire("eth0")
    inside = Ether(dst="52:54:00:00:10:01", src="52:54:00:00:ff:77") / Dot1Q(vlan=31) / Dot1Q(vlan=32)
    rest = IP(src="192.0.2.150", dst=ADDRESS) / UDP(sport=1, dport=9) / Raw(b"deep")
    two, three = inside / rest, inside / Dot1Q(vlan=33) / rest
    # Tagged outside, so that the first tag is the network's.
    for frame, arrives in ((two, True), (three, on_failure == "pass")):
        raw = bytes(frame)
        outside.send(raw[:12] + bytes.fromhex("8100000a") + raw[12:])
        seen = web.expect(lambda got: b"deep" in got and layers(got[12:]) == layers(raw[12:]), 1.5)
        assert (seen is not None) == arrives, frame.summary()
    assert details(lab)["unseen"] == 1
    assert lab.daemon.drops().get("inspect_unseen", 0) == (1 if on_failure == "drop" else 0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("on_failure", ["drop", "pass"])
def test_killed_suricata_is_started_again_under_traffic(lab, on_failure, device):
    """I7 I4 I5: kill -9: on-failure decides until it is back, told by events; connections go on."""
    nginx(lab, "web", {"index.html": PAGE})
    start(lab, on_failure=on_failure, suricata={"device": device})
    assert can_ping(lab.outside, ADDRESS)
    old = pid_of(lab)
    before = lab["web"].received()
    pings = PingFlood(lab.outside, ADDRESS, 400)
    wait_until(lambda: lab["web"].received() - before > 50 * 98, what="some of the traffic")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: lab.daemon.events(event_type="inspector_down"), 5, what="the event of its death")
    lost = pings.lost()
    wait_until(lambda: suricata.wait_running(lab.daemon)["details"]["pid"] != old, what="another process")
    if on_failure == "pass":
        # Its death is noticed by the deadline of what it had, or sooner.
        assert lost == 0
        assert lab.daemon.cli("inspect")["failures"]["passed"] > 0
    else:
        assert lost > 0
        assert lab.daemon.drops()["inspect_down"] > 0
    assert details(lab)["restarts"] == 1
    ended = [event for event in lab.daemon.events(event_type="program_state") if event["state"] == "waiting"]
    assert ended and "SIGKILL" in ended[0]["reason"]
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    assert curl(lab.outside, "--path-as-is", ATTACK, timeout=2)[0] != 0


def test_connection_goes_on_over_its_restart(lab):
    """I7: midstream: the bulk transfer that was under way is taken up again."""
    start(lab, on_failure="pass")
    old = pid_of(lab)
    killer = subprocess.Popen(["sh", "-c", f"sleep 1; kill -9 {old}"])
    report = iperf3(lab, "web", "outside", ADDRESS, 6)
    killer.wait()
    assert report["intervals"][-1]["sum"]["bytes"] > 0
    suricata.wait_running(lab.daemon)
    assert pid_of(lab) != old


def test_rules_are_reloaded_under_traffic_without_loss(lab):
    """I7 I5: inspect reload and config apply: the same process, new rules, not a ping lost."""
    nginx(lab, "web", {"index.html": PAGE, "forbidden.html": PAGE})
    start(lab)
    old = pid_of(lab)
    assert curl(lab.outside, url("forbidden.html")) == (0, PAGE)
    pings = PingFlood(lab.outside, ADDRESS, 800)
    lab.write("rules/lab.rules", PASSWD + FORBIDDEN)
    answer = lab.daemon.cli("inspect", "reload")
    assert answer["loaded"] == 2 and answer["refused"] == 0
    assert curl(lab.outside, url("forbidden.html"), timeout=2)[0] != 0
    other = lab.write("other/other.rules", PASSWD)
    lab.daemon.apply(lambda config: config["inspection"].update({"rules": [str(other)]}))
    wait_until(lambda: suricata.row(lab.daemon)["rules_loaded"] == 1, 20, what="the rules of config apply")
    assert curl(lab.outside, url("forbidden.html")) == (0, PAGE)
    assert pings.lost() == 0
    assert pid_of(lab) == old
    lab.write("other/other.rules", PASSWD + "drop tcp any any -> any any (msg:\"x\"; nonsense; sid:9;)\n")
    answer = lab.daemon.cli("inspect", "reload")
    assert answer["loaded"] == 1 and answer["refused"] == 1


def test_killed_packet_role_takes_suricata_with_it(lab):
    """I7: it never reconnects, so it is started again with the role, under traffic; echoes come again."""
    nginx(lab, "web", {"index.html": PAGE})
    start(lab)
    pinger = Pinger(lab.outside, ADDRESS)
    old, old_role = pid_of(lab), lab.daemon.kill_role("packet")
    lab.daemon.wait_role("packet", old_role, suricata.START_TIMEOUT)
    suricata.wait_running(lab.daemon)
    assert pid_of(lab) != old and not os.path.exists(f"/proc/{old}")
    pinger.wait_for_more()
    sent, received = pinger.stop()
    assert 20 < received < sent
    assert curl(lab.outside, "--path-as-is", ATTACK, timeout=2)[0] != 0


def test_daemon_leaves_no_suricata_behind(lab):
    """I7: stopped in order with the daemon, and by a change of the configuration."""
    start(lab)
    old = pid_of(lab)
    lab.daemon.apply(lambda config: config["inspection"].update({"engines": ["none"]}))
    wait_until(lambda: not os.path.exists(f"/proc/{old}"), 15, what="the end of Suricata")
    assert can_ping(lab.outside, ADDRESS)
    lab.daemon.apply(lambda config: config["inspection"].update({"engines": ["suricata"]}))
    suricata.wait_running(lab.daemon)
    second = pid_of(lab)
    assert can_ping(lab.outside, ADDRESS)
    assert lab.daemon.stop() == 0
    assert not os.path.exists(f"/proc/{second}")


def test_unfinished_checksums_and_super_frames_are_inspected(lab):
    """I7 G11: veth's sender leaves checksums and segmentation to us; the attack inside is caught."""
    start(lab, BULK)
    assert "tcp-segmentation-offload: on" in lab["web"].run("ethtool", "-k", "eth0")
    with contextlib.closing(lab["web"].inside(lambda: socket.create_server((ADDRESS, 5201)))) as server:
        def make():
            return socket.create_connection((ADDRESS, 5201), 5)
        with contextlib.closing(lab.outside.inside(make)) as client:
            taken, _ = server.accept()
            with contextlib.closing(taken):
                taken.settimeout(3)
                good, evil = b"x" * 30_000, b"y" * 20_000 + b"evil-in-the-bulk" + b"z" * 20_000
                client.sendall(good)
                read = 0
                while read < len(good):
                    read += len(taken.recv(65536))
                client.sendall(evil)
                data = b""
                with contextlib.suppress(TimeoutError):
                    while part := taken.recv(65536):
                        data += part
    assert b"evil-in-the-bulk" not in data
    wait_until(lambda: alerts(lab, 1000011), what="the alert")
    assert max(port["rx_bytes"] / max(port["rx_packets"], 1)
               for port in lab.daemon.cli("ports")["ports"] if port["name"] == "uplink") > 1000


def fetch_and_attack(lab, clients):
    """From each client a page of each server, and an attack on each, which is stopped."""
    for client in clients:
        for address in (ADDRESS, "192.0.2.11"):
            assert curl(lab.outside, f"http://{address}/index.html", "--interface", client) == (0, PAGE)
            assert curl(lab.outside, f"http://{address}/../../etc/passwd", "--interface", client,
                        "--path-as-is", timeout=1)[0] == CURL_TIMED_OUT


def seen_of_sessions(lab, count):
    """What Suricata counted of TCP once it has seen so many connections; before, None."""
    with contextlib.suppress(CommandFailed):  # it has none in its first second
        tcp = suricata.ask(lab.daemon, "dump-counters")["tcp"]
        return tcp if tcp["sessions"] >= count else None


def test_two_workers_have_a_device_each(make_lab):
    """I7: a pair of hosts stays with one worker, and each direction is seen by the same; after its death, too."""
    lab = make_lab(partitions=("app", "web"))
    for server in ("web", "app"):
        nginx(lab, server, {"index.html": PAGE})
    clients = [f"192.0.2.{150 + number}" for number in range(8)]
    for client in clients:
        lab.outside.run("ip", "address", "add", f"{client}/24", "dev", "eth0")
    more = lab.write("stats.yaml", "%YAML 1.1\n---\nstats: {enabled: yes, interval: 1}\n")
    start(lab, change=lambda config: config.update(packet={"workers": 2}), suricata={"include": [str(more)]})
    fetch_and_attack(lab, clients)
    wait_until(lambda: len(alerts(lab, 1000001)) == 16, what="all alerts")
    # Each fetch is some ten packets; a worker without any has had a fence or two.
    for device in ("net_memif0", "net_memif1"):
        wait_until(lambda device=device: suricata.ask(lab.daemon, f"iface-stat {device}")["pkts"] > 30,
                   what=f"packets of {device}")
    tcp = wait_until(lambda: seen_of_sessions(lab, 32), what="Suricata's statistics")
    assert tcp["pkt_on_wrong_thread"] == 0
    assert lab.daemon.cli("inspect")["hold"]["expired"] == 0
    old = pid_of(lab)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: suricata.wait_running(lab.daemon)["details"]["pid"] not in (0, old), 20,
               what="another process")
    fetch_and_attack(lab, clients[:3])
    wait_until(lambda: len(alerts(lab, 1000001)) == 22, what="the other alerts")


def test_attached_suricata_is_somebody_elses(lab):
    """I7: mode attach: we write what it reads, and take whoever comes; it is not started by us."""
    nginx(lab, "web", {"index.html": PAGE})
    lab.config["inspection"] = suricata.inspection(lab, PASSWD, suricata={"mode": "attach"})
    lab.daemon = Daemon(lab.hv1, lab.folder, lab.config).start(wait=False)
    folder = lab.daemon.run_folder / "suricata"
    wait_until((folder / "run").exists, 20, what="its folder")

    def state():
        with contextlib.suppress(CommandFailed, StopIteration):  # nothing is configured yet
            return suricata.row(lab.daemon)["state"]
        return None
    assert wait_until(state, 20, what="the engine") == "down"

    def start_own():
        return subprocess.Popen([suricata.BINARY, "-c", folder / "suricata.yaml", "-l", folder / "run", "--dpdk",
                                 "--runmode", "workers"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env={**os.environ, "RUNTIME_DIRECTORY": str(lab.folder)})

    own = start_own()
    try:
        suricata.wait_running(lab.daemon)
        assert details(lab)["pid"] == 0
        assert curl(lab.outside, url("index.html")) == (0, PAGE)
        assert curl(lab.outside, "--path-as-is", ATTACK, timeout=2)[0] != 0
        lab.write("rules/lab.rules", PASSWD + FORBIDDEN)
        assert lab.daemon.cli("inspect", "reload")["loaded"] == 2
        own.kill()
        own.wait()
        wait_until(lambda: suricata.row(lab.daemon)["state"] == "down", 10, what="its loss to be noticed")
        # Nobody but us starts another, which is taken again; with one of the daemon's it would collide.
        own = start_own()
        suricata.wait_running(lab.daemon)
        assert details(lab)["pid"] == 0
        assert "program_started" not in lab.daemon.log()
    finally:
        own.kill()
        own.wait()


def test_flood_loses_nothing_silently(lab):
    """I7 I4: more than it can take: each packet is passed, or counted by a reason."""
    start(lab, EVIL, suricata={"in-flight": 64}, deadline="2s")
    wire, outside = lab["web"].wire("eth0"), lab.outside.wire("eth0")
    frame = bytes(Ether(dst="52:54:00:00:10:01", src="52:54:00:00:ff:77")
                  / IP(src="192.0.2.150", dst=ADDRESS) / UDP(sport=5, dport=9) / Raw(b"flood" * 4))
    assert can_ping(lab.outside, ADDRESS)
    before = suricata.row(lab.daemon)
    count, arrived = 40_000, 0
    for number in range(count):
        outside.socket.send(frame)
        if number % 100 == 0:
            arrived += sum(b"flood" in got for got in wire.drain(0.0))
    arrived += sum(b"flood" in got for got in wire.drain(0.5))
    row, drops = suricata.row(lab.daemon), lab.daemon.drops()
    given = row["packets"] - before["packets"]
    # All that inspection was given is accounted for: sent, or refused for the bound; none kept back.
    assert row["details"]["in_flight"] == 0
    assert drops["suricata_drop"] == 0 and drops["inspect_deadline"] == 0
    passed = row["passed"] - before["passed"]
    assert passed + drops.get("inspect_overload", 0) == given
    assert arrived <= count and passed >= arrived - 5


def test_stopped_suricata_is_given_no_more_than_the_bound(lab):
    """I7 I4: of 200 packets it gets 64; the others are counted at once, none is lost silently."""
    start(lab, EVIL, suricata={"in-flight": 64}, deadline="2s")
    wire, outside = lab["web"].wire("eth0"), lab.outside.wire("eth0")
    frame = bytes(Ether(dst="52:54:00:00:10:01", src="52:54:00:00:ff:77")
                  / IP(src="192.0.2.150", dst=ADDRESS) / UDP(sport=5, dport=9) / Raw(b"flood" * 4))
    assert can_ping(lab.outside, ADDRESS)
    pid = pid_of(lab)
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(200):
            outside.send(frame)
        wait_until(lambda: lab.daemon.drops()["inspect_overload"] >= 200 - 64 - 8, what="the bound")
        assert details(lab)["in_flight"] <= 64
    finally:
        os.kill(pid, signal.SIGCONT)
    suricata.wait_running(lab.daemon)
    assert can_ping(lab.outside, ADDRESS)
    wait_until(lambda: details(lab)["in_flight"] == 0, what="the held packets' end")
    arrived = sum(b"flood" in got for got in wire.drain(0.5))
    drops = lab.daemon.drops()
    counted = sum(drops.get(reason, 0) for reason in
                  ("inspect_overload", "inspect_deadline", "inspect_down", "suricata_drop"))
    assert drops["inspect_overload"] <= 200 - 64 + 8 and arrived <= 64
    assert arrived + counted >= 200


def test_clean_traffic_is_returned_by_builtin(lab):
    """I7 I2: the chain: what a pass rule of builtin settles does not go to Suricata, the rest does."""
    nginx(lab, "web", {"index.html": PAGE})
    lab.write("suricata/own.rules", PASSWD)
    start(lab, 'pass icmp any any -> any any (msg:"clean"; sid:1; rev:1;)\n', engines=("builtin", "suricata"),
          suricata={"rules": [str(lab.folder / "suricata/*.rules")]})
    assert can_ping(lab.outside, ADDRESS)  # ARP has been seen
    before = suricata.row(lab.daemon)["packets"]
    assert ping(lab.outside, ADDRESS, count=5)
    assert suricata.row(lab.daemon)["packets"] - before <= 4  # ARP, at most
    assert curl(lab.outside, url("index.html")) == (0, PAGE)
    assert suricata.row(lab.daemon)["packets"] > before
    assert curl(lab.outside, "--path-as-is", ATTACK, timeout=2)[0] != 0
    engines = {engine["name"]: engine for engine in lab.daemon.cli("inspect")["engines"]}
    assert engines["builtin"]["state"] == engines["suricata"]["state"] == "running"
    assert wait_until(lambda: alerts(lab, 1000001), what="the alert")


def test_missing_binary_is_refused_with_what_to_do(lab):
    """I7: a configuration that cannot work is refused as a whole; the old one stays."""
    lab.start()
    for binary, text in (("/usr/bin/no-such-suricata", "install Suricata"),):
        with pytest.raises(CommandFailed, match=text):
            lab.daemon.apply(lambda config, binary=binary: config["inspection"].update(
                {"engines": ["suricata"], "suricata": {"binary": binary}}))
    assert can_ping(lab.outside, ADDRESS)


def test_binary_that_others_can_write_is_not_started(lab):
    """I7: the broker is root, and starts programs of root's folders alone."""
    copy = lab.folder / "suricata"
    run("cp", suricata.BINARY, copy)
    lab.config["inspection"] = suricata.inspection(lab, PASSWD, suricata={"binary": str(copy)})
    lab.daemon = Daemon(lab.hv1, lab.folder, lab.config).start(wait=False)

    def problem():
        with contextlib.suppress(CommandFailed, StopIteration):
            return suricata.row(lab.daemon).get("problem", "")
        return ""
    wait_until(lambda: "can be written by others" in problem(), 20, what="the refusal")


def test_its_process_has_no_rights(lab):
    """I7: not root, no capability, no network, no new privileges; its files are not for everybody."""
    start(lab)
    status = open(f"/proc/{pid_of(lab)}/status", encoding="ascii").read()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split() and int(fields["CapEff"], 16) == 0
    assert int(fields["CapBnd"], 16) == 0 and fields["NoNewPrivs"].strip() == "1"
    network = os.readlink(f"/proc/{pid_of(lab)}/ns/net")
    assert network not in (os.readlink("/proc/self/ns/net"),
                           os.readlink(f"/proc/{lab.daemon.role_pid('packet')}/ns/net"))
    assert (lab.daemon.run_folder / "suricata").stat().st_mode & 0o007 == 0
