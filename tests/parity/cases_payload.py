# SPDX-License-Identifier: BSD-3-Clause
"""content and its modifiers, pcre, numbers in the payload."""

from tests.parity.harness import case
from tests.parity.packets import Tcp, udp


def packets(*payloads):
    return [udp(payload, sport=5000 + number) for number, payload in enumerate(payloads)]


@case('alert udp any any -> any any (msg:"plain"; content:"attack";)',
      'alert udp any any -> any any (msg:"nocase"; content:"attack"; nocase;)',
      'alert udp any any -> any any (msg:"hex"; content:"|61 74|tack";)',
      'alert udp any any -> any any (msg:"escaped"; content:"a\\;b\\"c\\\\d\\:e";)',
      'alert udp any any -> any any (msg:"negated"; content:!"attack";)')
def content():
    return packets(b"an attack here", b"an ATTACK here", b'a;b"c\\d:e', b"nothing")


@case('alert udp any any -> any any (msg:"offset"; content:"abc"; offset:3;)',
      'alert udp any any -> any any (msg:"depth"; content:"abc"; depth:5;)',
      'alert udp any any -> any any (msg:"both"; content:"abc"; offset:2; depth:4;)',
      'alert udp any any -> any any (msg:"startswith"; content:"abc"; startswith;)',
      'alert udp any any -> any any (msg:"endswith"; content:"abc"; endswith;)')
def positions():
    return packets(b"abc", b"xabc", b"xxabc", b"xxxabcx", b"xxxxxxabc", b"abcxxxxabc")


@case('alert udp any any -> any any (msg:"distance"; content:"abc"; content:"def"; distance:2;)',
      'alert udp any any -> any any (msg:"within"; content:"abc"; content:"def"; within:5;)',
      'alert udp any any -> any any (msg:"both"; content:"abc"; content:"def"; distance:1; within:4;)',
      'alert udp any any -> any any (msg:"back"; content:"def"; content:"abc"; distance:-8;)',
      'alert udp any any -> any any (msg:"negated"; content:"abc"; content:!"def"; within:6;)')
def relative():
    return packets(b"abcdef", b"abcxdef", b"abcxxdef", b"abcxxxdef", b"defabc", b"abcabcdef", b"abc")


@case('alert udp any any -> any any (msg:"fast"; content:"aaa"; content:"bbb"; fast_pattern;)',
      'alert udp any any -> any any (msg:"only"; content:"bbb"; fast_pattern:only;)',
      'alert udp any any -> any any (msg:"chop"; content:"0123456789"; fast_pattern:2,4;)')
def fast_pattern():
    return packets(b"aaa bbb", b"bbb", b"0123456789", b"2345")


@case('alert udp any any -> any any (msg:"pcre"; pcre:"/att[ae]ck/";)',
      'alert udp any any -> any any (msg:"i"; pcre:"/ATTACK/i";)',
      'alert udp any any -> any any (msg:"relative"; content:"abc"; pcre:"/^\\d+/R";)',
      'alert udp any any -> any any (msg:"negated"; content:"abc"; pcre:!"/\\d/";)',
      'alert udp any any -> any any (msg:"backreference"; pcre:"/(a+)b\\1c/";)',
      'alert udp any any -> any any (msg:"s and m"; pcre:"/^b.c$/ms";)')
def pcre():
    return packets(b"attack", b"abc123", b"abcx1", b"abc", b"aabaac", b"x\nb\nc\ny")


@case('alert udp any any -> any any (msg:"10"; content:"abc"; isdataat:10;)',
      'alert udp any any -> any any (msg:"relative"; content:"abc"; isdataat:3,relative;)',
      'alert udp any any -> any any (msg:"not"; content:"abc"; isdataat:!1,relative;)')
def isdataat():
    return packets(b"abc", b"abcd", b"abcdef", b"abcdefg", b"xxxxxxxxabc", b"xxxxxxxxxabcd")


@case('alert udp any any -> any any (msg:">"; byte_test:2,>,100,0;)',
      'alert udp any any -> any any (msg:"little"; byte_test:2,=,100,0,little;)',
      'alert udp any any -> any any (msg:"relative"; content:"len"; byte_test:1,<,10,0,relative;)',
      'alert udp any any -> any any (msg:"string"; content:"n="; byte_test:3,>=,200,0,relative,string,dec;)',
      'alert udp any any -> any any (msg:"hex"; content:"h="; byte_test:2,=,255,0,relative,string,hex;)',
      'alert udp any any -> any any (msg:"mask"; byte_test:2,=,1,0,bitmask 0x00ff;)',
      'alert udp any any -> any any (msg:"bits"; byte_test:1,&,128,0;)',
      'alert udp any any -> any any (msg:"not"; byte_test:1,!=,0,0;)')
def byte_test():
    return packets(b"\0\x64", b"\0\x65", b"\x64\0", b"len\x05", b"len\x0b", b"n=250", b"n=100", b"h=ff", b"\x80\x01", b"\0")


@case('alert udp any any -> any any (msg:"jump"; byte_jump:1,0; content:"abc"; within:3;)',
      'alert udp any any -> any any (msg:"relative"; content:"L"; byte_jump:1,0,relative; content:"abc"; within:3;)',
      'alert udp any any -> any any (msg:"multiplier"; byte_jump:1,0,multiplier 2; content:"abc"; within:3;)',
      'alert udp any any -> any any (msg:"post"; byte_jump:1,0,post_offset 1; content:"abc"; within:3;)',
      'alert udp any any -> any any (msg:"align"; byte_jump:1,0,align; content:"abc"; within:3;)',
      'alert udp any any -> any any (msg:"from beginning"; byte_jump:1,0,from_beginning; content:"abc"; within:3;)')
def byte_jump():
    return packets(b"\x02xxabc", b"L\x02xxabc", b"\x01xxabc", b"\x01xxxabc", b"\x03xxabc", b"\x01abc", b"\x02xxxxabc")


@case('alert udp any any -> any any (msg:"extract"; byte_extract:1,0,size; content:"abc"; distance:1; within:size;)',
      'alert udp any any -> any any (msg:"test"; byte_extract:1,0,n; byte_test:1,=,n,1;)')
def byte_extract():
    return packets(b"\x05abc", b"\x05xabc", b"\x03xxabc", b"\x07\x07", b"\x07\x08")


@case('alert udp any any -> any any (msg:"math"; byte_math:bytes 1, offset 0, oper +, rvalue 2, result total; '
      'byte_test:1,=,total,1;)')
def byte_math():
    return packets(b"\x05\x07", b"\x05\x08")


@case('alert tcp any any -> any any (msg:"stream offset"; content:"abc"; offset:5;)',
      'alert tcp any any -> any any (msg:"stream depth"; content:"abc"; depth:4;)',
      'alert tcp any any -> any any (msg:"stream relative"; content:"abc"; content:"def"; distance:0; within:10;)',
      'alert tcp any any -> any any (msg:"stream pcre"; content:"abc"; pcre:"/c.*d/";)')
def in_streams():
    return (Tcp(sport=40001).client(b"abc").client(b"xdef").packets + Tcp(sport=40002).client(b"xxxxxab").client(b"c").packets
            + Tcp(sport=40003).client(b"xabc").packets)


@case('alert udp any any -> any any (msg:"other places"; content:"abc"; isdataat:5; content:"def"; within:3;)',
      'alert udp any any -> any any (msg:"byte"; content:"abc"; byte_test:1,=,97,0; content:"def"; within:3;)',
      'alert udp any any -> any any (msg:"pcre"; content:"abc"; pcre:"/xx/"; content:"def"; within:3;)')
def test_between_relative_ones():
    return [udp(b"abcxxxabcdef"), udp(b"abcdef", sport=5001)]


@case('alert udp any any -> any any (msg:"before"; content:"def"; content:"abc"; distance:-8; within:5;)',
      'alert udp any any -> any any (msg:"within"; content:"def"; content:"abc"; distance:-9; within:3;)')
def within_before_the_payload():
    return [udp(b"abcdef")]
