# SPDX-License-Identifier: BSD-3-Clause
"""Evasions: the same attack in the pieces, orders and disguises that networks and attackers know."""

from scapy.all import IP, UDP, Raw, fragment

from tests.parity.harness import case
from tests.parity.packets import CLIENT, CLIENT6, SERVER, SERVER6, TCP, Tcp, checked, ether, ip

EVIL = 'drop tcp any any -> any any (msg:"evil"; content:"EVILWORD";)'
EVIL_UDP = 'drop udp any any -> any any (msg:"evil"; content:"EVILWORD";)'


@case(EVIL)
def split_in_two():
    return Tcp().client(b"EVIL").client(b"WORD").packets


@case(EVIL)
def one_byte_at_a_time():
    connection = Tcp()
    for byte in b"xEVILWORDx":
        connection.client(bytes([byte]))
    return connection.packets


@case(EVIL)
def out_of_order():
    return Tcp().at(4, b"WORD").at(0, b"EVIL").acknowledge(8).client(b"more").packets


@case(EVIL)
def last_first():
    connection = Tcp()
    for at in (6, 4, 2, 0):
        connection.at(at, b"EVILWORD"[at:at + 2])
    return connection.acknowledge(8).packets


@case(EVIL)
def retransmitted_the_same():
    return Tcp().at(0, b"EVIL").at(0, b"EVIL").at(4, b"WORD").acknowledge(8).packets


@case(EVIL)
def retransmitted_with_other_content():
    return Tcp().at(0, b"GOOD").at(0, b"EVIL").at(4, b"WORD").acknowledge(8).client(b"x").packets


@case(EVIL)
def first_was_evil():
    return Tcp().at(0, b"EVIL").at(0, b"GOOD").at(4, b"WORD").acknowledge(8).packets


@case(EVIL)
def overlap_forward():
    return Tcp().at(0, b"EVILxx").at(4, b"WORD").acknowledge(8).packets


@case(EVIL)
def overlap_behind_a_gap():
    return Tcp().at(4, b"WORD").at(2, b"ILxx").at(0, b"EV").acknowledge(8).packets


@case(EVIL)
def overlap_covers():
    return Tcp().at(2, b"xx").at(0, b"EVILWORD").acknowledge(8).packets


@case(EVIL)
def low_ttl_decoy():
    return (Tcp().at(0, b"GOOD", ip_fields={"ttl": 1}).at(0, b"EVIL").at(4, b"WORD").acknowledge(8).packets)


@case(EVIL)
def bad_checksum_decoy():
    connection = Tcp().at(0, b"GOOD")
    connection.packets[-1] = checked(connection.packets[-1])
    connection.packets[-1][TCP].chksum ^= 0x5555
    return connection.at(0, b"EVIL").at(4, b"WORD").acknowledge(8).packets


@case(EVIL)
def rst_with_bad_checksum():
    connection = Tcp()
    connection.add("c", "R")
    connection.packets[-1] = checked(connection.packets[-1])
    connection.packets[-1][TCP].chksum ^= 0x5555
    return connection.client(b"EVILWORD").packets


@case(EVIL)
def rst_out_of_window():
    connection = Tcp()
    connection.add("c", "R", seq=0x70000000)
    return connection.client(b"EVILWORD").packets


@case(EVIL)
def fin_out_of_window():
    connection = Tcp()
    connection.add("c", "FA", seq=0x70000000)
    return connection.client(b"EVILWORD").packets


@case(EVIL)
def data_with_syn():
    connection = Tcp(handshake=False)
    connection.next = {"c": 999, "s": 8999}
    connection.add("c", "S", b"EVIL", ack=0)
    connection.next["c"] += 5
    connection.add("s", "SA")
    connection.next["s"] += 1
    connection.add("c", "A")
    return connection.client(b"WORD").packets


@case(EVIL)
def urgent_inside():
    return Tcp().client(b"EVILWORD", flags="PAU", urgptr=3).packets


@case(EVIL)
def sequence_wraps():
    connection = Tcp(handshake=False)
    connection.next = {"c": 0xfffffffb, "s": 8999}
    connection.add("c", "S", ack=0)
    connection.next["c"] = 0xfffffffc
    connection.add("s", "SA")
    connection.next["s"] += 1
    connection.add("c", "A")
    connection.add("c", "PA", b"EVIL")
    connection.next["c"] = 0
    connection.add("s")
    return connection.client(b"WORD").packets


@case(EVIL)
def midstream():
    return Tcp(handshake=False).client(b"first").client(b"EVIL").client(b"WORD").packets


@case(EVIL)
def after_the_end():
    return Tcp().client(b"bye").close().client(b"EVILWORD").packets


@case(EVIL)
def ports_used_again():
    return Tcp().client(b"one").close().packets + Tcp().client(b"EVIL").client(b"WORD").packets


@case(EVIL)
def both_directions():
    return Tcp(sport=40001).server(b"EVIL").server(b"WORD").packets + Tcp(sport=40002).client(b"EVIL").server(b"WORD").packets


@case(EVIL)
def ipv6_stream():
    return Tcp(client=CLIENT6, server=SERVER6).client(b"EVIL").client(b"WORD").packets


def datagram(size=48, mark=b"EVILWORD"):
    data = b"x" * 20 + mark + b"y" * (size - 20 - len(mark))
    return ether(CLIENT, SERVER) / IP(src=CLIENT, dst=SERVER, id=7) / UDP(sport=5000, dport=4000) / Raw(data)


@case(EVIL_UDP)
def fragments():
    return fragment(datagram(), fragsize=24)


@case(EVIL_UDP)
def fragments_last_first():
    return list(reversed(fragment(datagram(), fragsize=24)))


@case(EVIL_UDP)
def fragments_of_eight():
    return fragment(datagram(), fragsize=8)


@case(EVIL_UDP)
def fragments_twice():
    pieces = fragment(datagram(), fragsize=24)
    return [pieces[0], pieces[0], pieces[1], pieces[1], *pieces[2:]]


@case(EVIL)
def fragmented_tcp_header():
    packets = Tcp().packets
    attack = ip(id=9) / TCP(sport=40000, dport=80, flags="PA", seq=1000, ack=9000, window=64240) / Raw(b"EVILWORD")
    return packets + fragment(attack, fragsize=8)


@case(EVIL_UDP)
def fragments_ipv6():
    from scapy.all import IPv6, IPv6ExtHdrFragment, fragment6
    packet = (ether(CLIENT6, SERVER6) / IPv6(src=CLIENT6, dst=SERVER6) / IPv6ExtHdrFragment(id=3)
              / UDP(sport=5000, dport=4000) / Raw(b"x" * 1300 + b"EVILWORD" + b"y" * 300))
    pieces = fragment6(packet[IPv6], 1280)
    return [ether(CLIENT6, SERVER6) / piece for piece in pieces]


@case(EVIL_UDP)
def fragments_ipv6_last_first():
    return list(reversed(fragments_ipv6()))


@case(EVIL)
def data_out_of_window():
    return Tcp().at(0, b"EVIL").at(0x20000000, b"GOOD").at(4, b"WORD").acknowledge(8).packets


@case(EVIL)
def data_out_of_window_alone():
    return Tcp().at(0x20000000, b"EVILWORD").client(b"good").packets


def stamped(value):
    return [("NOP", None), ("NOP", None), ("Timestamp", (value, 500))]


@case(EVIL)
def old_timestamp():
    """A receiver discards what its timestamp shows to be old (RFC 7323 section 5), and takes what comes behind it."""
    connection = Tcp()
    for packet, value in zip(connection.packets, (100000, 500, 100001)):
        packet[TCP].options = [("Timestamp", (value, 0)), *stamped(value)[:2]]
    return (connection.at(0, b"x", options=stamped(100002)).at(1, b"GOOD", options=stamped(5))
            .at(1, b"EVIL", options=stamped(100003)).at(5, b"WORD", options=stamped(100004)).acknowledge(9).packets)


def pieces_of(*parts, identity=11):
    """Fragments (offset, more, bytes) of a datagram of UDP; the bytes at 0 start with its header."""
    return [ether(CLIENT, SERVER) / IP(src=CLIENT, dst=SERVER, id=identity, proto=17, flags="MF" if more else 0,
                                       frag=offset // 8) / Raw(data) for offset, more, data in parts]


def head(size):
    return bytes(UDP(sport=5000, dport=4000, len=size, chksum=0))


@case(EVIL_UDP)
def fragments_contradict_evil_first():
    return pieces_of((0, True, head(24)), (8, True, b"EVILWORD"), (8, True, b"GOODWORD"), (16, False, b"yyyyyyyy"))


@case(EVIL_UDP)
def fragments_contradict_evil_second():
    return pieces_of((0, True, head(24)), (8, True, b"GOODWORD"), (8, True, b"EVILWORD"), (16, False, b"yyyyyyyy"))


@case(EVIL_UDP)
def fragments_overlap_in_part():
    return pieces_of((0, True, head(32)), (8, True, b"xxxxxxxxGOODWORD"), (16, True, b"EVILWORD"), (24, False, b"yyyyyyyy"))


@case(EVIL_UDP)
def fragments_overlap_the_same():
    return pieces_of((0, True, head(32)), (8, True, b"xxxxxxxxEVILWORD"), (16, True, b"EVILWORD"), (24, False, b"yyyyyyyy"))


@case(EVIL_UDP)
def three_vlan_tags(tags=3):
    from scapy.all import Dot1Q
    packet = ether(CLIENT, SERVER)
    for number in range(tags):
        packet = packet / Dot1Q(vlan=10 + number)
    return [packet / IP(src=CLIENT, dst=SERVER) / UDP(sport=5000, dport=4000) / Raw(b"EVILWORD")]


@case(EVIL_UDP)
def four_vlan_tags():
    return three_vlan_tags(4)
