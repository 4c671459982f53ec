# SPDX-License-Identifier: BSD-3-Clause
"""Rules that look into messages of HTTP, TLS and DNS, with real clients and servers.

    outside ──── uplink [hv1: gateway ── inspect (builtin)] trunk-a (VLAN 10) ── web 192.0.2.10
    curl, openssl s_client, dig                                nginx, openssl s_server, dnsmasq
"""

import gzip
import socket
import threading
import time

import pytest

from lab.netns import wait_until
from lab.peers import can_ping, curl, is_listening, nginx

ADDRESS = "192.0.2.10"
PAGE = b"a page of web\n" * 300
RULES = """
drop http any any -> any any (msg:"passwd"; http.uri; content:"/etc/passwd"; sid:1;)
drop http any any -> any any (msg:"word"; flow:to_client; file.data; content:"a bad word"; sid:2;)
drop tls any any -> any any (msg:"name"; tls.sni; content:"blocked.example"; endswith; nocase; sid:3;)
drop dns any any -> any any (msg:"query"; dns.query; content:"blocked.example"; endswith; nocase; sid:4;)
drop http any any -> any any (msg:"post"; http.method; content:"POST"; http.request_body; content:"evil"; sid:5;)
"""


@pytest.fixture
def start(lab):
    def begin():
        lab.write("rules/lab.rules", RULES)
        lab.config["inspection"] = {"engines": ["builtin"], "rules": [str(lab.folder / "rules/*.rules")]}
        lab.start()
        assert can_ping(lab.outside, ADDRESS)
        return lab
    return begin


def alert(lab, sid):
    def find():
        return [event for event in lab.daemon.events(event_type="alert")
                if event["alert"]["signature_id"] == sid]
    return wait_until(find, what=f"the alert of rule {sid}")[0]


def serve(lab, responses):
    """A server of web that answers request n with responses[n], each a list of pieces."""
    def listen():
        return socket.create_server((ADDRESS, 80))
    server = lab["web"].inside(listen)

    def run():
        for pieces in responses:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.recv(65536)
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                    time.sleep(0.05)
        server.close()
    threading.Thread(target=run, daemon=True).start()


def test_encoded_request_over_segments_is_stopped(lab, start):
    """I6: the server would have read /etc/passwd; it reads nothing, and the event says what it was."""
    access = nginx(lab, "web", {"index.html": PAGE})
    start()
    assert curl(lab.outside, f"http://{ADDRESS}/index.html") == (0, PAGE)

    def connect():
        return socket.create_connection((ADDRESS, 80), 5)
    with lab.outside.inside(connect) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(2)
        try:
            for piece in (b"GET /a/..//%65tc%2Fpas", b"s\\..\\..\\etc\\pass%77d HTTP", b"/1.1\r\nHost: web\r\n\r\n"):
                connection.sendall(piece)
                time.sleep(0.1)
            answer = connection.recv(100)
        except (TimeoutError, ConnectionResetError):
            answer = b""
    assert not answer
    event = alert(lab, 1)
    assert event["app_proto"] == "http" and event["http"]["http_method"] == "GET"
    assert event["http"]["url"].startswith("/a/..//%65tc")
    assert "pass" not in access.read_text()


def test_bodies_are_read_as_the_client_reads_them(lab, start):
    """I6: chunked and compressed, also in single bytes; what is harmless arrives unchanged."""
    word = b"some text and a bad word in it"
    packed, good = gzip.compress(word), gzip.compress(PAGE)
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
    chunks = [b"7\r\nsome te\r\n", b"b;x=y\r\nxt and a ba\r\n", b"c\r\nd word in it\r\n0\r\n\r\n"]
    serve(lab, [
        [head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(good) + good],
        [head + b"Transfer-Encoding: chunked\r\n\r\n"] + chunks,
        [head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)]
        + [packed[i:i + 9] for i in range(0, len(packed), 9)]])
    start()
    url = f"http://{ADDRESS}/"
    assert curl(lab.outside, url, "--compressed") == (0, PAGE)
    for _ in range(2):
        code, body = curl(lab.outside, url, "--compressed", timeout=3)
        assert code != 0 and b"bad word" not in body
    event = alert(lab, 2)
    assert event["http"]["status"] == 200 and event["direction"] == "to_client"


def test_server_name_of_a_hello_is_judged(lab, start):
    """I6: handshakes of real TLS stacks; the blocked one never finishes."""
    folder = lab.folder
    lab["web"].run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=web",
                   "-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    lab["web"].start("openssl", "s_server", "-accept", "443", "-www", "-quiet",
                     "-key", folder / "key.pem", "-cert", folder / "cert.pem")
    wait_until(lambda: is_listening(lab["web"], 443), what="the TLS server")
    start()

    def fetch(name):
        return curl(lab.outside, f"https://{name}/", "-k", "--resolve", f"{name}:443:{ADDRESS}", timeout=4)
    assert fetch("good.example")[0] == 0
    assert fetch("www.Blocked.example")[0] != 0
    event = alert(lab, 3)
    assert event["app_proto"] == "tls" and event["tls"]["sni"] == "www.blocked.example"
    assert len(event["tls"]["ja3"]["hash"]) == 32


def test_queries_are_judged_over_udp_and_tcp(lab, start):
    """I6: dnsmasq answers what is harmless, and never sees the other."""
    log = lab.folder / "dnsmasq.log"
    lab["web"].start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root",
                     "--conf-file=/dev/null", "--address=/example/198.51.100.1", "--log-queries",
                     f"--log-facility={log}", "--pid-file=", f"--listen-address={ADDRESS}", "--bind-interfaces")
    wait_until(lambda: is_listening(lab["web"], 53), what="dnsmasq")
    start()

    def ask(name, *options):
        return lab.outside.run("dig", "+short", "+tries=1", "+timeout=2", *options, f"@{ADDRESS}", name,
                               check=False).stdout
    for options in ((), ("+tcp",)):
        assert "198.51.100.1" in ask("good.example", *options)
        assert "198.51.100.1" not in ask("www.BLOCKED.example", *options)
    assert alert(lab, 4)["dns"]["query"][0]["rrname"] == "www.BLOCKED.example"
    assert "blocked" not in log.read_text().lower()


def test_status_tells_what_was_read(lab, start):
    """I6: a body of a request is judged; counters say what was read, and the rules how many look into messages."""
    nginx(lab, "web", {"index.html": PAGE})
    start()
    code, _ = curl(lab.outside, f"http://{ADDRESS}/index.html", "-d", "x=evil", timeout=3)
    assert code != 0
    assert alert(lab, 5)["http"]["http_method"] == "POST"
    details = lab.daemon.cli("inspect")["engines"][0]["details"]
    assert details["messages"]["http_requests"] >= 1
    assert details["ruleset"]["message_rules"] == 5 and details["ruleset"]["buffers"] == 6
