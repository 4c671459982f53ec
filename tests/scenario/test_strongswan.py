# SPDX-License-Identifier: BSD-3-Clause
"""IPsec for a whole cluster in one place: clients' ESP ends at the distributor, targets see plain packets in GRE.

    outside: charon, kernel-libipsec ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100                       charon, plugin, IKE for the VIPA     ╠══ br0 ══ t1: nginx, VIPA on lo
    behind it 203.0.113.5             VIPA 192.0.2.80                      ╚══ br0 ══ t2 …

strongSwan is unmodified on both sides; on hv1 our plugin hands its SAs to the daemon.
"""

import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, GRE, Ether

from lab import strongswan
from lab.appliance import key_file
from lab.distributor import SECURE, VIPA, Connection, connect, wait_ready
from lab.netns import wait_until
from lab.peers import curl, nginx
from lab.strongswan import Charon
from lab.topology import OUTSIDE_ADDRESS

pytestmark = pytest.mark.skipif(bool(strongswan.missing()),
                                reason=f"not installed: {' '.join(strongswan.missing())}")

INNER = "203.0.113.5"
NAT_T = 4500
PAGE = bytes(i * 31 % 251 for i in range(200_000))
SECRET = "5c3a1f0d5b7e92644ad0c1b2e3f40516" * 2 + "\n"
CONNECTION = """
connections {{ vipa {{
    local_addrs = {local}
    {remote_addrs}
    local {{ auth = psk
        id = {local_id} }}
    remote {{ auth = psk
        id = {remote_id} }}
    children {{ net {{
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = {proposals} }} }}
}} }}
secrets {{ ike {{ secret = "a secret between the two" }} }}
"""


class Site:
    """The daemon with a VIPA that demands IPsec, targets with servers, and a charon at each end."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "ike"
        self.folder.mkdir()
        self.secret = key_file(lab.folder / "kmp.secret", SECRET)
        self.socket = lab.folder / "run/kmp.sock"
        self.charons = []

    def start(self, targets=1, proposals="aes256gcm16", security="required", grace="60s"):
        lab = self.lab
        self.targets = connect(lab, targets, kind=SECURE)
        for target in self.targets:
            target.namespace.run("ip", "route", "add", f"{INNER}/32", "dev", "gre1", "src", VIPA)
            target.echo()
            nginx(lab, target.name, {"index.html": PAGE})
        lab.config["distributor"]["vipas"]["web"]["security"] = security
        lab.config["ipsec"] = {"kmp": {"socket": str(self.socket), "secret-file": str(self.secret), "grace": grace}}
        # charon's IKE is the host's; ARP for the address is the distributor's (docs/strongswan.md)
        lab.hv1.sysctl("net.ipv4.conf.all.arp_ignore", 1)
        lab.hv1.sysctl("net.ipv4.conf.all.arp_announce", 2)
        lab.hv1.run("ip", "address", "add", f"{VIPA}/32", "dev", "lo")
        lab.outside.run("ip", "address", "add", f"{INNER}/32", "dev", "lo")
        lab.start()
        wait_ready(lab, self.targets)
        self.gateway = self.charon(lab.hv1, "gateway", plugin=True, local=VIPA, remote_addrs="", local_id="vipa",
                                   remote_id="client", local_ts=f"{VIPA}/32", remote_ts=f"{INNER}/32",
                                   proposals=proposals)
        self.client = self.charon(lab.outside, "client", local=OUTSIDE_ADDRESS, remote_addrs=f"remote_addrs = {VIPA}",
                                  local_id="client", remote_id="vipa", local_ts=f"{INNER}/32",
                                  remote_ts=f"{VIPA}/32", proposals=proposals)
        self.client.initiate("net")
        return self

    def charon(self, namespace, name, plugin=False, **arguments):
        made = Charon(namespace, self.folder / name, CONNECTION.format(**arguments), plugin=plugin,
                      kmp_socket=self.socket, secret=self.secret)
        self.charons.append(made)
        return made.start()

    def page(self, timeout=10):
        """What the client gets by IPsec."""
        return curl(self.lab.outside, f"http://{VIPA}/index.html", "--interface", INNER, timeout=timeout)


@pytest.fixture
def site(lab, request):
    made = Site(lab)
    yield made
    report = getattr(request.node, "report_call", None)
    for charon in made.charons:
        charon.stop()
        if report is not None and report.failed:
            print(f"--- {charon.log_path}\n{charon.log()[-5000:]}")


def test_client_gets_a_page_by_ipsec_and_the_target_sees_no_ipsec(site):
    """D1 D3 D4 D5 D6 D12: byte for byte; outside there is nothing but ESP, on the link nothing but plain packets in
    GRE; the same in clear is refused."""
    site.start()
    outside = site.lab.outside.wire("eth0")
    link = [site.lab["link"].wire(end) for end in ("hv1", "t1")]
    assert site.page() == (0, PAGE)
    seen = [Ether(frame) for frame in outside.drain()]
    assert seen and all(ARP in packet or packet[UDP].dport == NAT_T or packet[UDP].sport == NAT_T for packet in seen)
    inner = [Ether(frame)[GRE].payload for wire in link for frame in wire.drain() if GRE in Ether(frame)]
    assert {(packet[IP].src, packet[IP].dst) for packet in inner if TCP in packet} == {(INNER, VIPA), (VIPA, INNER)}
    assert any(b"GET /index.html" in bytes(packet) for packet in inner)
    assert curl(site.lab.outside, f"http://{VIPA}/index.html", "--interface", "eth0", timeout=2)[0] != 0
    assert site.lab.daemon.drops()["vipa_plain"] > 0


@pytest.mark.parametrize("proposals", ["aes128gcm16", "aes256-sha256", "aes128ctr-sha1", "chacha20poly1305",
                                       "null-sha256"])
def test_algorithms(site, proposals):
    """D16: another implementation reads what we write, and the other way round."""
    site.start(proposals=proposals)
    assert site.page() == (0, PAGE)


def test_rekeying_under_load_loses_nothing(site):
    """D17: a connection echoes on while its SAs are replaced several times."""
    site.start()
    with Connection(site.lab.outside, source=INNER) as connection:
        for _ in range(3):
            before = site.client.children()
            site.client.swanctl("--rekey", "--child", "net")
            wait_until(lambda old=before: connection.echo() and site.client.children() not in ([], old),
                       what="new SAs at the client")
            assert connection.echo(bytes(100_000))
    drops = site.lab.daemon.drops()
    assert drops["ipsec_unknown_spi"] == drops["ipsec_no_sa"] == 0


def test_charon_killed_under_traffic(site):
    """D16: what was negotiated goes on without charon; a new one takes new clients."""
    site.start()
    with Connection(site.lab.outside, source=INNER) as connection:
        site.gateway.kill()
        for _ in range(20):
            assert connection.echo()
        site.gateway.start()
        assert connection.echo()
    assert site.page() == (0, PAGE)


def test_packet_role_killed_begins_no_sequence_anew(site):
    """D15 D16: SAs come back, beyond what they had sent: the client, which refuses what it has seen, goes on."""
    site.start()
    outside = site.lab.outside.wire("eth0")
    assert site.page() == (0, PAGE)
    before = last_sequences(outside)
    site.lab.daemon.wait_role("packet", site.lab.daemon.kill_role("packet"))
    say_much(site.lab.outside)  # what came just before the end, and might be sent again, is refused: some numbers go
    wait_until(lambda: site.page(3) == (0, PAGE), 30, what="the page after the restart")
    after = last_sequences(outside)
    assert all(after[spi] > before[spi] for spi in before if spi in after) and set(before) & set(after)


def say_much(namespace, count=2 * len(PAGE) // 500):
    """Datagrams for nobody, by IPsec: more than segments of the page were acknowledged."""
    def make():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
            handle.bind((INNER, 0))
            for _ in range(count):
                handle.sendto(b"", (VIPA, 7))
    namespace.inside(make)


def last_sequences(wire):
    """{SPI: the last sequence number} of ESP that left the VIPA."""
    found = {}
    for frame in wire.drain():
        packet = Ether(frame)
        if UDP in packet and packet[IP].src == VIPA and packet[UDP].sport == NAT_T:
            data = bytes(packet[UDP].payload)
            if len(data) > 8 and data[:4] != bytes(4):
                found[data[:4]] = int.from_bytes(data[4:8], "big")
    return found
