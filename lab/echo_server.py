# SPDX-License-Identifier: BSD-3-Clause
"""A server that says who it is, over UDP and TCP, IPv4 and IPv6.

    /usr/bin/python3 lab/echo_server.py NAME PORT [ADDRESS...]

Without addresses it listens on all. Each datagram is answered with the name, a blank and what it had; a connection gets the name and a newline, then
what it sends. Prints one line when it is ready.
"""

import asyncio
import socket
import sys


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name):
        self.name = name.encode()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(self.name + b" " + data, address)


async def serve(name, port, addresses):
    async def answer(reader, writer):
        writer.write(name.encode() + b"\n")
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    loop = asyncio.get_running_loop()
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        handle = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            handle.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        handle.bind((address, port))
        await loop.create_datagram_endpoint(lambda: Datagrams(name), sock=handle)
        await asyncio.start_server(answer, address, port, family=family)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:] or ["0.0.0.0", "::"]))
