# SPDX-License-Identifier: BSD-3-Clause
"""What is known to differ: rows of docs/rules-messages.md, and exclusions of tests/scenario/test_rule_parity.py."""

import gzip

from tests.parity.cases_app import exchange, get, page
from tests.parity.harness import case
from tests.parity.packets import Tcp, udp

OK = b"HTTP/1.1 200 OK\r\n"


def with_body(headers, body):
    return OK + headers + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@case('alert http any any -> any any (msg:"outside"; content:"GET"; http.uri; content:"/index";)')
def content_outside_of_buffers():
    return exchange(get())


@case('alert http any any -> any any (msg:"method"; http.method; content:"FROB";)')
def unknown_method_without_answer():
    return Tcp().client(b"FROB /x HTTP/1.1\r\nHost: a\r\n\r\n").packets


@case('alert http any any -> any any (msg:"trailer"; flow:to_client; http.header; content:"X-Trailer";)')
def trailer():
    return exchange(get(), OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Trailer: yes\r\n\r\n")


@case('alert http any any -> any any (msg:"code"; http.stat_code; content:"200";)')
def answer_to_http_0_9():
    return exchange(b"GET /x\r\n", page())


@case('alert http any any -> any any (msg:"negated"; file.data; content:!"evil";)')
def negated_in_body():
    whole = with_body(b"", b"first evil")
    return Tcp().client(get()).server(whole[:-4]).server(whole[-4:]).packets


@case('alert http any any -> any any (msg:"one"; http.uri; content:"/a/b";)')
def overlong_slashes():
    return exchange(get(b"/a%c0%af%c0%afb"))


@case('alert http any any -> any any (msg:"layers"; file.data; content:"evilbody";)')
def two_layers_of_gzip():
    return exchange(get(), with_body(b"Content-Encoding: gzip, gzip\r\n",
                                     gzip.compress(gzip.compress(b"an evilbody", mtime=0), mtime=0)))


@case('alert http any any -> any any (msg:"deep"; http.response_body; content:"evilbody";)')
def behind_the_limit_of_bodies():
    whole = with_body(b"", b"x" * 150_000 + b"evilbody" + b"x" * 2000)
    connection = Tcp().client(get())
    for at in range(0, len(whole), 1400):
        connection.server(whole[at:at + 1400])
    return connection.packets


@case('alert http any any -> any any (msg:"upload"; file.data; content:"evilbody";)')
def file_data_of_uploads():
    form = (b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n"
            b"an evilbody\r\n--b--\r\n")
    return exchange(get(b"/up", b"Content-Type: multipart/form-data; boundary=b", method=b"POST", body=form))


@case('alert http any any -> any any (msg:"upload"; content:"name=admin"; http_server_body;)')
def server_body_of_uploads():
    return exchange(get(b"/login", method=b"POST", body=b"name=admin"))


@case('alert http any any -> any any (msg:"never"; http.uri; to_lowercase; content:"/Form";)')
def content_that_transforms_exclude():
    return exchange(get(b"/Form"))


@case('alert udp any any -> any any (msg:"size"; dsize:!4; content:"abc";)')
def dsize_not_bounds_contents():
    return [udp(b"abcxx"), udp(b"xxxxabc", sport=5001)]


@case('alert udp any any -> any any (msg:"end"; content:!"abc"; endswith;)',
      'alert udp any any -> any any (msg:"end behind another"; content:"x"; content:!"abc"; endswith;)')
def negated_endswith():
    return [udp(b"abcxabc"), udp(b"xabc", sport=5001), udp(b"xxxx", sport=5002)]


@case('alert tcp any any -> any any (msg:"not SYN"; flags:!S;)', 'alert tcp any any -> any any (msg:"any of"; flags:*SA;)')
def flags_without_syn():
    return Tcp(handshake=False).client(b"data").packets
