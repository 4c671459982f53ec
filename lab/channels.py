# SPDX-License-Identifier: BSD-3-Clause
"""Channels in the lab: each partition's socket in a folder of its own, mounted into its processes' view;
programs that use the library; and a process that speaks to the socket and its ring by hand."""

import array
import json
import mmap
import os
import socket
import struct
import subprocess

from lab.daemon import BUILD, make_run_folder
from lab.netns import wait_until

PEER = BUILD / "tests/scenario/channel-peer"
BULKHEAD = BUILD / "cli/bulkhead"
NAME_SIZE = 64

# channel/attach_protocol.h
HELLO, BIND, UNBIND, AUTHORISE, KEY, CONNECT, REVOKE = range(1, 8)
ANSWER, UP, DOWN, REFUSED, EXCEPTION = range(1, 6)
SEND, RECEIVE = 1, 2
REASONS = ("none revoked operator policy peer-gone sender-ring receiver-ring too-large stopped no-row "
           "wrong-partition wrong-endpoint key-set denied link-lost peer-restarted").split()
REQUEST = struct.Struct(f"=8IQ{NAME_SIZE}s")
NOTICE = struct.Struct(f"=IIiIIIIIQ{NAME_SIZE}s")

# channel/ring.h
DATA_AT = 65536
TAIL, HEAD, CONSUMER_SLEEPS, PRODUCER_SLEEPS, END = (128 * line for line in range(5))


def configure(lab, partitions=("web", "db"), allow=None, **options):
    """Adds the section `channels`; returns {partition: its folder, with channel.sock in it}."""
    folders = {}
    section = lab.config["channels"] = {"partitions": {}, "allow": allow or {}, **options}
    for name in partitions:
        folders[name] = make_folder(lab, name)
        section["partitions"][name] = {"socket": str(folders[name] / "channel.sock"), "access": "all"}
    (lab.folder / "inside").mkdir(exist_ok=True)
    return folders


def make_folder(lab, name):
    run_folder = make_run_folder(lab.folder)
    folder = run_folder / "channels" / name
    folder.mkdir(parents=True)
    owner = run_folder.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    return folder


def start_inside(lab, namespace, folder, *command, **options):
    """Starts a program in a partition's network namespace that sees nothing of the run folder but its own
    channel folder, as a container would: mounted at the lab's folder `inside`."""
    inside = lab.folder / "inside"
    script = f'mount --bind {folder} {inside} && mount -t tmpfs none {lab.folder / "run"} && exec "$@"'
    return lab[namespace].start("sh", "-c", script, "sh", *command, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)


def inside_socket(lab):
    return lab.folder / "inside" / "channel.sock"


def finish(process, timeout=60):
    """Waits for the end; returns (exit code, standard output, standard error)."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def rows(daemon, **wanted):
    """The ends of channels that have these values."""
    listed = daemon.cli("channels")["channels"]
    return [row for row in listed if all(row[key] == value for key, value in wanted.items())]


def all_stats(daemon):
    counts = daemon.cli("channel", "stats")
    for name in ("refused", "ended"):
        counts[name] = {row["reason"]: row["count"] for row in counts[name]}
    return counts


def begin(daemon):
    """From here on count stats() and events() of this daemon."""
    daemon.channels_before = all_stats(daemon), len(daemon.events(event_type="channel"))


def difference(now, before):
    """What was counted since; counts by reason without those that stayed."""
    if isinstance(now, dict):
        changed = {key: difference(value, before.get(key, 0)) for key, value in now.items()}
        return {key: value for key, value in changed.items() if value}
    return now - before


def stats(daemon):
    """Counters of the channel role, since begin() where that was called."""
    counts = all_stats(daemon)
    before = getattr(daemon, "channels_before", (None, 0))[0]
    for name in counts.keys() - {"threads", "keys", "keys_max"} if before else ():
        counts[name] = difference(counts[name], before[name])
    return counts


def events(daemon, action):
    """What the EVE file has of channels, for one action, since begin() where that was called."""
    skipped = getattr(daemon, "channels_before", (None, 0))[1]
    return [event["channel"] for event in daemon.events(event_type="channel")[skipped:]
            if event["channel"]["action"] == action]


class Gone(Exception):
    """The channel role closed the connection."""


class RawProcess:
    """A process on a partition's socket that says what it likes. It is the test's own process: to the
    channel role it is one of that partition all the same."""

    opened = []

    def __init__(self, path, hello=True):
        RawProcess.opened.append(self)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self.socket.connect(str(path))
        self.serial = 0
        self.notices = []
        self.name = None
        if hello:
            self.name = self.ask(HELLO, endpoint=2)["partition"]

    def send_bytes(self, data):
        self.socket.send(data)

    def receive(self):
        """The next packet as a dictionary, its descriptors in "descriptors"."""
        try:
            data, ancillary, _, _ = self.socket.recvmsg(NOTICE.size, 256)
        except ConnectionResetError as error:
            raise Gone from error
        if not data:
            raise Gone
        fields = ("kind", "serial", "status", "row", "endpoint", "reason", "message_max", "padding",
                  "capacity", "partition")
        notice = dict(zip(fields, NOTICE.unpack(data)))
        notice["partition"] = notice["partition"].rstrip(b"\0").decode()
        notice["reason"] = REASONS[notice["reason"]]
        notice["descriptors"] = array.array("i")
        for _, _, content in ancillary:
            notice["descriptors"].frombytes(content)
        return notice

    def ask(self, operation, row=0, endpoint=0, remote_endpoint=0, direction=0, message_max=0,
            capacity=0, remote=""):
        """Asks and returns the answer; what else comes meanwhile goes to .notices."""
        self.serial += 1
        self.send_bytes(REQUEST.pack(operation, self.serial, row, endpoint, remote_endpoint, direction,
                                     message_max, 0, capacity, remote.encode()))
        while (notice := self.receive())["kind"] != ANSWER:
            self.notices.append(notice)
        return notice

    def notice(self, kind):
        """The next notice of this kind; others stay in .notices."""
        for index, notice in enumerate(self.notices):
            if notice["kind"] == kind:
                return self.notices.pop(index)
        while (notice := self.receive())["kind"] != kind:
            self.notices.append(notice)
        return notice

    def take_over(self, endpoint):
        """Binds an endpoint that a process which has just gone may still have for a moment."""
        wait_until(lambda: self.ask(BIND, endpoint=endpoint)["status"] == 0, 20, 0.01, "the endpoint")

    def authorise(self, endpoint, direction, remote, remote_endpoint, **more):
        """A row; returns its number and its ring, or the (negative) error and None."""
        answer = self.ask(AUTHORISE, endpoint=endpoint, direction=direction, remote=remote,
                          remote_endpoint=remote_endpoint, **more)
        if answer["status"]:
            return answer["status"], None
        return answer["row"], RawRing(answer)

    def close(self):
        self.socket.close()

    @classmethod
    def close_all(cls):
        while cls.opened:
            cls.opened.pop().close()


class RawRing:
    """A row's ring, its bell and its wake pipe, by hand."""

    def __init__(self, answer):
        self.memory_fd, self.bell, self.wake = answer["descriptors"]
        self.capacity = answer["capacity"]
        self.memory = mmap.mmap(self.memory_fd, DATA_AT + self.capacity)
        self.words = memoryview(self.memory).cast("Q")
        self.position = 0

    def word(self, at):
        return self.words[at // 8]

    def set_word(self, at, value):
        """In one store: struct.pack_into() would write zeros first, and the role may look just then."""
        self.words[at // 8] = value & 0xffffffffffffffff

    def ring_bell(self):
        os.write(self.bell, struct.pack("=Q", 1))

    def put(self, message):
        """Sends a message as the library would; rings the bell whether anybody sleeps or not."""
        record = struct.pack("=Q", len(message)) + message + bytes(-len(message) % 8)
        for offset, value in enumerate(record):
            self.memory[DATA_AT + (self.position + offset) % self.capacity] = value
        self.position += len(record)
        self.set_word(TAIL, self.position)
        self.ring_bell()

    def take(self):
        """The next message, or None."""
        if self.word(TAIL) == self.position:
            return None
        size = self.word(DATA_AT + self.position % self.capacity)
        start = self.position + 8
        message = bytes(self.memory[DATA_AT + (start + i) % self.capacity] for i in range(size))
        self.position = start + size + (-size % 8)
        self.set_word(HEAD, self.position)
        self.ring_bell()
        return message

    def wait_message(self):
        return wait_until(self.take, 20, 0.001, "a message")

    def end(self):
        return REASONS[struct.unpack_from("=I", self.memory, END)[0]]


def stand_up(sender, receiver, sender_endpoint=5, receiver_endpoint=6):
    """A channel between two raw processes that have bound these endpoints: (row, ring) of each."""
    sending = sender.authorise(sender_endpoint, SEND, receiver.name, receiver_endpoint)
    receiving = receiver.authorise(receiver_endpoint, RECEIVE, sender.name, sender_endpoint)
    assert receiver.ask(KEY, row=receiving[0])["status"] == 0
    assert receiver.ask(CONNECT, row=receiving[0])["status"] == 0
    assert sender.notice(UP)["row"] == sending[0]
    receiver.notice(UP)
    return sending, receiving


def peer_result(process, timeout=120):
    """What channel-peer printed at its end, decoded."""
    code, out, err = finish(process, timeout)
    assert code == 0, f"channel-peer: exit {code}\n{out}{err}"
    return json.loads(out.splitlines()[-1])
