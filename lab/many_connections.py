# SPDX-License-Identifier: BSD-3-Clause
"""Many TCP connections to lab/echo_server.py, one after the other and some at a time, and who answered them.

    /usr/bin/python3 lab/many_connections.py ADDRESS PORT COUNT [AT_A_TIME [SOURCE]]

Prints a JSON object {name: connections}; those that failed are counted under their error's name.
"""

import asyncio
import json
import socket
import struct
import sys

TIMEOUT = 5
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closed by a reset, so that no port waits to be free


async def ask(address, port, source):
    """The name that the server says."""
    reader, writer = await asyncio.open_connection(address, port, local_addr=(source, 0) if source else None)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    try:
        return (await reader.readline()).decode().strip()
    finally:
        writer.close()


async def main(address, port, count, at_a_time=32, source=None):
    sums, left = {}, iter(range(count))

    async def work():
        for _ in left:
            try:
                name = await asyncio.wait_for(ask(address, port, source), TIMEOUT)
            except (OSError, asyncio.TimeoutError) as error:
                name = type(error).__name__
            sums[name] = sums.get(name, 0) + 1

    await asyncio.gather(*(work() for _ in range(at_a_time)))
    print(json.dumps(sums))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5]), *sys.argv[5:]))
