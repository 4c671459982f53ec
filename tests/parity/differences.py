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
    "stream/data_out_of_window_alone": (OURS, "data outside of the window is dropped before any rule (`stream_window`), no "
                                              "receiver takes it; Suricata looks at it as a packet"),
    "stream/old_timestamp": (OURS, "the bytes that went on first stay: what contradicts them is rewritten, so that the receiver, "
                                   "whatever it thinks of timestamps, never gets the attack"),
    "stream/fragments_overlap_the_same": (OURS, "a datagram of overlapping fragments is dropped (`frag_overlap`), whatever is in "
                                                "them; Suricata puts it together"),
    "stream/four_vlan_tags": (OURS, "Suricata does not decode packets with more than three VLAN tags"),
    "options/fragoffset": (EITHER, "a first fragment has ports, and our alert tells them; Suricata's tells none of fragments"),
    "options/ipopts": (OURS, "`any` is \"any IP options are set\" in Suricata's manual; it is not found for one option alone"),
    "limits/rate_filter": (EITHER, "when `timeout` is over the count starts anew here; Suricata goes on with the old count, so that "
                                   "the second match acts again"),
    "deviations/content_outside_of_buffers": (SURICATA, "refused by name: when the two were there together is not kept"),
    "deviations/content_that_transforms_exclude": (EITHER, "Suricata refuses a content that its transform can never give; here "
                                                           "the rule is read, and does not match"),
    "deviations/unknown_method_without_answer": (OURS, "the request has reached the server; Suricata tells when it answers"),
    "deviations/trailer": (OURS, "servers and clients do not take trailers for headers"),
    "deviations/answer_to_http_0_9": (OURS, "clients take it for a response as any other; Suricata for a body"),
    "deviations/negated_in_body": (EITHER, "asked for each piece, which goes on then; Suricata asks when the body is whole"),
    "deviations/overlong_slashes": (OURS, "they are folded as any others, as a server may do; Suricata keeps two"),
    "deviations/two_layers_of_gzip": (SURICATA, "one layer of `Content-Encoding` is undone here, more are counted"),
    "deviations/behind_the_limit_of_bodies": (OURS, "there is no limit; what is beyond Suricata's would be a hiding place"),
    "deviations/file_data_of_uploads": (SURICATA, "`file.data` is of responses alone here"),
    "deviations/server_body_of_uploads": (OURS, "`http_server_body` is `file.data` in Suricata and finds bodies of clients, too, "
                                                "unlike its name and manual"),
    "deviations/dsize_not_bounds_contents": (OURS, "`dsize:!n` bounds contents in Suricata as if it were a depth"),
    "deviations/negated_endswith": (OURS, "with another content before it Suricata looks at the first place of a negated content "
                                          "alone, and overlooks the one at the end"),
    "deviations/flags_without_syn": (OURS, "`!S` and `*SA` are looked for in packets with SYN, FIN or RST alone by Suricata"),
}

# The same for the records of flows: their ends, application protocol, states, packets each way.
FLOW_DIFFERENCES = {
    "header/icmp_fields": (EITHER, "ICMP has one flow for two hosts here, Suricata has one for each type"),
    "stream/bad_checksum_decoy": (OURS, "what a receiver discards for its checksum is no packet of the flow"),
    "stream/rst_with_bad_checksum": (OURS, "what a receiver discards for its checksum is no packet of the flow"),
    "stream/data_with_syn": (OURS, "the server acknowledges the SYN and its data: the handshake is done"),
    "stream/fragments_overlap_in_part": (OURS, "a datagram of overlapping fragments is dropped, and is of no flow"),
    "stream/fragments_overlap_the_same": (OURS, "a datagram of overlapping fragments is dropped, and is of no flow"),
    "stream/four_vlan_tags": (OURS, "Suricata does not decode packets with more than three VLAN tags"),
    "deviations/unknown_method_without_answer": (OURS, "HTTP is told from the request; Suricata waits for the answer"),
}
