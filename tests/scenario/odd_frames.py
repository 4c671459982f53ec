# SPDX-License-Identifier: BSD-3-Clause
"""Frames that a bridge gets wrong easily: {name: bytes behind the two addresses}.

Each begins with its type or length field. `group` names the destination where the protocol has one
of its own; all others go to a multicast address.
"""

import logging
import os
import struct

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.all import (  # noqa: E402
    ARP, GRE, ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6MLReport2,
    ICMPv6ND_NA, ICMPv6ND_NS, IPOption_Router_Alert, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop, LLC, Raw, RouterAlert, SNAP, STP)

MULTICAST = bytes.fromhex("01005e7f0001")
GROUPS = {
    "lldp": "0180c200000e", "lldp_nearest_customer": "0180c2000000", "stp": "0180c2000000",
    "rstp": "0180c2000000", "pvst": "01000ccccccd", "eapol_start": "0180c2000003",
    "eapol_key": "0180c2000003", "lacp": "0180c2000002", "mldv2": "333300000016",
    "cdp": "01000ccccccc", "mvrp": "0180c2000021", "ptp_pdelay": "0180c200000e",
    "broadcast": "ffffffffffff",
}


def typed(ethertype, payload):
    """Bytes from the type field on."""
    return struct.pack("!H", ethertype) + bytes(payload)


def length(payload):
    """An IEEE 802.3 frame: the field is a length."""
    return typed(len(bytes(payload)), payload)


def ip4(payload, **fields):
    return typed(0x0800, IP(src="198.51.100.1", dst="198.51.100.2", **fields) / payload)


def ip6(payload, **fields):
    return typed(0x86DD, IPv6(src="2001:db8::1", dst="2001:db8::2", **fields) / payload)


def make(mtu=1500):
    """All of them, each with bytes of its own at the end."""
    udp = UDP(sport=4000, dport=4001)
    tcp = TCP(sport=4000, dport=4001, flags="PA")
    broken_tcp = bytes(IP(src="198.51.100.1", dst="198.51.100.2") / tcp / Raw(b"x" * 20))
    broken_ip = bytearray(bytes(IP(src="198.51.100.1", dst="198.51.100.2") / udp / Raw(b"y" * 20)))
    broken_ip[10] ^= 0x55
    inner = bytes(IP(src="198.51.100.1", dst="198.51.100.2") / udp / Raw(b"inner"))
    frames = {
        "ipv4_udp": ip4(udp / Raw(b"hello")),
        "ipv4_udp_no_checksum": ip4(UDP(sport=1, dport=2, chksum=0) / Raw(b"none")),
        "ipv4_first_fragment": ip4(UDP(sport=4000, dport=4001, len=167, chksum=0) / Raw(b"f" * 64), flags="MF", id=7),
        "ipv4_middle_fragment": ip4(Raw(b"m" * 64), flags="MF", frag=9, id=7, proto=17),
        "ipv4_last_fragment": ip4(Raw(b"l" * 31), frag=17, id=7, proto=17),
        "ipv4_tiny_fragment": ip4(Raw(b"t" * 8), flags="MF", id=8),
        "ipv4_options": ip4(udp / Raw(b"opt"), options=[IPOption_Router_Alert()]),
        "ipv4_bad_header_checksum": typed(0x0800, broken_ip),
        "ipv4_bad_tcp_checksum": typed(0x0800, broken_tcp[:36] + b"\xde\xad" + broken_tcp[38:]),
        "ipv4_bad_udp_checksum": ip4(UDP(sport=1, dport=2, chksum=0xBEEF) / Raw(b"bad")),
        "ipv4_truncated": typed(0x0800, inner[:30]),
        "ipv4_total_length_zero": typed(0x0800, inner[:2] + b"\0\0" + inner[4:]),
        "ipv4_trailer": ip4(udp / Raw(b"short")) + b"behind the packet" * 3,
        "ipv4_ttl_zero": ip4(udp / Raw(b"ttl"), ttl=0),
        "ipv4_esp": ip4(Raw(os.urandom(64)), proto=50),
        "ipv4_gre": ip4(GRE() / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP()),
        "ipv4_in_ipv4": ip4(IP(src="10.0.0.1", dst="10.0.0.2") / udp / Raw(b"ipip")),
        "ipv4_sctp": ip4(Raw(os.urandom(40)), proto=132),
        "tcp_syn_fin": ip4(TCP(sport=1, dport=2, flags="SF")),
        "tcp_bad_options": ip4(TCP(sport=3, dport=4, dataofs=6) / Raw(b"\x02\x00\x00\x00tail")),
        "vxlan": ip4(UDP(sport=9, dport=4789) / Raw(b"\x08\0\0\0\0\0\x05\0" + os.urandom(60))),
        "ipv6_udp": ip6(udp / Raw(b"six")),
        "ipv6_first_fragment": ip6(IPv6ExtHdrFragment(m=1, id=9, nh=17) / udp / Raw(b"a" * 24)),
        "ipv6_last_fragment": ip6(IPv6ExtHdrFragment(offset=4, id=9, nh=17) / Raw(b"b" * 24)),
        "ipv6_atomic_fragment": ip6(IPv6ExtHdrFragment(id=9) / udp / Raw(b"atom")),
        "ipv6_destination_options": ip6(IPv6ExtHdrDestOpt() / udp / Raw(b"opts")),
        "ipv6_unknown_next": ip6(Raw(b"z" * 20), nh=253),
        "ipv6_neighbour_solicitation": ip6(ICMPv6ND_NS(tgt="2001:db8::2"), hlim=255),
        "ipv6_neighbour_advertisement": ip6(ICMPv6ND_NA(tgt="2001:db8::1"), hlim=255),
        "ipv6_echo": ip6(ICMPv6EchoRequest(data=b"ping")),
        "ipv6_bad_checksum": ip6(ICMPv6EchoRequest(data=b"ping", cksum=0x1234)),
        "mldv2": ip6(IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2(), hlim=1),
        "arp_request": typed(0x0806, ARP(psrc="198.51.100.1", pdst="198.51.100.2")),
        "arp_odd_hardware": typed(0x0806, b"\0\x06\x08\0\x06\x04\0\x01" + os.urandom(20)),
        "rarp": typed(0x8035, ARP(op=3)),
        "qinq_8021ad": typed(0x88A8, Dot1Q(vlan=100, type=0x8100) / Dot1Q(vlan=200, type=0x0800)
                             / Raw(inner)),
        "qinq_8021ad_single": typed(0x88A8, Dot1Q(vlan=300, prio=3, type=0x0800) / Raw(inner)),
        "qinq_9100": typed(0x9100, Dot1Q(vlan=100, type=0x0800) / Raw(inner)),
        "lldp": typed(0x88CC, bytes.fromhex("020704525400000001040205ff06020078") + b"\0\0"),
        "lldp_nearest_customer": typed(0x88CC, bytes.fromhex("0207045254000000010402050106020078")),
        "stp": length(LLC() / STP()),
        "rstp": length(LLC() / STP(version=2, bpdutype=2)),
        "pvst": length(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0x00000C, code=0x010B)
                       / STP()),
        "cdp": length(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0x00000C, code=0x2000)
                      / Raw(b"\x02\xb4" + os.urandom(30))),
        "snap_ipv4": length(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800)
                            / Raw(inner)),
        "netbios_llc": length(b"\xf0\xf0\x03" + os.urandom(40)),
        "ipx_raw": length(b"\xff\xff" + os.urandom(44)),
        "eapol_start": typed(0x888E, b"\x02\x01\0\0"),
        "eapol_key": typed(0x888E, b"\x02\x03\0\x5f" + os.urandom(95)),
        "lacp": typed(0x8809, b"\x01\x01" + os.urandom(108)),
        "mvrp": typed(0x88F5, os.urandom(46)),
        "ptp": typed(0x88F7, os.urandom(46)),
        "ptp_pdelay": typed(0x88F7, os.urandom(54)),
        "mpls": typed(0x8847, b"\0\x01\x01\x40" + inner),
        "pppoe_session": typed(0x8864, b"\x11\0\0\x01\0\x1e\0\x21" + inner),
        "macsec": typed(0x88E5, os.urandom(60)),
        "profinet": typed(0x8892, os.urandom(46)),
        "wake_on_lan": typed(0x0842, b"\xff" * 6 + bytes.fromhex("525400000001") * 16),
        "unknown_ethertype": typed(0xCAFE, os.urandom(100)),
        "type_between_length_and_ethertype": typed(0x05F0, os.urandom(60)),
        "loopback_9000": typed(0x9000, os.urandom(46)),
        "broadcast": typed(0x88B5, os.urandom(46)),
        "header_only": typed(0x88B6, b""),
        "runt": typed(0x88B6, b"runt"),
        "one_below_the_minimum": typed(0x88B6, os.urandom(45)),
        "minimum": typed(0x88B6, os.urandom(46)),
        "full_size": typed(0x88B6, os.urandom(mtu)),
        "full_size_tagged": typed(0x88A8, b"\0\x64\x88\xb6" + os.urandom(mtu - 4)),
    }
    return frames


def destination(name):
    return bytes.fromhex(GROUPS[name]) if name in GROUPS else MULTICAST


def is_same(sent, received):
    """Byte for byte; what is shorter than an Ethernet frame may have been padded with zeros."""
    return received == sent or (len(sent) < 60 and received == sent.ljust(60, b"\0"))


def as_ether(frame):
    """For messages of failed tests."""
    return Ether(frame).summary()
