# SPDX-License-Identifier: BSD-3-Clause
"""Many UDP clients, each with a port of its own, and who answered them.

    /usr/bin/python3 lab/many_clients.py ADDRESS PORT COUNT FIRST_PORT

Prints a JSON object {name: answers}. Each asks again until it is answered, at most five times.
"""

import json
import select
import socket
import sys

WINDOW = 200
TRIES = 5


def ask(address, port, ports):
    """Who answered each of the ports."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    waiting, names = {}, []
    for own in ports:
        handle = socket.socket(family, socket.SOCK_DGRAM)
        handle.bind(("", own))
        handle.connect((address, port))
        waiting[handle.fileno()] = handle
    poll = select.poll()
    for number in waiting:
        poll.register(number, select.POLLIN)
    for _ in range(TRIES):
        for handle in waiting.values():
            handle.send(b"who")
        while waiting and (ready := poll.poll(1000)):
            for number, _ in ready:
                handle = waiting.pop(number)
                poll.unregister(number)
                names.append(handle.recv(100).split()[0].decode())
                handle.close()
        if not waiting:
            break
    for handle in waiting.values():
        handle.close()
    return names


def main(address, port, count, first):
    sums = {}
    for start in range(first, first + count, WINDOW):
        for name in ask(address, port, range(start, min(start + WINDOW, first + count))):
            sums[name] = sums.get(name, 0) + 1
    print(json.dumps(sums))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
