# SPDX-License-Identifier: BSD-3-Clause
"""SCTP (RFC 9260), as far as one short association needs it, over raw sockets: for kernels that have none. Every
packet's CRC32c is checked, and one that is wrong is answered by nothing.

    /usr/bin/python3 lab/sctp_peer.py NAME PORT ADDRESS...

serves: each association gets back its data behind the NAME and a blank. Prints one line when it is ready.
"""

import os
import select
import socket
import struct
import sys

from scapy.layers.sctp import (SCTP, SCTPChunkAbort, SCTPChunkCookieAck, SCTPChunkCookieEcho, SCTPChunkData, SCTPChunkInit,
                               SCTPChunkInitAck, SCTPChunkParamStateCookie, SCTPChunkSACK, SCTPChunkShutdown,
                               SCTPChunkShutdownAck, SCTPChunkShutdownComplete, crc32c)

PROTOCOL = 132
WINDOW = 65535


def open_socket(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    handle = socket.socket(family, socket.SOCK_RAW, PROTOCOL)
    handle.bind((address, 0))
    return handle


def read(handle):
    """(packet, sender); the packet is None when its checksum is wrong."""
    data, sender = handle.recvfrom(65535)
    if handle.family == socket.AF_INET:  # raw sockets of IPv4 give the header, too
        data = data[(data[0] & 15) * 4:]
    sum_in_it = struct.unpack_from("!I", data, 8)[0]
    is_right = crc32c(data[:8] + bytes(4) + data[12:]) == sum_in_it
    return (SCTP(data) if is_right else None), sender[0]


def write(handle, address, ports, tag, *chunks):
    packet = SCTP(sport=ports[0], dport=ports[1], tag=tag)
    for chunk in chunks:
        packet = packet / chunk
    handle.sendto(bytes(packet), (address, 0))


class Client:
    """One association, step by step; a step that is not answered is taken again."""

    def __init__(self, namespace, own, server, port, own_port):
        self.handle = namespace.inside(lambda: open_socket(own))
        self.server, self.ports = server, (own_port, port)
        self.tag, self.peer_tag, self.wrong = struct.unpack("!I", os.urandom(4))[0] | 1, 0, 0

    def exchange(self, chunk, wanted, tag=None, tries=5):
        """What answers the chunk: the chunk of the wanted kind; None: nothing does."""
        for _ in range(tries):
            write(self.handle, self.server, self.ports, self.peer_tag if tag is None else tag, chunk)
            while select.select([self.handle], [], [], 1)[0]:
                packet, sender = read(self.handle)
                self.wrong += packet is None
                if packet and sender == self.server and packet.dport == self.ports[0] and packet.sport == self.ports[1]:
                    # Who knows nothing of the association has the tag from the packet (section 8.5.1).
                    assert packet.tag == (self.peer_tag if SCTPChunkAbort in packet else self.tag)
                    if wanted in packet:
                        return packet[wanted]
                    if SCTPChunkAbort in packet:
                        return None
        return None

    def open(self):
        """Whether the association is there."""
        answer = self.exchange(SCTPChunkInit(init_tag=self.tag, a_rwnd=WINDOW, n_out_streams=1, n_in_streams=1, init_tsn=1),
                               SCTPChunkInitAck, tag=0)
        if answer is None:
            return False
        self.peer_tag = answer.init_tag
        cookie = next(parameter.cookie for parameter in answer.params if isinstance(parameter, SCTPChunkParamStateCookie))
        return self.exchange(SCTPChunkCookieEcho(cookie=cookie), SCTPChunkCookieAck) is not None

    def ask(self, data, number=1):
        """What the server says to the data."""
        while select.select([self.handle], [], [], 0)[0]:
            read(self.handle)  # a late answer to the question before
        answer = self.exchange(SCTPChunkData(ending=1, beginning=1, tsn=number, stream_seq=number - 1, data=data),
                               SCTPChunkData)
        return bytes(answer.data) if answer else None

    def close(self):
        """By SHUTDOWN; whether that was heard."""
        done = self.exchange(SCTPChunkShutdown(cumul_tsn_ack=1), SCTPChunkShutdownAck)
        write(self.handle, self.server, self.ports, self.peer_tag, SCTPChunkShutdownComplete())
        self.handle.close()
        return done is not None


class Server:
    """The cookie has all that an association is, until it is echoed."""

    def __init__(self, name, port, addresses):
        self.name, self.port = name.encode(), port
        self.handles = [open_socket(address) for address in addresses]
        self.peers = {}  # (address, port): the client's tag

    def answer(self, handle, packet, client):
        key = (client, packet.sport)
        ports = (self.port, packet.sport)
        if SCTPChunkInit in packet:
            init = packet[SCTPChunkInit]
            cookie = SCTPChunkParamStateCookie(cookie=struct.pack("!I", init.init_tag))
            write(handle, client, ports, init.init_tag, SCTPChunkInitAck(
                init_tag=0x5e5e5e5e, a_rwnd=WINDOW, n_out_streams=1, n_in_streams=1, init_tsn=1, params=[cookie]))
        elif SCTPChunkCookieEcho in packet:
            self.peers[key] = struct.unpack("!I", packet[SCTPChunkCookieEcho].cookie[:4])[0]
            write(handle, client, ports, self.peers[key], SCTPChunkCookieAck())
        elif key not in self.peers:
            write(handle, client, ports, packet.tag, SCTPChunkAbort(TCB=1))
        elif SCTPChunkData in packet:
            data = packet[SCTPChunkData]
            write(handle, client, ports, self.peers[key], SCTPChunkSACK(cumul_tsn_ack=data.tsn, a_rwnd=WINDOW),
                  SCTPChunkData(ending=1, beginning=1, tsn=data.tsn, stream_seq=data.stream_seq,
                                data=self.name + b" " + bytes(data.data)))
        elif SCTPChunkShutdown in packet:
            write(handle, client, ports, self.peers.pop(key), SCTPChunkShutdownAck())

    def run(self):
        while True:
            for handle in select.select(self.handles, [], [])[0]:
                packet, client = read(handle)
                if packet and packet.dport == self.port:
                    self.answer(handle, packet, client)


if __name__ == "__main__":
    server = Server(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
    print("ready", flush=True)
    server.run()
