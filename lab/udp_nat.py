# SPDX-License-Identifier: BSD-3-Clause
"""A NAT for IKE and ESP in UDP: what clients send to its ports 500 and 4500 goes on from ports of its own.

    /usr/bin/python3 lab/udp_nat.py LISTEN SERVER

For each client and port it takes a port for outside, as a NAT does, and gives what goes there a traffic class of its
own, as any router may. SIGHUP lets it forget them: what comes then comes from other ports. Prints one line when it is
ready.
"""

import selectors
import signal
import socket
import sys

PORTS = (500, 4500)
SIZE = 65535
CLASS = 0xb8


class Nat:
    def __init__(self, listen, server):
        self.server = server
        self.selector = selectors.DefaultSelector()
        self.outside = {}  # (port, client): socket
        # A signal is heard by the loop, between two packets.
        self.wake, wake = socket.socketpair()
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.detach())
        signal.signal(signal.SIGHUP, lambda *_: None)
        self.selector.register(self.wake, selectors.EVENT_READ, (self.forget,))
        for port in PORTS:
            inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            inside.bind((listen, port))
            self.selector.register(inside, selectors.EVENT_READ, (self.from_client, inside, port))

    def from_client(self, inside, port):
        data, client = inside.recvfrom(SIZE)
        outside = self.outside.get((port, client))
        if not outside:
            outside = self.outside[port, client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            outside.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, CLASS)
            outside.connect((self.server, port))
            self.selector.register(outside, selectors.EVENT_READ, (self.from_server, outside, inside, client))
        outside.send(data)

    @staticmethod
    def from_server(outside, inside, client):
        inside.sendto(outside.recv(SIZE), client)

    def forget(self):
        self.wake.recv(SIZE)
        for outside in self.outside.values():
            self.selector.unregister(outside)
            outside.close()
        self.outside.clear()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj.fileno() >= 0:  # not forgotten since
                    key.data[0](*key.data[1:])


def main():
    nat = Nat(*sys.argv[1:])
    print("ready", flush=True)
    nat.run()


if __name__ == "__main__":
    main()
