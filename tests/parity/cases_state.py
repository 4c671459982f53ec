# SPDX-License-Identifier: BSD-3-Clause
"""flow, flowbits, thresholds, actions."""

from tests.parity.harness import case
from tests.parity.packets import CLIENT, SERVER, Tcp, udp


@case('alert tcp any any -> any any (msg:"to_server"; flow:to_server; content:"abc";)',
      'alert tcp any any -> any any (msg:"to_client"; flow:to_client; content:"abc";)',
      'alert tcp any any -> any any (msg:"from_server"; flow:from_server,established; content:"abc";)',
      'alert tcp any any -> any any (msg:"established"; flow:established; content:"abc";)',
      'alert tcp any any -> any any (msg:"not_established"; flow:not_established; flags:S;)',
      'alert tcp any any -> any any (msg:"only_stream"; flow:only_stream; content:"abc";)',
      'alert tcp any any -> any any (msg:"no_stream"; flow:no_stream; content:"abc";)')
def flow_tcp():
    return Tcp(sport=40001).client(b"abc").packets + Tcp(sport=40002).server(b"abc").packets


@case('alert udp any any -> any any (msg:"to_server"; flow:to_server;)',
      'alert udp any any -> any any (msg:"to_client"; flow:to_client;)',
      'alert udp any any -> any any (msg:"established"; flow:established;)')
def flow_udp():
    return [udp(b"q"), udp(b"a", source=SERVER, destination=CLIENT, sport=4000, dport=5000), udp(b"q2"),
            udp(b"alone", sport=5001)]


@case('alert tcp any any -> any any (msg:"set"; content:"USER"; flowbits:set,user; flowbits:noalert;)',
      'alert tcp any any -> any any (msg:"isset"; content:"PASS"; flowbits:isset,user;)',
      'alert tcp any any -> any any (msg:"isnotset"; content:"QUIT"; flowbits:isnotset,user;)',
      'alert tcp any any -> any any (msg:"unset"; content:"RSET"; flowbits:unset,user;)',
      'alert tcp any any -> any any (msg:"toggle"; content:"TOGG"; flowbits:toggle,user;)')
def flowbits():
    return (Tcp(sport=40001).client(b"USER a").client(b"PASS b").client(b"RSET").client(b"QUIT").packets
            + Tcp(sport=40002).client(b"PASS b").client(b"QUIT").packets
            + Tcp(sport=40003).client(b"TOGG").client(b"PASS b").packets)


@case('alert udp any any -> any any (msg:"limit"; content:"x"; threshold:type limit,track by_src,count 2,seconds 60;)',
      name="threshold_limit")
@case('alert udp any any -> any any (msg:"threshold"; content:"x"; threshold:type threshold,track by_src,count 3,seconds 60;)',
      name="threshold_threshold")
@case('alert udp any any -> any any (msg:"both"; content:"x"; threshold:type both,track by_dst,count 3,seconds 60;)',
      name="threshold_both")
@case('alert udp any any -> any any (msg:"filter"; content:"x"; detection_filter:track by_src,count 3,seconds 60;)',
      name="detection_filter")
def thresholds():
    return [udp(b"x", sport=5000 + number) for number in range(8)]


@case('drop udp any any -> any any (msg:"drop"; content:"evil";)', 'alert udp any any -> any any (msg:"seen"; content:"after";)')
def drop_udp():
    return [udp(b"evil"), udp(b"after"), udp(b"after", sport=5001)]


@case('drop tcp any any -> any any (msg:"drop"; content:"evil";)', 'alert tcp any any -> any any (msg:"seen"; content:"after";)')
def drop_tcp():
    return Tcp(sport=40001).client(b"evil").client(b"after").packets + Tcp(sport=40002).client(b"after").packets


@case('reject tcp any any -> any any (msg:"reject"; content:"evil";)',
      'alert tcp any any -> any any (msg:"seen"; content:"after";)')
def reject_tcp():
    return Tcp().client(b"evil").client(b"after").packets


@case('pass tcp any any -> any any (msg:"pass"; content:"good";)', 'drop tcp any any -> any any (msg:"drop"; content:"evil";)')
def pass_flow():
    return Tcp(sport=40001).client(b"good").client(b"evil").packets + Tcp(sport=40002).client(b"evil").client(b"good").packets


@case('pass udp any any -> any 4000 (msg:"pass";)', 'alert udp any any -> any any (msg:"all"; content:"x";)',
      'drop udp any any -> any 4001 (msg:"drop"; content:"x";)')
def order_of_actions():
    return [udp(b"x"), udp(b"x", dport=4001, sport=5001), udp(b"x", dport=4002, sport=5002)]


@case('alert udp any any -> any any (msg:"silent"; content:"x"; noalert;)',
      'alert udp any any -> any any (msg:"loud"; content:"x"; priority:1; classtype:misc-attack;)')
def noalert():
    return [udp(b"x")]


@case('drop ip 198.51.100.7 any -> any any (msg:"address alone";)')
def drop_address():
    return [udp(b"x"), udp(b"x", source="198.51.100.8", sport=5001)]
