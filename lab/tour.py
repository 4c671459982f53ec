# SPDX-License-Identifier: BSD-3-Clause
"""The tour of `make run`: real programs, a real daemon, each step said in a line with what was seen.

    outside ──eth0══eth1── hv1: bulkheadd ──veth-web══eth0── web    nginx   VLAN 10  192.0.2.10
    192.0.2.100            sea0 192.0.2.1 ──veth-db═══eth0── db             VLAN 20  192.0.2.20
                                          ──veth-cache═eth0─ cache          VLAN 20  192.0.2.21

With GUESTS=1 a fourth partition is a QEMU guest on vhost-user (app, VLAN 10, 192.0.2.11).
A step raises Surprise when the world did not show what it should; the tour then ends with exit code 1.
"""

import contextlib
import copy
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from lab import channels, strongswan, suricata  # noqa: E402
from lab.guest import GuestUnavailable  # noqa: E402
from lab.inspector import Inspector  # noqa: E402
from lab.netns import CommandFailed, wait_until  # noqa: E402
from lab.peers import can_ping, curl, iperf3, nginx, ping  # noqa: E402
from lab.topology import Lab  # noqa: E402
from lab.vpn import NAT_T, VIPA, Vpn  # noqa: E402

WEB_MAC = "52:54:00:00:10:01"
UNKNOWN_MAC = bytes.fromhex("525400abcdef")
WITH_GUEST = os.environ.get("GUESTS") == "1"
TOUR_ETHERTYPE = b"\x88\xb5"  # IEEE 802 local experimental

RULES = """\
drop tcp any any -> $HOME_NET 80 (msg:"LAB attack on the web server"; flow:to_server,established; \
content:"/../../etc/passwd"; sid:1000001; rev:1;)
"""
LIVE_RULE = """\
drop tcp any any -> $HOME_NET 80 (msg:"LAB forbidden page"; flow:to_server,established; \
content:"/forbidden.html"; sid:1000002; rev:1;)
"""


SURICATA_RULE = """\
drop udp any any -> $HOME_NET 7777 (msg:"LAB attack that Suricata knows"; content:"evil-payload"; sid:1000020; rev:1;)
"""


class Surprise(Exception):
    """The world did not show what it should have."""


def expect(condition, message):
    if not condition:
        raise Surprise(message)


class Screen:
    """Lines for people: coloured on a terminal, plain elsewhere."""

    def __init__(self):
        self.is_terminal = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self.number = 0

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.is_terminal else text

    def say(self, text=""):
        print(text, flush=True)

    def step(self, title):
        self.number += 1
        self.say(f"\n{self.paint('1;36', f'{self.number:2}')}  {self.paint('1', title)}")

    def seen(self, text):
        self.say(f"    {self.paint('32', '✓')} {text}")

    def wrong(self, text):
        self.say(f"    {self.paint('31', '✗')} {text}")

    def quote(self, text, limit=14):
        lines = [part for line in text.rstrip().splitlines()
                 for part in textwrap.wrap(line, 100, drop_whitespace=False) or [""]]
        for line in lines[:limit]:
            self.say("      " + self.paint("2", line))
        if len(lines) > limit:
            self.say("      " + self.paint("2", f"… {len(lines) - limit} more lines"))


class Tour:
    """The steps, in order; each is a method whose docstring is its title."""

    def __init__(self, lab, screen):
        self.lab = lab
        self.screen = screen
        self.page = b"<h1>served by the partition web</h1>\n" * 100
        self.left_out = []

    def steps(self):
        steps = [self.page_served, self.walk, self.vlans, self.host, self.unknown_address,
                 self.attack, self.split_attack, self.live_rule, self.guard, self.inspector_dies,
                 self.messages]
        missing = strongswan.missing()
        if not missing:
            steps.append(self.ipsec)
        else:
            self.left_out.append(f"IPsec, for want of strongSwan: {', '.join(missing)}")
        if suricata.is_installed():
            steps += [self.suricata_blocks, self.suricata_dies]
        else:
            self.left_out.append("Suricata, which is not installed")
        if WITH_GUEST:
            steps.append(self.guest)
        return (*steps, self.numbers)

    def page_served(self):
        """A page of the partition web is served to the outside, through the gateway"""
        nginx(self.lab, "web", {"index.html": self.page, "forbidden.html": b"not yet forbidden\n"})
        expect(can_ping(self.lab.outside, "192.0.2.10"), "web does not answer a ping from outside")
        begin = time.monotonic()
        code, body = curl(self.lab.outside, "http://192.0.2.10/index.html")
        expect((code, body) == (0, self.page), f"curl: exit {code}, {len(body)} bytes")
        self.screen.seen(f"curl got {len(body)} bytes, unchanged, in "
                         f"{(time.monotonic() - begin) * 1000:.0f} ms")

    def walk(self):
        """The walk of a packet, with its origin tag"""
        result = {}

        def trace():
            result["done"] = self.lab.daemon.command(
                "trace", "--count", "1", "--filter", "icmp", timeout=20)

        thread = threading.Thread(target=trace)
        thread.start()
        for _ in range(12):
            ping(self.lab.outside, "192.0.2.10", timeout=1)
            if not thread.is_alive():
                break
            time.sleep(0.3)
        thread.join()
        text = result["done"].stdout
        expect("origin_tag" in text and "physical" in text,
               f"the trace does not show the tag: {text}{result['done'].stderr}")
        self.screen.quote(text)
        self.screen.seen("tagged `physical` on entry, forwarded by that tag to the trunk of VLAN 10")

    def vlans(self):
        """VLANs are apart: db (VLAN 20) hears nothing of VLAN 10, though in the same subnet"""
        heard = self.lab["db"].wire("eth0")
        expect(can_ping(self.lab["cache"], "192.0.2.20"), "cache does not reach db in VLAN 20")
        self.screen.seen("cache reaches db, both in VLAN 20")
        heard.drain()
        expect(not ping(self.lab["web"], "192.0.2.20", timeout=1), "web reached db")
        web_mac = bytes.fromhex(WEB_MAC.replace(":", ""))
        leaked = [frame for frame in heard.drain() if frame[6:12] == web_mac]
        expect(not leaked, f"{len(leaked)} frames of web came to db's wire")
        self.screen.seen("web does not reach db, and not one of its frames was seen on db's wire")

    def host(self):
        """The host's own socket layer reaches a partition and the outside"""
        for name, address in (("web", "192.0.2.10"), ("outside", "192.0.2.100")):
            expect(can_ping(self.lab.hv1, address), f"the host does not reach {name}")
            self.screen.seen(f"ping {address} ({name}) answers")

    def unknown_address(self):
        """The host sends to a MAC that nobody knows: copies go both ways"""
        wires = {"web": self.lab["web"].wire("eth0"), "outside": self.lab.outside.wire("eth0")}
        host = self.lab.hv1.wire("sea0")
        mac = self.lab.hv1.run("cat", "/sys/class/net/sea0/address").strip()
        frame = (UNKNOWN_MAC + bytes.fromhex(mac.replace(":", "")) + TOUR_ETHERTYPE
                 + b"to whom it may concern".ljust(46, b"."))
        host.send(frame)
        for name, wire in wires.items():
            expect(wire.expect(lambda seen: seen == frame), f"no copy at {name}")
            self.screen.seen(f"a copy arrived at {name}")

    def attack(self):
        """An attack is stopped"""
        before = len(self.lab.daemon.events(event_type="drop"))
        code, body = curl(self.lab.outside, "http://192.0.2.10/../../etc/passwd", "--path-as-is",
                          timeout=3)
        expect(code != 0 and not body, f"the attack got an answer of {len(body)} bytes")
        self.screen.seen("curl of /../../etc/passwd never got an answer")
        event = wait_until(lambda: self._alert(1000001, before), what="the event of the attack")
        self.screen.quote(json.dumps({key: event[key] for key in (
            "event_type", "src_ip", "dest_ip", "dest_port", "partition", "origin", "alert")
            if key in event}))
        self.screen.seen("told as an EVE event, with partition and origin")

    def split_attack(self):
        """The same attack, split over two TCP segments"""
        count = len(self.lab.daemon.events(event_type="alert"))

        def make():
            handle = socket.create_connection(("192.0.2.10", 80), 5)
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return handle
        with contextlib.closing(self.lab.outside.inside(make)) as connection:
            connection.sendall(b"GET /../../et")
            time.sleep(0.2)  # so that the kernel sends two segments
            connection.sendall(b"c/passwd HTTP/1.1\r\nHost: web\r\n\r\n")
            connection.settimeout(2)
            try:
                answer = connection.recv(4096)
            except (TimeoutError, ConnectionResetError):
                answer = b""
        expect(not answer, f"the server answered: {answer[:60]!r}")
        wait_until(lambda: self._alert(1000001, count), what="the event of the split attack")
        self.screen.seen("the second segment was stopped: the stream is what is inspected")

    def _alert(self, sid, skip=0):
        for event in self.lab.daemon.events(event_type="alert")[skip:]:
            if event["alert"]["signature_id"] == sid:
                return event
        return None

    def live_rule(self):
        """A rule is added while traffic flows"""
        url = "http://192.0.2.10/forbidden.html"
        expect(curl(self.lab.outside, url)[0] == 0, "the page is not there to begin with")
        self.screen.seen("before: forbidden.html is served")
        self.lab.write("rules/lab.rules", RULES + LIVE_RULE)
        done = self.lab.daemon.command("inspect", "reload")
        expect(done.returncode == 0, f"reload: {done.stderr}")
        expect(curl(self.lab.outside, url, timeout=2)[0] != 0, "the page is still served")
        expect(curl(self.lab.outside, "http://192.0.2.10/index.html") == (0, self.page),
               "the other page is gone as well")
        self.screen.seen("after `bulkhead inspect reload`: stopped, while index.html is still served")

    def guard(self):
        """A partition that takes another's MAC address is stopped by the guard"""
        outside = self.lab.outside.wire("eth0")
        before = self.lab.daemon.drops().get("guard_mac", 0)
        spoofed = (bytes.fromhex("52540000ff01") + bytes.fromhex("525400002001") + TOUR_ETHERTYPE
                   + b"I am db, believe me".ljust(46, b"."))
        self.lab["web"].wire("eth0").send(spoofed)
        wait_until(lambda: self.lab.daemon.drops().get("guard_mac", 0) > before,
                   what="the guard's counter")
        expect(not outside.expect(lambda frame: frame == spoofed, 0.5), "the frame got out")
        self.screen.seen("counted as guard_mac, and nothing of it was seen outside")

    def inspector_dies(self):
        """An external inspector joins the chain, is killed, and the fail policy decides"""
        daemon = self.lab.daemon
        before = copy.deepcopy(daemon.config)
        socket_path = daemon.run_folder / "inspect.sock"
        self._chain_external(socket_path, "drop")
        wait_until(socket_path.exists, what="the inspector's socket")
        inspector = Inspector(self.lab.folder, socket_path)
        try:
            inspector.start()
            wait_until(lambda: self._external()["state"] == "running", 20, what="the inspector")
            expect(can_ping(self.lab.outside, "192.0.2.10"), "no traffic through the inspector")
            self.screen.seen("every packet now goes out to dpdk-testpmd over memif, and comes back: "
                             f"{self._external()['details']['returned']} returned")
            inspector.kill()
            wait_until(lambda: self._external()["state"] == "down", 10, what="its death to be noticed")
            expect(not ping(self.lab.outside, "192.0.2.10", timeout=1), "a packet passed unseen")
            self.screen.seen("killed with SIGKILL; on-failure: drop → nothing passes unseen")
            self._chain_external(socket_path, "pass")
            expect(can_ping(self.lab.outside, "192.0.2.10"), "on-failure: pass did not let it pass")
            self.screen.seen("on-failure: pass, applied live → traffic passes, counted")
            inspector.start()
            wait_until(lambda: self._external()["state"] == "running", 20, what="its return")
            self.screen.seen("started again → inspected again")
        finally:
            daemon.apply(lambda config: config.update(before))
            inspector.kill()

    def _chain_external(self, socket_path, on_failure):
        def change(config):
            config["inspection"].update({"engines": ["builtin", "external"], "on-failure": on_failure,
                                         "external": {"socket": str(socket_path)}})
        self.lab.daemon.apply(change)

    def _external(self):
        return next(engine for engine in self.lab.daemon.cli("inspect")["engines"]
                    if engine["name"] == "external")

    def suricata_blocks(self):
        """Suricata, unmodified, in line: an attack on one network, the same 5-tuple on another"""
        daemon = self.lab.daemon
        self.before_suricata = copy.deepcopy(daemon.config)
        self.lab.write("suricata/lab.rules", SURICATA_RULE)
        self._chain_suricata("drop")
        row = suricata.wait_running(daemon)
        self.screen.seen(f"Suricata {row['details']['version']}, process {row['details']['pid']}, started and "
                         f"watched by the broker: {row['rules_loaded']} rule")
        ends = {vlan: self.lab[name].wire("eth0") for vlan, name in ((10, "web"), (20, "db"))}
        for payload, passes in ((b"harmless", (10, 20)), (b"evil-payload", (20,)), (b"afterwards", (10, 20))):
            for vlan, end in ends.items():
                if payload == b"evil-payload" and vlan == 20:
                    continue  # the other network's stays clean
                self._send_datagram(vlan, payload)
                seen = end.expect(lambda frame, payload=payload: payload in frame, 2)
                expect((seen is not None) == (vlan in passes), f"{payload} in VLAN {vlan}: {seen}")
        event = wait_until(lambda: self._alert(1000020), what="Suricata's alert")
        self.screen.quote(json.dumps({key: event[key] for key in (
            "event_type", "engine", "src_ip", "dest_ip", "dest_port", "vlan", "partition", "origin", "alert")
            if key in event}))
        self.screen.seen("dropped for web (VLAN 10); db (VLAN 20) got all of the same addresses and ports; "
                         f"{daemon.drops()['suricata_drop']} packets counted as suricata_drop")

    def _send_datagram(self, vlan, payload):
        """The same UDP flow in each VLAN; tagged on the wire for 20."""
        body = struct.pack("!HHHH", 4444, 7777, 8 + len(payload), 0) + payload
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, 17, 0,
                           socket.inet_aton("192.0.2.150"), socket.inet_aton("192.0.2.99"))
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xFFFF) + (total >> 16)
        head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
        macs = bytes.fromhex({10: WEB_MAC, 20: "52:54:00:00:20:01"}[vlan].replace(":", "") + "52540000ff77")
        tag = b"" if vlan == 10 else struct.pack("!HH", 0x8100, vlan)
        self.lab.outside.wire("eth0").send(macs + tag + b"\x08\x00" + head + body)

    def suricata_dies(self):
        """Suricata is killed under traffic: the fail policy decides until the broker has it back"""
        daemon = self.lab.daemon
        try:
            old = suricata.wait_running(daemon)["details"]["pid"]
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: daemon.events(event_type="inspector_down", engine="suricata"), 5,
                       what="its death to be noticed")
            expect(not ping(self.lab.outside, "192.0.2.10", timeout=1)
                   or suricata.row(daemon)["details"]["pid"] != old, "a packet passed unseen")
            self.screen.seen("killed with SIGKILL; on-failure: drop → nothing passes unseen")
            row = wait_until(lambda: suricata.wait_running(daemon)["details"]["pid"] != old
                             and suricata.row(daemon), 30, what="its return")
            expect(can_ping(self.lab.outside, "192.0.2.10"), "no traffic through the new one")
            self.screen.seen(f"started again by the broker (process {row['details']['pid']}), rules and all")
            self.screen.quote(daemon.command("inspect").stdout)
        finally:
            daemon.apply(lambda config: config.update(self.before_suricata))

    def _chain_suricata(self, on_failure):
        def change(config):
            config["inspection"].update({
                "engines": ["builtin", "suricata"], "on-failure": on_failure, "deadline": "200ms",
                "suricata": {"rules": [str(self.lab.folder / "suricata/*.rules")]}})
        self.lab.daemon.apply(change)

    def guest(self):
        """A QEMU guest on vhost-user, with segmentation offload, uses all of it unmodified"""
        try:
            guest = self.lab.boot_guest("app")
        except GuestUnavailable as reason:
            raise Surprise(str(reason)) from reason
        expect(guest.can_ping("192.0.2.100"), "the guest does not reach the outside")
        page = guest.run("wget -q -O - http://192.0.2.10/index.html | wc -c").strip()
        expect(page == str(len(self.page)), f"the guest got {page} bytes")
        self.screen.seen(f"Linux {guest.run('uname -r')} reaches the outside, and got web's page")
        self.screen.seen("its NIC: " + " ".join(guest.run(
            "ethtool -k eth0 | grep -E '^(tx-checksumming|tcp-segmentation-offload)'").split("\n")))

    def messages(self):
        """Messages that only the right process can send: a channel from web to db, and none from cache"""
        lab, daemon = self.lab, self.lab.daemon
        folders = {name: channels.make_folder(lab, name) for name in ("web", "db", "cache")}

        def shell(partition, *words, **options):
            return channels.start_inside(lab, partition, folders[partition], daemon.bulkhead, "channel", *words,
                                         "--attach", channels.inside_socket(lab), **options)

        (lab.folder / "inside").mkdir()
        daemon.apply(lambda config: config.update(channels={
            "partitions": {name: {"socket": str(folder / "channel.sock"), "access": "all"}
                           for name, folder in folders.items()},
            "allow": {"web-db": {"from": "web", "to": "db"}}}))
        receiver = shell("db", "recv", "web:5", "--endpoint", "6")
        sender = shell("web", "send", "db:6", "--endpoint", "5", stdin=subprocess.PIPE)
        wait_until(lambda: len(channels.rows(daemon, state="up")) == 2, what="the channel")
        self.screen.quote(daemon.command("channels").stdout, 3)
        sender.communicate("from web to db\n", timeout=20)
        code, out, _ = channels.finish(receiver, 20)
        expect((code, out) == (0, "from web to db\n"), f"db got {out!r}")
        self.screen.seen("db got web's message; no network was in between")
        code, _, err = channels.finish(shell("cache", "send", "db:6", "--endpoint", "5", stdin=subprocess.DEVNULL), 20)
        expect(code == 1 and "no rule" in err, f"cache: exit {code}: {err}")
        denied = wait_until(lambda: channels.events(daemon, "denied"), what="the event")[0]
        self.screen.seen(f"{denied['by']} wanted the same: denied, and told to the operators")

    def ipsec(self):
        """A client of strongSwan gets a page by IPsec; the target that serves it has no IPsec and no key"""
        lab, daemon, vpn = self.lab, self.lab.daemon, Vpn(self.lab)
        try:
            vpn.prepare(self.page)
            daemon.apply(lambda config: config.update({
                "adapters": {**config["adapters"], "xcf0": lab.config["adapters"]["xcf0"]},
                "distributor": lab.config["distributor"], "ipsec": lab.config["ipsec"]}))
            vpn.begin()
            outside, target = lab.outside.wire("eth0"), lab["t1"].wire("eth0")
            expect(vpn.page() == (0, self.page), "the client did not get the page")
            clear = [frame for frame in outside.drain()
                     if frame[12:14] == b"\x08\x00" and frame[23:24] != b"\x11" or b"GET /" in frame]
            expect(not clear, "something of it was in clear outside")
            self.screen.seen(f"{VIPA} served {len(self.page)} bytes; outside there is only ESP in UDP, port {NAT_T}")
            request = next((frame for frame in target.drain() if b"GET /index.html" in frame), None)
            expect(request is not None and request[23:24] == b"\x2f", "the target did not get GRE")
            self.screen.seen("the target's wire: IP 198.51.100.1 > 198.51.100.11: GRE, key 0x"
                             f"{request[38:42].hex()}: IP 203.0.113.5 > {VIPA}: GET /index.html")
            self.screen.quote(daemon.command("ipsec", "sas").stdout, 4)
        finally:
            vpn.stop()

    def numbers(self):
        """The numbers"""
        report = iperf3(self.lab, "web", "outside", "192.0.2.10")
        rate = report["end"]["sum_received"]["bits_per_second"] / 1e9
        self.screen.seen(f"iperf3 outside → web, inspected: {rate:.2f} Gbit/s")
        for arguments in (("ports",), ("drops",)):
            self.screen.quote(self.lab.daemon.command(*arguments).stdout, 20)

    def take(self):
        """Takes all steps; returns how many did not show what they should."""
        failures = 0
        for step in self.steps():
            self.screen.step(step.__doc__)
            try:
                step()
            except (Surprise, CommandFailed, TimeoutError, KeyError, OSError) as error:
                self.screen.wrong(f"{type(error).__name__}: {error}")
                failures += 1
        for what in self.left_out:
            self.screen.say(f"\n    left out: {what} (sudo tools/setup.sh test installs it)")
        return failures


def build():
    """The lab of the tour, its daemon running."""
    lab = Lab(partitions=("web", "db", "cache"))
    try:
        lab.write("rules/lab.rules", RULES)
        lab.config["inspection"] = {
            "engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")],
            "variables": {"HOME_NET": ["192.0.2.0/24"]}}
        if WITH_GUEST:
            lab.guest_row("app")
        lab.start()
    except BaseException:
        lab.close()
        raise
    return lab


def stay(screen, lab):
    """Leaves the lab up until Ctrl-C or SIGTERM."""
    command = f"{os.path.relpath(lab.daemon.bulkhead)} --socket {lab.daemon.socket_path}"
    screen.say(f"\nThe lab stays up. In another terminal (as root), for example:\n"
               f"    {command} status\n"
               f"    {command} graph\n"
               f"    {command} events --follow\n"
               f"    ip netns exec {lab.outside.name} curl http://192.0.2.10/\n"
               f"Ctrl-C ends it and removes everything.")
    signal.pause()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    screen = Screen()
    screen.say(screen.paint("1", "Bulkhead: a tour with real traffic"))
    screen.say("""
    outside ──── uplink [ hv1: bulkheadd ] ──── web    VLAN 10  192.0.2.10  nginx
    192.0.2.100         [ sea0 192.0.2.1 ] ──── db     VLAN 20  192.0.2.20
                                           ──── cache  VLAN 20  192.0.2.21""")
    once = os.environ.get("TOUR") == "once" or not sys.stdout.isatty()
    try:
        with build() as lab:
            failures = Tour(lab, screen).take()
            screen.say()
            if failures:
                screen.wrong(f"{failures} step(s) did not show what they should; the daemon said:")
                screen.quote(lab.daemon.log()[-4000:], 40)
            else:
                screen.seen("every step showed what it should")
            if not once:
                stay(screen, lab)
    except KeyboardInterrupt:
        return 0
    except (CommandFailed, TimeoutError, OSError) as error:
        screen.wrong(f"the lab could not be brought up: {error}")
        return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
