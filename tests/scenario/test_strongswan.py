# SPDX-License-Identifier: BSD-3-Clause
"""IPsec for a whole cluster in one place: clients' ESP ends at the distributor, targets see plain packets in GRE.

    outside: charon, kernel-libipsec ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100                       charon, plugin, IKE for the VIPA     ╠══ br0 ══ t1: nginx, VIPA on lo
    behind it 203.0.113.5             VIPA 192.0.2.80                      ╚══ br0 ══ t2 …

strongSwan is unmodified on both sides; on hv1 our plugin hands its SAs to the daemon.
"""

import contextlib
import signal
import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, GRE, Ether

from lab import strongswan
from lab.distributor import OUTSIDE6, VIPA, VIPA6, Connection
from lab.netns import wait_until
from lab.numbered import Numbered
from lab.peers import curl, nginx
from lab.topology import HOST_ADDRESS, OUTSIDE_ADDRESS, OUTSIDE_MAC
from lab.udp_nat import CLASS
from lab.vpn import INNER, INNER6, NAT_T, Vpn

pytestmark = pytest.mark.skipif(bool(strongswan.missing()),
                                reason=f"not there: {' '.join(strongswan.missing())}")

SILENCE = 2  # seconds after which charon asks who says nothing
ROUTER6 = "fe80::1"  # of a partition
PAGE = bytes(i * 31 % 251 for i in range(200_000))

ATTACK = (f'drop tcp any any -> {VIPA} 80 (msg:"passwd"; flow:to_server,established; content:"/etc/passwd"; '
          'sid:1000001; rev:1;)\n')
SECRET = (f'alert tcp {VIPA} 80 -> any any (msg:"secret"; flow:to_client,established; content:"secret"; '
          'replace:"XXXXXX"; sid:1000002; rev:1;)\n')


@pytest.fixture
def vpn(lab, request):
    """vpn.start(): the daemon with a VIPA that demands IPsec, a target, and a charon at each end."""
    made = Vpn(lab)

    def start(targets=1, has_nat=False, page=PAGE, **options):
        if has_nat:
            made.put_behind_nat()
        made.prepare(page, targets)
        lab.start()
        made.begin(**options)
    made.start = start
    yield made
    made.stop()
    report = getattr(request.node, "report_call", None)
    for charon in made.charons:
        if report is not None and report.failed:
            print(f"--- {charon.log_path}\n{charon.log()[-5000:]}")


def test_client_gets_a_page_by_ipsec_and_the_target_sees_no_ipsec(vpn):
    """D1 D3 D4 D5 D6 D12: byte for byte; outside there is nothing but ESP, on the link nothing but plain packets in
    GRE; the same in clear is refused."""
    vpn.start()
    outside = vpn.lab.outside.wire("eth0")
    link = [vpn.lab["link"].wire(end) for end in ("hv1", "t1")]
    assert vpn.page() == (0, PAGE)
    seen = [packet for packet in map(Ether, outside.drain())
            if IPv6 not in packet or packet.nh not in (0, 58)]  # the kernels' own: neighbours and groups
    assert seen and all(ARP in packet or packet[UDP].dport == NAT_T or packet[UDP].sport == NAT_T for packet in seen)
    inner = [Ether(frame)[GRE].payload for wire in link for frame in wire.drain() if GRE in Ether(frame)]
    assert {(packet[IP].src, packet[IP].dst) for packet in inner if TCP in packet} == {(INNER, VIPA), (VIPA, INNER)}
    assert any(b"GET /index.html" in bytes(packet) for packet in inner)
    assert curl(vpn.lab.outside, f"http://{VIPA}/index.html", "--interface", "eth0", timeout=2)[0] != 0
    assert vpn.lab.daemon.drops()["vipa_plain"] > 0


def test_attack_inside_of_esp_is_stopped(vpn):
    """D12 I1 I3: what was decrypted is inspected before a target sees it, and answers before they are encrypted: the
    client reads the page as a rule has changed it."""
    lab = vpn.lab
    rules = lab.write("rules/lab.rules", ATTACK + SECRET)
    lab.config["inspection"] = {"engines": ["builtin"], "rules": [str(rules)]}
    vpn.start(page=b"the secret word\n")
    assert vpn.page() == (0, b"the XXXXXX word\n")
    code, body = vpn.fetch("etc/passwd", timeout=3)
    assert code != 0 and not body
    assert vpn.fetch("etc/group")[0] == 0 and vpn.page() == (0, b"the XXXXXX word\n")
    log = vpn.access_logs["t1"].read_text()
    assert "passwd" not in log and "/etc/group" in log
    event, = wait_until(lambda: alerts(lab, 1000001), what="the alert")
    assert (event["src_ip"], event["dest_ip"], event["dest_port"]) == (INNER, VIPA, 80)
    assert event["origin"] == "decrypted" and event["alert"]["action"] == "blocked"
    assert "/etc/passwd" in event["payload_printable"]
    assert {event["origin"] for event in alerts(lab, 1000002)} == {"target"}
    assert lab.daemon.drops()["inspect_rule"] >= 1


def alerts(lab, sid):
    return [event for event in lab.daemon.events(event_type="alert") if event["alert"]["signature_id"] == sid]


@pytest.mark.parametrize("ipv6", [False, True])
def test_pages_of_three_targets_in_clear_and_by_tls(vpn, ipv6):
    """D2 D4 D5 D6: certificates tell who client and gateway are; inside of ESP there is IPv4 or IPv6; each of three
    targets serves, and by TLS the client sees its certificate."""
    vpn.start(targets=3, has_certificates=True)
    for scheme in ("http", "https"):
        assert vpn.fetch("index.html", scheme, ipv6) == (0, PAGE)
        names = [vpn.fetch("name", scheme, ipv6) for _ in range(12)]
        assert set(names) == {(0, b"t1"), (0, b"t2"), (0, b"t3")}


@pytest.mark.parametrize("proposals", ["aes128gcm16", "aes256-sha256", "aes128ctr-sha1", "chacha20poly1305",
                                       "null-sha256"])
def test_algorithms(vpn, proposals):
    """D16: another implementation reads what we write, and the other way round."""
    vpn.start(proposals=proposals)
    assert vpn.page() == (0, PAGE)


def test_rekeying_under_load_loses_nothing(vpn):
    """D17: numbered datagrams go on while their SAs are replaced, by the one end or by the other: each comes, and comes
    back, exactly once. So does a connection."""
    vpn.start()
    with stream(vpn) as numbers, Connection(vpn.home, source=INNER) as connection:
        for initiator in (vpn.client, vpn.gateway, vpn.client, vpn.gateway):
            with numbers.flowing():
                before = vpn.client.children()
                initiator.swanctl("--rekey", "--child", "net")
                wait_until(lambda old=before: len(vpn.client.children()) == 1 and vpn.client.children() != old,
                           what="new SAs at the client")
                assert connection.echo(bytes(100_000))
    drops = vpn.lab.daemon.drops()
    assert drops["ipsec_unknown_spi"] == drops["ipsec_no_sa"] == drops["ipsec_replay"] == 0


@contextlib.contextmanager
def stream(vpn, source=INNER):
    """A stream of numbered datagrams; at the end all of them have come back, once and in order."""
    with contextlib.closing(Numbered(vpn.home, source)) as numbers:
        yield numbers
        numbers.exchange(16)
        assert numbers.answers == list(range(numbers.sent))


def test_volume_and_silence_are_the_daemons_to_count(vpn):
    """D16 D17: the daemon counts packets, bytes and seconds since the last use for charon, which negotiates new SAs in
    time, without a loss, asks no client that is heard whether it lives, and takes away what one that vanished had."""
    vpn.start(child="rekey_time = 0s\n rekey_packets = 1500\n life_packets = 1000000\n rand_packets = 0\n"
                    "rekey_bytes = 400000\n life_bytes = 1000000000\n rand_bytes = 0",
              connection=f"dpd_delay = {SILENCE}s",
              options="retransmit_timeout = 1\n retransmit_base = 1\n retransmit_tries = 4")
    with stream(vpn) as numbers:
        numbers.exchange(1)
        before_it = asked(vpn)
        for count, size in ((1600, 0), (800, 1000)):  # too many packets of few bytes; too many bytes
            before = vpn.client.children()
            numbers.exchange(count, size)
            wait_until(lambda old=before: len(vpn.client.children()) == 1 and vpn.client.children() != old,
                       what="new SAs at the client")
        wait_until(lambda: numbers.exchange(10) and vpn.gateway.age() > 2 * SILENCE, 30,
                   what="charon to have had two occasions to ask")
        # Seconds are rounded: charon may find a silence a second longer than it was.
        assert asked(vpn) - before_it <= sum(silence >= SILENCE - 1 for silence in numbers.silences)
        used, = vpn.gateway.usage()
        rows = {row["spi"]: row for row in vpn.lab.daemon.cli("ipsec", "sas")["sas"]}
        for direction in ("in", "out"):
            row = rows[used[f"spi-{direction}"]]
            assert (used[f"packets-{direction}"], used[f"bytes-{direction}"]) == (row["packets"], row["bytes"])
            assert row["direction"] == direction and row["packets"] and row["bytes"]
    vpn.client.kill()
    wait_until(lambda: not vpn.lab.daemon.cli("ipsec", "sas")["sas"], 40, what="the end of the SAs")
    assert asked(vpn) and "giving up after 4 retransmits" in vpn.gateway.log()
    assert not vpn.lab.daemon.cli("ipsec", "policies")["policies"]


def asked(vpn):
    """How often the gateway's charon has asked the client whether it lives."""
    return vpn.gateway.log().count("sending DPD request")


def test_two_workers_carry_the_connections_of_one_association(vpn):
    """D2 D18: what one SA brings and takes is worked on by two workers: each connection's datagrams come, and come
    back, once and in order, and neither end finds a replay. Also while new SAs take the old one's place."""
    lab = vpn.lab
    lab.config["packet"] = {"workers": 2}
    vpn.inner = "203.0.113.0/28"
    vpn.start(targets=2)
    clients = [f"203.0.113.{number}" for number in range(1, 13)]
    for address in set(clients) - {INNER}:
        vpn.home.run("ip", "address", "add", f"{address}/32", "dev", "lo")
    for target in vpn.targets:
        target.namespace.run("ip", "route", "add", vpn.inner, "dev", "gre1", "src", VIPA)
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(stream(vpn, address)) for address in clients]
        with contextlib.ExitStack() as flowing:
            for numbers in streams:
                flowing.enter_context(numbers.flowing())
            before = vpn.client.children()
            vpn.client.swanctl("--rekey", "--child", "net")
            wait_until(lambda: len(vpn.client.children()) == 1 and vpn.client.children() != before,
                       what="new SAs at the client")
            for address in clients:
                with Connection(vpn.home, source=address) as connection:
                    assert connection.echo(bytes(100_000))
        rows = lab.daemon.cli("distributor", "connections")["connections"]
        assert {row["worker"] for row in rows if row["client"] in clients} == {0, 1}
    assert all(row["packets"] > 100 for row in lab.daemon.cli("api", "call", "engine.status")["workers"])
    drops = lab.daemon.drops()
    assert drops["ipsec_replay"] == drops["ipsec_unknown_spi"] == drops["ipsec_no_sa"] == drops["handoff_full"] == 0


def test_partition_of_this_host_serves_clients_of_ipsec(vpn):
    """D4 D5 D11 D13: a partition as target, asked by IPsec over IPv4 and over IPv6, with either inside: it sees no ESP,
    and outside nobody sees anything else."""
    lab, web = vpn.lab, vpn.lab["web"]
    put_vipas_on(lab, web)
    log = nginx(lab, "web", {"index.html": PAGE}, ipv6=True)
    vpn.prepare_ike()
    let_ike_use_ipv6(lab)
    lab.start()
    for outer in (False, True):
        vpn.begin(ipv6=outer)
        outside = lab.outside.wire("eth0")
        for inner in (False, True):
            assert vpn.fetch("index.html", ipv6=inner) == (0, PAGE)
        seen = [Ether(frame) for frame in outside.drain()]
        sealed = [packet for packet in seen if UDP in packet and NAT_T in (packet[UDP].sport, packet[UDP].dport)]
        assert len(sealed) > 2 * len(PAGE) / 1500 and all((IPv6 in packet) == outer for packet in sealed)
        assert not [packet for packet in seen if TCP in packet]
        vpn.stop()
    assert [line.split()[0] for line in log.read_text().splitlines()] == [INNER, INNER6] * 2
    rows = lab.daemon.cli("distributor", "connections")["connections"]
    assert rows and all(row["is_secure"] and row["target"] == "local" for row in rows)


def put_vipas_on(lab, partition):
    """The partition is the target of both virtual addresses, and reaches clients by a router."""
    row = lab.config["partitions"]["web"]["adapters"]["eth0"]
    row["addresses"] += [VIPA, VIPA6]
    lab.config["distributor"] = {
        "vipas": {name: {"address": address, "vlan": 10, "services": {"http": {"port": 80}}}
                  for name, address in (("web", f"{VIPA}/24"), ("web6", f"{VIPA6}/64"))},
        "targets": {"local": {"partition": "web.eth0"}}}
    partition.sysctl("net.ipv4.conf.all.arp_ignore", 1)
    partition.sysctl("net.ipv4.conf.all.arp_announce", 2)
    for interface in ("all", "lo", "eth0"):
        partition.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 0)
    for vipa, inner, router in ((VIPA, INNER, HOST_ADDRESS), (VIPA6, INNER6, ROUTER6)):
        partition.run("ip", "address", "add", vipa, "dev", "lo")
        partition.run("ip", "neighbour", "add", router, "lladdr", OUTSIDE_MAC, "dev", "eth0")
        partition.run("ip", "route", "add", inner, "via", router, "dev", "eth0", "src", vipa, "onlink")


def let_ike_use_ipv6(lab):
    """charon answers on the IPv6 address, too, by the host's interface."""
    for interface in ("default", "lo"):
        lab.hv1.sysctl(f"net.ipv6.conf.{interface}.disable_ipv6", 0)
    lab.hv1.sysctl("net.ipv6.conf.default.accept_dad", 0)
    lab.hv1.run("ip", "address", "add", f"{VIPA6}/128", "dev", "lo", "nodad")
    lab.config["gateway"]["host"]["addresses"].append("2001:db8:2::1/64")
    lab.outside.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
    lab.outside.run("ip", "address", "add", f"{OUTSIDE6}/64", "dev", "eth0", "nodad")


def test_client_behind_a_nat_that_forgets(vpn):
    """D4: ESP in UDP from a port that a NAT chose, and, when that has forgotten all under traffic, from another one:
    authentic ESP from there makes MAPPING_CHANGED, charon moves the SAs, and answers go where the client is now. The
    traffic class, which the NAT has changed on the way and nobody can prove, does not come inside."""
    vpn.start(has_nat=True)
    outside, uplink, link = vpn.lab.outside.wire("eth0"), vpn.lab.hv1.wire("eth1"), vpn.lab["link"].wire("hv1")
    with Connection(vpn.home, source=INNER, timeout=20) as connection:
        assert connection.echo()
        first = client_port(vpn)
        assert first != NAT_T
        vpn.nat.send_signal(signal.SIGHUP)
        for _ in range(20):
            assert connection.echo()
        assert connection.echo(bytes(100_000))
        second = client_port(vpn)
        assert second not in (first, NAT_T)
        answers = [Ether(frame)[UDP].dport for frame in outside.drain()
                   if UDP in Ether(frame) and Ether(frame)[IP].dst == OUTSIDE_ADDRESS]
        assert answers[-1] == second
    sealed = [Ether(frame) for frame in uplink.drain()]
    assert {packet[IP].tos for packet in sealed if UDP in packet and packet[UDP].sport == second} == {CLASS}
    inner = [Ether(frame)[GRE].payload for frame in link.drain() if GRE in Ether(frame)]
    assert {packet.tos for packet in inner if TCP in packet} == {0}
    assert vpn.page() == (0, PAGE)
    assert "queuing update job" in vpn.gateway.log() and "bulkhead: update" not in vpn.gateway.log()
    assert len(vpn.client.children()) == 1


def client_port(vpn):
    """Where the daemon sends what it protects."""
    row = next(row for row in vpn.lab.daemon.cli("ipsec", "sas")["sas"] if row["direction"] == "out")
    assert row["destination"] == OUTSIDE_ADDRESS
    return row["destination_port"]


def test_charon_killed_under_traffic(vpn):
    """D16: what was negotiated goes on without charon; a new one takes new clients."""
    vpn.start()
    with Connection(vpn.lab.outside, source=INNER) as connection:
        vpn.gateway.kill()
        for _ in range(20):
            assert connection.echo()
        vpn.gateway.start()
        assert connection.echo()
    assert vpn.page() == (0, PAGE)


def test_packet_without_an_association_makes_charon_negotiate(vpn):
    """D5: what a target says to a client whose associations are gone is dropped, and told to charon (SA_ACQUIRE), which
    negotiates new ones; the rest of the stream goes by them."""
    lab = vpn.lab
    vpn.prepare(PAGE)
    lab.config["distributor"]["vipas"]["web"]["services"]["push"] = {"port": 9}
    lab.start()
    vpn.begin(has_trap=True)
    listener = vpn.targets[0].namespace.inside(lambda: socket.create_server((VIPA, 9)))
    client = lab.outside.inside(lambda: socket.create_connection((VIPA, 9), 5, source_address=(INNER, 0)))
    server, _ = listener.accept()
    with listener, client, server:
        client.sendall(b"hello")
        assert server.recv(5) == b"hello"
        vpn.client.swanctl("--terminate", "--child", "net")
        wait_until(lambda: not lab.daemon.cli("ipsec", "sas")["sas"], what="the end of the SAs")
        assert vpn.client.children() == [] and "creating acquire job" not in vpn.gateway.log()
        server.sendall(b"news")
        client.settimeout(20)
        assert client.recv(4) == b"news"
    assert "creating acquire job" in vpn.gateway.log() and len(vpn.client.children()) == 1
    assert lab.daemon.drops()["ipsec_no_sa"] > 0


def test_packet_role_killed_begins_no_sequence_anew(vpn):
    """D15 D16: SAs come back, beyond what they had sent: the client, which refuses what it has seen, goes on."""
    vpn.start()
    outside = vpn.lab.outside.wire("eth0")
    assert vpn.page() == (0, PAGE)
    before = last_sequences(outside)
    vpn.lab.daemon.wait_role("packet", vpn.lab.daemon.kill_role("packet"))
    wait_until(lambda: vpn.page(3) == (0, PAGE), 30, what="the page after the restart")
    after = last_sequences(outside)
    assert all(after[spi] > before[spi] for spi in before if spi in after) and set(before) & set(after)


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
