# SPDX-License-Identifier: BSD-3-Clause
"""Each buffer of messages, in both spellings and as letter of pcre, and each transform, with rules that must not match."""

import hashlib

from scapy.all import DNS, DNSQR

from tests.parity.cases_app import exchange, hello
from tests.parity.harness import case
from tests.parity.packets import Tcp, udp

REQUEST = (b"POST /a%2fb/Form?q=1%20x HTTP/1.1\r\nHost: www.example.com:8080\r\nUser-Agent: Curl  8.0\r\n"
           b"Referer: http://other.example/page\r\nAccept: text/html\r\nAccept-Language: de-CH\r\n"
           b"Accept-Encoding: br\r\nConnection: keep-alive\r\nCookie: session=42\r\nContent-Length: 10\r\n\r\nname=admin")
RESPONSE = (b"HTTP/1.1 302 Found Elsewhere\r\nServer: nginx/1.2\r\nLocation: /login\r\nConnection: close\r\n"
            b"Set-Cookie: token=abc\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nmoved")


def both(before, found, absent, protocol="http", after=""):
    """Two rules: one that has to match, and one that must not."""
    return [f'alert {protocol} any any -> any any (msg:"{word}"; {before} content:"{word}"; {after})'
            for word in (found, absent)]


@case(*both("http.host.raw;", "www.example.com|3a|8080", "8081"),
      *both("http.host;", "www.example.com", "8080"),
      *both("flow:to_server; http.header.raw;", "Referer|3a 20|http", "Server|3a|"),
      *both("flow:to_server; http.header_names;", "|0d 0a|Host|0d 0a|User-Agent|0d 0a|", "example"),
      *both("flow:to_server; http.start;", "HTTP/1.1|0d 0a|Host|3a 20|www", "302 Found"),
      *both("http.referer;", "other.example/page", "Referer"),
      *both("http.accept;", "text/html", "text/plain"),
      *both("http.accept_lang;", "de-CH", "en-GB"),
      *both("http.accept_enc;", "br", "gzip"),
      *both("flow:to_server; http.connection;", "keep-alive", "close"),
      *both("flow:to_server; http.content_len;", "10", "5"))
@case(*both("", "a%2fb", "a%2eb", after="http_raw_uri;"),
      *both("", "www.example.com", "8080", after="http_host;"),
      *both("", "com|3a|8080", "8081", after="http_raw_host;"),
      *both("flow:to_server;", "Referer|3a 20|http", "Server|3a|", after="http_raw_header;"),
      *both("flow:to_server;", "session=42", "token", after="http_cookie;"),
      *both("", "Curl", "Wget", after="http_user_agent;"),
      *both("", "302", "200", after="http_stat_code;"),
      *both("", "Elsewhere", "302", after="http_stat_msg;"),
      *both("", "name=admin", "moved", after="http_client_body;"),
      *both("flow:to_client;", "moved", "name=admin", after="http_server_body;"), name="old_modifiers")
@case(*both("http.server;", "nginx/1.2", "Server"),
      *both("http.location;", "/login", "Location"),
      *both("http.response_line;", "HTTP/1.1 302 Found Elsewhere", "Server"),
      *both("flow:to_client; http.header.raw;", "Location|3a 20|/login", "Referer"),
      *both("flow:to_client; http.header_names;", "|0d 0a|Server|0d 0a|Location|0d 0a|", "nginx"),
      *both("flow:to_client; http.start;", "302 Found Elsewhere|0d 0a|Server|3a 20|", "POST"),
      *both("flow:to_client; http.cookie;", "token=abc", "session"),
      *both("flow:to_client; http.connection;", "close", "keep-alive"),
      *both("flow:to_client; http.content_len;", "5", "10"), name="of_responses")
@case(*[f'alert http any any -> any any (msg:"{letter} {word}"; {flow} pcre:"/{word}/{letter}";)'
        for letter, found, absent, flow in (
            ("U", "Form", "%2f", ""), ("I", "%2fb", "Nothing", ""), ("H", "Referer", "Server", "flow:to_server;"),
            ("D", "Referer", "Server", "flow:to_server;"), ("M", "^POST$", "GET", ""),
            ("C", "session=\\d+", "token", "flow:to_server;"), ("S", "30\\d", "200", "flow:to_client;"),
            ("Y", "Else[a-z]+", "302", "flow:to_client;"), ("Q", "mo.ed", "admin", "flow:to_client;"),
            ("P", "name=(admin|root)", "moved", "flow:to_server;"), ("W", "^www.example", "8080", ""),
            ("Z", "8080$", "8081", ""), ("V", "Curl", "Wget", ""))
        for word in (found, absent)], name="letters_of_pcre")
@case(*both("http.uri; to_lowercase;", "/form", "/from"), *both("http.uri; to_uppercase;", "/FORM", "/FROM"),
      *both("http.user_agent; strip_whitespace;", "Curl8.0", "8.0Curl"),
      *both("http.user_agent; compress_whitespace;", "Curl 8.0", "Curl8"),
      *both("http.uri.raw; url_decode;", "/a/b", "a%2fb"),
      *both("http.host; dotprefix;", ".www.example.com", "..www"),
      *[rule for name in ("md5", "sha1", "sha256")
        for rule in both(f"http.method; to_{name};", "|" + hashlib.new(name, b"POST").digest().hex(" ") + "|",
                         "|" + hashlib.new(name, b"GET").digest().hex(" ") + "|")], name="transforms")
def buffers():
    return exchange(REQUEST, RESPONSE)


@case(*both("dns.query; dotprefix;", ".evil.example", "vil..example", "dns"),
      *both("dns.query; to_lowercase;", "www.evil", "www.good", "dns"),
      'alert dns any any -> any any (msg:"query"; dns.opcode:0;)', 'alert dns any any -> any any (msg:"not 0"; dns.opcode:!0;)',
      'alert dns any any -> any any (msg:"status"; dns.opcode:2;)', 'alert dns any any -> any any (msg:"never"; dns.opcode:5;)')
def dns():
    return [udp(bytes(DNS(id=1, rd=1, qd=DNSQR(qname="WWW.evil.example"))), dport=53),
            udp(bytes(DNS(id=2, opcode=2, qd=DNSQR(qname="vil.example"))), sport=5001, dport=53)]


@case(*both("tls.sni; dotprefix;", ".www.evil.example", "..www", "tls"),
      *both("ja3.hash;", hashlib.md5(b"771,49199-49200,0-10-11,29-23-24,0").hexdigest(), "0" * 32, "tls"))
def tls():
    return Tcp(dport=443).client(hello()).packets


@case('alert http any any -> any any (msg:"lower"; http.host; content:"www.example.com";)')
def host_in_capitals():
    return exchange(b"GET http://WWW.Example.COM/ HTTP/1.1\r\nHost: WWW.Example.COM\r\n\r\n")
