# SPDX-License-Identifier: BSD-3-Clause
"""Buffers of HTTP, TLS and DNS."""

import gzip

from scapy.all import DNS, DNSQR, Raw

from tests.parity.harness import case
from tests.parity.packets import TCP, Tcp, udp

PAGE = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"


def page(body=b"<html>hello</html>"):
    return PAGE % (len(body), body)


def get(uri=b"/index.html", *headers, method=b"GET", body=b""):
    lines = [method + b" " + uri + b" HTTP/1.1", b"Host: www.example.com", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def exchange(request, response=None, **fields):
    return Tcp(**fields).client(request).server(response or page()).packets


@case('alert http any any -> any any (msg:"uri"; http.uri; content:"/admin";)',
      'alert http any any -> any any (msg:"method"; http.method; content:"POST";)',
      'alert http any any -> any any (msg:"host"; http.host; content:"example.com"; endswith;)',
      'alert http any any -> any any (msg:"agent"; http.user_agent; content:"curl/";)',
      'alert http any any -> any any (msg:"cookie"; http.cookie; content:"session=";)',
      'alert http any any -> any any (msg:"header"; http.header; content:"X-Evil|3a 20|yes";)',
      'alert http any any -> any any (msg:"protocol"; http.protocol; content:"HTTP/1.1";)',
      'alert http any any -> any any (msg:"request line"; http.request_line; content:"GET /admin HTTP/1.1";)')
def http_request():
    return (exchange(get(b"/admin", b"User-Agent: curl/8.0", b"Cookie: session=1", b"X-Evil: yes"), sport=40001)
            + exchange(get(b"/login", method=b"POST", body=b"name=admin"), sport=40002))


@case('alert http any any -> any any (msg:"code"; http.stat_code; content:"200";)',
      'alert http any any -> any any (msg:"message"; http.stat_msg; content:"OK";)',
      'alert http any any -> any any (msg:"body"; http.response_body; content:"hello";)',
      'alert http any any -> any any (msg:"file"; file.data; content:"hello";)',
      'alert http any any -> any any (msg:"server"; flow:to_client; http.header; content:"Server|3a 20|nginx";)',
      'alert http any any -> any any (msg:"type"; flow:to_client; http.content_type; content:"text/html";)')
def http_response():
    return exchange(get())


@case('alert http any any -> any any (msg:"body"; http.request_body; content:"name=admin";)')
def http_request_body():
    return exchange(get(b"/login", method=b"POST", body=b"x=1&name=admin"))


@case('alert http any any -> any any (msg:"uri"; content:"/admin"; http_uri;)',
      'alert http any any -> any any (msg:"method"; content:"GET"; http_method;)',
      'alert http any any -> any any (msg:"header"; content:"X-Evil"; http_header;)',
      'alert http any any -> any any (msg:"uricontent"; uricontent:"admin";)',
      'alert http any any -> any any (msg:"pcre"; pcre:"/adm[a-z]n/U";)',
      'alert http any any -> any any (msg:"urilen"; urilen:6;)')
def http_old_modifiers():
    return exchange(get(b"/admin", b"X-Evil: yes"))


@case('alert http any any -> any any (msg:"normalised"; http.uri; content:"/etc/passwd";)',
      'alert http any any -> any any (msg:"raw"; http.uri.raw; content:"%2e%2e";)')
def http_percent_encoded():
    return exchange(get(b"/x/%2e%2e/etc/p%61sswd"))


@case('drop http any any -> any any (msg:"drop"; http.uri; content:"/evil";)')
def http_split_request():
    connection = Tcp()
    for part in (b"GE", b"T /ev", b"il HT", b"TP/1.1\r\nHost: a\r\n", b"\r\n"):
        connection.client(part)
    return connection.packets


@case('alert http any any -> any any (msg:"second"; http.uri; content:"/second";)',
      'alert http any any -> any any (msg:"mixed"; http.method; content:"GET"; http.uri; content:"/first";)')
def http_pipelined():
    return Tcp().client(get(b"/first") + get(b"/second")).server(page() + page()).packets


@case('alert http any any -> any any (msg:"chunked"; file.data; content:"evilbody";)')
def http_chunked():
    return exchange(get(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n4\r\nbody\r\n0\r\n\r\n")


@case('alert http any any -> any any (msg:"gzip"; file.data; content:"evilbody";)')
def http_gzip():
    body = gzip.compress(b"an evilbody in here", mtime=0)
    return exchange(get(), b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@case('alert http any any -> any any (msg:"any port"; http.uri; content:"/index.html";)')
def http_on_another_port():
    return exchange(get(), dport=12345)


@case('alert dns any any -> any any (msg:"query"; dns.query; content:"evil.example";)',
      'alert dns any any -> any any (msg:"nocase"; dns.query; content:"EVIL"; nocase;)',
      'alert dns any any -> any any (msg:"whole"; dns.query; content:"www.evil.example"; bsize:16;)')
def dns_udp():
    return [udp(bytes(DNS(id=1, rd=1, qd=DNSQR(qname="www.evil.example"))), dport=53),
            udp(bytes(DNS(id=2, rd=1, qd=DNSQR(qname="www.good.example"))), sport=5001, dport=53)]


@case('alert dns any any -> any any (msg:"query"; dns.query; content:"evil.example";)')
def dns_tcp():
    message = bytes(DNS(id=1, rd=1, qd=DNSQR(qname="www.evil.example")))
    return Tcp(dport=53).client(len(message).to_bytes(2, "big") + message).packets


def hello(name=b"www.evil.example"):
    """A TLS 1.2 client hello (RFC 5246 section 7.4.1.2) with SNI (RFC 6066)."""
    sni = b"\0" + len(name).to_bytes(2, "big") + name
    sni = len(sni).to_bytes(2, "big") + sni
    extensions = (b"\0\0" + len(sni).to_bytes(2, "big") + sni + bytes.fromhex("000a00080006001d00170018")
                  + bytes.fromhex("000b00020100"))
    body = (b"\x03\x03" + b"r" * 32 + b"\0" + bytes.fromhex("0004c02fc030") + b"\x01\0"
            + len(extensions).to_bytes(2, "big") + extensions)
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


@case('alert tls any any -> any any (msg:"sni"; tls.sni; content:"evil.example";)',
      'alert tls any any -> any any (msg:"ja3"; ja3.string; content:"771,49199-49200,";)')
def tls_client_hello():
    return Tcp(dport=443).client(hello()).packets


@case('drop tls any any -> any any (msg:"sni"; tls.sni; content:"evil.example";)')
def tls_hello_in_pieces():
    whole = hello()
    connection = Tcp(dport=443)
    for at in range(0, len(whole), 40):
        connection.client(whole[at:at + 40])
    return connection.packets
