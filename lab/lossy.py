# SPDX-License-Identifier: BSD-3-Clause
"""A wire that loses and reorders, where the kernel has no netem: frames are copied between two
interfaces of a namespace by a thread."""

import collections
import random
import select
import threading


class LossyWire:
    """Between `left` and `right` of the namespace. Frames with TCP data that go right are lost with
    probability `loss`, and held back behind the next `behind` frames with probability `late`."""

    def __init__(self, namespace, left, right, loss=0.0, late=0.0, behind=3, seed=1):
        self.left, self.right = namespace.wire(left), namespace.wire(right)
        self.loss, self.late, self.behind = loss, late, behind
        self.random = random.Random(seed)
        self.lost = self.delayed = 0
        self.waiting = collections.deque()  # (frames to let pass before it, frame)
        self.is_open = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        ends = {self.left.socket: self._to_right, self.right.socket: self.left.send}
        while self.is_open:
            readable, _, _ = select.select(list(ends), [], [], 0.02)
            if not readable:
                self._let_go()
            for end in readable:
                ends[end](end.recv(70000))

    def _to_right(self, frame):
        is_data = frame[12:14] == b"\x08\x00" and frame[23] == 6 and len(frame) > 100
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
