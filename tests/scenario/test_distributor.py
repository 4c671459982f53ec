# SPDX-License-Identifier: BSD-3-Clause
"""The distributor in clear: one virtual address, and targets behind it over GRE.

    outside ──eth0══eth1── hv1: bulkheadd ──xcf0══╗
    192.0.2.100            VIPA 192.0.2.80        ╠══ br0 (namespace link) ══ eth0 ── t1: gre1, VIPA on lo
                           198.51.100.1           ╠══                     ══ eth0 ── t2   198.51.100.11, .12, …
                                                  ╚══ …
"""

import copy
import socket

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, GRE, Ether
from scapy.packet import Raw

from lab.daemon import make_run_folder
from lab.distributor import (CONTROL, DISTRIBUTOR, OUTSIDE6, SECURE, TO_DISTRIBUTOR, TO_TARGET, VIPA, VIPA6, Connection,
                             Target, ask_many, connect, discard, wait_ready)
from lab.guest import Guest, GuestUnavailable, kernel
from lab.netns import CommandFailed, veth, wait_until
from lab.peers import curl, nginx, ping
from lab.topology import OUTSIDE_ADDRESS, OUTSIDE_MAC

PAGE = b"a page behind a virtual address\n" * 100


@pytest.fixture
def serve(lab):
    """serve(count, change=None, **options of the section): targets with servers, daemon started."""
    def begin(count=1, change=None, pages=False, **options):
        targets = connect(lab, count, **options)
        for target in targets:
            target.echo()
            if pages:
                nginx(lab, target.name, {"index.html": PAGE})
        lab.start(change)
        wait_ready(lab, targets)
        return targets
    return begin


def status(lab, name):
    """A target as `bulkhead distributor` has it."""
    return next(row for row in lab.daemon.cli("distributor")["targets"] if row["name"] == name)


def udp_client(namespace, address=VIPA, port=7, **options):
    """A connected socket there; options: {(level, name): value}."""
    def make():
        handle = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        for (level, name), value in options.get("options", {}).items():
            handle.setsockopt(level, name, value)
        handle.settimeout(1)
        handle.connect((address, port))
        return handle
    return namespace.inside(make)


def exchange(handle, data):
    """What is answered; asked again where a packet was lost, as one is whose sender learns the path's MTU by it."""
    def ask():
        try:
            discard(handle)
            handle.send(data)
            return handle.recv(65535)
        except TimeoutError:
            return None
    return wait_until(ask, what=f"the answer to {len(data)} bytes")


def connections(lab, **options):
    arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
    return lab.daemon.cli("distributor", "connections", *arguments)["connections"]


# ---- one target ----

def test_client_gets_a_page_through_the_virtual_address(lab, serve):
    """D1 D2 D6: ARP for the VIPA is answered, and what the client gets is what the target serves."""
    serve(pages=True)
    assert curl(lab.outside, f"http://{VIPA}/index.html") == (0, PAGE)
    assert "lladdr" in lab.outside.run("ip", "neighbour", "show", VIPA)
    row = connections(lab)[0]
    assert (row["client"], row["vipa"], row["target"], row["is_secure"]) == (OUTSIDE_ADDRESS, "web", "t1", False)


def test_echo_is_answered_by_the_distributor(lab, serve):
    """D2 D13: whatever becomes of the targets; also in fragments."""
    serve()
    assert ping(lab.outside, VIPA)
    assert ping(lab.outside, VIPA, size=4000)


def test_virtual_address_is_announced_and_not_let_through(lab):
    """D1: gratuitous ARP when it comes up, three times; questions for it reach no partition."""
    connect(lab)
    wire, web = lab.outside.wire("eth0"), lab["web"].wire("eth0")
    lab.start()

    def is_announcement(frame):
        packet = Ether(frame)
        return ARP in packet and packet[ARP].psrc == packet[ARP].pdst == VIPA
    first = wire.expect(is_announcement, 10)
    assert first is not None and wire.expect(is_announcement, 5) and wire.expect(is_announcement, 5)
    mac = Ether(first)[ARP].hwsrc
    assert lab.daemon.cli("distributor")["vipas"][0]["mac"] == mac
    wire.send(Ether(src=OUTSIDE_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=OUTSIDE_MAC, psrc=OUTSIDE_ADDRESS,
                                                                  pdst=VIPA))
    answer = wire.expect(lambda frame: ARP in Ether(frame) and Ether(frame)[ARP].op == 2)
    assert Ether(answer)[ARP].hwsrc == mac and Ether(answer).dst == OUTSIDE_MAC
    assert not [frame for frame in web.drain() if ARP in Ether(frame) and Ether(frame)[ARP].pdst == VIPA]


def test_large_datagrams_both_ways(lab, serve):
    """D13: fragments are reassembled, and cut again for the link and for the client."""
    serve()
    handle = udp_client(lab.outside)
    for size in (1400, 1472, 4000, 11000):
        data = bytes(i * 7 % 251 for i in range(size))
        assert exchange(handle, data) == b"t1 " + data
    handle.close()


def test_large_transfers_on_a_link_with_no_room_for_gre(lab, serve):
    """D13: MSS is clamped, so that nothing is too large, on a link of 1500 bytes."""
    serve(mtu=1500)
    data = bytes(i * 11 % 253 for i in range(1 << 20))
    with Connection(lab.outside) as connection:
        assert connection.name == "t1"
        connection.socket.settimeout(20)
        for start in range(0, len(data), 1 << 16):
            assert connection.echo(data[start:start + (1 << 16)])
    assert lab.daemon.drops()["gre_too_big"] == 0 and lab.daemon.drops()["vipa_too_big"] == 0


def test_client_is_told_of_packets_that_are_too_big(lab, serve):
    """D13: a datagram that may not be cut comes back as ICMP with the MTU that fits."""
    serve(mtu=1500)
    handle = udp_client(lab.outside, options={(socket.IPPROTO_IP, 10): 2})  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
    wire = lab.outside.wire("eth0")
    handle.send(bytes(1472))
    error = wire.expect(lambda frame: ICMP in Ether(frame))
    assert Ether(error)[ICMP].type == 3 and Ether(error)[ICMP].code == 4 and Ether(error)[ICMP].nexthopmtu == 1472
    with pytest.raises(OSError, match="too long"):
        handle.recv(65535)
    assert exchange(handle, bytes(1440)) == b"t1 " + bytes(1440)
    assert lab.daemon.drops()["gre_too_big"] == 1
    handle.close()


def test_icmp_errors_of_a_target_reach_the_client(lab, serve):
    """D2: the port is closed on the target: the client is refused, not left alone."""
    targets = serve()
    handle = udp_client(lab.outside)
    assert exchange(handle, b"who") == b"t1 who"
    targets[0].namespace.processes[-1].kill()

    def is_refused():
        try:
            handle.send(b"anybody?")
            handle.recv(100)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return False
    wait_until(is_refused, what="the target's word that nobody is there")
    handle.close()


def test_clients_behind_a_router(lab, serve):
    """D1: what is not on the VIPA's network is sent to its router."""
    def add_router(config):
        config["distributor"]["vipas"]["web"]["router"] = OUTSIDE_ADDRESS
    targets = serve(change=add_router)
    targets[0].namespace.run("ip", "route", "add", "203.0.113.0/24", "dev", "gre1", "src", VIPA)
    far = lab.namespace("far")
    veth(far, "eth0", lab.outside, "eth9")
    far.address("eth0", "203.0.113.5/24")
    lab.outside.address("eth9", "203.0.113.1/24")
    lab.outside.sysctl("net.ipv4.ip_forward", 1)
    far.run("ip", "route", "add", "default", "via", "203.0.113.1")
    with Connection(far) as connection:
        assert connection.name == "t1" and connection.echo()
    assert ping(far, VIPA)


def test_ipv6_inside(lab, serve):
    """D1 D2 D6 D13: neighbour discovery, connections, large datagrams."""
    lab.outside.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0)
    lab.outside.run("ip", "address", "add", f"{OUTSIDE6}/64", "dev", "eth0", "nodad")
    serve(vipas=(VIPA, VIPA6))
    with Connection(lab.outside, VIPA6) as connection:
        assert connection.name == "t1" and connection.echo(bytes(100000))
    assert ping(lab.outside, VIPA6)
    assert ask_many(lab.outside, 5, VIPA6) == {"t1": 5}
    handle = udp_client(lab.outside, VIPA6)
    assert exchange(handle, bytes(5000)) == b"t1 " + bytes(5000)
    handle.close()


# ---- several targets ----

@pytest.mark.parametrize("scheduling", ["wlc", "wrr", "maglev"])
def test_weights_are_followed(lab, serve, scheduling):
    """D2: within 5 %, over 10,000 clients."""
    weights = {"t1": 50, "t2": 30, "t3": 20}

    def weigh(config):
        for name, weight in weights.items():
            config["distributor"]["targets"][name]["weight"] = weight
    serve(3, weigh, scheduling=scheduling)
    count = 10000
    answers = ask_many(lab.outside, count)
    assert sum(answers.values()) == count
    for name, weight in weights.items():
        assert answers[name] == pytest.approx(count * weight / 100, rel=0.05), answers


def test_weight_is_changed_live_and_a_drained_target_keeps_its_connections(lab, serve):
    """D2 D12: by API, and what is there goes on; undone, it takes new ones again."""
    serve(2, scheduling="wrr")
    with Connection(lab.outside) as first, Connection(lab.outside) as second:
        assert {first.name, second.name} == {"t1", "t2"}
        lab.daemon.cli("distributor", "drain", "t1")
        assert status(lab, "t1")["is_drained"] and status(lab, "t1")["weight"] == 0
        assert ask_many(lab.outside, 50) == {"t2": 50}
        assert first.echo() and second.echo()
        lab.daemon.cli("distributor", "drain", "t1", "--undo")
        lab.daemon.cli("distributor", "weight", "t1", "300")
        answers = ask_many(lab.outside, 400, first=30000)
        assert answers["t1"] == pytest.approx(300, rel=0.05)
        lab.daemon.cli("distributor", "weight", "t1")
        assert status(lab, "t1")["weight"] == 100
        assert len(connections(lab, target="t1")) > 50 and first.echo()


def test_persistent_clients_stay_with_a_target(lab, serve):
    """D2: all connections of an address go to one target."""
    def persist(config):
        config["distributor"]["vipas"]["web"]["services"]["udp"]["persistence"] = "client"
    serve(3, persist)
    assert len(ask_many(lab.outside, 200)) == 1


def test_maglev_finds_connections_again_after_a_restart(lab, serve):
    """D2: the packet role is killed; a connection goes on with the same target."""
    serve(3, scheduling="maglev")
    opened = [Connection(lab.outside) for _ in range(20)]  # so many do not all choose one by chance
    assert len({connection.name for connection in opened}) > 1
    pid = lab.daemon.kill_role("packet")
    lab.daemon.wait_role("packet", pid)
    for connection in opened:
        connection.socket.settimeout(15)
        assert connection.echo()
        connection.__exit__()


def test_two_workers(lab, serve):
    """D2 D7: whichever worker gets a packet, the connection is found."""
    def widen(config):
        config["packet"] = {"workers": 2}
    serve(3, widen)
    assert sum(ask_many(lab.outside, 1000).values()) == 1000
    for _ in range(20):
        with Connection(lab.outside) as connection:
            assert connection.echo(bytes(20000))
    assert {row["worker"] for row in connections(lab)} <= {0, 1}
    drops = lab.daemon.drops()
    assert drops["gre_unknown"] == 0 and drops["handoff_full"] == 0


def test_decrypted_or_not_traffic_of_a_virtual_address_is_inspected(lab, serve):
    """D12: a rule of the gateway's stops an attack on the VIPA; other pages pass. What is rejected is reset on both
    sides, at the target through GRE."""
    rules = lab.write("rules/lab.rules",
                      f'drop tcp any any -> {VIPA} 80 (msg:"passwd"; flow:to_server,established; '
                      'content:"/etc/passwd"; sid:1000001; rev:1;)\n'
                      f'reject tcp any any -> {VIPA} 80 (msg:"shadow"; flow:to_server,established; '
                      'content:"/etc/shadow"; sid:1000002; rev:1;)\n')

    def inspect(config):
        config["inspection"] = {"engines": ["builtin"], "rules": [str(rules)]}
    targets = serve(2, inspect, pages=True)
    assert curl(lab.outside, f"http://{VIPA}/index.html") == (0, PAGE)
    code, body = curl(lab.outside, "--path-as-is", f"http://{VIPA}/../../etc/passwd", timeout=3)
    assert code != 0 and not body
    assert lab.daemon.drops()["inspect_rule"] >= 1
    wires = [target.namespace.wire("gre1") for target in targets]
    code, body = curl(lab.outside, "--path-as-is", f"http://{VIPA}/../../etc/shadow", timeout=5)
    assert code == 56 and not body  # reset, not timed out
    seen = [IP(frame) for wire in wires for frame in wire.drain()]
    assert any(TCP in packet and packet[TCP].flags.R and packet.src == OUTSIDE_ADDRESS for packet in seen)
    assert curl(lab.outside, f"http://{VIPA}/index.html") == (0, PAGE)


# ---- what is refused ----

def test_clear_traffic_is_dropped_where_ipsec_is_demanded(lab, serve):
    """D3: the target sees nothing of it, and it is counted."""
    def demand(config):
        config["distributor"]["vipas"]["web"]["security"] = "required"
    targets = serve(change=demand)
    wire = targets[0].namespace.wire("eth0")
    with pytest.raises(OSError):
        Connection(lab.outside, timeout=2)
    assert not ping(lab.outside, VIPA, timeout=1)
    assert not [frame for frame in wire.drain() if GRE in Ether(frame)]
    assert lab.daemon.drops()["vipa_plain"] >= 2


def answer_of(target, connection, key, source=None):
    """GRE as the target would send it: a segment of the connection, with data that was never sent."""
    port = connection.socket.getsockname()[1]
    inner = IP(src=VIPA, dst=OUTSIDE_ADDRESS) / UDP(sport=7, dport=port) / Raw(b"forged")
    return IP(src=source or target.address, dst=DISTRIBUTOR) / GRE(key_present=1, key=key, proto=0x0800) / inner


class Client:
    """A UDP client that has asked once, so that its connection is known."""

    def __init__(self, namespace):
        self.socket = udp_client(namespace)
        self.name = exchange(self.socket, b"hello").split()[0].decode()

    def hears(self):
        """What comes within a second; None: nothing."""
        try:
            return self.socket.recv(100)
        except TimeoutError:
            return None


def test_gre_is_believed_with_the_right_key_sender_and_connection_alone(lab, serve):
    """D6 D7: each refusal is counted under its own reason, and the client hears nothing of it; what is right in
    all is heard."""
    t1, t2 = serve(2)
    client = Client(lab.outside)
    own, other = (t1, t2) if client.name == "t1" else (t2, t1)
    mac = own.namespace.run("cat", "/sys/class/net/eth0/address").strip()
    wire = own.namespace.wire("eth0")
    link = next(line for line in own.namespace.run("ip", "neighbour", "show", DISTRIBUTOR).split() if ":" in line)
    right = own.key(TO_DISTRIBUTOR)
    outer = Ether(src=mac, dst=link)

    def drops():  # what kernels say to all beside it has other reasons
        return {reason: count for reason, count in lab.daemon.drops().items() if reason.startswith("gre_")}

    def send(packet):
        before = drops()
        wire.send(outer / packet)
        wait_until(lambda: drops() != before, what="the packet to be refused")
        after = drops()
        return [reason for reason in after if after[reason] > before[reason]]

    assert send(answer_of(own, client, right ^ 1)) == ["gre_key"]
    assert send(answer_of(own, client, own.key(TO_DISTRIBUTOR, SECURE))) == ["gre_unknown"]  # it is a plain one
    assert send(answer_of(own, client, other.key(TO_DISTRIBUTOR))) == ["gre_key"]
    assert send(answer_of(own, client, other.key(TO_DISTRIBUTOR), source=other.address)) == ["gre_unknown"]
    assert send(answer_of(own, client, right, source="198.51.100.99")) == ["gre_sender"]
    assert send(answer_of(own, client, own.key(TO_DISTRIBUTOR, CONTROL))) == ["gre_malformed"]
    stranger = answer_of(own, client, right)
    stranger[UDP].dport ^= 1
    assert send(stranger) == ["gre_unknown"]
    foreign = answer_of(own, client, right)
    foreign[GRE].payload.src = "192.0.2.10"
    assert send(foreign) == ["gre_unknown"]
    without = answer_of(own, client, right)
    without[GRE].key_present = 0
    assert send(without) == ["gre_key"]
    numbered = answer_of(own, client, right)
    numbered[GRE].seqnum_present = 1
    assert send(numbered) == ["gre_malformed"]
    assert client.hears() is None
    assert status(lab, own.name)["refused"] >= 2
    wire.send(outer / answer_of(own, client, right))
    assert client.hears() == b"forged"


def test_gre_on_another_link_is_refused(lab, serve):
    """D7 D10: the right key, sender and connection, but not over the link that the targets are on; a link bridges
    nothing."""
    def add_link(config):
        config["adapters"]["xcf9"] = {"device": "netdev:xcf9", "kind": "xcf", "mtu": 1600}
    stranger = lab.namespace("stranger")
    veth(lab.hv1, "xcf9", stranger, "eth0", 1600)
    (t1,) = serve(change=add_link)
    client = Client(lab.outside)
    wire, outside, web = stranger.wire("eth0"), lab.outside.wire("eth0"), lab["web"].wire("eth0")
    frame = Ether(src="52:54:00:00:99:01", dst="52:54:00:00:99:02") / answer_of(t1, client, t1.key(TO_DISTRIBUTOR))
    wire.send(frame)
    wait_until(lambda: lab.daemon.drops()["gre_link"] == 1, what="the refusal")
    assert client.hears() is None
    wire.send(Ether(src="52:54:00:00:99:01", dst="ff:ff:ff:ff:ff:ff") / Raw(b"to all, please" * 10))
    wait_until(lambda: lab.daemon.drops()["link_unknown"] >= 1, what="the second refusal")
    seen = [Ether(each) for each in outside.drain() + web.drain()]
    assert not [each for each in seen if each.src == "52:54:00:00:99:01"]


@pytest.mark.parametrize("scheduling,layer", [("wlc", TCP(flags="S")), ("maglev", TCP(flags="A")),
                                              ("maglev", TCP(flags="SF")), ("wlc", UDP() / b"flood")],
                         ids=["syns", "acknowledgements", "odd", "datagrams"])
def test_flood_evicts_no_connection_and_no_other_virtual_address(lab, serve, scheduling, layer):
    """D2: thousands of addresses send one packet each to one VIPA, more than the table has; established connections
    go on, new ones get in there and at the other VIPA."""
    other = "192.0.2.81"

    def add_vipa(config):
        section = config["distributor"]
        section["vipas"]["other"] = {**copy.deepcopy(section["vipas"]["web"]), "address": f"{other}/24"}
    targets = serve(2, add_vipa, scheduling=scheduling, **{"connections-max": 1024})
    for target in targets:
        target.namespace.run("ip", "address", "add", other, "dev", "lo")
    opened = [Connection(lab.outside) for _ in range(30)]
    mac = lab.daemon.cli("distributor")["vipas"][0]["mac"]
    wire = lab.outside.wire("eth0")
    kind = type(layer)
    layer.dport = 7
    one = bytes(Ether(src=OUTSIDE_MAC, dst=mac) / IP(src="203.0.113.1", dst=VIPA) / layer)
    for i in range(5000):
        packet = Ether(one)
        packet[IP].src, packet[kind].sport = f"203.0.{i // 250}.{i % 250 + 1}", 1024 + i
        del packet[IP].chksum, packet[kind].chksum
        wire.send(packet)

    def begun():
        return sum(row["begun"] for row in lab.daemon.cli("distributor")["vipas"])
    wait_until(lambda: begun() >= 3000, what="the flood to be distributed")
    total = lab.daemon.cli("distributor", "connections")["total"]
    assert 700 <= total <= 768  # its own quarter, and the half that is shared
    assert all(connection.echo() for connection in opened)
    with Connection(lab.outside) as late, Connection(lab.outside, other) as elsewhere:
        assert late.echo() and elsewhere.echo()
    for connection in opened:
        connection.__exit__()


# ---- other peers ----

def test_linux_gre_device_as_target(lab):
    """D6: a kernel's own GRE with keys, in a guest at the other end of the link, understands ours, and we its."""
    try:
        kernel()
    except GuestUnavailable as reason:
        pytest.skip(str(reason))
    socket_path = make_run_folder(lab.folder) / "link.sock"
    keys = lab.folder / "keys"
    keys.mkdir()
    target = Target(lab, 0, keys)
    lab.config["adapters"]["xcf0"] = {"device": f"vhost-user:{socket_path}", "kind": "xcf"}
    lab.config["distributor"] = {
        "link": "xcf0", "local": DISTRIBUTOR,
        "vipas": {"web": {"address": f"{VIPA}/24", "vlan": 10, "services": {"http": {"port": 80}}}},
        "targets": {"t1": {"address": target.address, "key-file": str(target.key_path), "health": "none"}}}
    lab.start()
    wait_until(socket_path.exists, what="the link's socket")
    guest = lab.guests["t1"] = Guest(lab.folder, "t1", [(socket_path, "52:54:00:00:51:11")])
    guest.start().address(f"{target.address}/24")
    for command in ("ethtool -K eth0 tx off",
                    f"ip tunnel add gre1 mode gre local {target.address} remote {DISTRIBUTOR} "
                    f"ikey {target.key(TO_TARGET)} okey {target.key(TO_DISTRIBUTOR)}",
                    "ip link set gre1 up", f"ip address add {VIPA}/32 dev lo",
                    f"ip route add 192.0.2.0/24 dev gre1 src {VIPA}", "mkdir /www", "seq 1 20000 > /www/numbers",
                    "httpd -p 80 -h /www"):
        guest.run(command)
    page = "".join(f"{number}\n" for number in range(1, 20001)).encode()
    assert wait_until(lambda: curl(lab.outside, f"http://{VIPA}/numbers") == (0, page), 20, what="the guest's page")
    assert status(lab, "t1")["answers"] > 20


# ---- partitions ----

def test_partition_of_this_host_as_target(lab):
    """D11: what the client sees is what the partition serves; its answers go back through the distributor."""
    config = lab.config
    config["partitions"]["web"]["adapters"]["eth0"]["addresses"].append(VIPA)
    config["distributor"] = {
        "vipas": {"web": {"address": f"{VIPA}/24", "vlan": 10, "services": {"http": {"port": 80}}}},
        "targets": {"local": {"partition": "web.eth0"}}}
    lab["web"].sysctl("net.ipv4.conf.all.arp_ignore", 1)
    lab["web"].sysctl("net.ipv4.conf.all.arp_announce", 2)
    lab["web"].run("ip", "address", "add", VIPA, "dev", "lo")
    nginx(lab, "web", {"index.html": PAGE})
    lab.start()
    for _ in range(3):
        assert curl(lab.outside, f"http://{VIPA}/index.html") == (0, PAGE)
    row = status(lab, "local")
    assert row["state"] == "up" and row["begun"] == 3 and row["answers"] > 6
    lab["web"].run("ip", "link", "set", "eth0", "down")
    wait_until(lambda: status(lab, "local")["state"] == "down", what="the partition's loss to be noticed")
    with pytest.raises(CommandFailed):
        lab.daemon.cli("distributor", "drain", "nobody")
    wait_until(lambda: lab.daemon.events(event_type="target_down"), what="the event")
