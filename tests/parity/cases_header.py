# SPDX-License-Identifier: BSD-3-Clause
"""Protocols, addresses, ports, variables, directions, and tests of header fields."""

from tests.parity.harness import case
from tests.parity.packets import (CLIENT, CLIENT6, ICMP, IP, SERVER, SERVER6, UDP, Raw, Tcp, ether, icmp, ip, udp)


@case('alert tcp any any -> any any (msg:"tcp"; flow:stateless;)', 'alert udp any any -> any any (msg:"udp";)',
      'alert icmp any any -> any any (msg:"icmp";)', 'alert ip any any -> any any (msg:"ip";)',
      'alert tcp-pkt any any -> any any (msg:"pkt"; content:"one";)',
      'alert tcp-stream any any -> any any (msg:"stream"; content:"one";)')
def protocols():
    return Tcp().client(b"one").packets + [udp(b"one"), icmp(data=b"one")]


@case('alert udp 198.51.100.0/24 any -> 192.0.2.10 any (msg:"prefix";)',
      'alert udp [198.51.100.1-198.51.100.9] any -> any any (msg:"range";)',
      'alert udp [198.51.100.0/24,!198.51.100.7] any -> any any (msg:"list with negation";)',
      'alert udp !198.51.100.7 any -> any any (msg:"negated";)',
      'alert udp $EXTERNAL_NET any -> $HOME_NET any (msg:"variables";)',
      'alert udp $HOME_NET any -> $EXTERNAL_NET any (msg:"variables, back";)')
def addresses():
    return [udp(b"x"), udp(b"x", source=SERVER, destination=CLIENT, sport=4000, dport=5000),
            udp(b"x", source="198.51.100.8", sport=5001)]


@case('alert udp any any -> any 53 (msg:"one";)', 'alert udp any any -> any [50:60,!53] (msg:"range and not";)',
      'alert udp any any -> any !53 (msg:"not";)', 'alert udp any :1024 -> any any (msg:"up to";)',
      'alert udp any 1024: -> any any (msg:"from";)', 'alert udp any any -> any $HTTP_PORTS (msg:"variable";)')
def ports():
    return [udp(b"x", sport=sport, dport=dport)
            for sport, dport in ((2000, 53), (1024, 55), (1025, 80), (80, 8080), (3000, 61))]


@case('alert udp 198.51.100.7 any <> 192.0.2.10 4000 (msg:"both ways";)',
      'alert udp 192.0.2.10 4000 -> any any (msg:"back";)')
def directions():
    return [udp(b"x"), udp(b"x", source=SERVER, destination=CLIENT, sport=4000, dport=5000)]


@case('alert ip any any -> any any (msg:"v6"; ip_proto:58;)', 'alert udp 2001:db8:2::/64 any -> any any (msg:"prefix";)',
      'alert udp $HOME_NET any -> any any (msg:"home";)', 'alert tcp any any -> 2001:db8:1::10 80 (msg:"tcp"; content:"six";)')
def ipv6():
    return [udp(b"x", source=CLIENT6, destination=SERVER6)] + Tcp(client=CLIENT6, server=SERVER6).client(b"six").packets


@case('alert ip any any -> any any (msg:"proto"; ip_proto:47;)', 'alert ip any any -> any any (msg:"not"; ip_proto:!47;)',
      'alert ip any any -> any any (msg:"above"; ip_proto:>46;)')
def ip_proto():
    return [ip(proto=47) / Raw(b"\0\0\x08\0hello"), udp(b"x")]


@case('alert ip any any -> any any (msg:"64"; ttl:64;)', 'alert ip any any -> any any (msg:"<"; ttl:<10;)',
      'alert ip any any -> any any (msg:">"; ttl:>100;)', 'alert ip any any -> any any (msg:"-"; ttl:5-20;)')
def ttl():
    return [udp(b"x", sport=5000 + value, ttl=value) for value in (5, 9, 10, 20, 64, 100, 101, 255)]


@case('alert ip any any -> any any (msg:"id"; id:4242;)')
def ip_id():
    return [udp(b"x", id=4242), udp(b"x", id=1, sport=5001)]


@case('alert ip any any -> any any (msg:"tos"; tos:8;)', 'alert ip any any -> any any (msg:"not"; tos:!8;)')
def tos():
    return [udp(b"x", tos=8), udp(b"x", tos=0, sport=5001)]


@case('alert ip any any -> any any (msg:"same"; sameip;)')
def sameip():
    return [udp(b"x", source=SERVER, destination=SERVER), udp(b"x")]


@case('alert ip any any -> any any (msg:"DF"; fragbits:D;)', 'alert ip any any -> any any (msg:"MF"; fragbits:M;)',
      'alert ip any any -> any any (msg:"any of"; fragbits:*DM;)', 'alert ip any any -> any any (msg:"not DF"; fragbits:!D;)',
      'alert ip any any -> any any (msg:"DF+"; fragbits:+D;)')
def fragbits():
    return [udp(b"x", flags="DF"), udp(b"x", sport=5001, flags=0)]


@case('alert icmp any any -> any any (msg:"echo"; itype:8;)', 'alert icmp any any -> any any (msg:"<"; itype:<8;)',
      'alert icmp any any -> any any (msg:"<>"; itype:3<>9;)', 'alert icmp any any -> any any (msg:"code"; itype:3; icode:1;)',
      'alert icmp any any -> any any (msg:"code >"; icode:>0;)', 'alert icmp any any -> any any (msg:"id"; icmp_id:77;)',
      'alert icmp any any -> any any (msg:"seq"; icmp_seq:5;)')
def icmp_fields():
    return [icmp(8, id=77, seq=5), icmp(0, id=78, seq=6),
            ip() / ICMP(type=3, code=1) / IP(src=SERVER, dst=CLIENT) / UDP(sport=1, dport=2)]


@case('alert udp any any -> any any (msg:"4"; dsize:4;)', 'alert udp any any -> any any (msg:">"; dsize:>4;)',
      'alert udp any any -> any any (msg:"<"; dsize:<4;)', 'alert udp any any -> any any (msg:"<>"; dsize:2<>6;)')
def dsize():
    return [udp(b"a" * size, sport=5000 + size) for size in (0, 2, 3, 4, 5, 6, 7)]


@case('alert tcp any any -> any any (msg:"S"; flags:S;)', 'alert tcp any any -> any any (msg:"SA"; flags:SA;)',
      'alert tcp any any -> any any (msg:"A+"; flags:+A;)', 'alert tcp any any -> any any (msg:"*SF"; flags:*SF;)',
      'alert tcp any any -> any any (msg:"P masked"; flags:PA,12;)')
def tcp_flags():
    return Tcp().client(b"data").close().packets


@case('alert tcp any any -> any any (msg:"seq"; seq:999;)', 'alert tcp any any -> any any (msg:"ack"; ack:0; flags:S;)',
      'alert tcp any any -> any any (msg:"window"; window:64240; flags:S;)')
def tcp_fields():
    return Tcp().client(b"data").packets


@case('alert ip any any -> any any (msg:"vlan"; content:"tagged";)')
def vlan_stack():
    from scapy.all import Dot1Q
    return [ether(CLIENT, SERVER) / Dot1Q(vlan=10) / Dot1Q(vlan=20) / IP(src=CLIENT, dst=SERVER) / UDP(sport=1, dport=2)
            / Raw(b"tagged")]


@case('alert udp any any -> any any (msg:"behind extensions"; content:"deep";)')
def ipv6_extension_headers():
    from scapy.all import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN
    base = ether(CLIENT6, SERVER6) / IPv6(src=CLIENT6, dst=SERVER6)
    return [base / IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4)) / IPv6ExtHdrDestOpt(options=PadN(optdata=b"\0" * 4))
            / UDP(sport=1, dport=2) / Raw(b"deep")]


@case('alert udp any any -> any any (msg:"behind options"; content:"options"; ttl:64;)')
def ipv4_options():
    from scapy.all import IPOption
    return [ether(CLIENT, SERVER) / IP(src=CLIENT, dst=SERVER, options=IPOption(b"\x01\x01\x01\x00")) / UDP(sport=1, dport=2)
            / Raw(b"options")]
