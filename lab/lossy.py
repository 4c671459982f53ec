# SPDX-License-Identifier: BSD-3-Clause
"""A wire that loses and reorders, where the kernel has no netem: frames are copied between two
interfaces of a namespace by a thread."""

import collections
import random
import select
import threading

from lab.netns import veth


class LossyWire:
    """Between `left` and `right` of the namespace. Frames with TCP data that go right are lost with
    probability `loss`, and held back behind the next `behind` frames with probability `late`; those that go
    left are lost with probability `loss_left`."""

    def __init__(self, namespace, left, right, loss=0.0, late=0.0, behind=3, seed=1,
                 loss_left=0.0):
        self.left, self.right = namespace.wire(left), namespace.wire(right)
        self.loss, self.late, self.behind, self.loss_left = loss, late, behind, loss_left
        self.random = random.Random(seed)
        self.lost = self.delayed = self.lost_left = 0
        self.waiting = collections.deque()  # (frames to let pass before it, frame)
        self.is_open = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        ends = {self.left.socket: self._to_right, self.right.socket: self._to_left}
        while self.is_open:
            readable, _, _ = select.select(list(ends), [], [], 0.02)
            if not readable:
                self._let_go()
            for end in readable:
                ends[end](end.recv(70000))

    @staticmethod
    def _is_data(frame):
        return frame[12:14] == b"\x08\x00" and frame[23] == 6 and len(frame) > 100

    def _to_left(self, frame):
        if self.loss_left and self._is_data(frame) and self.random.random() < self.loss_left:
            self.lost_left += 1
            return
        self.left.send(frame)

    def _to_right(self, frame):
        is_data = self._is_data(frame)
        if is_data and self.random.random() < self.loss:
            self.lost += 1
            return
        if is_data and self.random.random() < self.late:
            self.delayed += 1
            self.waiting.append([self.behind, frame])
            return
        self.right.send(frame)
        for entry in self.waiting:
            entry[0] -= 1
        while self.waiting and self.waiting[0][0] <= 0:
            self.right.send(self.waiting.popleft()[1])

    def _let_go(self):
        while self.waiting:
            self.right.send(self.waiting.popleft()[1])

    def close(self):
        self.is_open = False
        self.thread.join()


def far_host(lab, address, **wire):
    """A host `far` in outside's place, behind a LossyWire of the given kind; returns its namespace and the wire.
    What is on the wire, and before web, are frames of ordinary size with whole checksums."""
    namespace = lab.namespace("far")
    veth(namespace, "eth0", lab.outside, "eth1")
    namespace.address("eth0", f"{address}/24", "52:54:00:00:ff:02")
    namespace.run("ethtool", "-K", "eth0", "tso", "off", "gso", "off", "tx", "off")
    lab["web"].run("ethtool", "-K", "eth0", "gro", "off", "tso", "off", "gso", "off", "tx", "off")
    lab.outside.run("ip", "address", "flush", "dev", "eth0")
    return namespace, LossyWire(lab.outside, "eth1", "eth0", **wire)
