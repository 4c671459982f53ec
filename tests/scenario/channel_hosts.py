# SPDX-License-Identifier: BSD-3-Clause
"""The host of the scenarios of channels, and the processes in its partitions."""

import copy

import pytest

from lab import channels
from lab.channels import BIND, PEER
from lab.netns import stop, wait_until
from lab.topology import Lab

BOTH_WAYS = {"web-db": {"from": "web", "to": "db"}, "db-web": {"from": "db", "to": "web"}}
EPERM, ENOENT, EACCES, EXDEV, EMSGSIZE = -1, -2, -13, -18, -90
EADDRINUSE, EADDRNOTAVAIL, ENOBUFS, EDQUOT, EKEYREJECTED = -98, -99, -105, -122, -129
EPIPE, ECONNRESET = -32, -104


@pytest.fixture
def alone(lab):
    """A host whose partitions web and db may send each other messages, for one test alone: it kills roles."""
    lab.channel_folders = channels.configure(lab, allow=BOTH_WAYS)
    lab.start()
    return lab


@pytest.fixture(scope="module")
def shared():
    """The same for many tests, one after the other."""
    with Lab() as lab:
        lab.channel_folders = channels.configure(lab, allow=BOTH_WAYS)
        lab.start()
        yield lab


@pytest.fixture
def host(shared):
    """The shared host: counters and events are those of the test."""
    channels.begin(shared.daemon)
    config = copy.deepcopy(shared.daemon.config)
    yield shared
    channels.RawProcess.close_all()
    for name in ("web", "db"):
        while shared[name].processes:
            stop(shared[name].processes.pop())
    if shared.daemon.config != config:
        shared.daemon.apply(lambda changed: (changed.clear(), changed.update(config)))
    wait_until(lambda: not channels.rows(shared.daemon), 20, what="the end of all channels")


def peer(lab, partition, *arguments, **options):
    """channel-peer in a partition; arguments: send|receive, endpoint, partition, endpoint, count, seed…"""
    verb, *rest = arguments
    return channels.start_inside(lab, partition, lab.channel_folders[partition], PEER, verb,
                                 channels.inside_socket(lab), *rest, **options)


def command(lab, partition, *arguments, **options):
    """`bulkhead channel …` in a partition."""
    verb, *rest = arguments
    return channels.start_inside(lab, partition, lab.channel_folders[partition], channels.BULKHEAD, "channel",
                                 verb, *rest, "--attach", channels.inside_socket(lab), **options)


def raw(lab, partition, *endpoints):
    """A process that speaks by hand, with these endpoints."""
    process = channels.RawProcess(lab.channel_folders[partition] / "channel.sock")
    for endpoint in endpoints:
        assert process.ask(BIND, endpoint=endpoint)["status"] == 0
    return process


def heir(lab, partition, endpoint):
    """The next process with this endpoint; also of a role that is just coming back."""
    def come():
        try:
            return raw(lab, partition)
        except (OSError, channels.Gone):
            return None
    process = wait_until(come, 20, what="the partition's socket")
    process.take_over(endpoint)
    return process


def wait_up(daemon, count=2):
    wait_until(lambda: len(channels.rows(daemon, state="up")) == count, 20, what="the channels")


def flow(lab, endpoints=(5, 6), count=0, seed=1, size_max=512, **options):
    """A channel from web to db, with messages that the receiver checks: (sender, receiver)."""
    first, second = endpoints
    receiver = peer(lab, "db", "receive", second, "web", first, count, seed, size_max, **options)
    sender = peer(lab, "web", "send", first, "db", second, count, seed, size_max, **options)
    return sender, receiver


def delivered(daemon):
    return channels.stats(daemon)["messages"]


def wait_flowing(daemon, more=2000):
    start = delivered(daemon)
    wait_until(lambda: delivered(daemon) > start + more, 20, what="messages")
