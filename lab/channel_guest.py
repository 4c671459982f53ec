# SPDX-License-Identifier: BSD-3-Clause
"""A QEMU guest whose processes have channels: bulkhead-agent in it, and programs of the scenarios."""

import json

from lab import channels
from lab.daemon import BUILD
from lab.guest import Guest, initramfs_with
from lab.netns import wait_until

SOCKET = "/run/bulkhead/channel.sock"
AGENT = BUILD / "agent/bulkhead-agent"
HOSTILE = BUILD / "tests/scenario/guest-hostile"
PROGRAMS = (AGENT, channels.PEER, channels.BULKHEAD, HOSTILE)


def partition(lab, name, cid, client=False):
    """Adds a partition that is a guest to the configuration; returns the path of its device's socket."""
    path = channels.make_folder(lab, name) / "vsock.sock"
    lab.config["channels"]["partitions"][name] = {
        "vsock": {"socket": str(path), "cid": cid, "client": client}, "access": "all"}
    return path


class ChannelGuest(Guest):
    """Programs run in the background, each by a name that its files have in the guest."""

    def __init__(self, folder, name, vsock, archive, listens=False):
        """listens: QEMU does, and the daemon connects."""
        super().__init__(folder, name, vsock=vsock, archive=archive,
                         vsock_mode=",server=on,wait=on" if listens else "")

    @staticmethod
    def archive(folder):
        return initramfs_with(folder, PROGRAMS)

    def start_agent(self):
        self.run("mkdir -p /run/bulkhead")
        self.background("agent", f"bulkhead-agent --access all --socket {SOCKET}")
        wait_until(lambda: self.run(f"test -S {SOCKET} && echo yes", check=False) == "yes", 20, what="the agent")
        return self

    def background(self, name, command):
        """Starts a command; its output goes to /tmp/NAME.out, its exit code to /tmp/NAME.code."""
        self.run(f"rm -f /tmp/{name}.code; ( {{ {command} ; }} > /tmp/{name}.out 2> /tmp/{name}.err < /dev/null; "
                 f"echo $? > /tmp/{name}.code ) & true")
        return name

    def finish(self, name, timeout=60):
        """Waits for its end; returns (exit code, output, errors)."""
        code = wait_until(lambda: self.run(f"cat /tmp/{name}.code 2>/dev/null", check=False), timeout, 0.1,
                          f"the end of {name}")
        return int(code), self.run(f"cat /tmp/{name}.out"), self.run(f"cat /tmp/{name}.err")

    def peer(self, name, *arguments):
        """channel-peer in the background: send|receive, endpoint, partition, endpoint, count, seed…"""
        verb, *rest = map(str, arguments)
        return self.background(name, f"channel-peer {verb} {SOCKET} {' '.join(rest)}")

    def peer_result(self, name, timeout=60):
        code, out, err = self.finish(name, timeout)
        assert code == 0, f"channel-peer in {self.name}: exit {code}\n{out}{err}"
        return json.loads(out.splitlines()[-1])

    def channel(self, name, *arguments):
        """`bulkhead channel …` in the background."""
        return self.background(name, f"bulkhead channel {' '.join(map(str, arguments))} --attach {SOCKET}")

    def reset_device(self):
        """The driver leaves its device and takes it again, as with a boot of the machine."""
        driver = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"
        self.run(f"device=$(cd {driver} && echo virtio*); echo $device > {driver}/unbind; "
                 f"echo $device > {driver}/bind")

    def kill(self, program):
        self.run(f"kill -9 $(pidof {program})")
