# SPDX-License-Identifier: BSD-3-Clause
"""Switch, trunks, guard and limits, seen by those at the ends of the wires.

    outside ─── uplink [hv1] ─┬─ web, app  VLAN 10 (native on the uplink), trunk-a
                       sea0   ├─ db        VLAN 20 (tagged on the uplink), trunk-b
                              └─ multi     trunk port: untagged 10, tagged 11 and 20
"""

import struct
import time

import pytest

from lab.netns import veth, wait_until
from lab.peers import can_ping, iperf3, ping

WEB, APP = "525400001001", "525400001002"


def frame(to, source, payload, tag=None, ethertype=0x88B5):
    """An Ethernet frame; addresses as hex text."""
    head = bytes.fromhex(to) + bytes.fromhex(source)
    if tag is not None:
        head += struct.pack("!HH", 0x8100, tag)
    return head + struct.pack("!H", ethertype) + payload.ljust(46, b"\0")


def ipv4(source, destination, protocol, payload, fragment=0):
    """An IPv4 header without checksum in front of the payload."""
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, fragment, 64, protocol, 0,
                       bytes(map(int, source.split("."))),
                       bytes(map(int, destination.split(".")))) + payload


def udp(source, destination, payload):
    return struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def hears(wire, payload, timeout=2.0):
    """The frame with this payload, or None."""
    return wire.expect(lambda got: payload in got, timeout)


def free_port(config, partition):
    """No addresses are bound to the partition's port any more."""
    adapter = config["partitions"][partition]["adapters"]["eth0"]
    adapter.pop("mac", None)
    adapter.pop("addresses", None)


@pytest.fixture
def multi(make_lab):
    """The lab with a partition on a trunk port; wires of all ends."""
    lab = make_lab(partitions=("web", "app", "db"))
    host = lab.namespace("multi")
    veth(host, "eth0", lab.hv1, "veth-multi")
    lab.config["partitions"]["multi"] = {"adapters": {"eth0": {
        "attach": "netdev:veth-multi", "mode": "trunk", "vlan": 10, "vlans": [11, 20]}}}
    lab.start()
    lab.wires = {name: lab[name].wire("eth0") for name in ("web", "app", "db", "multi")}
    lab.wires["outside"] = lab.outside.wire("eth0")
    lab.wires["host"] = lab.hv1.wire("sea0")
    return lab


def test_trunk_port_of_a_partition(multi):
    """G1: tagged VLANs in and out, the PVID untagged, other VLANs not at all."""
    wires = multi.wires
    source = "0e0000000001"
    wires["multi"].send(frame("ffffffffffff", source, b"untagged"))
    assert hears(wires["web"], b"untagged") == frame("ffffffffffff", source, b"untagged")
    wires["multi"].send(frame("ffffffffffff", source, b"in twenty", tag=20))
    assert hears(wires["db"], b"in twenty") == frame("ffffffffffff", source, b"in twenty")
    assert hears(wires["outside"], b"in twenty") == frame(
        "ffffffffffff", source, b"in twenty", tag=20)
    wires["multi"].send(frame("ffffffffffff", source, b"in thirty", tag=30))
    wires["outside"].send(frame("ffffffffffff", "0e0000000002", b"for all", tag=20))
    assert hears(wires["multi"], b"for all") == frame(
        "ffffffffffff", "0e0000000002", b"for all", tag=20)
    assert not [got for got in wires["db"].drain() + wires["web"].drain() if b"thirty" in got]
    assert multi.daemon.drops()["vlan_not_member"] >= 1


def test_access_port_takes_no_tags(multi):
    """G1 G8: neither a tag, nor one behind a priority tag, leads into another VLAN."""
    wires = multi.wires
    wires["web"].send(frame("ffffffffffff", WEB, b"tagged", tag=20))
    wires["web"].send(frame("ffffffffffff", WEB, struct.pack("!HH", 20, 0x88B5) + b"doubly tagged",
                            tag=0, ethertype=0x8100))
    wires["web"].send(frame("ffffffffffff", WEB, b"priority", tag=6 << 13))
    assert hears(wires["outside"], b"priority") == frame("ffffffffffff", WEB, b"priority")
    for name in ("db", "app", "multi", "outside"):
        assert not [got for got in wires[name].drain() if b"tagged" in got], name
    assert multi.daemon.drops()["vlan_tagged"] == 2


def test_vlan_without_trunk_ends_at_the_gateway(multi):
    """G5: what comes from outside for a VLAN of no trunk is dropped and counted."""
    multi.wires["outside"].send(frame("ffffffffffff", "0e0000000002", b"nobody's", tag=99))
    wait_until(lambda: multi.daemon.drops()["vlan_no_trunk"] == 1)
    for name in ("web", "db", "multi", "host"):
        assert not [got for got in multi.wires[name].drain() if b"nobody" in got], name


def test_host_sends_by_the_forwarding_table(multi):
    """G6: to the inside, to the outside, and to both when nobody knows the address."""
    wires = multi.wires
    assert can_ping(multi.hv1, "192.0.2.10") and can_ping(multi.hv1, "192.0.2.100")
    wait_until(lambda: "52:54:00:00:ff:01" in str(multi.daemon.cli("fdb")), what="the address of outside to be learned")
    mac = multi.hv1.run("cat", "/sys/class/net/sea0/address").strip().replace(":", "")
    wires["host"].send(frame(WEB, mac, b"for web"))
    wires["host"].send(frame("52540000ff01", mac, b"for outside"))
    wires["host"].send(frame("0e00000000ff", mac, b"for whom?"))
    heard = {name: wire.drain(0.5) for name, wire in wires.items()}
    sees = {text: {name for name, frames in heard.items() if any(text in got for got in frames)}
            for text in (b"for web", b"for outside", b"for whom?")}
    assert sees == {b"for web": {"web"}, b"for outside": {"outside"},
                    b"for whom?": {"web", "app", "multi", "outside"}}


def test_forwarding_table_is_shown_and_flushed(multi):
    """G1: static, learned, host and external entries with their ports; flush forgets learned ones."""
    assert can_ping(multi.outside, "192.0.2.10") and can_ping(multi.hv1, "192.0.2.10")

    def entries():
        return {(row["vlan"], row["mac"]): row for row in multi.daemon.cli("fdb")["entries"]}

    wait_until(lambda: (10, "52:54:00:00:ff:01") in entries())
    web, outside = entries()[10, "52:54:00:00:10:01"], entries()[10, "52:54:00:00:ff:01"]
    assert (web["port"], web["kind"], web["is_static"]) == ("web.eth0", "internal", True)
    assert (outside["port"], outside["kind"], outside["is_static"]) == (
        "uplink", "external", False)
    assert "host" in {row["kind"] for row in entries().values()}
    multi.daemon.cli("api", "call", "fdb.flush")
    assert all(row["is_static"] for row in entries().values())
    answer = multi.daemon.cli("vlans")
    trunks = {row["name"]: row for row in answer["trunks"]}
    assert trunks["trunk-a"]["to_gateway_packets"] > 0  # G2: what went through each trunk
    assert trunks["trunk-a"]["to_partitions_bytes"] > 0
    assert "trunk-b" in multi.daemon.command("vlans").stdout
    vlans = {row["vlan"]: row for row in answer["vlans"]}
    assert vlans[10]["trunk"] == "trunk-a" and vlans[20]["trunk"] == "trunk-b"
    assert {"web.eth0", "app.eth0", "multi.eth0", "host", "uplink"} == set(vlans[10]["members"])
    assert {"multi.eth0", "uplink"} == set(vlans[20]["tagged"])


def test_many_addresses_are_learned_and_listed(make_lab):
    """G1: 5,000 stations outside are learned; frames for them no longer go to everybody."""
    lab = make_lab(partitions=("web", "app"))
    daemon = lab.start()
    outside, web, app = lab.outside.wire("eth0"), lab["web"].wire("eth0"), lab["app"].wire("eth0")
    stations = [f"0e01{number:08x}" for number in range(5000)]

    def tell():
        for station in stations:
            outside.send(frame("ffffffffffff", station, b"here I am"))
        return len(daemon.cli("fdb", "--port", "uplink")["entries"]) >= len(stations)

    wait_until(tell, timeout=30, interval=0.5)
    listed = {row["mac"].replace(":", "") for row in daemon.cli("fdb")["entries"]}
    assert set(stations) <= listed
    app.drain(0.1)
    for station in stations[::100]:
        web.send(frame(station, WEB, b"for one"))
    assert not [got for got in app.drain() if b"for one" in got]
    assert sum(b"for one" in got for got in outside.drain()) == 50


def test_addresses_age(make_lab):
    """G1: an address that is not heard any more is forgotten."""
    lab = make_lab(partitions=("web",))
    daemon = lab.start(lambda config: config["gateway"].update({"ageing": "2s"}))
    assert can_ping(lab.outside, "192.0.2.10")

    def is_known():
        return any(row["mac"] == "52:54:00:00:ff:01" for row in daemon.cli("fdb")["entries"])

    wait_until(is_known)
    wait_until(lambda: not is_known(), timeout=10)
    assert can_ping(lab.outside, "192.0.2.10")


def test_east_west_passes_the_inspector_where_the_policy_says_so(make_lab):
    """G7: the same attack between two partitions passes with gateway and is stopped with all."""
    lab = make_lab(partitions=("web", "app"))
    rules = lab.write("t.rules", 'drop udp any any -> any any '
                                 '(msg:"attack"; content:"EVIL"; sid:1; rev:1;)\n')

    def change(config):
        config["inspection"] = {"engines": ["builtin"], "rules": [str(rules)]}

    daemon = lab.start(change)
    web, app, outside = (lab[name].wire("eth0") for name in ("web", "app", "outside"))
    attack = frame(APP, WEB, ipv4("192.0.2.10", "192.0.2.11", 17, udp(1000, 2000, b"EVIL deed")),
                   ethertype=0x0800)
    web.send(attack)
    assert hears(app, b"EVIL deed") == attack
    daemon.apply(lambda config: config["gateway"].update({"vlans": {10: {"inspect": "all"}}}))
    web.send(attack)
    assert hears(app, b"EVIL deed", 0.7) is None
    good = attack.replace(b"EVIL", b"GOOD")
    web.send(good)
    assert hears(app, b"GOOD deed") == good
    assert not [got for got in outside.drain() if b"deed" in got]
    assert daemon.drops()["inspect_rule"] == 1
    assert can_ping(lab["web"], "192.0.2.11")


def spoofs():
    """{drop reason: a frame of web that must not pass}"""
    everybody = "ffffffffffff"
    arp = bytes.fromhex("0001080006040002") + bytes.fromhex(WEB) + bytes([192, 0, 2, 1])
    nd = bytes.fromhex("fe80000000000000505400fffe001001") + bytes.fromhex(
        "ff020000000000000000000000000001")
    advertisement = bytes.fromhex("8600000040000708") + bytes(8)
    hidden = bytes([58, 0, 1, 4, 0, 0, 0, 0]) + advertisement
    offer = ipv4("192.0.2.10", "255.255.255.255", 17, udp(67, 68, b"offer" * 50))
    return {
        "guard_mac": frame(everybody, "525400001099", b"spoof MAC"),
        "guard_ipv4": frame(APP, WEB, ipv4("192.0.2.99", "192.0.2.11", 17, udp(1, 2, b"spoof IP")),
                            ethertype=0x0800),
        "guard_arp": frame(everybody, WEB, arp + bytes(10) + b"spoof ARP", ethertype=0x0806),
        "guard_dhcp": frame(everybody, WEB, struct.pack("!HH", 5, 0x0800) + offer,
                            ethertype=0x88A8),
        "guard_ra": frame("333300000001", WEB, b"\x60\0\0\0" + struct.pack("!HBB", len(hidden), 60,
                                                                          255) + nd + hidden,
                          ethertype=0x86DD),
        "guard_eapol": frame("0180c2000003", WEB, b"\x02\x01\0\0spoof", ethertype=0x888E),
    }


def test_guard_holds_a_partition_to_its_addresses(make_lab):
    """G8: spoofed MAC, IP and ARP, a DHCP server behind a tag, a hidden RA, EAPOL: none gets out."""
    lab = make_lab(partitions=("web", "app"))

    def change(config):
        # fe80:: of web as well, so that the RA is stopped for what it is.
        config["partitions"]["web"]["adapters"]["eth0"]["addresses"].append("fe80::/10")

    daemon = lab.start(change)
    assert can_ping(lab["web"], "192.0.2.11")
    web = lab["web"].wire("eth0")
    others = [lab["app"].wire("eth0"), lab.outside.wire("eth0"), lab.hv1.wire("sea0")]
    before = daemon.drops()
    for reason, spoof in spoofs().items():
        web.send(spoof)
        wait_until(lambda: daemon.drops()[reason] > before[reason], what=reason)
    for wire in others:
        assert not [got for got in wire.drain() if got in spoofs().values()]
    assert ping(lab["web"], "192.0.2.11")


def test_configured_address_cannot_be_taken_over(make_lab):
    """G8: nobody else, inside or outside, draws web's traffic to himself with web's address."""
    lab = make_lab(partitions=("web", "app"))
    daemon = lab.start(lambda config: free_port(config, "app"))
    app, outside = lab["app"].wire("eth0"), lab.outside.wire("eth0")
    app.send(frame("ffffffffffff", WEB, b"it's me"))
    outside.send(frame("ffffffffffff", WEB, b"no, me"))
    wait_until(lambda: daemon.drops()["source_static"] == 2)
    app.drain(), outside.drain()
    assert can_ping(lab.hv1, "192.0.2.10")
    assert not [got for got in app.drain() + outside.drain() if got[:6] == bytes.fromhex(WEB)]


def test_moving_addresses_are_told_and_stopped(make_lab):
    """G8: an address that jumps between two ports is reported, and held after some moves."""
    lab = make_lab(partitions=("web", "app"))

    def change(config):
        free_port(config, "web"), free_port(config, "app")
        config["gateway"]["mac-move"] = {"max": 3, "window": "5s"}

    daemon = lab.start(change)
    wires = [lab["web"].wire("eth0"), lab["app"].wire("eth0")]
    for number in range(12):
        wires[number % 2].send(frame("ffffffffffff", "0e0000000009", b"where am I"))
        time.sleep(0.05)
    wait_until(lambda: daemon.drops()["mac_moving"] > 0)
    moves = wait_until(lambda: daemon.events(event_type="mac_moved")
                       or [event for event in daemon.events() if "mac_moved" in str(event)])
    assert "0e:00:00:00:00:09" in str(moves)


def test_storms_and_rates_are_limited(make_lab):
    """G8 G9: broadcasts and bytes above the limits do not get out; other ports are not concerned."""
    lab = make_lab(partitions=("web", "app"))

    def change(config):
        web = config["partitions"]["web"]["adapters"]["eth0"]
        web["storm"] = {"broadcast": "100/s"}
        web["rate"] = {"in": "8Mbit/s", "out": "8Mbit/s"}

    daemon = lab.start(change)
    web, app, outside = (lab[name].wire("eth0") for name in ("web", "app", "outside"))
    assert can_ping(lab["web"], "192.0.2.11")
    outside.drain(0.05)
    started = time.monotonic()
    for _ in range(500):
        web.send(frame("ffffffffffff", WEB, b"storm"))
    heard = sum(b"storm" in got for got in outside.drain())
    most = 100 + 100 * (time.monotonic() - started)
    assert 5 <= heard <= most
    assert daemon.drops()["storm"] >= 500 - most
    for source, wire, target, other in ((WEB, web, APP, app), (APP, app, WEB, web)):
        started = time.monotonic()
        for _ in range(1500):
            wire.send(frame(target, source, b"bulk".ljust(1400, b".")))
        frames = sum(b"bulk" in got for got in other.drain())
        # 1 MB/s and the burst of half a second, three quarters of it for this priority.
        most = (375e3 * 1.1 + 1e6 * (time.monotonic() - started)) / 1400
        assert 90 <= frames <= most
    assert daemon.drops()["rate_in"] > 100 and daemon.drops()["rate_out"] > 100


def test_tcp_reaches_the_rate_and_not_more(make_lab):
    """G9: bulk TCP, which comes in super-frames of 64 kB, is limited to the rate and gets it."""
    lab = make_lab(partitions=("web",))

    def change(config):
        config["partitions"]["web"]["adapters"]["eth0"]["rate"] = {
            "in": "10Mbit/s", "out": "20Mbit/s"}

    lab.start(change)
    assert can_ping(lab["web"], "192.0.2.100")
    for server, client, address, rate in (("outside", "web", "192.0.2.100", 10e6),
                                          ("web", "outside", "192.0.2.10", 20e6)):
        report = iperf3(lab, server, client, address, 8)
        seen = report["end"]["sum_received"]["bits_per_second"]
        assert 0.8 * rate <= seen <= 1.1 * rate, f"{seen / 1e6:.1f} of {rate / 1e6:.0f} Mbit/s"


def test_trace_shows_the_origin_tag(make_lab):
    """G3: each packet that crosses the gateway carries kind, adapter, VLAN and ingress port."""
    lab = make_lab(partitions=("web",))
    daemon = lab.start()
    assert can_ping(lab.outside, "192.0.2.10")
    process = lab.hv1.start(daemon.bulkhead, "--socket", daemon.socket_path, "trace", "--protocol",
                            "icmp", "--count", 4, "--timeout", 10, stdout=-1, text=True)
    while process.poll() is None:  # it begins some time after its start
        assert ping(lab.outside, "192.0.2.10")
    text, _ = process.communicate(timeout=20)
    assert "origin trunk" in text and "trunk-a" in text and "web.eth0" in text
    assert "origin physical" in text and "uplink" in text


def test_guard_keeps_eapol_of_a_partition_in_unless_switched_off(lab):
    """G8: by default a partition does not speak 802.1X past the host; `guard.eapol: false` lets it."""
    daemon = lab.start()
    assert can_ping(lab["web"], "192.0.2.100")
    outside, web = lab.outside.wire("eth0"), lab["web"].wire("eth0")
    frame = (bytes.fromhex("0180c2000003525400001001888e") + b"\x02\x01\0\0").ljust(60, b"\0")
    web.send(frame)
    wait_until(lambda: daemon.drops()["guard_eapol"] == 1, what="the guard's counter")
    assert not outside.expect(lambda seen: seen[:14] == frame[:14], 0.3)

    def switch_off(config):
        config["partitions"]["web"]["adapters"]["eth0"]["guard"] = {"eapol": False}

    daemon.apply(switch_off)
    web.send(frame)
    assert outside.expect(lambda seen: seen == frame)
