# SPDX-License-Identifier: BSD-3-Clause
"""Where the two do not say the same: who is right, and why. A case that is not here must agree, and one
that is here must differ, so that an entry goes when its reason does."""

OURS, SURICATA, EITHER = "bulkhead", "Suricata", "either"

# case: (who is right, why)
DIFFERENCES = {
    "header/fragbits": (OURS, "`+D` is \"these bits, plus any others\" in Suricata's manual; it wants at least one other bit"),
    "state/flowbits": (OURS, "Suricata looks at bytes of a stream that it saw before once more with the next packet, so that "
                             "`toggle` is done twice"),
    "stream/overlap_covers": (OURS, "what waits behind a gap has not reached the receiver: it gets the segment that covers it, "
                                    "and that is what is judged; Suricata takes the earlier bytes for delivered"),
    "stream/data_with_syn": (OURS, "data that came with a SYN and was acknowledged (TCP Fast Open) belongs to the stream; "
                                   "Suricata leaves it out"),
    "stream/after_the_end": (OURS, "data behind a FIN is dropped before any rule (`stream_window`), it is part of no stream; "
                                   "Suricata looks at it as a packet"),
}

# The same for the records of flows: their ends, application protocol, states, packets each way.
FLOW_DIFFERENCES = {
    "header/icmp_fields": (EITHER, "ICMP has one flow for two hosts here, Suricata has one for each type"),
    "stream/bad_checksum_decoy": (OURS, "what a receiver discards for its checksum is no packet of the flow"),
    "stream/rst_with_bad_checksum": (OURS, "what a receiver discards for its checksum is no packet of the flow"),
    "stream/data_with_syn": (OURS, "the server acknowledges the SYN and its data: the handshake is done"),
}
