# SPDX-License-Identifier: BSD-3-Clause
"""Lines of threshold.config: suppress, event_filter and rate_filter."""

from tests.parity.harness import case
from tests.parity.packets import udp

START = 1_700_000_000
X = [f'alert udp any any -> any any (msg:"{number}"; content:"x"; sid:{number};)' for number in (1, 2, 3)]


@case(*X, name="suppress", limits="suppress gen_id 1, sig_id 1\n"
      "suppress gen_id 1, sig_id 2, track by_src, ip 198.51.100.8\n"
      "suppress gen_id 1, sig_id 3, track by_dst, ip [192.0.2.0/28]\n")
@case(*X, name="suppress_either", limits="suppress gen_id 1, sig_id 1, track by_either, ip 192.0.2.10\n"
      "suppress gen_id 1, sig_id 2, track by_dst, ip 198.51.100.0/24\n")
@case(*(rule.replace("alert", "drop") for rule in X), name="suppress_drops", limits="suppress gen_id 1, sig_id 1\n")
@case(*X, name="event_filter", limits="event_filter gen_id 1, sig_id 1, type limit, track by_src, count 2, seconds 60\n"
      "event_filter gen_id 1, sig_id 2, type threshold, track by_src, count 3, seconds 60\n"
      "threshold gen_id 1, sig_id 3, type both, track by_dst, count 4, seconds 6\n")
@case(X[0], name="event_filter_to_the_second", limits="event_filter gen_id 1, sig_id 1, type both, track by_dst, "
      "count 4, seconds 5\n")
@case(*X, name="event_filter_all", limits="event_filter gen_id 0, sig_id 0, type limit, track by_src, count 1, seconds 6\n")
@case(*X, name="rate_filter", limits="rate_filter gen_id 1, sig_id 1, track by_src, count 3, seconds 60, "
      "new_action drop, timeout 4\n"
      "rate_filter gen_id 1, sig_id 2, track by_dst, count 50, seconds 60, new_action drop, timeout 4\n")
def limits():
    """A packet every 1.25 s, of two sources in turn, each in a flow of its own."""
    packets = [udp(b"x", sport=5000 + number, source=f"198.51.100.{7 + number % 2}") for number in range(14)]
    for number, packet in enumerate(packets):
        packet.time = START + number * 1.25
    return packets
