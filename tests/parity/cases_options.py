# SPDX-License-Identifier: BSD-3-Clause
"""Options, protocols and actions that no other file has, with rules that must not match."""

from scapy.all import ICMP, ICMPv6EchoRequest, IPOption_LSRR, IPOption_NOP, IPOption_RR, Raw, fragment
from scapy.layers.sctp import SCTP, SCTPChunkData

from tests.parity.harness import case
from tests.parity.packets import CLIENT6, SERVER6, Tcp, ip, udp


@case('alert ip4 any any -> any any (msg:"ip4";)', 'alert ip6 any any -> any any (msg:"ip6";)',
      'alert icmpv4 any any -> any any (msg:"icmpv4"; itype:8;)', 'alert icmpv6 any any -> any any (msg:"icmpv6"; itype:128;)',
      'alert icmpv4 any any -> any any (msg:"not icmpv4"; itype:128;)',
      'alert icmpv6 any any -> any any (msg:"not icmpv6"; itype:8;)',
      'alert sctp any any -> any 3868 (msg:"sctp";)', 'alert sctp any any -> any 3869 (msg:"not sctp";)')
def protocols():
    return [udp(b"x"), udp(b"x", source=CLIENT6, destination=SERVER6), ip() / ICMP(type=8) / Raw(b"x"),
            ip(CLIENT6, SERVER6) / ICMPv6EchoRequest(data=b"x"),
            ip() / SCTP(sport=3000, dport=3868, tag=1) / SCTPChunkData(data=b"diameter")]


@case('alert pkthdr any any -> any any (msg:"size"; dsize:4;)', 'alert pkthdr any any -> any any (msg:"not"; dsize:5;)')
def pkthdr():
    return [udp(b"four"), udp(b"sixsix", sport=5001)]


@case('alert udp any any -> any any (msg:"raw"; content:"attack"; rawbytes;)',
      'alert udp any any -> any any (msg:"not raw"; content:"attach"; rawbytes;)',
      'alert udp any any -> any any (msg:"packet"; pkt_data; content:"attack";)',
      'alert udp any any -> any any (msg:"not packet"; pkt_data; content:"attach";)')
def payload():
    return [udp(b"an attack")]


@case('alert udp any any -> any any (msg:"x"; pcre:"/a t t # said\\n/x";)',
      'alert udp any any -> any any (msg:"x not"; pcre:"/a t t Z/x";)',
      'alert udp any any -> any any (msg:"A"; pcre:"/att/A";)', 'alert udp any any -> any any (msg:"A not"; pcre:"/ack/A";)',
      'alert udp any any -> any any (msg:"E"; pcre:"/ack$/E";)', 'alert udp any any -> any any (msg:"E not"; pcre:"/line$/E";)',
      'alert udp any any -> any any (msg:"no E"; pcre:"/line$/";)',
      'alert udp any any -> any any (msg:"G"; pcre:"/(a+).*n/G";)', 'alert udp any any -> any any (msg:"G not"; pcre:"/z+/G";)',
      'alert udp any any -> any any (msg:"B"; pcre:"/tt/B";)', 'alert udp any any -> any any (msg:"B not"; pcre:"/tz/B";)')
def letters_of_pcre():
    return [udp(b"attack"), udp(b"a line\n", sport=5001)]


@case('alert ip any any -> any any (msg:"0"; fragoffset:0; fragbits:M;)',
      'alert ip any any -> any any (msg:"3"; fragoffset:3;)', 'alert ip any any -> any any (msg:">"; fragoffset:>3;)',
      'alert ip any any -> any any (msg:"<"; fragoffset:<4; ip_proto:17; fragbits:M;)',
      'alert ip any any -> any any (msg:"none"; fragoffset:5;)')
def fragoffset():
    return fragment(udp(b"y" * 60, id=7), fragsize=24)


@case('alert ip any any -> any any (msg:"rr"; ipopts:rr;)', 'alert ip any any -> any any (msg:"lsrr"; ipopts:lsrr;)',
      'alert ip any any -> any any (msg:"nop"; ipopts:nop;)', 'alert ip any any -> any any (msg:"ts"; ipopts:ts;)',
      'alert ip any any -> any any (msg:"any"; ipopts:any;)')
def ipopts():
    return [udp(b"x", options=IPOption_RR(routers=["0.0.0.0"])),
            udp(b"x", sport=5001, options=IPOption_LSRR(routers=["192.0.2.1"])),
            udp(b"x", sport=5002, options=[IPOption_NOP()] * 4), udp(b"x", sport=5003)]


@case('alert tcp any any -> any any (msg:"S"; tcp.flags:S;)', 'alert tcp any any -> any any (msg:"FPU"; tcp.flags:FPU;)',
      'alert tcp any any -> any any (msg:"mss"; tcp.mss:1460;)', 'alert tcp any any -> any any (msg:"mss <"; tcp.mss:<536;)',
      'alert tcp any any -> any any (msg:"mss >"; tcp.mss:>9000;)',
      'alert tcp any any -> any any (msg:"mss -"; tcp.mss:1400-1500;)')
def tcp():
    connections = Tcp(sport=40001), Tcp(sport=40002), Tcp(sport=40003)
    connections[0].packets[0]["TCP"].options = [("MSS", 1460)]
    connections[1].packets[0]["TCP"].options = [("MSS", 300)]
    return [packet for connection in connections for packet in connection.client(b"x").packets]


@case('alert udp any any -> any any (msg:"about"; content:"attack"; gid:3; rev:7; reference:cve,2014-0160; '
      'reference:url,example.com/a; metadata:created_at 2024_01_01, policy x; target:dest_ip;)',
      'alert udp any any -> any any (msg:"not"; content:"attach"; gid:3; rev:7; target:src_ip;)',
      'alert udp any any -> any any (msg:"prefilter"; dsize:9; prefilter;)',
      'alert udp any any -> any any (msg:"prefilter not"; dsize:8; prefilter;)')
def about_rules():
    return [udp(b"an attack")]


@case('alert tcp any any -> any any (msg:"a"; content:"SETA"; flowbits:set,a; noalert;)',
      'alert tcp any any -> any any (msg:"b"; content:"SETB"; flowbits:set,b; noalert;)',
      'alert tcp any any -> any any (msg:"a or b"; content:"THEN"; flowbits:isset,a|b;)',
      'alert tcp any any -> any any (msg:"c or d"; content:"THEN"; flowbits:isset,c|d;)',
      'alert tcp any any -> any any (msg:"set c never"; content:"SETC"; flowbits:set,c;)',
      'alert tcp any any -> any any (msg:"set d never"; content:"SETD"; flowbits:set,d;)')
def flowbits_either():
    return (Tcp(sport=40001).client(b"SETA").client(b"THEN").packets
            + Tcp(sport=40002).client(b"SETB").client(b"THEN").packets + Tcp(sport=40003).client(b"THEN").packets)


REJECTED = ('alert tcp any any -> any any (msg:"seen"; content:"after";)',)


@case('rejectsrc tcp any any -> any any (msg:"src"; content:"evil";)', *REJECTED, name="rejectsrc")
@case('rejectdst tcp any any -> any any (msg:"dst"; content:"evil";)', *REJECTED, name="rejectdst")
@case('rejectboth tcp any any -> any any (msg:"both"; content:"evil";)', *REJECTED, name="rejectboth")
def rejects():
    return (Tcp(sport=40001).client(b"evil").client(b"after").packets
            + Tcp(sport=40002).client(b"good").client(b"after").packets)
