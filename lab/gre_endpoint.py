# SPDX-License-Identifier: BSD-3-Clause
"""GRE with a key (RFC 2784, RFC 2890) between a raw socket and a TUN interface: a target that is no Bulkhead.

    /usr/bin/python3 lab/gre_endpoint.py INTERFACE LOCAL REMOTE KEY_IN KEY_OUT [REMOTE KEY_IN KEY_OUT]…

Prints one line when it is ready. Packets with another key are counted and passed over. With several other ends, what
goes out goes to the one that was heard last.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
KEY_PRESENT = 0x2000
TYPES = {4: 0x0800, 6: 0x86dd}
BURST = 64


def open_tun(name):
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return handle


def open_gre(local, remote):
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    handle = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_GRE)
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    handle.bind((local, 0))
    handle.connect((remote, 0))
    handle.setblocking(False)
    return handle


def unwrap(packet, is_ipv4, key):
    """The inner packet, or None: of an IPv4 raw socket the outer header comes along."""
    if is_ipv4:
        packet = packet[(packet[0] & 15) * 4:]
    flags, _, got = struct.unpack("!HHI", packet[:8])
    return packet[8:] if flags == KEY_PRESENT and got == key else None


def main(interface, local, *ends):
    tun, is_ipv4 = open_tun(interface), ":" not in local
    keys = {open_gre(local, ends[i]): (int(ends[i + 1], 0), int(ends[i + 2], 0)) for i in range(0, len(ends), 3)}
    last = next(iter(keys))
    refused = 0
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([tun, *keys], [], [])
        for handle in readable:
            try:
                for _ in range(BURST):
                    if handle is tun:
                        inner = os.read(tun, 65535)
                        last.send(struct.pack("!HHI", KEY_PRESENT, TYPES[inner[0] >> 4], keys[last][1]) + inner)
                        continue
                    inner = unwrap(handle.recv(65535), is_ipv4, keys[handle][0])
                    refused += not inner
                    if inner:
                        last = handle
                        os.write(tun, inner)
            except (BlockingIOError, OSError):
                continue


if __name__ == "__main__":
    main(*sys.argv[1:])
