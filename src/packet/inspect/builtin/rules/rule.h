/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One parsed rule. Lives in its ruleset's arena; written by the parser and the compiler, read-only
 * once the ruleset is published.
 */
#pragma once

#include "packet/inspect/builtin/app/app.h"
#include "packet/inspect/builtin/detect.h"
#include "packet/inspect/builtin/rules/interval_set.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Bounds on what a rule file may ask for; what is beyond is refused with its line. */
#define RULE_SIZE_MAX            ((size_t)64 << 10)
#define RULE_ITEMS_MAX           64 /* contents, pcres and other tests of the payload */
#define RULE_TESTS_MAX           16 /* tests of header fields */
#define RULE_FLOWBITS_MAX        16
#define RULE_PRIORITY_DEFAULT    3
#define RULE_READING_PERMILLE    200   /* of the time of compiling; the rest is patterns */
#define RULE_POSITION_MAX        65535 /* Suricata's, of offset, depth, distance, within */
#define RULE_VARIABLES_MAX       8     /* results of byte_extract and byte_math */
#define RULE_VARIABLE_SIZE       32
#define RULE_VARIABLE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* ---- header fields ---- */

enum rule_field {
	RULE_FIELD_TTL,
	RULE_FIELD_ITYPE,
	RULE_FIELD_ICODE,
	RULE_FIELD_DSIZE,
	RULE_FIELD_IP_PROTO,
	RULE_FIELD_IP_ID,
	RULE_FIELD_TOS,
	RULE_FIELD_SEQ,
	RULE_FIELD_ACK,
	RULE_FIELD_WINDOW,
	RULE_FIELD_TCP_FLAGS,
	RULE_FIELD_SAME_ADDRESS,
	RULE_FIELD_FRAGMENT_BITS,   /* of IPv4's header: 4 reserved, 2 don't fragment, 1 more */
	RULE_FIELD_FRAGMENT_OFFSET, /* in eight bytes, as in the header */
	RULE_FIELD_IP_OPTIONS,      /* enum rule_ip_option, of IPv4 */
	RULE_FIELD_ICMP_ID,
	RULE_FIELD_ICMP_SEQUENCE,
	RULE_FIELD_TCP_MSS,
};

/* Which options a header has, as bits. */
enum rule_ip_option {
	RULE_IP_OPTION_RR = 1 << 0,
	RULE_IP_OPTION_LSRR = 1 << 1,
	RULE_IP_OPTION_EOL = 1 << 2,
	RULE_IP_OPTION_NOP = 1 << 3,
	RULE_IP_OPTION_TS = 1 << 4,
	RULE_IP_OPTION_SEC = 1 << 5,
	RULE_IP_OPTION_ESEC = 1 << 6,
	RULE_IP_OPTION_SSRR = 1 << 7,
	RULE_IP_OPTION_SATID = 1 << 8,
	RULE_IP_OPTION_OTHER = 1 << 9,
};

enum rule_comparison {
	RULE_EQUAL,
	RULE_NOT_EQUAL,
	RULE_BELOW,
	RULE_BELOW_OR_EQUAL,
	RULE_ABOVE,
	RULE_ABOVE_OR_EQUAL,
	RULE_BETWEEN,  /* bounds excluded, as Suricata has it */
	RULE_ALL_BITS, /* of low, under the mask high */
	RULE_ANY_BITS,
	RULE_NOT_ALL_BITS,
	RULE_EXACT_BITS,
};

struct rule_test {
	enum rule_field field;
	enum rule_comparison comparison;
	uint32_t low, high;
};

/* `flow`, as bits: what the rule wants. */
enum rule_flow {
	RULE_FLOW_TO_SERVER = 1 << 0,
	RULE_FLOW_TO_CLIENT = 1 << 1,
	RULE_FLOW_ESTABLISHED = 1 << 2,
	RULE_FLOW_NOT_ESTABLISHED = 1 << 3,
	RULE_FLOW_STATELESS = 1 << 4,
	RULE_FLOW_ONLY_STREAM = 1 << 5,
	RULE_FLOW_NO_STREAM = 1 << 6,
	RULE_FLOW_ONLY_FRAGMENT = 1 << 7,
	RULE_FLOW_NO_FRAGMENT = 1 << 8,
};

/* ---- payload ---- */

enum rule_item_type {
	RULE_CONTENT,
	RULE_PCRE,
	RULE_ISDATAAT,
	RULE_BYTE_TEST,
	RULE_BYTE_JUMP,
	RULE_BYTE_EXTRACT,
	RULE_BYTE_MATH,
	RULE_SIZE, /* bsize, urilen */
};

struct rule_content {
	const uint8_t *bytes;
	const uint8_t *folded;      /* the bytes in lower case, when nocase */
	const uint8_t *replacement; /* or NULL */
	uint16_t replacement_size;  /* the content's, but with TCP and UDP */
	uint32_t size;
	uint32_t offset, depth;
	int32_t distance, within;
	/* A variable (from 1 on) that stands for the number; 0: none. */
	uint8_t offset_variable, depth_variable, distance_variable, within_variable;
	bool is_nocase;
	bool has_offset, has_depth, has_distance, has_within;
	bool starts_with, ends_with;
	bool is_fast_pattern;            /* asked for by name */
	uint16_t chop_offset, chop_size; /* fast_pattern:offset,size; size 0: none */
};

struct rule_pcre {
	pcre2_code *code; /* freed with the ruleset */
};

struct rule_isdataat {
	uint32_t offset;
	uint8_t offset_variable;
};

enum rule_number_text { RULE_NUMBER_BINARY, RULE_NUMBER_DECIMAL, RULE_NUMBER_HEX, RULE_NUMBER_OCT };

enum rule_byte_operator {
	RULE_BYTE_BELOW,
	RULE_BYTE_ABOVE,
	RULE_BYTE_EQUAL,
	RULE_BYTE_BELOW_OR_EQUAL,
	RULE_BYTE_ABOVE_OR_EQUAL,
	RULE_BYTE_AND,
	RULE_BYTE_OR,
};

enum rule_math {
	RULE_MATH_ADD,
	RULE_MATH_SUBTRACT,
	RULE_MATH_MULTIPLY,
	RULE_MATH_DIVIDE,
	RULE_MATH_SHIFT_LEFT,
	RULE_MATH_SHIFT_RIGHT,
};

/* byte_test, byte_jump, byte_extract, byte_math: a number taken from the payload. */
struct rule_byte {
	uint8_t size;
	enum rule_number_text text;
	bool is_little;
	int32_t offset;
	uint8_t offset_variable, value_variable; /* from 1 on, instead of the number; 0: none */
	uint64_t bitmask;                        /* 0: none */

	enum rule_byte_operator operator; /* byte_test */
	enum rule_math math;              /* byte_math */
	uint64_t value;
	uint8_t result; /* byte_extract, byte_math: the variable, from 0 on */

	uint32_t multiplier; /* byte_jump, byte_extract */
	uint8_t align;       /* 0: none, 2, 4 */
	int32_t post_offset; /* byte_jump */
	bool from_beginning, from_end;
};

struct rule_size {
	enum rule_comparison comparison;
	uint32_t low, high;
};

struct rule_item {
	enum rule_item_type type;
	uint8_t use; /* of the ruleset's buffers (rule_buffers.h); 0: the payload */
	bool is_negated;
	bool is_relative; /* looks from where the item before it ended */
	union {
		struct rule_content content;
		struct rule_pcre pcre;
		struct rule_isdataat isdataat;
		struct rule_byte byte;
		struct rule_size size;
	};
};

/* Items that look into the same buffer of a message; a chain of their own. */
struct rule_part {
	uint8_t use;
	uint16_t first, count; /* of rule.items */
};

static inline bool rule_size_matches(const struct rule_size *size, uint64_t value)
{
	switch (size->comparison) {
	case RULE_NOT_EQUAL:
		return value != size->low;
	case RULE_BELOW:
		return value < size->low;
	case RULE_BELOW_OR_EQUAL:
		return value <= size->low;
	case RULE_ABOVE:
		return value > size->low;
	case RULE_ABOVE_OR_EQUAL:
		return value >= size->low;
	case RULE_BETWEEN:
		return value > size->low && value < size->high;
	default:
		return value == size->low;
	}
}

/* ---- state ---- */

enum rule_flowbit_command {
	RULE_FLOWBIT_SET,
	RULE_FLOWBIT_UNSET,
	RULE_FLOWBIT_TOGGLE,
	RULE_FLOWBIT_IS_SET,
	RULE_FLOWBIT_IS_NOT_SET,
};

struct rule_flowbit {
	enum rule_flowbit_command command;
	uint16_t bit;
	bool or_next; /* "isset,a|b": one of them is enough */
};

enum rule_threshold_type {
	RULE_THRESHOLD_NONE,
	RULE_THRESHOLD_LIMIT,     /* at most count events in the time */
	RULE_THRESHOLD_THRESHOLD, /* each count-th */
	RULE_THRESHOLD_BOTH,      /* one event in the time, after count */
	RULE_THRESHOLD_DETECTION, /* detection_filter: no match before more than count */
	RULE_THRESHOLD_RATE,      /* rate_filter: another action after more than count */
};

#define RULE_THRESHOLD_COUNT_MAX 100000000

enum rule_track { RULE_TRACK_SOURCE, RULE_TRACK_DESTINATION, RULE_TRACK_BOTH, RULE_TRACK_RULE };

struct rule_threshold {
	enum rule_threshold_type type;
	enum rule_track track;
	uint32_t count, seconds;
	uint32_t timeout_seconds;    /* of a rate: how long it acts */
	enum rule_action new_action; /* of a rate */
};

enum rule_suppress_end {
	RULE_SUPPRESS_ALL,
	RULE_SUPPRESS_SOURCE,
	RULE_SUPPRESS_DESTINATION,
	RULE_SUPPRESS_EITHER
};

/* No events of the rule, of these addresses; what it does to packets stays. */
struct rule_suppress {
	enum rule_suppress_end end;
	const struct interval_set *addresses; /* owned by the networks of the ruleset */
	const struct rule_suppress *next;
};

/* ---- the rule ---- */

enum rule_protocol_class {
	RULE_CLASS_TCP,
	RULE_CLASS_UDP,
	RULE_CLASS_ICMP,  /* for IPv4 and for IPv6 */
	RULE_CLASS_OTHER, /* any other protocol above IP */
	RULE_CLASS_COUNT,
};

#define RULE_PROTOCOL_ANY  (-1)
#define RULE_PROTOCOL_ICMP (-2) /* for IPv4 or for IPv6 */

/* Order of action: Suricata's default. */
enum rule_rank { RULE_RANK_PASS, RULE_RANK_DROP, RULE_RANK_REJECT, RULE_RANK_ALERT };

struct rule {
	struct rule_info info;
	enum rule_rank rank;
	const char *file;
	uint32_t line;

	int16_t protocol;   /* IPPROTO_*, or RULE_PROTOCOL_* */
	uint8_t ip_version; /* 4, 6, or 0: either */
	bool is_bidirectional;
	/* NULL: any. Shared between rules, owned by the networks of the ruleset. */
	const struct interval_set *source, *destination, *source_ports, *destination_ports;

	uint16_t flow; /* enum rule_flow */
	bool looks_at_packet, looks_at_stream;
	bool wants_stream_only, wants_packet_only; /* said by keywords, before they are settled */
	bool is_for_fragments;                     /* speaks of them: looked at for each, too */
	bool is_ip_only; /* addresses and protocol alone: once for each direction of a flow */
	bool is_noalert, has_priority;
	bool has_replace;

	/* Rules on buffers of messages: each part in its own, those on bodies last. */
	uint8_t app_protocol;   /* enum app_protocol; APP_UNKNOWN: any flow */
	uint8_t app_stage;      /* enum app_stage: when all that it looks at is there */
	uint8_t app_directions; /* enum rule_app_direction, as bits */
	uint8_t part_count;     /* 0: a rule on payloads */
	struct rule_part *parts;

	uint8_t test_count, flowbit_count, variable_count;
	uint16_t item_count;
	struct rule_test *tests;
	struct rule_flowbit *flowbits;
	struct rule_item *items;
	struct rule_threshold threshold;      /* of its own, or by a line of a threshold.config */
	struct rule_threshold rate;           /* likewise: rate_filter */
	const struct rule_suppress *suppress; /* likewise; NULL: none */
};
