/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration's schema: each option of bulkhead.yaml is one row. Validation, defaults, the
 * reference page, `bulkhead config explain`, the JSON Schema for editors and completion all come
 * from these rows; nothing else knows an option. Constant tables, any thread.
 *
 * The normalised document
 * -----------------------
 * Roles never see YAML. Control turns the file into one JSON document, which obeys these rules:
 *  - same nesting and same names as the file, with `-` (`gateway.native-vlan`);
 *  - every option that has a default is there, also where its section was not written. An option
 *    without default that was not given is *absent*. Optional sections (gateway.host) are absent as
 *    a whole; maps (adapters, gateway.trunks, gateway.vlans, partitions, …) are there, maybe empty;
 *  - units are resolved to integers in the row's `unit`: durations ms (packet.nap-max: us), rates
 *    bit/s, packet rates packets/s, sizes bytes. `none` (no limit) is 0;
 *  - VLAN lists are sorted arrays of integers without repetition: [10-12, 20] -> [10, 11, 12, 20];
 *  - MAC addresses are lower case with colons; IP addresses and prefixes are in canonical text form
 *    (RFC 5952), prefixes with host bits cleared; gateway.host.addresses keep their host bits;
 *  - device strings are checked text for device_parse() (schema/device.h);
 *  - short forms are expanded: `on-failure: drop` -> {"default": "drop", "physical": "drop", …};
 *  - defaults that depend on other options are filled in too: guard.mac is true when mac is given.
 *
 * The document of the example in the manual, shortened:
 *
 * {"host": "hv1",
 *  "adapters": {"uplink": {"device": "af_xdp:eth1", "kind": "physical", "queues": 1}},
 *  "gateway": {
 *   "physical": "uplink", "native-vlan": 1, "reserved-addresses": "forward",
 *   "trunks": {"trunk-a": {"vlans": [10, 11]}},
 *   "host": {"interface": "sea0", "vlan": 10, "addresses": ["192.0.2.1/24"]},
 *   "vlans": {"10": {"name": "web", "inspect": "all", "flood": true, "mac-limit": 0}},
 *   "ageing": 300000, "fdb-max": 131072, "mac-move": {"max": 5, "window": 1000}},
 *  "partitions": {"web": {"adapters": {"eth0": {
 *   "attach": "vhost-user:/run/bulkhead/web-eth0.sock", "mode": "access", "vlan": 10, "vlans": [],
 *   "mac": "52:54:00:00:10:01", "addresses": ["192.0.2.10"], "static": [], "queues": 1,
 *   "priority": 0, "rate": {"in": 0, "out": 0}, "mac-limit": 256,
 *   "guard": {"mac": true, "ip": true, "arp": true, "nd": true, "dhcp": true, "ra": true,
 *             "eapol": true},
 *   "storm": {"broadcast": 0, "multicast": 0, "unknown-unicast": 0}}}}},
 *  "inspection": {
 *   "engines": ["builtin"], "rules": ["/etc/bulkhead/rules/x.rules"], "scope": "gateway",
 *   "variables": {"HOME_NET": "[192.0.2.0/24,198.51.100.7]", "EXTERNAL_NET": "!$HOME_NET", …},
 *   "deadline": 50, "malformed": "pass", "checksums": "verify",
 *   "midstream": "accept", "hold-max": 8192,
 *   "flows-max": 65536, "stream-memory": 67108864, "stream-depth": 1048576,
 *   "on-failure": {"default": "drop", "physical": "drop", "trunk": "drop", "host": "drop"}},
 *  "packet": {"workers": 1, "cores": [], "memory": 268435456, "hugepages": "auto",
 *             "nap-max": 250},
 *  "events": {"eve": "/var/log/bulkhead/eve.json"},
 *  "log": {"sink": "stderr", "level": "info"},
 *  "control": {"socket": "/run/bulkhead/control.sock", "metrics": "127.0.0.1:9580",
 *              "group": "bulkhead", "readers": [], "operators": []}}
 *
 * inspection.variables: each is one string in the syntax of Suricata's rules (a YAML list becomes
 * "[a,b]"), and Suricata's usual ones are there with their usual defaults. inspection.on-failure
 * has each origin kind filled in; what decides a packet's policy is, first found: the adapter's
 * own (partitions.*.adapters.*.on-failure, already filled in from partitions.*.on-failure), its
 * VLAN's (gateway.vlans.*.on-failure), that of its origin kind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The document's JSON type is in brackets. */
enum config_type {
	CONFIG_SECTION,     /* fixed keys, each a row of its own [object] */
	CONFIG_MAP,         /* names chosen by the user; the row KEY.* describes a value [object] */
	CONFIG_BOOL,        /* true, false [true, false] */
	CONFIG_INTEGER,     /* [integer] */
	CONFIG_DURATION,    /* 50ms, 2s, 5min, 1h [integer in unit] */
	CONFIG_RATE,        /* 10Gbit/s, 500Mbit/s [integer, bit/s] */
	CONFIG_PACKET_RATE, /* 1000/s, 10k/s [integer, packets/s] */
	CONFIG_SIZE,        /* 64MiB, 1GB [integer, bytes] */
	CONFIG_STRING,      /* [string] */
	CONFIG_NAME,        /* letters, digits, - and _ [string] */
	CONFIG_ENUM,        /* one of `values` [string] */
	CONFIG_MAC,         /* unicast MAC address [string] */
	CONFIG_ADDRESS, /* IPv4 or IPv6 address, or prefix where the host part is zero [string] */
	CONFIG_HOST_ADDRESS, /* address/length, host part kept [string] */
	CONFIG_VLAN,         /* VLAN id, 1 to 4094 [integer] */
	CONFIG_VLANS,        /* list of ids and ranges [array of integers] */
	CONFIG_PORTS,        /* port of TCP, UDP or SCTP, or FIRST-LAST [string] */
	CONFIG_DEVICE,       /* KIND:ARGUMENT[,option…], see device.h [string] */
	CONFIG_INTERFACE,    /* name of a network interface [string] */
	CONFIG_PATH,         /* absolute path [string] */
	CONFIG_GLOB,         /* absolute path with *, ? and [] [string] */
	CONFIG_SINK,         /* where to write: a word of `values`, a path, or unix:PATH [string] */
	CONFIG_ENDPOINT,     /* ADDRESS:PORT, or `none` [string; absent for none] */
	CONFIG_PRINCIPAL,    /* user, or @group [string] */
	CONFIG_VARIABLE,     /* string or list of strings in the syntax of rules [string] */
	CONFIG_TYPE_COUNT,
};

/* What a change of the option needs. */
enum config_effect {
	CONFIG_LIVE,   /* taken over between two packets */
	CONFIG_REOPEN, /* the port it belongs to is closed and opened again; others are untouched */
	CONFIG_RESTART, /* the packet role is started again; guests reconnect */
	CONFIG_DAEMON,  /* takes effect with the next start of the daemon */
	CONFIG_EFFECT_COUNT,
};

enum config_flag {
	CONFIG_IS_REQUIRED = 1 << 0,
	CONFIG_IS_LIST = 1 << 1,     /* a list of the type; in the document always an array */
	CONFIG_IS_OPTIONAL = 1 << 2, /* a section that stays absent when it is not written */
	CONFIG_TAKES_NONE = 1 << 3,  /* `none`: no limit, 0 in the document */
};

struct config_option {
	const char *key; /* "partitions.*.adapters.*.vlan"; `*` is a name of the user's */
	enum config_type type;
	enum config_effect effect;
	uint32_t flags; /* enum config_flag */
	/* Of numbers in `unit`; of texts their length; of lists (but of numbers) their elements. */
	int64_t minimum, maximum;
	const char *unit;   /* of numbers in the document; NULL: none */
	const char *values; /* of CONFIG_ENUM: "drop|pass"; of CONFIG_SINK: words beside paths */
	const char *default_text; /* in YAML syntax; NULL: none */
	const char *default_note; /* of defaults that depend on other options, for people */
	const char *short_form;   /* the child that a scalar written for the section sets */
	const char *key_type;     /* of CONFIG_MAP: "name", "vlan" or "variable" */
	const char *example;      /* in YAML syntax, for the reference and error messages */
	const char *help;         /* one line */
};

/* All rows, a parent before its children, in the order of the reference page. */
extern const struct config_option config_options[];
extern const size_t config_option_count;

/* By pattern ("adapters.*.device") or by a concrete path ("adapters.uplink.device"); borrowed. */
const struct config_option *config_option_find(const char *path);

/* A direct child of parent (NULL: a row of the top) called name, or its `*`; NULL: none. */
const struct config_option *config_option_child(
	const struct config_option *parent, const char *name);
/* The direct children of parent, in order: start with NULL; NULL ends. */
const struct config_option *config_option_next_child(
	const struct config_option *parent, const struct config_option *previous);
/* The last part of the key: "vlan"; "*" for a map's value. */
const char *config_option_name(const struct config_option *option);
bool config_option_is(const struct config_option *option, enum config_flag flag);
/* Whether word is one of "a|b|c". */
bool config_values_contain(const char *values, const char *word);

const char *config_type_name(enum config_type type);       /* "duration" */
const char *config_type_describe(enum config_type type);   /* "a duration such as 50ms or 2s" */
const char *config_effect_name(enum config_effect effect); /* "live", "reopen", … */
