# SPDX-License-Identifier: BSD-3-Clause
"""Captures for benchmarks of engines: real protocol runs, recorded once and multiplied; and floods.

    client 10.0.0.1 ─── veth, tcpdump ─── server 10.0.0.2: nginx (HTTP, TLS), dnsmasq

Each copy of a recording has other client addresses, so that an engine sees new flows and not the old
ones again.
"""

import contextlib
import os
import random
import signal
import struct

from lab.netns import Namespace, run, veth, wait_until
from lab.peers import curl, is_listening
from tests.bench.generate_rules import WORDS

CLIENT, SERVER = "10.0.0.1", "10.0.0.2"
PAGE_SIZES = [2000 + 1500 * number for number in range(12)]
ROUNDS = 3
BULK_BYTES = 6_000_000
QUERIES = 150
FLOOD_SOURCES = 500
FILE_HEADER = struct.Struct("<IHHiIII")
PACKET_HEADER = struct.Struct("<IIII")
PCAP_MAGIC, LINK_ETHERNET, SNAP = 0xA1B2C3D4, 1, 65535
COPY_APART = 60  # seconds of the capture's clock from one copy to the next
FIRST_SECOND = 1_700_000_000
ADDRESS_FIELDS = (26, 30)  # of IPv4's source and destination in a frame without tags

NGINX = """
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off; default_type text/html; gzip on; gzip_min_length 1; gzip_types text/html;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 80; root {folder}/pages; }}
    server {{ listen 443 ssl; root {folder}/pages;
             ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; }}
}}
"""


def words(size):
    """Text of words, the same one each time."""
    generator = random.Random(size)
    text = ""
    while len(text) < size:
        text += " ".join(generator.choices(WORDS, k=200)) + "\r\n"
    return text[:size].encode()


@contextlib.contextmanager
def hosts():
    client, server = Namespace(f"bc{os.getpid()}"), Namespace(f"bs{os.getpid()}")
    try:
        veth(client, "eth0", server, "eth0")
        for host, address in ((client, CLIENT), (server, SERVER)):
            # Frames as a wire would have them: no larger than its MTU, checksums done.
            host.run("ethtool", "-K", "eth0", "tx", "off", "rx", "off", "gro", "off", "gso", "off", "tso", "off")
            host.address("eth0", f"{address}/24")
        yield client, server
    finally:
        client.close()
        server.close()


def start_servers(server, folder):
    pages = folder / "pages"
    pages.mkdir()
    folder.chmod(0o755)
    for number, size in enumerate(PAGE_SIZES):
        (pages / f"{number}.html").write_bytes(words(size))
    (pages / "bulk.bin").write_bytes(words(BULK_BYTES))
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=server",
        "-keyout", folder / "key.pem", "-out", folder / "cert.pem")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    with open(folder / "servers.log", "wb") as log:
        server.start("nginx", "-c", folder / "nginx.conf", "-e", folder / "error.log", stderr=log)
        server.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root",
                     "--pid-file=", f"--address=/example/{SERVER}", stderr=log)
    for port in (80, 443, 53):
        wait_until(lambda: is_listening(server, port), what=f"a server on port {port}")


def fetch(client, url, *options):
    code, _ = curl(client, url, "--insecure", "--output", "/dev/null", *options, timeout=20)
    if code != 0:
        raise RuntimeError(f"{url}: curl ended with {code}")


def use_servers(client):
    for _ in range(ROUNDS):
        for number in range(len(PAGE_SIZES)):
            fetch(client, f"http://{SERVER}/{number}.html")
            fetch(client, f"http://{SERVER}/{number}.html", "--compressed", "-d", words(700).decode(), "-X", "GET")
            fetch(client, f"https://{SERVER}/{number}.html")
    fetch(client, f"http://{SERVER}/bulk.bin")
    names = [f"{WORDS[number % len(WORDS)]}{number}.example" for number in range(QUERIES)]
    client.run("dig", f"@{SERVER}", "+tries=1", *names, timeout=60)


def record(folder):
    """Records a mixed run; returns the capture's path."""
    path = folder / "recorded.pcap"
    with hosts() as (client, server):
        start_servers(server, folder)
        with open(folder / "tcpdump.log", "wb") as log:
            capture = server.start("tcpdump", "-i", "eth0", "-w", path, "-U", "-s", "0", "-B", "16384",
                                   "-Z", "root", "ip", stderr=log)
        wait_until(lambda: "listening on" in (folder / "tcpdump.log").read_text(), what="tcpdump")
        use_servers(client)
        capture.send_signal(signal.SIGINT)
        capture.wait(10)
    return path


def read(path):
    """[(seconds since the first, microseconds, frame)]"""
    content = path.read_bytes()
    at, first, packets = FILE_HEADER.size, None, []
    while at + PACKET_HEADER.size <= len(content):
        seconds, micros, size, _ = PACKET_HEADER.unpack_from(content, at)
        at += PACKET_HEADER.size
        first = seconds if first is None else first
        packets.append((seconds - first, micros, content[at:at + size]))
        at += size
    return packets


def subtract(checksum, old, new):
    """RFC 1624: the checksum when a 16-bit word becomes another one."""
    total = (~checksum & 0xFFFF) + (~old & 0xFFFF) + new
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def readdress(frame, number):
    """The frame with 10.N.0.x instead of 10.0.0.x at both ends, its checksums right again."""
    out = bytearray(frame)
    transport = 14 + (out[14] & 15) * 4
    checksums = [24, {6: transport + 16, 17: transport + 6}[out[23]]]
    for at in ADDRESS_FIELDS:
        old = int.from_bytes(out[at:at + 2], "big")
        new = 10 << 8 | number
        out[at + 1] = number
        for checksum in checksums:
            before = int.from_bytes(out[checksum:checksum + 2], "big")
            if before or checksum == 24:
                out[checksum:checksum + 2] = subtract(before, old, new).to_bytes(2, "big")
    return bytes(out)


def write(path, packets):
    with open(path, "wb") as file:
        file.write(FILE_HEADER.pack(PCAP_MAGIC, 2, 4, 0, 0, SNAP, LINK_ETHERNET))
        for seconds, micros, frame in packets:
            file.write(PACKET_HEADER.pack(FIRST_SECOND + seconds, micros, len(frame), len(frame)) + frame)


def multiply(path, packets, copies):
    """Writes the recording `copies` times (at most 255), one after another; returns the number of packets."""
    write(path, ((seconds + number * COPY_APART, micros, readdress(frame, number))
                 for number in range(copies) for seconds, micros, frame in packets))
    return len(packets) * copies


def flood(path, count):
    """Writes `count` UDP frames of 64 bytes with their FCS, from many sources; returns their number."""
    generator = random.Random(1)
    text = words(40_000)

    def frames():
        for number in range(count):
            source = number % FLOOD_SOURCES
            at = generator.randrange(len(text) - 18)
            ip = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 46, number & 0xFFFF, 0, 64, 17, 0,
                                       bytes((10, 1, source >> 8, source & 255)), bytes((10, 0, 0, 2))))
            total = sum(struct.unpack("!10H", ip))
            total = (total & 0xFFFF) + (total >> 16)
            ip[10:12] = (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
            frame = (bytes.fromhex("525400001001 52540000ff01 0800") + ip
                     + struct.pack("!HHHH", 1024 + source, 8000 + number % 64, 26, 0) + text[at:at + 18])
            yield number // 100_000, number % 100_000 * 10, frame
    write(path, frames())
    return count
